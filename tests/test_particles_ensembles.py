"""Whole runs: laws of large numbers in closed form, devices to the bit, derivatives, what goes wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from two_devices import printed

import odescent as od
from odescent.particles import gaussian_start, simulate, stepper, uniform_start

P = {"lam": 1.0, "sigma": 0.7, "h": 0.05, "alpha": 20.0}


def algorithm(noise="isotropic"):
    return od.Algorithm(od.system("cbo", noise=noise), od.scheme("explicit_euler"))


@pytest.fixture(scope="module")
def cbo():
    return algorithm()


@pytest.fixture(scope="module")
def rastrigin():
    return od.objective("rastrigin", dimension=2)


def test_a_run_is_its_steps(cbo, rastrigin):
    """The rows of several runs are what the steps of each show, one after the other."""
    start = gaussian_start([1.0, 2.0], 1.5, 30)
    done = simulate(cbo, rastrigin, start, 7, params=P, runs=3, seed=4, record_every=3)
    np.testing.assert_array_equal(done.k, [0, 3, 6, 7])
    one = stepper(cbo, rastrigin, dimension=2, particles=30)
    step = jax.jit(one.step)
    for run in range(3):
        state, seen, least = one.init(4, run, start), [], []
        for k in range(8):
            before = state
            state, record = step(state, k, P)
            seen.append(record)
            least.append(float(record.best_value))
        for row, k in enumerate(done.k):
            np.testing.assert_allclose(done.consensus[run, row], seen[k].consensus, rtol=1e-9)
            np.testing.assert_allclose(done.records.ess[run, row], seen[k].ess, rtol=1e-8)
            np.testing.assert_allclose(
                done.records.best_value[run, row], min(least[: k + 1]), rtol=1e-9
            )
        np.testing.assert_allclose(done.particles["x"][run], one.values(before)["x"], rtol=1e-9)
    np.testing.assert_array_equal(done.records.evaluations[0], 30 * (done.k + 1))
    assert (done.stopped_at == -1).all()
    at_best = np.sum(
        done.records.best_point**2 + 10 * (1 - np.cos(2 * np.pi * done.records.best_point)), -1
    )
    np.testing.assert_allclose(at_best, done.records.best_value, rtol=1e-12)


@pytest.mark.parametrize("noise", ["isotropic", "anisotropic"])
def test_pinned_decay_of_the_euler_step(noise):
    """E|X|^2 with the consensus point at 0 decays per step by (1 - lam h)^2 + k sigma^2 h exactly, k = d or 1."""
    d, n, steps, h = 4, 20000, 100, 0.01
    pinned = od.Objective("f", fun=lambda x: jnp.where(jnp.all(x == 0), 0.0, 1e6 + jnp.sum(x**2)))
    x0 = np.random.default_rng(0).normal(size=(d, n))
    x0[:, 0] = 0
    done = simulate(
        algorithm(noise), pinned, x0, steps, params={"lam": 1, "sigma": 0.32, "h": h, "alpha": 1e3}
    )
    np.testing.assert_array_equal(done.consensus, 0)
    rate = -np.log(done.records.spread[0, -1] / done.records.spread[0, 0]) / (h * steps)
    k = d if noise == "isotropic" else 1
    factor = (1 - h) ** 2 + k * 0.32**2 * h
    assert abs(rate / (-np.log(factor) / h) - 1) < 0.01


def test_stationary_variance_of_langevin():
    """x+ = x - h m x + sqrt(2h) xi has the variance 1/(m (1 - h m/2))."""
    m, h, n = 2.0, 0.2, 20000
    f = od.Objective("f", fun=lambda x: m * jnp.sum(x**2) / 2)
    done = simulate(
        od.algorithm("unadjusted_langevin"),
        f,
        np.zeros(1),
        60,
        params={"h": h},
        particles=n,
        record_every=60,
    )
    want = 1 / (m * (1 - h * m / 2))
    got = np.mean(done.particles["x"] ** 2)
    assert abs(got - want) < 4 * want * np.sqrt(2 / n)
    assert np.isinf(done.records.best_value).all()  # nothing was evaluated


def test_it_finds_the_minimum(cbo):
    f = od.objective("ackley", dimension=2)
    p = {**P, "alpha": 1e15, "sigma": 0.6}
    done = simulate(
        cbo, f, uniform_start([-3, -1], [5, 4], 200), 200, params=p, runs=5, record_every=50
    )
    assert np.abs(done.consensus[:, -1]).max() < 1e-2


def test_schedules_see_the_step_before(cbo, rastrigin):
    """alpha = 10 (k + 1), lam 0.5 where the last spread is known and below 1, else 1."""

    def schedule(k, record):
        low = jnp.where(record.spread < 1, 0.5, 1.0)
        return {"alpha": 10.0 * (k.astype(float) + 1), "lam": low}

    x0 = np.random.default_rng(3).normal(size=(2, 25))
    fixed = {"sigma": 0.5, "h": 0.3}
    done = simulate(cbo, rastrigin, x0, 6, params=fixed, schedule=schedule)
    one, spread = stepper(cbo, rastrigin, dimension=2, particles=25), np.inf
    state, step = one.init(0, 0, x0), jax.jit(one.step)
    for k in range(7):
        p = {**fixed, "alpha": 10.0 * (k + 1), "lam": 0.5 if spread < 1 else 1.0}
        state, record = step(state, k, p)
        spread = float(record.spread)
        np.testing.assert_allclose(done.consensus[0, k], record.consensus, rtol=1e-9)
    assert spread < 1


def test_derivatives_of_the_outcome(cbo):
    """Of a loss of the last consensus point by lam, sigma and alpha, against central differences."""
    f = od.objective("rastrigin", dimension=2)
    x0 = np.random.default_rng(1).normal(size=(2, 24)) * 0.4 + 0.7

    def loss(p, block=None):
        end = simulate(
            cbo, f, x0, 10, params={**p, "h": 0.05}, block=block, record=("consensus",)
        ).consensus[0, -1]
        return jnp.sum((end - 0.3) ** 2)

    p = {n: jnp.asarray(v) for n, v in (("lam", 1.0), ("sigma", 0.4), ("alpha", 1.5))}
    value = jax.jit(loss)
    for block in (None, 7):
        slopes = jax.jit(jax.grad(lambda p, b=block: loss(p, b)))(p)
        for n in p:
            e = 1e-4  # fourth order, so that rounding and truncation both stay below the bar
            at = lambda t, n=n: float(value({**p, n: p[n] + t}))
            want = (8 * (at(e) - at(-e)) - (at(2 * e) - at(-2 * e))) / (12 * e)
            assert abs(float(slopes[n]) / want - 1) < 1e-6


SCRIPT = """
import numpy as np, odescent as od, jax
from odescent.particles import gaussian_start, simulate
assert len(jax.devices()) == 2
p = {"lam": 1.0, "sigma": 0.7, "h": 0.05, "alpha": 30.0}
for noise, name, d, n, block in (
    ("anisotropic", "rastrigin", 2, 600, 100), ("isotropic", "ackley", 5, 333, 100),
    ("isotropic", "rastrigin", 2, 50, None),
    ("anisotropic", "ackley", 3, 20, None), ("anisotropic", "rastrigin", 5, 257, 50),
):
    a = od.Algorithm(od.system("cbo", noise=noise), od.scheme("explicit_euler"))
    go = lambda devices: simulate(a, od.objective(name, dimension=d), gaussian_start(np.ones(d), 2.0, n), 15,
                                  params=p, block=block, devices=devices, seed=3)
    one, two = go(None), go(2)
    assert np.isfinite(one.consensus).all() and np.ptp(one.consensus) > 0.1
    np.testing.assert_array_equal(one.consensus, two.consensus)
    np.testing.assert_array_equal(one.particles["x"], two.particles["x"])
    np.testing.assert_array_equal(one.records.spread, two.records.spread)
print("same bits")
"""


def test_two_devices_to_the_same_bits():
    assert printed(SCRIPT) == "same bits"


def test_a_run_that_stops_is_reported_with_its_step(cbo):
    """Values are NaN as soon as all particles have come close together."""
    far = lambda x: jnp.where(jnp.ptp(x[:, 0]) < 0.5, jnp.nan, jnp.sum(x**2, axis=1))
    x0 = np.random.default_rng(0).normal(size=(2, 40))
    done = simulate(cbo, far, x0, 40, params={"lam": 1.0, "sigma": 0.0, "h": 0.1, "alpha": 1.0})
    shrinks = np.ptp(x0[0]) * 0.9 ** np.arange(40)
    assert done.stopped_at[0] == np.argmax(shrinks < 0.5)
    assert np.isfinite(done.consensus[0, : done.stopped_at[0]]).all()
    assert np.isnan(done.consensus[0, done.stopped_at[0] :]).all()
    assert done.records.nonfinite[0, done.stopped_at[0]] == 40


def test_large_populations_are_compiled_ahead_to_the_same_bits(cbo, monkeypatch):
    """What is compiled before memory is asked for takes starts of every shape, and is what is compiled otherwise."""
    from odescent.particles.engine import ensembles

    f = lambda x: jnp.sum(x**2, axis=1)
    starts = (np.arange(80.0).reshape(2, 40) / 40, gaussian_start(np.ones(2), 0.5, 40))
    go = lambda x0: simulate(cbo, f, x0, 6, params=P, block=10, record_every=2)
    usual = [go(x0) for x0 in starts]
    monkeypatch.setattr(ensembles, "_LARGE", 0)
    before = ensembles._ahead.cache_info().misses
    for x0, wanted in zip(starts, usual, strict=True):
        found = go(x0)
        np.testing.assert_array_equal(found.particles["x"], wanted.particles["x"])
        np.testing.assert_array_equal(found.records.spread, wanted.records.spread)
    assert ensembles._ahead.cache_info().misses == before + 2


START = np.zeros((2, 5))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": -1}, "steps must be a whole number of at least 0, not -1"),
        ({"runs": 0}, "runs must be"),
        ({"seed": 1.5}, "seed must be"),
        ({"x0": np.zeros((2, 2, 5))}, r"not \(2, 2, 5\) with 1 runs"),
        ({"x0": np.zeros(2)}, "particles="),
        ({"x0": START + np.nan}, "finite"),
        ({"x0": START.astype(str)}, "real numbers"),
        ({"x0": lambda seed, run: START}, "dimension= and particles="),
        ({"particles": 6}, "5 particles, but particles=6"),
        ({"devices": 99}, "devices=99"),
        ({"params": {}}, "alpha, h, lam, sigma"),
        ({"fun": lambda x: x[:, 0] + jnp.nan}, "cannot start"),
    ],
)
def test_bad_input(cbo, options, words):
    settings = {
        "fun": lambda x: jnp.sum(x**2, axis=1),
        "x0": START,
        "steps": 2,
        "params": P,
        **options,
    }
    with pytest.raises(od.OdescentError, match=words):
        simulate(cbo, **settings)
