"""Ends of runs: conditions on the state, and budgets of what the method asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax

from ..._support.errors import OdescentError, expected, listed
from ..._support.numbers import check_whole
from ...dynamics.flows.stopping import StopCondition, first_met
from .clock import RunClock

STEP_SIZE = "the size of the step"  # what ends a run before a step that is no positive number


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Ends:
    """The conditions at which a run ends, with the time that they are given; a JAX pytree.

    Attributes:
        names: of the conditions.
        conditions: in this order.
        clock: of the run.
    """

    names: tuple[str, ...] = field(metadata={"static": True})
    conditions: tuple[StopCondition, ...]
    clock: RunClock

    def met(self, k: Any, x: Any, states: Mapping[str, Any], f: Any) -> Any:
        """The position of the first condition that holds at a state, or -1.

        Args:
            k: the number of steps so far.
            x: the output.
            states: blocks and further outputs by name.
            f: the value of the objective, or None.
        """
        by_name = dict(zip(self.names, self.conditions, strict=True))
        return first_met(by_name, self.clock.at(k, states), x, self.clock.visible(states), f)


@dataclass(frozen=True)
class Length:
    """How many steps a run may take.

    Attributes:
        steps: this many.
        budget: the budget that makes it no more; "" where another bound does.
    """

    steps: int
    budget: str = ""


def length(
    who: str,
    asked_for: tuple[int | None, int | None],
    cost: Iterable[tuple[str, int, int]],
    budget: Mapping[str, int] | None,
    until: bool,
) -> Length:
    """The number of steps that a run may take: what is asked for, or fewer where a budget ends before.

    A step is taken only if all that it asks for is within the budget. What it asks for is known before it is taken;
    of a step with a loop that ends by a condition it would be the most that the loop may ask for, and what it has asked
    for so far is then a state: a count that belongs into `Ends`, as one more condition.

    Args:
        who: the algorithm, for messages.
        asked_for: steps and max_steps, of a run without and with an end of its own.
        cost: what the start and a step ask for, by name.
        budget: how much of it may be asked for, by the same names.
        until: whether there are conditions.

    Raises:
        OdescentError: no number of steps, or two, or a budget of what the method never asks for.
    """
    steps, max_steps = asked_for
    ended = until or budget is not None
    if steps is not None and max_steps is not None:
        raise OdescentError(
            f"a run takes either steps= or max_steps=, not both (steps={steps}, max_steps={max_steps})."
        )
    if max_steps is not None and not ended:
        raise OdescentError(
            f"max_steps={max_steps} bounds a run that ends by until= or budget=; give steps={max_steps} instead."
        )
    if steps is not None or max_steps is not None:
        name = "steps" if max_steps is None else "max_steps"
        asked = check_whole(name, steps if max_steps is None else max_steps, 0)
    elif budget is None:
        raise OdescentError(
            "a run with until= needs a bound too, as in max_steps=10000."
            if until
            else "give the number of steps, as in steps=100."
        )
    else:
        asked = None
    if budget is None:
        assert asked is not None
        return Length(asked)
    within = _within(who, cost, budget)
    name = min(within, key=lambda n: within[n])
    if asked is None or within[name] < asked:
        return Length(within[name], name)
    return Length(asked)


def _within(
    who: str, cost: Iterable[tuple[str, int, int]], budget: Mapping[str, int]
) -> dict[str, int]:
    """How many steps each budget is for."""
    if not budget:
        raise expected("budget", "a mapping such as {'gradients': 1000}", budget)
    asked = {n: (begun, each) for n, begun, each in cost if each}
    found = {}
    for name, most in budget.items():
        if name not in asked:
            spends = listed([*asked]) if asked else "nothing that is counted"
            raise OdescentError(
                f"a budget of {name!r} never ends a run of {who}, whose steps ask for {spends}; give a budget of that."
            )
        begun, each = asked[name]
        check_whole(f"the budget of {name}", most, begun)
        found[name] = (int(most) - begun) // each
    return found
