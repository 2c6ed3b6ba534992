"""Growth of deviations along orbits: tangent vectors moved with the points, and made orthogonal again and again.

Benettin, Galgani, Giorgilli and Strelcyn, Meccanica 15 (1980), doi:10.1007/BF02128237. Tangents go through the
linearization of the step, so that no Jacobian matrix is formed. A point is one column of every array.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...dynamics.flows.stepper import PointStepper, iterate, trace
from ...dynamics.flows.tableaux import runge_kutta
from .batching import pad, pick, spread, take

_UNROLLED = 6  # tangents that are made orthogonal one by one; more by a QR factorization
_BLOCK = (
    64  # points that go through all steps together: all that belongs to them stays in the cache
)
_SEED = 7


def dimension(state: Any) -> int:
    """How many real numbers a state of one point holds; clocks do not count."""
    return sum(int(np.size(a)) for a in jax.tree.leaves(state) if _real(a))


def growth(
    s: PointStepper, state: Any, c: Any, exponents: int, every: int, lengths: tuple[int, int, int]
) -> tuple[Float[np.ndarray, "batches k n"], Any]:
    """Logarithms of how much k tangents grow in each of a number of batches of steps, for many points.

    Args:
        s: the stepper; a flow is moved by RK4 steps of its dt.
        state: leaves of shape (..., n).
        c: coefficients, leaves of shape () or (n,).
        exponents: the number k of tangents.
        every: steps between two orthogonalizations.
        lengths: orthogonalizations before the first batch, in each batch, and the number of batches.

    Returns:
        the growth, and the states at the end; NaN for a point that has left.
    """
    n = np.shape(jax.tree.leaves(state)[0])[-1]
    run = _growing(s, exponents, every, lengths[2])

    def work(part: slice, padded: int) -> Any:
        z = jax.tree.map(jnp.asarray, pad(take(state, part), padded))
        found = run(z, pick(c, part, padded), *lengths[:2])
        return take(found, slice(part.stop - part.start))

    found: tuple[Any, Any] = spread(work, n, _BLOCK, 1)
    return found


def _real(a: Any) -> bool:
    return bool(jnp.issubdtype(jnp.asarray(a).dtype, jnp.floating))


@lru_cache(maxsize=32)
def _growing(s: PointStepper, k: int, every: int, batches: int) -> Callable[..., Any]:
    step: Callable[[Any, Any], Any]
    if s.rates is None:
        step = lambda z, c: s.step(z, c, None)
    else:
        rates, dt = s.rates, s.dt
        step = lambda z, c: runge_kutta("rk4", lambda t, y: rates(y, c), 0.0, z, dt)

    def one(z: Any, c: Any, skip: Any, blocks: Any) -> Any:
        leaves, tree = jax.tree.flatten(z)
        moving = [i for i, a in enumerate(leaves) if _real(a)]

        def moved(tangible: list[Any], leaves: list[Any]) -> tuple[list[Any], list[Any]]:
            whole = list(leaves)
            for i, a in zip(moving, tangible, strict=True):
                whole[i] = a
            new = jax.tree.leaves(step(jax.tree.unflatten(tree, whole), c))
            return [new[i] for i in moving], new

        def push(_: Any, carry: Any) -> Any:
            leaves, tangents = carry
            at = [leaves[i] for i in moving]
            along: Callable[[Any], Any] = lambda v: jax.jvp(
                lambda u: moved(u, leaves), (at,), (v,), has_aux=True
            )[1:]
            tangents, new = jax.vmap(along, out_axes=(0, None))(tangents)
            return new, tangents

        def block(_: Any, carry: Any) -> Any:
            leaves, tangents, logs = carry
            leaves, tangents = (
                push(0, (leaves, tangents))
                if every == 1
                else iterate(push, (leaves, tangents), every)
            )
            tangents, sizes = _orthogonal(tangents, k)
            return leaves, tangents, logs + jnp.log(sizes)

        def batch(_: Any, carry: Any) -> Any:
            leaves, tangents = carry
            zeros = jnp.zeros(k, jnp.float64)
            leaves, tangents, logs = iterate(block, (leaves, tangents, zeros), blocks)
            return (leaves, tangents), logs

        keys = jax.random.split(jax.random.key(_SEED), len(moving))
        first = [
            jax.random.normal(key, (k, *leaves[i].shape), leaves[i].dtype)
            for key, i in zip(keys, moving, strict=True)
        ]
        start = (leaves, _orthogonal(first, k)[0], jnp.zeros(k, jnp.float64))
        leaves, tangents, _ = iterate(block, start, skip)
        (leaves, _), logs = trace(batch, (leaves, tangents), batches)
        return logs, jax.tree.unflatten(tree, leaves)

    def many(z: Any, c: Any, skip: Any, blocks: Any) -> Any:
        over_c = jax.tree.map(lambda a: -1 if a.ndim else None, c)
        return jax.vmap(one, in_axes=(-1, over_c, None, None), out_axes=-1)(z, c, skip, blocks)

    return jax.jit(many)


def _orthogonal(tangents: list[Any], k: int) -> tuple[list[Any], Any]:
    """Tangents, leaves (k, ...), made orthonormal in order, and the lengths of what was orthogonal, (k,)."""
    if k > _UNROLLED:
        flat = jnp.concatenate([a.reshape(k, -1) for a in tangents], axis=1)
        q, r = jnp.linalg.qr(flat.T)
        cuts = np.cumsum([int(a[0].size) for a in tangents])[:-1]
        parts = jnp.split(q.T, cuts, axis=1)
        made = [p.reshape(a.shape) for p, a in zip(parts, tangents, strict=True)]
        return made, jnp.abs(jnp.diagonal(r))
    done: list[list[Any]] = []
    sizes = []
    for i in range(k):
        v = [a[i] for a in tangents]
        for u in done:
            along = sum(jnp.sum(a * b) for a, b in zip(u, v, strict=True))
            v = [b - along * a for a, b in zip(u, v, strict=True)]
        size = jnp.sqrt(sum(jnp.sum(a * a) for a in v))
        done.append([a / jnp.where(size == 0, 1.0, size) for a in v])
        sizes.append(size)
    return [jnp.stack(parts) for parts in zip(*done, strict=True)], jnp.stack(sizes)


__all__ = ["dimension", "growth"]
