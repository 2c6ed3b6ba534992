"""The linear view of a program whose coefficients change from step to step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp

from odescent.dynamics.calculus import coefficient
from odescent.dynamics.exact import canonical, sample
from odescent.dynamics.fields import start
from odescent.dynamics.vectors import Expr, Oracle, ScalarNode, Vector, VectorSymbol

from .program import Assign, Program
from .state_space import NotLTI

K = sp.Symbol("k", integer=True, nonnegative=True)
DIGITS, STEPS = 40, 8  # of the numbers below


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


class Numbers:
    """The method at generic parameter values: matrices along the actual sequence of its scalars."""

    def __init__(self, system: TimeVarying) -> None:
        import mpmath

        free = {s for m in (system.A, system.B, system.C, system.D) for s in m.free_symbols}
        for e in [*system.ahead.values(), *system.begin.values()]:
            free |= e.free_symbols
        if system.output is not None:
            free |= system.output.free_symbols
        self.values = sample(free - set(system.ahead))
        self.names = list(system.ahead)

        def bound(m: Any) -> Any:
            return sp.lambdify(self.names, m.xreplace(self.values), "mpmath")

        current = [mpmath.mpf(sp.N(e.xreplace(self.values), DIGITS)) for e in system.begin.values()]
        step = [bound(e) for e in system.ahead.values()]
        parts = {n: bound(getattr(system, n)) for n in ("A", "B", "C", "D")}
        if system.output is not None:
            parts["output"] = bound(system.output)
        self.scalars: list[list[Any]] = []
        self.at: list[dict[str, Any]] = []
        for _ in range(STEPS + 1):
            self.scalars.append(current)
            self.at.append({n: p(*current) for n, p in parts.items()})
            current = [f(*current) for f in step]
        self.first = bound(system.start)(*self.scalars[0])

    def history(self, reader: str) -> list[Any]:
        """What ``reader`` sees of x0 and of each earlier gradient, step by step."""
        import mpmath

        state, seen = mpmath.matrix(self.first), []
        for at in self.at:
            seen.append(at[reader] * state)
            moved, entered = at["A"] * state, at["B"]
            state = mpmath.matrix([[*moved[i, :], *entered[i, :]] for i in range(moved.rows)])
        return seen
