"""The state-space form of an algorithm: from oracle results to oracle points."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Self

import sympy as sp

from ..._support.errors import NotCarried, OdescentError, TooLarge, listed
from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.calculus import coefficient
from ...dynamics.algebra.exact import canonical
from ...dynamics.algebra.oracles import Oracle
from ...dynamics.algebra.vectors import (
    OPERATORS,
    Atom,
    Call,
    Expr,
    ScalarNode,
    Vector,
    VectorSymbol,
    call,
    zero,
)
from ...dynamics.notation.show import latex, text
from ...dynamics.numbers.factors import in_factors
from ...dynamics.vector_fields.block import start
from ..programs.program import Assign, CallOracle, Instruction, Program, renamed
from .matrices import System, inverse, transfer
from .witness import When

z = sp.Symbol("z", complex=True)  # the shift operator, unlike any parameter of that name


class NotLTI(NotCarried):
    """The algorithm is not a linear time-invariant map around its oracles; the message gives the reason."""


@dataclass(frozen=True)
class StateSpace(Rendered):
    """x+ = A x + B u, y = C x + D u with u = oracles(y), acting on each coordinate alike.

    ``output`` reads the algorithm's output off the state. ``start`` is the initial state: its columns
    multiply x0 and then the oracle calls ``start_calls`` that are made before the first step (None for
    another start). Diagonal entries of D make a step implicit, entries below it mean several calls per step.

    Of a form made to be compared, ``made`` lists the calls of the program that each input represents and ``asked`` when
    those of ``start_calls`` are made, as (step, call); ``every`` how many steps of the program are one step here, and
    ``late`` how many are over at the beginning.
    """

    A: sp.Matrix
    B: sp.Matrix
    C: sp.Matrix
    D: sp.Matrix
    states: tuple[str, ...]
    inputs: tuple[Oracle, ...]
    output: sp.Matrix | None
    start: sp.Matrix | None
    start_calls: tuple[Atom, ...] = ()
    asked: tuple[When, ...] = ()
    made: tuple[When, ...] = ()
    every: int = 1
    late: int = 0

    @property
    def symbols(self) -> set[sp.Symbol]:
        """The parameters."""
        parts = [*self.system, self.output, self.start]
        return {s for m in parts if m is not None for s in m.free_symbols}

    @property
    def system(self) -> System:
        """The transfer matrices from oracle results to points."""
        return self.A, self.B, self.C, self.D

    def __str__(self) -> str:
        states, inputs = (
            ", ".join(names) for names in (self.states, [o.text for o in self.inputs])
        )
        head = f"s+ = A s + B u, y = C s + D u, where s = ({states}) and u = ({inputs}) at y"
        parts = {"A": self.A, "B": self.B, "C": self.C, "D": self.D, "output": self.output}
        return "\n".join([head, *(_rows(n, m) for n, m in parts.items() if m is not None)])

    def latex(self) -> str:
        """The two equations, with their matrices (needs amsmath)."""
        A, B, C, D = (_matrix_latex(m) for m in self.system)
        lines = [f"s^+ &= {A}\\, s + {B}\\, u", f"y &= {C}\\, s + {D}\\, u"]
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"

    def transfer(self) -> sp.Matrix:
        """The transfer matrix C (z I - A)^-1 B + D: cancelled fractions in z and the parameters."""
        return transfer(self.system, z)

    def modal_matrix(self, curvature: sp.Expr) -> sp.Matrix:
        """The state's map on one mode of a quadratic, u = curvature * y."""
        n = self.D.rows
        solved = inverse(sp.eye(n) - curvature * self.D)
        if solved is None:
            raise OdescentError(f"the implicit step has no solution on the mode {curvature}.")
        gain = solved * curvature * self.C
        return (self.A + self.B * gain).applyfunc(canonical)

    def markov(self, steps: int) -> list[sp.Matrix]:
        """The impulse response: D, CB, CAB, ..."""
        response, moved = [self.D.applyfunc(canonical)], self.B
        for _ in range(steps):
            response.append((self.C * moved).applyfunc(canonical))
            moved = (self.A * moved).applyfunc(canonical)
        return response

    def changed(
        self, rule: Mapping[sp.Symbol, sp.Expr], form: Callable[[sp.Expr], sp.Expr] = canonical
    ) -> Self:
        """The form with parameters replaced, and entries rewritten by ``form``."""

        def moved(m: sp.Matrix) -> sp.Matrix:
            return m.xreplace(dict(rule)).applyfunc(form)

        return replace(
            self, A=moved(self.A), B=moved(self.B), C=moved(self.C), D=moved(self.D),
            output=None if self.output is None else moved(self.output),
            start=None if self.start is None else moved(self.start),
            start_calls=tuple(_substituted(a, rule) for a in self.start_calls),
        )  # fmt: skip

    def ordered(self, order: tuple[int, ...]) -> Self:
        """The form with the calls of a step in another order."""
        every = list(range(self.A.rows))
        return replace(
            self, B=self.B.extract(every, list(order)), C=self.C.extract(list(order), every),
            D=self.D.extract(list(order), list(order)), inputs=tuple(self.inputs[i] for i in order),
            made=tuple(self.made[i] for i in order),
        )  # fmt: skip

    def renamed(self, names: Mapping[Oracle, Oracle]) -> Self:
        """The form with other oracles."""
        return replace(
            self,
            inputs=tuple(names.get(o, o) for o in self.inputs),
            start_calls=tuple(next(iter(renamed(a, names).terms)) for a in self.start_calls),
        )

    def merged(self) -> StateSpace:
        """The form with calls merged whose points coincide for all results, within a step or with the next one."""
        for j, i in itertools.combinations(reversed(range(len(self.inputs))), 2):
            if self.inputs[i] == self.inputs[j] and self._coincide(i, j):
                return self.joined(i, j).merged()
        for i, j in itertools.permutations(range(len(self.inputs)), 2):
            if self.inputs[i] == self.inputs[j] and self._repeats(i, j):
                return self._keep(i, j).merged()
        return self

    def _repeats(self, i: int, j: int) -> bool:
        """Whether call i of every step is call j of the step before."""
        if self.start is None or any(self.D.row(i)):
            return False
        answered = self.C.row(i) * self.B - self.D.row(j)
        if any(canonical(e) != 0 for e in answered):
            return False
        return self._stays_zero((self.C.row(i) * self.A - self.C.row(j)).applyfunc(canonical))

    def _stays_zero(self, row: sp.Matrix) -> bool:
        """Whether a row vanishes on the state in every step."""
        fed = sp.Matrix.hstack(self.B, self.start)
        for _ in range(self.A.rows):  # after as many steps as there are states nothing new comes
            if any(canonical(e) != 0 for e in row * fed):
                return False
            row = (row * self.A).applyfunc(canonical)
        return True

    def _keep(self, i: int, j: int) -> StateSpace:
        """The form with the result of call j kept as a state in place of call i of the next step."""
        assert self.start is not None
        n, kept = self.A.rows, [c for c in range(len(self.inputs)) if c != i]
        first = next(
            iter(call(self.inputs[i], self.beginning(self.C.row(i))).terms)
        ).canonical_atom()
        begin, known, asked = self.start, list(self.start_calls), list(self.asked)
        when = tuple((p + self.late, q) for p, q in self.made[i])
        if first in known:
            asked[known.index(first)] += when
        else:
            begin, known, asked = begin.row_join(sp.zeros(n, 1)), [*known, first], [*asked, when]
        row = sp.zeros(1, begin.cols)
        row[0, 1 + known.index(first)] = 1
        memory = sp.zeros(1, len(kept))
        memory[0, kept.index(j)] = 1
        again = tuple((p + self.every, q) for p, q in self.made[i])
        return replace(
            self,
            A=self.A.row_join(self.B.col(i)).col_join(sp.zeros(1, n + 1)),
            B=self.B.extract(list(range(n)), kept).col_join(memory),
            C=self.C.row_join(self.D.col(i)).extract(kept, list(range(n + 1))),
            D=self.D.extract(kept, kept), states=(*self.states, f"answer_{n}"),
            inputs=tuple(self.inputs[c] for c in kept),
            output=None if self.output is None else self.output.row_join(sp.zeros(1, 1)),
            start=begin.col_join(row), start_calls=tuple(known), asked=tuple(asked),
            made=tuple(self.made[c] + (again if c == j else ()) for c in kept),
        )  # fmt: skip

    def answered_alike(self, i: int, j: int) -> bool:
        """Whether a step's results enter its points i and j alike, with one result for both."""
        direct = [canonical(self.D[j, c] - self.D[i, c]) for c in range(self.D.cols)]
        own = canonical(direct[i] + direct[j])
        if any(d != 0 for c, d in enumerate(direct) if c not in (i, j)) or own != 0:
            return False
        return bool(self.D[j, j] == 0 or self.D[j, i] == 0)

    def _coincide(self, i: int, j: int) -> bool:
        if not self.answered_alike(i, j):
            return False
        return self.start is not None and self._stays_zero(self.C.row(j) - self.C.row(i))

    def joined(self, i: int, j: int) -> Self:
        """With calls i and j of a step made as one."""
        kept = [c for c in range(len(self.inputs)) if c != j]

        def joined(m: sp.Matrix) -> sp.Matrix:
            m = m.copy()
            m[:, i] = (m[:, i] + m[:, j]).applyfunc(canonical)
            return m.extract(list(range(m.rows)), kept)

        return replace(
            self, B=joined(self.B), C=self.C.extract(kept, list(range(self.A.rows))),
            D=joined(self.D).extract(kept, list(range(len(kept)))), inputs=tuple(self.inputs[c] for c in kept),
            made=tuple(self.made[c] + (self.made[j] if c == i else ()) for c in kept),
        )  # fmt: skip

    def repeated(self, times: int) -> Self:
        """Several steps as one: the calls of all of them, in order."""
        n, m = self.A.rows, len(self.inputs)
        a, b = sp.eye(n), sp.zeros(n, 0)
        c, d = sp.zeros(0, n), sp.zeros(0, 0)
        for _ in range(times):
            below = sp.Matrix.hstack(self.C * b, self.D)
            above = sp.Matrix.hstack(d, sp.zeros(d.rows, m))
            c, d = sp.Matrix.vstack(c, self.C * a), sp.Matrix.vstack(above, below)
            a, b = self.A * a, sp.Matrix.hstack(self.A * b, self.B)
            a, b, c, d = (e.applyfunc(canonical) for e in (a, b, c, d))
        steps = range(times)
        later = [
            tuple((p + t * self.every, q) for p, q in made) for t in steps for made in self.made
        ]
        return replace(
            self,
            A=a,
            B=b,
            C=c,
            D=d,
            inputs=self.inputs * times,
            made=tuple(later),
            every=self.every * times,
        )

    def delayed(self, steps: int) -> StateSpace:
        """The form with results delayed by some steps; before that they are zero."""
        n, m = self.A.rows, len(self.inputs)
        wide = n + m * steps
        a, b, c = sp.zeros(wide, wide), sp.zeros(wide, m), sp.zeros(m, wide)
        a[:n, :n], a[:n, n : n + m] = self.A, self.B
        c[:, :n], c[:, n : n + m] = self.C, self.D
        for i in range(m * (steps - 1)):
            a[n + i, n + m + i] = 1
        b[wide - m :, :] = sp.eye(m)
        begin = self.start
        if begin is not None:
            begin = sp.Matrix.vstack(begin, sp.zeros(m * steps, begin.cols))
        read = self.output
        if read is not None:
            read = sp.Matrix.hstack(read, sp.zeros(1, m * steps))
        names = tuple(f"answer_{i}" for i in range(m * steps))
        return replace(
            self,
            A=a,
            B=b,
            C=c,
            D=sp.zeros(m, m),
            output=read,
            start=begin,
            states=self.states + names,
        )

    def beginning(self, row: sp.Matrix) -> Vector:
        """A row applied to the initial state: a vector in x0 and the known results."""
        assert self.start is not None
        weights = row * self.start
        columns = (start, *self.start_calls)
        read = Vector.of((c, canonical(w)) for c, w in zip(columns, weights, strict=True))
        return read.canonical()

    def advanced(self) -> StateSpace:
        """One step later: what the first step calls belongs to what is known."""
        assert self.start is not None
        n = self.A.rows
        answers: list[Vector] = []
        asked: dict[Atom, list[tuple[int, int]]] = {
            a: list(w) for a, w in zip(self.start_calls, self.asked, strict=True)
        }
        for i, oracle in enumerate(self.inputs):
            point = self.beginning(self.C.row(i))
            for j, answer in enumerate(answers):
                point = point + answer * self.D[i, j]
            parameters = () if self.D[i, i] == 0 else (canonical(self.D[i, i]),)
            answer = Call(oracle, point.canonical(), (), parameters).canonical_atom()
            answers.append(answer)
            asked.setdefault(answer, []).extend((p + self.late, q) for p, q in self.made[i])
        after = []
        for i in range(n):
            moved: Vector = zero
            for j in range(n):
                moved = moved + self.beginning(sp.eye(n).row(j)) * self.A[i, j]
            for j, answer in enumerate(answers):
                moved = moved + answer * self.B[i, j]
            after.append(moved.canonical())
        known = tuple(asked)
        rows = [[canonical(coefficient(e, a)) for a in (start, *known)] for e in after]
        return replace(
            self, start=sp.Matrix(n, 1 + len(known), [e for r in rows for e in r]), start_calls=known,
            asked=tuple(tuple(w) for w in asked.values()), late=self.late + self.every,
        )  # fmt: skip


def linear(program: Program) -> StateSpace:
    """The view of a program to be compared: proximal points are written by their gradients.

    Raises NotLTI where there is none.
    """
    return state_space(explicit_proximal(program))


def state_space(program: Program) -> StateSpace:
    """The linear view of a program.

    Raises NotLTI if coefficients depend on the step, noise is drawn, a block is not a vector, or an
    expression is not linear in blocks and oracle results.
    """
    # refuse what has no linear time-invariant form, each with its own reason
    if program.draws:
        raise NotLTI("the algorithm draws noise, so it has no deterministic state-space form.")
    if program.sweeps:
        raise NotLTI(
            "the algorithm updates coordinates one after another, so its map differs between them."
        )
    for b in program.blocks:
        if b.kind == "scalar":
            raise NotLTI(f"the scalar block {b.name!r} changes the coefficients from step to step.")
        if b.kind in OPERATORS:
            raise NotLTI(f"the block {b.name!r} is a matrix, not a vector.")
    for c in (i for i in program.plain if isinstance(i, CallOracle)):
        if c.oracle.args:
            raise NotLTI(f"{c.oracle.of} is a function of {listed(c.oracle.args)}.")
        if c.directions or c.parameters:
            raise NotLTI(f"the oracle {c.oracle.name} is called with further arguments.")
    try:
        flat = program.inlined()
    except TooLarge as error:
        raise NotLTI(str(error)) from None
    targets = [c.target for c in flat.calls]
    for c in flat.calls:
        if program.counter is not None and program.counter in c.implicit.free_symbols:
            raise NotLTI(
                f"the coefficient {c.implicit} depends on the step number {program.counter}."
            )
    symbols = list(program.state)

    def row(e: Expr, over: list[VectorSymbol]) -> list[sp.Expr]:
        assert isinstance(e, Vector)
        for atom, value in e.terms.items():
            if atom not in symbols and atom not in targets:
                raise NotLTI(f"{atom} is not linear in the blocks and the oracle results.")
            if value.has(ScalarNode):
                raise NotLTI(f"the coefficient {value} of {atom} depends on the state.")
            if program.counter is not None and program.counter in value.free_symbols:
                raise NotLTI(
                    f"the coefficient {value} depends on the step number {program.counter}."
                )
        return [canonical(e.terms.get(s, sp.S.Zero)) for s in over]

    # oracle results are the inputs and oracle points the outputs; an implicit call feeds its result through
    after = [flat.next[s] for s in symbols]
    a = sp.Matrix(len(symbols), len(symbols), [v for e in after for v in row(e, symbols)])
    b = sp.Matrix(len(symbols), len(targets), [v for e in after for v in row(e, targets)])
    points = [c.point for c in flat.calls]
    c_matrix = sp.Matrix(len(targets), len(symbols), [v for e in points for v in row(e, symbols)])
    d = sp.Matrix(len(targets), len(targets), [v for e in points for v in row(e, targets)])
    d = d + sp.diag(*[c.implicit for c in flat.calls]) if targets else d
    output = program.outputs.get("x")
    read = sp.Matrix([row(output, symbols)]) if isinstance(output, Vector) else None
    inputs = tuple(c.oracle for c in flat.calls)
    names = tuple(blk.name for blk in program.blocks)
    begin, asked = _start(program)
    return StateSpace(
        a, b, c_matrix, d, names, inputs, read, begin, tuple(a.canonical_atom() for a in asked),
        tuple(((-1, i),) for i in range(len(asked))), tuple(((0, i),) for i in range(len(inputs))),
    )  # fmt: skip


def _start(program: Program) -> tuple[sp.Matrix | None, tuple[Call, ...]]:
    inits = [b.init for b in program.blocks]
    found = {atom for e in inits if isinstance(e, Vector) for atom in e.terms if atom != start}
    calls = tuple(sorted((a for a in found if isinstance(a, Call)), key=lambda a: a.key))
    if len(calls) < len(found) or any(a.point.free_symbols - {start} for a in calls):
        return None, ()
    return sp.Matrix(
        [[canonical(coefficient(e, a)) for a in (start, *calls)] for e in inits]
    ), calls


def explicit_proximal(program: Program) -> Program:
    """Proximal points written by the gradients that they are made of: prox(p) = p - w u with u = grad(p - w u)."""
    if not any(c.oracle.kind == "prox" and len(c.parameters) == 1 for c in program.calls):
        return program
    instructions: list[Instruction] = []
    for i in program.plain:
        if not (isinstance(i, CallOracle) and i.oracle.kind == "prox" and len(i.parameters) == 1):
            instructions.append(i)
            continue
        (weight,) = i.parameters
        answer = VectorSymbol(f"_gradient_{i.target.name}")
        called = CallOracle(answer, Oracle("grad", i.oracle.of), i.point, (), (), -weight)
        instructions += [called, Assign(i.target, i.point - answer * weight)]
    return replace(program, instructions=tuple(instructions))


def _substituted(atom: Atom, rule: Mapping[sp.Symbol, sp.Expr]) -> Atom:
    def change(part: object) -> object:
        if isinstance(part, Vector):
            return Vector.of(
                (_substituted(a, rule), c.xreplace(dict(rule))) for a, c in part.terms.items()
            )
        return part.xreplace(dict(rule)) if isinstance(part, sp.Expr) else part

    moved = atom.rebuild(change)
    return moved.canonical_atom() if isinstance(moved, Atom) else atom


def _rows(name: str, matrix: sp.Matrix) -> str:
    """A matrix as lines of text, its columns below one another."""
    entries = [[text(in_factors(e)) for e in row] for row in matrix.tolist()]
    widths = [max(map(len, column)) for column in zip(*entries, strict=True)]
    rows = ["  ".join(e.ljust(w) for e, w in zip(row, widths, strict=True)) for row in entries]
    return "\n".join(
        f"{name if i == 0 else '':>6} {'=' if i == 0 else ' '} [{row}]"
        for i, row in enumerate(rows)
    )


def _matrix_latex(matrix: sp.Matrix) -> str:
    rows = " \\\\ ".join(" & ".join(latex(in_factors(e)) for e in row) for row in matrix.tolist())
    return rf"\begin{{pmatrix}} {rows} \end{{pmatrix}}"
