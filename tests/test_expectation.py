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


@pytest.mark.parametrize("sized", [False, True])
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_derivatives_of_the_estimate_are_unbiased(batch: int, sized: bool) -> None:
    """Along a direction, over 20,000 draws of u: products with the Hessian, and with the third derivative."""
    f, along = bandit(batch), jnp.array([1.0, -0.5, 0.3, 0.8])
    more = (float(batch),) if sized else ()
    once = lambda of: lambda x: jax.jvp(of, (x,), (along,))[1]
    picks = jnp.asarray(np.random.default_rng(0).uniform(size=20000))
    found = [lambda u: once(lambda x: f.batch(x, u, *more))(AT)]
    wanted = [once(jax.grad(f.fun))(AT)]
    if not sized:
        found.append(lambda u: once(once(lambda x: f.batch(x, u)))(AT))
        wanted.append(once(once(jax.grad(f.fun)))(AT))
    for estimate, exact in zip(found, wanted, strict=True):
        each = np.asarray(jax.jit(jax.vmap(estimate))(picks))
        off = np.abs(each.mean(0) - np.asarray(exact))
        assert np.all(off < 5 * each.std(0) / np.sqrt(len(picks)))


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


# batches whose size is a scalar


Pieces = tuple[np.ndarray, ...]


def pieces(f: od.Expectation, own: np.ndarray) -> Pieces:
    """Scores, values and slopes of these outcomes."""
    scores = np.eye(4)[own] - np.asarray(jax.nn.softmax(AT))
    pairs = jax.vmap(jax.value_and_grad(f.of_outcome), (None, 0))(AT, own)
    return scores, *map(np.asarray, pairs)


def estimate(scores: np.ndarray, values: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """The mean of score times value less the mean of the others, and slope."""
    others = (values.sum() - values) / max(len(values) - 1, 1)
    return np.mean((values - others)[:, None] * scores + slopes, 0)


def jackknife(of: Pieces) -> np.ndarray:
    """The standard deviation of the estimate, from the estimates without one outcome each."""
    n = len(of[0])
    left = [estimate(*(np.delete(a, i, 0) for a in of)) for i in range(n)]
    return np.sqrt((n - 1) * np.var(left, 0))


@pytest.mark.parametrize("n", [1, 2, 3, 63, 64, 65, 130])
def test_a_sized_batch_is_the_estimate_by_hand(n: int) -> None:
    f = bandit()
    _, drawn, *_ = f._by_chunks(AT, 0.37, n)
    own = np.concatenate([np.asarray(drawn(k)) for k in range(-(-n // 64))])[:n]
    of = pieces(f, own)
    wanted = estimate(*of)
    np.testing.assert_allclose(f.batch(AT, 0.37, n - 0.5), wanted, rtol=1e-12, atol=1e-14)
    spread = np.asarray(f.deviation(AT, 0.37, n))
    if n < 3:
        assert np.all(np.isnan(spread))
    else:
        np.testing.assert_allclose(spread, jackknife(of), rtol=1e-9, atol=1e-8)


def test_sizes_share_what_is_compiled_and_those_that_are_none_give_no_number() -> None:
    f, traced = bandit(), []
    sized = jax.jit(lambda n: (traced.append(n), f.batch(AT, 0.2, n), f.deviation(AT, 0.2, n))[1:])
    for n in (1.0, 5.0, 200.0):
        assert np.all(np.isfinite(sized(jnp.asarray(n))[0]))
    for n in (0.0, -3.0, np.nan, np.inf):
        assert all(np.all(np.isnan(found)) for found in sized(jnp.asarray(n)))
    assert len(traced) == 1


@pytest.mark.parametrize("n", [1, 3, 100])
def test_a_sized_batch_is_unbiased_and_its_deviation_that_of_its_draws(n: int) -> None:
    """Over 8,000 draws: the mean within five standard errors; the square of the deviation is not too small in mean."""
    f = bandit()
    picks = jnp.asarray(np.random.default_rng(0).uniform(size=8000))
    found = np.asarray(jax.jit(jax.vmap(lambda u: f.batch(AT, u, float(n))))(picks))
    wanted = np.asarray(jax.grad(f.fun)(AT))
    assert np.all(np.abs(found.mean(0) - wanted) < 5 * found.std(0) / np.sqrt(len(picks)))
    if n > 2:
        spread = np.asarray(jax.jit(jax.vmap(lambda u: f.deviation(AT, u, float(n))))(picks))
        ratio = (spread**2).mean(0) / found.var(0)
        assert np.all(ratio > 0.95) and (n < 100 or np.all(ratio < 1.15))


def test_a_large_constant_in_the_value_cancels_in_a_sized_batch() -> None:
    """In float32, where values of 1000 have a resolution of 6e-5."""

    def shifted(by: float) -> od.Expectation:
        costs = jnp.asarray(COSTS, jnp.float32)
        cost = lambda x, action: costs[action] + 0.2 * x[action] + by
        return od.Expectation("f", bandit().draw, bandit().log_density, cost)

    with jax.enable_x64(False):
        at = jnp.asarray(AT, jnp.float32)
        for oracle in ("batch", "deviation"):
            one, other = (getattr(shifted(by), oracle)(at, 0.2, 100) for by in (1000.0, 0.0))
            assert other.dtype == jnp.float32
            np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-4)


def test_without_a_size_the_deviation_is_that_of_the_own_batch() -> None:
    f = bandit(7)
    of = pieces(f, np.asarray(f.outcomes(AT, 0.6)))
    np.testing.assert_allclose(f.deviation(AT, 0.6), jackknife(of), rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(f.batch(AT, 0.6), estimate(*of), rtol=1e-12)


# methods


def test_a_policy_gradient_method_whose_batches_grow() -> None:
    """AdaGrad with the norm test: the batch follows the test of the run's own gradients, and outcomes are counted."""
    f = bandit(scale=5.0)
    run = od.algorithm("adadagrad_norm").run(
        f, np.zeros(4), 150, key=0, rate=0.5, b0=4.0, b_max=500.0, delta=1e-6, eta=0.5
    )
    sizes = np.ceil(np.asarray(run.states["b"]))
    assert sizes[0] == 4 and np.all(np.diff(sizes) >= 0) and 20 < sizes[-1] <= 500
    assert np.array_equal(np.diff(run.counts["examples"]), sizes[:-1])
    assert float(f.fun(jnp.asarray(run.x[-1]))) < float(f.fun(jnp.zeros(4))) - 0.7


def test_a_batch_of_no_outcomes_ends_a_run_with_a_sentence() -> None:
    x, b = od.blocks("x"), od.blocks("b", kind="scalar")
    f, h, u = od.Objective("f"), od.parameters("h"), od.sample("u", "rows")
    made = od.method({x: x - h * f.batch(x, u, b), b: b - 1}, output=x, init={b: 3})
    run = made.run(bandit(), np.zeros(4), 10, key=0, h=1.0)
    assert "asks for 0 outcomes: a batch is that of 1 or more" in run.remark


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


@pytest.mark.parametrize("normalized", [False, True])
def test_averages_with_a_hessian_are_policy_gradient_methods(normalized: bool) -> None:
    """By a loop with the same outcomes, two estimates in a step (N-HARPG, arXiv:2302.01734, algorithm 3)."""
    method = od.algorithm("hessian_aided_momentum", normalized=normalized, noise="minibatch")
    f, h, beta = bandit(4), 0.05, 0.8
    asked: list[tuple[float, np.ndarray]] = []
    batch = f.oracles["batch"]

    def watched(at: Any, u: Any) -> Any:
        jax.debug.callback(
            lambda n, x: asked.append((float(n), np.asarray(x))), u, at, ordered=True
        )
        return batch(at, u)

    def product(at: Any, v: Any, u: Any) -> Any:
        jax.debug.callback(
            lambda n, x: asked.append((float(n), np.asarray(x))), u, at, ordered=True
        )
        return jax.jvp(lambda x: batch(x, u), (at,), (v,))[1]

    f.oracles |= {"batch": watched, "batchhvp": product}
    run = method.run(f, np.asarray(AT), 20, h=h, beta=beta, key=3)
    jax.effects_barrier()
    assert len(asked) == 40
    x, d = np.asarray(AT), np.asarray(f.grad(AT)) if normalized else np.zeros(4)
    for k in range(20):
        (w, between), (u, _) = asked[2 * k : 2 * k + 2]
        moved = -h * (d / np.linalg.norm(d) if normalized else d)
        if np.linalg.norm(moved) > 0:
            share = (between - x) @ moved / (moved @ moved)
            assert 0 < share < 1
            np.testing.assert_allclose(between, x + share * moved, atol=1e-12)
        x = x + moved
        turned = jax.jvp(
            lambda at, w=w: batch(at, w), (jnp.asarray(between),), (jnp.asarray(moved),)
        )[1]
        d = beta * (d + np.asarray(turned)) + (1 - beta) * np.asarray(batch(jnp.asarray(x), u))
        np.testing.assert_allclose(run.x[k + 1], x, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(run.states["d"][k + 1], d, rtol=1e-8, atol=1e-10)


def test_the_limit_with_a_hessian_has_no_lag() -> None:
    flow = od.algorithm("hessian_aided_momentum", noise="minibatch").consistent_with()
    x, d = od.blocks("x d")
    T, slope = od.parameters("T"), od.Objective("f").grad(x)
    assert od.dynamics.vanishes(flow.derivative(d - slope) + (d - slope) / T)


def test_the_limit_is_the_flow_of_the_mean() -> None:
    method = od.algorithm("implicit_gradient_transport", noise="minibatch")
    drift = method.consistent_with().drift
    x, d = od.blocks("x d")
    T = od.parameters("T")
    assert od.dynamics.vanishes(drift[d] - (od.Objective("f").grad(x - T * d) - d) / T)


def test_refusals() -> None:
    for name in ("implicit_gradient_transport", "hessian_aided_momentum"):
        with pytest.raises(od.OdescentError, match="noise"):
            od.algorithm(name, noise="rows")
    with pytest.raises(od.OdescentError, match="batch"):
        bandit(0)


def test_products_of_batches_count_their_outcomes() -> None:
    method = od.algorithm("hessian_aided_momentum", noise="minibatch")
    run = method.run(bandit(4), np.asarray(AT), 10, h=0.05, beta=0.8, key=3)
    assert run.counts["examples"].tolist() == [8 * k for k in range(11)]
    assert run.counts["minibatch products"][-1] == 10
