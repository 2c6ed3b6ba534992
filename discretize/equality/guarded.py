"""Equality of methods with guards: the same calls, guards and values, in one order, in blocks that are matched.

A proof pairs the instructions of two programs, whose assignments are written out: calls of one oracle at equal points,
choices by one guard whose branches are equal, loops that begin and go on alike and end by one guard. Where they
cannot be paired nothing is decided here: a trial may tell them apart.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sympy as sp

from ...dynamics.algebra.calculus import Symbol, substitute, vanishes
from ...dynamics.algebra.exact import canonical
from ...dynamics.algebra.vectors import Expr, Vector, VectorSymbol
from ..programs.guards import Guard, Inequality
from ..programs.instructions import Choose, Instruction, Loop, StraightLine
from ..programs.meanings import Meanings
from ..programs.program import Assign, CallOracle, Draw, Program
from .nonlinear import block_orders
from .verdict import Equivalence

_TRIES = 120  # ways to match blocks, or the names of a loop

Names = dict[Symbol, Expr]  # of the other's symbols: what they are in the one


def compare_guarded(one: Program, other: Program) -> Equivalence:
    """Compare two tuned programs, of which one or both have guards: "proved" or "undecided".

    Raises:
        ArithmeticError: a zero test is open.
    """
    mine, theirs = _written_out(one), _written_out(other)
    for places in itertools.islice(block_orders(mine, theirs), _TRIES):
        pairs = [(mine.blocks[i], b) for i, b in zip(places, theirs.blocks, strict=True)]
        names: Names = {b.symbol: a.symbol for a, b in pairs}
        if mine.counter is not None and theirs.counter is not None:
            names[theirs.counter] = mine.counter
        if not all(_equal(a.init, b.init, {}) for a, b in pairs):
            continue
        if not _paired(mine.instructions, theirs.instructions, names):
            continue
        if all(_equal(mine.next[a.symbol], theirs.next[b.symbol], names) for a, b in pairs):
            matched = ", ".join(f"{a.name} = {b.name}" for a, b in pairs)
            return Equivalence(
                "proved",
                "both go the same ways by the same guards, with the same expressions in the blocks, matched in order "
                f"of {matched}.",
                _equal(mine.outputs["x"], theirs.outputs["x"], names),
            )
    return Equivalence(
        "undecided",
        "a step goes one of several ways, by guards, and the programs are not the same, instruction by instruction.",
    )


def _written_out(p: Program) -> Program:
    """The program with every assignment substituted, inside of choices and loops too."""
    ends = (*p.next.values(), *p.outputs.values())
    line, _ = _line(StraightLine(p.instructions, ends))
    after = dict(zip(p.next, line.values, strict=False))
    outputs = dict(zip(p.outputs, line.values[len(after) :], strict=True))
    return replace(p, instructions=line.instructions, next=after, outputs=outputs)


def _line(line: StraightLine) -> tuple[StraightLine, Callable[[Expr], Expr]]:
    """Instructions without assignments, and what writes these out in an expression behind them."""
    meant = Meanings()
    kept: list[Instruction] = []
    for i in line.instructions:
        i = i.changed(meant.written_out)
        if isinstance(i, Assign):
            meant.note(i.target, i.value)
        elif isinstance(i, Choose):
            kept.append(replace(i, accept=_line(i.accept)[0], reject=_line(i.reject)[0]))
        elif isinstance(i, Loop):
            body, inside = _line(i.body)
            kept.append(replace(i, body=body, until=i.until and i.until.changed(inside)))
        else:
            kept.append(i)
    values = tuple(map(meant.written_out, line.values))
    return StraightLine(tuple(kept), values), meant.written_out


def _equal(one: Expr, other: Expr, names: Mapping[Symbol, Expr]) -> bool:
    """Whether an expression is another one in other names."""
    moved = substitute(other, names)
    if isinstance(one, Vector) != isinstance(moved, Vector):
        return False
    return one == moved or vanishes(one - moved)


def _all_equal(one: Sequence[Expr], other: Sequence[Expr], names: Mapping[Symbol, Expr]) -> bool:
    return len(one) == len(other) and all(
        _equal(a, b, names) for a, b in zip(one, other, strict=True)
    )


def _paired(one: Sequence[Instruction], other: Sequence[Instruction], names: Names) -> bool:
    """Whether instructions are the same in order; the names of the other's results are added."""
    if [type(i) for i in one] != [type(i) for i in other]:
        return False
    return all(_same(a, b, names) for a, b in zip(one, other, strict=True))


def _same(one: Instruction, other: Instruction, names: Names) -> bool:
    if isinstance(one, CallOracle) and isinstance(other, CallOracle):
        same = one.oracle == other.oracle and _equal(one.point, other.point, names)
        same = same and _equal(one.implicit, other.implicit, names)
        same = same and _all_equal(one.directions, other.directions, names)
        same = same and _all_equal(one.parameters, other.parameters, names)
        names[other.target] = one.target
        return same
    if isinstance(one, Draw) and isinstance(other, Draw):
        same = replace(other, target=one.target, like=names.get(other.like, other.like)) == one
        names[other.target] = one.target
        return same
    if isinstance(one, Choose) and isinstance(other, Choose):
        return _same_choice(one, other, names)
    if isinstance(one, Loop) and isinstance(other, Loop):
        return _same_loop(one, other, names)
    return False


def _same_guard(one: Guard, other: Guard, names: Names) -> bool:
    if isinstance(one, Inequality) and isinstance(other, Inequality):
        if one.strict != other.strict:
            return False
        mine = one.left - one.right
        theirs = substitute(other.left - other.right, names)
        if mine == theirs or vanishes(mine - theirs):
            return True
        ratio = canonical(mine / theirs)  # a guard times a positive number is that guard
        return bool(ratio.is_positive) and not ratio.has(*_moving(mine))
    if isinstance(one, Inequality) or isinstance(other, Inequality):
        return False
    return (
        one.every == other.every
        and len(one.parts) == len(other.parts)
        and all(_same_guard(a, b, names) for a, b in zip(one.parts, other.parts, strict=True))
    )


def _moving(e: sp.Expr) -> tuple[Any, ...]:
    """What is no plain number or parameter in a scalar: such a factor may change its sign from step to step."""
    return tuple(a for a in e.atoms(sp.Symbol) if not a.is_positive) or (sp.Dummy(),)


def _same_branch(one: StraightLine, other: StraightLine, names: Names) -> Names | None:
    """The names inside of a branch of the other; None where its instructions are not the same."""
    inner = dict(names)
    return inner if _paired(one.instructions, other.instructions, inner) else None


def _same_choice(one: Choose, other: Choose, names: Names) -> bool:
    if len(one.names) != len(other.names) or not _same_guard(one.guard, other.guard, names):
        return False
    inside = [_same_branch(a, b, names) for a, b in zip(one.branches, other.branches, strict=True)]
    if any(inner is None for inner in inside):
        return False
    # results may stand in another order
    free = list(range(len(one.names)))
    for j, name in enumerate(other.names):
        fits = (
            i
            for i in free
            if _kind(one.names[i]) == _kind(name)
            and all(
                _equal(a.values[i], b.values[j], inner or {})
                for a, b, inner in zip(one.branches, other.branches, inside, strict=True)
            )
        )
        if (found := next(fits, None)) is None:
            return False
        free.remove(found)
        names[name] = one.names[found]
    return True


def _same_loop(one: Loop, other: Loop, names: Names) -> bool:
    if len(one.names) != len(other.names) or not _equal(one.limit, other.limit, names):
        return False
    if (one.until is None) != (other.until is None) or one.fixed_point != other.fixed_point:
        return False
    orders = itertools.permutations(range(len(one.names)))
    for order in itertools.islice(orders, _TRIES):
        pairs = [(i, j) for j, i in enumerate(order)]
        if not all(
            _kind(one.names[i]) == _kind(other.names[j])
            and _equal(one.begin[i], other.begin[j], names)
            for i, j in pairs
        ):
            continue
        inner = {
            **names,
            other.count: one.count,
            **{other.names[j]: one.names[i] for i, j in pairs},
        }
        outside = dict(inner)
        if not _paired(one.body.instructions, other.body.instructions, inner):
            continue
        values = all(_equal(one.body.values[i], other.body.values[j], inner) for i, j in pairs)
        ends = one.until is None or (
            other.until is not None and _same_guard(one.until, other.until, inner)
        )
        if values and ends:
            names.update(outside)
            return True
    return False


def _kind(s: Symbol) -> str:
    return s.kind if isinstance(s, VectorSymbol) else "scalar"
