"""Phase portraits of planar fields, as data that can be drawn.

`compute_portrait` gathers what a portrait shows; `Portrait.plot` draws exactly that data. Discrete
iterates are laid over the field as numbered markers, reference flows and other curves as lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ..._support.numbers import reals
from ..._support.rendering.brief import short
from ..._support.rendering.drawable import drawn
from ..._support.rendering.rendered import Rendered
from ..noise.density import PhaseDensity
from .animation import Moving, Paths
from .field import Curve, Field, FixedPoint, Jacobian, Window, check_window, evaluate, fixed_points
from .limit_cycles import LimitCycle, limit_cycles
from .nullclines import Function, LevelSets, Nullclines, level_sets, nullclines
from .trajectories import Line, Separatrix, even_lines, flow_lines, separatrices

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WHOLE = "Gauss-Newton on the whole velocity"
_CONTINUUM = 10  # non-hyperbolic fixed points
_LONG = 24  # fixed points that the text lists
_NO_CURVES: Mapping[str, Curve] = MappingProxyType({})
_NO_PATHS: Mapping[str, Paths] = MappingProxyType({})


@dataclass(frozen=True)
class FixedPointSearch(Rendered):
    """How the fixed points were found.

    Attributes:
        method: "interval Krawczyk" or "multi-start Newton"; of a projection "Gauss-Newton on the whole velocity".
        complete: whether it is proved that the window holds no other fixed point.
        unresolved: boxes (low, high) where neither absence nor uniqueness was proved, shape (m, 2, 2).
        reason: why it is not complete; empty where it is.
    """

    method: str
    complete: bool
    unresolved: Float[np.ndarray, "m 2 2"]
    reason: str = ""


@dataclass(frozen=True)
class Portrait(Moving):
    """The data of a phase portrait.

    Attributes:
        window: ((x0, x1), (y0, y1)).
        labels: names of the two axes, mathtext.
        x, y: the sampling grid's coordinates, shapes (nx,) and (ny,).
        samples: the field on that grid, shape (ny, nx, 2); may hold infinities and NaN.
        flow_lines: background lines.
        nullclines: the two families of curves where one velocity vanishes.
        nullcline_labels: their names, mathtext.
        fixed_points: with their linearizations; for a projection, the fixed points of the whole system in the plane.
        separatrices: branches of the saddles' manifolds.
        iterates: name to sequence of discrete states, shape (k, 2), or (n, k, 2) from several starts.
        flows: name to samples of a reference flow, shape (k, 2), or (n, k, 2) from several starts.
        curves: name to samples of any further curve, e.g. a slow manifold, shape (k, 2).
        search: the search for fixed points, and whether it is complete.
        limit_cycles: isolated closed orbits, with period and multiplier.
        level_sets: of an energy or Lyapunov function, where one was given.
        out_of_plane: largest share of the velocity that a projection hides; 0 for a planar system or an invariant
            plane.
        projected: whether the field is the projection of a larger system's velocity onto a plane. Its limit cycles
            and separatrices are not those of the system and are left out.
        noisy: whether the system has noise: the field is its drift.
        times: name to the times of a reference flow's samples, shape (k,) or (n, k), where they are known.
        paths: of a system with noise, sample paths, shape (m, p, 2).
        density: of a system with noise, at a time or in the long run.
    """

    window: Window
    labels: tuple[str, str]
    x: Float[np.ndarray, " nx"]
    y: Float[np.ndarray, " ny"]
    samples: Float[np.ndarray, "ny nx 2"]
    flow_lines: tuple[Line, ...]
    nullclines: Nullclines
    nullcline_labels: tuple[str, str]
    fixed_points: tuple[FixedPoint, ...]
    separatrices: tuple[Separatrix, ...]
    iterates: Mapping[str, Paths] = field(default_factory=dict)
    flows: Mapping[str, Paths] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    search: FixedPointSearch = FixedPointSearch(
        "multi-start Newton", False, np.empty((0, 2, 2)), ""
    )
    limit_cycles: tuple[LimitCycle, ...] = ()
    level_sets: LevelSets | None = None
    out_of_plane: float = 0.0
    projected: bool = False
    noisy: bool = False
    times: Mapping[str, Float[np.ndarray, "..."]] = field(default_factory=dict)
    paths: Float[np.ndarray, "m p 2"] | None = None
    density: PhaseDensity | None = None

    @property
    def of(self) -> str:
        """What fixed points and cycles belong to, after a space: " of the drift" of a noisy system, or nothing."""
        return " of the drift" if self.noisy else ""

    def __str__(self) -> str:
        count = len(self.fixed_points)
        what = ("zero" if self.noisy else "fixed point") + ("" if count == 1 else "s")
        where = " of the whole system in this plane" if self.projected else ""
        proof = ", proved to be all." if self.search.complete else "."
        if self.projected:
            proof = "; there may be more."
        lines = [f"{count} {what}{self.of}{where}, by {self.search.method}{proof}"]
        # what is nothing beside the window is 0
        least = (1e-12 * np.ptp(self.x), 1e-12 * np.ptp(self.y))
        flat = [p for p in self.fixed_points if p.kind == "non-hyperbolic"]
        if len(flat) >= _CONTINUUM:
            lines[0] += f" {len(flat)} of them are non-hyperbolic, as those of a continuum are."
        for p in self.fixed_points[:_LONG]:
            a, b = (0.0 if abs(c) < e else c for c, e in zip(p.point, least, strict=True))
            lines.append(f"  ({a:.6g}, {b:.6g})  {p.kind}")
        if count > _LONG:
            lines.append(f"  and {count - _LONG} more")
        if self.noisy:
            lines.insert(0, f"the drift of a system with noise; {self._noise_shown()}.")
        for cycle in self.limit_cycles:
            kind = "stable" if cycle.stable else "unstable"
            lines.append(
                f"  {kind} limit cycle{self.of}, period {cycle.period:.8g}, multiplier {cycle.multiplier:.4g}"
            )
        if self.out_of_plane > 0:
            share = f"{self.out_of_plane:.0%} of the velocity points out of the plane"
            lines.append(f"  a projection: up to {share}")
        return "\n".join(lines)

    def _noise_shown(self) -> str:
        """How the picture shows the noise."""
        shown = []
        if self.paths is not None:
            shown.append(f"{len(self.paths)} sample path{'' if len(self.paths) == 1 else 's'}")
        if self.density is not None:
            shown.append(f"the density {self.density.when(-1)} ({self.density.method})")
        return f"over it {' and '.join(shown)}" if shown else "its noise is not shown"

    @property
    def not_finite(self) -> int:
        """How many samples of the field are infinite or NaN."""
        return int((~np.isfinite(self.samples).all(-1)).sum())

    @property
    def outside(self) -> dict[str, int]:
        """How many points of each sequence of iterates the window does not show."""
        sides = np.array(self.window)
        return {
            name: int((~((z >= sides[:, 0]) & (z <= sides[:, 1])).all(-1)).sum())
            for name, z in self.iterates.items()
        }

    @checked
    def plot(self, ax: Axes | None = None, legend: bool = True, numbered: int = 4) -> Axes:
        """Draw the portrait.

        Args:
            ax: where to draw; a new figure of one column's width where not given.
            legend: whether to put a legend under the axes.
            numbered: how many iterates of each sequence carry their number.
        """
        return drawn(self, ax, legend, numbered)

    def draw_still(self, ax: Axes) -> None:
        self.plot(ax, numbered=0)

    def save(self, path: str | Path, **options: Any) -> tuple[Path, ...]:
        """Draw it at one column's width and write it, atomically.

        Args:
            path: with suffix .pdf, .svg or .png, or without one for all three.
            options: of `plot`.

        Raises:
            OdescentError: another suffix, or a file that cannot be written.
        """
        from ..._support.style import save_as

        return save_as(self.plot(**options), path)


def compute_portrait(
    field: Field,
    window: Sequence[Sequence[float]] | None = None,
    labels: tuple[str, str] = (r"$y$", r"$\psi$"),
    iterates: Mapping[str, Paths] = _NO_PATHS,
    flows: Mapping[str, Paths] = _NO_PATHS,
    curves: Mapping[str, Curve] = _NO_CURVES,
    *,
    nullcline_labels: tuple[str, str] | None = None,
    jacobian: Jacobian | None = None,
    seeds: Curve | Sequence[Sequence[float]] | None = None,
    spacing: float = 0.07,
    samples: int = 41,
    one: Callable[[Any], Any] | None = None,
    cycles: bool = True,
    energy: Function | None = None,
    levels: int | Sequence[float] = 6,
    out_of_plane: Callable[[Curve], float] | None = None,
    at_rest: Callable[[Window], tuple[FixedPoint, ...]] | None = None,
    noisy: bool = False,
    times: Mapping[str, Float[np.ndarray, "..."]] = MappingProxyType({}),
) -> Portrait:
    """Compute a phase portrait of a planar vector field.

    Args:
        field: vectorized callable from points (n, 2) to velocities (n, 2), NumPy float64.
        window: ((x0, x1), (y0, y1)); where not given, the iterates, flows and curves with a margin.
        labels: names of the axes, mathtext.
        iterates: discrete sequences to lay over the field, name to shape (k, 2), or (n, k, 2) from several starts.
        flows: samples of reference flows, name to such arrays.
        curves: further curves, e.g. a slow manifold, name to shape (k, 2).
        nullcline_labels: names of the two families; by default the labels with a dot.
        jacobian: points (n, 2) to matrices (n, 2, 2); central differences where not given.
        seeds: starts of the background lines; evenly spread lines where not given.
        spacing: distance between evenly spread lines, in window sides.
        samples: points per side of the sampled field.
        one: the field as a JAX function of one point, shape (2,): with it fixed points are enclosed by
            intervals, which proves that none is missed.
        cycles: whether to look for limit cycles.
        energy: a function of points (n, 2) whose level sets are drawn.
        levels: their values, or how many.
        out_of_plane: for a projection, the largest share of the velocity that it hides, at points (n, 2).
        at_rest: for a projection, a window to the fixed points of the whole system in it; no zero of the projected
            field is called one, and no cycle or separatrix of it is drawn.
        noisy: whether the field is the drift of a system with noise.
        times: name to the times of a flow's samples.

    Raises:
        ValueError: for a bad window, a field or Jacobian of the wrong shape, a sequence that is
            not of shape (k, 2), or seeds outside of the window.
    """
    named: Sequence[object] = labels
    if len(named) != 2 or not all(isinstance(label, str) for label in named):
        raise OdescentError(
            f"labels must be the names of the two axes, as in ('$x$', '$v$'), not {short(labels)}."
        )
    # without a window all sequences must be visible
    iterates, flows = (_sequences(group, several=True) for group in (iterates, flows))
    curves = _sequences(curves)
    sides = (
        window_around([*iterates.values(), *flows.values(), *curves.values()])
        if window is None
        else window
    )
    frame = check_window(sides)
    if samples < 2:
        raise OdescentError(f"a sampled field needs at least 2 points per side; got {samples}.")
    x, y = (np.linspace(low, high, samples) for low, high in frame)
    points = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    if not np.isfinite(evaluate(field, points)).all(1).any():
        raise OdescentError(f"the vector field is not finite anywhere in the window {frame}.")
    # if the plane is only a section, fixed points come from the whole state space, without separatrices
    branches: tuple[Separatrix, ...] = ()
    if at_rest is None:
        fixed, search = search_fixed_points(field, frame, jacobian, one)
        branches = separatrices(field, frame, fixed)
    else:
        none = np.empty((0, 2, 2))
        why = "the plane is a part of the state space; starts were a grid in it"
        fixed, search = at_rest(frame), FixedPointSearch(_WHOLE, False, none, why)
    lines = (
        even_lines(field, frame, fixed, spacing, [s.points for s in branches])
        if seeds is None
        else flow_lines(field, frame, seeds, fixed)
    )
    return Portrait(
        window=frame,
        labels=labels,
        x=x,
        y=y,
        samples=evaluate(field, points).reshape(samples, samples, 2),
        flow_lines=lines,
        nullclines=nullclines(field, frame),
        nullcline_labels=nullcline_labels or (_rest(labels[0]), _rest(labels[1])),
        fixed_points=fixed,
        separatrices=branches,
        iterates=iterates,
        flows=flows,
        curves=curves,
        search=search,
        limit_cycles=limit_cycles(field, frame, fixed, jacobian)
        if cycles and at_rest is None
        else (),
        level_sets=None if energy is None else level_sets(energy, field, frame, levels),
        out_of_plane=0.0 if out_of_plane is None else out_of_plane(points),
        projected=at_rest is not None,
        noisy=noisy,
        times=dict(times),
    )


def search_fixed_points(
    field: Field, frame: Window, jacobian: Jacobian | None, one: Callable[[Any], Any] | None
) -> tuple[tuple[FixedPoint, ...], FixedPointSearch]:
    """The zeros of a planar field, enclosed by intervals where it allows that.

    Args:
        field: points (n, 2) to velocities.
        frame: the window.
        jacobian: points (n, 2) to matrices (n, 2, 2); central differences where None.
        one: the field as a JAX function of one point.

    Returns:
        The fixed points, and how they were found.
    """
    none = np.empty((0, 2, 2))
    if one is None:
        why = "intervals need the field as a JAX function of one point (one=)"
        return fixed_points(field, frame, jacobian), FixedPointSearch(
            "multi-start Newton", False, none, why
        )
    from .enclosure import enclose_zeros
    from .intervals import NoIntervals

    try:
        enclosed = enclose_zeros(one, frame)
    except NoIntervals as error:
        found = fixed_points(field, frame, jacobian)
        return found, FixedPointSearch("multi-start Newton", False, none, str(error))
    grid = {"starts": 0} if enclosed.complete else {}  # where all are known, they are only polished
    fixed = fixed_points(field, frame, jacobian, known=enclosed.zeros, **grid)
    left = len(enclosed.unresolved)
    why = f"{left} boxes are undecided, as where a fixed point is not simple" if left else ""
    return fixed, FixedPointSearch("interval Krawczyk", enclosed.complete, enclosed.unresolved, why)


def _sequences(group: Mapping[str, Paths], several: bool = False) -> dict[str, Paths]:
    """Copies of the named sequences as float64, each checked to be of shape (k, 2), or of one for each start."""
    checked: dict[str, Paths] = {}
    for name, given in group.items():
        points = np.array(reals(given))
        if points.ndim not in (2, 3 if several else 2) or points.shape[-1] != 2 or not points.size:
            raise OdescentError(
                f"a sequence in a planar portrait must have shape (k, 2) with k > 0; {name!r} has shape "
                f"{points.shape}."
            )
        checked[name] = points
    return checked


def window_around(groups: Sequence[Paths]) -> Window:
    """A window around all finite points of arrays (..., 2) with a margin of an eighth of each side."""
    points = np.concatenate([g.reshape(-1, 2) for g in groups]) if groups else np.empty((0, 2))
    points = points[np.isfinite(points).all(1)]
    if len(points) == 0:
        raise OdescentError("a portrait needs a window, or iterates, flows or curves to show.")
    low, high = points.min(0), points.max(0)
    size = high - low
    size = np.where(size > 0, size, np.maximum(size.max(), 1.0))
    (x0, y0), (x1, y1) = (low - size / 8).tolist(), (high + size / 8).tolist()
    return (x0, x1), (y0, y1)


def _rest(label: str) -> str:
    """`$y_{1}$` to the equation of its nullcline, y_1 with a dot on the y = 0."""
    inside = label.strip()
    if inside.startswith("$") and inside.endswith("$") and len(inside) > 2:
        letter, below, index = inside[1:-1].partition("_")
        return rf"$\dot{{{letter}}}{below}{index} = 0$"
    return f"d({inside})/dt = 0"
