"""Flows and SDEs in time: adaptive and implicit through diffrax, fixed steps in our own scan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
import sympy as sp
from jaxtyping import Array, Float, Key

from .._errors import OdescentError, unknown
from . import fixed_step
from .evaluate import evaluate, initial_state, oracles_of, vector_field
from .fields import System
from .oracles import Objective
from .stopping import Condition, at_start, conditions

_ADAPTIVE = {
    "tsit5": dfx.Tsit5, "dopri5": dfx.Dopri5, "dopri8": dfx.Dopri8, "heun": dfx.Heun, "kvaerno5": dfx.Kvaerno5,
    "kvaerno3": dfx.Kvaerno3,
}  # fmt: skip
_SOLVERS = sorted({*_ADAPTIVE, *fixed_step.TABLEAUX, *fixed_step.STOCHASTIC})
_FINEST = 2.0**-16  # of the interval: down to here a Brownian path is known


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


def simulate(
    system: System,
    objective: Objective,
    x0: Any,
    t1: float,
    *,
    t0: float = 0.0,
    points: int = 201,
    times: Sequence[float] | Float[np.ndarray, " n"] | None = None,
    rtol: float = 1e-8,
    atol: float = 1e-10,
    solver: str | None = None,
    dt: float | None = None,
    dense: bool = False,
    until: Mapping[str, Any] | Condition | None = None,
    key: Key[Array, ""] | None = None,
    path: str = "tree",
    max_steps: int = 100_000,
    parameters: Mapping[str, object] | None = None,
) -> Solution:
    """Integrate the system from the blocks' initial values for x0, in float64.

    Args:
        system: the system; parameters mu and L default to the objective's.
        objective: with the oracles that the system calls.
        x0: starting point, an array.
        t0, t1: the time interval.
        points: how many equally spaced times are returned; with dt at most so many of its steps.
        times: these times instead, increasing within the interval (not with dt).
        rtol, atol: tolerances of adaptive steps.
        solver: tsit5 (the default), dopri5, dopri8 or heun; kvaerno3 and kvaerno5, implicit, for stiff systems; rk4,
            euler and midpoint for fixed steps; euler_maruyama (Ito) and stochastic_heun (Stratonovich) for
            systems with noise, by default the one that the system's calculus asks for.
        dt: a fixed step, of which the interval is a whole number.
        dense: keep the interpolant of adaptive steps, which is then called as in ``solution(t)``.
        until: where to stop: a function of (t, x, states) at whose zero, or a mapping with any of
            "gradient", "value", "distance" (tolerances), "box" ((low, high)), and functions by name. Adaptive
            steps find the time; fixed steps end with the first step at which it holds.
        key: a JAX key, for systems with noise.
        path: "tree", one Brownian path for each key and interval, the same whatever dt (down to 2^-16 of the
            interval); or "increments", independent draws for each step, many times faster.
        max_steps: of adaptive steps.
        parameters: values by name.

    Raises:
        SolverStopped: a solver that gave up, with the reason, the time and what it had reached.
        OdescentError: missing parameters, a bad interval, start, step, solver or condition, or noise without a key.
    """
    noisy = any(f.noise for f in system.fields.values())
    solver = solver or _default(system, noisy, dt)
    _check(solver, noisy, dt, key, path, dense, times)
    if not (np.isfinite(t0) and np.isfinite(t1) and t1 > t0):
        raise OdescentError(f"the time interval must be finite with t1 > t0, not [{t0}, {t1}].")
    if times is None and points < 2:
        raise OdescentError(f"a solution has at least 2 points in time, not {points}.")
    with jax.enable_x64(True):
        begin = jnp.asarray(x0, jnp.float64)
        if not bool(jnp.all(jnp.isfinite(begin))):
            raise OdescentError("the starting point has an entry that is not finite.")
        numbers = _numbers(system, objective, parameters or {})
        problem = _problem(system, objective, tuple(numbers))
        values = tuple(jnp.asarray(v) for v in numbers.values())
        state = initial_state(system, begin, problem.oracles, numbers, jnp)
        state = tuple(jnp.asarray(s, jnp.float64) for s in state)
        _finite_at_start(problem, t0, state, values)
        stops = conditions(until, objective, jnp.shape(problem.output(t0, state, values)))
        first = at_start(stops, t0, problem.output(t0, state, values), problem.named(state))
        if first is not None:
            one = jax.tree.map(lambda s: s[None], state)
            return problem.solution(np.array([t0]), one, values, (0, 0), stopped=first)
        if dt is not None and (solver in fixed_step.TABLEAUX or noisy):
            n = fixed_step.whole_steps(t0, t1, dt)
            noise = None
            if noisy:
                assert key is not None
                noise = _noise(system, objective, solver, state, key, path, (t0, t1, n), numbers)
            return _fixed(problem, solver, state, values, (t0, t1, n, points), stops, noise)
        when = np.linspace(t0, t1, points) if times is None else _times(times, t0, t1)
        return _through_diffrax(problem, solver, state, values, (t0, t1, dt), when, stops,
                                (rtol, atol), dense, max_steps)  # fmt: skip


@dataclass(frozen=True)
class _Problem:
    """The functions of one system on one objective; parameters are arguments, so nothing is compiled twice."""

    system: System
    oracles: Mapping[str, Any]
    rates: Callable[[Any, Any, Any], Any]  # (t, state, values)
    output: Callable[[Any, Any, Any], Any]

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
def _problem(system: System, objective: Objective, symbols: tuple[sp.Symbol, ...]) -> _Problem:
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
    return _Problem(system, oracles, rates, output)


# input


def _default(system: System, noisy: bool, dt: float | None) -> str:
    if noisy:
        return next(n for n, c in fixed_step.STOCHASTIC.items() if c == system.calculus)
    return "tsit5" if dt is None else "rk4"


def _check(
    solver: str, noisy: bool, dt: float | None, key: Any, path: str, dense: bool, times: Any
) -> None:
    if solver not in _SOLVERS:
        raise unknown("solver", solver, _SOLVERS)
    if noisy != (solver in fixed_step.STOCHASTIC):
        these = ", ".join(
            fixed_step.STOCHASTIC if noisy else sorted({*_ADAPTIVE, *fixed_step.TABLEAUX})
        )
        raise OdescentError(
            f"the system has {'noise' if noisy else 'no noise'}, so the solver is one of {these}, not {solver!r}."
        )
    if noisy and key is None:
        raise OdescentError("the system has noise: give a key, as in key=jax.random.key(0).")
    if dt is None and (noisy or solver not in _ADAPTIVE):
        raise OdescentError(f"the solver {solver} takes fixed steps: give one, as in dt=0.01.")
    if path not in ("tree", "increments"):
        raise unknown("kind of path", path, ("tree", "increments"))
    own = dt is not None and (noisy or solver in fixed_step.TABLEAUX)
    if own and (dense or times is not None):
        what = "dense output" if dense else "times of their own"
        raise OdescentError(
            f"fixed steps of {solver} have no {what}; use tsit5 or kvaerno5, or points=."
        )


def _times(times: Any, t0: float, t1: float) -> np.ndarray:
    when = np.asarray(times, np.float64)
    inside = when.ndim == 1 and when.size > 0 and bool(((when >= t0) & (when <= t1)).all())
    if not inside or (np.diff(when) <= 0).any():
        raise OdescentError(f"times must increase within [{t0:g}, {t1:g}]; got {times!r}.")
    return when


def _finite_at_start(problem: _Problem, t0: float, state: Any, values: Any) -> None:
    with np.errstate(all="ignore"):
        rates = problem.rates(t0, state, values)
    for name, rate in problem.named(rates).items():
        if not bool(jnp.all(jnp.isfinite(rate))):
            raise OdescentError(
                f"the drift of {name} is not finite at the start (t = {t0:g}); start elsewhere."
            )


def _numbers(
    system: System, objective: Objective, given: Mapping[str, object]
) -> dict[sp.Symbol, float]:
    values: dict[str, object] = {"mu": objective.mu, "L": objective.L, **given}
    names = {p.name for p in system.parameters}
    for name in given:
        if name not in names:
            raise unknown("parameter", name, names)
    found = {p: float(values[p.name]) for p in system.parameters if values.get(p.name) is not None}  # type: ignore[arg-type]
    for p, v in found.items():
        if not np.isfinite(v):
            raise OdescentError(f"the parameter {p} must be a finite number, not {v}.")
        if (p.is_positive and v <= 0) or (p.is_nonnegative and v < 0):
            least = "more than" if p.is_positive else "at least"
            raise OdescentError(f"the parameter {p} must be {least} 0, not {v:g}.")
    return found


# the solvers


def _noise(
    system: System, objective: Objective, solver: str, state: Any, key: Any, path: str,
    span: tuple[float, float, int], numbers: Mapping[Any, Any],
) -> Callable[..., Any]:  # fmt: skip
    """(k, t, t + dt) to the diffusion as a function of (t, state)."""
    t0, t1, n = span
    resolution = (t1 - t0) * _FINEST
    if path == "tree" and (t1 - t0) / n < 2 * resolution:
        raise OdescentError(
            f"a Brownian path is known down to steps of {2 * resolution:.3g} here; "
            "take larger ones, or path='increments'."
        )
    terms = fixed_step.Noise(system, objective, fixed_step.STOCHASTIC[solver])
    make = partial(dfx.VirtualBrownianTree, t0, t1, resolution)
    tree = (lambda key, shape: make(shape, key)) if path == "tree" else None
    draw = fixed_step.increments(tree, key, terms.processes(state), (t1 - t0) / n)

    def diffusion(k: Any, a: Any, b: Any) -> Callable[..., Any]:
        dW = draw(k, a, b)
        return lambda t, state, _: terms.moved(t, state, dW, numbers)

    return diffusion


def _fixed(
    problem: _Problem, solver: str, state: Any, values: Any,
    span: tuple[float, float, int, int], stops: Mapping[str, Condition], noise: Callable[..., Any] | None,
) -> Solution:  # fmt: skip
    t0, t1, n, points = span
    dt = (t1 - t0) / n
    stride, _ = fixed_step.recorded(n, points)
    rates = lambda t, s: problem.rates(t, s, values)

    def advance(k: Any, carry: Any) -> Any:
        state, hit, at = carry
        t = t0 + k.astype(jnp.float64) * dt
        if noise is None:
            new = fixed_step.runge_kutta(solver, rates, t, state, dt)
        else:
            end = jnp.minimum(t0 + (k + 1).astype(jnp.float64) * dt, t1)
            new = fixed_step.stochastic_step(solver, rates, noise(k, t, end), t, state, dt, None)
        if not stops:
            return new, hit, at
        new = jax.tree.map(lambda a, b: jnp.where(hit < 0, a, b), new, state)
        x = problem.output(t + dt, new, values)
        met = jnp.stack([c(t + dt, x, problem.named(new)) <= 0 for c in stops.values()])
        now = (hit < 0) & jnp.any(met)
        return new, jnp.where(now, jnp.argmax(met), hit), jnp.where(now, k + 1, at)

    # integer zeros of the loop counter's type
    none = jnp.full((), -1, jnp.asarray(0).dtype)
    run = jax.jit(lambda s: fixed_step.scan(advance, (s, none, none), n, stride))
    (last, hit, at), (states, _, _) = run(state)
    ks = np.append(np.arange(0, n, stride), n)
    t = t0 + ks * dt
    if int(hit) >= 0:
        k = int(at)
        keep = int(np.searchsorted(ks, k))
        states = jax.tree.map(lambda s, e: jnp.concatenate([s[:keep], e[None]]), states, last)
        t, n = np.append(t[:keep], t0 + k * dt), k
    stopped = list(stops)[int(hit)] if int(hit) >= 0 else None
    done = problem.solution(t, states, values, (n, 0), stopped=stopped)
    return _finite_prefix(
        problem, done, t1, f"steps of {dt:g} of {solver} are not stable here, or the flow blows up"
    )


def _finite_prefix(problem: _Problem, done: Solution, t1: float, why: str) -> Solution:
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


def _through_diffrax(
    problem: _Problem, solver: str, state: Any, values: Any, span: tuple[float, float, float | None],
    when: np.ndarray, stops: Mapping[str, Condition], tolerances: tuple[float, float], dense: bool, max_steps: int,
) -> Solution:  # fmt: skip
    t0, t1, dt = span
    if dt is not None:
        max_steps = max(max_steps, fixed_step.whole_steps(t0, t1, dt) + 1)
    controller = (
        dfx.PIDController(rtol=tolerances[0], atol=tolerances[1])
        if dt is None
        else dfx.ConstantStepSize()
    )
    event = _event(problem, stops) if stops else None
    solved = dfx.diffeqsolve(
        _term(problem),
        _ADAPTIVE[solver](),
        t0,
        t1,
        dt,
        state,
        args=values,
        saveat=dfx.SaveAt(
            subs=[dfx.SubSaveAt(ts=jnp.asarray(when)), dfx.SubSaveAt(t1=True)], dense=dense
        ),
        stepsize_controller=controller,
        max_steps=max_steps,
        event=event,
        throw=False,
    )
    states, last = solved.ys
    counts = (int(solved.stats["num_accepted_steps"]), int(solved.stats["num_rejected_steps"]))
    end = float(solved.ts[1][0])
    reached = np.ones(len(when), bool)
    for s in states:
        reached &= np.isfinite(np.asarray(s)).reshape(len(when), -1).all(1)
    happened = solved.result == dfx.RESULTS.event_occurred
    inside = when < end if bool(happened) else reached
    kept = int(inside.sum()) if inside.all() else int(np.argmin(inside))

    def interpolant(t: float) -> np.ndarray:
        with jax.enable_x64(True):
            return np.asarray(problem.output(t, solved.evaluate(t), values))

    more: dict[str, Any] = {"dense": interpolant if dense else None}
    t, cut = when[:kept], tuple(s[:kept] for s in states)
    if bool(happened):
        at = tuple(s[0] for s in last)
        x, named = problem.output(end, at, values), problem.named(at)
        more["stopped"] = min(stops, key=lambda name: float(stops[name](end, x, named)))
        t = np.append(t, end)
        cut = tuple(jnp.concatenate([c, e]) for c, e in zip(cut, last, strict=True))
    done = problem.solution(t, cut, values, counts, **more)
    if kept < len(when) and not bool(happened):
        raise SolverStopped(_why(solver, dt, t0, t1, t, state, last, counts, max_steps), done)
    return done


def _why(
    solver: str, dt: float | None, t0: float, t1: float, t: np.ndarray, state: Any, last: Any, counts: Any, most: int
) -> str:  # fmt: skip
    """Why a solver gave up: blow-up, too large a fixed step, or stiffness."""
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


@lru_cache(maxsize=64)
def _term_of(rates: Callable[..., Any]) -> Any:
    return dfx.ODETerm(rates)


def _term(problem: _Problem) -> Any:
    """One object per problem: diffrax compiles once for each."""
    return _term_of(problem.rates)


def _event(problem: _Problem, stops: Mapping[str, Condition]) -> Any:
    """The least of the conditions, at whose zero diffrax stops."""

    def least(t: Any, y: Any, args: Any, **_: Any) -> Any:
        x, named = problem.output(t, y, args), problem.named(y)
        return jnp.min(
            jnp.stack([jnp.asarray(c(t, x, named), jnp.float64) for c in stops.values()])
        )

    finder: Any = optx.Bisection(rtol=1e-12, atol=1e-12)  # type: ignore[call-arg]
    return dfx.Event(least, finder)


__all__ = ["Solution", "SolverStopped", "simulate"]
