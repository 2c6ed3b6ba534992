"""A step of a run with a condition to stop at, against the same run without one.

    python benchmarks/run_ends.py [--seconds 0.3] [--rounds 15] [--json]

Logistic regression on random data, in float64; the condition is never met, and the runs keep their first and last
record alone. Gradient descent asks for the gradient at the point that the condition "gradient" is about, so that both
share it; Nesterov's method asks for another one, and there the condition costs a gradient.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from alternating import alternate, processor

import odescent as od

SIZES = ((569, 30), (4000, 500))
CONDITIONS: dict[str, Any] = {
    "none": None,
    "value": {"value": -1e9},
    "box": {"box": (-1e9, 1e9)},
    "function": lambda t, x, states: 1.0 + t,
    "gradient": {"gradient": 1e-200},
}


def logistic(rows: int, columns: int) -> tuple[od.Objective, np.ndarray]:
    """The objective and a starting point."""
    data = jax.random.normal(jax.random.key(0), (rows, columns), jnp.float64)
    loss = lambda x: jnp.mean(jnp.logaddexp(0.0, data @ x)) + 5e-4 * jnp.sum(x * x)
    return od.Objective("logistic", loss, mu=1e-3, L=float(columns)), np.ones(columns)


def measured(name: str, size: tuple[int, int], seconds: float, rounds: int) -> dict[str, float]:
    """Medians over rounds of the time with each condition over that without, and the microseconds of a step."""
    f, x0 = logistic(*size)
    method = od.algorithm(name)
    method.run(f, x0, 100, every=100)
    begin = time.perf_counter()
    method.run(f, x0, 100, every=100)
    steps = int(100 * seconds / (time.perf_counter() - begin)) + 100
    run: Callable[..., Any] = partial(method.run, f, x0, steps, every=steps)
    contestants = {n: partial(run, until=c) for n, c in CONDITIONS.items()}
    for contestant in contestants.values():
        contestant()
    times = alternate(contestants, rounds)
    found = {
        n: statistics.median(a / b for a, b in zip(times[n], times["none"], strict=True))
        for n in times
        if n != "none"
    }
    return {"microseconds": 1e6 * statistics.median(times["none"]) / steps, **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.3)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    found = {
        f"{name}, {rows} x {columns}": measured(name, (rows, columns), given.seconds, given.rounds)
        for name in ("gradient_descent", "nesterov_sc")
        for rows, columns in SIZES
    }
    if given.json:
        print(json.dumps({"machine": processor(), "ratios": found}, indent=2))
        return
    print(f"{processor()}; runs of {given.seconds} s, medians of {given.rounds} rounds")
    head = [n for n in CONDITIONS if n != "none"]
    print(f"{'':>28} {'us a step':>10} " + " ".join(f"{n:>9}" for n in head))
    for name, row in found.items():
        print(f"{name:>28} {row['microseconds']:10.1f} " + " ".join(f"{row[n]:9.3f}" for n in head))


if __name__ == "__main__":
    main()
