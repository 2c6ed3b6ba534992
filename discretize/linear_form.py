"""Linear methods in a form to compare: coinciding calls made once, steps put together, delays."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import sympy as sp

from odescent.dynamics.calculus import coefficient
from odescent.dynamics.exact import canonical
from odescent.dynamics.fields import start
from odescent.dynamics.vectors import Atom, Call, Oracle, Vector, VectorSymbol, zero

from .matrices import System
from .program import Assign, CallOracle, Instruction, Program
from .state_space import StateSpace, state_space
from .witness import When

Made = tuple[tuple[int, int], ...]  # (program step within the step, call of that step)


@dataclass(frozen=True)
class Linear:
    """x+ = A x + B u, y = C x + D u, with what its beginning knows.

    The columns of ``start`` multiply x0 and the results of ``known``: the calls made so far, as expressions in
    x0 (None for a start that is not linear in x0 and calls). ``asked`` says when each of them was made, as
    (step, call); ``made`` which calls of the program each input stands for; ``every`` how many steps of the
    program are one step here; ``late`` how many steps of the program are over at the beginning.
    """

    A: sp.Matrix
    B: sp.Matrix
    C: sp.Matrix
    D: sp.Matrix
    states: tuple[str, ...]
    inputs: tuple[Oracle, ...]
    output: sp.Matrix | None
    start: sp.Matrix | None
    known: tuple[Atom, ...]
    asked: tuple[When, ...]
    made: tuple[Made, ...]
    every: int = 1
    late: int = 0

    @property
    def symbols(self) -> set[sp.Symbol]:
        """The parameters."""
        parts = [self.A, self.B, self.C, self.D, self.output, self.start]
        return {s for m in parts if m is not None for s in m.free_symbols}

    @property
    def system(self) -> System:
        """The matrices from the answers to the points."""
        return self.A, self.B, self.C, self.D

    def state_space(self) -> StateSpace:
        """The view from the answers to the points, without output and start."""
        return StateSpace(*self.system, self.states, self.inputs, None, None)

    def changed(
        self, rule: Mapping[sp.Symbol, sp.Expr], form: Callable[[sp.Expr], sp.Expr] = canonical
    ) -> Linear:
        """With parameters replaced, and scalars brought to that form."""

        def moved(m: sp.Matrix) -> sp.Matrix:
            return m.xreplace(dict(rule)).applyfunc(form)

        return replace(
            self, A=moved(self.A), B=moved(self.B), C=moved(self.C), D=moved(self.D),
            output=None if self.output is None else moved(self.output),
            start=None if self.start is None else moved(self.start),
            known=tuple(_substituted(a, rule) for a in self.known),
        )  # fmt: skip

    def ordered(self, order: tuple[int, ...]) -> Linear:
        """With the calls of a step in another order."""
        every = list(range(self.A.rows))
        return replace(
            self, B=self.B.extract(every, list(order)), C=self.C.extract(list(order), every),
            D=self.D.extract(list(order), list(order)), inputs=tuple(self.inputs[i] for i in order),
            made=tuple(self.made[i] for i in order),
        )  # fmt: skip

    def renamed(self, names: Mapping[Oracle, Oracle]) -> Linear:
        """With other oracles."""
        return replace(
            self,
            inputs=tuple(names.get(o, o) for o in self.inputs),
            known=tuple(_recalled(a, names) for a in self.known),
        )

    def merged(self) -> Linear:
        """With calls of a step that are made at the same point, whatever the answers, made once."""
        for j, i in itertools.combinations(reversed(range(len(self.inputs))), 2):
            if self.inputs[i] == self.inputs[j] and self._coincide(i, j):
                return self._merge(i, j).merged()
        return self

    def _coincide(self, i: int, j: int) -> bool:
        direct = [canonical(self.D[j, c] - self.D[i, c]) for c in range(self.D.cols)]
        own = canonical(direct[i] + direct[j])
        if any(d != 0 for c, d in enumerate(direct) if c not in (i, j)) or own != 0:
            return False
        if self.D[j, j] != 0 and self.D[j, i] != 0:
            return False
        if self.start is None:
            return False
        fed = sp.Matrix.hstack(self.B, self.start)
        row = self.C.row(j) - self.C.row(i)
        for _ in range(self.A.rows):  # after as many steps as there are states nothing new comes
            if any(canonical(e) != 0 for e in row * fed):
                return False
            row = (row * self.A).applyfunc(canonical)
        return True

    def _merge(self, i: int, j: int) -> Linear:
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

    def repeated(self, times: int) -> Linear:
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

    def delayed(self, steps: int) -> Linear:
        """With answers that arrive some steps late; before that they are zero."""
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
        """What a row reads off the initial state: a vector in x0 and the known results."""
        assert self.start is not None
        weights = row * self.start
        columns = (start, *self.known)
        read = Vector.of((c, canonical(w)) for c, w in zip(columns, weights, strict=True))
        return read.canonical()

    def advanced(self) -> Linear:
        """One step later: what the first step calls belongs to what is known."""
        assert self.start is not None
        n = self.A.rows
        answers: list[Vector] = []
        asked: dict[Atom, list[tuple[int, int]]] = {
            a: list(w) for a, w in zip(self.known, self.asked, strict=True)
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
            self, start=sp.Matrix(n, 1 + len(known), [e for r in rows for e in r]), known=known,
            asked=tuple(tuple(w) for w in asked.values()), late=self.late + self.every,
        )  # fmt: skip


def linear(program: Program) -> Linear:
    """The linear form of a program; raises NotLTI where it has none."""
    s = state_space(explicit_proximal(program))
    return from_state_space(s)


def from_state_space(s: StateSpace) -> Linear:
    """The form of a state-space view."""
    return Linear(
        s.A, s.B, s.C, s.D, s.states, s.inputs, s.output, s.start,
        tuple(a.canonical_atom() for a in s.start_calls),
        tuple(((-1, i),) for i in range(len(s.start_calls))), tuple(((0, i),) for i in range(len(s.inputs))),
    )  # fmt: skip


def explicit_proximal(program: Program) -> Program:
    """Proximal points written by the gradients that they are made of: prox(p) = p - w u with u = grad(p - w u)."""
    if not any(c.oracle.kind == "prox" and len(c.parameters) == 1 for c in program.calls):
        return program
    instructions: list[Instruction] = []
    for i in program.instructions:
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


def _recalled(atom: Atom, names: Mapping[Oracle, Oracle]) -> Atom:
    def change(part: object) -> object:
        if isinstance(part, Vector):
            return Vector.of((_recalled(a, names), c) for a, c in part.terms.items())
        return part

    moved = atom.rebuild(change)
    if isinstance(moved, Call):
        moved = Call(
            names.get(moved.oracle, moved.oracle), moved.point, moved.directions, moved.parameters
        )
    return moved if isinstance(moved, Atom) else atom
