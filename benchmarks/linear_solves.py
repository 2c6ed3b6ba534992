"""Linear solves by their routes, against a dense factorization of the same matrix.

    python benchmarks/linear_solves.py [--size 2000] [--rank 16] [--rounds 7]

One operator for each structure, as its expression is evaluated in runs, jitted; the dense factorization solves the
same equation with the matrix at hand. Iterations go to 1e-10. The last line is one regularized Newton step by
conjugate gradients of a function of 100,000 variables, in gradients of it.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from alternating import alternate, processor

import odescent as od
from odescent.dynamics.evaluation.evaluate import evaluate

jax.config.update("jax_enable_x64", True)


def solver(
    expression: Any, values: dict[Any, Any], oracles: dict[str, Any]
) -> Callable[[Any], Any]:
    """The solve as a jitted function of its right-hand side."""
    b = od.blocks("b")
    return jax.jit(lambda rhs: evaluate(expression, {**values, b: rhs}, oracles, jnp))


def ratio(one: Callable[[], Any], other: Callable[[], Any], rounds: int) -> float:
    """The time of the one over that of the other, round by round."""
    timed = {
        "one": lambda: jax.block_until_ready(one()),
        "other": lambda: jax.block_until_ready(other()),
    }
    alternate(timed, 1)
    found = alternate(timed, rounds)
    return statistics.median(a / b for a, b in zip(found["one"], found["other"], strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, default=2000)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    d, m = args.size, args.rank
    rng = np.random.default_rng(0)
    x, b, v = od.blocks("x b v")
    lam = od.parameters("lam")
    f = od.Objective("f")
    columns = od.blocks(" ".join(f"u{i}" for i in range(m)))
    arrays = {u: jnp.asarray(rng.normal(size=d)) for u in columns}
    scale = 1 + rng.random(d)
    spring = lambda z: jnp.sum(jnp.cosh(z)) + jnp.sum((z[1:] - z[:-1]) ** 2) / 2
    oracles = {"grad_f": jax.grad(spring)}
    low = sum((od.outer(u, u) for u in columns), lam * od.identity)
    thick = np.stack([np.asarray(a) for a in arrays.values()])
    at = jnp.asarray(rng.normal(size=d))
    values = {**arrays, lam: 2.0, v: jnp.asarray(scale), x: at}
    eye = np.eye(d)
    hessian = np.diag(np.cosh(np.asarray(at)) + 2) - np.eye(d, k=1) - np.eye(d, k=-1)
    hessian[0, 0] -= 1
    hessian[-1, -1] -= 1
    newton = f.hessian(x) + lam * od.identity
    cases = {
        "diagonal": (od.linear_solve(od.diagonal_operator(v), b), np.diag(scale)),
        f"{m} outer products": (od.linear_solve(low, b), thick.T @ thick + 2 * eye),
        "Hessian, cg": (
            od.linear_solve(newton, b, method="cg", tolerance=1e-10),
            hessian + 2 * eye,
        ),
        "Hessian, minres": (od.linear_solve(newton, b, tolerance=1e-10), hessian + 2 * eye),
    }
    rhs = jnp.asarray(rng.normal(size=d))
    factorized = jax.jit(jnp.linalg.solve)
    print(f"d = {d}, {processor()}; time of a dense factorization over the route's")
    for name, (expression, matrix) in cases.items():
        route, whole = solver(expression, values, oracles), jnp.asarray(matrix)
        error = float(jnp.linalg.norm(route(rhs) - factorized(whole, rhs)) / jnp.linalg.norm(rhs))
        dense, own = partial(factorized, whole, rhs), partial(route, rhs)
        print(f"{name:>20}  {ratio(dense, own, args.rounds):8.1f} times  difference {error:.1e}")
    at = jnp.linspace(-1.0, 1.0, 100_000)
    step = od.linear_solve(newton, f.grad(x), method="cg", tolerance=1e-10)
    whole_step = jax.jit(lambda z: evaluate(step, {x: z, lam: 2.0}, oracles, jnp))
    gradient = jax.jit(oracles["grad_f"])
    cost = ratio(partial(whole_step, at), partial(gradient, at), args.rounds)
    print(f"a Newton step of 100,000 variables: {cost:.0f} gradients")


if __name__ == "__main__":
    main()
