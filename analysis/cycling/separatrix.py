"""The ends of basins exactly: where the starts from rest meet the stable manifold of a saddle cycle.

On fixed pieces a run is an affine function of its start, so the start from which it arrives on the stable line
of a saddle solves one linear equation, with coefficients in the field of the saddle's multiplier.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import sympy as sp

from odescent._errors import OdescentError
from odescent.analysis.certificates.plant import Method
from odescent.dynamics.exact import as_scalar
from odescent.dynamics.problems.piecewise_quadratic import PiecewiseLinear

from .itineraries import Branches, PiecewiseCycle, Row, branches, dot, piecewise_cycles, step
from .windows import BasinWindows

_STEPS = 200
_NEAR = 0.5  # of the saddle, in state space, before the equation is tried
_DIGITS = 60


def exact_edges(
    algorithm: Method | str, gradient: PiecewiseLinear, windows: BasinWindows, periods: int = 3
) -> tuple[tuple[sp.Expr, PiecewiseCycle] | None, ...]:
    """The edges between basins as algebraic numbers, each with the saddle that its run tends to.

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
    first, last = ([end * r for r in parts.rest] for end in (a, b))
    for _ in range(_STEPS):
        for saddle in saddles:
            for turn, center in enumerate(saddle.states):
                away = max(abs(float(s - c)) for s, c in zip(first, center, strict=True))
                if away < _NEAR:
                    found = _solved(parts, saddle, turn, (a, first), (b, last))
                    if found is not None:
                        yield found, saddle
        piece = parts.gradient.at(dot(parts.point, first))
        if not parts.gradient.pieces[piece].holds(dot(parts.point, last)):
            return
        first, last = step(parts, piece, first), step(parts, piece, last)


def _solved(
    parts: Branches, saddle: PiecewiseCycle, turn: int, low: tuple[Fraction, Row], high: tuple[Fraction, Row],
) -> sp.Expr | None:  # fmt: skip
    """The start between two, of which the states are given, whose state lies on the stable line near the saddle."""
    order = saddle.itinerary[turn:] + saddle.itinerary[:turn]
    (p, q), (r, s) = _around(parts, order)
    slow = saddle.multiplier
    line = (as_scalar(r), slow - as_scalar(p)) if r else (slow - as_scalar(s), as_scalar(q))
    # the left eigenvector of the growing multiplier vanishes on the stable line
    center = saddle.states[turn]
    (a, first), (b, last) = low, high
    at_a, at_b = (
        sum(w * as_scalar(x - c) for w, x, c in zip(line, state, center, strict=True))
        for state in (first, last)
    )
    if a == b or sp.N(at_a * at_b, _DIGITS) > 0:
        return None
    share = sp.radsimp(at_a / (at_a - at_b))
    deviation = [
        sp.N(as_scalar(x - c) + share * as_scalar(y - x), _DIGITS)
        for x, y, c in zip(first, last, center, strict=True)
    ]
    for j, state in zip(order, saddle.states[turn:] + saddle.states[:turn], strict=True):
        moved = abs(sum(as_scalar(w) * d for w, d in zip(parts.point, deviation, strict=True)))
        y, piece = as_scalar(dot(parts.point, list(state))), parts.gradient.pieces[j]
        ends = [as_scalar(e) for e in (piece.low, piece.high) if e is not None]
        if any(abs(e - y) <= moved for e in ends):  # later turns deviate less, to either side
            return None
        deviation = [
            sum(as_scalar(w) * d for w, d in zip(row, deviation, strict=True))
            for row in parts.maps[j]
        ]
    return sp.expand(as_scalar(a) + share * as_scalar(b - a))


def _around(parts: Branches, order: tuple[int, ...]) -> list[list[Fraction]]:
    columns = []
    for unit in ([Fraction(1), Fraction(0)], [Fraction(0), Fraction(1)]):
        for j in order:
            unit = [dot(row, unit) for row in parts.maps[j]]
        columns.append(unit)
    return [list(row) for row in zip(*columns, strict=True)]
