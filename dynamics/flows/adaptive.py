"""Adaptive and implicit steps, and dense output, through diffrax."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx

from .fixed_step import SOLVERS, whole_steps
from .solution import Problem, Solution, SolverStopped
from .stopping import StopCondition


def solve(
    problem: Problem, solver: str, state: Any, values: Any, span: tuple[float, float, float | None],
    when: np.ndarray, stops: Mapping[str, StopCondition], tolerances: tuple[float, float], dense: bool, max_steps: int,
) -> Solution:  # fmt: skip
    """Integrate the flow with a diffrax solver, with adaptive or constant steps.

    Args:
        problem: the numerical functions of the system.
        solver: a key of `SOLVERS`.
        state: initial values of the blocks, arrays in block order.
        values: parameter values, in the order of the problem's symbols.
        span: (t0, t1, dt); dt = None selects adaptive steps.
        when: output times in [t0, t1], shape (n,).
        stops: terminal conditions by name; integration ends where one becomes non-positive.
        tolerances: (relative, absolute), for adaptive steps.
        dense: whether to keep the interpolant.
        max_steps: the largest number of steps, raised if constant steps need more.

    Returns:
        the solution at ``when``, followed by the event time if a condition ended it.

    Raises:
        SolverStopped: the solver failed before t1.
    """
    # constant steps have a known number, which the caller's limit must not cut short
    t0, t1, dt = span
    if dt is not None:
        max_steps = max(max_steps, whole_steps(t0, t1, dt) + 1)
    # diffrax compiles anew for other numbers of Python, but not for other arrays; constant steps have their own
    # program for each interval in any case, since their number is part of it
    rtol, atol = (jnp.asarray(t, jnp.float64) for t in tolerances)
    controller = dfx.PIDController(rtol, atol) if dt is None else dfx.ConstantStepSize()
    event = _event_of(problem) if stops else None
    levels = jax.tree.map(jnp.asarray, tuple(stops.values()))
    ends: Any = (t0, t1) if dt is not None else (jnp.asarray(t, jnp.float64) for t in (t0, t1))
    solved = dfx.diffeqsolve(
        _term_of(problem.rates),
        getattr(dfx, SOLVERS[solver].diffrax or "")(),
        *ends,
        dt,
        state,
        args=(values, levels),
        saveat=dfx.SaveAt(
            subs=[dfx.SubSaveAt(ts=jnp.asarray(when)), dfx.SubSaveAt(t1=True)], dense=dense
        ),
        stepsize_controller=controller,
        max_steps=max_steps,
        event=event,
        throw=False,
        adjoint=dfx.ForwardMode(),  # nothing here is differentiated: plain loops compile faster
    )
    # output times after the event, or after the first state that is not finite, hold no solution: cut them off
    states, last = solved.ys
    counts = (int(solved.stats["num_accepted_steps"]), int(solved.stats["num_rejected_steps"]))
    end = float(solved.ts[1][0])
    reached = np.ones(len(when), bool)
    for s in states:
        reached &= np.isfinite(np.asarray(s)).reshape(len(when), -1).all(1)
    happened = solved.result == dfx.RESULTS.event_occurred
    inside = when < end if bool(happened) else reached
    kept = int(inside.sum()) if inside.all() else int(np.argmin(inside))

    # the event time is a row of its own, which shows where the trajectory ends
    more: dict[str, Any] = {"dense": None}
    if dense:
        more["dense"] = _Interpolant(problem, solved.interpolation, values)
    # cut by NumPy: JAX would compile a cut of each length
    t, cut = when[:kept], tuple(np.asarray(s)[:kept] for s in states)
    if bool(happened):
        at = tuple(s[0] for s in last)
        x, named = problem.output(end, at, values), problem.named(at)
        more["stopped"] = min(stops, key=lambda name: float(stops[name](end, x, named)))
        t = np.append(t, end)
        cut = tuple(np.concatenate([c, e]) for c, e in zip(cut, last, strict=True))
    done = problem.solution(t, cut, values, counts, **more)
    if kept < len(when) and not bool(happened):
        raise SolverStopped(_why(solver, dt, t0, t1, t, state, last, counts, max_steps), done)
    return done


@dataclass(frozen=True)
class _Interpolant:
    """The output of a problem between the solver's steps."""

    problem: Problem
    between: Any
    values: Any

    def __call__(self, t: float) -> np.ndarray:
        with jax.enable_x64(True):
            return np.asarray(self.problem.output(t, self.between.evaluate(t), self.values))


def _why(
    solver: str, dt: float | None, t0: float, t1: float, t: np.ndarray, state: Any, last: Any, counts: Any, most: int
) -> str:  # fmt: skip
    """The reason of a solver failure: blow-up, too large a fixed step, or stiffness."""
    size: Callable[..., Any] = lambda s: max(
        float(np.abs(np.asarray(v)).max(initial=0.0)) for v in s
    )
    where = (
        f"the solver {solver} stopped at about t = {float(t[-1]) if len(t) else t0:.6g} of {t1:g}"
    )
    grown = size(last)
    if not np.isfinite(grown) or grown > 1e6 * (1 + size(state)):
        fixed = f", or steps of dt = {dt:g} are not stable" if dt is not None else ""
        return f"{where}: the flow blows up there{fixed} (the state had grown to {grown:.3g})."
    if sum(counts) >= most:
        hint = (
            "" if solver.startswith("kvaerno") else "the flow is stiff (try solver='kvaerno5'), or "
        )
        return f"{where} after {most} steps: {hint}it needs more of them (max_steps=)."
    return f"{where}: its equations could not be solved; try other tolerances or another solver."


# One object per problem: diffrax compiles once for each, and its loops trace the rates once. Parameters and the
# tolerances of conditions are arguments.
@lru_cache(maxsize=64)
def _term_of(rates: Callable[..., Any]) -> Any:
    traced = jax.jit(rates)
    return dfx.ODETerm(lambda t, y, args: traced(t, y, args[0]))


@lru_cache(maxsize=64)
def _event_of(problem: Problem) -> Any:
    """The least of the conditions, at whose zero diffrax stops."""

    def least(t: Any, y: Any, args: Any, **_: Any) -> Any:
        values, stops = args
        x, named = problem.output(t, y, values), problem.named(y)
        return jnp.min(jnp.stack([jnp.asarray(c(t, x, named), jnp.float64) for c in stops]))

    finder: Any = optx.Bisection(rtol=1e-12, atol=1e-12)  # type: ignore[call-arg]
    return dfx.Event(least, finder)


__all__ = ["solve"]
