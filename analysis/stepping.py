"""One step of whatever can be iterated, ready for batches: algorithms, flows and plain JAX functions.

A `Stepper` is a pure map from state to state with coefficients, for one point; everything above it
(`batches`, `settling`) maps it over many points with the points along the last axis of every array.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp
from jaxtyping import Array

from odescent._errors import NotCarried, OdescentError, unknown
from odescent.discretize import Algorithm, chunks
from odescent.discretize import run as runs
from odescent.discretize.emit import called
from odescent.dynamics import Objective, System
from odescent.dynamics.evaluate import evaluate, initial_state, oracles_of, vector_field
from odescent.dynamics.fixed_step import runge_kutta
from odescent.dynamics.solution import objective_for

RESOLVED = 0.25  # of a step times the local rate: RK4 is then accurate and stable
_MOST_PARTS = 1024  # of a step, where the field is far steeper than elsewhere

Iterated = Algorithm | System | Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Stepper:
    """What is iterated, for one point.

    Attributes:
        name: for people.
        parameters: names of its parameters.
        blocks: names of the leading entries of the state (a tuple); empty for a plain function.
        init: (x0, c) to the state.
        step: (state, c, what it draws from or None) to the next state.
        output: (state, c) to the output x.
        value: x to the objective's value, or None.
        coefficients: parameters by name, numbers or arrays (n,), to the pytree c; checks their domains.
        defaults: values of parameters that need not be given.
        clocked: whether the state holds a clock or other scalars, so that only the output can recur.
        draws: whether a step draws: it then needs a source, as of `discretize.draws`.
        rates: (state, c) to the velocities, for flows.
        dt: time per step, for flows.
    """

    name: str
    parameters: tuple[str, ...]
    blocks: tuple[str, ...]
    init: Callable[..., Any]
    step: Callable[..., Any]
    output: Callable[..., Any]
    value: Callable[..., Any] | None
    coefficients: Callable[[Mapping[str, Any]], Any]
    defaults: Mapping[str, float]
    clocked: bool = False
    draws: bool = False
    rates: Callable[..., Any] | None = None
    dt: float | None = None

    def seen(self, state: Any, c: Any) -> Any:
        """Where recurrences are looked for: the whole state, or the output of a clocked one."""
        return self.output(state, c) if self.clocked else state


def stepper(
    iterated: Iterated, target: Objective | None, dt: float | None = None, normals: str = "counter"
) -> Stepper:
    """The stepper of an algorithm or a system on an objective, or of a JAX function ``state -> state``.

    Args:
        iterated: an algorithm; an autonomous system without noise; or a function of one real array (the state)
            and of parameters given by keyword.
        target: the concrete objective, for algorithms and systems.
        dt: the time of a step of a system: RK4, in several parts where the field is steep.
        normals: what an algorithm draws from, as of its `run`.

    Raises:
        OdescentError: no objective where one is needed, a time-dependent or noisy system, a bad dt.
    """
    if isinstance(iterated, System):
        return _of_system(iterated, objective_for(iterated, target), dt)
    if isinstance(iterated, Algorithm):
        return _of_algorithm(iterated, objective_for(iterated.system, target), normals)
    if not callable(iterated):
        raise OdescentError(
            f"an algorithm, a system or a JAX function of the state is iterated, not {type(iterated).__name__}."
        )
    return _of_function(iterated)


def _of_algorithm(algorithm: Algorithm, target: Objective, normals: str) -> Stepper:
    """Two algorithms with the same emitted step share one stepper, and what is compiled for it."""
    module = runs.module_of(algorithm, normals)
    program = algorithm.tuned
    blocks = tuple(b.name for b in program.blocks)
    oracles = tuple(runs.oracles_for(algorithm, module, target))
    parts = runs.compiled_parts(module, target, oracles, blocks, tuple(program.outputs))
    clocked = program.counter is not None or any(b.kind == "scalar" for b in program.blocks)
    name = algorithm.name or "the algorithm"
    noisy = bool(program.draws)
    return _of_parts(name, module, parts, blocks, program.parameters, target, clocked, noisy)


@lru_cache(maxsize=64)
def _of_parts(
    name: str, module: ModuleType, parts: chunks.Step, blocks: tuple[str, ...], parameters: tuple[sp.Symbol, ...],
    target: Objective, clocked: bool, noisy: bool,
) -> Stepper:  # fmt: skip
    symbols = {s.name: s for s in parameters}

    def output(state: Any, c: Any) -> Any:
        return parts.record(state, c)[0]

    def coefficients(values: Mapping[str, Any]) -> Any:
        for n, value in values.items():
            check_domain(symbols[n], value)
        try:
            return module.coefficients(**{called(module)[n]: v for n, v in values.items()})
        except ValueError as error:
            raise OdescentError(str(error)) from None

    return Stepper(
        name, tuple(symbols), blocks, parts.init, parts.step, output, target.oracles.get("value"), coefficients,
        _constants(target), clocked=clocked, draws=noisy,
    )  # fmt: skip


@lru_cache(maxsize=64)
def _of_system(system: System, target: Objective, dt: float | None) -> Stepper:
    who = system.name or "the system"
    if any(f.noise for f in system.fields.values()):
        raise NotCarried(f"{who} has noise; attractors are looked for in deterministic systems.")
    if not system.autonomous:
        raise NotCarried(f"{who} depends on time; attractors are looked for in autonomous systems.")
    if dt is None or not (np.isfinite(dt) and dt > 0):
        raise OdescentError(f"a flow needs a positive fixed step dt, not {dt!r}.")
    oracles = oracles_of(system, target)
    symbols = {p.name: p for p in system.parameters}

    def numbers(c: Mapping[str, Any]) -> dict[sp.Symbol, Any]:
        return {symbols[n]: v for n, v in c.items()}

    def rates(state: Any, c: Any) -> Any:
        return vector_field(system, oracles, numbers(c), jnp)(0.0, state)

    def init(x0: Any, c: Any) -> Any:
        state = initial_state(system, x0, oracles, numbers(c), jnp)
        return tuple(jnp.asarray(s, x0.dtype) for s in state)

    def output(state: Any, c: Any) -> Any:
        known = {b.symbol: s for b, s in zip(system.blocks, state, strict=True)}
        return evaluate(system.output, {**numbers(c), **known}, oracles, jnp)

    def coefficients(values: Mapping[str, Any]) -> Any:
        for name, value in values.items():
            check_domain(symbols[name], value)
        return {n: jnp.asarray(v, float) for n, v in values.items()}

    return Stepper(
        who, tuple(symbols), tuple(b.name for b in system.blocks), init,
        lambda state, c, key: _resolved(lambda y: rates(y, c), state, dt),
        output, target.oracles.get("value"), coefficients, _constants(target), rates=rates, dt=dt,
    )  # fmt: skip


def _resolved(rates: Callable[[Any], Any], state: Any, dt: float) -> Any:
    """RK4 over dt in as many equal parts as the field asks for here: dt |df/dz| <= `RESOLVED` along the flow."""
    f = rates(state)
    ahead = jax.tree.map(lambda z, v: z + dt * v, state, f)
    slope = distance(rates(ahead), f) / (dt * size(f))
    parts = jnp.nan_to_num(jnp.ceil(dt * slope / RESOLVED), nan=1.0, posinf=_MOST_PARTS)
    n = jnp.clip(parts, 1, _MOST_PARTS).astype(int)
    part = dt / n.astype(float)
    step = lambda i, z: runge_kutta("rk4", lambda t, y: rates(y), 0.0, z, part)
    return jax.lax.fori_loop(0, n, step, state)


@lru_cache(maxsize=64)
def _of_function(function: Callable[..., Any]) -> Stepper:
    try:
        declared = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        declared = []
    p = inspect.Parameter
    named = {p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD}
    if not declared or declared[0].kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
        raise OdescentError("a function to iterate takes the state first, then parameters by name.")
    rest = [q for q in declared[1:] if q.kind in named]

    def step(state: Any, c: Any, key: Any) -> Any:
        new = jnp.asarray(function(state[0], **c))
        if new.shape != state[0].shape or not jnp.issubdtype(new.dtype, jnp.floating):
            raise OdescentError(
                f"a function to iterate maps real states of shape {state[0].shape} to the same shape; this one "
                f"returned shape {new.shape} and type {new.dtype} (write a complex map in real and imaginary parts)."
            )
        return (new.astype(state[0].dtype),)

    def coefficients(values: Mapping[str, Any]) -> Any:
        for name, value in values.items():
            check_domain(sp.Symbol(name), value)
        return {n: jnp.asarray(v, float) for n, v in values.items()}

    return Stepper(
        getattr(function, "__name__", "the function"), tuple(q.name for q in rest), (),
        lambda x0, c: (x0,), step, lambda state, c: state[0], None, coefficients,
        {q.name: q.default for q in rest if q.default is not q.empty},
    )  # fmt: skip


def _constants(target: Objective) -> dict[str, float]:
    pairs = {"mu": target.mu, "L": target.L}
    return {n: float(v) for n, v in pairs.items() if v is not None and v.is_number}


def check_domain(symbol: sp.Symbol, value: Any) -> None:
    """Refuse values of a parameter that are not finite or outside of its declared domain."""
    numbers = np.asarray(value, np.float64)
    bad = ~np.isfinite(numbers)
    what = "a finite number"
    if symbol.is_positive:
        bad, what = bad | (numbers <= 0), "a finite number more than 0"
    elif symbol.is_nonnegative:
        bad, what = bad | (numbers < 0), "a finite number of at least 0"
    if bad.any():
        shown = float(numbers[bad].ravel()[0])
        raise OdescentError(f"{symbol} must be {what}, not {shown:g}.")


def check_parameters(
    s: Stepper, given: Mapping[str, Any], varied: Mapping[str, Any]
) -> dict[str, Any]:
    """Values of the parameters that are not varied, defaults included.

    Raises OdescentError for an unknown parameter, one without value, or one that is not a number.
    """
    values: dict[str, Any] = {}
    for name in given:
        if name not in s.parameters:
            raise unknown(f"parameter of {s.name} called", name, s.parameters)
        if name in varied:
            raise OdescentError(
                f"{name} is both varied and given one value; leave one of them out."
            )
    for name in s.parameters:
        if name in varied:
            continue
        value = given.get(name, s.defaults.get(name))
        if value is None:
            raise OdescentError(
                f"{s.name} needs a value of {name}: give parameters={{'{name}': ...}}."
            )
        try:
            values[name] = float(value)
        except (TypeError, ValueError):
            raise OdescentError(f"{name} must be one number, not {value!r}.") from None
    return values


def distance(a: Any, b: Any) -> Array:
    """The largest absolute difference between two pytrees, scalar; NaN where either is."""
    gaps = jax.tree.leaves(
        jax.tree.map(lambda u, v: jnp.abs(u - v).reshape(-1).astype(float), a, b)
    )
    largest = functools.reduce(jnp.maximum, [jnp.max(g, initial=0.0) for g in gaps])
    # compiled maxima may drop a NaN
    blind = functools.reduce(jnp.logical_or, [jnp.any(jnp.isnan(g)) for g in gaps])
    return jnp.where(blind, jnp.nan, largest)


def size(a: Any) -> Array:
    """The largest absolute value in a pytree, scalar."""
    return distance(a, jax.tree.map(jnp.zeros_like, a))


__all__ = ["Iterated", "Stepper", "check_domain", "check_parameters", "distance", "size", "stepper"]
