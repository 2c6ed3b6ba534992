"""When orbits count as settled: periods, escapes and their dates, on maps whose orbits are known exactly."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from odescent.analysis.attraction.attractors import refine
from odescent.analysis.attraction.grid import product
from odescent.analysis.attraction.settling import (
    DIVERGES,
    SETTLED,
    UNDEFINED,
    UNRESOLVED,
    Limits,
    Outcomes,
    settle,
)
from odescent.analysis.attraction.stepping import stepper


def settled(
    function: object, axes: dict, steps: int = 5000, longest: int = 64, start: object = None
) -> Outcomes:
    p = product(stepper(function, None), None, axes, start, {})  # type: ignore[arg-type]
    return settle(p, Limits(steps, 1e-8, 1e10, longest, 1 << 24))


def turning(z: jnp.ndarray, *, angle: jnp.ndarray, rate: jnp.ndarray) -> jnp.ndarray:
    """Polar: the radius goes to 1 at a rate, the phase turns."""
    r = jnp.sqrt(jnp.sum(z * z))
    new = 1 + rate * (r - 1)
    c, s = jnp.cos(angle), jnp.sin(angle)
    return new / r * jnp.stack([c * z[0] - s * z[1], s * z[0] + c * z[1]])


def linear(
    z: jnp.ndarray, *, a: jnp.ndarray, b: jnp.ndarray, c: jnp.ndarray, d: jnp.ndarray
) -> jnp.ndarray:
    return jnp.stack([a * z[0] + b * z[1], c * z[0] + d * z[1]])


def test_rational_rotations_have_their_denominator_as_period() -> None:
    """Angle 2 pi m / q with m, q coprime is a q-cycle; an irrational one never comes back; 70 is too long."""
    fractions = [(1, 2), (1, 3), (2, 5), (3, 7), (5, 12), (11, 64), (1, 70)]
    angles = np.array([*(2 * np.pi * m / q for m, q in fractions), 2 * np.pi * (5**0.5 - 1) / 2])
    found = settled(turning, {"angle": angles, "rate": np.array([0.5])}, start=[0.6, 0.2])
    assert found.verdict.tolist() == [SETTLED] * 6 + [UNRESOLVED] * 2
    assert found.period[:6].tolist() == [q for _, q in fractions[:6]]
    radius = np.hypot(*np.asarray(found.state[0]))
    np.testing.assert_allclose(radius, 1, atol=1e-7)


def test_escape_is_dated_to_the_step() -> None:
    """2^k passes 1e10 times the start with k = 34."""
    found = settled(lambda x: 2 * x, {"x0": np.array([1.0, -1.0, 0.0])})
    assert found.verdict.tolist() == [DIVERGES, DIVERGES, SETTLED]
    k = np.ceil(np.log2(1e10 * 2))  # the scale is the region's side, 2
    assert found.when[:2].tolist() == [k, k]


def test_leaving_the_domain_is_not_divergence() -> None:
    """x - 1 until the root of a negative number: from x0 = 5 after five steps sqrt(0), then NaN."""
    fall = lambda x: jnp.sqrt(x) * jnp.sqrt(x) - 1
    found = settled(fall, {"x0": np.array([0.5, 5.5])})
    assert found.verdict.tolist() == [UNDEFINED, UNDEFINED]
    assert found.when.tolist() == [2, 7]


@given(st.floats(-0.95, 0.95), st.integers(1, 6))
@settings(max_examples=6)
def test_linear_contractions_settle_at_zero(rate: float, seed: int) -> None:
    """Any matrix similar to diag(rate, -rate / 2)."""
    basis = np.random.default_rng(seed).normal(size=(2, 2)) + 2 * np.eye(2)
    matrix = basis @ np.diag([rate, -rate / 2]) @ np.linalg.inv(basis)
    s = stepper(linear, None)
    values = dict(zip("abcd", matrix.ravel().tolist(), strict=True))
    p = product(s, None, {"x0": np.array([[1.0, 0.3], [-0.4, 1.0]])}, None, values)
    found = settle(p, Limits(5000, 1e-8, 1e10, 16, 1 << 24))
    assert (found.verdict == SETTLED).all()
    done = refine(s, found.state, np.full(2, 6.0), p.coefficients(np.arange(2)), p.scale)
    assert (done.period == 1).all()  # six steps were claimed; the least period is one
    np.testing.assert_allclose(done.state[0], 0, atol=1e-10)
    values = np.sort(np.linalg.eigvals(done.jacobian[0]).real)
    np.testing.assert_allclose(values, np.sort([rate, -rate / 2]), atol=1e-12)
