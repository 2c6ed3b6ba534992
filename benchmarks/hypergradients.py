"""Hypergradients by three routes at equal error, time and memory, against unrolled differentiation.

    python benchmarks/hypergradients.py [--sizes 1000,10000,100000,1000000] [--error 1e-4] [--rounds 5] [--json]

The lower level is a quadratic with a tridiagonal Hessian whose diagonal depends on ten upper variables, of a condition
number of about fifty, so that the exact hypergradient costs two banded solves. Every route begins at zero. Its own
parameter (the penalty's sigma, the number of unrolled steps) is the cheapest power of two that reaches the error.
Memory is what XLA plans for temporaries, in copies of the lower block.
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
from jax.flatten_util import ravel_pytree
from scipy.linalg import solveh_banded

from odescent.analysis.bilevel.levels import Reduced, oracles_of

UPPER = 10  # variables of the upper level
COUPLING = 2.0


def problem(size: int) -> tuple[Any, Any, np.ndarray, np.ndarray]:
    """Both levels, the upper point, and the exact hypergradient there."""
    rng = np.random.default_rng(0)
    b, t, of = rng.normal(size=size), rng.normal(size=size), np.arange(size) % UPPER
    x = rng.uniform(-1.5, 0.5, UPPER)

    def lower(x: Any, y: Any) -> Any:
        chain = COUPLING / 2 * jnp.sum((y[1:] - y[:-1]) ** 2)
        return jnp.sum(jnp.exp(x)[of] * y**2) / 2 + chain - jnp.vdot(jnp.asarray(b), y)

    def upper(x: Any, y: Any) -> Any:
        return jnp.sum((y - jnp.asarray(t)) ** 2) / 2 + jnp.sum(x**2) / 2

    ends = np.r_[COUPLING, np.full(size - 2, 2 * COUPLING), COUPLING]
    bands = np.stack([np.r_[0.0, np.full(size - 1, -COUPLING)], np.exp(x)[of] + ends])
    y = solveh_banded(bands, b)
    v = solveh_banded(bands, y - t)
    exact = x - np.exp(x) * np.bincount(of, v * y, UPPER)
    return upper, lower, x, exact


def reduced(
    method: str, oracles: Any, size: int, sigma: float, error: float
) -> Callable[[Any], Any]:
    """The library's hypergradient, from zero."""
    look = Reduced(method, oracles, sigma, 1e-2 * error * min(1.0, sigma), None)
    guess = tuple(jnp.zeros(size) for _ in look.fast)
    return lambda x: look._found(x, guess)["gradient"]


def unrolled(upper: Any, lower: Any, size: int, steps: int) -> Callable[[Any], Any]:
    """Reverse mode through so many gradient steps on the lower level."""

    def end(x: Any) -> Any:
        step = 1 / (jnp.exp(jnp.max(x)) + 4 * COUPLING)

        def body(y: Any, _: Any) -> Any:
            return y - step * jax.grad(lower, 1)(x, y), None

        return upper(x, jax.lax.scan(body, jnp.zeros(size), None, length=steps)[0])

    return jax.grad(end)


def routes(size: int, error: float) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """For each route its functions from cheap to dear, with their parameters; the point and the exact hypergradient."""
    upper, lower, x, exact = problem(size)
    _, shape_x = ravel_pytree(jnp.asarray(x))
    _, shape_y = ravel_pytree(jnp.zeros(size))
    oracles = oracles_of(upper, lower, shape_x, shape_y)[0]

    def penalty(sigma: float) -> Callable[[Any], Any]:
        return reduced("penalty", oracles, size, sigma, error)

    def richardson(sigma: float) -> Callable[[Any], Any]:
        half, whole = penalty(sigma / 2), penalty(sigma)
        return lambda x: 2 * half(x) - whole(x)

    tried = {
        "implicit": [("", reduced("implicit", oracles, size, 1.0, error))],
        "penalty": [(f"sigma = 2^-{k}", penalty(2.0**-k)) for k in range(2, 18)],
        "richardson": [(f"sigma = 2^-{k}", richardson(2.0**-k)) for k in range(2, 12)],
        "unrolled": [(f"{2**k} steps", unrolled(upper, lower, size, 2**k)) for k in range(3, 11)],
    }
    return tried, x, exact


def measured(size: int, error: float, rounds: int) -> list[dict[str, Any]]:
    """A row per route: its parameter, its error, milliseconds, and copies of the lower block."""
    rows = []
    tried, x, exact = routes(size, error)
    at = jnp.asarray(x)
    for name, functions in tried.items():
        for tuned in functions:
            parameter, function = tuned
            made = jax.jit(function).lower(at).compile()
            off = float(np.linalg.norm(np.asarray(made(at)) - exact) / np.linalg.norm(exact))
            if off <= error:
                break
        times = []
        for _ in range(rounds):
            begin = time.perf_counter()
            jax.block_until_ready(made(at))
            times.append(time.perf_counter() - begin)
        copies = made.memory_analysis().temp_size_in_bytes / (8 * size)
        rows.append(
            {
                "size": size,
                "route": name,
                "parameter": parameter,
                "error": off,
                "milliseconds": 1e3 * statistics.median(times),
                "copies": copies,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sizes", default="1000,10000,100000,1000000")
    parser.add_argument("--error", type=float, default=1e-4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with jax.enable_x64(True):
        rows = [
            r for n in given.sizes.split(",") for r in measured(int(n), given.error, given.rounds)
        ]
    if given.json:
        print(json.dumps(rows))
        return
    print(f"{processor()}; {UPPER} upper variables, relative error {given.error:g}, float64")
    print(f"{'size':>9} {'route':<11} {'parameter':<14} {'error':>8} {'ms':>9} {'copies':>7}")
    for r in rows:
        print(
            f"{r['size']:>9} {r['route']:<11} {r['parameter']:<14} {r['error']:8.1e} {r['milliseconds']:9.2f} "
            f"{r['copies']:7.1f}"
        )


if __name__ == "__main__":
    main()
