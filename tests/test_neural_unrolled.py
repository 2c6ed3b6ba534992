"""Steps written out stage by stage are diffrax's own: solution, error estimate, interpolation, gradients, counts."""

import functools
from typing import Any

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from odescent.neural_de import solve, statistics_of, tracked
from odescent.neural_de.tracking.unrolled import (
    StageByStage,
    unrolled,
)

EXPLICIT = [dfx.Tsit5, dfx.Dopri5, dfx.Dopri8, dfx.Bosh3, dfx.Heun, dfx.Midpoint, dfx.Ralston]
PID = dfx.PIDController(rtol=1e-6, atol=1e-6)


def field(t: Any, y: Any, w: Any) -> Any:
    """Not autonomous, on a tree of two leaves."""
    a, b = y["a"], y["b"]
    return {"a": jnp.tanh(w @ a) + jnp.sin(3 * t), "b": -b * (1 + t) + a[:2, None] * w[0, 0]}


Y0 = {"a": jnp.array([0.3, -1.0, 0.5]), "b": jnp.array([[1.0], [0.5]])}
W = jnp.array([[0.5, -1.2, 0.1], [0.7, 0.2, -0.9], [1.1, 0.3, -0.4]])


@pytest.mark.parametrize("kind", EXPLICIT)
def test_a_step_is_diffraxs(kind: Any) -> None:
    terms, t0, t1 = dfx.ODETerm(field), jnp.asarray(0.2), jnp.asarray(0.45)
    found = []
    for solver in (kind(), unrolled(kind(), PID)):
        state = solver.init(terms, t0, t1, Y0, W)
        y1, error, dense, state, _ = solver.step(terms, t0, t1, Y0, W, state, False)
        middle = solver.interpolation_cls(t0=t0, t1=t1, **dense).evaluate(jnp.asarray(0.3))
        again = solver.step(terms, t1, jnp.asarray(0.5), y1, W, state, False)
        found.append([y1, error, dense, middle, again[:3]])
    assert isinstance(unrolled(kind(), PID), StageByStage) and not isinstance(kind(), StageByStage)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-15), *found)


@pytest.mark.parametrize("kind", [dfx.Tsit5, dfx.Dopri8, dfx.Heun])
def test_gradients_are_diffraxs(kind: Any) -> None:
    """With respect to start, weights and end, through accepted steps and rejected ones."""

    def end(solver: Any, a: Any, w: Any, t1: Any) -> Any:
        out = dfx.diffeqsolve(
            dfx.ODETerm(lambda t, y, w: jnp.tanh(w @ y) + jnp.sin(3 * t)), solver, 0.0, t1, 0.6, a, w,
            stepsize_controller=dfx.PIDController(rtol=1e-4, atol=1e-4),
        )  # fmt: skip
        assert out.ys is not None
        return (out.ys[-1] ** 3).sum()

    given = (Y0["a"], W, jnp.asarray(2.0))
    own, theirs = (
        jax.jit(jax.grad(functools.partial(end, solver), argnums=(0, 1, 2)))(*given)
        for solver in (unrolled(kind(), PID), kind())
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13), own, theirs)


@pytest.mark.parametrize(
    "adjoint", [dfx.ForwardMode(), dfx.DirectAdjoint(), dfx.BacksolveAdjoint()]
)
def test_every_adjoint_takes_it(adjoint: Any) -> None:
    def end(a: Any) -> Any:
        return solve(
            lambda t, y, w: -w * y,
            a,
            0.0,
            1.0,
            jnp.asarray(2.0),
            adjoint=adjoint,
            rtol=1e-9,
            atol=1e-9,
        ).ys

    slope = jax.jacfwd if isinstance(adjoint, dfx.ForwardMode) else jax.jacrev
    assert slope(end)(jnp.asarray(1.0)) == pytest.approx(np.exp(-2), rel=1e-7)


def test_the_first_stage_is_evaluated_once() -> None:
    """A start whose first trials fail: diffrax evaluates f there again in each; 1 + 6 n here, as a host counts."""
    calls = []

    def f(t: Any, y: Any, w: Any) -> Any:
        jax.debug.callback(lambda: calls.append(1))
        return -50.0 * y

    out = solve(f, jnp.array([1.0]), 0.0, 1.0, dt0=1.0, rtol=1e-8, atol=1e-8)
    jax.block_until_ready(out.ys)
    jax.effects_barrier()
    s = out.statistics
    trials = int(s.accepted) + int(s.rejected)
    assert int(s.rejected) >= 2 and s.drift_evaluations == len(calls) == 1 + 6 * trials


def test_what_it_leaves_alone() -> None:
    jumps = dfx.ClipStepSizeController(PID, jump_ts=jnp.array([0.5]))
    kept = [dfx.Kvaerno5(), dfx.HalfSolver(dfx.Bosh3()), dfx.SPaRK(), dfx.KenCarp4(), dfx.Euler()]
    for solver in kept:
        assert unrolled(solver, PID) is solver
    tsit5 = dfx.Tsit5()
    assert unrolled(tsit5, jumps) is tsit5
    written = unrolled(tsit5, dfx.ClipStepSizeController(PID, step_ts=jnp.array([0.5])))
    assert isinstance(written, dfx.Tsit5) and type(written).__name__ == "Tsit5"
    assert unrolled(written, PID) is written

    class Own(dfx.Tsit5):
        def step(self, *args: Any, **kwargs: Any) -> Any:
            return super().step(*args, **kwargs)

    own = Own()
    assert unrolled(own, PID) is own


def test_with_noise_it_is_diffraxs_own_step(key: jax.Array) -> None:
    """Heun on an SDE: the same path as diffrax alone."""
    path = dfx.VirtualBrownianTree(0.0, 1.0, tol=1e-3, shape=(2,), key=key)
    terms = dfx.MultiTerm(
        dfx.ODETerm(lambda t, y, a: -y), dfx.ControlTerm(lambda t, y, a: jnp.diag(0.3 * y), path)
    )
    controller = dfx.ClipStepSizeController(
        dfx.PIDController(rtol=1e-2, atol=1e-2, dtmin=2e-3), store_rejected_steps=100
    )
    y0, ends = jnp.array([1.0, 2.0]), []
    for kwargs in (
        tracked(dfx.Heun(), controller),
        {"solver": dfx.Heun(), "stepsize_controller": controller},
    ):
        out = dfx.diffeqsolve(terms, t0=0.0, t1=1.0, dt0=0.05, y0=y0, **kwargs)
        assert out.ys is not None
        ends.append(out.ys[-1])
        if out.solver_state is not None:
            assert statistics_of(out).accepted == out.stats["num_accepted_steps"]
    np.testing.assert_allclose(*ends, rtol=1e-12)
