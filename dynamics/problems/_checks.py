"""Checks of options and arguments that the problems share; each failure is one sentence."""

from __future__ import annotations

import math
import operator
from typing import Any

from ..._errors import OdescentError


def positive(value: Any, option: str, problem: str) -> float:
    """`value` as a positive finite float; accepts anything with a `float` (SymPy numbers, fractions)."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not (0 < number < math.inf):
        raise OdescentError(f"{problem}: {option} must be a positive finite number, got {value!r}")
    return number


def whole(value: Any, option: str, problem: str, least: int = 1) -> int:
    """`value` as an int of at least `least`; 2.0 and True are refused, NumPy integers are not."""
    try:
        number = least - 1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise OdescentError(
            f"{problem}: {option} must be a whole number of at least {least}, got {value!r}"
        )
    return number


def expect_shape(shape: tuple[int, ...], expected: tuple[int, ...], problem: str) -> None:
    """Refuse an argument of another shape, which JAX might broadcast silently."""
    if shape != expected:
        raise OdescentError(f"{problem} takes an array of shape {expected}, got shape {shape}")
