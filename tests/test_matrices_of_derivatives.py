"""Hessians and Jacobians as matrices, and traces, in emitted code: against loops by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od
from odescent.discretize.emit import load

x, y = od.blocks("x y")
P = od.blocks("P", kind="symmetric")
f, c = od.Objective("f"), od.Map("c")
h, r = od.parameters("h r")
H, J = f.hessian(x), c.jacobian(x)
X0 = np.array([0.3, 0.2, -0.1])


def loss(q: Any) -> Any:
    return jnp.sum(jnp.cosh(q)) + q[0] * q[1] ** 2


def innovation(q: Any) -> Any:
    return jnp.stack([jnp.sin(q[0]) + q[1] ** 2 - 0.4, q[1] - 2 * q[0] + q[2] ** 3 + 0.7])


GRAD, HESS, JAC = jax.grad(loss), jax.hessian(loss), jax.jacobian(innovation)
GIVEN: dict[str, Callable[..., Any]] = {
    "grad": GRAD,
    "hvp": lambda q, v: HESS(q) @ v,
    "map_c": innovation,
    "jvp_c": lambda q, v: JAC(q) @ v,
    "vjp_c": lambda q, v: JAC(q).T @ v,
}


def kalman() -> od.Algorithm:
    """The extended Kalman filter of a constant state; the innovation is c(x)."""
    noisy = od.apply(od.apply(J, P), od.transpose(J)) + r * od.identity
    fall = od.apply(od.transpose(J), od.linear_solve(noisy, od.apply(J, P)))
    moved = x - od.apply(P, c.vjp(x, od.linear_solve(noisy, c(x))))
    return od.method({x: moved, P: P - od.apply(P, fall)}, output=x, init={P: od.identity})


def kalman_by_hand(q: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    j = np.asarray(JAC(q))
    gain = p @ j.T @ np.linalg.inv(j @ p @ j.T + 0.5 * np.eye(2))
    return q - gain @ np.asarray(innovation(q)), p - gain @ j @ p


def averaged_hessian() -> od.Algorithm:
    """Steps by an average of Hessians."""
    moved = x - od.linear_solve(P + od.identity, f.grad(x))
    return od.method({x: moved, P: P + h * (H - P)}, output=x, init={P: od.identity})


def averaged_by_hand(q: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    moved = q - np.linalg.solve(p + np.eye(3), np.asarray(GRAD(q)))
    return moved, p + 0.1 * (np.asarray(HESS(q)) - p)


def lyapunov() -> od.Algorithm:
    """Products from both sides."""
    both = od.apply(P, H) + od.apply(H, P)
    moved = x - h * od.apply(P, f.grad(x))
    return od.method({x: moved, P: P + h * both}, output=x, init={P: od.identity})


def lyapunov_by_hand(q: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    hess = np.asarray(HESS(q))
    return q - 0.1 * p @ np.asarray(GRAD(q)), p + 0.1 * (p @ hess + hess @ p)


def traced() -> od.Algorithm:
    """A step that is shorter where the Laplacian is large."""
    return od.method({x: x - h / (1 + od.trace(H) ** 2) * f.grad(x)}, output=x)


def traced_by_hand(q: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return q - 0.1 / (1 + np.trace(HESS(q)) ** 2) * np.asarray(GRAD(q)), p


METHODS = {
    "kalman": (kalman, kalman_by_hand, {"r": 0.5}),
    "averaged_hessian": (averaged_hessian, averaged_by_hand, {"h": 0.1}),
    "lyapunov": (lyapunov, lyapunov_by_hand, {"h": 0.1}),
    "traced": (traced, traced_by_hand, {"h": 0.1}),
}


def by_hand(step: Callable[..., Any], count: int) -> np.ndarray:
    q, p, found = X0, np.eye(3), [X0]
    for _ in range(count):
        q, p = step(q, p)
        found.append(q)
    return np.stack(found)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("target", ["numpy", "jax"])
def test_emitted_steps_are_those_by_hand(name: str, target: str) -> None:
    make, step, parameters = METHODS[name]
    run = load(make(), target).run
    asked = [n for n in run.__annotations__ if n in GIVEN]
    start = jnp.asarray(X0) if target == "jax" else X0
    plain = [GIVEN[n] for n in asked]
    if target == "numpy":
        plain = [lambda *v, g=g: np.asarray(g(*v)) for g in plain]
    found = run(*plain, start, 5, *parameters.values())
    np.testing.assert_allclose(found, by_hand(step, 5), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", METHODS)
def test_runs_are_those_by_hand(name: str) -> None:
    make, step, parameters = METHODS[name]
    objective = od.Map("c", innovation) if name == "kalman" else od.Objective("f", loss)
    found = make().run(objective, X0, 5, **parameters)
    np.testing.assert_allclose(found.x, by_hand(step, 5), rtol=1e-11, atol=1e-12)


def test_traces_are_emitted_where_matrices_are_not() -> None:
    for target in ("torch", "optax"):
        assert "_entries(" in traced().source(target)
        with pytest.raises(od.NotCarried, match="it multiplies matrices"):
            lyapunov().source(target)


def test_a_matrix_is_made_once_and_counted() -> None:
    text = lyapunov().source("numpy")
    assert text.count("_matrix(product, x)") == 1
    assert kalman().cost() == {"maps": 1, "solves": 1, "products": 1, "matrices": 1}
    assert "2 oracle calls, one solve" in kalman().source("numpy")


def test_a_derivative_of_two_arguments_acts_on_its_own_space() -> None:
    """The matrix of d/dy of the gradient in x, beside a matrix of the space of x."""
    F = od.Objective("F", args=("x", "y"))
    mixed = od.jacobian(F.grad(x, y, wrt="x"), y)
    square = od.apply(mixed, od.transpose(mixed))
    method = od.method(
        {x: x - h * od.apply(P, F.grad(x, y, wrt="x")), y: y, P: P + h * square}, output=x,
        init={P: od.identity, y: od.dynamics.start},
    )  # fmt: skip
    pairs = lambda p, q: jnp.sum(jnp.sin(p) * q**2) + p[0] * q[2]
    found = method.run(od.Objective("F", pairs, args=("x", "y")), X0, 4, h=0.1)
    q, p = X0, np.eye(3)
    for _ in range(4):
        m = np.asarray(jax.jacobian(jax.grad(pairs), 1)(q, X0))
        q, p = q - 0.1 * p @ np.asarray(jax.grad(pairs)(q, X0)), p + 0.1 * m @ m.T
    np.testing.assert_allclose(found.x[-1], q, rtol=1e-11)


def test_a_hessian_at_zero_is_not_zero() -> None:
    """Its space is that of a block that stays zero, which is no right side of a solve."""
    at_zero = od.diagonal(f.hessian(y))
    scaled = od.elementwise(lambda g, d: g / d, f.grad(x), at_zero)
    method = od.method({x: x - h * scaled, y: 0 * y}, output=x, init={y: 0 * y})
    assert (
        load(method, "numpy").coefficients(0.0).h == 0
    )  # nothing is divided by zero at a step of zero


def test_traces_are_printed_as_such() -> None:
    from odescent.dynamics.notation.show import latex, text

    e = od.trace(P - h * od.identity)
    assert text(e) == "trace(P) - h*trace(I)"
    assert latex(od.trace(H)) == r"\operatorname{tr}\left(\nabla^2 f(x)\,\cdot\right)"
    assert latex(c.jvp(x, y)) == "D c(x)[y]" and latex(c.vjp(x, y)) == r"D c(x)^{\top}y"
    assert latex(od.dynamics.derivative(c.jvp(x, y), {x: y})) == "D^2 c(x)[y, y]"
