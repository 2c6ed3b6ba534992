"""Estimators in numbers: means over drawn samples, with standard errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp
from jaxtyping import Array, Float

from ..._support.arguments import checked
from ..._support.errors import OdescentError, listed
from ..._support.numbers import check_whole
from ..._support.rendering.brief import short
from ..._support.rendering.rendered import Rendered
from ..algebra.calculus import Symbol, oracles_in, substitute, symbols_of
from ..algebra.vectors import Vector, VectorSymbol
from ..evaluation.evaluate import evaluate
from ..samples.estimate import Estimator
from ..samples.sample import VectorSample, dimension_of, samples_in
from ..vector_fields.functions import oracle_of, together

_AT_ONCE = 2**21  # numbers in a batch of samples
_FEWEST, _MOST = 2, 10**9
_LISTED = 6  # entries that are printed


@dataclass(frozen=True)
class Measured(Rendered):
    """What drawn samples say of an estimator; every error is a standard error, an entry for each of its mean.

    Attributes:
        draws: how many samples there were.
        mean, mean_error: E e.
        bias, bias_error: E e less the target.
        variance, variance_error: E |e - E e|^2, the trace of the covariance.
        second_moment, second_moment_error: E |e|^2.
    """

    draws: int
    mean: Float[np.ndarray, "..."]
    mean_error: Float[np.ndarray, "..."]
    bias: Float[np.ndarray, "..."]
    bias_error: Float[np.ndarray, "..."]
    variance: float
    variance_error: float
    second_moment: float
    second_moment_error: float

    _shows = ("fields",)

    def largest_step(self, smoothness: float) -> float:
        """The step below which f falls in mean along -e, by these means; see `Estimator.largest_step`.

        Args:
            smoothness: L.
        """
        gain = np.vdot(self.mean - self.bias, self.mean)
        return float(2 * gain / (smoothness * self.second_moment))

    def __str__(self) -> str:
        """Each with its standard error; of a long vector the norm."""
        rows = [f"{self.draws} samples"]
        for name in ("mean", "bias"):
            rows.append(f"{name}: {_entries(getattr(self, name), getattr(self, f'{name}_error'))}")
        for name in ("variance", "second_moment"):
            words = name.replace("_", " ")
            rows.append(f"{words}: {_pair(getattr(self, name), getattr(self, f'{name}_error'))}")
        return "\n".join(rows)


def _pair(value: float, error: float) -> str:
    return f"{value:.6g} +- {error:.2g}"


def _entries(values: Any, errors: Any) -> str:
    if values.size > _LISTED:
        norm, error = (float(np.linalg.norm(v)) for v in (values, errors))
        return f"{values.size} entries, of norm {norm:.6g}, their errors of norm {error:.2g}"
    return ", ".join(map(_pair, values.ravel(), errors.ravel()))


@checked
def monte_carlo(
    estimator: Estimator,
    functions: Any,
    values: Mapping[Any, Any],
    draws: int = 10_000,
    seed: int = 0,
) -> Measured:
    """Measure an estimator by drawing its samples, where its law has no closed form (clipping, signs, norms).

    Args:
        estimator: of `estimate`.
        functions: as of a run: an objective, a JAX function, or functions by name.
        values: arrays for the blocks and numbers for the parameters, by symbol.
        draws: how many samples.
        seed: of the generator.

    Returns:
        mean, bias, variance and second moment, each with its standard error, in float64.

    Raises:
        OdescentError: a symbol without a value or the other way round, a function that is called and not given,
            fewer than two draws, or an estimate that is not finite.
    """
    check_whole("draws", draws, _FEWEST, _MOST)
    expressions = (estimator.expression, estimator.target)
    samples = samples_in(expressions)
    given = {getattr(s, "symbol", s): _number(s, v) for s, v in values.items()}
    wanted: set[Any] = set().union(*(symbols_of(e) for e in expressions)) - {*samples}
    likes = {VectorSymbol(z.like) for z in samples if isinstance(z, VectorSample)}
    sizes = {dimension_of(s.name): float(v.size) for s, v in given.items()}
    missing = sorted(str(s) for s in (wanted | likes) - given.keys() - sizes.keys())
    if missing:
        raise OdescentError(
            f"monte_carlo needs a value of {listed(missing)}: give values={{symbol: value}}."
        )
    if stray := sorted(str(s) for s in given.keys() - wanted - likes):
        raise OdescentError(
            f"the estimator has no {stray[0]}: it reads {listed(sorted(map(str, wanted)))}."
        )
    calls = {o for e in expressions for o in oracles_in(e) if not o.form.registered}
    with jax.enable_x64(True):
        oracles = _oracles(tuple(sorted(calls, key=lambda o: o.name)), functions)
        numbers = {s: jnp.asarray(v) for s, v in {**sizes, **given}.items()}
        target = evaluate(estimator.target, numbers, oracles, jnp)
        one = _drawn(estimator.expression, samples, numbers, oracles)
        size = max([1, *(given[s].size for s in likes)])
        found = _moments(one, jnp.asarray(target), draws, max(1, _AT_ONCE // size), seed)
    if not all(np.isfinite(v).all() for v in found):
        raise OdescentError(
            "the estimate is not finite at these values: for some samples it is no finite number."
        )
    mean, error, bias, variance, variance_error, second, second_error = found
    return Measured(
        draws, mean, error, bias, error, float(variance), float(variance_error), float(second), float(second_error)
    )  # fmt: skip


def _number(symbol: Any, value: Any) -> Any:
    """A value as an array of finite numbers."""
    try:
        found = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        found = np.array(np.nan)
    if not np.isfinite(found).all():
        raise OdescentError(
            f"the value of {symbol} must be an array of finite numbers, not {short(value)}."
        )
    return found


def _oracles(calls: tuple[Any, ...], functions: Any) -> dict[str, Callable[..., Any]]:
    """The numeric oracles of what an expression calls, by name."""
    if not calls:
        return {}
    who = "the estimator"
    whole = together(calls, functions, who)
    return {o.name: oracle_of(who, whole, o.name) for o in calls} | {"hess": whole.hess}


def _drawn(
    expression: Vector,
    samples: tuple[Any, ...],
    numbers: Mapping[Symbol, Any],
    oracles: Mapping[str, Any],
) -> Callable[[Array], Array]:
    """The estimate as a function of a key: samples are made from normals as they are in a step."""
    normals: list[Any] = []
    made: dict[Any, Any] = {}
    for z in samples:
        vector = isinstance(z, VectorSample)
        names = [f"xi {z.name} {n}" for n in range(z.law.normals)]
        own = [VectorSymbol(n) if vector else sp.Symbol(n, real=True) for n in names]
        made[z] = z.law.made(*own)
        shape = numbers[VectorSymbol(z.like)].shape if vector else ()
        normals += [(s, shape) for s in own]
    opened = substitute(expression, made)

    def one(key: Array) -> Array:
        keys = jax.random.split(key, len(normals))
        drawn = {
            s: jax.random.normal(k, shape, float)
            for (s, shape), k in zip(normals, keys, strict=True)
        }
        return jnp.asarray(evaluate(opened, {**numbers, **drawn}, oracles, jnp), float)

    return one


def _moments(
    one: Callable[[Array], Array], target: Array, draws: int, size: int, seed: int
) -> tuple[Any, ...]:
    """Mean, its error and the bias by entry; E |e - E e|^2 and E |e|^2, each with its error.

    The samples are drawn twice, for the mean and for the moments about it, so that none is kept.
    """
    key = jax.random.key(seed)

    def total(of: Callable[[Array], Any]) -> Any:
        """The sum over all samples."""
        batch = jax.jit(lambda keys: jax.tree.map(lambda v: jnp.sum(v, axis=0), jax.vmap(of)(keys)))
        sums = [
            batch(jax.random.split(jax.random.fold_in(key, begin), min(size, draws - begin)))
            for begin in range(0, draws, size)
        ]
        return jax.tree.map(lambda *parts: sum(parts), *sums)

    mean = total(one) / draws

    def moments(key: Array) -> tuple[Array, ...]:
        e = one(key)
        spread, second = jnp.sum((e - mean) ** 2), jnp.sum(e**2)
        return (e - mean) ** 2, spread, spread**2, second, second**2

    entries, spread, spread_squared, second, second_squared = total(moments)
    entries, variance, second = entries / (draws - 1), spread / (draws - 1), second / draws

    def error(squares: Array, centre: Array) -> Array:
        """The standard error of a mean, from the sum of squares."""
        return jnp.sqrt(jnp.maximum(squares / draws - centre**2, 0) / (draws - 1))

    found = (
        mean, jnp.sqrt(entries / draws), mean - target, variance, error(spread_squared, spread / draws), second,
        error(second_squared, second),
    )  # fmt: skip
    return tuple(map(np.asarray, found))
