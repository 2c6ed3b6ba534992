"""Exact ends of basins: intersections of the starts from rest with the stable manifold of a saddle cycle.

On fixed pieces a run is an affine function of its start, so the start from which it arrives on the stable line
of a saddle solves one linear equation, with coefficients in the field of the saddle's multiplier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import sympy as sp

from ..._support.errors import OdescentError
from ...dynamics.algebra.exact import as_scalar
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
    step,
)
from .windows import BasinWindows

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
