"""A neural SDE fitted to the means and variances of a spiral's paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import diffrax as dfx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..config import Config
from ..data import spiral_sde_moments
from ..models import NeuralSDE
from .base import Outcome, Rows, Task, model_options


@dataclass(frozen=True)
class SpiralMoments(Task):
    """The paths' mean and variance at 30 times; every path begins at (2, 0).

    Rows are paths, all alike but for their noise, so that the batch size is the number of paths. Validation and
    test draw 1000 fresh ones each; the metric `noise` is the diffusion's root mean square at the end, which
    regularization must not drive to zero. It begins with a tenth of Glorot's: the fit is then cheaper. Clip the
    gradients (`clip=1`): paths that run away at the start would spoil the rest of the run.
    Model options: `hidden`, and `diffusion_scale` of the first weights.
    """

    name = "spiral-sde"
    experiment = "spiral_sde"
    score, sign, whole = "loss", -1, True
    defaults: ClassVar[Mapping[str, Any]] = {
        "steps": 900, "batch": 100, "optimizer": "adabelief", "learning_rate": 0.02, "schedule": "cosine",
        "rtol": 1e-2, "atol": 1e-2, "max_steps": 512, "dt0": 0.02,
    }  # fmt: skip

    def rows(self, config: Config) -> Rows:
        times, means, variances = spiral_sde_moments()

        def start(n: int) -> dict[str, np.ndarray]:
            return {"x": np.tile(np.asarray([2.0, 0.0], np.float32), (n, 1))}

        fixed = {"times": times, "means": means, "variances": variances}
        n = 100 if config.batch is None else config.batch
        return Rows(
            start(n), start(1000), start(1000), fixed, source="made here (arXiv 2105.03918)"
        )

    def model(self, config: Config, rows: Rows, key: Any, dtype: Any) -> NeuralSDE:
        options = model_options(config, {"hidden": [50], "diffusion_scale": 0.1})
        return NeuralSDE(2, options.pop("hidden"), key, power=3, dtype=dtype, **options)

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
        solved = model(batch["x"], key, saveat=dfx.SaveAt(ts=batch["times"]), **options)
        paths = solved.ys
        center = paths.mean(1)
        spread = ((paths - center[:, None]) ** 2).mean(1)
        off = jnp.stack([center - batch["means"], spread - batch["variances"]])
        residuals = off.ravel() / center.size**0.5
        noise = jnp.sqrt(jnp.mean(model.diffusion(paths[-1]) ** 2))
        return Outcome.of_residuals(residuals, {"noise": noise}, solved)

    def paper(self, year: int) -> Mapping[str, Any]:
        glorot = {"diffusion_scale": 1.0}
        return {"optimizer": "adabelief", "learning_rate": 0.01, "model_options": glorot}


def spiral_sde() -> Task:
    """A neural SDE fitted to the moments of a spiral (arXiv 2105.03918)."""
    return SpiralMoments()
