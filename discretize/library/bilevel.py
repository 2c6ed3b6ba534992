"""Single loops for bilevel optimization: one step of every block in an iteration."""

from __future__ import annotations

from ...dynamics.library import system
from ..faces import Algorithm
from .first_order import by_euler


def implicit_bilevel() -> Algorithm:
    """x, y and the adjoint v by one explicit step each: h for x and h/epsilon for y and v, which are free."""
    return by_euler(system("implicit_bilevel"), "implicit_bilevel", "dagreou2022")


def penalty_bilevel() -> Algorithm:
    """x, y and z by one explicit step each: h, h/epsilon and h/(rho epsilon), first derivatives alone; all are free."""
    return by_euler(system("penalty_bilevel"), "penalty_bilevel", "kwon2023")
