"""Time scales of blocks: which of them are fast, and by what small parameter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sympy as sp

from ..._support.errors import OdescentError, expected
from ..algebra.calculus import Symbol, symbols_of
from ..algebra.scalars import as_scalar
from .hypotheses import positive


def fast_blocks(
    given: Mapping[Any, object] | None,
    small: Iterable[sp.Symbol] | None,
    blocks: Iterable[Symbol],
) -> tuple[dict[Symbol, sp.Expr], tuple[sp.Symbol, ...]]:
    """What a system declares of its scales, checked.

    Args:
        given: by fast block, its small parameter, or a multiple of one that tends to zero with it.
        small: the small parameters, from the largest to the smallest.
        blocks: of the system.

    Returns:
        the small factor of each fast block, and the small parameters from the largest to the smallest.

    Raises:
        OdescentError: a block that is none, a factor that is not a multiple of one small parameter or not positive,
            several parameters without an order.
    """
    named = {s.name: s for s in blocks}
    found: dict[Symbol, sp.Expr] = {}
    for key, value in (given or {}).items():
        s = named.get(str(getattr(key, "name", key)))
        if s is None:
            raise OdescentError(
                f"{key} is declared fast, but it is not a block of the system, which has {', '.join(named)}."
            )
        found[s] = as_scalar(value)
    alone = [e for e in found.values() if isinstance(e, sp.Symbol)]
    order = tuple(dict.fromkeys(alone)) if small is None else tuple(small)
    for e in order:
        if not isinstance(e, sp.Symbol) or e in set(named.values()):
            raise expected("a small parameter", "its symbol, as in eps = od.parameters('eps')", e)
    for s, e in found.items():
        inside = [p for p in order if p in symbols_of(e)]
        if len(inside) != 1 or inside[0] in symbols_of(ratio := sp.cancel(e / inside[0])):
            one = (
                f"a multiple of one of {', '.join(map(str, order))}"
                if order
                else "a symbol, such as eps"
            )
            raise OdescentError(
                f"the block {s} is fast by {e}, which must be {one}; with several name them in small=(...)."
            )
        for what, value in {
            "the small parameter": inside[0],
            f"the ratio of scales of {s}": ratio,
        }.items():
            positive(what, value).checked()
    used = tuple(p for p in order if any(p in symbols_of(e) for e in found.values()))
    if len(used) > 1 and small is None:
        listed = " and ".join(map(str, used))
        raise OdescentError(
            f"there are several small parameters, {listed}: give them from the largest to the smallest, "
            f"small=({', '.join(map(str, used))}), or fast blocks in a fixed ratio by multiples of one."
        )
    return found, used


def renewed(
    fast: Mapping[Symbol, sp.Expr], small: Iterable[sp.Symbol], rule: Any
) -> tuple[dict[Symbol, sp.Expr], tuple[sp.Symbol, ...]]:
    """The scales after expressions were rewritten: a block whose parameter became a number is no longer fast.

    Args:
        fast: the small factor by block.
        small: the small parameters in their order.
        rule: how scalars are rewritten.
    """
    left: dict[Symbol, sp.Expr] = {}
    order: dict[sp.Symbol, None] = {}
    for p in small:
        became = rule(p)
        inside = sorted((s for s in symbols_of(became) if isinstance(s, sp.Symbol)), key=str)
        own = {s: rule(e) for s, e in fast.items() if p in symbols_of(e)}
        tends = [q for q in inside if sp.limit(became, q, 0, "+") == 0] if inside else []
        if not tends:
            continue
        order.setdefault(tends[0])
        left |= own
    return left, tuple(order)


def blocks_of(fast: Mapping[Symbol, sp.Expr], small: sp.Symbol) -> list[Symbol]:
    """The blocks that are fast by a multiple of a parameter."""
    return [s for s, e in fast.items() if small in symbols_of(e)]
