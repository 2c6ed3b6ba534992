"""Vector fields and maps of a flat state and one vector of parameters, with exact derivatives."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from ..._support.errors import NotCarried, OdescentError
from ...dynamics import Objective, System
from ...dynamics.flows.stepper import PointStepper, iterate
from ...dynamics.vector_fields.own_functions import current
from ..attraction.stepping import Iterated, stepper
from ..sections.starts import starting_state


@dataclass(frozen=True)
class Units:
    """What a branch is computed in, so that no tolerance depends on the user's units.

    Attributes:
        state: the unit of the states.
        time: that of time, 1 for maps.
        active: the number of the parameter that is varied.
        value: its unit.
        origin: the state that counts as 0; empty for 0 itself.
    """

    state: float = 1.0
    time: float = 1.0
    active: int = 0
    value: float = 1.0
    origin: tuple[float, ...] = ()

    @classmethod
    def of(cls, state: np.ndarray, length: float, rate: float, active: int, width: float) -> Units:
        """The powers of a thousand next to the sizes of what is computed.

        Sizes from 1/30 to 30 have the unit 1, so that most branches are computed in the user's own units and all
        share what is compiled for them; a size that is 0 or not finite has it too.

        Args:
            state: with which the computation begins, shape (n,).
            length: on which the field changes there, 0 where it is not known. Where it is much less than the state,
                distances from that count; it stands for a state that is 0, and up to 1 for one that is less.
            rate: of change, 1 for maps.
            active: the number of the parameter that is varied.
            width: of its interval.
        """
        length = length if np.isfinite(length) else 0.0
        size = float(np.abs(state).max(initial=0.0)) or length
        size = max(size, min(length, 1.0))
        far = length > 0 and _unit(length) < _unit(size)
        origin = tuple(state.tolist()) if far else ()
        return cls(_unit(length if far else size), 1 / _unit(rate), active, _unit(width), origin)

    @property
    def wide(self) -> float:
        """What the user has as 1, where that is more: a start near 0 says little of how large a state can be."""
        return max(1.0, 1 / self.state)

    def values(self, own: Any) -> Any:
        """Parameters in the user's units, of NumPy's or JAX's arrays of shape (m,)."""
        factors = np.ones(len(own))
        factors[self.active] = self.value
        return own * factors

    def states(self, own: Any) -> Any:
        """States in the user's units, of NumPy's or JAX's arrays of shape (..., n)."""
        scaled = self.state * own
        return scaled + np.array(self.origin) if self.origin else scaled

    def own(self, state: Any) -> Any:
        """A state of the user's in these units."""
        return (state - np.array(self.origin) if self.origin else state) / self.state


def _unit(size: float) -> float:
    fine = np.isfinite(size) and size > 0
    return float(1000.0 ** round(float(np.log(size)) / float(np.log(1000.0)))) if fine else 1.0


@dataclass(frozen=True, eq=False)
class ParametricField:
    """Velocities of a flow, or one step of a map.

    Attributes:
        function: state (n,) and parameters (m,) to velocities, or to the next state.
        output: the same to the output x.
        flow: whether these are velocities.
        names: of the parameters, in order.
        name: of what is iterated.
        check: refuses values of the parameters (m,) outside of their domain.
        units: of its arguments and values; outputs are in the user's.
    """

    function: Callable[[Any, Any], Any]
    output: Callable[[Any, Any], Any]
    flow: bool
    names: tuple[str, ...]
    name: str
    check: Callable[[np.ndarray], Any]
    units: Units = Units()

    def zero(self, period: int = 1) -> Callable[[Any, Any], Any]:
        """What vanishes at equilibria, or at points of that period: F^k(u) - u."""
        if self.flow:
            return self.function
        step = self.function
        return lambda u, values: iterate(lambda _, v: step(v, values), u, period) - u

    def points(self, states: np.ndarray, values: np.ndarray, period: int = 1) -> np.ndarray:
        """The outputs along the cycles of some states.

        Args:
            states: shape (n, d).
            values: of the parameters, shape (n, m).
            period: of the cycles, in steps; 1 for equilibria.

        Returns:
            Shape (n, period, *x0.shape).
        """
        made, u, c = [], jnp.asarray(states), jnp.asarray(values)
        seen, step = _mapped(self.output), _mapped(self.function)
        for i in range(period):
            made.append(np.asarray(seen(u, c)))
            u = step(u, c) if i + 1 < period else u
        return np.stack(made, axis=1)


@lru_cache(maxsize=64)
def measured(field: ParametricField, units: Units) -> ParametricField:
    """The same field of a state, a time and a parameter in other units than the user's."""
    if units == Units(active=units.active):
        return field

    def function(u: Any, values: Any) -> Any:
        new = field.function(units.states(u), units.values(values))
        return new * (units.time / units.state) if field.flow else units.own(new)

    return replace(
        field, units=units, function=function,
        output=lambda u, values: field.output(units.states(u), units.values(values)),
        check=lambda values: field.check(units.values(values)),
    )  # fmt: skip


@lru_cache(maxsize=64)
def _mapped(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return jax.jit(jax.vmap(function))


def field_of(
    s: PointStepper, x0: Any, parameters: Mapping[str, float]
) -> tuple[ParametricField, np.ndarray]:
    """The field of a stepper, and the state at a starting point.

    Args:
        s: the stepper.
        x0: the starting point of the output, or values by block (see `starting_state`).
        parameters: all values, by name, for which the first state is made.

    Returns:
        The field, and the flat state, shape (n,).
    """
    c = s.coefficients({n: np.float64(parameters[n]) for n in s.parameters})
    return field_at(s, starting_state(s, x0, c))


def field_at(s: PointStepper, state: Any) -> tuple[ParametricField, np.ndarray]:
    """The field of a stepper for states of one structure, and such a state, flat."""
    state = jax.tree.map(jnp.asarray, state)
    leaves, tree = jax.tree.flatten(state)
    kinds = tuple((a.shape, a.dtype.name) for a in leaves)
    return _field(s, tree, kinds), np.asarray(ravel_pytree(state)[0])


def stepper_of(
    iterated: Iterated, target: Objective | None, flow: bool, given: Iterable[str]
) -> PointStepper:
    """The stepper of what is continued, with the given names free; refuses noise and clocks."""
    if flow and not isinstance(iterated, System):
        s = _of_velocities(current(iterated))
    else:
        dt = 1.0 if isinstance(iterated, System) else None
        s = stepper(iterated, target, dt, given=given)
    if s.draws or s.population:
        raise NotCarried(f"{s.name} draws noise; branches require deterministic maps or flows.")
    if s.clocked:
        raise NotCarried(
            f"{s.name} changes with the number of its step; it has no fixed points to continue."
        )
    return s


@lru_cache(maxsize=64)
def _of_velocities(function: Any) -> PointStepper:
    """The stepper of a JAX vector field ``state -> velocity``; it has rates alone."""
    if not callable(function) or not inspect.signature(function).parameters:
        raise OdescentError("flow=True takes a JAX function of the state that returns velocities.")
    s = stepper(function, None)
    return PointStepper(
        s.init, s.step, s.record, s.name, s.parameters, s.blocks, s.coefficients, s.defaults,
        rates=lambda state, c: s.step(state, c, None), dt=1.0,
    )  # fmt: skip


@lru_cache(maxsize=64)
def _field(s: PointStepper, tree: Any, kinds: tuple[Any, ...]) -> ParametricField:
    empty = jax.tree.unflatten(tree, [jnp.zeros(shape, kind) for shape, kind in kinds])
    shaped = ravel_pytree(empty)[1]

    def of(values: Any) -> Any:
        return s.coefficients({n: values[i] for i, n in enumerate(s.parameters)})

    def function(u: Any, values: Any) -> Any:
        c = of(values)
        new = s.step(shaped(u), c, None) if s.rates is None else s.rates(shaped(u), c)
        return ravel_pytree(new)[0]

    def check(values: np.ndarray) -> None:
        s.coefficients({n: np.float64(v) for n, v in zip(s.parameters, values, strict=True)})

    return ParametricField(
        function, lambda u, values: s.output(shaped(u), of(values)), s.rates is not None, s.parameters,
        s.name, check,
    )  # fmt: skip


def along(function: Callable[[Any], Any], at: Any, *directions: Any) -> Array:
    """The derivative of a function of one vector in several directions, one after the other.

    Args:
        function: of one array.
        at: where.
        directions: of the shape of ``at``; k of them give the k-th derivative.
    """
    for v in directions:
        function = _derivative(function, v)
    made: Array = function(at)
    return made


def _derivative(function: Callable[[Any], Any], v: Any) -> Callable[[Any], Any]:
    return lambda x: jax.jvp(function, (x,), (v,))[1]


class Forms:
    """The derivatives of F(u, p) = 0 at one point as forms in complex vectors.

    Args:
        zero: F, of state (n,) and parameters (m,).
        u: the state; values: the parameters; active: the number of the one that counts as p.
    """

    def __init__(
        self, zero: Callable[[Any, Any], Any], u: np.ndarray, values: np.ndarray, active: int
    ) -> None:
        self._compiled, self.n, self._active = _forms(zero), len(u), active
        self._u, self._values = u, values

    def parameter(self) -> np.ndarray:
        """The direction of p, in (u, p) space."""
        made = np.zeros(self.n + 1)
        made[-1] = 1.0
        return made

    def state(self, v: np.ndarray) -> np.ndarray:
        """The direction v of u, in (u, p) space."""
        return np.append(v, 0.0)

    def __call__(self, *directions: np.ndarray) -> np.ndarray:
        """The k-th derivative in k directions of (u, p) space, each of shape (n,) (then of u alone) or (n + 1,)."""
        whole = [d if len(d) == self.n + 1 else self.state(d) for d in directions]
        total: Any = 0.0
        for pick in range(1 << len(whole)):  # a form is linear in real and imaginary parts
            parts = [d.imag if pick >> i & 1 else d.real for i, d in enumerate(whole)]
            if all(p.any() for p in parts):
                factor = 1j ** int(pick).bit_count()
                found = self._compiled[len(whole)](self._u, self._values, self._active, *parts)
                total = total + factor * np.asarray(found)
        made: np.ndarray = np.zeros(self.n) + total
        return made if any(np.iscomplexobj(d) for d in directions) else made.real


@lru_cache(maxsize=64)
def _forms(zero: Callable[[Any, Any], Any]) -> dict[int, Callable[..., Any]]:
    def form(u: Any, values: Any, active: Any, *directions: Any) -> Any:
        def whole(y: Any) -> Any:
            return zero(y[:-1], values.at[active].set(y[-1]))

        return along(whole, jnp.append(u, values[active]), *directions)

    return {k: jax.jit(form) for k in (1, 2, 3)}


def jacobian(forms: Forms) -> Float[np.ndarray, "n n"]:
    """F_u at the point of the forms."""
    return np.stack([forms(e) for e in np.eye(forms.n)], axis=1)


__all__ = [
    "Forms",
    "ParametricField",
    "Units",
    "along",
    "field_at",
    "field_of",
    "jacobian",
    "measured",
    "stepper_of",
]
