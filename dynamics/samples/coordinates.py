"""Gradients by differences along the coordinates: all of them, or those that a mask leaves, in blocks.

Central ones are the mean over the law "coordinate" of the difference along a sample.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from ..._support.arguments import checked
from ..._support.errors import OdescentError, check_choice, shown
from ..._support.numbers import check_whole, real


@checked
def coordinate_differences(
    fun: Callable[..., Any],
    radius: float | Array,
    difference: str = "central",
    mask: Any = None,
    block: int = 128,
) -> Callable[[PyTree[Float[Array, "..."]]], PyTree[Float[Array, "..."]]]:
    """A function's gradient by differences of its values along coordinates, as a function of the point.

    The error is r^2/6 D^3f[e_i, e_i, e_i] for central differences, two values a coordinate, and r/2 of the Hessian's
    diagonal for forward ones, one value a coordinate and one more. It is the ``grad=`` of an `Objective`.

    Args:
        fun: the function, of an array or a pytree, to a scalar; values of JAX, without side effects.
        radius: r, in the units of the point; a number, or one that JAX traces.
        difference: "central" or "forward".
        mask: True where a coordinate counts, in the structure and the shapes of the point; the others get a zero and no
            value. All of them by default.
        block: how many coordinates are evaluated at once; so many perturbed copies of the point are held.

    Returns:
        a function from a point to what has its structure; it may be compiled and mapped.

    Raises:
        OdescentError: a radius that is not positive, or below the resolution of the point's type; a mask of another
            structure, or without a coordinate.
    """
    check_choice("difference", difference, ("central", "forward"))
    size, lanes = radius, check_whole("block", block, 1)
    if not isinstance(size, jax.core.Tracer) and not 0 < real(size) < float("inf"):
        raise OdescentError(f"radius must be a positive finite number, not {shown(radius)}.")

    def gradient(x: Any) -> Any:
        flat, back = ravel_pytree(x)
        counted = np.arange(flat.size) if mask is None else _counted(mask, x)
        _check_radius(size, flat)

        def moved(i: Any, by: Any) -> Any:
            return fun(back(flat.at[i].add(by)))

        def along(i: Any) -> Any:
            if difference == "forward":
                return (moved(i, size) - here) / size
            return (moved(i, size) - moved(i, -size)) / (2 * size)

        here = fun(x) if difference == "forward" else None
        found = jax.lax.map(along, jnp.asarray(counted), batch_size=min(lanes, len(counted)))
        return back(jnp.zeros_like(flat).at[counted].set(found.astype(flat.dtype)))

    return gradient


def _counted(mask: Any, x: Any) -> np.ndarray:
    """The places that a mask leaves, in the flat point."""
    shapes = [jax.tree.map(jnp.shape, tree) for tree in (mask, x)]
    if shapes[0] != shapes[1]:
        raise OdescentError(
            f"the mask has the shapes {shapes[0]}, and the point {shapes[1]}: give True or False for each coordinate."
        )
    leaves = [np.ravel(np.asarray(leaf)).astype(bool) for leaf in jax.tree.leaves(mask)]
    found = np.flatnonzero(np.concatenate(leaves))
    if not len(found):
        raise OdescentError("the mask leaves no coordinate; give True for at least one.")
    return found


def _check_radius(radius: Any, flat: Any) -> None:
    """Refuse a known radius that rounding takes away, at a known point."""
    if isinstance(flat, jax.core.Tracer) or isinstance(radius, jax.core.Tracer):
        return
    least = float(np.finfo(flat.dtype).eps * np.abs(flat).max(initial=0))
    if radius < least:
        raise OdescentError(
            f"the radius {radius:.3g} is below the resolution of {flat.dtype} at the point, {least:.2g}: give a larger "
            "radius."
        )
