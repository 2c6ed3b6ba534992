"""Steps that depend on the state: their expression, and the small factor in which a limit is taken."""

from __future__ import annotations

import sympy as sp

from ..._support.errors import OdescentError, listed
from ...dynamics.algebra.calculus import symbols_of
from ...dynamics.algebra.exact import canonical
from ...dynamics.algebra.vectors import ScalarNode
from ...dynamics.flows.system import System
from ...dynamics.notation.show import text
from ...dynamics.samples.sample import samples_in
from ...dynamics.vector_fields.block import LOOSE, Block, check_vectors


def depends_on_state(step: object, system: System) -> bool:
    """Whether an expression has a value of a block, of an oracle or of the time in it."""
    if not isinstance(step, sp.Expr):
        return False
    changing = {system.time, *(b.symbol for b in system.blocks)}
    return bool(step.atoms(ScalarNode) or symbols_of(step) & changing)


def checked_size(size: sp.Expr, system: System) -> sp.Expr:
    """The step as an expression in the state, if it can be evaluated at the start of a step.

    Raises OdescentError for a vector that is no block of the system, or a sample.
    """
    if drawn := [s.name for s in samples_in([size])]:
        raise OdescentError(
            f"the step {text(size)} has the sample {drawn[0]}; write it in the blocks of the system and their oracles."
        )
    check_vectors(f"the step {text(size)}", size, {b.symbol for b in system.blocks}, LOOSE)
    return size


def small_factor(
    size: sp.Expr, system: System, named: sp.Symbol | None, step: sp.Symbol
) -> sp.Symbol | None:
    """The parameter that a step is proportional to, in which a limit of small steps is taken; None for none.

    Args:
        size: the step as an expression in the state.
        system: whose own parameters are not meant, unless they are named.
        named: the parameter that is said to be it; without one the only candidate is taken.
        step: the symbol of the step.

    Raises:
        OdescentError: the named one is no factor of the step.
    """
    if step in size.free_symbols:
        raise OdescentError(f"the step {text(size)} has {step} in it, which is the step itself.")
    if named is not None:
        if not _proportional(size, named):
            raise OdescentError(
                f"the step {text(size)} is not proportional to {named}, so that {named} is no small factor of it; "
                "name a parameter that multiplies it."
            )
        return named
    blocks = {b.symbol for b in system.blocks}
    own = {*system.parameters, *blocks, system.time}
    free = sorted(size.free_symbols - own, key=str)
    found = [s for s in free if isinstance(s, sp.Symbol) and _proportional(size, s)]
    return found[0] if len(found) == 1 else None


def _proportional(size: sp.Expr, s: sp.Symbol) -> bool:
    inside = {v for node in size.atoms(ScalarNode) for v in symbols_of(node)}
    return s not in inside and s in size.free_symbols and s not in canonical(size / s).free_symbols


def clock_blocks(taken: set[str]) -> tuple[Block, Block]:
    """Blocks for the time that has passed and for the last step taken, under names that are free."""
    names = ["elapsed", "taken_step"]
    while taken & {*names}:
        names = [n + "_" for n in names]
    elapsed, last = names
    return Block(elapsed, "scalar", "memory", sp.S.Zero), Block(last, "scalar", "memory", sp.S.One)


def pace(size: sp.Expr, small: sp.Symbol) -> sp.Expr:
    """How much time passes in a step, over the small factor."""
    return canonical(size / small)


def no_limit(size: sp.Expr, who: str) -> OdescentError:
    """Why a method whose step depends on the state has no limit flow."""
    several = [s.name for s in sorted(size.free_symbols, key=str) if _proportional(size, s)]
    which = (
        f"say which of its factors {listed(several)} is small, as in small={several[0]}"
        if len(several) > 1
        else "give it a factor, as in step=gam*..., with tuning={gam: 1} for this method"
    )
    return OdescentError(
        f"the step {text(size)} of {who} has no small factor, so there is no limit of small steps; {which}."
    )


__all__ = [
    "checked_size", "clock_blocks", "depends_on_state", "no_limit", "pace", "small_factor",
]  # fmt: skip
