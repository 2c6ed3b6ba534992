"""Backward error analysis: the flow that an algorithm tends to, and the flow that it follows more closely.

A map z+ = z + h f_1(z) + h^2 f_2(z) + ... is the exact time-h flow of the formal field
F = F_1 + h F_2 + ..., found order by order from the Lie series (Hairer, Lubich, Wanner, Geometric
Numerical Integration, IX.1). Derivatives of the oracle of any order are carried as multilinear terms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy as sp

from odescent._errors import OdescentError
from odescent.dynamics.calculus import (
    Symbol,
    derivative,
    nothing,
    substitute,
    symbols_of,
    tidy,
    vanishes,
)
from odescent.dynamics.fields import System
from odescent.dynamics.second_order import SecondOrder, second_order
from odescent.dynamics.series import taylor
from odescent.dynamics.show import latex, text
from odescent.dynamics.vectors import Expr, call, zero

from .matrices import inverse
from .program import Assign, Draw, Program, linear_coefficient

if TYPE_CHECKING:
    from .iteration import Algorithm

Drift = dict[Symbol, Expr]


@dataclass(frozen=True)
class ModifiedEquation:
    """The modified field as a series in the step: ``terms[j]`` multiplies h**j, by block symbol."""

    terms: tuple[Drift, ...]
    step: sp.Symbol
    output: Expr
    time: sp.Symbol | None = None

    @property
    def order(self) -> int:
        return len(self.terms) - 1

    @property
    def drift(self) -> Drift:
        """The truncated field."""
        total: Drift = {}
        for s in self.terms[0]:
            value: Expr = self.terms[0][s]
            for j, term in enumerate(self.terms[1:], 1):
                value = value + term[s] * self.step**j
            total[s] = tidy(value)
        return total

    def second_order(self, output: Expr | None = None) -> SecondOrder:
        """The same as x'' = F(x, x') of the output, through the same order."""
        shown = self.output if output is None else output
        return second_order(self.drift, shown, self.step, self.order, self.time)

    def __str__(self) -> str:
        tail = f" + O({self.step}^{self.order + 1})"
        return "\n".join(f"{s}' = {text(e)}{tail}" for s, e in self.drift.items())

    def latex(self) -> str:
        from odescent.dynamics.show import symbol_latex

        tail = f" + O({self.step}^{self.order + 1})"
        rows = [
            rf"\dot{{{symbol_latex(str(s))}}} &= {latex(e)}{tail}" for s, e in self.drift.items()
        ]
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def step_series(algorithm: Algorithm, order: int) -> list[Drift]:
    """Taylor coefficients of one step in h, by state block; memories are replaced by what they follow.

    Coefficient blocks are held where they are. Raises OdescentError if the step does not tend to the identity.
    """
    return _series(algorithm, order)[0]


def _series(algorithm: Algorithm, order: int) -> tuple[list[Drift], Drift]:
    """The coefficients, and what the memories follow."""
    if not algorithm.system.fields:
        raise OdescentError(
            f"{algorithm.name or 'this algorithm'} was written as a map: there is no flow behind it."
        )
    program, h = algorithm.held_program, algorithm.step
    clock: dict[Symbol, Expr] = {}
    if program.counter is not None and algorithm.system.time is not None:
        solutions = sp.solve(sp.Eq(algorithm.clock, algorithm.system.time), program.counter)
        if len(solutions) != 1:
            raise OdescentError(
                f"the clock {algorithm.clock} cannot be solved for the step number."
            )
        clock[program.counter] = solutions[0]
    update = _through_order(program, clock, h, order)
    roles = {b.symbol: b.role for b in program.blocks}
    kept = [s for s in update if roles[s] == "state"]
    start = {s: tidy(substitute(e, {h: sp.S.Zero})) for s, e in update.items()}
    for s in kept:
        if not vanishes(start[s] - s):
            raise OdescentError(
                f"as {h} -> 0 the step sends {s} to {start[s]} instead of leaving it in place, so there is no "
                "limit flow in these blocks."
            )
    memories = [s for s in update if roles[s] == "memory"]
    graph = _slaved(update, start, kept, memories, h, order - 1)
    series = {s: taylor(tidy(substitute(update[s], graph)), h, order) for s in kept}
    return [{s: series[s][j] for s in kept} for j in range(order + 1)], graph


def _through_order(
    program: Program, clock: Mapping[Symbol, Expr], h: sp.Symbol, order: int
) -> Drift:
    """The next state as polynomials in h, expanded instruction by instruction."""
    known: dict[Symbol, Expr] = dict(clock)

    def expanded(e: Expr) -> Expr:
        value = tidy(substitute(e, known))
        try:
            return _truncated(value, h, order)
        except ValueError:
            raise OdescentError(
                f"the step has no expansion at {h} = 0: it computes {value}."
            ) from None

    for i in program.instructions:
        if isinstance(i, Assign):
            known[i.target] = expanded(i.value)
        elif isinstance(i, Draw):
            known[i.target] = nothing(i.target)
        else:
            known[i.target] = zero
            for _ in range(
                order + 1 if i.implicit != 0 else 1
            ):  # each pass gains an order of the implicit weight
                known[i.target] = expanded(
                    call(i.oracle, i.point + i.target * i.implicit, i.directions, i.parameters)
                )
    return {s: expanded(e) for s, e in program.next.items()}


def _slaved(
    update: Drift,
    start: Drift,
    kept: list[Symbol],
    memories: list[Symbol],
    h: sp.Symbol,
    order: int,
) -> dict[Symbol, Expr]:
    """The invariant graph m = M(x; h) that the memories follow, through h**order: M(x+) = m+(x, M(x)).

    At h = 0 the memories are m+ = A m + r(x) with the state in place, so each correction of the defect by
    (I - A)^-1 gains one order.
    """
    if not memories:
        return {}
    a = sp.Matrix([[linear_coefficient(start[m], other) for other in memories] for m in memories])
    rest = [tidy(start[m] - sum((o * c for o, c in zip(memories, a.row(i), strict=True) if c != 0), nothing(m)))
            for i, m in enumerate(memories)]  # fmt: skip
    back = inverse(sp.eye(len(memories)) - a)
    loose = any(symbols_of(r) & set(memories) for r in rest)
    if loose or back is None or (not a.free_symbols and any(abs(r) >= 1 for r in a.eigenvals())):
        names = ", ".join(str(m) for m in memories)
        raise OdescentError(
            f"as {h} -> 0 the memory {names} does not settle, so there is no limit flow in the states."
        )

    def corrected(graph: dict[Symbol, Expr], defect: list[Expr]) -> dict[Symbol, Expr]:
        moved = {}
        for i, m in enumerate(memories):
            parts = [d * c for d, c in zip(defect, back.row(i), strict=True) if c != 0]
            moved[m] = sum(parts, graph.get(m, nothing(m)))
        return moved

    graph = {m: tidy(e) for m, e in corrected({}, rest).items()}
    for j in range(1, order + 1):
        ahead = {s: substitute(update[s], graph) for s in kept}
        defect = [substitute(update[m], graph) - substitute(graph[m], ahead) for m in memories]
        graph = {m: _truncated(e, h, j) for m, e in corrected(graph, defect).items()}
    return graph


def _truncated(e: Expr, h: sp.Symbol, order: int) -> Expr:
    parts = [c * h**j for j, c in enumerate(taylor(e, h, order))]
    return tidy(sum(parts[1:], parts[0]))


def limit_drift(algorithm: Algorithm) -> Drift:
    """The drift of the limit flow, by block symbol."""
    return step_series(algorithm, 1)[1]


def inconsistency(algorithm: Algorithm) -> tuple[Symbol, Expr, Expr] | None:
    """A block whose limit drift is not the system's, with both; memories are where they settle."""
    (_, found), settled = _series(algorithm, 1)
    target = algorithm.bound.limit({algorithm.step: 0}).drift
    for s, e in found.items():
        wanted = substitute(target[s], settled)
        if not vanishes(e - wanted):
            return s, e, tidy(wanted)
    return None


def limit_flow(algorithm: Algorithm) -> System:
    """The limit flow as a system.

    Raises OdescentError if the algorithm has none: a block that the step moves by a finite amount.
    """
    drift = limit_drift(algorithm)
    limit = algorithm.bound.limit({algorithm.step: 0})
    return System(
        {"flow": drift},
        blocks=[b for b in limit.blocks if b.symbol in drift],
        output=limit.output,
        time=limit.time,
        name=algorithm.name,
    )


def modified_equation(algorithm: Algorithm, order: int = 1) -> ModifiedEquation:
    """The modified equation through O(h^order); order 0 is the limit flow.

    Raises OdescentError for a negative order or an algorithm without a limit flow.
    """
    if order < 0:
        raise OdescentError(f"the order of a modified equation is 0 or more, not {order}.")
    h, time = algorithm.step, algorithm.system.time
    roles = {b.role for b in algorithm.program.blocks}
    varying = algorithm.own_program.counted
    if order > 0 and ("coefficient" in roles or (varying and "memory" in roles)):
        raise OdescentError(
            "an algorithm whose coefficients obey a recurrence, or that has memories and depends on time, has "
            "no modified equation here beyond its limit flow."
        )
    series = step_series(algorithm, order + 1)
    if varying and time is not None:  # time is one more state, which every step moves by h
        for term, moved in zip(series, (time, sp.S.One, *[sp.S.Zero] * order), strict=True):
            term[time] = moved
    fields = lie_logarithm(series[1:])
    blocks = [{s: e for s, e in f.items() if s != time} for f in fields]
    return ModifiedEquation(tuple(blocks), h, algorithm.bound.output, time if varying else None)


def lie_logarithm(steps: list[Mapping[Symbol, Expr]] | list[Drift]) -> list[Drift]:
    """Fields F_1, F_2, ... whose time-h flow has the given Taylor coefficients at h, h^2, ..."""
    fields: list[Drift] = []
    for n in range(1, len(steps) + 1):
        # coefficient of h^n in the Lie series of the known fields, products of two or more of them
        total: Drift = {s: steps[n - 1][s] for s in steps[0]}
        level: list[Drift | None] = [
            None,
            *fields,
        ]  # level[j]: coefficient of h^j of (hF)^m / m!, m = 1
        for m in range(2, n + 1):
            following: list[Drift | None] = [None] * (n + 1)
            for j in range(m, n + 1):
                parts = [
                    (inner, fields[j - i - 1])
                    for i, inner in enumerate(level)
                    if inner is not None and 0 <= j - i - 1 < len(fields)
                ]
                if parts:
                    following[j] = {
                        s: tidy(
                            sum(
                                (
                                    derivative(inner[s], outer) * sp.Rational(1, m)
                                    for inner, outer in parts
                                ),
                                nothing(s),
                            )
                        )
                        for s in steps[0]
                    }
            level = following
            contribution = level[n]
            if contribution is not None:
                total = {s: total[s] - contribution[s] for s in total}
        fields.append({s: tidy(e) for s, e in total.items()})
    return fields
