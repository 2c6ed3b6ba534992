"""Values of parameters: given by name, or the objective's constants; and their domains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import sympy as sp

from ..._support.errors import OdescentError, check_choice, listed
from ..._support.numbers import reals
from ..._support.rendering.brief import short
from ..vector_fields.objective import Objective


def constants(objective: Objective | None) -> dict[str, float]:
    """mu and L of an objective, where they are numbers."""
    pairs = {} if objective is None else {"mu": objective.mu, "L": objective.L}
    return {n: float(v) for n, v in pairs.items() if v is not None and v.is_number}


def parameter_values(
    who: str,
    names: Iterable[str],
    given: Mapping[str, Any],
    known: Mapping[str, Any],
    instead: str = "",
    mapping: bool = False,
) -> dict[str, Any]:
    """A value for each name: the given one, else the known one.

    Args:
        who: the system or algorithm, for messages.
        names: the parameters that need a value.
        given: values passed by the user.
        known: defaults.
        instead: what may be given in place of mu and L, for messages.
        mapping: whether they are given as ``parameters={"c": ...}`` and not each by name, for messages.

    Raises:
        OdescentError: an unknown name is given, or a name has no value.
    """
    wanted = list(names)
    for name in given:
        check_choice(f"parameter of {who} called", name, wanted)
    found = {n: given.get(n, known.get(n)) for n in wanted}
    missing = [n for n, v in found.items() if v is None]
    if missing:
        where = ""
        if {*missing} <= {"mu", "L"}:
            where = ", here or on the objective" + (f", or {instead} instead" if instead else "")
        values = " and ".join(f"{n}=..." for n in missing)
        if mapping:
            values = f"parameters={{{', '.join(f'{n!r}: ...' for n in missing)}}}"
        raise OdescentError(f"{who} needs a value of {listed(missing)}: give {values}{where}.")
    return found


def numbers_for(
    who: str,
    symbols: Iterable[sp.Symbol],
    given: Mapping[str, Any],
    objective: Objective | None,
    shape: tuple[int, ...] = (),
) -> dict[sp.Symbol, Any]:
    """A finite number in its domain for each symbol; mu and L default to the objective's.

    Args:
        who: the system or algorithm, for messages.
        symbols: the parameters that need a value.
        given: values by name, numbers or arrays of ``shape``.
        objective: supplies the defaults of mu and L.
        shape: () for numbers, or the common shape of all values returned.

    Returns:
        floats, or arrays of ``shape``, by symbol.

    Raises:
        OdescentError: an unknown or missing parameter, or a value that is not finite or out of its domain.
    """
    named = {s.name: s for s in symbols}
    found = {}
    for name, value in parameter_values(
        who, named, given, constants(objective), mapping=True
    ).items():
        array = reals(value)
        if not array.size:
            raise OdescentError(f"{name} must be one number, not {short(value)}.")
        if array.shape not in ((), shape):
            or_many = f" or an array of shape {shape} of them" if shape else ""
            raise OdescentError(
                f"{name} is one finite number{or_many}, not of shape {array.shape}."
            )
        check_domain(named[name], array)
        found[named[name]] = np.broadcast_to(array, shape) if shape else float(array)
    return found


def check_domain(symbol: sp.Symbol, value: Any) -> None:
    """Refuse values of a parameter that are not finite or outside of its declared domain."""
    numbers = np.asarray(value, np.float64)
    bad = ~np.isfinite(numbers)
    what = "a finite number"
    if symbol.is_positive:
        bad, what = bad | (numbers <= 0), "a finite number more than 0"
    elif symbol.is_nonnegative:
        bad, what = bad | (numbers < 0), "a finite number of at least 0"
    if bad.any():
        shown = float(numbers[bad].ravel()[0])
        raise OdescentError(f"{symbol} must be {what}, not {shown:g}.")


__all__ = ["check_domain", "constants", "numbers_for", "parameter_values"]
