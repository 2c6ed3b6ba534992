"""One step of Nesterov's method in optax: emitted, hand-written, and optax.sgd(nesterov=True).

    python benchmarks/optax_step.py [--size 10000000] [--leaves 200] [--rounds 30] [--json]

Every contestant updates the same donated buffers in turn, in rotating order, on several allocations:
identical programs on separate buffers can differ by more than what is to be measured here. The second
compilation of the emitted step is the control (A/A): its ratio says what a ratio of 1 looks like.
Ratios are times over the hand-written step's, in the same round.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from alternating import alternate, processor, ratios

import odescent as od
from odescent.discretize.emit import load

MU, L = 0.01, 2.0
Q = (MU / L) ** 0.5
BETA = (1 - Q) / (1 + Q)
BASE = "hand-written"


@dataclass(frozen=True)
class Contestant:
    """A step ``(params, memory, grads) -> (params, memory)``, compiled with the first two donated."""

    name: str
    compiled: Callable[..., Any]
    bytes_accessed: float
    flops: float
    temp_bytes: int
    lower: Callable[[], Any]  # a fresh trace, for the time of compilation


@dataclass(frozen=True)
class Row:
    """What came out for one contestant on one kind of parameters."""

    params: str
    name: str
    ratio: float  # median over rounds and allocations
    least: float  # of the medians by allocation
    most: float
    milliseconds: float
    gigabytes_per_second: float
    bytes_accessed: float
    temp_bytes: int
    flops: float


def emitted() -> tuple[Callable[..., Any], tuple[Any]]:
    """The emitted transformation; its coefficients are arguments, as they are in a training step."""
    module = load(od.algorithm("nesterov_sc"), "optax")
    opt, c = module.nesterov_sc(MU, L), module.coefficients(MU, L)

    def step(params: Any, memory: Any, grads: Any, c: Any) -> tuple[Any, Any]:
        updates, state = opt.update(grads, module.NesterovScState(m=memory, c=c))
        return optax.apply_updates(params, updates), state.m

    return step, (c,)


def hand_written() -> tuple[Callable[..., Any], tuple[()]]:
    """What a person would write: constants folded in."""
    c1, c2 = BETA / L, 1 / L

    def step(params: Any, memory: Any, grads: Any) -> tuple[Any, Any]:
        m = jax.tree.map(lambda m, g: BETA * m - c1 * g, memory, grads)
        return jax.tree.map(lambda p, m, g: p + (m - c2 * g), params, m, grads), m

    return step, ()


def optax_sgd() -> tuple[Callable[..., Any], tuple[()]]:
    """optax's own, with the same tuning."""
    opt = optax.sgd(1 / L, momentum=BETA, nesterov=True)

    def step(params: Any, memory: Any, grads: Any) -> tuple[Any, Any]:
        empty = opt.init(jax.tree.map(lambda p: jnp.zeros((), p.dtype), params))
        state = (empty[0]._replace(trace=memory), *empty[1:])
        updates, state = opt.update(grads, state)
        return optax.apply_updates(params, updates), state[0].trace

    return step, ()


def contestants(params: Any) -> list[Contestant]:
    """All of them, compiled for parameters of this kind."""
    made = []
    for name, build in (
        (BASE, hand_written),
        ("emitted", emitted),
        ("emitted, again (A/A)", emitted),
        ("optax.sgd", optax_sgd),
    ):
        step, more = build()
        compiled = _lowered(step, params, more).compile()
        cost, memory = compiled.cost_analysis(), compiled.memory_analysis()
        call = lambda p, m, g, compiled=compiled, more=more: compiled(p, m, g, *more)
        again = partial(_lowered, step, params, more)
        made.append(
            Contestant(
                name,
                call,
                cost["bytes accessed"],
                cost["flops"],
                memory.temp_size_in_bytes,
                again,
            )
        )
    return made


def _lowered(step: Callable[..., Any], params: Any, more: tuple[Any, ...]) -> Any:
    """The step, traced anew."""
    return jax.jit(step, donate_argnums=(0, 1)).lower(params, params, params, *more)


def compile_ratios(listed: list[Contestant], rounds: int = 9) -> dict[str, float]:
    """Time to trace and compile over the hand-written step's: medians of alternating rounds."""
    ratios: dict[str, list[float]] = {c.name: [] for c in listed}
    for _ in range(rounds):
        times = {}
        for c in listed:
            jax.clear_caches()
            before = time.perf_counter()
            c.lower().compile()
            times[c.name] = time.perf_counter() - before
        for c in listed:
            ratios[c.name].append(times[c.name] / times[BASE])
    return {n: statistics.median(r[1:]) for n, r in ratios.items()}


def triad(size: int, rounds: int) -> float:
    """Gigabytes per second of a = b + 3 c on float32 arrays, the best of the rounds."""
    step = jax.jit(lambda a, b, c: b + 3 * c + 0 * a, donate_argnums=0)
    a, b, c = (jnp.full((size,), v, jnp.float32) + 0 for v in (0.0, 1.0, 2.0))
    best = float("inf")
    for _ in range(max(rounds, 5)):
        before = time.perf_counter()
        a = jax.block_until_ready(step(a, b, c))
        best = min(best, time.perf_counter() - before)
    return 4 * 4 * size / best / 1e9


def measure(kind: str, make: Callable[[float], Any], rounds: int, allocations: int) -> list[Row]:
    """Times in alternation; ``make(value)`` allocates parameters."""
    listed = contestants(make(0.0))
    allocated = []
    for _ in range(allocations):
        buffers = [make(1.0), make(0.0)]
        grads = make(1e-3)

        def step(c: Contestant, buffers: list[Any] = buffers, grads: Any = grads) -> None:
            buffers[:] = jax.block_until_ready(c.compiled(*buffers, grads))

        for c in listed:  # warm
            step(c)
        allocated.append(alternate({c.name: partial(step, c) for c in listed}, rounds))
        buffers.clear()
    rows = []
    for c, r in zip(listed, ratios(allocated, BASE).values(), strict=True):
        speed = c.bytes_accessed / r.seconds / 1e9
        rows.append(
            Row(
                kind, c.name, r.median, r.least, r.most, r.seconds * 1e3, speed, c.bytes_accessed, c.temp_bytes,
                c.flops,
            )
        )  # fmt: skip
    return rows


def machine() -> str:
    """One line about where this ran."""
    device = jax.devices()[0]
    return f"{device.platform} ({device.device_kind}); {processor()}; jax {jax.__version__}, optax {optax.__version__}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=10_000_000, help="parameters in all")
    parser.add_argument("--leaves", type=int, default=200, help="leaves of the tree")
    parser.add_argument("--rounds", type=int, default=30, help="rounds per allocation")
    parser.add_argument("--allocations", type=int, default=5, help="at least four")
    parser.add_argument("--json", action="store_true", help="one document on stdout")
    given = parser.parse_args()
    if given.allocations < 4 or min(given.size // max(given.leaves, 1), given.rounds) < 1:
        parser.error("allocations must be at least 4, rounds at least 1, and no leaf empty.")

    def array(value: float) -> Any:
        return jnp.full((given.size,), value, jnp.float32) + 0

    def tree(value: float) -> Any:
        part = given.size // given.leaves
        return {f"leaf{i}": jnp.full((part,), value, jnp.float32) + 0 for i in range(given.leaves)}

    bandwidth = triad(given.size, given.rounds)
    kinds = {"one array": array, f"{given.leaves} leaves": tree}
    compiling = {k: compile_ratios(contestants(make(0.0))) for k, make in kinds.items()}
    rows = measure("one array", array, given.rounds, given.allocations)
    rows += measure(f"{given.leaves} leaves", tree, given.rounds, given.allocations)
    if given.json:
        document = {
            "schema": "odescent.benchmark.optax_step/1",
            "machine": machine(),
            "settings": vars(given),
            "triad_gigabytes_per_second": bandwidth,
            "compile_ratios": compiling,
            "rows": [asdict(r) for r in rows],
        }
        print(json.dumps(document, indent=2))
        return
    print(machine())
    print(
        f"{given.size:,} float32 parameters, {given.allocations} allocations, {given.rounds} rounds each"
    )
    print(f"triad a = b + 3 c (three reads, one write): {bandwidth:.1f} GB/s")
    for kind, taken in compiling.items():
        shown = ", ".join(f"{n} {r:.2f}" for n, r in taken.items())
        print(f"trace and compile, {kind}, over hand-written: {shown}")
    head = (
        "params",
        "step",
        "ratio",
        "by allocation",
        "ms",
        "GB/s",
        "MB accessed",
        "temp bytes",
        "Mflop",
    )
    print("{:<11} {:<21} {:>6}  {:<14} {:>8} {:>6} {:>12} {:>11} {:>6}".format(*head))
    for r in rows:
        print(
            f"{r.params:<11} {r.name:<21} {r.ratio:6.3f}  {f'{r.least:.3f} .. {r.most:.3f}':<14} "
            f"{r.milliseconds:8.2f} {r.gigabytes_per_second:6.1f} {r.bytes_accessed / 1e6:12.2f} "
            f"{r.temp_bytes:11d} {r.flops / 1e6:6.1f}"
        )


if __name__ == "__main__":
    main()
