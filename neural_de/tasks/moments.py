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

FRESH = 40_000  # paths: of 10 000 the noise is half the loss of a good fit, and chooses among them


@dataclass(frozen=True)
class SpiralMoments(Task):
    """The paths' mean and variance at 30 times; every path begins at (2, 0).

    Rows are paths, all alike but for their noise, so that the batch size is the number of paths. Validation and
    test draw 40 000 fresh ones each; the metric `noise` is the diffusion's root mean square at the end, which
    regularization must not drive to zero. The moments are fitted by least squares whose noise is averaged away. With
    an optimizer of the first order, clip the gradients (`clip=1`), or paths that run away at the start spoil the rest
    of the run; a tenth of Glorot's diffusion at the start (`diffusion_scale`) makes such a fit cheaper. Keep the first
    step fixed: at a coarse tolerance the weights make up for the bias of the solves that they were fitted with.
    Model options: `hidden`, and `diffusion_scale` of the first weights.
    """

    name = "spiral-sde"
    experiment = "spiral_sde"
    score, sign, whole = "loss", -1, True
    defaults: ClassVar[Mapping[str, Any]] = {
        "steps": 250, "batch": 300, "optimizer": "levenberg_marquardt", "learning_rate": 1.0, "schedule": "cosine",
        "rtol": 1e-2, "atol": 1e-2, "max_steps": 512, "dt0": 0.02,
    }  # fmt: skip

    def rows(self, config: Config) -> Rows:
        times, means, variances = spiral_sde_moments()

        def start(n: int) -> dict[str, np.ndarray]:
            return {"x": np.tile(np.asarray([2.0, 0.0], np.float32), (n, 1))}

        fixed = {"times": times, "means": means, "variances": variances}
        n = self.defaults["batch"] if config.batch is None else config.batch
        return Rows(
            start(n), start(FRESH), start(FRESH), fixed, source="made here (arXiv 2105.03918)"
        )

    def model(self, config: Config, rows: Rows, key: Any, dtype: Any) -> NeuralSDE:
        options = model_options(config, {"hidden": [50], "diffusion_scale": 1.0})
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
        return {"optimizer": "adabelief", "learning_rate": 0.01}


def spiral_sde() -> Task:
    """A neural SDE fitted to the moments of a spiral (arXiv 2105.03918)."""
    return SpiralMoments()
