"""Levenberg and Marquardt's method: against dense linear algebra, certified fits, and its own symmetries."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_tasks import Small

from odescent import OdescentError
from odescent.neural_de import Config, levenberg_marquardt, train

pytestmark = pytest.mark.promotion


def linearized(residuals, x):
    """Of a pytree, with a column per entry."""
    flat, unravel = jax.flatten_util.ravel_pytree(x)
    return lambda: (residuals(x), jax.jacfwd(lambda v: residuals(unravel(v)))(flat))


def one_step(residuals, x, *, penalty=None, state=None, **options):
    """The change and the state after it, for |r|^2 + penalty."""
    value = lambda p: jnp.sum(residuals(p) ** 2) + (0.0 if penalty is None else penalty(p))
    method = levenberg_marquardt(**options)
    state = method.init(x) if state is None else state
    offered = {"value": value(x), "value_fn": value, "linearized_fn": linearized(residuals, x)}
    return method.update(jax.grad(value)(x), state, x, **offered)


def minimized(residuals, x, steps, penalty=None):
    step = jax.jit(lambda x, state: one_step(residuals, x, penalty=penalty, state=state))
    state = levenberg_marquardt().init(x)
    for _ in range(steps):
        change, state = step(x, state)
        x = optax.apply_updates(x, change)
    return x


@partial(jax.jit, static_argnames="rate")
def linear_step(a, b, g, x, state, damping, *, rate=1.0):
    """The same for |a x - b|^2 + (g x + 1)^2, one trial; compiled once for a size."""
    options = {"learning_rate": rate, "trials": 1}
    state = levenberg_marquardt(**options).init(x) if state is None else state
    return one_step(
        lambda v: a @ v - b, x, penalty=lambda v: (g @ v + 1) ** 2, state=state._replace(damping=damping), **options
    )  # fmt: skip


@given(
    st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**16), st.sampled_from([1e-6, 1e-3, 1.0])
)
def test_a_step_solves_the_damped_normal_equations(m, p, seed, damping):
    """With linear residuals, and a penalty's root that is linear, the decrease is the promised one."""
    rng = np.random.default_rng(seed)
    a, b, g, x = (rng.normal(size=n) for n in ((m, p), m, p, p))
    change, state = linear_step(a, b, g, jnp.asarray(x), None, damping)
    a, b = np.vstack([a, g]), np.append(b, -1)
    size = damping * np.linalg.norm(a, 2) ** 2
    expected = -np.linalg.solve(a.T @ a + size * np.eye(p), a.T @ (a @ x - b))
    np.testing.assert_allclose(change, expected, rtol=1e-6, atol=1e-9 * np.abs(expected).max())
    np.testing.assert_allclose(state.ratio, 1, rtol=1e-6)
    assert state.damping == damping / 2


@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(0, 2**16), st.sampled_from([0.1, 0.5, 0.9])
)
def test_at_smaller_rates_the_matrix_is_a_mean_over_the_batches(m, p, seed, rate):
    """Past batches are forgotten by the share of the step that is taken, which is the one tried."""
    rng = np.random.default_rng(seed)
    b, g, x, damping = rng.normal(size=m), rng.normal(size=p), rng.normal(size=p), 1e-3
    state, mean = None, 0.0
    for k in range(4):
        a = rng.normal(size=(m, p))
        change, state = linear_step(a, b, g, jnp.asarray(x), state, damping, rate=rate)
        a, off = np.vstack([a, g]), np.append(a @ x - b, g @ x + 1)
        mean = a.T @ a if k == 0 else (1 - rate) * mean + rate * a.T @ a
        np.testing.assert_allclose(state.curvature.T @ state.curvature, mean, atol=1e-12)
        size = damping * np.linalg.norm(mean, 2)
        step = -rate * np.linalg.solve(mean + size * np.eye(p), a.T @ off)
        decrease = off @ off - np.sum((off + a @ step) ** 2)
        ratio = decrease / -(2 * off @ a @ step + step @ mean @ step)
        np.testing.assert_allclose(state.ratio, (ratio >= 0.1) * ratio, rtol=1e-6, atol=1e-9)
        scale = 1e-9 * np.abs(step).max()
        np.testing.assert_allclose(change, (ratio >= 0.1) * step, rtol=1e-6, atol=scale)


def test_a_rate_that_falls_as_one_over_the_steps_averages_the_noise_away():
    """Batches that differ by their noise: after n steps it stands at the mean of the n fits, exactly."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(5, 3))
    observed = rng.normal(size=(40, 5))
    x, state = jnp.asarray(10 * rng.normal(size=3)), None
    for b in observed:
        change, state = one_step(
            lambda v, b=b: jnp.asarray(a) @ v - jnp.asarray(b), x, state=state, damping=1e-12,
            learning_rate=lambda count: 1 / (1 + count),
        )  # fmt: skip
        x = x + change
    np.testing.assert_allclose(x, np.linalg.lstsq(a, observed.mean(0), rcond=None)[0], rtol=1e-6)


def test_a_rate_that_optax_injects_is_the_same():
    x, residuals = jnp.asarray([2.0, 1.0]), lambda v: v - 1
    half, _ = one_step(residuals, x, learning_rate=0.5)
    injected = optax.inject_hyperparams(levenberg_marquardt, static_args=("damping", "trials"))(0.5)
    value = lambda v: jnp.sum(residuals(v) ** 2)
    given = {"value": value(x), "value_fn": value, "linearized_fn": linearized(residuals, x)}
    change, state = injected.update(jax.grad(value)(x), injected.init(x), x, **given)
    np.testing.assert_allclose(change, half, rtol=1e-12)
    assert state.hyperparams["learning_rate"] == 0.5


def test_a_fit_that_is_certified():
    """Misra1a of NIST's reference data for nonlinear regression, from its second start."""
    x, y = np.array([
        77.6, 10.07, 114.9, 14.73, 141.1, 17.94, 190.8, 23.93, 239.9, 29.61, 289.0, 35.18, 332.8, 40.02, 378.4, 44.82,
        434.8, 50.76, 477.3, 55.05, 536.8, 61.01, 593.1, 66.40, 689.1, 75.47, 760.0, 81.78,
    ]).reshape(-1, 2).T  # fmt: skip
    residuals = lambda b: jnp.asarray(y) - b["1"] * (1 - jnp.exp(-b["2"] * jnp.asarray(x)))
    start = {"1": jnp.asarray(250.0), "2": jnp.asarray(5e-4)}
    found = minimized(residuals, start, 80)
    np.testing.assert_allclose(found["1"], 2.3894212918e02, rtol=1e-8)
    np.testing.assert_allclose(found["2"], 5.5015643181e-04, rtol=1e-8)
    np.testing.assert_allclose(jnp.sum(residuals(found) ** 2), 1.2455138894e-01, rtol=1e-9)


def test_a_small_penalty_slides_along_the_valley():
    """Of all (x, y) with x y = 1 the one with the smallest x^2 + y^2: at x = y with x^2 = 1 - c, exactly."""
    residuals = lambda v: jnp.stack([v[0] * v[1] - 1])
    found = minimized(residuals, jnp.asarray([4.0, 0.2]), 150, lambda v: 1e-3 * jnp.sum(v**2))
    np.testing.assert_allclose(found, [np.sqrt(1 - 1e-3)] * 2, atol=1e-7)


def test_neither_units_nor_axes_matter():
    """Residuals in other units, weights in turned axes: the same iterates."""
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(2, 2)))[0]
    residuals = lambda v: jnp.stack([10 * (v[1] - v[0] ** 2), 1 - v[0]])
    start = np.array([-1.2, 1.0])
    plain = minimized(residuals, jnp.asarray(start), 9)
    assert 1e-3 < np.abs(np.asarray(plain) - 1).max() < 1  # on its way
    scaled = minimized(lambda v: 1e3 * residuals(v), jnp.asarray(start), 9)
    turned = minimized(lambda v: residuals(jnp.asarray(turn) @ v), jnp.asarray(turn.T @ start), 9)
    np.testing.assert_allclose(scaled, plain, rtol=1e-8)
    np.testing.assert_allclose(turn @ turned, plain, rtol=1e-8)
    np.testing.assert_allclose(minimized(residuals, jnp.asarray(start), 60), [1, 1], rtol=1e-9)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_step_that_does_not_fall_is_not_taken(bad):
    """The loss is there at the start only: all trials fail, and the next batch begins with more damping."""
    x = jnp.asarray([1.0, 2.0])
    value = lambda v: jnp.where(jnp.all(v == x), jnp.sum(v**2), bad)
    method = levenberg_marquardt(damping=1e-2, trials=3)
    offered = {"value": value(x), "value_fn": value, "linearized_fn": linearized(lambda v: v, x)}
    change, state = method.update(2 * x, method.init(x), x, **offered)
    assert (np.asarray(change) == 0).all()
    np.testing.assert_allclose(state.damping, 1e-2 * 4**2)


def test_what_it_cannot_take():
    for bad in (0, np.nan):
        with pytest.raises(OdescentError, match=f"damping must be a positive number, not {bad!r}"):
            levenberg_marquardt(damping=bad)
    for bad in (0, 1.5, np.nan, True):
        with pytest.raises(OdescentError, match=f"above 0 and at most 1, not {bad!r}"):
            levenberg_marquardt(bad)
    with pytest.raises(OdescentError, match="trials must be a whole number"):
        levenberg_marquardt(trials=0)
    with pytest.raises(OdescentError, match=r"shapes \(1, 2\) and \(1, 2, 2\): ravel them"):
        one_step(lambda v: v[None], jnp.ones(2))


LM = Config("small", optimizer="levenberg_marquardt", precision="float64", dt0=0.05, max_steps=64)


def gradients(run):
    return [r["gradient"] for r in run.history if "gradient" in r]


def test_training_takes_it_by_name_and_resumes_to_the_same_bits(tmp_path):
    """The least squares of `Small` are at the exact rate: the gradient is zero there."""
    config = LM.replace(steps=8, validate_every=8, checkpoint_every=3)
    whole = train(config, task=Small())
    slopes = gradients(whole)
    assert slopes[-1] < 1e-9 < slopes[0]
    clipped = train(config.replace(clip=1e9), task=Small())
    assert clipped.model.rate == whole.model.rate

    def stop(step, total, record):
        if step == 4:
            raise KeyboardInterrupt

    averaged = config.replace(learning_rate=1.0, schedule="cosine")
    whole = train(averaged, task=Small())
    with pytest.raises(KeyboardInterrupt):
        train(averaged, task=Small(), out=tmp_path, progress=stop)
    again = train(averaged, task=Small(), out=tmp_path, resume=True)
    assert again.model.rate == whole.model.rate != clipped.model.rate


def test_one_backward_pass_has_the_gradient_and_the_jacobian():
    """By name or given as it is, the loss is traced there and where the trials are; inside another, once more."""

    class Counted(Small):
        traced = 0

        def loss(self, *args, **options):
            Counted.traced += options["training"]
            return super().loss(*args, **options)

    found, counts = [], []
    config = LM.replace(steps=3, validate_every=3)
    inside = optax.chain(levenberg_marquardt())
    for own in (None, levenberg_marquardt(), inside):
        Counted.traced = 0
        by_name = config if own is None else config.replace(optimizer=None)
        run = train(by_name, task=Counted(), optimizer=own)
        found.append((run.model.rate, *gradients(run)))
        counts.append(Counted.traced)
    assert counts[0] == counts[1] < counts[2]
    assert found[0] == found[1]
    np.testing.assert_allclose(found[2], found[0], rtol=1e-9)


@pytest.mark.untyped
def test_residuals_are_a_vector():
    class Matrix(Small):
        def loss(self, *args, **options):
            out = super().loss(*args, **options)
            return dataclasses.replace(out, residuals=out.residuals[None])

    with pytest.raises(OdescentError, match=r"small has some of the shape \(1, \d+\): take"):
        train(LM.replace(steps=1), task=Matrix())


def test_with_a_budget_the_residuals_are_those_of_the_mean():
    """Heun is exact for y' = 1, so that the penalty is 0 and the loss over 1 + lambda: their squares add up to it."""

    def difference(updates, state, params, *, value, linearized_fn, **extra):
        off = jnp.sum(linearized_fn()[0] ** 2) - value
        return jax.tree.map(lambda w: off + jnp.zeros_like(w), params), (value,)

    probe = optax.GradientTransformationExtraArgs(lambda params: (jnp.zeros(()),), difference)
    budget = {"regularizer": "error", "target_nfe": 500, "coefficient": 3.0}
    config = Config("small", steps=1, precision="float64", dt0=0.05, max_steps=64, **budget)
    found = train(config, task=Small("constant"), optimizer=probe)
    assert found.history[1]["loss"] > 0.1
    np.testing.assert_allclose(found.model.rate, 0.5, atol=1e-15)


def test_training_says_what_it_needs():
    with pytest.raises(OdescentError, match="small has none: take another optimizer, or return"):
        train(LM.replace(steps=1), task=Small(kind="end"))
    with pytest.raises(OdescentError, match="a cosine schedule requires a learning rate"):
        train(LM.replace(steps=1, schedule="cosine"), task=Small())
    with pytest.raises(OdescentError, match="above 0 and at most 1, not 2"):
        train(LM.replace(steps=1, learning_rate=2.0), task=Small())
    with pytest.raises(OdescentError, match="'damp'"):
        train(LM.replace(steps=1, optimizer_options={"damp": 1.0}), task=Small())
