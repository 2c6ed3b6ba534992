"""Stopping criteria of a simulation: a small gradient, a point reached, a region left, a function's zero."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..._support.errors import OdescentError, unknown
from ..._support.numbers import real
from ..._support.rendering.brief import short
from ..vector_fields.objective import Objective

Condition = Callable[[Any, Any, dict[str, Any]], Any]  # (t, x, states) to a number
KNOWN = ("gradient", "value", "distance", "box")


def conditions(
    until: Mapping[str, Any] | Condition | None, objective: Objective, shape: tuple[int, ...]
) -> dict[str, Condition]:
    """The conditions by name: each is positive at first, and the simulation stops where it reaches zero.

    Args:
        until: a function of (t, x, states), or a mapping: "gradient" and "value" to a tolerance,
            "distance" to a tolerance from the minimizer, "box" to (low, high) that x stays between, any
            other name to a function.
        objective: what the names refer to.
        shape: of x.

    Raises:
        OdescentError: a tolerance that is not positive, an unknown name, a box that is none, no minimizer.
    """
    if until is None:
        return {}
    if callable(until):
        return {"condition": until}
    found: dict[str, Condition] = {}
    for name, given in until.items():
        if callable(given):
            found[name] = given
        elif name == "box":
            found[name] = _box(given, shape)
        elif name in KNOWN:
            found[name] = _below(name, given, objective)
        else:
            raise unknown("condition to stop at", name, KNOWN)
    return found


def _below(name: str, given: Any, objective: Objective) -> Condition:
    level = real(given)
    if not np.isfinite(level) or (level <= 0 and name != "value"):
        raise OdescentError(f"until={{{name!r}: ...}} takes a positive number, not {short(given)}.")
    if name == "value":
        return lambda t, x, states: objective.value(x) - level
    if name == "gradient":
        return lambda t, x, states: _log_norm(objective.grad(x)) - np.log(level)
    goal = objective.minimizer
    if goal is None:
        raise OdescentError(
            f"until={{'distance': ...}} needs the minimizer, which is not known for the objective {objective.name!r}."
        )
    return lambda t, x, states: _log_norm(x - jnp.asarray(goal, x.dtype)) - np.log(level)


def _log_norm(v: Any) -> Any:
    """log |v|, which a root finder meets as nearly a straight line; finite at v = 0."""
    return jnp.log(jnp.sum(v * v) + np.finfo(np.float64).tiny) / 2


def _box(given: Any, shape: tuple[int, ...]) -> Condition:
    try:
        low, high = (np.broadcast_to(np.asarray(g, np.float64), shape) for g in given)
    except (TypeError, ValueError):
        raise OdescentError(
            f"until={{'box': (low, high)}} takes two numbers or arrays of x0's shape {shape}, not {short(given)}."
        ) from None
    if not (low < high).all():
        raise OdescentError(f"a box must have low < high in every coordinate, not {short(given)}.")
    return lambda t, x, states: jnp.min(jnp.minimum(x - low, high - x))


def at_start(
    found: Mapping[str, Condition], t: float, x: Any, states: dict[str, Any]
) -> str | None:
    """The first condition that holds (is non-positive) at the start already, or None.

    Args:
        found: conditions by name.
        t: the initial time.
        x: the output there.
        states: block values by name.

    Raises:
        OdescentError: a condition does not return one finite number.
    """
    for name, condition in found.items():
        value = jax.numpy.asarray(condition(t, x, states))
        if value.shape != () or not bool(jnp.isfinite(value)):
            raise OdescentError(
                f"the condition {name!r} to stop at must be one finite number at the start, not {value}."
            )
        if float(value) <= 0:
            return name
    return None
