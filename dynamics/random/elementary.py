"""Elementary functions without branches, which XLA turns into vector instructions on CPUs.

XLA calls the scalar C library for these in float64 there, several times slower (its own exp is vectorized).
Reductions are Cody and Waite's (Software Manual for the Elementary Functions, 1980); polynomials interpolate
at Chebyshev points, found in 50 digits. Errors in float64: `log` 1 unit in the last place; `sin2pi` and
`cos2pi` 3e-16; `sin` and `cos` 8e-16 for |x| < 2^20 2 pi, and beyond as if x had a relative error of 1e-15.
All support float32 too (4e-7, for |x| < 2^13 2 pi), and derivatives are exact formulas, not those of the polynomials.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

# Highest power first. sin(2 pi r)/r in r^2 for |r| <= 1/4; (log((1+s)/(1-s)) - 2s)/s^3 in s^2
# for (1+s)/(1-s) in [sqrt(1/2), sqrt(2)].
_SIN = (
    0.10089695501646812, -0.7177337921413454, 3.8199280942271643, -15.0946416761179, 42.058693925428685,
    -76.70585975282492, 81.60524927607362, -41.341702240399755, 6.283185307179586,
)  # fmt: skip
_LOG = (
    0.14616449685043406, 0.15331721600556042, 0.18182889125261723, 0.2222221113479508, 0.28571428625975487,
    0.39999999999899505, 0.666666666666667,
)  # fmt: skip
# 2 pi and log 2 in parts, the first ones short enough to be multiplied exactly by the whole numbers met here.
_TURN: dict[str, tuple[str, ...]] = {
    "float64": ("0x1.921fb544p+2", "0x1.0b4611a6p-32", "0x1.3198a2e037073p-67"),
    "float32": ("0x1.92p+2", "0x1.fbp-10", "0x1.5110b4p-20"),
}
_LOG2: dict[str, tuple[str, ...]] = {
    "float64": ("0x1.62e42feep-1", "0x1.a39ef35793c76p-33"),
    "float32": ("0x1.62e4p-1", "0x1.7f7d1cp-20"),
}
# integer type, mantissa bits, a number whose last bit counts ones
_BITS: dict[str, tuple[Any, int, float]] = {
    "float64": (np.int64, 52, 1.5 * 2.0**52),
    "float32": (np.int32, 23, 1.5 * 2.0**23),
}


def _horner(coefficients: tuple[float, ...], z: Array) -> Array:
    total = jnp.full_like(z, coefficients[0])
    for c in coefficients[1:]:
        total = total * z + c
    return total


def _parts(table: dict[str, tuple[str, ...]], x: Array) -> list[float]:
    return [float.fromhex(h) for h in table[x.dtype.name]]


def _quarter(r: Array) -> Array:
    """sin(2 pi r) for |r| <= 1/4.

    Clipped, because a product that is subtracted from 1 without being rounded can be more than 1.
    """
    return jnp.clip(_unclipped(r), -1.0, 1.0)


def _unclipped(r: Array) -> Array:
    return r * _horner(_SIN, r * r)


def _sine_of_turns(r: Array) -> Array:
    """sin(2 pi r) for |r| <= 3/4."""
    size = jnp.abs(r)
    folded = jnp.minimum(size, 0.5 - size)
    return _quarter(jnp.where(r < 0, -folded, folded))


def _cosine_of_turns(r: Array) -> Array:
    """cos(2 pi r) for |r| <= 1/2, and a little further."""
    return _quarter(0.25 - jnp.abs(r))


def _whole(x: Array) -> Array:
    return jax.lax.round(x, jax.lax.RoundingMethod.TO_NEAREST_EVEN)


def _turns(x: Array) -> Array:
    """x/(2 pi) less a nearest whole number, to be folded as sines and cosines are; NaN for x infinite."""
    k = _whole(x * (1 / (2 * math.pi)))
    for part in _parts(_TURN, x):
        x = x - k * part
    return jnp.clip(x * (1 / (2 * math.pi)), -0.5 - 1e-8, 0.5 + 1e-8)  # where x is huge


def _with_derivative(
    derivative: Callable[[Array, Array], Array],
) -> Callable[[Callable[[Array], Array]], Callable[[Any], Array]]:
    """A function whose derivative is given by (argument, result)."""

    def decorate(function: Callable[[Array], Array]) -> Callable[[Any], Array]:
        inner = jax.custom_jvp(function)

        @inner.defjvp
        def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
            (x,), (dx,) = primals, tangents
            y = inner(x)
            return y, derivative(x, y) * dx

        @wraps(function)
        def public(x: Any) -> Array:
            x = jnp.asarray(x)
            return inner(x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float))

        return public

    return decorate


@_with_derivative(lambda x, y: (2 * math.pi) * cos2pi(x))
def sin2pi(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """sin(2 pi x), exactly periodic."""
    return _sine_of_turns(x - _whole(x))


@_with_derivative(lambda x, y: (-2 * math.pi) * sin2pi(x))
def cos2pi(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """cos(2 pi x), exactly periodic."""
    return _cosine_of_turns(x - _whole(x))


@_with_derivative(lambda x, y: cos(x))
def sin(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """sin(x), x in radians."""
    return _sine_of_turns(_turns(x))


@_with_derivative(lambda x, y: -sin(x))
def cos(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """cos(x), x in radians."""
    return _cosine_of_turns(_turns(x))


@_with_derivative(lambda x, y: 1 / x)
def log(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """The natural logarithm; -inf at 0 (and at subnormal numbers), NaN below."""
    smallest = float(np.finfo(x.dtype).tiny)
    y = log_of_normal(jnp.maximum(x, smallest))
    y = jnp.where(x >= smallest, y, jnp.where(x > -smallest, -math.inf, math.nan))
    return jnp.where(x < math.inf, y, x)  # also for NaN


def cos2pi_for_normals(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """cos(2 pi x) that may be more than 1 by its rounding error; no derivative."""
    return _unclipped(0.25 - jnp.abs(x - _whole(x)))


def log_of_normal(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """log(x) for x positive, finite and not subnormal; no derivative."""
    integer, mantissa, counts = _BITS[x.dtype.name]
    bits = jax.lax.bitcast_convert_type(x, integer)
    half = np.asarray(math.sqrt(0.5), x.dtype).view(integer)
    exponent = (bits - half) >> integer(mantissa)
    f = jax.lax.bitcast_convert_type(bits - (exponent << integer(mantissa)), x.dtype) - 1
    base = np.asarray(counts, x.dtype)
    e = jax.lax.bitcast_convert_type(exponent + base.view(integer), x.dtype) - base
    s = f / (2 + f)
    z = s * s
    hi, lo = _parts(_LOG2, x)
    return e * hi + (f - (s * (f - z * _horner(_LOG, z)) - e * lo))
