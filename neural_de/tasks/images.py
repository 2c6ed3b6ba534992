"""Classification by the final state of an ODE: digits, MNIST, and two spirals in the plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.random as jr
from jaxtyping import Array

from ..._errors import OdescentError
from ..config import Config
from ..data import load
from ..models import NeuralODEClassifier, accuracy, cross_entropy
from .base import MOMENTUM, Outcome, Rows, Task, model_options

_OPTIONS = ("hidden", "augment", "channels", "final", "t1")


@dataclass(frozen=True)
class Classification(Task):
    """The rows of a data set into its classes by a `NeuralODEClassifier`.

    Model options: `hidden` widths of the field's layers, `augment` zeros appended to the input, `final`
    activation or not; or `channels` for a convolutional field, on one image plane (then `augment` counts
    planes of zeros).
    """

    def rows(self, config: Config) -> Rows:
        data = self.name.partition("-")[0]
        return Rows.of(load(data, seed=config.seed, validation=config.validation))

    def model(self, config: Config, rows: Rows, key: Any, dtype: Any) -> NeuralODEClassifier:
        options = model_options(config, {**dict.fromkeys(_OPTIONS), "hidden": [100]})
        d, classes = rows.train["x"].shape[1], rows.classes
        hidden, channels = options.pop("hidden"), options.pop("channels", None)
        if channels is None:
            return NeuralODEClassifier(d, hidden, classes, key, dtype=dtype, **options)
        from ..convolution import ConvField

        side = round(d**0.5)
        if side**2 != d:
            raise OdescentError(f"channels= needs square images, not rows of {d} numbers.")
        planes = 1 + options.get("augment", 0)
        a, b = jr.split(key)
        field = ConvField((planes, side, side), channels, a, dtype=dtype)
        zeros = d * (planes - 1)
        return NeuralODEClassifier(d, [], classes, b, field=field, augment=zeros, dtype=dtype)

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
        logits, solved = model(batch["x"], key=key, **options)
        found = {"accuracy": accuracy(logits, batch["y"])}
        return Outcome(cross_entropy(logits, batch["y"]), found, solved)


class Digits(Classification):
    name = "digits-ode"
    defaults: ClassVar[Mapping[str, Any]] = {
        "steps": 600, "batch": 128, "optimizer": "adam", "learning_rate": 3e-3, "rtol": 1e-6, "atol": 1e-6,
        "max_steps": 256,
    }  # fmt: skip


class MNIST(Classification):
    name = "mnist-ode"
    experiment = "mnist"
    defaults: ClassVar[Mapping[str, Any]] = {
        "steps": 3000, "batch": 256, "optimizer": "adam", "learning_rate": 2e-3, "rtol": 1e-6, "atol": 1e-6,
        "max_steps": 256,
    }  # fmt: skip

    def paper(self, year: int) -> Mapping[str, Any]:
        if year == 2021:
            return MOMENTUM
        linear = {"hidden": [100], "final": False}
        return {"optimizer": "adam", "learning_rate": 1e-3, "model_options": linear}


class Spirals(Classification):
    name = "spirals-ode"
    defaults: ClassVar[Mapping[str, Any]] = {
        "steps": 500, "batch": 128, "optimizer": "adam", "learning_rate": 1e-2, "rtol": 1e-5, "atol": 1e-5,
        "max_steps": 256, "model_options": {"hidden": [32], "augment": 1},
    }  # fmt: skip


def digits_ode() -> Task:
    """Scikit-learn's 8 x 8 digits by a neural ODE."""
    return Digits()


def mnist_ode() -> Task:
    """MNIST by a neural ODE on the pixels (arXiv 2105.03918, 2303.02262)."""
    return MNIST()


def spirals_ode() -> Task:
    """Two interleaved spirals by an augmented neural ODE; no data are needed."""
    return Spirals()
