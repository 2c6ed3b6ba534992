"""What a simulation returns, and the functions of one system on one objective that it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp
from jaxtyping import Array, Float

from .._brief import brief
from .._errors import OdescentError
from .evaluate import evaluate, oracles_of, vector_field
from .fields import System
from .oracles import Objective


@dataclass(frozen=True)
class Solution:
    """A trajectory of a flow or of an SDE.

    Attributes:
        t: times, shape (n,).
        x: the system's output at these times, shape (n, *x0.shape).
        states: each block by name, same leading axis.
        dense: the output at any time in between, if asked for.
        steps: accepted and rejected solver steps.
        stopped: the name of the condition that ended it before t1, or None.
    """

    t: Float[np.ndarray, " n"]
    x: Float[np.ndarray, "n ..."]
    states: dict[str, np.ndarray]
    dense: Callable[[float], np.ndarray] | None
    steps: tuple[int, int]
    stopped: str | None = None

    __repr__ = brief

    def __call__(self, t: float) -> np.ndarray:
        """The output at time t, by the solver's own interpolant; OdescentError outside of what it covers."""
        if self.dense is None:
            raise OdescentError("this solution has no dense output; simulate with dense=True.")
        if not self.t[0] <= t <= self.t[-1]:
            raise OdescentError(
                f"the solution covers [{self.t[0]:g}, {self.t[-1]:g}], not t = {t}."
            )
        return self.dense(t)


class SolverStopped(OdescentError):
    """A solver that gave up before t1; ``solution`` is what it had reached by then."""

    def __init__(self, sentence: str, solution: Solution) -> None:
        super().__init__(sentence)
        self.solution = solution


@dataclass(frozen=True)
class Problem:
    """The functions of one system on one objective; parameters are arguments, so nothing is compiled twice."""

    system: System
    oracles: Mapping[str, Any]
    rates: Callable[[Any, Any, Any], Any]  # (t, state, values)
    output: Callable[[Any, Any, Any], Any]
    made_of: tuple[System, Objective, tuple[sp.Symbol, ...]]

    def __reduce__(self) -> tuple[Any, ...]:
        return problem_of, self.made_of

    def named(self, state: Any) -> dict[str, Any]:
        return {b.name: s for b, s in zip(self.system.blocks, state, strict=True)}

    def solution(
        self, t: np.ndarray, states: Any, values: Any, steps: tuple[int, int], **more: Any
    ) -> Solution:
        """What is returned for states with a leading axis of times."""
        t = np.asarray(t, np.float64)
        x = np.asarray(jax.vmap(lambda t, s: self.output(t, s, values))(jnp.asarray(t), states))
        named = {n: np.asarray(s) for n, s in self.named(states).items()}
        return Solution(t, x, named, more.pop("dense", None), steps, **more)


@lru_cache(maxsize=64)
def problem_of(system: System, objective: Objective, symbols: tuple[sp.Symbol, ...]) -> Problem:
    """The functions of a system; OdescentError for a parameter that has no symbol among these."""
    oracles = oracles_of(system, objective)

    def rates(t: Any, state: Any, values: Any) -> Any:
        numbers = dict(zip(symbols, values, strict=True))
        return vector_field(system, oracles, numbers, jnp)(t, state)

    def output(t: Any, state: Any, values: Any) -> Array:
        numbers = dict(zip(symbols, values, strict=True))
        known = {**numbers, **{b.symbol: s for b, s in zip(system.blocks, state, strict=True)}}
        if system.time is not None:
            known[system.time] = t
        result: Array = evaluate(system.output, known, oracles, jnp)
        return result

    vector_field(system, oracles, dict.fromkeys(symbols, 0.0), jnp)  # refuses missing parameters
    return Problem(system, oracles, rates, output, (system, objective, symbols))


@lru_cache(maxsize=1)
def _nothing() -> Objective:
    return Objective("nothing")


def objective_for(system: System, given: Objective | None) -> Objective:
    """The objective that is given; one without oracles for a system that calls none.

    Raises OdescentError where one is needed and none is given.
    """
    if given is None and not system.oracles:
        return _nothing()
    if given is None:
        who = system.name or "the system"
        raise OdescentError(f"{who} needs a concrete objective, as in objective('quadratic').")
    return given


def finite_prefix(done: Solution, t1: float, why: str) -> Solution:
    """The solution, if all of it is finite; else SolverStopped with the part before."""
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


__all__ = ["Problem", "Solution", "SolverStopped", "finite_prefix", "objective_for", "problem_of"]
