"""Gradients of the regularizers against central differences on the mesh that was taken, held fixed."""

from dataclasses import replace

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import odescent as od
from odescent import OdescentError

nde = od.neural_de
KEYS = jr.split(jr.key(7), 4)
WEIGHTS = {
    "a": jr.normal(KEYS[0], (3, 8)),
    "b": jr.normal(KEYS[1], (8, 3)) / 2,
}
Y0 = {"u": jr.normal(KEYS[2], (4, 3)), "v": jnp.asarray([0.3])}
T0, T1, TOL = 0.0, 1.5, 1e-6
GLOBAL = {
    "error": nde.error("scaled", "sum"),
    "weighted mean": nde.error("weighted", "mean"),
    "squared max": nde.error("squared", "max"),
    "steps": nde.steps(),
    "shampine": nde.stiffness("shampine", "sum"),
    "jvp max": nde.stiffness("jvp", "max"),
    "taylor": nde.taylor(2),
}
LOCAL = {
    "unbiased": nde.local(),
    "biased": nde.local(time="biased"),
    "paper": nde.local(step="initial"),
    "paper biased": nde.local(time="biased", step="initial"),
    "stiffness": nde.local("shampine"),
    "product": nde.local("jvp"),
}


def field(t, y, w):
    return {
        "u": jnp.tanh(jnp.tanh(y["u"] @ w["a"] + t * y["v"][0]) @ w["b"]),
        "v": -y["v"] * jnp.mean(w["b"]),
    }


def weighted(regularizers, coefficients):
    total = None
    for i, r in enumerate(regularizers.values()):
        total = coefficients[i] * r if total is None else total + coefficients[i] * r
    return total


def direction(key):
    return jax.tree.map(
        lambda x, k: jr.normal(jr.key(k), x.shape), WEIGHTS, {"a": key, "b": key + 1}
    )


def moved(d, eps):
    return jax.tree.map(lambda w, x: w + eps * x, WEIGHTS, d)


@pytest.fixture(scope="module")
def adaptive():
    """Penalties by name at given weights, and their gradient, on the adaptive mesh; and the mesh."""

    @jax.jit
    def run(w, coefficients):
        def loss(w):
            r = weighted(GLOBAL, coefficients)
            out = nde.solve(
                field, Y0, T0, T1, w, rtol=TOL, atol=TOL, dt0=0.05, regularizer=r, record=32
            )
            return out.penalty, out.statistics

        return jax.value_and_grad(loss, has_aux=True)(w)

    return run


def test_gradients_of_the_global_ones_equal_central_differences_on_the_frozen_mesh(adaptive):
    names = list(GLOBAL)
    (_, stats), _ = adaptive(WEIGHTS, jnp.ones(len(names)))
    n = int(stats.accepted)
    record = jax.tree.map(np.asarray, stats.record)
    assert 5 < n < 32
    mesh = jnp.asarray([*record.t[:n], T1])

    @jax.jit
    def frozen(w, coefficients):
        r = weighted(GLOBAL, coefficients)
        return nde.solve(
            field, Y0, T0, T1, w, rtol=TOL, atol=TOL, controller=dfx.StepTo(mesh), regularizer=r
        ).penalty

    d, eps = direction(3), 1e-4
    for i, name in enumerate(names):
        c = jnp.zeros(len(names)).at[i].set(1.0)
        (value, _), gradient = adaptive(WEIGHTS, c)
        assert np.isclose(value, frozen(WEIGHTS, c), rtol=1e-9), name
        slope = sum(jnp.vdot(gradient[k], d[k]) for k in d)
        f = lambda e, c=c: frozen(moved(d, e), c)
        central = (8 * (f(eps) - f(-eps)) - (f(2 * eps) - f(-2 * eps))) / (12 * eps)
        assert abs(slope) > 1e-8 and np.isclose(slope, central, rtol=1e-5), name


def test_local_ones_against_central_differences_with_the_captured_state_fixed():
    from odescent.neural_de.regularization.penalty import InitialValueProblem, Outcome
    from odescent.neural_de.tracking.instrument import (
        seen_of,
        statistics_of,
        tracked,
    )

    key, controller = jr.key(5), dfx.PIDController(rtol=TOL, atol=TOL)
    problem = InitialValueProblem(
        dfx.ODETerm(field), Y0, jnp.asarray(T0), jnp.asarray(T1), WEIGHTS, dfx.SaveAt(t1=True), dfx.Tsit5(),
        controller, dfx.RecursiveCheckpointAdjoint(), controller.norm, 1,
    )  # fmt: skip
    captures = {}
    for r in LOCAL.values():
        captures |= r.needs(problem, key).captures
    kwargs = tracked(dfx.Tsit5(), controller, captures=captures)
    sol = dfx.diffeqsolve(problem.terms, t0=T0, t1=T1, dt0=0.05, y0=Y0, args=WEIGHTS, **kwargs)
    captured, stats, watch = seen_of(sol).captured, statistics_of(sol), kwargs["solver"].watch

    @jax.jit
    def values(w):
        see = Outcome(stats, captured, replace(problem, args=w), watch)
        return jnp.stack([r.value(see) for r in LOCAL.values()])

    d, eps = direction(11), 1e-4
    jacobian = jax.jit(jax.jacrev(values))(WEIGHTS)
    slopes = sum(jnp.tensordot(jacobian[k], d[k], axes=d[k].ndim) for k in d)
    f = lambda e: values(moved(d, e))
    central = (8 * (f(eps) - f(-eps)) - (f(2 * eps) - f(-2 * eps))) / (12 * eps)
    for name, a, b in zip(LOCAL, slopes, central, strict=True):
        assert abs(a) > 1e-12, name
        if not name.startswith(
            "paper"
        ):  # the paper's step has its length and first stage constant too
            assert np.isclose(a, b, rtol=1e-5), name


def test_captured_equals_recorded_under_every_adjoint():
    """The step made again has the recorded step's error; value and gradient are the same under each adjoint."""
    r = nde.local()

    def loss(w, adjoint):
        out = nde.solve(
            field, Y0, T0, T1, w, rtol=TOL, atol=TOL, dt0=0.05, regularizer=r, key=jr.key(4), record=32,
            adjoint=adjoint, max_steps=64,
        )  # fmt: skip
        return out.penalty, out.statistics

    found = [
        jax.jit(jax.value_and_grad(lambda w, a=a: loss(w, a), has_aux=True))(WEIGHTS)
        for a in (dfx.RecursiveCheckpointAdjoint(), dfx.BacksolveAdjoint(), dfx.DirectAdjoint())
    ]
    (value, stats), gradient = found[0]
    errors = np.asarray(stats.record.error)
    # E is a difference of states over the tolerance, and so is its rounding
    rounding = 4 * np.finfo(float).eps / TOL
    assert np.min(abs(errors - value)) < rounding and np.count_nonzero(errors) > 5
    assert value > 0.1  # a step that counts: the rounding is a part in 10^8 of it
    for (other, _), g in found[1:]:
        assert abs(other - value) < rounding
        assert all(np.allclose(g[k], gradient[k], rtol=1e-8) for k in g)
    forward = jax.jit(lambda w, d: jax.jvp(lambda w: loss(w, dfx.ForwardMode())[0], (w,), (d,)))
    d = direction(1)
    value_forward, slope = forward(WEIGHTS, d)
    assert abs(value_forward - value) < rounding
    assert np.isclose(slope, sum(jnp.vdot(gradient[k], d[k]) for k in d), rtol=1e-8)


def test_an_adjoint_that_cuts_the_gradient_is_refused():
    adjoint = dfx.BacksolveAdjoint()
    for r in (nde.error(), nde.local() + 0.1 * nde.steps()):
        with pytest.raises(
            OdescentError, match=r"BacksolveAdjoint cuts the gradient of (error|steps)"
        ):
            nde.solve(field, Y0, T0, T1, WEIGHTS, regularizer=r, key=jr.key(0), adjoint=adjoint)
    with pytest.raises(OdescentError, match="no statistics"):
        nde.solve(field, Y0, T0, T1, WEIGHTS, adjoint=dfx.ImplicitAdjoint())
    with pytest.raises(
        OdescentError, match=r"SPaRK needs separate drift and noise.*solver=diffrax\.Heun"
    ):
        nde.solve(field, Y0, T0, T1, WEIGHTS, adjoint=adjoint, diffusion=field, key=jr.key(0))
    small = {"u": Y0["u"][:1], "v": Y0["v"]}
    run = lambda w: nde.solve(field, small, T0, T1, w, adjoint=adjoint, rtol=1e-2, atol=1e-2)
    with pytest.raises(OdescentError, match="cuts the gradient of the statistics"):
        jax.grad(lambda w: run(w).statistics.error.sum)(WEIGHTS)


def test_a_zero_error_has_a_zero_gradient():
    """A constant field makes no error: |0| has no derivative, and the gradient must be 0, not NaN."""
    r = nde.error() + nde.steps() + nde.stiffness("shampine") + nde.stiffness("jvp") + nde.local()
    loss = lambda c: (
        nde.solve(
            lambda t, y, c: c, jnp.zeros(3), 0.0, 1.0, c, regularizer=r, key=jr.key(0)
        ).penalty
    )
    assert np.array_equal(jax.jit(jax.grad(loss))(jnp.zeros(3)), np.zeros(3))


def test_a_field_that_blows_up_leaves_no_penalty():
    r = nde.error() + nde.steps() + nde.local()

    @eqx.filter_jit
    def run(c):
        return nde.solve(
            lambda t, y, c: c * y**2,
            jnp.ones(2),
            0.0,
            2.0,
            c,
            regularizer=r,
            key=jr.key(0),
            max_steps=30,
            throw=False,
        )

    out = run(jnp.asarray(1.0))  # blows up at t = 1
    assert out.solution.result != dfx.RESULTS.successful and np.isnan(out.penalty)


def test_global_ones_under_every_adjoint_that_can_and_over_no_time_at_all():
    r = nde.error() + nde.steps() + nde.stiffness("shampine") + nde.local()

    def loss(w, adjoint, t1):
        field = lambda t, y, w: -w * jnp.sin(y)
        out = nde.solve(
            field,
            jnp.ones(3),
            0.0,
            t1,
            w,
            regularizer=r,
            key=jr.key(0),
            adjoint=adjoint,
            max_steps=64,
        )
        return out.penalty

    checkpointed = jax.jit(
        jax.value_and_grad(lambda w, t1: loss(w, dfx.RecursiveCheckpointAdjoint(), t1))
    )
    value, slope = checkpointed(2.0, 1.0)
    direct = jax.jit(jax.value_and_grad(lambda w: loss(w, dfx.DirectAdjoint(), 1.0)))(2.0)
    forward = lambda w: jax.jvp(lambda w: loss(w, dfx.ForwardMode(), 1.0), (w,), (1.0,))
    for other in (direct, jax.jit(forward)(2.0)):
        assert np.allclose(other, (value, slope), rtol=1e-10)
    assert np.array_equal(checkpointed(2.0, 0.0), (0, 0))
