"""The layout of particles in memory: blocks of columns on devices, the state, the record of a step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt64


@dataclass(frozen=True, kw_only=True, eq=False)
class BlockLayout:
    """N particles of dimension d in blocks of equal size.

    Attributes:
        dimension, particles, block: d, N and the particles in a block.
        dtype: of their numbers.
        axis: the name of the axis of devices, inside shard_map; None outside.
        devices: how many devices share the blocks.
    """

    dimension: int
    particles: int
    block: int
    dtype: str = "float64"
    axis: str | None = None
    devices: int = 1

    @property
    def blocks(self) -> int:
        """Into how many blocks the particles are cut; the last may be short of particles that count."""
        return -(-self.particles // self.block)

    @property
    def stored(self) -> int:
        """How many blocks there are so that each device has as many; those past `blocks` are idle."""
        return -(-self.blocks // self.devices) * self.devices

    def cut(self, columns: Float[Array, "c N"]) -> Float[Array, "blocks c n"]:
        """Columns of all particles as blocks, the last column repeated to fill up."""
        missing = self.stored * self.block - self.particles
        rest = jnp.broadcast_to(columns[:, -1:], (columns.shape[0], missing))
        filled = jnp.concatenate([columns, rest], axis=1) if missing else columns
        return jnp.moveaxis(filled.reshape(-1, self.stored, self.block), 1, 0)

    def joined(self, blocks: Float[Array, "*r blocks c n"]) -> Float[Array, "*r c N"]:
        """Blocks as columns of all particles."""
        turned = blocks.swapaxes(-3, -2)
        return turned.reshape(*turned.shape[:-2], -1)[..., : self.particles]

    def _here(self) -> tuple[Any, int]:
        """The first block of this device, and how many it has."""
        if self.axis is None:
            return 0, self.stored
        here = self.stored // self.devices
        return jax.lax.axis_index(self.axis) * here, here

    def over(self, function: Callable[[Any, Any], Any], arrays: Any) -> Any:
        """function(index of the first particle, block) over the blocks of this device, one after the other."""
        begin, here = self._here()
        if here == 1:
            own = jax.tree.map(lambda a: a[0], arrays)
            return jax.tree.map(lambda a: a[None], function(begin * self.block, own))
        firsts = (begin + jnp.arange(here)) * self.block
        return jax.lax.map(lambda part: function(*part), (firsts, arrays))

    def moved(self, function: Callable[[Any, Any], Any], arrays: Any) -> Any:
        """function(index of the first particle, block) in the place of each block, one after the other.

        A single array is written to where it was read, so that there is one copy of it. (Of several XLA would copy all
        for each block: parts of the function read one after another has been written.)
        """
        begin, here = self._here()
        if len(arrays) != 1 or here == 1:
            return self.over(function, arrays)

        def one(arrays: Any, i: Any) -> tuple[Any, None]:
            own = jax.tree.map(lambda a: jax.lax.dynamic_index_in_dim(a, i, 0, False), arrays)
            new = function((begin + i) * self.block, own)
            write = lambda a, b: jax.lax.dynamic_update_index_in_dim(a, b, i, 0)
            return jax.tree.map(write, arrays, new), None

        return jax.lax.scan(one, arrays, jnp.arange(here))[0]

    def gathered(self, parts: Any) -> Any:
        """What the blocks of all devices gave, in their order."""
        if self.axis is not None:
            parts = jax.tree.map(lambda a: jax.lax.all_gather(a, self.axis, tiled=True), parts)
        return jax.tree.map(lambda a: a[: self.blocks], parts)

    def live(self, first: Any) -> Any:
        """Which columns of a block are particles; None if all are, but for idle blocks, which `gathered` drops."""
        if self.blocks * self.block == self.particles:
            return None
        return jax.lax.broadcasted_iota(jnp.int64, (1, self.block), 1) + first < self.particles

    def shaped(self, value: Any, kind: str, width: int) -> Array:
        """A value broadcast over a block's columns.

        Args:
            value: a scalar, a row, or columns.
            kind: "vector" (d rows) or "scalar" (one row).
            width: the number of columns.
        """
        shape = (self.dimension if kind == "vector" else 1, width)
        value = jnp.asarray(value).astype(self.dtype)
        return jnp.broadcast_to(value.reshape((1,) * (2 - value.ndim) + value.shape), shape)


class State(NamedTuple):
    """The particles between steps.

    Attributes:
        blocks: each block of the algorithm, of shape (blocks, d, n) for a vector, (blocks, 1, n) for a scalar,
            (d, 1) and (1, 1) for what all particles share.
        seed, run: of the noise.
    """

    blocks: tuple[Float[Array, "..."], ...]
    seed: UInt64[Array, ""]
    run: UInt64[Array, ""]


class Record(NamedTuple):
    """Statistics of the ensemble at the start of a step; all arrays.

    Attributes:
        consensus: the consensus point, shape (d,); the mean of the particles if nothing meets.
        best_point: the best point evaluated in this step, shape (d,), and
        best_value: its value.
        ess: effective sample size of the weights.
        spread: mean square distance of the particles from the consensus point, over d.
        evaluations: evaluations of the objective for the consensus point in this step.
        nonfinite: how many of them were not finite.
    """

    consensus: Any
    best_point: Any
    best_value: Any
    ess: Any
    spread: Any
    evaluations: Any
    nonfinite: Any
