"""Stochastic terms from a drift and a diffusion, and the requirements of adaptive steps on the noise."""

from __future__ import annotations

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ..._support.errors import OdescentError, unknown
from ..tracking.brownian import BrownianTree
from ..tracking.wrapping import attribute_of
from .checks import shapes_of

NOISES = ("general", "commutative", "additive")


class DiagonalTerm(dfx.AbstractTerm[Any, Any]):
    """g(t, y, args) * dW entry by entry, for state and noise of one structure."""

    vector_field: Any
    control: dfx.AbstractBrownianPath[Any]

    def vf(self, t: Any, y: Any, args: Any) -> Any:
        """The diagonal of the diffusion matrix; see `diffrax.AbstractTerm.vf`."""
        return self.vector_field(t, y, args)

    def contr(self, t0: Any, t1: Any, **kwargs: Any) -> Any:
        return self.control.evaluate(t0, t1, **kwargs)

    def prod(self, vf: Any, control: Any) -> Any:
        return jax.tree.map(lambda g, w: g * w.astype(g.dtype), vf, control)


def stochastic_terms(
    drift: Any, diffusion: Any, t0: Any, t1: Any, y0: PyTree, args: Any, key: Any, tol: Any
) -> dfx.MultiTerm[Any]:
    """The terms of dy = f dt + g dW on a Brownian tree.

    Args:
        drift, diffusion: f(t, y, args), shaped as y0; g(t, y, args), shaped as y0 for diagonal noise (one
            Brownian motion per entry), or with further axes behind y0's for a matrix.
        t0, t1: the interval, in either order.
        key: of the Brownian motion.
        args: passed to both.
        tol: resolution of the tree, below the shortest step, in units of time.

    Returns:
        Drift and noise as diffrax's terms.

    Raises:
        OdescentError: a diffusion whose shape does not begin with the state's.
    """
    shapes = shapes_of(diffusion, t0, y0, args, "diffusion")
    structure: Any = jax.tree.structure(y0)
    if structure != jax.tree.structure(shapes):
        raise OdescentError("the diffusion must have the structure of y0, leaf by leaf.")
    diagonal, controls = True, []
    for g, y in zip(jax.tree.leaves(shapes), jax.tree.leaves(y0), strict=True):
        if g.shape[: y.ndim] != y.shape:
            raise OdescentError(
                f"the diffusion has shape {g.shape} for a state of shape {y.shape}: it must be {y.shape} for diagonal "
                f"noise, or {(*y.shape, 'm')} for m Brownian motions."
            )
        diagonal = diagonal and g.shape == y.shape
        controls.append(g.shape[y.ndim :])
    if diagonal:
        controls = [y.shape for y in jax.tree.leaves(y0)]
    struct: Any = jax.ShapeDtypeStruct
    wanted = [struct(c, y.dtype) for c, y in zip(controls, jax.tree.leaves(y0), strict=True)]
    tree = dfx.VirtualBrownianTree(
        t0=jnp.minimum(t0, t1),
        t1=jnp.maximum(t0, t1),
        tol=tol,
        shape=structure.unflatten(wanted),
        key=key,
        levy_area=dfx.SpaceTimeLevyArea,
    )
    path = BrownianTree(tree)
    term = DiagonalTerm(diffusion, path) if diagonal else dfx.ControlTerm(diffusion, path)
    return dfx.MultiTerm(dfx.ODETerm(drift), term)


def ignores_state(terms: Any, t: Any, y0: PyTree, args: Any) -> bool:
    """Whether the diffusion does not depend on the state at all: then the noise is additive.

    Args:
        terms: of the equation, drift first.
        t, y0, args: where the diffusion is traced; nothing is evaluated.

    Returns:
        False also where that cannot be seen.
    """
    if not (isinstance(terms, dfx.MultiTerm) and len(terms.terms) == 2):
        return False
    field = lambda y: terms.terms[1].vf(t, y, args)

    def tangents(y: PyTree) -> Any:
        return eqx.filter_jvp(field, (y,), (jax.tree.map(jnp.ones_like, y),))[1]

    return not jax.tree.leaves(eqx.filter_eval_shape(tangents, y0))


def check_noise(
    noise: str | None, controller: Any, terms: Any, t: Any, y0: PyTree, args: Any
) -> None:
    """Refuse adaptive steps that would bias the solution.

    A step rejected because of its Levy area conditions the noise on it, unless the time is visited again
    (Foster and Jelincic, arXiv 2311.14201).

    Args:
        noise: as `solve` takes it.
        controller: of the steps.
        terms: of the equation.
        t, y0, args: where the diffusion is traced.

    Raises:
        OdescentError: an unknown kind, or adaptive steps with noise that is neither additive nor said to commute
            and a controller that does not revisit rejected times.
    """
    if noise is not None and noise not in NOISES:
        raise unknown("kind of noise", noise, NOISES)
    remembers = attribute_of(controller, "store_rejected_steps") is not None
    adaptive = isinstance(controller, dfx.AbstractAdaptiveStepSizeController)
    if noise in ("commutative", "additive") or not adaptive or remembers:
        return
    if noise == "general" or not ignores_state(terms, t, y0, args):
        raise OdescentError(
            "adaptive steps bias a solution whose noise does not commute: wrap the controller in "
            "diffrax.ClipStepSizeController(controller, store_rejected_steps=100), or pass noise='commutative' or "
            "'additive' if it is."
        )
