"""Functions for sweeps, in a module of their own: workers find them by name."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from odescent.neural_de.training.loop import (
    between_steps,
)

CALLS: list[dict[str, Any]] = []  # of this process only


def power(a: int, b: int) -> dict[str, Any]:
    CALLS.append({"a": a, "b": b})
    return {"value": a**b, "root": a ** (1 / b)}


def picky(a: float) -> float:
    if a < 0:
        raise ValueError("a is negative, which hurts")
    return float(np.sqrt(a))


def spectrum_of(n: int) -> dict[str, Any]:
    """Eigenvalues of the second difference: 2 - 2 cos(k pi / (n + 1))."""
    matrix = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    return {"values": np.linalg.eigvalsh(matrix), "where": float("inf"), "pid": os.getpid()}


def deadly(a: int) -> int:
    if a == 2:
        time.sleep(0.2)
        os._exit(9)
    return a * a


def unfit(a: int) -> object:
    return object()


def slow(a: int) -> int:
    time.sleep(0.05)
    CALLS.append({"a": a})
    return a + 1


def bowl_with_a_hole(x: np.ndarray) -> float:
    """(x - 1)^2 summed up, by a library function of NumPy alone; it raises close to its minimizer."""
    distance = float(np.sum((np.asarray(x) - 1.0) ** 2))
    if distance < 1e-2:
        raise ZeroDivisionError("no bottom")
    return distance


def ends_abruptly(x: np.ndarray) -> float:
    os._exit(3)


def where(task: dict[str, Any]) -> tuple[int, list[int]]:
    """The process and its processors; or what the task wants."""
    if task.get("raises"):
        raise ValueError("as planned")
    if task.get("dies"):
        os._exit(9)
    try:
        with between_steps() as check:  # as a training has it
            for _ in range(round(20 * task.get("sleeps", 0.0))):
                time.sleep(0.05)
                check()
    except KeyboardInterrupt:
        with Path(task["leaves"]).open("w") as file:
            time.sleep(task["takes"])
            file.write("put away")
        raise
    return os.getpid(), sorted(os.sched_getaffinity(0))
