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
from odescent.dynamics.calculus import Symbol, derivative, substitute, taylor, tidy
from odescent.dynamics.second_order import SecondOrder, second_order
from odescent.dynamics.show import latex, text
from odescent.dynamics.fields import System
from odescent.dynamics.vectors import Expr, Vector, zero

if TYPE_CHECKING:
    from .iteration import Algorithm

Drift = dict[Symbol, Expr]


@dataclass(frozen=True)
class ModifiedEquation:
    """The modified field as a series in the step: ``terms[j]`` multiplies h**j, by block symbol."""

    terms: tuple[Drift, ...]
    step: sp.Symbol
    output: Expr

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
                value = value + term[s] * self.step**j  # type: ignore[operator]
            total[s] = tidy(value)
        return total

    def second_order(self, output: Expr | None = None) -> SecondOrder:
        """The same as x'' = F(x, x') of the output, through the same order."""
        return second_order(self.drift, self.output if output is None else output, self.step, self.order)

    def __str__(self) -> str:
        tail = f" + O({self.step}^{self.order + 1})"
        return "\n".join(f"{s}' = {text(e)}{tail}" for s, e in self.drift.items())

    def latex(self) -> str:
        from odescent.dynamics.show import symbol_latex

        tail = f" + O({self.step}^{self.order + 1})"
        rows = [rf"\dot{{{symbol_latex(str(s))}}} &= {latex(e)}{tail}" for s, e in self.drift.items()]
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def _series(algorithm: Algorithm, order: int) -> tuple[list[Drift], dict[Symbol, Expr]]:
    """Taylor coefficients of the update map in the step, memories eliminated to leading order."""
    program, h = algorithm.program, algorithm.step
    clock = {}
    if program.counter is not None and algorithm.system.time is not None:
        solutions = sp.solve(sp.Eq(algorithm.clock, algorithm.system.time), program.counter)
        if len(solutions) != 1:
            raise OdescentError(f"the clock {algorithm.clock} cannot be solved for the step number.")
        clock = {program.counter: solutions[0]}
    update = {s: substitute(e, clock) for s, e in program.update_map(order).items()}
    memories = {b.symbol for b in program.blocks if b.role == "memory"}
    settled: dict[Symbol, Expr] = {}
    if memories:
        if order > 1:
            raise OdescentError("the modified equation of an algorithm with memory blocks is known here through O(1) only.")
        at_zero = {s: tidy(substitute(update[s], {h: sp.S.Zero})) for s in memories}
        for _ in memories:
            at_zero = {s: tidy(substitute(e, at_zero)) for s, e in at_zero.items()}
        settled = dict(at_zero)
    kept = [s for s in update if s not in memories]
    series = {s: taylor(tidy(substitute(update[s], settled)), h, order) for s in kept}
    for s in kept:
        if tidy(series[s][0] - s) not in (zero, sp.S.Zero):  # type: ignore[operator]
            raise OdescentError(
                f"as {h} -> 0 the step sends {s} to {series[s][0]} instead of leaving it in place, so there is no "
                "limit flow in these blocks."
            )
    return [{s: series[s][j] for s in kept} for j in range(order + 1)], settled


def limit_drift(algorithm: Algorithm) -> Drift:
    """The drift of the limit flow, by block symbol."""
    return _series(algorithm, 1)[0][1]


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
    if order > 0 and not algorithm.bound.autonomous:
        raise OdescentError("the modified equation of a time-dependent algorithm is not available beyond its limit flow.")
    coefficients = _series(algorithm, order + 1)[0]
    fields = lie_logarithm(coefficients[1:])
    return ModifiedEquation(tuple(fields), algorithm.step, algorithm.bound.output)


def lie_logarithm(steps: list[Mapping[Symbol, Expr]] | list[Drift]) -> list[Drift]:
    """Fields F_1, F_2, ... whose time-h flow has the given Taylor coefficients at h, h^2, ..."""
    fields: list[Drift] = []
    for n in range(1, len(steps) + 1):
        # coefficient of h^n in the Lie series of the known fields, products of two or more of them
        total: Drift = {s: steps[n - 1][s] for s in steps[0]}
        level: list[Drift | None] = [None, *fields]  # level[j]: coefficient of h^j of (hF)^m / m!, m = 1
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
                                (derivative(inner[s], outer) * sp.Rational(1, m) for inner, outer in parts),  # type: ignore[call-overload]
                                zero if isinstance(s, Vector) else sp.S.Zero,
                            )
                        )
                        for s in steps[0]
                    }
            level = following
            contribution = level[n]
            if contribution is not None:
                total = {s: total[s] - contribution[s] for s in total}  # type: ignore[operator]
        fields.append({s: tidy(e) for s, e in total.items()})
    return fields
