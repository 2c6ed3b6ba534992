"""Levenberg and Marquardt's method for losses that are sums of squares, as a transformation of optax."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PyTree

from ..._support.errors import OdescentError
from ..._support.numbers import check_whole
from ..._support.rendering.brief import short

ENOUGH, GOOD = 0.1, 0.6  # shares of the promised decrease: to take a step, to trust the model more
RAISE, LOWER = 4.0, 0.5


class LevenbergMarquardtState(NamedTuple):
    """What the method remembers.

    Attributes:
        damping: in units of the Jacobian's largest singular value squared.
        ratio: of the last step's decrease to what the model promised.
        steps: so far.
        curvature: a root of the mean of J^T J; at rate 1 nothing is kept, and it has no rows.
    """

    damping: Float[Array, ""]
    ratio: Float[Array, ""]
    steps: Int[Array, ""]
    curvature: Float[Array, "k p"]


def levenberg_marquardt(
    learning_rate: float | Float[Array, ""] | Callable[[Any], Any] = 1.0,
    *,
    damping: float = 1e-3,
    trials: int = 12,
) -> optax.GradientTransformationExtraArgs:
    r"""Steps $-(J^\top J + \lambda I)^{-1} \nabla F / 2$ for a loss $F = |r|^2 + R$ of residuals $r$ with Jacobian $J$.

    Along directions that the residuals hardly see the step is as long as along the others, so that a small penalty
    $R$ slides along the valley of the losses that are as good; where R is positive its root is one residual more. The
    step is that of the linearly implicit Euler scheme with step $1/\lambda$ for the gradient flow of $F / 2$, with
    Gauss and Newton's matrix in place of the Hessian. It is taken if the loss of the same batch falls by a tenth of
    what the model $|r + J d|^2$ promises; otherwise $\lambda$ is multiplied by 4. It is halved where the model is good.

    Where each batch has noise of its own, such as other paths of an SDE, a step fits that noise as well. A
    `learning_rate` that falls from 1 to 0 averages it away: of the step the share $\gamma$ is taken, and of the old
    matrix $J^\top J$ the share $1 - \gamma$ is kept, which is the recursive Gauss-Newton method.

    `update` takes the extra arguments `value`, the loss at the parameters, `value_fn`, the loss at others, not finite
    where it has none, and `linearized_fn`, of nothing, which returns r, of the shape (m,), and J, of the shape (m, p)
    with a column per entry of the raveled parameters. `train` gives them, by one backward pass for the gradient and
    every residual: for up to some thousands of residuals or weights. At other rates than 1 a square matrix of the
    weights is kept, and decomposed at every step.

    Args:
        learning_rate: $\gamma$, a positive number, at most 1, or a schedule of optax.
        damping: $\lambda$ at the start, in units of J's largest singular value squared.
        trials: how often $\lambda$ is raised before a batch is passed over.

    Returns:
        An optax transformation whose `update` takes the extra arguments above.

    Raises:
        OdescentError: a rate that is not positive or above 1, damping that is not positive, trials that are not a
            whole number, at least 1; in `update`, residuals and a Jacobian of other shapes.

    References:
        Marquardt, doi:10.1137/0111030. Nocedal and Wright, Numerical Optimization, chapter 10,
        doi:10.1007/978-0-387-40065-5. Ljung and Söderström, Theory and Practice of Recursive Identification, MIT
        Press 1983, chapter 3.
    """
    rate: Any = learning_rate
    varies = callable(rate) or isinstance(rate, jax.Array)  # an array: optax.inject_hyperparams
    if not (varies or (_is_real(rate) and 0 < rate <= 1)):
        raise OdescentError(f"learning_rate must be above 0 and at most 1, not {short(rate)}.")
    if not (_is_real(damping) and damping > 0):
        raise OdescentError(f"damping must be a positive number, not {short(damping)}.")
    averages = varies or rate < 1
    trials = check_whole("trials", trials, 1)

    def init(params: PyTree) -> LevenbergMarquardtState:
        weights = ravel_pytree(params)[0]
        zero = jnp.zeros((), weights.dtype)
        kept = jnp.zeros((weights.size if averages else 0, weights.size), weights.dtype)
        return LevenbergMarquardtState(zero + damping, zero, jnp.asarray(0, jnp.int32), kept)

    def update(
        updates: PyTree,
        state: LevenbergMarquardtState,
        params: PyTree = None,
        *,
        value: Float[Array, ""],
        value_fn: Callable[[PyTree], Float[Array, ""]],
        linearized_fn: Callable[[], tuple[Float[Array, " m"], Float[Array, "m p"]]],
        **extra: Any,
    ) -> tuple[PyTree, LevenbergMarquardtState]:
        weights, unravel = ravel_pytree(params)
        slope = ravel_pytree(updates)[0] / 2
        # the penalty is not among the residuals: its root enters as an additional row
        residuals, jacobian = linearized_fn()
        if residuals.ndim != 1 or jacobian.shape != (residuals.size, weights.size):
            raise OdescentError(
                f"linearized_fn returns residuals of the shape (m,) and a Jacobian of the shape (m, {weights.size}), "
                f"and these have the shapes {residuals.shape} and {jacobian.shape}: ravel them."
            )
        jacobian = _with_penalty(jacobian, residuals, value, slope)
        share = jnp.asarray(rate(state.steps) if callable(rate) else rate, weights.dtype)
        model = _Model.of(_averaged(jacobian, state, share) if averages else jacobian, slope)

        # raise the damping until the loss decreases by enough of what the linear model predicts
        def trial(now: _Trial) -> _Trial:
            relative = jnp.where(now.count > 0, RAISE * now.damping, now.damping)
            step, promised = model.step(relative, share)
            decrease = value - value_fn(unravel(weights + step))
            ratio = jnp.where(jnp.isfinite(decrease), decrease / promised, -jnp.inf)
            return _Trial(relative, step, ratio, now.count + 1)

        def again(now: _Trial) -> Any:
            return ~(now.ratio >= ENOUGH) & (now.count < trials)  # NaN is no success

        nothing = jnp.asarray(-jnp.inf, weights.dtype)
        begin = _Trial(state.damping, jnp.zeros_like(weights), nothing, jnp.asarray(0, jnp.int32))
        end = jax.lax.while_loop(again, trial, begin)
        # damping falls only after a first trial that was good; a step that failed is not taken
        taken = end.ratio >= ENOUGH
        lowered = (end.count == 1) & (end.ratio > GOOD)
        floor = np.finfo(weights.dtype).eps  # of the squares: less is lost in them
        found = jnp.maximum(jnp.where(lowered, LOWER * end.damping, end.damping), floor)
        step = jnp.where(taken, end.step, jnp.zeros_like(end.step))
        ratio, kept = jnp.where(taken, end.ratio, 0), model.root() if averages else state.curvature
        return unravel(step), LevenbergMarquardtState(found, ratio, state.steps + 1, kept)

    return optax.GradientTransformationExtraArgs(init, update)


class _Trial(NamedTuple):
    damping: Float[Array, ""]
    step: Float[Array, " p"]
    ratio: Float[Array, ""]
    count: Any


class _Model(NamedTuple):
    """F + grad F . d + |J d|^2 in J's singular vectors, which serve any damping and square nothing."""

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

    def step(
        self, relative: Float[Array, ""], share: Float[Array, ""]
    ) -> tuple[Float[Array, " p"], Float[Array, ""]]:
        """A share of the step, and the decrease that it promises."""
        damping = relative * jnp.maximum(self.s[0] ** 2, np.finfo(self.s.dtype).tiny)
        seen = share * self.along / (self.s**2 + damping)
        unseen = share * self.rest / damping
        promised = 2 * (self.along @ seen + self.rest @ unseen) - jnp.sum((self.s * seen) ** 2)
        return -(self.v.T @ seen) - unseen, promised

    def root(self) -> Float[Array, "k p"]:
        """Of the curvature."""
        return self.s[:, None] * self.v


def _averaged(
    jacobian: Float[Array, "m p"], state: LevenbergMarquardtState, share: Float[Array, ""]
) -> Float[Array, "n p"]:
    """A root of the mean of J^T J with this one, which is all of it at the first step."""
    kept = jnp.where(state.steps > 0, jnp.clip(1 - share, 0, 1), 0)
    return jnp.concatenate([jnp.sqrt(kept) * state.curvature, jnp.sqrt(1 - kept) * jacobian])


def _with_penalty(
    jacobian: Float[Array, "m p"],
    residuals: Float[Array, " m"],
    value: Float[Array, ""],
    slope: Float[Array, " p"],
) -> Float[Array, "n p"]:
    """One row more: the gradient of the root of R, whose square is R, where R is positive."""
    penalty = value - residuals @ residuals
    seen = penalty > np.finfo(value.dtype).eps * residuals.size * jnp.abs(value)
    root = jnp.sqrt(jnp.where(seen, penalty, 1))
    row = jnp.where(seen, (slope - residuals @ jacobian) / root, jnp.zeros_like(slope))
    return jnp.concatenate([jacobian, row[None]])


def _is_real(given: Any) -> bool:
    return isinstance(given, Real) and not isinstance(given, bool)
