"""Numbers of evaluations of each row solved separately."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from ..._support.errors import OdescentError
from ..._support.rendering.rendered import Rendered
from .subjects import Subject, subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class EvaluationCounts(Rendered):
    """Evaluations of the drift, row by row.

    Attributes:
        each: evaluations of each row solved separately.
        together: evaluations of the same rows as one state; the maximum, if the model solves rows separately.
        failed: rows whose solve failed; their counts are left out of the quantiles.
    """

    name: str
    each: Int[np.ndarray, "rows"]
    together: int
    failed: Int[np.ndarray, "failed"]

    def __str__(self) -> str:
        said = f"{self.name}: {self.together} evaluations of the field as one state"
        if len(self.finished):
            low, middle, high = np.quantile(self.finished, (0.05, 0.5, 0.95))
            said += f"; each row on its own: median {middle:g}, 90 % of them {low:g} to {high:g}"
        return said + f"; {len(self.failed)} of {len(self.each)} failed" * (len(self.failed) > 0)

    @property
    def finished(self) -> Int[np.ndarray, "finished"]:
        """The counts of the rows whose solve went well."""
        kept = np.ones(len(self.each), bool)
        kept[self.failed] = False
        return np.asarray(self.each[kept])

    def to_dict(self) -> dict[str, Any]:
        """JSON data: quantiles, and how many rows needed how many evaluations."""
        values, counts = np.unique(self.finished, return_counts=True)
        quantiles = {}
        if len(values):
            low, middle, high = map(float, np.quantile(self.finished, (0.05, 0.5, 0.95)))
            quantiles = {
                "q05": low,
                "median": middle,
                "q95": high,
                "mean": float(self.finished.mean()),
            }
        return {
            "name": self.name, "together": self.together, "rows": len(self.each), "failed": len(self.failed),
            **quantiles, "histogram": dict(zip(map(str, values.tolist()), counts.tolist(), strict=True)),
        }  # fmt: skip

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw a bar per number of evaluations, and mark the number of the batch solved as one state."""
        from ..._support.style import picture, series_style

        with picture(ax, 0.75, "evaluations of the field", "rows") as ax:
            values, counts = np.unique(self.finished, return_counts=True)
            wide = 0.8 * (np.diff(values).min() if len(values) > 1 else 1)
            if len(values) == 1:
                ax.set_xlim(values[0] - 3, values[0] + 3)
            bars = ax.bar(values, counts, wide, color=series_style(0).color)
            if len(values):
                bars[0].set_label("each on its own")
            ax.axvline(self.together, **series_style(1).line, label="as one state")
            ax.set_title(self.name)
            if len(values) and len(values) <= 8:
                ax.set_xticks(sorted({*values.tolist(), self.together}))
        return ax


def evaluation_counts(
    what: Subject | Any, *, rows: int | None = 256, **options: Any
) -> EvaluationCounts:
    """Evaluations per row.

    Args:
        what: a `Subject`, or what `subject` takes.
        rows: how many; None for all.
        options: of `solve`, in place of those of training.

    Returns:
        Evaluations of each row, of shape (rows,), and of all as one state.

    Raises:
        OdescentError: a solver whose evaluations cannot be known.
    """
    s = what if isinstance(what, Subject) else subject(what)
    found = s.each(rows, **options).solved
    whole = s.solved(rows, **options).solved.hardest.statistics.drift_evaluations
    if found.statistics.drift_evaluations is None or whole is None:
        raise OdescentError(
            "the evaluations of this solver cannot be counted: use an explicit one."
        )
    good = np.asarray(found.successful).ravel()
    each = np.asarray(found.statistics.drift_evaluations).ravel()
    return EvaluationCounts(s.name, each, int(whole), np.flatnonzero(~good))
