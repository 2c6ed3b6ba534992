"""LaTeX of a step and of a whole algorithm."""

import re

import pytest

import odescent as od
from odescent.discretize.emit import load, source
from odescent.discretize.emit.backends.latex import latex


def test_one_step_reads_as_in_a_textbook():
    assert latex(od.algorithm("gradient_descent")).splitlines() == [
        r"\begin{aligned}",
        r"g_{k} &= \nabla f(x_{k}) \\",
        r"x_{k+1} &= x_{k} - \frac{1}{L} g_{k}",
        r"\end{aligned}",
    ]
    assert r"x_{k+1} &= \operatorname{prox}_{h f}(x_{k})" in latex(od.algorithm("proximal_point"))
    assert r"z_{k+1/2} &= z_{k} - \frac{1}{L} F_{k}" in latex(od.algorithm("extragradient"))
    assert r"\xi_{k} &\sim \mathcal{N}(0, I)" in latex(od.algorithm("unadjusted_langevin"))
    assert r"1 - \beta_{1}^{1 + k}" in latex(od.algorithm("adam"))
    assert od.algorithm("heavy_ball").latex() == latex(od.algorithm("heavy_ball"))


@pytest.mark.parametrize("name", od.algorithms())
def test_listings_are_balanced(name):
    text = source(od.algorithm(name), "latex")
    for opening in ("algorithm", "algorithmic"):
        assert text.count(rf"\begin{{{opening}}}") == text.count(rf"\end{{{opening}}}") == 1
    assert text.count(r"\For{") == text.count(r"\EndFor") == 1
    for word in (r"\Require", r"\State \Return"):
        assert text.count(word) == 1
    assert text.count("{") == text.count("}") and text.count("$") % 2 == 0
    assert text.count(r"\left") == text.count(r"\right")
    body = text.partition(r"\For")[2]
    assert "_{k+1}" in body
    assert not re.search(r"mathrm\{Q", text)  # no placeholder is left


def test_listings_name_what_is_needed():
    text = source(od.algorithm("triple_momentum"), "latex")
    assert (
        r"\Require gradient $\nabla f$; starting point $x_0$; number of steps $N$; $\mu$, $L$"
        in text
    )
    assert r"\State \Return $z_{N}$" in text
    assert r"\Comment{coefficients depend on $k$}" in source(od.algorithm("nesterov_c"), "latex")


def test_latex_is_no_module():
    with pytest.raises(od.OdescentError, match="is text, not a module"):
        load(od.algorithm("adam"), "latex")


@pytest.mark.parametrize("name", od.algorithms())
def test_what_is_drawn_has_its_law(name: str) -> None:
    """Signs are no normals, and a batch is that which its sample picks."""
    program, text = od.algorithm(name).program, latex(od.algorithm(name))
    if not program.draws:
        pytest.skip("it draws nothing")
    assert sorted(re.findall(r"\\sim (.*?) \\\\", text)) == sorted(
        [d.drawn_from.latex for d in program.draws]
        + re.findall(r"\\sim (\\mathrm\{Poisson\}.*?) \\\\", text)
    )
    assert ("uniform" in {d.law for d in program.draws}) == ("U(0, 1)" in text)
    assert ("rademacher" in {d.law for d in program.draws}) == (r"\lbrace -1, 1 \rbrace" in text)


def test_two_batches_are_told_apart() -> None:
    text = latex(od.algorithm("federated_averaging"))
    assert r"\nabla f_{B(u_{1,k})}(x_{k})" in text and r"\nabla f_{B(u_{2,k})}(x_{k})" in text
    sized = latex(od.algorithm("adadagrad"))
    assert r"\nabla f_{B(u_{k}, b_{k})}(x_{k})" in sized and r"\sigma_{B(u_{k}, b_{k})}" in sized
