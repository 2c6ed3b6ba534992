"""The stepper: one step for one point, as pure functions; and the three loops of all iterations.

A state goes to the next with coefficients and a source of noise. Who iterates (a run, basins, bifurcations, passage
times, the explorer) maps these functions over points, and chooses a loop: `iterate` for the last state alone, `trace`
for what the steps return, `orbit` for what is seen of the states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True, eq=False)
class PointStepper:
    """The step to be iterated, for one point.

    Attributes:
        init: (x0, c) to the state at x0.
        step: (state, c, what it draws from or None) to the next state.
        record: (state, c) to (x, states, f, bad): the output, the blocks and further outputs by name, the value of the
            objective or None, and whether this counts as divergence.
        name: for people.
        parameters: names of its parameters.
        blocks: names of the leading entries of the state (a tuple); empty for a plain function.
        coefficients: parameters by name, numbers or arrays (n,), to the pytree c; checks their domains.
        defaults: values of parameters that need not be given.
        valued: whether the objective has values.
        clocked: whether the state holds a clock or other scalars, so that only the output can recur.
        draws: whether a step draws: it then needs a source, as of `dynamics.random.sources`.
        population: whether the state is an ensemble of particles, on which some oracle is evaluated as a whole.
        taken: state to the size of the last step, where that depends on the state; a step whose size is no positive
            number is none, and ends a run before it.
        rates: (state, c) to the velocities, for flows.
        dt: time per step, for flows.
    """

    init: Callable[..., Any]
    step: Callable[..., Any]
    record: Callable[..., Any]
    name: str = "the map"
    parameters: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    coefficients: Callable[[Mapping[str, Any]], Any] = dict
    defaults: Mapping[str, float] = field(default_factory=dict)
    valued: bool = False
    clocked: bool = False
    draws: bool = False
    population: bool = False
    taken: Callable[[Any], Any] | None = None
    rates: Callable[..., Any] | None = None
    dt: float | None = None

    def output(self, state: Any, c: Any) -> Any:
        """The output x."""
        return self.record(state, c)[0]

    def value(self, state: Any, c: Any) -> Any:
        """The objective at the output, or None."""
        return self.record(state, c)[2]

    def refused(self, state: Any) -> Any:
        """Whether the step that led to a state was none: its size is not a positive number."""
        assert self.taken is not None
        size = self.taken(state)
        return ~((size > 0) & jnp.isfinite(size))

    def seen(self, state: Any, c: Any) -> Any:
        """The variable in which recurrences are sought: the whole state, or the output of a clocked one."""
        return self.output(state, c) if self.clocked else state


def iterate(
    step: Callable[[Any, Any], Any],
    carry: Any,
    steps: Any,
    going: Callable[[Any], Any] | None = None,
    first: Any = 0,
) -> Any:
    """The carry after steps number first, first + 1, ... of ``step(k, carry)``.

    Args:
        step: the number of a step and the carry to the next carry.
        carry: a pytree.
        steps: how many; it may be traced.
        going: of the carry: it ends before the step at which this is false.
        first: the number of the first step.
    """
    if going is None:
        return jax.lax.fori_loop(first, first + steps, step, carry)
    ready = lambda loop: (loop[0] < first + steps) & going(loop[1])
    start = (jnp.asarray(first), carry)
    return jax.lax.while_loop(ready, lambda loop: (loop[0] + 1, step(*loop)), start)[1]


def trace(
    step: Callable[[Any, Any], tuple[Any, Any]], carry: Any, steps: int, every: int = 1
) -> tuple[Any, Any]:
    """Take ``steps`` steps and record a row of every ``every``-th, differentiable in reverse mode (unlike `iterate`).

    Args:
        step: maps (k, carry) to (new carry, row).
        carry: the initial carry, a pytree.
        steps: the number of steps.
        every: the stride; rows are those of steps 0, every, 2 every, ...

    Returns:
        the last carry, and the rows with a leading axis of recorded steps.
    """

    def stretch(carry: Any, k: Any, length: int) -> tuple[Any, Any]:
        carry, row = step(k, carry)
        rest = lambda i, carry: step(k + i, carry)[0]
        return (carry if length == 1 else jax.lax.fori_loop(1, length, rest, carry)), row

    full, left = divmod(steps, every)
    whole = lambda carry, k: stretch(carry, k, every)
    carry, rows = jax.lax.scan(whole, carry, jnp.arange(full) * every)
    if left:
        carry, row = stretch(carry, jnp.asarray(full * every), left)
        rows = appended(rows, row)
    return carry, rows


def orbit(
    step: Callable[[Any, Any], Any],
    seen: Callable[[Any], Any],
    carry: Any,
    steps: int,
    every: int = 1,
) -> tuple[Any, Any]:
    """Take ``steps`` steps and record an observable at the steps given by `recorded`, the last one included.

    Args:
        step: maps (k, carry) to the new carry.
        seen: the observable of a carry.
        carry: the initial carry, a pytree.
        steps: the number of steps.
        every: the stride of the records.

    Returns:
        the last carry, and the records with a leading axis.
    """
    last, rows = trace(lambda k, now: (step(k, now), seen(now)), carry, steps, every)
    return last, appended(rows, seen(last))


def appended(rows: Any, row: Any) -> Any:
    """Rows, leaves (n, ...), and one more."""
    return jax.tree.map(lambda a, b: jnp.concatenate([a, jnp.asarray(b)[None]]), rows, row)


def recorded(steps: int, every: int) -> np.ndarray:
    """The numbers of the carries that an `orbit` records: 0, every, 2 every, ... and the last."""
    return np.append(np.arange(0, steps, every), steps)


__all__ = ["PointStepper", "appended", "iterate", "orbit", "recorded", "trace"]
