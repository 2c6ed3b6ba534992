"""Finite sums: the mean of a function over rows of data, with minibatches and per-example gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ..._support.numbers import check_whole
from ..algebra.vectors import Vector
from .objective import Objective, refuse_torch


@dataclass(frozen=True, eq=False)
class _Mean:
    """The mean of a function over rows of data, as a function of the point."""

    fun: Callable[[Any, Any], Any]
    rows: Any

    def __call__(self, x: Any) -> Any:
        import jax
        import jax.numpy as jnp

        return jnp.mean(jax.vmap(self.fun, (None, 0))(x, self.rows))


class FiniteSum(Objective):
    """f(x) = mean over the rows of data of fun(x, row), an objective with values and gradients of all rows.

    The oracle "batch" is the gradient of the mean over a few rows, which a number u in [0, 1] picks: `batch` of a
    vector and a uniform sample is unbiased in the calculus, and a run draws u. Its covariance is that of the gradients
    of single rows, `covariance`, divided by the batch; without replacement it is (n - b)/(n - 1) of that.

    Args:
        name: an identifier.
        fun: JAX scalar function of x and one row.
        data: an array whose first axis are the rows, or a pytree of such arrays, n rows each.
        batch: b, how many rows are picked.
        replace: whether a row may be picked twice.
        options: as of `Objective`: mu, L, minimizer, dimension, x0, reference.

    Raises:
        OdescentError: there are no rows, arrays of different numbers of rows, or a batch larger than the data that is
            picked without replacement.
    """

    @checked
    def __init__(
        self,
        name: str,
        fun: Callable[[Any, Any], Any],
        data: Any,
        *,
        batch: int = 1,
        replace: bool = False,
        **options: Any,
    ) -> None:
        import jax
        import jax.numpy as jnp

        refuse_torch(fun)
        self.data = jax.tree.map(jnp.asarray, data)
        sizes = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(self.data)}
        if len(sizes) != 1 or sizes & {(), (0,)}:
            shown = ", ".join(str(s[0]) if s else "none" for s in sorted(sizes)) or "none"
            raise OdescentError(
                f"the data of {name} must have one number of rows, at least 1, not {shown}."
            )
        ((self.rows,),) = sizes
        self.batch_size = check_whole("batch", batch, 1)
        if not replace and self.batch_size > self.rows:
            raise OdescentError(
                f"a batch of {self.batch_size} rows must not be larger than the {self.rows} rows of the data; give "
                "replace=True to pick rows twice."
            )
        self.row_fun, self.replace = fun, bool(replace)
        super().__init__(name, _Mean(fun, self.data), batch=self._of_batch, **options)

    def picked(self, u: Any) -> Any:
        """The numbers of the rows that u picks: an array of shape (batch,), the same for the same u."""
        import jax
        import jax.numpy as jnp

        number = jnp.asarray(u, float)
        words = jax.lax.bitcast_convert_type(number, jnp.uint32).reshape(-1)
        key = jax.random.wrap_key_data(jnp.concatenate([words, words])[:2])
        if self.replace:
            return jax.random.randint(key, (self.batch_size,), 0, self.rows)
        return jax.random.choice(key, self.rows, (self.batch_size,), replace=False)

    def _of_batch(self, x: Any, u: Any) -> Any:
        import jax

        own = self.picked(u)
        return jax.grad(_Mean(self.row_fun, jax.tree.map(lambda leaf: leaf[own], self.data)))(x)

    def gradients(self, x: Any) -> Any:
        """The gradients of all rows at an array or a pytree, in one vectorized pass: a first axis of n."""
        import jax

        return jax.vmap(jax.grad(self.row_fun), (None, 0))(x, self.data)

    def covariance(self, x: Any) -> Any:
        """The covariance of the gradient of a random row at an array, shape (d, d): that of a batch times b."""
        import jax.numpy as jnp

        if isinstance(x, Vector):
            raise OdescentError(
                "covariance needs a point in numbers; that of a batch in symbols is estimate(f.batch(x, u), ...)."
            )
        each = jnp.asarray(self.gradients(x)).reshape(self.rows, -1)
        centred = each - jnp.mean(each, axis=0)[None]
        return centred.T @ centred / self.rows

    def variance(self, x: Any) -> Any:
        """The variance of a minibatch gradient, E|e - grad f|^2, of its batch and way of picking."""
        import jax.numpy as jnp

        share = 1.0 if self.replace else (self.rows - self.batch_size) / max(self.rows - 1, 1)
        return jnp.trace(self.covariance(x)) * share / self.batch_size
