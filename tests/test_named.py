"""Named functions: substituted and differentiated by name, then opened, they give what the values give."""

from __future__ import annotations

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import odescent as od
from odescent.dynamics.algebra.calculus import derivative, substitute, vanishes
from odescent.dynamics.algebra.named import named, opened, taylor_terms
from odescent.dynamics.algebra.vectors import Expr
from odescent.dynamics.notation.show import latex, text

x, v = od.blocks("x v")
c, h = od.parameters("c h")
f = od.Objective("f")
FLOW = {x: v, v: -c * v - f.grad(x), c: h}
VALUES: dict[str, Expr] = {
    "E": f.value(x) + od.inner(v, v) * c / 2,
    "P": f.grad(x + h * v) * sp.sqrt(c) + od.hadamard(x, v),
    "s": sp.exp(-c * h) / (1 + c),
    "one": sp.S.One,
}


@pytest.mark.parametrize("name", VALUES)
def test_opening_commutes_with_the_calculus(name: str) -> None:
    value, formal = VALUES[name], named(name, VALUES[name])
    values = {name: value}

    def same(a: Expr, b: Expr) -> bool:
        return vanishes(opened(a, values) - b)

    assert same(formal, value)
    once = derivative(value, FLOW)
    assert same(derivative(formal, FLOW), once)
    assert same(derivative(derivative(formal, FLOW), FLOW), derivative(once, FLOW))
    moved = {x: 2 * x - v, v: f.grad(v), c: h**2, h: sp.Integer(3)}
    assert same(substitute(formal, moved), substitute(value, moved))
    assert same(substitute(derivative(formal, FLOW), moved), substitute(once, moved))
    assert same(
        derivative(substitute(formal, moved), FLOW), derivative(substitute(value, moved), FLOW)
    )


@given(st.lists(st.sampled_from(["d", "s"]), max_size=3))
def test_any_chain_of_derivatives_and_substitutions(chain: list[str]) -> None:
    value, formal = VALUES["E"], named("E", VALUES["E"])
    for step in chain:
        for_both = (
            (lambda e: derivative(e, FLOW))
            if step == "d"
            else (lambda e: substitute(e, {x: x + c * v}))
        )
        value, formal = for_both(value), for_both(formal)
    assert vanishes(opened(formal, VALUES) - value)


def test_claims_inside_claims() -> None:
    """A claim as the argument of another, and as a direction."""
    E, P = (named(n, VALUES[n]) for n in ("E", "P"))
    inside = derivative(substitute(E, {x: P}), {v: P})
    direct = derivative(substitute(VALUES["E"], {x: VALUES["P"]}), {v: VALUES["P"]})
    assert vanishes(opened(inside, VALUES) - direct)


def test_taylor_terms_where_the_value_is_removably_singular() -> None:
    value = (1 - sp.exp(-c * h)) / h
    terms = [opened(e, {"q": value}) for e in taylor_terms(named("q", value), h, 2)]
    assert all(vanishes(a - b) for a, b in zip(terms, (c, -(c**2) / 2, c**3 / 6), strict=True))


def test_equal_names_at_different_arguments_differ() -> None:
    tau, positive = sp.Symbol("tau", real=True), sp.Symbol("tau", positive=True)
    a = named("E", tau)
    b = substitute(a, {tau: positive})
    assert a != b and a - b != 0
    P = named("P", VALUES["P"])
    assert P != substitute(P, {c: 2 * c}) and P - P == od.blocks("x") * 0


def test_they_are_shown_by_name() -> None:
    E = named("E", VALUES["E"])
    assert text(E) == "E" and text(substitute(E, {x: v})) == "E(x = v)"
    assert text(derivative(E, {x: v})) == "D1 E[x: v]"
    assert latex(E) == r"\mathrm{E}"


def test_equal_symbols_make_equal_names_however_they_were_written() -> None:
    one = sp.Symbol("k", integer=True, nonnegative=True)
    other = sp.Symbol("k", nonnegative=True, integer=True)
    assert one == other and named("E", one**2) == named("E", other**2)
