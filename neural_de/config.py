"""What a training run is, as data: everything that its bits depend on, and nothing else."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from .._errors import OdescentError, expected, unknown
from .penalties.sums import canonical

PRECISIONS = ("float32", "float64")
SCHEDULES = ("constant", "cosine", "inverse")
FIRST_STEPS = ("hairer", "warm", "calibrated")
_COUNTS = ("steps", "batch", "target_nfe", "max_steps", "validate_every", "checkpoint_every", "devices")  # fmt: skip
_POSITIVE = ("learning_rate", "rtol", "atol", "brownian_tolerance", "clip", "max_accuracy_loss")
BUDGETS = ("target_nfe", "max_accuracy_loss")
PENALTY = (
    "coefficient",
    "final_coefficient",
    *BUDGETS,
    "regularizer_options",
)  # belong to a regularizer
_LARGEST = 2**63  # what a seed stays below
_DECAY = 1e-5  # the papers' inverse decay of the learning rate


@dataclass(frozen=True)
class Config:
    """A training run; what is None takes the task's default. Hashable, and JSON there and back.

    Attributes:
        task: a registered task, or the name of the task that `train` is given.
        seed: of the splits, the weights, the order of the rows and the noise.
        steps, batch: optimizer steps; rows per step.
        regularizer, coefficient: a registered regularizer, or a sum of some (``"error+0.5*stiffness"``), and its
            coefficient, positive; with a budget, where the coefficient starts (0.01).
        final_coefficient: where an exponential schedule from `coefficient` ends at the last step.
        regularizer_options: by name, such as ``{"kind": "scaled"}``; of a sum, ``{"error": {"kind": "scaled"}}``.
        target_nfe: a budget of evaluations per solve; the coefficient is then found while training (`Budget`).
        max_accuracy_loss: a budget of score (0.01 is a percentage point of accuracy) against the same run without
            regularizer, which is trained first; the coefficient rises as far as that allows.
        optimizer: of optax (``adam``), an algorithm of odescent (``nesterov_sc``), or ``levenberg_marquardt``, for
            losses that are sums of squares; ``optax:adam`` and ``odescent:adam`` say which.
        learning_rate: of optax, or the step of an odescent algorithm where that is free; of ``levenberg_marquardt``
            the share of its steps that is taken, at most and by default 1.
        schedule: of the learning rate: "constant", "cosine" to zero, or "inverse", 1 / (1 + 1e-5 step).
        optimizer_options: by name, such as ``{"mu": 1.0, "L": 50.0}``.
        rtol, atol: of the solves.
        brownian_tolerance: of the Brownian paths, in units of time, as `solve` has it; only for tasks with noise.
        dt0: the first step: "hairer" (the default of most tasks), a length, "warm" (carried from solve to solve), or
            "calibrated" (at each validation, the length with which validation rows cost the fewest evaluations).
        max_steps: of a solve.
        model_options: of the task's model.
        paper: 2021 or 2023: settings of arXiv 2105.03918 or 2303.02262; `regularizer` is then the paper's name
            of one, such as "ERNODE".
        precision: "float32" or "float64".
        validation: fraction of the training rows that is set aside.
        validate_every, checkpoint_every: steps between.
        skips: batches in a row that may fail, each noted and passed over, before the run stops.
        clip: largest global norm of a gradient.
        devices: over how many a batch is split.
    """

    task: str
    seed: int = 0
    steps: int | None = None
    batch: int | None = None
    regularizer: str | None = None
    coefficient: float | None = None
    final_coefficient: float | None = None
    regularizer_options: Mapping[str, Any] = field(default_factory=dict)
    target_nfe: int | None = None
    max_accuracy_loss: float | None = None
    optimizer: str | None = None
    learning_rate: float | None = None
    schedule: str | None = None
    optimizer_options: Mapping[str, Any] = field(default_factory=dict)
    rtol: float | None = None
    atol: float | None = None
    brownian_tolerance: float | None = None
    dt0: str | float | None = None
    max_steps: int | None = None
    model_options: Mapping[str, Any] = field(default_factory=dict)
    paper: int | None = None
    precision: str = "float32"
    validation: float = 0.1
    validate_every: int = 100
    checkpoint_every: int = 100
    skips: int = 0
    clip: float | None = None
    devices: int = 1

    def __post_init__(self) -> None:
        for name in _COUNTS:
            value = getattr(self, name)
            if value is not None and not (_whole(value) and value >= 1):
                raise OdescentError(f"{name} is a whole number, at least 1, not {value!r}.")
        for name in ("seed", "skips"):
            if not (_whole(getattr(self, name)) and 0 <= getattr(self, name) < _LARGEST):
                raise OdescentError(
                    f"{name} is a whole number, at least 0 and below 2^63, not {getattr(self, name)!r}."
                )
        for name in ("task", "regularizer", "optimizer"):
            value = getattr(self, name)
            if not isinstance(value, str) and (name == "task" or value is not None):
                raise expected(name, "a name", value)
        for name in (*_POSITIVE, "coefficient", "final_coefficient"):
            value = getattr(self, name)
            if value is not None and not (_real(value) and value > 0):
                raise OdescentError(f"{name} is a positive number, not {value!r}.")
        if not (_real(self.validation) and 0 < self.validation < 1):
            raise OdescentError(f"validation is between 0 and 1, not {self.validation!r}.")
        for name, choices in (("precision", PRECISIONS), ("schedule", SCHEDULES)):
            if getattr(self, name) is not None and getattr(self, name) not in choices:
                raise unknown(name, getattr(self, name), choices)
        if isinstance(self.dt0, str) and self.dt0 not in FIRST_STEPS:
            raise unknown("first step", self.dt0, FIRST_STEPS)
        if not isinstance(self.dt0, str | None) and not (_real(self.dt0) and self.dt0 > 0):
            raise OdescentError(
                f"dt0 is a positive length, or one of {', '.join(FIRST_STEPS)}, not {self.dt0!r}."
            )
        self._check_penalty()
        for name in _MAPPINGS:  # plain data of its own, that nobody changes later
            object.__setattr__(self, name, _data(name, getattr(self, name)))

    def _check_penalty(self) -> None:
        given = [n for n in PENALTY if getattr(self, n)]
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
        if (
            self.regularizer is not None and self.paper is None
        ):  # the papers have names of their own
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
        return json.dumps(self.to_dict(), sort_keys=True, allow_nan=False)

    @staticmethod
    def from_json(text: str) -> Config:
        """The inverse of `to_json`; OdescentError for text that says no such settings."""
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
        return self.replace(
            regularizer=None, **{n: {} if n in _MAPPINGS else None for n in PENALTY}
        )

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, 64 hexadecimal digits."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def rate(self) -> Any:
        """The learning rate, a number or an optax schedule."""
        if self.schedule in (None, "constant"):
            return self.learning_rate
        if self.learning_rate is None:
            raise OdescentError(
                f"a {self.schedule} schedule is one of the learning rate, which is missing: give learning_rate, or "
                "leave schedule out."
            )
        import optax

        if self.schedule == "cosine":
            return optax.cosine_decay_schedule(self.learning_rate, self.steps or 1)
        start = self.learning_rate
        return lambda step: start / (1 + _DECAY * step)


_MAPPINGS = ("regularizer_options", "optimizer_options", "model_options")


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _real(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_names(said: Mapping[str, Any]) -> None:
    known = {f.name for f in fields(Config)}
    for name in said:
        if name not in known:
            raise unknown("setting", name, known)


def _data(name: str, options: Any) -> dict[str, Any]:
    """The options as JSON data of their own, tuples as lists."""
    try:
        found = json.loads(json.dumps(dict(options), allow_nan=False))
    except (TypeError, ValueError):
        raise OdescentError(
            f"{name} are numbers, text and lists by name, not {options!r}."
        ) from None
    return dict(found)
