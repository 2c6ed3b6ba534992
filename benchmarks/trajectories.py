"""Planar trajectories of fixed RK4 steps: ours, a SciPy loop, and a vmapped fixed-step diffeqsolve.

    python benchmarks/trajectories.py [--trajectories 100000] [--steps 1000] [--rounds 5] [--json]

The loop is `scipy.integrate.solve_ivp`, RK45 at rtol 1e-8, over 100 of the trajectories, extrapolated to all.
diffeqsolve takes the same steps with the same tableau, (N, 2) states, compiled, time for compilation left out;
it runs a tenth of the trajectories and is extrapolated, in our favour by no more than its own fixed cost.
Ratios are those of medians over rounds taken in turn.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp

import odescent as od
from odescent.dynamics.flows.many import simulate_many
from odescent.dynamics.flows.tableaux import TABLEAUX

jax.config.update("jax_enable_x64", True)
DT, LOOPED, PART = 0.01, 100, 10
FIELDS: dict[str, tuple[Callable, Callable]] = {
    "Duffing (polynomial)": (lambda x: jnp.sum(x**4 / 4 - x**2 / 2), lambda x: x**3 - x),
    "pendulum (transcendental)": (lambda x: jnp.sum(1 - jnp.cos(x)), np.sin),
}


class RK4(dfx.AbstractERK):
    """The classical method for diffrax."""

    tableau = dfx.ButcherTableau(
        a_lower=tuple(map(np.array, TABLEAUX["rk4"].numbers[0][1:])),
        b_sol=np.array(TABLEAUX["rk4"].numbers[1]),
        b_error=np.zeros(4),
        c=np.array(TABLEAUX["rk4"].numbers[2][1:]),
    )
    interpolation_cls = dfx.ThirdOrderHermitePolynomialInterpolation.from_k

    def order(self, terms: object) -> int:
        return 4


def seconds(job: Callable[[], object]) -> float:
    began = time.perf_counter()
    jax.block_until_ready(job())
    return time.perf_counter() - began


def measure(name: str, n: int, steps: int, rounds: int) -> dict[str, float | str]:
    fun, slope = FIELDS[name]
    t1 = DT * steps
    f = od.Objective("f", fun=fun)
    x, v = od.blocks("x v")
    system = od.System({"all": {x: v, v: -v / 5 - f.grad(x)}}, output=x)
    starts = np.random.default_rng(0).normal(size=(n, 1))

    ours = lambda: simulate_many(system, f, starts, t1, dt=DT).x
    rates = lambda t, z, _: jnp.stack(
        [z[1], -z[1] / 5 - (z[0] ** 3 - z[0] if "poly" in name else jnp.sin(z[0]))]
    )
    solve = lambda z0: dfx.diffeqsolve(
        dfx.ODETerm(rates), RK4(), 0.0, t1, DT, z0, saveat=dfx.SaveAt(t1=True), max_steps=steps + 1,
        stepsize_controller=dfx.ConstantStepSize(),
    ).ys[-1]  # fmt: skip
    batch = eqx.filter_jit(jax.vmap(solve))
    part = jnp.asarray(np.column_stack([starts[: n // PART, 0], np.zeros(n // PART)]))
    theirs = lambda: batch(part)

    def loop() -> object:
        for x0 in starts[:LOOPED, 0]:
            solve_ivp(
                lambda t, z: (z[1], -z[1] / 5 - slope(z[0])),
                (0, t1),
                (x0, 0.0),
                rtol=1e-8,
                atol=1e-10,
            )
        return None

    np.testing.assert_allclose(ours()[-1][: n // PART, 0], theirs()[:, 0], rtol=1e-9, atol=1e-12)
    took = {"ours": [], "diffrax": [], "loop": []}
    for _ in range(rounds):
        took["ours"].append(seconds(ours))
        took["diffrax"].append(seconds(theirs) * PART)
    for _ in range(2):
        took["loop"].append(seconds(loop) * n / LOOPED)
    mid = {k: statistics.median(v) for k, v in took.items()}
    return {
        "field": name,
        "seconds": mid["ours"],
        "SciPy loop / ours": mid["loop"] / mid["ours"],
        "diffeqsolve / ours": mid["diffrax"] / mid["ours"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trajectories", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = [measure(name, given.trajectories, given.steps, given.rounds) for name in FIELDS]
    if given.json:
        print(json.dumps({"schema": "odescent.bench.trajectories/1", "rows": rows}, indent=2))
        return
    for row in rows:
        print(
            "  ".join(
                f"{k}: {v if isinstance(v, str) else format(v, '.3g')}" for k, v in row.items()
            )
        )


if __name__ == "__main__":
    main()
