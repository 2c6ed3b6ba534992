"""The compiled functions of training: one update, one evaluation. Runs of one structure share them.

What differs between the runs of a sweep (weights, coefficients and their schedules, first steps, budgets) is an
argument, so that it compiles once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float, Int, UInt32

from ..optimizers.by_name import Offered, Optimizer, optimizer
from ..optimizers.linearized import Linearized
from ..regularization.penalty import Sum
from ..settings.budget import Budget
from ..settings.config import Config
from ..solving.matmul import full_precision
from ..tasks.task import Losses, Task, checked_losses
from ..tracking.first_step import WarmStart


class TrainState(eqx.Module):
    """The complete state of training.

    Attributes:
        model: the weights.
        optimizer: its state.
        key: data of the JAX key; step k draws from fold_in(key, k).
        budget: the dual controller; None without a target.
        dt0: the first step, where it is a length.
        step: updates made or passed over; the order of the rows follows from it and the seed.
        failures: batches in a row that failed.
        validated: the step of the last validation, -1 before.
        best, best_score, best_step: the weights with the best score on the validation rows.
    """

    model: Any
    optimizer: Any
    key: UInt32[Array, "..."]
    budget: Budget | None
    dt0: Float[Array, ""]
    step: Int[Array, ""]
    failures: Int[Array, ""]
    validated: Int[Array, ""]
    best: Any
    best_score: Float[Array, ""]
    best_step: Int[Array, ""]


def solve_options(config: Config, dt0: Any) -> dict[str, Any]:
    """The arguments of a run's solves; `dt0` is the first step, where it is a length."""
    path = config.brownian_tolerance
    return {
        "rtol": config.rtol, "atol": config.atol, "max_steps": config.max_steps, "throw": False,
        "paper": config.paper, "dt0": "hairer" if config.dt0 == "hairer" else dt0,
        **({} if path is None else {"brownian_tolerance": path}),
    }  # fmt: skip


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled; where all leaves are arrays, called without equinox's sorting of them, as long as a small solve."""
    direct, sorted_ = jax.jit(function), eqx.filter_jit(function)

    def call(*args: Any) -> Any:
        fine = all(isinstance(x, jax.Array) for x in jax.tree.leaves(args))
        return (direct if fine else sorted_)(*args)

    return call


class CompiledTraining:
    """The update of runs that have all but their numbers in common.

    Args:
        config: of one of them.
        penalty: its regularizer, a sum whose coefficients are ignored; None without.
        given: an optax transformation instead of the config's optimizer.
    """

    def __init__(self, config: Config, task: Task, penalty: Sum | None, given: Any) -> None:
        self.config, self.task, self.penalty = config, task, penalty
        self.dtype = jnp.dtype(config.precision)
        if given is None:
            made = optimizer(config.optimizer or "", config.optimizer_options, config.rate())
        else:
            made = given if isinstance(given, Optimizer) else Optimizer(given)
        linearizes = made.asks_for("linearized_fn")
        if config.clip is not None:
            clipped = optax.chain(optax.clip_by_global_norm(config.clip), made.transformation)
            output = made.output
            made = Optimizer(clipped, lambda state, params: output(state[1], params))
        self.optimizer, self.linearizes = made, linearizes
        self.update = compiled(self._update)
        self.output = compiled(self._output)

    def penalized(
        self,
        model: Any,
        state: TrainState,
        batch: Mapping[str, Array],
        coefficients: Float[Array, "terms"] | None,
        **more: Any,
    ) -> tuple[Float[Array, ""], Losses]:
        """The loss of a batch with its penalty.

        With a budget the sum is over 1 + lambda, a mean of both: while lambda is far too large, its gradients
        would fill the second moments of Adam, which then stands still for a thousand steps.

        Args:
            model: the weights.
            state: key, step, budget and first step; its weights are ignored.
            batch: arrays by name.
            coefficients: of the penalty's terms; None without penalty.
            more: further options of `solve`.

        Returns:
            The loss, and what the task returned.
        """
        r = self.penalty
        if r is not None and coefficients is not None:
            if state.budget is not None:
                found = state.budget.coefficient.astype(coefficients.dtype)
                coefficients = coefficients * jnp.broadcast_to(found, coefficients.shape)
            r = r.weighted(tuple(coefficients[i] for i in range(len(r.parts))))
        key = jr.fold_in(jr.wrap_key_data(state.key), state.step)
        out = checked_losses(self.task, self.task.loss(
            model, batch, key=key, step=state.step, training=True, regularizer=r,
            **solve_options(self.config, state.dt0), **more,
        ))  # fmt: skip
        total = out.loss + _mean(out.solved.penalty).astype(out.loss.dtype)
        if state.budget is not None:
            total = total / (1 + state.budget.coefficient).astype(total.dtype)
        return total, out

    @full_precision  # of the solve and of all around it: heads, encoders, products of the optimizer
    def _update(
        self,
        state: TrainState,
        batch: Mapping[str, Array],
        coefficients: Float[Array, "terms"] | None,
        reference: Any = None,
    ) -> tuple[TrainState, dict[str, Array]]:
        """After one batch; where its solve, loss or gradient failed, as before but for the counters.

        With a budget of accuracy, `reference` is the batch's score in the run without regularizer; NaN as long as
        that one has not learned yet, when there is nothing to compare.
        """
        weights = eqx.filter(state.model, eqx.is_inexact_array)

        def at(w: Any) -> tuple[Float[Array, ""], Losses]:
            return self.penalized(eqx.combine(w, state.model), state, batch, coefficients)

        def linearized() -> Linearized:
            return Linearized.of(at, weights, state.budget, self.task)

        # Loss and gradient, once, and what the optimizer may ask for besides.
        linear = linearized() if self.linearizes else None
        if linear is None:
            (total, out), gradient = eqx.filter_value_and_grad(at, has_aux=True)(weights)
        else:  # the gradient is one row more of what the optimizer asks for
            total, out, gradient = linear.total, linear.losses, linear.gradient
        offered = Offered(
            total, gradient, _or_infinite(at), lambda: (linear or linearized()).residuals
        )
        # optax promotes types as it likes.
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            norm = optax.tree.norm(gradient)
            change, after = self.optimizer.update(gradient, state.optimizer, weights, offered)
            model = eqx.apply_updates(state.model, change)
        solved = jnp.all(out.solved.successful)
        fine = solved & jnp.isfinite(total) & jnp.isfinite(norm)
        statistics = out.solved.statistics

        # The budget sees a failed solve as the worst; while the reference has not learned it sees nothing.
        budget, dt0 = state.budget, state.dt0
        cost = _cost(statistics)
        if budget is not None:
            measured, comparable = cost.astype(self.dtype), jnp.asarray(True)
            if reference is not None:
                score = out.metrics.get(self.task.score, out.loss)
                measured, comparable = self.task.sign * (reference - score), ~jnp.isnan(reference)
            later = budget.updated(jnp.where(solved, measured, jnp.inf))
            budget = jax.tree.map(lambda a, b: jnp.where(comparable, a, b), later, budget)
        if self.config.dt0 == "warm":
            dt0 = WarmStart(dt0).updated(statistics).dt0

        # Where the step failed, everything but the counters stays as it was.
        new = (model, after, budget, dt0)
        old = (state.model, state.optimizer, state.budget, state.dt0)
        model, after, budget, dt0 = jax.tree.map(
            lambda a, b: jnp.where(fine, a.astype(b.dtype), b) if eqx.is_array(b) else b, new, old
        )
        failures = jnp.where(fine, 0, state.failures + 1).astype(jnp.int32)
        following = TrainState(
            model, after, state.key, budget, dt0, state.step + 1, failures, state.validated,
            state.best, state.best_score, state.best_step,
        )  # fmt: skip
        metrics = {
            "loss": out.loss, "penalty": _mean(out.solved.penalty), **out.metrics, "nfe": cost,
            "accepted": _mean(statistics.accepted), "rejected": _mean(statistics.rejected),
            "error": _mean(statistics.error.mean),
            "gradient": norm, "dt0": dt0, "solved": solved, "finite": jnp.isfinite(total), "fine": fine,
        }  # fmt: skip
        if budget is not None:
            metrics["coefficient"] = budget.coefficient
        return following, metrics

    def _output(self, state: TrainState) -> Any:
        """The weights at the point that the optimizer puts out."""
        weights, rest = eqx.partition(state.model, eqx.is_inexact_array)
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            return eqx.combine(self.optimizer.output(state.optimizer, weights), rest)


def _or_infinite(
    at: Callable[[Any], tuple[Float[Array, ""], Losses]],
) -> Callable[[Any], Float[Array, ""]]:
    """The loss by weights, infinite where a solve fails."""

    def value(weights: Any) -> Float[Array, ""]:
        found, out = at(weights)
        return jnp.where(jnp.all(out.solved.successful), found, jnp.inf)

    return value


@lru_cache(maxsize=32)
def evaluator(config: Config, task: Task) -> Callable[..., dict[str, Array]]:
    """Loss and metrics without regularization, compiled; of the settings the solves' alone matter."""

    @full_precision
    def evaluate(
        model: Any, batch: Mapping[str, Array], key: Any, step: Any, dt0: Any
    ) -> dict[str, Array]:
        options = solve_options(config, dt0)
        out = checked_losses(task, task.loss(
            model, batch, key=jr.wrap_key_data(key), step=step, training=False, **options
        ))  # fmt: skip
        found = out.solved.statistics
        return {
            "loss": out.loss, **out.metrics, "nfe": _cost(found), "accepted": _mean(found.accepted),
            "rejected": _mean(found.rejected), "solved": jnp.all(out.solved.successful),
        }  # fmt: skip

    return compiled(evaluate)


def _cost(statistics: Any) -> Array:
    """Drift evaluations per solve; steps where they cannot be known."""
    found = statistics.drift_evaluations
    return _mean(statistics.accepted + statistics.rejected if found is None else found)


def _mean(x: Array) -> Array:
    """Over the rows, where they were solved one by one."""
    return x if x.ndim == 0 else jnp.mean(x)
