"""The setup of a training run: complete settings, rows, coefficients and compiled functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float

from ..._support.errors import OdescentError, expected, unknown
from ..regularization import regularizer
from ..regularization.penalty import Sum
from ..regularization.sums import terms
from ..settings.budget import Budget
from ..settings.config import BUDGETS, Config, settings
from ..settings.paper import paper_settings
from ..settings.penalty_schedules import exponential
from ..tasks import TASKS
from ..tasks.rows import Rows, count
from ..tasks.task import Task
from .checkpoints import PROGRAM, has_x64
from .compiled import CompiledTraining, TrainState, evaluator
from .fingerprint import fingerprint

NEEDED = ("steps", "batch", "optimizer", "rtol", "atol", "max_steps")  # of every run
BUDGET_START = 0.01  # where the search for a coefficient begins
_BEGIN = 0.01  # first step before anything is known, as a fraction


def resolved(config: Config, task: Task, rows: Rows) -> Config:
    """The settings with the paper's and the task's in place of what was left open.

    Args:
        config: as it was given.
        task: whose defaults count.
        rows: their number determines the length of an epoch.

    Returns:
        The settings filled in; filling those in again changes nothing.

    Raises:
        OdescentError: a paper that does not have the task, or the regularizer.
    """
    if config.paper is not None:
        config = _as_in_the_paper(config, config.paper, task, rows)
    elif config.regularizer is not None and not config.budgeted:
        config = config.filled({"coefficient": 1.0})
    if config.rtol is not None or config.atol is not None:
        config = config.filled({"rtol": config.atol, "atol": config.rtol})
    defaults = dict(task.defaults)
    if config.optimizer is not None:  # these belong to the default optimizer
        defaults = {n: v for n, v in defaults.items() if n not in settings("optimizer")}
    return config.filled(defaults).filled({"dt0": "hairer", "schedule": "constant"})


def _as_in_the_paper(config: Config, year: int, task: Task, rows: Rows) -> Config:
    if task.experiment is None:
        raise OdescentError(
            f"the papers have no settings for {task.name}: leave paper= out, or use mnist-ode, mnist-sde, spiral-sde "
            "or physionet-latent-ode."
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


def penalty_of(config: Config, task: Task) -> Sum | None:
    """The regularizer with its coefficients, schedules of the step (in paper=2021 of the epoch)."""
    if config.regularizer is None:
        return None
    if config.paper is not None:
        assert task.experiment is not None
        r, schedule = paper_settings(config.paper, task.experiment).regularizers[config.regularizer]
        return r * schedule
    found = regularizer(config.regularizer, **config.regularizer_options)
    if config.budgeted:  # the budget has the coefficient
        return found * 1.0
    first = 1.0 if config.coefficient is None else config.coefficient
    if config.final_coefficient is None:
        return found * first
    return found * exponential(first, config.final_coefficient, config.steps or 1)


@dataclass(frozen=True, eq=False)
class Setup:
    """A training run with nothing left open, which all of training takes.

    Attributes:
        config: with every setting that was open filled in.
        task, rows: what is trained on what; rows in the run's precision.
        steps, batch: optimizer steps, and rows per step.
        dtype: of weights and states.
        penalty: the regularizer with its coefficients, schedules of the step; None without.
        epoch: steps in a unit of the coefficients' schedules (2021's paper counts epochs).
        compiled: update and output, shared by all runs that differ in numbers alone.
        evaluate: loss and metrics of a batch without regularizer, compiled.
        named: whether the settings name the optimizer; a custom one is identified by its JAX trace.
    """

    config: Config
    task: Task
    rows: Rows
    steps: int
    batch: int
    dtype: Any
    penalty: Sum | None
    epoch: int
    compiled: CompiledTraining
    evaluate: Callable[..., dict[str, Array]]
    named: bool

    def begin(self) -> TrainState:
        """The state before the first step."""
        c, key = self.config, jr.key(self.config.seed)
        model = self.task.model(c, self.rows, jr.fold_in(key, 2**31 - 1), self.dtype)
        optimizer = self.compiled.optimizer.transformation
        with jax.numpy_dtype_promotion("standard"):
            state = optimizer.init(eqx.filter(model, eqx.is_inexact_array))
        state = jax.tree.map(lambda x: jnp.asarray(x) if eqx.is_array_like(x) else x, state)
        budget = None
        if c.budgeted:
            start = BUDGET_START if c.coefficient is None else c.coefficient
            budget = Budget(
                target_nfe=c.target_nfe, max_accuracy_loss=c.max_accuracy_loss, start=start
            )
        zero, none = jnp.asarray(0, jnp.int32), jnp.asarray(-1, jnp.int32)
        length = c.dt0 if isinstance(c.dt0, int | float) else _BEGIN * self.task.span
        worst = jnp.asarray(-self.task.sign * jnp.inf, self.dtype)
        return TrainState(
            model, state, jr.key_data(key), budget, jnp.asarray(length, self.dtype), zero, zero, none, model, worst,
            none,
        )  # fmt: skip

    def optimizer_identity(self, state: TrainState) -> dict[str, str]:
        """The identity of a custom optimizer; one by name is in the settings."""
        if self.named:
            return {}
        weights = eqx.filter(state.model, eqx.is_inexact_array)
        return {PROGRAM: fingerprint(self.compiled.optimizer, state.optimizer, weights)}

    def coefficients(self, step: int) -> Float[Array, "terms"] | None:
        """Of the penalty's terms at a step; None without penalty."""
        if self.penalty is None:
            return None
        values = tuple(float(c) for c in self.penalty.coefficients(step // self.epoch))
        return _on_device(values, self.dtype)

    def update(
        self, state: TrainState, batch: Mapping[str, Array], reference: Any = None
    ) -> tuple[TrainState, dict[str, Array]]:
        """One optimizer step.

        Args:
            state: before it.
            batch: arrays by name.
            reference: with a budget of accuracy, the batch's score in the run without regularizer.

        Returns:
            The state after it, and the batch's metrics by name; see `CompiledTraining`.
        """
        found: tuple[TrainState, dict[str, Array]] = self.compiled.update(
            state, batch, self.coefficients(int(state.step)), reference
        )
        return found


@lru_cache(maxsize=8)
def _on_device(values: tuple[float, ...], dtype: Any) -> Array:
    """Coefficients as an array; constant ones stay on the device from step to step."""
    return jnp.asarray(values, dtype)


def setup(config: Config, task: Task | None = None, optimizer: Any = None) -> Setup:
    """What a run computes, with everything that the settings, the task and the papers leave open filled in.

    Args:
        config: of the run.
        task: your own; by default the registered one that the settings name.
        optimizer: your own optax transformation; by default the one that the settings name.

    Returns:
        The run, with nothing left open.

    Raises:
        OdescentError: settings that do not fit, together or with the task, its rows and the devices.
    """
    task = _task(config, task)
    if config.devices > len(jax.devices()):
        raise OdescentError(
            f"devices={config.devices} is more than the {len(jax.devices())} that JAX has."
        )
    rows = task.rows(config).in_precision(np.dtype(config.precision))

    # Everything that is open is filled in, and must then be there.
    if optimizer is not None:
        named = [
            n for n in settings("optimizer") if getattr(config, n) not in (None, {}, "constant")
        ]
        if named:
            raise OdescentError(
                "give an optimizer by name in the settings or as an object, not both: leave out "
                f"{', '.join(named)}, which the object sets itself."
            )
        config = config.replace(optimizer="given")
    config = resolved(config, task, rows)
    open_ = [n for n in NEEDED if getattr(config, n) is None]
    if open_:
        raise OdescentError(
            f"the task {task.name} leaves {', '.join(open_)} without a value: set them in its defaults or in the "
            "settings."
        )
    steps, batch = int(config.steps or 0), int(config.batch or 0)
    if batch > count(rows.train) or batch % config.devices:
        raise OdescentError(
            f"batch must be at most {count(rows.train)} and a multiple of the number of devices, {config.devices}; it "
            f"is {batch}."
        )
    if config.precision == "float64" and not has_x64():
        raise OdescentError(
            "precision='float64' needs JAX's: jax.config.update('jax_enable_x64', True)."
        )

    # Runs that differ in numbers alone share what is compiled; what an optimizer of your own does is not known.
    penalty, shared = penalty_of(config, task), _structure(config)
    compiled = (
        _compiled(shared, task) if optimizer is None else CompiledTraining(shared, task, penalty, optimizer)
    )  # fmt: skip
    epoch = _per_epoch(config, rows) if config.paper == 2021 else 1
    return Setup(
        config, task, rows, steps, batch, jnp.dtype(config.precision), penalty, epoch, compiled,
        evaluator(_of_solves(config), task), optimizer is None,
    )  # fmt: skip


def _task(config: Any, task: Any) -> Task:
    if not isinstance(config, Config):
        raise expected("the settings of a run", "a Config, as Config('digits-ode') is", config)
    if task is None:
        return TASKS.build(config.task)
    if not isinstance(task, Task):
        raise expected("task=", "a Task of your own, an object and not its class", task)
    if task.name != config.task:
        raise OdescentError(f"the settings are for {config.task}, and the task is {task.name}.")
    return task


def _of_solves(config: Config) -> Config:
    """A run's settings with those alone that an evaluation depends on."""
    first: Any = "hairer" if config.dt0 == "hairer" else "calibrated"
    given = {n: getattr(config, n) for n in ("task", *settings("solve"))}
    return Config(**{**given, "dt0": first})


def _structure(config: Config) -> Config:
    """A run's settings without what its compiled update takes as arguments."""
    usual = Config(config.task)
    changes = {n: getattr(usual, n) for n, known in settings().items() if known["shared"]}
    changes |= {n: getattr(config, n) and 1 for n in BUDGETS}  # which of them, and not how much
    if config.dt0 not in ("hairer", "warm"):
        changes["dt0"] = "calibrated"
    if config.regularizer is not None and config.paper is None:
        changes["regularizer"] = "+".join(name for _, name in terms(config.regularizer))
    if config.schedule != "cosine":
        changes["steps"] = 1
    return config.replace(**changes)


@lru_cache(maxsize=32)
def _compiled(config: Config, task: Task) -> CompiledTraining:
    return CompiledTraining(config, task, penalty_of(config, task), None)
