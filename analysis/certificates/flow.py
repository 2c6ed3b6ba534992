"""Exponential rates of flows over F(mu, L), by Lyapunov functions, proved in exact arithmetic.

V = X'P X + p (f(y) - f*) with V' + 2 r V <= 0 by the interpolation inequalities between y(t) and x* at each time:
nothing is used of how the gradient changes along the flow but that f(y)' = <grad f(y), y'>, so that f is only asked
to be continuously differentiable, and L may be infinite (Moucer, Taylor, Bach, arXiv:2205.12772). The inequality
stands in `checker.check_rate`; `flow_search` reads its matrices off there and looks for a solution.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from ...dynamics.algebra.scalars import as_scalar
from .checking.checker import ZERO, Number
from .checking.document import down, number_text, text, to_sympy, up
from .checking.field import NotInField, NumberField
from .checking.record import ProofDocument, places, shown
from .methods.modes import Decay, decays, hiding
from .methods.plant import Flow, NoCertificate, Plant, read_flow
from .searching.flow_search import FlowLMI, describe, proofs, simple_rates

_DIGITS = 9  # of a rate from the search, relative to that of a quadratic


@dataclass(frozen=True)
class FlowCertificate(ProofDocument):
    """A proved rate r: |x(t) - x*| = O(exp(-r t)) for the output x and every C^1 function in F(mu, L).

    Attributes:
        slowest: the quadratic that gives ``upper``; None after `from_dict`.
    """

    slowest: Decay | None = None
    claim = "rate"

    @property
    def rate(self) -> float:
        """The proved rate, rounded down."""
        return down(self.claimed)

    def candidates(self) -> Iterable[dict[str, Any]]:
        """The quadratic that is no faster, exactly where that is known, and nearly."""
        if self.slowest is None or self.source is None:
            return
        plant, curvature, high = read_flow(*self.source), self.slowest.curvature, self.slowest.high
        gain = hiding(plant, plant.number(curvature), -float(high), flow=True)
        exact = () if self.slowest.exact is None else (self.slowest.exact,)
        for rate in (*exact, sp.Rational(str(high))):
            yield {
                "kind": "quadratic", "curvature": number_text(curvature, self.d),
                "gain": [text(x) for x in gain], "rate": number_text(rate, self.d),
            }  # fmt: skip

    @property
    def upper(self) -> float | None:
        """A rate that no proof can exceed, that of a quadratic, rounded up."""
        return None if self.reached is None else up(self.reached)

    @property
    def gap(self) -> float | None:
        """What lies between."""
        return None if self.upper is None else max(0.0, self.upper - self.rate)

    @property
    def value_weights(self) -> list[sp.Expr]:
        """The weights p_i of f(y_i) - f* in V."""
        nu = self.multipliers["nu"]
        mu, s = self.mu, 1 / self.L
        count = len(self.statement["C"])
        net = [sum(((a == i) - (b == i)) * w for (a, b), w in nu.items()) for i in range(count)]
        return [sp.expand(2 * (1 - mu * s) * e) for e in net]

    def _described(self, *source: Any) -> Mapping[str, Any]:
        """The statement about a flow, but for what is claimed."""
        said = describe(read_flow(*source), ZERO)
        return {k: x for k, x in said.items() if k != "rate"}

    def registered(self, name: str) -> tuple[Any, ...]:
        """The library's system of a name."""
        from ...dynamics import system

        return system(name), self.mu, self.L

    def latex(self) -> str:
        """The decay in LaTeX."""
        return rf"\|x(t) - x_*\| = O\bigl(e^{{-{sp.latex(self.proved)}\, t}}\bigr)"

    def __str__(self) -> str:
        L = "infinity" if self.L is sp.oo else shown(self.L)
        mu, part = shown(self.mu), self.lower_part()
        rate = places(self.claimed, upward=False)
        lines = [
            f"{self.subject}: |x(t) - x*| = O(exp(-{rate} t)) over F(mu, L), mu = {mu}, L = {L}"
        ]
        if self.exact is not None:
            lines.append(f"  exactly {self.exact}, attained: no better rate exists")
        elif len(str(self.proved)) <= 24:
            lines.append(f"  the rate is {self.proved}")
        if part is not None and self.reached is not None:
            most, curvature = places(self.reached), shown(to_sympy(part["curvature"], self.d))
            lines.append(
                f"  at most {most} on the quadratic of curvature {curvature}; gap {self.gap:.1e}"
            )
        lines.append("  proof: quadratic Lyapunov function with function values, exact LDL'")
        return "\n".join(lines)


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
            "the flow's numbers lie in no field Q(sqrt d), so L must be finite; or round them to fractions."
        )
    if not slowest.high > 0:
        raise NoCertificate(
            f"no rate exists: on {slowest} the flow has a pole with the real part {-float(slowest.high):.6g}, not "
            "less than 0."
        )
    lmi = FlowLMI(plant)
    if rate is not None:
        wanted = as_scalar(rate)
        if not (wanted.is_number and wanted.is_positive):
            raise OdescentError(f"rate must be a positive number, not {short(rate)}.")
        document = next(iter(proofs(lmi, _field_number(plant, wanted))), None)
        if document is None:
            raise NoCertificate(
                f"the rate {rate} was not proved; on {slowest} the flow decays at {float(slowest.high):.9g}."
            )
        return FlowCertificate(document, slowest, source=source)
    best = lmi.best
    for candidate in simple_rates(plant, slowest, best):
        for document in proofs(lmi, candidate):
            return FlowCertificate(document, slowest, source=source)
    unit = Fraction(10) ** (math.floor(math.log10(slowest.high)) - _DIGITS)
    size, step = math.floor(Fraction(best) / unit) * unit, 10 * unit
    while size > 0:
        for document in proofs(lmi, Number(size)):
            return FlowCertificate(document, slowest, source=source)
        size, step = size - step, 4 * step
    raise NoCertificate(
        f"no Lyapunov function of this form with a positive rate was found; on {slowest} the flow decays at "
        f"{float(slowest.high):.6g}, and its convergence on the whole class remains undecided."
    )


def _field_number(plant: Plant, rate: sp.Expr) -> Number:
    try:
        return NumberField(plant.d).number(rate, {})
    except NotInField:
        raise OdescentError(
            f"the rate {rate} must lie in the field of the flow's numbers, a + b sqrt({plant.d}); round it down to a "
            "fraction."
        ) from None
