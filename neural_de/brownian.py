"""The Brownian path of a solve: how finely it is resolved, and each end of a step drawn once."""

from __future__ import annotations

import math
from typing import Any

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._errors import OdescentError
from .counting import attribute_of

USUAL = 1e-2  # tolerance of a solve with noise
# The default resolution of a path, as a fraction of the interval: of the tolerance, between two bounds.
_PER_TOLERANCE, _FINEST, _COARSEST = 1 / 8, 2.0**-12, 2.0**-7


class BrownianTree(dfx.AbstractBrownianPath[Any]):
    """A VirtualBrownianTree with space-time Levy area that goes down to both ends of a step in one loop.

    The loop's many small operations are what a path costs, not the numbers that they draw. The increments are
    diffrax's, by Chen's relation between those from the start (Jelincic, Foster and Kidger, arXiv 2405.06464).
    """

    tree: dfx.VirtualBrownianTree

    def __init__(self, tree: dfx.VirtualBrownianTree) -> None:
        self.tree = tree

    @property
    def t0(self) -> Any:  # type: ignore[override]
        return self.tree.t0

    @property
    def t1(self) -> Any:  # type: ignore[override]
        return self.tree.t1

    @property  # type: ignore[misc]
    def levy_area(self) -> Any:  # type: ignore[override]
        return self.tree.levy_area

    def evaluate(self, t0: Any, t1: Any = None, left: bool = True, use_levy: bool = False) -> Any:
        if t1 is None:
            return self.tree.evaluate(t0, use_levy=use_levy)
        from_start: Any = jax.vmap(self.from_start)
        both = from_start(jnp.stack([jnp.asarray(t0), jnp.asarray(t1)]))
        a, b = (jax.tree.map(lambda x, i=i: x[i], both) for i in (0, 1))
        return self.between(a, b, use_levy)

    def from_start(self, t: Any) -> Any:
        """W and H on [t0, t]."""
        return self.tree.evaluate(t, use_levy=True)

    def between(self, a: Any, b: Any, use_levy: bool) -> Any:
        """The increment, with H if asked for, from W and H from the start to both of its ends."""
        increment: Any = jax.tree.map(jnp.subtract, b.W, a.W)
        if not use_levy:
            return increment
        dt: Any = jax.tree.map(jnp.subtract, b.dt, a.dt)
        area = jax.tree.map(self._area, a.dt, a.W, a.H, b.dt, b.W, b.H)
        return dfx.SpaceTimeLevyArea(dt=dt, W=increment, H=area)

    def _area(self, s: Any, w_s: Any, h_s: Any, u: Any, w_u: Any, h_u: Any) -> Any:
        """H on [s, u] from W and H on [0, s] and [0, u]: t H is additive but for the bridge between the ends."""
        least = float(np.finfo(s.dtype).eps) * jnp.asarray(self.t1 - self.t0, s.dtype)
        inverse = 1 / jnp.where(jnp.abs(u - s) < least, jnp.inf, u - s)
        return inverse * (u * h_u - s * h_s - (u * w_s - s * w_u) / 2)


def resolution(
    given: Any, controller: Any, rtol: Any, atol: Any, span: Float[Array, ""]
) -> Float[Array, ""]:
    """The length of time to which a Brownian path is resolved; the shortest step is twice as long.

    A path costs a level of its tree per halving, at the end of every step, and this dominates small SDEs. It has
    the right law at times that are further apart than that, so that what counts is the shortest step. The steps
    of SPaRK shrink about in proportion to the tolerance (its error estimate has order 1). Measured on three SDEs (the
    spiral, and neural ones as they begin), in units of the tolerance times the interval: one step in twenty is shorter
    than 0.2 to 0.5 at 1e-1, and than 1.6 to 2.7 from 1e-2 to 1e-3. An eighth of the tolerance, within 2^-12 and
    2^-7 of the interval, leaves room for them; where more is asked for, steps are held at the shortest, and
    `statistics.error.maximum` exceeds 1.

    Args:
        given: a length instead, or None.
        controller: of the user, or None; twice the resolution is then not above its `dtmin`.
        rtol, atol: of the solve, or None; the smaller one that is not zero counts.
        span: of the solve.

    Raises:
        OdescentError: a length that is not positive, or not below half of the interval.
    """
    if given is not None:
        check_resolution(given, span)
        return jnp.asarray(given, span.dtype)
    shortest = attribute_of(controller, "dtmin")
    if shortest is not None:
        return jnp.asarray(shortest, span.dtype) / 2
    tolerances = [USUAL if t is None else t for t in (rtol, atol)]
    if controller is not None or not all(isinstance(t, int | float) for t in tolerances):
        return span * _FINEST
    smallest = min((t for t in tolerances if t > 0), default=0.0)
    return span * min(max(_PER_TOLERANCE * smallest, _FINEST), _COARSEST)


def check_resolution(given: Any, span: Any) -> None:
    """OdescentError for a resolution that no path on this interval can have."""
    if isinstance(given, jax.core.Tracer):
        return
    length = float(given)
    if not (math.isfinite(length) and length > 0):
        raise OdescentError(f"brownian_tolerance is a positive length of time, not {given!r}.")
    if not isinstance(span, jax.core.Tracer) and length >= float(span) / 2:
        raise OdescentError(
            f"brownian_tolerance={length:g} leaves no step inside an interval that is {float(span):g} long: give "
            "less than half of it."
        )
