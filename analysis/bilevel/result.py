"""Results of bilevel searches, with the state from which a search goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from ..._support.rendering.rendered import Rendered

_BOUND = (
    "the length of G_y is at least a constant times the distance of y to the minimizers of G, and of sigma F + G "
    "likewise, with one constant for all small sigma, as strong convexity implies; where G has several minimizers, the "
    "one with the least F is sought"
)
ASSUMES = {
    "implicit": "G has one minimizer near the start of each search, at which its Hessian in y is definite",
    "penalty": _BOUND,
    "single_loop": f"{_BOUND}; and the steps in y and z are short enough, and longer than those in x",
}


@dataclass(frozen=True)
class BilevelResult(Rendered):
    """What a search for the solution of a bilevel problem found.

    Attributes:
        x: the upper level's point, of the shape of x0.
        y: the lower level's minimizer there, of the shape of y0.
        value: F(x, y).
        hypergradient: the gradient of the function that is minimized over x, of the shape of x0.
        success: whether the (projected) hypergradient fell below the tolerance.
        message: why it ended, in words.
        steps: iterations of the upper level, those before a `resume` included.
        method: how the hypergradient was found.
        history: by iteration: "value", "hypergradient" (its length), "lower_residual" (the length of the gradient of
            the lower levels), "lower_error" (a bound on the distance to the minimizer, where the lower level's mu is
            known), "step" and "solves" (of lower levels).
        state: what a `resume` goes on from.
    """

    x: Any
    y: Any
    value: float
    hypergradient: Any
    success: bool
    message: str
    steps: int
    method: str
    history: Mapping[str, Any]
    state: Mapping[str, Any] = field(repr=False)

    _shows = ("fields",)

    @property
    def assumes(self) -> str:
        """What the hypergradient stands on, of which nothing is checked but the curvature at the minimizers found."""
        return ASSUMES[self.method]


def result_of(
    state: Mapping[str, Any], success: bool, message: str, shapes: Any, method: str
) -> BilevelResult:
    """The result of a search in some state.

    Args:
        state: the point "x", the "fast" blocks, the "gradient", the number of "steps" and the "history" of rows.
        success: whether it ended where it should.
        message: why it ended.
        shapes: what gives flat arrays the shapes of x and of y.
        method: how the hypergradient was found.
    """
    rows = state["history"]
    names = rows[0].keys() if rows else ()
    history = {n: np.array([r[n] for r in rows]) for n in names}
    shape_x, shape_y = shapes
    last = rows[-1] if rows else {}
    return BilevelResult(
        jax.tree.map(np.asarray, shape_x(state["x"])),
        jax.tree.map(np.asarray, shape_y(state["fast"][0])),
        float(last.get("value", np.nan)),
        jax.tree.map(np.asarray, shape_x(state["gradient"])),
        success, message, int(state["steps"]), method, history, dict(state),
    )  # fmt: skip
