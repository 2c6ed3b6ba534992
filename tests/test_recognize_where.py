"""Where the values that recognition finds are admissible, and which match it prefers."""

from __future__ import annotations

import pytest
import sympy as sp

import odescent as od

x, y = od.blocks("x y")
f, loss = od.Objective("f"), od.Objective("loss")
a, b, h, L = od.parameters("a b h L")


def momentum(look: sp.Expr, step: sp.Expr) -> od.Algorithm:
    point = x + look * (x - y)
    return od.method({x: x + b * (x - y) - step * f.grad(point), y: x}, output=x)


FAMILIES = {
    "heavy_ball": (momentum(sp.S.Zero, a), {a: sp.Rational(1, 3)}),
    "nesterov_sc": (momentum(b, a), {a: sp.Rational(1, 3)}),
    "nesterov_sc of L": (momentum(b, 1 / L), {L: sp.Integer(3)}),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_the_condition_of_a_match_is_where_the_match_holds(name: str) -> None:
    """Momentum above one has the values of momentum 1/b: mu = (1-b)^2 / ... forgets on which side of one b is."""
    method, others = FAMILIES[name]
    found = od.recognize(method)
    assert found.verdict == "equal" and found.name == name.split()[0] and found.where
    assert found.where in found.reason
    condition = sp.sympify(found.where, locals={"b": b})
    known = od.algorithm(found.name)
    for value in (sp.Rational(1, 9), sp.Rational(4, 9), sp.Rational(9, 4), sp.Integer(9)):
        given = {b: value, **others}
        inserted = {n: sp.sympify(e).xreplace(given) for n, e in found.substitution.items()}
        bound = {s.name: given[s] for s in (L,) if s in given and "L" not in inserted}
        verdict = method.bind({s.name: v for s, v in given.items()}).equivalent(
            known.bind({**bound, **inserted})
        )
        assert bool(verdict) == bool(condition.xreplace({b: value})), (value, verdict.reason)


def test_no_condition_where_the_values_are_admissible_everywhere() -> None:
    found = od.recognize(od.method({x: x - 2 / (L + a) * f.grad(x)}, output=x))
    assert (found.name, found.verdict, found.where) == ("gradient_descent", "equal", "")


def test_parameters_that_two_methods_share_keep_their_values() -> None:
    """It was called inertial_newton with three fitted values and another output."""
    found = od.recognize(od.algorithm("robust_momentum").bind(rho=sp.Rational(9, 10)))
    assert (found.name, found.verdict) == ("robust_momentum", "equal")
    assert found.substitution == {"rho": sp.Rational(9, 10)}


def test_another_sequence_as_output_counts_more_than_names_and_values() -> None:
    """These were called implicit_gradient_transport, but for the output."""
    renamed = od.recognize(od.method({x: x - h * loss.grad(x)}, output=x))
    assert (renamed.name, set(renamed.but_for)) == ("gradient_descent", {"oracle"})
    once = x - h * f.grad(x)
    twice = od.recognize(od.method({x: once - h * f.grad(once)}, output=x))
    assert (twice.name, set(twice.but_for)) == ("gradient_descent", {"steps"})


@pytest.mark.parametrize(
    "factor",
    [
        1 + sp.exp(-1000),
        sp.erf(30),
        1 + sp.Rational(1, 2**400),
        sp.tanh(200),
        sp.cos(sp.Rational(1, 10**90)),
    ],
    ids=str,
)
def test_factors_that_are_one_to_hundreds_of_digits_are_not_one(factor: sp.Expr) -> None:
    one, other = (od.method({x: x - h * c * f.grad(x)}, output=x) for c in (1, factor))
    found = one.equivalent(other)
    assert found.verdict == "refuted" and len(found.reason) < 300
    mine, theirs = found.witness.values
    exact = factor * found.witness.parameters[h]
    assert abs(sp.N(theirs + exact, 20, maxn=2000)) < abs(sp.N(mine - theirs, 20)) / 10**6


def test_digits_end_in_an_open_verdict() -> None:
    one, other = (
        od.method({x: x - h * c * f.grad(x)}, output=x) for c in (1, 1 + sp.exp(-(10**6)))
    )
    assert one.equivalent(other).verdict == "undecided"
