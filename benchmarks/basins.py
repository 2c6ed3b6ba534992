"""Basin maps of heavy ball on the one-dimensional counterexample, 512 x 512, against running every point to the cap.

    python benchmarks/basins.py [--side 512] [--steps 20000] [--rounds 5] [--json]

Two maps: over starting points (x, v), and over (step, momentum) with a cap on the steps. The other side is what one
writes first: one compiled loop over all points for all steps, vmapped, without taking decided points out; it runs a
sixteenth of the points and is extrapolated. Compilation is left out on both sides. Rounds are taken in turn;
medians. Processor seconds are given beside wall seconds, for machines that are shared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import odescent as od
from odescent.analysis import Basins, basins

jax.config.update("jax_enable_x64", True)
PART = 16


def slope(x: jax.Array) -> jax.Array:
    return jnp.where(x < 1, 25 * x, jnp.where(x < 2, x + 24, 25 * x - 24))


def naive(alpha: Any, beta: Any, x: np.ndarray, v: np.ndarray, steps: int) -> Callable[[], Any]:
    """x+ = x + beta v - alpha f'(x) for all points and all steps, one loop."""

    @jax.jit
    def run(x: jax.Array, v: jax.Array) -> tuple[jax.Array, jax.Array]:
        def body(_: int, z: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            v = beta * z[1] - alpha * slope(z[0])
            return z[0] + v, v

        return jax.lax.fori_loop(0, steps, body, (x, v))

    start = jnp.asarray(x), jnp.asarray(v)
    return lambda: jax.block_until_ready(run(*start))


def timed(run: Callable[[], Any]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    n = given.side
    f = od.objective("lessard_recht_packard")
    x, before = od.blocks("x before")
    g = od.Objective("f")
    alpha, beta = od.parameters("alpha beta")
    free = od.method(
        {x: x + beta * (x - before) - alpha * g.grad(x), before: x}, output=x, name="polyak"
    )
    ball = od.algorithm("heavy_ball")
    over_starts = {"x": (-5.0, 5.0, n), "v": (-30.0, 30.0, n)}
    over_parameters = {"alpha": (1e-3, 0.2, n), "beta": (1e-3, 0.999, n)}
    made: dict[str, Basins] = {}

    def starts() -> None:
        made["starts"] = basins(ball, f, axes=over_starts, start=[0.0], steps=given.steps)

    def parameters() -> None:
        made["parameters"] = basins(free, f, axes=over_parameters, start=[3.3], steps=given.steps)

    a, b = (
        grid.ravel()[::PART]
        for grid in np.meshgrid(np.linspace(1e-3, 0.2, n), np.linspace(1e-3, 0.999, n))
    )
    x0, v0 = (
        grid.ravel()[::PART] for grid in np.meshgrid(np.linspace(-5, 5, n), np.linspace(-30, 30, n))
    )
    # heavy ball's v is (x - before) / h with h = 1/3
    sides = {
        "starts": (starts, naive(1 / 9, 4 / 9, x0, v0 / 3, given.steps)),
        "parameters": (
            parameters,
            naive(a, b, np.full_like(a, 3.3), np.zeros_like(a), given.steps),
        ),
    }
    report = {}
    for name, (ours, theirs) in sides.items():
        ours(), theirs()
        rounds = [(timed(ours), timed(theirs)) for _ in range(given.rounds)]
        wall, cpu = (statistics.median(r[0][i] for r in rounds) for i in (0, 1))
        other = PART * statistics.median(r[1][0] for r in rounds)
        report[name] = {
            "seconds": wall,
            "processor_seconds": cpu,
            "every_point_to_the_cap_seconds": other,
            "ratio": other / wall,
            "unresolved": made[name].unresolved,
            "fractions": {s.label: s.share for s in made[name].fractions},
        }
    if given.json:
        print(json.dumps({"side": n, "steps": given.steps, **report}, indent=1))
        return
    for name, r in report.items():
        print(
            f"{n} x {n} over {name}: {r['seconds']:.3f} s ({r['processor_seconds']:.3f} s of processor), "
            f"{r['ratio']:.0f} times faster than every point to {given.steps} steps; unresolved {r['unresolved']:.2%}"
        )


if __name__ == "__main__":
    main()
