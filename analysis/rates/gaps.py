"""Convergence of iterations: gaps against iterations, measured contraction, pictures.

A *gap* is any nonnegative measure of error per iteration: f(x_k) - f*, |x_k - x*|, a gradient norm.
Convention: every rate here is the factor by which *the given gap* shrinks in one step. Where the
gap is quadratic in the distance (f - f*), the rate of the distance is its square root, `root`: a
certified rate rho with |x_k - x*| = O(rho^k) is to be compared with `root` of f - f*, or with
`ratio` of |x - x*|, and its theory line for f - f* is rho squared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from ..._support.errors import OdescentError, unknown
from ..._support.rendering.drawable import drawn
from ..._support.rendering.rendered import Rendered
from ...discretize.runs.trajectory import Trajectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MIN_POINTS = 5  # fewer give no slope
_MAX_POINTS = 500  # the slope's cost is quadratic: longer stretches are thinned evenly
_NONE: Mapping[str, float] = MappingProxyType({})
_ITERATION = r"iteration $k$"


@dataclass(frozen=True)
class Contraction(Rendered):
    """The measured factor per step of one gap, from a straight line through its logarithm.

    Attributes:
        ratio: gap_(k+1) / gap_k, per step of the iteration count; above 1 it grows.
        low, high: confidence interval of `ratio` at the requested level.
        first, last: iterations of the stretch used.
    """

    ratio: float
    low: float
    high: float
    first: float
    last: float

    @property
    def root(self) -> float:
        """Square root of `ratio`: the rate of the distance where the gap is quadratic in it."""
        return float(self.ratio**0.5)


@dataclass(frozen=True)
class Series(Rendered):
    """One gap over the iterations.

    Attributes:
        iterations: shape (n,), increasing.
        gap: shape (n,), as given: may hold values <= 0 (below rounding), infinities and NaN.
        diverged_at: the first iteration whose gap is infinite or NaN, or from which on the gap
            stays above ten times its start; None otherwise.
    """

    iterations: Float[np.ndarray, " n"]
    gap: Float[np.ndarray, " n"]
    diverged_at: float | None

    def shown(self, floor: float = 0.0) -> Bool[np.ndarray, " n"]:
        """Which entries a logarithmic axis can show: before any NaN, above `floor`, finite."""
        finite = np.logical_and.accumulate(np.isfinite(self.gap))
        return finite & (self.gap > max(floor, 0.0))


@dataclass(frozen=True)
class Convergence(Rendered):
    """Named gaps with theoretical rates and axis labels.

    Attributes:
        series: name to `Series`.
        theory: name to a rate per step of the gap, drawn as a straight line. A line with the name
            of a series starts where that series starts; others start at the largest start.
        labels: names of the axes.
        floor: gaps at or below are not drawn (0: only what is not positive).
    """

    series: Mapping[str, Series]
    theory: Mapping[str, float]
    labels: tuple[str, str]
    floor: float = 0.0

    def __str__(self) -> str:
        rows = [f"gaps of {len(self.series)} series over {self.labels[0]}"]
        for name, s in self.series.items():
            end = "" if s.diverged_at is None else f", diverges at {s.diverged_at:g}"
            rows.append(f"  {name}: {s.gap[0]:.3g} to {s.gap[-1]:.3g} in {s.iterations[-1]:g}{end}")
        rows += [f"  {name}: factor {factor:.6g} per step" for name, factor in self.theory.items()]
        return "\n".join(rows)

    def iterations_to(self, tolerance: float) -> dict[str, float | None]:
        """The first iteration at which each gap is at most `tolerance`; None if it never is.

        A gap below rounding (zero or negative) counts as reached. What follows a NaN or an infinity
        does not count.

        Raises:
            ValueError: if the tolerance is not positive and finite.
        """
        if not 0 < tolerance < np.inf:
            raise OdescentError(f"a tolerance must be positive and finite, not {tolerance}.")
        result: dict[str, float | None] = {}
        for name, s in self.series.items():
            hit = np.logical_and.accumulate(np.isfinite(s.gap)) & (s.gap <= tolerance)
            result[name] = float(s.iterations[int(np.argmax(hit))]) if hit.any() else None
        return result

    def contraction(self, confidence: float = 0.95) -> dict[str, Contraction | None]:
        """The measured factor per step of each gap; None where too few points are usable.

        The Theil-Sen slope (median of pairwise slopes; Sen 1968) of log gap over the second half of
        the usable stretch. That ends where the gap falls under `floor`, or reaches a noise floor:
        ten times the largest negative value, or a tail that holds zeros, or one that is flat and a
        hundred times below the start. Oscillation does not end it: what counts is the largest gap
        still to come. The interval is Sen's, widened by the correlation of neighbouring residuals.

        Raises:
            ValueError: if `confidence` is not strictly between 0 and 1.
        """
        if not 0 < confidence < 1:
            raise OdescentError(
                f"a confidence must lie strictly between 0 and 1, not {confidence}."
            )
        return {name: _contraction(s, self.floor, confidence) for name, s in self.series.items()}

    def plot(self, ax: Axes | None = None, legend: bool = True) -> Axes:
        """Draw gaps and theory on a logarithmic axis.

        A series that diverged ends with a cross at its last finite point that is at most 10^4 times
        above every start and every convergent series; the data holds the rest.

        Args:
            ax: where to draw; a new figure of one column's width where not given.
            legend: whether to put a legend under the axes.
        """
        return drawn(self, ax, legend)


def compute_convergence(
    gaps: Mapping[str, ArrayLike | tuple[ArrayLike, ArrayLike] | Trajectory],
    theory: Mapping[str, float] = _NONE,
    labels: tuple[str, str] = (_ITERATION, r"$f(x_k) - f^\star$"),
    floor: float = 0.0,
    per: str | Mapping[str, float] | None = None,
) -> Convergence:
    """Collect gaps for a comparison, at equal iterations or at equal cost.

    Args:
        gaps: name to gaps of shape (n,) from iteration 0 on, to a tuple (iterations, gaps), or to a run, whose values
            of the objective are the gaps where its minimum is zero.
        theory: name to a theoretical factor per step *of the gap* (see the module's convention).
        labels: names of the axes, mathtext.
        floor: gaps at or below it count as rounding.
        per: what stands in the place of iterations: a name of the counts of all runs, such as "gradients" or
            "examples"; or by name of a series, what an iteration of it costs, such as the numbers that it sends.

    Raises:
        OdescentError: for no series, shapes that differ, iterations that do not increase, a rate that is not positive,
            a floor that is not finite, a count that a run does not have, or costs that are not positive.
    """
    if not gaps:
        raise OdescentError("a comparison of convergence needs at least one series of gaps.")
    if not np.isfinite(floor):
        raise OdescentError(f"the floor of the gaps must be a finite number, not {floor}.")
    for name, rate in theory.items():
        if not 0 < rate < np.inf:
            raise OdescentError(
                f"a theoretical rate must be positive and finite; {name!r} has {rate}."
            )
    if per is not None and theory:
        raise OdescentError(
            "a theoretical factor is one per step: leave theory= out where per= is given."
        )
    if per is not None and labels[0] == _ITERATION:
        labels = (per if isinstance(per, str) else "cost", labels[1])
    series = {n: _series(n, g if per is None else _priced(n, g, per)) for n, g in gaps.items()}
    return Convergence(series, dict(theory), labels, floor)


def _priced(
    name: str, given: Any, per: str | Mapping[str, float]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """The cost at each record, with its gap: the last of records at one cost, such as those of rejected steps."""
    if isinstance(per, str) and not isinstance(given, Trajectory):
        raise OdescentError(
            f"per={per!r} needs runs, which have counts, but {name!r} has only numbers: give per= as a cost for "
            "each name instead."
        )
    plain = _series(name, given)
    if isinstance(per, str):
        if per not in given.counts:
            raise unknown(f"count of the run {name!r} called", per, given.counts)
        cost = np.asarray(given.counts[per], float)
    elif name in per and 0 < per[name] < np.inf:
        cost = plain.iterations * per[name]
    else:
        raise OdescentError(
            f"per= needs a positive cost of an iteration of {name!r}, not {per.get(name, 'none')}."
        )
    last = np.append(np.diff(cost) > 0, True)
    return cost[last], plain.gap[last]


def _series(name: str, given: ArrayLike | tuple[ArrayLike, ArrayLike] | Trajectory) -> Series:
    if isinstance(given, Trajectory):
        if given.f is None:
            raise OdescentError(f"the run {name!r} has no values of an objective, and so no gaps.")
        given = (given.k, given.f)
    if isinstance(given, tuple) and len(given) == 2 and np.ndim(given[0]) == 1:
        k, gap = (np.array(part, dtype=np.float64) for part in given)
    else:
        gap = np.array(given, dtype=np.float64)
        k = np.arange(gap.size, dtype=np.float64)
    if gap.ndim != 1 or gap.size == 0 or k.shape != gap.shape:
        raise OdescentError(
            f"gaps must have shape (n,) with n > 0, like their iterations; {name!r} has gaps of shape "
            f"{gap.shape} and iterations of shape {k.shape}."
        )
    if not (np.isfinite(k).all() and (np.diff(k) > 0).all()):
        raise OdescentError(f"the iterations of {name!r} must be finite and increase strictly.")
    broken = np.flatnonzero(~np.isfinite(gap))
    if broken.size:
        return Series(k, gap, float(k[broken[0]]))
    calm = np.flatnonzero(gap <= 10 * abs(gap[0]))
    if calm.size and calm[-1] + 1 < gap.size:
        return Series(k, gap, float(k[calm[-1] + 1]))
    return Series(k, gap, None)


def _contraction(s: Series, floor: float, confidence: float) -> Contraction | None:
    from scipy.stats import theilslopes

    ok = s.shown(floor)
    usable = np.flatnonzero(ok)
    if not usable.size:
        return None
    end = _end(s.gap[: int(np.logical_and.accumulate(np.isfinite(s.gap)).sum())], floor)
    usable = usable[usable < end]
    if usable.size >= 2 * _MIN_POINTS:
        usable = usable[usable.size // 2 :]
    if usable.size < _MIN_POINTS:
        return None
    if usable.size > _MAX_POINTS:
        usable = usable[np.linspace(0, usable.size - 1, _MAX_POINTS).astype(int)]
    k, log = s.iterations[usable], np.log(s.gap[usable])
    slope, intercept, low, high = (float(v) for v in theilslopes(log, k, alpha=confidence))
    residual = log - intercept - slope * k
    spread = float(residual @ residual)
    neighbours = float(residual[1:] @ residual[:-1]) / spread if spread > 0 else 0.0
    correlation = min(max(neighbours, 0.0), 0.99)
    widen = ((1 + correlation) / (1 - correlation)) ** 0.5
    low, high = slope - widen * (slope - low), slope + widen * (high - slope)
    ratio, below, above = (float(v) for v in np.exp([slope, low, high]))
    return Contraction(ratio, below, above, float(k[0]), float(k[-1]))


def _end(gap: Float[np.ndarray, " n"], floor: float) -> int:
    """How many leading entries lie above the floor given or found (see `contraction`)."""
    level = max(floor, 0.0)
    level = max(level, 10 * float(-gap.min(initial=0.0)))  # negative gaps show the rounding's size
    tail = np.abs(gap[-max(len(gap) // 5, _MIN_POINTS) :])
    if (tail == 0).any():
        level = max(level, 10 * float(tail.max()))
    elif len(gap) >= 4 * _MIN_POINTS and np.median(tail) < 0.01 * gap[0]:
        early, late = np.array_split(np.log(tail), 2)
        scatter = float(np.std(early) + np.std(late)) / len(early) ** 0.5
        if np.median(early) - np.median(late) <= max(2 * scatter, 1e-9):
            level = max(level, 10 * float(tail.max()))
    envelope = np.maximum.accumulate(np.abs(gap[::-1]))[::-1]  # the largest gap still to come
    return int((envelope > level).sum())
