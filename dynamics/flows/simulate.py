"""Flows and SDEs in time: adaptive and implicit through diffrax, fixed steps in our own scan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ..._support.arguments import checked
from ..._support.errors import OdescentError, expected, listed, unknown
from ..._support.numbers import reals
from ..._support.rendering.brief import short
from ..random.sources import check_generator, source
from ..vector_fields.objective import Objective, wrapped
from ..vector_fields.system import VectorFields
from . import adaptive
from .fixed_step import SOLVERS, Noise, increments, solver_for, spacing, whole_steps
from .parameters import numbers_for
from .solution import Problem, Solution, SolverStopped, finite_prefix, objective_for, problem_of
from .starts import by_block, check_used, starting_point
from .stepper import orbit, recorded
from .stopping import StopCondition, Until, at_start, conditions, first_met

_FINEST = 2.0**-16  # of the interval: down to here a Brownian path is known


@checked
def simulate(
    system: VectorFields,
    objective: Objective | Mapping[str, Any] | Callable[..., Any] | None,
    x0: Any,
    t1: float,
    *,
    t0: float = 0.0,
    points: int = 201,
    times: Sequence[float] | Float[np.ndarray, " n"] | None = None,
    rtol: float = 1e-8,
    atol: float | None = None,
    solver: str | None = None,
    dt: float | None = None,
    dense: bool = False,
    until: Until = None,
    key: Key[Array, ""] | int | None = None,
    path: str = "tree",
    normals: str = "counter",
    max_steps: int = 100_000,
    parameters: Mapping[str, object] | None = None,
) -> Solution:
    """Integrate the system from the blocks' initial values for x0, in float64.

    Args:
        system: the system; parameters mu and L default to the objective's.
        objective: with the oracles that the system calls, its name, or a JAX function of the point; of several
            functions a mapping of their names to objectives, maps or JAX functions; None for a system that calls none.
        x0: starting point, an array; or a mapping of block symbols to arrays, whose shapes may differ. Jumps move a
            vector as one point; each row of an array of more axes is a path that jumps by itself, unless the clock is
            common.
        t0, t1: the time interval.
        points: how many equally spaced times are returned; with dt at most so many of its steps.
        times: these times instead, increasing within the interval (not with dt).
        rtol, atol: tolerances of adaptive steps; the absolute one is by default 1e-10 of the largest entry of the
            initial state (1e-10 where all are 0).
        solver: tsit5 (the default), dopri5, dopri8 or heun; kvaerno3 and kvaerno5, implicit, for stiff systems; rk4,
            euler and midpoint for fixed steps; euler_maruyama (Ito) and stochastic_heun (Stratonovich) for
            systems with noise, by default that of the system's calculus.
        dt: a fixed step, of which the interval is a whole number.
        dense: keep the interpolant of adaptive steps, which is then called as in ``solution(t)``.
        until: where to stop: a function of (t, x, states) at whose zero, or a mapping with any of
            "gradient", "value", "distance" (tolerances), "box" ((low, high)), and functions by name. Adaptive
            steps find the time; fixed steps end with the first step at which it holds.
        key: a JAX key, or a whole number, its seed, for systems with noise.
        path: "tree", one Brownian path for each key and interval, the same whatever dt (down to 2^-16 of the
            interval); or "increments", independent draws for each step, many times faster, and what jumps need.
        normals: what increments are made of: "counter", the generator of the particle engine, or "jax", JAX's.
        max_steps: of adaptive steps.
        parameters: values by name.

    Raises:
        SolverStopped: a solver that gave up, with the reason, the time and what it had reached.
        OdescentError: missing parameters, a bad interval, start, step, solver or condition, or noise without a key.
    """
    if callable(objective) and not isinstance(objective, Objective):
        objective = _own_function(objective, x0)
    objective = objective_for(system, objective)
    noisy = any(f.noise for f in system.fields.values())
    solver = solver or _default(system, noisy, dt)
    _check(solver, noisy, dt, key, path, dense, times)
    if not (np.isfinite(t0) and np.isfinite(t1) and t1 > t0):
        raise OdescentError(f"the time interval must be finite with t1 > t0, not [{t0}, {t1}].")
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        if tolerance is not None and not 0 <= tolerance < np.inf:
            raise expected(name, "a finite number, at least 0", tolerance)
    if times is None and points < 2:
        raise OdescentError(f"a solution must have at least 2 points in time, not {points}.")
    starts = by_block(x0, [b.symbol for b in system.blocks])
    start: Any = _finite(x0) if starts is None else jax.tree.map(_finite, starts)
    if starts is None:
        check_used(start, system.blocks, system.name or "the system")
    with jax.enable_x64(True):
        begin = jax.tree.map(jnp.asarray, start)
        who = system.name or "the system"
        numbers = numbers_for(who, system.parameters, parameters or {}, objective)
        problem = problem_of(system, objective, tuple(numbers))
        values = tuple(jnp.asarray(v) for v in numbers.values())
        state = problem.init(begin, values)
        _finite_at_start(problem, t0, state, values)
        output = problem.output(t0, state, values)
        stops = conditions(until, objective, output)
        first = at_start(stops, t0, output, problem.named(state))
        if first is not None:
            one = jax.tree.map(lambda s: s[None], state)
            return problem.solution(np.array([t0]), one, values, (0, 0), stopped=first)
        if dt is not None and SOLVERS[solver].step is not None:
            n = whole_steps(t0, t1, dt)
            by, own = None, None
            if noisy:
                assert key is not None
                check_generator(normals)
                by, own = (path, normals), source(key, "jax")
            return _fixed(problem, solver, state, values, (t0, t1, n, points), stops, by, own)
        when = np.linspace(t0, t1, points) if times is None else _times(times, t0, t1)
        if atol is None:
            size = max(float(jnp.max(jnp.abs(s), initial=0.0)) for s in jax.tree.leaves(state))
            atol = 1e-10 * (size or 1.0)
        return adaptive.solve(problem, solver, state, values, (t0, t1, dt), when, stops,
                                (rtol, atol), dense, max_steps)  # fmt: skip


# input


def _own_function(fun: Callable[..., Any], x0: Any) -> Objective:
    """A plain function as an objective: the one of before if it computes the same at x0, where that can be told."""
    if not isinstance(x0, Mapping):
        with jax.enable_x64(True), suppress(OdescentError):
            return wrapped(fun, jnp.asarray(_finite(x0)))
    return Objective(fun)


def _finite(x0: Any) -> np.ndarray:
    start = reals(starting_point(x0))
    if not start.size or not np.isfinite(start).all():
        raise OdescentError(f"x0 must be an array of finite numbers, not {str(x0)[:60]}.")
    return start


def _default(system: VectorFields, noisy: bool, dt: float | None) -> str:
    if noisy:
        return solver_for(system.calculus)
    return "tsit5" if dt is None else "rk4"


def _check(
    solver: str, noisy: bool, dt: float | None, key: Any, path: str, dense: bool, times: Any
) -> None:
    if solver not in SOLVERS:
        raise unknown("solver", solver, sorted(SOLVERS))
    chosen = SOLVERS[solver]
    if noisy != (chosen.calculus is not None):
        these = sorted(n for n, s in SOLVERS.items() if noisy == (s.calculus is not None))
        raise OdescentError(
            f"the system has {'noise' if noisy else 'no noise'}, so the solver must be one of {', '.join(these)}, "
            f"not {short(solver)}."
        )
    if noisy and key is None:
        raise OdescentError("the system has noise: give a key, as in key=jax.random.key(0).")
    if dt is None and chosen.diffrax is None:
        raise OdescentError(
            f"the solver {solver} takes fixed steps: give their length, as in dt=0.01."
        )
    if path not in ("tree", "increments"):
        raise unknown("kind of path", path, ("tree", "increments"))
    if dt is not None and chosen.step is not None and (dense or times is not None):
        what = "dense output" if dense else "steps to given times"
        raise OdescentError(
            f"fixed steps of {solver} have no {what}; use tsit5 or kvaerno5, or points=."
        )


def _times(times: Any, t0: float, t1: float) -> np.ndarray:
    when = np.asarray(times, np.float64)
    inside = when.ndim == 1 and when.size > 0 and bool(((when >= t0) & (when <= t1)).all())
    if not inside or (np.diff(when) <= 0).any():
        raise OdescentError(f"times must increase within [{t0:g}, {t1:g}]; got {short(times)}.")
    return when


def _finite_at_start(problem: Problem, t0: float, state: Any, values: Any) -> None:
    with np.errstate(all="ignore"):
        try:
            rates = problem.rates(jnp.asarray(t0, jnp.float64), state, values)  # it may divide by t
        except (TypeError, ValueError, IndexError, KeyError) as error:
            if isinstance(error, OdescentError):
                raise
            said = str(error).partition("\n")[0].rstrip(".")
            if "scalar-output" in said:  # of jax.grad
                raise OdescentError("the objective must return one real number.") from error
            shapes = {n: tuple(jnp.shape(v)) for n, v in problem.named(state).items()}
            wanted = "the shape and type of x0"
            if len(shapes) > 1:
                wanted = "the shapes of the blocks, " + listed(
                    [f"{n} {s}" for n, s in shapes.items()]
                )
            raise OdescentError(
                f"a function of the objective raised {type(error).__name__} at the start ({said}): "
                f"it must accept {wanted}."
            ) from error
    for name, rate in problem.named(rates).items():
        if not bool(jnp.all(jnp.isfinite(rate))):
            with jax.disable_jit(), np.errstate(all="ignore"):  # a solve that fails says why
                problem.rates(jnp.asarray(t0, jnp.float64), state, values)
            raise OdescentError(
                f"the drift of {name} is not finite at the start (t = {t0:g}); start elsewhere, or later, as in t0=0.1."
            )


# the solvers


def _noise(
    problem: Problem, calculus: str | None, by: tuple[str, str], span: tuple[float, float, int]
) -> Callable[..., Any]:
    """(state, values, key) at the start to a function of (k, t, t + dt): the diffusion as a function of (t, state)."""
    (path, generator), (t0, t1, n) = by, span
    system, objective, symbols = problem.made_of
    assert objective is not None
    resolution = (t1 - t0) * _FINEST
    if path == "tree" and (t1 - t0) / n < 2 * resolution:
        raise OdescentError(
            f"a Brownian path is resolved down to steps of {2 * resolution:.3g} here; "
            "take larger ones, or path='increments'."
        )
    terms = Noise(system, objective, calculus)
    if terms.clocks and path == "tree":
        raise OdescentError(
            f"a Brownian path has no jumps, and {next(iter(terms.clocks))} has: give path='increments'."
        )
    make = partial(dfx.VirtualBrownianTree, t0, t1, resolution)
    tree = (lambda key, shape: make(shape, key)) if path == "tree" else None

    def begun(state: Any, values: Any, key: Any) -> Callable[..., Any]:
        numbers = dict(zip(symbols, values, strict=True))
        shapes = terms.processes(state)
        draw = increments(tree, key, shapes, (t1 - t0) / n, generator, terms.clocks)

        def diffusion(k: Any, a: Any, b: Any) -> Callable[..., Any]:
            dW = draw(k, a, b)
            return lambda t, state: terms.moved(t, state, dW, numbers)

        return diffusion

    return begun


@lru_cache(maxsize=64)
def _loop(
    problem: Problem, solver: str, span: tuple[float, float, int, int], by: tuple[str, str] | None,
    names: tuple[str, ...],
) -> Callable[..., Any]:  # fmt: skip
    """The compiled loop: to the last state, which condition held, when, and the records.

    It takes the state, values, a key and conditions of these names, and is made once: runs from other starts, with
    other parameters, keys and tolerances, take the same.
    """
    t0, t1, n, points = span
    dt, step = (t1 - t0) / n, SOLVERS[solver].step
    assert step is not None
    drawn = None if by is None else _noise(problem, SOLVERS[solver].calculus, by, (t0, t1, n))

    def run(start: Any, values: Any, key: Any, given: tuple[StopCondition, ...]) -> Any:
        stops = dict(zip(names, given, strict=True))
        rates = lambda t, s: problem.rates(t, s, values)
        noise = None if drawn is None else drawn(start, values, key)

        def advance(k: Any, carry: Any) -> Any:
            state, hit, at = carry
            t = t0 + k.astype(jnp.float64) * dt
            if noise is None:
                new = step(rates, t, state, dt)
            else:
                end = jnp.minimum(t0 + (k + 1).astype(jnp.float64) * dt, t1)
                new = step(rates, noise(k, t, end), t, state, dt)
            if not stops:
                return new, hit, at
            new = jax.tree.map(lambda a, b: jnp.where(hit < 0, a, b), new, state)
            x = problem.output(t + dt, new, values)
            met = first_met(stops, t + dt, x, problem.named(new))
            now = (hit < 0) & (met >= 0)
            return new, jnp.where(now, met, hit), jnp.where(now, k + 1, at)

        # integer zeros of the loop counter's type
        none = jnp.full((), -1, jnp.asarray(0).dtype)
        return orbit(advance, lambda carry: carry[0], (start, none, none), n, spacing(n, points))

    return jax.jit(run)


def _fixed(
    problem: Problem, solver: str, state: Any, values: Any,
    span: tuple[float, float, int, int], stops: Mapping[str, StopCondition],
    by: tuple[str, str] | None, key: Any,
) -> Solution:  # fmt: skip
    t0, t1, n, points = span
    dt, stride = (t1 - t0) / n, spacing(n, points)
    loop = _loop(problem, solver, span, by, tuple(stops))
    (last, hit, at), states = loop(state, values, key, tuple(stops.values()))
    ks = recorded(n, stride)
    t = t0 + ks * dt
    if int(hit) >= 0:
        k = int(at)
        keep = int(np.searchsorted(ks, k))
        whole = lambda s, e: np.concatenate([np.asarray(s)[:keep], np.asarray(e)[None]])
        states = jax.tree.map(whole, states, last)
        t, n = np.append(t[:keep], t0 + k * dt), k
    stopped = list(stops)[int(hit)] if int(hit) >= 0 else None
    done = problem.solution(t, states, values, (n, 0), stopped=stopped)
    return finite_prefix(
        done, t1, f"steps of {dt:g} of {solver} are not stable here, or the flow blows up"
    )


__all__ = ["Solution", "SolverStopped", "simulate"]
