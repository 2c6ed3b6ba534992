"""Continuous normalizing flows: an ODE transports a density to the standard normal one.

Along y' = f(t, y) the logarithm of a density changes by -tr df/dy (Chen et al., arXiv 1806.07366); the trace is
exact, by d Jacobian-vector products, or estimated by one (Hutchinson; FFJORD, arXiv 1810.01367).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from ..._support.arguments import checked
from ..._support.errors import OdescentError, check_choice
from ..solving.solve import Solved, solve
from .networks import TimeMLP, apply

TRACES = ("exact", "hutchinson")


class ContinuousFlow(eqx.Module):
    """A density on R^d, by a flow from the data at time 0 to a standard normal law at t1.

    Attributes:
        field: (t, y) -> dy/dt, for y of shape (batch, d), row by row.
        dimension: d.
        t1: the end of the interval [0, t1].
        trace: "exact" or "hutchinson", the default of `log_density`.
    """

    field: Any
    dimension: int = eqx.field(static=True)
    t1: float = eqx.field(static=True)
    trace: str = eqx.field(static=True)

    @checked
    def __init__(
        self,
        dimension: int,
        hidden: Sequence[int],
        key: PRNGKeyArray,
        *,
        t1: float = 1.0,
        trace: str = "exact",
        field: Any = None,
        **options: Any,
    ) -> None:
        """A `field` of your own, or a `TimeMLP` without a last activation, to which `options` go.

        Args:
            dimension: d.
            hidden: widths of the field's layers.
            key: of the weights.
            t1: the end of the interval [0, t1].
            trace: "exact" or "hutchinson".
            field: (t, y) -> dy/dt, row by row.
        """
        made = {"final": False, **options}
        self.field = TimeMLP(dimension, hidden, key, **made) if field is None else field
        check_choice("trace", trace, TRACES)
        self.dimension, self.t1, self.trace = dimension, t1, trace

    def log_density(
        self,
        x: Float[Array, "batch d"],
        key: Any = None,
        *,
        trace: str | None = None,
        **options: Any,
    ) -> tuple[Float[Array, "batch"], Solved]:
        """The logarithm of the density at each row.

        Args:
            x: points.
            key: of Hutchinson's probes, which stay the same along a solve, and of regularizers.
            trace: "exact", or "hutchinson" for an unbiased estimate of the logarithm.
            options: of `solve`.

        Returns:
            Logarithms, in nats, and the solve, whose state is (y, the integral of the trace).

        Raises:
            OdescentError: rows of another dimension, an unknown trace, no key for Hutchinson's.
        """
        if x.ndim != 2 or x.shape[1] != self.dimension:
            raise OdescentError(
                f"the flow takes points of shape (batch, {self.dimension}), not {x.shape}."
            )
        trace = self.trace if trace is None else trace
        check_choice("trace", trace, TRACES)
        probe = None
        if trace == "hutchinson":
            if key is None:
                raise OdescentError(
                    "Hutchinson's trace draws at random: give key=jax.random.key(0)."
                )
            if options.get("per_sample"):
                raise OdescentError(
                    "Hutchinson's probes are drawn for the batch as one state: take trace='exact' with per_sample=True."
                )
            probe = jr.rademacher(jr.fold_in(key, 1), x.shape, x.dtype)
        start = (x, jnp.zeros(len(x), x.dtype))
        solved = solve(_with_trace, start, 0.0, self.t1, (self.field, probe), key=key, **options)
        end, change = solved.last
        normal = -0.5 * (end**2).sum(1) - 0.5 * self.dimension * jnp.log(2 * jnp.pi).astype(x.dtype)
        return normal + change, solved

    def sample(
        self, key: Any, n: int, *, dtype: Any = None, **options: Any
    ) -> tuple[Float[Array, "n d"], Solved]:
        """Draw points from the density, by the flow backwards.

        Args:
            key: of the draws.
            n: how many.
            dtype: of the points; by default that of the weights.
            options: of `solve`.

        Returns:
            The points, and the solve.
        """
        weights = [a for a in jax.tree.leaves(self.field) if eqx.is_inexact_array(a)]
        dtype = dtype or (weights[0].dtype if weights else float)
        z = jr.normal(key, (n, self.dimension), dtype)
        solved = solve(apply, z, self.t1, 0.0, self.field, **options)
        return solved.last, solved


def _with_trace(t: Any, state: Any, args: Any) -> Any:
    """The field, and the trace of its Jacobian row by row."""
    (y, _), (field, probe) = state, args

    def along(v: Any) -> Any:
        return jax.jvp(lambda y: field(t, y), (y,), (v,))

    if probe is not None:
        slope, image = along(probe)
        return slope, (image * probe).sum(1)
    trace = jnp.zeros(y.shape[:-1], y.dtype)
    for i in range(y.shape[-1]):
        slope, image = along(jnp.zeros_like(y).at[..., i].set(1))
        trace = trace + image[..., i]
    return slope, trace
