"""Exact scalars against 50-digit arithmetic, rearrangements by SymPy, and known identities."""

import random
from decimal import Decimal
from fractions import Fraction

import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy.polys.fields import FracField
from sympy.polys.orderings import lex

from odescent.dynamics.algebra import exact, scalars
from odescent.dynamics.algebra.calculus import vanishes
from odescent.dynamics.algebra.exact import (
    _PRIME,
    _Lowering,
    _residue,
    canonical,
    evaluate_at_sample,
    is_zero,
    refuted,
    sample,
)
from odescent.dynamics.algebra.scalars import as_scalar, parameters
from odescent.dynamics.algebra.vectors import inner
from odescent.dynamics.numbers.factors import factors, is_irreducible
from odescent.dynamics.numbers.fractions import fraction
from odescent.dynamics.vector_fields.block import blocks

x, y, z = sp.symbols("x y z", positive=True)
half, third, quarter = sp.Rational(1, 2), sp.Rational(1, 3), sp.Rational(1, 4)
u = sp.Symbol("u", real=True)

leaves = st.sampled_from(
    [x, y, z, sp.Integer(2), sp.Rational(-3, 5), sp.sqrt(2), sp.sqrt(6), 1 + x]
)
unary = st.sampled_from(
    [sp.sqrt, lambda a: a**third, sp.exp, sp.tanh, lambda a: a**2, lambda a: -a]
)


def combine(inside):
    pairs = st.tuples(inside, inside)
    return st.one_of(
        pairs.map(lambda p: p[0] + p[1]),
        pairs.map(lambda p: p[0] * p[1]),
        pairs.map(lambda p: p[0] / (3 + p[1] ** 2)),
    )


rational = st.recursive(leaves, combine, max_leaves=6)
positive = rational.map(lambda e: 1 + e**2)  # so that roots and their products have one branch
algebraic = st.one_of(
    rational,
    st.tuples(rational, positive, rational).map(lambda t: t[0] + t[2] * sp.sqrt(t[1])),
    st.tuples(positive, st.sampled_from([x, y, 2 * x - y])).map(lambda t: t[0] / sp.exp(t[1])),
    st.tuples(rational, st.sampled_from([x, x * y])).map(lambda t: t[0] * sp.tanh(t[1])),
)
point = st.tuples(*[st.fractions(Fraction(1, 9), 9, max_denominator=50)] * 3)


def at(e, where):
    """The value of e at 50 digits, by mpmath."""
    with mpmath.workdps(50):
        values = [mpmath.mpf(v.numerator) / v.denominator for v in where]
        return mpmath.mpmathify(sp.lambdify([x, y, z], e, modules="mpmath")(*values))


@settings(max_examples=60)
@given(algebraic, point)
def test_canonical_keeps_the_value(e, where):
    before, after = at(e, where), at(canonical(e), where)
    with mpmath.workdps(50):
        assert abs(before - after) <= mpmath.mpf(10) ** -38 * (1 + abs(before))


@settings(max_examples=60)
@given(algebraic, st.sampled_from([sp.expand, sp.together, sp.factor, sp.powsimp]))
def test_a_rearrangement_is_the_same_and_a_perturbation_is_not(e, rearranged):
    other = rearranged(e)
    assert is_zero(e - other)
    assert not is_zero(e - other + sp.Rational(1, 10**40))
    assert not is_zero(e * (1 + sp.Rational(1, 10**30)) - other) or e == 0


@settings(max_examples=40)
@given(rational, rational)
def test_canonical_is_one_form_for_rational_functions(a, b):
    assert canonical((a + b) ** 2 - a * b) == canonical(a**2 + a * b + b**2)


def r(base, n=2):
    return base ** sp.Rational(1, n)


IDENTITIES = {
    "roots of symbols": (sp.sqrt(x) ** 3 * sp.sqrt(x * y) / y, x**2 / sp.sqrt(y)),
    "roots of several orders": ((r(x, 4) + 1) ** 2, sp.sqrt(x) + 2 * r(x, 4) + 1),
    "square of sqrt(1+x)": ((sp.sqrt(1 + x) + 1) ** 2, 2 + x + 2 * sp.sqrt(1 + x)),
    "tower over a sum": ((r(1 + x, 4) + 1) ** 2, sp.sqrt(1 + x) + 2 * r(1 + x, 4) + 1),
    "second and third root": (r(1 + x, 6) ** 5, sp.sqrt(1 + x) * r(1 + x, 3)),
    "fourth root of 2": ((r(sp.Integer(2), 4) + 1) ** 2, sp.sqrt(2) + 2 * r(sp.Integer(2), 4) + 1),
    "integer radicals": (sp.sqrt(6), sp.sqrt(2) * sp.sqrt(3)),
    "radicals of multiples": (sp.sqrt(6 + 6 * x), sp.sqrt(2) * sp.sqrt(3 + 3 * x)),
    "a hidden square": (sp.sqrt(x**2 + 2 * x + 1), x + 1),
    "a hidden product": (sp.sqrt(sp.expand((1 + x) * (2 + y))), sp.sqrt(1 + x) * sp.sqrt(2 + y)),
    "one unknown sign": (sp.sqrt(1 - x**2), sp.sqrt(1 + x) * sp.sqrt(1 - x)),
    "shared denominators": (
        1 / (sp.sqrt(1 + 1 / (1 + x)) + sp.sqrt(2 + 1 / (1 + x))),
        sp.sqrt(2 + 1 / (1 + x)) - sp.sqrt(1 + 1 / (1 + x)),
    ),
    "nested roots": (sp.sqrt(1 + sp.sqrt(1 + x)) ** 4, (1 + sp.sqrt(1 + x)) ** 2),
    "conjugates": (x / (sp.sqrt(1 + x) - 1), sp.sqrt(1 + x) + 1),
    "exponentials": (sp.exp(x / 2) ** 2 * sp.exp(y), sp.exp(x + y)),
    "powers of e": ((sp.E + 1) ** 2, sp.exp(2) + 2 * sp.E + 1),
    "tanh and coth": (sp.tanh(x) * sp.coth(x), 1),
    "tanh of the double": (sp.tanh(2 * x), 2 * sp.tanh(x) / (1 + sp.tanh(x) ** 2)),
    "tanh + 3 coth": (
        (sp.tanh(x / 2) + 3 * sp.coth(x / 2)) / 2,
        (sp.cosh(x) - 1) / (2 * sp.sinh(x)) + 3 * (sp.cosh(x) + 1) / (2 * sp.sinh(x)),
    ),
    "cosh and sinh": (sp.cosh(x) ** 2 - sp.sinh(x) ** 2, 1),
    "sine and cosine": (sp.sin(x) ** 4 - sp.cos(x) ** 4, sp.sin(x) ** 2 - sp.cos(x) ** 2),
    "imaginary unit": ((1 + sp.I) * (1 - sp.I), 2),
    "Cayley": ((1 - sp.sqrt(x / y)) / (1 + sp.sqrt(x / y)), (sp.sqrt(y) - sp.sqrt(x)) / (sp.sqrt(y) + sp.sqrt(x))),
}  # fmt: skip


@pytest.mark.parametrize("name", IDENTITIES)
def test_identities(name):
    left, right = IDENTITIES[name]
    assert is_zero(left - right)
    assert not is_zero(left - right * (1 + sp.Rational(1, 10**20)))


@pytest.mark.parametrize(
    "e",
    [
        sp.cbrt(sp.sqrt(5) + 2) - sp.cbrt(sp.sqrt(5) - 2) - 1,
        sp.cos(2 * x) - 2 * sp.cos(x) ** 2 + 1,
        sp.log(x * y) - sp.log(x) - sp.log(y),
        x * x**y - x ** (y + 1),
    ],
)
def test_true_identities_beyond_the_form_are_never_called_false(e):
    with pytest.raises(ArithmeticError, match="undecided"):
        is_zero(e)
    assert not is_zero(e + sp.Rational(1, 10**30))


exponents = st.builds(sp.Rational, st.integers(-7, 7), st.integers(1, 6))
monomials = st.builds(
    lambda c, a, b: c * x**a * y**b, st.sampled_from([1, -2, third, sp.Rational(-5, 7)]), exponents, exponents
)  # fmt: skip


@settings(max_examples=60)
@given(algebraic, monomials, st.sampled_from([sp.expand, sp.together, sp.factor, sp.powsimp]))
def test_an_identity_is_never_refuted(e, m, rearranged):
    """Neither of what the form decides, nor of roots, exponentials and powers of any sign."""
    assert not refuted(sp.Add(e, -rearranged(e), evaluate=False))
    assert not refuted((e + m) ** 2 - rearranged(e**2 + 2 * e * m + m**2))
    assert not refuted(sp.Mul(m, 1 / m, evaluate=False) - 1)


@pytest.mark.parametrize("name", IDENTITIES)
def test_known_identities_are_not_refuted(name):
    left, right = IDENTITIES[name]
    assert not refuted(left - right)


@settings(max_examples=60)
@given(rational, monomials, st.sampled_from([sp.expand, sp.together, sp.factor]))
def test_a_perturbed_identity_is_refuted(e, m, rearranged):
    """With negative and rational exponents of positive symbols too; where roots stand in e, it may not know."""
    if _Lowering([e + m]).decides:
        assert refuted(e + m - rearranged(e))
    assert not is_zero(e + m - rearranged(e))
    assert refuted(m) and refuted(x * m - y * m) and refuted(1 / (1 + m) - 1 / (1 + 2 * m))


@given(st.integers(1, 9), st.integers(1, 3), monomials)
def test_what_the_prime_divides_is_not_known(n, k, m):
    """A denominator that is zero modulo the prime says nothing, nor does a multiple of it; canonical forms decide."""
    for number in (sp.Integer(n), sp.Rational(n, _PRIME + 1), sp.Rational(n, _PRIME - 1)):
        assert refuted(m * number)
    over, times = m * sp.Rational(n, _PRIME**k), m * n * _PRIME**k
    for e in (over, over - m, times, m / (1 + times) - m):
        assert not refuted(e) and not is_zero(e) and not vanishes(e)
    assert not refuted(over * _PRIME**k - n * m) and vanishes(over * _PRIME**k - n * m)


def test_a_denominator_that_vanishes_at_the_point_is_not_known():
    lowered = _Lowering([x])
    at_x = _residue(lowered.exprs[0], lowered.places)
    pole = 1 / (x - at_x)
    for e in (pole, pole - 1, (x + 1) * pole**3, 1 / (1 / pole + sp.Rational(_PRIME, 2))):
        assert not refuted(e) and not is_zero(e) and not vanishes(e)
    assert not refuted(x - at_x) and not vanishes(x - at_x)
    assert refuted(1 / (x - at_x - 1))


@pytest.mark.parametrize("e", [sp.sqrt(2), sp.sqrt(1 + x), sp.sin(x), sp.log(x), sp.exp(x * y)])
def test_generators_with_relations_are_not_known(e):
    """Of these only some are free; a value of one where it obeys none proves nothing."""
    assert not refuted(e) and not refuted(e + 1) and not vanishes(e + 1)


def test_scalars_made_of_vectors_are_generators():
    a, b = blocks("a b")
    root, product = sp.sqrt(1 + x), inner(a, b)
    assert is_zero((root * product) ** 2 - (1 + x) * product**2)
    assert not is_zero(root * product - product)


@pytest.mark.parametrize(
    "e",
    [
        1 / ((x + 1) ** 2 - x**2 - 2 * x - 1),
        x / (sp.sqrt(2) * sp.sqrt(3) - sp.sqrt(6) + (1 + y) ** 2 - 1 - 2 * y - y**2),
        1 / ((sp.sqrt(1 + x) + 1) ** 2 - 2 - x - 2 * sp.sqrt(1 + x)),
    ],
)
def test_a_denominator_that_vanishes_identically_is_an_error(e):
    for function in (canonical, is_zero):
        with pytest.raises(ZeroDivisionError, match="vanishes identically"):
            function(e)


@pytest.mark.parametrize(
    ("given_", "exact"),
    [
        (3, sp.Integer(3)),
        (0.1, sp.Rational(1, 10)),
        (1e-300, sp.Rational(1, 10**300)),
        (1 / 3, sp.Rational(3333333333333333, 10**16)),
        (10**400, sp.Integer(10) ** 400),
        (Fraction(1, 3), sp.Rational(1, 3)),
        (Decimal("0.7"), sp.Rational(7, 10)),
        (np.float64(0.1), sp.Rational(1, 10)),
        (np.float32(0.1), sp.Rational(1, 10)),
        (np.int64(2**62 + 1), sp.Integer(2) ** 62 + 1),
        (np.array(0.5), sp.Rational(1, 2)),
        (sp.Float(0.1), sp.Rational(1, 10)),
        (x * 0.3, 3 * x / 10),
        (sp.sqrt(x), sp.sqrt(x)),
    ],
)
def test_numbers_are_read_exactly(given_, exact):
    assert as_scalar(given_) == exact


def test_jax_scalars_are_numbers():
    assert as_scalar(jnp.float32(0.1)) == sp.Rational(1, 10)


@pytest.mark.parametrize(
    "value",
    [
        "1", b"1", "x", True, np.True_, None, [1], np.array([1.0]), 1j, float("nan"), float("inf"), np.nan,
        sp.nan, sp.oo, sp.zoo, sp.Float("inf"), Decimal("NaN"), sp.true, sp.Matrix([1]), object(),
    ],
)  # fmt: skip
def test_everything_else_is_refused(value):
    with pytest.raises(TypeError, match="was expected, not"):
        as_scalar(value)


def test_parameters():
    c, h = parameters("c, h")
    assert c.is_positive and h == sp.Symbol("h", positive=True)
    assert parameters("t", real=True).is_positive is None
    for names, sentence in (
        ("", "at least one name"),
        ("2c", "is not a valid name"),
        ("lambda", "keyword"),
    ):
        with pytest.raises(ValueError, match=sentence):
            parameters(names)


def test_roots_of_polynomials() -> None:
    """CRootOf binds a symbol of its own, which may carry the name of one outside."""
    y, p = sp.Symbol("y"), sp.Symbol("p", positive=True)
    quintic = sp.CRootOf(p**5 - p + 1, 0)
    cubic = sp.CRootOf(2 * y**3 - 3 * y - 5, 0)
    assert not is_zero(quintic) and not is_zero(quintic + p) and not is_zero(quintic - cubic)
    assert is_zero(quintic**5 * p - quintic * p + p)
    assert is_zero(2 * cubic**4 - 3 * cubic**2 - 5 * cubic) and is_zero(
        1 / cubic - (2 * cubic**2 - 3) / 5
    )
    value = mpmath.mpmathify(evaluate_at_sample(cubic * y, digits=40))
    at = mpmath.mpmathify(sp.N(sample({y})[y], 50))
    with mpmath.workdps(45):
        exact = mpmath.findroot(lambda r: 2 * r**3 - 3 * r - 5, 1.7)
        assert abs(value - exact * at) < mpmath.mpf(10) ** -36
    with pytest.raises(
        ArithmeticError, match="undecided"
    ):  # a relation between conjugates is not known
        is_zero(sum(sp.CRootOf(y**3 - 3 * y + 1, i) for i in range(3)))


def test_factors_of_polynomials_under_roots():
    """Those that are seen at once to be irreducible come out as SymPy factors them, signs and contents included."""
    r = random.Random(4)
    at_once = 0
    for _ in range(400):
        ring = FracField(sp.symbols(f"_0:{r.choice([1, 2, 3])}"), sp.QQ, lex).ring
        drawn = [ring.zero, ring.zero]
        for i, terms in enumerate((r.choice([1, 2, 3]), r.choice([1, 2]))):
            for _ in range(terms):
                term = ring(sp.QQ(r.randint(-6, 6), r.randint(1, 4)))
                for g in ring.gens:
                    term = term * g ** r.choice([0, 0, 1, 1, 2])
                drawn[i] = drawn[i] + term
        p = drawn[0] * drawn[1] if r.random() < 0.4 else drawn[0]
        if p != 0:
            at_once += not p.is_ground and is_irreducible(p)
            assert factors(p) == p.factor_list()
    assert at_once > 30


def test_exponentials_of_fractions_are_few_powers_of_one() -> None:
    """e^(6050/97) was the 6050th power of e^(1/97), and the root of what has it was factored."""
    e = sp.exp(sp.Rational(6050, 97))
    root = sp.sqrt(e**2 - 3) * sp.sqrt(1 + e)
    assert exact.is_zero(root**2 - (e**2 - 3) * (1 + e))
    assert not exact.is_zero(root**2 - (e**2 - 2) * (1 + e))
    assert exact.is_zero(sp.exp(sp.Rational(3, 4)) ** 2 - sp.exp(sp.Rational(1, 2)) ** 3)
    assert exact.is_zero(sp.E - sp.exp(sp.Rational(1, 3)) ** 3)


def test_exponentials_of_numbers_without_a_common_unit_are_decided():
    """Powers of e to different rational numbers are linearly independent (Lindemann and Weierstrass)."""
    draw = random.Random(5)
    for _ in range(40):
        one, other, third = (
            sp.Rational(draw.randrange(2, 999), draw.choice((89, 97, 101))) for _ in range(3)
        )
        d, e, g = sp.exp(one), sp.exp(-other), sp.exp(third)
        product = (d + 2) * (e - 3) * (g + 5)
        assert exact.is_zero(product - sp.expand(product))
        assert not exact.is_zero(
            product - sp.expand(product) + sp.exp(one - other + third) / 10**80
        )
        assert exact.is_zero((d * x + e) / (g - e) - d * x / (g - e) - 1 / (g / e - 1))
    near = sp.exp(sp.Rational(605, 97)) * sp.exp(
        -sp.Rational(412, 89)
    )  # exponents that differ by 10^-90
    assert not exact.is_zero(
        near - sp.exp(sp.Rational(605, 97) - sp.Rational(412, 89) + sp.Rational(1, 10**90))
    )


def test_units_of_exponents_are_few_and_their_powers_small():
    third, half = sp.Rational(1, 3), sp.Rational(1, 2)
    assert scalars.small_powers({third, half}) == {third: {third / 2: 2}, half: {third / 2: 3}}
    one, other = sp.Rational(605, 97), sp.Rational(412, 89)
    units = scalars.small_powers({one, other, one + other, 3 * one, 2 * one + other})
    assert units[one + other] == {one: 1, other: 1} and units[3 * one] == {one: 3}
    assert units[2 * one + other] == {one: 2, other: 1} and scalars.small_powers(set()) == {}


def test_named_constants_obey_their_relations():
    """The golden ratio was a free unknown, so that its equation was said to be wrong."""
    golden, third = sp.GoldenRatio, sp.TribonacciConstant
    for zero in (golden**2 - golden - 1, golden - 1 / golden - 1, third**3 - third**2 - third - 1):
        assert (
            exact.is_zero(zero)
            and not exact.refuted(zero)
            and not exact.is_zero(zero + sp.Rational(1, 10**30))
        )
    assert not exact.is_zero(sp.pi * x - 3) and exact.Fractions([sp.pi * x]).decides
    for open_ in (
        sp.pi + sp.E,
        sp.EulerGamma * x,
        sp.Catalan - 1,
        sp.pi - sp.exp(sp.Rational(605, 97)),
    ):
        assert (
            not exact.is_zero(open_) and not exact.Fractions([open_]).decides
        )  # by digits, not by its form


def test_high_roots_end_and_are_told_apart() -> None:
    """Powers such as (19/20)^(1001/1000), whose minimal polynomials have a thousand terms."""
    a = sp.Symbol("a", positive=True)
    for base in (sp.Rational(19, 20), a, a + 1):
        root, near = base ** sp.Rational(1, 1000), base ** sp.Rational(1, 997)
        assert is_zero(base ** sp.Rational(1001, 1000) - base * root)
        assert is_zero((1 + root) * (1 - near) - 1 - root + near + root * near)
        assert not is_zero(root - near)
        assert not is_zero(root + near - 2 - sp.Rational(1, 10**6))
        assert canonical((root**2 - 1) / (root - 1) - 1).free_symbols <= {a}


free = st.recursive(
    st.sampled_from([x, y, z, sp.S.Zero, sp.Rational(-3, 5), sp.Integer(4), 1 + x, (x - y) / 6]),
    lambda inside: st.one_of(
        combine(inside), st.tuples(inside, st.integers(-3, 3)).map(lambda p: p[0] ** p[1])
    ),
    max_leaves=8,
)


@settings(max_examples=150)
@given(free)
def test_fractions_are_those_of_the_library(e):
    """To the last coefficient: numerators and denominators are without common factors, with the same signs."""
    field = FracField([z, y, x], sp.QQ, lex)
    places = {s: i for i, s in enumerate(field.symbols)}
    if e.has(sp.zoo, sp.nan):
        return
    try:
        wanted = field.from_expr(e)
    except ZeroDivisionError:
        with pytest.raises(ArithmeticError):
            fraction(e, field, places)
        return
    found = fraction(e, field, places)
    assert (found.numer, found.denom) == (wanted.numer, wanted.denom)


@given(algebraic)
def test_names_of_symbols_are_names_alone(e):
    """Generators that stand for roots have names too, which a symbol may have as well."""
    names = {s: sp.Symbol(f"_{k}", positive=True) for k, s in enumerate((y, x, z))}
    plain = {s: sp.Symbol(f"_{k}") for k, s in enumerate((y, x, z))}
    back = {v: k for k, v in names.items()}
    moved = canonical(canonical(e).xreplace(names))
    assert is_zero(moved.xreplace(back) - e) and is_zero(moved - e.xreplace(names))
    over = 1 / (1 + plain[x] + sp.sqrt(plain[y]) * plain[z])
    assert is_zero(canonical(over) * (1 + plain[x] + sp.sqrt(plain[y]) * plain[z]) - 1)
    assert not is_zero(over - 1)
