"""Hypergradients by three routes at equal error, time and memory, against unrolled differentiation.

    python benchmarks/hypergradients.py [--sizes 1000,10000,100000,1000000] [--error 1e-4] [--rounds 5] [--json]

The lower level is a quadratic with a tridiagonal Hessian whose diagonal depends on ten upper variables, of a condition
number of about fifty, so that the exact hypergradient costs two banded solves. Every route begins at zero. Its own
parameter (the penalty's sigma, the number of unrolled steps) is the cheapest power of two that reaches the error.
Memory is what XLA plans for temporaries, in copies of the lower block, beside the lower unknowns at which a search
begins and those at which it ends. Lower searches are Newton's method with products of the Hessian, or an algorithm:
gradient descent, and Nesterov's method.
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

from odescent import algorithm
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
        squares = jnp.sum((y**2).reshape(-1, UPPER), axis=0)
        return jnp.vdot(jnp.exp(x), squares) / 2 + chain - jnp.vdot(jnp.asarray(b), y)

    def upper(x: Any, y: Any) -> Any:
        return jnp.sum((y - jnp.asarray(t)) ** 2) / 2 + jnp.sum(x**2) / 2

    ends = np.r_[COUPLING, np.full(size - 2, 2 * COUPLING), COUPLING]
    bands = np.stack([np.r_[0.0, np.full(size - 1, -COUPLING)], np.exp(x)[of] + ends])
    y = solveh_banded(bands, b)
    v = solveh_banded(bands, y - t)
    exact = x - np.exp(x) * np.bincount(of, v * y, UPPER)
    return upper, lower, x, exact


def reduced(
    method: str, oracles: Any, size: int, sigma: float, error: float, inner: Any = None
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The library's hypergradient of x, with the lower unknowns at which a search begins; and zeros for these."""
    look = Reduced(method, oracles, sigma, 1e-2 * error, None, inner)

    def found(x: Any, guess: Any) -> Any:
        values = look._found(x, guess)
        return values["gradient"], values["fast"]  # where the next search begins

    return found, tuple(jnp.zeros(size) for _ in look.fast)


def unrolled(
    upper: Any, lower: Any, size: int, steps: int
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Reverse mode through so many gradient steps on the lower level; and where they begin."""

    def end(x: Any, guess: Any) -> Any:
        (begin,) = guess
        step = 1 / (jnp.exp(jnp.max(x)) + 4 * COUPLING)

        def body(y: Any, _: Any) -> Any:
            return y - step * jax.grad(lower, 1)(x, y), None

        y = jax.lax.scan(body, begin, None, length=steps)[0]
        return upper(x, y), y

    return jax.grad(end, has_aux=True), (jnp.zeros(size),)


def routes(size: int, error: float) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """For each route its functions from cheap to dear, with their parameters; the point and the exact hypergradient."""
    upper, lower, x, exact = problem(size)
    _, shape_x = ravel_pytree(jnp.asarray(x))
    _, shape_y = ravel_pytree(jnp.zeros(size))
    oracles = oracles_of(upper, lower, shape_x, shape_y)[0]

    curved = np.exp(x).min(), np.exp(x).max() + 4 * COUPLING
    inner = algorithm("gradient_descent", step=float(2 / sum(curved)))
    accelerated = algorithm("nesterov_sc", mu=float(curved[0]), L=float(curved[1]))

    def richardson(sigma: float) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        (half, guess), (whole, _) = (
            reduced("penalty", oracles, size, s, error) for s in (sigma / 2, sigma)
        )

        def combined(x: Any, guess: Any) -> Any:
            (one, y), (other, _) = half(x, guess), whole(x, guess)
            return 2 * one - other, y

        return combined, guess

    ways = {"": None, ", gradients": inner, ", Nesterov": accelerated}
    tried: dict[str, Any] = {}
    for name, by in ways.items():
        tried[f"implicit{name}"] = [
            ("", lambda by=by: reduced("implicit", oracles, size, 1.0, error, by))
        ]
        tried[f"penalty{name}"] = [
            (
                f"sigma = 2^-{k}",
                lambda k=k, by=by: reduced("penalty", oracles, size, 2.0**-k, error, by),
            )
            for k in range(2, 18)
        ]
    tried["richardson"] = [
        (f"sigma = 2^-{k}", lambda k=k: richardson(2.0**-k)) for k in range(2, 12)
    ]
    tried["unrolled"] = [
        (f"{2**k} steps", lambda k=k: unrolled(upper, lower, size, 2**k)) for k in range(3, 11)
    ]
    return tried, x, exact


def measured(size: int, error: float, rounds: int) -> list[dict[str, Any]]:
    """A row per route: its parameter, its error, milliseconds, and copies of the lower block."""
    rows = []
    tried, x, exact = routes(size, error)
    at = jnp.asarray(x)
    for name, functions in tried.items():
        for tuned in functions:
            parameter, make = tuned
            function, guess = make()
            made = jax.jit(function).lower(at, guess).compile()
            off = float(
                np.linalg.norm(np.asarray(made(at, guess)[0]) - exact) / np.linalg.norm(exact)
            )
            if off <= error:
                break
        times = []
        for _ in range(rounds):
            begin = time.perf_counter()
            jax.block_until_ready(made(at, guess))
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
    print(f"{'size':>9} {'route':<19} {'parameter':<14} {'error':>8} {'ms':>9} {'copies':>7}")
    for r in rows:
        print(
            f"{r['size']:>9} {r['route']:<19} {r['parameter']:<14} {r['error']:8.1e} {r['milliseconds']:9.2f} "
            f"{r['copies']:7.1f}"
        )


if __name__ == "__main__":
    main()
