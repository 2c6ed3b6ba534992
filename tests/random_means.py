"""Random expressions in samples: their means and the derivatives of these, against sums over points of the laws.

python tests/random_means.py 150 --first 0
"""

import argparse
import random

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

import odescent as od
from odescent.dynamics.algebra.calculus import derivative, symbols_of
from odescent.dynamics.evaluation.evaluate import evaluate
from odescent.dynamics.evaluation.quadrature import quadrature
from odescent.dynamics.samples.sample import dimension_of

LAWS = ("normal", "rademacher", "sphere", "uniform", "coordinate")
x, w = od.blocks("x w")
f = od.Objective("f")
r = od.parameters("r")


def fun(p):
    """A function whose derivatives of every order do not vanish."""
    return (
        jnp.sum(jnp.sin(p + jnp.arange(p.size, dtype=float)))
        + p[0] ** 2 * p[-1]
        + jnp.sum(p**4) / 5
    )


ORACLES = {"value_f": fun, "grad_f": jax.grad(fun)}


def point():
    """Numbers for the symbols, in two dimensions."""
    return {x: jnp.array([0.3, -0.7]), w: jnp.array([1.1, 0.4]), r: 0.35, dimension_of("x"): 2.0}


def averaged(e, samples):
    """The mean of an expression as it was written, by the points and weights of each law."""
    at = lambda *z: evaluate(e, {**point(), **dict(zip(samples, z, strict=True))}, ORACLES, jnp)
    weights = []
    for i, z in reversed(list(enumerate(samples))):
        points, own = quadrature(z.law_name, 2)
        axes = [None] * len(samples)
        axes[i] = 0
        at = _over(at, axes, jnp.asarray(points), i)
        weights.append(own)
    found = np.asarray(at(*[None] * len(samples)))
    for own in reversed(weights):
        found = np.tensordot(own, found, axes=1)
    return found


def _over(at, axes, points, i):
    """A function of all samples, with an axis of the points of one of them."""
    return lambda *z: jax.vmap(lambda p: at(*z[:i], p, *z[i + 1 :]))(points)


def vector(rng, samples, depth):
    """A random vector."""
    z = rng.choice(samples)
    plain = (
        lambda: z,
        lambda: w,
        lambda: f.grad(x),
        lambda: f.grad(x + r * z),
        lambda: f.grad(x, along=(z,)),
        lambda: f.grad(x - r * z, along=(rng.choice(samples),)),
        lambda: x + r * z,
    )
    inside = lambda less=1: vector(rng, samples, max(depth - less, 0))
    compound = (
        lambda: od.hadamard(inside(), inside()),
        lambda: od.apply(od.outer(inside(), inside(2)), inside()),
        lambda: inside() * scalar(rng, samples, depth - 1),
        lambda: inside() + inside(),
        lambda: od.elementwise(rng.choice([sp.tanh, lambda s: s**2, lambda s: s**2 + 1]), inside()),
    )
    return rng.choice(plain if depth == 0 else (*compound, rng.choice(plain)))()


def scalar(rng, samples, depth):
    """A random scalar."""
    z = rng.choice(samples)
    plain = (
        lambda: od.inner(z, w),
        lambda: od.inner(z, f.grad(x)),
        lambda: f.value(x + r * z),
        lambda: f.value(x - r * z),
        lambda: od.inner(z, z),
        lambda: od.inner(f.grad(x + r * z), rng.choice([z, w])),
    )
    compound = (
        lambda: scalar(rng, samples, depth - 1) * scalar(rng, samples, 0),
        lambda: scalar(rng, samples, 0) + scalar(rng, samples, depth - 1),
        lambda: od.inner(vector(rng, samples, depth - 1), vector(rng, samples, 0)),
    )
    return rng.choice(plain if depth == 0 else (*compound, rng.choice(plain)))()


def compared(seed):
    """What is wrong with the mean of a random expression, or with its derivative; empty if nothing is."""
    rng = random.Random(seed)
    names = ("z",) if rng.random() < 0.7 else ("z", "y")
    samples = [od.sample(n, rng.choice(LAWS), like=x) for n in names]
    make = vector if rng.random() < 0.7 else scalar
    e = make(rng, samples, 2)
    found = od.mean(e)
    if set(samples) & symbols_of(found):
        return f"{e} has the mean {found}, in which a sample is left"
    read = [z for z in samples if z in symbols_of(e)]
    pairs = [(found, e), (derivative(found, {x: w}), derivative(e, {x: w}))]
    for mean, written in pairs:
        one, other = np.asarray(evaluate(mean, point(), ORACLES, jnp)), averaged(written, read)
        if not np.allclose(one, other, rtol=1e-5, atol=1e-6):
            laws = ", ".join(z.law_name for z in read)
            return f"{written} ({laws}) has the mean {mean}: {one} against {other}"
    return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args()
    wrong = [
        (seed, said)
        for seed in range(given.first, given.first + given.count)
        if (said := compared(seed))
    ]
    for seed, said in wrong:
        print(seed, said)
    print(f"{given.count} expressions, {len(wrong)} wrong")


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main()
