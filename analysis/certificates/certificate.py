"""Certificates: what was proved, for whom, and how to check it again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

import sympy as sp

from . import checker, modes, spiral
from .document import above, agrees, from_document, number_text, text, to_sympy
from .field import expression
from .modes import Mode
from .plant import Plant
from .record import Record, shown
from .spiral import Spiral
from .standalone import check_of


@dataclass(frozen=True)
class Certificate(Record):
    """A proved rate rho: |x_k - x*| = O(rho^k) for the output x and every f in F(mu, L), or every quadratic in it.

    Attributes:
        document: everything that the proof needs as plain data, numbers as text; `checker.check` reads it.
        mode: the quadratic that is no faster; None where none was sought.
        plant: the method as it was read, for `verify` to compare with; None after `from_dict`.
        known: the function of `slowest`, where it was found before.
    """

    mode: Mode | None = None
    plant: Plant | None = field(default=None, repr=False, compare=False)
    known: Spiral | None = field(default=None, repr=False, compare=False)

    @property
    def kind(self) -> str:
        """ "strict" (the whole state decays), "identity" (the output does, at an exact rate), "iqc" or "quadratics"."""
        return str(self.document["kind"])

    @property
    def over(self) -> str:
        """The class of functions."""
        return "quadratics" if self.kind == "quadratics" else "smooth_strongly_convex"

    @property
    def proved(self) -> sp.Expr:
        """The rate as it was proved, an exact number."""
        return to_sympy(self.document["rate"], self.d)

    @property
    def exact(self) -> sp.Expr | None:
        """The least rate as an algebraic number, where upper and lower bound meet; else None."""
        if self.mode is None or self.mode.exact is None:
            return None
        return self.mode.exact if sp.expand(self.mode.exact - self.proved) == 0 else None

    @property
    def rate(self) -> float:
        """The proved rate, rounded up."""
        return above(self.document["rate"], self.d)

    @cached_property
    def slowest(self) -> Spiral | None:
        """A function, no quadratic, on which the method is slower than on any, with a proof; None if none is found.

        It is looked for when it is first asked for.
        """
        if self.known is not None or self.plant is None or self.mode is None:
            return self.known
        if self.exact is not None or self.over == "quadratics":
            return None
        return spiral.slowest_spiral(self.plant, float(self.mode.low), self.rate)

    @property
    def lower(self) -> float | None:
        """A rate that a function of the class attains (`mode`, `slowest`), rounded down: no rate is less."""
        if self.mode is None:
            return None
        low = self.mode.low if self.slowest is None else max(self.mode.low, self.slowest.low)
        down = float(low)
        return down if Fraction(down) <= low else math.nextafter(down, -math.inf)

    @property
    def gap(self) -> float | None:
        """What lies between the bounds."""
        return None if self.lower is None else self.rate - self.lower

    @property
    def mu(self) -> sp.Expr:
        """Strong convexity, exact."""
        if self.plant is not None:
            return self.plant.mu
        return to_sympy(self.document["mu"], self.d)

    @property
    def L(self) -> sp.Expr:
        """Smoothness, exact."""
        if self.plant is not None:
            return self.plant.L
        return to_sympy(self.document["L"], self.d)

    @property
    def enclosed(self) -> bool:
        """Whether the method's numbers are enclosed in intervals instead of exact."""
        return any(
            isinstance(x, Mapping) for name in "ABCD" for row in self.document[name] for x in row
        )

    @property
    def P(self) -> sp.Matrix:
        """The quadratic part of the Lyapunov function over (x_k, u_k / L, ..., u_{k+s-1} / L), times 1 / L.

        Of kind "iqc", all of it, over x_k and the past z = y - u / L that is not read off it.
        """
        rows = self.document.get("P", [])
        return sp.Matrix([[to_sympy(x, self.d) for x in row] for row in rows])

    def verify(self) -> bool:
        """Check the whole chain anew in exact arithmetic, without a solver.

        The inequality is rebuilt from the method's matrices and proved by an exact LDL'; the matrices are compared
        with the algorithm's where it is at hand; the lower bound is recomputed.
        """
        try:
            check_of(self.kind)(self.document)
            if self.plant is not None and not agrees(self.document, self.plant):
                return False
            return (self.mode is None or self._lower_holds()) and self._spiral_holds()
        except (checker.Refused, ArithmeticError, LookupError, TypeError, ValueError):
            return False

    def _lower_holds(self) -> bool:
        assert self.mode is not None
        plant = self.plant or from_document(self.document)
        slow = modes.radius(plant, self.mode.curvature)
        if not 0 <= (self.mode.curvature - plant.mu) or not 0 <= (plant.L - self.mode.curvature):
            return False
        if self.mode.exact is not None and (
            slow.exact is None or sp.expand(slow.exact - self.mode.exact) != 0
        ):
            return False
        return slow.low >= self.mode.low

    def _spiral_holds(self) -> bool:
        found = self.__dict__.get("slowest") or self.known
        return found is None or spiral.holds(self.plant or from_document(self.document), found)

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` and the stand-alone checker read."""
        found = super().to_dict()
        if self.mode is not None:
            low = self.mode.low
            found["lower"] = {
                "rate": str(low),
                "curvature": number_text(self.mode.curvature, self.d),
                "exact": None if self.mode.number is None else text(self.mode.number),
            }
        if self.slowest is not None:
            found["spiral"] = self.slowest.to_dict()
        return found

    @classmethod
    def _read(cls, data: Mapping[str, Any]) -> Certificate:
        document = {k: v for k, v in data.items() if k not in ("schema", "lower", "spiral")}
        known = None if data.get("spiral") is None else Spiral.from_dict(data["spiral"])
        mode = None
        if data.get("lower") is not None:
            low = data["lower"]
            d = int(document["d"])
            number = None if low["exact"] is None else checker.read(low["exact"], d)
            exact = None if number is None else expression(number)
            mode = Mode(to_sympy(low["curvature"], d), Fraction(low["rate"]), number, exact)
        found = cls(document, mode, None, known)
        found.rate, found.mu, found.L, found.kind, found.multipliers, found.P  # noqa: B018
        return found

    def latex(self) -> str:
        """The inequality that is proved, in LaTeX."""
        rate = sp.latex(self.proved)
        if self.kind == "quadratics":
            return rf"\max_{{\mu \le \lambda \le L}} \rho\bigl(M(\lambda)\bigr) \le {rate}"
        if self.kind == "iqc":
            past = r"\lambda_0 z_k - \textstyle\sum_i \lambda_i z_{k-i}"
            decrease = rf"\rho^2 V_k - V_{{k+1}} - \langle w_k, {past} \rangle \ge 0"
            held = r"\lambda_0 \ge \textstyle\sum_i \lambda_i \rho^{-2i}, \quad V_k > 0"
            if "weight" in self.document:
                held = held.replace("V_k > 0", r"V_k \ge w\, \|x_k - x_*\|^2")
            return rf"{decrease}, \qquad {held}, \qquad \rho = {rate}"
        decrease = r"\rho^2 V_k - V_{k+1} - \sum_{i,j} \lambda_{ij} Q_{ij} \ge 0"
        below = r"V_k \ge w\, \|x_{k+1} - x_*\|^2" if self.kind == "identity" else "V_k > 0"
        return rf"{decrease}, \qquad {below}, \qquad \rho = {rate}"

    def __str__(self) -> str:
        where = "quadratics in F(mu, L)" if self.over == "quadratics" else "F(mu, L)"
        name = self.document.get("method") or "method"
        constants = ", ".join(f"{n} = {shown(e)}" for n, e in (("mu", self.mu), ("L", self.L)))
        lines = [f"{name}: rate {self.rate:.9f} over {where}, {constants}"]
        if self.exact is not None:
            lines.append(f"  exactly {self.exact}, attained: no better rate exists")
        if self.mode is not None:
            curved = f"the quadratic of curvature {shown(self.mode.curvature)}"
            slow = curved if self.slowest is None else self.slowest
            lines.append(f"  at least {self.lower:.9f} on {slow}; gap {self.gap:.1e}")
        lines.append(f"  proof: {self._how()}, in {self._numbers()}")
        return "\n".join(lines)

    def _how(self) -> str:
        if self.kind == "quadratics":
            return "Schur and Cohn's inequalities in the curvature, by Bernstein coefficients"
        if self.kind == "iqc":
            steps = len(self.document["past"])
            how = {0: "the sector", 1: "weighted off-by-one"}.get(
                steps, f"Zames-Falb, {steps} steps"
            )
            decay = " of the output" if "weight" in self.document else ""
            return f"integral quadratic constraint ({how}), Lyapunov function{decay}, exact LDL'"
        steps = int(self.document["steps"])
        memory = f"with {steps} step{'s' if steps > 1 else ''} of memory, exact LDL'"
        decay = " of the output" if self.kind == "identity" else ""
        return f"Lyapunov function{decay} {memory}"

    def _numbers(self) -> str:
        if self.enclosed:
            return "enclosed numbers"
        return "rational numbers" if self.d == 1 else f"numbers a + b sqrt({self.d})"

    def __repr__(self) -> str:
        constants = f"mu={shown(self.mu)}, L={shown(self.L)}"
        return f"<Certificate {self.kind}: rate {self.rate:.9f}, {constants}>"
