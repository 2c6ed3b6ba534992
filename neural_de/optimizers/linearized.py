"""The loss around weights with its residuals: the input of least-squares optimizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from ..._support.errors import OdescentError
from ..settings.budget import Budget
from ..tasks.task import Losses, Task


class Linearized(NamedTuple):
    """The loss around weights, and its residuals with their Jacobian; one backward pass has all their gradients.

    Attributes:
        total, losses: the loss with its penalty, and what the task returned.
        gradient: of the total, a pytree as the weights are.
        residuals: with their Jacobian, a column per entry of the raveled weights; with a budget they are scaled as the
            total is.
    """

    total: Float[Array, ""]
    losses: Losses
    gradient: PyTree
    residuals: tuple[Float[Array, " m"], Float[Array, "m p"]]

    @staticmethod
    def of(
        at: Callable[[PyTree], tuple[Float[Array, ""], Losses]],
        weights: PyTree,
        budget: Budget | None,
        task: Task,
    ) -> Linearized:
        """Around these weights.

        Args:
            at: from weights to total and losses.
            weights: a pytree of arrays.
            budget: whose coefficient scales the total; None without one.
            task: for what is said where it has no residuals.

        Returns:
            The loss, its gradient, and residuals of shape (m,) with their Jacobian of shape (m, p).

        Raises:
            OdescentError: a task without residuals, or whose residuals are no vector.
        """
        flat, unravel = ravel_pytree(weights)

        def split(w: Float[Array, " p"]) -> Any:
            total, out = at(unravel(w))
            if out.residuals is None or out.residuals.ndim != 1:
                shape = None if out.residuals is None else out.residuals.shape
                came = "none" if shape is None else f"some of the shape {shape}"
                raise OdescentError(
                    f"the optimizer needs residuals, a vector whose squares add up to the loss, and {task.name} "
                    f"has {came}: take another optimizer, or return Losses.of_residuals(...) from the task's loss."
                )
            scale = 1.0 if budget is None else jnp.sqrt(1 + budget.coefficient)
            return (total, out.residuals / jnp.asarray(scale, out.residuals.dtype)), out

        (total, residuals), back, out = eqx.filter_vjp(split, flat, has_aux=True)
        n = residuals.size
        loss = jnp.eye(n + 1, 1, dtype=total.dtype)[:, 0]
        each = jnp.eye(n + 1, n, -1, dtype=residuals.dtype)
        rows = jax.vmap(lambda *e: back(e)[0])(loss, each)
        return Linearized(total, out, unravel(rows[0]), (residuals, rows[1:]))
