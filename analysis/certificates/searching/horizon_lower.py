"""A worst function of finitely many steps as exact data: x_0, gradients and values, rounded from floats.

What the search leaves is strictly inside of all interpolation inequalities, so that rounding keeps them; points are not
stored but follow from the method. (A function with these values and gradients exists: Taylor, Hendrickx, Glineur,
arXiv:1502.05666, theorem 4.)
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Float

from ..methods.plant import to_float, to_floats
from ..methods.precise import decimal, dyadic
from ..methods.unroll import Unrolled
from .horizon_dual import Vectors, units

_BITS = (48, 64, 88)  # after the point of the largest number
_OFF = 1e-10  # of the lower bound, which the rounding may take


def as_data(
    example: Vectors, steps: Unrolled, measure: str, start: str
) -> Iterator[dict[str, Any]]:
    """The lower bounds as documents have them, which are still to be proved, the shortest numbers first."""
    L = to_float(steps.number(steps.L))
    far, slopes, values = example
    table = to_floats(steps.points) * L
    if far is None:
        far = _far_away(slopes, values, table)
    last = far + table[-1] @ slopes
    attained = {"value": values[-1], "gradient": slopes[-1] @ slopes[-1], "distance": last @ last}
    first = next((i for i, row in enumerate(steps.points) if not any(row)), 0)
    one = far @ far if start == "distance" else values[first]
    low = float(attained[measure] / one) * units(L, measure, start)[0] * (1 - _OFF)
    if not low > 0:
        return
    bound = decimal(Fraction(low), 13)
    for bits in _BITS:
        yield {
            "kind": "function",
            "start": _texts(far, bits),
            "gradients": [_texts(row * L, bits) for row in slopes],
            "values": _texts(values * L, bits),
            "bound": str(bound),
        }


def _far_away(
    slopes: Float[np.ndarray, "count n"],
    values: Float[np.ndarray, " count"],
    table: Float[np.ndarray, "count count"],
) -> Float[np.ndarray, " n"]:
    """x_0 so far from the minimizer that all inequalities from there hold, for mu = 0: <u_i, y_i> is large enough."""
    needed = values + (slopes**2).sum(1) / 2 - (slopes * (table @ slopes)).sum(1)
    needed += 1e-3 * (1 + np.abs(needed).max())
    found: Float[np.ndarray, " n"] = np.linalg.lstsq(slopes, needed, rcond=None)[0]
    return found


def _texts(numbers: Float[np.ndarray, " n"], bits: int) -> list[str]:
    """Dyadic numbers."""
    size = float(np.abs(numbers).max())
    return [str(dyadic(x, bits, size)) for x in numbers.tolist()]
