"""The documents of the commands against the page that describes them, docs/json.md."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent.parent / "docs" / "json.md"
_TYPES: dict[str, Any] = {
    "text": str, "whole": int, "number": (int, float), "boolean": bool, "object": dict, "list": list,
    "null": type(None), "any": object,
}  # fmt: skip


@cache
def schemas() -> dict[str, dict[str, tuple[str, bool]]]:
    """By schema: each key's type, and whether it must be there."""
    text = PAGE.read_text(encoding="utf-8")
    found = {}
    for part in re.split(r"^### (?=odescent\.)", text, flags=re.MULTILINE)[1:]:
        name = part.partition("\n")[0].strip()
        rows = re.findall(r"^\| `(\w+)`(\??) \| ([^|]+?) \|", part, re.MULTILINE)
        found[name] = {key: (kind, not optional) for key, optional, kind in rows}
    return found


def fits(kind: str, value: Any) -> bool:
    """Whether a value is of a type that the page names."""
    for one in kind.split(" or "):
        outer, _, inner = one.partition(" of ")
        if not isinstance(value, _TYPES[outer]) or (
            isinstance(value, bool) and outer not in ("boolean", "any")
        ):
            continue
        if not inner or all(fits(inner, v) for v in value):
            return True
    return False


def check(document: dict[str, Any]) -> dict[str, Any]:
    """The document, which has the keys and types that the page gives for its schema."""
    assert next(iter(document)) == "schema"
    name = document["schema"]
    assert name in schemas(), f"{name} is not on the page"
    keys = schemas()[name]
    own = {k: v for k, v in document.items() if k != "schema"}
    assert own.keys() <= keys.keys(), f"{name}: {own.keys() - keys.keys()} are not on the page"
    missing = {k for k, (_, needed) in keys.items() if needed} - own.keys()
    assert not missing, f"{name}: without {missing}"
    wrong = {k: v for k, v in own.items() if not fits(keys[k][0], v)}
    assert not wrong, f"{name}: of another type: {wrong}"
    return document
