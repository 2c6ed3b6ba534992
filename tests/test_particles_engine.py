"""One step of the engine against NumPy written by hand, another package, and 40-digit arithmetic."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent.dynamics.random.normals import normals
from odescent.particles.engine import consensus
from odescent.particles.engine.engine import Record, stepper

P = {"lam": 1.0, "sigma": 0.8, "h": 0.05, "alpha": 30.0}
D, N = 3, 50


def algorithm(noise):
    return od.Algorithm(od.system("cbo", noise=noise), od.scheme("explicit_euler"))


def rastrigin(x):
    """Of points, shape (N, d)."""
    return jnp.sum(x**2 + 10 * (1 - jnp.cos(2 * jnp.pi * x)), axis=-1)


def by_hand(x, steps, noise, seed=0, p=P):
    """Euler-Maruyama of consensus-based optimization as textbooks have it; x is (N, d)."""
    path = []
    for k in range(steps):
        f = np.sum(x**2 + 10 * (1 - np.cos(2 * np.pi * x)), axis=1)
        w = np.exp(-p["alpha"] * (f - f.min()))
        m = w @ x / w.sum()
        path.append((m, f.min(), x[f.argmin()], w.sum() ** 2 / (w**2).sum(), ((x - m) ** 2).mean()))
        away = x - m
        size = (
            np.abs(away) if noise == "anisotropic" else np.linalg.norm(away, axis=1, keepdims=True)
        )
        size = away if noise == "anisotropic" else size
        xi = np.asarray(normals(seed, 0, k, dimension=x.shape[1], particles=len(x))).T
        x = x - p["lam"] * p["h"] * away + p["sigma"] * np.sqrt(p["h"]) * size * xi
    return x, path


@given(st.integers(1, 20), st.floats(-1e8, 1e8))
@settings(max_examples=15)
def test_scatter_of_parts_is_the_distance_of_all(n, offset):
    """The last part may be short; there is no cancellation far from the origin."""
    d, size = 3, 4
    x = np.random.default_rng(n).normal(size=(d, n)) + offset
    filled = np.pad(x, ((0, 0), (0, -n % size)), constant_values=np.nan)
    parts = [
        consensus.scatter(jnp.asarray(filled[:, i : i + size]), (jnp.arange(i, i + size) < n)[None])
        for i in range(0, n, size)
    ]
    whole = jax.tree.map(lambda *a: jnp.stack(a), *parts)
    center = x.mean(axis=1) + 0.5
    found = consensus.distance(whole, jnp.asarray(center))
    assert float(found) == pytest.approx(np.sum((x - center[:, None]) ** 2), rel=1e-6)


@pytest.fixture(scope="module")
def start():
    return np.random.default_rng(0).normal(size=(D, N)) * 2 + 1


def stepped(one, x0, steps, params=P):
    state, step, records = one.init(0, 0, x0), jax.jit(one.step), []
    for k in range(steps):
        state, record = step(state, k, params)
        records.append(record)
    return one.values(state), records


@pytest.mark.parametrize("noise", ["isotropic", "anisotropic"])
@pytest.mark.parametrize("block", [None, 7, 25])
def test_the_textbook_in_numpy(noise, block, start):
    one = stepper(algorithm(noise), rastrigin, dimension=D, particles=N, block=block)
    got, records = stepped(one, start, 12)
    want, path = by_hand(start.T, 12, noise)
    np.testing.assert_allclose(got["x"], want.T, rtol=1e-11, atol=1e-12)
    for record, (m, least, best, ess, spread) in zip(records, path, strict=True):
        np.testing.assert_allclose(record.consensus, m, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(record.best_value, least, rtol=1e-11)
        np.testing.assert_allclose(record.best_point, best, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(record.ess, ess, rtol=1e-9)
        np.testing.assert_allclose(record.spread, spread, rtol=1e-9)
        assert int(record.evaluations) == N and int(record.nonfinite) == 0


def test_cbxpy_with_our_noise(start):
    """The same particles as CBXPy's anisotropic dynamic, which draws our normals through its sampler."""
    dynamics = pytest.importorskip("cbx.dynamics")
    steps = iter(range(100))
    f = lambda x: np.sum(x**2 + 10 * (1 - np.cos(2 * np.pi * x)), axis=-1)
    draw = lambda k: np.asarray(normals(0, 0, k, dimension=D, particles=N)).T
    theirs = dynamics.CBO(
        f, x=start.T[None].copy(), noise="anisotropic", alpha=P["alpha"], lamda=P["lam"], sigma=P["sigma"],
        dt=P["h"], max_it=15, verbosity=0, f_dim="3D", check_f_dims=False,
        sampler=lambda size: draw(next(steps)).reshape(size),
    )  # fmt: skip
    for _ in range(15):
        theirs.step()
    one = stepper(algorithm("anisotropic"), rastrigin, dimension=D, particles=N)
    got, _ = stepped(one, start, 15)
    np.testing.assert_allclose(got["x"], theirs.x[0].T, rtol=1e-10, atol=1e-11)


# the consensus point


def exact_consensus(x, f, alpha):
    with mp.workdps(60):
        values = [mp.mpf(float(v)) for v in f]
        low = min(values)
        w = [mp.exp(-mp.mpf(float(alpha)) * (v - low)) for v in values]
        total = sum(w)
        m = [
            float(sum(a * mp.mpf(float(b)) for a, b in zip(w, row, strict=True)) / total)
            for row in x
        ]
        return np.array(m), float(total**2 / sum(a * a for a in w))


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=8, max_size=8),
    st.sampled_from([0.0, 1e-3, 1.0, 1e3, 1e9, 1e15]),
    st.sampled_from([0.0, 1e6, -1e6]),
    st.sampled_from([(8,), (4, 4), (2, 2, 2, 2), (1,) * 8]),
)
@settings(max_examples=60)
def test_parts_make_the_whole(values, alpha, offset, cuts):
    """Any cut into parts gives the consensus point of 60-digit arithmetic, whatever alpha and the offset."""
    x = np.random.default_rng(0).normal(size=(2, 8))
    f = np.asarray(values) + offset
    width = cuts[0]
    got = jax.jit(cut_and_combined, static_argnums=3)(x, f, alpha, width)
    m, ess = exact_consensus(x, f, alpha)
    # weights of relative error alpha * spacing(gap) at most, which matters only for gaps of a few 1/alpha
    np.testing.assert_allclose(got[0], m, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(got[1], ess, rtol=1e-10)


def cut_and_combined(x, f, alpha, width):
    blocks = jnp.moveaxis(x.reshape(2, -1, width), 1, 0)
    values = f.reshape(-1, 1, width)
    parts = jax.vmap(consensus.part, (0, 0, None))(blocks, values, jnp.asarray(alpha))
    whole = consensus.combine(parts, jnp.asarray(alpha))
    return consensus.point(whole), consensus.effective_size(whole)


def test_lost_values_have_no_weight():
    x = jnp.asarray([[1.0, 2.0, 3.0, jnp.nan], [5.0, 6.0, 7.0, 8.0]])
    f = jnp.asarray([[1.0, jnp.nan, 1.0, jnp.inf]])
    got = consensus.part(x, f, jnp.asarray(2.0))
    np.testing.assert_array_equal(consensus.point(got), [2.0, 6.0])
    assert int(got.lost) == 2 and float(got.least) == 1.0
    np.testing.assert_array_equal(got.best, [1.0, 5.0])
    none = consensus.part(x, jnp.full((1, 4), jnp.nan), jnp.asarray(2.0))
    both = consensus.combine(jax.tree.map(lambda *a: jnp.stack(a), none, got), jnp.asarray(2.0))
    np.testing.assert_array_equal(consensus.point(both), [2.0, 6.0])
    assert int(both.lost) == 6


@pytest.mark.parametrize("n", [1, 31, 32, 33, 50, 61, 97, 127, 128, 129, 500])
def test_sums_of_rows_of_every_length(n):
    """Against exact sums; the first of equal values is the best; the derivative is that of a sum."""
    rng = np.random.default_rng(n)
    x, w = rng.normal(size=(3, n)) * 1e3, rng.normal(size=(1, n))
    with jax.enable_x64(True):
        np.testing.assert_allclose(
            consensus.total(x), [math.fsum(row) for row in x], rtol=0, atol=1e-12 * np.abs(x).sum()
        )
        np.testing.assert_array_equal(
            jax.grad(lambda a: consensus.total(a) @ np.arange(3.0))(x)[2], 2.0
        )
        center = rng.normal(size=(3, 1))
        exact = math.fsum(((x - center) ** 2).ravel())
        np.testing.assert_allclose(consensus.squares(x, center), exact, rtol=1e-14)
        for first in {0, n // 3, n // 2, n - 1}:
            values = np.abs(w) + 1
            values[0, first:] = np.where(rng.random(n - first) < 0.3, 0.5, values[0, first:])
            values[0, first] = 0.5
            if first:
                values[0, 0] = np.nan if n > 40 else np.inf
            got = consensus.part(jnp.asarray(x), jnp.asarray(values), jnp.asarray(2.0))
            np.testing.assert_array_equal(got.best, x[:, first])
            fine = np.isfinite(values)
            weights = np.where(fine, np.exp(-2 * (np.where(fine, values, 0.5) - 0.5)), 0)
            np.testing.assert_allclose(got.weight, math.fsum(weights[0]), rtol=1e-14)
            np.testing.assert_allclose(got.moment, (weights * x).sum(axis=1), rtol=1e-11, atol=1e-9)
            assert got.least == 0.5 and int(got.lost) == (first > 0)


def test_a_function_that_is_nan_on_half_of_space(start):
    partly = lambda x: jnp.where(x[:, 0] > 1, jnp.nan, rastrigin(x))
    one = stepper(algorithm("isotropic"), partly, dimension=D, particles=N, block=9)
    _, (record,) = stepped(one, start, 1)
    inside = start[0] <= 1
    f = np.asarray(rastrigin(jnp.asarray(start[:, inside].T)))
    m, ess = exact_consensus(start[:, inside], f, P["alpha"])
    np.testing.assert_allclose(record.consensus, m, rtol=1e-12)
    np.testing.assert_allclose(record.ess, ess, rtol=1e-10)
    assert int(record.nonfinite) == (~inside).sum()


# what else a program may do


def test_points_are_told_and_values_may_come_from_elsewhere(start):
    """Asking and telling does what evaluating inside does."""
    inside = stepper(algorithm("anisotropic"), rastrigin, dimension=D, particles=N, block=20)
    outside = stepper(algorithm("anisotropic"), None, dimension=D, particles=N, block=20)
    state, other = inside.init(3, 1, start), outside.init(3, 1, start)
    ask, tell, step = jax.jit(outside.points), jax.jit(outside.step), jax.jit(inside.step)
    for k in range(4):
        at = ask(other, k, P)
        np.testing.assert_array_equal(at, inside.values(state)["x"])
        told = rastrigin(jnp.asarray(at).T)
        other, seen = tell(other, k, P, told)
        state, record = step(state, k, P)
        np.testing.assert_allclose(seen.consensus, record.consensus, rtol=1e-12)
    with pytest.raises(od.OdescentError, match="nothing to minimize"):
        outside.step(other, 0, P)


def test_an_objective_is_evaluated_point_by_point(start):
    """A registered objective, a function of many points and one of one point are the same run."""
    ways = [
        (od.objective("rastrigin", dimension=D), True),
        (rastrigin, True),
        (lambda x: rastrigin(x[None])[0], False),
    ]
    paths = []
    for fun, vectorized in ways:
        one = stepper(algorithm("isotropic"), fun, dimension=D, particles=N, vectorized=vectorized)
        paths.append(stepped(one, start, 5)[0]["x"])
    for other in paths[1:]:
        np.testing.assert_allclose(other, paths[0], rtol=1e-10)


def test_a_law_of_the_values_sets_a_parameter(start):
    """alpha = 5 / (largest - least value), evaluated in the step."""
    law = lambda values: 5 / (jnp.max(values) - jnp.min(values))
    f = np.asarray(rastrigin(jnp.asarray(start.T)))
    m, _ = exact_consensus(start, f, 5 / (f.max() - f.min()))
    for block in (None, 8):
        one = stepper(algorithm("isotropic"), rastrigin, dimension=D, particles=N, block=block)
        step = jax.jit(partial(one.step, params={**P, "alpha": law}))
        _, record = step(one.init(0, 0, start), 0)
        np.testing.assert_allclose(record.consensus, m, rtol=1e-12)


def test_gradients_and_several_draws():
    """BAOAB's underdamped step by hand: two blocks, a gradient of each particle, exponentials of parameters."""
    algorithm = od.algorithm("baoab")
    f = od.Objective("f", fun=lambda x: jnp.sum(x**4) / 4)
    one = stepper(algorithm, f, dimension=2, particles=5)
    p = {"h": 0.1, "gam": 1.3, "u": 0.7}
    x0 = np.random.default_rng(1).normal(size=(2, 5))
    got, records = stepped(one, x0, 3, p)
    x, v = x0.copy(), np.zeros((2, 5))
    for k in range(3):
        v = v - p["h"] / 2 * p["u"] * x**3
        x = x + p["h"] / 2 * v
        xi = np.asarray(normals(0, 0, k, dimension=2, particles=5))
        v = (
            np.exp(-p["gam"] * p["h"]) * v
            + np.sqrt(p["u"] * (1 - np.exp(-2 * p["gam"] * p["h"]))) * xi
        )
        x = x + p["h"] / 2 * v
        v = v - p["h"] / 2 * p["u"] * x**3
    np.testing.assert_allclose(got["x"], x, rtol=1e-12)
    np.testing.assert_allclose(got["v"], v, rtol=1e-12)
    assert int(records[0].evaluations) == 0


def test_single_precision_stays_single(start):
    one = stepper(algorithm("isotropic"), rastrigin, dimension=D, particles=N, dtype="float32")
    got, records = stepped(one, start, 5)
    want, _ = by_hand(start.T, 5, "isotropic")
    assert got["x"].dtype == records[0].consensus.dtype == np.float32
    assert np.isfinite(got["x"]).all() and want.shape == (N, D)


def test_only_what_is_asked_for_is_recorded(start):
    one = stepper(
        algorithm("isotropic"), rastrigin, dimension=D, particles=N, record=("consensus",)
    )
    _, (record,) = stepped(one, start, 1)
    assert record.consensus is not None
    assert all(getattr(record, n) is None for n in Record._fields if n != "consensus")


make = partial(stepper, algorithm("isotropic"), rastrigin)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: make(dimension=0, particles=5), "dimension must be a whole number of at least 1, not 0"),
        (lambda: make(dimension=2, particles=2.5), "particles must be"),
        (lambda: make(dimension=2, particles=5, normals="mersenne"), "mersenne"),
        (lambda: make(dimension=2, particles=5, record=("consensu",)), "consensus"),
        (lambda: make(dimension=2, particles=5).init(0, 0, np.zeros((5, 2))), r"\(2,\) or \(2, 5\), not \(5, 2\)"),
        (lambda: stepped(make(dimension=2, particles=5), np.zeros(2), 1, {"h": 1.0}), "alpha, lam, sigma"),
        (lambda: stepped(make(dimension=2, particles=5), np.zeros(2), 1, {"beta": 1.0}), "beta"),
        (lambda: stepper(od.algorithm("sor"), rastrigin, dimension=2, particles=5), "sweeps over coordinates"),
    ],
)  # fmt: skip
def test_bad_input(call, words):
    with pytest.raises(od.OdescentError, match=words):
        call()
