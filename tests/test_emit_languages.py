"""A target in another language: a Julia backend of one file, its text translated back and run."""

import re
import sys
from types import SimpleNamespace

import julia_backend
import numpy as np
import pytest
from emitted_runs import SETTINGS, oracles
from typer.testing import CliRunner

import odescent as od
from odescent.cli import app
from odescent.discretize.emit import BACKENDS, called, find, load, targets

STEPS = 12


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """The backend as a file of `backends/` and a line of the registry would make it."""
    where = "odescent.discretize.emit.backends.julia"
    monkeypatch.setitem(sys.modules, where, julia_backend)
    monkeypatch.setitem(BACKENDS.entries, "julia", julia_backend.LINE["julia"])


def translated(text):
    """Julia as Python, construct by construct; none that the backend writes is left out."""
    rules = (
        (r"#=.*?=#", '""'),  # comments
        (r"function (\w+)\(([^)]*)\)", r"def \1(\2):"),
        (r"^_exact_sum.*", ""),  # the one-line function, whose Python is below
        (r"^ *end$", ""),
        (r"for _ in 1:steps", "for _ in range(steps):"),
        (r"push!\(xs, ", "xs.append("),
        (r"\(;", "NamedTuple("),
        (r"@\.\(", "("),
        (r" ?\^ ?", "**"),
        (r"float\.\(x0\)", "1.0 * x0"),
        (r"sum\((\w+) \.\* (\w+)\)", r"sum(\1 * \2)"),
        (r"\bzero\(", "zeros_like("),
    )
    for pattern, python in rules:
        text = re.sub(
            pattern,
            python,
            text,
            flags=re.MULTILINE | re.DOTALL if "#=" in pattern else re.MULTILINE,
        )
    known = {
        n: getattr(np, n)
        for n in ("exp", "expm1", "log", "sqrt", "sign", "sum", "zeros_like", "abs", "tanh")
    }
    known |= {
        "NamedTuple": SimpleNamespace,
        "_exact_sum": lambda *products: float(sum(np.prod(np.longdouble(p)) for p in products)),
    }
    exec(compile(text, "julia", "exec"), known)  # noqa: S102  what our own printer wrote
    return SimpleNamespace(**known)


def carried(name):
    """Whether the backend carries a registered method, with a gradient alone."""
    program = od.algorithm(name).tuned
    try:
        julia_backend.BACKEND.refuse(program)
    except od.NotCarried:
        return False
    return {c.oracle.kind for c in program.calls} == {"grad"}


def test_heavy_ball_as_it_is_written():
    text = od.algorithm("heavy_ball").source("julia")
    assert text.startswith("#= Heavy ball: one step of the algorithm, as plain Julia.\n")
    assert text.endswith(
        """
function coefficients(mu, L)
    t1 = sqrt(L) + sqrt(mu)
    return (;c_g=2 / t1, beta=(L - mu) ^ 2 / t1^4)
end


function init(x0)
    #= The state at the starting point x0. =#
    start = float.(x0)
    return (;v=zero(start), x=start)
end


function step(state, grad, c)
    #= The next state; one oracle call. =#
    v = state.v
    x = state.x
    g = grad(x)
    v_1 = @.(c.beta * v - c.c_g * g)
    x_1 = @.(x + c.c_g * v_1)
    return (;v=v_1, x=x_1)
end


function output(state, c)
    #= The algorithm's output. =#
    return state.x
end


function run(grad, x0, steps, mu, L)
    #= The output sequence, shape (steps + 1, *x0.shape), starting point first. =#
    c = coefficients(mu, L)
    state = init(x0)
    xs = [output(state, c)]
    for _ in 1:steps
        state = step(state, grad, c)
        push!(xs, output(state, c))
    end
    return xs
end
"""
    )


def test_most_methods_of_gradients_are_carried():
    assert all(map(carried, ("heavy_ball", "nesterov_sc", "adam")))


@pytest.mark.parametrize("name", od.algorithms())
def test_the_numbers_are_those_of_numpy(name):
    if not carried(name):
        pytest.skip("it asks for more than a gradient")
    alg = od.algorithm(name)
    if {o.kind for o in alg.tuned.oracles} - {"grad"}:
        pytest.skip("it asks for more than a gradient")
    try:
        module = translated(alg.source("julia"))
    except od.NotCarried as refusal:
        assert "function" in str(refusal)
        return
    known, x0 = oracles(np)
    theirs = load(alg, "numpy")
    names = called(theirs)
    given = {names[s.name]: SETTINGS.get(s.name, 0.4) for s in alg.tuned.parameters}
    rows = np.array(module.run(known["grad"], x0, STEPS, **given))
    np.testing.assert_allclose(rows, theirs.run(known["grad"], x0, STEPS, **given), rtol=1e-12)


def test_reserved_words_of_the_language_are_avoided():
    x, v = od.blocks("x end")
    b, h = od.parameters("function h")
    f = od.Objective("f")
    system = od.System({"kick": {v: -b * v - f.grad(x)}, "drift": {x: v}}, output=x)
    alg = od.Algorithm(
        system, od.scheme("semi_implicit_euler", order=("end", "x")), step=h, name="words"
    )
    text = alg.source("julia")
    assert "end_ = state.end_" in text and "function coefficients(h, function_)" in text


def test_what_it_cannot_carry_is_refused_and_its_name_is_known_everywhere():
    with pytest.raises(od.NotCarried, match="the julia backend does not support"):
        od.algorithm("baoab").source("julia")
    assert "julia" in targets() and find("julia").suffix == ".jl"
    done = CliRunner().invoke(app, ["emit", "heavy_ball", "--target", "julia"])
    assert done.exit_code == 0 and "function step(state, grad, c)" in done.stdout
    listed = CliRunner().invoke(app, ["list", "targets"])
    assert "julia" in listed.stdout
