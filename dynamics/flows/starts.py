"""Starting points by block: each vector block begins at its own, of its own shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jax

from ..._support.errors import OdescentError, listed, unknown
from ..algebra.calculus import Symbol
from ..algebra.vectors import Vector
from ..vector_fields.block import Block


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Starts:
    """Starting values by the name of the block; a JAX pytree."""

    values: dict[str, Any]


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


def _is_symbol(key: Any) -> bool:
    return isinstance(key, Vector) or hasattr(key, "free_symbols")


def begun(
    init: Callable[[Any], tuple[Any, ...]],
    starts: Starts,
    blocks: tuple[str, ...],
    classes: tuple[int, ...],
    who: str,
) -> tuple[Any, ...]:
    """The state that begins at these starts: blocks that are not given begin as from the start of their own space.

    Args:
        init: the state from one starting point, in block order, and what follows the blocks.
        starts: by block.
        blocks: names, in order.
        classes: which blocks have one shape, as of `spaces.classes_of`.
        who: the system or algorithm, for messages.

    Raises:
        OdescentError: a block whose shape no start determines.
    """
    given = starts.values
    sources: dict[int, Any] = {}
    for name, number in zip(blocks, classes, strict=True):
        if name in given and number >= 0:
            sources.setdefault(number, given[name])
    shaped = list(zip(blocks, classes, strict=True))
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
