"""Orbits of methods and flows from many starts, each kind in one compiled call or one solve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ..._support.errors import NotCarried, OdescentError, unknown
from ...discretize import Algorithm
from ...discretize.runs.clock import clock_of
from ...dynamics import Objective, System
from ...dynamics.flows.parameters import constants, numbers_for
from ...dynamics.flows.solution import Problem, problem_of
from ...dynamics.flows.starts import remade
from ...dynamics.flows.stepper import PointStepper, orbit
from ..attraction.stepping import check_parameters, stepper
from ..portraits.reference_flows import follow, sampled

Starts = Float[np.ndarray, "n d"]


@lru_cache(maxsize=1)
def _still() -> Objective:
    """A function without slope: what a method does on it, it does from memory."""
    return Objective("still", lambda x: 0.0 * jnp.sum(x))


@dataclass(frozen=True, eq=False)
class MethodOrbits:
    """The iterates of a method from n starts, and what is needed to ask its step further.

    Attributes:
        x: shape (n, k, d); NaN after a divergence.
        f: values of the objective, shape (n, k).
        t: times by the method's clock, shape (k,).
        push: how far each step would go without a gradient, shape (n, k, d); None where that cannot be asked.
        diverged_at: the step at which a start diverged, or -1, shape (n,).
        stepper: the step for one point.
        c: its coefficients.
        last: the states after the last step, leaves with a leading axis n.
    """

    x: Float[np.ndarray, "n k d"]
    f: Float[np.ndarray, "n k"]
    t: Float[np.ndarray, " k"]
    push: Float[np.ndarray, "n k d"] | None
    diverged_at: Int[np.ndarray, " n"]
    stepper: PointStepper
    c: Any
    last: Any


@dataclass(frozen=True, eq=False)
class FlowOrbits:
    """The flow of a system from n starts.

    Attributes:
        x: the output along each curve, shape (n, k, d), evenly spread in the picture.
        t: the times, shape (n, k).
        f: values of the objective, shape (n, k).
        velocity: of the output, shape (n, k, d).
        reached: the time at which each start ended, shape (n,), less than asked for where the flow blew up.
        last: the whole states there, shape (n, m).
    """

    x: Float[np.ndarray, "n k d"]
    t: Float[np.ndarray, "n k"]
    f: Float[np.ndarray, "n k"]
    velocity: Float[np.ndarray, "n k d"]
    reached: Float[np.ndarray, " n"]
    last: Float[np.ndarray, "n m"]


class PreparedMethod:
    """An algorithm with the values of its parameters.

    Args:
        algorithm: without draws.
        target: the objective.
        given: values of its parameters by name or by a word for them.

    Raises:
        NotCarried: it draws noise, or moves a population.
        OdescentError: a parameter that is missing or out of its domain.
    """

    def __init__(self, algorithm: Algorithm, target: Objective, given: Mapping[str, Any]) -> None:
        self.algorithm, own = algorithm.freed(given)
        self.target = target
        with jax.enable_x64(True):
            self.stepper = stepper(self.algorithm, target)
            if self.stepper.draws or self.stepper.population:
                what = "draws noise" if self.stepper.draws else "moves a population"
                raise NotCarried(
                    f"{self.stepper.name} {what}; a landscape shows deterministic methods of one point."
                )
            self.values = check_parameters(self.stepper, own, {})
            self.c = self.stepper.coefficients({n: jnp.asarray(v) for n, v in self.values.items()})

    def run(self, starts: Starts, blocks: Mapping[str, Starts], steps: int) -> MethodOrbits:
        """The iterates from all starts; ``blocks`` replace the initial values that follow from these."""
        strange = [n for n in blocks if n not in self.stepper.blocks]
        if strange:
            raise unknown(f"block of {self.stepper.name} called", strange[0], self.stepper.blocks)
        with jax.enable_x64(True):
            try:
                coasting = stepper(self.algorithm, _still())
            except OdescentError:  # it asks for more than gradients, such as a prox
                coasting = None
            run = _runner(self.stepper, coasting, tuple(blocks), steps)
            given = {n: jnp.asarray(v) for n, v in blocks.items()}
            last, (x, f, bad, push) = run(jnp.asarray(starts), given, self.c)
            t = np.asarray(clock_of(self.algorithm, self._numbers()).at(jnp.arange(steps + 1), {}))
            x, f, bad = np.array(x), np.array(f), np.asarray(bad)
            push = None if push is None else np.array(push)
        lost = np.where(bad.any(1), bad.argmax(1), -1)
        after = (lost[:, None] >= 0) & (np.arange(steps + 1) >= lost[:, None])
        x[after], f[after] = np.nan, np.nan
        if push is not None:
            push[after] = np.nan
            push = push if np.isfinite(push[~after]).all() else None
        return MethodOrbits(x, f, t, push, lost, self.stepper, self.c, last)

    def _numbers(self) -> dict[str, Any]:
        return {n: jnp.asarray(v, float) for n, v in self.values.items()}

    def flow(self) -> tuple[System, dict[str, float]] | None:
        """The bound system that it discretizes, and the values of its parameters; None for a plain map."""
        bound = self.algorithm.bound
        if not bound.fields:
            return None
        known = {**constants(self.target), **self.values}
        found = {}
        for s in bound.parameters:
            e = self.algorithm.tuning_values.get(s, s)
            number = e.subs({q: known[q.name] for q in e.free_symbols if q.name in known})
            if number.is_number:
                found[s.name] = float(number)
        return bound, found


@lru_cache(maxsize=64)
def _runner(
    made: PointStepper, coasting: PointStepper | None, names: tuple[str, ...], steps: int
) -> Any:
    """The compiled orbits: (starts, blocks, coefficients) to the last states and what is recorded."""

    def seen(state: Any, c: Any) -> Any:
        x, _, f, bad = made.record(state, c)
        if coasting is None:
            return x, f, bad, None
        return x, f, bad, coasting.output(coasting.step(state, c, None), c) - x

    def one(x0: Any, given: Mapping[str, Any], c: Any) -> Any:
        state = made.init(x0, c)
        entries = list(state)
        for name in names:
            i = made.blocks.index(name)
            entries[i] = jnp.zeros_like(entries[i]) + given[name]
        return orbit(
            lambda k, z: made.step(z, c, None), lambda z: seen(z, c), remade(state, entries), steps
        )

    return jax.jit(jax.vmap(one, in_axes=(0, 0, None)))


class PreparedFlow:
    """The flow of a system with the values of its parameters.

    Args:
        system: without noise; it may depend on time.
        target: the objective.
        given: values by name; mu and L default to the objective's.

    Raises:
        NotCarried: a system with noise.
        OdescentError: a parameter that is missing or out of its domain.
    """

    def __init__(self, system: System, target: Objective, given: Mapping[str, Any]) -> None:
        if any(f.noise for f in system.fields.values()):
            raise NotCarried(
                f"{system.name or 'the system'} has noise; a landscape shows deterministic flows."
            )
        self.system, self.target = system, target
        numbers = numbers_for(system.name or "the system", system.parameters, given, target)
        self.problem: Problem = problem_of(system, target, tuple(numbers))
        self.values = tuple(numbers.values())

    def begin(self, starts: Starts, blocks: Mapping[str, Starts]) -> Any:
        """The blocks' values at the starts, arrays with a leading axis n."""
        names = [b.name for b in self.system.blocks]
        strange = [n for n in blocks if n not in names]
        if strange:
            raise unknown(f"block of {self.system.name or 'the system'} called", strange[0], names)
        with jax.enable_x64(True):
            state = list(jax.vmap(lambda x: self.problem.init(x, self.values))(jnp.asarray(starts)))
        for i, name in enumerate(names):
            if name in blocks:
                state[i] = np.zeros_like(state[i]) + blocks[name].reshape(np.shape(state[i]))
        return tuple(np.asarray(s, np.float64) for s in state)

    def run(
        self, starts: Starts, blocks: Mapping[str, Starts], span: tuple[float, float], project: Any
    ) -> FlowOrbits:
        """The flow from all starts over a span of time, spread evenly in the picture that ``project`` makes of x."""
        state = self.begin(starts, blocks)
        n, values = len(starts), tuple(float(v) for v in self.values)
        flat = np.concatenate([s.reshape(n, -1) for s in state], axis=1)
        rates, seen = _compiled(self.problem, tuple(s.shape[1:] for s in state))

        def at(t: float, z: Any) -> Any:
            with jax.enable_x64(True):
                return np.asarray(rates(float(t), z, values))

        def observed(t: Any, z: Any) -> list[np.ndarray]:
            return in_rows(lambda t, z: seen(t, z, values), np.broadcast_to(t, len(z)), z)

        done = follow(at, flat, *span, timed=not self.system.autonomous)
        t, z = sampled(done, lambda rows: project(observed(span[0], rows)[0]))
        parts = observed(t.ravel(), z.reshape(-1, z.shape[-1]))
        x, f, velocity = (part.reshape(*t.shape, *part.shape[1:]) for part in parts)
        return FlowOrbits(x, t, f, velocity, done.end, z[:, -1])


def in_rows(function: Any, *rows: Any) -> list[np.ndarray]:
    """A compiled function of rows, a tuple of arrays, with the rows padded so that few shapes are compiled."""
    n = len(rows[0])
    size = 4 ** max(3, -(-max(n - 1, 1).bit_length() // 2))  # 64, 256, 1024, ...
    with jax.enable_x64(True):
        found = function(*(np.resize(r, (size, *r.shape[1:])) for r in rows))
        return [np.asarray(a)[:n] for a in found]


@lru_cache(maxsize=64)
def _compiled(problem: Problem, shapes: tuple[tuple[int, ...], ...]) -> tuple[Any, Any]:
    """Rates of whole states; and the output, its value and its velocity at rows of (times, states)."""
    cuts = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    value = problem.oracles["value"]

    def state(z: Any) -> Any:
        return tuple(p.reshape(s) for p, s in zip(jnp.split(z, cuts), shapes, strict=True))

    def one(t: Any, z: Any, values: Any) -> Any:
        return jnp.concatenate([jnp.reshape(r, (-1,)) for r in problem.rates(t, state(z), values)])

    def seen(t: Any, z: Any, values: Any) -> Any:
        output = lambda t, z: problem.output(t, state(z), values)
        moved = (jnp.ones_like(t), one(t, z, values))
        x, velocity = jax.jvp(output, (t, z), moved)
        return x, value(x), velocity

    return (
        jax.jit(jax.vmap(one, in_axes=(None, 0, None))),
        jax.jit(jax.vmap(seen, in_axes=(0, 0, None))),
    )
