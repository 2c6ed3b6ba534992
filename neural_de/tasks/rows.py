"""Rows to train, validate and test on: arrays by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..._support import store
from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ..._support.rendering.rendered import Rendered


@checked
@dataclass(frozen=True)
class Rows(Rendered):
    """Arrays by name; those of a split have one length, and every batch contains all of `fixed`.

    Raises OdescentError for a split without rows, or of arrays that differ in length.

    Attributes:
        train, validation, test: the rows; `test` is evaluated once, at the end.
        fixed: data that do not depend on the row, such as times.
        classes: number of labels, 0 where there is none.
        source: the origin of the data.
    """

    train: Mapping[str, np.ndarray]
    validation: Mapping[str, np.ndarray]
    test: Mapping[str, np.ndarray]
    fixed: Mapping[str, np.ndarray] = field(default_factory=dict)
    classes: int = 0
    source: str = ""

    def __post_init__(self) -> None:
        for part in ("train", "validation", "test", "fixed"):
            arrays = {n: np.asarray(a) for n, a in getattr(self, part).items()}
            object.__setattr__(self, part, arrays)
            lengths = {n: a.shape[0] if a.ndim else 0 for n, a in arrays.items()}
            if part != "fixed" and (len(set(lengths.values())) != 1 or 0 in lengths.values()):
                raise OdescentError(
                    f"the arrays of {part} must have one length, at least 1, not {lengths or 'none'}."
                )

    def in_precision(self, dtype: Any) -> Rows:
        """With floating arrays in this type."""

        def cast(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            floating = {n: np.issubdtype(a.dtype, np.floating) for n, a in arrays.items()}
            return {n: a.astype(dtype) if floating[n] else a for n, a in arrays.items()}

        return Rows(
            cast(self.train), cast(self.validation), cast(self.test), cast(self.fixed), self.classes, self.source
        )  # fmt: skip

    @property
    def digest(self) -> str:
        """SHA-256 of all arrays, with their names, types and shapes."""
        return store.identity([self.train, self.validation, self.test, self.fixed])


def count(rows: Mapping[str, np.ndarray]) -> int:
    """How many rows."""
    return len(next(iter(rows.values())))


def taken(rows: Mapping[str, np.ndarray], which: Any) -> dict[str, np.ndarray]:
    """Some of the rows: a slice, or an array of whole numbers."""
    return {name: a[which] for name, a in rows.items()}
