"""Classification by the final state of an SDE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Array

from ..config import Config
from ..data import load
from ..models import NeuralSDEClassifier, accuracy, cross_entropy
from .base import Outcome, Rows, Task, model_options


@dataclass(frozen=True)
class NoisyClassification(Task):
    """Images by a `NeuralSDEClassifier`: one path per row in training, the mean logits of ten elsewhere.

    Model options: `dimension` of the state, `hidden` widths of the drift's layers, `diffusion_scale` of its first
    weights.
    """

    def rows(self, config: Config) -> Rows:
        return Rows.of(
            load(self.name.partition("-")[0], seed=config.seed, validation=config.validation)
        )

    def model(self, config: Config, rows: Rows, key: Any, dtype: Any) -> NeuralSDEClassifier:
        options = model_options(config, {"dimension": 32, "hidden": [64], "diffusion_scale": None})
        widths = options.pop("dimension"), options.pop("hidden")
        d = rows.train["x"].shape[1]
        return NeuralSDEClassifier(d, *widths, rows.classes, key, dtype=dtype, **options)

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
        logits, solved = model(batch["x"], key, paths=1 if training else 10, **options)
        found = {"accuracy": accuracy(logits, batch["y"])}
        return Outcome(cross_entropy(logits, batch["y"]), found, solved)


class Digits(NoisyClassification):
    name = "digits-sde"
    defaults: ClassVar[Mapping[str, Any]] = {
        "steps": 400, "batch": 128, "optimizer": "adam", "learning_rate": 1e-2, "schedule": "cosine",
        "rtol": 1e-2, "atol": 1e-2, "max_steps": 256,
    }  # fmt: skip


class MNIST(NoisyClassification):
    name = "mnist-sde"
    experiment = "mnist_sde"
    defaults: ClassVar[Mapping[str, Any]] = {
        "steps": 3000, "batch": 256, "optimizer": "adam", "learning_rate": 1e-2, "schedule": "inverse",
        "rtol": 1e-1, "atol": 1e-1, "max_steps": 256,
    }  # fmt: skip

    def paper(self, year: int) -> Mapping[str, Any]:
        return {"optimizer": "adam", "learning_rate": 1e-2, "schedule": "inverse"}


def digits_sde() -> Task:
    """Scikit-learn's 8 x 8 digits by a neural SDE."""
    return Digits()


def mnist_sde() -> Task:
    """MNIST by a neural SDE (arXiv 2105.03918, 2303.02262)."""
    return MNIST()
