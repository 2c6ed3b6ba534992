"""Basins with a fractal boundary, 512 x 512: Henon's map, and the forced pendulum with steps and with ten times more.

    python benchmarks/fractal_basins.py [--side 512] [--rounds 3]

The pendulum x'' = -x'/5 - sin x + 1.66 cos t is seen once per period of its force, in float64 by RK4; decided points
are taken out. The other side is what one writes first: the same steps for all points to the cap, compiled, and none
is taken out; it runs a sixteenth of the points for a twentieth of the cap and is extrapolated. Compilation is left
out; least times of the rounds. Shares are compared with those of ten times smaller steps from random starts, in
units of the sampling error.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

import odescent as od
from odescent.analysis import Basins, basins, stroboscopic_map
from odescent.dynamics.random import elementary

jax.config.update("jax_enable_x64", True)
STEPS, CAP, PART, SAMPLES = 60, 2000, 16, 4000
WINDOW = {"x": (-math.pi, math.pi), "v": (-2.0, 4.0)}


def henon(s: Any) -> Any:
    return jnp.array([1 - 1.4 * s[0] ** 2 + s[1], 0.3 * s[0]])


def pendulum() -> od.System:
    x, v = od.blocks("x v", kind="scalar")
    t = sp.Symbol("t", real=True)
    push = sp.Rational(166, 100) * sp.cos(t)
    return od.System(
        {"all": {x: v, v: -v / 5 - sp.sin(x) + push}}, output=x, time=t, name="pendulum"
    )


def all_the_way(side: int) -> Callable[[], Any]:
    """RK4 steps of some of the points for a part of the cap."""
    grid = np.meshgrid(*(np.linspace(*ends, side) for ends in WINDOW.values()))
    start = tuple(jnp.asarray(g.ravel()[::PART]) for g in grid)
    dt = 2 * math.pi / STEPS
    rates = lambda t, z: (z[1], -0.2 * z[1] - elementary.sin(z[0]) + 1.66 * jnp.cos(t))
    add = lambda z, k, h: tuple(a + h * b for a, b in zip(z, k, strict=True))

    def step(i: Any, z: Any) -> Any:
        t = i * dt
        k1 = rates(t, z)
        k2 = rates(t + dt / 2, add(z, k1, dt / 2))
        k3 = rates(t + dt / 2, add(z, k2, dt / 2))
        k4 = rates(t + dt, add(z, k3, dt))
        return tuple(
            a + dt / 6 * (p + 2 * q + 2 * r + s)
            for a, p, q, r, s in zip(z, k1, k2, k3, k4, strict=True)
        )

    run = jax.jit(lambda z: jax.lax.fori_loop(0, CAP * STEPS // 20, step, z))
    return lambda: jax.block_until_ready(run(start))


def seconds(job: Callable[[], Any]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    job()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    n = given.side
    turn = {"x": 2 * math.pi}
    seen = stroboscopic_map(pendulum(), 2 * sp.pi, steps=STEPS, modulo=turn)
    fine = stroboscopic_map(pendulum(), 2 * sp.pi, steps=10 * STEPS, modulo=turn)
    places = {"x0[0]": (-2.5, 2.5, n), "x0[1]": (-2.5, 2.5, n)}
    made: dict[str, Basins] = {}

    def of_henon() -> None:
        made["Henon"] = basins(henon, axes=places, start=[0.0, 0.0])

    def of_pendulum() -> None:
        axes = {k: (*ends, n) for k, ends in WINDOW.items()}
        made["pendulum"] = basins(seen, axes=axes, start=[0.0])

    for name, job in (("Henon", of_henon), ("pendulum", of_pendulum)):
        job()
        took = [seconds(job) for _ in range(given.rounds)]
        wall, cpu = (min(t[i] for t in took) for i in (0, 1))
        b = made[name]
        print(
            f"{name}, {n} x {n}: {wall:.2f} s ({cpu:.2f} s of processor), unresolved {b.unresolved:.2%}, boundary "
            f"dimension {b.uncertainty().dimension:.3f}, boundary entropy {b.entropy().boundary:.3f}; load "
            f"{os.getloadavg()[0]:.1f}"
        )
        for s in b.fractions:
            print(f"    {s.label}: {s.share:.2%}")
    rest = all_the_way(n)
    rest()
    other = PART * 20 * min(seconds(rest)[0] for _ in range(2))
    print(f"  every point of the pendulum to the cap of {CAP} periods / ours: {other / wall:.0f}")
    key = jax.random.key(0)
    pair = [basins(m, axes=WINDOW, start=[0.0], samples=SAMPLES, key=key) for m in (seen, fine)]
    shares = [sorted(s.share for s in b.fractions if s.count) for b in pair]
    off = max(abs(a - c) / math.sqrt(a * (1 - a) / SAMPLES) for a, c in zip(*shares, strict=True))
    print(
        f"  shares with ten times smaller steps, {SAMPLES} starts: within {off:.2f} standard errors"
    )


if __name__ == "__main__":
    main()
