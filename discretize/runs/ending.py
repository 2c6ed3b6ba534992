"""Ends of runs: conditions on the state, and budgets of what the method asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from ..._support.errors import OdescentError, expected, listed
from ..._support.numbers import check_whole
from ...dynamics.flows.stopping import StopCondition, first_met
from .clock import RunClock

STEP_SIZE = "the size of the step"  # what ends a run before a step that is no positive number


@dataclass(frozen=True)
class Spent:
    """What a run has asked for of one kind: so much before the first step and in each, and what its guards decide.

    Attributes:
        kind: gradients, values, rejections and so on.
        begun: before the first step.
        each: in each step outside of guards.
        counters: blocks that count what guards decide, with the number that each of these counts for.
    """

    kind: str
    begun: int
    each: int
    counters: tuple[tuple[str, int], ...] = ()

    def at(self, k: Any, states: Mapping[str, Any]) -> Any:
        """The number, a whole one, after k steps with these states."""
        return self.begun + k * self.each + self.decided(states)

    def decided(self, states: Mapping[str, Any]) -> Any:
        """What guards had decided on in these states."""
        return sum(n * jnp.rint(states[b]).astype(int) for b, n in self.counters)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Limit:
    """How much may be asked for of what guards decide.

    Attributes:
        spent: the count.
        most: it ends a run before the step that would exceed this.
    """

    spent: Spent = field(metadata={"static": True})
    most: Any


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Ends:
    """The conditions at which a run ends, with the time that they are given; a JAX pytree.

    Attributes:
        names: of the conditions.
        conditions: in this order.
        clock: of the run.
        budgets: of what guards decide, so that a step is taken before it is known.
    """

    names: tuple[str, ...] = field(metadata={"static": True})
    conditions: tuple[StopCondition, ...]
    clock: RunClock
    budgets: tuple[Limit, ...] = ()

    def met(self, k: Any, x: Any, states: Mapping[str, Any], f: Any) -> Any:
        """The position of the first condition that holds at a state, or -1.

        Args:
            k: the number of steps so far.
            x: the output.
            states: blocks and further outputs by name.
            f: the value of the objective, or None.
        """
        if not self.conditions:
            return jnp.asarray(-1)
        by_name = dict(zip(self.names, self.conditions, strict=True))
        return first_met(by_name, self.clock.at(k, states), x, self.clock.visible(states), f)

    def exceeded(self, k: Any, states: Mapping[str, Any]) -> Any:
        """The position of the first budget that k steps have exceeded, or -1."""
        over = [b.spent.at(k, states) > b.most for b in self.budgets]
        return jnp.where(jnp.any(jnp.stack(over)), jnp.argmax(jnp.stack(over)), -1)


def budget_of(kind: str) -> str:
    """What ends a run that has spent its budget of a kind."""
    return f"the budget of {kind}"


@dataclass(frozen=True)
class Length:
    """How many steps a run may take.

    Attributes:
        steps: this many.
        budget: the budget that makes it no more; "" where another bound does.
        budgets: those of what guards decide.
    """

    steps: int
    budget: str = ""
    budgets: tuple[Limit, ...] = ()


def length(
    who: str,
    asked_for: tuple[int | None, int | None],
    cost: Iterable[Spent],
    budget: Mapping[str, int] | None,
    until: bool,
) -> Length:
    """The number of steps that a run may take: what is asked for, or fewer where a budget ends before.

    A step is taken only if all that it asks for is within the budget. Where guards decide what it asks for, that is
    known afterwards: such a budget goes with the run, which does not keep the step that exceeds it.

    Args:
        who: the algorithm, for messages.
        asked_for: steps and max_steps, of a run without and with an end of its own.
        cost: what the run asks for.
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
    if steps is None and max_steps is None and budget is None:
        raise OdescentError(
            "a run with until= needs a bound too, as in max_steps=10000."
            if until
            else "give the number of steps, as in steps=100."
        )
    bounds: dict[str, int] = {}
    if steps is not None or max_steps is not None:
        name = "steps" if max_steps is None else "max_steps"
        bounds[""] = check_whole(name, steps if max_steps is None else max_steps, 0)
    budgets = () if budget is None else _budgets(who, cost, budget)
    bounds |= {
        b.spent.kind: (b.most - b.spent.begun) // b.spent.each for b in budgets if b.spent.each
    }
    if not bounds:
        kinds = listed([repr(b.spent.kind) for b in budgets])
        raise OdescentError(
            f"a run with a budget of {kinds} needs a bound too, as in max_steps=10000: a step may ask for none."
        )
    # the first of equal bounds is what was asked for
    name = min(bounds, key=lambda n: bounds[n])
    return Length(bounds[name], name, tuple(b for b in budgets if b.spent.counters))


def _budgets(who: str, cost: Iterable[Spent], budget: Mapping[str, int]) -> tuple[Limit, ...]:
    """The budgets with what they are of."""
    if not budget:
        raise expected("budget", "a mapping such as {'gradients': 1000}", budget)
    spends = {c.kind: c for c in cost if c.each or c.counters}
    found = []
    for name, most in budget.items():
        if name not in spends:
            known = listed([*spends]) if spends else "nothing that is counted"
            raise OdescentError(
                f"a budget of {name!r} never ends a run of {who}, whose steps ask for {known}; give a budget of that."
            )
        check_whole(f"the budget of {name}", most, spends[name].begun)
        found.append(Limit(spends[name], int(most)))
    return tuple(found)
