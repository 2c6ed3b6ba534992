"""Proved windows of starts from which a method reaches a cycle, and the exact ends of basins.

All starting points of an interval are followed at once. A piece of the interval is carried along as a segment of
states, exactly, and cut where its gradient points cross a knot. It is settled when the segment lies in an
ellipsoid around an attracting cycle that the method maps into itself; a piece that has become shorter than the
resolution before that is an edge between basins, or holds windows too narrow to be looked for.

On fixed pieces a run is an affine function of its start, so the start from which it arrives on the stable line
of a saddle solves one linear equation, with coefficients in the field of the saddle's multiplier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import sympy as sp

from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.scalars import as_scalar
from ...dynamics.problems.piecewise_quadratic import PiecewiseLinear
from ..certificates.methods.plant import Method
from .itineraries import (
    Branches,
    PiecewiseCycle,
    Row,
    Rows,
    branches,
    identity,
    piecewise_cycles,
    solve,
    step,
)

_MOST = 2_000_000  # words of 64 bits in the numbers of all steps, some 20 seconds


@dataclass(frozen=True)
class Window(Rendered):
    """Starting points that reach one attractor: all of [low, high], rational numbers.

    Attributes:
        low, high: ends; the true window is not longer than the resolution at either end.
        attractor: which one, by its place in `BasinWindows.attractors`.
    """

    low: Fraction
    high: Fraction
    attractor: int

    @property
    def width(self) -> float:
        return float(self.high - self.low)


@dataclass(frozen=True)
class BasinWindows(Rendered):
    """The basins along the starts from rest, x_{-1} = x_0, in an interval.

    Attributes:
        attractors: the attracting cycles, the minimizer among them as one of period 1.
        windows: from left to right, each proved.
        unsettled: what is between them: intervals (low, high), each shorter than the resolution.
            Between windows of different attractors it holds an edge; between windows of one attractor, what was
            not looked for.
    """

    attractors: tuple[PiecewiseCycle, ...]
    windows: tuple[Window, ...]
    unsettled: tuple[tuple[Fraction, Fraction], ...]

    @property
    def edges(self) -> tuple[float, ...]:
        """The places where one window ends and one of another attractor begins."""
        left_of = {w.low: w for w in self.windows}
        ends = {w.high: w for w in self.windows}
        between = [*self.unsettled, *((w.high, w.high) for w in self.windows)]
        found = {
            float((a + b) / 2)
            for a, b in between
            if a in ends and b in left_of and ends[a].attractor != left_of[b].attractor
        }
        return tuple(sorted(found))

    def reaching(self, attractor: int, wider: float = 0.0) -> tuple[Window, ...]:
        """The windows of one attractor that are wider than so much."""
        return tuple(w for w in self.windows if w.attractor == attractor and w.width > wider)


@dataclass(frozen=True, eq=False)
class _Trap:
    """Ellipsoids (s - center)' shape (s - center) <= 1, by turns, each mapped into the next with room to spare."""

    attractor: int
    center: Row
    shape: Rows
    rough: np.ndarray
    at: np.ndarray

    def may_hold(self, state: np.ndarray) -> bool:
        """Whether the state, in floats, is not clearly outside."""
        away = state - self.at
        return bool(away @ self.rough @ away <= 1.01)

    def holds(self, state: Row) -> bool:
        """Whether the state is inside, exactly."""
        away = state - self.center
        return bool(away @ self.shape @ away <= 1)


def basin_windows(
    algorithm: Method | str,
    gradient: PiecewiseLinear,
    interval: Sequence[object] = (-6, 6),
    resolution: object = Fraction(1, 10**12),
    periods: int = 3,
) -> BasinWindows:
    """All basin windows wider than a resolution, for starts from rest in an interval.

    Args:
        algorithm: as for `piecewise_cycles`.
        gradient: of the function.
        interval: (low, high), rational numbers; their number may grow with it.
        resolution: windows at least so wide are found, and edges to that accuracy.
        periods: attracting cycles up to this period are known; a start that tends to none of them is refused.

    Raises:
        OdescentError: input outside its domain, or starts that do not come near a known attractor. (A minimizer or
            cycle on a knot is not known to attract: the method has no one linear map there.)
    """
    try:
        low, high, fine = (as_scalar(v) for v in (*interval, resolution))
        ends = [Fraction(int(v.p), int(v.q)) for v in (low, high, fine)]
    except (AttributeError, TypeError, ValueError):
        ends = [Fraction(0)] * 3
    if not (ends[0] < ends[1] and ends[2] > 0):
        raise OdescentError(
            f"a window needs an interval (low, high) and a resolution > 0 in rational numbers, not "
            f"{short(interval)} and {short(resolution)}."
        )
    parts = branches(algorithm, gradient)
    attractors = tuple(c for c in piecewise_cycles(algorithm, gradient, periods) if c.stable)
    if not attractors:
        raise OdescentError(
            f"the method has no attracting cycle of period at most {periods} on this function, and does not converge "
            "to the minimizer there, so there are no basins to compute."
        )
    traps = [t for i, c in enumerate(attractors) for t in _traps(parts, c, i)]
    settled: list[tuple[Fraction, Fraction, int]] = []
    unsettled: list[tuple[Fraction, Fraction]] = []
    waiting, fine = [(ends[0], ends[1])], ends[2]
    while waiting:  # neighbours that are left over may together be longer than the resolution
        left: list[tuple[Fraction, Fraction]] = []
        for start in waiting:
            done, rest = _followed(parts, traps, start, fine)
            settled += done
            left += rest
        clusters = _joined(left)
        unsettled += [c for c in clusters if c[1] - c[0] < ends[2]]
        waiting, fine = [c for c in clusters if c[1] - c[0] >= ends[2]], fine / 8
    windows: list[Window] = []
    for a, b, attractor in sorted(settled):
        if windows and windows[-1].high == a and windows[-1].attractor == attractor:
            windows[-1] = Window(windows[-1].low, b, attractor)
        else:
            windows.append(Window(a, b, attractor))
    unsettled = _joined(unsettled)
    return BasinWindows(attractors, tuple(windows), tuple(unsettled))


def _joined(intervals: list[tuple[Fraction, Fraction]]) -> list[tuple[Fraction, Fraction]]:
    """Intervals from left to right, those that touch made one."""
    found: list[tuple[Fraction, Fraction]] = []
    for a, b in sorted(intervals):
        if found and found[-1][1] == a:
            found[-1] = (found[-1][0], b)
        else:
            found.append((a, b))
    return found


def _followed(
    parts: Branches, traps: list[_Trap], interval: tuple[Fraction, Fraction], fine: Fraction
) -> tuple[list[tuple[Fraction, Fraction, int]], list[tuple[Fraction, Fraction]]]:
    """Settled pieces with their attractors, and what is shorter than the resolution."""
    settled: list[tuple[Fraction, Fraction, int]] = []
    left: list[tuple[Fraction, Fraction]] = []
    a, b = interval
    waiting = [(a, b, a * parts.rest, b * parts.rest, 0)]
    knots = parts.gradient.knots
    work = 0
    while waiting:
        a, b, first, last, k = waiting.pop()
        while True:
            rough = [s.astype(float) for s in (first, last)]
            near = [t for t in traps if all(map(t.may_hold, rough))]
            trap = next((t for t in near if t.holds(first) and t.holds(last)), None)
            if trap is not None:
                settled.append((a, b, trap.attractor))
                break
            if b - a < fine:
                left.append((a, b))
                break
            work += sum(1 + e.denominator.bit_length() // 64 for e in (*first, *last))
            if work > _MOST:
                raise OdescentError(
                    f"starts between {float(a):.9g} and {float(b):.9g} are not settled after {k} steps, and the "
                    "computation would take too long: raise periods= if they tend to another cycle, or take a shorter "
                    "interval or a coarser resolution."
                )
            y, w = parts.point @ first, parts.point @ last
            cut = next((c for c in knots if min(y, w) < c < max(y, w)), None)
            if cut is not None:
                share = (cut - y) / (w - y)
                at = a + share * (b - a)
                state = first + share * (last - first)
                waiting.append((at, b, state, last, k))
                b, last = at, state
                continue
            piece = parts.gradient.at((y + w) / 2)
            first, last, k = step(parts, piece, first), step(parts, piece, last), k + 1
    return settled, left


def _traps(parts: Branches, cycle: PiecewiseCycle, attractor: int) -> list[_Trap]:
    """The largest ellipsoids of a periodic Lyapunov function in which the method stays on the cycle's pieces."""
    maps = [parts.maps[j] for j in cycle.itinerary]
    n = len(parts.point)
    start = _lyapunov(maps, n)
    shapes = [start]
    for m in reversed(maps[1:]):
        shapes.insert(1, _pulled(m, shapes[1] if len(shapes) > 1 else start))
    size: Fraction | None = None
    for state, shape, j in zip(cycle.states, shapes, cycle.itinerary, strict=True):
        piece, y = parts.gradient.pieces[j], parts.point @ np.array(state)
        solved = solve(shape, parts.point)
        assert solved is not None  # a Lyapunov function is definite
        reach = parts.point @ solved  # largest (C s)^2 with s' shape s = 1
        for end in (piece.low, piece.high):
            if end is not None:
                most = (end - y) ** 2 / reach
                size = most if size is None else min(size, most)
    scale = (
        Fraction(1, 10**12) if size is None else 1 / size
    )  # a single piece: everything converges
    found = []
    for state, shape in zip(cycle.states, shapes, strict=True):
        center, scaled = np.array(state), shape * scale
        rough = scaled.astype(float)
        found.append(_Trap(attractor, center, scaled, rough, center.astype(float)))
    return found


def _pulled(m: Rows, shape: Rows) -> Rows:
    """I + m' shape m."""
    back: Rows = identity(len(m)) + m.T @ shape @ m
    return back


def _lyapunov(maps: list[Rows], n: int) -> Rows:
    """The symmetric solution of P = I + m_0' (I + m_1' ( ... P ... ) m_1) m_0, from a linear system."""

    def around(shape: Rows) -> Rows:
        for m in reversed(maps):
            shape = _pulled(m, shape)
        return shape

    places = np.triu_indices(n)
    constant = around(0 * identity(n))
    columns = []
    for i, j in zip(*places, strict=True):
        unit = 0 * identity(n)
        unit[i, j] = unit[j, i] = Fraction(1)
        columns.append((unit - (around(unit) - constant))[places])
    found = solve(np.array(columns).T, constant[places])
    assert found is not None  # the cycle attracts
    shape = 0 * identity(n)
    shape[places] = shape.T[places] = found
    return shape


_STEPS = 200
_NEAR = 0.5  # of the saddle, in state space, before the equation is tried
_DIGITS = 60


def exact_edges(
    algorithm: Method | str, gradient: PiecewiseLinear, windows: BasinWindows, periods: int = 3
) -> tuple[tuple[sp.Expr, PiecewiseCycle] | None, ...]:
    """The edges between basins as algebraic numbers, each with the saddle to which its run converges.

    An edge is proved: its run reaches the stable line of the saddle so near that it stays on the saddle's pieces.

    Args:
        algorithm, gradient: as for `basin_windows`, with two states.
        windows: what that found; one edge is looked for between neighbours of different attractors.
        periods: saddles up to this period are known.

    Returns:
        For each such pair of neighbours, from left to right: (edge, saddle), or None if the run from there comes to
        no known saddle.

    Raises:
        OdescentError: input outside its domain.
    """
    parts = branches(algorithm, gradient)
    if len(parts.point) != 2:
        raise OdescentError(f"exact edges need a method with two states, not {len(parts.point)}.")
    saddles = [c for c in piecewise_cycles(algorithm, gradient, periods) if c.inside and c.saddle]
    pairs = zip(windows.windows, windows.windows[1:], strict=False)
    return tuple(
        next(_candidates(parts, saddles, left.high, right.low), None)
        for left, right in pairs
        if left.attractor != right.attractor
    )


def _candidates(
    parts: Branches, saddles: list[PiecewiseCycle], a: Fraction, b: Fraction
) -> Iterator[tuple[sp.Expr, PiecewiseCycle]]:
    """Starts in [a, b] that arrive on a stable line, as long as all of [a, b] is on the same pieces."""
    first, last = a * parts.rest, b * parts.rest
    for _ in range(_STEPS):
        for saddle in saddles:
            for turn, center in enumerate(saddle.states):
                if np.abs((first - center).astype(float)).max() < _NEAR:
                    found = _solved(parts, saddle, turn, (a, first), (b, last))
                    if found is not None:
                        yield found, saddle
        piece = parts.gradient.at(parts.point @ first)
        if not parts.gradient.pieces[piece].holds(parts.point @ last):
            return
        first, last = step(parts, piece, first), step(parts, piece, last)


def _solved(
    parts: Branches, saddle: PiecewiseCycle, turn: int, low: tuple[Fraction, Row], high: tuple[Fraction, Row],
) -> sp.Expr | None:  # fmt: skip
    """The start between two, of which the states are given, whose state lies on the stable line near the saddle."""
    order = saddle.itinerary[turn:] + saddle.itinerary[:turn]
    around = identity(2)
    for j in order:
        around = parts.maps[j] @ around
    (p, q), (r, s) = _scalars(around)
    slow = saddle.multiplier
    # the left eigenvector of the growing multiplier vanishes on the stable line
    line = np.array((r, slow - p) if r else (slow - s, q))
    (a, first), (b, last) = low, high
    from_a, from_b = (_scalars(state - saddle.states[turn]) for state in (first, last))
    at_a, at_b = line @ from_a, line @ from_b
    if a == b or sp.N(at_a * at_b, _DIGITS) > 0:
        return None
    share = sp.radsimp(at_a / (at_a - at_b))
    deviation = np.array([sp.N(e, _DIGITS) for e in from_a + share * (from_b - from_a)])
    point = _scalars(parts.point)
    for j, state in zip(order, saddle.states[turn:] + saddle.states[:turn], strict=True):
        moved = abs(point @ deviation)
        y, piece = as_scalar(parts.point @ np.array(state)), parts.gradient.pieces[j]
        ends = [as_scalar(e) for e in (piece.low, piece.high) if e is not None]
        if any(abs(e - y) <= moved for e in ends):  # later turns deviate less, to either side
            return None
        deviation = _scalars(parts.maps[j]) @ deviation
    return sp.expand(as_scalar(a) + share * as_scalar(b - a))


_scalars: Callable[[Rows], Rows] = np.vectorize(as_scalar, otypes=[object])
