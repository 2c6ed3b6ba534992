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
from ...dynamics.flows.jaxprs import operations, walk
from .interval_rules import RULES, Interval


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
