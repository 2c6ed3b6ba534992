"""Coefficient blocks of the system's state: their recurrences follow its drift as the step tends to zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy as sp

from ..._support.errors import NotConsistent
from ...dynamics.algebra.calculus import Symbol, substitute, vanishes
from ...dynamics.algebra.series import taylor
from ...dynamics.algebra.vectors import Expr

if TYPE_CHECKING:
    from ..step.iteration import Iteration


def positive_coefficients(algorithm: Iteration) -> dict[sp.Symbol, sp.Expr]:
    """The scalar coefficient blocks as positive symbols: there the roots of their squares are known."""
    symbols = [b.symbol for b in algorithm.bound.blocks if b.role == "coefficient"]
    return {s: sp.Symbol(s.name, positive=True) for s in symbols if isinstance(s, sp.Symbol)}


def coefficient_drift(algorithm: Iteration) -> dict[Symbol, Expr]:
    """The drift of the coefficient blocks that the system moves, checked against their recurrences.

    The recurrence is expanded where the coefficients are positive: there roots of squares are known.
    Raises NotConsistent if it follows another drift.
    """
    h = algorithm.step
    target = algorithm.bound.limit({h: 0}).drift
    coefficients = [b.symbol for b in algorithm.bound.blocks if b.role == "coefficient"]
    moved = {s: target[s] for s in coefficients if not vanishes(target[s])}
    if not moved:
        return {}
    update = algorithm.own_program.update_map()
    positive = positive_coefficients(algorithm)
    for s, drift in moved.items():
        series = taylor(substitute(update[s], positive), h, 1)
        for found, wanted, what in zip(series, (s, drift), ("start from", "move by"), strict=True):
            if not vanishes(found - substitute(wanted, positive)):
                raise NotConsistent(
                    f"the recurrence of the coefficient {s} does not follow the system: as {h} -> 0 it should "
                    f"{what} {wanted}, not {found}."
                )
    return moved
