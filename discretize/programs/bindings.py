"""Values given to parameters: their dependencies and validity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sympy as sp

from ..._support.errors import OdescentError, listed, shown
from ..._support.rendering.brief import short
from ...dynamics.algebra.calculus import Symbol, singular, symbols_of
from ...dynamics.algebra.scalars import as_scalar, check_class
from ...dynamics.algebra.vectors import VectorSymbol
from ...dynamics.notation.show import text

Values = Mapping[sp.Symbol, sp.Expr]


def chained(values: Values) -> dict[sp.Symbol, sp.Expr]:
    """The values with each other's symbols substituted.

    Raises OdescentError if they refer to each other in a circle, or one has no finite value.
    """
    current = {s: e for s, e in values.items() if s != e}
    for _ in range(len(current) + 1):
        if not any(e.free_symbols & set(current) for e in current.values()):
            _check_finite(values, current)
            return current
        current = {s: e.xreplace(current) for s, e in current.items()}
    names = ", ".join(s.name for s in values)
    raise OdescentError(f"the values given to {names} depend on each other in a circle.")


def _check_finite(values: Values, resolved: Values) -> None:
    for s, e in resolved.items():
        if e.has(sp.zoo, sp.nan, sp.oo, sp.S.NegativeInfinity):
            known = {k.name: resolved[k] for k in values[s].free_symbols if k in resolved}
            where = ", ".join(f"{n} = {v}" for n, v in sorted(known.items())) or "these values"
            raise OdescentError(f"{s} = {values[s]} has no finite value at {where}.")


def symbols_in(values: Values) -> set[sp.Symbol]:
    """The symbols that the values refer to."""
    return {s for e in values.values() for s in e.free_symbols}


def reachable(values: Values, needed: Iterable[sp.Symbol]) -> dict[sp.Symbol, sp.Expr]:
    """The values that the needed symbols depend on; binding the step can leave others without use."""
    found: set[sp.Symbol] = set()
    waiting = list(needed)
    while waiting:
        s = waiting.pop()
        if s in values and s not in found:
            found.add(s)
            waiting += values[s].free_symbols
    return {s: e for s, e in values.items() if s in found}


def check_constant(values: Values, moving: Iterable[Symbol | None]) -> None:
    """Refuse parameters bound to what moves: to vectors, to scalar blocks, to time."""
    changing = set(moving)
    for s, e in values.items():
        found = [m.name for m in symbols_of(e) if m in changing or isinstance(m, VectorSymbol)]
        if found:
            raise OdescentError(
                f"{s} is bound to {text(e)}, which depends on {min(found)}, but parameters are constant; write it "
                f"where {s} stands."
            )


def value_of(symbol: sp.Symbol, value: object) -> sp.Expr:
    """A value for a parameter, in its domain; OdescentError with a sentence if it is not."""
    try:
        number = as_scalar(value)
    except TypeError:
        exact = " (exact numbers are fractions.Fraction(3, 10) or sympy.Rational(3, 10))"
        hint = exact if isinstance(value, str) else ""
        raise OdescentError(
            f"{symbol} must be a finite number, not {shown(value)}{hint}."
        ) from None
    if number.is_number and number.is_real is not True:
        raise OdescentError(f"{symbol} must be a finite real number, not {short(value)}.")
    if symbol.is_positive and number.is_nonpositive:
        raise OdescentError(f"{symbol} must be more than 0, not {short(value)}.")
    return number


def check_constants(values: Values) -> None:
    """Refuse L < mu, however they came to be bound."""
    by_name = {s.name: v for s, v in chained(values).items()}
    try:
        check_class(by_name.get("mu"), by_name.get("L"))
    except ValueError as error:
        raise OdescentError(str(error)) from None


def check_signs(
    tuning: Mapping[sp.Symbol, sp.Expr], given: Mapping[sp.Symbol, sp.Expr]
) -> dict[sp.Symbol, str]:
    """Refuse values that make a parameter negative that has to be positive, as beta1 above 1 does in Adam.

    Returns:
        The parameters that they make 0, and which do so.
    """
    zeros: dict[sp.Symbol, str] = {}
    for s, expression in tuning.items():
        used = {g: value for g, value in given.items() if g in expression.free_symbols}
        if not used or not s.is_positive:
            continue
        value, values = expression.xreplace(used), listed([f"{g} = {v}" for g, v in used.items()])
        if value.is_negative:
            raise OdescentError(f"{values} gives {s} the value {value}, which must be positive.")
        if value.is_zero:
            zeros[s] = values
    return zeros


def check_defined(zeros: Mapping[sp.Symbol, str], made: Any) -> None:
    """Refuse values that make a parameter 0 where the step then has no value, as beta1 = 1 does in Adam.

    Args:
        zeros: as `check_signs` returns them.
        made: what has these values, with ``tuned``, its program.
    """
    for s, values in zeros.items():
        if any(singular(e) for e in made.tuned.expressions()):
            raise OdescentError(f"{values} gives {s} the value 0, at which the step has no value.")
