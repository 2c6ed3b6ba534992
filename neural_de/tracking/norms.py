"""Norms of pytrees with gradients everywhere, and the error in units of the tolerance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

Norm: TypeAlias = Callable[[Any], Any]


def real_dtype(tree: PyTree) -> Any:
    """The floating type of the moduli of a tree's entries."""
    with jax.numpy_dtype_promotion("standard"):
        return jnp.zeros((), jnp.result_type(*jax.tree.leaves(tree))).real.dtype


def is_zero(tree: PyTree) -> Bool[Array, ""]:
    """Whether every entry is zero; True for a tree without leaves."""
    leaves = [jnp.all(x == 0) for x in jax.tree.leaves(tree)]
    return jnp.all(jnp.stack(leaves)) if leaves else jnp.asarray(True)


def mean_square(tree: PyTree) -> Float[Array, ""]:
    """sum |x|^2 / number of entries, over all leaves."""
    leaves = [jnp.asarray(x) for x in jax.tree.leaves(tree)]
    entries = sum(x.size for x in leaves)
    total = sum(jnp.sum((x * jnp.conj(x)).real) for x in leaves)
    return jnp.asarray(total) / max(entries, 1)


def rms(tree: PyTree) -> Float[Array, ""]:
    """The root of `mean_square`; its gradient at zero is not a number."""
    return jnp.sqrt(mean_square(tree))


def safe(norm: Norm, tree: PyTree) -> Float[Array, ""]:
    """``norm(tree)``, with value and gradient 0 where the tree is zero.

    A norm has no gradient at zero. A step with zero error (a constant field, masked samples) would
    put NaN into every gradient, even where its cotangent is zero.
    """
    zero = is_zero(tree)
    moved = jax.tree.map(lambda x: jnp.where(zero, jnp.ones_like(x), x), tree)
    value = jnp.asarray(norm(moved))
    return jnp.where(zero, jnp.zeros_like(value), value)


def ratio(top: Float[Array, ""], bottom: Float[Array, ""]) -> Float[Array, ""]:
    """top / bottom, and 0 (with gradient 0) where the bottom is zero or either is not finite."""
    fine = (bottom > 0) & jnp.isfinite(top) & jnp.isfinite(bottom)
    one, zero = jnp.ones_like(bottom), jnp.zeros_like(top)
    return jnp.where(fine, jnp.where(fine, top, zero) / jnp.where(fine, bottom, one), zero)


def scaled_error(
    error: PyTree, y0: PyTree, y1: PyTree, rtol: Any, atol: Any, norm: Norm
) -> Float[Array, ""]:
    """E = norm(error / (atol + rtol max(|y0|, |y1|))), the step being accepted when E < 1.

    Args:
        error, y0, y1: the embedded error and the state at both ends of a step, all of one structure.
        rtol, atol: tolerances of the step-size controller.
        norm: the controller's norm.

    Returns:
        A scalar without unit. 0 (with gradient 0) where an entry is not finite: such a step is
        rejected, and its gradient must not spoil the others.
    """

    def scaled(e: Any, a: Any, b: Any) -> Any:
        size = jnp.maximum(jnp.abs(a), jnp.abs(b))
        real = size.dtype
        scale = jnp.asarray(atol, real) + size * jnp.asarray(rtol, real)
        fine = (scale > 0) & jnp.isfinite(e) & jnp.isfinite(scale)
        top = jnp.where(fine, e, jnp.zeros_like(e))
        return top / jnp.where(fine, scale, jnp.ones_like(scale)), jnp.all(fine | (e == 0))

    flat: Any = jax.tree.structure(error)
    pairs = [
        scaled(e, a, b)
        for e, a, b in zip(
            jax.tree.leaves(error), flat.flatten_up_to(y0), flat.flatten_up_to(y1), strict=True
        )
    ]
    if not pairs:
        return jnp.zeros(())
    fine = jnp.all(jnp.stack([ok for _, ok in pairs]))
    return safe(norm, flat.unflatten([jnp.where(fine, x, jnp.zeros_like(x)) for x, _ in pairs]))
