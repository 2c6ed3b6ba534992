"""Digests of the programs of optimizers, from traces that include schedules and numbers in closures."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from ..optimizers.by_name import Offered, Optimizer

_CONCRETE = (jax.errors.JAXTypeError, jax.errors.TracerArrayConversionError)
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def fingerprint(optimizer: Optimizer, state: PyTree, weights: PyTree) -> str:
    """The digest of the programs that JAX traces of init, update and output, alike in every process.

    Operations, their parameters, types, shapes and constants are in it, and names are not. What Python does while an
    update runs, as in a host callback, is not seen; nor is an init that cannot be traced.

    Args:
        state: of the optimizer, as init makes it of the weights.
        weights: a pytree of arrays, whose values do not matter.

    Returns:
        64 hexadecimal digits.
    """
    made = optimizer.transformation

    def update(gradient: PyTree, state: PyTree, params: PyTree) -> Any:
        def linearized() -> tuple[Float[Array, " p"], Float[Array, "p p"]]:
            flat = _flat(params)
            return flat, jnp.eye(flat.size, dtype=flat.dtype)

        offered = Offered(_squares(params), gradient, _squares, linearized)
        return optimizer.update(gradient, state, params, offered)

    asked = [(made.init, (weights,)), (update, (weights, state, weights))]
    total = hashlib.sha256()
    for function, arguments in [*asked, (optimizer.output, (state, weights))]:
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            try:
                program = eqx.filter_make_jaxpr(function)(*arguments)[0]
            except _CONCRETE:
                if function is not made.init:
                    raise
                continue
        for line in _lines(program.jaxpr, program.consts):
            total.update(line.encode() + b"\n")
    return total.hexdigest()


def _flat(weights: PyTree) -> Float[Array, " p"]:
    flat: Float[Array, " p"] = ravel_pytree(weights)[0]
    return flat


def _squares(weights: PyTree) -> Float[Array, ""]:
    return jnp.sum(_flat(weights) ** 2)


def _lines(jaxpr: Jaxpr, constants: Any = ()) -> Iterator[str]:
    """A program with its variables numbered in the order in which they come up."""
    numbers: dict[Any, int] = {}

    def said(v: Any) -> str:
        if isinstance(v, Literal):
            return f"{_value(v.val)}:{v.aval}"
        return f"{numbers.setdefault(v, len(numbers))}:{v.aval}"

    yield f"{[said(v) for v in [*jaxpr.constvars, *jaxpr.invars]]} {_value(list(constants))}"
    for step in jaxpr.eqns:
        given = {k: v for k, v in step.params.items() if k != "name"}  # of a function
        yield f"{step.primitive.name} {[said(v) for v in step.invars]} {_value(given)}"
        yield f"{[said(v) for v in step.outvars]}"
    yield f"{[said(v) for v in jaxpr.outvars]}"


def _value(x: Any) -> str:
    """A parameter or constant as text without addresses."""
    if isinstance(x, ClosedJaxpr):
        return str(list(_lines(x.jaxpr, x.consts)))
    if isinstance(x, Jaxpr):
        return str(list(_lines(x)))
    if isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        return f"key {jr.key_impl(x)} {_value(jr.key_data(x))}"
    if isinstance(x, np.ndarray | np.generic | jax.Array):
        array = np.ascontiguousarray(x)
        return f"{array.dtype}{np.shape(x)}{hashlib.sha256(array.tobytes()).hexdigest()}"
    if isinstance(x, Mapping):
        return str([(str(k), _value(x[k])) for k in sorted(x, key=str)])
    if isinstance(x, list | tuple):
        return f"{type(x).__name__}{[_value(v) for v in x]}"
    if isinstance(x, set | frozenset):
        return str(sorted(_value(v) for v in x))
    if callable(x) and not isinstance(x, type):  # rules of differentiation, host callbacks
        return f"a {type(x).__name__}"
    return _ADDRESS.sub("", repr(x))
