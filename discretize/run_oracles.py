"""What a run goes by: the emitted module of an algorithm, and the functions behind the oracles that it asks."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array

from odescent._errors import OdescentError
from odescent.dynamics.oracles import Objective, consensus_point

from .emit import load
from .iteration import Algorithm


def module_of(algorithm: Algorithm, normals: str = "counter") -> ModuleType:
    """The emitted JAX module that a run goes by: with its draws asked for, where they come from counters."""
    counted = normals == "counter" and algorithm.tuned.draws
    return load(algorithm, "jax_drawn" if counted else "jax")


def oracles_for(
    algorithm: Algorithm, module: ModuleType, objective: Objective
) -> dict[str, Callable[..., Any]]:
    """The functions behind the oracle arguments of the module."""
    asked = [
        n
        for f in (module.step, module.init, module.output)
        for n in inspect.signature(f).parameters
    ]
    names = [n for n in dict.fromkeys(asked) if n not in {"state", "c", "draw", "key", "x0"}]
    return {n: oracle_of(algorithm.name or "the algorithm", objective, n) for n in names}


def oracle_of(who: str, objective: Objective, name: str) -> Callable[..., Any]:
    """The function for one argument, of the objective or made of its oracles; OdescentError if there is none."""
    kind = name.partition("_")[0]
    for candidate in (name, kind):
        if candidate in objective.oracles:
            return objective.oracles[candidate]
    if (derived := _component(objective, kind, name)) is not None:
        return derived
    if kind == "ensemble" and "value" in objective.oracles:
        return consensus_point(objective.oracles["value"])
    if kind == "hvp" and "hess" in objective.oracles:
        return objective.oracles["hess"]
    base = {"hvp": "grad", "jvp": "operator"}.get(kind)
    if base in objective.oracles:
        field = objective.oracles[base]
        return lambda x, v: jax.jvp(field, (x,), (v,))[1]
    have = ", ".join(sorted(objective.oracles)) or "none: it is abstract"
    raise OdescentError(
        f"{who} calls the oracle {name!r}, which the objective {objective.name!r} does not have "
        f"(it has {have}); give it by name, as in Objective(..., {kind}=...)."
    )


def _component(objective: Objective, kind: str, name: str) -> Callable[..., Any] | None:
    """Components of whole oracles: partial derivatives, operators' components, the Hessian's diagonal.

    A partial derivative costs as much as a value here; an oracle "partial" of the objective can cost less.
    """
    oracles = objective.oracles
    if kind == "partial" and "value" in oracles:
        value = oracles["value"]

        def partial(x: Any, i: Any) -> Array:
            flat, shaped = ravel_pytree(x)
            along = jnp.zeros_like(flat).at[i].set(1)
            derivative: Array = jax.jvp(lambda z: value(shaped(z)), (flat,), (along,))[1]
            return derivative

        return partial
    whole = {"partial": "grad", "component": "operator"}.get(kind)
    if whole in oracles:
        field = oracles[whole]
        return lambda x, i: ravel_pytree(field(x))[0][i]
    if name == "map_hessian_diagonal" and "grad" in oracles:
        grad = oracles["grad"]

        def diagonal(x: Any) -> Any:
            flat, shaped = ravel_pytree(x)
            slope = lambda z: ravel_pytree(grad(shaped(z)))[0]
            entry = lambda e: jax.jvp(slope, (flat,), (e,))[1] @ e
            return shaped(jax.lax.map(entry, jnp.eye(flat.size, dtype=flat.dtype)))

        return diagonal
    return None


__all__ = ["module_of", "oracle_of", "oracles_for"]
