"""Sums and moments over a batch whose size is not known beforehand, chunk by chunk, in JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def sums(terms: Callable[[Any, Any], Any], number: Any, chunk: int) -> Any:
    """The sum of what ``terms`` gives of each chunk that has one of the first ``number`` picks.

    It is asked with the chunk's number and the sum of an array of a chunk over those picks: a chunk that is not full is
    evaluated whole, and what is beyond the number does not count.
    """
    import jax
    import jax.numpy as jnp

    def of_chunk(k: Any) -> Any:
        own = k * chunk + jnp.arange(chunk) < number
        return terms(k, lambda each: jnp.sum(jnp.where(own, each, jnp.zeros_like(each))))

    def further(state: Any) -> Any:
        k, found = state
        return k + 1, jax.tree.map(jnp.add, found, of_chunk(k))

    zeros = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(of_chunk, 0))
    begun = jnp.asarray(0), zeros
    return jax.lax.while_loop(lambda state: state[0] * chunk < number, further, begun)[1]


def moments(terms: Callable[[Any], Any], number: Any, chunk: int) -> tuple[Any, Any]:
    """The means of the first ``number`` rows of ``terms``, a pytree with a first axis of a chunk, and squares.

    These are sums of squares about the means. Both are merged chunk by chunk, so that nothing cancels.
    """
    import jax
    import jax.numpy as jnp

    places = jnp.arange(chunk)

    def further(state: Any) -> Any:
        k, mean, squares = state
        own = k * chunk + places < number
        before, new = k * chunk, jnp.sum(own)

        def merged(mean: Any, squares: Any, each: Any) -> Any:
            here = own.reshape(-1, *[1] * mean.ndim)
            middle = jnp.sum(jnp.where(here, each, 0), 0) / new.astype(each.dtype)
            off = middle - mean
            share = (new / (before + new)).astype(each.dtype)
            inside = jnp.sum(jnp.where(here, (each - middle[None]) ** 2, 0), 0)
            between = off**2 * share * before.astype(each.dtype)
            return mean + off * share, squares + inside + between

        pairs = jax.tree.map(merged, mean, squares, terms(k))
        return k + 1, *jax.tree.transpose(jax.tree.structure(mean), None, pairs)

    zeros = jax.tree.map(lambda a: jnp.zeros(a.shape[1:], a.dtype), jax.eval_shape(terms, 0))
    begun = jnp.asarray(0), zeros, zeros
    _, mean, squares = jax.lax.while_loop(lambda s: s[0] * chunk < number, further, begun)
    return mean, squares
