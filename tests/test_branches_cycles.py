"""Branches of cycles of flows against closed forms and published periods."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from odescent.analysis import continuation


def circle(z: Array) -> Array:
    """Velocities whose stable cycle is the unit circle, of period 2 pi."""
    x, y = z[0], z[1]
    pull = 1 - x * x - y * y
    return jnp.stack([x * pull - y, y * pull + x])


def test_cycles_from_a_hopf_point_turn_at_their_fold() -> None:
    """r' = r (p + r^2 - r^4): a subcritical Hopf point at 0, a fold of cycles at -1/4, multipliers in closed form."""

    def field(z: Array, *, p: Array) -> Array:
        s = z @ z
        return (p + s - s * s) * z + jnp.stack([-z[1], z[0]])

    c = continuation(
        field, parameter="p", interval=(-0.5, 0.25), x0=[0.0, 0], flow=True, largest=0.1
    )
    assert c.special[0].label == "Hopf, subcritical" and c.special[0].coefficient == pytest.approx(
        2
    )
    c = c.switch(c.special[0])
    cycles = c.branches[1]
    (fold,) = cycles.special
    assert (fold.kind, fold.value) == ("fold", pytest.approx(-0.25, abs=1e-9))
    assert fold.period == pytest.approx(2 * np.pi, abs=1e-9)
    s = np.array([(o**2).sum(-1).mean() for o in cycles.orbits])
    np.testing.assert_allclose(cycles.values, s * s - s, atol=1e-7)
    np.testing.assert_allclose(
        cycles.eigenvalues[:, 1], np.exp(4 * np.pi * (s - 2 * s * s)), atol=1e-5
    )
    assert np.abs(cycles.eigenvalues[:, 0] - 1).max() < 1e-8
    assert (cycles.stable == (s > 0.5)).all()


def test_period_doubling_of_a_cycle() -> None:
    """Directions across turn by half: multipliers -exp(2 pi p), -exp(-2 pi); then a cycle of radius sqrt(p)."""

    def field(z: Array, *, p: Array) -> Array:
        w = z[2:]
        half = jnp.stack([z[0] * w[0] + z[1] * w[1], z[1] * w[0] - z[0] * w[1]])
        turn = jnp.stack([-w[1], w[0]]) / 2
        return jnp.concatenate(
            [circle(z), (p - 1) / 2 * w + (p + 1) / 2 * half + turn - w * (w @ w)]
        )

    c = continuation(
        field,
        parameter="p",
        interval=(-0.2, 0.2),
        x0=[1.0, 0, 0, 0],
        period=6.2,
        flow=True,
        largest=0.2,
    )
    (flip,) = c.special
    assert (flip.kind, flip.value) == ("period doubling", pytest.approx(0, abs=1e-8))
    double = c.switch(flip).branches[1]
    np.testing.assert_allclose(double.periods, 4 * np.pi, rtol=1e-8)
    assert double.stable.all() and double.values[-1] == pytest.approx(0.2)
    radius = np.linalg.norm(double.orbits[-1][:, 2:], axis=1)
    np.testing.assert_allclose(radius, 0.2**0.5, rtol=1e-6)


def test_pitchfork_and_neimark_sacker_of_a_cycle() -> None:
    """Across the circle w' = p w - w^3, cycles w = +-sqrt(p); or a spiral: multipliers exp(2 pi (p +- .3 i))."""
    field = lambda z, *, p: jnp.append(circle(z), p * z[2] - z[2] ** 3)
    c = continuation(
        field,
        parameter="p",
        interval=(-0.2, 0.2),
        x0=[1.0, 0, 0],
        period=6.2,
        flow=True,
        largest=0.2,
    )
    (fork,) = c.special
    assert (fork.kind, fork.value) == ("pitchfork", pytest.approx(0, abs=1e-9))
    other = c.switch(fork).branches[1]
    np.testing.assert_allclose(np.abs(other.x[[0, -1], 0, 2]), 0.2**0.5, rtol=1e-7)
    assert other.stable.all()

    def spiral(z: Array, *, p: Array) -> Array:
        w = z[2:]
        return jnp.concatenate([circle(z), p * w + 0.3 * jnp.stack([-w[1], w[0]]) - w * (w @ w)])

    c = continuation(
        spiral,
        parameter="p",
        interval=(-0.2, 0.2),
        x0=[1.0, 0, 0, 0],
        period=6.2,
        flow=True,
        largest=0.2,
    )
    (torus,) = c.special
    assert (torus.kind, torus.value) == ("Neimark-Sacker", pytest.approx(0, abs=1e-8))
    assert abs(np.angle(torus.eigenvalue)) == pytest.approx(0.6 * np.pi, abs=1e-6)


def test_relaxation_cycles_of_van_der_pol() -> None:
    """Periods at mu = 1 and 10 between crossings of x = 0, by SciPy's DOP853 at tolerances 1e-13."""
    field = lambda z, *, mu: jnp.stack([z[1], mu * (1 - z[0] ** 2) * z[1] - z[0]])
    c = continuation(
        field, parameter="mu", interval=(1.0, 10.0), x0=[2.0, 0], period=6.6, flow=True, largest=0.1
    )
    (cycles,) = c.branches
    assert cycles.stable.all() and cycles.ends[1] == "the interval of mu ends"
    assert cycles.periods[[0, -1]] == pytest.approx([6.6632868593, 19.0783695669], abs=1e-7)


def test_a_branch_of_cycles_ends_with_a_sentence() -> None:
    """The circle of radius sqrt(p) ends where it began."""
    field = lambda z, *, p: (p - z @ z) * z + jnp.stack([-z[1], z[0]])
    c = continuation(
        field,
        parameter="p",
        interval=(-1.0, 1.0),
        x0=[1.0, 0],
        at=1.0,
        period=6.2,
        flow=True,
        largest=0.1,
    )
    assert "shrinks to an equilibrium" in " ".join(c.branches[0].ends)
