"""Record of benchmarks: their output with the machine, the date and the versions.

    python benchmarks/record.py [optax_step portraits ...] [--out benchmarks/results]

Each runs in a process of its own with its default arguments; a text per benchmark is written whole or not at all.
Without names all of them run, which takes about an hour: let nothing else run meanwhile.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from odescent._support.files import write_whole

HERE = Path(__file__).resolve().parent
SHARED = ("alternating", "record")  # not benchmarks themselves
PACKAGES = (
    "jax", "diffrax", "equinox", "optax", "numpy", "scipy", "sympy", "torch", "torchdiffeq", "torchsde",
    "cbx",
)  # fmt: skip


def names() -> list[str]:
    """All benchmarks."""
    return sorted(f.stem for f in HERE.glob("*.py") if f.stem not in SHARED)


def circumstances() -> list[str]:
    """Date, machine, commit and versions, a line each."""
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            versions.append(f"{package} missing")
    return [
        f"date      {datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        f"machine   {_processor()}, {os.cpu_count()} logical cores, {platform.system()} {platform.machine()}",
        f"commit    {_commit()}",
        f"versions  Python {platform.python_version()}, {', '.join(versions)}",
    ]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "an unnamed processor"
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return found[0] if found else platform.processor() or "an unnamed processor"


def _commit() -> str:
    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=HERE, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short", "HEAD") + (" and changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def record(name: str, out: Path) -> bool:
    """Run one; True if it ended well, when its text is in out/name.txt."""
    print(f"== {name}", flush=True)
    done = subprocess.run(
        [sys.executable, str(HERE / f"{name}.py")], stdout=subprocess.PIPE, text=True, check=False
    )
    print(done.stdout, flush=True)
    if done.returncode:
        return False
    given = [f"{v}={os.environ[v]}" for v in ("OMP_NUM_THREADS", "XLA_FLAGS") if v in os.environ]
    command = " ".join([*given, f"python benchmarks/{name}.py"])
    text = [f"command   {command}", *circumstances(), "", done.stdout.rstrip(), ""]
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / f"{name}.txt", "\n".join(text))
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Run benchmarks and keep what they print.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names())}; all")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the texts")
    given = parser.parse_args(arguments)
    unknown = [n for n in given.names if n not in names()]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}: take some of {', '.join(names())}.")
    if given.out.exists() and not given.out.is_dir():  # before an hour has gone by
        parser.error(f"--out takes a folder, and {str(given.out)!r} is a file.")
    failed = [n for n in given.names or names() if not record(n, given.out)]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
