"""Continuous normalizing flows against affine fields, whose densities are known, and as densities."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.linalg
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent import OdescentError

pytestmark = pytest.mark.promotion
nde = od.neural_de
TIGHT = {"rtol": 1e-10, "atol": 1e-10}
X = np.random.default_rng(0).normal(size=(7, 2))


def flow(a, b, t1, **options):
    field = jax.tree_util.Partial(lambda a, b, t, y: y @ a.T + b, jnp.asarray(a), jnp.asarray(b))
    return nde.ContinuousFlow(len(b), [], jr.key(0), t1=t1, field=field, **options)


@jax.jit
def affine_log_density(a, b, x):
    return flow(a, b, 0.7).log_density(x, **TIGHT)[0]


entries = st.lists(st.floats(-1.5, 1.5), min_size=6, max_size=6)


@settings(max_examples=15)
@given(entries)
def test_an_affine_flow_has_the_normal_density_of_its_closed_form(numbers):
    """z = e^(At) x + c is standard normal, so that x is N(-e^(-At) c, (e^(At)' e^(At))^-1)."""
    a, b, t = np.reshape(numbers[:4], (2, 2)), np.array(numbers[4:]), 0.7
    whole = scipy.linalg.expm(t * np.block([[a, b[:, None]], [np.zeros((1, 3))]]))
    e, c = whole[:2, :2], whole[:2, 2]
    law = scipy.stats.multivariate_normal(-np.linalg.solve(e, c), np.linalg.inv(e.T @ e))
    np.testing.assert_allclose(
        affine_log_density(a, b, jnp.asarray(X)), law.logpdf(X), rtol=1e-6, atol=1e-6
    )


def test_points_solved_one_by_one_have_the_same_density():
    a, b = np.array([[0.3, 0.8], [-0.2, -0.4]]), np.array([0.1, 0.2])
    f = flow(a, b, 0.7)
    each, solved = f.log_density(jnp.asarray(X), per_sample=True, **TIGHT)
    np.testing.assert_allclose(each, affine_log_density(a, b, jnp.asarray(X)), atol=1e-8)
    assert solved.penalty.shape == (len(X),)
    with pytest.raises(OdescentError, match="trace='exact' with per_sample=True"):
        f.log_density(jnp.asarray(X), jr.key(0), trace="hutchinson", per_sample=True)


def test_hutchinson_takes_its_values_and_their_mean_is_exact():
    """In the plane e'Ae is tr A + (A12 + A21) or tr A - (A12 + A21), each for half of the probes."""
    a, t = np.array([[0.3, 0.8], [-0.2, -0.4]]), 1.0
    model = flow(a, np.zeros(2), t, trace="hutchinson")
    same = jnp.asarray(np.tile(X[:1], (4000, 1)))
    found, _ = jax.jit(lambda key: model.log_density(same, key, **TIGHT))(jr.key(1))
    exact = float(model.log_density(same[:1], trace="exact", **TIGHT)[0][0])
    values = np.unique(np.round(np.asarray(found) - exact, 8))
    np.testing.assert_allclose(values, [-0.6, 0.6], atol=1e-6)
    assert abs(np.mean(found) - exact) < 5 * 0.6 / np.sqrt(4000)


def test_a_density_integrates_to_one_and_samples_follow_it():
    model = nde.ContinuousFlow(2, [8], jr.key(3), dtype=jnp.float64)
    line = np.linspace(-7, 7, 141)
    grid = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    density, _ = jax.jit(lambda m, x: m.log_density(x, rtol=1e-6, atol=1e-6))(
        model, jnp.asarray(grid)
    )
    weights = np.exp(np.asarray(density)) * 0.1**2
    assert abs(weights.sum() - 1) < 1e-4
    points, solved = jax.jit(lambda m: m.sample(jr.key(5), 4000, rtol=1e-6, atol=1e-6))(model)
    assert solved.statistics.accepted > 0 and points.shape == (4000, 2)
    mean = weights @ grid
    spread = np.sqrt(np.diag((weights[:, None] * (grid - mean)).T @ (grid - mean)))
    assert np.all(np.abs(points.mean(0) - mean) < 5 * spread / np.sqrt(4000))


def test_what_does_not_fit_is_refused():
    model = flow(np.eye(2), np.zeros(2), 1.0)
    for bad, part in (
        (lambda: model.log_density(jnp.zeros((3, 4))), r"shape \(batch, 2\), not \(3, 4\)"),
        (lambda: model.log_density(jnp.zeros((3, 2)), trace="hutchinson"), "draws at random"),
        (lambda: model.log_density(jnp.zeros((3, 2)), trace="exat"), "no trace 'exat'"),
        (lambda: nde.ContinuousFlow(2, [3], jr.key(0), trace="none"), "no trace 'none'"),
    ):
        with pytest.raises(OdescentError, match=part):
            bad()


def test_it_trains():
    """The density of the half moons, regularized: better than the best normal law after a few steps."""
    config = nde.Config(
        "moons-cnf", steps=40, batch=128, rtol=1e-3, atol=1e-3, model_options={"hidden": [16], "trace": "hutchinson"},
        regularizer="error", coefficient=0.01, validate_every=40, learning_rate=2e-2, schedule="constant", dt0=0.2,
    )  # fmt: skip
    run = nde.train(config)
    rows = run.task.rows(config).test["x"].astype(float)
    normal = scipy.stats.multivariate_normal(rows.mean(0), np.cov(rows.T)).logpdf(rows).mean()
    assert run.test["loss"] < -normal and run.test["nfe"] > 0
