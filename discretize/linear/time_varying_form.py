"""The linear view of a program whose coefficients change from step to step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import sympy as sp

from ..._support.errors import TooLarge
from ...dynamics.algebra.calculus import coefficient
from ...dynamics.algebra.exact import canonical
from ...dynamics.algebra.vectors import Expr, ScalarNode, Vector, VectorSymbol
from ...dynamics.vector_fields.block import start
from ..programs.program import Assign, Program
from .state_space import NotLTI, StateSpace, explicit_proximal
from .witness import Values, samples

K = sp.Symbol("k", integer=True, nonnegative=True)
DIGITS, STEPS = 100, 8  # of the numbers below


@dataclass(frozen=True)
class TimeVarying(StateSpace):
    """The same with entries in the step number k and in scalars with a recurrence, from a multiple of x0.

    ``ahead`` maps each scalar (k among them) to its next value, ``begin`` to its first; ``within`` lists the scalars
    that a step computes.
    """

    ahead: Mapping[sp.Symbol, sp.Expr] = field(default_factory=lambda: {K: K + 1})
    begin: Mapping[sp.Symbol, sp.Expr] = field(default_factory=lambda: {K: sp.S.Zero})
    within: tuple[sp.Expr, ...] = ()

    @property
    def symbols(self) -> set[sp.Symbol]:
        """The parameters, without the step number and the scalars."""
        further = [*self.ahead.values(), *self.begin.values()]
        return (super().symbols | {s for e in further for s in e.free_symbols}) - set(self.ahead)

    @staticmethod
    def constant(s: StateSpace) -> TimeVarying:
        """A method whose coefficients do not change."""
        parts = {f.name: getattr(s, f.name) for f in fields(StateSpace)}
        return TimeVarying(**{**parts, "start": None if s.start_calls else s.start})

    def later(self, steps: int) -> TimeVarying:
        """With coefficients that are so many steps ahead, from the same start."""
        begin = dict(self.begin)
        for _ in range(steps):
            begin = {s: canonical(e.xreplace(begin)) for s, e in self.ahead.items()}
        moved = self.changed({K: K + steps})  # the counter itself begins at zero
        return replace(moved, begin={**begin, K: sp.S.Zero})

    def repeated(self, times: int) -> Self:
        """Several steps as one: the calls of all of them, in order."""
        n, m = self.A.rows, len(self.inputs)
        now = {s: s for s in self.ahead} | {K: times * K}
        a, b = sp.eye(n), sp.zeros(n, 0)
        c, d = sp.zeros(0, n), sp.zeros(0, 0)
        for t in range(times):
            own = [e.xreplace(now) for e in self.system]
            c, d = (
                c.col_join(own[2] * a),
                sp.Matrix.vstack(d.row_join(sp.zeros(d.rows, m)), (own[2] * b).row_join(own[3])),
            )
            a, b = own[0] * a, (own[0] * b).row_join(own[1])
            a, b, c, d = (e.applyfunc(canonical) for e in (a, b, c, d))
            now = {s: canonical(e.xreplace(now)) for s, e in self.ahead.items()}
            now[K] = times * K + t + 1
        return replace(
            self, A=a, B=b, C=c, D=d, inputs=self.inputs * times, ahead={**now, K: K + 1},
            made=tuple(
                tuple((p + t * self.every, q) for p, q in made) for t in range(times) for made in self.made
            ),
            every=self.every * times, within=(),
        )  # fmt: skip

    def changed(
        self, rule: Mapping[sp.Symbol, sp.Expr], form: Callable[[sp.Expr], sp.Expr] = canonical
    ) -> Self:
        """With symbols replaced everywhere but in the list of scalars, entries brought to that form."""

        def change(e: sp.Expr) -> sp.Expr:
            return form(e.xreplace(dict(rule)))

        return replace(
            super().changed(rule, form),
            ahead={s: e if s == K else change(e) for s, e in self.ahead.items()},
            begin={s: change(e) for s, e in self.begin.items()},
            within=tuple(change(e) for e in self.within),
        )  # fmt: skip

    def shifted(self, m: sp.Matrix) -> sp.Matrix:
        """The matrix one step later."""
        return m.xreplace(dict(self.ahead)).applyfunc(canonical)

    def rewritten(self, values: Mapping[sp.Symbol, sp.Expr]) -> TimeVarying:
        """The same with scalars expressed by others, which take their place."""
        kept = {s: e for s, e in self.ahead.items() if s not in values}
        begin = {s: e for s, e in self.begin.items() if s not in values}
        return replace(replace(self, ahead=kept).changed(values), begin=begin)


def time_varying(program: Program) -> TimeVarying:
    """The linear time-varying form of a program; raises NotLTI where it is not linear."""
    program = explicit_proximal(program)
    if program.draws or any(c.directions or c.parameters for c in program.calls):
        raise NotLTI("the algorithm draws noise or calls an oracle with further arguments.")
    if any(b.kind not in {"vector", "scalar"} for b in program.blocks):
        raise NotLTI("the algorithm has a block that is neither a vector nor a scalar.")
    try:
        flat = program.inlined()
    except TooLarge as error:
        raise NotLTI(str(error)) from None
    symbols = [b.symbol for b in program.blocks if b.kind != "scalar"]
    targets = [c.target for c in flat.calls]

    def row(e: Expr, over: list[VectorSymbol]) -> list[sp.Expr]:
        assert isinstance(e, Vector)
        for atom, value in e.terms.items():
            if (atom not in symbols and atom not in targets) or value.has(ScalarNode):
                raise NotLTI(f"{atom} is not linear in the blocks and the oracle results.")
        return [canonical(coefficient(e, s)) for s in over]

    def matrix(exprs: list[Expr], over: list[Any]) -> sp.Matrix:
        return sp.Matrix(len(exprs), len(over), [v for e in exprs for v in row(e, over)])

    # scalar blocks and the step number are the recurrence that the coefficients follow
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
    # an implicit call feeds its result through to its own point
    points, after_all = [c.point for c in flat.calls], [flat.next[s] for s in symbols]
    implicit = sp.diag(*[c.implicit for c in flat.calls]) if targets else sp.zeros(0, 0)
    from_x0 = all(isinstance(e, Vector) and set(e.terms) <= {start} for e in initial)
    output = program.outputs.get("x")
    return TimeVarying(
        matrix(after_all, symbols), matrix(after_all, targets), matrix(points, symbols),
        matrix(points, targets) + implicit, tuple(map(str, symbols)), tuple(c.oracle for c in flat.calls),
        matrix([output], symbols) if isinstance(output, Vector) else None,
        sp.Matrix([coefficient(e, start) for e in initial]) if from_x0 else None,
        made=tuple(((0, i),) for i in range(len(targets))), ahead=ahead, begin=begin, within=_within(program),
    )  # fmt: skip


def _within(program: Program) -> tuple[sp.Expr, ...]:
    """The scalars that a step computes from scalars, in terms of the state's."""
    known: dict[Any, sp.Expr] = {}
    for i in program.plain:
        if (
            isinstance(i, Assign)
            and not isinstance(i.value, Vector)
            and not i.value.has(ScalarNode)
        ):
            known[i.target] = canonical(i.value.xreplace(known))
    return tuple(known.values())


def weights(system: TimeVarying, steps: int = 4) -> list[sp.Expr]:
    """Weights of each oracle result in the points of the first steps, independent of the start."""
    now, found = dict(system.begin), []
    state = sp.zeros(system.A.rows, 0)
    for _ in range(steps):
        a, b, c, d = (m.xreplace(now) for m in system.system)
        found += [canonical(e) for e in sp.Matrix.hstack(c * state, d)]
        state = sp.Matrix.hstack(a * state, b).applyfunc(canonical)
        now = {s: canonical(e.xreplace(now)) for s, e in system.ahead.items()}
    return found


class MatrixSequence:
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
            return sp.lambdify(self.names, m.xreplace(self.values), "mpmath", dummify=True)

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
        """Weights in ``reader`` of x0, of each earlier result and, for a point, of this step's, step by step."""
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
