"""TayNODE: the size of a higher derivative of the solution, integrated along it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ..._support.errors import OdescentError, shown
from ..tracking.norms import mean_square
from .integrated import Integrated
from .penalty import InitialValueProblem, Integrand


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


class Taylor(Integrated):
    """See `taylor`."""

    order: int = eqx.field(static=True)
    reference: ClassVar[tuple[str, ...]] = ("2007.04504",)

    @property
    def name(self) -> str:
        return f"taylor({self.order})"

    def rate(self, problem: InitialValueProblem, key: Any) -> Integrand:
        derivative = total_derivative(problem.terms.vf, self.order)
        return lambda t, y, args: mean_square(derivative(t, y, args))


def taylor(order: int = 2) -> Taylor:
    """The integral of |d^order y/dt^order|^2 / dim y up to the last saved time, TayNODE (arXiv 2007.04504).

    Args:
        order: K >= 1; 1 is the kinetic energy. The work grows as 2^K.
    """
    given: Any = order
    if not isinstance(given, int) or not 1 <= given <= 6:
        raise OdescentError(
            f"taylor(order=...) takes a whole number from 1 to 6, not {shown(order)}."
        )
    return Taylor(order)
