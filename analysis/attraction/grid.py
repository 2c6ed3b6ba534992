"""Products of starts and parameters: the points of a batch, generated one by one without storage."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ..._support.errors import OdescentError, unknown
from ..._support.numbers import real, reals
from ..._support.rendering.brief import short
from ...dynamics import Objective
from ...dynamics.flows.starts import remade
from ...dynamics.flows.stepper import PointStepper
from .stepping import check_parameters

_INDEXED = re.compile(r"([^\W\d]\w*)(?:\[(\d+)\])?")


@dataclass(frozen=True)
class Axis:
    """One thing that is varied.

    Attributes:
        name: as the user wrote it.
        values: shape (n,), or (n, *x0.shape) for whole starting points.
        kind: "parameter", "start" (of the output) or "block" (of the state).
        block: which entry of the state.
        index: which component of it, in row-major order; None for all of it.
    """

    name: str
    values: Float[np.ndarray, "n ..."]
    kind: str
    block: int = 0
    index: int | None = None

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class PointGrid:
    """All combinations of the axes' values (the last axis fastest), or paired values (``paired``)."""

    stepper: PointStepper
    axes: tuple[Axis, ...]
    fixed: Mapping[str, float]
    start: Float[np.ndarray, "..."]
    paired: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        lengths = tuple(len(a) for a in self.axes)
        return lengths[:1] if self.paired else lengths

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    @property
    def varies_parameters(self) -> bool:
        return any(a.kind == "parameter" for a in self.axes)

    def take(self, axis: int, at: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n ..."]:
        """The values of one axis at flat indices."""
        values: Float[np.ndarray, "n ..."] = self.axes[axis].values
        return values[at if self.paired else np.unravel_index(at, self.shape)[axis]]

    def coefficients(self, at: Int[np.ndarray, " n"]) -> Any:
        """The coefficients at flat indices: leaves of shape () or (n,); their domains are checked."""
        if not self.varies_parameters:
            return self._constant
        values: dict[str, Any] = {n: np.float64(v) for n, v in self.fixed.items()}
        for i, a in enumerate(self.axes):
            if a.kind == "parameter":
                values[a.name] = self.take(i, at)
        return self.stepper.coefficients(values)

    @cached_property
    def _constant(self) -> Any:
        return self.stepper.coefficients({n: np.float64(v) for n, v in self.fixed.items()})

    def points(self, at: Int[np.ndarray, " n"]) -> tuple[Any, dict[str, Any]]:
        """Starting points at flat indices, the points along the last axis, and the values of state entries."""
        flat = np.repeat(self.start.reshape(-1, 1), len(at), axis=1)
        entries: dict[str, Any] = {}
        for i, a in enumerate(self.axes):
            if a.kind == "start":
                values = self.take(i, at)
                if a.index is None:
                    flat = np.ascontiguousarray(values.reshape(len(at), -1).T)
                else:
                    flat[a.index] = values
            elif a.kind == "block":
                entries[f"{a.block}.{a.index or 0}"] = jnp.asarray(self.take(i, at))
        return jnp.asarray(flat.reshape(*self.start.shape, len(at))), entries

    @property
    def scale(self) -> float:
        """The size of the region of starts: its largest side, or the size of the one start, or 1."""
        sides = [float(np.ptp(a.values, axis=0).max()) for a in self.axes if a.kind != "parameter"]
        longest = max(sides, default=0.0) or float(np.abs(self.start).max(initial=0.0))
        return longest or 1.0


def place(state: Any, entries: Mapping[str, Any]) -> Any:
    """One point's state with entries in place, named "block.component" by their numbers."""
    parts = list(state)
    for name, value in entries.items():
        block, index = map(int, name.split("."))
        old = parts[block]
        flat = old.reshape(-1).at[index].set(value.astype(old.dtype))
        parts[block] = flat.reshape(old.shape)
    return remade(state, parts)


def product(
    s: PointStepper,
    target: Objective | None,
    axes: Mapping[str, Any],
    start: Any,
    parameters: Mapping[str, Any],
    paired: bool = False,
) -> PointGrid:
    """The product of the axes.

    Args:
        axes: name to values. A name is a parameter's; ``x0`` or ``x0[i]`` for the starting point or a
            component of it; or a block's, ``v`` or ``v[i]``, for its initial value instead of the one that the
            starting point gives. Values are (low, high, how many) or an array of shape (n,); for ``x0`` also
            whole starting points, shape (n, *x0.shape).
        start: the starting point where it is not varied; the objective's x0 by default.
        parameters: values of the parameters that are not varied.
        paired: the axes' values are taken together, entry by entry, instead of in all combinations.

    Raises:
        OdescentError: no axes, a window of zero width, unknown names, values that are not finite.
    """
    if not axes:
        raise OdescentError("nothing is varied: give axes, as in axes={'x0': (-3, 3, 201)}.")
    made = []
    for name, values in axes.items():
        found = _INDEXED.fullmatch(str(name))
        known = [*s.parameters, "x0", *s.blocks]
        if found is None or found[1] not in known:
            raise unknown(f"axis of {s.name}", name, known)
        if name in s.parameters:
            made.append(Axis(name, axis_values(name, values), "parameter"))
            continue
        index = None if found[2] is None else int(found[2])
        kind = "start" if found[1] == "x0" else "block"
        block = 0 if kind == "start" else s.blocks.index(found[1])
        whole = kind == "start" and index is None
        made.append(Axis(name, axis_values(name, values, whole), kind, block, index))
    begin = _start(s, target, made, start)
    shaped = []
    for a in made:
        if a.kind == "start" and a.index is None and a.values.ndim == 1 and begin.size != 1:
            raise OdescentError(
                f"x0 has {begin.size} components: vary one of them, as in 'x0[0]', or give whole starting points "
                f"of shape (n, {', '.join(map(str, begin.shape))})."
            )
        if a.index is not None and a.index >= max(begin.size, 1):
            raise OdescentError(
                f"{a.name} does not exist: the starting point has {begin.size} components."
            )
        if a.kind == "block" and a.index is None and begin.size != 1:
            raise OdescentError(
                f"{a.name} has {begin.size} components: vary one, as in '{a.name}[0]'."
            )
        shaped.append(a)
    if paired and len({len(a) for a in made}) != 1:
        raise OdescentError("paired axes must have the same number of values.")
    fixed = check_parameters(s, parameters, {a.name: a for a in made if a.kind == "parameter"})
    return PointGrid(s, tuple(shaped), fixed, begin, paired)


def axis_values(name: str, given: Any, whole: bool = False) -> np.ndarray:
    """The values along an axis.

    Args:
        name: of the axis, for messages.
        given: (low, high, number), or an array.
        whole: whether entries may be arrays, as whole starting points are.

    Raises:
        OdescentError: an empty or infinite range, or values that are not finite.
    """
    if isinstance(given, tuple) and len(given) == 3 and isinstance(given[2], (int, np.integer)):
        low, high, n = real(given[0]), real(given[1]), int(given[2])
        if not (np.isfinite([low, high]).all() and low < high and n >= 2):
            raise OdescentError(
                f"the axis {name} must go from low to high > low in 2 values or more, as in (-3, 3, 201), not "
                f"{given!r}."
            )
        return np.linspace(low, high, n)
    values = reals(given)
    if values.size == 0 or (values.ndim != 1 and not (whole and values.ndim > 1)):
        raise OdescentError(
            f"the axis {name} must be (low, high, count) or an array of values, not {short(given)}."
        )
    if not np.isfinite(values).all():
        raise OdescentError(f"the axis {name} must be finite, but it contains NaN or infinity.")
    return values


def _start(
    s: PointStepper, target: Objective | None, axes: Sequence[Axis], start: Any
) -> np.ndarray:
    """The starting point that is not varied, as an array."""
    begin = start if start is not None else None if target is None else target.x0
    if begin is None:
        whole = [a for a in axes if a.kind == "start" and a.index is None]
        if whole:
            shape: tuple[int, ...] = whole[0].values.shape[1:]
            single = (1,) if s.blocks else ()
            return np.zeros(shape if whole[0].values.ndim > 1 else single)
        indices = [a.index for a in axes if a.index is not None]
        dimension = getattr(target, "dimension", None) or (1 + max(indices) if indices else 0)
        if not dimension:
            raise OdescentError("there is no starting point: give start=, or vary x0.")
        return np.zeros(dimension)
    point, dimension = reals(begin), getattr(target, "dimension", None)
    if not point.size:
        raise OdescentError(f"the start must be an array of numbers, not {short(begin)}.")
    if not np.isfinite(point).all():
        raise OdescentError("the start must be finite, but it contains NaN or infinity.")
    if dimension is not None and point.shape != (dimension,):
        raise OdescentError(
            f"the start must have shape ({dimension},) for this objective, not {point.shape}."
        )
    return np.array(point)
