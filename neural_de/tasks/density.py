"""A density in the plane by a continuous normalizing flow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..models.continuous_flow import ContinuousFlow
from ..settings.config import Config
from .rows import Rows
from .task import Batch, Losses, Task, model_options


@dataclass(frozen=True)
class Density(Task):
    """The density of two half moons by a continuous normalizing flow; no data are needed.

    Two interleaved half circles with noise, by `ContinuousFlow`; the loss is the mean of -log density, in nats. Model
    options: `hidden` widths, `t1`, and `trace`: "exact" or "hutchinson", in training only.
    """

    name = "moons-cnf"
    score, sign = "loss", -1
    defaults: ClassVar[Mapping[str, Any]] = {
        "steps": 1500, "batch": 256, "optimizer": "adam", "learning_rate": 5e-3, "schedule": "cosine",
        "rtol": 1e-5, "atol": 1e-5, "max_steps": 512,
    }  # fmt: skip

    def rows(self, config: Config) -> Rows:
        rng = np.random.default_rng([config.seed, 7])
        rest, test = moons(4000, rng), moons(2000, rng)
        held = max(1, round(config.validation * len(rest)))
        return Rows({"x": rest[held:]}, {"x": rest[:held]}, {"x": test}, source="made here")

    def model(self, config: Config, rows: Rows, key: Any, dtype: Any) -> ContinuousFlow:
        """A continuous normalizing flow.

        Args:
            config: with the model options of the class.
            rows: "x" of shape (n, 2).
            key: of the weights.
            dtype: of the weights.
        """
        options = model_options(config, {"hidden": [32, 32], "trace": None, "t1": None})
        return ContinuousFlow(rows.train["x"].shape[1], key=key, dtype=dtype, **options)

    def loss(
        self, model: Any, batch: Batch, *, key: Any, step: Any, training: bool, **options: Any
    ) -> Losses:
        """The mean of -log density, in nats.

        Args:
            model: as `model` returns it.
            batch: "x" of shape (n, 2).
            key: of the trace estimator.
            step: unused.
            training: otherwise the trace is exact.
            **options: of `solve`.
        """
        trace = None if training else "exact"
        found, solved = model.log_density(batch["x"], key, trace=trace, **options)
        return Losses(-found.mean(), {}, solved)


def moons(n: int, rng: np.random.Generator) -> np.ndarray:
    """Points of two half circles of radius 1, the lower one shifted by (1, 1/2), with deviation 0.1; float32."""
    angle = np.pi * rng.random(n)
    lower = np.arange(n) % 2 == 1
    x = np.where(lower, 1 - np.cos(angle), np.cos(angle))
    y = np.where(lower, 0.5 - np.sin(angle), np.sin(angle))
    points = np.stack([x, y], axis=1) + 0.1 * rng.normal(size=(n, 2))
    return np.asarray(points, np.float32)
