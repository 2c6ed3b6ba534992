"""A neural SDE trained to be cheap to solve, as a user-defined task.

    python examples/cheaper_neural_sde.py

Problem: classify the 8x8 digits of scikit-learn by the final state of a neural SDE with diagonal noise, solved
adaptively. As for ODEs, the solver's own estimates of its errors are added to the loss (Pal, Ma, Shah, Rackauckas,
2021, arXiv:2105.03918, who take MNIST).

Claim: predictions cost at most half, at an accuracy that is no worse by more than two percentage points (of
360 test rows). The value is the ratio of the evaluations of the drift, the theory is the bound 1/2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from odescent.neural_de import Config, Losses, NeuralSDEClassifier, Rows, Task, train
from odescent.neural_de.models.networks import accuracy, cross_entropy
from odescent.neural_de.tasks.data import load


@dataclass(frozen=True)
class NoisyDigits(Task):
    """Rows, a model and a loss: that is all a task needs."""

    name = "noisy-digits"
    defaults: ClassVar[Mapping[str, Any]] = {
        "steps": 100, "batch": 128, "optimizer": "adam", "learning_rate": 1e-2, "rtol": 1e-2, "atol": 1e-2,
        "max_steps": 256, "dt0": 0.02,
    }  # fmt: skip

    def rows(self, config: Config) -> Rows:
        return load("digits", seed=config.seed, validation=config.validation)

    def model(self, config: Config, rows: Rows, key, dtype) -> NeuralSDEClassifier:
        return NeuralSDEClassifier(64, 16, [32], rows.classes, key, dtype=dtype)

    def loss(self, model, batch, *, key, step, training, **options) -> Losses:
        logits, solved = model(batch["x"], key, paths=1 if training else 4, **options)
        found = {"accuracy": accuracy(logits, batch["y"])}
        return Losses(cross_entropy(logits, batch["y"]), found, solved)


PLAIN = Config("noisy-digits", validate_every=50)
CHEAP = PLAIN.replace(regularizer="error", coefficient=1.0)


def main() -> tuple[float, float]:
    """Train with and without; returns the ratio of evaluations per prediction, and the bound."""
    tests = {}
    for name, config in (("plain", PLAIN), ("regularized", CHEAP)):
        tests[name] = test = train(config, task=NoisyDigits()).test
        print(f"{name:<12} {test['nfe']:.0f} evaluations, accuracy {test['accuracy']:.1%}")
    plain, cheap = tests["plain"], tests["regularized"]
    assert cheap["accuracy"] >= plain["accuracy"] - 0.02
    return cheap["nfe"] / plain["nfe"], 0.5


if __name__ == "__main__":
    main()
