"""Levenberg and Marquardt's method for losses that are sums of squares, as a transformation of optax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from .._errors import OdescentError
from .._whole_numbers import check_whole

ENOUGH, GOOD = 0.1, 0.6  # shares of the promised decrease: to take a step, to trust the model more
RAISE, LOWER = 4.0, 0.5


class LevenbergMarquardtState(NamedTuple):
    """What the method remembers.

    Attributes:
        damping: in units of the Jacobian's largest singular value squared.
        ratio: of the last step's decrease to what the model promised.
    """

    damping: Float[Array, ""]
    ratio: Float[Array, ""]


def levenberg_marquardt(
    damping: float = 1e-3, *, trials: int = 12
) -> optax.GradientTransformationExtraArgs:
    r"""Steps $-(J^\top J + \lambda I)^{-1} \nabla F / 2$ for a loss $F = |r|^2 + R$ of residuals $r$ with Jacobian $J$.

    Along directions that the residuals hardly see the step is as long as along the others, so that a small penalty
    $R$ slides along the valley of the losses that are as good. The step is that of the linearly implicit Euler scheme
    with step $1/\lambda$ for the gradient flow of $F / 2$, with Gauss and Newton's matrix in place of the Hessian. It
    is taken if the loss of the same batch falls by a tenth of what the model $|r + J d|^2 + R + \nabla R \cdot d$
    promises; otherwise $\lambda$ is multiplied by 4. It is halved where the model is good.

    `update` takes the extra arguments `value`, the loss at the parameters, `value_fn`, the loss at others, not finite
    where it has none, and `residuals_fn`, from parameters to r, a vector. `train` gives them. The Jacobian is a matrix
    of residuals times weights, made by one backward pass per residual: for up to some thousands of either.

    Args:
        damping: $\lambda$ at the start, in units of J's largest singular value squared.
        trials: how often $\lambda$ is raised before a batch is passed over.

    Raises:
        OdescentError: damping that is not positive, trials that are not a whole number, at least 1.

    References:
        Marquardt, doi:10.1137/0111030. Nocedal and Wright, Numerical Optimization, chapter 10,
        doi:10.1007/978-0-387-40065-5.
    """
    given: Any = damping
    if not (isinstance(given, int | float) and given > 0):
        raise OdescentError(f"damping is a positive number, not {damping!r}.")
    trials = check_whole("trials", trials, 1)

    def init(params: PyTree) -> LevenbergMarquardtState:
        dtype = ravel_pytree(params)[0].dtype
        return LevenbergMarquardtState(jnp.asarray(damping, dtype), jnp.asarray(0, dtype))

    def update(
        updates: PyTree,
        state: LevenbergMarquardtState,
        params: PyTree = None,
        *,
        value: Float[Array, ""],
        value_fn: Callable[[PyTree], Float[Array, ""]],
        residuals_fn: Callable[[PyTree], Float[Array, " m"]],
        **extra: Any,
    ) -> tuple[PyTree, LevenbergMarquardtState]:
        weights, unravel = ravel_pytree(params)
        slope = ravel_pytree(updates)[0] / 2
        model = _Model.of(_jacobian(lambda w: residuals_fn(unravel(w)), weights), slope)

        def trial(now: _Trial) -> _Trial:
            relative = jnp.where(now.count > 0, RAISE * now.damping, now.damping)
            step, promised = model.step(relative)
            decrease = value - value_fn(unravel(weights + step))
            ratio = jnp.where(jnp.isfinite(decrease), decrease / promised, -jnp.inf)
            return _Trial(relative, step, ratio, now.count + 1)

        def again(now: _Trial) -> Any:
            return ~(now.ratio >= ENOUGH) & (now.count < trials)  # NaN is no success

        nothing = jnp.asarray(-jnp.inf, weights.dtype)
        begin = _Trial(state.damping, jnp.zeros_like(weights), nothing, jnp.asarray(0, jnp.int32))
        end = jax.lax.while_loop(again, trial, begin)
        taken = end.ratio >= ENOUGH
        lowered = (end.count == 1) & (end.ratio > GOOD)
        floor = np.finfo(weights.dtype).eps  # of the squares: less is lost in them
        found = jnp.maximum(jnp.where(lowered, LOWER * end.damping, end.damping), floor)
        step = jnp.where(taken, end.step, jnp.zeros_like(end.step))
        return unravel(step), LevenbergMarquardtState(found, jnp.where(taken, end.ratio, 0))

    return optax.GradientTransformationExtraArgs(init, update)


class _Trial(NamedTuple):
    damping: Float[Array, ""]
    step: Float[Array, " p"]
    ratio: Float[Array, ""]
    count: Any


class _Model(NamedTuple):
    """|r + J d|^2 + R + grad R . d in J's singular vectors, which serve any damping and square nothing."""

    s: Float[Array, " k"]
    v: Float[Array, "k p"]
    along: Float[Array, " k"]  # half of the loss's gradient in v, and what no residual sees of it
    rest: Float[Array, " p"]

    @staticmethod
    def of(jacobian: Float[Array, "m p"], slope: Float[Array, " p"]) -> _Model:
        _, s, v = jnp.linalg.svd(jacobian, full_matrices=False)
        along = v @ slope
        square = v.shape[0] == v.shape[1]
        return _Model(s, v, along, jnp.zeros_like(slope) if square else slope - v.T @ along)

    def step(self, relative: Float[Array, ""]) -> tuple[Float[Array, " p"], Float[Array, ""]]:
        """The step, and the decrease that it promises."""
        damping = relative * jnp.maximum(self.s[0] ** 2, np.finfo(self.s.dtype).tiny)
        seen = self.along / (self.s**2 + damping)
        promised = 2 * self.along @ seen - jnp.sum((self.s * seen) ** 2)
        unseen = self.rest / damping
        return -(self.v.T @ seen) - unseen, promised + 2 * self.rest @ unseen


def _jacobian(
    function: Callable[[Any], Float[Array, " m"]], at: Float[Array, " p"]
) -> Float[Array, "m p"]:
    residuals, back = jax.vjp(function, at)
    if residuals.ndim != 1:
        raise OdescentError(
            f"residuals are a vector, and these have the shape {residuals.shape}: ravel them."
        )
    rows: Float[Array, "m p"] = jax.vmap(lambda e: back(e)[0])(
        jnp.eye(residuals.size, dtype=residuals.dtype)
    )
    return rows
