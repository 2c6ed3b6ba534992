"""Starting points by block: each vector block begins at its own, of its own shape."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..._support.errors import OdescentError, listed, unknown
from ..algebra.calculus import Symbol, symbols_of
from ..algebra.vectors import Vector
from ..vector_fields.block import Block, start
from ..vector_fields.own_functions import refuse_torch
from ..vector_fields.spaces import at_start


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Starts:
    """Starting values by the name of the block; a JAX pytree."""

    values: dict[str, Any]


def check_entries(x0: Any, objective: Any) -> None:
    """Refuse a starting point with other entries than the objective has variables: JAX would read past its end.

    Args:
        x0: a point, or paths in rows; shapes are known inside JAX's transformations too.
        objective: which may say its dimension.

    Raises:
        OdescentError: another number of entries.
    """
    d, leaves = objective.dimension, jax.tree.leaves(x0)
    if d is None or d == 1 or len(leaves) != 1:  # of one variable an array is as many paths
        return
    shape = np.shape(leaves[0])
    if shape[-1:] != (d,):
        what = f"an array of shape {shape}" if shape else "one number"
        raise OdescentError(
            f"the objective {objective.name!r} has {d} variables, and the starting point is {what}."
        )


def starting_point(x0: Any) -> Any:
    """The starting point, an array or a pytree of finite real numbers; OdescentError for anything else."""
    for leaf in jax.tree.leaves(x0):
        refuse_torch(leaf)
    # a list of numbers is an array, while JAX would take it for a pytree of scalars
    if isinstance(x0, (list, tuple)) and all(map(_is_number, jax.tree.leaves(x0))):
        try:
            x0 = np.asarray(x0, dtype=np.float64)
        except ValueError:
            raise OdescentError(
                "x0 is a list of rows of different lengths; give an array or a pytree."
            ) from None
    # strings, complex numbers and NaN would fail late in the compiled loop, or not at all
    leaves = jax.tree.leaves(x0)
    if not any(np.size(leaf) for leaf in leaves):
        raise OdescentError("x0 is empty; give an array or a pytree of arrays.")
    for leaf in leaves:
        kind = getattr(leaf, "dtype", None)
        try:  # JAX does not take texts, objects, dates, numbers of 128 bits and masks
            taken: Any = None if isinstance(leaf, str) else jnp.result_type(leaf)
        except (TypeError, ValueError):
            taken = None
        plain = isinstance(leaf, (bool, int, float)) or kind is not None
        plain = plain and not isinstance(leaf, np.ma.MaskedArray)
        if not (
            taken and plain and any(jnp.issubdtype(taken, t) for t in (jnp.floating, jnp.integer))
        ):
            what = type(leaf).__name__ + ("" if kind is None else f" of type {kind}")
            raise OdescentError(
                f"x0 must hold real numbers, floating or whole, but it has a {what}."
            )
        if not (isinstance(leaf, jax.core.Tracer) or np.isfinite(np.asarray(leaf, float)).all()):
            raise OdescentError("x0 must be finite, but it contains NaN or infinity.")
    return x0


def _is_number(value: Any) -> bool:
    """Whether it is a real number of Python or of SymPy."""
    if isinstance(value, bool):
        return False
    return isinstance(value, Real) or getattr(value, "is_extended_real", None) is True


def by_block(x0: Any, blocks: Iterable[Symbol]) -> Starts | None:
    """The starts that a mapping of block symbols gives; None for a starting point that is none.

    Args:
        x0: a starting point, or a mapping of blocks or their symbols to values; a dict of strings is a pytree.
        blocks: those of the system.

    Raises:
        OdescentError: a symbol that is no block.
    """
    if not isinstance(x0, Mapping) or not x0:
        return None
    x0 = {s.symbol if isinstance(s, Block) else s: v for s, v in x0.items()}
    if not all(map(_is_symbol, x0)):
        return None
    known = list(blocks)
    for s in x0:
        if s not in known:
            raise unknown("block to start", s, [str(b) for b in known])
    return Starts({str(s): v for s, v in x0.items()})


def check_used(x0: Any, blocks: Iterable[Block], who: str) -> None:
    """Refuse a starting point that is none of the blocks': where none begins at it, or where a matrix does.

    Args:
        x0: an array or a pytree; zeros, where no block begins at them, say the shape alone.
        blocks: with their initial values.
        who: the system or algorithm, for the message.

    Raises:
        OdescentError: its values would not count, or it has not two axes for a matrix that begins at it.
    """
    every, leaves = list(blocks), jax.tree.leaves(x0)
    for b, leaf in itertools.product(at_start(every), leaves):
        if np.ndim(leaf) != 2:
            raise OdescentError(
                f"the matrix {b.name} of {who} begins at x0, which must have two axes, not the shape {np.shape(leaf)}."
            )
    if any(start in symbols_of(b.init) for b in every):
        return
    if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves) or not any(map(np.any, leaves)):
        return
    own, first = listed([f"{b.name} begins at {b.init}" for b in every]), every[0].name
    raise OdescentError(
        f"{who} does not begin at x0: {own}; give starts by block, as {{{first}: ...}}, or write "
        f"Block({first!r}, init=odescent.dynamics.start)."
    )


def _is_symbol(key: Any) -> bool:
    return isinstance(key, Vector) or hasattr(key, "free_symbols")


def begun(
    init: Callable[[Any], tuple[Any, ...]],
    starts: Starts,
    blocks: tuple[str, ...],
    classes: tuple[int, ...],
    who: str,
    positions: Container[str] = (),
) -> tuple[Any, ...]:
    """The state that begins at these starts: blocks that are not given begin as from the start of their own space.

    The start of a space is that of a block that begins at the starting point, where one is given, such as the position
    and not the velocity.

    Args:
        init: the state from one starting point, in block order, and what follows the blocks.
        starts: by block.
        blocks: names, in order.
        classes: which blocks have one shape, as of `spaces.classes_of`.
        who: the system or algorithm, for messages.
        positions: names of blocks that begin at the starting point.

    Raises:
        OdescentError: a block whose shape no start determines.
    """
    given = starts.values
    sources: dict[int, Any] = {}
    shaped = list(zip(blocks, classes, strict=True))
    for name, number in sorted(shaped, key=lambda item: item[0] not in positions):
        if name in given and number >= 0:
            sources.setdefault(number, given[name])
    if lost := [n for n, number in shaped if number >= 0 and number not in sources]:
        raise OdescentError(
            f"{who}: no start determines the shape of {listed(lost)}; give its starting value too."
        )
    states = {number: init(value) for number, value in sources.items()}
    some = next(iter(states.values())) if states else init(0.0)
    own = [given[n] if n in given else states.get(k, some)[i] for i, (n, k) in enumerate(shaped)]
    state: tuple[Any, ...] = remade(some, (*own, *some[len(blocks) :]))
    return state


def remade(state: Any, parts: Iterable[Any]) -> Any:
    """A state of the same type, a tuple or a named one, with other parts."""
    return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)
