"""Modified equations: the field of the modified flow of an algorithm, as a series in the step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.calculus import Symbol, substitute, symbols_of, tidy
from ...dynamics.algebra.scalars import as_scalar
from ...dynamics.algebra.series import power_sum, taylor
from ...dynamics.algebra.vectors import Expr, Vector
from ...dynamics.notation.show import latex, symbol_latex, text
from ...dynamics.vector_fields.second_order import SecondOrder, second_order
from .scalar_flow import solve_in_time

Drift = dict[Symbol, Expr]
_WITHOUT = "(without the noise; weak_modified_equation has it)"


@dataclass(frozen=True)
class ModifiedEquation(Rendered):
    """The modified field as a series in the step: ``terms[j]`` multiplies h**j, by block symbol.

    Coefficients with a recurrence are among the blocks; ``begin`` has their initial values. For a method that draws
    noise (``noisy``) it is the equation without the noise; see `weak_modified_equation` for that of its law.

    For a method with samples it is a stochastic equation: ``spread[j]`` multiplies h**j in the covariance of the noise,
    for pairs of blocks, an operator for two vectors. Drift and covariance are the parts of first and second order of
    the generator whose exponential is the mean of a step; from h**2 on it may have others too, which
    `weak_modified_equation` finds in coordinates.

    Of a method with guards or inner loops it is that of the steps in which ``assumes`` holds, in words.
    """

    terms: tuple[Drift, ...]
    step: sp.Symbol
    output: Expr
    time: sp.Symbol | None = None
    begin: Mapping[sp.Symbol, sp.Expr] = field(default_factory=dict)
    noisy: bool = False
    spread: tuple[Mapping[tuple[Symbol, Symbol], Expr], ...] = ()
    assumes: tuple[str, ...] = ()

    @property
    def covariance(self) -> dict[tuple[Symbol, Symbol], Expr]:
        """The truncated covariance of the noise S dW, S S^T, by pairs of blocks; empty without samples."""
        total: dict[tuple[Symbol, Symbol], Expr] = {}
        for j, term in enumerate(self.spread):
            for pair, e in term.items():
                part = e * self.step**j
                total[pair] = total[pair] + part if pair in total else part
        return {pair: tidy(e) for pair, e in total.items() if tidy(e)}

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
        """The equation as x'' = F(x, x') of the output, through the same order."""
        shown = self.output if output is None else output
        return second_order(self.drift, shown, self.step, self.order, self.time)

    def in_time(self, begin: Mapping[sp.Symbol, object] | None = None) -> ModifiedEquation:
        """The equation with the coefficients written as functions of the time t = k h, through the same order.

        ``begin`` gives their values at t = 0 (positive, as expressions that may contain the step), where
        they are not the algorithm's own. Raises OdescentError where their equations have no closed
        solution, or are singular at the start: there the expansion in time has terms in h log(1/h).
        """
        return _written_in_time(self, {**self.begin, **(begin or {})})

    def __str__(self) -> str:
        tail = f" + O({self.step}^{self.order + 1})"
        rows = [f"{s}' = {text(e)}{tail}" for s, e in self.drift.items()]
        for (s, t), e in self.covariance.items():
            of = f"{s}" if s == t else f"{s}, {t}"
            rows.append(f"covariance of the noise on {of}: {text(e)}{tail}")
        rows += [_WITHOUT] if self.noisy else []
        return "\n".join([*rows, *([f"({self._where()})"] if self.assumes else [])])

    def _where(self) -> str:
        return f"where {' and '.join(self.assumes)}"

    def latex(self) -> str:
        tail = f" + O({self.step}^{self.order + 1})"
        rows = [
            rf"\dot{{{symbol_latex(str(s))}}} &= {latex(e)}{tail}" for s, e in self.drift.items()
        ]
        for (s, t), e in self.covariance.items():
            of = ", ".join(symbol_latex(str(b)) for b in dict.fromkeys((s, t)))
            rows.append(rf"\operatorname{{Cov}}({of}) &= {latex(e)}{tail}")
        if self.noisy:
            rows.append(rf"&\text{{{_WITHOUT[1:-1].split(';')[0]}}}")
        if self.assumes:
            rows.append(rf"&\text{{{self._where()}}}")
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def _written_in_time(
    modified: ModifiedEquation, begin: Mapping[sp.Symbol, object]
) -> ModifiedEquation:
    """The modified equation with its scalar coefficients replaced by their expansions in h at fixed time.

    Raises OdescentError if there is none among its blocks or one does not obey an equation of its own.
    """
    scalars = [s for s in modified.terms[0] if isinstance(s, sp.Symbol) and s in begin]
    if not scalars or modified.time is not None:
        raise OdescentError(
            "only an equation with coefficients that obey a recurrence, and without a time of its own, is written "
            "in time."
        )
    h, order = modified.step, modified.order
    used = {s.name for term in modified.terms for e in term.values() for s in symbols_of(e)}
    t = sp.Symbol("t" if "t" not in used else "t_", positive=True)
    values: dict[Symbol, Expr] = {}
    back: dict[Symbol, Expr] = {}
    for s in scalars:
        fields = [term[s] for term in modified.terms]
        others = {o for f in fields for o in symbols_of(f)} & set(modified.terms[0]) - {s}
        if others or any(isinstance(f, Vector) for f in fields):
            raise OdescentError(
                f"the coefficient {s} depends on other blocks, so it is not a function of time alone."
            )
        solved = solve_in_time(fields, s, as_scalar(begin[s]), t, h)
        values[s] = power_sum(solved.terms, h)
        back[solved.leading] = solved.solution
    terms: list[dict[Symbol, Expr]] = [{} for _ in range(order + 1)]
    for block, rate in modified.terms[0].items():
        if block not in scalars:
            rates = [rate, *(term[block] for term in modified.terms[1:])]
            whole = taylor(substitute(power_sum(rates, h), values), h, order)
            for term, c in zip(terms, whole, strict=True):
                term[block] = substitute(tidy(c), back)
    return ModifiedEquation(
        tuple(terms), h, modified.output, t, noisy=modified.noisy, assumes=modified.assumes
    )
