"""One step of Nesterov's method in PyTorch: emitted, and torch.optim.SGD(nesterov=True), foreach and not.

    python benchmarks/torch_step.py [--size 10000000] [--tensors 200] [--rounds 30] [--json]

Every contestant takes its steps in turn, in rotating order, on the same parameters and gradients, with
its own memory, on several allocations. A second instance of the base is the control (A/A): its ratio says
what a ratio of 1 looks like. Ratios are times over those of torch.optim.SGD(nesterov=True, foreach=True)
in the same round. The emitted step also checks that gradients are finite; a row without that check is
there, too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

try:
    import torch
    from torch.optim import SGD, Optimizer
except ModuleNotFoundError:
    print("left out: PyTorch is not installed (pip install torch).")
    raise SystemExit(0) from None

from alternating import alternate, processor, ratios

import odescent as od

MU, L = 0.01, 2.0
Q = (MU / L) ** 0.5
BETA = (1 - Q) / (1 + Q)
BASE = "torch SGD, foreach"


@dataclass(frozen=True)
class Row:
    """What came out for one contestant on one kind of parameters."""

    params: str
    name: str
    ratio: float  # median over rounds and allocations
    least: float  # of the medians by allocation
    most: float
    milliseconds: float


def contestants() -> dict[str, Callable[[list[torch.Tensor]], Optimizer]]:
    """What is compared, by name."""
    nag = od.algorithm("nesterov_sc")

    def peer(foreach: bool) -> Callable[[list[torch.Tensor]], Optimizer]:
        return lambda p: SGD(p, lr=1 / L, momentum=BETA, nesterov=True, foreach=foreach)

    def ours(foreach: bool, check: bool = True) -> Callable[[list[torch.Tensor]], Optimizer]:
        return lambda p: nag.to_torch(p, mu=MU, L=L, foreach=foreach, error_if_nonfinite=check)

    return {
        BASE: peer(True),
        f"{BASE}, again (A/A)": peer(True),
        "emitted, foreach": ours(True),
        "emitted, foreach, unchecked": ours(True, check=False),
        "torch SGD, loop": peer(False),
        "emitted, loop": ours(False),
    }


def measure(kind: str, size: int, tensors: int, rounds: int, allocations: int, device: str) -> list[Row]:  # fmt: skip
    """Times in alternation."""
    made = contestants()
    wait = torch.cuda.synchronize if device.startswith("cuda") else (lambda: None)
    allocated = []
    for _ in range(allocations):
        params = [torch.ones(size // tensors, device=device) for _ in range(tensors)]
        for p in params:
            p.grad = torch.full_like(p, 1e-3)
        optimizers = {n: build(params) for n, build in made.items()}
        for o in optimizers.values():  # warm: the memory is made here
            o.step()
            o.step()

        def refill(params: list[torch.Tensor] = params) -> None:
            for p in params:  # foreach SGD adds to the gradients in place
                assert p.grad is not None
                p.grad.fill_(1e-3)
            wait()

        def step(o: Optimizer) -> Callable[[], None]:
            return lambda: (o.step(), wait())[1]

        allocated.append(
            alternate({n: step(o) for n, o in optimizers.items()}, rounds, before=refill)
        )
    return [
        Row(kind, n, r.median, r.least, r.most, r.seconds * 1e3)
        for n, r in ratios(allocated, BASE).items()
    ]


def machine(device: str) -> str:
    """One line about where this ran."""
    where = torch.cuda.get_device_name() if device.startswith("cuda") else processor()
    return f"{where}; torch {torch.__version__}, {torch.get_num_threads()} threads"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=10_000_000, help="parameters in all")
    parser.add_argument("--tensors", type=int, default=200, help="tensors in the second part")
    parser.add_argument("--rounds", type=int, default=30, help="rounds per allocation")
    parser.add_argument("--allocations", type=int, default=4, help="at least two")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--json", action="store_true", help="one document on stdout")
    given = parser.parse_args()
    if given.allocations < 2 or min(given.size // max(given.tensors, 1), given.rounds) < 1:
        parser.error("allocations must be at least 2, rounds at least 1, and no tensor empty.")
    rows = []
    for kind, count in (("one tensor", 1), (f"{given.tensors} tensors", given.tensors)):
        rows += measure(kind, given.size, count, given.rounds, given.allocations, given.device)
    if given.json:
        document = {
            "schema": "odescent.benchmark.torch_step/1",
            "machine": machine(given.device),
            "settings": vars(given),
            "rows": [asdict(r) for r in rows],
        }
        print(json.dumps(document, indent=2))
        return
    print(machine(given.device))
    amount = f"{given.size:,} float32 parameters"
    print(f"{amount}, {given.allocations} allocations, {given.rounds} rounds each")
    print(f"{'params':<12} {'step':<33} {'ratio':>6}  {'by allocation':<14} {'ms':>8}")
    for r in rows:
        spread = f"{r.least:.3f} .. {r.most:.3f}"
        print(f"{r.params:<12} {r.name:<33} {r.ratio:6.3f}  {spread:<14} {r.milliseconds:8.2f}")


if __name__ == "__main__":
    main()
