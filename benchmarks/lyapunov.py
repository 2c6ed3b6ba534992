"""Lyapunov spectra of many Lorenz systems: ours, a hand-written jitted scan, and a SciPy loop.

    python benchmarks/lyapunov.py [--parameters 10000] [--time 100] [--rounds 3]

The scan has the vector field and its derivative written out, and takes the same RK4 steps of 0.01 and as many
Gram-Schmidt orthogonalizations, in blocks of 256, its best, on one thread; ours uses all processors. The loop is
`scipy.integrate.solve_ivp` (RK45, rtol 1e-6) over the system with its variational equation for two parameters, in
pieces of 0.08 with QR between, extrapolated.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp

import odescent as od
from odescent.analysis import lyapunov

jax.config.update("jax_enable_x64", True)
DT, EVERY, BLOCK, LOOPED = 0.01, 8, 256, 2
S, B = 10.0, 8 / 3


def rates(z: Any, q: Any, r: Any) -> Any:
    """The field, shape (3, n), and its derivative along k tangents, shape (3, k, n)."""
    x, y, w = z
    a, b, c = q
    dz = jnp.stack([S * (y - x), x * (r - w) - y, x * y - B * w])
    return dz, jnp.stack([S * (b - a), (r - w) * a - b - x * c, y * a + x * b - B * c])


def by_hand(r: np.ndarray, steps: int) -> Callable[[], Any]:
    def step(z: Any, q: Any, r: Any) -> Any:
        k1, l1 = rates(z, q, r)
        k2, l2 = rates(z + DT / 2 * k1, q + DT / 2 * l1, r)
        k3, l3 = rates(z + DT / 2 * k2, q + DT / 2 * l2, r)
        k4, l4 = rates(z + DT * k3, q + DT * l3, r)
        return z + DT / 6 * (k1 + 2 * k2 + 2 * k3 + k4), q + DT / 6 * (l1 + 2 * l2 + 2 * l3 + l4)

    def block(r: Any) -> Any:
        def body(carry: Any, _: Any) -> Any:
            z, q, total = carry
            z, q = jax.lax.fori_loop(0, EVERY, lambda _, c: step(*c, r), (z, q))
            done: list[Any] = []
            sizes = []
            for i in range(3):
                v = q[:, i]
                for u in done:
                    v = v - jnp.sum(u * v, axis=0) * u
                sizes.append(jnp.sqrt(jnp.sum(v * v, axis=0)))
                done.append(v / sizes[-1])
            return (z, jnp.stack(done, 1), total + jnp.log(jnp.stack(sizes))), None

        n = r.shape[0]
        z = jnp.broadcast_to(jnp.array([1.0, 1.0, 20.0])[:, None], (3, n))
        q = jnp.broadcast_to(jnp.eye(3)[..., None], (3, 3, n))
        start = (z, q, jnp.zeros((3, n)))
        return jax.lax.scan(body, start, None, length=steps // EVERY)[0][2] / (steps * DT)

    run = jax.jit(lambda r: jax.lax.map(block, r))
    blocks = np.resize(r, (-(-len(r) // BLOCK), BLOCK))
    return lambda: jax.block_until_ready(run(jnp.asarray(blocks)))


def loop(r: float, t1: float) -> None:
    def field(t: float, u: np.ndarray) -> np.ndarray:
        x, y, w = u[:3]
        slope = np.array([[-S, S, 0], [r - w, -1, -x], [y, x, -B]])
        dz = (S * (y - x), x * (r - w) - y, x * y - B * w)
        return np.concatenate([dz, (slope @ u[3:].reshape(3, 3)).ravel()])

    u = np.concatenate([[1.0, 1.0, 20.0], np.eye(3).ravel()])
    for _ in range(round(t1 / (DT * EVERY))):
        u = solve_ivp(field, (0, DT * EVERY), u, rtol=1e-6).y[:, -1]
        u[3:] = np.linalg.qr(u[3:].reshape(3, 3))[0].ravel()


def seconds(job: Callable[[], Any]) -> tuple[float, float]:
    """On the clock, and of the processors."""
    began, used = time.perf_counter(), time.process_time()
    job()
    return time.perf_counter() - began, time.process_time() - used


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--parameters", type=int, default=10_000)
    parser.add_argument("--time", type=float, default=100.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    x, y, z = od.blocks("x y z", kind="scalar")
    s, r, b = od.parameters("s r b")
    lorenz = od.System({"all": {x: s * (y - x), y: x * (r - z) - y, z: x * y - b * z}}, output=x)
    values = np.linspace(20.0, 60.0, given.parameters)
    every = {"s": S, "r": values, "b": B}
    # the time without the transient that is left out, so that both sides take as many steps
    ours = lambda: lyapunov(
        lorenz, x0=[1.0, 1.0, 20.0], t1=given.time / 1.1, dt=DT, parameters=every
    )
    hand = by_hand(values, round(given.time / DT))
    ours(), hand()
    took = [(seconds(ours), seconds(hand)) for _ in range(given.rounds)]
    # least times: other programs only make them longer
    (own, own_cpu), (scan, scan_cpu) = (
        [min(row[i][j] for row in took) for j in (0, 1)] for i in (0, 1)
    )
    scipy = min(
        seconds(lambda: [loop(v, given.time / 10) for v in values[:LOOPED]])[0] for _ in range(2)
    )
    scipy *= 10 * given.parameters / LOOPED
    print(
        f"{given.parameters} spectra to t = {given.time:g}: {own:.2f} s; hand-written scan / ours {scan / own:.2f} "
        f"(of processor {scan_cpu / own_cpu:.2f}); SciPy loop / ours {scipy / own:.0f}; load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
