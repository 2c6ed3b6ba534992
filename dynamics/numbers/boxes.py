"""Arithmetic of intervals, for many at once: (low, high) pairs of NumPy arrays, rounded outwards.

What comes out contains every value on the arguments; it may be wider (Moore, Kearfott, Cloud, Introduction to
Interval Analysis, 2009, 10.1137/1.9780898717716). Four units of rounding are added at every operation, more than
those of NumPy's elementary functions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np


class Interval(NamedTuple):
    """All numbers between, entry by entry."""

    low: Any
    high: Any


EPS = 4 * np.finfo(np.float64).eps
_TINY = np.finfo(np.float64).tiny


def outwards(low: Any, high: Any) -> Interval:
    """Rounded outwards; NaN becomes the whole line."""
    low = low - (np.abs(low) * EPS + _TINY)
    high = high + (np.abs(high) * EPS + _TINY)
    blind = np.isnan(low), np.isnan(high)
    if blind[0].any():
        low = np.where(blind[0], -np.inf, low)
    if blind[1].any():
        high = np.where(blind[1], np.inf, high)
    return Interval(low, high)


def _integers(a: Any) -> bool:
    return not np.issubdtype(a.dtype, np.floating)


def add(a: Interval, b: Interval, **_: Any) -> Interval:
    low, high = a.low + b.low, a.high + b.high
    return Interval(low, high) if _integers(low) else outwards(low, high)


def neg(a: Interval, **_: Any) -> Interval:
    low = -a.high
    return Interval(low, low if a.low is a.high else -a.low)


def sub(a: Interval, b: Interval, **_: Any) -> Interval:
    return add(a, neg(b))


def mul(a: Interval, b: Interval, **_: Any) -> Interval:
    if a.low is a.high:  # a constant: two products
        a, b = b, a
    ends = [a.low * b.low, a.high * b.low]
    if b.low is not b.high:
        ends += [a.low * b.high, a.high * b.high]
    # 0 times infinity is no number, and np.minimum hands it on
    low, high = functools.reduce(np.minimum, ends), functools.reduce(np.maximum, ends)
    return Interval(low, high) if _integers(low) else outwards(low, high)


def div(a: Interval, b: Interval, **_: Any) -> Interval:
    across = (b.low <= 0) & (b.high >= 0)
    inverse = outwards(1.0 / np.where(across, 1.0, b.high), 1.0 / np.where(across, 1.0, b.low))
    done = mul(a, inverse)
    return Interval(np.where(across, -np.inf, done.low), np.where(across, np.inf, done.high))


def integer_pow(a: Interval, *, y: int, **_: Any) -> Interval:
    if y == 0:  # 1, also across zero; derivatives have such powers
        return Interval(np.ones_like(a.low), np.ones_like(a.high))
    if y < 0:
        one = np.ones((1,) * a.low.ndim)
        return div(Interval(one, one), integer_pow(a, y=-y))
    low, high = (a.low * a.low, a.high * a.high) if y == 2 else (a.low**y, a.high**y)
    pad: Callable[..., Any] = lambda v: y * EPS * np.abs(v)
    if y % 2:
        return outwards(low - pad(low), high + pad(high))
    across = (a.low <= 0) & (a.high >= 0)
    least, most = np.minimum(low, high), np.maximum(low, high)
    least = np.where(across, 0.0, least)
    found = outwards(least - pad(least), most + pad(most))
    return Interval(np.maximum(found.low, 0.0), found.high)


def increasing(fun: Callable[[Any], Any], least: float = -np.inf, most: float = np.inf) -> Any:
    def rule(a: Interval, **_: Any) -> Interval:
        found = outwards(fun(a.low), fun(a.high))
        return Interval(np.maximum(found.low, least), np.minimum(found.high, most))

    return rule


def wave(a: Interval, shift: float, fun: Callable[[Any], Any]) -> Interval:
    """sin (shift 0) or cos (shift pi / 2): extremes where a crest or a trough lies within."""
    turn = 2 * np.pi
    slack = 1e-12 * (1 + np.maximum(np.abs(a.low), np.abs(a.high)))
    low, high = a.low + shift - slack, a.high + shift + slack
    holds: Callable[..., Any] = lambda at: (
        np.floor((high - at) / turn) >= np.ceil((low - at) / turn)
    )
    ends = fun(a.low), fun(a.high)
    least = np.where(holds(-np.pi / 2), -1.0, np.minimum(*ends))
    most = np.where(holds(np.pi / 2), 1.0, np.maximum(*ends))
    return outwards(least, most)


def cosh(a: Interval, **_: Any) -> Interval:
    size = absolute(a)
    return outwards(np.cosh(size.low), np.cosh(size.high))


def absolute(a: Interval, **_: Any) -> Interval:
    across = (a.low <= 0) & (a.high >= 0)
    ends = np.abs(a.low), np.abs(a.high)
    least = np.minimum(*ends)
    return Interval(np.where(across, np.zeros_like(least), least), np.maximum(*ends))


FUNCTIONS: Mapping[str, Callable[..., Interval]] = {
    "sqrt": increasing(np.sqrt, 0.0), "exp": increasing(np.exp, 0.0), "log": increasing(np.log),
    "sinh": increasing(np.sinh), "tanh": increasing(np.tanh, -1.0, 1.0), "atan": increasing(np.arctan),
    "cosh": cosh, "sin": lambda a, **_: wave(a, 0.0, np.sin), "cos": lambda a, **_: wave(a, np.pi / 2, np.cos),
}  # fmt: skip
