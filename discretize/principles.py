"""What a derivation follows from, as plain data: the public call that makes it, with its exact arguments.

A document holds its principle, so that a replay can make the whole derivation again and compare.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ParamSpec

import sympy as sp

from odescent._errors import OdescentError
from odescent.dynamics.exact import as_scalar
from odescent.dynamics.fields import System
from odescent.dynamics.trees import from_tree, tree
from odescent.dynamics.vectors import Vector

from .exact_data import exact_scheme, exact_system
from .substeps import Scheme

if TYPE_CHECKING:
    from .derivation import Derivation

P = ParamSpec("P")


@dataclass(frozen=True)
class Principle:
    """What a derivation is made by, and from what.

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


def follows_from(by: str) -> Callable[[Callable[P, Derivation]], Callable[P, Derivation]]:
    """Decorate a function that makes a derivation: the derivation then knows the call that made it."""

    def decorate(function: Callable[P, Derivation]) -> Callable[P, Derivation]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def recorded(*args: P.args, **kwargs: P.kwargs) -> Derivation:
            found = function(*args, **kwargs)
            given = signature.bind(*args, **kwargs).arguments
            return replace(found, principle=Principle(by, given))

        return recorded

    return decorate


def written(value: Any) -> Any:
    """An argument as plain data: null, or one key that says what it is, with the value."""
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


def read(data: Any) -> Any:
    """The argument that the data describe; raises OdescentError for anything else."""
    from .exact_reading import scheme_from, system_from

    if data is None:
        return None
    if not isinstance(data, dict) or len(data) != 1:
        raise OdescentError("an argument of a principle is null, or one key that says what it is.")
    ((kind, value),) = data.items()
    if kind in ("flag", "text"):
        if isinstance(value, bool if kind == "flag" else str):
            return value
    elif kind == "tree":
        return from_tree(value)
    elif kind == "scheme":
        return scheme_from(value)
    elif kind == "system":
        return system_from(value)
    elif kind == "list" and isinstance(value, list):
        return tuple(map(read, value))
    elif kind == "pairs" and isinstance(value, list) and all(_is_pair(p) for p in value):
        return {read(k): read(v) for k, v in value}
    raise OdescentError(
        f"an argument of a principle is of the kind {str(kind)[:40]!r}, or is not of it."
    )


def _is_pair(data: Any) -> bool:
    return isinstance(data, list) and len(data) == 2


__all__ = ["Principle", "follows_from", "read", "written"]
