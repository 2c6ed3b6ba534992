"""Starting points of populations: drawn from counters, like the noise, without a stored key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ...dynamics.random.normals import LANES, normals, uniforms

_BEFORE = LANES - 1  # the step whose draws make the starting points


@dataclass(frozen=True)
class Start:
    """Points for (seed, run): ``low + (high - low) u`` or ``mean + sd z``; made by the functions below."""

    dimension: int
    particles: int
    draw: Callable[..., Array]
    offset: tuple[float, ...]
    scale: tuple[float, ...]

    def __call__(self, seed: Any, run: Any) -> Float[Array, "d N"]:
        return self.part(seed, run, 0, self.particles)

    def part(self, seed: Any, run: Any, first: Any, count: int) -> Float[Array, "d {count}"]:
        """A slice of the points.

        Args:
            seed: of the noise.
            run: the number of the run.
            first: index of the first point.
            count: number of points.
        """
        z = self.draw(seed, run, _BEFORE, dimension=self.dimension, particles=count, first=first)
        offset, scale = (jnp.asarray(v, z.dtype)[:, None] for v in (self.offset, self.scale))
        return offset + scale * z


@checked
def gaussian_start(
    mean: Float[ArrayLike, " d"] | Sequence[float], sd: ArrayLike | Sequence[float], particles: int
) -> Start:
    """Points from a normal distribution with independent coordinates.

    Args:
        mean: shape (d,), in units of x.
        sd: the standard deviation, one for all coordinates or one per coordinate.
        particles: N, the number of points.

    Returns:
        A sampler of the points; it needs no stored key.

    Raises:
        OdescentError: a negative standard deviation, or numbers that are not finite.
    """
    center, width = _both(mean, sd, "mean", "standard deviation")
    if (width < 0).any():
        raise OdescentError(f"the standard deviation is at least 0, not {sd}.")
    return Start(len(center), particles, normals, tuple(center.tolist()), tuple(width.tolist()))


@checked
def uniform_start(
    low: ArrayLike | Sequence[float], high: ArrayLike | Sequence[float], particles: int
) -> Start:
    """Points from the uniform distribution on a box.

    Args:
        low: lower bounds, one for all coordinates or one per coordinate.
        high: upper bounds, likewise.
        particles: N, the number of points.

    Returns:
        A sampler of the points; it needs no stored key.

    Raises:
        OdescentError: low > high in a coordinate, or numbers that are not finite.
    """
    low_, high_ = _both(low, high, "lower bound", "upper bound")
    if (low_ > high_).any():
        i = int(np.argmax(low_ > high_))
        raise OdescentError(
            f"the box has low = {low_[i]:g} > high = {high_[i]:g} in coordinate {i}."
        )
    return Start(
        len(low_), particles, uniforms, tuple(low_.tolist()), tuple((high_ - low_).tolist())
    )


def _both(a: Any, b: Any, one: str, other: str) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.broadcast_arrays(
        np.atleast_1d(np.asarray(a, np.float64)), np.asarray(b, np.float64)
    )
    for name, array in ((one, first), (other, second)):
        if array.ndim != 1 or not np.isfinite(array).all():
            raise OdescentError(
                f"the {name} is a finite number for each coordinate, not {a if name == one else b}."
            )
    return first, second
