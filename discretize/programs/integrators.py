"""Integrators of substeps, and what is known of each before compilation."""

from __future__ import annotations

from dataclasses import dataclass
from types import NoneType

import sympy as sp

from ..._support.errors import OdescentError, expected
from ..._support.rendering.brief import short
from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.operators import check_operator
from ...dynamics.algebra.vectors import Vector
from ...dynamics.flows.tableaux import TABLEAUX, Tableau


@dataclass(frozen=True)
class Rule:
    """Properties of an integrator known before compilation; its step is a function in `step.integrate`.

    Attributes:
        noise: whether it supports noise in its fields.
        sweep: the weight of the new coordinate where a sweep reads the field; None where it does not sweep.
    """

    noise: bool = False
    sweep: sp.Rational | None = None


RULES = {
    "explicit": Rule(noise=True, sweep=sp.Rational(0)),
    "implicit": Rule(noise=True, sweep=sp.Rational(1)),
    "cayley": Rule(noise=True, sweep=sp.Rational(1, 2)),
    "exact": Rule(noise=True),
    "linearly_implicit": Rule(),
    "linearly_implicit_midpoint": Rule(),
    "discrete_gradient": Rule(sweep=sp.Rational(1)),
    "tableau": Rule(),
}


@dataclass(frozen=True)
class Integrator(Rendered):
    """An integrator of a substep.

    ``cayley`` (the trapezoidal rule) and ``exact`` (the exponential) need fields that are linear in
    the blocks they move; ``exact`` also takes Riccati equations P' = a P - P S P with a and S held, and ``implicit``
    (backward Euler) one oracle that has a prox. ``linearly_implicit`` (Rosenbrock-Euler, of order 1) is one step of
    Newton's method for backward Euler, x + h (1 - h J)^-1 F(x) with the derivative J of the field, and
    ``linearly_implicit_midpoint`` (of order 2) one for the midpoint rule, x + h (1 - h J/2)^-1 F(x); with an
    ``operator`` in the place of J both are W-methods, of order 1.
    With ``frozen_oracles`` the oracles are called once, at the start of the substep. ``discrete_gradient``
    (Itoh and Abe's: difference quotients for derivatives) is for sweeps over coordinates.
    """

    kind: str
    frozen_oracles: bool = False
    tableau: Tableau | None = None
    operator: Vector | None = None

    def __post_init__(self) -> None:
        if str(self.kind) not in RULES:
            raise OdescentError(
                f"an integrator must be one of {', '.join(RULES)}, or of the tableaux {', '.join(TABLEAUX)}, not "
                f"{short(self.kind)}."
            )
        if not isinstance(self.tableau, (Tableau, NoneType)):
            raise expected("tableau of an Integrator", "a Tableau", self.tableau)
        if (self.kind == "tableau") != (self.tableau is not None):
            raise OdescentError("give a Tableau for the integrator 'tableau', and for no other.")
        linearized = self.kind.startswith("linearly_implicit")
        if self.operator is not None and not linearized:
            raise OdescentError(
                f"an operator stands for the derivative in 'linearly_implicit', not in {self.kind!r}."
            )
        if self.operator is not None:
            check_operator(f"the integrator {self.kind!r}", self.operator)
        if self.frozen_oracles and linearized:
            raise OdescentError(
                f"'frozen {self.kind}' is not an integrator: with the oracles held a field that is linear "
                "otherwise has 'frozen implicit' and 'frozen cayley'."
            )

    @staticmethod
    def of(value: Integrator | Tableau | str) -> Integrator:
        """An integrator from itself, a tableau, or the name of one; "frozen " before it freezes the oracles."""
        if isinstance(value, Integrator):
            return value
        if isinstance(value, Tableau):
            return Integrator("tableau", tableau=value)
        if not isinstance(value, str):
            raise expected("an integrator", "a name, a Tableau or an Integrator", value)
        if value in TABLEAUX:
            return Integrator("tableau", tableau=TABLEAUX[value])
        frozen = value.startswith("frozen ")
        return Integrator(value.removeprefix("frozen "), frozen_oracles=frozen)
