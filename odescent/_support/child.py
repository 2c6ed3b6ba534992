"""A separate process for untrusted code: JSON in, JSON out, with limits on time and memory."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

MEMORY = 4 << 30  # bytes


class TimeUp(Exception):
    """The child took longer than it may, and was stopped."""


class NoAnswer(Exception):
    """The child ended without a result; the message is its last line."""


def ask(module: str, request: dict[str, Any], seconds: float) -> Any:
    """What ``serve``, as the main program of a module, answers to a request.

    Args:
        module: its full name.
        request: data for JSON.
        seconds: how long it may take.

    Raises:
        TimeUp: it took longer. NoAnswer: it ended without a result.
    """
    place = str(Path(__file__).resolve().parents[2])  # this package, wherever it came from
    paths = os.pathsep.join([place, *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", module],
            input=json.dumps({**request, "seconds": seconds}),
            capture_output=True,
            check=False,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": paths},
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise TimeUp from None
    try:
        return json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise NoAnswer(last) from None


def serve(work: Callable[[dict[str, Any]], Any]) -> None:
    """In the child: process the request on the standard input; other output is not part of the result."""
    asked = json.load(sys.stdin)
    limit(asked.pop("seconds"))
    with contextlib.redirect_stdout(sys.stderr):
        answer = work(asked)
    json.dump(answer, sys.stdout)


def limit(seconds: float) -> None:
    """End with the time limit even if the parent has gone, and before all memory is taken."""
    with contextlib.suppress(ImportError, AttributeError, OSError, ValueError):  # not everywhere
        import resource
        import signal

        signal.setitimer(signal.ITIMER_REAL, seconds + 1)
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        tighter = [n for n in (soft, hard, MEMORY) if n != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_AS, (min(tighter), hard))
