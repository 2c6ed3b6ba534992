"""Coefficient blocks that the system moves: their recurrences follow its drift as the step tends to zero."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import sympy as sp

from odescent._errors import NotConsistent, OdescentError
from odescent.dynamics.calculus import Symbol, nothing, substitute, symbols_of, tidy, vanishes
from odescent.dynamics.exact import as_scalar
from odescent.dynamics.fields import System
from odescent.dynamics.series import taylor
from odescent.dynamics.vectors import Expr, Vector

from .scalar_flow import solve_in_time

if TYPE_CHECKING:
    from .backward_error import ModifiedEquation
    from .iteration import Algorithm


def positive_coefficients(algorithm: Algorithm) -> dict[Symbol, Expr]:
    """The scalar coefficient blocks as positive symbols: there the roots of their squares are known."""
    symbols = [b.symbol for b in algorithm.bound.blocks if b.role == "coefficient"]
    return {s: sp.Symbol(s.name, positive=True) for s in symbols if isinstance(s, sp.Symbol)}


def coefficient_drift(algorithm: Algorithm) -> dict[Symbol, Expr]:
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


def with_coefficients(flow: System, algorithm: Algorithm) -> System:
    """The limit flow of the states, together with the coefficient blocks that the system moves."""
    moved = coefficient_drift(algorithm)
    if not moved:
        return flow
    limit = algorithm.bound.limit({algorithm.step: 0})
    kept = {b.symbol for b in flow.blocks} | set(moved)
    return System(
        {**flow.fields, "coefficients": moved},
        blocks=[b for b in limit.blocks if b.symbol in kept],
        output=limit.output,
        time=limit.time,
        name=flow.name,
    )


def written_in_time(
    modified: ModifiedEquation, begin: Mapping[sp.Symbol, object]
) -> ModifiedEquation:
    """The modified equation with its scalar coefficients replaced by their expansions in h at fixed time.

    Raises OdescentError if there is none among its blocks or one does not obey an equation of its own.
    """
    from .backward_error import ModifiedEquation

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
                f"the coefficient {s} depends on other blocks, so it is no function of time alone."
            )
        solved = solve_in_time(fields, s, as_scalar(begin[s]), t, h)
        values[s] = sp.Add(*[c * h**j for j, c in enumerate(solved.terms)])
        back[solved.leading] = solved.solution
    terms: list[dict[Symbol, Expr]] = [{} for _ in range(order + 1)]
    for block, rate in modified.terms[0].items():
        if block not in scalars:
            rates = [rate, *(term[block] for term in modified.terms[1:])]
            total = sum((r * h**j for j, r in enumerate(rates)), nothing(block))
            for term, c in zip(terms, taylor(substitute(total, values), h, order), strict=True):
                term[block] = substitute(tidy(c), back)
    return ModifiedEquation(tuple(terms), h, modified.output, t, noisy=modified.noisy)
