"""Curvature observed along a run: whether its gradients refute estimated constants."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from ...dynamics.vector_fields.estimates import Supposition

_SLACK = 1e-6  # relative: what rounding may do to a quotient of differences
_LEAST = 1e-4  # of the points' size: closer ones have no digits left in their difference


def refutation(condition: Supposition, grad: Callable[[Any], Any], x: Any, k: Any) -> str:
    """What the gradients at consecutive points say against estimated constants, as a sentence; "" if nothing.

    For f in F(mu, L) and points y_i, y_j with gradients g_i, g_j: mu |y_i - y_j|^2 <= <g_i - g_j, y_i - y_j>, and
    co-coercivity, |g_i - g_j|^2 <= L <g_i - g_j, y_i - y_j>.

    Args:
        condition: the estimated mu and L.
        grad: the gradient at one point.
        x: the points, with an axis of them first.
        k: their step numbers.
    """
    with jax.enable_x64(True):
        rows: Any = jax.vmap(lambda one: ravel_pytree(one)[0])
        points = jax.tree.map(jnp.asarray, x)
        y = np.asarray(rows(points), np.float64)
        g = np.asarray(rows(jax.jit(jax.vmap(grad))(points)), np.float64)
    dy, dg = np.diff(y, axis=0), np.diff(g, axis=0)
    square, product, change = (np.sum(a * b, axis=1) for a, b in ((dy, dy), (dg, dy), (dg, dg)))
    far = (square > (_LEAST * np.abs(y).max()) ** 2) & (change > 0)
    if not far.any():
        return ""
    steps = [f"between steps {a} and {b}" for a, b in pairwise(k)]
    with np.errstate(divide="ignore", invalid="ignore"):
        curvature = np.where(far, product / square, np.inf)
        steepness = np.where(far & (product > 0), change / product, np.where(far, np.inf, 0))
    low, high = (
        int(np.argmin(curvature)),
        int(np.argmax(np.where(far & (product > 0), steepness, 0))),
    )
    if curvature[low] < 0:
        return f"that is refuted: the curvature is {curvature[low]:.4g} {steps[low]}, so that f is not convex."
    if steepness[high] > condition.L * (1 + _SLACK):
        return (
            f"that is refuted: L is at least {steepness[high]:.4g}, by co-coercivity {steps[high]}."
        )
    if curvature[low] < condition.mu * (1 - _SLACK):
        return f"that is refuted: mu is at most {curvature[low]:.4g} {steps[low]}."
    return ""
