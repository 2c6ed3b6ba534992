"""Functions of users and of the registry, with the slow elementary functions exchanged for `kernels`.

A function is traced to its jaxpr, as `jax.make_jaxpr` shows it, and evaluated equation by equation; only sin,
cos and log are exchanged, and only on CPUs in float64, where XLA calls the scalar C library for them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from odescent.dynamics import kernels

_FASTER: dict[str, Callable[[Any], Any]] = {
    "sin": kernels.sin,
    "cos": kernels.cos,
    "log": kernels.log,
}


def with_kernels(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function of arrays, faster on CPUs; its derivatives too.

    Loops and conditionals inside it, and functions with derivatives of their own, are left as they are.
    """

    def faster(*arguments: Any) -> Any:
        if jax.default_backend() != "cpu":
            return function(*arguments)
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
        flat = jax.tree.leaves(arguments)
        out = _evaluate(closed.jaxpr, closed.consts, flat)
        return jax.tree.unflatten(jax.tree.structure(shape), out)

    return faster


def _evaluate(jaxpr: Any, consts: Any, arguments: Any) -> list[Any]:
    known: dict[Any, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
    known |= dict(zip(jaxpr.invars, arguments, strict=True))

    def read(v: Any) -> Any:
        return v.val if isinstance(v, core.Literal) else known[v]

    for equation in jaxpr.eqns:
        given = [read(v) for v in equation.invars]
        name = equation.primitive.name
        if name in _FASTER and equation.outvars[0].aval.dtype == jnp.float64:
            result = [_FASTER[name](*given)]
        elif name in ("jit", "pjit"):
            inner = equation.params["jaxpr"]
            result = _evaluate(inner.jaxpr, inner.consts, given)
        else:
            params = equation.primitive.get_bind_params(equation.params)
            functions, params = params if isinstance(params, tuple) else ((), params)
            made = equation.primitive.bind(*functions, *given, **params)
            result = made if equation.primitive.multiple_results else [made]
        known |= dict(zip(equation.outvars, result, strict=True))
    return [read(v) for v in jaxpr.outvars]


__all__ = ["with_kernels"]
