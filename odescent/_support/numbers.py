"""Numbers in options: exact ones from text (3, 0.1 for one tenth, 1e-4, 1/3; nothing is evaluated), and counts."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from .errors import OdescentError, shown

if TYPE_CHECKING:
    import numpy as np

_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_FRACTION = re.compile(r"[+-]?\d+/\d*[1-9]\d*", re.ASCII)
_LONGEST = 700  # letters of a number; 1e-300 as a fraction has 303
MOST = 10**15  # of steps and other counts
_LEAST, _GREATEST = Fraction(10) ** -300, Fraction(10) ** 300


def number(name: str, text: str) -> Fraction:
    """The exact value of an option.

    Raises OdescentError for anything that is not a whole number, a decimal or a fraction, and for what double
    precision takes for infinite or, though it is not, for zero.
    """
    text = text.strip()
    shown = text if len(text) <= 100 else text[:20] + "..."
    if len(text) <= _LONGEST and (_DECIMAL.fullmatch(text) or _FRACTION.fullmatch(text)):
        exact = Fraction(text)
        if exact == 0 or _LEAST <= abs(exact) <= _GREATEST:
            return exact
        raise OdescentError(f"{name} must be between 1e-300 and 1e300 in size, or 0, not {shown}.")
    raise OdescentError(f"{name} must be a number such as 10, 0.01, 1e-4 or 1/3, not {shown!r}.")


def is_number(text: str) -> bool:
    """Whether the text of an option is that of a number, whatever its size."""
    found = text.strip()
    return bool(_DECIMAL.fullmatch(found) or _FRACTION.fullmatch(found))


def real_number(name: str, text: str) -> float:
    """The value of an option as a float."""
    return float(number(name, text))


def whole_number(name: str, text: str) -> int:
    """The value of an option as an int; OdescentError if it is not a whole number."""
    value = number(name, text)
    if value.denominator != 1:
        raise OdescentError(f"{name} takes whole numbers, not {text!r}.")
    return int(value)


def assignments(
    texts: Iterable[str],
    option: str = "--set",
    example: str = "such as h=0.1 or c=3/2",
    fits: Callable[[str], bool] = str.isidentifier,
) -> dict[str, str]:
    """The pairs of ``NAME=VALUE`` options, in order.

    Args:
        texts: the pairs.
        option: what they were given to, for messages.
        example: of a pair, for messages.
        fits: whether a name can be one.

    Raises OdescentError for a pair without a name or a value, or a name given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, _, value = (part.strip() for part in text.partition("="))
        if not fits(name) or not value:
            raise OdescentError(f"{option} takes NAME=VALUE, {example}, not {text!r}.")
        if name in found:
            raise OdescentError(f"{name} was given twice: {found[name]} and {value}.")
        found[name] = value
    return found


def real(value: Any) -> float:
    """As a float; NaN if it is not a number, so that the check for finite numbers rejects it."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def reals(value: Any) -> np.ndarray:
    """As an array of doubles of its own; an empty one where it does not hold numbers in the shape of an array."""
    import numpy as np

    try:
        return np.empty(0) if np.iscomplexobj(value) else np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        return np.empty(0)


def as_whole(value: Any, other: int) -> int:
    """As an int, NumPy's included; the other one if it is none: neither 2.0 nor True is."""
    try:
        return other if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return other


def check_whole(name: str, value: object, least: int, most: float = MOST) -> int:
    """The option as an int.

    Args:
        name: of the option, for the message.
        value: any object; a bool is rejected.
        least: the lower bound, inclusive.
        most: the upper bound, inclusive; more steps than that would not end.

    Raises:
        OdescentError: not an integer, or out of bounds.
    """
    number = as_whole(value, least - 1)
    if number < least:
        raise OdescentError(
            f"{name} must be a whole number of at least {least}, not {shown(value)}."
        )
    if number > most:
        raise OdescentError(f"{name} must be at most {most:g}, not {shown(value)}.")
    return int(number)
