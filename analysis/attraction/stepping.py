"""Steppers of algorithms, flows and plain JAX functions for basins, bifurcations and batches.

Everything above them (`batches`, `settling`) maps a stepper over many points with the points along the last axis of
every array.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from ..._support.errors import NotCarried, OdescentError
from ..._support.numbers import real
from ..._support.rendering.brief import short
from ...discretize import Algorithm
from ...discretize.runs.emitted_stepper import algorithm_stepper
from ...dynamics import Objective, System
from ...dynamics.flows.parameters import check_domain, constants, parameter_values
from ...dynamics.flows.solution import objective_for, problem_of
from ...dynamics.flows.stepper import PointStepper, iterate, trace
from ...dynamics.flows.tableaux import runge_kutta
from ...dynamics.vector_fields.own_functions import current
from ..sections.return_map import ReturnMap, return_stepper

RESOLVED = 0.25  # of a step times the local rate: RK4 is then accurate and stable
_BALANCED = 10  # rounds of balancing
_MOST_PARTS = 1024  # of a step, where the field is far steeper than elsewhere

Iterated = Algorithm | System | ReturnMap | Callable[..., Any]


def stepper(
    iterated: Iterated, target: Objective | None, dt: float | None = None, normals: str = "counter",
    given: Iterable[str] = (),
) -> PointStepper:  # fmt: skip
    """The stepper of an algorithm or a system on an objective, or of a JAX function ``state -> state``.

    Args:
        iterated: an algorithm; an autonomous system without noise; a Poincare or stroboscopic map; or a function of
            one real array (the state) and of parameters given by keyword.
        target: the concrete objective, for algorithms and systems.
        dt: the time of a step of a system: RK4, in several parts where the field is steep.
        normals: what an algorithm draws from, as of its `run`.
        given: names that get values, parameters of an algorithm or words for them, as of its `run`, among others: they
            are free regardless of its tuning.

    Raises:
        OdescentError: no objective where one is needed, a time-dependent or noisy system, a bad dt.
    """
    if isinstance(iterated, System):
        return _of_system(iterated, objective_for(iterated, target), dt)
    if isinstance(iterated, Algorithm):
        free = iterated.released(given)
        return algorithm_stepper(free, objective_for(iterated.system, target), normals)
    if isinstance(iterated, ReturnMap):
        return return_stepper(iterated, target)
    if not callable(iterated):
        raise OdescentError(
            f"an algorithm, a system or a JAX function of the state is expected, not {type(iterated).__name__}."
        )
    return _of_function(current(iterated))


@lru_cache(maxsize=64)
def _of_system(system: System, target: Objective, dt: float | None) -> PointStepper:
    who = system.name or "the system"
    if any(f.noise for f in system.fields.values()):
        raise NotCarried(f"{who} has noise; attractors require a deterministic system.")
    if not system.autonomous:
        raise NotCarried(
            f"{who} depends on time; attractors require an autonomous system, or its stroboscopic_map(system, period) "
            "if it is periodic in time."
        )
    if dt is None or not (np.isfinite(dt) and dt > 0):
        raise OdescentError(f"a flow needs a positive fixed step dt, not {short(dt)}.")
    flow, value = problem_of(system, target, system.parameters), target.oracles.get("value")

    def rates(state: Any, c: Any) -> Any:
        return flow.rates(0.0, state, c)

    def record(state: Any, c: Any) -> tuple[Any, ...]:
        x = flow.output(0.0, state, c)
        return x, flow.named(state), None if value is None else value(x), False

    return PointStepper(
        flow.init, lambda state, c, key: resolved(lambda y: rates(y, c), state, dt), record, who,
        tuple(p.name for p in system.parameters), tuple(b.name for b in system.blocks),
        lambda values: tuple(_checked(system.parameters, values).values()), constants(target),
        valued=value is not None, rates=rates, dt=dt,
    )  # fmt: skip


def _checked(symbols: Iterable[sp.Symbol], values: Mapping[str, Any]) -> dict[str, Array]:
    """The values in the order of their symbols, each in its domain where it is a number."""
    for symbol in symbols:
        if not isinstance(values[symbol.name], jax.core.Tracer):
            check_domain(symbol, values[symbol.name])
    return {s.name: jnp.asarray(values[s.name], float) for s in symbols}


def resolved(rates: Callable[[Any], Any], state: Any, dt: float) -> Any:
    """RK4 over dt in as many equal parts as the field requires locally: dt |df/dz| <= `RESOLVED` along the flow."""
    f = rates(state)
    ahead = jax.tree.map(lambda z, v: z + dt * v, state, f)
    slope = distance(rates(ahead), f) / (dt * size(f))
    parts = jnp.nan_to_num(jnp.ceil(dt * slope / RESOLVED), nan=1.0, posinf=_MOST_PARTS)
    n = jnp.clip(parts, 1, _MOST_PARTS).astype(int)
    part = dt / n.astype(float)
    step = lambda i, z: runge_kutta("rk4", lambda t, y: rates(y), 0.0, z, part)
    return iterate(step, state, n)


@lru_cache(maxsize=64)
def _of_function(function: Callable[..., Any]) -> PointStepper:
    try:
        declared = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        declared = []
    p = inspect.Parameter
    if not declared or declared[0].kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
        raise OdescentError("a function to iterate takes the state first, then parameters by name.")
    rest = [q for q in declared[1:] if q.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    symbols = [sp.Symbol(q.name) for q in rest]

    def step(state: Any, c: Any, key: Any) -> Any:
        new = jnp.asarray(function(state[0], **c))
        if new.shape != state[0].shape or not jnp.issubdtype(new.dtype, jnp.floating):
            raise OdescentError(
                f"a function to iterate must map real states of shape {state[0].shape} to the same shape; this one "
                f"returned shape {new.shape} and type {new.dtype} (write a complex map in real and imaginary parts)."
            )
        return (new.astype(state[0].dtype),)

    return PointStepper(
        lambda x0, c: (x0,), step, lambda state, c: (state[0], {}, None, False),
        getattr(function, "__name__", "the function"), tuple(q.name for q in rest), (),
        lambda values: _checked(symbols, values),
        {q.name: q.default for q in rest if q.default is not q.empty},
    )  # fmt: skip


@lru_cache(maxsize=64)
def orbit_read(
    s: PointStepper, read: Callable[..., Any], steps: int, stride: int = 1
) -> Callable[[Any, Any], Any]:
    """The states of an orbit, compiled: of the first one and the coefficients.

    Args:
        s: the stepper.
        read: what is kept of a state, as ``read(s, state, c)``: a pytree, which is made flat.
        steps: how many.
        stride: every so manieth is kept, from the first one on.
    """

    def run(state: Any, c: Any) -> Any:
        flat: Callable[[Any], Any] = lambda z: jnp.concatenate(
            [jnp.ravel(a).astype(float) for a in jax.tree.leaves(read(s, z, c))]
        )
        return trace(lambda _, z: (s.step(z, c, None), flat(z)), state, steps, stride)[1]

    return jax.jit(run)


def check_parameter(s: PointStepper, name: str) -> None:
    """Refuse to vary what is no parameter of the stepper."""
    if name not in s.parameters:
        raise OdescentError(
            f"{name!r} is not a parameter of {s.name}: it has {', '.join(s.parameters) or 'none'}."
        )


def check_parameters(
    s: PointStepper, given: Mapping[str, Any], varied: Mapping[str, Any]
) -> dict[str, Any]:
    """Values of the parameters that are not varied, defaults included.

    Args:
        s: the stepper.
        given: values by name.
        varied: parameters that are varied, by name.

    Raises:
        OdescentError: an unknown parameter, one without a value, or a value that is not a number.
    """
    if both := [n for n in given if n in varied]:
        raise OdescentError(f"{both[0]} is both varied and given one value; leave one of them out.")
    wanted = [n for n in s.parameters if n not in varied]
    values = parameter_values(s.name, wanted, given, s.defaults)
    for name, value in values.items():
        values[name] = real(value)
        if np.isnan(values[name]):
            raise OdescentError(f"{name} must be one number, not {short(value)}.")
    return values


def slope(rates: Callable[..., Any], state: Any, c: Any) -> Array:
    """The Jacobian matrix of a flow's velocities at one state.

    Args:
        rates: velocities as a function of the state and the coefficients.
        state: a pytree with d entries in all.
        c: coefficients.

    Returns:
        Shape (d, d), over the flattened state.
    """
    flat, shaped = ravel_pytree(state)
    matrix: Array = jax.jacfwd(lambda y: ravel_pytree(rates(shaped(y), c))[0])(flat)
    return matrix


def balanced(matrix: Array) -> Array:
    """A Jacobian in the units of the state's entries in which its rows and columns are of one size.

    Its norm is the rate of the field, which does not depend on the user's units: of x' = v, v' = -1e6 x it is 1e3.

    Args:
        matrix: shape (d, d).

    Source: E. E. Osborne, On pre-conditioning of matrices, J. ACM 7 (1960), doi:10.1145/321043.321048; all entries
    at once, with half of his exponent.
    """
    off = jnp.abs(matrix) * (1 - jnp.eye(len(matrix)))
    factors: Callable[[Array], Array] = lambda logs: jnp.exp(logs[None, :] - logs[:, None])

    def closer(_: Any, logs: Array) -> Array:
        scaled = off * factors(logs)
        rows, columns = scaled.sum(1), scaled.sum(0)
        # what only drives, or is only driven, has no unit of its own
        both = (rows > 0) & (columns > 0)
        quotient = jnp.where(both, rows, 1.0) / jnp.where(both, columns, 1.0)
        return logs + jnp.log(quotient) / 4

    return matrix * factors(iterate(closer, jnp.zeros(len(matrix)), _BALANCED))


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
