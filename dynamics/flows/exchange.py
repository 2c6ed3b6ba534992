"""Faster elementary functions inside of functions of arrays.

A function is traced to its jaxpr, as `jax.make_jaxpr` shows it, and evaluated equation by equation; only these are
exchanged, and only on CPUs in float64: sin, cos and log, for which XLA calls the scalar C library; sin(c x) and
cos(c x) for a number c that is 2 pi times a short one, which are counted in turns (the product c x has a rounding
error of its own that is as large as what this changes); and short sums over the coordinates of points, term by
term, which XLA would make in scalar code together with what is summed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from ..random import elementary as kernels
from ..vector_fields.jaxprs import walk

_FASTER: dict[str, Callable[[Any], Any]] = {
    "sin": kernels.sin,
    "cos": kernels.cos,
    "log": kernels.log,
}
_IN_TURNS = {"sin": kernels.sin2pi, "cos": kernels.cos2pi}
_UNROLLED = range(3, 33)  # terms of sums: XLA unrolls shorter ones, and cuts longer ones by itself


def platform() -> str:
    """The platform that JAX computes on now: that of `jax.default_device` where one is set."""
    device = jax.config.jax_default_device  # type: ignore[attr-defined]
    return jax.default_backend() if device is None else str(getattr(device, "platform", device))


def with_kernels(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function of arrays, faster on CPUs; its derivatives too.

    Loops and conditionals inside it, and functions with derivatives of their own, are left as they are.
    """

    def faster(*arguments: Any) -> Any:
        if platform() != "cpu":
            return function(*arguments)
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
        flat = jax.tree.leaves(arguments)
        out = walk(closed.jaxpr, closed.consts, flat, _Exchange(), entered=("jit", "pjit"))
        return jax.tree.unflatten(jax.tree.structure(shape), out)

    return faster


class _Exchange:
    """The rule by which operations are exchanged; it remembers what made each value."""

    def __init__(self) -> None:
        self.made: dict[Any, tuple[Any, list[Any]]] = {}

    def __call__(self, equation: Any, given: list[Any]) -> list[Any]:
        name = equation.primitive.name
        double = any(
            v.aval.dtype == jnp.float64 for v in equation.outvars[:1]
        )  # jax.debug has none
        self.made |= dict.fromkeys(equation.outvars, (equation, given))
        if name in _FASTER and double:
            turned = _turned(*self.made.get(equation.invars[0], (None, [])))
            if name in _IN_TURNS and turned is not None:
                x, turns = turned
                return [_IN_TURNS[name](x * turns)]
            return [_FASTER[name](*given)]
        if name == "reduce_sum" and _unrolls(equation):
            return [_term_by_term(given[0], equation.params["axes"][0])]
        params = equation.primitive.get_bind_params(equation.params)
        functions, params = params if isinstance(params, tuple) else ((), params)
        bound = equation.primitive.bind(*functions, *given, **params)
        return list(bound) if equation.primitive.multiple_results else [bound]


def _turned(equation: Any, given: list[Any]) -> tuple[Any, float] | None:
    """(x, q) where the equation is c x for the number c nearest to 2 pi q, q = n / 8 for a whole n."""
    if equation is None or equation.primitive.name != "mul":
        return None
    for i, c in enumerate(equation.invars[::-1]):
        alone = isinstance(equation.invars[i], core.Literal)
        if isinstance(c, core.Literal) and not alone and np.ndim(c.val) == 0:
            factor = float(c.val)
            eighths = round(factor * 4 / math.pi) if math.isfinite(factor) else 0
            whole = (eighths / 8 * (2 * math.pi), eighths / 4 * math.pi)
            if 0 < abs(eighths) <= 256 and factor in whole:
                return given[i], eighths / 8
    return None


def _unrolls(equation: Any) -> bool:
    """Whether it sums few terms, of columns or of several numbers each."""
    (x,), axes = equation.invars, equation.params["axes"]
    return (
        len(axes) == 1
        and axes[0] < x.aval.ndim - 1
        and x.aval.shape[axes[0]] in _UNROLLED
        and x.aval.dtype == jnp.float64
    )


def _term_by_term(x: Any, axis: int) -> Any:
    terms = [jax.lax.index_in_dim(x, i, axis, False) for i in range(x.shape[axis])]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


__all__ = ["with_kernels"]
