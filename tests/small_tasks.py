"""Training tasks whose solutions are known on paper, cheap to compile (Heun's pair)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from odescent.neural_de.solving.solve import solve
from odescent.neural_de.tasks.rows import Rows
from odescent.neural_de.tasks.task import Losses, Task


class Weights(eqx.Module):
    """One weight per row, and a rate."""

    row: jax.Array
    rate: jax.Array


FIELDS = {
    "still": lambda t, y, m: 0 * y * m.rate,
    "constant": lambda t, y, m: 1 + 0 * y * m.rate,
    "linear": lambda t, y, m: m.rate * y,
    "blow up": lambda t, y, m: m.rate * y * y,
    "undefined": lambda t, y, m: jnp.where(t > 0.5, jnp.nan, 1.0).astype(y.dtype) * m.rate * y,
}


@dataclass(frozen=True)
class Small(Task):
    """Solve y' = FIELDS[field] from the rows' x on [0, 1]; the loss is as `kind` says."""

    field: str = "linear"
    kind: str = "fit"
    rate: float = 0.5
    n: int = 4

    name = "small"
    score, sign = "loss", -1
    defaults: ClassVar[Mapping[str, Any]] = {
        "steps": 6, "batch": 4, "optimizer": "sgd", "learning_rate": 0.1, "rtol": 1e-3, "atol": 1e-3, "max_steps": 16,
    }  # fmt: skip

    def rows(self, config):
        rng = np.random.default_rng(config.seed)
        # all starts alike for the solves that fail: their end is known
        part = lambda n: {
            "x": np.ones(n) if self.kind == "end" else rng.uniform(0.5, 1.5, n),
            "y": rng.normal(size=n),
            "row": np.arange(n),
        }
        return Rows(part(self.n), part(self.n), part(self.n))  # alike, so that little is compiled

    def model(self, config, rows, key, dtype):
        return Weights(jnp.zeros(self.n, dtype), jnp.asarray(self.rate, dtype))

    def loss(self, model, batch, *, key, step, training, **options):
        solved = solve(
            FIELDS[self.field], batch["x"], 0.0, 1.0, model, solver=dfx.Heun(), adjoint=dfx.DirectAdjoint(), key=key,
            **options,
        )  # fmt: skip
        end = solved.ys[-1]
        if self.kind == "fit":  # the mean of the squares
            return Losses.of_residuals((end - batch["y"]) / end.size**0.5, {}, solved)
        loss = {
            "end": lambda: jnp.mean(end),
            "rows": lambda: jnp.sum(model.row[batch["row"]]),
            "root": lambda: jnp.sqrt(jnp.sum(model.row**2)) + 0 * jnp.mean(end),
        }[self.kind]()
        return Losses(loss, {}, solved)
