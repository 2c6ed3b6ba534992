"""Times of recognizing methods that are none of the registered ones, each in a new process.

    python benchmarks/recognition_cold.py [--only WORD] [--json]

CPU seconds of ``od.recognize(method)`` once the method is made, which include making and reading all registered
methods; those are measured apart as well, as is ``import odescent``. The methods are in ``tests/unregistered.py``.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

TESTS = str(Path(__file__).parents[1] / "tests")
_LONGEST = 25.0  # seconds that a process may take
IMPORT = (
    "import time; t = time.process_time(); import odescent as od; print(time.process_time() - t)"
)
REGISTRY = """
import time, odescent as od
from odescent.discretize.identification.known import known_method, known_methods
od.algorithm("heavy_ball")
t = time.process_time()
for name in known_methods():
    for free in (False, True):
        known_method(name, free).form, known_method(name, free).table
print(time.process_time() - t)
"""
ONE = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from unregistered import METHODS
import odescent as od
method = METHODS[sys.argv[2]]()
t = time.process_time()
found = od.recognize(method)
print(json.dumps([time.process_time() - t, found.verdict, sorted(found.undecided)]))
"""


def output(code: str, *arguments: str) -> Any:
    """What a new process prints, as JSON."""
    command = [sys.executable, "-c", code, *arguments]
    try:
        ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_LONGEST)
    except subprocess.TimeoutExpired:
        return [_LONGEST, "stopped", []]
    return json.loads(ran.stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="a part of the names of the methods")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    names = json.loads(
        subprocess.run(
            [sys.executable, "-c", "import json, sys; sys.path.insert(0, sys.argv[1]); "
             "from unregistered import METHODS; print(json.dumps(list(METHODS)))", TESTS],
            check=True, capture_output=True, text=True,
        ).stdout
    )  # fmt: skip
    found: dict[str, Any] = {"import": output(IMPORT), "registered methods": output(REGISTRY)}
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    if not options.json:
        print(f"{machine}; CPU seconds")
        for name, value in found.items():
            print(f"  {name:<42}{value:7.2f}")
    for name in names:
        if options.only in name:
            seconds, verdict, undecided = found[name] = output(ONE, TESTS, name)
            if not options.json:
                print(f"  {name:<42}{seconds:7.2f}  {verdict} {', '.join(undecided)}", flush=True)
    if options.json:
        print(
            json.dumps(
                {"schema": "odescent.bench.recognition_cold/1", "machine": machine, "found": found},
                indent=2,
            )
        )


if __name__ == "__main__":
    main()
