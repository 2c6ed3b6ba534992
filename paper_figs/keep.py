"""Results of the analysis as plain data, and back: a figure is drawn from its file by the result's own plot."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

from odescent._errors import unknown

# What may be restored: names that a file holds are looked up here, never imported as they stand.
_KNOWN = {
    "Attractor": "attractors",
    "BasinWindows": "cycling.windows",
    "Basins": "basin_map",
    "Convergence": "gaps",
    "CycleRegion": "cycling.region",
    "FixedPoint": "planar",
    "Ledger": "cycling.balance",
    "LevelSets": "levels",
    "LimitCycle": "limit_cycles",
    "Line": "lines",
    "Locus": "modal_spectrum",
    "Nullclines": "nullclines",
    "Portrait": "portrait",
    "Search": "portrait",
    "Separatrix": "lines",
    "Series": "gaps",
    "Share": "basin_map",
    "Spectrum": "modal_spectrum",
}


def keep(value: Any) -> Any:
    """A result as dicts, lists, numbers, text and arrays; exact numbers become floats."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        name = type(value).__name__
        _check(name)
        fields = {f.name: keep(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"class": name, **fields}
    if isinstance(value, Mapping):
        return {str(k): keep(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [keep(v) for v in value]
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return value.astype(float)
    return value


def restore(data: Any) -> Any:
    """The inverse of `keep`, from what a file gives; lists become tuples.

    Raises OdescentError for a class that is not in the table.
    """
    if isinstance(data, Mapping):
        inside = {k: restore(v) for k, v in data.items() if k != "class"}
        if "class" not in data:
            return inside
        name = str(data["class"])
        _check(name)
        return getattr(import_module(f"odescent.analysis.{_KNOWN[name]}"), name)(**inside)
    return tuple(restore(v) for v in data) if isinstance(data, list) else data


def _check(name: str) -> None:
    if name not in _KNOWN:
        raise unknown("result that a figure keeps", name, _KNOWN)
