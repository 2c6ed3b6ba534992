"""Stiffness estimates from the stages of a Runge-Kutta step.

Shampine's estimate (Hairer and Wanner, Solving ODEs II, section IV.2): two stages at the same time t
differ in state only, so that |f(g_i) - f(g_j)| / |g_i - g_j| estimates the size of the Jacobian.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from ..._support.errors import OdescentError
from .norms import Norm, ratio, safe
from .wrapping import innermost


@cache
def _coefficients(kind: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(A, b, c) of a solver class with one Butcher tableau, whole; None for any other."""
    tableau = getattr(kind, "tableau", None)
    if not isinstance(tableau, dfx.ButcherTableau):
        return None
    n = tableau.num_stages
    a = np.zeros((n, n))
    for i, row in enumerate(tableau.a_lower):
        a[i + 1, : i + 1] = row
    if tableau.a_diagonal is not None:
        a += np.diag(tableau.a_diagonal)
    return a, np.asarray(tableau.b_sol, float), np.concatenate([[tableau.c1 or 0.0], tableau.c])


@cache
def _same_time_pair(kind: Any) -> tuple[int, int] | None:
    """The last two stages at the same time whose states differ."""
    found = _coefficients(kind)
    if found is None:
        return None
    a, _, c = found
    for i in range(len(c) - 1, 0, -1):
        for j in range(i - 1, -1, -1):
            if np.isclose(c[i], c[j]) and not np.allclose(a[i], a[j]):
                return i, j
    return None


def check_stages(solver: Any, kind: str, noisy: bool) -> None:
    """Refuse a stiffness estimate that the solver's stages cannot give.

    Args:
        solver: of diffrax.
        kind: "shampine" or "jvp".
        noisy: whether the terms have noise.

    Raises:
        OdescentError: the solver has no two stages at the same time, or noise is mixed into them.
    """
    if kind == "jvp":
        return
    made_by: Any = type(solver)
    if _same_time_pair(made_by) is None:
        raise OdescentError(
            f"{type(solver).__name__} has no two stages at the same time, which Shampine's stiffness estimate "
            "compares: use Tsit5, Dopri5 or Dopri8, or stiffness(kind='jvp')."
        )
    if noisy:
        raise OdescentError(
            f"the stages of {type(solver).__name__} contain the noise, so they do not measure the drift's "
            "stiffness: use stiffness(kind='jvp')."
        )


def combined(weights: Any, stages: Sequence[PyTree]) -> PyTree:
    """The sum of weight times stage, without those of weight zero: one fused pass, where a dot needs a buffer."""
    used = [(float(w), k) for w, k in zip(weights, stages, strict=True) if w != 0]

    def total(*leaves: Any) -> Any:
        first, *rest = (w * x for (w, _), x in zip(used, leaves, strict=True))
        return sum(rest, first)

    if not used:
        return jax.tree.map(jnp.zeros_like, stages[0])
    return jax.tree.map(total, *(k for _, k in used))


def _difference(kind: Any, stages: Sequence[PyTree] | None, y0: PyTree, y1: PyTree) -> PyTree:
    """g_i - g_j of two late stages, without cancellation; the step's increment if there are none."""
    found, pair = _coefficients(kind), _same_time_pair(kind)
    if stages is None or found is None or pair is None:
        return jax.tree.map(lambda a, b: b - a, y0, y1)
    row = found[0][pair[0]] - found[0][pair[1]]
    return combined(row[: len(stages)], stages[: len(row)])


def shampine(
    kind: Any, stages: Sequence[PyTree], y0: PyTree, h: Any, norm: Norm
) -> Float[Array, ""]:
    """|f(g_i) - f(g_j)| / |g_i - g_j|, in 1/time; 0 where the stages coincide.

    Args:
        kind: the solver's class, with two stages at the same time.
        stages: one by one, times h.
        y0: of the structure of states.
        h: the step's length.
        norm: of states.

    Returns:
        A number in 1/time. In float32 and at tight tolerances the difference of the stages is rounding; `along` is not.
    """
    i, j = _same_time_pair(kind) or (-1, -2)
    slopes = jax.tree.map(jnp.subtract, stages[i], stages[j])
    apart = safe(norm, _difference(kind, stages, y0, y0))
    return ratio(safe(norm, slopes), apart * jnp.abs(h).astype(apart.dtype))


def direction(
    kind: Any, stages: Sequence[PyTree] | None, y0: PyTree, y1: PyTree, norm: Norm
) -> tuple[PyTree, Any]:
    """The direction v along which a Jacobian-vector product measures stiffness.

    v is the difference of the two late stages where the solver has them, and the step's increment otherwise
    (stochastic solvers).

    Args:
        kind: the solver's class.
        stages: one by one, times h, the last one may be missing; None if they are not informative.
        y0, y1: states at both ends of the step.
        norm: of states.

    Returns:
        v / |v|, zero where v is, and |v|.
    """
    v = _difference(kind, stages, y0, y1)
    size = safe(norm, v)
    return jax.tree.map(lambda x: x / jnp.where(size > 0, size, 1).astype(x.dtype), v), size


def slope_along(image: PyTree, unit: PyTree, size: Any, h: Any, norm: Norm) -> Float[Array, ""]:
    """|J v| / |v| from the image of a unit direction.

    Args:
        image: h J v / |v|.
        unit, size: v / |v| and |v|, of `direction`.
        h: the step's length.
        norm: of states.

    Returns:
        A number in 1/time; 0 where v is zero.
    """
    slope = safe(norm, image)
    length = jnp.abs(h).astype(slope.dtype)
    return jnp.where(size > 0, ratio(slope, length * safe(norm, unit)), jnp.zeros_like(slope))


def along(
    kind: Any,
    stages: Sequence[PyTree] | None,
    terms: Any,
    t0: Any,
    t1: Any,
    y0: PyTree,
    y1: PyTree,
    args: Any,
    norm: Norm,
) -> Float[Array, ""]:
    """|J v| / |v| in 1/time by one Jacobian-vector product of the drift at the end of the step, v as in `direction`.

    Nothing cancels, so that it holds in float32 too.

    Args:
        kind, stages, norm: as of `direction`.
        terms, t0, t1, y0, args: of the step.
        y1: where it ended.
    """
    drift = terms.terms[0] if isinstance(terms, dfx.MultiTerm) else terms
    if not isinstance(drift, dfx.AbstractTerm):
        raise OdescentError("stiffness is defined for one vector field, not for several terms.")
    control = drift.contr(t0, t1)
    unit, size = direction(kind, stages, y0, y1, norm)
    _, image = jax.jvp(lambda y: drift.vf_prod(t1, y, args, control), (y1,), (unit,))
    return slope_along(image, unit, size, t1 - t0, norm)


@cache
def _stability_size(kind: Any) -> float:
    found = _coefficients(kind)
    if found is None:
        return 1.0
    a, b, _ = found
    one = np.ones(len(b))

    def beyond(x: float) -> bool:
        return bool(abs(1 - x * b @ np.linalg.solve(np.eye(len(b)) + x * a, one)) > 1 + 1e-12)

    grid = np.linspace(0.0, 100.0, 4001)[1:]
    out = next((x for x in grid if beyond(x)), None)
    if out is None:
        return float("inf")
    low, high = out - grid[0], out
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if beyond(middle) else (middle, high)
    return float(low)


def stability_size(solver: Any) -> float:
    """The length of the interval of absolute stability on the negative real axis.

    inf for a method that is stable on all of it (implicit methods), 1 for a solver without one
    Butcher tableau. An explicit step is held back by stability when S h exceeds this number.
    """
    kind: Any = type(innermost(solver))
    return _stability_size(kind)
