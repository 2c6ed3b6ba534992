"""The time of a run: an expression in the step number, or the sum of steps that depend on the state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import sympy as sp

from ...dynamics.flows.evaluate import evaluate
from ..step.compile import COUNTER
from ..step.iteration import Iteration


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class RunClock:
    """The time of step k; a JAX pytree.

    Attributes:
        expression: in the step number and the parameters.
        values: of the parameters, by name.
    """

    expression: sp.Expr = field(metadata={"static": True})
    values: Mapping[str, Any]

    def at(self, k: Any) -> Any:
        """The times of steps, in the shape of their numbers; these numbers where a parameter has no value."""
        steps = jnp.asarray(k)
        counted = steps.astype(float)
        free = self.expression.free_symbols
        known = {s: counted if s == COUNTER else self.values.get(s.name) for s in free}
        if any(v is None for v in known.values()):
            return counted
        return jnp.broadcast_to(evaluate(self.expression, known, {}, jnp), steps.shape)


def clock_of(algorithm: Iteration, values: Mapping[str, Any]) -> RunClock:
    """The clock of an algorithm with values of its parameters: k h, if it has no other."""
    clock = COUNTER * algorithm.step if algorithm.clock is None else algorithm.clock
    bindings = {**algorithm.where, **algorithm.tuning}
    for _ in bindings:
        clock = clock.xreplace(bindings)
    return RunClock(clock, dict(values))
