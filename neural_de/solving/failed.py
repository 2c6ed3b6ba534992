"""What stopped a solve: where, after which step, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import diffrax as dfx
import numpy as np

from ..tracking.statistics import Statistics

LONGEST_RECORD = 4096  # steps that are looked at one by one


@dataclass(frozen=True)
class Stop:
    """The end of a solve that failed.

    Attributes:
        reason: "resolution" (the step fell below the spacing of the floats), "max_steps", or "solver" (its own reason).
        t, h: where the solve stopped, and the length of the last step that moved it on, None if there was none.
        error, stiffness: E of that step in units of the tolerance, and |J v| / |v| there where it was asked for.
        accepted, rejected: steps of the solve.
    """

    reason: str
    t: float
    h: float | None
    error: float | None
    stiffness: float | None
    accepted: int
    rejected: int
    happened: str

    def __str__(self) -> str:
        shown = "no step was accepted"
        if self.h is not None:
            numbers = {"h": self.h, "E": self.error, "S": self.stiffness}
            listed = ", ".join(f"{n} = {v:.3g}" for n, v in numbers.items() if v is not None)
            shown = f"the last step that moved had {listed}"
        return (
            f"{self.happened} at t = {self.t:.6g} ({self.accepted} accepted, {self.rejected} rejected; "
            f"{shown})"
        )


def stopped(solution: dfx.Solution, statistics: Statistics, dtype: Any, limit: int) -> Stop:
    """Read off a solve with a record of its steps what stopped it.

    Args:
        solution: of one solve, that failed; with numbers, not under a trace.
        statistics: of the same, with a record.
        dtype: the floating type of its times.
        limit: the number of steps that it could make.
    """
    record = statistics.record
    assert record is not None
    n, rejected = int(statistics.accepted), int(statistics.rejected)
    t, h = np.asarray(record.t[:n], float), np.asarray(record.h[:n], float)

    # The last step that moved the solve on: after it come steps below the resolution of the type, if any.
    eps = float(np.finfo(dtype).eps)
    began, direction = float(solution.t0), 1 if solution.t0 <= solution.t1 else -1
    stop = direction * float(t[-1] + h[-1]) if len(t) else began
    moving = np.flatnonzero(h > 2 * eps * np.maximum(abs(t), np.finfo(dtype).tiny))
    last = int(moving[-1]) if len(moving) else None
    lines = (record.h, record.error, record.stiffness.get("jvp"))
    size, error, stiff = (None if last is None or x is None else float(x[last]) for x in lines)
    stuck = len(moving) < len(h) or n == 0
    full = bool(solution.result == dfx.RESULTS.max_steps_reached)
    reason = "resolution" if stuck else "max_steps" if full else "solver"
    happened = {
        "resolution": f"the solver's step fell below the resolution of {np.dtype(dtype).name}",
        "max_steps": f"the solve used up its {limit} steps",
        "solver": "the solver gave up",
    }[reason]
    return Stop(reason, stop, size, error, stiff, n, rejected, happened)
