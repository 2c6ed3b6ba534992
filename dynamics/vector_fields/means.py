"""Objectives that are means: over the rows of data, and over outcomes whose law depends on the point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ..._support.numbers import check_whole
from ..algebra.vectors import Vector
from ..samples.chunks import moments, sums
from .objective import Objective
from .own_functions import refuse_torch, rows_in

_CHUNK = 64  # rows at a time, of a batch whose size is not known beforehand


@dataclass(frozen=True, eq=False)
class _Mean:
    """The mean of a function over rows of data, as a function of the point."""

    fun: Callable[[Any, Any], Any]
    rows: Any

    def __call__(self, x: Any) -> Any:
        import jax
        import jax.numpy as jnp

        return jnp.mean(jax.vmap(self.fun, (None, 0))(x, self.rows))


@dataclass(frozen=True, eq=False)
class _Weighted:
    """A function of a row, times the weight that is picked with it."""

    fun: Callable[[Any, Any], Any]

    def __call__(self, x: Any, pick: Any) -> Any:
        row, weight = pick
        value = self.fun(x, row)
        return value * weight.astype(value.dtype)


class Sampled(Objective):
    """An objective whose gradient is estimated from a batch of rows or outcomes that a number u picks."""

    batch_size: int
    most: float  # how many there are to pick, at most
    spread: ClassVar[int]  # how many have a deviation, at least
    unit: ClassVar[str]  # what a batch has, in the plural

    def _number(self, size: Any) -> Any:
        """How many a batch of this size has, rounded up; 0 if there is no such batch."""
        import jax.numpy as jnp

        wanted = jnp.ceil(jnp.asarray(self.batch_size if size is None else size, float))
        fits = (wanted >= 1) & (wanted <= self.most) & jnp.isfinite(wanted)
        return jnp.where(fits, wanted, 0).astype(int)


def _times(tree: Any, factor: Any) -> Any:
    """All leaves times a number, in their own types."""
    import jax

    return jax.tree.map(lambda leaf: leaf * factor.astype(leaf.dtype), tree)


def _share(number: Any) -> Any:
    """One over the number, and nan where there are none."""
    import jax.numpy as jnp

    return jnp.where(number > 0, 1 / jnp.maximum(number, 1), jnp.nan)


class FiniteSum(Sampled):
    """f(x) = mean over the rows of data of fun(x, row), an objective with values and gradients of all rows.

    The oracle "batch" is the gradient of the mean over a few rows, which a number u in [0, 1] picks: `batch` of a
    vector and a sample of the law ``rows`` is unbiased in the calculus, and a run draws u. Its covariance is that of
    the gradients of single rows, `covariance`, divided by the batch; without replacement it is (n - b)/(n - 1) of that.
    With a third argument, ``batch(x, u, size)``, the number of rows is a scalar, rounded up, which may change from step
    to step without a new compilation, since rows are taken in chunks of 64. Rows may have ``probabilities`` p: a
    gradient that is picked with p counts 1/(n p), so that the batch stays unbiased (importance sampling).

    Args:
        name: an identifier.
        fun: JAX scalar function of x and one row.
        data: an array whose first axis are the rows, or a pytree of such arrays, n rows each.
        batch: b, how many rows are picked.
        replace: whether a row may be picked twice.
        probabilities: of the rows, with which they are picked with replacement, in proportion to these positive
            numbers; alike by default.
        options: as of `Objective`: mu, L, minimizer, dimension, x0, reference.

    Raises:
        OdescentError: there are no rows, arrays of different numbers of rows, a batch larger than the data that is
            picked without replacement, or probabilities that are not positive, not one a row, or without replacement.
    """

    unit, spread = "rows", 2

    @checked
    def __init__(
        self,
        name: str,
        fun: Callable[[Any, Any], Any],
        data: Any,
        *,
        batch: int = 1,
        replace: bool = False,
        probabilities: Any = None,
        **options: Any,
    ) -> None:
        import jax
        import jax.numpy as jnp

        refuse_torch(fun)
        self.data = jax.tree.map(jnp.asarray, data)
        self.rows, shown = rows_in(self.data)
        if not self.rows:
            raise OdescentError(
                f"the data of {name} must have one number of rows, at least 1, not {shown}."
            )
        self.batch_size = check_whole("batch", batch, 1)
        if not replace and self.batch_size > self.rows:
            raise OdescentError(
                f"a batch of {self.batch_size} rows must not be larger than the {self.rows} rows of the data; give "
                "replace=True to pick rows twice."
            )
        self.row_fun, self.replace = fun, bool(replace)
        self.most = float("inf") if self.replace else self.rows
        self.probabilities = None if probabilities is None else self._shares(name, probabilities)
        # what is picked: rows, or pairs of a row and its weight
        self._picks, self._of_pick = self.data, fun
        if self.probabilities is not None:
            self._weights = jnp.asarray(1 / (self.rows * self.probabilities))
            self._picks, self._of_pick = (self.data, self._weights), _Weighted(fun)
        super().__init__(
            name, _Mean(fun, self.data), batch=self._of_batch, deviation=self._deviation, **options
        )

    def _shares(self, name: str, probabilities: Any) -> Any:
        """The probabilities of the rows, with sum one."""
        import numpy as np

        given = np.asarray(probabilities, float)
        if given.shape != (self.rows,) or not np.all(np.isfinite(given) & (given > 0)):
            raise OdescentError(
                f"probabilities must be {self.rows} positive numbers, one for each row of the data of {name}."
            )
        if not self.replace:
            raise OdescentError(
                "rows that are picked by probabilities may be picked twice: give replace=True."
            )
        return given / given.sum()

    def picked(self, u: Any) -> Any:
        """The numbers of the rows that u picks: an array of shape (batch,), the same for the same u."""
        import jax

        key = _key_of(u)
        if self.replace:
            return self._with_replacement(key, self.batch_size)
        return jax.random.choice(key, self.rows, (self.batch_size,), replace=False)

    def _with_replacement(self, key: Any, number: int) -> Any:
        import jax
        import jax.numpy as jnp

        if self.probabilities is None:
            return jax.random.randint(key, (number,), 0, self.rows)
        return jax.random.choice(key, self.rows, (number,), p=jnp.asarray(self.probabilities))

    def _of_batch(self, x: Any, u: Any, size: Any = None) -> Any:
        import jax

        if size is not None:
            return self._of_sized(x, u, size)
        own = self.picked(u)
        return jax.grad(_Mean(self._of_pick, jax.tree.map(lambda leaf: leaf[own], self._picks)))(x)

    def _by_chunks(self, u: Any, size: Any) -> tuple[Any, Callable[[Any], Any], int]:
        """How many rows a batch of this size has, 0 if there is none, its picks by chunks, and the rows of a chunk.

        Without a size the rows are those of `picked`; without replacement they are the first ones of a permutation.
        """
        import jax
        import jax.numpy as jnp

        chunk, key = min(_CHUNK, self.rows), _key_of(u)
        order = self.picked(u) if size is None else None
        if order is None and not self.replace:
            order = jax.random.permutation(key, self.rows)

        def rows_of(k: Any) -> Any:
            if order is None:
                own = self._with_replacement(jax.random.fold_in(key, k), chunk)
            else:
                own = order[jnp.minimum(k * chunk + jnp.arange(chunk), len(order) - 1)]
            return jax.tree.map(lambda leaf: leaf[own], self._picks)

        return self._number(size), rows_of, chunk

    def _of_sized(self, x: Any, u: Any, size: Any) -> Any:
        """The gradient over so many rows; nan for fewer than one, and for more than there are to pick."""
        import jax

        number, rows_of, chunk = self._by_chunks(u, size)

        def total(at: Any, k: Any, over: Callable[[Any], Any]) -> Any:
            return over(jax.vmap(self._of_pick, (None, 0))(at, rows_of(k)))

        found = sums(lambda k, over: jax.grad(total)(x, k, over), number, chunk)
        return _times(found, _share(number))

    def _deviation(self, x: Any, u: Any, size: Any = None) -> Any:
        """The standard deviation of each entry of the mean over the rows, those that `_of_batch` picks."""
        import jax
        import jax.numpy as jnp

        number, rows_of, chunk = self._by_chunks(u, size)
        each = jax.vmap(jax.grad(self._of_pick), (None, 0))
        _, squares = moments(lambda k: each(x, rows_of(k)), number, chunk)
        n = number.astype(float)
        left = 1.0 if self.replace else (self.rows - n) / self.rows
        factor = jnp.where(n > 1, left / (n * (n - 1)), jnp.nan)
        return jax.tree.map(jnp.sqrt, _times(squares, factor))

    def gradients(self, x: Any) -> Any:
        """The gradients of all rows at an array or a pytree, in one vectorized pass: a first axis of n."""
        import jax

        return jax.vmap(jax.grad(self.row_fun), (None, 0))(x, self.data)

    def covariance(self, x: Any) -> Any:
        """The covariance of the gradient that a random row gives at an array, shape (d, d): that of a batch times b."""
        import jax.numpy as jnp

        if isinstance(x, Vector):
            raise OdescentError(
                "covariance needs a point in numbers; that of a batch in symbols is estimate(f.batch(x, u), ...)."
            )
        each = jnp.asarray(self.gradients(x)).reshape(self.rows, -1)
        middle = jnp.mean(each, axis=0)
        if self.probabilities is not None:
            each = each * self._weights.astype(each.dtype)[:, None]
        centred = each - middle[None]
        shares = 1 / self.rows if self.probabilities is None else self.probabilities[:, None]
        return centred.T @ (centred * jnp.asarray(shares, each.dtype))

    def variance(self, x: Any) -> Any:
        """The variance of a minibatch gradient, E|e - grad f|^2, of its batch and way of picking."""
        import jax.numpy as jnp

        share = 1.0 if self.replace else (self.rows - self.batch_size) / max(self.rows - 1, 1)
        return jnp.trace(self.covariance(x)) * share / self.batch_size


class Expectation(Sampled):
    """f(x) = E value(x, t) over outcomes t of a law p(t | x) that depends on the point: a policy, a simulator.

    The oracle "batch" is the mean over outcomes that a number u in [0, 1] picks of the score-function estimate
    value(x, t) grad log p(t | x) + grad value(x, t), less what has mean zero: the score times the mean value of the
    other outcomes of the batch. In the calculus it is unbiased. With a third argument, ``batch(x, u, size)``, the
    number of outcomes is a scalar, as of a `FiniteSum`; ``deviation(x, u, size)`` is the jackknife's standard deviation
    of its entries, whose square has a mean not below their variance (Efron and Stein 1981, doi:10.1214/aos/1176345462).
    Value and gradient are means over ``draws`` outcomes, the same at each call, unless the function is given.
    Reference: Williams 1992, doi:10.1007/BF00992696.

    Args:
        name: an identifier.
        draw: JAX function of x and a key, an outcome: an array or a pytree.
        log_density: JAX scalar function of x and an outcome, log p(t | x) up to what does not depend on x.
        value: JAX scalar function of x and an outcome, such as a loss, or a reward with its sign turned.
        fun: f itself, where it is known.
        batch: outcomes of an estimate.
        draws: outcomes for value and gradient, where f is not known.
        options: as of `Objective`: mu, L, minimizer, dimension, x0, reference.
    """

    unit, spread = "outcomes", 3
    most = float("inf")

    @checked
    def __init__(
        self,
        name: str,
        draw: Callable[[Any, Any], Any],
        log_density: Callable[[Any, Any], Any],
        value: Callable[[Any, Any], Any],
        *,
        fun: Callable[[Any], Any] | None = None,
        batch: int = 1,
        draws: int = 4096,
        **options: Any,
    ) -> None:
        self.draw, self.log_density, self.of_outcome = draw, log_density, value
        self.batch_size, self.draws = check_whole("batch", batch, 1), check_whole("draws", draws, 2)
        super().__init__(name, fun, batch=self._of_batch, deviation=self._deviation, **options)
        if fun is None:
            self.oracles["value"] = self._mean
            self.oracles["grad"] = self._slope

    def outcomes(self, x: Any, u: Any, size: int | None = None) -> Any:
        """The outcomes that u picks at an array or a pytree, one after the other along a first axis."""
        import jax

        return self._drawn(x, jax.random.split(_key_of(u), size or self.batch_size))

    def _drawn(self, x: Any, keys: Any) -> Any:
        """The outcomes of some keys, held where derivatives are taken."""
        import jax

        return jax.lax.stop_gradient(jax.vmap(self.draw, (None, 0))(x, keys))

    def _mean(self, x: Any) -> Any:
        import jax
        import jax.numpy as jnp

        drawn = self.outcomes(x, 0.0, self.draws)
        return jnp.mean(jax.vmap(self.of_outcome, (None, 0))(x, drawn))

    def _slope(self, x: Any) -> Any:
        return self._estimate(x, 0.0, self.draws)

    def _of_batch(self, x: Any, u: Any, size: Any = None) -> Any:
        return self._estimate(x, u, self.batch_size) if size is None else self._of_sized(x, u, size)

    def _estimate(self, x: Any, u: Any, size: int) -> Any:
        """The gradient of what has the estimate for a gradient, with the outcomes and the others' mean held.

        An outcome has the weight p(t | x)/p(t | held x), which is one, and its derivatives make those of the estimate
        unbiased as well (Foerster et al. 2018, arXiv:1802.05098).
        """
        import jax
        import jax.numpy as jnp

        drawn = self.outcomes(x, u, size)

        def surrogate(at: Any) -> Any:
            weights, values = self._weighted(at, drawn)
            held = jax.lax.stop_gradient(values)
            others = (jnp.sum(held) - held) / max(size - 1, 1)
            return jnp.mean(weights * values - (weights - 1) * others)

        return jax.grad(surrogate)(x)

    def _weighted(self, at: Any, drawn: Any) -> tuple[Any, Any]:
        """The weights of some outcomes, which are one, and their values."""
        import jax
        import jax.numpy as jnp

        scores = jax.vmap(self.log_density, (None, 0))(at, drawn)
        values = jax.vmap(self.of_outcome, (None, 0))(at, drawn)
        return jnp.exp(scores - jax.lax.stop_gradient(scores)).astype(values.dtype), values

    def _by_chunks(self, x: Any, u: Any, size: Any) -> tuple[Any, Callable[[Any], Any], Any]:
        """How many outcomes there are, those of a chunk, and a level of their values.

        The estimate does not depend on the level that is taken from all values, but for its rounding. Of one outcome
        there are no others, and the level is 0.
        """
        import jax
        import jax.numpy as jnp

        number, key = self._number(size), _key_of(u)
        keys = jax.random.split(key, self.batch_size) if size is None else None

        def keys_of(k: Any) -> Any:
            if keys is None:
                return jax.random.split(jax.random.fold_in(key, k), _CHUNK)
            return keys[jnp.minimum(k * _CHUNK + jnp.arange(_CHUNK), len(keys) - 1)]

        first = self.of_outcome(x, self.draw(x, keys_of(0)[0]))
        level = jax.lax.stop_gradient(jnp.where(number > 1, first, jnp.zeros_like(first)))
        return number, lambda k: self._drawn(x, keys_of(k)), level

    def _of_sized(self, x: Any, u: Any, size: Any) -> Any:
        """`_estimate` over so many outcomes; nan for fewer than one.

        For n values v of sum S less the mean of the others is v + v/(n - 1) - S/(n - 1): the sums of v score, score and
        v suffice, so that each outcome is drawn once.
        """
        import jax
        import jax.numpy as jnp

        number, drawn, level = self._by_chunks(x, u, size)
        others = jnp.maximum(number - 1, 1).astype(level.dtype)

        def terms(k: Any, over: Callable[[Any], Any]) -> Any:
            outcomes = drawn(k)

            def totals(at: Any) -> Any:
                weights, values = self._weighted(at, outcomes)
                held = jax.lax.stop_gradient(values - level)
                more = jnp.where(number > 1, held / others, jnp.zeros_like(held))
                return (over(weights * (values - level + more)), over(weights)), over(held)

            (one, other), pull, held = jax.vjp(totals, x, has_aux=True)
            (weighted,) = pull((jnp.ones_like(one), jnp.zeros_like(other)))
            (score,) = pull((jnp.zeros_like(one), jnp.ones_like(other)))
            return weighted, score, held

        weighted, score, held = sums(terms, number, _CHUNK)
        left = jnp.where(number > 1, held / others, jnp.zeros_like(held))
        found = jax.tree.map(lambda a, b: a - left.astype(a.dtype) * b, weighted, score)
        return _times(found, _share(number))

    def _deviation(self, x: Any, u: Any, size: Any = None) -> Any:
        """The jackknife's standard deviation of each entry of the estimate, of three outcomes or more.

        The estimate is the mean over pairs of (v_i - v_j)(s_i - s_j)/2 + (g_i + g_j)/2 for the scores s and the
        gradients g of the values v. Without outcome i it moves by (U - q_i) 2/(n - 2), where q_i is the mean over its
        pairs: up to a constant n/(2(n - 1)) times v_i s_i + g_i (n - 2)/n less v_i mean(s) and s_i mean(v).
        """
        import jax
        import jax.numpy as jnp

        number, drawn, level = self._by_chunks(x, u, size)
        n = number.astype(level.dtype)
        own = jnp.where(number > 2, (n - 2) / jnp.maximum(n, 1), jnp.zeros_like(n))
        plus: Callable[[Any, Any], Any] = lambda one, other: jax.tree.map(jnp.add, one, other)

        # the two means are known in the end: squares of sums have the products
        def one(outcome: Any) -> Any:
            score = jax.grad(self.log_density)(x, outcome)
            value, slope = jax.value_and_grad(self.of_outcome)(x, outcome)
            held = jax.tree.map(lambda leaf: jnp.full_like(leaf, value - level), slope)
            made = jax.tree.map(lambda v, s, g: v * s + own.astype(g.dtype) * g, held, score, slope)
            return made, score, held, plus(made, score), plus(made, held), plus(score, held)

        means, squares = moments(lambda k: jax.vmap(one)(drawn(k)), number, _CHUNK)

        def spread(
            s: Any, v: Any, made: Any, score: Any, held: Any, ms: Any, mv: Any, sv: Any
        ) -> Any:
            crossed = sv - score - held, ms - made - score, mv - made - held
            found = made + v**2 * score + s**2 * held
            found += s * v * crossed[0] - v * crossed[1] - s * crossed[2]
            return jnp.maximum(found, jnp.zeros_like(found))

        found = jax.tree.map(spread, means[1], means[2], *squares)
        fewer = jnp.maximum(n, 3)
        factor = jnp.where(number > 2, fewer / ((fewer - 1) * (fewer - 2) ** 2), jnp.nan)
        return jax.tree.map(jnp.sqrt, _times(found, factor))


def _key_of(u: Any) -> Any:
    """A key of random numbers, the same for the same u."""
    import jax
    import jax.numpy as jnp

    words = jax.lax.bitcast_convert_type(jnp.asarray(u, float), jnp.uint32).reshape(-1)
    return jax.random.wrap_key_data(jnp.concatenate([words, words])[:2])
