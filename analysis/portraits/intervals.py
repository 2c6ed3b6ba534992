"""Interval extensions of JAX functions: bounds of a function over boxes, rounded outwards.

The function is traced, and each of its operations is replaced by one on (low, high) pairs of NumPy arrays: for the
few hundred boxes of a portrait, compiling would cost more than all of it. What comes out contains every value of
the function on the box (Moore, Kearfott, Cloud, Introduction to Interval Analysis, 2009,
10.1137/1.9780898717716); it may be wider.

Four units of rounding are added at every operation, more than those of NumPy's elementary functions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..._support.errors import OdescentError
from ...dynamics.flows.jaxprs import operations, walk


class NoIntervals(OdescentError):
    """An operation that has no interval extension here."""


def interval_extension(
    fun: Callable[[Any], Any], size: int
) -> Callable[[Float[np.ndarray, "n size"], Float[np.ndarray, "n size"]], Interval]:
    """``(low, high) -> Interval`` of a function of one vector of the given length, for n boxes at once.

    The bounds have shape (n, ...), or (1, ...) where the function is constant.

    Raises:
        NoIntervals: the function uses an operation without an interval extension, which is named.
    """
    traced = jax.make_jaxpr(fun)(jnp.zeros(size, jnp.float64))
    unknown = sorted(operations(traced.jaxpr) - {*RULES, *_STRUCTURAL})
    if unknown:
        raise NoIntervals(f"there are no interval bounds for the operation {unknown[0]!r}.")

    def extended(low: Any, high: Any) -> Interval:
        with np.errstate(all="ignore"):
            (out,) = walk(traced.jaxpr, traced.consts, [Interval(low, high)], _bounded, _constant)
        return out  # type: ignore[no-any-return]

    return extended


def _constant(value: Any) -> Interval:
    one = np.asarray(value)[None]
    return Interval(one, one)


def _bounded(eqn: Any, ins: list[Interval]) -> list[Interval]:
    """The bounds of what an operation gives."""
    name = eqn.primitive.name
    ins = _aligned(name, ins)
    return [RULES[name](*ins, **eqn.params)] if name in RULES else _monotone(eqn, ins)


def _aligned(name: str, ins: list[Interval]) -> list[Interval]:
    """Scalars are broadcast to the arrays' axes, behind that of the boxes."""
    most = max((i.low.ndim for i in ins), default=0)
    if name in _UNLIKE or all(i.low.ndim == most for i in ins):
        return ins
    made = []
    for low, high in ins:
        wide = low if low.ndim == most else low.reshape(len(low), *(1,) * (most - 1))
        made.append(Interval(wide, wide if low is high else high.reshape(wide.shape)))
    return made


def _monotone(eqn: Any, ins: list[Interval]) -> list[Interval]:
    """An operation that increases with every entry of its arguments: on the low ends, then on the high ones."""
    fun = _STRUCTURAL[eqn.primitive.name]
    low = fun(*[i.low for i in ins], **eqn.params)
    if all(i.low is i.high for i in ins):  # a constant stays one
        high = low
    else:
        high = fun(*[i.high for i in ins], **eqn.params)
    if eqn.primitive.multiple_results:
        return [Interval(*ends) for ends in zip(low, high, strict=True)]
    return [Interval(low, high)]


# All arrays have one axis more than the function saw: boxes come first, and constants have one box.


def _up(axes: Any) -> tuple[int, ...]:
    return tuple(int(a) + 1 for a in axes)


def _broadcast(a: Any, *, shape: Any, broadcast_dimensions: Any, **_: Any) -> Any:
    spread = [1] * len(shape)
    for size, at in zip(a.shape[1:], broadcast_dimensions, strict=True):
        spread[at] = size
    return np.broadcast_to(a.reshape(len(a), *spread), (len(a), *shape))


def _concatenate(*parts: Any, dimension: int, **_: Any) -> Any:
    n = max(len(p) for p in parts)
    whole = [np.broadcast_to(p, (n, *p.shape[1:])) for p in parts]
    return np.concatenate(whole, dimension + 1)


def _stack(*parts: Any, axis: int, **_: Any) -> Any:
    return np.stack(np.broadcast_arrays(*parts), axis + 1)


def _unstack(a: Any, *, axis: int, **_: Any) -> list[Any]:
    return [a.take(i, axis + 1) for i in range(a.shape[axis + 1])]


def _split(a: Any, *, sizes: Any, axis: int, **_: Any) -> list[Any]:
    return np.split(a, np.cumsum(sizes)[:-1], axis + 1)


def _pad(a: Any, value: Any, *, padding_config: Any, **_: Any) -> Any:
    """Entries before, after and between, or fewer of them where the numbers are negative."""
    sizes = [
        s + max(s - 1, 0) * i for s, (_, _, i) in zip(a.shape[1:], padding_config, strict=True)
    ]
    wide = np.empty((max(len(a), len(value)), *sizes), np.result_type(a, value))
    wide[:] = value.reshape(len(value), *(1,) * len(sizes))
    wide[(slice(None), *(slice(None, None, i + 1) for _, _, i in padding_config))] = a
    for axis, (before, after, _) in enumerate(padding_config, 1):
        kept = np.arange(-before, wide.shape[axis] + after)
        inside = (kept >= 0) & (kept < wide.shape[axis])
        part = wide.take(np.where(inside, kept, 0), axis)
        there = inside.reshape(-1, *(1,) * (wide.ndim - axis - 1))
        wide = np.where(there, part, value.reshape(len(value), *(1,) * len(sizes)))
    return wide


def _slice(a: Any, *, start_indices: Any, limit_indices: Any, strides: Any, **_: Any) -> Any:
    steps = strides or (1,) * len(start_indices)
    cuts = zip(start_indices, limit_indices, steps, strict=True)
    return a[(slice(None), *(slice(*c) for c in cuts))]


def _iota(*_: Any, dtype: Any, shape: Any, dimension: int, **__: Any) -> Any:
    along = np.arange(shape[dimension], dtype=dtype)
    spread = [1] * len(shape)
    spread[dimension] = -1
    return np.broadcast_to(along.reshape(spread), shape)[None]


def _round(a: Any, method: int) -> Any:
    """To the nearest whole number; halves away from zero (0) or to even numbers (1)."""
    whole = np.trunc(a)
    return np.round(a) if method else whole + np.sign(a) * (np.abs(a - whole) >= 0.5)


def _same(a: Any, **_: Any) -> Any:
    return a


_STRUCTURAL: dict[str, Callable[..., Any]] = {
    "broadcast_in_dim": _broadcast, "concatenate": _concatenate, "slice": _slice, "iota": _iota,
    "stack": _stack, "unstack": _unstack, "split": _split, "pad": _pad,
    "rev": lambda a, *, dimensions, **_: np.flip(a, _up(dimensions)),
    "reshape": lambda a, *, new_sizes, **_: a.reshape(len(a), *new_sizes),
    "squeeze": lambda a, *, dimensions, **_: np.squeeze(a, _up(dimensions)),
    "transpose": lambda a, *, permutation, **_: a.transpose(0, *_up(permutation)),
    "convert_element_type": lambda a, *, new_dtype, **_: a.astype(new_dtype),
    "copy": _same, "copy_p": _same, "stop_gradient": _same,
    "reduce_max": lambda a, *, axes, **_: a.max(_up(axes)), "reduce_min": lambda a, *, axes, **_: a.min(_up(axes)),
    "max": lambda a, b, **_: np.maximum(a, b), "min": lambda a, b, **_: np.minimum(a, b),
    "floor": lambda a, **_: np.floor(a), "ceil": lambda a, **_: np.ceil(a),
    "round": lambda a, *, rounding_method, **_: _round(a, int(rounding_method)),
    "and": lambda a, b, **_: a & b, "or": lambda a, b, **_: a | b,
}  # fmt: skip
_UNLIKE = {"dot_general", "select_n", "concatenate", "pad"}  # arguments that differ in their axes


class Interval(NamedTuple):
    """All numbers between, entry by entry."""

    low: Any
    high: Any


_EPS = 4 * np.finfo(np.float64).eps
_TINY = np.finfo(np.float64).tiny


def _out(low: Any, high: Any) -> Interval:
    """Rounded outwards; NaN becomes the whole line."""
    low = low - (np.abs(low) * _EPS + _TINY)
    high = high + (np.abs(high) * _EPS + _TINY)
    blind = np.isnan(low), np.isnan(high)
    if blind[0].any():
        low = np.where(blind[0], -np.inf, low)
    if blind[1].any():
        high = np.where(blind[1], np.inf, high)
    return Interval(low, high)


def _integers(a: Any) -> bool:
    return not np.issubdtype(a.dtype, np.floating)


def _add(a: Interval, b: Interval, **_: Any) -> Interval:
    low, high = a.low + b.low, a.high + b.high
    return Interval(low, high) if _integers(low) else _out(low, high)


def _neg(a: Interval, **_: Any) -> Interval:
    low = -a.high
    return Interval(low, low if a.low is a.high else -a.low)


def _sub(a: Interval, b: Interval, **_: Any) -> Interval:
    return _add(a, _neg(b))


def _mul(a: Interval, b: Interval, **_: Any) -> Interval:
    if a.low is a.high:  # a constant: two products
        a, b = b, a
    ends = [a.low * b.low, a.high * b.low]
    if b.low is not b.high:
        ends += [a.low * b.high, a.high * b.high]
    # 0 times infinity is no number, and np.minimum hands it on
    low, high = functools.reduce(np.minimum, ends), functools.reduce(np.maximum, ends)
    return Interval(low, high) if _integers(low) else _out(low, high)


def _div(a: Interval, b: Interval, **_: Any) -> Interval:
    across = (b.low <= 0) & (b.high >= 0)
    inverse = _out(1.0 / np.where(across, 1.0, b.high), 1.0 / np.where(across, 1.0, b.low))
    done = _mul(a, inverse)
    return Interval(np.where(across, -np.inf, done.low), np.where(across, np.inf, done.high))


def _integer_pow(a: Interval, *, y: int, **_: Any) -> Interval:
    if y == 0:  # 1, also across zero; derivatives have such powers
        return Interval(np.ones_like(a.low), np.ones_like(a.high))
    if y < 0:
        one = np.ones((1,) * a.low.ndim)
        return _div(Interval(one, one), _integer_pow(a, y=-y))
    low, high = (a.low * a.low, a.high * a.high) if y == 2 else (a.low**y, a.high**y)
    pad: Callable[..., Any] = lambda v: y * _EPS * np.abs(v)
    if y % 2:
        return _out(low - pad(low), high + pad(high))
    across = (a.low <= 0) & (a.high >= 0)
    least, most = np.minimum(low, high), np.maximum(low, high)
    least = np.where(across, 0.0, least)
    found = _out(least - pad(least), most + pad(most))
    return Interval(np.maximum(found.low, 0.0), found.high)


def _increasing(fun: Callable[[Any], Any], least: float = -np.inf, most: float = np.inf) -> Any:
    def rule(a: Interval, **_: Any) -> Interval:
        found = _out(fun(a.low), fun(a.high))
        return Interval(np.maximum(found.low, least), np.minimum(found.high, most))

    return rule


def _special(name: str) -> Callable[[Any], Any]:
    def fun(x: Any) -> Any:
        import scipy.special

        return getattr(scipy.special, name)(x)

    return fun


def _wave(a: Interval, shift: float, fun: Callable[[Any], Any]) -> Interval:
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
    return _out(least, most)


def _cosh(a: Interval, **_: Any) -> Interval:
    size = _abs(a)
    return _out(np.cosh(size.low), np.cosh(size.high))


def _abs(a: Interval, **_: Any) -> Interval:
    across = (a.low <= 0) & (a.high >= 0)
    ends = np.abs(a.low), np.abs(a.high)
    least = np.minimum(*ends)
    return Interval(np.where(across, np.zeros_like(least), least), np.maximum(*ends))


def _dot(a: Interval, b: Interval, *, dimension_numbers: Any, **_: Any) -> Interval:
    """By middle and radius, with the rounding of the sums."""
    (summed_a, summed_b), (batch_a, batch_b) = dimension_numbers
    names = iter("abcdefghijklmnopqrstuvwxyz")
    at = [next(names) for _ in range(a.low.ndim - 1)]
    bt = [next(names) for _ in range(b.low.ndim - 1)]
    for i, j in (*zip(summed_a, summed_b, strict=True), *zip(batch_a, batch_b, strict=True)):
        bt[j] = at[i]
    kept = [at[i] for i in batch_a]
    kept += [n for i, n in enumerate(at) if i not in (*summed_a, *batch_a)]
    kept += [n for j, n in enumerate(bt) if j not in (*summed_b, *batch_b)]
    rule = f"...{''.join(at)},...{''.join(bt)}->...{''.join(kept)}"
    dot: Callable[..., Any] = lambda u, v: np.einsum(rule, u, v)
    (am, ar), (bm, br) = (((i.low + i.high) / 2, (i.high - i.low) / 2) for i in (a, b))
    middle = dot(am, bm)
    sizes = dot(np.abs(am) + ar, np.abs(bm) + br)
    radius = dot(np.abs(am), br) + dot(ar, np.abs(bm)) + dot(ar, br)
    terms = am[0].size + bm[0].size
    radius = radius + terms * _EPS * sizes
    return _out(middle - radius, middle + radius)


def _sum(a: Interval, *, axes: Any, **_: Any) -> Interval:
    over = tuple(int(i) + 1 for i in axes)
    pad = a.low[0].size * _EPS * np.maximum(np.abs(a.low), np.abs(a.high)).sum(over)
    return _out(a.low.sum(over) - pad, a.high.sum(over) + pad)


def _less(strict: bool) -> Any:
    """a < b or a <= b: the booleans that are possible, False < True."""

    def rule(a: Interval, b: Interval, **_: Any) -> Interval:
        if strict:
            return Interval(a.high < b.low, a.low < b.high)
        return Interval(a.high <= b.low, a.low <= b.high)

    return rule


def _equal(a: Interval, b: Interval, **_: Any) -> Interval:
    sure = (a.low == a.high) & (b.low == b.high) & (a.low == b.low)
    return Interval(sure, (a.low <= b.high) & (b.low <= a.high))


def _select(which: Interval, *cases: Interval, **_: Any) -> Interval:
    """The case, or the hull of those that are possible."""
    lows, highs = (
        np.stack(np.broadcast_arrays(*[getattr(c, end) for c in cases])) for end in ("low", "high")
    )
    first, last = (
        w.reshape(*w.shape, *(1,) * (lows.ndim - 1 - w.ndim)) for w in map(np.asarray, which)
    )
    low, high = lows.min(0), highs.max(0)
    for i in range(len(cases)):
        sure = (first == i) & (last == i)
        low, high = np.where(sure, lows[i], low), np.where(sure, highs[i], high)
    return Interval(low, high)


def _sign(a: Interval, **_: Any) -> Interval:
    return Interval(np.sign(a.low), np.sign(a.high))


RULES: dict[str, Callable[..., Interval]] = {
    "add": _add, "add_any": _add, "sub": _sub, "mul": _mul, "div": _div, "neg": _neg, "integer_pow": _integer_pow,
    "square": lambda a, **_: _integer_pow(a, y=2), "abs": _abs, "sign": _sign, "cosh": _cosh,
    "exp": _increasing(np.exp, 0.0), "log": _increasing(np.log), "log1p": _increasing(np.log1p),
    "expm1": _increasing(np.expm1, -1.0), "sqrt": _increasing(np.sqrt, 0.0), "sinh": _increasing(np.sinh),
    "tanh": _increasing(np.tanh, -1.0, 1.0), "atan": _increasing(np.arctan),
    "logistic": _increasing(_special("expit"), 0.0, 1.0), "erf": _increasing(_special("erf"), -1.0, 1.0),
    "sin": lambda a, **_: _wave(a, 0.0, np.sin), "cos": lambda a, **_: _wave(a, np.pi / 2, np.cos),
    "dot_general": _dot, "reduce_sum": _sum, "select_n": _select,
    "lt": _less(True), "le": _less(False), "gt": lambda a, b, **_: _less(True)(b, a),
    "ge": lambda a, b, **_: _less(False)(b, a), "eq": _equal,
    "not": lambda a, **_: Interval(~a.high, ~a.low),
}  # fmt: skip
