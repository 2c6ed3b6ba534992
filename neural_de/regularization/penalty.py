"""Regularizers as data: recorded quantities, modification of the solve, and value."""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import diffrax as dfx
import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PyTree

from ..._support.errors import OdescentError
from ..._support.rendering.rendered import Rendered
from ..tracking.norms import Norm
from ..tracking.statistics import Captured, Statistics
from ..tracking.tracked_solver import Capture, Watch

# (t, y, args) -> a real number, per unit of time
Integrand: TypeAlias = Callable[[Any, PyTree, Any], Any]


@dataclass(frozen=True)
class InitialValueProblem(Rendered):
    """An initial value problem with the solver and controller that are to solve it.

    Attributes:
        terms, y0, t0, t1, args, saveat, solver, controller, adjoint: as in ``diffrax.diffeqsolve``.
        norm: what the error is measured by.
        direction: 1 or -1; the solver's own time is direction * t.
        length: of the interval, where it is known before the solve; None if it is traced.
    """

    terms: Any
    y0: PyTree
    t0: Any
    t1: Any
    args: Any
    saveat: dfx.SaveAt
    solver: Any
    controller: Any
    adjoint: Any
    norm: Norm
    direction: Any
    length: float | None = None


@dataclass(frozen=True)
class Needs(Rendered):
    """What the solve has to carry: kinds of stiffness, states to capture and rates to integrate, both by name."""

    stiffness: tuple[str, ...] = ()
    captures: dict[str, Capture] = field(default_factory=dict)
    integrands: dict[str, Integrand] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a regularizer sees of a solve.

    Attributes:
        statistics: of the solve.
        captured: the requested states.
        problem: what was solved.
        watch: tolerances and norm.
        integrals: of the requested integrands, up to the last saved time.
    """

    statistics: Statistics
    captured: dict[str, Captured]
    problem: InitialValueProblem
    watch: Watch
    integrals: dict[str, Any] = field(default_factory=dict)


class Regularizer(eqx.Module):
    """A penalty on the cost of a solve; penalties can be added and scaled.

    Class attributes:
        reference: its sources, arXiv identifiers.
        any_adjoint: False if its gradient passes through the solver's state, which BacksolveAdjoint cuts.
    """

    reference: ClassVar[tuple[str, ...]] = ()
    any_adjoint: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """The name in messages, as in error()."""
        return f"{type(self).__name__.lower()}()"

    def needs(self, problem: InitialValueProblem, key: Any) -> Needs:
        """What has to be noted; `key` is None unless the solve was given one."""
        return Needs()

    def prepare(self, problem: InitialValueProblem, key: Any) -> InitialValueProblem:
        """The problem that is solved instead."""
        return problem

    @abc.abstractmethod
    def value(self, outcome: Outcome) -> Float[Array, "*batch"]:
        """The penalty, a scalar (per solve)."""

    def at(self, step: Any) -> Regularizer:
        """With coefficients that are schedules evaluated at this step."""
        return self

    def check_adjoint(self, adjoint: Any) -> None:
        """OdescentError if this adjoint gives the penalty no gradient."""
        differentiable = (dfx.RecursiveCheckpointAdjoint, dfx.DirectAdjoint, dfx.ForwardMode)
        if not self.any_adjoint and not isinstance(adjoint, differentiable):
            raise OdescentError(
                f"{type(adjoint).__name__} cuts the gradient of {self.name}, which passes "
                "through the solver's state: use RecursiveCheckpointAdjoint or DirectAdjoint, or local(), "
                "which any adjoint can differentiate."
            )

    def __add__(self, other: Regularizer) -> Sum:
        if not isinstance(other, Regularizer):
            return NotImplemented
        return Sum((*_parts(self), *_parts(other)))

    def __radd__(self, other: Any) -> Regularizer:
        begins = isinstance(other, int) and other == 0  # as sum() does
        return self if begins else NotImplemented

    def __mul__(self, coefficient: Any) -> Sum:
        if isinstance(coefficient, str | Regularizer):
            return NotImplemented
        return Sum(tuple((_product(c, coefficient), r) for c, r in _parts(self)))

    __rmul__ = __mul__


def _product(a: Any, b: Any) -> Any:
    if callable(a) or callable(b):
        return lambda step: _value(a, step) * _value(b, step)
    return a * b


def _value(coefficient: Any, step: Any) -> Any:
    return coefficient(step) if callable(coefficient) else coefficient


def _parts(regularizer: Regularizer) -> tuple[tuple[Any, Regularizer], ...]:
    return regularizer.parts if isinstance(regularizer, Sum) else ((1.0, regularizer),)


class Sum(Regularizer):
    """A weighted sum of regularizers; a coefficient is a number, an array or a schedule of the step."""

    parts: tuple[tuple[Any | Callable[[Any], Any], Regularizer], ...]

    def needs(self, problem: InitialValueProblem, key: Any) -> Needs:
        all_needs = [
            r.needs(problem, k) for k, (_, r) in zip(self._keys(key), self.parts, strict=True)
        ]
        kinds = dict.fromkeys(k for n in all_needs for k in n.stiffness)
        captures = {k: v for n in all_needs for k, v in n.captures.items()}
        integrands = {k: v for n in all_needs for k, v in n.integrands.items()}
        return Needs(tuple(kinds), captures, integrands)

    def prepare(self, problem: InitialValueProblem, key: Any) -> InitialValueProblem:
        for k, (_, r) in zip(self._keys(key), self.parts, strict=True):
            problem = r.prepare(problem, k)
        return problem

    def value(self, outcome: Outcome) -> Float[Array, "*batch"]:
        total = jnp.zeros((), outcome.statistics.error.sum.dtype)
        for c, r in self.parts:
            if callable(c):
                raise OdescentError(
                    "a coefficient is a schedule: give the step, as in solve(..., regularizer=r.at(step))."
                )
            total = total + jnp.asarray(c, total.dtype) * r.value(outcome).astype(total.dtype)
        return total

    def at(self, step: Any) -> Sum:
        return self.weighted(self.coefficients(step))

    def coefficients(self, step: Any) -> tuple[Any, ...]:
        """One per term, the schedules among them evaluated at this step."""
        return tuple(_value(c, step) for c, _ in self.parts)

    def weighted(self, coefficients: tuple[Any, ...]) -> Sum:
        """The same terms with these coefficients."""
        return Sum(tuple((c, r) for c, (_, r) in zip(coefficients, self.parts, strict=True)))

    def check_adjoint(self, adjoint: Any) -> None:
        for _, r in self.parts:
            r.check_adjoint(adjoint)

    def _keys(self, key: Any) -> list[Any]:
        return [None if key is None else jr.fold_in(key, i) for i in range(len(self.parts))]


def needed_key(key: Any, name: str) -> Any:
    """The key, or a sentence that one is needed."""
    if key is None:
        raise OdescentError(f"{name} draws at random: give solve(..., key=jax.random.key(0)).")
    return key
