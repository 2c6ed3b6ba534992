"""Checks of the arguments of an instrumented solve."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ..._support.errors import OdescentError, OdescentWarning, expected
from ..regularization.penalty import Regularizer

YEARS = (2021, 2023)
_KINDS: dict[str, tuple[type, str]] = {
    "solver": (dfx.AbstractSolver, "a diffrax solver, as diffrax.Tsit5() is"),
    "controller": (
        dfx.AbstractStepSizeController,
        "a diffrax controller, as diffrax.StepTo(ts) is",
    ),
    "saveat": (dfx.SaveAt, "a diffrax.SaveAt, as diffrax.SaveAt(ts=ts) is"),
    "adjoint": (dfx.AbstractAdjoint, "a diffrax adjoint, as diffrax.DirectAdjoint() is"),
    "regularizer": (
        Regularizer,
        "a regularizer, as error() and regularizer('error+0.5*steps') are",
    ),
}


def check_arguments(given: Mapping[str, Any], max_steps: Any, paper: Any) -> None:
    """Reject a name or a class in place of an object, and invalid numbers of steps and years.

    Args:
        given: arguments of `solve` by name; None is left to the default.
        max_steps, paper: arguments of `solve`.

    Raises:
        OdescentError: an argument of another kind.
    """
    for name, value in given.items():
        kind, what = _KINDS[name]
        if value is not None and not isinstance(value, kind):
            raise expected(f"{name}=", what, value)
    whole = isinstance(max_steps, int) and not isinstance(max_steps, bool)
    if max_steps is not None and not (whole and max_steps >= 1):
        raise expected("max_steps=", "a whole number, at least 1, or None", max_steps)
    if paper is not None and paper not in YEARS:
        raise expected("paper=", "2021 or 2023", paper)


def check_length(length: Any, name: str) -> None:
    """Reject a length of time that is not one positive number; of a traced one only the shape is checked."""
    try:
        number: Any = jnp.asarray(length)
    except (TypeError, ValueError, OverflowError):
        raise expected(name, "a length of time", length) from None
    known = None if isinstance(number, jax.core.Tracer) else np.asarray(number)
    if number.shape or (known is not None and not (np.isreal(known) and abs(known) > 0)):
        raise expected(name, "one positive number", length)


def check_tolerance(rtol: Any, atol: Any, dtype: Any, paper: int | None) -> None:
    """Refuse a tolerance that the numbers cannot resolve; warn where the error estimate is mostly rounding.

    Args:
        rtol, atol: of the controller; traced ones are not checked.
        dtype: of the state.
        paper: set for the papers' own settings (1.4e-8 in float32), which pass.

    Raises:
        OdescentError: a negative or vanishing tolerance, or one below the resolution of the type.
    """
    try:
        r, a = float(np.max(np.asarray(rtol))), float(np.max(np.asarray(atol)))
    except jax.errors.TracerArrayConversionError:
        return
    except (TypeError, ValueError, OverflowError):
        raise OdescentError(
            f"tolerances must be positive numbers, not rtol={rtol!r} and atol={atol!r}."
        ) from None
    if not (r >= 0 and a >= 0 and 0 < r + a < np.inf):
        raise OdescentError(f"tolerances must be positive numbers, not rtol={r:g} and atol={a:g}.")
    info: Any = jnp.finfo  # knows bfloat16, carries no types
    eps = float(info(dtype).eps)
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

    Args:
        field: (t, y, args) -> dy/dt.
        t, y0, args: where it is traced; nothing is evaluated.
        name: what it is called in the sentence.

    Raises:
        OdescentError: other arguments, another structure, another shape or another type.
    """
    out = shapes_of(field, t, y0, args, name)
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


def shapes_of(field: Any, t: Any, y0: PyTree, args: Any, name: str) -> PyTree:
    """The shapes of a field's values, as `check_field`; OdescentError where it is no function of (t, y, args)."""
    try:
        signature = inspect.signature(field)
    except ValueError:  # of what is built in there is none
        pass
    else:
        try:
            signature.bind(t, y0, args)
        except TypeError:
            raise OdescentError(
                f"the {name} must be a function of (t, y, args), not of {signature}."
            ) from None
    return eqx.filter_eval_shape(field, jnp.asarray(t), y0, args)


def check_adjoint(adjoint: Any) -> None:
    """Refuse an adjoint that returns no solver state at all."""
    if isinstance(adjoint, dfx.ImplicitAdjoint):
        raise OdescentError(
            "ImplicitAdjoint returns no solver state, and so no statistics: use RecursiveCheckpointAdjoint."
        )


def check_way_back(solver: Any) -> None:
    """Refuse a stochastic Runge-Kutta method for the equation that BacksolveAdjoint solves backwards."""
    if isinstance(solver, dfx.AbstractSRK):
        raise OdescentError(
            f"{type(solver).__name__} needs separate drift and noise, and the adjoint equation combines them: use "
            "RecursiveCheckpointAdjoint, or another backward solver, as in BacksolveAdjoint(solver=diffrax.Heun())."
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
