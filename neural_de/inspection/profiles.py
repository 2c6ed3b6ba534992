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
        """Draw h, E and h S over the time, side by side, each on the scale of its own values.

        What holds a step back is seen from how near E is to 1 (accuracy) or h S to the solver's bound (stability).
        """
        from ..._support.pictures import Panels
        from ..._support.style import FULL_WIDTH, context, figure, series_style

        if axes is None:
            _, axes = figure(FULL_WIDTH, 1.25, 3)
        style = series_style(0)
        bound = "" if self.stability is None else f", stable to {self.stability:.3g}"
        rows = (
            (self.h, "step $h$", None),
            (self.error, "error $E$, accepted to 1", 1.0),
            (self.h * self.stiffness, f"stiffness $h\\,S${bound}", self.stability),
        )
        ends = np.append(self.t, self.t[-1:] + self.h[-1:])
        middle = self.t + self.h / 2
        with context():
            for ax, (values, label, limit) in zip(axes, rows, strict=True):
                ax.stairs(values, ends, color=style.color, baseline=None, lw=1.1)
                ax.plot(
                    middle,
                    values,
                    style.marker,
                    color=style.color,
                    ms=3,
                    ls="none",
                    label="accepted step",
                )
                # the last one is as long as what is left
                last: Any = {"mfc": "white", "mec": style.color, "ms": 4.5, "ls": "none"}
                ax.plot(
                    middle[-1:],
                    values[-1:],
                    style.marker,
                    **last,
                    label="last step, to the end of the interval",
                )
                low, high, scale = _scaled(values[np.isfinite(values) & (values > 0)])
                if (
                    limit is not None and limit < 5 * high
                ):  # further away it would flatten the curve
                    ax.axhline(limit, color="black", lw=0.8, ls=":", label="bound")
                    high = max(high, 1.15 * limit)
                ax.set_yscale(scale)
                ax.set_ylim(low, high)
                ax.set_xlabel("$t$")
                ax.set_title(label)
            said = f"{self.name}: {self.accepted} steps, {self.rejected} rejected"
            root = axes[0].get_figure()
            root.suptitle(said, fontsize=9)
            handles = {
                str(h.get_label()): h for ax in axes for h in ax.get_legend_handles_labels()[0]
            }
            root.legend(handles=list(handles.values()), loc="outside lower center", ncols=3)
        return Panels(axes)


def _scaled(values: np.ndarray) -> tuple[float, float, str]:
    """Ends and scale of an axis that shows how positive values differ; about values that are alike a fifth is free."""
    if not values.size:
        return 0.1, 1.0, "linear"
    low, high = float(values.min()), float(values.max())
    if high > 20 * low:
        return low / 1.5, high * 1.5, "log"
    margin = max(0.15 * (high - low), 0.2 * high - (high - low) / 2)
    return max(low - margin, 0.0), high + margin, "linear"


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
