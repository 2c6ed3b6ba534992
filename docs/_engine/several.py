"""Entries of docstrings that explain several names, "t0, t1: ...": with the types and the defaults of these names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import griffe


class Several(griffe.Extension):
    """Gives such entries what griffe finds for single names only."""

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        _complete(cls)

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        _complete(func)


def _complete(found: griffe.Class | griffe.Function) -> None:
    if found.docstring is None or found.name.startswith("_"):
        return
    for section in found.docstring.parsed:
        if section.kind is griffe.DocstringSectionKind.parameters:
            for entry in section.value:
                names = entry.name.split(", ")
                if len(names) > 1:
                    own = [found.parameters[n] for n in names]
                    entry.annotation = _one([p.annotation for p in own])
                    entry.value = _one([p.default for p in own]) or _each([p.default for p in own])
        elif section.kind is griffe.DocstringSectionKind.attributes:
            for entry in section.value:
                # "rtol, atol" is read as the name "rtol," of type "atol"
                if entry.name.endswith(","):
                    entry.name += f" {str(entry.annotation).strip('()')}"
                    known = [found.members.get(n) for n in entry.name.split(", ")]
                    entry.annotation = _one([getattr(m, "annotation", None) for m in known])


def _one(values: Sequence[Any]) -> Any:
    """The value that all have; None where they differ."""
    return values[0] if len({str(v) for v in values}) == 1 else None


def _each(defaults: Sequence[Any]) -> str | None:
    """All defaults in order; None where there is none, as of a single name that is required."""
    if all(d is None for d in defaults):
        return None
    return ", ".join("required" if d is None else str(d) for d in defaults)
