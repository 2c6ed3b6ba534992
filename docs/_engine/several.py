"""Docstrings on the site: entries of several names, "t0, t1: ...", and links to the public names that they refer to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import griffe
from reference import addresses

_SEE = re.compile(r"(?<=see )(`(?:od\.)?(\w+)`)")


class Several(griffe.Extension):
    """Gives an entry of several names their types and defaults, and "see `name`" a link."""

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        _complete(cls)

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        _complete(func)


def _complete(found: griffe.Class | griffe.Function) -> None:
    if found.docstring is None or found.name.startswith("_"):
        return
    found.docstring.value = _SEE.sub(_linked, found.docstring.value)
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


def _linked(seen: re.Match[str]) -> str:
    address = addresses().get(seen[2])
    return f"[{seen[1]}][{address}]" if address else seen[1]


def _one(values: Sequence[Any]) -> Any:
    """The value that all have; None where they differ."""
    return values[0] if len({str(v) for v in values}) == 1 else None


def _each(defaults: Sequence[Any]) -> str | None:
    """All defaults in order; None where there is none, as of a single name that is required."""
    if all(d is None for d in defaults):
        return None
    return ", ".join("required" if d is None else str(d) for d in defaults)
