"""All zeros of a planar field in a window, with proof: boxes are excluded, or hold exactly one zero.

A box without a zero is excluded by interval bounds of the field or by the Krawczyk operator; a box that the
operator maps into its own interior holds exactly one (Krawczyk 1969, 10.1007/BF02234767; Neumaier, Interval Methods for
Systems of Equations, 1990). The others are split. What is left at the smallest size is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float

from .field import Window, check_window
from .intervals import interval_extension

Boxes = Float[np.ndarray, "_ 2"]
_FIRST = 8  # boxes per side to begin with
_SMALLEST = 2.0**-22  # of the window's side
_MOST = 20_000  # boxes in all


@dataclass(frozen=True)
class Enclosure:
    """What is proved about the zeros in a window.

    Attributes:
        zeros: shape (n, 2): each the only zero in a small box around it.
        radius: shape (n, 2): half the sides of these boxes.
        unresolved: shape (m, 2, 2): boxes (low, high) in which neither was proved; none means that
            `zeros` are all.
        boxes: number of boxes examined.
    """

    zeros: Boxes
    radius: Boxes
    unresolved: Float[np.ndarray, "_ 2 2"]
    boxes: int

    @property
    def complete(self) -> bool:
        """Whether it is proved that there is no other zero."""
        return len(self.unresolved) == 0


class Bounds:
    """A field of one point, JAX-traceable, and its Jacobian, by numbers and by intervals."""

    def __init__(self, one: Callable[[Any], Any]) -> None:
        with jax.enable_x64(True):
            field = interval_extension(one, 2)
            slope = interval_extension(jax.jacfwd(one), 2)
        self._field, self._slope = field, slope

    def test(self, low: Boxes, high: Boxes) -> tuple[np.ndarray, ...]:
        """Per box: whether a zero is possible, whether exactly one is proved, where about, and the box that is left."""
        n = len(low)
        bounds = self._field(low, high)
        possible = np.broadcast_to(((bounds.low <= 0) & (bounds.high >= 0)).all(1), n).copy()
        inside, centre = np.zeros(n, bool), (low + high) / 2
        lower, upper = low.copy(), high.copy()
        if possible.any():
            with np.errstate(all="ignore"):
                found = self._krawczyk(low[possible], high[possible])
            apart, inside[possible], centre[possible], lower[possible], upper[possible] = found
            possible[possible] = ~apart
        return possible, inside, centre, lower, upper

    def _krawczyk(self, low: Boxes, high: Boxes) -> tuple[np.ndarray, ...]:
        """Per box: whether its image is apart from it, or inside of it, where its middle is, and what both share."""
        c, r = (low + high) / 2, (high - low) / 2
        at, matrix = self._field(c, c), self._slope(low, high)
        middle, spread = (matrix.low + matrix.high) / 2, (matrix.high - matrix.low) / 2
        (a, b), (d, e) = middle[:, 0].T, middle[:, 1].T
        y = (
            np.stack([np.stack([e, -b], -1), np.stack([-d, a], -1)], 1)
            / (a * e - b * d)[:, None, None]
        )
        fm, fr = ((at.low + at.high) / 2)[..., None], ((at.high - at.low) / 2)[..., None]
        rest = np.abs(np.eye(2) - y @ middle) + np.abs(y) @ spread
        rest = rest * (1 + 1e-12) + 1e-14
        centre = c - (y @ fm)[..., 0]
        reach = (np.abs(y) @ fr + rest @ r[..., None])[..., 0] * (1 + 1e-12) + 1e-15 * (
            1 + np.abs(centre)
        )
        usable = (np.isfinite(centre) & np.isfinite(reach)).all(1)
        apart = ((centre - reach > high) | (centre + reach < low)).any(1) & usable
        inside = ((centre - reach > low) & (centre + reach < high)).all(1) & usable
        lower = np.where(usable[:, None], np.maximum(low, centre - reach), low)
        upper = np.where(usable[:, None], np.minimum(high, centre + reach), high)
        return apart, inside, centre, lower, upper


def enclose_zeros(
    one: Callable[[Any], Any], window: Window | Sequence[Sequence[float]]
) -> Enclosure:
    """All zeros of a field in a window.

    Args:
        one: JAX function of one point, shape (2,), to the velocity there.
        window: ((x0, x1), (y0, y1)).

    Raises:
        NoIntervals: the field uses an operation without interval bounds.
        OdescentError: a bad window.
    """
    sides = np.array(check_window(window))
    bounds, size = Bounds(one), sides[:, 1] - sides[:, 0]
    # Uneven cuts, so that zeros at round numbers do not lie on the boxes' common edges.
    cuts = [np.linspace(low, high, _FIRST + 1) for low, high in sides]
    for cut, whole in zip(cuts, size, strict=True):
        cut[1:-1] += whole / _FIRST * 0.137
    corners: Callable[..., Any] = lambda a, b: np.stack(np.meshgrid(a, b), -1).reshape(-1, 2)
    low, high = corners(cuts[0][:-1], cuts[1][:-1]), corners(cuts[0][1:], cuts[1][1:])
    proved: list[tuple[np.ndarray, np.ndarray]] = []
    left: list[np.ndarray] = []
    looked = 0
    while len(low):
        looked += len(low)
        possible, inside, centre, lower, upper = bounds.test(low, high)
        for i in np.flatnonzero(possible & inside):
            _add(proved, centre[i], low[i], high[i])
        rest = possible & ~inside
        low, high, centre = lower[rest], upper[rest], centre[rest]
        low, high = _try_around(bounds, low, high, centre, size, proved)
        small = ((high - low) <= _SMALLEST * size).all(1)
        left += list(np.stack([low[small], high[small]], 1))
        low, high = _split(low[~small], high[~small], size)
        if looked + len(low) > _MOST:
            left += list(np.stack([low, high], 1))
            break
    kept, radius = _refined(bounds, proved)
    shown = (np.abs(kept - sides.mean(1)) <= size / 2 * (1 + 1e-12)).all(1)
    return Enclosure(kept[shown], radius[shown], np.array(left).reshape(-1, 2, 2), looked)


def _refined(bounds: Bounds, proved: list[tuple[np.ndarray, np.ndarray]]) -> tuple[Boxes, Boxes]:
    """The proved boxes contracted as far as they go, those that overlap counted once, in order."""
    if not proved:
        return np.empty((0, 2)), np.empty((0, 2))
    low, high = (np.array(part) for part in zip(*proved, strict=True))
    for _ in range(8):
        _, _, _, low, high = bounds.test(low, high)
    order = np.lexsort(((low + high)[:, 1], (low + high)[:, 0]))
    once: list[int] = []
    for i in order.tolist():
        if not any(((low[i] <= high[j]) & (high[i] >= low[j])).all() for j in once):
            once.append(i)
    return (low[once] + high[once]) / 2, (high[once] - low[once]) / 2


def _add(
    proved: list[tuple[np.ndarray, np.ndarray]], z: np.ndarray, low: np.ndarray, high: np.ndarray
) -> None:
    """Keep the box of a zero that is new: one that lies in no box that was proved to hold exactly one."""
    if not any(((z >= a) & (z <= b)).all() for a, b in proved):
        proved.append((low, high))


def _try_around(
    bounds: Bounds, low: Boxes, high: Boxes, centre: Boxes, size: np.ndarray,
    proved: list[tuple[np.ndarray, np.ndarray]],
) -> tuple[Boxes, Boxes]:  # fmt: skip
    """Where a small box points at a zero near its edge, test a box around that; drop what lies in one proved."""
    width = high - low
    near = (width < size / 32).all(1) & (
        np.abs(centre - (low + high) / 2) < 2 * width + 1e-12 * size
    ).all(1)
    if near.any():
        reach = 1.5 * width[near] + 1e-9 * size
        a, b = centre[near] - reach, centre[near] + reach
        possible, inside, at, _, _ = bounds.test(a, b)
        for i in np.flatnonzero(possible & inside):
            _add(proved, at[i], a[i], b[i])
    covered: Bool[np.ndarray, " _"] = np.zeros(len(low), bool)
    for a, b in proved:
        covered |= ((low >= a) & (high <= b)).all(1)
    return low[~covered], high[~covered]


def _split(low: Boxes, high: Boxes, size: np.ndarray) -> tuple[Boxes, Boxes]:
    """Each box in two along its longest side, in window sides, not quite at the middle."""
    if not len(low):
        return low, high
    axis = ((high - low) / size).argmax(1)
    rows = np.arange(len(low))
    cut = low[rows, axis] + 0.4871 * (high - low)[rows, axis]
    left, right = high.copy(), low.copy()
    left[rows, axis] = cut
    right[rows, axis] = cut
    return np.concatenate([low, right]), np.concatenate([left, high])
