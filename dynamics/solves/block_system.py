"""An operator by blocks in numbers: one system in the entries of all blocks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

from ..._support.errors import OdescentError
from ..algebra.direct_sums import joining, row_of
from ..algebra.products import Part, apply, slots_of
from ..algebra.vectors import Vector, VectorSymbol

Number = Callable[[Vector, Mapping[Any, Any]], Any]


class BlockSystem:
    """M x = b as one system: its right side, its products, and a solution by blocks.

    Args:
        operator: M, by rows and columns of the same names.
        right: b.
        number: the value of an expression with more symbols given.
        xp: NumPy or `jax.numpy`.

    Raises:
        OdescentError: the size of a block is unknown, or a row has another size than its part of b.
    """

    def __init__(self, operator: Vector, right: Vector, number: Number, xp: Any) -> None:
        self.operator, self.number, self.xp = operator, number, xp
        self.slots, _ = slots_of(operator)
        given = {s: apply(Part(s), right) for s in self.slots}
        parts = {s: xp.asarray(number(v, {})) for s, v in given.items() if v.terms}
        while missing := [s for s in self.slots if s not in parts]:
            shapes = {s: shape for s in missing if (shape := self._shape(s, parts)) is not None}
            if not shapes:
                raise OdescentError(
                    f"the block {missing[0]} of a solve has an unknown size: its part of the right side is zero, and "
                    "no entry of the operator joins it to another block."
                )
            parts |= {s: xp.zeros(shape) for s, shape in shapes.items()}
        self.shapes = {s: parts[s].shape for s in self.slots}
        self.right = xp.concatenate([parts[s].reshape(-1) for s in self.slots])

    def _shape(self, slot: str, parts: Mapping[str, Any]) -> tuple[int, ...] | None:
        """That of a block which the operator or its transpose joins to one that is known."""
        if not (row := joining(self.operator, slot, {s: _direction(s) for s in parts})):
            return None
        found: tuple[int, ...] = self.xp.shape(self.number(row, self._directions(parts)))
        return found

    def _directions(self, parts: Mapping[str, Any]) -> dict[Any, Any]:
        return {_direction(s): v for s, v in parts.items()}

    def product(self, flat: Any) -> Any:
        """M times a vector of all entries."""
        values = self._directions(self.parts(flat))
        found = []
        along = {s: _direction(s) for s in self.slots}
        for s, shape in self.shapes.items():
            value = self.xp.asarray(self.number(row_of(self.operator, s, along), values))
            if value.shape not in ((), shape):
                raise OdescentError(
                    f"the row {s} of a solve has the shape {value.shape}, and its part of the right side {shape}."
                )
            found.append(self.xp.broadcast_to(value, shape).reshape(-1))
        return self.xp.concatenate(found)

    def parts(self, flat: Any) -> dict[str, Any]:
        """A vector of all entries by block."""
        ends = itertools.accumulate(math.prod(shape) for shape in self.shapes.values())
        split = self.xp.split(flat, list(ends)[:-1])
        return {s: v.reshape(self.shapes[s]) for s, v in zip(self.slots, split, strict=True)}


def _direction(slot: str) -> VectorSymbol:
    return VectorSymbol(f"direction in {slot}")
