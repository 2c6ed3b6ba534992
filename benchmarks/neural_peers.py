"""Neural ODEs and SDEs against torchdiffeq and torchsde: one training step, one prediction, one thread.

    OMP_NUM_THREADS=1 python benchmarks/neural_peers.py [--rounds 20] [--only ode|sde] [--json]

ODE: the digits' network 64-100-64 with head 64-10, float32, batches of 128 rows as one state, tolerance 1e-6, the same
weights and rows; a training step is solve, gradient and Adam; ratios are to ours by the same method, Dormand and
Prince's. SDE: the spiral's drift 2-50-2 and diffusion 2-2, 100 paths, 30 times saved; a training step is solve and
gradient. The strong error of each SDE solver is that of its own end states against a solve on the same Brownian path
that is 16 times finer (or 256 times tighter), so that costs can be read at equal accuracy. All take turns in rotating
order; times are of the processor (all threads), medians over rounds; ratios are medians of those within a round.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)

import diffrax as dfx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import torch
import torchdiffeq
import torchsde

import odescent as od
from odescent.neural_de.models import networks as models
from odescent.neural_de.solving.stochastic_terms import DiagonalTerm
from odescent.neural_de.tasks import data

nde = od.neural_de
TOLERANCE = 1e-6
torch.set_num_threads(1)


@dataclass(frozen=True)
class Row:
    """What came out for one contestant."""

    group: str
    name: str
    milliseconds: float
    ratio: float  # its time over ours, median of rounds
    first_seconds: float  # of the first call, compilation included
    note: str


class TorchField(torch.nn.Module):
    """The classifier's field, written in PyTorch as its users write it."""

    def __init__(self, layers: Any) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(layers)
        self.calls = 0

    def forward(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        for layer in self.layers:
            y = torch.tanh(layer(torch.cat([y, t.expand(len(y), 1)], dim=1)))
        return y


def linear(dense: models.Dense) -> torch.nn.Linear:
    """A layer with the same weights."""
    made = torch.nn.Linear(*dense.weight.shape)
    with torch.no_grad():
        made.weight.copy_(torch.tensor(np.asarray(dense.weight)).T)
        made.bias.copy_(torch.tensor(np.asarray(dense.bias)))
    return made


def ode() -> dict[str, dict[str, tuple[Callable[[], Any], str]]]:
    """Contestants of the ODE: training steps and predictions."""
    split = data.load("digits").train
    x, labels = split["x"][:128], split["y"][:128].astype(np.int32)
    model = models.NeuralODEClassifier(64, [100], 10, jr.key(0))
    optimizer = optax.adam(1e-3)
    args = (jnp.asarray(x), jnp.asarray(labels))
    ours = {
        "odescent Dopri5": {"solver": dfx.Dopri5()},  # torchdiffeq's method
        "odescent Tsit5": {"solver": dfx.Tsit5()},
        "odescent Tsit5, dt0 = 0.1": {
            "solver": dfx.Tsit5(),
            "dt0": 0.1,
        },  # as calibrated or carried over
    }
    found: dict[str, dict[str, tuple[Callable[[], Any], str]]] = {"training": {}, "prediction": {}}
    logits = {}
    for name, options in ours.items():

        def loss(m: Any, x: Any, y: Any, options: Any = options) -> Any:
            out, solved = m(x, rtol=TOLERANCE, atol=TOLERANCE, max_steps=256, **options)
            return models.cross_entropy(out, y), (out, solved.statistics.drift_evaluations)

        def update(m: Any, s: Any, x: Any, y: Any, loss: Any = loss) -> Any:
            (_, aux), g = jax.value_and_grad(loss, has_aux=True)(m, x, y)
            change, s = optimizer.update(g, s)
            return optax.apply_updates(m, change), s, aux[1]

        step, predict, start = jax.jit(update), jax.jit(loss), optimizer.init(model)
        _, (logits[name], evaluations) = predict(model, *args)
        note = f"{int(evaluations)} evaluations"
        found["training"][name] = (
            lambda f=step, s=start: jax.block_until_ready(f(model, s, *args)),
            note,
        )
        found["prediction"][name] = (lambda f=predict: jax.block_until_ready(f(model, *args)), note)
    xs, ys = torch.tensor(x), torch.tensor(labels, dtype=torch.long)
    times = torch.tensor([0.0, 1.0])
    for name, solve in (
        ("torchdiffeq", torchdiffeq.odeint),
        ("torchdiffeq adjoint", torchdiffeq.odeint_adjoint),
    ):
        field, head = TorchField([linear(d) for d in model.field.layers]), linear(model.head)
        adam = torch.optim.Adam(
            [*field.parameters(), *head.parameters()], lr=0.0
        )  # the work, not the change

        def forward(field: Any = field, head: Any = head, solve: Any = solve) -> Any:
            end = solve(field, xs, times, rtol=TOLERANCE, atol=TOLERANCE, method="dopri5")[-1]
            return head(end)

        def train(forward: Any = forward, adam: Any = adam) -> None:
            adam.zero_grad()
            torch.nn.functional.cross_entropy(forward(), ys).backward()
            adam.step()

        with torch.no_grad():
            logits[name] = forward().numpy()
        found["training"][name] = (train, f"{field.calls} evaluations")
        if "adjoint" not in name:
            found["prediction"][name] = (torch.no_grad()(forward), f"{field.calls} evaluations")
    first = logits["odescent Dopri5"]
    for name, other in logits.items():  # the same function, to the tolerance
        assert np.abs(np.asarray(other) - np.asarray(first)).max() < 1e-4, name
    return found


def sde() -> dict[str, dict[str, tuple[Callable[[], Any], str]]]:
    """Contestants of the SDE."""
    model = models.NeuralSDE(2, [50], jr.key(0), power=3)
    y0 = np.tile(np.float32([2.0, 0.0]), (100, 1)) * np.float32(0.5)
    times = np.linspace(0, 1, 30, dtype=np.float32)
    found: dict[str, dict[str, tuple[Callable[[], Any], str]]] = {
        "sde training": {},
        "sde prediction": {},
    }

    def ours(m: Any, key: Any, tolerance: Any, **more: Any) -> Any:
        return m(
            jnp.asarray(y0), key, rtol=tolerance, atol=tolerance, dt0=0.02, saveat=dfx.SaveAt(ts=jnp.asarray(times)),
            noise="commutative", max_steps=4096, **more,
        )  # fmt: skip

    predict = jax.jit(lambda m, k, tol: (lambda s: (s.ys, s.statistics.accepted))(ours(m, k, tol)))
    gradient = jax.jit(jax.grad(lambda m, k, tol: ours(m, k, tol).ys.var(1).mean()))
    fine = predict(model, jr.key(1), 1e-4)[0][-1]
    for tol in (1e-1, 3e-2, 1e-2):
        ys, steps = predict(model, jr.key(1), tol)
        error = float(jnp.sqrt(jnp.mean((ys[-1] - fine) ** 2)))
        note, name = f"strong error {error:.1e}, {int(steps)} steps", f"odescent SPaRK {tol:g}"
        found["sde training"][name] = (
            lambda t=tol: jax.block_until_ready(gradient(model, jr.key(1), t)),
            note,
        )
        found["sde prediction"][name] = (
            lambda t=tol: jax.block_until_ready(predict(model, jr.key(1), t)),
            note,
        )
    ts = torch.tensor(times)
    for method, calculus, substeps in (
        ("srk", "ito", 1),
        ("srk", "ito", 2),
        ("midpoint", "stratonovich", 1),
    ):
        func = TorchSDE(model, calculus)

        def run(h: float, path: Any = None, func: Any = func, method: str = method) -> Any:
            path = path or brownian_path(y0)
            return torchsde.sdeint(func, torch.tensor(y0), ts, bm=path, dt=h, method=method)

        h = 1 / 29 / substeps
        with torch.no_grad():
            path = brownian_path(y0)  # one object is one path; two of the same seed are not
            error = float((run(h / 16, path)[-1] - run(h, path)[-1]).pow(2).mean().sqrt())
        name, note = f"torchsde {method} 1/{29 * substeps}", f"strong error {error:.1e}"

        def train(run: Any = run, h: float = h, func: Any = func) -> None:
            func.zero_grad()
            run(h).var(1).mean().backward()

        found["sde training"][name] = (train, note)
        found["sde prediction"][name] = (torch.no_grad()(lambda run=run, h=h: run(h)), note)
    found["sde prediction"] |= brownian(model, y0)
    return found


def brownian_path(y0: np.ndarray) -> Any:
    """A Brownian path with what srk needs."""
    return torchsde.BrownianInterval(
        0.0, 1.0, size=y0.shape, entropy=3, levy_area_approximation="space-time"
    )


class TorchSDE(torch.nn.Module):
    """The spiral's drift and diffusion in PyTorch."""

    noise_type = "diagonal"

    def __init__(self, model: Any, calculus: str) -> None:
        super().__init__()
        self.first, self.second = (linear(d) for d in model.drift.layers)
        self.noise, self.sde_type = linear(model.diffusion), calculus

    def f(self, t: Any, y: torch.Tensor) -> torch.Tensor:
        return self.second(torch.tanh(self.first(y**3)))

    def g(self, t: Any, y: torch.Tensor) -> torch.Tensor:
        return self.noise(y)


def brownian(model: Any, y0: np.ndarray) -> dict[str, tuple[Callable[[], Any], str]]:
    """32 equal steps of SPaRK on paths of several kinds: what the Brownian tree costs."""
    shape: Any = jax.ShapeDtypeStruct(y0.shape, jnp.float32)
    tree = lambda tol: (
        lambda key: dfx.VirtualBrownianTree(0.0, 1.0, tol, shape, key, dfx.SpaceTimeLevyArea)
    )
    kinds = {
        "tree 2^-12": tree(2.0**-12), "tree 2^-7": tree(2.0**-7),
        "no tree": lambda key: dfx.UnsafeBrownianPath(shape, key, dfx.SpaceTimeLevyArea),
    }  # fmt: skip
    found = {}
    for name, path in kinds.items():

        def run(m: Any, key: Any, path: Any = path) -> Any:
            noise = DiagonalTerm(lambda t, y, m: m.diffusion(y), path(key))
            terms = dfx.MultiTerm(dfx.ODETerm(lambda t, y, m: m.drift(t, y)), noise)
            return dfx.diffeqsolve(
                terms,
                dfx.SPaRK(),
                0.0,
                1.0,
                1 / 32,
                jnp.asarray(y0),
                m,
                max_steps=64,
                adjoint=dfx.ForwardMode(),
            ).ys

        step = jax.jit(run)
        found[f"SPaRK, 32 steps, {name}"] = (
            lambda f=step: jax.block_until_ready(f(model, jr.key(1))), "diffrax alone, end state saved",
        )  # fmt: skip
    return found


def measure(group: str, runs: dict[str, tuple[Callable[[], Any], str]], rounds: int) -> list[Row]:
    """Times in alternation; the first contestant is ours."""
    first, times = {}, {name: [] for name in runs}  # type: dict[str, float], dict[str, list[float]]
    for name, (call, _) in runs.items():
        begin = time.process_time()
        call()
        first[name] = time.process_time() - begin
    listed = list(runs)
    for i in range(rounds):
        turn = i % len(listed)
        for name in listed[turn:] + listed[:turn]:
            begin = time.process_time()
            runs[name][0]()
            times[name].append(time.process_time() - begin)
    base = times[listed[0]]
    return [
        Row(
            group, name, 1e3 * statistics.median(times[name]),
            statistics.median(a / b for a, b in zip(times[name], base, strict=True)), first[name], runs[name][1],
        )
        for name in listed
    ]  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", choices=["ode", "sde"])
    parser.add_argument("--json", action="store_true", help="one document on stdout")
    given = parser.parse_args()
    if given.rounds < 1:
        parser.error("rounds must be at least 1.")
    if not given.json:
        print(
            f"jax {jax.__version__}, torch {torch.__version__}, torchdiffeq {torchdiffeq.__version__}, "
            f"torchsde {torchsde.__version__}; one thread"
        )
    rows = []
    for part in [ode, sde] if given.only is None else [{"ode": ode, "sde": sde}[given.only]]:
        for group, runs in part().items():
            found = measure(group, runs, given.rounds)
            rows += found
            if not given.json:
                show(group, found)
    if given.json:
        head = {"schema": "odescent.benchmark.neural_peers/1", "settings": vars(given)}
        print(json.dumps(head | {"rows": [asdict(r) for r in rows]}, indent=2))


def show(group: str, rows: list[Row]) -> None:
    """Print a table as soon as it is there."""
    print(f"\n{group:<30} {'ms':>8} {'ratio':>7} {'first call s':>13}")
    for r in rows:
        print(
            f"{r.name:<30} {r.milliseconds:8.2f} {r.ratio:7.2f} {r.first_seconds:13.1f}  {r.note}",
            flush=True,
        )


if __name__ == "__main__":
    main()
