"""Zeroth-order steps against the values that they need, and differences along coordinates against values of a batch.

    python benchmarks/zeroth_order.py [--rows 64 512 4096 16384] [--rounds 7]

The function is a loss of a network with 1.6 million weights over so many rows, in single precision. A step of
`zeroth_order` stands beside two values of it at known points: as the package runs it, whose normals are made where
they are read, and as the emitted JAX module, with the normals of `jax.random`. Memory is XLA's: temporaries, in copies
of the weights, where the new weights may take the place of the old ones. Differences along 512 coordinates of 7,850
stand beside as many values of vectorized batches at known points.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import odescent as od
from odescent.discretize.emit import load
from odescent.discretize.programs.draws import drawn_step
from odescent.discretize.runs.emitted_stepper import module_of
from odescent.dynamics.random.sources import at_step, source

SIZES = (1024, 1024, 512, 10)


def seconds(calls: list[Callable[[], Any]], rounds: int) -> list[float]:
    """The median times of some calls, taken in turn, once they are warm."""
    taken: list[list[float]] = [[] for _ in calls]
    for call in calls:
        jax.block_until_ready(call())
    for _ in range(rounds):
        for call, own in zip(calls, taken, strict=True):
            begin = time.perf_counter()
            jax.block_until_ready(call())
            own.append(time.perf_counter() - begin)
    return [statistics.median(own) for own in taken]


def network(rows: int, rng: np.random.Generator) -> tuple[list[Any], Callable[[Any], Any]]:
    """Weights, and the loss over random rows."""
    weights = [
        jnp.asarray(rng.normal(size=(a, b)) / np.sqrt(a), jnp.float32)
        for a, b in itertools.pairwise(SIZES)
    ]
    given = jnp.asarray(rng.normal(size=(rows, SIZES[0])), jnp.float32)

    def loss(w: Any) -> Any:
        a = given
        for layer in w[:-1]:
            a = jnp.tanh(a @ layer)
        return jnp.mean((a @ w[-1]) ** 2)

    return weights, loss


def steps(loss: Callable[[Any], Any], weights: list[Any]) -> dict[str, Callable[[Any, Any], Any]]:
    """The step as a run makes it and as the emitted module does, of the weights and the number of the step."""
    method = od.algorithm("zeroth_order")
    counted, plain = module_of(method), load(method, "jax")
    by_counters, begin = drawn_step(counted), source(jax.random.key(0))
    known = counted.coefficients(1e-3, 1e-2), plain.coefficients(1e-3, 1e-2)

    def as_run(w: Any, k: Any) -> Any:
        return by_counters(counted.State(w), loss, c=known[0], key=at_step(begin, k)).x

    def emitted(w: Any, k: Any) -> Any:
        key = jax.random.fold_in(jax.random.key(0), k)
        return plain.step(plain.State(w), loss, known[1], key).x

    return {"as it is run": as_run, "emitted": emitted}


def copies(step: Callable[[Any, Any], Any], weights: list[Any]) -> float:
    """XLA's temporaries in copies of the weights, which the step may overwrite."""
    compiled = jax.jit(step, donate_argnums=0).lower(weights, 0).compile()
    size = sum(w.size * w.dtype.itemsize for w in weights)
    return float(compiled.memory_analysis().temp_size_in_bytes / size)


def along_coordinates(rounds: int, rng: np.random.Generator) -> None:
    """Differences along coordinates in blocks, against values of batches of points that are there."""
    given = jnp.asarray(rng.normal(size=(512, 785)), jnp.float32)
    classes = jnp.asarray(rng.integers(10, size=512))

    def loss(w: Any) -> Any:
        z = given @ w.reshape(785, 10)
        return jnp.mean(jax.nn.logsumexp(z, 1) - jnp.take_along_axis(z, classes[:, None], 1)[:, 0])

    w = jnp.asarray(rng.normal(size=7850), jnp.float32)
    mask = np.arange(7850) < 512
    for block in (16, 64, 128):
        gradient = jax.jit(od.coordinate_differences(loss, 1e-2, mask=mask, block=block))
        points = w + jnp.asarray(rng.normal(size=(block, 7850)), jnp.float32)

        def values(p: Any, block: int = block) -> Any:
            one = lambda i: jnp.mean(jax.vmap(loss)(p + i))
            return jax.lax.map(one, jnp.arange(2.0 * 512 / block, dtype=jnp.float32))

        vectorized = jax.jit(values)
        taken, bare = seconds(
            [functools.partial(gradient, w), functools.partial(vectorized, points)], rounds
        )
        print(
            f"    blocks of {block:3}: {taken * 1e3:7.1f} ms, {taken / bare:.2f} of 1,024 vectorized values"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[64, 512, 4096, 16384])
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    for rows in given.rows:
        weights, loss = network(rows, rng)
        other = [w + 0.01 for w in weights]
        two = jax.jit(lambda p, q, loss=loss: loss(p) + loss(q))
        made = steps(loss, weights)
        calls = [functools.partial(jax.jit(step), weights, 3) for step in made.values()]
        *taken, bare = seconds([*calls, functools.partial(two, weights, other)], given.rounds)
        print(f"{rows} rows: two values {bare * 1e3:.1f} ms")
        for (name, step), t in zip(made.items(), taken, strict=True):
            print(f"    {name}: {t / bare:.3f} of two values, {copies(step, weights):.2f} copies")
    print("differences along 512 coordinates")
    along_coordinates(given.rounds, rng)


if __name__ == "__main__":
    main()
