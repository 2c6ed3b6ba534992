"""Random draws of the steps of a run: normals and numbers of jumps.

A run has a source, each of its steps a place in it (see `dynamics.sources`). From counters its draws are those of the
particle engine to the bit; from JAX's generator they are made by the emitted step itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...dynamics.random.normals import normals
from ...dynamics.random.poisson import poisson
from ...dynamics.random.sources import (
    Counters,
    Given,
    Source,
    at_step,
    check_generator,
    check_key,
    data_of,
    joined,
    of_run,
    seed_of,
    source,
)


def drawn_step(module: ModuleType) -> Callable[..., Any]:
    """The step of an emitted module with ``key`` for what it draws from: a place made by `at_step`, or None."""
    if not hasattr(module, "DRAWS"):
        step: Callable[..., Any] = module.step
        return step

    def step_by_counters(state: Any, *rest: Any, key: Any = None, **more: Any) -> Any:
        like = [None if name is None else getattr(state, name) for name in module.LIKE]
        draw = drawing(module.DRAWS, key, like, module.POPULATION)
        return module.step(state, *rest, draw=draw, **more)

    return step_by_counters


def drawing(
    kinds: Sequence[str], at: Counters, blocks: Sequence[Any], population: bool
) -> Callable[..., Any]:
    """The draws of one step: ``draw(i, like)`` gives normals like a tree, ``draw(i, like, mean, common)`` a count.

    Args:
        kinds: of the draws in order: "vector", "scalar" or "count".
        at: the place of the step.
        blocks: for each draw the block of the state whose shape it has, a tree; of a scalar and a count any vector
            block, or None where there is none.
        population: whether their leaves have particles as their first axis. Where they have not, and the block is one
            array of several axes, its rows are paths that jump by clocks of their own, unless they share a common one.
    """
    trees = [[jnp.asarray(leaf) for leaf in jax.tree.leaves(b)] for b in blocks]
    leaves = [leaf for tree in trees for leaf in tree]
    n = leaves[0].shape[0] if population and leaves else 1
    sizes = [sum(leaf.size for leaf in tree) // n for tree in trees]
    rows = [-(-d // 2) if kind == "vector" else 1 for kind, d in zip(kinds, sizes, strict=True)]
    kept = leaves or [jnp.asarray(0.0)]  # scalars have the type that JAX has for them
    dtype = "float64" if any(leaf.dtype.itemsize == 8 for leaf in kept) else "float32"

    def place(i: int) -> dict[str, Any]:
        return {"particles": n, "offset": sum(rows[:i]), "pairs": sum(rows), "dtype": dtype}

    def stream() -> tuple[Any, Any, Any]:
        return joined(at.words), at.run, at.step

    def draw(i: int, like: Any, mean: Any = None, common: bool = False) -> Any:
        shape = jnp.shape(like) if isinstance(like, (jax.Array, np.ndarray)) else ()
        rows_are_paths = kinds[i] == "count" and not population and not common and len(shape) > 1
        # counters need 64-bit integers; the numbers drawn have the type of the block
        with jax.enable_x64(True):
            if kinds[i] == "count":
                given = jnp.asarray(mean).reshape(1, -1)
                where = {**place(i), "particles": shape[0] if rows_are_paths else n}
                one = not (population or rows_are_paths)
                made = poisson(*stream(), given, common=common or one, **where)[0]
            else:
                made = normals(
                    *stream(), dimension=sizes[i] if kinds[i] == "vector" else 1, **place(i)
                )
        if rows_are_paths:
            return made.reshape(shape[0], *(1 for _ in shape[1:]))
        if kinds[i] == "count":
            return made if population and not common else made[0]
        if kinds[i] == "scalar":
            return made[0] if population else made[0, 0]
        parts, begin = [], 0
        shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(like)]
        for shape, leaf in zip(shapes, jax.tree.leaves(like), strict=True):
            size = int(np.prod(shape)) // n
            own = made[begin : begin + size]
            begin += size
            parts.append((own.T if population else own).reshape(shape).astype(leaf.dtype))
        return jax.tree.unflatten(jax.tree.structure(like), parts)

    return draw


__all__ = [
    "Counters",
    "Given",
    "Source",
    "at_step",
    "check_generator",
    "check_key",
    "data_of",
    "drawing",
    "drawn_step",
    "of_run",
    "seed_of",
    "source",
]
