"""Conversion of analysis results to and from plain data: a figure is drawn from its file by the result's plot."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

from .._support.errors import OdescentError

_ROOM = "odescent.analysis."  # whose records are kept


def keep(value: Any) -> Any:
    """A result as dicts, lists, numbers, text and arrays; exact numbers become floats.

    Raises OdescentError for a record that is none of the analysis'.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        place = f"{type(value).__module__}:{type(value).__name__}"
        _class(place)
        fields = {f.name: keep(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"class": place, **fields}
    if isinstance(value, Mapping):
        return {str(k): keep(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [keep(v) for v in value]
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return value.astype(float)
    return value


def restore(data: Any, inside: bool = False) -> Any:
    """The inverse of `keep`, from what a file gives; lists inside of records become tuples.

    Raises OdescentError for a class that is no record of the analysis.
    """
    if isinstance(data, Mapping):
        found = "class" in data
        parts = {k: restore(v, inside or found) for k, v in data.items() if k != "class"}
        return _class(str(data["class"]))(**parts) if found else parts
    if isinstance(data, list):
        return (tuple if inside else list)(restore(v, inside) for v in data)
    return data


def _class(place: str) -> Any:
    """The dataclass of that module and name; what a file says is not imported unless it is one of the analysis."""
    module, _, name = place.partition(":")
    try:
        found = getattr(import_module(module), name) if module.startswith(_ROOM) else None
    except (ImportError, AttributeError):
        found = None
    if not isinstance(found, type) or not dataclasses.is_dataclass(found):
        raise OdescentError(
            f"there is no result {place!r} that a figure keeps: it has to be a record of the analysis."
        )
    return found
