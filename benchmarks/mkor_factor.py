"""The rank-one update of a factor of MKOR, an inverse, against a dense inverse of the same size.

    python benchmarks/mkor_factor.py [--size 2048] [--rounds 5]

Both are of the emitted JAX module: the update of the factor alone, with its leak, and the whole step, with the rescaled
direction and a gradient that costs nothing. The inverse is that of the average (1 - c) Q + c g g^T, by LAPACK through
JAX and through NumPy. Double precision.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import odescent as od
from odescent.discretize.emit import load

jax.config.update("jax_enable_x64", True)


def seconds(call: Callable[[], Any], rounds: int) -> float:
    """The median time of a call, once it is warm."""
    call()
    taken = []
    for _ in range(rounds):
        begin = time.perf_counter()
        jax.block_until_ready(call())
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    n = given.size
    rng = np.random.default_rng(0)
    x, m = rng.normal(size=n), rng.normal(size=(n, n))
    factor = m @ m.T / n + np.eye(n)
    held, statistic = jnp.asarray(factor), jnp.asarray(x)
    for leak in ("inverse", "factor"):
        module = load(od.algorithm("mkor", leak=leak), "jax")
        c = module.coefficients(0.01)
        state = module.State(P=jnp.asarray(np.linalg.inv(factor)), x=statistic)
        step = jax.jit(lambda s, m=module, c=c: m.step(s, lambda p: p, c))
        update = jax.jit(lambda s, m=module, c=c: m.step(s, lambda p: p, c).P)
        whole = seconds(lambda s=state, f=step: f(s), 8 * given.rounds)
        taken = seconds(lambda s=state, f=update: f(s), 8 * given.rounds)
        average = jax.jit(lambda q, g: jnp.linalg.inv(0.95 * q + 0.05 * jnp.outer(g, g)))
        dense = seconds(lambda f=average: f(held, statistic), given.rounds)
        plain = seconds(lambda: np.linalg.inv(0.95 * factor + 0.05 * np.outer(x, x)), given.rounds)
        print(
            f"n = {n}, leak on the {leak}: an update {taken * 1e3:.2f} ms, a step {whole * 1e3:.2f} ms;"
        )
        ratios = f"{dense / taken:.1f} (JAX) and {plain / taken:.1f} (NumPy)"
        print(f"    a dense inverse {ratios} times an update")


if __name__ == "__main__":
    main()
