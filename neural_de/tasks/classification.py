"""Classification by the final state of an ODE or an SDE: digits, MNIST, and two spirals in the plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.random as jr

from ..._support.errors import OdescentError
from ..models.networks import (
    NeuralODEClassifier,
    NeuralSDEClassifier,
    accuracy,
    cross_entropy,
)
from ..settings.config import Config
from .rows import Rows
from .task import MOMENTUM, Batch, DataSetTask, Losses, model_options

_OPTIONS = ("hidden", "augment", "channels", "final", "t1")


@dataclass(frozen=True)
class Classification(DataSetTask):
    """The rows of a data set into its classes by a `NeuralODEClassifier`.

    Model options: `hidden` widths of the field's layers, `augment` zeros appended to the input, `final`
    activation or not; or `channels` for a convolutional field, on one image plane (then `augment` counts
    planes of zeros).
    """

    def model(self, config: Config, rows: Rows, key: Any, dtype: Any) -> Any:
        """A dense or convolutional classifier by an ODE.

        Args:
            config: with the model options of the class.
            rows: "x" of shape (n, d).
            key: of the weights.
            dtype: of the weights.

        Raises:
            OdescentError: ``channels`` for rows that are not square images.
        """
        options = model_options(config, {**dict.fromkeys(_OPTIONS), "hidden": [100]})
        d, classes = rows.train["x"].shape[1], rows.classes
        hidden, channels = options.pop("hidden"), options.pop("channels", None)
        if channels is None:
            return NeuralODEClassifier(d, hidden, classes, key, dtype=dtype, **options)
        from ..models.convolution import ConvField

        side = round(d**0.5)
        if side**2 != d:
            raise OdescentError(f"channels= needs square images, not rows of {d} numbers.")
        planes = 1 + options.get("augment", 0)
        a, b = jr.split(key)
        field = ConvField((planes, side, side), channels, a, dtype=dtype)
        zeros = d * (planes - 1)
        return NeuralODEClassifier(d, [], classes, b, field=field, augment=zeros, dtype=dtype)

    def loss(
        self, model: Any, batch: Batch, *, key: Any, step: Any, training: bool, **options: Any
    ) -> Losses:
        """The mean cross-entropy, in nats, with the accuracy in [0, 1].

        Args:
            model: as `model` returns it.
            batch: "x" of shape (n, d), and the classes "y" of shape (n,).
            key: of the noise and of the regularizer.
            step: of training.
            training: decides the number of paths.
            **options: of `solve`.
        """
        logits, solved = model(batch["x"], key=key, **self.paths(training), **options)
        found = {"accuracy": accuracy(logits, batch["y"])}
        return Losses(cross_entropy(logits, batch["y"]), found, solved)

    def paths(self, training: bool) -> dict[str, int]:
        """How many paths the model solves for each row, if its solve has noise."""
        return {}


class NoisyClassification(Classification):
    """The same by a `NeuralSDEClassifier`: one path per row in training, the mean logits of ten elsewhere.

    Model options: `dimension` of the state, `hidden` widths of the drift's layers, `diffusion_scale` of its first
    weights.
    """

    def model(self, config: Config, rows: Rows, key: Any, dtype: Any) -> Any:
        """A classifier by an SDE.

        Args:
            config: with the model options `dimension`, `hidden` and `diffusion_scale`.
            rows: "x" of shape (n, d).
            key: of the weights.
            dtype: of the weights.
        """
        options = model_options(config, {"dimension": 32, "hidden": [64], "diffusion_scale": None})
        widths = options.pop("dimension"), options.pop("hidden")
        d = rows.train["x"].shape[1]
        return NeuralSDEClassifier(d, *widths, rows.classes, key, dtype=dtype, **options)

    def paths(self, training: bool) -> dict[str, int]:
        return {"paths": 1 if training else 10}


class DigitsByODE(Classification):
    """Scikit-learn's 8 x 8 digits by a neural ODE."""

    name = "digits-ode"
    defaults: ClassVar[Mapping[str, Any]] = {
        "steps": 600, "batch": 128, "optimizer": "adam", "learning_rate": 3e-3, "rtol": 1e-6, "atol": 1e-6,
        "max_steps": 256,
    }  # fmt: skip


class ImagesByODE(Classification):
    """MNIST by a neural ODE on the pixels (arXiv 2105.03918, 2303.02262)."""

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


class SpiralsByODE(Classification):
    """Two interleaved spirals by an augmented neural ODE; no data are needed."""

    name = "spirals-ode"
    defaults: ClassVar[Mapping[str, Any]] = {
        "steps": 500, "batch": 128, "optimizer": "adam", "learning_rate": 1e-2, "rtol": 1e-5, "atol": 1e-5,
        "max_steps": 256, "model_options": {"hidden": [32], "augment": 1},
    }  # fmt: skip


class DigitsBySDE(NoisyClassification):
    """Scikit-learn's 8 x 8 digits by a neural SDE."""

    name = "digits-sde"
    defaults: ClassVar[Mapping[str, Any]] = {
        "steps": 400, "batch": 128, "optimizer": "adam", "learning_rate": 1e-2, "schedule": "cosine",
        "rtol": 1e-2, "atol": 1e-2, "max_steps": 256,
    }  # fmt: skip


class ImagesBySDE(NoisyClassification):
    """MNIST by a neural SDE (arXiv 2105.03918, 2303.02262)."""

    name = "mnist-sde"
    experiment = "mnist_sde"
    defaults: ClassVar[Mapping[str, Any]] = {
        "steps": 3000, "batch": 256, "optimizer": "adam", "learning_rate": 1e-2, "schedule": "inverse",
        "rtol": 1e-1, "atol": 1e-1, "max_steps": 256,
    }  # fmt: skip

    def paper(self, year: int) -> Mapping[str, Any]:
        return {"optimizer": "adam", "learning_rate": 1e-2, "schedule": "inverse"}
