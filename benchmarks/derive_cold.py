"""Times of derivations in a new process: every registered derivation and that of every algorithm.

    python benchmarks/derive_cold.py [--runs 3] [--json]

Wall-clock seconds of whole processes (start-up, imports, derivation with all checks, text), median
over the runs, beside a bare ``import sympy``, which is the floor. The machine is named with the figures.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time


def seconds(code: str, runs: int) -> float:
    """Median wall-clock seconds of a fresh interpreter on ``code``."""
    taken = []
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def measure(runs: int) -> dict[str, float]:
    """Seconds by what was derived."""
    import odescent as od
    from odescent.discretize.routes import REGISTRY

    found = {"import sympy (floor)": seconds("import sympy", runs)}
    for key in REGISTRY.names():
        name, route = key.split("/")
        found[f"derive {key}"] = seconds(
            f"import odescent as od; od.derive({name!r}, {route!r}).text()", runs
        )
    for name in od.algorithms():
        found[f"{name}, direct"] = seconds(
            f"import odescent as od; od.algorithm({name!r}).derivation().text()", runs
        )
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.runs)
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    if options.json:
        print(
            json.dumps(
                {"schema": "odescent.bench.derive_cold/1", "machine": machine, "seconds": found},
                indent=2,
            )
        )
        return
    print(f"{machine}; median of {options.runs} runs")
    for name, value in found.items():
        print(f"  {name:<34}{value:7.2f} s")


if __name__ == "__main__":
    main()
