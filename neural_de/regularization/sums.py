"""Weighted sums of registered regularizers as text: ``error``, ``0.1*error``, ``error+0.5*stiffness``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..._support.errors import OdescentError
from ..._support.numbers import number
from ..._support.rendering.brief import short

_TERM = re.compile(
    r"(?:([0-9.]+(?:[eE][+-]?[0-9]+)?(?:/[0-9]+)?)\*)?([A-Za-z_][A-Za-z0-9_]*)", re.ASCII
)
_LONGEST = 200


def terms(text: str) -> tuple[tuple[float, str], ...]:
    """The weights and names of a sum.

    Raises:
        OdescentError: text that does not parse as a sum, a weight that is not positive, or a name given twice.
    """
    plain = "".join(text.split())
    found: list[tuple[float, str]] = []
    place = 0
    while len(plain) <= _LONGEST and (match := _TERM.match(plain, place)) is not None:
        weight = number("the weight of a regularizer", match[1]) if match[1] else 1
        if weight <= 0:
            raise OdescentError(f"the weight of {match[2]} must be positive, not {match[1]}.")
        found.append((float(weight), match[2]))
        place = match.end() + 1
        if place > len(plain) or plain[place - 1] != "+":
            break
    if not found or place != len(plain) + 1:
        shown = text if len(text) <= _LONGEST else text[:20] + "..."
        raise OdescentError(
            f"a regularizer must be a name or a sum such as error+0.5*stiffness, not {short(shown)}."
        )
    names = [name for _, name in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise OdescentError(f"{twice} occurs twice in {text!r}: give it once, with one weight.")
    return tuple(found)


def canonical(text: str) -> str:
    """The same sum in one spelling."""
    return "+".join(name if c == 1 else f"{c!r}*{name}" for c, name in terms(text))


def options_of(name: str, alone: bool, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options of one of the terms.

    Args:
        name: of the regularizer.
        alone: whether it is the only term, which has them all; of several, each has those under its name.
        options: as they were given.

    Returns:
        Options by name.
    """
    found = options if alone else options.get(name, {})
    if not isinstance(found, Mapping):
        raise OdescentError(f"the options of {name} in a sum are given by name, not as {found!r}.")
    return found
