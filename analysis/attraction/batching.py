"""Batching of many points: padded to few shapes, for few compilations, and distributed over the processors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import jax
import numpy as np

from ..._support.processes import processors

T = TypeVar("T")
SIZES = (512, 4_096)  # points per call: one compilation each, small enough for the cache


def chunks(count: int, memory: int, bytes_each: int) -> Iterator[tuple[slice, int]]:
    """Slices of 0, ..., count - 1, each with its padded size.

    Args:
        count: number of points.
        memory: budget in bytes.
        bytes_each: bytes for each point.
    """
    room = min(max(memory // max(bytes_each, 1), 1), SIZES[1])
    large = 1 << (room.bit_length() - 1)
    done = 0
    while done < count:
        left = count - done
        n = large if left > large // 4 else min(SIZES[0], large)
        yield slice(done, done + min(n, left)), n
        done += min(n, left)


def take(tree: Any, points: Any) -> Any:
    """NumPy leaves (..., n) at some of the points: indices, a mask or a slice."""
    return jax.tree.map(lambda a: np.asarray(a)[..., points], tree)


def pad(tree: Any, n: int) -> Any:
    """Leaves with n points, the last one repeated."""

    def leaf(a: Any) -> Any:
        a = np.asarray(a)
        missing = n - a.shape[-1]
        return np.concatenate([a, np.repeat(a[..., -1:], missing, axis=-1)], -1) if missing else a

    return jax.tree.map(leaf, tree)


def pick(c: Any, points: Any, n: int | None = None) -> Any:
    """Coefficients of some of the points, padded; leaves of shape (m,) become (n,), those of shape () are kept.

    Args:
        c: a pytree of coefficients.
        points: indices, a mask or a slice.
        n: the padded size; None for no padding.
    """

    def leaf(a: Any) -> Any:
        if not np.ndim(a):
            return a
        return take(a, points) if n is None else pad(take(a, points), n)

    return jax.tree.map(leaf, c)


def spread(work: Callable[[slice, int], T], count: int, memory: int, bytes_each: int) -> T:
    """Apply a function to all chunks, in float64, one thread per processor; the result does not depend on the threads.

    The first chunk runs alone, so that nothing is compiled twice.

    Args:
        work: a function of a slice and its padded size to NumPy leaves, the points along the last axis.
        count: number of points.
        memory: budget in bytes.
        bytes_each: bytes for each point.

    Returns:
        The results as one, in order; scalars, which are the same in all chunks, as they are.
    """
    device = jax.config.jax_default_device  # type: ignore[attr-defined]

    def one(cut: tuple[slice, int]) -> T:
        with jax.enable_x64(True), jax.default_device(device):  # threads have their own
            return work(*cut)

    cuts = list(chunks(count, memory, bytes_each))
    made = [one(cut) for cut in cuts[:1]]
    threads = min(processors(), len(cuts) - 1)
    if threads < 2:
        made += map(one, cuts[1:])
    else:
        with ThreadPoolExecutor(threads) as pool:
            made += pool.map(one, cuts[1:])
    joined: T = jax.tree.map(lambda *a: np.concatenate(a, -1) if np.ndim(a[0]) else a[0], *made)
    return joined
