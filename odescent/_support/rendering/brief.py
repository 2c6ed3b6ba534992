"""Short representations: results and records in one line, their values, and titles where a line begins."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

LINE = 120  # letters of a representation
_ROOM = 48  # of one value in it
_KINDS = {"float": "f", "int": "i", "uint": "u", "complex": "c"}


def brief(self: object) -> str:
    """The ``__repr__`` of a result or a record: one line, with the shapes of arrays instead of their numbers.

    What has a text of its own is named by the first line of it, or by ``_headline`` where that is the head of a
    table, and the rest by its fields.
    """
    name = type(self).__name__
    head = getattr(self, "_headline", None)
    if said := head() if head else own_text(self).partition("\n")[0].rstrip(".:"):
        return f"<{name}: {shortened(said, LINE - len(name) - 4)}>"
    listed = ", ".join(f"{n}={short(v)}" for n, v in shown_fields(self))
    return f"{name}({shortened(listed, LINE - len(name) - 2)})"


def own_text(result: object) -> str:
    """What a result says of itself where it is printed; nothing where its class has no text."""
    return "" if type(result).__str__ is object.__str__ else str(result)


def shown_fields(self: object) -> Iterable[tuple[str, Any]]:
    """The fields of a dataclass that its representation shows, or the public attributes, with their values."""
    if dataclasses.is_dataclass(self):
        named = [f.name for f in dataclasses.fields(self) if f.repr]
    elif isinstance(self, tuple):  # of names
        named = list(getattr(self, "_fields", ()))
    else:
        named = [n for n in vars(self) if not n.startswith("_")]
    return [(n, getattr(self, n)) for n in named]


def quantity(number: int, noun: str) -> str:
    """A number of things, as "1 step" and "2 steps"."""
    return f"{number} {noun}{'s' * (number != 1)}"


def short(value: Any, room: int = _ROOM) -> str:
    """A value in a few letters: an array by its type and shape, what is long by its beginning.

    Args:
        value: anything.
        room: how many letters.

    Returns:
        One line.
    """
    if isinstance(value, str):
        return repr(value if len(value) <= room - 2 else value[: room - 3] + "…")
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Fraction):
        return shortened(str(value), room)
    if isinstance(value, int | complex | None):
        return shortened(repr(value), room)
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        if value.shape == () and type(value).__module__ == "numpy":
            return short(value.item(), room)
        kind, bits = re.fullmatch(r"([a-z_]*)(\d*).*", str(value.dtype)).groups()  # type: ignore[union-attr]
        return f"{_KINDS.get(kind, kind)}{bits}[{','.join(map(str, value.shape))}]"
    if isinstance(value, Mapping):
        return "{" + _listed((f"{_key(k)}: {short(v)}" for k, v in value.items()), room - 2) + "}"
    if isinstance(value, tuple | list | set | frozenset) and type(value).__repr__ is not brief:
        return "(" + _listed((short(v) for v in value), room - 2) + ")"
    if callable(value) and hasattr(value, "__qualname__"):
        return shortened(value.__qualname__, room)
    return shortened(repr(value), room)


def _key(key: object) -> str:
    return key if isinstance(key, str) else short(key)


def _listed(parts: Iterable[str], room: int) -> str:
    """As many of the parts as there is room for, and how many more there are."""
    every = list(parts)
    taken: list[str] = []
    for part in every:
        if taken and len(", ".join([*taken, part])) > room:
            return ", ".join([*taken, f"{len(every) - len(taken)} more"])
        taken.append(part)
    return shortened(", ".join(taken), room)


def shortened(text: str, room: int) -> str:
    """The text in one line, cut where it is longer than the room that there is."""
    line = " ".join(text.split())
    return line if len(line) <= room else line[: max(room - 1, 0)].rstrip() + "…"


def capital(text: str) -> str:
    """The text with a capital first letter; the rest stays, as symbols and names in it have a case."""
    return text[:1].upper() + text[1:]
