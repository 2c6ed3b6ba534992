"""TayNODE: the size of a higher derivative of the solution, integrated along it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ..._errors import OdescentError
from ..evaluations import has_noise, is_ode
from .base import Outcome, Problem, Regularizer


def total_derivative(field: Any, order: int) -> Callable[[Any, PyTree, Any], PyTree]:
    """d^order y / dt^order along solutions of y' = field(t, y, args), by nested forward differentiation."""
    if order == 1:
        first: Callable[[Any, PyTree, Any], PyTree] = field
        return first
    lower = total_derivative(field, order - 1)

    def derivative(t: Any, y: PyTree, args: Any) -> PyTree:
        t = jnp.asarray(t)
        along = (jnp.ones_like(t), field(t, y, args))
        return jax.jvp(lambda t, y: lower(t, y, args), (t, y), along)[1]

    return derivative


class _First(eqx.Module):
    """A norm of the state proper, so that the added scalar has no say in the step size."""

    norm: Callable[[Any], Any]

    def __call__(self, tree: Any) -> Any:
        return self.norm(tree[0])


class Taylor(Regularizer):
    """See `taylor`."""

    order: int = eqx.field(static=True)
    any_adjoint: ClassVar[bool] = True  # its gradient is that of the solution
    reference: ClassVar[tuple[str, ...]] = ("2007.04504",)

    def prepare(self, problem: Problem, key: Any) -> Problem:
        if has_noise(problem.terms):
            raise OdescentError(
                "taylor() needs derivatives in time, which a solution with noise does not have."
            )
        if problem.augmented or not is_ode(problem.terms):
            raise OdescentError("taylor() takes one vector field, and only one taylor() at a time.")
        if not _saves_last(problem.saveat):
            raise OdescentError(
                "taylor() reads its integral at the last saved time, and the state beside it: use SaveAt(t1=True) or "
                "SaveAt(ts=...), without dense=, steps= and fn=."
            )
        derivative = total_derivative(problem.terms.vf, self.order)
        real = jnp.abs(jax.tree.leaves(problem.y0)[0]).dtype

        def augmented(t: Any, y: tuple[PyTree, Any], args: Any) -> tuple[PyTree, Any]:
            top = jax.tree.leaves(derivative(t, y[0], args))
            entries = sum(x.size for x in top)
            rate = jnp.asarray(sum(jnp.sum((x * jnp.conj(x)).real) for x in top) / entries, real)
            # along the solve, so that backwards it does not come out negative
            return problem.terms.vf(t, y[0], args), rate * jnp.asarray(problem.direction, real)

        norm, controller = _First(problem.norm), problem.controller
        if isinstance(controller, dfx.AbstractAdaptiveStepSizeController):
            controller = _with_norm(controller, norm)
        return replace(
            problem,
            terms=dfx.ODETerm(augmented),
            y0=(problem.y0, jnp.zeros((), real)),
            controller=controller,
            norm=norm,
            augmented=True,
        )

    def value(self, outcome: Outcome) -> Float[Array, "*batch"]:
        return jnp.asarray(outcome.extra)


def _saves_last(saveat: dfx.SaveAt) -> bool:
    """Whether the whole state at the last time stands last in what is saved."""
    subs = saveat.subs
    if not isinstance(subs, dfx.SubSaveAt) or saveat.dense or subs.steps:
        return False
    return subs.fn is dfx.SubSaveAt(t1=True).fn and (subs.t1 or subs.ts is not None)


def _with_norm(controller: Any, norm: Any) -> Any:
    if isinstance(controller, dfx.ClipStepSizeController):
        return eqx.tree_at(
            lambda c: c.controller, controller, _with_norm(controller.controller, norm)
        )
    if not isinstance(controller, dfx.PIDController):
        raise OdescentError(
            f"taylor() must keep its integral out of the error norm, and {type(controller).__name__} has none to "
            "change: use diffrax.PIDController."
        )
    return eqx.tree_at(lambda c: c.norm, controller, norm)


def taylor(order: int = 2) -> Taylor:
    """The integral of |d^order y/dt^order|^2 / dim y up to the last saved time, TayNODE (arXiv 2007.04504).

    Args:
        order: K >= 1; 1 is the kinetic energy. The work grows as 2^K.
    """
    given: Any = order
    if not isinstance(given, int) or not 1 <= given <= 6:
        raise OdescentError(f"taylor(order=...) takes a whole number from 1 to 6, not {order!r}.")
    return Taylor(order)
