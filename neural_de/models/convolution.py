"""A convolutional vector field on flattened images, compatible with any other field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from ..._support.arguments import checked
from ..._support.errors import OdescentError


class ConvField(eqx.Module):
    """Convolutions with time as an additional input channel of each; zero padding preserves the size.

    The state is an image of shape (channels, height, width), flattened. Zeros appended to it (`augment` of
    `NeuralODEClassifier`, in multiples of height * width) are further channels.

    Attributes:
        kernels: of shape (out, in + 1, size, size).
        biases: of shape (out,).
    """

    kernels: tuple[Float[Array, "..."], ...]
    biases: tuple[Float[Array, "..."], ...]
    shape: tuple[int, int, int] = eqx.field(static=True)
    activation: Callable[[Any], Any] = eqx.field(static=True)

    @checked
    def __init__(
        self,
        shape: Sequence[int],
        hidden: Sequence[int],
        key: PRNGKeyArray,
        *,
        size: int = 3,
        activation: Callable[[Any], Any] = jnp.tanh,
        dtype: Any = jnp.float32,
    ) -> None:
        """Kernels by Glorot's rule.

        Args:
            shape: channels, height and width of the state.
            hidden: channels between.
            key: of the weights.
            size: of the kernels, odd.
            activation: between convolutions.
            dtype: of the weights.

        Raises:
            OdescentError: shapes that are not positive, an even kernel size.
        """
        if len(shape) != 3 or min(*shape, *hidden, 1) < 1 or size < 1 or size % 2 == 0:
            raise OdescentError(
                f"a ConvField takes (channels, height, width), hidden channels and an odd size, not {tuple(shape)}, "
                f"{tuple(hidden)} and {size}."
            )
        channels = [shape[0], *hidden, shape[0]]
        keys = jr.split(key, len(channels) - 1)
        kernels = []
        for a, b, k in zip(channels, channels[1:], keys, strict=False):
            limit = (6 / ((a + 1 + b) * size**2)) ** 0.5
            kernels.append(jr.uniform(k, (b, a + 1, size, size), dtype, -limit, limit))
        self.kernels = tuple(kernels)
        self.biases = tuple(jnp.zeros((b,), dtype) for b in channels[1:])
        self.shape, self.activation = (shape[0], shape[1], shape[2]), activation

    def __call__(self, t: Any, y: Float[Array, "*batch d"]) -> Float[Array, "*batch d"]:
        x = y.reshape(-1, *self.shape)
        for i, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True)):
            clock = jnp.broadcast_to(jnp.asarray(t, x.dtype), (len(x), 1, *x.shape[2:]))
            x = jnp.concatenate([x, clock], axis=1)
            x = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME")
            x = x + jnp.broadcast_to(bias[None, :, None, None], x.shape)
            if i + 1 < len(self.kernels):
                x = self.activation(x)
        return x.reshape(y.shape)
