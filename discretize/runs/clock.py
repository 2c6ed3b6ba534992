"""The time of a run: an expression in the step number, or the sum of steps that depend on the state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from ...dynamics.evaluation.evaluate import evaluate
from ..step.compile import COUNTER
from ..step.iteration import Iteration


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class RunClock:
    """The time of step k; a JAX pytree.

    Attributes:
        expression: in the step number and the parameters.
        values: of the parameters, by name.
        blocks: of the time that has passed and the last step, where steps depend on the state.
        counters: blocks that count what guards decide.
    """

    expression: sp.Expr = field(metadata={"static": True})
    values: Mapping[str, Any]
    blocks: tuple[str, ...] = field(default=(), metadata={"static": True})
    counters: tuple[str, ...] = field(default=(), metadata={"static": True})

    def visible(self, states: Mapping[str, Any]) -> dict[str, Any]:
        """The states without those blocks."""
        return {n: s for n, s in states.items() if n not in (*self.blocks, *self.counters)}

    def at(self, k: Any, states: Mapping[str, Any]) -> Any:
        """The times of steps, in the shape of their numbers; these numbers where a parameter has no value.

        Args:
            k: the numbers.
            states: by name, with the blocks.
        """
        if self.blocks:
            return states[self.blocks[0]]
        free = self.expression.free_symbols
        known = {s: k if s == COUNTER else self.values.get(s.name) for s in free}
        traced = any(isinstance(v, jax.core.Tracer) for v in (k, *known.values()))
        xp: Any = jnp if traced else np  # JAX would compile for each number of records
        time = counted = xp.asarray(k).astype(jnp.result_type(float))
        if not any(v is None for v in known.values()):
            numbers = {s: counted if s == COUNTER else xp.asarray(v) for s, v in known.items()}
            with np.errstate(all="ignore"):
                time = evaluate(self.expression, numbers, {}, xp)
            time = xp.broadcast_to(time, counted.shape)
        return time if traced else jax.device_put(time)


def clock_of(algorithm: Iteration, values: Mapping[str, Any]) -> RunClock:
    """The clock of an algorithm with values of its parameters: k h, if it has no other.

    Where the step depends on the state, one that is made for runs adds the steps up; another one has the time of its
    limit flow, k times the small factor.
    """
    paced_by = algorithm.step if algorithm.small is None else algorithm.small
    clock = COUNTER * paced_by if algorithm.clock is None else algorithm.clock
    bindings = {**algorithm.where, **algorithm.tuning}
    for _ in bindings:
        clock = clock.xreplace(bindings)
    return RunClock(clock, dict(values), algorithm.clocks, tuple(algorithm.counters.values()))
