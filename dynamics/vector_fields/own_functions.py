"""Objectives from the user's own JAX functions: their names, what they have to be, and what is no such function."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..._support.errors import OdescentError, listed
from .objective import Objective, function_name, refuse_torch

_KEPT: dict[Any, Objective] = {}  # what is compiled for an objective is found by it
_MOST = 64


def wrapped(fun: Callable[[Any], Any], x: Any) -> Objective:
    """The objective of a JAX function, the same one as long as the function computes the same.

    The function is traced each time, and what is compiled for it serves again where the trace is the one of before:
    data that it reads from outside may change between two calls.

    Args:
        fun: a JAX function of one array or pytree to a number.
        x: a point, which says of what shape and type.

    Raises:
        OdescentError: the function takes another number of arguments, is not one of JAX, or returns no real number.
    """
    refuse_torch(fun)
    name = function_name(fun)
    key = _trace(fun, name, x)
    if key is None:
        return Objective(name, fun)
    if key not in _KEPT:
        while len(_KEPT) >= _MOST:
            del _KEPT[next(iter(_KEPT))]
        _KEPT[key] = Objective(name, fun)
    return _KEPT[key]


def _trace(fun: Callable[[Any], Any], name: str, x: Any) -> Any:
    """What tells a function from others, its trace; None where nothing hashable does."""
    import inspect

    import jax

    try:
        inspect.signature(fun).bind(x)
    except TypeError:
        raise OdescentError(
            f"{name} must be a function of one argument, the point; bind the others, as in lambda x: {name}(x, ...)."
        ) from None
    except ValueError:  # of what is built in there is no signature
        pass
    untraced = OdescentError(
        f"{name} is not a function that JAX can trace: write it with jax.numpy instead of NumPy, and with "
        "jnp.where or jax.lax instead of if, float and loops that depend on values."
    )
    try:
        # JAX keeps traces by function; a new one is traced anew
        made, shape = jax.make_jaxpr(partial(fun), return_shape=True)(x)
    except (
        jax.errors.TracerArrayConversionError, jax.errors.ConcretizationTypeError,
        jax.errors.TracerIntegerConversionError,
    ):  # fmt: skip
        raise untraced from None
    except OdescentError:
        raise
    except Exception as error:
        # of the user's function, which has to work on JAX arrays of this shape
        said = str(error).partition("\n")[0].rstrip(".")
        if "Tracer" in said:  # of another library
            raise untraced from error
        shapes = listed([str(jax.numpy.shape(leaf)) for leaf in jax.tree.leaves(x)])
        raise OdescentError(
            f"{name} raises {type(error).__name__} where x is a JAX array of shape {shapes}: {said}."
        ) from error
    out = jax.tree.leaves(shape)
    alone = len(out) == 1 and shape is out[0]
    if not (
        alone and out[0].shape == () and jax.numpy.issubdtype(out[0].dtype, jax.numpy.floating)
    ):
        if alone:
            what = f"an array of shape {out[0].shape}"
        else:
            what = f"{len(out)} value{'s' * (len(out) != 1)} in an object of type {type(shape).__name__}"
        if alone and out[0].shape == ():
            what = f"a value of type {out[0].dtype}"
        raise OdescentError(f"{name} must return one real number, but it returns {what}.")
    text = str(made.jaxpr)
    if "0x" in text:  # an address says nothing of what is computed
        return None
    try:
        data = tuple(_fingerprint(c) for c in made.consts)
        hash(fun)
    except TypeError:
        return None
    return fun, text, data


def _fingerprint(array: Any) -> tuple[str, tuple[int, ...], bytes]:
    import hashlib

    import jax
    import numpy as np

    if isinstance(array, jax.core.Tracer) or str(getattr(array, "dtype", "")).startswith("key<"):
        raise TypeError("no numbers to compare")
    there = np.ascontiguousarray(array)
    return str(there.dtype), there.shape, hashlib.sha256(there.tobytes()).digest()


__all__ = ["wrapped"]
