"""The same jobs on JAX's accelerator and on the CPU of the machine: runs, batches, particles and training.

    python benchmarks/accelerator.py [--rounds 5] [--small] [--json]

Each job is compiled for either device; the figure is the least wall time of the rounds there, with compilation left
out. Where a job is bound by memory, the share of the device's own bandwidth stands
beside it, from a copy measured in the same run. Results on both devices are compared to a relative difference.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from alternating import processor

import odescent as od
from odescent.particles import gaussian_start, simulate


@dataclass(frozen=True)
class Job:
    """What is run, the bytes that it moves at least (0 where it is not bound by memory), and how it is made."""

    name: str
    make: Callable[[], Callable[[], Any]]
    bytes: float = 0.0
    random: bool = False  # results agree in law only


@dataclass(frozen=True)
class Row:
    """What came out for one job."""

    name: str
    accelerator: float  # seconds
    cpu: float
    ratio: float  # of the CPU's time to the accelerator's
    share: float  # of the accelerator's bandwidth; 0 where it is not what bounds the job
    difference: float  # relative, of the two results; nan where they agree in law only


def copied(size: int) -> Callable[[], Any]:
    """One read and one write of float32."""
    step = jax.jit(lambda a: a + 1)
    a = jnp.zeros((size,), jnp.float32) + 0
    return lambda: step(a)[:1]


def emitted(size: int) -> Callable[[], Any]:
    """The emitted optax step of Nesterov's method: three reads and two writes."""
    from optax_step import emitted as steps

    step, more = steps()
    jitted = jax.jit(step, donate_argnums=(0, 1))
    kept = [jnp.ones((size,), jnp.float32) + 0, jnp.zeros((size,), jnp.float32) + 0]
    grads = jnp.full((size,), 1e-3, jnp.float32) + 0

    def go() -> Any:
        kept[:] = jitted(*kept, grads, *more)
        return kept[0][:1]

    return go


def quadratic(size: int, steps: int) -> Callable[[], Any]:
    """One run on a dense quadratic: its gradient H x / 2 + H' x / 2 reads the matrix twice a step, in float64."""
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(size, size)) / size**0.5
    hessian = factor @ factor.T / 4 + 0.01 * np.eye(size)
    with jax.enable_x64(True):
        held = jnp.asarray(hessian)
    f = od.Objective("f", fun=lambda x: x @ (held @ x) / 2)
    method = od.algorithm("nesterov_sc", mu=0.01, L=2.0)
    return lambda: method.run(f, np.ones(size), steps, every=steps).x[-1]


def many(starts: int, steps: int) -> Callable[[], Any]:
    """Runs of one method from many starting points."""
    rng = np.random.default_rng(0)
    axes = {"x0": rng.uniform(-1, 1, (starts, 2))}
    f, method = od.objective("rosenbrock"), od.algorithm("heavy_ball", step=1e-4, momentum=0.9)
    return lambda: od.analysis.batch(method, f, axes=axes, steps=steps).values["x"]


def consensus(d: int, count: int, steps: int) -> Callable[[], Any]:
    """Consensus-based optimization with anisotropic noise on Rastrigin's function."""
    method = od.Algorithm(od.system("cbo", noise="anisotropic"), od.scheme("explicit_euler"))
    f, start = od.objective("rastrigin", dimension=d), gaussian_start(np.full(d, 2.0), 2.0, count)
    given = {"lam": 1.0, "sigma": 1.0, "h": 0.01, "alpha": 30.0}
    return lambda: simulate(method, f, start, steps, params=given, record_every=steps).consensus[-1]


def langevin(d: int, paths: int, steps: int) -> Callable[[], Any]:
    """Paths of overdamped Langevin dynamics in a double well."""
    f = od.Objective("f", fun=lambda x: jnp.sum(x**4 / 4 - x**2 / 2))
    method, start = od.algorithm("unadjusted_langevin"), np.ones(d)
    more = {"particles": paths, "record_every": steps, "record": ("consensus",)}
    return lambda: simulate(method, f, start, steps, params={"h": 0.01}, **more).consensus[-1]


def training(width: int, batch: int, regularized: bool) -> Callable[[], Any]:
    """A gradient step of a neural ODE through its solve, float32, Tsit5 at 1e-5."""
    keys = jax.random.split(jax.random.key(0), 3)
    weights = {
        "a": jax.random.normal(keys[0], (64, width), jnp.float32) / 8,
        "c": 2 * jax.random.normal(keys[1], (width, 64), jnp.float32) / width**0.5,
    }
    y0 = jax.random.uniform(keys[2], (batch, 64), jnp.float32)
    nde = od.neural_de
    penalty = nde.error() if regularized else None

    def field(t: Any, y: Any, w: Any) -> Any:
        return jnp.tanh(jnp.tanh(y @ w["a"] + t) @ w["c"])

    def loss(w: Any, y0: Any) -> Any:
        out = nde.solve(
            field,
            y0,
            0.0,
            1.0,
            w,
            rtol=1e-5,
            atol=1e-5,
            dt0=0.05,
            regularizer=penalty,
            max_steps=128,
        )
        return jnp.mean(out.ys[-1] ** 2) + 1e-3 * out.penalty

    step = jax.jit(jax.grad(loss))
    return lambda: step(weights, y0)["a"]


def jobs(small: bool) -> Iterator[Job]:
    """All jobs, at their size or at one for a trial."""
    k = 100 if small else 1
    n = 100_000_000 // k
    yield Job(f"optax step, {n:,} parameters", lambda: emitted(n), 20.0 * n)
    d = 8192 // (8 if small else 1)
    yield Job(f"200 steps, dense quadratic, d={d:,}", lambda: quadratic(d, 200), 200 * 16.0 * d * d)
    yield Job("2,000 steps of one run, d=100", lambda: quadratic(100, 2000))
    yield Job(f"1,000 steps of {200_000 // k:,} runs, d=2", lambda: many(200_000 // k, 1000))
    p = 1_000_000 // k
    yield Job(f"20 steps of CBO, {p:,} particles, d=20", lambda: consensus(20, p, 20), random=True)
    yield Job(f"100 steps, {p:,} Langevin paths, d=10", lambda: langevin(10, p, 100), random=True)
    w, b = (128, 64) if small else (1024, 4096)
    yield Job(f"neural ODE step, width {w}, batch {b}", lambda: training(w, b, False))
    yield Job("the same, error regularized", lambda: training(w, b, True))


def timed(job: Callable[[], Any], rounds: int) -> tuple[float, np.ndarray]:
    """(the least time, the result)."""
    result = np.asarray(jax.block_until_ready(job()))  # compiles
    least = float("inf")
    for _ in range(rounds):
        before = time.perf_counter()
        jax.block_until_ready(job())
        least = min(least, time.perf_counter() - before)
    return least, result


def measured(job: Job, devices: tuple[Any, Any], rounds: int, bandwidth: float) -> Row:
    """One job on both devices."""
    took, results = [], []
    for device in devices:
        with jax.default_device(device):
            seconds, result = timed(job.make(), rounds)
        took.append(seconds)
        results.append(result)
    scale = np.max(np.abs(results[1])) or 1.0
    apart = float(np.max(np.abs(results[0] - results[1])) / scale)
    share = job.bytes / took[0] / bandwidth
    return Row(job.name, *took, took[1] / took[0], share, float("nan") if job.random else apart)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="a trial, a hundredth of the size")
    parser.add_argument("--json", action="store_true", help="one document on stdout")
    given = parser.parse_args()
    accelerator, cpu = jax.devices()[0], jax.devices("cpu")[0]
    if accelerator == cpu and not given.small:
        print("left out: JAX has no accelerator here (pip install '.[cuda]').")
        return
    size = (1 << 22) if given.small else (1 << 29)
    with jax.default_device(accelerator):
        bandwidth = 8.0 * size / timed(copied(size), 10)[0]
    machine = f"{accelerator.device_kind}; {processor()}; jax {jax.__version__}"
    if not given.json:
        print(f"{machine}\ncopy: {bandwidth / 1e9:.0f} GB/s")
        print(
            f"{'':<44} {'accelerator':>11} {'CPU':>10} {'ratio':>7} {'bandwidth':>9} {'apart':>8}"
        )
    rows = []
    for job in jobs(given.small):
        try:
            rows.append(r := measured(job, (accelerator, cpu), given.rounds, bandwidth))
        except Exception as failure:  # the other jobs are worth their figures
            print(f"{job.name}: {type(failure).__name__}: {str(failure)[:300]}", file=sys.stderr)
            continue
        if not given.json:
            share = f"{r.share:9.2f}" if r.share else f"{'':>9}"
            times = f"{r.accelerator * 1e3:8.1f} ms {r.cpu * 1e3:7.0f} ms {r.ratio:7.1f}"
            print(f"{r.name:<44} {times} {share} {r.difference:8.1e}", flush=True)
    if given.json:
        head = {"schema": "odescent.benchmark.accelerator/1", "machine": machine}
        print(json.dumps(head | {"copy": bandwidth, "rows": [asdict(r) for r in rows]}, indent=2))


if __name__ == "__main__":
    main()
