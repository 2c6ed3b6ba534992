"""A step of any solver together with estimates of its stiffness, from as few evaluations as the solver allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
from jaxtyping import Array, Float

from .evaluations import has_noise, has_values
from .norms import Norm
from .stages import along, direction, shampine, slope_along
from .unrolled import Unrolled


def step_with_stiffness(
    solver: Any,
    kinds: Sequence[str],
    norm: Norm,
    terms: Any,
    t0: Any,
    t1: Any,
    y0: Any,
    args: Any,
    state: Any,
    made_jump: Any,
) -> tuple[tuple[Any, Any, Any, Any, Any], dict[str, Float[Array, ""]]]:
    """What `solver.step` returns, and the stiffness by kind ("shampine", "jvp"), in 1/time.

    Of a method that ends at its last stage, the stage and the Jacobian-vector product there are one pass.
    """
    point = (terms, t0, t1, y0, args)
    own = isinstance(solver, Unrolled) and has_values(*point)
    if not (kinds and own):
        taken = solver.step(*point, state, made_jump)
        dense = taken[2]
        k = dense.get("k") if kinds and not has_noise(terms) else None
        stages = None if k is None else _listed(k)
        return taken, {kind: _after(kind, solver, stages, norm, *point, taken[0]) for kind in kinds}
    found: list[Any] = []

    def unit(stages: Any, y0: Any, y1: Any) -> Any:
        found[:] = direction(type(solver), stages, y0, y1, norm)
        return found[0]

    with_product = "jvp" in kinds and solver.ends_at_its_last_stage
    taken, stages, image = solver.step_and_stages(*point, state, unit if with_product else None)
    known = {}
    if with_product:
        vector, size = found
        known["jvp"] = slope_along(image, vector, size, t1 - t0, norm)
    rest = [kind for kind in kinds if kind not in known]
    return taken, known | {
        kind: _after(kind, solver, stages, norm, *point, taken[0]) for kind in rest
    }


def _after(
    kind: str, solver: Any, stages: Any, norm: Norm, terms: Any, t0: Any, t1: Any, y0: Any, args: Any, y1: Any
) -> Float[Array, ""]:  # fmt: skip
    made_by = type(solver)
    if kind == "shampine":
        return shampine(made_by, stages, y0, t1 - t0, norm)
    return along(made_by, stages, terms, t0, t1, y0, y1, args, norm)


def _listed(stages: Any) -> list[Any]:
    """Stages one by one, from leaves of shape (stages, ...)."""
    n = len(jax.tree.leaves(stages)[0])
    return [jax.tree.map(lambda k, i=i: k[i], stages) for i in range(n)]
