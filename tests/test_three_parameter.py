"""The three-parameter form: MATH's numbers and tables, the passive form's identity and its inverse."""

from __future__ import annotations

from typing import Any

import pytest
import sympy as sp
import textbook as tb

import odescent as od
from odescent.dynamics.algebra.exact import is_zero
from odescent.dynamics.vector_fields.system import L, mu

psi, y, x, v = od.blocks("psi y x v")
K, a, b, c, h = od.parameters("K a b c h")
al, be, ga, de = od.parameters("alpha beta gamma delta")
f = od.Objective("f")

# MATH (c): kappa = 10, mu = 1, L = 10
NUMBERS = {
    "heavy_ball": {"alpha": ".230886157020407", "beta": ".269873863612238", "gamma": "0", "delta": "0"},
    "nesterov_sc": {"alpha": ".1", "beta": ".519493853295916", "gamma": ".519493853295916", "delta": "0"},
    "triple_momentum": {
        "alpha": ".168377223398316", "beta": ".355215472608669",
        "gamma": ".210964087326921", "delta": ".878091107778656",
    },
    "gradient_descent": {"alpha": ".1", "beta": "0", "gamma": "0", "delta": "0"},
}  # fmt: skip


def passive(K_: Any = K, a_: Any = a, b_: Any = b) -> od.Algorithm:
    """MATH b.3: semi-implicit Euler of psi' = -K psi - b g, y' = psi - a g, psi first."""
    system = od.System(
        {"psi": {psi: -K * psi - b * f.grad(y)}, "y": {y: psi - a * f.grad(y)}},
        output=y,
        init={y: od.blocks("x0")},
    )
    given = {s: e for s, e in ((K, K_), (a, a_), (b, b_)) if s != e}
    return od.Algorithm(
        system, od.scheme("semi_implicit_euler", order=("psi", "y")), h, where=given
    )


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_at_kappa_ten(name: str) -> None:
    algorithm = od.algorithm(name)
    bound = algorithm.bind({s.name: n for s, n in ((mu, 1), (L, 10)) if s in algorithm.parameters})
    for coefficient, digits in NUMBERS[name].items():
        assert abs(sp.N(bound.coefficients[coefficient], 30) - sp.Float(digits, 30)) < 6e-16, (
            coefficient
        )


def test_textbook_form_reads_back() -> None:
    found = tb.three_parameters(al, be, ga, de).coefficients
    assert [
        is_zero(found[n] - s)
        for n, s in (("alpha", al), ("beta", be), ("gamma", ga), ("delta", de))
    ] == [True] * 4


def test_an_output_that_does_not_see_the_momentum() -> None:
    """At delta = beta / (1 - beta) the pole beta cancels: the output is a gradient descent of its own."""
    found = tb.three_parameters(al, be, ga, be / (1 - be)).coefficients
    assert is_zero(found["delta"] - be / (1 - be)) and is_zero(found["beta"] - be)


def test_passive_identity_for_every_member() -> None:
    """c = 1 + ga - ga/be, K = (1 - be)/h, a = ga al/(be h), b = c al/h^2 give back al, be, ga; a K + b = al/h^2."""
    K_, a_, b_ = (1 - be) / h, ga * al / (be * h), (1 + ga - ga / be) * al / h**2
    symbolic = passive()
    rebuilt = od.Algorithm(
        symbolic.system, symbolic.scheme, h, tuning={K: K_, a: a_, b: b_}
    )  # the values blow up as h -> 0, so they are a tuning and no binding
    found = rebuilt.coefficients
    assert all(is_zero(found[n] - s) for n, s in (("alpha", al), ("beta", be), ("gamma", ga)))
    assert is_zero(a_ * K_ + b_ - al / h**2)
    target = tb.three_parameters(al, be, ga)
    verdict = rebuilt.equivalent(target)
    assert verdict.verdict == "proved"  # psi_0 = 0 is xi_{-1} = xi_0


def test_inverse_map() -> None:
    """In units h = 1/sqrt(L), a in units of h (here c): al = (a (1 - be) + b)/L, ga = a be/(L al), be = 1 - K h."""
    found = (
        passive()
        .replace(tuning={a: c * h, h: 1 / sp.sqrt(L), K: (1 - be) * sp.sqrt(L)})
        .coefficients
    )
    alpha = (c * (1 - be) + b) / L
    assert (
        is_zero(found["alpha"] - alpha)
        and is_zero(found["beta"] - be)
        and is_zero(found["gamma"] - c * be / (L * alpha))
    )


q, root = tb.q, sp.sqrt(mu)
TABLE = {  # beta, K h, a/h, b, aK + b (h = 1/sqrt(L)) of MATH b.3
    "NAG-SC": (tb.beta_nag, 2 * q / (1 + q), 1, (1 - q) / (1 + q), 1),
    "TMM": ((1 - q) ** 2 / (1 + q), q * (3 - q) / (1 + q), 1, 2 * (1 - q) / (1 + q), 2 - q),
    "HB": (tb.beta_nag**2, 4 * q / (1 + q) ** 2, 0, 4 / (1 + q) ** 2, 4 / (1 + q) ** 2),
    "GD": (0, 1, 1, 0, 1),
}
TARGETS = {
    "NAG-SC": tb.nesterov,
    "TMM": tb.triple_momentum,
    "HB": tb.heavy_ball,
    "GD": tb.gradient_descent,
}


@pytest.mark.parametrize("name", TABLE)
def test_table_of_the_passive_form(name: str) -> None:
    beta, Kh, a_over_h, b_, stiffness = (sp.sympify(e) for e in TABLE[name])
    assert is_zero(1 - Kh - beta) and is_zero(a_over_h * Kh + b_ - stiffness)
    made = passive().replace(tuning={K: Kh / h, a: a_over_h * h, b: b_, h: 1 / sp.sqrt(L)})
    assert made.equivalent(TARGETS[name]()).verdict == "proved"


def read(algorithm: od.Algorithm) -> dict[str, sp.Expr]:
    return algorithm.coefficients


def test_other_structures_are_refused() -> None:
    for name, reason in (
        ("extragradient", "one explicit gradient call"),
        ("proximal_point", "one explicit gradient call"),
    ):
        with pytest.raises(od.NotCarried, match=reason):
            read(od.algorithm(name))
    w = od.blocks("w")
    three = od.method({x: x + v, v: w + v / 2, w: w / 3 - f.grad(x)}, output=x)
    with pytest.raises(od.NotCarried, match="two states"):
        read(three)
    leaky = od.method({x: x / 2 - f.grad(x)}, output=x)
    with pytest.raises(od.NotCarried, match="integrator"):
        read(leaky)
    undone = od.method({x: x + v - f.grad(x), v: f.grad(x)}, output=x, init={v: 0})
    with pytest.raises(od.NotCarried, match="integrator"):
        read(undone)


def test_an_output_outside_the_form_has_no_delta() -> None:
    speed = od.method(
        {x: x + v / 2 - h * f.grad(x), v: v / 2 - h * f.grad(x)}, output=v, init={v: 0}
    )
    assert set(speed.coefficients) == {"alpha", "beta", "gamma"}
    assert set(speed.replace(system=od.method({x: x, v: v}, output=x).system).coefficients) == {
        "alpha",
        "beta",
        "gamma",
        "delta",
    }
