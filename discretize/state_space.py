"""The state-space view of an algorithm: from oracle results to the points where they are taken."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from odescent._errors import NotCarried, OdescentError
from odescent.dynamics.calculus import coefficient
from odescent.dynamics.exact import canonical
from odescent.dynamics.fields import start
from odescent.dynamics.vectors import Call, Expr, Oracle, ScalarNode, Vector, VectorSymbol

from .matrices import inverse, transfer
from .program import Program

z = sp.Symbol("z", complex=True)  # the shift operator, unlike any parameter of that name


class NotLTI(NotCarried):
    """The algorithm is not a linear time-invariant map around its oracles; the message says why."""


@dataclass(frozen=True)
class StateSpace:
    """x+ = A x + B u, y = C x + D u with u = oracles(y), acting on each coordinate alike.

    ``output`` reads the algorithm's output off the state. ``start`` is the initial state: its columns
    multiply x0 and then the oracle calls ``start_calls`` that are made before the first step (None for
    another start). Diagonal entries of D make a step implicit, entries below it mean several calls per step.
    """

    A: sp.Matrix
    B: sp.Matrix
    C: sp.Matrix
    D: sp.Matrix
    states: tuple[str, ...]
    inputs: tuple[Oracle, ...]
    output: sp.Matrix | None
    start: sp.Matrix | None
    start_calls: tuple[Call, ...] = ()

    def transfer(self) -> sp.Matrix:
        """The transfer matrix C (z I - A)^-1 B + D: cancelled fractions in z and the parameters."""
        return transfer((self.A, self.B, self.C, self.D), z)

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


def state_space(program: Program) -> StateSpace:
    """The linear view of a program.

    Raises NotLTI if coefficients depend on the step, noise is drawn, a block is not a vector, or an
    expression is not linear in blocks and oracle results.
    """
    flat = program.inlined()
    if program.draws:
        raise NotLTI("the algorithm draws noise, so it has no deterministic state-space form.")
    if program.sweeps:
        raise NotLTI(
            "the algorithm moves coordinates one after the other, so its map is not alike on each of them."
        )
    for b in program.blocks:
        if b.kind == "scalar":
            raise NotLTI(f"the scalar block {b.name!r} changes the coefficients from step to step.")
    targets = [c.target for c in flat.calls]
    for c in flat.calls:
        if c.directions or c.parameters:
            raise NotLTI(f"the oracle {c.oracle.name} is called with further arguments.")
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
    return StateSpace(a, b, c_matrix, d, names, inputs, read, *_start(program))


def _start(program: Program) -> tuple[sp.Matrix | None, tuple[Call, ...]]:
    inits = [b.init for b in program.blocks]
    found = {atom for e in inits if isinstance(e, Vector) for atom in e.terms if atom != start}
    calls = tuple(sorted((a for a in found if isinstance(a, Call)), key=lambda a: a.key))
    if len(calls) < len(found) or any(a.point.free_symbols - {start} for a in calls):
        return None, ()
    return sp.Matrix(
        [[canonical(coefficient(e, a)) for a in (start, *calls)] for e in inits]
    ), calls
