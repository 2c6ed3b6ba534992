"""The linear view of a program whose coefficients change from step to step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp

from odescent.dynamics.calculus import coefficient
from odescent.dynamics.exact import canonical
from odescent.dynamics.fields import start
from odescent.dynamics.vectors import Expr, Oracle, ScalarNode, Vector, VectorSymbol

from .linear_form import Linear, explicit_proximal
from .program import Assign, Program
from .state_space import NotLTI
from .witness import Values, samples

K = sp.Symbol("k", integer=True, nonnegative=True)
DIGITS, STEPS = 100, 8  # of the numbers below


@dataclass(frozen=True)
class TimeVarying:
    """x+ = A x + B u, y = C x + D u, with entries in the step number k and in scalars with a recurrence.

    ``ahead`` maps each scalar (k among them) to its next value, ``begin`` to its first; ``start`` is the
    initial state as multiples of x0 and ``output`` the row that reads the output, where there are any;
    ``within`` lists the scalars that a step computes.
    """

    A: sp.Matrix
    B: sp.Matrix
    C: sp.Matrix
    D: sp.Matrix
    ahead: Mapping[sp.Symbol, sp.Expr]
    begin: Mapping[sp.Symbol, sp.Expr]
    inputs: tuple[Oracle, ...]
    start: sp.Matrix | None
    output: sp.Matrix | None
    within: tuple[sp.Expr, ...] = ()

    @property
    def symbols(self) -> set[sp.Symbol]:
        """The parameters, without the step number and the scalars."""
        parts: list[Any] = [
            self.A,
            self.B,
            self.C,
            self.D,
            *self.ahead.values(),
            *self.begin.values(),
        ]
        parts += [m for m in (self.start, self.output) if m is not None]
        return {s for m in parts for s in m.free_symbols} - set(self.ahead)

    @staticmethod
    def constant(system: Linear) -> TimeVarying:
        """A method whose coefficients do not change."""
        begin = None if system.known or system.start is None else system.start
        return TimeVarying(
            system.A,
            system.B,
            system.C,
            system.D,
            {K: K + 1},
            {K: sp.S.Zero},
            system.inputs,
            begin,
            system.output,
        )

    def ordered(self, order: tuple[int, ...]) -> TimeVarying:
        """With the calls of a step in another order."""
        every, calls = list(range(self.A.rows)), list(order)
        return replace(
            self, B=self.B.extract(every, calls), C=self.C.extract(calls, every),
            D=self.D.extract(calls, calls), inputs=tuple(self.inputs[i] for i in order),
        )  # fmt: skip

    def renamed(self, names: Mapping[Oracle, Oracle]) -> TimeVarying:
        """With other oracles."""
        return replace(self, inputs=tuple(names.get(o, o) for o in self.inputs))

    def later(self, steps: int) -> TimeVarying:
        """With coefficients that are so many steps ahead, from the same start."""
        begin = dict(self.begin)
        for _ in range(steps):
            begin = {s: canonical(e.xreplace(begin)) for s, e in self.ahead.items()}
        moved = replace(self, begin=begin)
        if K not in self.ahead:
            return moved
        ahead_of = {K: K + steps}  # the counter itself begins at zero
        return replace(moved.rewritten_in_place(ahead_of), begin={**begin, K: sp.S.Zero})

    def rewritten_in_place(
        self, values: Mapping[sp.Symbol, sp.Expr], form: Callable[[sp.Expr], sp.Expr] = canonical
    ) -> TimeVarying:
        """With symbols replaced everywhere but in the list of scalars, entries brought to that form."""

        def change(e: sp.Expr) -> sp.Expr:
            return form(e.xreplace(dict(values)))

        def moved(m: sp.Matrix) -> sp.Matrix:
            return m.applyfunc(change)

        return replace(
            self, A=moved(self.A), B=moved(self.B), C=moved(self.C), D=moved(self.D),
            ahead={s: e if s == K else change(e) for s, e in self.ahead.items()},
            begin={s: change(e) for s, e in self.begin.items()},
            start=None if self.start is None else moved(self.start),
            output=None if self.output is None else moved(self.output),
            within=tuple(change(e) for e in self.within),
        )  # fmt: skip

    def shifted(self, m: sp.Matrix) -> sp.Matrix:
        """The matrix one step later."""
        return m.xreplace(dict(self.ahead)).applyfunc(canonical)

    def rewritten(self, values: Mapping[sp.Symbol, sp.Expr]) -> TimeVarying:
        """The same with scalars expressed by others, which take their place."""

        def change(m: sp.Matrix) -> sp.Matrix:
            return m.xreplace(dict(values)).applyfunc(canonical)

        return replace(
            self,
            A=change(self.A),
            B=change(self.B),
            C=change(self.C),
            D=change(self.D),
            output=None if self.output is None else change(self.output),
            ahead={
                s: canonical(e.xreplace(dict(values)))
                for s, e in self.ahead.items()
                if s not in values
            },
            begin={s: e for s, e in self.begin.items() if s not in values},
            within=tuple(e.xreplace(dict(values)) for e in self.within),
        )


def time_varying(program: Program) -> TimeVarying:
    """The linear view of a program whose coefficients may change; raises NotLTI where it is not linear."""
    program = explicit_proximal(program)
    flat = program.inlined()
    symbols = [b.symbol for b in program.blocks if b.kind != "scalar"]
    targets = [c.target for c in flat.calls]
    if program.draws or any(c.directions or c.parameters for c in flat.calls):
        raise NotLTI("the algorithm draws noise or calls an oracle with further arguments.")
    if any(b.kind not in {"vector", "scalar"} for b in program.blocks):
        raise NotLTI("the algorithm has a block that is neither a vector nor a scalar.")

    def row(e: Expr, over: list[VectorSymbol]) -> list[sp.Expr]:
        assert isinstance(e, Vector)
        for atom, value in e.terms.items():
            if (atom not in symbols and atom not in targets) or value.has(ScalarNode):
                raise NotLTI(f"{atom} is not linear in the blocks and the oracle results.")
        return [canonical(coefficient(e, s)) for s in over]

    def matrix(exprs: list[Expr], over: list[Any]) -> sp.Matrix:
        return sp.Matrix(len(exprs), len(over), [v for e in exprs for v in row(e, over)])

    ahead: dict[sp.Symbol, sp.Expr] = {K: K + 1}
    begin: dict[sp.Symbol, sp.Expr] = {K: sp.S.Zero}
    initial = []
    for b in program.blocks:
        if b.kind == "scalar":
            after = flat.next[b.symbol]
            if isinstance(after, Vector) or isinstance(b.init, Vector):  # pragma: no cover
                raise AssertionError("a scalar block holds a vector")
            if after.has(ScalarNode) or b.init.has(ScalarNode):
                raise NotLTI(f"the scalar block {b.name!r} depends on vectors.")
            ahead[b.symbol], begin[b.symbol] = after, b.init
        else:
            initial.append(b.init)
    points, after_all = [c.point for c in flat.calls], [flat.next[s] for s in symbols]
    implicit = sp.diag(*[c.implicit for c in flat.calls]) if targets else sp.zeros(0, 0)
    from_x0 = all(isinstance(e, Vector) and set(e.terms) <= {start} for e in initial)
    output = program.outputs.get("x")
    return TimeVarying(
        matrix(after_all, symbols), matrix(after_all, targets), matrix(points, symbols),
        matrix(points, targets) + implicit, ahead, begin, tuple(c.oracle for c in flat.calls),
        sp.Matrix([coefficient(e, start) for e in initial]) if from_x0 else None,
        matrix([output], symbols) if isinstance(output, Vector) else None, _within(program),
    )  # fmt: skip


def _within(program: Program) -> tuple[sp.Expr, ...]:
    """The scalars that a step computes from scalars, in terms of the state's."""
    known: dict[Any, sp.Expr] = {}
    for i in program.instructions:
        if (
            isinstance(i, Assign)
            and not isinstance(i.value, Vector)
            and not i.value.has(ScalarNode)
        ):
            known[i.target] = canonical(i.value.xreplace(known))
    return tuple(known.values())


def weights(system: TimeVarying, steps: int = 3) -> list[sp.Expr]:
    """What x0 and each answer weigh in the first points, step by step."""
    if system.start is None:
        return []
    now, state, found = dict(system.begin), system.start.xreplace(dict(system.begin)), []
    for _ in range(steps):
        a, b, c, d = (m.xreplace(now) for m in (system.A, system.B, system.C, system.D))
        found += [canonical(e) for e in sp.Matrix.hstack(c * state, d)]
        state = sp.Matrix.hstack(a * state, b).applyfunc(canonical)
        now = {s: canonical(e.xreplace(now)) for s, e in system.ahead.items()}
    return found


class Numbers:
    """The method at these parameter values: matrices along the actual sequence of its scalars.

    Raises NotReal where a value is not a finite real number.
    """

    def __init__(
        self, system: TimeVarying, values: Values | None = None, steps: int = STEPS
    ) -> None:
        import mpmath

        self.values = next(samples(system.symbols)) if values is None else values
        self.names = list(system.ahead)

        def bound(m: Any) -> Any:
            return sp.lambdify(self.names, m.xreplace(self.values), "mpmath")

        current = [mpmath.mpf(real(e.xreplace(self.values))) for e in system.begin.values()]
        step = [bound(e) for e in system.ahead.values()]
        parts = {n: bound(getattr(system, n)) for n in ("A", "B", "C", "D")}
        if system.output is not None:
            parts["output"] = bound(system.output)
        self.scalars: list[list[Any]] = []
        self.at: list[dict[str, Any]] = []
        for _ in range(steps + 1):
            self.scalars.append(current)
            try:
                self.at.append({n: mpmath.matrix(p(*current)) for n, p in parts.items()})
                current = [f(*current) for f in step]
            except (ZeroDivisionError, TypeError, NameError) as error:
                raise NotReal(str(error)) from None
            numbers = [*current, *(e for m in self.at[-1].values() for e in m)]
            if any(isinstance(e, mpmath.mpc) or not mpmath.isfinite(e) for e in numbers):
                raise NotReal("a coefficient is not a finite real number")
        self.first = (
            None if system.start is None else mpmath.matrix(bound(system.start)(*self.scalars[0]))
        )

    def history(self, reader: str) -> list[Any]:
        """What ``reader`` sees of x0, of each earlier answer and, at a point, of this step's, step by step."""
        import mpmath

        state, seen = self.first, []
        for at in self.at:
            now = at[reader] * state
            direct = at["D"] if reader == "C" else mpmath.zeros(now.rows, at["D"].cols)
            seen.append(beside(now, direct))
            state = beside(at["A"] * state, at["B"])
        return seen


class NotReal(ArithmeticError):
    """These values of the parameters are outside what the method is defined for."""


def beside(one: Any, other: Any) -> Any:
    """Two numeric matrices side by side."""
    import mpmath

    return mpmath.matrix([[*one[i, :], *other[i, :]] for i in range(one.rows)])


def real(e: sp.Expr) -> sp.Expr:
    """A finite real number in many digits."""
    import mpmath

    value = sp.N(e, max(DIGITS, mpmath.mp.dps))
    if not (value.is_real and value.is_finite and value.is_number):
        raise NotReal(f"{e} is not a finite real number")
    return value
