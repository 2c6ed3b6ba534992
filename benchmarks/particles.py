"""The particle engine against CBXPy, and fixed-step SDEs against diffrax and torchsde, on one core in float64.

    taskset -c 0 python benchmarks/particles.py [--part consensus|sde|memory] [--rounds 5] [--json]

Consensus: Euler-Maruyama of anisotropic consensus-based optimization on Rastrigin's function, the same formula,
particles, dimension and steps; CBXPy keeps its particles in NumPy with its parameters frozen (sched=None). "plain"
is the user's own function of points, (N, d) to (N,), written with jax.numpy. SDE: overdamped Langevin in 10
dimensions. Memory: the highest resident set of a process of its own, with what importing takes.
Each figure is the ratio of CPU seconds, the least of the rounds, contenders taken in turn; compiling is left out
and listed apart.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

PARAMETERS = {"lam": 1.0, "sigma": 1.0, "h": 0.01, "alpha": 30.0}
CASES = (  # d, N, runs, steps of ours, steps of CBXPy
    (2, 50, 1, 2000, 1000), (2, 50, 200, 200, 40), (2, 10_000, 1, 200, 40), (2, 100_000, 1, 40, 8),
    (20, 50, 1, 1000, 1000), (20, 50, 200, 60, 15), (20, 10_000, 1, 40, 8), (100, 1000, 1, 60, 15),
    (100, 100_000, 1, 6, 2),
)  # fmt: skip
TURN = 2 * np.pi


def cpu_seconds(job: Callable[[], object]) -> float:
    began = time.process_time()
    job()
    return time.process_time() - began


def in_turn(
    jobs: dict[str, Callable[[], object]], rounds: int
) -> tuple[dict[str, float], dict[str, float]]:
    """(the first time, the least time of the later ones) of each."""
    first = {n: cpu_seconds(job) for n, job in jobs.items()}
    took: dict[str, list[float]] = {n: [] for n in jobs}
    for _ in range(rounds):
        for n, job in jobs.items():
            took[n].append(cpu_seconds(job))
    return first, {n: min(t) for n, t in took.items()}


def cbxpy(d: int, n: int, runs: int, steps: int) -> object:
    from cbx.dynamics import CBO

    f = lambda x: np.sum(x**2 + 10 * (1 - np.cos(TURN * x)), axis=-1)
    x = np.random.default_rng(0).normal(size=(runs, n, d)) * 2 + 2
    dynamics = CBO(
        f, x=x, noise="anisotropic", f_dim="3D", check_f_dims=False, alpha=30.0, lamda=1.0, sigma=1.0, dt=0.01,
        max_it=steps, verbosity=0,
    )  # fmt: skip
    return dynamics.optimize(sched=None)


def ours(d: int, n: int, runs: int, steps: int, plain: bool = False) -> object:
    from odescent.particles import gaussian_start, simulate

    fun = plain_rastrigin if plain else registered(d)
    start = gaussian_start(np.full(d, 2.0), 2.0, n)
    return simulate(method(), fun, start, steps, params=PARAMETERS, runs=runs).consensus


def plain_rastrigin(x):
    import jax.numpy as jnp

    return jnp.sum(x**2 + 10 * (1 - jnp.cos(TURN * x)), axis=-1)


@cache
def registered(d: int):
    import odescent as od

    return od.objective("rastrigin", dimension=d)


@cache
def method():
    import odescent as od

    return od.Algorithm(od.system("cbo", noise="anisotropic"), od.scheme("explicit_euler"))


def consensus(rounds: int) -> list[dict[str, object]]:
    rows = []
    for d, n, runs, mine, theirs in CASES:
        jobs = {
            "ours": partial(ours, d, n, runs, mine),
            "plain": partial(ours, d, n, runs, mine, True),
            "CBXPy": partial(cbxpy, d, n, runs, theirs),
        }
        first, least = in_turn(jobs, rounds)
        each = {k: least[k] / (theirs if k == "CBXPy" else mine) for k in jobs}
        rows.append({
            "case": f"d={d} N={n} runs={runs}",
            "CBXPy / ours": each["CBXPy"] / each["ours"],
            "CBXPy / plain": each["CBXPy"] / each["plain"],
            "M particle-steps/s": runs * n / each["ours"] / 1e6,
            "compile s": first["ours"] - least["ours"],
        })  # fmt: skip
        print(shown(rows[-1]), file=sys.stderr, flush=True)
    return rows


def sde(rounds: int) -> list[dict[str, object]]:
    import diffrax as dfx
    import jax
    import jax.numpy as jnp
    import lineax as lx
    import torch
    import torchsde

    import odescent as od
    from odescent.particles import simulate

    jax.config.update("jax_enable_x64", True)
    torch.set_num_threads(1)
    d, h = 10, 0.01
    amplitude = jnp.full(d, 2**0.5)
    f = od.Objective("f", fun=lambda x: jnp.sum(x**4 / 4 - x**2 / 2), grad=lambda x: x**3 - x)
    langevin = od.algorithm("unadjusted_langevin")

    class Torch(torch.nn.Module):
        noise_type, sde_type = "diagonal", "ito"

        def f(self, t, y):
            return y - y**3

        def g(self, t, y):
            return torch.full_like(y, 2**0.5)

    def diffrax(tree: bool, paths: int, steps: int) -> Callable[[], object]:
        def one(key):
            shape = jax.ShapeDtypeStruct((d,), jnp.float64)
            path = (
                dfx.VirtualBrownianTree(0.0, h * steps, h / 2, shape, key)
                if tree
                else dfx.UnsafeBrownianPath(shape, key)
            )
            terms = dfx.MultiTerm(
                dfx.ODETerm(lambda t, y, _: y - y**3),
                dfx.ControlTerm(lambda t, y, _: lx.DiagonalLinearOperator(amplitude), path),
            )
            more = {} if tree else {"adjoint": dfx.DirectAdjoint()}
            return dfx.diffeqsolve(
                terms, dfx.Euler(), 0.0, h * steps, h, jnp.ones(d), max_steps=steps + 1,
                stepsize_controller=dfx.ConstantStepSize(), saveat=dfx.SaveAt(t1=True), **more,
            ).ys  # fmt: skip

        go = jax.jit(jax.vmap(one))
        keys = jax.random.split(jax.random.key(0), paths)
        return lambda: jax.block_until_ready(go(keys))

    def torched(paths: int, steps: int) -> object:
        with torch.no_grad():
            times = torch.tensor([0.0, h * steps], dtype=torch.float64)
            return torchsde.sdeint(
                Torch(), torch.ones(paths, d, dtype=torch.float64), times, dt=h, method="euler"
            )

    rows = []
    for paths, steps in ((1, 5000), (1000, 500)):
        short, often = (
            max(1, steps // 10),
            max(1, 10 // paths),
        )  # a single path takes us too short a time
        jobs = {
            "ours": lambda p=paths, s=steps, often=often: [
                simulate(
                    langevin, f, np.ones(d), s, params={"h": h}, particles=p, record_every=s, record=("consensus",)
                ).blocks
                for _ in range(often)
            ],
            "tree": diffrax(True, paths, short),
            "increments": diffrax(False, paths, steps),
            "torchsde": partial(torched, paths, short),
        }  # fmt: skip
        first, least = in_turn(jobs, rounds)
        scale = {
            "ours": 1 / often,
            "tree": steps / short,
            "increments": 1,
            "torchsde": steps / short,
        }
        each = {k: least[k] * scale[k] for k in jobs}
        rows.append({
            "case": f"{paths} paths x {steps} steps, d={d}",
            "VirtualBrownianTree / ours": each["tree"] / each["ours"],
            "UnsafeBrownianPath / ours": each["increments"] / each["ours"],
            "torchsde / ours": each["torchsde"] / each["ours"],
            "M coordinate-steps/s": paths * steps * d / each["ours"] / 1e6,
            "compile s": first["ours"] - least["ours"],
        })  # fmt: skip
        print(shown(rows[-1]), file=sys.stderr, flush=True)
    return rows


def memory() -> list[dict[str, object]]:
    d, n, steps = 100, 100_000, 5
    code = (
        "import importlib.util as u, sys; s = u.spec_from_file_location('bench', sys.argv[1]); "
        "b = u.module_from_spec(s); s.loader.exec_module(b); print(b.peak(sys.argv[2], *map(int, sys.argv[3:])))"
    )
    here = os.path.abspath(__file__)

    def of(who: str, count: int) -> float:
        arguments = [sys.executable, "-c", code, here, who, str(d), str(count), str(steps)]
        return float(subprocess.run(arguments, capture_output=True, text=True, check=True).stdout)

    peak = {(who, m): of(who, m) for who in ("ours", "CBXPy") for m in (100, n)}
    grown = {who: peak[who, n] - peak[who, 100] for who in ("ours", "CBXPy")}
    return [{
        "case": f"peak memory, d={d} N={n}",
        "ours / CBXPy": peak["ours", n] / peak["CBXPy", n],
        "ours / CBXPy, beyond N=100": grown["ours"] / grown["CBXPy"],
        "ours MiB": peak["ours", n],
        "CBXPy MiB": peak["CBXPy", n],
    }]  # fmt: skip


def peak(who: str, d: int, n: int, steps: int) -> float:
    """MiB of this process after a run: of its own memory, where ru_maxrss begins with its parent's."""
    (ours if who == "ours" else cbxpy)(d, n, 1, steps)
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return float(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


def shown(row: dict[str, object]) -> str:
    return "  ".join(
        f"{k}: {v if isinstance(v, str) else format(v, '.3g')}" for k, v in row.items()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--part", choices=("consensus", "sde", "memory"), action="append")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    parts = given.part or ["consensus", "sde", "memory"]
    rows = [
        row
        for part in parts
        for row in (
            memory()
            if part == "memory"
            else {"consensus": consensus, "sde": sde}[part](given.rounds)
        )
    ]
    if given.json:
        print(json.dumps({"schema": "odescent.bench.particles/1", "rows": rows}, indent=2))
    else:
        print("\n".join(map(shown, rows)))


if __name__ == "__main__":
    main()
