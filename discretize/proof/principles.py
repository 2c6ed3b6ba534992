"""Principles of derivations as plain data: the public call that makes one, with its exact arguments.

A document holds its principle, so that a replay can make the whole derivation again and compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from ..._support.errors import OdescentError
from ...dynamics.algebra.exact import as_scalar
from ...dynamics.algebra.trees import tree
from ...dynamics.algebra.vectors import Vector
from ...dynamics.flows.system import System
from ..programs.substeps import Scheme
from .exact_data import exact_scheme, exact_system


@dataclass(frozen=True)
class Principle:
    """The principle of a derivation, and its arguments.

    Attributes:
        by: "derive" (a registered derivation), "scheme" (the system and the scheme of its algorithm), or the
            name of the public function that was called, such as "immerse".
        given: the arguments by name.
    """

    by: str
    given: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """As plain data; raises OdescentError for an argument that has no exact form."""
        return {"by": self.by, "given": {n: written(v) for n, v in self.given.items()}}


def written(value: Any) -> Any:
    """An argument as plain data: null, or the value under one key that names its type."""
    if value is None:
        return None
    if isinstance(value, bool):
        return {"flag": value}
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, Scheme):
        return {"scheme": exact_scheme(value)}
    if isinstance(value, System):
        return {"system": exact_system(value)}
    if isinstance(value, Mapping):
        return {"pairs": [[written(k), written(v)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return {"list": [written(v) for v in value]}
    if isinstance(value, (Vector, sp.Expr)):
        return {"tree": tree(value)}
    try:
        return {"tree": tree(as_scalar(value))}
    except TypeError:
        raise OdescentError(
            f"a derivation from an argument of type {type(value).__name__} cannot be written as exact data."
        ) from None


__all__ = ["Principle", "written"]
