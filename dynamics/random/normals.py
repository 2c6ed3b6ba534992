"""Normals from counters: any (seed, run, step, lane) at once, in any order, nothing stored.

The bits are those of SplitMix64 (Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014,
doi:10.1145/2660193.2660195): output n of the stream of (seed, run) is mix(key + (n + 1) golden), with
n = step 2^32 + lane, so that within a run no two draws share a counter. Box and Muller's transform makes two
normals of two outputs. Integer arithmetic and correctly rounded operations, so the same bits on one platform.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt64

from ..._support.errors import OdescentError, check_choice
from . import elementary as kernels

GENERATORS = ("counter", "jax")
LANES = 2**32  # of one step
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
# float type: (its integers, bits kept of 64, the exponent of 1, half a unit of what is kept less 1)
_UNIT: dict[str, tuple[Any, int, int, float]] = {
    "float64": (np.uint64, 52, 0x3FF0000000000000, 2.0**-53 - 1),
    "float32": (np.uint32, 23, 0x3F800000, 2.0**-24 - 1),
}


def _u64(x: Any) -> Array:
    return jnp.asarray(x).astype(jnp.uint64)


def mix(z: UInt64[Array, "..."]) -> UInt64[Array, "..."]:
    """SplitMix64's output for the state z."""
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))


def splitmix64(state: UInt64[Array, "..."], n: UInt64[Array, "..."]) -> UInt64[Array, "..."]:
    """Output n = 0, 1, ... of the generator that starts in ``state``."""
    return mix(state + (n + np.uint64(1)) * _GOLDEN)


def key_of(seed: Any, run: Any) -> UInt64[Array, "..."]:
    """The stream of a run: two rounds, so that neighbouring seeds and runs share nothing."""
    return splitmix64(splitmix64(_u64(seed), _u64(0)), _u64(run))


def _unit(bits: Array, dtype: str) -> Array:
    """Numbers in (0, 1), halfway between the multiples of 2^-52 (2^-23)."""
    integer, kept, one, back = _UNIT[dtype]
    width = np.dtype(integer).itemsize * 8
    mantissa = (bits >> integer(width - kept)) | integer(one)
    return jax.lax.bitcast_convert_type(mantissa, jnp.dtype(dtype)) + np.asarray(back, dtype)


def counter_normals(
    key: UInt64[Array, ""], step: Any, lane: UInt64[Array, "*shape"], dtype: str = "float64"
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """Two normals per lane in polar form, by the Box-Muller transform: radius cos(2 pi turn) and radius sin(2 pi turn).

    A lane below 2^31 takes outputs 2 lane and 2 lane + 1 of its step in float64, halves of one in float32.

    Args:
        key: of the seed and the run.
        step: the step number.
        lane: lane numbers, any shape.
        dtype: "float64" or "float32".

    Returns:
        radius sqrt(-2 log u) and turn v in (0, 1), both with the shape of ``lane``.
    """
    n = (_u64(step) << np.uint64(32)) + lane * np.uint64(2)
    first = splitmix64(key, n)
    if dtype == "float64":
        u, v = first, splitmix64(key, n + np.uint64(1))
    else:
        u, v = (first >> np.uint64(32)).astype(jnp.uint32), first.astype(jnp.uint32)
    return jnp.sqrt(-2 * kernels.log_of_normal(_unit(u, dtype))), _unit(v, dtype)


def normals(
    seed: Any,
    run: Any,
    step: Any,
    *,
    dimension: int,
    particles: int,
    first: Any = 0,
    offset: int = 0,
    pairs: int | None = None,
    dtype: str = "float64",
) -> Float[Array, "{dimension} {particles}"]:
    """Standard normals of one step, one column for each particle.

    Column i depends on seed, run, step, dimension and first + i alone: more particles, or fewer, or a part of
    them, have the same numbers. Needs `jax.enable_x64`.

    Args:
        seed, run, step: whole numbers from 0; traced or batched ones will do.
        first: the index of the first particle.
        offset, pairs: of the `pairs` lanes that each particle has in a step, this draw starts at `offset`;
            each lane makes two normals. One draw and all lanes its own by default.
        dtype: "float64" or "float32".

    Raises:
        OdescentError: another dtype, more than 2^31 lanes in a step, or no 64-bit integers.
    """
    rows = -(-dimension // 2)
    pairs = rows + offset if pairs is None else pairs
    lane = lanes_of(rows, particles, first, offset, pairs, dtype)
    radius, turn = counter_normals(key_of(seed, run), step, lane, dtype)
    # sin is cos a quarter earlier: one vector loop for both, the radius computed once.
    quarter = np.asarray([0.0, 0.25], dtype)[:, None, None]
    both = radius[None] * kernels.cos2pi_for_normals(turn[None] - quarter)
    return both.reshape(2 * rows, particles)[:dimension]


def uniforms(
    seed: Any, run: Any, step: Any, *, dimension: int, particles: int, first: Any = 0, dtype: str = "float64"
) -> Float[Array, "{dimension} {particles}"]:  # fmt: skip
    """Uniform numbers in (0, 1) from the same counters as `normals`.

    Args:
        seed: of the generator.
        run: the number of the run.
        step: the step number.
        dimension: d, numbers per particle.
        particles: n.
        first: the number of the first particle.
        dtype: "float64" or "float32".

    Returns:
        shape (d, n), one column per particle.
    """
    lane = lanes_of(dimension, particles, first, 0, dimension, dtype)
    bits = splitmix64(key_of(seed, run), (_u64(step) << np.uint64(32)) + lane)
    return _unit(bits if dtype == "float64" else (bits >> np.uint64(32)).astype(jnp.uint32), dtype)


def unit_of(
    key: UInt64[Array, ""], step: Any, lane: UInt64[Array, "*shape"], dtype: str
) -> Float[Array, "*shape"]:
    """One uniform number per lane: the first of the two from which `counter_normals` makes its normals.

    Args:
        key: of the seed and the run.
        step: the step number.
        lane: lane numbers, any shape.
        dtype: "float64" or "float32".

    Returns:
        numbers in (0, 1) with the shape of ``lane``.
    """
    bits = splitmix64(key, (_u64(step) << np.uint64(32)) + lane * np.uint64(2))
    return _unit(bits if dtype == "float64" else (bits >> np.uint64(32)).astype(jnp.uint32), dtype)


def lanes_of(rows: int, particles: int, first: Any, offset: int, pairs: int, dtype: str) -> Array:
    """Lane numbers, contiguous for each particle.

    Args:
        rows: lanes per particle in this draw.
        particles: n.
        first: the number of the first particle.
        offset: the first lane of this draw within a particle's.
        pairs: all lanes of a particle in a step.
        dtype: the type of the numbers to be drawn.

    Returns:
        uint64 of shape (rows, n).

    Raises:
        OdescentError: an unknown type, too many lanes, or 64-bit integers are disabled in JAX.
    """
    check_choice("type of random numbers", dtype, _UNIT)
    if pairs * particles > LANES // 2:
        raise OdescentError(f"a step draws {pairs * particles} lanes; there are {LANES // 2}.")
    if jnp.asarray(np.uint64(0)).dtype != np.uint64:
        raise OdescentError(
            "counter-based normals require 64-bit integers: enable them, as in jax.enable_x64(True)."
        )
    i = jax.lax.broadcasted_iota(jnp.uint64, (rows, particles), 1) + _u64(first)
    j = jax.lax.broadcasted_iota(jnp.uint64, (rows, particles), 0)
    return i * np.uint64(pairs) + (j + np.uint64(offset))


def jax_normals(
    seed: Any, run: Any, step: Any, *, dimension: int, particles: int, first: Any = 0, offset: int = 0,
    pairs: int | None = None, dtype: str = "float64",
) -> Float[Array, "{dimension} {particles}"]:  # fmt: skip
    """Standard normals from JAX's generator, with the interface of `normals`.

    Args:
        seed: of the generator.
        run: folded into the key, as are ``step``, ``offset`` and ``first``.
        step: the step number.
        dimension: d.
        particles: n.
        first: the number of the first particle.
        offset: distinguishes draws of one step.
        pairs: unused; kept for the common interface.
        dtype: of the result.

    Returns:
        shape (d, n).
    """
    key = key_of_jax(seed, run, step, offset, first)
    return jax.random.normal(key, (dimension, particles), jnp.dtype(dtype))


def key_of_jax(seed: Any, *numbers: Any) -> Array:
    """JAX's key of a seed, folded over whole numbers."""
    key = jax.random.key(seed)
    for n in numbers:
        key = jax.random.fold_in(key, n)
    return key
