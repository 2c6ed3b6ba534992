"""A small network on the digits, trained by a method with minibatches: its accuracy on rows that it has not seen."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

import odescent as od


def accuracies(
    name: str, rates: list[float], hidden: int, epochs: int, size: int, seeds: int, **numbers: float
) -> np.ndarray:
    """The share of the last third of the digits that a network of one layer gets right.

    Args:
        name: of a method that asks for gradients, and for Hessian products or not.
        rates: its steps.
        hidden: units of the layer, tanh.
        epochs: passes over the first two thirds.
        size: of a batch.
        seeds: of starts, orders of the rows and samples.
        numbers: the method's other parameters.

    Returns:
        by rate and seed.
    """
    import jax
    import jax.numpy as jnp
    from sklearn.datasets import load_digits

    from ...discretize.emit import load

    module, found = load(od.algorithm(name), "jax"), load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    pixels, labels = jnp.asarray(found.data[order] / 16), jnp.asarray(found.target[order])
    many = 2 * len(labels) // 3
    takes = inspect.signature(module.step).parameters

    def scores(w: Any, rows: Any) -> Any:
        return jnp.tanh(pixels[rows] @ w["in"] + w["shift"][None]) @ w["out"]

    def loss(w: Any, rows: Any) -> Any:
        z = scores(w, rows)
        return jnp.mean(jax.nn.logsumexp(z, 1) - z[jnp.arange(len(rows)), labels[rows]])

    def trained(rate: Any, key: Any) -> Any:
        first, last, shuffle, draws = jax.random.split(key, 4)
        start = {
            "in": jax.random.normal(first, (64, hidden)) / 8,
            "shift": jnp.zeros(hidden),
            "out": jax.random.normal(last, (hidden, 10)) / np.sqrt(hidden),
        }
        known = module.coefficients(rate, *(numbers[n] for n in ("beta1", "beta2", "eps")))

        def step(state: Any, given: Any) -> tuple[Any, None]:
            rows, key = given
            gradient = jax.grad(lambda w: loss(w, rows))
            more = {"hvp": lambda w, v: jax.jvp(gradient, (w,), (v,))[1], "key": key}
            own = {n: f for n, f in more.items() if n in takes}
            return module.step(state, grad=gradient, c=known, **own), None

        steps = epochs * (many // size)
        passes = jax.vmap(lambda k: jax.random.permutation(k, many))(
            jax.random.split(shuffle, epochs)
        )
        rows = passes[:, : many // size * size].reshape(steps, size)
        end, _ = jax.lax.scan(step, module.init(start), (rows, jax.random.split(draws, steps)))
        unseen = jnp.arange(many, len(labels))
        best = jnp.argmax(scores(module.output(end, known), unseen), 1)
        return jnp.mean(best == labels[unseen])

    keys = jax.random.split(jax.random.key(0), seeds)
    train = jax.jit(jax.vmap(trained, (None, 0)))
    return np.array([train(rate, keys) for rate in rates])
