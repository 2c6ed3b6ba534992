"""Interval extensions of JAX functions: bounds of a function over boxes, rounded outwards.

The function is traced, and each of its operations is replaced by one on (low, high) pairs of NumPy arrays: for the
few hundred boxes of a portrait, compiling would cost more than all of it. What comes out contains every value of
the function on the box (Moore, Kearfott, Cloud, Introduction to Interval Analysis, 2009,
10.1137/1.9780898717716); it may be wider.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..._support.errors import OdescentError
from ...dynamics.numbers.boxes import (
    EPS,
    FUNCTIONS,
    Interval,
    absolute,
    add,
    div,
    increasing,
    integer_pow,
    mul,
    neg,
    outwards,
    sub,
)
from ...dynamics.vector_fields.jaxprs import operations, walk


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
    full = [s + low + high for s, (low, high, _) in zip(sizes, padding_config, strict=True)]
    n, fill, kind = max(len(a), len(value)), value.reshape(len(value)), np.result_type(a, value)
    wide, out = np.empty((n, *sizes), kind), np.empty((n, *full), kind)
    for made in (wide, out):
        made[:] = fill.reshape(-1, *(1,) * len(sizes))
    wide[(slice(None), *(slice(None, None, i + 1) for _, _, i in padding_config))] = a
    kept = [
        slice(max(-low, 0), s - max(-high, 0))
        for s, (low, high, _) in zip(sizes, padding_config, strict=True)
    ]
    to = [
        slice(max(low, 0), s - max(high, 0))
        for s, (low, high, _) in zip(full, padding_config, strict=True)
    ]
    out[(slice(None), *to)] = wide[(slice(None), *kept)]
    return out


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


def _special(name: str) -> Callable[[Any], Any]:
    def fun(x: Any) -> Any:
        import scipy.special

        return getattr(scipy.special, name)(x)

    return fun


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
    radius = radius + terms * EPS * sizes
    return outwards(middle - radius, middle + radius)


def _sum(a: Interval, *, axes: Any, **_: Any) -> Interval:
    over = tuple(int(i) + 1 for i in axes)
    pad = a.low[0].size * EPS * np.maximum(np.abs(a.low), np.abs(a.high)).sum(over)
    return outwards(a.low.sum(over) - pad, a.high.sum(over) + pad)


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
    "add": add, "add_any": add, "sub": sub, "mul": mul, "div": div, "neg": neg, "integer_pow": integer_pow,
    "square": lambda a, **_: integer_pow(a, y=2), "abs": absolute, "sign": _sign, **FUNCTIONS,
    "log1p": increasing(np.log1p), "expm1": increasing(np.expm1, -1.0),
    "logistic": increasing(_special("expit"), 0.0, 1.0), "erf": increasing(_special("erf"), -1.0, 1.0),
    "dot_general": _dot, "reduce_sum": _sum, "select_n": _select,
    "lt": _less(True), "le": _less(False), "gt": lambda a, b, **_: _less(True)(b, a),
    "ge": lambda a, b, **_: _less(False)(b, a), "eq": _equal,
    "not": lambda a, **_: Interval(~a.high, ~a.low),
}  # fmt: skip
