"""The generator: known answers, Box and Muller by 40-digit arithmetic, and what a stream of normals must show."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from odescent import OdescentError
from odescent.dynamics.random.normals import jax_normals, key_of, normals, splitmix64, uniforms
from odescent.particles.engine.starts import (
    gaussian_start,
    uniform_start,
)

# The first outputs of Vigna's splitmix64.c for two seeds, as published in test suites of several libraries.
KNOWN = {
    1234567: [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821],
    0: [16294208416658607535, 7960286522194355700, 487617019471545679],
}  # fmt: skip
GOLDEN, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


@pytest.mark.parametrize("seed", KNOWN)
def test_known_answers_of_splitmix64(seed):
    n = jnp.arange(len(KNOWN[seed]), dtype=jnp.uint64)
    assert np.asarray(splitmix64(jnp.uint64(seed), n)).tolist() == KNOWN[seed]


def python_splitmix64(state, n):
    z = (state + (n + 1) * GOLDEN) % 2**64
    z = (z ^ (z >> 30)) * FIRST % 2**64
    z = (z ^ (z >> 27)) * SECOND % 2**64
    return z ^ (z >> 31)


def test_normals_are_box_and_muller_of_those_bits():
    seed, run, step, first, d, n = 5, 3, 7, 11, 3, 4
    got = np.asarray(normals(seed, run, step, dimension=d, particles=n, first=first))
    key = python_splitmix64(python_splitmix64(seed, 0), run)
    assert int(key_of(seed, run)) == key
    with mp.workdps(40):
        for i in range(n):
            for row in range(d):
                half, j = divmod(row, 2)  # the rows of a pair are 0 and 2, 1 and 3 of four
                count = (step << 32) + 2 * ((first + i) * 2 + j)
                u, v = (
                    ((python_splitmix64(key, count + b) >> 12) + mp.mpf(1) / 2) / 2**52
                    for b in (0, 1)
                )
                wave = mp.sinpi(2 * v) if half else mp.cospi(2 * v)
                want = mp.sqrt(-2 * mp.log(u)) * wave
                assert abs(mp.mpf(float(got[row, i])) - want) < 3e-15


@pytest.fixture(scope="module")
def many():
    """40 steps of 3 rows of 2^13: 983 040 normals, rows of both kinds of lanes."""
    make = lambda k: normals(2, 0, k, dimension=3, particles=2**13)
    return np.asarray(jax.jit(jax.vmap(make))(jnp.arange(40)))


LIMIT = 4.5  # standard deviations; for about 60 statistics, one false alarm in 2500 seeds (this one is fixed)


def test_moments_of_both_lanes(many):
    for z in (many[:, :2].ravel(), many[:, 2].ravel(), many.ravel()):
        for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96), (6, 15, 10170)):
            assert abs((z**power).mean() - mean) < LIMIT * np.sqrt(variance / z.size)


def test_distribution(many):
    for row in range(3):
        z = many[:, row].ravel()
        assert stats.kstest(z, "norm").pvalue > 1e-4
        edges = stats.norm.ppf(np.arange(1, 256) / 256)
        counts = np.bincount(np.searchsorted(edges, z), minlength=256)
        assert stats.chisquare(counts).pvalue > 1e-4
    tail = np.abs(many.ravel()) > 4
    assert stats.binomtest(int(tail.sum()), many.size, 2 * stats.norm.sf(4)).pvalue > 1e-4


def test_nothing_correlates(many):
    """Lags within a step, from step to step, between rows, and of squares."""
    z = many - 0.0
    pairs = [(z[..., :-lag], z[..., lag:]) for lag in (1, 2, 7, 100, 2048, 4096)]
    pairs += [(z[:-lag], z[lag:]) for lag in (1, 2, 13)]
    pairs += [(z[:, 0], z[:, 2]), (z[:, 0], z[:, 1]), (z[:, 1], z[:, 2])]
    for a, b in pairs:
        assert abs((a * b).mean()) < LIMIT / np.sqrt(a.size)
        assert abs(((a**2 - 1) * (b**2 - 1)).mean()) < LIMIT * 2 / np.sqrt(a.size)


@pytest.mark.parametrize("vary", ["seed", "run", "step"])
def test_neighbouring_streams_share_nothing(vary):
    """64 neighbouring streams: as Gaussian as they have to be, all their correlations at once."""
    make = lambda i: normals(
        *(i if name == vary else 4 for name in ("seed", "run", "step")), dimension=2, particles=1024
    )
    z = np.asarray(jax.jit(jax.vmap(make))(jnp.arange(64))).reshape(64, -1)
    r = (z @ z.T / z.shape[1])[np.triu_indices(64, 1)] * np.sqrt(z.shape[1])
    assert np.abs(r).max() < 5.2 and stats.kstest(r, "norm").pvalue > 1e-4
    bits = np.asarray(splitmix64(key_of(jnp.arange(64), 0), jnp.uint64(0)))
    flips = np.unpackbits((bits[1:] ^ bits[:-1]).view(np.uint8)).mean()
    assert abs(flips - 0.5) < LIMIT * 0.5 / np.sqrt(63 * 64)


def test_a_particle_has_its_own_numbers():
    whole = np.asarray(normals(1, 2, 3, dimension=5, particles=40))
    np.testing.assert_array_equal(
        normals(1, 2, 3, dimension=5, particles=8, first=20), whole[:, 20:28]
    )
    two = [normals(1, 2, 3, dimension=2, particles=40, offset=i, pairs=2) for i in (0, 1)]
    values = np.concatenate([np.ravel(a) for a in two])
    assert len(np.unique(values)) == values.size  # the draws of a step share no lane


def test_single_precision():
    z = np.asarray(normals(0, 0, 0, dimension=2, particles=2**15, dtype="float32"))
    assert z.dtype == np.float32 and np.isfinite(z).all()
    assert stats.kstest(z.ravel().astype(float), "norm").pvalue > 1e-4


def test_uniforms_and_starts():
    u = np.asarray(uniforms(0, 0, 0, dimension=2, particles=2**14))
    assert stats.kstest(u.ravel(), "uniform").pvalue > 1e-4
    box = uniform_start([-1, 2], [1, 5], 2**14)(7, 0)
    assert stats.kstest(np.asarray(box)[1], stats.uniform(2, 3).cdf).pvalue > 1e-4
    cloud = gaussian_start([3, -2], 0.5, 2**14)(7, 0)
    assert stats.kstest(np.asarray(cloud)[0], stats.norm(3, 0.5).cdf).pvalue > 1e-4


def test_the_switch_to_jax():
    key = jax.random.key(1)
    for n in (2, 3, 0, 0):
        key = jax.random.fold_in(key, n)
    want = jax.random.normal(key, (3, 5), jnp.float64)
    np.testing.assert_array_equal(jax_normals(1, 2, 3, dimension=3, particles=5), want)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: normals(0, 0, 0, dimension=2, particles=2, dtype="float16"), "float16"),
        (lambda: normals(0, 0, 0, dimension=2**20, particles=2**20), "lanes"),
        (lambda: gaussian_start([0.0], -1.0, 3), "standard deviation"),
        (lambda: uniform_start([0.0, 2.0], [1.0, 1.0], 3), "low = 2 > high = 1 in coordinate 1"),
        (lambda: uniform_start([0.0], [np.inf], 3), "finite"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(OdescentError, match=words):
        call()


def test_without_64_bits_it_says_so():
    with jax.enable_x64(False), pytest.raises(OdescentError, match="enable_x64"):
        normals(0, 0, 0, dimension=2, particles=2)
