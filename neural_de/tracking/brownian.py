"""The Brownian path of a solve: its resolution, with one evaluation per end of a step."""

from __future__ import annotations

import math
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from .unrolled import StageByStage
from .wrapping import attribute_of, of_wrapped

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

    t0 = of_wrapped("tree", "t0")
    t1 = of_wrapped("tree", "t1")
    levy_area = of_wrapped("tree", "levy_area")

    def evaluate(self, t0: Any, t1: Any = None, left: bool = True, use_levy: bool = False) -> Any:
        """W(t0), or the increment W(t1) - W(t0).

        Args:
            t0: time.
            t1: time; None for the value at t0.
            left: ignored; the path is continuous.
            use_levy: return the Levy area as well, as one of diffrax's records.
        """
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
        """The path on one step.

        Args:
            a, b: W and H from the start to the ends of the step.
            use_levy: whether H is needed.

        Returns:
            W(b) - W(a); with H a `SpaceTimeLevyArea`.
        """
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

    Returns:
        A length of time.

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
        raise OdescentError(
            f"brownian_tolerance must be a positive length of time, not {short(given)}."
        )
    if not isinstance(span, jax.core.Tracer) and length >= float(span) / 2:
        raise OdescentError(
            f"brownian_tolerance={length:g} leaves no step inside an interval that is {float(span):g} long: give "
            "less than half of it."
        )


# A path is drawn at a time by going down its tree, which dominates small SDEs. A step begins where the last one
# ended, or where a rejected one began, so that only its end is new.
_READ_ENDS = (dfx.AbstractSRK.step, dfx.AbstractERK.step, StageByStage.step)


class Increment(dfx.AbstractBrownianPath[Any]):
    """The path on one step, from W and H at both of its ends, whichever of them is the earlier one."""

    path: BrownianTree
    ends: tuple[Any, Any]

    def __init__(self, path: BrownianTree, ends: tuple[Any, Any]) -> None:
        self.path, self.ends = path, ends

    t0 = of_wrapped("path", "t0")
    t1 = of_wrapped("path", "t1")
    levy_area = of_wrapped("path", "levy_area")

    def evaluate(self, t0: Any, t1: Any = None, left: bool = True, use_levy: bool = False) -> Any:
        """The increment of this step; for t1 = None the path's value at t0.

        Args:
            t0: time.
            t1: time; otherwise ignored, since the ends of the step are fixed.
            left: ignored; the path is continuous.
            use_levy: return the Levy area as well, as one of diffrax's records.
        """
        if t1 is None:
            return self.path.evaluate(t0, use_levy=use_levy)
        a, b = self.ends
        ordered = jax.tree.leaves(a.dt)[0] <= jax.tree.leaves(b.dt)[0]
        first, last = (
            jax.tree.map(lambda x, y, w=w: jnp.where(w, x, y), a, b) for w in (ordered, ~ordered)
        )
        return self.path.between(first, last, use_levy)


def _layers(terms: Any) -> list[Any]:
    """The second of two terms, from what turns its time around to the term itself; none for other terms."""
    layers = []
    if isinstance(terms, dfx.MultiTerm) and len(terms.terms) == 2:
        layers.append(terms.terms[1])
        while hasattr(layers[-1], "term"):
            layers.append(layers[-1].term)
    return layers


def reading(solver: Any, terms: Any, t: Any) -> Any:
    """W and H up to t; None unless a step reads the path at its two ends alone.

    Known to do so are diffrax's stochastic and explicit Runge-Kutta steps on the paths that `solve` makes. A HalfSolver
    reads the middle, too, as a step of a user's own may.

    Args:
        solver: whose step.
        terms: of the equation.
        t: in the solver's own time.

    Returns:
        A `SpaceTimeLevyArea`, a constant for differentiation.
    """
    *outer, noise = _layers(terms) or [None]
    path, step = getattr(noise, "control", None), getattr(type(solver), "step", None)
    if not isinstance(path, BrownianTree) or step not in _READ_ENDS:
        return None
    for layer in outer:
        t = t * jnp.asarray(layer.direction, t.dtype)
    return jax.lax.stop_gradient(path.from_start(t))


def drawn(terms: Any, start: Any, end: Any) -> Any:
    """The terms on one step, whose path is known at both ends.

    Args:
        terms: of the equation.
        start, end: readings there; None for terms that stay as they are.

    Returns:
        The terms, with the path's increment in place of the path.
    """
    if start is None:
        return terms
    path: Any = lambda terms: _layers(terms)[-1].control
    return eqx.tree_at(path, terms, Increment(path(terms), (start, end)))
