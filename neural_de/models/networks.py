"""Models whose forward pass is a solve: classifiers by an ODE and by an SDE; equinox modules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from ..solving.solve import Solved, solve


class Dense(eqx.Module):
    """x W + b, W drawn by Glorot's rule."""

    weight: Float[Array, "inputs outputs"]
    bias: Float[Array, "outputs"]

    def __init__(self, inputs: int, outputs: int, key: Any, dtype: Any = jnp.float32) -> None:
        limit = (6 / (inputs + outputs)) ** 0.5
        self.weight = jr.uniform(key, (inputs, outputs), dtype, -limit, limit)
        self.bias = jnp.zeros((outputs,), dtype)

    def __call__(self, x: Float[Array, "*batch inputs"]) -> Float[Array, "*batch outputs"]:
        y = x @ self.weight
        return y + jnp.broadcast_to(self.bias, y.shape)


class TimeMLP(eqx.Module):
    """A vector field: layers with the time joined to the input of each one (arXiv 2105.03918, MNIST).

    Attributes:
        layers: the first takes dimension + 1 inputs, and so on.
        activation: after every layer, after the last one only if `final` is set.
        power: of the state before the first layer (3 in the spiral experiments).
    """

    layers: tuple[Dense, ...]
    activation: Callable[[Any], Any] = eqx.field(static=True)
    final: bool = eqx.field(static=True)
    time: bool = eqx.field(static=True)
    power: int = eqx.field(static=True)

    @checked
    def __init__(
        self,
        dimension: int,
        hidden: Sequence[int],
        key: PRNGKeyArray,
        *,
        activation: Callable[[Any], Any] = jnp.tanh,
        final: bool = True,
        time: bool = True,
        power: int = 1,
        dtype: Any = jnp.float32,
    ) -> None:
        """Layers by Glorot's rule.

        Args:
            dimension: of the state.
            hidden: widths of the layers between.
            key: of the weights.
            activation, final, power: as the attributes.
            time: whether the time is joined to each layer's input.
            dtype: of the weights.
        """
        given: Any = hidden
        widths = [dimension, *(given if isinstance(given, Sequence) else [given]), dimension]
        if not all(isinstance(w, int | np.integer) and w > 0 for w in widths):
            raise OdescentError(f"widths of layers must be positive whole numbers, not {widths}.")
        keys = jr.split(key, len(widths) - 1)
        self.layers = tuple(
            Dense(a + time, b, k, dtype) for a, b, k in zip(widths, widths[1:], keys, strict=False)
        )
        self.activation, self.final, self.time, self.power = activation, final, time, power

    def __call__(self, t: Any, y: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
        x = y**self.power if self.power != 1 else y
        for i, layer in enumerate(self.layers):
            if self.time:
                clock = jnp.broadcast_to(jnp.asarray(t, x.dtype), (*x.shape[:-1], 1))
                x = jnp.concatenate([x, clock], axis=-1)
            x = layer(x)
            if self.final or i + 1 < len(self.layers):
                x = self.activation(x)
        return x


def apply(t: Any, y: Any, field: Any) -> Any:
    """A vector field that is passed as the argument of the solve, so that every adjoint differentiates its weights.

    Args:
        t: time.
        y: the state.
        field: a function of (t, y).
    """
    return field(t, y)


class NeuralODEClassifier(eqx.Module):
    """Logits from the state at t1 of the solve that starts at the input.

    Attributes:
        field: (t, y) -> dy/dt, for y of shape (batch, dimension).
        head: from the final state to logits.
        t1: the end of the interval [0, t1].
        augment: number of zeros appended to the input (arXiv 1904.01681).
    """

    field: Any
    head: Dense
    t1: float = eqx.field(static=True)
    augment: int = eqx.field(static=True)

    @checked
    def __init__(
        self,
        dimension: int,
        hidden: Sequence[int],
        classes: int,
        key: PRNGKeyArray,
        *,
        t1: float = 1.0,
        augment: int = 0,
        field: Any = None,
        **options: Any,
    ) -> None:
        """A `field` of your own, of dimension + augment variables, or a `TimeMLP`, to which `options` go.

        Args:
            dimension: numbers per input.
            hidden: widths of the field's layers.
            classes: how many.
            key: of the weights.
            t1: the end of the interval [0, t1].
            augment: zeros that are appended to each input.
            field: (t, y) -> dy/dt, for y of shape (batch, dimension + augment).
        """
        if augment < 0:
            raise OdescentError(f"augment must be a number of zeros, at least 0, not {augment}.")
        a, b = jr.split(key)
        d = dimension + augment
        self.field = TimeMLP(d, hidden, a, **options) if field is None else field
        self.head = Dense(d, classes, b, options.get("dtype", jnp.float32))
        self.t1, self.augment = t1, augment

    def __call__(
        self, x: Float[Array, "batch d"], **options: Any
    ) -> tuple[Float[Array, "batch classes"], Solved]:
        """Logits, and the solve with its statistics and penalty; `options` go to `solve`.

        Raises:
            OdescentError: inputs of another dimension.
        """
        d = self.head.weight.shape[0] - self.augment
        if x.ndim != 2 or x.shape[1] != d:
            raise OdescentError(f"the model takes inputs of shape (batch, {d}), not {x.shape}.")
        x = jnp.pad(x, ((0, 0), (0, self.augment)))
        solved = solve(apply, x, 0.0, self.t1, self.field, **options)
        return self.head(solved.last), solved


class NeuralSDE(eqx.Module):
    """A drift network and a linear diagonal diffusion, in the sense of Stratonovich.

    Attributes:
        drift: (t, y) -> dy/dt.
        diffusion: from y to the standard deviations, entry by entry.
    """

    drift: Any
    diffusion: Dense

    @checked
    def __init__(
        self,
        dimension: int,
        hidden: Sequence[int],
        key: PRNGKeyArray,
        *,
        diffusion_scale: float = 1.0,
        **options: Any,
    ) -> None:
        """`options` go to `TimeMLP`; by default neither the time nor a last activation enters.

        Args:
            dimension: of the state.
            hidden: widths of the drift's layers.
            key: of the weights.
            diffusion_scale: what Glorot's weights of the diffusion are multiplied by: a variable of size 1 has noise
                of about that size at the start, which is often far more than the data's.
        """
        if not diffusion_scale > 0:
            raise OdescentError(
                f"diffusion_scale must be a positive number, not {short(diffusion_scale)}."
            )
        a, b = jr.split(key)
        self.drift = TimeMLP(dimension, hidden, a, **({"time": False, "final": False} | options))
        made = Dense(dimension, dimension, b, options.get("dtype", jnp.float32))
        self.diffusion = eqx.tree_at(lambda d: d.weight, made, diffusion_scale * made.weight)

    def __call__(
        self, y0: Float[Array, "batch d"], key: Any, t1: float = 1.0, **options: Any
    ) -> Solved:
        """Solve a batch of paths as one state.

        Args:
            y0: initial states.
            key: of the noise.
            t1: the end of the interval [0, t1].
            options: of `solve`.

        Returns:
            The solve, with the states saved, of shape (times, batch, d).
        """
        return solve(
            lambda t, y, m: m.drift(t, y), y0, 0.0, t1, self,
            diffusion=lambda t, y, m: m.diffusion(y), key=key, **options,
        )  # fmt: skip


class NeuralSDEClassifier(eqx.Module):
    """Logits from the state at t1 of an SDE that starts at a linear image of the input (arXiv 2105.03918).

    Attributes:
        embed: from input to state.
        sde: drift and diffusion.
        head: from the final state to logits.
    """

    embed: Dense
    sde: NeuralSDE
    head: Dense

    @checked
    def __init__(
        self,
        inputs: int,
        dimension: int,
        hidden: Sequence[int],
        classes: int,
        key: PRNGKeyArray,
        **options: Any,
    ) -> None:
        """Weights are drawn by Glorot's rule.

        Args:
            inputs: numbers per input.
            dimension: of the state.
            hidden: widths of the drift's layers.
            classes: how many.
            key: of the weights.
            options: of `NeuralSDE`.
        """
        a, b, c = jr.split(key, 3)
        dtype = options.get("dtype", jnp.float32)
        self.embed = Dense(inputs, dimension, a, dtype)
        self.head = Dense(dimension, classes, c, dtype)
        self.sde = NeuralSDE(dimension, hidden, b, **options)

    def __call__(
        self, x: Float[Array, "batch d"], key: Any, *, paths: int = 1, **options: Any
    ) -> tuple[Float[Array, "batch classes"], Solved]:
        """Logits of a batch.

        Args:
            x: inputs.
            key: of the noise.
            paths: per row, whose logits are averaged.
            options: of `solve`.

        Returns:
            Logits, and the solve of all paths as one state, of shape (paths * batch, dimension).
        """
        start = jnp.tile(self.embed(x), (paths, 1))
        solved = self.sde(start, key, **options)
        logits = self.head(solved.last)
        return logits.reshape(paths, x.shape[0], -1).mean(0), solved


def cross_entropy(logits: Float[Array, "batch classes"], labels: Array) -> Float[Array, ""]:
    """The mean negative log likelihood of the labels."""
    logs = jax.nn.log_softmax(logits)
    return -jnp.mean(jnp.take_along_axis(logs, labels[:, None], axis=1))


def accuracy(logits: Float[Array, "batch classes"], labels: Array) -> Float[Array, ""]:
    """The fraction of rows whose largest logit is the label's."""
    return jnp.mean((jnp.argmax(logits, axis=1) == labels.astype(int)).astype(logits.dtype))
