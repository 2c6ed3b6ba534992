"""Success rates of global minimization per evaluation and per second: odescent, CBXPy and SciPy with one budget.

    taskset -c 0 python benchmarks/success.py [--scale 1.0] [--json]

Every search begins in the same box and has the same number of evaluations; it succeeds if its answer is within 1/4 of
the minimizer in every coordinate. Shares have Wilson's 95 % intervals. Seconds are CPU seconds of one core for one
search, without compiling; "per second" is the share over the seconds of a search. odescent: `od.minimize` as it comes
(it ends when its particles agree or are at rest), and with restarts until the budget is used. CBXPy: `CBO` with its own
defaults, and with its scheduler for the effective sample size, particles and noise as odescent's. SciPy:
differential_evolution and dual_annealing as they come. The slow ones have fewer runs; --scale multiplies all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

TURN = 2 * np.pi


def canyon(xp: Any, x: Any) -> Any:
    """GrandCanyon3noisy of the code of arXiv:2306.09778, points along the last axis."""
    x, y = x[..., 0], x[..., 1]
    v, w = y - ((x - 1) * (x - 4) ** 2 / 8 + 2), -x - 1.6 * y
    floor = 25 * (1 - xp.exp(-1.4 * v**2 * xp.exp(-0.002 * x**4))) + 0.4 * x**2 + 0.2 * y**2
    ripples = 1.1625 * (2 - xp.cos(0.75 * np.pi * x) - xp.cos(0.75 * np.pi * y))
    step = xp.maximum((1 - xp.exp(-9 * w**2)) * xp.sign(w), 0)
    return floor + ripples + 4 * xp.exp(1 - 2 * v**4) * step


def rastrigin(xp: Any, x: Any) -> Any:
    return xp.sum(x**2 + 2.5 * (1 - xp.cos(TURN * x)), axis=-1)


def ackley(xp: Any, x: Any) -> Any:
    near = xp.exp(-0.2 * xp.sqrt(xp.mean(x**2, axis=-1)))
    return 20 * (1 - near) + np.e - xp.exp(xp.mean(xp.cos(TURN * x), axis=-1))


@dataclass(frozen=True)
class Problem:
    """A function of (array module, points), its box in every coordinate, and the evaluations of a search."""

    name: str
    fun: Callable[[Any, Any], Any]
    dimension: int
    box: tuple[float, float]
    budget: int
    runs: dict[str, int]

    @property
    def particles(self) -> int:
        return 50 + 10 * self.dimension


PROBLEMS = (
    Problem("canyon", canyon, 2, (-2, 8), 20_000, {"ours": 400, "CBXPy": 50, "DE": 20, "annealing": 8}),
    Problem("Rastrigin d=2", rastrigin, 2, (-4, 8), 10_000, {"ours": 400, "CBXPy": 50, "DE": 20, "annealing": 10}),
    Problem("Rastrigin d=10", rastrigin, 10, (-4, 8), 80_000, {"ours": 200, "CBXPy": 30, "DE": 8, "annealing": 5}),
    Problem("Ackley d=20", ackley, 20, (-4, 8), 80_000, {"ours": 200, "CBXPy": 30, "DE": 8, "annealing": 5}),
)  # fmt: skip


def ours(p: Problem, runs: int, restarts: int) -> tuple[np.ndarray, int, float]:
    """The answers, all evaluations and the CPU seconds of the second call."""
    import jax.numpy as jnp

    import odescent as od

    fun = lambda x: p.fun(jnp, x)

    def search() -> Any:
        return od.minimize(
            fun, [p.box] * p.dimension, steps=p.budget // p.particles, runs=runs, seed=1,
            restarts=restarts, vectorized=True,
        )  # fmt: skip

    search()
    began = time.process_time()
    found = search()
    return found.xs, found.nfev, time.process_time() - began


def cbxpy(p: Problem, runs: int, tuned: bool) -> tuple[np.ndarray, int, float]:
    from cbx.dynamics import CBO
    from cbx.scheduler import effective_sample_size

    n = p.particles if tuned else 20
    steps = p.budget // n
    x = np.random.default_rng(0).uniform(*p.box, size=(runs, n, p.dimension))
    more = {"noise": "anisotropic", "alpha": 1.0} if tuned else {}
    began = time.process_time()
    with np.errstate(all="ignore"):
        dynamics = CBO(
            lambda y: p.fun(np, y),
            x=x,
            f_dim="3D",
            check_f_dims=False,
            max_it=steps,
            verbosity=0,
            **more,
        )
        found = dynamics.optimize(sched=effective_sample_size() if tuned else "default")
    evaluations = int(np.sum(dynamics.num_f_eval))
    return np.asarray(found), evaluations, time.process_time() - began


def scipys(p: Problem, runs: int, which: str) -> tuple[np.ndarray, int, float]:
    from scipy import optimize

    bounds, found, count = [p.box] * p.dimension, [], 0
    fun = lambda x: float(p.fun(np, x))
    began = time.process_time()
    for seed in range(runs):
        if which == "DE":
            rounds = p.budget // (15 * p.dimension) - 1
            done = optimize.differential_evolution(fun, bounds, maxiter=rounds, seed=seed)
        else:
            done = optimize.dual_annealing(fun, bounds, maxfun=p.budget, maxiter=10**6, seed=seed)
        found.append(done.x)
        count += done.nfev
    return np.array(found), count, time.process_time() - began


def row(p: Problem, who: str, runs: int, outcome: tuple[np.ndarray, int, float]) -> dict[str, Any]:
    from odescent.analysis.attraction.basin_map import wilson

    points, evaluations, seconds = outcome
    hits = int((np.abs(points) < 0.25).all(axis=1).sum())
    low, high = wilson(hits, runs)
    return {
        "problem": p.name, "method": who, "runs": runs, "found": hits, "share": hits / runs, "low": low, "high": high,
        "evaluations": evaluations / runs, "seconds": seconds / runs, "per second": hits / seconds,
        "per 10^4 evaluations": 1e4 * hits / evaluations,
    }  # fmt: skip


def rows(scale: float) -> list[dict[str, Any]]:
    made = []
    for p in PROBLEMS:
        many = {k: max(2, round(n * scale)) for k, n in p.runs.items()}
        jobs: list[tuple[str, int, Callable[[int], Any]]] = [
            ("odescent", many["ours"], lambda n, p=p: ours(p, n, 0)),
            ("odescent, restarts", many["ours"], lambda n, p=p: ours(p, n, 10_000)),
            ("CBXPy, defaults", many["CBXPy"], lambda n, p=p: cbxpy(p, n, False)),
            ("CBXPy, ESS", many["CBXPy"], lambda n, p=p: cbxpy(p, n, True)),
            ("differential_evolution", many["DE"], lambda n, p=p: scipys(p, n, "DE")),
            ("dual_annealing", many["annealing"], lambda n, p=p: scipys(p, n, "annealing")),
        ]
        for who, n, job in jobs:
            made.append(row(p, who, n, job(n)))
            print(shown(made[-1]), file=sys.stderr, flush=True)
    return made


def shown(r: dict[str, Any]) -> str:
    """A row of a table in Markdown."""
    share = f"{100 * r['share']:.1f} % [{100 * r['low']:.0f}, {100 * r['high']:.0f}]"
    cells = (
        r["problem"], r["method"], f"{r['found']}/{r['runs']}", share, f"{r['evaluations']:,.0f}",
        f"{r['seconds']:.3g}", f"{r['per second']:.3g}", f"{r['per 10^4 evaluations']:.3g}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


HEAD = "| problem | method | found | share | evaluations | seconds | found per second | per 10^4 evaluations |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of runs")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    made = rows(given.scale)
    if given.json:
        print(json.dumps({"schema": "odescent.bench.success/1", "rows": made}, indent=2))
    else:
        print("\n".join([HEAD, "|" + "---|" * 8, *map(shown, made)]))


if __name__ == "__main__":
    main()
