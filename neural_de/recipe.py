"""What a run computes: its settings filled in, its penalty's coefficients, and its compiled functions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float

from .._errors import OdescentError, unknown
from .budget import Budget
from .checkpoints import PROGRAM
from .config import Config
from .fingerprint import fingerprint
from .paper import paper_settings
from .penalties import regularizer
from .penalties.base import Sum
from .penalties.sums import terms
from .program import Program, TrainState, evaluator
from .tasks.base import Rows, Task, count

BUDGET_START = 0.01  # where the search for a coefficient begins
_BEGIN = 0.01  # first step before anything is known, as a fraction


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


def penalty_of(config: Config, task: Task) -> Sum | None:
    """The regularizer with its coefficients, schedules of the step (in paper=2021 of the epoch)."""
    if config.regularizer is None:
        return None
    if config.paper is not None:
        assert task.experiment is not None
        r, schedule = paper_settings(config.paper, task.experiment).regularizers[config.regularizer]
        return r * schedule
    from .schedules import exponential

    found = regularizer(config.regularizer, **config.regularizer_options)
    if config.budgeted:  # the budget has the coefficient
        return found * 1.0
    first = 1.0 if config.coefficient is None else config.coefficient
    if config.final_coefficient is None:
        return found * first
    return found * exponential(first, config.final_coefficient, config.steps or 1)


class Recipe:
    """One run's functions."""

    def __init__(self, config: Config, task: Task, per_epoch: int, given: Any) -> None:
        self.config, self.task = config, task
        self.dtype = jnp.dtype(config.precision)
        self.penalty = penalty_of(config, task)
        self.per_clock = per_epoch if config.paper == 2021 else 1
        shared = _structure(config)
        self.program = (
            _program(shared, task) if given is None else Program(shared, task, self.penalty, given)
        )
        self._given = given
        self.evaluate = evaluator(_of_solves(config), task)
        self.output = self.program.output
        self._coefficients: tuple[tuple[float, ...], Array | None] = ((), None)

    def begin(self, rows: Rows, seed: int) -> TrainState:
        """The state before the first step."""
        key = jr.key(seed)
        model = self.task.model(self.config, rows, jr.fold_in(key, 2**31 - 1), self.dtype)
        optimizer = self.program.optimizer.transformation
        with jax.numpy_dtype_promotion("standard"):
            state = optimizer.init(eqx.filter(model, eqx.is_inexact_array))
        state = jax.tree.map(lambda x: jnp.asarray(x) if eqx.is_array_like(x) else x, state)
        zero, none = jnp.asarray(0, jnp.int32), jnp.asarray(-1, jnp.int32)
        dt0 = self.config.dt0
        length = dt0 if isinstance(dt0, int | float) else _BEGIN * self.task.span
        worst = jnp.asarray(-self.task.sign * jnp.inf, self.dtype)
        return TrainState(
            model, state, jr.key_data(key), self._budget(), jnp.asarray(length, self.dtype), zero, zero, none,
            model, worst, none,
        )  # fmt: skip

    def optimizer_identity(self, state: TrainState) -> dict[str, str]:
        """What tells an optimizer of your own from others; one by name is in the settings."""
        if self._given is None:
            return {}
        made = self.program.optimizer
        weights = eqx.filter(state.model, eqx.is_inexact_array)
        return {PROGRAM: fingerprint(made, state.optimizer, weights)}

    def _budget(self) -> Budget | None:
        c = self.config
        if not c.budgeted:
            return None
        start = BUDGET_START if c.coefficient is None else c.coefficient
        return Budget(target_nfe=c.target_nfe, max_accuracy_loss=c.max_accuracy_loss, start=start)

    def coefficients(self, step: int) -> Float[Array, "terms"] | None:
        """Of the penalty's terms at a step; None without penalty."""
        if self.penalty is None:
            return None
        values = tuple(float(c) for c in self.penalty.coefficients(step // self.per_clock))
        if values != self._coefficients[0]:  # constant ones stay on the device
            self._coefficients = (values, jnp.asarray(values, self.dtype))
        return self._coefficients[1]

    def update(
        self, state: TrainState, batch: Mapping[str, Array], reference: Any = None
    ) -> tuple[TrainState, dict[str, Array]]:
        """The state after a batch, and its metrics; see `Program`."""
        found: tuple[TrainState, dict[str, Array]] = self.program.update(
            state, batch, self.coefficients(int(state.step)), reference
        )
        return found


def _of_solves(config: Config) -> Config:
    """A run's settings with those alone that an evaluation depends on."""
    first: Any = "hairer" if config.dt0 == "hairer" else "calibrated"
    names = ("task", "rtol", "atol", "brownian_tolerance", "max_steps", "paper", "precision")
    return Config(**{n: getattr(config, n) for n in names}, dt0=first)


def _structure(config: Config) -> Config:
    """A run's settings without what its program takes as arguments."""
    same = config.replace(
        seed=0, validation=0.1, validate_every=1, checkpoint_every=1, skips=0, coefficient=None,
        final_coefficient=None, target_nfe=config.target_nfe and 1,
        max_accuracy_loss=config.max_accuracy_loss and 1.0, model_options={},
    )  # fmt: skip
    if config.dt0 not in ("hairer", "warm"):
        same = same.replace(dt0="calibrated")
    if config.regularizer is not None and config.paper is None:
        same = same.replace(regularizer="+".join(name for _, name in terms(config.regularizer)))
    if config.schedule != "cosine":
        same = same.replace(steps=1)
    return same


@lru_cache(maxsize=32)
def _program(config: Config, task: Task) -> Program:
    return Program(config, task, penalty_of(config, task), None)


def recipe(config: Config, task: Task, rows: Rows, given: Any) -> Recipe:
    """The recipe of a run with all settings filled in; what is compiled for a given optimizer is not shared."""
    return Recipe(config, task, _per_epoch(config, rows), given)
