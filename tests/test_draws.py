"""What runs draw: the particle engine's normals to the bit, JAX's where asked for, the same however runs are split."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent.analysis.attraction.batches import batch
from odescent.discretize.emit import load, targets
from odescent.discretize.programs import draws
from odescent.dynamics.random import sources
from odescent.dynamics.random.normals import normals, splitmix64
from odescent.particles import first_passage, reach_probabilities, simulate

WELL = od.Objective("f", fun=lambda x: jnp.sum(x**4 / 4 - x**2 / 2))
START = np.random.default_rng(0).normal(size=(7, 3))
X = {"h": 0.05}
METHODS = {
    "unadjusted_langevin": X,
    "sgld": {**X, "sigma": 0.3},
    "underdamped_exact": {**X, "gam": 1.5, "u": 0.7},
    "consensus_hopping": {"alpha": 3.0, "s": 0.4},
}


def z(seed: int, run: int, k: int, d: int, **place: int) -> np.ndarray:
    return np.asarray(normals(seed, run, k, dimension=d, particles=1, **place))[:, 0]


@pytest.mark.parametrize("name", METHODS)
def test_a_run_draws_what_the_engine_draws(name: str) -> None:
    made, p = od.algorithm(name), METHODS[name]
    crowd = name == "consensus_hopping"
    x0 = START if crowd else START[0]
    run = made.run(WELL, x0, 6, key=11, **p)
    engine = simulate(made, WELL, x0.T if crowd else x0[:, None], 6, params=p, seed=11)
    last = engine.particles["x"][0].T
    np.testing.assert_allclose(run.x[-1], last if crowd else last[0], rtol=1e-12)


def test_langevin_by_hand_from_a_key_or_its_seed() -> None:
    """Seeds beyond 32 bits too; the key of a seed has the seed's words."""
    made, h, seed = od.algorithm("unadjusted_langevin"), 0.05, 2**40 + 17
    x = START[0].copy()
    for k in range(5):
        x = x - h * (x**3 - x) + np.sqrt(2 * h) * z(seed, 0, k, 3)
    np.testing.assert_allclose(made.run(WELL, START[0], 5, key=seed, h=h).x[-1], x, rtol=1e-12)
    key = jax.random.wrap_key_data(jnp.array([seed >> 32, seed & 0xFFFFFFFF], jnp.uint32))
    np.testing.assert_allclose(made.run(WELL, START[0], 5, key, h=h).x[-1], x, rtol=1e-12)
    long = made.run(WELL, START[0], 5, key, h=h, every=2)
    np.testing.assert_array_equal(long.x[-1], made.run(WELL, START[0], 5, key, h=h).x[-1])


def test_a_pytree_draws_as_its_leaves_one_after_the_other() -> None:
    tree = {"a": np.zeros((2, 2)), "b": np.zeros(3)}
    flat = od.Objective("f", fun=lambda t: sum(jnp.sum(v**2) for v in jax.tree.leaves(t)) / 2)
    run = od.algorithm("unadjusted_langevin").run(flat, tree, 1, key=3, h=0.5)
    drawn = z(3, 0, 0, 7)
    np.testing.assert_allclose(run.x["a"][-1], drawn[:4].reshape(2, 2), rtol=1e-13)
    np.testing.assert_allclose(run.x["b"][-1], drawn[4:], rtol=1e-13)


def test_single_precision_has_normals_of_its_own_without_64_bits() -> None:
    made = od.algorithm("unadjusted_langevin")
    with jax.enable_x64(False):
        run = made.run(WELL, START[0].astype(np.float32), 3, key=3, h=0.05)
    assert run.x.dtype == np.float32
    x = START[0].astype(np.float32)
    for k in range(3):
        x = (
            x
            - np.float32(0.05) * (x**3 - x)
            + np.float32(np.sqrt(0.1)) * z(3, 0, k, 3, dtype="float32")
        )  # type: ignore[arg-type]
    np.testing.assert_allclose(run.x[-1], x, rtol=1e-5)


def test_jaxs_generator_is_that_of_the_emitted_source() -> None:
    made = od.algorithm("underdamped_exact")
    p, key = METHODS["underdamped_exact"], jax.random.key(5)
    plain = load(made, "jax").run(grad=lambda x: x**3 - x, x0=START[0], steps=4, key=key, **p)
    ours = made.run(WELL, START[0], 4, key, normals="jax", **p)
    np.testing.assert_allclose(ours.x, plain, rtol=1e-12)
    assert not np.allclose(made.run(WELL, START[0], 4, key, **p).x[-1], plain[-1])
    assert "jax_drawn" not in targets() and "draw(" not in made.source("jax")


def test_under_vmap_every_key_has_its_own_run() -> None:
    made, keys = od.algorithm("unadjusted_langevin"), jax.random.split(jax.random.key(1), 3)
    many = jax.vmap(lambda key: made.run(WELL, jnp.asarray(START[0]), 4, key, h=0.05).x[-1])(keys)
    each = [made.run(WELL, START[0], 4, key, h=0.05).x[-1] for key in keys]
    np.testing.assert_allclose(many, each, rtol=1e-12)
    assert len({tuple(row) for row in np.asarray(many).tolist()}) == 3


def test_batches_and_passages_number_their_runs() -> None:
    """Run i of a batch is run i of the seed, in one chunk or many, and of first passages too."""
    made, h, steps = od.algorithm("unadjusted_langevin"), 0.05, 4
    starts = START[:, :1]
    asked = {"axes": {"x0": starts}, "steps": steps, "key": 2, "parameters": {"h": h}}
    done, small = batch(made, WELL, **asked), batch(made, WELL, **asked, memory=512)
    np.testing.assert_allclose(done["x"], small["x"], rtol=1e-13)
    for i in (0, 6):
        x = starts[i].copy()
        for k in range(steps):
            x = x - h * (x**3 - x) + np.sqrt(2 * h) * z(2, i, k, 1)
        np.testing.assert_allclose(done["x"][i], x, rtol=1e-12)
    found = first_passage(made, WELL, [0.0], lambda x: x[0] > 0.5, steps=400, runs=5, key=2, h=h)
    for i, wanted in enumerate(found.steps):
        x = np.zeros(1)
        for k in range(400):
            x = x - h * (x**3 - x) + np.sqrt(2 * h) * z(2, i, k, 1)
            if x[0] > 0.5:
                break
        assert k + 1 == wanted


def test_an_ensemble_is_drawn_around_its_start_by_the_seed() -> None:
    p = METHODS["consensus_hopping"]
    found = [
        reach_probabilities(
            od.algorithm("consensus_hopping"), WELL, [[0.0]], [[-1.0], [1.0]], radius=0.5, steps=20, runs=8,
            key=key, particles=20, spread=0.5, **p,
        ).ends
        for key in (4, jax.random.key(4), 5)
    ]  # fmt: skip
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


@pytest.mark.parametrize("generator", ["counter", "jax"])
def test_increments_of_a_solver_are_normals_of_the_step(generator: str) -> None:
    x = od.blocks("x")
    pure = od.System({"heat": od.Field({x: -x * 0}, {x: od.Diffusion(1)})})
    dt = 0.25
    found = pure.simulate(
        None, np.zeros(3), 1.0, dt=dt, key=6, path="increments", normals=generator, points=5
    ).x
    steps = np.diff(np.asarray(found), axis=0) / np.sqrt(dt)
    by_hand = np.array([z(6, 0, k, 3) for k in range(4)])
    assert np.allclose(steps, by_hand) == (generator == "counter")


@given(st.integers(0, 2**64 - 1))
@settings(max_examples=20)
def test_seeds_survive_their_two_words(seed: int) -> None:
    made = sources.source(seed)
    assert isinstance(made, sources.Counters) and int(sources.joined(made.words)) == seed
    assert int(sources.seed_of(seed)) == seed
    assert int(splitmix64(jnp.uint64(seed), jnp.uint64(0))) >= 0


def test_what_is_no_source() -> None:
    made = od.algorithm("unadjusted_langevin")
    with pytest.raises(od.OdescentError, match="no generator of normals 'sobol'"):
        made.run(WELL, START[0], 1, key=0, h=0.1, normals="sobol")
    with pytest.raises(od.OdescentError, match="a seed must be a whole number from 0"):
        draws.source(-1)
    with pytest.raises(
        od.OdescentError, match=r"as in jax\.random\.key\(0\), or a whole number, not 1\.5"
    ):
        sources.source(1.5)  # type: ignore[arg-type]
    with pytest.raises(od.OdescentError, match="draws noise: give a key"):
        made.run(WELL, START[0], 1, h=0.1)
