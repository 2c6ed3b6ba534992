"""Diagnoses of failed training steps: the time at which the solve stopped, and its last steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array

from ..._support.errors import OdescentError
from ..solving.failed import LONGEST_RECORD, stopped
from .run_folder import finite

if TYPE_CHECKING:
    from .compiled import TrainState
    from .setup import Setup


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
    limit = setup.config.max_steps or LONGEST_RECORD
    coefficients = setup.coefficients(int(state.step))

    # The same solve again, with a record of its steps; of rows solved one by one, the one that failed.
    @eqx.filter_jit
    def again(state: Any, batch: Any) -> Any:
        more = {"record": min(limit, LONGEST_RECORD), "stiffness": "jvp"}
        total, out = setup.compiled.penalized(state.model, state, batch, coefficients, **more)
        return total, out.solved.hardest

    total, found = jax.device_get(again(state, batch))
    step, statistics = int(state.step), found.statistics
    where, counts = f"at step {step}", (int(statistics.accepted), int(statistics.rejected))
    if found.successful:
        what = "gradient" if np.isfinite(total) else "loss"
        return Failure(
            step, what, None, None, float(statistics.error.mean), None, *counts,
            f"training stopped {where}: the {what} is not finite though the solve went well ({counts[0]} steps, "
            f"mean E = {float(statistics.error.mean):.3g}); lower the learning rate or the coefficient, or give clip=",
        )  # fmt: skip
    stop = stopped(found.solution, statistics, setup.dtype, limit)
    help_ = {
        "resolution": "the field is not finite or blows up there: lower the learning rate, give clip=, or regularize",
        "max_steps": "regularize, loosen the tolerance, or raise max_steps",
        "solver": "regularize or loosen the tolerance",
    }[stop.reason]
    return Failure(
        step, stop.reason, stop.t, stop.h, stop.error, stop.stiffness, *counts,
        f"training stopped {where}: {stop}; {help_}",
    )  # fmt: skip
