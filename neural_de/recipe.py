"""The compiled parts of training: one update, one evaluation, one diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float, Int, UInt32

from .._errors import OdescentError, unknown
from .._optimizers import Optimizer, optimizer
from .budget import Budget
from .config import Config
from .first_step import WarmStart
from .paper import paper_settings
from .penalties import regularizer
from .penalties.base import Regularizer
from .tasks.base import Outcome, Rows, Task, count

CANDIDATES = tuple(2 ** (-i / 2) for i in range(14))  # first steps, as fractions of the interval
BUDGET_START = 0.01  # where the search for a coefficient begins
_BEGIN = 0.01  # first step before anything is known, as a fraction


class TrainState(eqx.Module):
    """All that training goes on from.

    Attributes:
        model: the weights.
        optimizer: its state.
        key: data of the JAX key; step k draws from fold_in(key, k).
        budget: the dual controller; None without a target.
        dt0: the first step, where it is carried.
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


def resolved(config: Config, task: Task, rows: Rows) -> Config:
    """The settings with the paper's and the task's in place of what was left open."""
    if config.paper is not None:
        config = _as_in_the_paper(config, config.paper, task, rows)
    elif config.regularizer is not None and not config.budgeted:
        config = config.filled({"coefficient": 1.0})
    if config.rtol is not None or config.atol is not None:
        config = config.filled({"rtol": config.atol, "atol": config.rtol})
    defaults = dict(task.defaults)
    if config.optimizer is not None:  # these belong to the default optimizer
        for name in ("learning_rate", "schedule", "optimizer_options"):
            defaults.pop(name, None)
    return config.filled(defaults).filled({"dt0": "hairer", "schedule": "constant"})


def _as_in_the_paper(config: Config, year: int, task: Task, rows: Rows) -> Config:
    if task.experiment is None:
        raise OdescentError(
            f"the papers do not have {task.name}: leave paper= out, or take mnist-ode, mnist-sde, spiral-sde or "
            "physionet-latent-ode."
        )
    settings = paper_settings(year, task.experiment)
    if config.regularizer is not None and config.regularizer not in settings.regularizers:
        raise unknown(f"regularizer of {year}", config.regularizer, settings.regularizers)
    config = config.filled({"batch": settings.batch, "rtol": settings.rtol, "atol": settings.rtol})
    epochs = year == 2021 and not task.whole
    steps = settings.length * (_per_epoch(config, rows) if epochs else 1)
    return config.filled({"steps": steps, **task.paper(year)})


def _per_epoch(config: Config, rows: Rows) -> int:
    return max(1, count(rows.train) // (config.batch or count(rows.train)))


class Recipe:
    """One run's functions, compiled once and shared by runs that differ in their seed only."""

    def __init__(self, config: Config, task: Task, per_epoch: int, given: Any) -> None:
        self.config, self.task, self.per_epoch = config, task, per_epoch
        self.dtype = jnp.dtype(config.precision)
        if given is None:
            made = optimizer(config.optimizer or "", config.optimizer_options, config.rate())
        else:
            made = given if isinstance(given, Optimizer) else Optimizer(given)
        if config.clip is not None:
            clipped = optax.chain(optax.clip_by_global_norm(config.clip), made.transformation)
            output = made.output
            made = Optimizer(clipped, lambda state, params: output(state[1], params))
        self.optimizer = made
        self.regularizer, self.per_clock = self._penalty()
        self.update = eqx.filter_jit(self._update)
        self.evaluate = eqx.filter_jit(self._evaluate)
        self.output = eqx.filter_jit(self._output)

    def _penalty(self) -> tuple[Regularizer | None, int]:
        """The regularizer with its coefficients, and after how many steps their clock ticks."""
        c = self.config
        if c.regularizer is None:
            return None, 1
        if c.paper is not None:
            assert self.task.experiment is not None
            r, schedule = paper_settings(c.paper, self.task.experiment).regularizers[c.regularizer]
            return r * schedule, self.per_epoch if c.paper == 2021 else 1
        from .schedules import exponential

        found = regularizer(c.regularizer, **c.regularizer_options)
        if c.budgeted:
            return found, 1
        first = 1.0 if c.coefficient is None else c.coefficient
        if c.final_coefficient is None:
            return found * first, 1
        return found * exponential(first, c.final_coefficient, c.steps or 1), 1

    def _budget(self) -> Budget | None:
        c = self.config
        if not c.budgeted:
            return None
        start = BUDGET_START if c.coefficient is None else c.coefficient
        return Budget(target_nfe=c.target_nfe, max_accuracy_loss=c.max_accuracy_loss, start=start)

    def begin(self, rows: Rows, seed: int) -> TrainState:
        """The state before the first step."""
        key = jr.key(seed)
        model = self.task.model(self.config, rows, jr.fold_in(key, 2**31 - 1), self.dtype)
        with jax.numpy_dtype_promotion("standard"):
            state = self.optimizer.transformation.init(eqx.filter(model, eqx.is_inexact_array))
        state = jax.tree.map(lambda x: jnp.asarray(x) if eqx.is_array_like(x) else x, state)
        zero, none = jnp.asarray(0, jnp.int32), jnp.asarray(-1, jnp.int32)
        budget = self._budget()
        length = self.config.dt0 if isinstance(self.config.dt0, float) else _BEGIN * self.task.span
        worst = jnp.asarray(-self.task.sign * jnp.inf, self.dtype)
        return TrainState(
            model, state, jr.key_data(key), budget, jnp.asarray(length, self.dtype), zero, zero, none,
            model, worst, none,
        )  # fmt: skip

    def options(self, dt0: Any) -> dict[str, Any]:
        """The arguments of the solves."""
        c = self.config
        first: Any = dt0 if c.dt0 in ("warm", "calibrated") else c.dt0
        return {
            "rtol": c.rtol, "atol": c.atol, "max_steps": c.max_steps, "throw": False, "paper": c.paper, "dt0": first,
        }  # fmt: skip

    def penalized(
        self, model: Any, state: TrainState, batch: Mapping[str, Array], **more: Any
    ) -> tuple[Float[Array, ""], Outcome]:
        """The loss with its penalty, and the outcome.

        With a budget the sum is over 1 + lambda, a mean of both: while lambda is far too large, its gradients
        would fill the second moments of Adam, which then stands still for a thousand steps.
        """
        r = self.regularizer
        if r is not None:
            r = r.at(state.step // self.per_clock)
            if state.budget is not None:
                r = r * state.budget.coefficient
        key = jr.fold_in(jr.wrap_key_data(state.key), state.step)
        out = self.task.loss(
            model, batch, key=key, step=state.step, training=True, regularizer=r,
            **self.options(state.dt0), **more,
        )  # fmt: skip
        total = out.loss + out.solved.penalty.astype(out.loss.dtype)
        if state.budget is not None:
            total = total / (1 + state.budget.coefficient).astype(total.dtype)
        return total, out

    def _update(
        self, state: TrainState, batch: Mapping[str, Array], reference: Any = None
    ) -> tuple[TrainState, dict[str, Array]]:
        """After one batch; where its solve, loss or gradient failed, as before but for the counters.

        With a budget of accuracy, `reference` is the batch's score in the run without regularizer.
        """
        value = eqx.filter_value_and_grad(lambda m: self.penalized(m, state, batch), has_aux=True)
        (total, out), gradient = value(state.model)
        weights = eqx.filter(state.model, eqx.is_inexact_array)
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            norm = optax.tree.norm(gradient)
            change, after = self.optimizer.transformation.update(gradient, state.optimizer, weights)
            model = eqx.apply_updates(state.model, change)
        solved = jnp.asarray(out.solved.solution.result == dfx.RESULTS.successful)
        fine = solved & jnp.isfinite(total) & jnp.isfinite(norm)
        statistics = out.solved.statistics
        budget, dt0 = state.budget, state.dt0
        cost = _cost(statistics)
        if budget is not None:
            measured = cost.astype(self.dtype)
            if reference is not None:
                score = out.metrics.get(self.task.score, out.loss)
                measured = self.task.sign * (reference - score)
            budget = budget.updated(jnp.where(solved, measured, jnp.inf))
        if self.config.dt0 == "warm":
            dt0 = WarmStart(dt0).updated(statistics).dt0
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
            "loss": out.loss, "penalty": out.solved.penalty, **out.metrics, "nfe": cost,
            "accepted": statistics.accepted, "rejected": statistics.rejected, "error": statistics.error.mean,
            "gradient": norm, "dt0": dt0, "solved": solved, "finite": jnp.isfinite(total), "fine": fine,
        }  # fmt: skip
        if budget is not None:
            metrics["coefficient"] = budget.coefficient
        return following, metrics

    def _evaluate(
        self, model: Any, batch: Mapping[str, Array], key: Any, step: Any, dt0: Any
    ) -> dict[str, Array]:
        """Loss and metrics without regularization."""
        out = self.task.loss(
            model, batch, key=jr.wrap_key_data(key), step=step, training=False, **self.options(dt0)
        )
        found = out.solved.statistics
        return {
            "loss": out.loss, **out.metrics, "nfe": _cost(found), "accepted": found.accepted,
            "rejected": found.rejected, "solved": jnp.asarray(out.solved.solution.result == dfx.RESULTS.successful),
        }  # fmt: skip

    def _output(self, state: TrainState) -> Any:
        """The weights at the point that the optimizer puts out."""
        weights, rest = eqx.partition(state.model, eqx.is_inexact_array)
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            return eqx.combine(self.optimizer.output(state.optimizer, weights), rest)


def _cost(statistics: Any) -> Int[Array, ""]:
    """Drift evaluations; steps where they cannot be known."""
    found = statistics.drift_evaluations
    cost: Array = statistics.accepted + statistics.rejected if found is None else found
    return cost


@lru_cache(maxsize=16)
def _shared(config: Config, task: Task, per_epoch: int) -> Recipe:
    return Recipe(config, task, per_epoch, None)


def recipe(config: Config, task: Task, rows: Rows, given: Any) -> Recipe:
    """The recipe of a run with all settings filled in; a given optimizer is not shared."""
    per_epoch = _per_epoch(config, rows)
    if given is not None:
        return Recipe(config, task, per_epoch, given)
    same = config.replace(seed=0, validate_every=1, checkpoint_every=1, skips=0)
    if config.schedule != "cosine" and config.final_coefficient is None:
        same = same.replace(steps=1)
    return _shared(same, task, per_epoch)
