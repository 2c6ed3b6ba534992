"""Step sizes, errors and stiffness over the time of a solve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from ..._support.errors import OdescentError
from ..._support.rendering.rendered import Rendered
from .subjects import Subject, subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class StepProfile(Rendered):
    """The accepted steps of a solve of all rows as one state; for rows solved separately, of the costliest row.

    Attributes:
        t, h: start and length of each step, in the solver's own time.
        error: E of each, in units of the tolerance (accepted below 1).
        stiffness: |J v| / |v| at its end, in 1/time.
        stability: length of the solver's interval of stability on the negative axis: beyond it, h times the
            stiffness is held back by stability; None where that is not defined (noise, implicit solvers).
        accepted, rejected, evaluations: in all; evaluations of the drift, None if they cannot be known.
    """

    name: str
    t: Float[np.ndarray, "steps"]
    h: Float[np.ndarray, "steps"]
    error: Float[np.ndarray, "steps"]
    stiffness: Float[np.ndarray, "steps"]
    stability: float | None
    accepted: int
    rejected: int
    evaluations: int | None

    def __str__(self) -> str:
        said = f"{self.name}: {self.accepted} accepted and {self.rejected} rejected steps"
        return said if self.evaluations is None else f"{said}, {self.evaluations} evaluations"

    def to_dict(self) -> dict[str, Any]:
        """JSON data."""
        plain = {n: v.tolist() if isinstance(v, np.ndarray) else v for n, v in vars(self).items()}
        return plain

    def plot(self, axes: Any = None) -> tuple[Axes, ...]:
        """Draw h, E and h S over the time, side by side."""
        from ..._support.pictures import Panels
        from ..._support.style import FULL_WIDTH, context, figure, series_style

        if axes is None:
            _, axes = figure(FULL_WIDTH, 0.8, 3)
        style = series_style(0)
        with context():
            bound = "" if self.stability is None else f" (stable to {self.stability:.3g})"
            rows = (
                (self.h, "step $h$", None),
                (self.error, "error $E$ (accepted to 1)", 1.0),
                (self.h * self.stiffness, f"$h\\,S${bound}", self.stability),
            )
            ends = np.append(self.t, self.t[-1:] + self.h[-1:])
            for ax, (values, label, limit) in zip(axes, rows, strict=True):
                ax.stairs(values, ends, color=style.color, baseline=None, lw=1.1)
                ax.plot(self.t + self.h / 2, values, style.marker, color=style.color, ms=2.5)
                top, positive = float(max(values)), values[values > 0]
                if limit is not None and top < limit / 5 and limit != 1.0:
                    limit = None  # far away: it would flatten the curve
                if limit is not None:
                    ax.axhline(limit, color="black", lw=0.6, ls=":")
                if len(positive) and max(top, limit or 0.0) > 30 * positive.min():
                    ax.set_yscale("log")
                else:
                    ax.set_ylim(0, 1.1 * max(top, limit or 0.0))
                ax.set_xlabel("$t$")
                ax.set_title(label)
            said = f"{self.name}: {self.accepted} steps, {self.rejected} rejected"
            axes[0].get_figure().suptitle(said, fontsize=9)
        return Panels(axes)


def step_profile(
    what: Subject | Any, *, rows: int | None = 256, record: int = 1024, **options: Any
) -> StepProfile:
    """The steps of one solve of the first rows.

    Args:
        what: a `Subject`, or what `subject` takes.
        rows: how many, as one state; None for all.
        record: steps that are recorded at most.
        options: of `solve`, in place of those of training.

    Returns:
        Start, length, error and stiffness of each accepted step, arrays of shape (steps,).

    Raises:
        OdescentError: a solve without steps, or with more than are recorded.
    """
    s = what if isinstance(what, Subject) else subject(what)
    solved = s.solved(rows, record=record, stiffness="jvp", **options).solved
    found = solved.hardest.statistics
    n, line = int(found.accepted), found.record
    if not 0 < n <= record or line is None:
        raise OdescentError(f"{s.name} was solved in {n} steps; record={record} can be shown.")
    t, h, error, stiff = (
        np.asarray(a[:n], float) for a in (line.t, line.h, line.error, line.stiffness["jvp"])
    )
    size = found.stability
    drift = found.drift_evaluations
    return StepProfile(
        s.name, t, h, error, stiff, None if np.isinf(size) else size, n, int(found.rejected),
        None if drift is None else int(drift),
    )  # fmt: skip
