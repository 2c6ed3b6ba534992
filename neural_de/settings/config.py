"""The configuration of a training run: all settings that affect its result."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any

from ..._support import store
from ..._support.errors import OdescentError, check_choice, expected, unknown
from ..._support.numbers import real_number, whole_number
from ..._support.rendering.brief import short
from ..._support.rendering.rendered import Rendered
from ..regularization.sums import canonical

SCHEDULES = ("constant", "cosine", "inverse")
FIRST_STEPS = ("hairer", "warm", "calibrated")
BUDGETS = ("target_nfe", "max_accuracy_loss")
_LARGEST = 2**63  # what a seed stays below
_DECAY = 1e-5  # the papers' inverse decay of the learning rate


@dataclass(frozen=True)
class Values(Rendered):
    """The admissible values of a setting.

    Attributes:
        said: a description.
        fits: whether a value is admissible; not called for None and for `words`.
        read: conversion of the text of a command's option; the option's name is the first argument.
        words: further admissible values; without `fits`, the only ones.
        metavar: placeholder in a command's help.
    """

    said: str
    fits: Callable[[Any], bool] | None
    read: Callable[[str, str], Any] = lambda option, text: text
    words: tuple[str, ...] = ()
    metavar: str = "NAME"

    def check(self, name: str, value: Any) -> None:
        """Raise an OdescentError if the value is not admissible for the setting of this name."""
        if value in self.words:
            return
        if self.words and (self.fits is None or isinstance(value, str)):
            raise unknown("first step" if self.fits else name, value, self.words)
        if self.fits is not None and not self.fits(value):
            raise expected(name, self.said, value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _positive(value: Any) -> bool:
    real = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return real and value > 0


def _step(option: str, text: str) -> Any:
    return text if text.isalpha() else real_number(option, text)


NAME = Values("a name", lambda v: isinstance(v, str))
COUNT = Values(
    "a whole number, at least 1", lambda v: _whole(v) and v >= 1, whole_number, metavar="N"
)
NUMBERED = Values(
    "a whole number, at least 0 and below 2^63", lambda v: _whole(v) and 0 <= v < _LARGEST,
    whole_number, metavar="N",
)  # fmt: skip
POSITIVE = Values("a positive number", _positive, real_number, metavar="NUMBER")
SHARE = Values("between 0 and 1", lambda v: _positive(v) and v < 1, real_number, metavar="NUMBER")
STEP = Values(
    f"a positive length, or one of {', '.join(FIRST_STEPS)}", _positive, _step, FIRST_STEPS, "STEP"
)
YEAR = Values("2021 or 2023", None, whole_number, metavar="YEAR")  # the papers know which
OPTIONS = Values("numbers, text and lists by name", None)


def setting(
    values: Values, default: Any = None, option: str = "", *, of: str = "run", shared: bool = False
) -> Any:
    """A field of `Config`.

    Args:
        values: the admissible values.
        default: None where the task or the paper may set it; options start empty.
        option: the help of the option of ``odescent train``; empty for a setting with a different kind of option.
        of: its group: the "penalty", the "optimizer", the "solve" of a batch, or the whole "run".
        shared: whether runs that differ in it share compiled code, because it is an argument of the update.

    Returns:
        A dataclass field with these arguments as its metadata.
    """
    metadata = {"values": values, "option": option, "of": of, "shared": shared}
    if values is OPTIONS:
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


def settings(of: str | None = None) -> dict[str, Mapping[str, Any]]:
    """The metadata of the fields of `Config` by name: of all fields, or of one group."""
    known = {f.name: f.metadata for f in fields(Config)}
    return {n: m for n, m in known.items() if of is None or m["of"] == of}


@dataclass(frozen=True)
class Config(Rendered):
    """The settings of a training run; None is the task's default. Hashable, with conversion to and from JSON.

    Attributes:
        task: a registered task, or the name of the task given to `train`.
        seed: seed of the splits, the weights, the order of the rows and the noise.
        steps, batch: optimizer steps; rows per step.
        regularizer, coefficient: a registered regularizer or a weighted sum (``"error+0.5*stiffness"``), and its
            positive coefficient; with a budget, the initial coefficient (0.01).
        final_coefficient: coefficient at the last step, after an exponential decay from `coefficient`.
        regularizer_options: by name, such as ``{"kind": "scaled"}``; of a sum, ``{"error": {"kind": "scaled"}}``.
        target_nfe: a budget of evaluations per solve; the coefficient is found during training (`Budget`).
        max_accuracy_loss: a budget of score (0.01 is a percentage point of accuracy) against the same run without
            regularizer, which is trained first; the coefficient is as large as this budget allows.
        optimizer: an optax optimizer (``adam``), an algorithm of odescent (``nesterov_sc``), or
            ``levenberg_marquardt`` for sums of squares; ``optax:adam`` and ``odescent:adam`` resolve equal names.
        learning_rate: the learning rate of an optax optimizer, the free step of an odescent algorithm, or the fraction
            of its steps that ``levenberg_marquardt`` takes, at most and by default 1.
        schedule: schedule of the learning rate: "constant", "cosine" to zero, or "inverse", 1 / (1 + 1e-5 step).
        optimizer_options: by name, such as ``{"mu": 1.0, "L": 50.0}``.
        rtol, atol: tolerances of the solves.
        brownian_tolerance: resolution of the Brownian paths in time, as in `solve`; only for tasks with noise.
        dt0: the first step: "hairer" (the default of most tasks), a length, "warm" (carried from solve to solve), or
            "calibrated" (chosen at each validation for the fewest evaluations on the validation rows).
        max_steps: largest number of steps of a solve.
        model_options: options of the task's model, by name.
        paper: 2021 or 2023, the settings of arXiv 2105.03918 or 2303.02262; `regularizer` is then a name of that
            paper, such as "ERNODE".
        precision: "float32" or "float64".
        validation: fraction of the training rows used for validation.
        validate_every, checkpoint_every: steps between validations; steps between checkpoints.
        skips: consecutive failed batches that are recorded and skipped before the run stops.
        clip: largest global norm of a gradient.
        devices: number of devices over which a batch is split.
    """

    task: str = setting(NAME, MISSING)
    seed: int = setting(NUMBERED, 0, shared=True)
    steps: int | None = setting(COUNT, None, "Steps of the optimizer.")
    batch: int | None = setting(COUNT, None, "Rows per step.")
    regularizer: str | None = setting(NAME)
    coefficient: float | None = setting(
        POSITIVE, None, "Coefficient of the regularizer.", of="penalty", shared=True
    )
    final_coefficient: float | None = setting(
        POSITIVE, None, "Coefficient at the last step, after an exponential decay.",
        of="penalty", shared=True,
    )  # fmt: skip
    regularizer_options: Mapping[str, Any] = setting(OPTIONS, of="penalty")
    target_nfe: int | None = setting(
        COUNT, None, "Budget of N evaluations per solve; the coefficient follows.", of="penalty"
    )
    max_accuracy_loss: float | None = setting(
        POSITIVE, None, "Budget of score (0.01: a point) against a run without regularizer, trained first.",
        of="penalty",
    )  # fmt: skip
    optimizer: str | None = setting(
        NAME, None, "An optax optimizer, an algorithm, or levenberg_marquardt.", of="optimizer"
    )
    learning_rate: float | None = setting(
        POSITIVE, None, "Learning rate; by default the task's.", of="optimizer"
    )
    schedule: str | None = setting(
        Values("a schedule", None, words=SCHEDULES), None,
        "Learning rate over the steps: constant, cosine or inverse.", of="optimizer",
    )  # fmt: skip
    optimizer_options: Mapping[str, Any] = setting(OPTIONS, of="optimizer")
    rtol: float | None = setting(POSITIVE, of="solve")
    atol: float | None = setting(POSITIVE, of="solve")
    brownian_tolerance: float | None = setting(
        POSITIVE, None, "Resolution in time of the Brownian paths; by default from the tolerance.",
        of="solve",
    )  # fmt: skip
    dt0: str | float | None = setting(
        STEP, None, "First step of a solve: hairer, warm, calibrated or a length.", of="solve"
    )
    max_steps: int | None = setting(COUNT, None, "Largest number of steps of a solve.", of="solve")
    model_options: Mapping[str, Any] = setting(OPTIONS, shared=True)
    paper: int | None = setting(YEAR, None, "Settings of the paper of 2021 or of 2023.", of="solve")
    precision: str = setting(
        Values("a type", None, words=("float32", "float64"), metavar="TYPE"), "float32",
        "Type of the numbers: float32 or float64.", of="solve",
    )  # fmt: skip
    validation: float = setting(SHARE, 0.1, shared=True)
    validate_every: int = setting(
        COUNT, 100, "Steps between validations; by default 100.", shared=True
    )
    checkpoint_every: int = setting(
        COUNT, 100, "Steps between checkpoints; by default 100.", shared=True
    )
    skips: int = setting(
        NUMBERED, 0, "Consecutive failed batches to skip; by default 0.", shared=True
    )
    clip: float | None = setting(POSITIVE, None, "Largest norm of a gradient.")
    devices: int = setting(COUNT, 1, "Devices for each batch; by default 1.")

    def __post_init__(self) -> None:
        for f in fields(self):
            value, values = getattr(self, f.name), f.metadata["values"]
            if values is OPTIONS:  # plain data of its own, that nobody changes later
                object.__setattr__(self, f.name, _data(f.name, value))
            elif value is not None or f.default is not None:
                values.check(f.name, value)
        self._check_penalty()

    def _check_penalty(self) -> None:
        given = [n for n in settings("penalty") if getattr(self, n)]
        if self.regularizer is None and given:
            raise OdescentError(
                f"{given[0]} belongs to a regularizer: name one, as in regularizer='error'."
            )
        if self.final_coefficient is not None and self.coefficient is None:
            raise OdescentError("final_coefficient ends a schedule that starts at coefficient.")
        budgets = [n for n in BUDGETS if n in given]
        if len(budgets) > 1:
            raise OdescentError("a run has one budget: target_nfe or max_accuracy_loss, not both.")
        if budgets and self.final_coefficient is not None:
            raise OdescentError(
                f"{budgets[0]} finds the coefficient itself: leave final_coefficient out."
            )
        if self.paper is not None and len(given) > 0:
            raise OdescentError(
                f"paper={self.paper} sets the regularizer's coefficient: leave {given[0]} out."
            )
        if self.regularizer is not None and self.paper is None:  # papers have names of their own
            object.__setattr__(self, "regularizer", canonical(self.regularizer))

    def __hash__(self) -> int:
        return hash(self.to_json())

    def replace(self, **changes: Any) -> Config:
        """With some of the settings changed."""
        _check_names(changes)
        return replace(self, **changes)

    def filled(self, defaults: Mapping[str, Any]) -> Config:
        """With defaults in place of what is None, or empty for options."""
        chosen = {n: v for n, v in defaults.items() if getattr(self, n) in (None, {})}
        return self.replace(**chosen)

    def to_dict(self) -> dict[str, Any]:
        """JSON data."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def to_json(self) -> str:
        """Canonical JSON: the same text for the same settings."""
        return store.canonical(self.to_dict())

    @staticmethod
    def from_json(text: str) -> Config:
        """The inverse of `to_json`; OdescentError for text that is not of this form."""
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict) or not isinstance(said.get("task"), str):
            raise OdescentError("the settings of a run are a JSON object with at least its task.")
        _check_names(said)
        return Config(**said)

    @property
    def budgeted(self) -> bool:
        """Whether the coefficient is found while training."""
        return any(getattr(self, n) is not None for n in BUDGETS)

    def without_penalty(self) -> Config:
        """The same run without regularizer."""
        given = {n: v for n, v in self.to_dict().items() if n not in settings("penalty")}
        return Config(**{**given, "regularizer": None})

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, 64 hexadecimal digits."""
        return store.identity(self.to_dict())

    def rate(self) -> Any:
        """The learning rate, a number or an optax schedule."""
        if self.schedule in (None, "constant"):
            return self.learning_rate
        if self.learning_rate is None:
            raise OdescentError(
                f"a {self.schedule} schedule requires a learning rate: give learning_rate, or "
                "leave schedule out."
            )
        import optax

        if self.schedule == "cosine":
            return optax.cosine_decay_schedule(self.learning_rate, self.steps or 1)
        start = self.learning_rate
        return lambda step: start / (1 + _DECAY * step)


def _check_names(said: Mapping[str, Any]) -> None:
    for name in said:
        check_choice("setting", name, settings())


def _data(name: str, options: Any) -> dict[str, Any]:
    """The options as JSON data of their own, tuples as lists."""
    try:
        found = json.loads(json.dumps(dict(options), allow_nan=False))
    except (TypeError, ValueError):
        raise OdescentError(
            f"{name} must be numbers, text and lists by name, not {short(options)}."
        ) from None
    return dict(found)
