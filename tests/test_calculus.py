"""Every rule of the calculus against JAX on concrete functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from concrete import DIMENSION, number, random_values

from odescent.dynamics.algebra.calculus import (
    change,
    coefficients_of,
    derivative,
    modal,
    substitute,
    tidy,
    vanishes,
)
from odescent.dynamics.algebra.products import apply, elementwise, hadamard, outer
from odescent.dynamics.algebra.scalars import parameters
from odescent.dynamics.algebra.vectors import ScalarNode, inner, zero
from odescent.dynamics.vector_fields.block import blocks
from odescent.dynamics.vector_fields.objective import Objective

x, y, p, q = blocks("x y p q")
A = blocks("A", kind="matrix")
a, b, h, t = parameters("a b h t")
f, F = Objective("f"), Objective("F")
softened = elementwise(lambda m, v: m / (sp.sqrt(v**2 + b) + a), x - a * y, y)

EXPRESSIONS = {
    "linear": a * x - y / b,
    "gradient": f.grad(x + a * y),
    "gradient inside": f.grad(x - a * f.grad(y)),
    "hessian": f.hess(x, y) - b * f.hess(y, f.grad(x)),
    "third": f.third(x, y, f.grad(x)),
    "operator": F.operator(x + F.operator(y)) * sp.exp(-a),
    "hadamard": hadamard(f.grad(x), hadamard(x, y)),
    "elementwise": softened + hadamard(elementwise(sp.exp, x), y),
    "scaled by a scalar": f.grad(x) * inner(f.grad(x), y) ** 2,
    "scaled by the value": (x - y) * sp.sqrt(1 + f.value(x) ** 2),
    "inner": inner(f.grad(x), f.hess(y, x)) / a + inner(x, x),
    "inner of an operator": inner(F.operator(x), y) * f.value(x + a * y),
    "value": sp.log(1 + f.value(x) ** 2) * a,
}
VALUES = random_values("x y p q", "a b h t")
MOVES = {x: p - a * q, y: f.grad(p), a: sp.Integer(2) / 3}


def jvp(e, moves):
    """The derivative of the number of ``e`` along the numbers of the moves, by forward mode."""
    names = [s.name for s in moves]

    def value(*moved):
        return number(e, {**VALUES, **dict(zip(names, moved, strict=True))})

    at = tuple(VALUES[n] for n in names)
    return jax.jvp(value, at, tuple(number(d, VALUES) for d in moves.values()))[1]


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_derivative_is_the_gateaux_derivative(name):
    e = EXPRESSIONS[name]
    got = number(derivative(e, MOVES), VALUES)
    np.testing.assert_allclose(got, jvp(e, MOVES), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_second_derivatives_commute_and_agree(name):
    e, one, other = EXPRESSIONS[name], {x: p}, {x: q, a: sp.S.One}
    mixed = derivative(derivative(e, one), other)
    assert vanishes(mixed - derivative(derivative(e, other), one))
    np.testing.assert_allclose(number(mixed, VALUES), jvp(derivative(e, one), other), atol=1e-8)


def test_matrices_move_too():
    e, other = apply(A, x), outer(x, y)
    assert derivative(e, {A: other, x: p}) == apply(other, x) + apply(A, p)
    assert derivative(outer(x, y), {x: p, y: q}) == outer(p, y) + outer(x, q)


def test_an_oracle_with_a_moving_parameter_is_refused():
    e = f.prox(x, a * b)
    with pytest.raises(ValueError, match="in its parameter a\\*b is not known"):
        derivative(e, {a: sp.S.One})
    assert derivative(e, {y: p}) == zero != derivative(e, {x: p})


def test_substitution_is_simultaneous_and_reaches_everywhere():
    e = f.hess(x + a * y, y) * inner(f.grad(x), y) + softened
    swapped = substitute(e, {x: y, y: x - b * p, a: b})
    at = {
        **VALUES,
        "x": VALUES["y"],
        "y": VALUES["x"] - VALUES["b"] * VALUES["p"],
        "a": VALUES["b"],
    }
    np.testing.assert_allclose(number(swapped, VALUES), number(e, at), rtol=1e-10)
    assert substitute(e, {}) is e
    assert substitute(hadamard(x, y), {y: 0}) == zero
    for values in ({x: a}, {a: x}):
        with pytest.raises(TypeError, match="one is a vector, the other a scalar"):
            substitute(e, values)


def test_change_sees_scalar_nodes():
    drop = lambda node: sp.S.Zero if isinstance(node, ScalarNode) else None
    assert change(x * (1 + inner(x, y)) + f.grad(x), drop) == x + f.grad(x)
    assert change(2 + f.value(x), drop) == 2


def test_modal_is_the_calculus_of_a_quadratic():
    lam = sp.Symbol("lambda", positive=True)
    quadratic = {"f": lambda v: 1.7 * jnp.sum(v**2) / 2}
    oracles = {"grad_f": jax.grad(quadratic["f"]), "operator_F": lambda v: 1.7 * v}
    values = {**VALUES, "lambda": jnp.asarray(1.7)}
    e = (
        f.grad(x - a * f.grad(y)) + f.hess(x, y) + f.third(x, y, y) + F.operator(p) + b * hadamard(f.grad(x), y)
    )  # fmt: skip
    reduced = modal(e, lam)
    assert not reduced.calls()
    np.testing.assert_allclose(
        number(reduced, values), number(e, values, oracles, quadratic), rtol=1e-12
    )
    with pytest.raises(ValueError, match="prox of f has no modal form"):
        modal(f.prox(x, a), lam)


def test_vanishes_and_tidy():
    assert vanishes(f.grad(a * x + y - (a - 1) * x - x) - f.grad(y))
    assert vanishes(inner(f.hess(x, p), q) - inner(p, f.hess(x, q)))
    assert vanishes(hadamard(p, q) * (sp.sqrt(1 + a) ** 2 - 1 - a))
    assert not vanishes(f.hess(x, p) - f.hess(y, p)) and not vanishes(x * (a - b))
    assert tidy((a**2 - b**2) / (a - b) * x) == (a + b) * x
    nested = sp.sqrt(5 + 2 * sp.sqrt(6)) - sp.sqrt(2) - sp.sqrt(3)
    assert vanishes(nested * x) and not vanishes((nested + sp.Rational(1, 10**40)) * x)


def test_coefficients():
    row, rest = coefficients_of(a * x - y + f.grad(x), [x, y, p])
    assert row == [a, -1, 0] and rest == f.grad(x)


def test_the_dimension_of_the_evaluator():
    assert number(zero, VALUES).shape == (DIMENSION,)
