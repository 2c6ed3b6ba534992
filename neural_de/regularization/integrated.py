"""Integrals along the solution as penalties: a state extended by integrals that do not affect the step size."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..._support.errors import OdescentError
from ..tracking.controllers import PerUnitStep
from ..tracking.evaluations import is_ode
from ..tracking.norms import Norm
from .penalty import InitialValueProblem, Integrand, Needs, Outcome, Regularizer


class Integrated(Regularizer):
    """The integral of a rate along the solution, up to the last saved time; any number of them may be summed.

    Its `name` identifies the integral, as taylor(2) and taylor(3) do.
    """

    any_adjoint: ClassVar[bool] = True  # its gradient is that of the solution

    @abc.abstractmethod
    def rate(self, problem: InitialValueProblem, key: Any) -> Integrand:
        """What is integrated: (t, y, args) -> a real number, per unit of time."""

    def needs(self, problem: InitialValueProblem, key: Any) -> Needs:
        if not is_ode(problem.terms):
            raise OdescentError(
                f"{self.name} takes one vector field, and neither noise nor several terms."
            )
        return Needs(integrands={self.name: self.rate(problem, key)})

    def value(self, outcome: Outcome) -> Float[Array, "*batch"]:
        return jnp.asarray(outcome.integrals[self.name])


class _OfState(eqx.Module):
    """A norm of the state proper, so that the integrals do not influence the step size."""

    norm: Norm

    def __call__(self, tree: Any) -> Any:
        return self.norm(tree[0])


def extended(
    problem: InitialValueProblem, integrands: Mapping[str, Integrand]
) -> InitialValueProblem:
    """The problem with the state (y, integrals by name), integrals out of the error norm; without integrands itself.

    Args:
        problem: of one vector field.
        integrands: by name.

    Raises:
        OdescentError: a last state that is not saved as it is, or a controller whose norm cannot be changed.
    """
    if not integrands:
        return problem
    name = next(iter(integrands))
    if not _saves_last(problem.saveat):
        raise OdescentError(
            f"{name} needs its integral at the last saved time, with the state: use SaveAt(t1=True) or "
            "SaveAt(ts=...), without dense=, steps= and fn=."
        )
    real = jnp.abs(jax.tree.leaves(problem.y0)[0]).dtype
    field = problem.terms.vf

    def along(t: Any, state: Any, args: Any) -> Any:
        y, _ = state
        # along the solve, so that backwards no integral of something positive comes out negative
        sign = jnp.asarray(problem.direction, real)
        rates = {n: jnp.asarray(rate(t, y, args), real) * sign for n, rate in integrands.items()}
        return field(t, y, args), rates

    norm, controller = _OfState(problem.norm), problem.controller
    if isinstance(controller, dfx.AbstractAdaptiveStepSizeController):
        controller = _with_norm(controller, norm, name)
    start = problem.y0, dict.fromkeys(integrands, jnp.zeros((), real))
    terms = dfx.ODETerm(along)
    return replace(problem, terms=terms, y0=start, controller=controller, norm=norm)


def _saves_last(saveat: dfx.SaveAt) -> bool:
    """Whether the last saved value is the whole state at the last time."""
    subs = saveat.subs
    if not isinstance(subs, dfx.SubSaveAt) or saveat.dense or subs.steps:
        return False
    return subs.fn is dfx.SubSaveAt(t1=True).fn and (subs.t1 or subs.ts is not None)


def _with_norm(controller: Any, norm: Norm, name: str) -> Any:
    if isinstance(controller, dfx.ClipStepSizeController | PerUnitStep):
        inner = _with_norm(controller.controller, norm, name)
        return eqx.tree_at(lambda c: c.controller, controller, inner)
    if not isinstance(controller, dfx.PIDController):
        raise OdescentError(
            f"{name} must keep its integral out of the error norm, and {type(controller).__name__} has none to "
            "change: use diffrax.PIDController."
        )
    return eqx.tree_at(lambda c: c.norm, controller, norm)
