"""Accuracy against evaluations over several runs, and the nondominated ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ..._support.rendering.brief import quantity
from ..._support.rendering.rendered import Rendered
from ..training.compared_runs import RunComparison, labels_of
from ..training.trained import Trained

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Point(Rendered):
    """Runs that differ in their seed only.

    Attributes:
        evaluations, score: on the test rows, one per run.
        on_front: whether no other point has a mean score at least as good for fewer evaluations, or a better one
            for as many.
    """

    label: str
    evaluations: tuple[float, ...]
    score: tuple[float, ...]
    on_front: bool

    @property
    def mean(self) -> tuple[float, float]:
        """Mean evaluations and mean score."""
        return float(np.mean(self.evaluations)), float(np.mean(self.score))


@dataclass(frozen=True)
class Pareto(Rendered):
    """The points of a comparison.

    Attributes:
        score: the name of the metric.
        sign: 1 if more of it is better, else -1.
    """

    score: str
    sign: int
    points: tuple[Point, ...]

    def __str__(self) -> str:
        rows = [f"{quantity(len(self.points), 'point')}, {len(self.front)} on the front"]
        for p in self.points:
            (x, y), front = p.mean, ", on the front" * p.on_front
            rows.append(f"  {p.label}: {x:.6g} evaluations, {self.score} {y:.4g}{front}")
        return "\n".join(rows)

    @property
    def front(self) -> list[Point]:
        """Those that nothing beats, cheapest first."""
        return sorted((p for p in self.points if p.on_front), key=lambda p: p.mean[0])

    def to_dict(self) -> dict[str, Any]:
        """JSON data."""
        return {
            "score": self.score,
            "sign": self.sign,
            "points": [dict(vars(p)) for p in self.points],
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw means with the range over seeds, and the front as stairs."""
        from ..._support.style import picture, series_style

        with picture(ax, 0.8, "evaluations per solve", f"test {self.score}") as ax:
            for i, p in enumerate(self.points):
                style, (x, y) = series_style(i), p.mean
                if len(p.score) > 1:
                    xs, ys = p.evaluations, p.score
                    spread = ([[x - min(xs)], [max(xs) - x]], [[y - min(ys)], [max(ys) - y]])
                    ax.errorbar(
                        [x], [y], spread[1], spread[0], color=style.color, lw=0.8, ls="none"
                    )
                face = style.color if p.on_front else "white"
                ax.plot(
                    [x], [y], style.marker, color=style.color, mfc=face, ls="none", ms=5, label=p.label, zorder=3
                )  # fmt: skip
            corners = np.array([p.mean for p in self.front])
            ax.step(
                corners[:, 0], corners[:, 1], where="post", color="black", lw=0.6, ls=":", zorder=1,
                label="front (filled marks)",
            )  # fmt: skip
        return ax


@checked
def pareto(runs: RunComparison | Mapping[str, Sequence[Trained]] | Sequence[Trained]) -> Pareto:
    """Accuracy against evaluations.

    Args:
        runs: a comparison, runs by label, or runs, whose labels then are what tells their settings apart.

    Raises:
        OdescentError: no finished run, or runs of several tasks.
    """
    if isinstance(runs, RunComparison):
        groups: dict[str, list[Trained]] = {k: list(v) for k, v in runs.groups.items()}
    elif isinstance(runs, Mapping):
        groups = {k: list(v) for k, v in runs.items()}
    else:
        groups = {}
        for label, run in zip(labels_of([r.config for r in runs]), runs, strict=True):
            groups.setdefault(label, []).append(run)
    kept = {k: [r for r in v if "nfe" in r.test] for k, v in groups.items()}
    kept = {k: v for k, v in kept.items() if v}
    tasks = {r.config.task: r.task for v in kept.values() for r in v}
    if len(tasks) != 1:
        raise OdescentError(
            "there is no finished run to draw."
            if not tasks
            else f"runs of one task are compared, not of {' and '.join(sorted(tasks))}."
        )
    task = next(iter(tasks.values()))

    def value(r: Trained) -> float:
        return float(r.test[task.score] if task.score in r.test else r.test["loss"])

    raw = {k: ([float(r.test["nfe"]) for r in v], [value(r) for r in v]) for k, v in kept.items()}
    means = {k: (float(np.mean(n)), task.sign * float(np.mean(s))) for k, (n, s) in raw.items()}

    def beaten(k: str) -> bool:
        n, s = means[k]
        return any(
            (m <= n and q >= s and (m < n or q > s)) for j, (m, q) in means.items() if j != k
        )

    points = tuple(Point(k, tuple(n), tuple(s), not beaten(k)) for k, (n, s) in raw.items())
    return Pareto(task.score, task.sign, points)
