"""Certificates of linear rates: what was proved, for whom, and how to check it again."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

import sympy as sp

from odescent._errors import OdescentError

from . import checker, spiral
from .checker import ONE, Number, Refused
from .document import agrees, down, from_statement, number_text, to_sympy, up
from .modes import Mode
from .plant import Plant, read
from .record import Record, places, shown, significant
from .spiral import Spiral

_SECONDS = 10.0


@dataclass(frozen=True)
class Certificate(Record):
    """A proved rate rho: |x_k - x*| = O(rho^k) for the output x and every f in F(mu, L), or every quadratic in it.

    Of quadratics, all poles are at most rho in modulus.

    Attributes:
        document: the statement, what proves it, and maybe a lower bound, as plain data that `checker.check` reads.
        mode: the quadratic that is no faster; None where none was sought.
        plant: the method as it was read, for `verify` to compare with; None after `from_dict`.
    """

    mode: Mode | None = None
    plant: Plant | None = field(default=None, repr=False, compare=False)

    @property
    def over(self) -> str:
        """The class of functions."""
        return "quadratics" if self.kind == "quadratics" else "smooth_strongly_convex"

    @property
    def proved(self) -> sp.Expr:
        """The rate as it was proved, an exact number."""
        return sp.expand(1 - to_sympy(self.statement["gap"], self.d))

    @property
    def rate(self) -> float:
        """The proved rate, rounded up."""
        return up(ONE - self._gap)

    @property
    def gap(self) -> float:
        """1 - rate, rounded down: near 1 a rate as a float has no digits left."""
        return down(self._gap)

    @property
    def _gap(self) -> Number:
        return checker.read(self.statement["gap"], self.d)

    @property
    def exact(self) -> sp.Expr | None:
        """The least rate as an algebraic number, where a quadratic is no faster; else None."""
        if self.proved == 0:
            return self.proved
        part = self.lower_part()
        attained = part is not None and part["gap"] == self.statement["gap"]
        return self.proved if attained else None

    @cached_property
    def _lower(self) -> dict[str, Any]:
        """The lower bound as the document has it, under "part", where one was found."""
        return {"part": self.document.get("lower") or self._of_quadratic()}

    def lower_part(self) -> dict[str, Any] | None:
        """The best lower bound that is known so far, proved by the checker; None if there is none."""
        found: dict[str, Any] | None = self._lower["part"]
        return found

    def _of_quadratic(self) -> dict[str, Any] | None:
        if self.mode is None:
            return None
        candidates = [str(1 - self.mode.low)]
        if (
            self.mode.exact is not None
            and self.mode.number is not None
            and self.mode.number.d in (1, self.d)
        ):
            candidates.insert(0, number_text(1 - self.mode.exact, self.d))
        for gap in candidates:
            curvature = number_text(self.mode.curvature, self.d)
            part = {"kind": "quadratic", "curvature": curvature, "gap": gap}
            if self._proves(part):
                return part
        return None

    def _proves(self, part: dict[str, Any]) -> bool:
        try:
            checker.check_lower(self.kind, dict(self.statement), part)
        except (Refused, ArithmeticError):
            return False
        return True

    def lower(self, seconds: float = _SECONDS) -> float | None:
        """A rate that the method has on some function of the class, rounded down: no rate is less.

        The slowest quadratic is known beforehand; other functions (`spiral`) are looked for when this is first called.
        What is found becomes part of the document and is proved by the checker.

        Args:
            seconds: how long to look; 0 is for not looking.

        Raises:
            OdescentError: seconds that are no number of at least 0.
        """
        if not seconds >= 0:
            raise OdescentError(f"seconds must be a number of at least 0, not {seconds!r}.")
        if seconds and "searched" not in self._lower and self._may_be_slower():
            assert self.plant is not None
            low = 0.0 if self.mode is None else float(self.mode.low)
            found = spiral.slowest_spiral(self.plant, low, self.rate, seconds)
            if found is not None and self._proves(found.to_dict()):
                self._lower["part"] = found.to_dict()
            self._lower["searched"] = True
        part = self.lower_part()
        return None if part is None else down(ONE - checker.read(part["gap"], self.d))

    def _may_be_slower(self) -> bool:
        return self.plant is not None and self.kind in ("rate", "iqc") and self.exact is None

    @property
    def slowest(self) -> Spiral | None:
        """The function of the plane behind `lower`, where it is one."""
        part = self.lower_part()
        return Spiral.from_dict(part) if part is not None and part["kind"] == "spiral" else None

    @property
    def mu(self) -> sp.Expr:
        """Strong convexity, exact."""
        return self.plant.mu if self.plant is not None else to_sympy(self.statement["mu"], self.d)

    @property
    def L(self) -> sp.Expr:
        """Smoothness, exact."""
        return self.plant.L if self.plant is not None else to_sympy(self.statement["L"], self.d)

    @property
    def enclosed(self) -> bool:
        """Whether the method's numbers are enclosed in intervals instead of exact."""
        return any(
            isinstance(x, dict) for name in "ABCD" for row in self.statement[name] for x in row
        )

    @property
    def P(self) -> sp.Matrix:
        """The quadratic part of the Lyapunov function over (x_k, u_k / L, ..., u_{k+s-1} / L), times 1 / L.

        Of kind "iqc", all of it, over x_k and the past z = y - u / L that is not read off it.
        """
        rows = [[to_sympy(x, self.d) for x in row] for row in self.witness.get("P", [])]
        return sp.Matrix(len(rows), len(rows), lambda i, j: rows[min(i, j)][abs(i - j)])

    def has_source(self) -> bool:
        """Whether the method is at hand."""
        return self.plant is not None and self.plant.source is not None

    def matches_source(self) -> bool:
        """Whether all numbers of the statement are those of the method, read anew."""
        return self.plant is not None and agrees(self.statement, self.plant.again())

    def matches_registry(self, name: str) -> bool:
        """Whether they are those of the library's method of this name."""
        from odescent.discretize import algorithm

        try:
            return agrees(self.statement, read(algorithm(name), self.mu, self.L))
        except (OdescentError, ArithmeticError, TypeError):
            return False

    def method(self) -> Plant:
        """The matrices of the statement as exact numbers."""
        return self.plant or from_statement(self.statement, str(self.document["name"]))

    def latex(self) -> str:
        """The inequality that is proved, in LaTeX."""
        rate = sp.latex(self.proved)
        if self.kind == "quadratics":
            return rf"\max_{{\mu \le \lambda \le L}} \rho\bigl(M(\lambda)\bigr) \le {rate}"
        if self.kind == "iqc":
            past = r"\lambda_0 z_k - \textstyle\sum_i \lambda_i z_{k-i}"
            decrease = rf"\rho^2 V_k - V_{{k+1}} - \langle w_k, {past} \rangle \ge 0"
            held = r"\lambda_0 \ge \textstyle\sum_i \lambda_i \rho^{-2i}, \quad V_k > 0"
            if "weight" in self.witness:
                held = held.replace("V_k > 0", r"V_k \ge w\, \|x_k - x_*\|^2")
            return rf"{decrease}, \qquad {held}, \qquad \rho = {rate}"
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
        lines = [f"{self.name}: rate {places(ONE - self._gap)} over {where}, {constants}"]
        lines.append(f"  1 - rate = {significant(self._gap)}")
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
        if self.kind == "iqc":
            steps = len(self.witness["past"])
            how = {0: "the sector", 1: "weighted off-by-one"}.get(
                steps, f"Zames-Falb, {steps} steps"
            )
            return f"integral quadratic constraint ({how}), Lyapunov function{decay}, exact LDL'"
        steps = int(self.witness["memory"])
        memory = f"with {steps} step{'s' if steps > 1 else ''} of memory, exact LDL'"
        return f"Lyapunov function{decay} {memory}"

    def _numbers(self) -> str:
        if self.enclosed:
            return "enclosed numbers"
        return "rational numbers" if self.d == 1 else f"numbers a + b sqrt({self.d})"

    def __repr__(self) -> str:
        constants = f"mu={shown(self.mu)}, L={shown(self.L)}"
        return f"<Certificate {self.kind}: rate {self.rate:.9f}, {constants}>"
