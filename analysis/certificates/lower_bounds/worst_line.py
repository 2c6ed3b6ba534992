"""Explicit functions of one variable that bound finitely many steps from below, run in exact arithmetic.

f'(x) = L x for |x| <= w and mu x + (L - mu) w beyond, with its mirror image for x < 0: Huber's function for mu = 0,
the quadratics at w = 0 and w = infinity. The method starts at 1; of all widths the worst is sought in floats and
the run repeated exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

from ...._support.rendering.rendered import Rendered
from ..checking.checker import ONE, ZERO, Number, inner
from ..checking.document import text
from ..checking.field import below, expression, reciprocal
from ..methods.plant import to_floats
from ..methods.unroll import Unrolled

_SIMPLE = 10**5  # the largest denominator of a width that is tried for a fraction


@dataclass(frozen=True)
class Kink(Rendered):
    """The function of width w, and the run of the method on it from the start 1 with the minimizer 0.

    ``value`` is the ratio of measure and start there, ``low`` a fraction that is no larger.
    """

    width: Fraction
    value: Number
    low: Fraction

    @property
    def exact(self) -> sp.Expr | None:
        """The ratio, where the method's numbers are exact."""
        return None if self.value.e else expression(self.value)

    def __str__(self) -> str:
        return f"f' = L x up to |x| = {self.width}, slope mu beyond, from x0 = 1"


def slope(x: Number, width: Number, mu: Number, L: Number) -> Number:
    """f'(x).

    Args:
        x: the point.
        width: where the function bends, on both sides of 0.
        mu, L: its curvatures outside of that and inside.
    """
    bend: Number = (L - mu) * width
    if (x - width).sign() > 0:
        return mu * x + bend
    if (x + width).sign() < 0:
        return mu * x + -bend
    return L * x


def height(x: Number, width: Number, mu: Number, L: Number) -> Number:
    """f(x).

    Args:
        x, width, mu, L: as for `slope`.
    """
    half = Number(Fraction(1, 2))
    size = x if x.sign() >= 0 else -x
    if (size - width).sign() <= 0:
        return half * L * x * x
    beyond: Number = (L - mu) * width * (size - half * width)
    return half * mu * x * x + beyond


def trajectory(steps: Unrolled, width: Number) -> tuple[list[Number], list[Number]]:
    """The points and the slopes there, by running the method on the function.

    Raises Refused if enclosures are too wide to tell on which piece a point lies.
    """
    mu, L = steps.number(steps.mu), steps.number(steps.L)
    points: list[Number] = []
    slopes: list[Number] = []
    for i, row in enumerate(steps.points):
        at = ONE + inner(row[:i], slopes)
        slopes.append(_implicit(at, row[i], width, mu, L) if row[i] else slope(at, width, mu, L))
        points.append(at + row[i] * slopes[-1])
    return points, slopes


def run(steps: Unrolled, width: Number, measure: str, start: str) -> Number:
    """The measure at the end over that at the start; Refused as there.

    Args:
        steps: the method over N steps.
        width: of the function.
        measure, start: see `certify_horizon`.
    """
    mu, L = steps.number(steps.mu), steps.number(steps.L)
    points, slopes = trajectory(steps, width)
    last = {
        "value": lambda: height(points[-1], width, mu, L),
        "gradient": lambda: slopes[-1] * slopes[-1],
        "distance": lambda: points[-1] * points[-1],
    }[measure]()
    return last if start == "distance" else last * reciprocal(height(ONE, width, mu, L))


def data(steps: Unrolled, worst: Kink, measure: str, start: str) -> dict[str, Any]:
    """The run on the function from the start 1, as the lower bound of a document.

    Args:
        steps: the method over N steps.
        worst: the function.
        measure, start: see `certify_horizon`.
    """
    mu, L = steps.number(steps.mu), steps.number(steps.L)
    width = Number(worst.width)
    points, slopes = trajectory(steps, width)
    return {
        "kind": "function", "start": ["1"], "gradients": [[text(u)] for u in slopes],
        "values": [text(height(x, width, mu, L)) for x in points],
        "bound": text(run(steps, width, measure, start)),
    }  # fmt: skip


def _implicit(known: Number, weight: Number, width: Number, mu: Number, L: Number) -> Number:
    """The slope u = f'(known + weight u), piece by piece; for a weight below 1 / L there is one."""
    away = (L - mu) * width
    for curvature, offset in ((L, ZERO), (mu, away), (mu, -away)):
        u = (curvature * known + offset) * reciprocal(ONE - curvature * weight)
        if not slope(known + weight * u, width, mu, L) - u:
            return u
    raise ZeroDivisionError


def worst(steps: Unrolled, measure: str, start: str) -> Kink | None:
    """The worst of these functions; None where a run is not decided.

    Args:
        steps: the method over N steps.
        measure, start: see `certify_horizon`.
    """
    table = to_floats(steps.points)
    mu, L = float(steps.mu), float(steps.L)
    widths = np.concatenate([np.geomspace(1e-4, 3, 2001), [1 / 3, 1 / 5, 1 / 7, 1.0]])
    for _ in range(3):  # finer around the worst
        ratios = _ratios(table, widths, mu, L, measure, start)
        at = widths[int(np.nanargmax(ratios))]
        widths = np.append(at * np.linspace(1 - 20 / len(widths), 1 + 20 / len(widths), 2000), at)
    found: list[Kink] = []
    for width in (Fraction(float(at)), *_simple(float(at)), Fraction(10**6)):
        try:
            value = run(steps, Number(width), measure, start)
            found.append(Kink(width, value, below(value)))
        except (ArithmeticError, ValueError):
            continue
    return max(found, key=lambda k: k.low, default=None)


def _simple(x: float) -> Sequence[Fraction]:
    """Fractions near a number, the simplest last."""
    return [Fraction(x).limit_denominator(size) for size in (_SIMPLE, 10**3, 10**2)]


def _ratios(table: Any, widths: Any, mu: float, L: float, measure: str, start: str) -> Any:
    """The ratios at many widths in floats."""
    points, gradients, heights = float_runs(table, widths, mu, L)
    last = {"value": heights[-1], "gradient": gradients[-1] ** 2, "distance": points[-1] ** 2}[
        measure
    ]
    return last if start == "distance" else last / _heights(np.ones(len(widths)), widths, mu, L)


def float_runs(table: Any, widths: Any, mu: Any, L: Any) -> tuple[Any, Any, Any]:
    """All points, slopes and heights, at many widths in floats (and curvatures, by width if arrays).

    Nan for implicit steps, whose piece is not known beforehand, if none solves them.

    Args:
        table: the coefficients of the gradients, shape (count, count).
        widths: of the functions, shape (n,).
        mu, L: curvatures, scalars or of shape (n,).

    Returns:
        Three arrays of shape (count, n).
    """

    def slopes(x: Any) -> Any:
        return np.where(np.abs(x) <= widths, L * x, mu * x + (L - mu) * np.sign(x) * widths)

    points, gradients, heights = (np.zeros((len(table), len(widths))) for _ in range(3))
    for i, row in enumerate(table):
        known = 1 + row[:i] @ gradients[:i]
        x = known
        if row[i]:  # one of the three pieces solves it
            away = (L - mu) * widths
            for curvature, offset in ((L, 0 * away), (mu, away), (mu, -away)):
                u = (curvature * known + offset) / (1 - curvature * row[i])
                x = np.where(np.isclose(slopes(known + row[i] * u), u), known + row[i] * u, x)
        points[i], gradients[i], heights[i] = x, slopes(x), _heights(x, widths, mu, L)
    return points, gradients, heights


def _heights(x: Any, widths: Any, mu: Any, L: Any) -> Any:
    bent = mu * x**2 / 2 + (L - mu) * widths * (np.abs(x) - widths / 2)
    return np.where(np.abs(x) <= widths, L * x**2 / 2, bent)
