"""The cost of a gradient step with each regularizer over one without, at equal numbers of steps.

    python benchmarks/regularizer_overhead.py [--batch 256] [--rounds 30] [--names error local] [--json]

A network 64-100-64 on the batch as one state, float32, Tsit5 at 1e-6 on [0, 1]: the solve without regularizer, with
each of them, and diffrax alone. All take turns in rotating order; ratios are of processor time (all threads) to the
solve without regularizer, and to diffrax's, in the same round. The second compilation is the control (A/A).
The regularizers that change neither steps nor solution are compared at equal steps by construction; the
table says how many there were.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import diffrax as dfx
import jax
import jax.numpy as jnp
import jax.random as jr

import odescent as od

nde = od.neural_de
BASE, DIFFRAX = "no regularizer", "diffrax"
REGULARIZERS: dict[str, Callable[[], Any]] = {
    "error": nde.error,
    "steps": nde.steps,
    "shampine": lambda: nde.stiffness("shampine"),
    "jvp": lambda: nde.stiffness("jvp"),
    "local": nde.local,
    "taylor 2": lambda: nde.taylor(2),
    "taylor 3": lambda: nde.taylor(3),
}


@dataclass(frozen=True)
class Row:
    """What came out for one contestant."""

    name: str
    ratio: float  # to no regularizer, median over rounds
    quartiles: tuple[float, float]
    to_diffrax: float
    milliseconds: float
    steps: int
    compile_seconds: float


def field(t: Any, y: Any, w: Any) -> Any:
    """Time joins the input of both layers."""
    first = jnp.tanh(y @ w["a"] + t * w["s"] + w["b"])
    return jnp.tanh(first @ w["c"] + t * w["u"] + w["d"])


def weights(key: Any) -> Any:
    """Glorot-like, scaled up so that the solve takes some steps."""
    k = jr.split(key, 4)
    row = lambda key, n: 0.1 * jr.normal(key, (1, n), jnp.float32)
    zero = lambda n: jnp.zeros((1, n), jnp.float32)
    return {
        "a": 2 * jr.normal(k[0], (64, 100), jnp.float32) / 8, "s": row(k[1], 100), "b": zero(100),
        "c": 2 * jr.normal(k[2], (100, 64), jnp.float32) / 10, "u": row(k[3], 64), "d": zero(64),
    }  # fmt: skip


def plain(w: Any, y0: Any, key: Any) -> Any:
    """diffrax alone, from the same first step."""
    sol = dfx.diffeqsolve(
        dfx.ODETerm(field), dfx.Tsit5(), jnp.float32(0), jnp.float32(1), jnp.float32(0.05), y0, w,
        stepsize_controller=dfx.PIDController(rtol=1e-6, atol=1e-6), max_steps=256,
    )  # fmt: skip
    return jnp.mean(sol.ys[-1] ** 2), sol.stats["num_accepted_steps"]


def penalized(regularizer: Any) -> Callable[..., Any]:
    """The same solve with a penalty added to the loss."""

    def loss(w: Any, y0: Any, key: Any) -> Any:
        out = nde.solve(
            field,
            y0,
            0.0,
            1.0,
            w,
            rtol=1e-6,
            atol=1e-6,
            dt0=0.05,
            regularizer=regularizer,
            key=key,
            max_steps=256,
        )
        return jnp.mean(out.ys[-1] ** 2) + 1e-3 * out.penalty, out.statistics.accepted

    return loss


def measure(names: list[str], batch: int, rounds: int) -> list[Row]:
    """Times in alternation."""
    y0 = jr.uniform(jr.key(1), (batch, 64), jnp.float32)
    w = weights(jr.key(0))
    losses = {DIFFRAX: plain, BASE: penalized(None), f"{BASE} (A/A)": penalized(None)}
    losses |= {name: penalized(REGULARIZERS[name]()) for name in names}
    compiled, seconds, steps = {}, {}, {}
    for name, loss in losses.items():
        begin = time.process_time()
        step = jax.jit(jax.value_and_grad(loss, has_aux=True)).lower(w, y0, jr.key(2)).compile()
        (_, taken), _ = jax.block_until_ready(step(w, y0, jr.key(2)))
        compiled[name], seconds[name], steps[name] = step, time.process_time() - begin, int(taken)
    times: dict[str, list[float]] = {name: [] for name in losses}
    listed = list(losses)
    for i in range(rounds):
        turn = i % len(listed)
        for name in listed[turn:] + listed[:turn]:
            begin = time.process_time()
            jax.block_until_ready(compiled[name](w, y0, jr.key(i)))
            times[name].append(time.process_time() - begin)
    rows = []
    for name in listed:
        ratios = [a / b for a, b in zip(times[name], times[BASE], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        others = [a / b for a, b in zip(times[name], times[DIFFRAX], strict=True)]
        typical = 1e3 * statistics.median(times[name])
        to_diffrax = statistics.median(others)
        rows.append(Row(name, middle, (low, high), to_diffrax, typical, steps[name], seconds[name]))
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=30, help="at least four")
    parser.add_argument(
        "--names", nargs="*", default=list(REGULARIZERS), choices=list(REGULARIZERS)
    )
    parser.add_argument("--json", action="store_true", help="one document on stdout")
    given = parser.parse_args()
    if given.rounds < 4 or given.batch < 1:
        parser.error("rounds must be at least 4 and the batch at least 1.")
    rows = measure(given.names, given.batch, given.rounds)
    if given.json:
        head = {"schema": "odescent.benchmark.regularizer_overhead/1", "settings": vars(given)}
        print(json.dumps(head | {"rows": [asdict(r) for r in rows]}, indent=2))
        return
    print(
        f"{jax.devices()[0].device_kind}, jax {jax.__version__}, diffrax {dfx.__version__}; batch {given.batch}"
    )
    print(
        f"{'':<22} {'ratio':>6}  {'quartiles':<14} {'/ diffrax':>10} {'ms':>8} {'steps':>6} {'compile s':>10}"
    )
    for r in rows:
        low, high = r.quartiles
        print(
            f"{r.name:<22} {r.ratio:6.3f}  {f'{low:.3f} .. {high:.3f}':<14} {r.to_diffrax:10.3f} "
            f"{r.milliseconds:8.2f} {r.steps:6d} {r.compile_seconds:10.1f}"
        )


if __name__ == "__main__":
    main()
