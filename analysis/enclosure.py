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
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from .intervals import interval_extension
from .planar import Window, check_window

Boxes = Float[np.ndarray, "_ 2"]
_FIRST = 8  # boxes per side to begin with
_BATCH = 256  # boxes per compiled call
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
        boxes: how many were looked at.
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

        def test(low: Array, high: Array) -> tuple[Array, ...]:
            c, r = (low + high) / 2, (high - low) / 2
            both = jax.vmap(field)(jnp.stack([low, c]), jnp.stack([high, c]))  # traced once
            bounds, at = (jax.tree.map(lambda v, i=i: v[i], both) for i in range(2))
            matrix = slope(low, high)
            possible = jnp.all((bounds.low <= 0) & (bounds.high >= 0))
            middle, spread = (matrix.low + matrix.high) / 2, (matrix.high - matrix.low) / 2
            det = middle[0, 0] * middle[1, 1] - middle[0, 1] * middle[1, 0]
            adjugate = jnp.stack(
                [jnp.stack([middle[1, 1], -middle[0, 1]]), jnp.stack([-middle[1, 0], middle[0, 0]])]
            )
            y = adjugate / det
            fm, fr = (at.low + at.high) / 2, (at.high - at.low) / 2
            rest = jnp.abs(jnp.eye(2) - y @ middle) + jnp.abs(y) @ spread
            rest = rest * (1 + 1e-12) + 1e-14
            centre = c - y @ fm
            reach = (jnp.abs(y) @ fr + rest @ r) * (1 + 1e-12) + 1e-15 * (1 + jnp.abs(centre))
            usable = jnp.all(jnp.isfinite(centre) & jnp.isfinite(reach))
            apart = jnp.any((centre - reach > high) | (centre + reach < low)) & usable
            inside = jnp.all((centre - reach > low) & (centre + reach < high)) & usable
            lower = jnp.where(usable, jnp.maximum(low, centre - reach), low)
            upper = jnp.where(usable, jnp.minimum(high, centre + reach), high)
            return possible & ~apart, inside, centre, lower, upper

        # a few hundred boxes: compiling costs more than running
        options = {"xla_backend_optimization_level": 0}
        self._test = jax.jit(jax.vmap(test), compiler_options=options)

    def test(self, low: Boxes, high: Boxes) -> tuple[np.ndarray, ...]:
        """Per box: whether a zero is possible, whether exactly one is proved, where about, and the box that is left."""
        found = []
        with jax.enable_x64(True):
            for i in range(0, len(low), _BATCH):
                part = [np.resize(a[i : i + _BATCH], (_BATCH, 2)) for a in (low, high)]
                n = len(low[i : i + _BATCH])
                found.append([np.asarray(a)[:n] for a in self._test(*part)])
        return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))


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
    zeros: list[np.ndarray] = []
    proved: list[tuple[np.ndarray, np.ndarray]] = []
    left: list[np.ndarray] = []
    looked = 0
    while len(low):
        looked += len(low)
        possible, inside, centre, lower, upper = bounds.test(low, high)
        for i in np.flatnonzero(possible & inside):
            _add(zeros, proved, centre[i], low[i], high[i])
        rest = possible & ~inside
        low, high, centre = lower[rest], upper[rest], centre[rest]
        low, high = _try_around(bounds, low, high, centre, size, zeros, proved)
        small = ((high - low) <= _SMALLEST * size).all(1)
        left += list(np.stack([low[small], high[small]], 1))
        low, high = _split(low[~small], high[~small], size)
        if looked + len(low) > _MOST:
            left += list(np.stack([low, high], 1))
            break
    kept, radius = _refined(bounds, zeros, proved)
    shown = (np.abs(kept - sides.mean(1)) <= size / 2 * (1 + 1e-12)).all(1)
    return Enclosure(kept[shown], radius[shown], np.array(left).reshape(-1, 2, 2), looked)


def _refined(
    bounds: Bounds, zeros: list[np.ndarray], proved: list[tuple[np.ndarray, np.ndarray]]
) -> tuple[Boxes, Boxes]:
    """The proved boxes contracted as far as they go, those that overlap counted once, in order."""
    if not zeros:
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
    zeros: list[np.ndarray], proved: list[tuple[np.ndarray, np.ndarray]],
    z: np.ndarray, low: np.ndarray, high: np.ndarray,
) -> None:  # fmt: skip
    """Keep a zero that is new: one that lies in no box that was proved to hold exactly one."""
    if not any(((z >= a) & (z <= b)).all() for a, b in proved):
        zeros.append(z)
        proved.append((low, high))


def _try_around(
    bounds: Bounds, low: Boxes, high: Boxes, centre: Boxes, size: np.ndarray,
    zeros: list[np.ndarray], proved: list[tuple[np.ndarray, np.ndarray]],
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
            _add(zeros, proved, at[i], a[i], b[i])
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
