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
from .settling import over

_UNROLLED = 6  # tangents that are made orthogonal one by one; more by a QR factorization
_BLOCK = 128  # points that go through all steps together: all that is theirs stays in the cache
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
    def many(z: Any, c: Any, skip: Any, blocks: Any) -> Any:
        leaves, tree = jax.tree.flatten(z)
        moving = [i for i, a in enumerate(leaves) if _real(a)]
        still = [a for i, a in enumerate(leaves) if i not in moving]
        n = leaves[0].shape[-1]
        cuts = np.cumsum([a.size // n for a in (leaves[i] for i in moving)])[:-1]

        # All that moves is one array (d, n), the points last: what is done to it is one loop over memory.
        def joined(z: Any) -> Any:
            found = jax.tree.leaves(z)
            return jnp.concatenate([found[i].reshape(-1, n) for i in moving])

        def parted(flat: Any, still: list[Any]) -> Any:
            whole, others = list(leaves), iter(still)
            for i, part in zip(moving, jnp.split(flat, cuts), strict=True):
                whole[i] = part.reshape(leaves[i].shape).astype(leaves[i].dtype)
            whole = [a if i in moving else next(others) for i, a in enumerate(whole)]
            return jax.tree.unflatten(tree, whole)

        def step(flat: Any, still: list[Any]) -> tuple[Any, list[Any]]:
            if s.rates is None:
                z = over(lambda z, c: s.step(z, c, None), c)(parted(flat, still), c)
                now = jax.tree.leaves(z)
                return joined(z), [a for i, a in enumerate(now) if i not in moving]
            slope = over(s.rates, c)

            def rates(_: Any, y: tuple[Any, ...]) -> tuple[Any, ...]:
                # Without the barrier XLA computes each stage again for all that follow it.
                apart: Callable[[Any], Any] = jax.lax.optimization_barrier
                return (apart(joined(slope(parted(y[0], still), c))),)

            return runge_kutta("rk4", rates, 0.0, (flat,), s.dt)[0], still

        def push(_: Any, carry: Any) -> Any:
            flat, still, tangents = carry
            along: Callable[[Any], Any] = lambda v: jax.jvp(
                lambda u: step(u, still), (flat,), (v,), has_aux=True
            )
            flat, tangents, still = jax.vmap(along, out_axes=(None, 0, None))(tangents)
            return flat, still, tangents

        def block(_: Any, carry: Any) -> Any:
            now, logs = carry
            now = push(0, now) if every == 1 else iterate(push, now, every)
            tangents, sizes = _orthogonal(now[2])
            return (*now[:2], tangents), logs + jnp.log(sizes)

        def batch(_: Any, now: Any) -> Any:
            return iterate(block, (now, jnp.zeros((k, n), jnp.float64)), blocks)

        keys = jax.random.split(jax.random.key(_SEED), len(moving))
        first = [
            jax.random.normal(key, (k, leaves[i].size // n), leaves[i].dtype)
            for key, i in zip(keys, moving, strict=True)
        ]
        ends = jnp.broadcast_to(jnp.concatenate(first, axis=1)[..., None], (k, len(joined(z)), n))
        start = (joined(z), still, _orthogonal(ends)[0])
        start, _ = iterate(block, (start, jnp.zeros((k, n), jnp.float64)), skip)
        (flat, still, _), logs = trace(batch, start, batches)
        return logs, parted(flat, still)

    return jax.jit(many)


def _orthogonal(tangents: Any) -> tuple[Any, Any]:
    """Tangents (k, d, n), made orthonormal in order, and the lengths of what was orthogonal, (k, n)."""
    k = len(tangents)
    if k > _UNROLLED:
        q, r = jnp.linalg.qr(jnp.moveaxis(tangents, (1, 0), (1, 2)))
        return jnp.moveaxis(q, (1, 2), (1, 0)), jnp.abs(jnp.diagonal(r, axis1=1, axis2=2)).T
    done: list[Any] = []
    sizes = []
    for v in tangents:
        for u in done:
            v = v - jnp.sum(u * v, axis=0, keepdims=True) * u
        size = jnp.sqrt(jnp.sum(v * v, axis=0, keepdims=True))
        done.append(v / jnp.where(size == 0, 1.0, size))
        sizes.append(size[0])
    return jnp.stack(done), jnp.stack(sizes)


__all__ = ["dimension", "growth"]
