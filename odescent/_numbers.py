"""Numbers in options, read exactly: 3, 0.1 (one tenth), 1e-4, 1/3. Nothing is evaluated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from ._errors import OdescentError

_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_FRACTION = re.compile(r"[+-]?\d+/\d*[1-9]\d*", re.ASCII)
_LONGEST = 100
_LEAST, _GREATEST = Fraction(10) ** -300, Fraction(10) ** 300


def number(name: str, text: str) -> Fraction:
    """The exact number that an option says.

    Raises OdescentError for anything that is not a whole number, a decimal or a fraction, and for what double
    precision takes for infinite or, though it is not, for zero.
    """
    text = text.strip()
    if len(text) <= _LONGEST and (_DECIMAL.fullmatch(text) or _FRACTION.fullmatch(text)):
        exact = Fraction(text)
        if exact == 0 or _LEAST <= abs(exact) <= _GREATEST:
            return exact
        raise OdescentError(f"{name} must be between 1e-300 and 1e300 in size, or 0, not {text}.")
    shown = text if len(text) <= _LONGEST else text[:20] + "..."
    raise OdescentError(f"{name} must be a number such as 10, 0.01, 1e-4 or 1/3, not {shown!r}.")


def assignments(texts: Sequence[str]) -> dict[str, str]:
    """The pairs of ``NAME=VALUE`` options, in order.

    Raises OdescentError for a pair without a name or a value, or a name given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, _, value = (part.strip() for part in text.partition("="))
        if not name.isidentifier() or not value:
            raise OdescentError(f"--set takes NAME=VALUE, such as h=0.1 or c=3/2, not {text!r}.")
        if name in found:
            raise OdescentError(f"{name} was given twice: {found[name]} and {value}.")
        found[name] = value
    return found
