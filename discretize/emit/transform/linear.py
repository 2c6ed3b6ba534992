"""A program as a gradient transformation: an additive update with minimal memory.

The parameters hold the gradient point y, so that y itself is not stored. For a step that is linear in
the blocks and the gradient, s+ = A s + B g with y = C s, the coordinates (y, m = M s) are used, where M
annihilates the direction e that the step leaves alone (A e = e: all blocks moved along together). Then
y+ - y and m+ depend on m and g only. M is scaled so that the update is the new memory plus a multiple of g.

Scalars that the step computes (from scalar blocks or the counter) are symbols to this algebra, and stay
named scalars of the update.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import sympy as sp

from ...._support.errors import NotCarried
from ....dynamics.algebra.calculus import Symbol, substitute
from ....dynamics.algebra.exact import canonical, is_zero
from ....dynamics.algebra.vectors import Atom, Expr, Vector, VectorSymbol, zero
from ....dynamics.vector_fields.block import Block, start
from ...programs.program import Assign, Instruction, Program
from ..backend import needs
from ..printing.lines import bare
from .placement import plan_at_home
from .plan import PARAMS, Plan


class _NotLinear(Exception):
    pass


def plan(program: Program) -> Plan:
    """The plan of a program with one explicit gradient call.

    Raises NotCarried where the first gradient point is not x0, or where the step is not linear and
    the parameters cannot hold its gradient point.
    """
    try:
        return _linear(program)
    except _NotLinear:
        made = plan_at_home(program)
    if made.gradient is None or made.program.calls or made.first:
        raise NotCarried(
            "the gradient of the step is evaluated at a point that the parameters cannot hold."
        )
    return made


# linear steps


@dataclass(frozen=True)
class _Matrices:
    A: sp.Matrix
    B: sp.Matrix
    C: sp.Matrix
    O: sp.Matrix  # the output
    S: sp.Matrix  # the start, in units of x0


def _linear(program: Program) -> Plan:
    scale = _Scalars(program)
    flat = scale.rest.inlined()
    (call,) = flat.calls
    blocks = [b for b in program.blocks if isinstance(b.symbol, VectorSymbol)]
    symbols = [b.symbol for b in blocks]
    scalars = [b for b in program.blocks if b not in blocks]
    output = program.outputs["x"]
    assert isinstance(output, Vector)
    m = _Matrices(
        sp.Matrix([_row(flat.next[s], symbols, [call.target]) for s in symbols]),
        sp.Matrix([_row(flat.next[s], [call.target], symbols) for s in symbols]),
        sp.Matrix([_row(call.point, symbols, [])]),
        sp.Matrix([_row(output, symbols, [])]),
        sp.Matrix([_row(b.init, [start], []) for b in blocks]),
    )
    at_start: dict[Symbol, Expr] = {b.symbol: b.init for b in scalars}
    if program.counter is not None:
        at_start[program.counter] = sp.S.Zero
    if not is_zero(substitute(scale.opened((m.C * m.S)[0]), at_start) - 1):
        raise NotCarried(
            "the optax backend needs the first gradient to be taken at x0; here it is taken elsewhere."
        )
    ahead = scale.ahead(m.C)
    e = _translation(m, ahead, scale.varying)
    return _assemble(program, scale, m, ahead, e, blocks)


class _Scalars:
    """The scalars of a step: what is computed of scalar blocks and the counter, by name and in order.

    Attributes:
        rest: the program without them.
        known: their values, in terms of blocks, the counter and each other.
        next: scalar blocks and the counter after the step.
        varying: every symbol that may change from step to step.
    """

    def __init__(self, program: Program) -> None:
        self.varying: set[Symbol] = {b.symbol for b in program.blocks if b.kind == "scalar"}
        self.varying |= {program.counter} if program.counter is not None else set()
        self.known: dict[sp.Symbol, sp.Expr] = {}
        kept: list[Instruction] = []
        fixed: dict[sp.Symbol, sp.Expr] = {}  # what does not change, in terms of parameters
        for i in program.instructions:
            if not isinstance(i, Assign) or isinstance(i.value, Vector):
                kept.append(i)
                continue
            value = substitute(i.value, fixed)
            if value.free_symbols & self.varying:
                self.known[i.target] = value
                self.varying.add(i.target)
            else:
                fixed[i.target] = value
                kept.append(i)
        self.rest = replace(program, instructions=tuple(kept))
        self.names = {b.name for b in program.blocks} | {s.name for s in program.parameters}
        self.names |= {s.name for s in program.defined}
        self.names = {bare(n) for n in self.names}
        self.next: dict[Symbol, sp.Expr] = {}
        for b in program.blocks:
            if b.kind == "scalar":
                after = substitute(program.next[b.symbol], fixed)
                assert not isinstance(after, Vector)
                simple = after.is_Symbol or not (after.free_symbols & self.varying)
                self.next[b.symbol] = after if simple else self.named(f"{b.name}_1", after)
        if program.counter is not None:
            self.next[program.counter] = program.counter + 1

    def named(self, name: str, value: sp.Expr) -> sp.Symbol:
        """A further scalar, computed after the others."""
        while bare(name) in self.names:
            name += "_"
        self.names.add(bare(name))
        symbol = sp.Symbol(name, real=True)
        self.known[symbol] = value
        self.varying.add(symbol)
        return symbol

    def opened(self, e: sp.Expr) -> sp.Expr:
        """The same in terms of the state alone."""
        for s, value in reversed(self.known.items()):
            e = e.xreplace({s: value})
        return e

    def ahead(self, row: sp.Matrix) -> sp.Matrix:
        """The row as it is in the next step: scalars that it reads are computed for that step, too."""
        read = set(row.free_symbols)
        for s, value in reversed(self.known.items()):
            read |= value.free_symbols if s in read else set()
        moved = dict(self.next)
        for s, value in list(self.known.items()):
            if s in read:
                moved[s] = self.named(f"{s.name}_ahead", substitute(value, moved))
        return row.applyfunc(lambda e: canonical(substitute(e, moved)))

    def assigned(self, read: set[Symbol]) -> list[Instruction]:
        """The assignments that are needed for the symbols."""
        kept: list[Instruction] = []
        for s, value in reversed(self.known.items()):
            if s in read:
                kept.append(Assign(s, value))
                read = read | value.free_symbols
        return kept[::-1]


def _row(e: Expr, over: list[VectorSymbol], besides: list[VectorSymbol]) -> list[sp.Expr]:
    assert isinstance(e, Vector)
    if any(atom not in over and atom not in besides for atom in e.terms):
        raise _NotLinear
    return [canonical(e.terms.get(s, sp.S.Zero)) for s in over]


def _translation(m: _Matrices, ahead: sp.Matrix, varying: set[Symbol]) -> sp.Matrix | None:
    """A direction e with A e = e and C e = 1 at all times, the start if possible; None if there is none."""
    identity = sp.eye(m.A.rows)
    stays = (m.A - identity).applyfunc(canonical)
    for e in [m.S, *stays.nullspace(simplify=True, iszerofunc=is_zero)]:
        moved = [canonical(v) for v in stays * e]
        here, there = canonical((m.C * e)[0]), canonical((ahead * e)[0])
        if any(moved) or here == 0 or here != there:
            continue
        constant = (e / here).applyfunc(canonical)
        if not (constant.free_symbols & varying):
            return constant
    return None


def _assemble(
    program: Program, scale: _Scalars, m: _Matrices, ahead: sp.Matrix, e: sp.Matrix | None, blocks: list[Block],
) -> Plan:  # fmt: skip
    n = m.A.rows
    rows = _complement(m, e)

    def moved(rows: sp.Matrix) -> tuple[sp.Matrix, sp.Matrix]:
        """The maps (y, m, g) -> m+ and (y, m, g) -> y+ - y."""
        back = _inverse(m.C.col_join(rows))
        memory = (rows * m.A * back).row_join(rows * m.B).applyfunc(canonical)
        point = (ahead * m.A * back).row_join(ahead * m.B)
        point[0, 0] -= 1
        return memory, point.applyfunc(canonical)

    memory, point = moved(rows)
    weights = _through_memory(memory, point, n)
    leading = weights if weights is not None else point[0, 1:n]
    chosen = [i for i in range(n - 1) if leading[i] != 0]
    if chosen and not any(v.free_symbols & scale.varying for v in leading):
        first = leading * rows
        others = [rows.row(i) for i in range(n - 1) if i != chosen[0]]
        rows = sp.Matrix.vstack(first, *others).applyfunc(canonical)
        memory, point = moved(rows)
        weights = _through_memory(memory, point, n)
    elif not chosen and n == 2 and e is not None and not _remembers(m, rows):
        rows = rows[:0, :]  # the memory has no effect on the gradient points
        memory, point = _without_memory(m, ahead)
        weights = None
    return _program(program, scale, m, rows, memory, point, weights, blocks)


def _remembers(m: _Matrices, rows: sp.Matrix) -> bool:
    """Whether the output reads the memory."""
    read = (m.O * _inverse(m.C.col_join(rows))).applyfunc(canonical)
    return any(not is_zero(v) for v in read[0, 1:])


def _without_memory(m: _Matrices, ahead: sp.Matrix) -> tuple[sp.Matrix, sp.Matrix]:
    """The maps where no memory is needed."""
    return sp.zeros(0, 2), sp.Matrix([[0, canonical((ahead * m.B)[0])]])


def _complement(m: _Matrices, e: sp.Matrix | None) -> sp.Matrix:
    n = m.A.rows
    if e is not None:
        found = e.T.nullspace() if n > 1 else []
        return sp.Matrix.vstack(sp.zeros(0, n), *[v.T for v in found])
    j = next(i for i in range(n) if m.C[i] != 0)
    return sp.Matrix.vstack(sp.zeros(0, n), *[sp.eye(n).row(i) for i in range(n) if i != j])


def _inverse(matrix: sp.Matrix) -> sp.Matrix:
    determinant = canonical(matrix.det(method="berkowitz"))
    return (matrix.adjugate(method="berkowitz") / determinant).applyfunc(canonical)


def _through_memory(memory: sp.Matrix, point: sp.Matrix, n: int) -> sp.Matrix | None:
    """w with y+ - y = w m+ + (a multiple of g); None if there is none, or if y takes part."""
    if n == 1 or any(memory[:, 0]) or point[0, 0] != 0:
        return None
    square = memory[:, 1:n]
    if canonical(square.det(method="berkowitz")) == 0:
        return None
    return (point[0, 1:n] * _inverse(square)).applyfunc(canonical)


def _program(
    source: Program, scale: _Scalars, m: _Matrices, rows: sp.Matrix, memory: sp.Matrix, point: sp.Matrix,
    weights: sp.Matrix | None, blocks: list[Block],
) -> Plan:  # fmt: skip
    count = rows.rows
    scalars = [b for b in source.blocks if b not in blocks]
    taken = scale.names
    short = ["m"] if count == 1 else [f"m{i + 1}" for i in range(count)]
    names = [n if n not in taken else f"{n}_memory" for n in short]
    old = [VectorSymbol(n) for n in names]
    new = [VectorSymbol(f"{n}_1") for n in names]
    # The memory after the step, and the update: through the new memory where that is shorter.
    gradient = source.calls[0].target
    inputs: list[Atom] = [PARAMS, *old, gradient]
    rows_of = [list(zip(inputs, memory.row(i), strict=True)) for i in range(count)]
    moves = [
        Assign(s, Vector.of((u, c) for u, c in row if c != 0))
        for s, row in zip(new, rows_of, strict=True)
    ]
    if weights is None:
        update = Vector.of((u, c) for u, c in zip(inputs, point, strict=True) if c != 0)
    else:
        rest = canonical(point[0, count + 1] - (weights * memory[:, count + 1])[0])
        update = Vector.of([*zip(new, weights, strict=True), (gradient, rest)])
    following: dict[Symbol, Expr] = dict(zip(old, new, strict=True))
    following |= {b.symbol: scale.next[b.symbol] for b in scalars}
    results = [update, *(i.value for i in moves), *following.values()]
    instructions = [*scale.assigned({s for e in results for s in e.free_symbols}), *moves]
    # The output in the parameters and the memory, and where the memory starts.
    if count:
        read = (m.O * _inverse(m.C.col_join(rows))).applyfunc(canonical).applyfunc(scale.opened)
    else:
        read = sp.Matrix([[1]])
    output = Vector.of((u, c) for u, c in zip([PARAMS, *old], read, strict=True))
    initial = [canonical(v) for v in rows * m.S]
    starts = [start * v if v != 0 else zero for v in initial]
    declared = [Block(n, "vector", "memory", v) for n, v in zip(names, starts, strict=True)]
    program = Program(
        (*declared, *scalars), tuple(instructions), following, {"x": output}, source.counter
    )
    symbols = [b.symbol for b in blocks]
    meaning = {n: Vector.of(zip(symbols, rows.row(i), strict=True)) for i, n in enumerate(names)}
    reads = any(PARAMS in e.free_symbols for e in [*(i.value for i in moves), update])
    return Plan(program, gradient, update, reads, meaning)


def plan_with_oracles(program: Program) -> Plan:
    """The plan of any program: with one gradient that comes in if that is all it asks, else with extra arguments.

    Raises NotCarried where there is none.
    """
    if needs(program) <= {"operator", "coefficient blocks"}:
        try:
            return plan(program)
        except NotCarried:
            pass
    return plan_at_home(program)
