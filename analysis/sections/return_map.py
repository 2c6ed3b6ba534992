"""Poincare and stroboscopic maps as objects: from a start on the section to where the flow is on it again."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from ..._support.errors import NotCarried, OdescentError, check_choice, expected, unknown
from ..._support.numbers import check_whole, real, reals
from ..._support.rendering.brief import short
from ..._support.rendering.rendered import Rendered
from ...dynamics import Objective, System
from ...dynamics.evaluation.evaluate import evaluate
from ...dynamics.flows.exchange import with_kernels
from ...dynamics.flows.parameters import check_domain, constants, parameter_values
from ...dynamics.flows.solution import Problem, objective_for, problem_of
from ...dynamics.flows.stepper import PointStepper, appended, iterate, trace
from ...dynamics.flows.tableaux import runge_kutta
from .flight import over_time, to_plane
from .starts import starting_state

_INDEXED = re.compile(r"([^\W\d]\w*)(?:\[(\d+)\])?")
Flight = Callable[[Any, Any], tuple[Any, Any]]
_DIRECTIONS = {"up": 1, "down": -1, "both": 0}


@dataclass(frozen=True)
class Returns(Rendered):
    """Successive returns to a section.

    Attributes:
        t: times, the start's first, shape (n + 1,).
        x: the system's output there, shape (n + 1, *x0.shape).
        states: each block by name, same leading axis.
    """

    t: Float[np.ndarray, " n"]
    x: Float[np.ndarray, "n ..."]
    states: dict[str, np.ndarray]


@dataclass(frozen=True)
class ReturnMap(Rendered):
    """A map defined by a flow; `basins`, `bifurcation`, `batch` and `lyapunov` iterate it like any map.

    Its state has all blocks of the flow. Derivatives are those of the variational equation, that of the time of return
    included.

    Attributes:
        system: the flow.
        tolerance: of a step, relative to the largest entry of the state.
    """

    system: System
    tolerance: float

    lost = 0  # dimensions that the section takes from the state

    def __post_init__(self) -> None:
        if not isinstance(self.system, System):
            raise expected("the system of a return map", "a System", self.system)
        if any(f.noise for f in self.system.fields.values()):
            raise NotCarried(f"{self.who} has noise; return maps require a deterministic system.")
        if not 0 < real(self.tolerance) < 1e-2:
            raise OdescentError(
                f"tolerance must be more than 0 and less than 0.01, not {short(self.tolerance)}."
            )

    @property
    def who(self) -> str:
        """The system's name, for people."""
        return self.system.name or "the system"

    @property
    def hint(self) -> str:
        """What to change where nothing returns."""
        return "it blows up, or needs too many steps"

    @property
    def seen_at(self) -> float:
        """The time at which the state is seen, for systems that depend on time."""
        return 0.0

    def placed(self, state: Any) -> Any:
        """A state, put onto the section."""
        return state

    def __call__(
        self,
        x0: Any,
        n: int = 1,
        *,
        target: Objective | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> Returns:
        """The next n returns of the flow from x0.

        Args:
            x0: the starting point, an array; or values of blocks by name. It is put onto the section.
            n: how many returns.
            target: the objective, for a system that calls one.
            parameters: values by name; mu and L default to the objective's.

        Raises:
            OdescentError: the flow does not return, or blows up before; the sentence says after how many returns.
        """
        check_whole("n", n, 1)
        with jax.enable_x64(True):
            s = return_stepper(self, target)
            values = parameter_values(s.name, s.parameters, parameters or {}, s.defaults)
            c = s.coefficients(values)
            start = self.placed(starting_state(s, x0, c))
            states, times = jax.tree.map(
                np.asarray, _flown(self, objective_for(self.system, target), n)(start, c)
            )
            t = np.append(0.0, np.cumsum(times))
            if not np.isfinite(t).all():
                done = int(np.argmin(np.isfinite(t))) - 1
                raise OdescentError(
                    f"the flow of {self.who} does not return to the section after {done} returns: {self.hint}."
                )
            x = np.asarray(jax.vmap(lambda z: s.output(z, c))(jax.tree.map(jnp.asarray, states)))
        return Returns(t, x, dict(zip(s.blocks, states, strict=True)))


@dataclass(frozen=True)
class PoincareMap(ReturnMap):
    """The map from a section to itself along a flow; made by `poincare_map`.

    Attributes:
        entry: (block, index or None, value) of the section, or None.
        plane: (normal, offset) of the section, or None.
        direction: +1 for crossings along the normal, -1 against it, 0 for both.
        longest: the longest time of return.
    """

    entry: tuple[str, int | None, float] | None = None
    plane: tuple[tuple[float, ...], float] | None = None
    direction: int = 1
    longest: float = 1e3

    lost = 1

    def __str__(self) -> str:
        how = {1: "upwards", -1: "downwards", 0: "both ways"}[self.direction]
        if self.entry is not None:
            block, index, value = self.entry
            return (
                f"{self.who} at {block}{'' if index is None else f'[{index}]'} = {value:g}, {how}"
            )
        assert self.plane is not None
        return f"{self.who} at {self.plane[0]} . z = {self.plane[1]:g}, {how}"

    @property
    def hint(self) -> str:
        return f"within the time {self.longest:g} (longest=) nothing crosses it in that direction"

    def placed(self, state: Any) -> Any:
        z, shaped = ravel_pytree(state)
        normal, offset = self.normal(state)
        return shaped(z - (jnp.vdot(normal, z) - offset) * normal)

    def normal(self, like: Any) -> tuple[Any, Any]:
        """(normal, offset) for a flat state, of what a state is like."""
        flat, _ = ravel_pytree(like)
        if self.plane is not None:
            if len(self.plane[0]) != flat.size:
                raise OdescentError(
                    f"the plane's normal has {len(self.plane[0])} entries, the state of {self.who} {flat.size}."
                )
            return jnp.asarray(self.plane[0]), self.plane[1]
        assert self.entry is not None
        name, index, value = self.entry
        names = [b.name for b in self.system.blocks]
        sizes = [int(np.size(part)) for part in like]
        at = names.index(name)
        if (index or 0) >= sizes[at] or (index is None and sizes[at] != 1):
            raise OdescentError(
                f"the section needs one component of {name}, which has {sizes[at]}: name it, as in '{name}[0]'."
            )
        place = sum(sizes[:at]) + (index or 0)
        return jnp.zeros(flat.size).at[place].set(1.0), value


@dataclass(frozen=True)
class StroboscopicMap(ReturnMap):
    """The state of a periodically forced flow after one period; made by `stroboscopic_map`.

    Attributes:
        period: of the forcing, a number or an expression in the system's parameters.
        phase: the time at which the state is seen, modulo the period.
        steps: RK4 steps per period; None for adaptive steps.
        modulo: the blocks that are angles, each with its turn.
    """

    period: sp.Expr | float = 1.0
    phase: float = 0.0
    steps: int | None = None
    modulo: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        return f"{self.who} every {self.period}"

    @property
    def seen_at(self) -> float:
        return self.phase


def poincare_map(
    system: System,
    *,
    at: Mapping[str, float] | None = None,
    plane: tuple[Any, float] | None = None,
    direction: str = "up",
    longest: float = 1e3,
    tolerance: float = 1e-9,
) -> PoincareMap:
    """The map of first return of an autonomous flow to a plane, an object that is iterated like any map.

    Args:
        system: an autonomous system without noise.
        at: the section as a value of one block or component, as in ``at={"z": 27}`` or ``at={"x[1]": 0}``.
        plane: the section as (normal, offset), the plane normal . z = offset for the states z, blocks in their order.
        direction: which crossings count: "up" along the normal (the block grows), "down", or "both".
        longest: a start that does not return within this time has no image.
        tolerance: of the adaptive steps, relative to the largest entry of the state.

    Returns:
        The map. A start is put onto the section: its component is replaced, or it is projected along the normal.

    Raises:
        OdescentError: no section or two, a plane without a normal, a block that does not exist.
        NotCarried: a system with noise, or that depends on time.
    """
    if not system.autonomous:
        who = system.name or "the system"
        raise NotCarried(
            f"{who} depends on time; if it is periodic in time, use stroboscopic_map(system, period)."
        )
    if (at is None) == (plane is None):
        raise OdescentError(
            "give a section by at={block: value} or by plane=(normal, offset), one of them."
        )
    check_choice("direction", direction, _DIRECTIONS)
    if not (np.isfinite(longest) and longest > 0):
        raise OdescentError(
            f"longest must be a time, finite and more than 0, not {short(longest)}."
        )
    made: dict[str, Any] = {"direction": _DIRECTIONS[direction], "longest": float(longest)}
    if at is not None:
        if len(at) != 1:
            raise OdescentError(
                f"a section must have one component, not {len(at)}; use plane= for others."
            )
        ((name, value),) = at.items()
        found, names = _INDEXED.fullmatch(str(name)), [b.name for b in system.blocks]
        if found is None or found[1] not in names:
            raise unknown("block of the system called", name, names)
        index = None if found[2] is None else int(found[2])
        return PoincareMap(system, tolerance, (found[1], index, _finite(name, value)), **made)
    assert plane is not None
    normal, offset = reals(plane[0]), plane[1]
    length = float(np.linalg.norm(normal))
    if normal.ndim != 1 or not (np.isfinite(length) and length > 0):
        raise OdescentError(
            f"the plane's normal must be a vector of numbers, not all 0, not {short(plane[0])}."
        )
    unit = tuple((normal / length).tolist())
    return PoincareMap(
        system, tolerance, None, (unit, _finite("the offset", offset) / length), **made
    )


def stroboscopic_map(
    system: System,
    period: sp.Expr | float,
    *,
    phase: float = 0.0,
    steps: int | None = None,
    modulo: Mapping[str, float] | None = None,
    tolerance: float = 1e-9,
) -> StroboscopicMap:
    """The state of a periodically forced flow once per period, an object that is iterated like any map.

    Args:
        system: a system without noise, periodic in time.
        period: of the forcing: a number, or an expression in the system's parameters such as ``2*pi/omega``.
        phase: the time at which the state is seen, modulo the period.
        steps: RK4 steps per period, the same for all points; adaptive steps where None.
        modulo: blocks that are angles, each with its turn, as in ``modulo={"x": 2*pi}``: they are seen between minus
            half a turn and half a turn, so that what rotates comes back.
        tolerance: of adaptive steps, relative to the largest entry of the state.

    Raises:
        OdescentError: a period that is not positive, or not the system's.
        NotCarried: a system with noise.
    """
    if steps is not None:
        check_whole("steps", steps, 1)
    if isinstance(period, sp.Expr) and not period.is_number:
        known = {p.name: p for p in system.parameters}
        loose = sorted(s.name for s in period.free_symbols if s.name not in known)
        if loose:
            raise unknown("parameter of the system called", loose[0], list(known))
        period = period.subs({s: known[s.name] for s in period.free_symbols})
    else:
        period = _finite("the period", period)
        if period <= 0:
            raise OdescentError(f"the period must be more than 0, not {period:g}.")
    names = [b.name for b in system.blocks]
    turns = {n: _finite(n, v) for n, v in (modulo or {}).items()}
    for name, turn in turns.items():
        if name not in names:
            raise unknown("block of the system called", name, names)
        if turn <= 0:
            raise OdescentError(f"a turn of {name} must be more than 0, not {turn:g}.")
    when = _finite("the phase", phase)
    return StroboscopicMap(system, tolerance, period, when, steps, tuple(turns.items()))


def _finite(name: str, value: Any) -> float:
    found = real(value)
    if not np.isfinite(found):
        raise OdescentError(f"{name} must be a finite number, not {short(value)}.")
    return found


def return_stepper(made: ReturnMap, target: Objective | None = None) -> PointStepper:
    """The map for one point, on a concrete objective if the system calls one."""
    return _stepper(made, objective_for(made.system, target))


def _to_section(made: PoincareMap, problem: Problem, state: Any, c: Any) -> tuple[Any, Any]:
    z, shaped = ravel_pytree(made.placed(state))
    field = lambda z: ravel_pytree(with_kernels(problem.rates)(0.0, shaped(z), c))[0]
    plane = made.normal(state)
    end, time = to_plane(field, z, plane, made.direction, made.longest, made.tolerance)
    return shaped(end), time


def _one_period(made: StroboscopicMap, problem: Problem, state: Any, c: Any) -> tuple[Any, Any]:
    values = dict(zip(made.system.parameters, c, strict=True))
    known = isinstance(made.period, float)
    period = jnp.asarray(made.period if known else evaluate(made.period, values, {}, jnp), float)
    if made.steps is not None:
        dt = period / made.steps
        velocity = with_kernels(problem.rates)
        rates = lambda t, y: velocity(t, y, c)
        step = lambda i, y: runge_kutta("rk4", rates, made.phase + i * dt, y, dt)
        return _wrapped(made, iterate(step, state, made.steps)), period
    z, shaped = ravel_pytree(state)
    field = lambda t, z: ravel_pytree(with_kernels(problem.rates)(t, shaped(z), c))[0]
    end = shaped(over_time(field, z, made.phase, period, made.tolerance))
    return _wrapped(made, end), period


def _wrapped(made: StroboscopicMap, state: Any) -> Any:
    parts, names = list(state), [b.name for b in made.system.blocks]
    for name, turn in made.modulo:
        i = names.index(name)
        parts[i] = parts[i] - turn * jax.lax.stop_gradient(jnp.floor(parts[i] / turn + 0.5))
    return tuple(parts)


def _flight(made: ReturnMap, problem: Problem) -> Flight:
    """(state, values of the parameters) to the state at the next return, and the time until then."""
    if isinstance(made, PoincareMap):
        return partial(_to_section, made, problem)
    assert isinstance(made, StroboscopicMap)
    return partial(_one_period, made, problem)


@lru_cache(maxsize=64)
def _stepper(made: ReturnMap, target: Objective) -> PointStepper:
    system = made.system
    problem = problem_of(system, target, system.parameters)
    flight = _flight(made, problem)

    def record(state: Any, c: Any) -> tuple[Any, ...]:
        return problem.output(made.seen_at, state, c), problem.named(state), None, False

    def coefficients(values: Mapping[str, Any]) -> Any:
        for symbol in system.parameters:
            check_domain(symbol, values[symbol.name])
        return tuple(jnp.asarray(values[p.name], float) for p in system.parameters)

    return PointStepper(
        problem.init, lambda state, c, key: flight(state, c)[0], record, str(made),
        tuple(p.name for p in system.parameters), tuple(b.name for b in system.blocks), coefficients,
        constants(target),
    )  # fmt: skip


@lru_cache(maxsize=32)
def _flown(made: ReturnMap, target: Objective, n: int) -> Callable[..., Any]:
    """Of one start: the states at n returns, its own first, and the times in between; compiled."""
    flight = _flight(made, problem_of(made.system, target, made.system.parameters))

    def step(k: Any, state: Any, c: Any) -> Any:
        new, time = flight(state, c)
        return new, (state, time)

    def run(state: Any, c: Any) -> Any:
        last, (states, times) = trace(lambda k, z: step(k, z, c), state, n)
        return appended(states, last), times

    return jax.jit(run)


__all__ = [
    "PoincareMap",
    "ReturnMap",
    "Returns",
    "StroboscopicMap",
    "poincare_map",
    "stroboscopic_map",
]
