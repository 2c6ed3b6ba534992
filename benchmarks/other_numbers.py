"""Calls with other numbers, against the first call, which compiles.

    python benchmarks/other_numbers.py [--calls 20] [--json]

Each call has its own starting point, tolerance or seed, and a result of its own length. What is compiled anew for it
shows in the ratio: a program of one operation costs JAX ten milliseconds or more.
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
from alternating import processor

import odescent as od

START = np.array([1.0, 2.0])
METHOD, FLOW = od.algorithm("gradient_descent", step=0.1), od.system("gradient_flow")
F = od.Objective("f", lambda x: jnp.sum(x**2 * jnp.array([1.0, 2.0])) / 2)


def away(x: Any) -> Any:
    return jnp.sum((x - 1) ** 2)


CALLS: dict[str, Callable[[float], Any]] = {
    "run": lambda a: METHOD.run(F, a * START, 200),
    "run, until": lambda a: METHOD.run(F, a * START, 500, until={"gradient": 1e-6 / a}),
    "run, every 7th": lambda a: METHOD.run(F, a * START, int(200 * a), every=7),
    "simulate": lambda a: FLOW.simulate(F, a * START, 5 * a),
    "simulate, until": lambda a: FLOW.simulate(F, a * START, 50 * a, until={"gradient": 1e-3 / a}),
    "minimize": lambda a: od.minimize(away, [(-2, 2), (-2, 2)], seed=int(1000 * a)),
}


def measured(call: Callable[[float], Any], calls: int) -> tuple[float, float]:
    """Seconds of the first call, and the median of those with other numbers."""
    times = []
    for i in range(calls + 1):
        begin = time.perf_counter()
        call(1 + i / 50)
        times.append(time.perf_counter() - begin)
    return times[0], statistics.median(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    found = {name: measured(call, given.calls) for name, call in CALLS.items()}
    if given.json:
        print(json.dumps({"machine": processor(), "seconds": found}, indent=2))
        return
    print(f"{processor()}; the first call, and the median of {given.calls} with other numbers")
    print(f"{'':>16} {'first, s':>9} {'others, ms':>11} {'ratio':>7}")
    for name, (first, other) in found.items():
        print(f"{name:>16} {first:9.2f} {1e3 * other:11.2f} {first / other:7.0f}")


if __name__ == "__main__":
    main()
