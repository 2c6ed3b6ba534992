"""A neural SDE fitted to the means and variances of a spiral's paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import diffrax as dfx
import jax.numpy as jnp
import numpy as np

from ..models.networks import NeuralSDE
from ..settings.config import Config
from .data import spiral_sde_moments
from .rows import Rows
from .task import Batch, Losses, Task, model_options

FRESH = 40_000  # paths: of 10 000 the noise is half the loss of a good fit, and chooses among them


@dataclass(frozen=True)
class SpiralMoments(Task):
    """A neural SDE fitted to the moments of a spiral (arXiv 2105.03918).

    The moments are the paths' mean and variance at 30 times; every path begins at (2, 0). Rows are paths, all alike
    but for their noise, so that the batch size is the number of paths. Validation and test draw 40 000 fresh ones
    each; the metric `noise` is the diffusion's root mean square at the end, which regularization must not drive to
    zero. The moments are fitted by least squares whose noise is averaged away. With an optimizer of the first order,
    clip the gradients (`clip=1`), or paths that run away at the start spoil the rest of the run; a tenth of Glorot's
    diffusion at the start (`diffusion_scale`) makes such a fit cheaper. Keep the first step fixed: at a coarse
    tolerance the weights make up for the bias of the solves that they were fitted with. Model options: `hidden`, and
    `diffusion_scale` of the first weights.
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
        """A neural SDE in the plane, with cubes of the state as inputs.

        Args:
            config: with the model options of the class.
            rows: unused.
            key: of the weights.
            dtype: of the weights.
        """
        options = model_options(config, {"hidden": [50], "diffusion_scale": 1.0})
        return NeuralSDE(2, options.pop("hidden"), key, power=3, dtype=dtype, **options)

    def loss(
        self, model: Any, batch: Batch, *, key: Any, step: Any, training: bool, **options: Any
    ) -> Losses:
        """Least squares of the means and variances over all times, with the diffusion's root mean square at the end.

        Args:
            model: as `model` returns it.
            batch: "x" of shape (n, 2), a row per path; "times" of shape (k,), "means" and "variances" of shape (k, 2).
            key: of the noise.
            step: unused.
            training: unused.
            **options: of `solve`.
        """
        solved = model(batch["x"], key, saveat=dfx.SaveAt(ts=batch["times"]), **options)
        paths = solved.ys
        center = paths.mean(1)
        spread = ((paths - center[:, None]) ** 2).mean(1)
        off = jnp.stack([center - batch["means"], spread - batch["variances"]])
        residuals = off.ravel() / center.size**0.5
        noise = jnp.sqrt(jnp.mean(model.diffusion(paths[-1]) ** 2))
        return Losses.of_residuals(residuals, {"noise": noise}, solved)

    def paper(self, year: int) -> Mapping[str, Any]:
        return {"optimizer": "adabelief", "learning_rate": 0.01}
