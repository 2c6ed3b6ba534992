"""The first step: Hairer's selection, and a warm start carried from solve to solve.

diffrax 0.7.2 makes a first step of 0.01 for ``dt0=None`` whatever the problem: it has wrapped the
terms by the time it looks for an ODE, and so never gets to its own selection. A test here says when
that changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, PyTree

from ..._support.arguments import checked, holds_numbers
from ..._support.errors import expected
from .norms import Norm, ratio, rms, safe
from .statistics import Statistics


@checked
def initial_step(
    field: Callable[..., Any],
    t0: ArrayLike,
    y0: PyTree,
    args: Any,
    *,
    order: float,
    rtol: ArrayLike,
    atol: ArrayLike,
    norm: Norm = rms,
) -> tuple[Float[Array, ""], PyTree]:
    """A first step for which an explicit Euler step and the change of slope are small.

    Hairer, Norsett and Wanner, Solving ODEs I, section II.4. Two evaluations.

    Args:
        field: f(t, y, args), with values of y0's structure and shapes.
        t0, y0: where the solve starts.
        order: of the error estimate (5 for Tsit5).
        rtol, atol, norm: of the controller.

    Returns:
        The step's length (positive, a constant for differentiation) and f(t0, y0).

    Raises:
        OdescentError: a start that is no pytree of arrays of numbers.
    """
    if not all(map(holds_numbers, leaves := jax.tree.leaves(y0))) or not leaves:
        raise expected("y0 of initial_step", "an array of numbers or a pytree of them", y0)
    scale = jax.tree.map(
        lambda y: (
            jnp.asarray(atol, jnp.abs(y).dtype) + jnp.abs(y) * jnp.asarray(rtol, jnp.abs(y).dtype)
        ),
        y0,
    )

    def size(tree: PyTree) -> Any:
        scaled = jax.tree.map(lambda x, s: x / jnp.where(s > 0, s, jnp.ones_like(s)), tree, scale)
        value = safe(norm, scaled)
        return jnp.where(jnp.isfinite(value), value, jnp.zeros_like(value))

    time = jnp.asarray(t0)
    f0 = field(time, y0, args)
    d0, d1 = size(y0), size(f0)
    tiny = (d0 < 1e-5) | (d1 < 1e-5)
    h0 = jnp.where(tiny, 1e-6, 0.01 * ratio(d0, d1)).astype(d0.dtype)
    y1 = jax.tree.map(lambda y, f: y + h0.astype(y.dtype) * f, y0, f0)
    f1 = field(time + h0.astype(time.dtype), y1, args)
    d2 = size(jax.tree.map(lambda a, b: b - a, f0, f1)) / h0
    steepest = jnp.maximum(d1, d2)
    flat = steepest <= 1e-15
    h1 = (0.01 / jnp.where(flat, 1.0, steepest)) ** (1 / order)
    h = jnp.minimum(100 * h0, jnp.where(flat, jnp.maximum(1e-6, h0 * 1e-3), h1))
    return jax.lax.stop_gradient(h.astype(time.dtype)), f0


class WarmStart(eqx.Module):
    """The first step of the next solve, from the first step of the last one.

    It continues the step-size controller across solves: the field changes little in a training step, so the
    growth from a cautious first step need not be repeated. A pytree of one
    number, to be carried in the training state.

    Attributes:
        dt0: the length to try, positive.
    """

    dt0: Float[Array, ""]

    @checked
    def __init__(self, dt0: float | Float[Array, ""]) -> None:
        try:
            self.dt0 = jnp.asarray(dt0)
        except (TypeError, ValueError, OverflowError):
            raise expected("dt0", "one positive number", dt0) from None

    def updated(self, statistics: Statistics, safety: float = 0.9) -> WarmStart:
        """From the first accepted step h and its error E: h safety E^(-1/q); of several solves at once the shortest."""
        e, q = statistics.first_error, statistics.order
        growth = jnp.clip(safety * jnp.maximum(e, 1e-10) ** (-1 / q), 0.2, 10.0)
        dt0 = statistics.first_step * growth.astype(statistics.first_step.dtype)
        new = jnp.min(jnp.where(statistics.accepted > 0, dt0, self.dt0.astype(dt0.dtype)))
        return WarmStart(jax.lax.stop_gradient(new).astype(self.dt0.dtype))
