"""Scalars and vectors as source: what is printed means what SymPy means, in few characters."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings

from odescent import NotCarried, blocks, elementwise, hadamard, inner, outer
from odescent.discretize.emit.lowering.coefficients import negative, presentable
from odescent.discretize.emit.printing.language import JNP, MATH, NUMPY
from odescent.discretize.emit.printing.printer import Printer

a, b, mu, L = sp.symbols("a b mu L", positive=True)
k = sp.Symbol("k", integer=True, nonnegative=True)
x, y = blocks("x y")
R = sp.Rational


@pytest.mark.parametrize(
    ("e", "text"),
    [
        (a - b, "a - b"),
        (b - a, "b - a"),
        (-a * b, "-a * b"),
        (a * (b + 1), "a * (b + 1)"),
        (a / (b * mu), "a / (b * mu)"),
        (a / b**2, "a / b**2"),
        ((a + b) ** 3, "(a + b) ** 3"),
        (a ** R(3, 2), "a**1.5"),
        (a ** R(1, 3), "a ** (1 / 3)"),
        (1 / a, "1 / a"),
        (-1 / a, "-1 / a"),
        (1 / sp.sqrt(a), "1 / math.sqrt(a)"),
        (R(2, 3) * a, "2 * a / 3"),
        (R(1, 10) + a, "a + 1 / 10"),
        (R(1, 2) * a, "a / 2"),
        (a - 2 * (b + mu), "a - 2 * b - 2 * mu"),
        (sp.exp(-a) / 2, "math.exp(-a) / 2"),
        (b * sp.coth(a), "b / math.tanh(a)"),
        (sp.Max(1, a), "max(1.0, a)"),
        (a ** (k + 1), "a ** (k + 1)"),
        (1 - a ** (k + 1), "1 - a ** (k + 1)"),
        (R(3, 8), "0.375"),
        (R(1, 10), "1 / 10"),
    ],
)
def test_scalars(e, text):
    assert Printer(MATH).scalar(e) == text


def test_vectors():
    show = Printer(NUMPY).vector
    assert show(x - a * y) == "x - a * y"
    assert show(y - x) == "y - x"
    assert show(-x) == "-x"
    assert show(a * x - b * y) == "a * x - b * y"
    assert show(hadamard(x, x) * b) == "b * x * x"
    assert show(elementwise(lambda s: 1 / (1 + sp.sqrt(s)), x) * a) == "a / (np.sqrt(x) + 1)"
    assert show(outer(x, y)) == "np.outer(x, y)"
    assert show(x - x) == "0"


def test_a_function_outside_the_set_is_refused():
    with pytest.raises(NotCarried, match="no function for gamma"):
        Printer(MATH).scalar(sp.gamma(a))


leaves = st.sampled_from([a, b, mu, sp.Integer(2), sp.Integer(-3), R(1, 3), R(-5, 7), R(1, 10)])


def grow(children):
    pairs = st.tuples(children, children)
    return st.one_of(
        pairs.map(lambda p: p[0] + p[1]),
        pairs.map(lambda p: p[0] - p[1]),
        pairs.map(lambda p: p[0] * p[1]),
        pairs.map(lambda p: p[0] / (p[1] ** 2 + 1)),
        children.map(lambda e: sp.sqrt(e**2 + 1)),
        children.map(lambda e: (e**2 + R(1, 2)) ** R(-3, 2)),
        children.map(sp.tanh),
        children.map(lambda e: sp.Max(e, R(1, 2))),
        children.map(sp.Abs),
        children.map(lambda e: -e),
        children.map(lambda e: e**3),
    )


@given(st.recursive(leaves, grow, max_leaves=8))
@settings(max_examples=150)
def test_printed_scalars_have_sympys_value(e):
    values = {"a": 0.7, "b": 1.3, "mu": 0.4}
    exact = float(
        sp.N(e.subs({sp.Symbol(n, positive=True): R(str(v)) for n, v in values.items()}), 40)
    )
    for space in (MATH, NUMPY, JNP):
        import jax.numpy as jnp

        text = Printer(space).scalar(e)
        got = eval(text, {"math": math, "np": np, "jnp": jnp}, values)  # noqa: S307  our own printer's text
        np.testing.assert_allclose(float(got), exact, rtol=1e-9, atol=1e-9, err_msg=text)


def test_readable_forms_keep_the_value():
    polyak = (L + mu - 2 * sp.sqrt(L) * sp.sqrt(mu)) / (L + mu + 2 * sp.sqrt(L) * sp.sqrt(mu))
    short = presentable(polyak)
    assert sp.count_ops(short) < sp.count_ops(polyak)
    assert abs(sp.N((short - polyak).subs({mu: R(3, 7), L: 19}), 40)) < 1e-35
    assert presentable(sp.exp((k + 1) * sp.log(a) * b / b)) == a ** (k + 1)
    assert presentable(sp.sqrt(2) * sp.sqrt(a)) == sp.sqrt(2) * sp.sqrt(a)


def test_signs_are_those_of_typical_values():
    assert negative(-1 + a) and not negative(1 - a)
    assert negative(sp.sqrt(mu) - sp.sqrt(L)) and not negative(sp.sqrt(L) - sp.sqrt(mu))
    assert negative(-inner(x, y)) and not negative(inner(x, y))
