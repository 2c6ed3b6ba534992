"""What an instrumented solve refuses, each with a sentence."""

from __future__ import annotations

import warnings
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from .._errors import OdescentError, OdescentWarning


def check_tolerance(rtol: Any, atol: Any, dtype: Any, paper: int | None) -> None:
    """Refuse a tolerance that the numbers cannot resolve; warn where the error estimate is mostly rounding.

    Args:
        rtol, atol: of the controller; traced ones are not looked at.
        dtype: of the state.
        paper: set for the papers' own settings (1.4e-8 in float32), which pass.

    Raises:
        OdescentError: a negative or vanishing tolerance, or one below the resolution of the type.
    """
    try:
        r, a = float(np.max(np.asarray(rtol))), float(np.max(np.asarray(atol)))
    except jax.errors.TracerArrayConversionError:
        return
    if not (r >= 0 and a >= 0 and 0 < r + a < np.inf):
        raise OdescentError(f"tolerances must be positive numbers, not rtol={r:g} and atol={a:g}.")
    eps = float(np.finfo(dtype).eps)
    name = jnp.dtype(dtype).name
    if paper is None and r + a < eps:
        raise OdescentError(
            f"the tolerance rtol + atol = {r + a:.2g} is below the resolution of {name} ({eps:.2g}), where the error "
            "estimate is rounding: loosen it, use float64, or give paper=2021 or 2023 to do as the papers did."
        )
    if paper is None and r + a < 10 * eps:
        warnings.warn(
            f"the tolerance rtol + atol = {r + a:.2g} is within ten times the resolution of {name} ({eps:.2g}): the "
            "error estimate is mostly rounding.",
            OdescentWarning,
            stacklevel=4,
        )


def check_field(field: Any, t: Any, y0: PyTree, args: Any, name: str) -> None:
    """Refuse a vector field whose values do not match the state.

    Raises:
        OdescentError: another structure, another shape or another type.
    """
    out = eqx.filter_eval_shape(field, jnp.asarray(t), y0, args)
    found: Any = jax.tree.structure(out)
    if found != jax.tree.structure(y0):
        raise OdescentError(
            f"the {name} returns {found} for a state {jax.tree.structure(y0)}: it must return one "
            "derivative for each leaf of y0."
        )
    for f, y in zip(jax.tree.leaves(out), jax.tree.leaves(y0), strict=True):
        if f.shape != y.shape or f.dtype != y.dtype:
            raise OdescentError(
                f"the {name} returns shape {f.shape} of {f.dtype} for a state of shape {y.shape} of {y.dtype}: they "
                "must be the same."
            )


def check_adjoint(adjoint: Any) -> None:
    """Refuse an adjoint that returns no solver state at all."""
    if isinstance(adjoint, dfx.ImplicitAdjoint):
        raise OdescentError(
            "ImplicitAdjoint returns no solver state, and so no statistics: use RecursiveCheckpointAdjoint."
        )


@jax.custom_vjp
def _cut(tree: PyTree) -> PyTree:
    return tree


def _cut_backward(_: None, cotangent: PyTree) -> tuple[PyTree]:
    raise OdescentError(
        "this adjoint cuts the gradient of the statistics, which passes through the solver's state: use "
        "RecursiveCheckpointAdjoint or DirectAdjoint, or the regularizer local()."
    )


_cut.defvjp(lambda tree: (tree, None), _cut_backward)


def without_gradient(tree: PyTree) -> PyTree:
    """The same values; a gradient through them raises OdescentError."""
    numbers, rest = eqx.partition(tree, eqx.is_inexact_array)
    return eqx.combine(_cut(numbers), rest)
