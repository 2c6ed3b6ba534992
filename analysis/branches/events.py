"""Where special points lie between the points of a branch: by signs that change and eigenvalues that cross."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Complex, Float

from .critical import BRANCH, FLIP, FOLD, HOPF, TORUS
from .curve import CurvePoint, Vector, Zero, between, determinant_sign

NEUTRAL = 1e-8  # of growth rates, and of moduli of multipliers around 1
MULTIPLE = "multiple"
CROSSING = {BRANCH: 1, FOLD: 1, FLIP: 1, HOPF: 2, TORUS: 2}  # eigenvalues that cross at once
_AROUND = 3e-3  # of a step: how far from a singular point the branch is known to rounding


@dataclass(frozen=True)
class Signs:
    """What changes sign at special points: the parameter's part of the tangent, a determinant, stable directions."""

    turn: bool
    determinant: bool
    unstable: int


def eigenvalues(slope: np.ndarray, flow: bool) -> Complex[np.ndarray, " n"]:
    """Growth rates of an equilibrium, or multipliers, of G_u."""
    found: Complex[np.ndarray, " n"] = np.linalg.eigvals(slope).astype(complex)
    return found if flow else found + 1


def unstable(values: Complex[np.ndarray, "*n d"], flow: bool) -> Any:
    """How many are unstable."""
    return ((values.real if flow else np.abs(values) - 1) > NEUTRAL).sum(-1)


def signs_of(
    here: CurvePoint, weights: Vector, values: Complex[np.ndarray, " n"], flow: bool
) -> Signs:
    """The signs at a point of a branch, where these are the eigenvalues."""
    sign = determinant_sign(here.slope, weights**2 * here.tangent)
    return Signs(bool(here.tangent[-1] > 0), sign, int(unstable(values, flow)))


def growth(values: Complex[np.ndarray, " n"], flow: bool) -> Float[np.ndarray, " n"]:
    """Growth rates of deviations, 0 where they are neutral: of eigenvalues, or of multipliers per step."""
    rates: Float[np.ndarray, " n"] = (
        values.real if flow else np.log(np.maximum(np.abs(values), 1e-300))
    )
    return rates


def critical_of(values: Complex[np.ndarray, " n"], flow: bool, count: int = 1) -> complex:
    """The eigenvalue next to neutral; of several that are next to it the one that turns fastest."""
    nearest = values[np.argsort(np.abs(growth(values, flow)), kind="stable")[:count]]
    return complex(nearest[int(np.argmax(np.abs(nearest.imag)))])


def on_edge(value: complex, flow: bool) -> complex:
    """The neutral eigenvalue next to one, real where it nearly is."""
    value = complex(0.0, value.imag) if flow else value / abs(value)
    if abs(value.imag) > 1e-9:
        return value
    return complex(0.0 if flow else np.sign(value.real))


def kind_at(
    values: Complex[np.ndarray, " n"], flow: bool, before: Signs, after: Signs
) -> str | None:
    """The kind of point between two places of a branch; None where a sign of another point is only late.

    Args:
        values: the eigenvalues there.
        flow: whether they are growth rates.
        before, after: the signs at both.
    """
    count = abs(after.unstable - before.unstable)
    if before.determinant != after.determinant:
        kind = BRANCH
    elif before.turn != after.turn:
        kind = FOLD
    else:
        critical = critical_of(values, flow)
        size = float(np.abs(values).max()) if flow else 1.0
        if abs(critical.imag) > 1e-6 * size:
            kind = HOPF if flow else TORUS
        elif not flow and critical.real < 0:
            kind = FLIP
        else:  # one real eigenvalue is that of a fold or branch point, seen by its own sign
            return MULTIPLE if count > 1 else None
    return MULTIPLE if count > CROSSING[kind] else kind


@dataclass(frozen=True)
class Event:
    """Where signs change between two neighbours of a branch.

    Attributes:
        low, high: parts of their chord.
        here: a point between.
        kind: of the special point.
        count: how many eigenvalues cross.
    """

    low: float
    high: float
    here: CurvePoint
    kind: str
    count: int


def isolated(
    zero: Zero, a: CurvePoint, b: CurvePoint, signs: Callable[[CurvePoint], Signs],
    values: Callable[[CurvePoint], np.ndarray], flow: bool, widths: tuple[float, float],
) -> Iterator[Event]:  # fmt: skip
    """The places between two neighbours at which signs change, by bisection of their chord.

    Args:
        zero: the equations of the branch.
        a, b: the neighbours.
        signs: at a point.
        values: eigenvalues at a point.
        flow: whether they are growth rates.
        widths: parts of the chord: to which a place is isolated, and within which several eigenvalues cross at once.
    """
    places = [((0.0, signs(a)), (1.0, signs(b)))]
    while places:
        low, high = places.pop()
        width = high[0] - low[0]
        if low[1] == high[1]:
            continue
        tried = ((low[0] + high[0]) / 2 + shift * width for shift in (0.0, 0.1, -0.2))
        middle, here = next(
            ((m, p) for m in tried if (p := between(zero, a, b, m)) is not None), (None, None)
        )
        if width <= widths[0]:
            if here is None:  # on a singular point
                part = (low[0] + high[0]) / 2
                y = (1 - part) * a.y + part * b.y
                here = CurvePoint(y, a.tangent, zero.evaluate(y)[1])
            kind = kind_at(values(here), flow, low[1], high[1])
            if kind != MULTIPLE or width <= widths[1] or middle is None:
                if kind is not None:
                    count = abs(high[1].unstable - low[1].unstable)
                    yield Event(low[0], high[0], here, kind, count)
                continue
        if middle is not None and here is not None:
            seen = signs(here)
            places += [((middle, seen), high), (low, (middle, seen))]


def meeting(
    zero: Zero, a: CurvePoint, b: CurvePoint, event: Event, rates: Callable[[CurvePoint], np.ndarray]
) -> CurvePoint | None:  # fmt: skip
    """The point between two neighbours at which several eigenvalues become critical.

    All equations are singular there. The mean of these growth rates is smooth along the branch, so that its zero is
    interpolated from points on both sides.

    Args:
        zero: the equations of the branch.
        a, b: the neighbours.
        event: where they nearly do.
        rates: all growth rates at a point.
    """
    part, count = (event.low + event.high) / 2, event.count
    at, rows, means = [], [], []
    for k in (-5.0, -3.0, -1.0, 1.0, 3.0, 5.0):
        here = between(zero, a, b, part + k * _AROUND)
        if here is not None:
            own = rates(here)
            at.append(k)
            rows.append(here.y)
            means.append(float(own[np.argsort(np.abs(own))[:count]].mean()))
    if len(at) < 2 or not min(means) < 0 < max(means):
        return None
    powers = np.vander(at)
    roots = np.roots(np.linalg.solve(powers, means))
    root = min(roots.real[np.abs(roots.imag) <= 1e-6], key=abs, default=np.inf)
    if not abs(root) < 5:
        return None
    y = root ** np.arange(len(at))[::-1] @ np.linalg.solve(powers, np.stack(rows))
    return CurvePoint(y, a.tangent, zero.evaluate(y)[1])


__all__ = [
    "CROSSING",
    "MULTIPLE",
    "NEUTRAL",
    "Event",
    "Signs",
    "critical_of",
    "eigenvalues",
    "growth",
    "isolated",
    "meeting",
    "on_edge",
    "signs_of",
    "unstable",
]
