"""The increment of a step from what is known of the Brownian path at its start.

A path is drawn at a time by going down its tree, which dominates small SDEs. A step begins where the last one
ended, or where a rejected one began, so that only its end is new.
"""

from __future__ import annotations

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp

from .brownian import BrownianTree
from .unrolled import Unrolled

_READ_ENDS = (dfx.AbstractSRK.step, dfx.AbstractERK.step, Unrolled.step)


class Increment(dfx.AbstractBrownianPath[Any]):
    """The path on one step, from W and H at both of its ends, whichever of them is the earlier one."""

    path: BrownianTree
    ends: tuple[Any, Any]

    def __init__(self, path: BrownianTree, ends: tuple[Any, Any]) -> None:
        self.path, self.ends = path, ends

    @property
    def t0(self) -> Any:  # type: ignore[override]
        return self.path.t0

    @property
    def t1(self) -> Any:  # type: ignore[override]
        return self.path.t1

    @property  # type: ignore[misc]
    def levy_area(self) -> Any:  # type: ignore[override]
        return self.path.levy_area

    def evaluate(self, t0: Any, t1: Any = None, left: bool = True, use_levy: bool = False) -> Any:
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
    """W and H up to t, in the solver's own time; None unless a step reads the path at its two ends alone.

    Known to do so are diffrax's stochastic and explicit Runge-Kutta steps on the paths that `solve` makes. A HalfSolver
    reads the middle, too, as a step of a user's own may.
    """
    *outer, noise = _layers(terms) or [None]
    path, step = getattr(noise, "control", None), getattr(type(solver), "step", None)
    if not isinstance(path, BrownianTree) or step not in _READ_ENDS:
        return None
    for layer in outer:
        t = t * jnp.asarray(layer.direction, t.dtype)
    return jax.lax.stop_gradient(path.from_start(t))


def drawn(terms: Any, start: Any, end: Any) -> Any:
    """The terms on the step between two readings; as they are if there is none."""
    if start is None:
        return terms
    path: Any = lambda terms: _layers(terms)[-1].control
    return eqx.tree_at(path, terms, Increment(path(terms), (start, end)))
