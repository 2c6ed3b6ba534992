"""What a training task consists of: rows, a model, a loss, and the settings that suit them."""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._errors import OdescentError, expected, unknown
from ..config import Config
from ..data import Dataset, Split
from ..instrumented import Solved


@dataclass(frozen=True)
class Rows:
    """Arrays by name; those of a split have one length, `fixed` goes whole into every batch.

    Raises OdescentError for a split without rows, or of arrays that differ in length.

    Attributes:
        train, validation, test: the rows; `test` is looked at once, at the end.
        fixed: what does not depend on the row, such as times.
        classes: number of labels, 0 where there is none.
        source: where the data come from.
    """

    train: Mapping[str, np.ndarray]
    validation: Mapping[str, np.ndarray]
    test: Mapping[str, np.ndarray]
    fixed: Mapping[str, np.ndarray] = field(default_factory=dict)
    classes: int = 0
    source: str = ""

    def __post_init__(self) -> None:
        for part in ("train", "validation", "test", "fixed"):
            arrays = {n: np.asarray(a) for n, a in getattr(self, part).items()}
            object.__setattr__(self, part, arrays)
            lengths = {n: a.shape[0] if a.ndim else 0 for n, a in arrays.items()}
            if part != "fixed" and (len(set(lengths.values())) != 1 or 0 in lengths.values()):
                raise OdescentError(
                    f"the arrays of {part} have one length, at least 1; theirs are {lengths or 'none'}."
                )

    @staticmethod
    def of(data: Dataset) -> Rows:
        """The rows of a data set as x, y, and mask and times where it has them."""

        def arrays(split: Split) -> dict[str, np.ndarray]:
            mask = {} if split.mask is None else {"mask": split.mask}
            return {"x": split.x, "y": split.y, **mask}

        times = {} if data.times is None else {"times": data.times}
        return Rows(
            arrays(data.train), arrays(data.validation), arrays(data.test), times, data.classes, data.source
        )  # fmt: skip

    def in_precision(self, dtype: Any) -> Rows:
        """With floating arrays in this type."""

        def cast(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            floating = {n: np.issubdtype(a.dtype, np.floating) for n, a in arrays.items()}
            return {n: a.astype(dtype) if floating[n] else a for n, a in arrays.items()}

        return Rows(
            cast(self.train), cast(self.validation), cast(self.test), cast(self.fixed), self.classes, self.source
        )  # fmt: skip

    @property
    def digest(self) -> str:
        """SHA-256 of all arrays, with their names, types and shapes."""
        total = hashlib.sha256()
        for part in (self.train, self.validation, self.test, self.fixed):
            for name in sorted(part):
                a = np.ascontiguousarray(part[name])
                total.update(f"{name} {a.dtype.str} {a.shape};".encode())
                total.update(a.data)
            total.update(b"|")
        return total.hexdigest()


def count(rows: Mapping[str, np.ndarray]) -> int:
    """How many rows."""
    return len(next(iter(rows.values())))


class Outcome(eqx.Module):
    """A batch's loss without penalties, its metrics by name, and its solve.

    Attributes:
        residuals: whose squares add up to the loss, if it is such a sum; least-squares optimizers need them.
    """

    loss: Float[Array, ""]
    metrics: dict[str, Float[Array, ""]]
    solved: Solved
    residuals: Float[Array, " m"] | None = None

    @staticmethod
    def of_residuals(
        residuals: Float[Array, " m"], metrics: dict[str, Float[Array, ""]], solved: Solved
    ) -> Outcome:
        """The loss is the residuals' sum of squares; divide them by the root of their number for a mean."""
        return Outcome(jnp.sum(residuals**2), metrics, solved, residuals)


class Task(abc.ABC):
    """A task; make it hashable (a frozen dataclass), so that runs share what is compiled.

    Class attributes:
        name: as in `Config.task`.
        defaults: of the settings that a `Config` leaves open; steps, batch, optimizer, learning_rate, rtol, atol
            and max_steps must be among them.
        score: the metric that chooses the best weights on the validation rows.
        sign: 1 if more of it is better, -1 if less.
        experiment: the name under which `paper_settings` knows it; None if the papers do not have it.
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
        """The model at the start, an equinox module."""

    @abc.abstractmethod
    def loss(
        self,
        model: Any,
        batch: Mapping[str, Array],
        *,
        key: Any,
        step: Any,
        training: bool,
        **options: Any,
    ) -> Outcome:
        """The loss of a batch; `options` go to `solve`, and the metrics hold `score`."""

    def paper(self, year: int) -> Mapping[str, Any]:
        """Settings of a paper besides those of `paper_settings`."""
        return {}


def checked(task: Task, outcome: Any) -> Outcome:
    """What a task's loss returned.

    Raises:
        OdescentError: no `Outcome`, a loss or metric that is not one number, or no metric of the task's score.
    """
    if not isinstance(outcome, Outcome):
        raise expected(f"what the loss of {task.name} returns", "an Outcome", outcome)
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
        if name not in usual:
            raise unknown("model option", name, usual)
    chosen = {**usual, **config.model_options}
    return {name: value for name, value in chosen.items() if value is not None}


MOMENTUM = {
    "optimizer": "sgd", "learning_rate": 0.1, "schedule": "inverse", "optimizer_options": {"momentum": 0.9},
}  # fmt: skip
