"""The call: what it takes, what it refuses, batches, types, first steps, noise."""

import subprocess
import sys

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import odescent as od
from odescent import OdescentError
from odescent._support.errors import OdescentWarning
from odescent.neural_de.tracking.brownian import (
    BrownianTree,
    resolution,
)

nde = od.neural_de


def decay(t, y, rate):
    return jax.tree.map(lambda x: -rate * x, y)


def test_importing_loads_nothing():
    code = (
        "import sys, odescent.neural_de as n; assert 'solve' in n.__all__ and 'local' in n.regularizers();"
        "print(sorted({'jax', 'diffrax', 'numpy', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert all(getattr(nde, name) is not None for name in nde.__all__)


def test_closed_form_forwards_and_backwards_and_as_many_solves_at_once():
    y0 = jnp.asarray([[1.0], [2.0], [0.0]])
    field = lambda t, y, rate: -rate * y**3  # y = y0 / sqrt(1 + 2 rate t y0^2)
    exact = lambda y, t: y / np.sqrt(1 + 2 * 1.5 * t * y**2)
    for t1 in (2.0, -0.05):
        run = jax.jit(lambda y, t1=t1: nde.solve(field, y, 0, t1, 1.5, rtol=1e-9, atol=1e-9))
        out = run(y0)
        assert np.allclose(out.ys[-1], exact(np.asarray(y0), t1), rtol=1e-7)
    each = jax.jit(
        lambda y: nde.solve(field, y, 0, 2.0, 1.5, rtol=1e-9, atol=1e-9, per_sample=True)
    )(y0)
    run = jax.jit(lambda y: nde.solve(field, y, 0, 2.0, 1.5, rtol=1e-9, atol=1e-9))
    for i in range(3):
        alone = run(y0[i])
        assert np.allclose(each.ys[i], alone.ys, rtol=1e-12)
        for a, b in zip(
            jax.tree.leaves(eqx.filter(each.statistics, eqx.is_array)),
            jax.tree.leaves(eqx.filter(alone.statistics, eqx.is_array)),
            strict=True,
        ):
            assert a.shape == (3,) and np.allclose(a[i], b, rtol=1e-6, atol=1e-12)
    assert len(set(np.asarray(each.statistics.accepted).tolist())) > 1


def test_float32_stays_float32_and_its_resolution_is_guarded():
    y0 = jnp.ones(3, jnp.float32)
    rate = jnp.float32(2.0)
    out = nde.solve(decay, y0, 0.0, 1.0, rate, regularizer=nde.error() + nde.steps())
    assert out.ys.dtype == jnp.float32 and out.penalty.dtype == jnp.float32
    with pytest.raises(OdescentError, match="below the resolution of float32"):
        nde.solve(decay, y0, 0.0, 1.0, rate, rtol=1.4e-8, atol=1.4e-8)
    with pytest.raises(OdescentError, match="below the resolution of bfloat16"):
        nde.solve(decay, y0.astype(jnp.bfloat16), 0.0, 1.0, 2.0, rtol=1e-3, atol=1e-3)
    with pytest.warns(OdescentWarning, match="within ten times the resolution of float32"):
        eqx.filter_eval_shape(
            lambda y: nde.solve(decay, y, 0.0, 1.0, rate, rtol=2e-7, atol=2e-7), y0
        )
    out = nde.solve(decay, y0, 0.0, 1.0, rate, rtol=1.4e-8, atol=1.4e-8, paper=2021)
    assert np.allclose(out.ys, np.exp(-2), rtol=1e-5)


def test_times_of_another_type_do_not_widen_the_state():
    """diffrax promotes the state to the type of the times; a float32 model stays one whatever they are."""
    y0, ts = jnp.ones(3, jnp.float32), jnp.linspace(0.0, 1.0, 4)
    assert ts.dtype == jnp.float64
    rate, tol = jnp.float32(2.0), {"rtol": 1e-4, "atol": 1e-4}
    for options in (
        {"saveat": dfx.SaveAt(ts=ts)},
        {"saveat": dfx.SaveAt(subs={"a": dfx.SubSaveAt(ts=ts)})},
        {"controller": dfx.StepTo(ts), **tol},
        {"dt0": ts[1], **tol},
    ):
        out = eqx.filter_eval_shape(
            lambda y, o=options: nde.solve(decay, y, ts[0], ts[-1], rate, **o), y0
        )
        floats = [x.dtype for x in jax.tree.leaves((out.ys, out.ts, out.statistics.error))]
        assert {d for d in floats if jnp.issubdtype(d, jnp.floating)} == {np.dtype("float32")}
    whole = {"a": y0, "n": jnp.arange(2)}  # whole numbers take the type of the rest
    out = eqx.filter_eval_shape(lambda y: nde.solve(decay, y, 0, 1, rate), whole)
    assert {x.dtype for x in jax.tree.leaves(out.ys)} == {np.dtype("float32")}


@pytest.mark.parametrize("name", ["controlled", "split", "symplectic"])
def test_terms_that_are_not_one_odes_begin_with_a_hundredth_of_the_interval(name):
    """A controlled equation, an implicit-explicit splitting, a symplectic pair: against their closed forms."""
    y0 = jnp.asarray([1.0, 0.5, -2.0])
    path = dfx.LinearInterpolation(jnp.asarray([0.0, 2.0]), jnp.asarray([[0.0, 0.0], [3.0, 1.0]]))
    growth = lambda t, y, a: jnp.stack([-y, 0.5 * y], axis=-1)  # dy = -y dx1 + y dx2 / 2
    forces = (
        dfx.ODETerm(lambda t, p, a: p),
        dfx.ODETerm(lambda t, q, a: -q),
    )
    terms, solver, start, exact = {
        "controlled": (dfx.ControlTerm(growth, path), None, y0, y0 * np.exp(-3.0 + 0.5)),
        "split": (
            dfx.MultiTerm(dfx.ODETerm(decay), dfx.ODETerm(lambda t, y, a: -9.0 * y)),
            dfx.KenCarp3(), y0, y0 * np.exp(-2 * 10.0),
        ),
        "symplectic": (
            forces, dfx.HalfSolver(dfx.SemiImplicitEuler()), (y0, 0 * y0), (y0 * np.cos(2), -y0 * np.sin(2)),
        ),
    }[name]  # fmt: skip
    tol = 1e-3 if name == "symplectic" else 1e-5
    out = jax.jit(
        lambda y: nde.solve(
            terms, y, 0.0, 2.0, 1.0, solver=solver, rtol=tol, atol=tol, regularizer=nde.error(), record=1
        )
    )(start)  # fmt: skip
    for a, b in zip(jax.tree.leaves(out.ys), jax.tree.leaves(exact), strict=True):
        assert np.allclose(a[-1], b, atol=60 * tol)
    assert np.isfinite(out.penalty) and float(out.statistics.record.h[0]) <= 0.02 + 1e-12
    assert name != "symplectic" or out.statistics.drift_evaluations is None
    with pytest.raises(OdescentError, match=r"one vector field|several terms"):
        more = {"regularizer": nde.taylor()} if name != "symplectic" else {"stiffness": "jvp"}
        nde.solve(terms, start, 0.0, 2.0, 1.0, solver=solver, dt0=0.1, **more)


@pytest.mark.parametrize(
    "rtol, atol", [(-1e-3, 1e-3), (0.0, 0.0), (float("nan"), 1e-3), (float("inf"), 1e-3)]
)
def test_tolerances_that_are_none(rtol, atol):
    with pytest.raises(OdescentError, match="tolerances must be positive numbers"):
        nde.solve(decay, jnp.ones(2), 0.0, 1.0, 1.0, rtol=rtol, atol=atol)


def test_mismatched_shapes_and_other_bad_input():
    y, pid = jnp.ones(3), dfx.PIDController(rtol=1e-3, atol=1e-3)
    bad = [
        (lambda: nde.solve(lambda t, y, a: y[:2], y, 0.0, 1.0), r"shape \(2,\).*shape \(3,\)"),
        (lambda: nde.solve(lambda t, y, a: {"y": y}, y, 0.0, 1.0), "one derivative for each leaf"),
        (lambda: nde.solve(lambda t, y, a: y.astype(jnp.float32), y, 0.0, 1.0), "float32"),
        (lambda: nde.solve(3, y, 0.0, 1.0), "not int"),
        (lambda: nde.solve(decay, {}, 0.0, 1.0, 1.0), "no leaves"),
        (lambda: nde.solve(decay, y, 0.0, jnp.ones(2), 1.0), "one number each"),
        (lambda: nde.solve(decay, y, 0.0, 1.0, 1.0, dt0="harier"), "'harier' is not known"),
        *((lambda h=h: nde.solve(decay, y, 0.0, 1.0, 1.0, dt0=h), "dt0= must be one positive number")
          for h in (0.0, float("nan"), y, [0.1], nde.WarmStart(0.0))),
        *((lambda t=t: nde.solve(decay, y, 0.0, t, 1.0), sentence)
          for t, sentence in ((float("nan"), "t1 must be finite"), (None, "t1 must be a number"))),
        (lambda: nde.solve(decay, {"y": "abc"}, 0.0, 1.0, 1.0), "y0 must be a pytree of arrays"),
        (lambda: nde.solve(decay, y, 0.0, 1.0, 1.0, rtol="1e-3"), "not rtol='1e-3'"),
        (lambda: nde.solve(decay, y, 0.0, 1.0, 1.0, paper=2022), "2021 or 2023, not 2022"),
        *((lambda n=n: nde.solve(decay, y, 0.0, 1.0, 1.0, max_steps=n), "whole number, at least 1")
          for n in (0, -1, 2.5)),
        *((lambda k=k, v=v: nde.solve(decay, y, 0.0, 1.0, 1.0, **{k: v}), f"{k}(=| of solve) must be a")
          for k, v in (("solver", "tsit5"), ("solver", dfx.Tsit5), ("controller", dfx.PIDController), ("saveat", y),
                       ("adjoint", "direct"), ("regularizer", "error"))),
        *((lambda k=k: nde.solve(decay, y, 0.0, 1.0, 1.0, key=k), "one JAX key") for k in (0, jr.split(jr.key(0)))),
        (lambda: nde.solve(decay, jnp.ones((0, 2)), 0.0, 1.0, 1.0, per_sample=True), "leading axis"),
        (lambda: nde.solve(decay, y, 0.0, 1.0, 1.0, controller=pid, rtol=1e-3), "not both"),
        (lambda: nde.solve(decay, y, 0.0, 1.0, 1.0, controller=dfx.ConstantStepSize(), rtol=1, atol=1), "give dt0="),
        (lambda: nde.solve(decay, jnp.ones(()), 0.0, 1.0, 1.0, per_sample=True), "leading axis"),
        (lambda: nde.solve(decay, y, 0.0, 1.0, 1.0, regularizer=nde.local()), "draws at random"),
        (lambda: nde.solve(decay, y, 0.0, 1.0, 1.0, diffusion=decay), "give key="),
        (lambda: nde.solve(decay, y, 0.0, 1.0, 1.0, diffusion=lambda t, y, a: y[:2], key=jr.key(0)), "diagonal"),
        (lambda: nde.solve(dfx.ODETerm(decay), y, 0.0, 1.0, 1.0, diffusion=decay, key=jr.key(0)), "of your own"),
        (lambda: nde.solve(decay, y, 0.0, 1.0, 1.0, brownian_tolerance=0.01), "goes with diffusion="),
        *((lambda r=r: nde.solve(decay, y, 0.0, 1.0, 1.0, diffusion=decay, key=jr.key(0), brownian_tolerance=r), part)
          for r, part in ((-1.0, "positive length"), (0.5, "leaves no step"))),
        (lambda: nde.solve(decay, y, 0.0, 1.0, 1.0, regularizer=nde.stiffness(), solver=dfx.Kvaerno3()),
         "no effect on the"),
        (lambda: nde.solve(decay, y, 0.0, 1.0, 1.0, regularizer=nde.local(), solver=dfx.Kvaerno3(), key=jr.key(0)),
         "root finder"),
        (lambda: nde.solve(decay, y, 0.0, 1.0, 1.0, regularizer=nde.jacobian()), "draws at random"),
        (lambda: nde.solve(decay, y, 0.0, 1.0, 1.0, regularizer=nde.steer(1.0), key=jr.key(0)), "narrower"),
        (lambda: nde.solve(decay, y, 0.0, 1.0, 1.0, regularizer=nde.constant(1.0) * nde.error()), "schedule"),
    ]  # fmt: skip
    for call, sentence in bad:
        with pytest.raises(OdescentError, match=sentence) as caught:
            call()
        assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_hairers_first_step_scales_with_time_as_the_book_has_it():
    """By hand for y' = -r y in one dimension: d0 = 1/s, d1 = r/s, h0 = .01/r, d2 = r^2/s, h1 = (.01/max)^(1/5)."""
    rtol, atol = 1e-6, 1e-8
    for rate in (1e-3, 1.0, 1e3):
        h, slope = nde.initial_step(
            lambda t, y, a, r=rate: -r * y,
            0.0,
            jnp.asarray([2.0]),
            None,
            order=5,
            rtol=rtol,
            atol=atol,
        )
        s = atol + 2 * rtol
        assert np.isclose(
            h, min(1.0 / rate, (0.01 * s / max(2 * rate, 2 * rate**2)) ** 0.2), rtol=1e-9
        )
        assert np.isclose(slope[0], -2 * rate)
    h, _ = nde.initial_step(
        lambda t, y, a: 0 * y, 0.0, jnp.zeros(2), None, order=5, rtol=rtol, atol=atol
    )
    assert np.isclose(h, 1e-6)


def test_a_warm_start_climbs_no_ramp():
    """Solves of the same problem one after the other: the first step becomes the one that just passes."""
    field = lambda t, y, a: jnp.stack([y[1], -y[0]])
    y0 = jnp.asarray([0.0, 1.0])

    @jax.jit
    def again(warm):
        out = nde.solve(field, y0, 0.0, 3.0, dt0=warm, rtol=1e-6, atol=1e-6)
        return warm.updated(out.statistics), out.statistics

    warm, seen = nde.WarmStart(1e-3), []
    for _ in range(6):
        warm, stats = again(warm)
        seen.append(stats)
    assert int(seen[-1].drift_evaluations) < int(seen[0].drift_evaluations)
    assert int(seen[-1].rejected) == 0 and 0.1 < float(seen[-1].first_error) < 1
    # E grows as h^5, so that the step which just passes is the first one times E^(-1/5), less the safety 0.9
    predicted = 0.9 * seen[-1].first_step * seen[-1].first_error ** (-0.2)
    assert np.isclose(warm.dt0, predicted, rtol=1e-12)
    assert np.isclose(warm.dt0, seen[-1].first_step, rtol=0.05)


SDE = {"rtol": 1e-2, "atol": 1e-2, "dt0": 0.02}


def test_noise_that_may_not_commute_needs_a_controller_that_revisits():
    pid = dfx.PIDController(rtol=1e-2, atol=1e-2)

    def call(diffusion, **kw):
        trace = lambda key: nde.solve(
            decay, jnp.ones(2), 0.0, 0.2, 1.0, diffusion=diffusion, key=key, **kw
        )
        return eqx.filter_eval_shape(trace, jr.key(0))

    mixing = lambda t, y, a: 0.1 * jnp.outer(y, jnp.ones(2))
    with pytest.raises(OdescentError, match="does not commute"):
        call(mixing, controller=pid)
    with pytest.raises(
        OdescentError, match="no kind of noise 'comutative': did you mean 'commutative'"
    ):
        call(mixing, noise="comutative")
    assert call(mixing, controller=pid, noise="commutative")
    assert call(mixing, controller=dfx.ClipStepSizeController(pid, store_rejected_steps=9))
    assert call(lambda t, y, a: 0.1 * jnp.eye(2), controller=pid)  # additive, as one sees


def test_stratonovich_black_scholes_and_the_regularizers_on_it():
    """dy = -y dt + s y o dW has y(1) = y0 exp(-1 + s W_1): pathwise, and the mean by the log-normal law."""
    s, n = 0.4, 400
    r = nde.error() + nde.steps() + nde.stiffness("jvp") + nde.local() + nde.local("jvp", "biased")

    @jax.jit
    def run(key):
        out = nde.solve(
            decay,
            jnp.ones((n,)),
            0.0,
            1.0,
            1.0,
            diffusion=lambda t, y, a: s * y,
            key=key,
            regularizer=r,
            **SDE,
        )
        return out.ys[-1], out.statistics, out.penalty

    y, stats, penalty = run(jr.key(1))
    logs = np.log(np.asarray(y)) + 1
    assert abs(logs.mean()) < 4 * s / np.sqrt(n) and abs(logs.std() / s - 1) < 4 / np.sqrt(2 * n)
    assert np.isfinite(penalty) and float(stats.stiffness["jvp"].mean) > 0
    # the drift is -y: its Jacobian is -1 along every direction
    assert np.isclose(stats.stiffness["jvp"].maximum, 1, rtol=1e-9)


def test_a_coarser_brownian_path_has_the_same_end():
    """W_1 is drawn first, whatever the resolution, so that the ends exp(-1 + s W_1) agree; no step is shorter."""
    s, y0 = 0.4, jnp.ones(40)

    @jax.jit
    def run(key, length):
        out = nde.solve(
            decay, y0, 0.0, 1.0, 1.0, diffusion=lambda t, y, a: s * y, key=key, brownian_tolerance=length, record=99,
            rtol=3e-3, atol=3e-3, dt0=0.01,
        )  # fmt: skip
        return jnp.log(out.ys[-1]) + 1, out.statistics

    found = {length: run(jr.key(1), length) for length in (2.0**-5, 2.0**-8, 2.0**-13)}
    fine, _ = found[2.0**-13]
    assert 0.7 * s < np.std(fine) < 1.3 * s
    for length, (logs, stats) in found.items():
        np.testing.assert_allclose(logs, fine, atol=0.03)
        h = np.asarray(stats.record.h)[: int(stats.accepted) - 1]
        assert h.min() > 2 * length * (1 - 1e-6) or length == 2.0**-13
    assert int(found[2.0**-5][1].accepted) < int(found[2.0**-13][1].accepted)


def test_both_ends_at_once_are_diffraxs_increments():
    """W and H on [s, u] of a pytree, on an interval that is not the unit one; none on an empty step."""
    struct = lambda *shape: jax.ShapeDtypeStruct(shape, jnp.float64)
    tree = dfx.VirtualBrownianTree(
        -1.0, 2.0, 2.0**-6, {"a": struct(3), "b": struct(2, 2)}, jr.key(0), dfx.SpaceTimeLevyArea
    )
    both = jax.jit(
        lambda s, u: (
            BrownianTree(tree).evaluate(s, u, use_levy=True),
            tree.evaluate(s, u, use_levy=True),
        )
    )
    for s, u in ((-1.0, 2.0), (-0.3, 1.1), (0.7, 0.72), (0.5, 0.5), (-1.0, -0.99)):
        ours, theirs = both(s, u)
        assert jax.tree.structure(ours) == jax.tree.structure(theirs)
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        BrownianTree(tree).evaluate(0.2, 0.4)["a"], tree.evaluate(0.2, 0.4)["a"], rtol=1e-9
    )


@given(st.floats(1e-8, 10.0), st.floats(1e-8, 10.0), st.floats(0.1, 100.0))
def test_the_default_resolution_is_an_eighth_of_the_tolerance(rtol, atol, span):
    found = float(resolution(None, None, rtol, atol, jnp.asarray(span)))
    expected = np.clip(min(rtol, atol) / 8, 2.0**-12, 2.0**-7) * span
    assert np.isclose(found, expected, rtol=1e-12)
    own = dfx.PIDController(rtol=rtol, atol=atol, dtmin=span / 50)
    assert np.isclose(resolution(None, own, None, None, jnp.asarray(span)), span / 100)


def test_a_stochastic_local_step_is_the_solves_own():
    """Made again on the same Brownian path, the captured step has a recorded error to rounding."""
    out = jax.jit(
        lambda key: nde.solve(
            decay, jnp.ones(5), 0.0, 1.0, 1.0, diffusion=lambda t, y, a: 0.5 * y, key=key,
            regularizer=nde.local(), record=64, **SDE,
        )
    )(jr.key(4))  # fmt: skip
    errors = np.asarray(out.statistics.record.error)
    assert np.min(abs(errors - out.penalty)) < 1e-9 * out.penalty


def test_given_steps_are_looked_at_before_the_solve():
    """Without calls to the host, so that the program can be exported; a traced mesh is left to diffrax."""
    step_to = lambda *times: {
        "controller": dfx.StepTo(jnp.asarray(times)),
        "rtol": 1e-3,
        "atol": 1e-3,
    }
    run = lambda y, t0, t1, options: nde.solve(decay, y, t0, t1, 2.0, throw=False, **options).ys
    y0 = jnp.ones(2)
    for t0, t1, times, part in (
        (0.0, 1.0, (0.0, 0.5, 2.0), "from 0 to 2, the solve from 0 to 1"),
        (0.0, 1.0, (0.1, 1.0), "from 0.1 to 1, the solve from 0 to 1"),
        (0.0, 1.0, (0.0, 0.6, 0.6, 1.0), "go one way"),
        (1.0, 0.0, (1.0, 0.2, 0.4, 0.0), "go one way"),
    ):
        with pytest.raises(OdescentError, match=part):
            run(y0, t0, t1, step_to(*times))
    for t0, t1 in ((0.0, 1.0), (1.0, 0.0)):
        mesh = np.linspace(t0, t1, 9)
        known, traced = step_to(*mesh), jax.jit(lambda y, t: run(y, t[0], t[-1], step_to(*t)))
        ys = jax.jit(lambda y: run(y, t0, t1, known))  # noqa: B023
        np.testing.assert_allclose(ys(y0)[-1], np.exp(-2 * (t1 - t0)) * np.ones(2), rtol=1e-5)
        np.testing.assert_allclose(traced(y0, jnp.asarray(mesh)), ys(y0), rtol=1e-14)
        assert "callback" not in str(jax.make_jaxpr(ys)(y0))
        assert "callback" in str(jax.make_jaxpr(traced)(y0, jnp.asarray(mesh)))


@pytest.mark.parametrize(
    "saveat",
    [
        dfx.SaveAt(t1=True),
        dfx.SaveAt(ts=[0.0, 0.25]),
        dfx.SaveAt(steps=True),
        dfx.SaveAt(steps=True, t0=True, t1=True),
        dfx.SaveAt(t1=True, dense=True),
        dfx.SaveAt(steps=True, fn=lambda t, y, rate: {"t": t, "twice": 2 * y}),
    ],
)
def test_the_last_state_is_that_of_the_last_saved_time(saveat):
    """Places of steps that were not made are infinite; whatever is saved, the last is exp(-rate t) at the last time."""
    t1 = -1.0 if saveat.subs.steps else 1.0
    options = {"rtol": 1e-8, "atol": 1e-8, "saveat": saveat, "max_steps": 64}
    starts = jnp.asarray([[1.0, 2.0], [-3.0, 0.5]])
    one = nde.solve(decay, starts[0], 0.0, t1, 2.0, **options)
    many = nde.solve(decay, starts, 0.0, t1, 2.0, per_sample=True, **options)
    end = 0.25 if saveat.subs.ts is not None else t1
    for out, start in ((one, starts[0]), (many, starts)):
        last, factor = out.last, 1.0
        if isinstance(last, dict):
            assert np.allclose(last["t"], end)
            last, factor = last["twice"], 2.0
        assert np.allclose(last, factor * start * np.exp(-2 * end), rtol=1e-6)


@pytest.mark.parametrize(
    "saveat", [dfx.SaveAt(dense=True), dfx.SaveAt(subs=[dfx.SubSaveAt(t1=True), dfx.SubSaveAt(t0=True)])]
)  # fmt: skip
def test_there_is_no_last_state_where_none_or_several_are_saved(saveat):
    out = nde.solve(decay, jnp.ones(2), 0.0, 1.0, 2.0, saveat=saveat)
    with pytest.raises(OdescentError, match="there is no last saved state"):
        _ = out.last


FAILING = {
    "nan": lambda t, y, a: jnp.where(t > 0.5, jnp.nan, -a * y),
    "infinite": lambda t, y, a: jnp.where(t > 0.5, jnp.inf, -a * y),
    "blows up": lambda t, y, a: a * y**2,
    "too stiff": lambda t, y, a: -1e6 * a * (y - jnp.cos(t)),
}


def failing(t, y, args):
    """The field of that number, so that one program is compiled for all."""
    a, which = args
    return jax.lax.switch(which, list(FAILING.values()), t, y, a)


def failed(penalty):
    """A penalty and whether the solve succeeded, and the slope in a parameter, for this and the number of a field."""

    def total(a, which):
        out = nde.solve(
            failing, jnp.ones(1), 0.0, 2.0, (a, which), regularizer=0.1 * penalty, throw=False, max_steps=48,
            key=jr.key(0), rtol=1e-4, atol=1e-4,
        )  # fmt: skip
        return out.penalty, out.successful

    return jax.jit(jax.value_and_grad(total, has_aux=True)).lower(1.0, 0).compile()


@pytest.fixture(scope="module")
def failed_with_error():
    return failed(nde.error())


@pytest.fixture(scope="module")
def statistics_and_slope():
    """The statistics of a solve, and the slope of its error in a parameter, for this and the number of a field."""
    terms, pid = dfx.ODETerm(failing), dfx.PIDController(rtol=1e-4, atol=1e-4)
    kwargs = nde.tracked(dfx.Tsit5(), pid, record=4, stiffness="jvp")

    def statistics(a, which):
        found = dfx.diffeqsolve(
            terms, t0=0.0, t1=2.0, dt0=0.01, y0=jnp.ones(1), args=(a, which), throw=False, max_steps=48, **kwargs
        )  # fmt: skip
        return nde.statistics_of(found)

    slope = jax.grad(lambda a, which: nde.error().of(statistics(a, which)))
    return jax.jit(lambda a, which: (statistics(a, which), slope(a, which))).lower(1.0, 0).compile()


@pytest.mark.parametrize("name", FAILING)
def test_a_solve_that_failed_has_no_penalty(name, failed_with_error):
    """Neither a number nor a gradient that could be taken for one."""
    (value, fine), slope = failed_with_error(1.0, list(FAILING).index(name))
    assert not fine and np.isnan(value) and np.isnan(slope)


@pytest.mark.parametrize("penalty", ["steps", "stiffness", "taylor", "local"])
def test_a_solve_that_failed_has_no_penalty_of_any_kind(penalty):
    (value, fine), slope = failed(nde.regularizer(penalty))(1.0, list(FAILING).index("nan"))
    assert not fine and np.isnan(value) and np.isnan(slope)


def test_a_row_that_failed_leaves_the_others_their_penalty():
    out = nde.solve(
        FAILING["blows up"], jnp.asarray([[1.0], [0.1]]), 0.0, 2.0, 1.0, regularizer=0.1 * nde.error(), throw=False,
        max_steps=48, per_sample=True, rtol=1e-4, atol=1e-4,
    )  # fmt: skip
    assert out.successful.tolist() == [False, True]
    assert np.isnan(out.penalty[0]) and np.isfinite(out.penalty[1])


@pytest.mark.parametrize("name", FAILING)
def test_statistics_of_a_solve_that_failed(name, statistics_and_slope):
    """What is read off them is no number either, however the solve was made; counts and steps remain."""
    seen, slope = statistics_and_slope(1.0, list(FAILING).index(name))
    for r in (nde.error(), nde.error("scaled", "max"), nde.steps("mean"), nde.stiffness()):
        assert np.isnan(r.of(seen)), r
    assert np.isnan(slope)
    assert (
        seen.accepted > 0 and 0 < seen.first_step <= 0.01 and np.isfinite(seen.record.error).all()
    )
