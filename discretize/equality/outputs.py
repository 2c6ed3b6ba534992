"""Equality of outputs: the output of one method obeys the recursion of another, whose state it is.

Where o is the output of a method with the map B, and A the map of a method whose state is its output, o(B(X)) = A(o(X))
for all states X and draws, and o(X_0) = x_0, say that the two methods make the same points. So a cyclic shift of a
scheme is found: with A = move o measure, B = measure o move and o = move it is one line.
"""

from __future__ import annotations

import itertools
from typing import Any

from ...dynamics.algebra.calculus import Symbol, renamed, substitute, symbols_of
from ...dynamics.algebra.exact import is_zero
from ...dynamics.algebra.vectors import Expr, VectorSymbol
from ...dynamics.notation.show import text
from ..programs.program import Program
from .nonlinear import AtomicStep, Atoms, compare_maps
from .verdict import Equivalence

_ORDERS = 24  # of draws that are matched


def compare_outputs(one: Program, other: Program, why: str) -> Equivalence:
    """Compare two tuned programs as maps, and by the output of the one with more blocks.

    Args:
        one: the first program.
        other: the second program.
        why: a sentence of the verdict on why they are not compared as linear methods.

    Returns:
        "proved", or "undecided".
    """
    found = compare_maps(one, other, why)
    if found.verdict == "undecided":
        for pair in ((one, other), (other, one)):
            if (shown := _obeys(*pair, why)) is not None:
                return shown
    return found


def _obeys(one: Program, other: Program, why: str) -> Equivalence | None:
    """The proof that the output of the one obeys the recursion of the other, whose only block is its output."""
    if len(other.blocks) != 1 or len(one.blocks) == 1 or len(one.draws) != len(other.draws):
        return None
    if other.blocks[0].kind != "vector" or not {b.kind for b in one.blocks} <= {"vector", "scalar"}:
        return None
    (state,) = other.blocks
    output = one.inlined().outputs["x"]
    own = {b.symbol for b in one.blocks}
    one_shape = len({c for c, b in zip(one.classes, one.blocks, strict=True) if b.kind == "vector"})
    made = symbols_of(output) - own - {*one.parameters}
    if other.outputs["x"] != state.symbol or made or one_shape != 1 or one.counts or one.sweeps:
        return None
    named: dict[Symbol, Expr] = {
        b.symbol: renamed(b.symbol, f"_block_{i}") for i, b in enumerate(one.blocks)
    }
    places = [0] * len(one.blocks)
    for draws in itertools.islice(itertools.permutations(range(len(one.draws))), _ORDERS):
        atoms = Atoms()
        mine = AtomicStep(one, atoms, places, range(len(one.draws)), state=named)
        at = substitute(output, named)
        theirs = AtomicStep(other, atoms, [0], draws, state={state.symbol: at})
        after = substitute(output, mine.after)
        began = substitute(output, {b.symbol: b.init for b in one.blocks})
        pairs = ((after, theirs.after[state.symbol]), (began, state.init))
        if mine.same_draws(theirs) and all(_same(atoms, *pair) for pair in pairs):
            return Equivalence(
                "proved",
                f"{why} The output of the one with more blocks, {text(output)}, obeys the recursion of the other"
                f"{', for the same draws' if one.draws else ''}.".strip(),
                True,
            )
    return None


def _same(atoms: Atoms, one: Expr, other: Expr) -> bool:
    if isinstance(one, VectorSymbol) and one == other:
        return True
    difference: Any = atoms.scalar(one) - atoms.scalar(other)
    return bool(is_zero(difference))
