"""Training tasks: rows, a model, a loss, and default settings."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar, TypeAlias

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._support.errors import OdescentError, check_choice, expected, unknown
from ..._support.rendering.rendered import Rendered
from ..settings.config import Config
from ..solving.solve import Solved
from .data import load
from .rows import Rows

# By name: arrays of its rows, and those that go whole into every batch.
Batch: TypeAlias = Mapping[str, Array]


class Losses(Rendered, eqx.Module):
    """A batch's loss without penalties, its metrics by name, and its solve.

    Attributes:
        residuals: residuals whose squares add up to the loss, if there are any; least-squares optimizers need them.
    """

    loss: Float[Array, ""]
    metrics: dict[str, Float[Array, ""]]
    solved: Solved
    residuals: Float[Array, " m"] | None = None

    @staticmethod
    def of_residuals(
        residuals: Float[Array, " m"], metrics: dict[str, Float[Array, ""]], solved: Solved
    ) -> Losses:
        """Losses whose loss is a sum of squares.

        Args:
            residuals: whose squares are added; divide them by the root of their number for a mean.
            metrics: by name, a number each.
            solved: the solve.

        Returns:
            The losses, with the residuals for optimizers that need them.
        """
        return Losses(jnp.sum(residuals**2), metrics, solved, residuals)


class Task(abc.ABC):
    """A task; make it hashable (a frozen dataclass), so that runs of equal tasks share compiled code.

    What its methods read from elsewhere is that of the first run in a process: make it fields, which tell tasks apart.

    Class attributes:
        name: as in `Config.task`.
        defaults: defaults of the settings that a `Config` leaves open; steps, batch, optimizer, learning_rate, rtol,
            atol and max_steps are required.
        score: the metric that chooses the best weights on the validation rows.
        sign: 1 if larger is better, -1 if smaller.
        experiment: its name in `paper_settings`; None if the papers do not have it.
        span: length of the interval of the solves.
        whole: whether validation and test solve all rows as one state, because the metrics are moments.
    """

    name: ClassVar[str]
    defaults: ClassVar[Mapping[str, Any]]
    score: ClassVar[str] = "accuracy"
    sign: ClassVar[int] = 1
    experiment: ClassVar[str | None] = None
    span: ClassVar[float] = 1.0
    whole: ClassVar[bool] = False

    @abc.abstractmethod
    def rows(self, config: Config) -> Rows:
        """The data; the same for the same seed."""

    @abc.abstractmethod
    def model(self, config: Config, rows: Rows, key: Any, dtype: Any) -> Any:
        """The model at the start.

        Args:
            config: the settings, filled in.
            rows: the data.
            key: of the weights.
            dtype: of the weights.

        Returns:
            An equinox module.
        """

    @abc.abstractmethod
    def loss(
        self, model: Any, batch: Batch, *, key: Any, step: Any, training: bool, **options: Any
    ) -> Losses:
        """The loss of a batch.

        Args:
            model: as `model` made it, with the weights of the step.
            batch: arrays by name, rows first; those of `Rows.fixed` whole.
            key: of what is drawn at random.
            step: of training, a whole number.
            training: False in validation and test.
            options: of `solve`, to pass on.

        Returns:
            The loss, metrics that hold `score`, and the solve.
        """

    def paper(self, year: int) -> Mapping[str, Any]:
        """Settings of a paper besides those of `paper_settings`."""
        return {}


class DataSetTask(Task):
    """A task on the data set named by the first word of its own name, as in mnist-ode."""

    def rows(self, config: Config) -> Rows:
        data = self.name.partition("-")[0]
        return load(data, seed=config.seed, validation=config.validation)


def checked_losses(task: Task, outcome: Any) -> Losses:
    """What a task's loss returned.

    Raises:
        OdescentError: no `Losses`, a loss or metric that is not one number, or no metric of the task's score.
    """
    if not isinstance(outcome, Losses):
        raise expected(f"the value of the loss of {task.name}", "Losses", outcome)
    for name, value in {"loss": outcome.loss, **outcome.metrics}.items():
        shape = np.shape(value)
        if shape:
            raise OdescentError(
                f"{name} of {task.name} is one number per batch, and this one has the shape {shape}: take its mean."
            )
    if task.score != "loss" and task.score not in outcome.metrics:
        raise unknown(f"metric of {task.name} to be its score called", task.score, outcome.metrics)
    return outcome


def model_options(config: Config, usual: Mapping[str, Any]) -> dict[str, Any]:
    """The config's model options with the task's own in place of what is left open; None leaves it to the model.

    Raises:
        OdescentError: an option that the task does not have.
    """
    for name in config.model_options:
        check_choice("model option", name, usual)
    chosen = {**usual, **config.model_options}
    return {name: value for name, value in chosen.items() if value is not None}


MOMENTUM = {
    "optimizer": "sgd", "learning_rate": 0.1, "schedule": "inverse", "optimizer_options": {"momentum": 0.9},
}  # fmt: skip
