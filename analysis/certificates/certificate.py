"""Certificates of linear rates: the statement, the method and the verification."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from .checking.checker import ONE, ZERO, Number
from .checking.document import as_number, down, number_text, text, to_sympy, up
from .checking.record import ProofDocument, places, shown, significant
from .lower_bounds import spiral
from .lower_bounds.spiral import Spiral
from .methods.modes import SlowestMode, hiding
from .methods.plant import Plant, read, to_float
from .methods.statement import from_statement, statement

_SECONDS = 10.0


@dataclass(frozen=True)
class Certificate(ProofDocument):
    """A proved rate rho: |x_k - x*| = O(rho^k) for the output x and every f in F(mu, L), or every quadratic in it.

    Of quadratics, all poles are at most rho in modulus.

    Attributes:
        mode: a quadratic that attains the lower bound; None if none was sought.
        plant: the matrices of the method; None after `from_dict`.
    """

    mode: SlowestMode | None = None
    plant: Plant | None = field(default=None, repr=False, compare=False)
    claim = "gap"

    @property
    def over(self) -> str:
        """The class of functions."""
        return "quadratics" if self.kind == "quadratics" else "smooth_strongly_convex"

    @property
    def proved(self) -> sp.Expr:
        """The proved rate, an exact number."""
        return sp.expand(1 - super().proved)

    @property
    def rate(self) -> float:
        """The proved rate, rounded up."""
        return up(ONE - self.claimed)

    @property
    def gap(self) -> float:
        """1 - rate, rounded down; near 1 the float `rate` has few significant digits."""
        return down(self.claimed)

    @property
    def exact(self) -> sp.Expr | None:
        """The smallest rate as an algebraic number, if a quadratic attains it; else None."""
        return self.proved if self.proved == 0 else super().exact

    def candidates(self) -> Iterable[dict[str, Any]]:
        """The quadratic that attains the lower bound: exactly, if it lies in the same field, and rounded."""
        mode = self.mode
        if mode is None:
            return
        gaps: list[Any] = [str(1 - mode.low)]
        if mode.number is not None and mode.number.d in (1, self.d):
            gaps.insert(0, text(ONE - mode.number))
        for gap in gaps:
            yield {
                "kind": "quadratic", "curvature": number_text(mode.curvature, self.d), "gain": self._gain(gap),
                "gap": gap,
            }  # fmt: skip

    def _gain(self, gap: Any) -> list[Any]:
        """What shows that the output sees the slowest pole."""
        assert self.mode is not None
        plant = self.method()
        rate = to_float(ONE - as_number(gap, self.d))
        if not rate > 0:
            return ["0"] * len(plant.A)
        try:
            found = hiding(plant, plant.number(self.mode.curvature), rate)
        except (ZeroDivisionError, np.linalg.LinAlgError, ValueError):
            found = [ZERO] * len(plant.A)
        return [text(x) for x in found]

    @checked
    def lower(self, seconds: float = _SECONDS) -> float | None:
        """A rate that the method has on some function of the class, rounded down; no smaller rate holds.

        The slowest quadratic is known in advance; the first call searches for other functions (`spiral`). The result
        becomes part of the document and is proved by the checker.

        Args:
            seconds: time limit of the search; 0 for no search.

        Raises:
            OdescentError: seconds that are not a number of at least 0.
        """
        if not seconds >= 0:
            raise OdescentError(f"seconds must be a number of at least 0, not {short(seconds)}.")
        if seconds and "searched" not in self._lower and self._may_be_slower():
            assert self.plant is not None
            low = 0.0 if self.mode is None else float(self.mode.low)
            found = spiral.slowest_spiral(self.plant, low, self.rate, seconds)
            part = self._first_proved(() if found is None else (found.to_dict(self.plant),))
            self._lower["part"] = part or self._lower["part"]
            self._lower["searched"] = True
        return None if self.reached is None else down(ONE - self.reached)

    def _may_be_slower(self) -> bool:
        return self.plant is not None and self.kind == "rate" and self.exact is None

    @property
    def slowest(self) -> Spiral | None:
        """The function in the plane that gives `lower`, if there is one."""
        part = self.lower_part()
        return Spiral.from_dict(part) if part is not None and part["kind"] == "spiral" else None

    @property
    def enclosed(self) -> bool:
        """Whether the method's numbers are enclosed in intervals instead of exact."""
        return any(
            isinstance(x, dict) for name in "ABCD" for row in self.statement[name] for x in row
        )

    def _described(self, *source: Any) -> Mapping[str, Any]:
        """The statement about a method, but for what is claimed."""
        said = statement(read(*source), ONE)
        return {k: x for k, x in said.items() if k not in ("bounded", "gap")}

    def registered(self, name: str) -> tuple[Any, ...]:
        """The library's algorithm of a name."""
        from ...discretize import algorithm

        return algorithm(name), self.mu, self.L

    def method(self) -> Plant:
        """The matrices of the statement as exact numbers."""
        return self.plant or from_statement(self.statement, str(self.document["name"]))

    def latex(self) -> str:
        """The inequality that is proved, in LaTeX."""
        rate = sp.latex(self.proved)
        if self.kind == "quadratics":
            return rf"\max_{{\mu \le \lambda \le L}} \rho\bigl(M(\lambda)\bigr) \le {rate}"
        decrease = r"\rho^2 V_k - V_{k+1} - \sum_{i,j} \lambda_{ij} Q_{ij} \ge 0"
        below = r"V_k \ge w\, \|x_{k+1} - x_*\|^2" if "weight" in self.witness else "V_k > 0"
        return rf"{decrease}, \qquad {below}, \qquad \rho = {rate}"

    def __str__(self) -> str:
        where = (
            "quadratics (their slowest pole) in F(mu, L)"
            if self.over == "quadratics"
            else "F(mu, L)"
        )
        constants = ", ".join(f"{n} = {shown(e)}" for n, e in (("mu", self.mu), ("L", self.L)))
        lines = [f"{self.subject}: rate {places(ONE - self.claimed)} over {where}, {constants}"]
        lines.append(f"  1 - rate = {significant(self.claimed)}")
        if self.exact is not None:
            lines.append(f"  exactly {self.exact}, attained: no better rate exists")
        elif self.lower_part() is not None:
            curvature = None if self.mode is None else shown(self.mode.curvature)
            slow: object = self.slowest
            if slow is None:
                slow = f"the quadratic of curvature {curvature or self._curvature()}"
            lines.append(
                f"  at least {places(Number(Fraction(self.lower(0) or 0)), upward=False)} on {slow}"
            )
        lines.append(f"  proof: {self._how()}, in {self._numbers()}")
        return "\n".join(lines)

    def _curvature(self) -> str:
        part = self.lower_part()
        return "" if part is None else shown(to_sympy(part["curvature"], self.d))

    def _how(self) -> str:
        if self.kind == "quadratics":
            return "Schur and Cohn's inequalities in the curvature, by Bernstein coefficients"
        decay = " of the output" if "weight" in self.witness else ""
        steps = int(self.witness["memory"])
        memory = f"with {steps} step{'s' if steps > 1 else ''} of memory, exact LDL'"
        return f"Lyapunov function{decay} {memory}"

    def _numbers(self) -> str:
        if self.enclosed:
            return "enclosed numbers"
        return "rational numbers" if self.d == 1 else f"numbers a + b sqrt({self.d})"
