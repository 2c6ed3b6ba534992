"""Solutions of a simulation, and the numerical functions of one system on one objective."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp
from jaxtyping import Array, Float

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ..._support.rendering.brief import quantity, short
from ..._support.rendering.drawable import drawn
from ..._support.rendering.rendered import Rendered
from ..evaluation.evaluate import evaluate, initial_state, oracles_of, vector_field
from ..vector_fields.block import start
from ..vector_fields.functions import Functions, together
from ..vector_fields.objective import Objective
from ..vector_fields.spaces import classes_of
from ..vector_fields.system import VectorFields
from .starts import Starts, begun, check_entries

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Solution(Rendered):
    """A trajectory of a flow or of an SDE.

    Attributes:
        t: times, shape (n,).
        x: the system's output at these times, shape (n, *x0.shape).
        states: each block by name, same leading axis.
        dense: the output at any time in between, if requested.
        steps: accepted and rejected solver steps.
        stopped: the name of the condition that ended it before t1, or None.
    """

    t: Float[np.ndarray, " n"]
    x: Float[np.ndarray, "n ..."]
    states: dict[str, np.ndarray]
    dense: Callable[[float], np.ndarray] | None
    steps: tuple[int, int]
    stopped: str | None = None

    def __str__(self) -> str:
        accepted, rejected = self.steps
        rows = {"x": self.x, **{f"states[{n!r}]": s for n, s in self.states.items()}}
        said = f"t from {self.t[0]:.6g} to {self.t[-1]:.6g}, {quantity(accepted, 'step')} ({rejected} rejected)"
        if self.stopped:
            said += f"; stopped by {self.stopped}"
        return "\n".join([said, *(f"  {n}: {short(a)}" for n, a in rows.items())])

    @checked
    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the components of the output over time, or its length where there are more than seven.

        Args:
            ax: the axes to draw into; None makes a figure.

        Returns:
            The axes.
        """
        return drawn(self, ax)

    def __call__(self, t: float) -> np.ndarray:
        """The output at time t, by the solver's own interpolant; OdescentError outside its interval."""
        if self.dense is None:
            raise OdescentError("this solution has no dense output; simulate with dense=True.")
        if not self.t[0] <= t <= self.t[-1]:
            raise OdescentError(
                f"the solution covers [{self.t[0]:g}, {self.t[-1]:g}], not t = {t}."
            )
        return self.dense(t)


class SolverStopped(OdescentError):
    """A solver failure before t1; ``solution`` is the part before."""

    def __init__(self, sentence: str, solution: Solution) -> None:
        super().__init__(sentence)
        self.solution = solution


@dataclass(frozen=True, eq=False)
class Problem:
    """The functions of one system on one objective; parameters are arguments, so nothing is compiled twice."""

    system: VectorFields
    oracles: Mapping[str, Any]
    init: Callable[[Any, Any], Any]  # (x0, values) to the state
    rates: Callable[[Any, Any, Any], Any]  # (t, state, values) to the velocities
    output: Callable[[Any, Any, Any], Any]  # (t, state, values) to x
    made_of: tuple[VectorFields, Objective | None, tuple[sp.Symbol, ...]]

    def __reduce__(self) -> tuple[Any, ...]:
        return problem_of, self.made_of

    def named(self, state: Any) -> dict[str, Any]:
        return {b.name: s for b, s in zip(self.system.blocks, state, strict=True)}

    def solution(
        self, t: np.ndarray, states: Any, values: Any, steps: tuple[int, int], **more: Any
    ) -> Solution:
        """The solution with these states.

        Args:
            t: times, shape (n,).
            states: arrays in block order, each with a leading axis n.
            values: parameter values, in the order of the symbols.
            steps: numbers of accepted and rejected steps.
            **more: further fields of `Solution`.
        """
        t = np.asarray(t, np.float64)
        x = np.asarray(jax.vmap(lambda t, s: self.output(t, s, values))(jax.device_put(t), states))
        named = {n: np.asarray(s) for n, s in self.named(states).items()}
        return Solution(t, x, named, more.pop("dense", None), steps, **more)


@lru_cache(maxsize=64)
def problem_of(
    system: VectorFields, objective: Objective, symbols: tuple[sp.Symbol, ...]
) -> Problem:
    """The numerical functions of a system on an objective.

    Args:
        system: the flow.
        objective: supplies the oracles.
        symbols: the parameters, in the order in which values are passed.

    Raises:
        OdescentError: a parameter of the system is not among the symbols.
    """
    made = problem(system, oracles_of(system, objective), symbols)

    def init(x0: Any, values: Any) -> Any:
        if not isinstance(x0, Starts):
            check_entries(x0, objective)
        return made.init(x0, values)

    # jitted, so that the stages of a step and the programs of an analysis share one trace of the objective
    rates = jax.jit(made.rates)
    return replace(made, init=init, rates=rates, made_of=(system, objective, symbols))


def problem(
    system: VectorFields, oracles: Mapping[str, Any], symbols: tuple[sp.Symbol, ...]
) -> Problem:
    """The numerical functions of a system with explicit oracles, which may close over traced numbers.

    Args:
        system: the flow.
        oracles: functions by oracle name.
        symbols: the parameters, in the order in which values are passed.

    Raises:
        OdescentError: a parameter of the system is not among the symbols.
    """
    vector_field(system, oracles, dict.fromkeys(symbols, 0.0), jnp)  # refuses missing parameters
    blocks = [b.symbol for b in system.blocks]

    classes, names = classes_of(system), tuple(b.name for b in system.blocks)

    def init(x0: Any, values: Any) -> Any:
        if isinstance(x0, Starts):
            at = {b.name for b in system.blocks if b.init == start}
            own, who = (lambda x: init(x, values)), system.name or "the system"
            return begun(own, x0, names, classes, who, at)
        state = initial_state(system, x0, oracles, dict(zip(symbols, values, strict=True)), jnp)
        return tuple(jnp.asarray(s, jnp.asarray(x0).dtype) for s in state)

    def rates(t: Any, state: Any, values: Any) -> Any:
        numbers = dict(zip(symbols, values, strict=True))
        return vector_field(system, oracles, numbers, jnp)(t, state)

    def output(t: Any, state: Any, values: Any) -> Array:
        known = dict(zip([*symbols, *blocks], [*values, *state], strict=True))
        if system.time is not None:
            known[system.time] = t
        result: Array = evaluate(system.output, known, oracles, jnp)
        return result

    return Problem(system, oracles, init, rates, output, (system, None, symbols))


@lru_cache(maxsize=1)
def _nothing() -> Objective:
    return Objective("nothing")


def objective_for(system: VectorFields, given: Functions | None) -> Objective:
    """The objective that is given, several of them as one; one without oracles for a system that calls none.

    Raises OdescentError where one is needed and none is given.
    """
    if given is None and not system.functions:
        return _nothing()
    if given is None:
        who = system.name or "the system"
        raise OdescentError(f"{who} needs a concrete objective, as in objective('quadratic').")
    return together(system.functions, given, system.name or "the system")


def finite_prefix(done: Solution, t1: float, why: str) -> Solution:
    """The solution, provided that it is finite throughout.

    Args:
        done: the solution.
        t1: the end of the interval, for the message.
        why: the likely cause, for the message.

    Raises:
        SolverStopped: a state is not finite; its ``solution`` is the part before.
    """
    fine = np.ones(len(done.t), bool)
    for s in (done.x, *done.states.values()):
        fine &= np.isfinite(s).reshape(len(s), -1).all(1)
    if fine.all():
        return done
    kept = int(np.argmin(fine))
    part = Solution(
        done.t[:kept],
        done.x[:kept],
        {n: s[:kept] for n, s in done.states.items()},
        None,
        done.steps,
    )
    raise SolverStopped(
        f"the state is not finite after t = {done.t[kept - 1]:.6g} of {t1:g}: {why}.", part
    )


__all__ = [
    "Problem",
    "Solution",
    "SolverStopped",
    "finite_prefix",
    "objective_for",
    "problem",
    "problem_of",
]
