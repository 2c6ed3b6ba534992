"""`jax.jit` with options for loops over particles."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from ...dynamics.flows.exchange import platform

# On CPUs: long vector instructions where there are any, and one loop for a chain of elementwise operations and
# the sum at its end rather than calls of a library of kernels, each of which goes through memory.
_WANTED: tuple[tuple[str, Any], ...] = (
    ("xla_cpu_prefer_vector_width", 512),
    ("xla_cpu_experimental_ynn_fusion_type", ""),
)


@lru_cache(maxsize=4)
def options(backend: str) -> dict[str, Any]:
    """Those of the options that this version of XLA knows for a backend."""
    known: dict[str, Any] = {}
    for name, value in _WANTED if backend == "cpu" else ():
        try:
            jax.jit(jnp.negative).lower(1.0).compile(compiler_options={name: value})
        except (RuntimeError, ValueError):
            continue
        known[name] = value
    return known


def compiled(function: Callable[..., Any], **more: Any) -> Callable[..., Any]:
    """`jax.jit(function, **more)` for functions that step particles; they run up to twice as fast on CPUs.

    To be called outside of every other transformation: inside one, XLA's options are those of the outermost.
    """
    result: Callable[..., Any] = jax.jit(function, compiler_options=options(platform()), **more)
    return result


def compiled_ahead(function: Callable[..., Any], *arguments: Any) -> Callable[..., Any]:
    """`compiled` for arguments like these, of whose shapes `jax.ShapeDtypeStruct` tells, before memory is asked for.

    What the compiler used, a hundred MiB, is given back to the system first (by glibc; others may keep it).
    """
    jitted: Any = compiled(function)
    made = jitted.lower(*arguments).compile()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    result: Callable[..., Any] = made
    return result
