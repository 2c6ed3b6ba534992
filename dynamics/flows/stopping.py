"""Stopping criteria of simulations and runs: a small gradient, a point reached, a region left, a function's zero."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from ..._support.errors import OdescentError, listed, unknown
from ..._support.numbers import real
from ..._support.rendering.brief import short
from ..vector_fields.functions import Assembled
from ..vector_fields.objective import Objective
from ..vector_fields.own_functions import current

Until: TypeAlias = "Mapping[str, Any] | Callable[[Any, Any, dict[str, Any]], Any] | None"


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class StopCondition:
    """A number that is positive at first; where it is zero or less, the simulation or run stops.

    It is a JAX pytree whose leaves are its tolerances, so that what is compiled for one serves for all.

    Attributes:
        measure: the number, of the condition and of what a call is given.
        of: the objective that it refers to, or the user's function.
        level: the tolerance, bounds or goal.
    """

    measure: Callable[..., Any] = field(metadata={"static": True})
    of: Any = field(metadata={"static": True})
    level: Any = None

    def __call__(self, t: Any, x: Any, states: Mapping[str, Any], f: Any = None) -> Any:
        """The number.

        Args:
            t: the time.
            x: the output.
            states: values of blocks by name.
            f: the objective at x, where it is known.
        """
        return self.measure(self, t, x, states, f)


def conditions(
    until: Until, objective: Objective, x: Any, population: bool = False
) -> dict[str, StopCondition]:
    """The conditions by name: each is positive at first, and the simulation stops where it reaches zero.

    Args:
        until: a function of (t, x, states), or a mapping: "gradient" and "value" to a tolerance,
            "distance" to a tolerance from the minimizer, "box" to (low, high) that x stays between, any
            other name to a function.
        objective: what the names refer to.
        x: an output, an array or a pytree.
        population: whether x is many particles, of which the names but "box" do not say which they mean.

    Raises:
        OdescentError: a tolerance that is not positive, an unknown name, a box that is none, no minimizer.
    """
    if until is None:
        return {}
    if callable(until):
        until = {"condition": until}
    if not isinstance(until, Mapping):
        raise OdescentError(
            f"until must be a function of (t, x, states), or a mapping such as {{'gradient': 1e-6}}, not {until!r}."
        )
    found: dict[str, StopCondition] = {}
    for name, given in until.items():
        if callable(given):
            found[name] = StopCondition(_own, current(given))
        elif name not in KNOWN:
            raise unknown("condition to stop at", name, tuple(KNOWN))
        elif population and name != "box":
            raise OdescentError(
                f"until={{{name!r}: ...}} is for one point, and x is many particles here; give a function of "
                "(t, x, states)."
            )
        else:
            found[name] = KNOWN[name](name, given, objective, x)
    return found


def _own(c: StopCondition, t: Any, x: Any, states: Any, f: Any) -> Any:
    return c.of(t, x, states)


def _tolerance(name: str, given: Any) -> float:
    level = real(given)
    if not np.isfinite(level) or level <= 0:
        raise OdescentError(f"until={{{name!r}: ...}} takes a positive number, not {short(given)}.")
    return level


def _has(name: str, oracle: str, objective: Objective) -> None:
    if oracle not in objective.oracles:
        have = ", ".join(sorted(objective.oracles)) or "none"
        raise OdescentError(
            f"until={{{name!r}: ...}} needs the oracle {oracle!r} of one function of x, which {objective.name!r} does "
            f"not have (it has {have}); give a function of (t, x, states)."
        )


def _value(name: str, given: Any, objective: Objective, x: Any) -> StopCondition:
    _has(name, "value", objective)
    level = real(given)
    if not np.isfinite(level):
        raise OdescentError(f"until={{{name!r}: ...}} takes a finite number, not {short(given)}.")
    return StopCondition(_above, objective, level)


def _above(c: StopCondition, t: Any, x: Any, states: Any, f: Any) -> Any:
    return (c.of.value(x) if f is None else f) - c.level


def _gradient(name: str, given: Any, objective: Objective, x: Any) -> StopCondition:
    _has(name, "grad", objective)
    if isinstance(objective, Assembled) and len(objective.functions) > 1:
        raise OdescentError(
            f"until={{'gradient': ...}} is for one function, and there are {listed(objective.functions)}; give a "
            "function of (t, x, states)."
        )
    return StopCondition(_steep, objective, _tolerance(name, given))


def _steep(c: StopCondition, t: Any, x: Any, states: Any, f: Any) -> Any:
    return _log_norm(c.of.grad(x)) - jnp.log(c.level)


def _distance(name: str, given: Any, objective: Objective, x: Any) -> StopCondition:
    level, goal = _tolerance(name, given), objective.minimizer
    if goal is None:
        raise OdescentError(
            f"until={{'distance': ...}} needs the minimizer, which is not known for the objective {objective.name!r}."
        )
    try:
        placed = jax.tree.map(lambda g, a: jnp.asarray(g, a.dtype), goal, x)
    except ValueError:
        raise OdescentError(
            f"the minimizer of {objective.name!r} is no tree like x, so that until={{'distance': ...}} has no meaning; "
            "give a function of (t, x, states)."
        ) from None
    return StopCondition(_far, objective, (level, placed))


def _far(c: StopCondition, t: Any, x: Any, states: Any, f: Any) -> Any:
    level, goal = c.level
    return _log_norm(jax.tree.map(jnp.subtract, x, goal)) - jnp.log(level)


def _log_norm(v: Any) -> Any:
    """log |v|, which a root finder meets as nearly a straight line; finite at v = 0."""
    leaves = [jnp.asarray(a) for a in jax.tree.leaves(v)]
    square = sum(jnp.sum(a * a) for a in leaves[1:]) + jnp.sum(leaves[0] * leaves[0])
    return jnp.log(square + np.finfo(square.dtype).tiny) / 2


def _box(name: str, given: Any, objective: Objective, x: Any) -> StopCondition:
    wanted = "two numbers or arrays (or trees like x)"
    try:
        low, high = given
        bounds = tuple(_like(b, x) for b in (low, high))
    except (TypeError, ValueError):
        shapes = " ".join(str(np.shape(a)) for a in jax.tree.leaves(x))
        raise OdescentError(
            f"until={{'box': (low, high)}} takes {wanted} of x's shape {shapes}, not {short(given)}."
        ) from None
    if not all((a < b).all() for a, b in zip(*map(jax.tree.leaves, bounds), strict=True)):
        raise OdescentError(f"a box must have low < high in every coordinate, not {short(given)}.")
    return StopCondition(_inside, None, bounds)


def _like(bound: Any, x: Any) -> Any:
    """A bound for each entry of x, in its precision."""
    one = np.ndim(bound) == 0 and not isinstance(bound, Mapping)
    each = jax.tree.map(lambda a: bound, x) if one else bound
    spread = lambda a, b: np.broadcast_to(np.asarray(b, np.float64), np.shape(a)).astype(a.dtype)
    return jax.tree.map(spread, x, each)


def _inside(c: StopCondition, t: Any, x: Any, states: Any, f: Any) -> Any:
    low, high = c.level
    room = jax.tree.map(lambda a, b, c: jnp.min(jnp.minimum(a - b, c - a)), x, low, high)
    return jnp.min(jnp.stack(jax.tree.leaves(room)))


# A new condition is a function of (name, what is given, objective, output), and a line here.
KNOWN: dict[str, Callable[[str, Any, Objective, Any], StopCondition]] = {
    "gradient": _gradient,
    "value": _value,
    "distance": _distance,
    "box": _box,
}


def at_start(
    found: Mapping[str, StopCondition], t: Any, x: Any, states: dict[str, Any]
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
    values: dict[str, Any] = _asked(dict(found), t, x, states)
    for name in found:
        value = values[name]
        if not bool(jnp.isfinite(value)):
            raise OdescentError(
                f"the condition {name!r} to stop at must be one finite number at the start, not {value}."
            )
        if float(value) <= 0:
            return name
    return None


def _numbers(
    found: Mapping[str, StopCondition], t: Any, x: Any, states: Mapping[str, Any], f: Any = None
) -> dict[str, Any]:
    """What each condition returns, if it is one real number; a relation is none: true would count as positive."""
    made = {}
    for name, condition in found.items():
        try:
            value = jnp.asarray(condition(t, x, states, f))
        except OdescentError:
            raise
        except Exception as error:
            said = str(error).partition("\n")[0].rstrip(".")
            raise OdescentError(
                f"the condition {name!r} to stop at raised {type(error).__name__} ({said}); it must be a JAX "
                f"function of (t, x, states) to one number, and states has {listed(list(states)) or 'nothing'}."
            ) from error
        real_one = value.shape == () and jnp.issubdtype(value.dtype, jnp.number)
        if not real_one or jnp.issubdtype(value.dtype, jnp.complexfloating):
            relation = value.dtype == bool
            given = (
                "a relation" if relation else f"an array of {value.dtype} of shape {value.shape}"
            )
            hint = ": for a < b return a - b" if relation else ""
            raise OdescentError(
                f"the condition {name!r} to stop at must be one finite number at the start, not {given}; it stops "
                f"where the number is no longer positive{hint}."
            )
        made[name] = value
    return made


_asked = jax.jit(_numbers)


def first_met(
    found: Mapping[str, StopCondition], t: Any, x: Any, states: Mapping[str, Any], f: Any = None
) -> Any:
    """The position of the first condition that holds, under JAX transformations too; -1 where none does.

    Args:
        found: conditions by name.
        t: the time.
        x: the output.
        states: block values by name.
        f: the objective at x, where it is known.
    """
    met = jnp.stack([v <= 0 for v in _numbers(found, t, x, states, f).values()])
    position = jnp.argmax(met)
    return jnp.where(jnp.any(met), position, jnp.full_like(position, -1))
