"""Common checks of options and arguments of the problems."""

from __future__ import annotations

import math
from typing import Any

from ..._support.errors import OdescentError
from ..._support.numbers import as_whole, real
from ..._support.rendering.brief import short


def positive(value: Any, option: str, problem: str) -> float:
    """Convert to a positive finite float.

    Args:
        value: anything that converts to a float, such as SymPy numbers and fractions.
        option: the name of the argument, for the message.
        problem: the name of the objective, for the message.

    Raises:
        OdescentError: the value is no such number.
    """
    number = real(value)
    if not (0 < number < math.inf):
        raise OdescentError(
            f"{problem}: {option} must be a positive finite number, got {short(value)}."
        )
    return number


def whole(value: Any, option: str, problem: str, least: int = 1) -> int:
    """Convert to an int of at least ``least``; 2.0 and True are refused, NumPy integers are accepted.

    Args:
        value: the value to convert.
        option: the name of the argument, for the message.
        problem: the name of the objective, for the message.
        least: the smallest value accepted.

    Raises:
        OdescentError: the value is no such integer.
    """
    number = as_whole(value, least - 1)
    if number < least:
        raise OdescentError(
            f"{problem}: {option} must be a whole number of at least {least}, got {short(value)}."
        )
    return number


def expect_shape(shape: tuple[int, ...], expected: tuple[int, ...], problem: str) -> None:
    """Refuse an argument of the wrong shape, which JAX might broadcast silently.

    Args:
        shape: the shape of the argument.
        expected: the only shape accepted.
        problem: the name of the objective, for the message.

    Raises:
        OdescentError: the shapes differ.
    """
    if shape != expected:
        raise OdescentError(f"{problem} takes an array of shape {expected}, got shape {shape}.")
