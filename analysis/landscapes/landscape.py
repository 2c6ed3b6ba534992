"""Pictures of methods over the level lines of a function, as data that can be drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from ..._support.arguments import checked
from ..._support.rendering.brief import quantity
from ..._support.rendering.drawable import drawn
from ..._support.rendering.rendered import Rendered
from ..._support.style import titled
from ..portraits.animation import Moving
from ..portraits.field import Window
from ..portraits.portrait import FixedPointSearch
from ..portraits.section import Section
from .equilibria import Equilibrium

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_RISE = 0.01  # of how far f has fallen: a smaller rise is none
_CONTINUUM = 10  # degenerate critical points
_LONG = 12  # critical points that the text lists


@dataclass(frozen=True)
class CriticalPoint(Rendered):
    """A point where the gradient of f vanishes.

    Attributes:
        point: in the plane, shape (2,).
        x: shape (d,).
        value: of f.
        kind: "minimum", "maximum", "saddle" or "degenerate".
        curvatures: eigenvalues of the Hessian, increasing, shape (d,).
        equilibria: by method or flow, what the full system is there.
    """

    point: Float[np.ndarray, "2"]
    x: Float[np.ndarray, " d"]
    value: float
    kind: str
    curvatures: Float[np.ndarray, " d"]
    equilibria: Mapping[str, Equilibrium]


@dataclass(frozen=True)
class Course(Rendered):
    """What a method or a flow does from n starts.

    Attributes:
        x: outputs, shape (n, k, d), of a flow spread evenly along the curve; NaN after a divergence.
        f: values there, shape (n, k).
        t: times, shape (n, k).
        speed: of the output, shape (n, k), of a method by its last step.
        push: of a method, how far each step would go without a gradient, shape (n, k, d); None where it has no memory.
        diverged_at: the step of a method's divergence, or -1, shape (n,).
    """

    x: Float[np.ndarray, "n k d"]
    f: Float[np.ndarray, "n k"]
    t: Float[np.ndarray, "n k"]
    speed: Float[np.ndarray, "n k"]
    push: Float[np.ndarray, "n k d"] | None
    diverged_at: Int[np.ndarray, " n"]

    @property
    def kinetic(self) -> Float[np.ndarray, "n k"]:
        """Half of the squared speed."""
        return self.speed**2 / 2


@dataclass(frozen=True)
class Overshoot(Rendered):
    """The first rise of f along a run with memory.

    Attributes:
        low, high: the steps at which f is least before the rise, and greatest after it.
        values: f there.
        motion: the share of kinetic energy in what is left of the energy where f is least.
    """

    low: int
    high: int
    values: tuple[float, float]
    motion: float


@dataclass(frozen=True)
class Landscape(Moving):
    """Methods and flows over the level lines of a function.

    Attributes:
        objective: the name of f.
        window: ((x0, x1), (y0, y1)) in the plane.
        labels: names of the two axes, mathtext.
        section: the plane in the space of x.
        x, y: coordinates of the grid, shapes (nx,) and (ny,).
        values: f on it, shape (ny, nx); may hold infinities and NaN.
        levels: of the lines, increasing, shape (m,).
        critical_points: of f in the window, with what each method makes of them.
        search: how they were found, and whether it is proved that there is no other: of f, in the window.
        courses: by method, its runs.
        flow_courses: by flow, its solutions.
        iterates: by method, the runs in the plane, shape (n, k, 2).
        flows: by flow, the curves in the plane, shape (n, k, 2).
        times: by flow, the times along the curves, shape (n, k).
        out_of_plane: by method or flow, the share of its motion (of the squared steps) that the plane does not show.
        least: the least value of f that is known.
        remarks: what else is to be said.
    """

    objective: str
    window: Window
    labels: tuple[str, str]
    section: Section
    x: Float[np.ndarray, " nx"]
    y: Float[np.ndarray, " ny"]
    values: Float[np.ndarray, "ny nx"]
    levels: Float[np.ndarray, " m"]
    critical_points: tuple[CriticalPoint, ...]
    search: FixedPointSearch
    courses: Mapping[str, Course]
    flow_courses: Mapping[str, Course]
    iterates: Mapping[str, Float[np.ndarray, "n _ 2"]]
    flows: Mapping[str, Float[np.ndarray, "n _ 2"]]
    times: Mapping[str, Float[np.ndarray, "n _"]]
    out_of_plane: Mapping[str, float]
    least: float
    remarks: tuple[str, ...] = ()

    @property
    def outside(self) -> dict[str, int]:
        """How many iterates of each method the window does not show."""
        sides = np.array(self.window)
        inside = {
            n: ((z >= sides[:, 0]) & (z <= sides[:, 1])).all(-1) for n, z in self.iterates.items()
        }
        return {
            n: int((~ok & np.isfinite(self.iterates[n]).all(-1)).sum()) for n, ok in inside.items()
        }

    def overshoot(self, name: str, start: int = 0) -> Overshoot | None:
        """Where memory first carries a method up again; None where f does not rise, or it has no memory."""
        course = self.courses[name]
        f, kinetic = course.f[start], course.kinetic[start]
        f, kinetic = f[np.isfinite(f)], kinetic[np.isfinite(f)]
        if course.push is None or len(f) < 3:
            return None
        rises = np.flatnonzero(np.diff(f) > 0)
        for low in rises[rises > 0].tolist():
            falls = np.flatnonzero(np.diff(f[low + 1 :]) < 0)
            high = low + 1 + (int(falls[0]) if len(falls) else len(f) - low - 2)
            if f[high] - f[low] > _RISE * (f[: low + 1].max() - self.least):
                left = kinetic[low] + f[low] - self.least
                share = float(kinetic[low] / left) if left > 0 else 0.0
                return Overshoot(low, high, (float(f[low]), float(f[high])), share)
        return None

    def __str__(self) -> str:
        count = len(self.critical_points)
        points = f"{quantity(count, 'critical point')} of f"
        flat = sum(p.kind == "degenerate" for p in self.critical_points)
        if flat >= _CONTINUUM:
            points += f", {flat} of them degenerate, as those of a continuum are"
        proof = f"by {self.search.method}" + (
            ", proved to be all in the window" if self.search.complete else ""
        )
        who = ", ".join(self.courses or self.flow_courses)
        lines = [f"{who} on {self.objective}: {points}, {proof}.", *self._table()]
        for name in self.courses:
            if (over := self.overshoot(name)) is not None:
                lines.append(
                    f"{titled(name)}: f falls to {over.values[0]:.4g} by step {over.low}, where motion, |x'|^2/2, is "
                    f"{over.motion:.0%} of the energy f + |x'|^2/2 that is left, and memory carries it up again to "
                    f"{over.values[1]:.4g} at step {over.high}."
                )
            lost = self.courses[name].diverged_at
            if (lost >= 0).any():
                many = f" from {(lost >= 0).sum()} of {len(lost)} starts" if len(lost) > 1 else ""
                lines.append(f"{titled(name)} diverges{many}, at step {lost[lost >= 0].min()}.")
        for name, share in self.out_of_plane.items():
            if share > 0:
                lines.append(f"{titled(name)}: {share:.1%} of the motion is out of this plane.")
        return "\n".join([*lines, *self.remarks])

    def _table(self) -> list[str]:
        """A row for each critical point, a column for each method, and what the columns leave out."""
        if not self.critical_points:
            return []
        columns = list(self.critical_points[0].equilibria)
        head = ["point", "f", "of f", *columns]
        size = 1e-9 * max(np.ptp(self.x), np.ptp(self.y))
        tall = 1e-12 * float(np.ptp(self.values[np.isfinite(self.values)]))
        rows, notes = [head], []
        for p in self.critical_points[:_LONG]:
            a, b = (0.0 if abs(v) < size else v for v in p.point)
            cells = [
                f"({a:.6g}, {b:.6g})",
                f"{p.value if abs(p.value) > tall else 0.0:.4g}",
                p.kind,
            ]
            for name in columns:
                e = p.equilibria[name]
                cells.append(e.kind or "-")
                if e.frozen:
                    notes.append(f"{name}: its coefficients change; they are frozen as {e.frozen}.")
                if e.reason:
                    notes.append(f"{name}: no kind is claimed (-), as {e.reason}.")
            rows.append(cells)
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        made = [
            "  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        if len(self.critical_points) > _LONG:
            made.append(f"  and {len(self.critical_points) - _LONG} more")
        return [*made, *dict.fromkeys(notes)]

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data; infinite values of f are None."""
        return {
            "objective": self.objective,
            "window": [list(side) for side in self.window],
            "labels": list(self.labels),
            "search": {
                "method": self.search.method, "complete": self.search.complete, "reason": self.search.reason,
            },
            "critical_points": [
                {
                    "point": p.point.tolist(), "x": p.x.tolist(), "value": p.value, "kind": p.kind,
                    "curvatures": p.curvatures.tolist(),
                    "equilibria": {n: _plain(e) for n, e in p.equilibria.items()},
                }
                for p in self.critical_points
            ],
            "iterates": {n: _finite(z) for n, z in self.iterates.items()},
            "f": {n: _finite(c.f) for n, c in self.courses.items()},
            "diverged_at": {n: c.diverged_at.tolist() for n, c in self.courses.items()},
            "out_of_plane": dict(self.out_of_plane),
            "remarks": list(self.remarks),
        }  # fmt: skip

    @checked
    def plot(
        self,
        ax: Any = None,
        legend: bool = True,
        memory: bool | None = None,
        panel: str | None = None,
    ) -> Any:
        """Draw the level lines, the flows, the iterates and the critical points.

        Args:
            ax: where to draw; a new figure of one column's width where not given. A pair with ``panel``.
            legend: whether to put a legend under the axes.
            memory: arrows at the iterates of the first start, as long as the step would be without a gradient; by
                default where one method with memory is drawn.
            panel: beside the picture, against time from the first start: "energy" (f above its least value, half of
                the squared speed, and their sum), "speed", or "value" (f above its least value).

        Returns:
            The axes, or two of them.

        Raises:
            OdescentError: another panel.
        """
        return drawn(self, ax, legend, memory, panel)

    def draw_still(self, ax: Axes) -> None:
        self.plot(ax, memory=False)

    def save(self, path: str | Path, **options: Any) -> tuple[Path, ...]:
        """Draw it and write it, atomically.

        Args:
            path: with suffix .pdf, .svg or .png, or without one for all three.
            options: of `plot`.

        Raises:
            OdescentError: another suffix, or a file that cannot be written.
        """
        from ..._support.style import save_as

        axes = self.plot(**options)
        first: Axes = axes[0] if isinstance(axes, tuple) else axes
        return save_as(first, path)


def _plain(e: Equilibrium) -> dict[str, Any]:
    return {
        "kind": e.kind, "eigenvalues": [[v.real, v.imag] for v in e.eigenvalues.tolist()],
        "of": "step" if e.step else "flow",
        "frozen": e.frozen, "reason": e.reason,
    }  # fmt: skip


def _finite(values: np.ndarray) -> list[Any]:
    """Nested lists, with None for what is not finite."""
    made: list[Any] = np.where(np.isfinite(values), values.astype(object), np.array(None)).tolist()
    return made
