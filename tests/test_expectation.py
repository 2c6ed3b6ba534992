"""Expectations over outcomes whose law depends on the point: score-function gradients, and policy gradient methods."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import odescent as od

COSTS = jnp.array([1.0, 0.2, 0.7, -0.4])


def bandit(batch: int = 4, exact: bool = True, scale: float = 1.0) -> od.Expectation:
    """A softmax policy over four actions, whose cost depends on the point, too: the mean is a sum over the actions."""
    cost = lambda x, action: scale * (COSTS[action] + 0.1 * jnp.sum(x**2) + 0.2 * x[action])

    def mean(x: Any) -> Any:
        every = jax.vmap(lambda action: cost(x, action))(jnp.arange(4))
        return jnp.sum(jax.nn.softmax(x) * every)

    return od.Expectation(
        "f",
        lambda x, key: jax.random.categorical(key, x),
        lambda x, action: jax.nn.log_softmax(x)[action],
        cost,
        fun=mean if exact else None,
        batch=batch,
    )


AT = jnp.array([0.3, -0.5, 0.1, 0.4])


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_the_estimate_is_unbiased(batch: int) -> None:
    """Over 20,000 draws of u within five standard errors of the gradient of the sum over actions."""
    f = bandit(batch)
    picks = np.random.default_rng(0).uniform(size=20000)
    found = np.asarray(jax.jit(jax.vmap(lambda u: f.batch(AT, u)))(jnp.asarray(picks)))
    wanted = np.asarray(jax.grad(f.fun)(AT))
    assert np.all(np.abs(found.mean(0) - wanted) < 5 * found.std(0) / np.sqrt(len(picks)))


def test_it_is_the_estimate_by_hand() -> None:
    """Scores times the value less the mean of the others, and the gradient of the value, over the outcomes picked."""
    f = bandit(5)
    own = np.asarray(f.outcomes(AT, 0.37))
    values = np.asarray([f.of_outcome(AT, a) for a in own])
    each = []
    for i, action in enumerate(own):
        score = np.eye(4)[action] - np.asarray(jax.nn.softmax(AT))
        slope = 0.2 * np.asarray(AT) + 0.2 * np.eye(4)[action]
        each.append((values[i] - np.delete(values, i).mean()) * score + slope)
    np.testing.assert_allclose(f.batch(AT, 0.37), np.mean(each, 0), rtol=1e-10)


def test_a_constant_that_is_added_to_the_value_changes_nothing() -> None:
    f = bandit(6)
    moved = od.Expectation(
        "f", f.draw, f.log_density, lambda x, t: f.of_outcome(x, t) + 1000.0, batch=6
    )
    np.testing.assert_allclose(moved.batch(AT, 0.2), f.batch(AT, 0.2), rtol=1e-9)


def test_value_and_gradient_are_means_over_the_same_outcomes() -> None:
    f, exact = bandit(exact=False), bandit()
    assert abs(float(f.value(AT)) - float(exact.value(AT))) < 5 * 0.7 / 64
    np.testing.assert_allclose(f.grad(AT), exact.grad(AT), atol=0.05)
    assert float(f.value(AT)) == float(f.value(AT))


def test_pytrees_and_trajectories() -> None:
    """A linear policy with noise over three steps of a scalar plant; outcomes are the actions."""

    def rollout(x: Any, key: Any) -> Any:
        def step(s: Any, k: Any) -> Any:
            action = x["gain"] * s + x["bias"] + 0.3 * jax.random.normal(k)
            return 0.9 * s + action, (s, action)

        return jax.lax.scan(step, jnp.asarray(1.0), jax.random.split(key, 3))[1]

    def log_density(x: Any, path: Any) -> Any:
        s, action = path
        return -jnp.sum((action - x["gain"] * s - x["bias"]) ** 2) / (2 * 0.3**2)

    cost = lambda x, path: jnp.sum(path[0] ** 2) + 0.1 * jnp.sum(path[1] ** 2)
    f = od.Expectation("f", rollout, log_density, cost, batch=16)
    at = {"gain": jnp.asarray(-0.4), "bias": jnp.asarray(0.1)}

    def by_reparametrization(x: Any) -> Any:
        keys = jax.random.split(jax.random.key(1), 20000)
        return jnp.mean(jax.vmap(lambda k: cost(x, rollout(x, k)))(keys))

    wanted = jax.grad(by_reparametrization)(at)
    picks = jnp.asarray(np.random.default_rng(0).uniform(size=3000))
    found = jax.jit(jax.vmap(lambda u: f.batch(at, u)))(picks)
    for name, leaf in found.items():
        error = float(jnp.std(leaf)) / np.sqrt(3000)
        assert abs(float(jnp.mean(leaf)) - float(wanted[name])) < 6 * error


# methods


def test_stochastic_gradient_descent_learns_the_best_action() -> None:
    f = bandit(8, scale=5.0)
    run = od.algorithm("sgd", noise="minibatch").run(f, np.zeros(4), 400, h=0.05, key=0)
    least = min(float(f.fun(jnp.asarray(p))) for p in run.x)
    assert least < float(f.fun(jnp.zeros(4))) - 0.7 and run.counts["examples"][-1] == 3200


@pytest.mark.parametrize("normalized", [False, True])
def test_averages_with_a_look_ahead_are_policy_gradient_methods(normalized: bool) -> None:
    """By a loop with the same outcomes: sampled at the look-ahead, averaged, normalized (arXiv:2302.01734)."""
    method = od.algorithm("implicit_gradient_transport", normalized=normalized, noise="minibatch")
    f, h, beta = bandit(4), 0.05, 0.8
    picks: list[float] = []
    batch = f.oracles["batch"]

    def watched(at: Any, u: Any) -> Any:
        jax.debug.callback(lambda n: picks.append(float(n)), u)
        return batch(at, u)

    f.oracles["batch"] = watched
    start = np.asarray(AT)
    run = method.run(f, start, 30, h=h, beta=beta, key=3)
    jax.effects_barrier()
    assert len(picks) == 30
    x, d = start, np.asarray(f.grad(AT)) if normalized else np.zeros(4)
    for k, u in enumerate(picks):
        speed = d / np.linalg.norm(d) if normalized else d
        at = x - beta / (1 - beta) * h * speed
        d = beta * d + (1 - beta) * np.asarray(bandit(4).batch(jnp.asarray(at), u))
        x = x - h * (d / np.linalg.norm(d) if normalized else d)
        np.testing.assert_allclose(run.x[k + 1], x, rtol=1e-8, atol=1e-10)


def test_the_limit_is_the_flow_of_the_mean() -> None:
    method = od.algorithm("implicit_gradient_transport", noise="minibatch")
    drift = method.consistent_with().drift
    x, d = od.blocks("x d")
    T = od.parameters("T")
    assert od.dynamics.vanishes(drift[d] - (od.Objective("f").grad(x - T * d) - d) / T)


def test_refusals() -> None:
    with pytest.raises(od.OdescentError, match="noise"):
        od.algorithm("implicit_gradient_transport", noise="rows")
    with pytest.raises(od.OdescentError, match="batch"):
        bandit(0)
    with pytest.raises(od.OdescentError, match="4 outcomes in every step"):
        bandit().batch(AT, 0.5, 7)
