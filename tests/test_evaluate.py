"""Numbers for expressions, against NumPy and JAX written by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.dynamics.evaluation.evaluate import evaluate, initial_state, vector_field

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


def test_equal_parts_are_evaluated_once():
    """An oracle is called once for each point, whatever is made of its value, and in whichever block."""
    asked = []
    oracles = {**ORACLES, "grad": lambda p: asked.append(p) or jnp.tanh(p)}
    g = f.grad(x)
    found = evaluate(f.grad(x - g) + c * g + od.inner(g, v) * od.hadamard(g, v), AT, oracles, jnp)
    G = np.tanh(X)
    np.testing.assert_allclose(found, np.tanh(X - G) + 0.7 * G + (G @ V) * G * V, rtol=1e-14)
    assert len(asked) == 2
    system = od.System({"a": {v: -c * v - g}, "b": {x: v + g}}, output=x)
    asked.clear()
    vector_field(system, oracles, {c: 0.7}, jnp)(0.0, (jnp.asarray(V), jnp.asarray(X)))
    assert len(asked) == 1


def test_what_one_trace_evaluates_is_not_kept_for_another():
    """The same parts inside and outside of a search, of an iteration's loop and of a quadrature."""
    y, A = od.blocks("y"), od.blocks("A", kind="symmetric")
    z = od.sample("z", law="normal", like=x)
    g = f.grad(x)
    searched = od.root(y + f.grad(y) - g, y, start=g)
    solved = od.linear_solve(od.identity + od.apply(A, A), g, method="cg")
    averaged = od.mean(od.hadamard(f.grad(x + c * z), f.grad(x + c * z)), [z])
    whole = od.inner(g + searched, solved + averaged) + od.inner(g, averaged)
    matrix = jnp.diag(jnp.asarray([1.0, 2.0, 3.0]))

    def value(p):
        return evaluate(whole, {x: p, A: matrix, c: 0.7}, ORACLES, jnp)

    with jax.checking_leaks():
        slope = jax.jit(jax.grad(value))(jnp.asarray(X))
    h = 1e-6 * np.eye(3)
    by_hand = [(value(jnp.asarray(X + e)) - value(jnp.asarray(X - e))) / 2e-6 for e in h]
    np.testing.assert_allclose(slope, by_hand, rtol=1e-7)
