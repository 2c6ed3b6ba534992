"""A latent ODE for irregular series: a recurrent encoder back in time, an ODE forward, a decoder.

Rubanova, Chen and Duvenaud, arXiv 1907.03907, section 3; the encoder is their GRU over means and deviations.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ..solving.solve import Solved, solve
from .networks import Dense, TimeMLP, apply


class TwoLayers(eqx.Module):
    """Dense, tanh, Dense."""

    first: Dense
    second: Dense

    def __init__(self, inputs: int, hidden: int, outputs: int, key: Any, dtype: Any) -> None:
        a, b = jr.split(key)
        self.first, self.second = Dense(inputs, hidden, a, dtype), Dense(hidden, outputs, b, dtype)

    def __call__(self, x: Float[Array, "*batch inputs"]) -> Float[Array, "*batch outputs"]:
        return self.second(jnp.tanh(self.first(x)))


class GRUEncoder(eqx.Module):
    """A gated recurrent unit whose state is a mean and a deviation, run from the last time to the first.

    At a time without an observation of a sample its state is kept, so observation times of other samples have no
    effect.

    Attributes:
        update, reset, new: the gates and the candidate.
        head: from the last state to the mean and log variance of the latent state.
    """

    update: TwoLayers
    reset: TwoLayers
    new: TwoLayers
    head: TwoLayers
    width: int = eqx.field(static=True)

    @checked
    def __init__(
        self, observed: int, width: int, hidden: int, latent: int, key: PRNGKeyArray, dtype: Any
    ) -> None:
        """Weights by Glorot's rule.

        Args:
            observed: variables per time.
            width, hidden: of the state, and of the gates' layers.
            latent: dimension of the latent state.
            key: of the weights.
            dtype: of the weights.
        """
        a, b, c, d = jr.split(key, 4)
        inputs = 2 * width + 2 * observed + 1
        self.update = TwoLayers(inputs, hidden, width, a, dtype)
        self.reset = TwoLayers(inputs, hidden, width, b, dtype)
        self.new = TwoLayers(inputs, hidden, 2 * width, c, dtype)
        self.head = TwoLayers(2 * width, hidden, 2 * latent, d, dtype)
        self.width = width

    def __call__(
        self,
        times: Float[Array, "times"],
        x: Float[Array, "batch times d"],
        mask: Bool[Array, "batch times d"],
    ) -> tuple[Float[Array, "batch latent"], Float[Array, "batch latent"]]:
        """The latent state at the first time, as a normal law.

        Args:
            times: increasing.
            x, mask: values, and where they were observed.

        Returns:
            Means and log variances.
        """
        seen = mask.astype(x.dtype)
        gaps = jnp.concatenate([jnp.diff(times), jnp.zeros((1,), times.dtype)]).astype(x.dtype)

        def step(state: Any, now: Any) -> tuple[Any, None]:
            mean, deviation, since = state
            values, flags, gap = now
            since = since + gap  # to the later time at which this sample was last observed
            joined = jnp.concatenate([values * flags, flags, since], axis=1)
            whole = jnp.concatenate([mean, deviation, joined], axis=1)
            u = jax.nn.sigmoid(self.update(whole))
            r = jax.nn.sigmoid(self.reset(whole))
            new = self.new(jnp.concatenate([mean * r, deviation * r, joined], axis=1))
            there = jnp.any(flags > 0, axis=1, keepdims=True)
            a = (1 - u) * new[:, : self.width] + u * mean
            b = jnp.abs((1 - u) * new[:, self.width :] + u * deviation)
            after = (
                jnp.where(there, a, mean),
                jnp.where(there, b, deviation),
                jnp.where(there, jnp.zeros_like(since), since),
            )
            return after, None

        zero = jnp.zeros((len(x), self.width), x.dtype)
        start = (zero, zero, jnp.zeros((len(x), 1), x.dtype))
        inputs = (jnp.swapaxes(x, 0, 1), jnp.swapaxes(seen, 0, 1), gaps)
        (mean, deviation, _), _ = jax.lax.scan(step, start, inputs, reverse=True)
        both = self.head(jnp.concatenate([mean, deviation], axis=1))
        half = both.shape[1] // 2
        return both[:, :half], both[:, half:]


class LatentODE(eqx.Module):
    """Series from a latent state that follows an ODE.

    Attributes:
        encoder: (times, x, mask) -> mean and log variance.
        field: (t, z) -> dz/dt.
        decoder: from latent to observed.
    """

    encoder: Any
    field: Any
    decoder: Dense

    @checked
    def __init__(
        self,
        observed: int,
        key: PRNGKeyArray,
        *,
        latent: int = 20,
        hidden: int = 40,
        width: int = 50,
        layers: int = 4,
        units: int = 50,
        field: Any = None,
        dtype: Any = jnp.float32,
    ) -> None:
        """By default the sizes of arXiv 2105.03918 for PhysioNet.

        Args:
            observed: variables per time.
            latent: dimension of the ODE.
            hidden, width: of the encoder's layers and of its state.
            layers, units: the field is tanh, then `layers` pairs of tanh layers of width `units`.
            field: your own instead, (t, z) -> dz/dt.
            key, dtype: of the weights.
        """
        a, b, c = jr.split(key, 3)
        self.encoder = GRUEncoder(observed, width, hidden, latent, a, dtype)
        widths = [w for _ in range(layers) for w in (units, latent)][:-1]
        self.field = TimeMLP(latent, widths, b, time=False, dtype=dtype) if field is None else field
        self.decoder = Dense(latent, observed, c, dtype)

    def __call__(
        self,
        times: Float[Array, "times"],
        x: Float[Array, "batch times d"],
        mask: Bool[Array, "batch times d"],
        noise: Float[Array, "batch latent"] | None = None,
        **options: Any,
    ) -> tuple[Float[Array, "batch times d"], Float[Array, "batch"], Solved]:
        """The series from its latent state.

        Args:
            times: increasing, for all samples; irregular series are masked on the union of their times.
            x, mask: values, and where they were observed.
            noise: standard normal, for a draw of the latent state; its mean if None.
            options: of `solve`.

        Returns:
            The series again, KL(posterior || N(0, 1)) per sample, in nats, and the solve.

        Raises:
            OdescentError: shapes that do not fit.
        """
        import diffrax as dfx

        d = self.decoder.weight.shape[1]
        if x.shape != mask.shape or x.shape[1:] != (len(times), d):
            raise OdescentError(
                f"the series must be (batch, {len(times)}, {d}) with a mask of that shape, not {x.shape} and "
                f"{mask.shape}."
            )
        mean, log_variance = self.encoder(times, x, mask)
        z0 = mean if noise is None else mean + jnp.exp(log_variance / 2) * noise
        solved = solve(
            apply, z0, times[0], times[-1], self.field, saveat=dfx.SaveAt(ts=times), **options
        )
        again = jnp.moveaxis(self.decoder(solved.ys), solved.time_axis, 1)
        divergence = (jnp.exp(log_variance) + mean**2 - 1 - log_variance).sum(axis=1) / 2
        return again, divergence, solved


def masked_nll(
    again: Float[Array, "batch times d"],
    x: Float[Array, "batch times d"],
    mask: Bool[Array, "batch times d"],
    deviation: float,
) -> Float[Array, "batch"]:
    """Negative log likelihood of series under N(again, deviation^2).

    Args:
        again: the model's series.
        x, mask: values, and where they were observed.
        deviation: in units of x.

    Returns:
        The mean over each sample's observations, in nats.
    """
    seen = mask.astype(x.dtype)
    normal = jnp.log(jnp.asarray(2 * jnp.pi * deviation**2, x.dtype))
    each = ((x - again) ** 2 / deviation**2 + normal) / 2
    return (each * seen).sum((1, 2)) / jnp.maximum(seen.sum((1, 2)), 1)
