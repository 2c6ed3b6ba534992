"""A vector field in the plane, or in the principal plane of the motion of a larger state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..._support.errors import OdescentError
from ..._support.rendering.rendered import Rendered
from .subjects import Subject, subject, trajectories

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class FieldPlane(Rendered):
    """Arrows of a field on a plane, with the projected trajectories of the states.

    A point of the plane with coordinates (a, b) is center + a directions[0] + b directions[1]; arrows are the
    field there, projected on the plane.

    Attributes:
        center, directions: shape (d,) and (2, d), the directions orthonormal; in a plane, its own axes.
        share: the share of the states' variance that the plane holds; 1 for a state of two variables.
        times: times at which the field is drawn; a single one for an autonomous field.
        a, b: coordinates of the grid.
        arrows: shape (times, b, a, 2).
        path_times: times of the paths.
        paths: shape (path times, rows, 2).
        labels: a whole number per row, None if there are none.
    """

    name: str
    center: Float[np.ndarray, "d"]
    directions: Float[np.ndarray, "2 d"]
    share: float
    times: tuple[float, ...]
    a: Float[np.ndarray, "a"]
    b: Float[np.ndarray, "b"]
    arrows: Float[np.ndarray, "times b a 2"]
    path_times: Float[np.ndarray, "path_times"]
    paths: Float[np.ndarray, "path_times rows 2"]
    labels: np.ndarray | None

    def __str__(self) -> str:
        times = ", ".join(f"{t:g}" for t in self.times)
        return f"{self.name}: a plane with {self.share:.0%} of the states' variance, at t = {times}"

    def to_dict(self) -> dict[str, Any]:
        """JSON data, without the arrows."""
        plain = {n: v.tolist() if isinstance(v, np.ndarray) else v for n, v in vars(self).items()}
        return {n: v for n, v in plain.items() if n not in ("arrows", "a", "b")}

    def plot(self, axes: Any = None) -> tuple[Axes, ...]:
        """Draw a panel per time: direction as arrows, speed as shade; paths up to it, their ends marked."""
        from ..._support.pictures import Panels
        from ..._support.style import COLUMN_WIDTH, FULL_WIDTH, context, figure, series_style

        n = len(self.times)
        if axes is None:
            _, axes = figure(COLUMN_WIDTH if n == 1 else FULL_WIDTH, 1.2, n)
        # one grey scale for all times, so that speeds can be compared
        speed = np.hypot(self.arrows[..., 0], self.arrows[..., 1])
        box = (self.a[0], self.a[-1], self.b[0], self.b[-1])
        flat = self.share >= 1
        with context():
            for ax, time, field, size in zip(axes, self.times, self.arrows, speed, strict=True):
                ax.imshow(
                    size, extent=box, origin="lower", cmap="Greys", vmin=0, vmax=2.5 * speed.max() or 1.0,
                    interpolation="bilinear", aspect="equal", zorder=0,
                )  # fmt: skip
                # arrows show directions only; a sixteenth of the grid keeps them apart
                unit = field / np.where(size > 0, size, 1)[..., None]
                step = max(1, len(self.a) // 16)
                part = np.s_[::step, ::step]
                ax.quiver(
                    self.a[::step], self.b[::step], unit[..., 0][part], unit[..., 1][part],
                    angles="xy", color="#777777", scale=24, width=0.004, pivot="mid", zorder=1,
                )  # fmt: skip
                # each panel shows the trajectories up to its time
                past = (
                    self.path_times <= time + 1e-9 if n > 1 else np.ones(len(self.path_times), bool)
                )
                groups = np.zeros(self.paths.shape[1], int) if self.labels is None else self.labels
                for i, label in enumerate(np.unique(groups)):
                    style, rows = series_style(i), groups == label
                    ways = self.paths[past][:, rows]
                    ax.plot(ways[..., 0], ways[..., 1], color=style.color, lw=0.5, alpha=0.6)
                    ax.plot(
                        ways[-1, :, 0], ways[-1, :, 1], style.marker, color=style.color, ms=2.2, ls="none",
                        label=f"{label}",
                    )  # fmt: skip
                ax.set_xlim(box[:2])
                ax.set_ylim(box[2:])
                ax.set_xlabel("$y_1$" if flat else "first direction")
                ax.set_title(self.name if n == 1 else f"$t = {time:.3g}$")
            axes[0].set_ylabel("$y_2$" if flat else "second direction")
            handles, names = axes[0].get_legend_handles_labels()
            if len(names) > 1:
                axes[0].get_figure().legend(
                    handles=handles, loc="outside lower center", ncols=min(len(names), 10 if n > 1 else 5),
                    title="class; marks: where the rows are", title_fontsize=8, markerscale=1.6, handletextpad=0.2,
                )  # fmt: skip
            if not flat:
                said = f"{self.name}: plane with {100 * self.share:.0f} % of the variance; darker is faster"
                axes[0].get_figure().suptitle(said, fontsize=9)
            elif n > 1:
                axes[0].get_figure().suptitle(f"{self.name}; darker is faster", fontsize=9)
        return Panels(axes)


def field_plane(
    what: Subject | Any,
    *,
    rows: int = 60,
    grid: int = 41,
    times: int = 3,
    plane: Any = None,
    margin: float = 0.15,
) -> FieldPlane:
    """The vector field around the trajectories of the first rows.

    A state of two variables is drawn in its own plane; of more variables, in that of the first two principal
    directions of the ways.

    Args:
        what: a `Subject`, or what `subject` takes.
        rows: how many.
        grid: points per direction.
        times: panels from the begin to the end of the interval, if the field depends on the time.
        plane: (center, two directions) instead; the directions are made orthonormal.
        margin: around the ways, as a fraction of their extent.

    Returns:
        Arrows on the grid at each of the times, and the ways, all in the plane's coordinates.

    Raises:
        OdescentError: a model that does not show its field, a state of one variable, or no plane.
    """
    s = what if isinstance(what, Subject) else subject(what)
    if s.vector_field is None:
        raise OdescentError(
            f"{s.name} does not expose its vector field (an attribute field or drift): give subject(..., "
            "vector_field=f) with f(t, y)."
        )

    # The ways, and the plane that holds most of them.
    clock, ways = trajectories(s, rows, 41)
    if not np.isfinite(ways).all():
        raise OdescentError(f"the solve of {s.name} failed, so there are no trajectories to draw.")
    d = ways.shape[2]
    if d < 2:
        raise OdescentError("a state of one variable has no plane: use step_profile.")
    center, directions, share = _plane(ways.reshape(-1, d), plane)
    paths = (ways - center) @ directions.T

    # A square grid around them, and the field on it at each time; once if it does not depend on the time.
    low, high = paths.min((0, 1)), paths.max((0, 1))
    middle, half = (low + high) / 2, (0.5 + margin) * float(max(*(high - low), 1e-6))
    a, b = (np.linspace(m - half, m + half, grid) for m in middle)
    spots = center + a[None, :, None] * directions[0] + b[:, None, None] * directions[1]
    dtype = next(iter(s.rows.values())).dtype
    flat = jnp.asarray(spots.reshape(-1, d), dtype)
    shown = np.linspace(clock[0], clock[-1], max(times, 1))
    found = []
    for t in shown:
        values = s.vector_field(jnp.asarray(t, dtype), flat)
        found.append(np.asarray(values, float).reshape(grid, grid, d) @ directions.T)
    if all(np.array_equal(found[0], f) for f in found[1:]):
        found, shown = found[:1], shown[-1:]
    labels = s.first(rows).get("y")
    if labels is not None:  # where there are several states to a row, whose is not known
        fine = np.issubdtype(labels.dtype, np.integer) and labels.shape == ways.shape[1:2]
        labels = labels if fine else None
    return FieldPlane(
        s.name, center, directions, share, tuple(map(float, shown)), a, b, np.stack(found), clock, paths, labels
    )  # fmt: skip


def _plane(states: np.ndarray, plane: Any) -> tuple[np.ndarray, np.ndarray, float]:
    """Center, two orthonormal directions, and the share of the variance that they hold."""
    d = states.shape[1]
    center = states.mean(0)
    total = float(((states - center) ** 2).sum())
    if plane is not None:
        center, given = np.asarray(plane[0], float), np.asarray(plane[1], float)
        if center.shape != (d,) or given.shape != (2, d) or np.linalg.matrix_rank(given) < 2:
            raise OdescentError(
                f"plane= must be a center of {d} numbers and two independent directions of {d} numbers each."
            )
        q, r = np.linalg.qr(given.T)
        directions = (q * np.sign(np.diag(r))).T
    elif d == 2:
        return np.zeros(2), np.eye(2), 1.0
    else:
        _, _, rows = np.linalg.svd(states - center, full_matrices=False)
        directions = rows[:2]
    held = float((((states - states.mean(0)) @ directions.T) ** 2).sum())
    return center, directions, min(1.0, held / total) if total > 0 else 1.0
