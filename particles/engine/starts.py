"""Starting points of populations: drawn from counters, like the noise, without a stored key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ..._support.numbers import check_whole, reals
from ..._support.rendering.brief import short
from ..._support.rendering.rendered import Rendered
from ...dynamics.random.normals import LANES, normals, uniforms
from .feasible import Box, box

_BEFORE = LANES - 1  # the step whose draws make the starting points


@dataclass(frozen=True)
class Start(Rendered):
    """Points for (seed, run): ``low + (high - low) u`` or ``mean + sd z``; made by the functions below."""

    dimension: int
    particles: int
    draw: Callable[..., Array]
    offset: tuple[float, ...]
    scale: tuple[float, ...]

    def __call__(self, seed: Any, run: Any) -> Float[Array, "d N"]:
        return self.part(seed, run, 0, self.particles)

    def part(self, seed: Any, run: Any, first: Any, count: int) -> Float[Array, "d {count}"]:
        """A slice of the points.

        Args:
            seed: of the noise.
            run: the number of the run.
            first: index of the first point.
            count: number of points.
        """
        z = self.draw(seed, run, _BEFORE, dimension=self.dimension, particles=count, first=first)
        offset, scale = (jnp.asarray(v, z.dtype)[:, None] for v in (self.offset, self.scale))
        return offset + scale * z


@checked
def gaussian_start(
    mean: Float[ArrayLike, " d"] | Sequence[float], sd: ArrayLike | Sequence[float], particles: int
) -> Start:
    """Points from a normal distribution with independent coordinates.

    Args:
        mean: shape (d,), in units of x.
        sd: the standard deviation, one for all coordinates or one per coordinate.
        particles: N, the number of points.

    Returns:
        A sampler of the points; it needs no stored key.

    Raises:
        OdescentError: no particles, a negative standard deviation, or numbers that are not finite.
    """
    check_whole("particles", particles, 1)
    center, width = _both(mean, sd, "mean", "standard deviation")
    if (width < 0).any():
        raise OdescentError(f"the standard deviation must be at least 0, not {sd}.")
    return Start(len(center), particles, normals, tuple(center.tolist()), tuple(width.tolist()))


@checked
def uniform_start(
    low: ArrayLike | Sequence[float], high: ArrayLike | Sequence[float], particles: int
) -> Start:
    """Points from the uniform distribution on a box.

    Args:
        low: lower bounds, one for all coordinates or one per coordinate.
        high: upper bounds, likewise.
        particles: N, the number of points.

    Returns:
        A sampler of the points; it needs no stored key.

    Raises:
        OdescentError: no particles, low > high in a coordinate, or numbers that are not finite.
    """
    check_whole("particles", particles, 1)
    low_, high_ = _both(low, high, "lower bound", "upper bound")
    if (low_ > high_).any():
        i = int(np.argmax(low_ > high_))
        raise OdescentError(
            f"the box has low = {low_[i]:g} > high = {high_[i]:g} in coordinate {i}."
        )
    return Start(
        len(low_), particles, uniforms, tuple(low_.tolist()), tuple((high_ - low_).tolist())
    )


def _both(a: Any, b: Any, one: str, other: str) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.broadcast_arrays(
        np.atleast_1d(np.asarray(a, np.float64)), np.asarray(b, np.float64)
    )
    for name, array in ((one, first), (other, second)):
        if array.ndim != 1 or not array.size or not np.isfinite(array).all():
            raise OdescentError(
                f"the {name} must be a finite number for each coordinate, not {short(a if name == one else b)}."
            )
    return first, second


@dataclass(frozen=True)
class Beginning:
    """Dimension, number of particles, a sampler or the points (runs, d, N), the feasible set, and typical widths."""

    dimension: int
    particles: int
    sampler: Start | None
    points: Float[np.ndarray, "runs d N"] | None
    project: Callable[[Any], Any] | None
    widths: Float[np.ndarray, " d"]

    @property
    def scale(self) -> float:
        """One width for all coordinates."""
        return float(np.sqrt(np.mean(self.widths**2)))


def beginnings(
    start: Any, bounds: Any, constraint: Any, width: Any, particles: int | None, runs: int
) -> Beginning:
    """The starting points of a minimization, validated; arguments as for `minimize`.

    Args:
        start: a box, a point, or the particles themselves.
        bounds: a box that the particles stay in, or None.
        constraint: a feasible set or a projection, or None.
        width: of the start around a point.
        particles: in each run; None for the default.
        runs: number of independent runs.

    Raises:
        OdescentError: arguments that contradict each other, or a start of an unsupported form.
    """
    if particles is not None:
        check_whole("particles", particles, 1)
    if constraint is not None and bounds is not None:
        raise OdescentError(
            "give bounds= or constraint=, not both: one map brings the particles back."
        )
    if constraint is not None and not callable(constraint):
        raise OdescentError(
            f"constraint must be a feasible set or a function of points, not {short(constraint)}."
        )
    room = None if bounds is None else _box(bounds, "bounds")
    where = _box(start, "start") if _is_box(start) else None
    if where is not None:
        if not np.isfinite([where.low, where.high]).all():
            raise OdescentError(
                "a box to start in has finite bounds; give infinite ones as bounds=."
            )
        n = _count(particles, len(where.low))
        sampler: Start | None = uniform_start(np.asarray(where.low), np.asarray(where.high), n)
        project = constraint or room or where
        widths = (np.asarray(where.high) - np.asarray(where.low)) / np.sqrt(12)
        return _checked(Beginning(len(where.low), n, sampler, None, project, widths))
    points = _points(start)
    if points.ndim == 1:
        n = _count(particles, len(points))
        sampler = gaussian_start(points, width, n)
        widths = np.broadcast_to(np.asarray(width, float), points.shape)
        return _checked(Beginning(len(points), n, sampler, None, constraint or room, widths))
    if points.ndim == 2:
        points = np.broadcast_to(points, (runs, *points.shape))
    if len(points) != runs or particles not in (None, points.shape[1]):
        raise OdescentError(
            f"the start has {points.shape[1]} particles in {len(points)} runs, but particles={particles} and "
            f"runs={runs}."
        )
    widths = points.std(axis=(0, 1))
    columns = np.ascontiguousarray(np.moveaxis(points, 1, 2))
    return _checked(
        Beginning(points.shape[2], points.shape[1], None, columns, constraint or room, widths)
    )


def _checked(b: Beginning) -> Beginning:
    if isinstance(b.project, Box) and len(b.project.low) not in (1, b.dimension):
        raise OdescentError(
            f"the bounds are of {len(b.project.low)} coordinates, but the start has {b.dimension}."
        )
    return b if b.scale > 0 else replace(b, widths=np.ones(b.dimension))


def _count(particles: int | None, d: int) -> int:
    return 50 + 10 * d if particles is None else int(particles)


def _is_box(start: Any) -> bool:
    """A list or tuple of pairs, or an object with bounds lb and ub such as SciPy's."""
    pairs = (
        isinstance(start, list | tuple)
        and start
        and all(isinstance(p, tuple) and len(p) == 2 for p in start)
    )
    return bool(pairs) or isinstance(start, Box) or (hasattr(start, "lb") and hasattr(start, "ub"))


def _box(given: Any, what: str) -> Box:
    if isinstance(given, Box):
        return given
    if hasattr(given, "lb") and hasattr(given, "ub"):
        return box(given.lb, given.ub)
    try:
        low, high = zip(*given, strict=True)
    except (TypeError, ValueError):
        raise OdescentError(
            f"{what} must be a list of (low, high) pairs, one for each coordinate, not {short(given)}."
        ) from None
    lowest: Any = [-np.inf if v is None else v for v in low]
    highest: Any = [np.inf if v is None else v for v in high]
    return box(lowest, highest)


def _points(start: Any) -> np.ndarray:
    points = reals(start)
    if points.ndim not in (1, 2, 3) or 0 in points.shape:
        raise OdescentError(
            "start must be a list of (low, high) pairs, a point of shape (d,), or particles of shape (N, d) or "
            f"(runs, N, d), not {type(start).__name__} of shape {np.shape(start) if points.size else '()'}."
        )
    if not np.isfinite(points).all():
        raise OdescentError("the start must be finite, but it contains NaN or infinity.")
    one_place = points.ndim == 2 and len(points) > 1 and (points == points[0]).all()
    if one_place and points.shape[1] == 2 and points[0, 0] < points[0, 1]:
        low, high = points[0].tolist()
        raise OdescentError(
            f"the start is {len(points)} particles at one place, ({low:g}, {high:g}); a box to start in is written "
            f"with round brackets, as in [({low:g}, {high:g})] * {len(points)}."
        )
    return points
