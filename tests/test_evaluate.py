"""Numbers for expressions, against NumPy and JAX written by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.dynamics.flows.evaluate import evaluate, initial_state, vector_field

x, v = od.blocks("x v")
c, t = od.parameters("c t")
f = od.Objective("f")
ORACLES = {
    "grad": jnp.tanh,
    "hess": lambda p, d: d / jnp.cosh(p) ** 2,
    "value": lambda p: jnp.log(jnp.cosh(p)).sum(),
}
X, V = np.array([0.3, -1.2, 2.0]), np.array([1.0, 0.5, -0.25])
AT = {x: jnp.asarray(X), v: jnp.asarray(V), c: 0.7, t: 1.5}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (-c * v - f.grad(x), -0.7 * V - np.tanh(X)),
        (f.grad(x + c * v), np.tanh(X + 0.7 * V)),
        (f.hess(x, 2 * v - x), (2 * V - X) / np.cosh(X) ** 2),
        (od.hadamard(x, v), X * V),
        (
            od.elementwise(lambda a, b: sp.sqrt(a**2 + c) / sp.exp(b), x, v),
            np.sqrt(X**2 + 0.7) / np.exp(V),
        ),
        (v * (sp.coth(t) + sp.Max(c, 1) ** sp.Rational(3, 2)), V * (1 / np.tanh(1.5) + 1)),
        (od.inner(x, v) * od.inner(v, v), (X @ V) * (V @ V)),
        (f.value(x) + c, np.log(np.cosh(X)).sum() + 0.7),
        (od.apply(od.outer(x, v), x), X * (V @ X)),
        (sp.pi * c + sp.Rational(1, 3), np.pi * 0.7 + 1 / 3),
    ],
)
def test_expressions(expression, expected):
    np.testing.assert_allclose(evaluate(expression, AT, ORACLES, jnp), expected, rtol=1e-14)


def test_a_vector_field_and_its_start():
    system = od.System({"a": {v: -c * v - f.grad(x)}, "b": {x: v}}, output=x)
    rates = vector_field(system, ORACLES, {c: 0.7}, jnp)(0.0, (jnp.asarray(V), jnp.asarray(X)))
    np.testing.assert_allclose(rates[0], -0.7 * V - np.tanh(X), rtol=1e-14)
    np.testing.assert_allclose(rates[1], V)
    start = initial_state(system, jnp.asarray(X), ORACLES, {c: 0.7}, jnp)
    np.testing.assert_array_equal(start[0], np.zeros(3))
    np.testing.assert_array_equal(start[1], X)


def test_it_is_traced_by_jax():
    def total(p):
        return evaluate(od.inner(f.grad(x), x), {x: p}, ORACLES, jnp)

    np.testing.assert_allclose(
        jax.grad(total)(jnp.asarray(X)), np.tanh(X) + X / np.cosh(X) ** 2, rtol=1e-12
    )


def test_what_is_missing_is_named():
    with pytest.raises(od.OdescentError, match="symbol c has no value"):
        evaluate(c * x, {x: 1.0}, ORACLES, np)
    with pytest.raises(od.OdescentError, match="no function was given for"):
        evaluate(f.prox(x, c), AT, ORACLES, jnp)
    with pytest.raises(od.OdescentError, match="cannot be evaluated"):
        evaluate(sp.zeta(c), AT, ORACLES, jnp)
    with pytest.raises(od.OdescentError, match="parameters c have no value"):
        vector_field(od.System({"d": {x: -c * x}}), {}, {}, np)
