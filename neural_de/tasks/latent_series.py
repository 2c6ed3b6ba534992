"""Irregular series by a latent ODE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
import jax.random as jr

from ..models.latent import LatentODE, masked_nll
from ..settings.config import Config
from .rows import Rows
from .task import Batch, DataSetTask, Losses, model_options

_SIZES = ("latent", "hidden", "width", "layers", "units")
_DEVIATION = 0.01


@dataclass(frozen=True)
class LatentSeries(DataSetTask):
    """PhysioNet 2012 intensive-care series by a latent ODE (arXiv 2105.03918, 2303.02262).

    The loss has a Gaussian likelihood of the series and the divergence of the latent state, which is annealed. The
    divergence enters with the weight 1 - 0.99^max(0, step - 100). The score is the mean squared error over what was
    observed. Model options: `latent`, `hidden`, `width`, `layers`, `units` of `LatentODE`.
    """

    name = "physionet-latent-ode"
    experiment = "physionet"
    score, sign = "mse", -1
    defaults: ClassVar[Mapping[str, Any]] = {
        "steps": 3000, "batch": 256, "optimizer": "adamax", "learning_rate": 1e-2, "schedule": "inverse",
        "rtol": 1e-5, "atol": 1e-5, "max_steps": 512,
    }  # fmt: skip

    def model(self, config: Config, rows: Rows, key: Any, dtype: Any) -> LatentODE:
        """A latent ODE.

        Args:
            config: with the model options of the class.
            rows: "x" of shape (n, times, features).
            key: of the weights.
            dtype: of the weights.
        """
        sizes = model_options(config, dict.fromkeys(_SIZES))
        return LatentODE(rows.train["x"].shape[2], key, dtype=dtype, **sizes)

    def loss(
        self, model: Any, batch: Batch, *, key: Any, step: Any, training: bool, **options: Any
    ) -> Losses:
        """The annealed evidence bound, in nats, with the mean squared error over observed entries.

        Args:
            model: as `model` returns it.
            batch: "x" and "mask" of shape (n, times, features), and "times".
            key: of the latent noise and of the regularizer.
            step: of training; sets the weight of the divergence.
            training: otherwise the latent state is its mean.
            **options: of `solve`.
        """
        x, mask, times = batch["x"], batch["mask"], batch["times"]
        draw, rest = jr.split(key)
        latent = model.encoder.head.second.bias.shape[0] // 2
        noise = jr.normal(draw, (len(x), latent), x.dtype) if training else None
        again, divergence, solved = model(times, x, mask, noise, key=rest, **options)
        seen = mask.astype(x.dtype)
        mse = (seen * (x - again) ** 2).sum() / jnp.maximum(seen.sum(), 1)
        late = jnp.maximum(jnp.asarray(step, x.dtype) - 100, 0)
        weight = 1 - jnp.asarray(0.99, x.dtype) ** late
        loss = (masked_nll(again, x, mask, _DEVIATION) + weight * divergence).mean()
        return Losses(loss, {"mse": mse, "divergence": divergence.mean()}, solved)

    def paper(self, year: int) -> Mapping[str, Any]:
        return {"optimizer": "adamax", "learning_rate": 1e-2, "schedule": "inverse"}
