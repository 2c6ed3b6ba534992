"""Default phase portraits, computed and drawn, each in a separate process: seconds after imports.

    python benchmarks/portraits.py [--rounds 3] [--json]

Everything is compiled anew in each process, as for a first picture; imports are left out, and so is JAX's start. A
picture "once warm" is drawn once before.
Medians over the rounds, which go through the systems in turn; processor seconds are given beside wall seconds, for
machines that are shared.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from alternating import processor

PREPARE = """
import json, os, tempfile, time
import jax, jax.numpy as jnp, matplotlib
matplotlib.use("Agg")
import matplotlib.figure, matplotlib.backends.backend_agg, scipy.integrate, scipy.optimize
import odescent as od
import odescent.analysis.portraits.enclosure, odescent.analysis.portraits.phase, odescent.analysis.plots.portrait
import odescent.analysis.landscapes.build, odescent.analysis.plots.landscape
import odescent.discretize.emit
jnp.ones(1).block_until_ready()
x, v = od.blocks("x v")
damped = od.hadamard(od.hadamard(x, x), v)
relaxation = od.System({"all": {x: v, v: v - damped - x}}, output=x)
make = od.analysis.phase_portrait
"""
FIVE = (
    "od.analysis.landscape(['gradient_descent', 'heavy_ball', 'nesterov_sc', 'nesterov_c', 'triple_momentum'], "
    "od.objective('himmelblau'), [-1, 0], parameters={'mu': 20, 'L': 160})"
)
PICTURES = {
    "heavy_ball, curvature 1": "make(od.algorithm('heavy_ball'), curvature=1.0, parameters={'mu': 1, 'L': 25})",
    "nesterov_sc, curvature 10": "make(od.algorithm('nesterov_sc'), curvature=10.0, parameters={'mu': 1, 'L': 100})",
    "gradient_flow on himmelblau": (
        "make(od.system('gradient_flow'), od.objective('himmelblau'), window=((-6, 6), (-6, 6)))"
    ),
    "gradient_descent on himmelblau": (
        "make(od.algorithm('gradient_descent'), od.objective('himmelblau'), parameters={'L': 60})"
    ),
    "gradient_flow on rosenbrock": (
        "make(od.system('gradient_flow'), od.objective('rosenbrock'), window=((-2, 2), (-1, 3)))"
    ),
    "van der Pol's equation": "make(relaxation, window=((-3, 3), (-4, 4)))",
    "five methods on himmelblau": FIVE,
    "the same, once warm": FIVE,
}
MEASURE = """
with tempfile.TemporaryDirectory() as folder:
    for _ in range({before}):
        {picture}.save(os.path.join(folder, "before.png"))
    wall, cpu = time.perf_counter(), time.process_time()
    portrait = {picture}
    portrait.save(os.path.join(folder, "portrait.png"))
    print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu, jax.__version__]))
"""


def once(picture: str, before: int) -> list[Any]:
    """Wall seconds, processor seconds and JAX's version, after so many pictures before."""
    root = str(Path(__file__).resolve().parent.parent)
    paths = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    code = PREPARE + MEASURE.format(picture=picture, before=before)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    found: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one document on stdout")
    given = parser.parse_args()
    if given.rounds < 1:
        parser.error("rounds must be at least 1.")
    taken: dict[str, list[list[Any]]] = {n: [] for n in PICTURES}
    for _ in range(given.rounds):
        for name, picture in PICTURES.items():
            taken[name].append(once(picture, int(name.endswith("once warm"))))
    machine = f"{processor()}; jax {next(iter(taken.values()))[0][2]}"
    rows = [
        {
            "picture": name,
            "seconds": statistics.median(t[0] for t in times),
            "processor_seconds": statistics.median(t[1] for t in times),
        }
        for name, times in taken.items()
    ]
    if given.json:
        document = {"schema": "odescent.benchmark.portraits/1", "machine": machine}
        print(json.dumps({**document, "settings": vars(given), "rows": rows}, indent=2))
        return
    print(machine)
    print(f"{'picture':<32} {'seconds':>8} {'of processor':>13}")
    for r in rows:
        print(f"{r['picture']:<32} {r['seconds']:8.2f} {r['processor_seconds']:13.2f}")


if __name__ == "__main__":
    main()
