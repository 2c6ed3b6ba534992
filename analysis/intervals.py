"""Interval extensions of JAX functions: bounds of a function over a box, rounded outwards.

The function is traced, and each of its operations is replaced by one on (low, high) pairs. What comes
out contains every value of the function on the box (Moore, Kearfott, Cloud, Introduction to Interval
Analysis, 2009, 10.1137/1.9780898717716); it may be wider. Four units of rounding are added at every operation, more
than those of XLA's elementary functions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from odescent._errors import OdescentError


class NoIntervals(OdescentError):
    """An operation that has no interval extension here."""


class Interval(NamedTuple):
    """All numbers between, entry by entry."""

    low: Any
    high: Any


def interval_extension(fun: Callable[[Any], Any], size: int) -> Callable[[Any, Any], Interval]:
    """``(low, high) -> Interval`` of a function of one vector of the given length.

    Raises:
        NoIntervals: the function uses an operation without an interval extension, which is named.
    """
    traced = jax.make_jaxpr(fun)(jnp.zeros(size, jnp.float64))
    unknown = sorted(_unknown(traced.jaxpr))
    if unknown:
        raise NoIntervals(f"there are no interval bounds for the operation {unknown[0]!r}.")

    def extended(low: Any, high: Any) -> Interval:
        (out,) = _run(traced.jaxpr, traced.consts, [Interval(low, high)])
        return out

    return extended


def _unknown(jaxpr: Any) -> set[str]:
    missing: set[str] = set()
    for eqn in jaxpr.eqns:
        inner = _inner(eqn)
        name = eqn.primitive.name
        if inner is not None:
            missing |= _unknown(inner[0])
        elif name not in _RULES and name not in _STRUCTURAL:
            missing.add(name)
    return missing


def _inner(eqn: Any) -> tuple[Any, Any] | None:
    for name in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        closed = eqn.params.get(name)
        if closed is not None and eqn.primitive.name not in ("while", "scan", "cond"):
            return getattr(closed, "jaxpr", closed), getattr(closed, "consts", ())
    return None


def _run(jaxpr: Any, consts: Any, arguments: list[Interval]) -> list[Interval]:
    known: dict[Any, Interval] = {}

    def read(v: Any) -> Interval:
        if hasattr(v, "val"):
            value = jnp.asarray(v.val)
            return Interval(value, value)
        return known[v]

    known.update(zip(jaxpr.constvars, [Interval(c, c) for c in consts], strict=True))
    known.update(zip(jaxpr.invars, arguments, strict=True))
    for eqn in jaxpr.eqns:
        ins = [read(v) for v in eqn.invars]
        inner = _inner(eqn)
        name = eqn.primitive.name
        if inner is not None:
            outs = _run(inner[0], inner[1], ins[-len(inner[0].invars) :])
        elif name in _STRUCTURAL:
            low = eqn.primitive.bind(*[i.low for i in ins], **eqn.params)
            high = eqn.primitive.bind(*[i.high for i in ins], **eqn.params)
            several = eqn.primitive.multiple_results
            outs = (
                [Interval(*p) for p in zip(low, high, strict=True)]
                if several
                else [Interval(low, high)]
            )
        else:
            outs = [_RULES[name](*ins, **eqn.params)]
        known.update(zip(eqn.outvars, outs, strict=True))
    return [read(v) for v in jaxpr.outvars]


_EPS = 4 * np.finfo(np.float64).eps
_TINY = np.finfo(np.float64).tiny


def _full(a: Any, value: float) -> Any:
    return jax.lax.full_like(a, value)


def _out(low: Any, high: Any) -> Interval:
    """Rounded outwards; what is no number becomes everything."""
    # in lax throughout, as in the commonest rules below: that is traced several times faster than jnp
    low, high = (
        jax.lax.select(jax.lax.ne(v, v), _full(v, end), v)
        for v, end in ((low, -np.inf), (high, np.inf))
    )
    pad: Callable[..., Any] = lambda v: jax.lax.add(
        jax.lax.mul(jax.lax.abs(v), _full(v, _EPS)), _full(v, _TINY)
    )
    return Interval(jax.lax.sub(low, pad(low)), jax.lax.add(high, pad(high)))


def _integers(a: Any) -> bool:
    return not jnp.issubdtype(jnp.result_type(a), jnp.floating)


def _add(a: Interval, b: Interval, **_: Any) -> Interval:
    low, high = jax.lax.add(a.low, b.low), jax.lax.add(a.high, b.high)
    return Interval(low, high) if _integers(low) else _out(low, high)


def _neg(a: Interval, **_: Any) -> Interval:
    return Interval(jax.lax.neg(a.high), jax.lax.neg(a.low))


def _sub(a: Interval, b: Interval, **_: Any) -> Interval:
    return _add(a, _neg(b))


def _mul(a: Interval, b: Interval, **_: Any) -> Interval:
    if a.low is a.high:  # a constant: two products
        a, b = b, a
    ends = [jax.lax.mul(a.low, b.low), jax.lax.mul(a.high, b.low)]
    if b.low is not b.high:
        ends += [jax.lax.mul(a.low, b.high), jax.lax.mul(a.high, b.high)]
    low, high = functools.reduce(jax.lax.min, ends), functools.reduce(jax.lax.max, ends)
    return Interval(low, high) if _integers(low) else _out(low, high)


def _div(a: Interval, b: Interval, **_: Any) -> Interval:
    across = (b.low <= 0) & (b.high >= 0)
    one = jnp.ones_like(b.low)
    inverse = _out(one / jnp.where(across, one, b.high), one / jnp.where(across, one, b.low))
    done = _mul(a, inverse)
    return Interval(jnp.where(across, -jnp.inf, done.low), jnp.where(across, jnp.inf, done.high))


def _integer_pow(a: Interval, *, y: int, **_: Any) -> Interval:
    if y < 0:
        one = jnp.ones_like(a.low)
        return _div(Interval(one, one), _integer_pow(a, y=-y))
    low, high = a.low**y, a.high**y
    pad: Callable[..., Any] = lambda v: y * _EPS * jnp.abs(v)
    if y % 2:
        return _out(low - pad(low), high + pad(high))
    across = (a.low <= 0) & (a.high >= 0)
    least, most = jnp.minimum(low, high), jnp.maximum(low, high)
    least = jnp.where(across, jnp.zeros_like(least), least)
    found = _out(least - pad(least), most + pad(most))
    return Interval(jnp.maximum(found.low, 0.0), found.high)


def _increasing(fun: Callable[[Any], Any], least: float = -np.inf, most: float = np.inf) -> Any:
    def rule(a: Interval, **_: Any) -> Interval:
        found = _out(fun(a.low), fun(a.high))
        return Interval(jnp.maximum(found.low, least), jnp.minimum(found.high, most))

    return rule


def _wave(a: Interval, shift: float, fun: Callable[[Any], Any]) -> Interval:
    """sin (shift 0) or cos (shift pi / 2): extremes where a crest or a trough lies within."""
    turn = 2 * np.pi
    slack = 1e-12 * (1 + jnp.maximum(jnp.abs(a.low), jnp.abs(a.high)))
    low, high = a.low + shift - slack, a.high + shift + slack
    holds: Callable[..., Any] = lambda at: (
        jnp.floor((high - at) / turn) >= jnp.ceil((low - at) / turn)
    )
    ends = fun(a.low), fun(a.high)
    least = jnp.where(holds(-np.pi / 2), -1.0, jnp.minimum(*ends))
    most = jnp.where(holds(np.pi / 2), 1.0, jnp.maximum(*ends))
    return _out(least, most)


def _cosh(a: Interval, **_: Any) -> Interval:
    size = _abs(a)
    return _out(jnp.cosh(size.low), jnp.cosh(size.high))


def _abs(a: Interval, **_: Any) -> Interval:
    across = (a.low <= 0) & (a.high >= 0)
    ends = jnp.abs(a.low), jnp.abs(a.high)
    least = jnp.minimum(*ends)
    return Interval(jnp.where(across, jnp.zeros_like(least), least), jnp.maximum(*ends))


def _dot(a: Interval, b: Interval, **params: Any) -> Interval:
    """By middle and radius, with the rounding of the sums."""
    dot: Callable[..., Any] = lambda u, v: jax.lax.dot_general_p.bind(u, v, **params)
    (am, ar), (bm, br) = (((i.low + i.high) / 2, (i.high - i.low) / 2) for i in (a, b))
    middle = dot(am, bm)
    sizes = dot(jnp.abs(am) + ar, jnp.abs(bm) + br)
    radius = dot(jnp.abs(am), br) + dot(ar, jnp.abs(bm)) + dot(ar, br)
    terms = np.size(am) + np.size(bm)
    radius = radius + terms * _EPS * sizes
    return _out(middle - radius, middle + radius)


def _sum(a: Interval, **params: Any) -> Interval:
    add: Callable[..., Any] = lambda v: jax.lax.reduce_sum_p.bind(v, **params)
    pad = np.size(a.low) * _EPS * add(jnp.maximum(jnp.abs(a.low), jnp.abs(a.high)))
    return _out(add(a.low) - pad, add(a.high) + pad)


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
    low = jax.lax.select_n(jnp.asarray(which.low), *[jnp.asarray(c.low) for c in cases])
    high = jax.lax.select_n(jnp.asarray(which.low), *[jnp.asarray(c.high) for c in cases])
    sure = jnp.asarray(which.low) == jnp.asarray(which.high)
    all_low = jnp.min(jnp.stack([jnp.asarray(c.low) for c in cases]), 0)
    all_high = jnp.max(jnp.stack([jnp.asarray(c.high) for c in cases]), 0)
    return Interval(jnp.where(sure, low, all_low), jnp.where(sure, high, all_high))


def _sign(a: Interval, **_: Any) -> Interval:
    return Interval(jnp.sign(a.low), jnp.sign(a.high))


_STRUCTURAL = {
    "broadcast_in_dim", "reshape", "squeeze", "slice", "concatenate", "transpose", "convert_element_type", "copy",
    "copy_p", "expand_dims", "iota", "rev", "reduce_max", "reduce_min", "max", "min", "stop_gradient", "floor",
    "ceil", "round", "and", "or", "pad", "stack", "split", "unstack",
}  # fmt: skip
_RULES: dict[str, Callable[..., Interval]] = {
    "add": _add, "add_any": _add, "sub": _sub, "mul": _mul, "div": _div, "neg": _neg, "integer_pow": _integer_pow,
    "square": lambda a, **_: _integer_pow(a, y=2), "abs": _abs, "sign": _sign, "cosh": _cosh,
    "exp": _increasing(jnp.exp, 0.0), "log": _increasing(jnp.log), "log1p": _increasing(jnp.log1p),
    "expm1": _increasing(jnp.expm1, -1.0), "sqrt": _increasing(jnp.sqrt, 0.0), "sinh": _increasing(jnp.sinh),
    "tanh": _increasing(jnp.tanh, -1.0, 1.0), "atan": _increasing(jnp.arctan),
    "logistic": _increasing(jax.nn.sigmoid, 0.0, 1.0), "erf": _increasing(jax.lax.erf, -1.0, 1.0),
    "sin": lambda a, **_: _wave(a, 0.0, jnp.sin), "cos": lambda a, **_: _wave(a, np.pi / 2, jnp.cos),
    "dot_general": _dot, "reduce_sum": _sum, "select_n": _select,
    "lt": _less(True), "le": _less(False), "gt": lambda a, b, **_: _less(True)(b, a),
    "ge": lambda a, b, **_: _less(False)(b, a), "eq": _equal,
    "not": lambda a, **_: Interval(~a.high, ~a.low),
}  # fmt: skip
