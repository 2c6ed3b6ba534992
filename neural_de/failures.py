"""Why a training step failed: where the solve stopped, and what its last steps looked like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import diffrax as dfx
import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array

from .._errors import OdescentError

if TYPE_CHECKING:
    from .program import TrainState
    from .recipe import Recipe

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
        shown = dict(vars(self))
        return {
            k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in shown.items()
        }


class TrainingFailed(OdescentError):
    """Training stopped; the last good state is kept.

    Attributes:
        failure: what happened.
        model: the weights after the last step that went well.
    """

    def __init__(self, failure: Failure, model: Any, kept: str) -> None:
        super().__init__(f"{failure.sentence}; {kept}.")
        self.failure, self.model = failure, model


def diagnose(recipe: Recipe, state: TrainState, batch: Mapping[str, Array]) -> Failure:
    """Solve the batch again, step by step recorded, and say what went wrong."""
    limit = recipe.config.max_steps or _LONGEST_RECORD
    coefficients = recipe.coefficients(int(state.step))

    @eqx.filter_jit
    def again(state: Any, batch: Any) -> Any:
        more = {"record": min(limit, _LONGEST_RECORD), "stiffness": "jvp"}
        total, out = recipe.program.penalized(state.model, state, batch, coefficients, **more)
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
    record = statistics.record
    t, h = np.asarray(record.t[:n], float), np.asarray(record.h[:n], float)
    eps = float(np.finfo(recipe.dtype).eps)
    stop = float(t[-1] + h[-1]) if len(t) else 0.0
    moving = np.flatnonzero(h > 2 * eps * np.maximum(abs(t), np.finfo(recipe.dtype).tiny))
    last = int(moving[-1]) if len(moving) else None
    stuck = len(moving) < len(h) or n == 0
    size = None if last is None else float(h[last])
    error = None if last is None else float(record.error[last])
    stiff = None if last is None else float(record.stiffness["jvp"][last])
    reason = "resolution" if stuck else "max_steps" if full else "solver"
    happened = {
        "resolution": f"the solver's step fell below the resolution of {recipe.dtype.name}",
        "max_steps": f"the solve used up its {limit} steps",
        "solver": "the solver gave up",
    }[reason]
    help_ = {
        "resolution": "the field is not finite or blows up there: lower the learning rate, give clip=, or regularize",
        "max_steps": "regularize, loosen the tolerance, or raise max_steps",
        "solver": "regularize or loosen the tolerance",
    }[reason]
    shown = "no step was accepted" if last is None else (
        f"the last step that moved had h = {size:.3g}, E = {error:.3g}, S = {stiff:.3g}"
    )  # fmt: skip
    return Failure(
        step, reason, stop, size, error, stiff, *counts,
        f"training stopped {where}: {happened} at t = {stop:.6g} ({n} accepted, {counts[1]} rejected; {shown}); "
        f"{help_}",
    )  # fmt: skip
