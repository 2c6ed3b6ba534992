"""Exponential rates of flows over F(mu, L), by Lyapunov functions, proved in exact arithmetic.

V = X'P X + p (f(y) - f*) with V' + 2 r V <= 0 by the interpolation inequalities between y(t) and x* at each time:
nothing is used of how the gradient changes along the flow but that f(y)' = <grad f(y), y'>, so that f is only asked
to be continuously differentiable, and L may be infinite (Moucer, Taylor, Bach, arXiv:2205.12772). The inequality
stands in `checker.Flow`; `flow_search` reads its matrices off there and looks for a solution.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

import sympy as sp

from odescent._errors import OdescentError
from odescent.dynamics.exact import as_scalar

from .checker import Number, Refused, check_lower, read
from .document import down, number_text, says_the_same, to_sympy
from .field import Field, NotInField
from .flow_modes import Decay, decays
from .flow_plant import Flow, read_flow
from .flow_search import describe, proofs, search, simple_rates
from .plant import NoCertificate, Plant
from .record import Record, places, shown

_DIGITS = 9  # of a rate from the search, relative to that of a quadratic


@dataclass(frozen=True)
class FlowCertificate(Record):
    """A proved rate r: |x(t) - x*| = O(exp(-r t)) for the output x and every C^1 function in F(mu, L).

    Attributes:
        document: the statement and what proves it as plain data; `checker.check` reads it.
        slowest: the quadratic that is no faster, which makes ``upper``; None after `from_dict`.
    """

    slowest: Decay | None = None
    source: tuple[Any, ...] | None = field(default=None, repr=False, compare=False)

    @property
    def proved(self) -> sp.Expr:
        """The rate as it was proved, an exact number."""
        return to_sympy(self.statement["rate"], self.d)

    @property
    def rate(self) -> float:
        """The proved rate, rounded down."""
        return down(self._rate)

    @property
    def _rate(self) -> Number:
        return read(self.statement["rate"], self.d)

    @cached_property
    def _part(self) -> Mapping[str, Any] | None:
        known = self.document.get("lower")
        if known is not None or self.slowest is None:
            return known
        exact = () if self.slowest.exact is None else (self.slowest.exact,)
        for high in (*exact, sp.Rational(str(self.slowest.high))):
            part = {
                "kind": "quadratic", "curvature": number_text(self.slowest.curvature, self.d),
                "rate": number_text(high, self.d),
            }  # fmt: skip
            try:
                check_lower("flow", dict(self.statement), part)
            except (Refused, ArithmeticError):
                continue
            return part
        return None

    def lower_part(self) -> Mapping[str, Any] | None:
        """The quadratic that is no faster, proved by the checker; None if none is known."""
        return self._part

    @property
    def upper(self) -> float | None:
        """A rate that no proof can exceed, that of a quadratic, rounded up."""
        part = self._part
        return None if part is None else -down(-read(part["rate"], self.d))

    @property
    def gap(self) -> float | None:
        """What lies between."""
        return None if self.upper is None else max(0.0, self.upper - self.rate)

    @property
    def exact(self) -> sp.Expr | None:
        """The best rate as an algebraic number, where a quadratic is no faster than the proved one; else None."""
        part = self._part
        attained = part is not None and part["rate"] == self.statement["rate"]
        return self.proved if attained else None

    @property
    def P(self) -> sp.Matrix:
        """The quadratic part of V over the blocks."""
        rows = [[to_sympy(x, self.d) for x in row] for row in self.witness["P"]]
        return sp.Matrix(len(rows), len(rows), lambda i, j: rows[min(i, j)][abs(i - j)])

    @property
    def L(self) -> sp.Expr:
        """Smoothness, exact or infinite."""
        said = self.statement["L"]
        return sp.oo if said == "infinity" else to_sympy(said, self.d)

    @property
    def value_weights(self) -> list[sp.Expr]:
        """The weights p_i of f(y_i) - f* in V."""
        nu = self.multipliers["nu"]
        mu, s = to_sympy(self.statement["mu"], self.d), 1 / self.L
        count = len(self.statement["C"])
        net = [sum(((a == i) - (b == i)) * w for (a, b), w in nu.items()) for i in range(count)]
        return [sp.expand(2 * (1 - mu * s) * e) for e in net]

    def has_source(self) -> bool:
        """Whether the flow is at hand."""
        return self.source is not None

    def matches_source(self) -> bool:
        """Whether all numbers of the statement are those of the flow, read anew."""
        return self.source is not None and self._same(read_flow(*self.source))

    def matches_registry(self, name: str) -> bool:
        """Whether they are those of the library's system of this name."""
        from odescent.dynamics import system

        mu = to_sympy(self.statement["mu"], self.d)
        try:
            return self._same(read_flow(system(name), mu, self.L))
        except (OdescentError, ArithmeticError, TypeError):
            return False

    def _same(self, plant: Plant) -> bool:
        return says_the_same(self.statement, describe(plant, self._rate))

    def latex(self) -> str:
        """The decay in LaTeX."""
        return rf"\|x(t) - x_*\| = O\bigl(e^{{-{sp.latex(self.proved)}\, t}}\bigr)"

    def __str__(self) -> str:
        L = "infinity" if self.L is sp.oo else shown(self.L)
        mu = shown(to_sympy(self.statement["mu"], self.d))
        rate = places(self._rate, upward=False)
        lines = [f"{self.name}: |x(t) - x*| = O(exp(-{rate} t)) over F(mu, L), mu = {mu}, L = {L}"]
        if self.exact is not None:
            lines.append(f"  exactly {self.exact}, attained: no better rate exists")
        elif len(str(self.proved)) <= 24:
            lines.append(f"  the rate is {self.proved}")
        if self._part is not None:
            most = places(read(self._part["rate"], self.d))
            curvature = shown(to_sympy(self._part["curvature"], self.d))
            lines.append(
                f"  at most {most} on the quadratic of curvature {curvature}; gap {self.gap:.1e}"
            )
        lines.append("  proof: quadratic Lyapunov function with function values, exact LDL'")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<FlowCertificate: rate {self.rate:.9f}>"


def certify_flow(flow: Flow, mu: object, L: object = sp.oo, rate: object = None) -> FlowCertificate:
    """A proved exponential rate of a flow's output over F(mu, L).

    Args:
        flow: a `System` of vector blocks whose drift is linear in them and in gradients of one function, or matrices
            (A, B, C) with X' = A X + B u, u the gradients at C X; of these, the output is the last row of C X.
        mu, L: the class, 0 < mu < L; L may be infinite.
        rate: a rate to prove, instead of the largest that can be found.

    Raises:
        NoCertificate: none was found.
        OdescentError: input outside its domain.

    Method: Moucer, Taylor, Bach (arXiv:2205.12772), Fazlyab, Ribeiro, Morari, Preciado (arXiv:1705.03615).
    """
    source = (flow, mu, L)
    plant = read_flow(*source)
    slowest = decays(plant)
    if not plant.exact and plant.L is sp.oo:
        raise OdescentError(
            "the flow's numbers lie in no field Q(sqrt d), so that L must be finite; or round them to fractions."
        )
    if not slowest.high > 0:
        raise NoCertificate(
            f"no rate exists: on {slowest} the flow has a pole with the real part {-float(slowest.high):.6g}, not "
            "less than 0."
        )
    if rate is not None:
        wanted = as_scalar(rate)
        if not (wanted.is_number and wanted.is_positive):
            raise OdescentError(f"rate must be a positive number, not {rate!r}.")
        document = next(iter(proofs(plant, _field_number(plant, wanted))), None)
        if document is None:
            raise NoCertificate(
                f"the rate {rate} was not proved; on {slowest} the flow decays at {float(slowest.high):.9g}."
            )
        return FlowCertificate(document, slowest, source)
    best = search(plant, float(slowest.high))
    for candidate in simple_rates(plant, slowest, best):
        for document in proofs(plant, candidate):
            return FlowCertificate(document, slowest, source)
    unit = Fraction(10) ** (math.floor(math.log10(slowest.high)) - _DIGITS)
    size, step = math.floor(Fraction(best) / unit) * unit, 10 * unit
    while size > 0:
        for document in proofs(plant, Number(size)):
            return FlowCertificate(document, slowest, source)
        size, step = size - step, 4 * step
    raise NoCertificate(
        f"no Lyapunov function of this form with a positive rate was found; on {slowest} the flow decays at "
        f"{float(slowest.high):.6g}, and whether it converges on the whole class is open here."
    )


def _field_number(plant: Plant, rate: sp.Expr) -> Number:
    try:
        return Field(plant.d).number(rate, {})
    except NotInField:
        raise OdescentError(
            f"the rate {rate} must lie in the field of the flow's numbers, a + b sqrt({plant.d}); round it down to a "
            "fraction."
        ) from None
