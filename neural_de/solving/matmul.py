"""Matrix products of a solve in the precision of their type.

An accelerator multiplies float32 matrices in fewer bits unless it is told otherwise (TF32 on NVIDIA's, bfloat16 on
TPUs: relative errors of 5e-4 and 4e-3). The vector field is then rough on the scale of the tolerance, the error
estimate sees the roughness, and steps shrink until it disappears in rounding.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax

Result = TypeVar("Result")


def full_precision(function: Callable[..., Result]) -> Callable[..., Result]:
    """The function with matrix products of full precision, unless ``jax_default_matmul_precision`` is set."""

    @functools.wraps(function)
    def precise(*args: object, **kwargs: object) -> Result:
        config: Any = jax.config  # carries no types
        if config.jax_default_matmul_precision is not None:
            return function(*args, **kwargs)
        with jax.default_matmul_precision("highest"):
            return function(*args, **kwargs)

    return precise
