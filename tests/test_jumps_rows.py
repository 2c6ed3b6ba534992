"""Compound Poisson jumps of many rows: each path has a clock of its own, however the paths are made."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np
import pytest

import odescent as od
from odescent.discretize.emit import called, load

x = od.blocks("x")
theta, c, rate, s = od.parameters("theta c rate s")
OU = {"theta": 1.0, "c": 1.0, "rate": 3.0, "s": 0.0001}


@functools.cache
def jumping(common: bool) -> od.Algorithm:
    """Euler's steps of dx = -x dt + dJ(3); one object, so that it is compiled once for a shape."""
    kick = od.Field({x: 0 * x}, {x: od.Jumps(c, rate, common=common)})
    return od.Algorithm(
        od.System({"pull": {x: -theta * x}, "jump": kick}, output=x), "explicit_euler"
    )


@functools.cache
def emitted_run(common: bool, target: str) -> Any:
    """The run of the emitted code, 50 steps with the numbers above, compiled once for a shape where JAX runs it."""
    method = jumping(common)
    module = load(method, target)
    numbers = {n: OU[n] for n in ("theta", "c", "rate")}
    own = {called(module)[n]: value for n, value in {"h": 0.01, **numbers}.items()}
    run = functools.partial(module.run, steps=50, **own)
    return jax.jit(run) if target == "jax" else run


ZERO = od.Objective("f", lambda p: 0 * (p**2).sum())


def ends(how: str, x0: Any, seed: int, common: bool = False) -> np.ndarray:
    """The ends at time 1/2, by 50 steps of System.simulate or of Algorithm.run."""
    method = jumping(common)
    numbers = {n: OU[n] for n in ("theta", "c", "rate")}
    if how.startswith("simulate"):
        options = {"path": "increments", "normals": how.split()[1], "parameters": numbers}
        return np.asarray(method.system.simulate(None, x0, 0.5, dt=0.01, key=seed, **options).x[-1])
    if how.startswith("emitted"):
        target = how.split()[1]
        drawn = {
            "numpy": {"rng": np.random.default_rng(seed)},
            "jax": {"key": jax.random.key(seed)},
        }
        return np.asarray(emitted_run(common, target)(x0=x0, **drawn[target])[-1])
    options = {"key": seed, "normals": how.split()[1]}
    return np.asarray(method.run(ZERO, x0, 50, **options, h=0.01, **numbers).x[-1])


PATHS = [
    "simulate counter",
    "simulate jax",
    "run counter",
    "run jax",
    "emitted numpy",
    "emitted jax",
]


@pytest.mark.parametrize("how", PATHS)
def test_rows_are_paths_with_clocks_of_their_own(how):
    """Exact mean square and characteristic function of Euler's step, x+ = (1 - h) x + sqrt(n) z, n ~ Poisson(rate h).

    E e^(iux) is the product over the steps of exp(rate h (e^(-u^2 (1 - h)^(2j)/2) - 1)).
    """
    n = 20_000
    found = ends(how, np.zeros((n, 1)), 1)[:, 0]
    decay = 0.99 ** np.arange(50)
    variance = 3.0 * 0.01 * (decay**2).sum()
    fourth = 3 * 3.0 * 0.01 * (decay**4).sum() + 3 * variance**2
    assert abs((found**2).mean() - variance) < 5 * np.sqrt((fourth - variance**2) / n)
    for u in (0.5, 1.0, 2.0):
        exact = np.exp(3.0 * 0.01 * (np.exp(-(u**2) * decay**2 / 2) - 1).sum())
        assert abs(np.cos(u * found).mean() - exact) < 5 / np.sqrt(2 * n)


@pytest.mark.parametrize("how", PATHS)
def test_a_vector_is_one_point_and_a_common_clock_is_one(how):
    """The coordinates of a point, and paths with a common clock, jump in the same step or not at all."""
    still = 0
    for seed in range(12):
        point = ends(how, np.zeros(5), seed)
        together = ends(how, np.zeros((5, 1)), seed, common=True)
        for moved in (point != 0, together[:, 0] != 0):
            assert moved.all() or not moved.any()
            still += not moved.any()
    assert still > 0
    row = [ends(how, np.zeros((4, 3)), seed) != 0 for seed in range(8)]
    assert all((m.all(axis=1) | ~m.any(axis=1)).all() for m in row)  # a path's coordinates together
    assert any(0 < m.any(axis=1).sum() < 4 for m in row)  # and paths by themselves


def test_particles_of_an_ensemble_have_clocks_of_their_own_in_the_flow_too():
    """By System.simulate as by Algorithm.run, whose draws are the engine's: the exact mean square."""
    alpha = od.parameters("alpha")
    f = od.Objective("f", lambda p: 0 * (p**2).sum())
    kick = od.Field({x: 0 * x}, {x: od.Jumps(c, rate)})
    crowd = od.System({"pull": {x: -theta * (x - f.ensemble(x, alpha) * 0)}, "jump": kick,
                       "meet": {x: 0 * f.ensemble(x, alpha) + f.ensemble(x, alpha) * s}}, output=x)  # fmt: skip
    numbers = {**OU, "alpha": 1.0}
    n = 20_000
    variance = 3.0 * 0.01 * (0.99 ** (2 * np.arange(50))).sum()
    with jax.numpy_rank_promotion(
        "allow"
    ):  # the consensus point of N particles has no axis of them
        by_flow = crowd.simulate(
            f, np.zeros((n, 1)), 0.5, dt=0.01, key=3, path="increments", parameters=numbers
        ).x[-1]
    method = od.Algorithm(crowd, "explicit_euler")
    by_run = method.run(f, np.zeros((n, 1)), 50, key=3, h=0.01, **numbers).x[-1]
    for found in (by_flow, by_run):
        assert abs(np.square(found).mean() - variance) < 0.05 * variance
