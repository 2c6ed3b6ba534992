"""Arithmetic of fractions without cancelling where nothing can cancel, beside SymPy's, which always cancels."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy.polys.fields import FracField
from sympy.polys.orderings import lex

import odescent as od
from odescent.dynamics.algebra.exact import canonical, is_zero
from odescent.dynamics.numbers.fractions import added, divided, multiplied, polynomial_of, whole

SYMBOLS = sp.symbols("a b", positive=True)
FIELD = FracField(SYMBOLS, sp.QQ, lex)
RATIONALS = st.fractions(min_value=-6, max_value=6, max_denominator=6)
POLYNOMIALS = st.dictionaries(
    st.tuples(st.integers(0, 2), st.integers(0, 2)), RATIONALS.filter(bool), max_size=3
).map(lambda terms: FIELD.ring.from_dict({m: sp.QQ(c.numerator, c.denominator) for m, c in terms.items()}))  # fmt: skip


@st.composite
def elements(draw: Callable[[Any], Any]) -> Any:
    """Fractions as SymPy makes them, many of them polynomials or numbers."""
    above = draw(POLYNOMIALS)
    below = draw(st.one_of(st.just(FIELD.ring.one), POLYNOMIALS.filter(bool)))
    return FIELD(above) / FIELD(below)


def same(one: Any, other: Any) -> bool:
    """The same element with the same numerator and denominator, signs and contents included."""
    return one.numer == other.numer and one.denom == other.denom


@settings(max_examples=300, deadline=None)
@given(elements(), elements())
def test_sums_products_and_quotients_are_the_cancelled_ones(a: Any, b: Any) -> None:
    assert same(added(a, b), a + b)
    assert same(multiplied(a, b), a * b)
    if b:
        assert same(divided(a, b), a / b)


@settings(max_examples=200, deadline=None)
@given(POLYNOMIALS)
def test_a_polynomial_is_the_element_that_it_is(p: Any) -> None:
    assert same(whole(FIELD, p), FIELD(p))
    assert polynomial_of(whole(FIELD, p)) == p


def test_zero_divides_nothing() -> None:
    with pytest.raises(ZeroDivisionError):
        divided(FIELD.one, FIELD.zero)


@pytest.mark.parametrize("decide", [canonical, is_zero])
def test_a_power_of_zero_that_was_not_evaluated_is_refused(decide: Any) -> None:
    with pytest.raises(od.OdescentError):
        decide(sp.Mul(sp.Pow(sp.S.Zero, -1, evaluate=False), sp.sin(2), evaluate=False))


A, B = SYMBOLS
UNEVALUATED = sp.Pow(sp.E, A, evaluate=False)


@pytest.mark.parametrize(
    "e",
    [
        sp.exp(A) * sp.exp(-A) - 1,
        sp.E ** (2 * A) - sp.exp(A) ** 2,
        sp.E**2 - sp.exp(1) ** 2,
        UNEVALUATED - sp.exp(A),
        sp.sqrt(A) ** 2 - A,
        sp.log(A + B) - sp.log(B + A),
        sp.sinh(A) - (sp.exp(A) - sp.exp(-A)) / 2,
        sp.log(sp.cosh(A)) - sp.log((sp.exp(A) + sp.exp(-A)) / 2),
        sp.GoldenRatio**2 - sp.GoldenRatio - 1,
        sp.Abs(sp.GoldenRatio**2 - A) - sp.Abs(1 + sp.GoldenRatio - A),
        sp.sqrt(sp.exp(2 * A) + 2 * sp.exp(A) + 1) - sp.exp(A) - 1,
        sp.sin(A) ** 2 + sp.cos(A) ** 2 - 1,
    ],
)
def test_what_is_rewritten_first_is_found_at_any_depth(e: sp.Expr) -> None:
    """Exponentials, hyperbolic functions and constants inside of others; and nothing that is not zero is."""
    assert is_zero(e) and canonical(e) == 0
    assert not is_zero(e + sp.Rational(1, 10**9))


@pytest.mark.parametrize(
    "exponent", [A, -A, 2 * A, sp.sqrt(2), sp.Integer(2), sp.cos(A), A + B, UNEVALUATED]
)
def test_a_power_of_e_that_was_not_evaluated_is_that_power(exponent: sp.Expr) -> None:
    """It was read as exp(e), whatever its exponent, and so "proved" equal to that."""
    e = sp.Pow(sp.E, exponent, evaluate=False)
    assert not is_zero(e - sp.exp(sp.E))
    assert is_zero(e - sp.exp(exponent))
    assert canonical(e) == canonical(sp.exp(exponent))
    x, f, h = od.blocks("x"), od.Objective("f"), od.parameters("h")
    with_power, plain = (
        od.Algorithm(
            od.System({"descent": {x: -c * f.grad(x)}}, output=x), "explicit_euler", step=h
        )
        for c in (e, sp.exp(exponent))
    )
    assert with_power.equivalent(plain).verdict == "proved"
    assert with_power.source("numpy") == plain.source("numpy")


@pytest.mark.parametrize(
    "odd",
    [
        sp.Derivative(sp.Function("q")(A), A),
        sp.MatrixSymbol("M", 2, 2)[0, 0],
        sp.O(A**2),
        sp.Piecewise((1, A < 1), (1 / (A - 1), A > 2)),
        sp.Integral(sp.exp(-(B**2)), (B, 0, A)),
        sp.I * A,
        sp.AccumBounds(0, 1),
        sp.Symbol("a") - 2 * A,
        sp.Dummy("c") - 2 * sp.Dummy("c"),
        sp.Symbol("c", commutative=False),
    ],
)
def test_scalars_that_no_program_has_end_in_a_sentence(odd: sp.Expr) -> None:
    """Two symbols of one name, sums of big O, derivatives: each is refused where it is first not understood."""
    x, f = od.blocks("x"), od.Objective("f")
    with pytest.raises((od.OdescentError, ArithmeticError), match=" "):
        od.Algorithm(
            od.System({"descent": {x: -odd * f.grad(x)}}, output=x), "explicit_euler"
        ).source("numpy")


def _trees(rng: random.Random, depth: int) -> sp.Expr:
    """A random expression, parts of which SymPy does not evaluate."""
    a, b, r = A, B, sp.Symbol("r", real=True)
    if depth == 0 or rng.random() < 0.15:
        return rng.choice(
            [a, b, r, sp.Integer(rng.randint(-3, 3)), sp.E, sp.pi, sp.GoldenRatio, sp.sqrt(2)]
        )
    x, kind, now = _trees(rng, depth - 1), rng.randrange(9), rng.random() < 0.5
    if kind < 2:
        return (sp.Add, sp.Mul)[kind](x, _trees(rng, depth - 1), evaluate=now)
    if kind < 5:
        exponent = (
            rng.choice([2, 3, -1, -2]),
            sp.Rational(rng.choice([1, -1, 3]), rng.choice([2, 3])),
        )
        return (
            sp.Pow(sp.E, x, evaluate=now)
            if kind == 4
            else sp.Pow(x, exponent[kind - 2], evaluate=now)
        )
    return (sp.exp, sp.log, sp.sinh, sp.cos)[kind - 5](x, evaluate=now)


@pytest.mark.parametrize("seed", range(8))
def test_the_canonical_form_has_the_value_of_what_was_not_evaluated(seed: int) -> None:
    """Random expressions at two points with thirty digits; what is said to be zero is small there."""
    rng = random.Random(seed)
    r = sp.Symbol("r", real=True)
    points = (
        {A: sp.Rational(13, 10), B: sp.Rational(7, 9), r: sp.Rational(-5, 11)},
        {A: sp.Rational(3, 7), B: sp.Rational(19, 8), r: sp.Rational(4, 3)},
    )
    compared = 0
    for _ in range(60):
        e = _trees(rng, 2)
        try:
            form = canonical(e)
        except (od.OdescentError, ArithmeticError):
            continue
        for point in points:
            value, other = (sp.N(v.xreplace(point), 30) for v in (e, form))
            if not (value.is_number and other.is_number) or (value + other).has(
                sp.nan, sp.zoo, sp.oo
            ):
                continue
            compared += 1
            assert abs(value - other) <= 1e-15 * (1 + abs(value)), e
    assert compared > 40
