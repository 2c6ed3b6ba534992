"""Sources of a run's noise: counters or JAX's generator, with a key or a seed, for each run and step.

From counters (see `normals`) the draws of a run are a function of the seed, the run, the step, the particle and the
coordinate, the same wherever they are made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, UInt32

from ..._support.errors import OdescentError, check_choice
from ..._support.rendering.brief import short
from .normals import GENERATORS

Given: TypeAlias = "Key[Array, ''] | int"


class Counters(NamedTuple):
    """A place in the stream of a seed: two words of the seed, the run, and the step where one is meant."""

    words: UInt32[Array, " 2"]
    run: Any
    step: Any = None


Source: TypeAlias = "Counters | Key[Array, '']"


def check_generator(generator: str) -> None:
    """Refuse an unknown generator."""
    check_choice("generator of normals", generator, GENERATORS)


def check_key(given: object) -> None:
    """Refuse what is no JAX key, seed or source of counters, nor None, also where a run draws nothing."""
    if given is None or isinstance(given, Counters):
        return
    if isinstance(given, (int, np.integer)) and not isinstance(given, bool):
        if not 0 <= given < 2**64:
            raise OdescentError(f"a seed must be a whole number from 0 to 2^64 - 1, not {given}.")
    elif not (hasattr(given, "dtype") and jnp.issubdtype(given.dtype, jax.dtypes.prng_key)):
        raise OdescentError(
            f"key must be a JAX key, as in jax.random.key(0), or a whole number, not {short(given)}."
        )


def source(key: Given | Counters, generator: str = "counter") -> Source:
    """The random source of a run: a JAX key, or a seed (the key of which is ``jax.random.key(seed)``).

    A source of counters, such as `of_run` makes, is returned as it is. Raises OdescentError for something else, and for
    an unknown generator.
    """
    check_generator(generator)
    given: object = key
    if isinstance(given, Counters) and generator == "counter":
        return given
    check_key(given)
    if isinstance(given, (int, np.integer)):
        words = np.array([given >> 32, given & 0xFFFFFFFF], np.uint32)
        key = jax.random.wrap_key_data(jnp.asarray(words))
    made: Any = key
    if generator == "jax":
        return made  # type: ignore[no-any-return]
    data = jax.random.key_data(made)
    return Counters(data[-2:], jnp.zeros((), jnp.uint32))


def seed_of(key: Given) -> Any:
    """The seed of a JAX key, or itself, as a 64-bit integer; needs `jax.enable_x64`."""
    made = source(key)
    assert isinstance(made, Counters)
    return joined(made.words)


def joined(words: UInt32[Array, " 2"]) -> Any:
    """The seed that two words make; needs `jax.enable_x64`."""
    high, low = words[0].astype(jnp.uint64), words[1].astype(jnp.uint64)
    return (high << np.uint64(32)) | low


def of_run(source: Source, run: Any) -> Source:
    """Independent random sources of a run of that number, or of runs of an array of numbers."""
    if isinstance(source, Counters):
        runs = jnp.asarray(run).astype(jnp.uint32)
        return Counters(jnp.broadcast_to(source.words, (*runs.shape, 2)), runs)
    fold: Callable[..., Any] = lambda n: jax.random.fold_in(source, n)
    for _ in range(jnp.ndim(run)):
        fold = jax.vmap(fold)
    folded: Source = fold(jnp.asarray(run))
    return folded


def at_step(source: Source, k: Any) -> Source:
    """The random source of step k of a run."""
    number = jnp.asarray(k).astype(jnp.uint32)
    if isinstance(source, Counters):
        return source._replace(step=number)
    return jax.random.fold_in(source, number)


def data_of(source: Source) -> Any:
    """The source as plain arrays."""
    return tuple(source[:2]) if isinstance(source, Counters) else jax.random.key_data(source)
