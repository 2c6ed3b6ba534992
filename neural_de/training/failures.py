"""Diagnoses of failed training steps: the time at which the solve stopped, and its last steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import diffrax as dfx
import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array

from ..._support.errors import OdescentError
from .run_folder import finite

if TYPE_CHECKING:
    from .compiled import TrainState
    from .setup import Setup

_LONGEST_RECORD = 4096


@dataclass(frozen=True)
class Failure:
    """One failed training step.

    Attributes:
        step: of training.
        reason: "max_steps", "resolution" (the solver's step fell below the spacing of its floats), "solver" (its
            own reason), "loss" or "gradient" (not finite).
        t, h: where the solve stopped, and the last step that moved it on; None if the solve did not fail.
        error, stiffness: E of that step in units of the tolerance, and |J v| / |v| there.
        accepted, rejected: steps of the solve.
        sentence: all of it.
    """

    step: int
    reason: str
    t: float | None
    h: float | None
    error: float | None
    stiffness: float | None
    accepted: int
    rejected: int
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """JSON data; numbers that are not finite become None."""
        return dict(finite(vars(self)))


class TrainingFailed(OdescentError):
    """Training stopped; the last valid state is kept.

    Attributes:
        failure: a description of the failed step.
        model: the weights after the last successful step.
    """

    def __init__(self, failure: Failure, model: Any, kept: str) -> None:
        super().__init__(f"{failure.sentence}; {kept}.")
        self.failure, self.model = failure, model


def diagnose(setup: Setup, state: TrainState, batch: Mapping[str, Array]) -> Failure:
    """Solve the batch again with every step recorded, and report what went wrong.

    Args:
        setup: of the run.
        state: before the step that failed.
        batch: its rows.

    Returns:
        Where the solve stopped and why, in numbers and as a sentence.
    """
    limit = setup.config.max_steps or _LONGEST_RECORD
    coefficients = setup.coefficients(int(state.step))

    # The same solve again, with a record of its steps; of rows solved one by one, the one that failed.
    @eqx.filter_jit
    def again(state: Any, batch: Any) -> Any:
        more = {"record": min(limit, _LONGEST_RECORD), "stiffness": "jvp"}
        total, out = setup.compiled.penalized(state.model, state, batch, coefficients, **more)
        found = out.solved.hardest
        full = found.solution.result == dfx.RESULTS.max_steps_reached
        return total, found.successful, full, found.statistics

    total, solved, full, statistics = jax.device_get(again(state, batch))
    step, n = int(state.step), int(statistics.accepted)
    counts = (n, int(statistics.rejected))
    where = f"at step {step}"
    if solved:
        what = "gradient" if np.isfinite(total) else "loss"
        return Failure(
            step, what, None, None, float(statistics.error.mean), None, *counts,
            f"training stopped {where}: the {what} is not finite though the solve went well ({n} steps, mean E = "
            f"{float(statistics.error.mean):.3g}); lower the learning rate or the coefficient, or give clip=",
        )  # fmt: skip

    # The last step that moved the solve on: after it come steps below the resolution of the type, if any.
    record = statistics.record
    t, h = np.asarray(record.t[:n], float), np.asarray(record.h[:n], float)
    eps = float(np.finfo(setup.dtype).eps)
    stop = float(t[-1] + h[-1]) if len(t) else 0.0
    moving = np.flatnonzero(h > 2 * eps * np.maximum(abs(t), np.finfo(setup.dtype).tiny))
    last = int(moving[-1]) if len(moving) else None
    stuck = len(moving) < len(h) or n == 0
    line = (h, record.error, record.stiffness["jvp"])
    size, error, stiff = (None if last is None else float(x[last]) for x in line)
    reason = "resolution" if stuck else "max_steps" if full else "solver"

    # In words.
    happened, help_ = {
        "resolution": (
            f"the solver's step fell below the resolution of {setup.dtype.name}",
            "the field is not finite or blows up there: lower the learning rate, give clip=, or regularize",
        ),
        "max_steps": (
            f"the solve used up its {limit} steps",
            "regularize, loosen the tolerance, or raise max_steps",
        ),
        "solver": ("the solver gave up", "regularize or loosen the tolerance"),
    }[reason]
    shown = "no step was accepted" if last is None else (
        f"the last step that moved had h = {size:.3g}, E = {error:.3g}, S = {stiff:.3g}"
    )  # fmt: skip
    return Failure(
        step, reason, stop, size, error, stiff, *counts,
        f"training stopped {where}: {happened} at t = {stop:.6g} ({n} accepted, {counts[1]} rejected; {shown}); "
        f"{help_}",
    )  # fmt: skip
