"""The instrumented solver against host callbacks, SciPy's Dormand-Prince pair and closed forms."""

import diffrax as dfx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.integrate import RK45

import odescent as od
from odescent import OdescentError

nde = od.neural_de


def counting(field):
    """The field, and a dictionary that counts how often the host sees it evaluated."""
    calls = {"n": 0}

    def bump(t):  # with an argument, so that a batched evaluation counts once for each time
        calls["n"] += 1

    def counted(t, y, args):
        jax.debug.callback(bump, t)
        return field(t, y, args)

    return counted, calls


def count(calls, run):
    calls["n"] = 0
    out = jax.block_until_ready(run())
    jax.effects_barrier()
    return out, calls["n"]


SOLVERS = {
    "Tsit5": dfx.Tsit5(),
    "Dopri8": dfx.Dopri8(),
    "Bosh3": dfx.Bosh3(),
    "Heun": dfx.Heun(),
    "ReversibleHeun": dfx.ReversibleHeun(),
    "HalfSolver(Euler)": dfx.HalfSolver(dfx.Euler()),
    "HalfSolver(Bosh3)": dfx.HalfSolver(dfx.Bosh3()),
}


@pytest.mark.parametrize("name", SOLVERS)
def test_evaluations_equal_a_host_count_with_and_without_rejections(name):
    field, calls = counting(lambda t, y, args: {"x": jnp.sin(5 * t) - 2 * y["x"]})
    kwargs = nde.tracked(SOLVERS[name], dfx.PIDController(rtol=1e-3, atol=1e-3))

    @jax.jit
    def run(dt0):
        y0 = {"x": jnp.ones(2)}
        sol = dfx.diffeqsolve(dfx.ODETerm(field), t0=0.0, t1=2.0, dt0=dt0, y0=y0, **kwargs)
        return nde.statistics_of(sol)

    rejections = []
    for dt0 in (1e-3, 2.0):
        stats, n = count(calls, lambda dt0=dt0: run(dt0))
        assert int(stats.drift_evaluations) == n, dt0
        assert stats.diffusion_evaluations is None
        rejections.append(int(stats.rejected))
    assert rejections[1] > 0  # the first trial among them: it makes FSAL methods begin again


def test_evaluations_at_jumps_and_of_the_first_step():
    field, calls = counting(lambda t, y, args: jnp.where(t < 0.5, 1.0, -30.0) * y)
    jumps = dfx.ClipStepSizeController(dfx.PIDController(rtol=1e-6, atol=1e-6), jump_ts=[0.5])
    run = jax.jit(lambda y: nde.solve(field, y, 0.0, 1.0, controller=jumps).statistics)
    stats, n = count(calls, lambda: run(jnp.ones(2)))
    assert int(stats.rejected) > 0 and int(stats.drift_evaluations) == n
    six = 6 * int(stats.accepted + stats.rejected)
    assert n > six + 1 + 2  # first stage, Hairer's two, and the jump's


def test_stochastic_evaluations():
    drift, drifts = counting(lambda t, y, args: -y)
    diffusion, diffusions = counting(lambda t, y, args: 0.3 * y)
    additive, additives = counting(lambda t, y, args: 0.3 * jnp.cos(t) * jnp.ones_like(y))
    for solver, g, calls in (
        (dfx.SPaRK(), diffusion, diffusions),
        (dfx.ShARK(), additive, additives),
    ):
        run = jax.jit(
            lambda k, g=g, solver=solver: (
                nde.solve(
                    drift, jnp.ones(3), 0.0, 1.0, diffusion=g, solver=solver, key=k
                ).statistics
            )
        )
        calls["n"] = 0
        stats, n = count(drifts, lambda run=run: run(jr.key(3)))
        assert int(stats.drift_evaluations) == n
        assert int(stats.diffusion_evaluations) == calls["n"]
        assert int(stats.accepted) > 1


def test_implicit_solvers_say_that_they_cannot_be_counted():
    out = nde.solve(lambda t, y, args: -50.0 * y, jnp.ones(2), 0.0, 1.0, solver=dfx.Kvaerno3())
    assert out.statistics.drift_evaluations is None and int(out.statistics.accepted) > 0
    assert jnp.allclose(out.ys, np.exp(-50.0), atol=1e-5)


def test_error_and_record_against_scipys_pair():
    """Each recorded step is made again with SciPy's coefficients of the same pair."""
    field = lambda t, y: np.stack([y[1], (1 - y[0] ** 2) * y[1] - y[0] + np.cos(t)])
    f = lambda t, y, args: jnp.stack([y[1], (1 - y[0] ** 2) * y[1] - y[0] + jnp.cos(t)])
    rtol, atol = 1e-5, 1e-7
    kwargs = nde.tracked(dfx.Dopri5(), dfx.PIDController(rtol=rtol, atol=atol), record=8)
    y = np.array([1.3, -0.2])
    sol = dfx.diffeqsolve(dfx.ODETerm(f), t0=0.1, t1=6.0, dt0=0.3, y0=jnp.asarray(y), **kwargs)
    stats = nde.statistics_of(sol)
    record = jax.tree.map(np.asarray, stats.record)
    assert int(stats.accepted) > 8 and np.all(record.h > 0)
    t, errors = 0.1, []
    for i in range(8):
        h = record.h[i]
        assert np.isclose(record.t[i], t, atol=1e-14)
        k = [field(t, y)]
        for row, c in zip(RK45.A[1:], RK45.C[1:], strict=True):
            k.append(field(t + c * h, y + h * np.tensordot(row[: len(k)], k, 1)))
        new = y + h * RK45.B @ np.array(k)
        k.append(field(t + h, new))
        scale = atol + rtol * np.maximum(abs(y), abs(new))
        # diffrax takes Shampine's embedded weights (1986): two thirds of the pair's own error
        errors.append(2 / 3 * np.sqrt(np.mean((h * (RK45.E @ np.array(k)) / scale) ** 2)))
        t, y = t + h, new
    assert np.allclose(record.error, errors, rtol=1e-6)
    assert np.all(record.error < 1) and record.error.max() <= float(stats.error.maximum)


def test_a_record_holds_every_sum():
    out = nde.solve(lambda t, y, args: jnp.cos(7 * y), jnp.linspace(0, 1, 3), 1.0, -0.5, record=64)
    s, r = out.statistics, out.statistics.record
    n = int(s.accepted)
    e, h = np.asarray(r.error)[:n], np.asarray(r.h)[:n]
    assert 3 < n < 64 and not np.any(np.asarray(r.error)[n:])
    assert np.isclose(h.sum(), 1.5) and np.isclose(h[0], s.first_step)
    sums = {"error": e, "squared": e**2, "weighted": e * h, "in_steps": (e + 1e-5) ** 0.2}
    for name, each in sums.items():
        summary = getattr(s, name)
        assert np.allclose(
            [summary.sum, summary.mean, summary.maximum], [each.sum(), each.mean(), each.max()]
        )


@pytest.mark.parametrize("solver", [dfx.Tsit5(), dfx.Dopri5(), dfx.Dopri8()])
def test_stiffness_of_a_linear_field_is_its_rate_on_every_step(solver):
    out = nde.solve(
        lambda t, y, args: jax.tree.map(lambda x: -7 * x, y), {"a": jnp.ones(2), "b": jnp.ones((2, 1))}, 0.0, 1.0,
        solver=solver, stiffness=("shampine", "jvp"), record=32,
    )  # fmt: skip
    n = int(out.statistics.accepted)
    for kind in ("shampine", "jvp"):
        each = np.asarray(out.statistics.record.stiffness[kind])[:n]
        assert n > 2 and np.allclose(each, 7, rtol=1e-6 if kind == "shampine" else 1e-12)


def test_stability_sizes_are_the_published_ones():
    """3.5068 and 3.3066 are what OrdinaryDiffEq.jl lists; 2 and 2.5127 are textbook (orders 2 and 3)."""
    known = {dfx.Tsit5(): 3.5068, dfx.Dopri5(): 3.3066, dfx.Heun(): 2.0, dfx.Bosh3(): 2.5127}
    for solver, size in known.items():
        assert abs(nde.stability_size(solver) - size) < 1e-4
    assert nde.stability_size(dfx.Kvaerno5()) == float("inf")


def test_diffrax_still_begins_with_a_hundredth_whatever_the_problem():
    """When this fails, diffrax selects its own first step: then dt0="hairer" can be left to it."""
    for rate in (1.0, 1e4):
        kwargs = nde.tracked(dfx.Tsit5(), dfx.PIDController(rtol=1e-2, atol=1e-2), record=1)
        y0 = jnp.ones(2) / rate
        sol = dfx.diffeqsolve(
            dfx.ODETerm(lambda t, y, args, r=rate: -y / r),
            t0=0.0,
            t1=1.0,
            dt0=None,
            y0=y0,
            **kwargs,
        )
        assert float(nde.statistics_of(sol).first_step) == 0.01


def test_what_cannot_be_tracked_is_refused():
    pid = dfx.PIDController(rtol=1e-3, atol=1e-3)
    with pytest.raises(
        OdescentError, match="no stiffness estimate 'shampin': did you mean 'shampine'"
    ):
        nde.tracked(dfx.Tsit5(), pid, stiffness="shampin")
    with pytest.raises(OdescentError, match="no tolerance"):
        nde.tracked(dfx.Tsit5(), dfx.ConstantStepSize())
    with pytest.raises(OdescentError, match="number of steps"):
        nde.tracked(dfx.Tsit5(), pid, record=-1)
    f = lambda t, y, args: -y
    with pytest.raises(OdescentError, match="Euler has no embedded error estimate"):
        nde.solve(f, jnp.ones(2), 0.0, 1.0, solver=dfx.Euler())
    with pytest.raises(OdescentError, match="Bosh3 has no two stages at the same time"):
        nde.solve(f, jnp.ones(2), 0.0, 1.0, solver=dfx.Bosh3(), stiffness="shampine")
    with pytest.raises(OdescentError, match="has no statistics"):
        nde.statistics_of(dfx.diffeqsolve(dfx.ODETerm(f), dfx.Tsit5(), 0.0, 1.0, 0.1, jnp.ones(2)))
