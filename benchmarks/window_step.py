"""One step of M-FAC, emitted as JAX code, against the two products with the window that it needs.

    python benchmarks/window_step.py [--size 1000000] [--window 32] [--rounds 30] [--json]

The two products alone are G^T g and G u, in turn with the step, whose state is donated. The step also writes the new
column, solves a system of the window's length and moves the point. Flops are those of the compiled step, at three
sizes: they are affine in the size.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

import jax
import jax.numpy as jnp
from alternating import processor

import odescent as od
from odescent.discretize.emit import load


def emitted(window: int, size: int) -> tuple[Any, Any, jax.Array]:
    """A compiled step, its state and a gradient."""
    module = load(od.algorithm("m_fac", window=window), "jax")
    numbers = module.coefficients(0.1, 0.3)
    step = jax.jit(lambda state, g: module.step(state, lambda _: g, numbers), donate_argnums=0)
    gradient = jax.random.normal(jax.random.key(0), (size,), jnp.float32)
    return step, module.init(jnp.zeros(size, jnp.float32)), gradient


def flops(window: int, size: int) -> float:
    step, state, gradient = emitted(window, size)
    return float(step.lower(state, gradient).compile().cost_analysis()["flops"])


def measured(window: int, size: int, rounds: int) -> dict[str, float]:
    """Median times of the step and of the two products, in milliseconds, and their ratio by rounds."""
    step, state, gradient = emitted(window, size)
    columns = jax.random.normal(jax.random.key(1), (window, size), jnp.float32)

    @jax.jit
    def products(columns: jax.Array, g: jax.Array) -> jax.Array:
        return (columns @ g) @ columns

    for _ in range(window):  # the window is full then
        state = step(state, gradient)
    jax.block_until_ready((state, products(columns, gradient)))
    times: list[tuple[float, float]] = []
    for _ in range(rounds):
        begin = time.perf_counter()
        state = jax.block_until_ready(step(state, gradient))
        between = time.perf_counter()
        jax.block_until_ready(products(columns, gradient))
        times.append((between - begin, time.perf_counter() - between))
    return {
        "step": 1e3 * statistics.median(a for a, _ in times),
        "two products": 1e3 * statistics.median(b for _, b in times),
        "ratio": statistics.median(a / b for a, b in times),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--window", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found: dict[str, Any] = measured(given.window, given.size, given.rounds)
    sizes = [given.size // k for k in (4, 2, 1)]
    found["flops"] = {n: flops(given.window, n) for n in sizes}
    found["machine"] = processor()
    if given.json:
        print(json.dumps(found, indent=2))
        return
    print(f"{found['machine']}; d = {given.size}, m = {given.window}, float32")
    for name in ("step", "two products"):
        print(f"{name:>14} {found[name]:8.2f} ms")
    print(f"{'ratio':>14} {found['ratio']:8.2f}")
    for n, count in found["flops"].items():
        print(f"flops at d = {n}: {count:.0f}, {count / (n * given.window):.3f} m d")


if __name__ == "__main__":
    main()
