"""Vectors: the axioms, what is refused and in which words, and the symmetries of oracles and products."""

import fractions
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp
from concrete import number, random_values
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent.dynamics.algebra.calculus import (
    change,
    derivative,
    substitute,
    symbols_of,
    tidy,
    vanishes,
)
from odescent.dynamics.algebra.exact import canonical, is_zero
from odescent.dynamics.algebra.products import apply, elementwise, hadamard, outer
from odescent.dynamics.algebra.scalars import parameters
from odescent.dynamics.algebra.vectors import ScalarNode, Vector, VectorSymbol, inner, zero
from odescent.dynamics.implicit.roots import roots_of
from odescent.dynamics.vector_fields.block import blocks
from odescent.dynamics.vector_fields.objective import Objective

x, y, z, w = blocks("x y z w")
matrix = blocks("A", kind="matrix")
c, k = parameters("c k")
f, F = Objective("f"), Objective("F")
scalars = st.one_of(
    st.fractions(-3, 3, max_denominator=9).map(lambda q: sp.Rational(q.numerator, q.denominator)),
    st.sampled_from([c, k, c * k, 1 / k, sp.sqrt(c)]),
)
atoms = st.sampled_from([x, y, f.grad(x), f.hess(x + y, z), hadamard(x, y), F.operator(x)])
vectors = st.lists(st.tuples(scalars, atoms), max_size=4).map(
    lambda ts: sum((s * a for s, a in ts), zero)
)
many = settings(max_examples=40)
VALUES = random_values("x y z w", "c k")


def same(a, b):
    np.testing.assert_allclose(number(a, VALUES), number(b, VALUES), rtol=1e-12, atol=1e-12)


@many
@given(vectors, vectors, vectors, scalars, scalars)
def test_axioms_of_a_vector_space(a, b, d, s, t):
    assert a + b == b + a and (a + b) + d == a + (b + d)
    assert a + zero == a == zero + a == 0 + a and a - a == zero == a + (-a)
    assert (s * (a + b) - s * a - s * b).canonical() == zero
    assert ((s + t) * a - s * a - t * a).canonical() == zero
    assert (s * (t * a)).canonical() == ((s * t) * a).canonical() == (a * t * s).canonical()
    assert 1 * a == a and 0 * a == zero and (a / 2) * 2 == a and +a == a


@many
@given(vectors, vectors)
def test_hash_and_equality_agree(a, b):
    swapped = b + a
    assert hash(a + b) == hash(swapped) and len({a + b, swapped}) == 1
    assert (a == b) == ((a - b) == zero)
    assert a != 0 and a != "a" and bool(a) == (a != zero)


def plainly(e, rule, canonically=False):
    """Rewritten by the definition: every part of every term, each time that it occurs."""
    again = lambda part: plainly(part, rule, canonically)
    if isinstance(e, Vector):
        total = zero
        for a, s in e.terms.items():
            for b, t in a.rebuild(again).terms.items():
                replaced = rule(b)
                total = total + (b if replaced is None else replaced) * (t * again(s))
        return total
    for node in e.atoms(ScalarNode):
        e = e.xreplace({node: node.rebuild(again)})
    new = {s: rule(s) for s in e.free_symbols}
    e = e.xreplace({s: n for s, n in new.items() if n is not None})
    return canonical(e) if canonically else e


@settings(max_examples=12)
@given(vectors, vectors, scalars)
def test_rewriting_is_what_its_definition_says_and_leaves_alone_what_does_not_change(a, b, s):
    e = f.hess(x + a, b) + (s + inner(a, b)) * hadamard(a, f.grad(x - b)) + a
    values = {x: y - c * f.grad(z), k: c + 1}
    assert vanishes(substitute(e, values) - plainly(e, values.get))
    assert tidy(e) == plainly(tidy(e), lambda part: None, True)
    assert change(a, {w: x}.get) is a


def test_equal_parts_are_rewritten_once():
    """The terms of this one double with every line; its parts do not."""
    e = x
    for _ in range(12):
        e = f.grad(e) + hadamard(f.grad(e), y)
    asked = []
    assert change(e, asked.append) is e and len(asked) < 100
    assert substitute(e, {w: x}) is e and substitute(e, {x: w}) != e


def test_the_tolerance_of_a_search_is_set_wherever_it_stands():
    """SymPy's cache knows the scalars with the parameter, and gives none of them back."""
    r, loose = sp.Symbol("r", real=True), sp.Symbol("loose", positive=True)
    scalar = od.root(r**3 + r - c, r, start=0, tolerance=loose)
    vector = od.root(y + f.grad(y) - x, y, start=x, tolerance=loose)
    for e in (
        scalar, scalar * x, f.grad(scalar * x), inner(f.grad(scalar * x), y) * z, apply(matrix, scalar * x),
        vector, f.grad(vector), hadamard(vector, z), outer(f.hess(vector, x), z), inner(vector, x) * x,
    ):  # fmt: skip
        (left,) = roots_of(substitute(e, {loose: sp.Rational(1, 1000)}))
        assert left.equations.search.tolerance == sp.Rational(1, 1000)


@settings(max_examples=12)
@given(vectors, vectors)
def test_numbers_of_sums_are_sums_of_numbers(a, b):
    np.testing.assert_allclose(
        number(a - c * b, VALUES), number(a, VALUES) - VALUES["c"] * number(b, VALUES), atol=1e-9
    )


@pytest.mark.parametrize(
    ("attempt", "sentence"),
    [
        (lambda: x * y, "use inner, hadamard, outer or apply"),
        (lambda: x + 1, "cannot add the scalar 1 to the vector x; scale"),
        (lambda: 1 + x, "cannot add the scalar 1"),
        (lambda: c - x, "cannot add the scalar c"),
        (lambda: x - c, "cannot add the scalar"),
        (lambda: x + fractions.Fraction(1, 2), "cannot add the scalar 1/2"),
        (lambda: np.float64(1) + x, "cannot add the scalar 1.0"),
        (lambda: 1 / x, "cannot divide by the vector x; use elementwise"),
        (lambda: c / x, "cannot divide by the vector x"),
        (lambda: x / y, "cannot divide by the vector y"),
        (lambda: x**2, "no powers"),
        (lambda: 2**x, "no exponent"),
        (lambda: matrix @ x, "use apply for a matrix, inner for a scalar"),
        (lambda: x * "2", "a finite number or SymPy expression was expected"),
        (lambda: x * np.array([1.0, 2.0]), "was expected, not an object of type ndarray"),
        (lambda: np.array([1.0, 2.0]) * x, "was expected, not an object of type ndarray"),
        (lambda: x * sp.oo, "finite"),
        (lambda: x * True, "was expected"),
    ],
)
def test_what_has_no_meaning_is_refused_in_words(attempt, sentence):
    with pytest.raises(TypeError, match=sentence):
        attempt()


@pytest.mark.untyped
@pytest.mark.parametrize(
    "attempt",
    [
        lambda: hadamard(x, 2), lambda: outer(c, x), lambda: apply(matrix, c), lambda: inner(x, c),
        lambda: f.hess(x, 3), lambda: elementwise(lambda s: s + 1, c),
    ],
)  # fmt: skip
def test_products_take_vectors(attempt):
    with pytest.raises(TypeError, match="takes vectors, not"):
        attempt()


def test_division_by_zero():
    with pytest.raises(ZeroDivisionError, match="vector x by zero"):
        x / 0


@many
@given(vectors, vectors, vectors, scalars)
def test_multilinearity(a, b, d, s):
    for product in (
        lambda p, q: f.third(z, p, q),
        hadamard,
        outer,
        lambda p, q: f.hess(p, q) if p == w else f.hess(w, q),
    ):
        assert (product(w, s * a + b) - s * product(w, a) - product(w, b)).canonical() == zero
        assert product(w, zero) == zero
    assert f.third(z, a, b) == f.third(z, b, a) and hadamard(a, b) == hadamard(b, a)
    assert outer(x, y) != outer(y, x)
    assert is_zero(inner(s * a + b, d) - s * inner(a, d) - inner(b, d))
    assert inner(a, b) == inner(b, a) and inner(a, zero) == 0


def jacobian(v):
    """DF(x)[v] of the operator."""
    return derivative(F.operator(x), {x: v})


def test_gradients_are_self_adjoint_and_operators_are_not():
    assert inner(f.hess(x, y), z) == inner(f.hess(x, z), y) == inner(z, f.hess(x, y))
    assert inner(f.hess(x, f.hess(x, y)), z) == inner(f.hess(x, y), f.hess(x, z))
    assert inner(f.hess(x, f.hess(y, z)), w) == inner(f.hess(x, w), f.hess(y, z))
    assert inner(f.third(x, y, z), w) == inner(f.third(x, w, y), z)
    assert inner(f.third(x, y, f.hess(x, z)), w) == inner(f.third(x, y, w), f.hess(x, z))
    assert inner(jacobian(y), z) != inner(jacobian(z), y)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (f.hess(x, z), y),
        (f.hess(x, f.hess(x, y)), w),
        (f.third(x, y, z), w),
        (f.hess(y, f.hess(x, z)), hadamard(x, w)),
        (f.third(x, w, f.hess(y, z)), y),
        (jacobian(y), z),
    ],
)
def test_the_canonical_side_of_a_scalar_has_the_same_value(left, right):
    plain = np.dot(number(left, VALUES), number(right, VALUES))
    np.testing.assert_allclose(number(inner(left, right), VALUES), plain, rtol=1e-12)


def test_brackets_of_element_wise_products_do_not_matter():
    assert hadamard(hadamard(x, y), z) == hadamard(y, hadamard(z, x)) != hadamard(x, y)
    one, other = elementwise(sp.exp, x), elementwise(sp.cos, y)
    assert hadamard(hadamard(one, w), other) == hadamard(hadamard(other, one), w)
    same(hadamard(hadamard(w, x), hadamard(y, one)), hadamard(one, hadamard(hadamard(y, x), w)))


def test_an_operator_is_not_symmetric_and_products_expand():
    left, right = jacobian(y), jacobian(z)
    assert not np.isclose(number(inner(left, z), VALUES), number(inner(right, y), VALUES))
    same(hadamard(2 * x - y, z), 2 * hadamard(z, x) - hadamard(y, z))


def test_outer_products_apply_as_inner_products_scale():
    values = {**VALUES, "A": np.outer(VALUES["y"], VALUES["z"])}
    np.testing.assert_allclose(
        number(apply(matrix, x), values), number(y * inner(z, x), values), rtol=1e-12
    )


def test_elementwise_and_its_parameters():
    e = elementwise(lambda m, v: m / (sp.sqrt(v**2 + c) + k), x - y, z)
    m, v = VALUES["x"] - VALUES["y"], VALUES["z"]
    np.testing.assert_allclose(number(e, VALUES), m / (np.sqrt(v**2 + VALUES["c"]) + VALUES["k"]))
    assert e.free_symbols == {x, y, z, c, k}
    assert elementwise(lambda s: 0 * s, x) == zero
    assert elementwise(lambda s: s + c, x) == elementwise(lambda s: s + c, x)


def test_calls_and_symbols_inside_everything():
    e = inner(f.grad(z), x) * f.grad(x + f.grad(y)) + hadamard(F.operator(w), x)
    assert {str(a) for a in e.calls()} == {
        "grad f(z)", "grad f(y)", "grad f(x + grad f(y))", "F(w)",
    }  # fmt: skip
    assert e.free_symbols == {x, y, z, w}
    assert f.prox(x, c * inner(y, y)).free_symbols == {x, y, c}


def test_blocks_have_kinds_and_names():
    assert blocks("b", kind="scalar") == sp.Symbol("b", real=True)
    assert isinstance(matrix, VectorSymbol) and matrix != VectorSymbol("A")
    for attempt, sentence in (
        (
            lambda: blocks("x", kind="tensor"),
            "kind of a block must be one of vector, scalar, matrix, symmetric, pytree",
        ),
        (lambda: blocks(""), "at least one name"),
        (lambda: blocks("_x"), "is not a valid name"),
    ):
        with pytest.raises(ValueError, match=sentence):
            attempt()


def test_dummies_of_one_name_stay_apart_inside_everything():
    """They are printed alike; where they were equal, the second expansion of one method met the first one's root."""
    one, other = sp.Dummy("r", positive=True), sp.Dummy("r", positive=True)
    made = (
        lambda r: f.grad(r * x),
        lambda r: f(r * x + y),
        lambda r: inner(f.grad(r * x), y),
        lambda r: f.prox(x, r),
        lambda r: f.grad(f(r * x) * y),
        lambda r: elementwise(lambda a: sp.Abs(r * a), x),
        lambda r: hadamard(f.grad(r * x), y),
    )
    for build in made:
        assert build(one) == build(one)
        assert build(one) != build(other)
    assert f.grad(one * x - other * y) != f.grad(other * x - one * y)


SAME_NAME = [
    sp.Symbol("c"),
    sp.Symbol("c", positive=True),
    sp.Symbol("c", real=True),
    sp.Dummy("c"),
    sp.Dummy("c"),
]


@pytest.mark.parametrize(
    "made",
    [
        lambda c: f.grad(c * x),
        lambda c: f.value(c * x),
        lambda c: inner(f.grad(c * x), y),
        lambda c: f.grad(x * sp.exp(c * inner(x, y))),
        lambda c: f.value(inner(c * x, f.grad(c * y)) * x),
        lambda c: od.mean(f.grad(c * od.sample("z", like=x))),
    ],
)
def test_symbols_of_one_name_are_told_apart_by_their_assumptions(
    made: Callable[[sp.Symbol], Any],
) -> None:
    """SymPy's cache takes what compares equal for the same: a term would come back with the other symbol in it."""
    values = [made(c) for c in SAME_NAME]
    assert len(set(values)) == len(SAME_NAME)
    for value, c in zip(values, SAME_NAME, strict=True):
        assert set(SAME_NAME) & symbols_of(value) == {c}
        assert value == made(c)
        if isinstance(value, sp.Expr):
            assert (
                sp.expand((value + 1) ** 2).has(value)
                and sp.expand((value + 1) ** 2 - value**2) == 2 * value + 1
            )


def test_a_method_is_derived_for_windows_of_one_name_and_other_assumptions() -> None:
    """The window of an integer length, then of a positive one: once one was derived from the terms of the other."""
    for assumptions in (
        {"integer": True, "positive": True},
        {"positive": True},
        {"integer": True, "positive": True},
    ):
        method = od.algorithm("m_fac", window=sp.Symbol("m", **assumptions))
        assert method.derivation().verified
