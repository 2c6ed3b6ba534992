"""Smooth test functions for pictures and counterexamples.

Each takes an array; mu and L are given only where they hold on the whole space. References that several share:
Jamil and Yang, A literature survey of benchmark functions, 2013, arXiv:1308.4008.
"""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
import sympy as sp
from jax.scipy.special import logsumexp as _logsumexp
from jaxtyping import Array, ArrayLike, Float

from ..algebra.scalars import as_scalar
from ..vector_fields.objective import Objective
from ._checks import expect_shape, positive, whole

#: All four minimizers of `himmelblau`, f* = 0 at each, shape (4, 2), rounded to float64.
HIMMELBLAU_MINIMIZERS = (
    (3.0, 2.0),
    (-2.805118086952745, 3.131312518250573),
    (-3.779310253377747, -3.283185991286170),
    (3.584428340330492, -1.848126526964404),
)


def rosenbrock(dimension: int = 2) -> Objective:
    """f(x) = sum_{i<d} 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2, d >= 2; minimizer (1, ..., 1), f* = 0.

    Not convex, and no global L. x0 = (-1.2, 1, -1.2, 1, ...), shape (d,). For d >= 4 there is one more
    local minimizer, near (-1, 1, ..., 1).

    Reference: Rosenbrock, The Computer Journal 3 (1960), doi:10.1093/comjnl/3.3.175.
    """
    d = whole(dimension, "dimension", "rosenbrock", least=2)

    def fun(x: Float[Array, "*shape"]) -> Float[Array, ""]:
        return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    start = np.where(np.arange(d) % 2 == 0, -1.2, 1.0)
    return _standard("rosenbrock", fun, np.ones(d), start, "doi:10.1093/comjnl/3.3.175", fixed=True)


def himmelblau() -> Objective:
    """f(x, y) = (x^2 + y - 11)^2 + (x + y^2 - 7)^2; four minimizers, f* = 0, of which (3, 2) is the one named.

    All four are in `HIMMELBLAU_MINIMIZERS`. Not convex, and no global L. x0 = (0, 0), shape (2,).

    Reference: Himmelblau, Applied Nonlinear Programming, McGraw-Hill, 1972; arXiv:1308.4008.
    """

    def fun(x: Float[Array, "*shape"]) -> Float[Array, ""]:
        return jnp.square(x[0] ** 2 + x[1] - 11) + jnp.square(x[0] + x[1] ** 2 - 7)

    least = np.array([3.0, 2.0])
    return _standard("himmelblau", fun, least, np.zeros(2), "arXiv:1308.4008", fixed=True)


def rastrigin(dimension: int = 2, amplitude: float = 10.0) -> Objective:
    """f(x) = sum_i x_i^2 + A (1 - cos(2 pi x_i)); minimizer 0, f* = 0, a local minimizer near every whole point.

    A = `amplitude` > 0 is 10 as a rule, and 2.5 in the experiments of arXiv:2306.09778. Not convex (no mu) unless A
    is small, but its gradient is Lipschitz with L = 2 + 4 pi^2 A, kept exact. x0 = (3.3, ..., 3.3), shape (d,).

    Reference: Rastrigin, Systems of Extremal Control, Nauka, 1974; Muhlenbein, Schomisch, Born, Parallel Computing
    17 (1991), doi:10.1016/S0167-8191(05)80052-3.
    """
    d = whole(dimension, "dimension", "rastrigin")
    depth = positive(amplitude, "amplitude", "rastrigin")

    def fun(x: Float[Array, "*shape"]) -> Float[Array, ""]:
        return jnp.sum(x**2 + 2 * depth * jnp.sin(math.pi * x) ** 2)

    reference = "doi:10.1016/S0167-8191(05)80052-3"
    L = 2 + 4 * sp.pi**2 * as_scalar(amplitude)
    return _standard("rastrigin", fun, np.zeros(d), np.full(d, 3.3), reference, L=L)


def ackley(dimension: int = 2) -> Objective:
    """f(x) = 20 (1 - exp(-r/5)) + e - exp(mean_i cos(2 pi x_i)), r = sqrt(mean_i x_i^2); minimizer 0, f* = 0.

    Not convex; differentiable except at 0, where f has a kink and the gradient is taken to be 0; so no L.
    x0 = (2.2, ..., 2.2), shape (d,).

    Reference: Ackley, A Connectionist Machine for Genetic Hillclimbing, Kluwer, 1987, doi:10.1007/978-1-4613-1997-9.
    """
    d = whole(dimension, "dimension", "ackley")

    def fun(x: Float[Array, "*shape"]) -> Float[Array, ""]:
        square = jnp.mean(x**2)
        kink = square == 0
        r = jnp.where(kink, 0.0, jnp.sqrt(jnp.where(kink, 1.0, square)))
        wells = jnp.expm1(-2 * jnp.mean(jnp.sin(math.pi * x) ** 2))
        return -20 * jnp.expm1(-r / 5) - math.e * wells

    reference = "doi:10.1007/978-1-4613-1997-9"
    return _standard("ackley", fun, np.zeros(d), np.full(d, 2.2), reference)


def logsumexp(dimension: int = 2, temperature: float = 1.0) -> Objective:
    """f(x) = T log(1/(2d) sum_i exp(x_i/T) + exp(-x_i/T)), a smooth max_i |x_i|; minimizer 0, f* = 0.

    In F(0, 1/T): the Hessian is 1/T times the covariance of a random vector of length 1. T = `temperature` > 0.
    x0 = (1, 2, ..., d), shape (d,).

    Reference: Nesterov, Smooth minimization of non-smooth functions, Math. Program. 103 (2005),
    doi:10.1007/s10107-004-0552-5.
    """
    d = whole(dimension, "dimension", "logsumexp")
    T = positive(temperature, "temperature", "logsumexp")

    def fun(x: Float[Array, "*shape"]) -> Float[Array, ""]:
        return T * (_logsumexp(jnp.concatenate([x, -x]) / T) - math.log(2 * d))

    start, reference = np.arange(1.0, d + 1), "doi:10.1007/s10107-004-0552-5"
    L = 1 / as_scalar(temperature)
    return _standard("logsumexp", fun, np.zeros(d), start, reference, mu=0, L=L, fixed=True)


def huber(dimension: int = 2, delta: float = 1.0) -> Objective:
    """f(x) = sum_i x_i^2/2 where |x_i| <= delta, delta (|x_i| - delta/2) elsewhere; minimizer 0, f* = 0.

    In F(0, 1), with gradient clip(x, -delta, delta). x0 = (3 delta, ..., 3 delta), shape (d,).

    Reference: Huber, Ann. Math. Statist. 35 (1964), doi:10.1214/aoms/1177703732.
    """
    d = whole(dimension, "dimension", "huber")
    width = positive(delta, "delta", "huber")

    def fun(x: Float[Array, "*shape"]) -> Float[Array, ""]:
        near = jnp.clip(x, -width, width)
        return jnp.sum(near * (x - 0.5 * near))

    start, reference = np.full(d, 3 * width), "doi:10.1214/aoms/1177703732"
    return _standard("huber", fun, np.zeros(d), start, reference, mu=0, L=1)


def quartic(dimension: int = 1) -> Objective:
    """f(x) = sum_i x_i^4/4; minimizer 0, f* = 0. Convex (mu = 0), flat at its minimizer, and no global L.

    x0 = (1, ..., 1), shape (d,). Gradient flow from 1 is x(t) = 1/sqrt(1 + 2 t).

    Reference: Nesterov, Lectures on Convex Optimization, 2nd ed., 2018, doi:10.1007/978-3-319-91578-4.
    """
    d = whole(dimension, "dimension", "quartic")

    def fun(x: Float[Array, "*shape"]) -> Float[Array, ""]:
        return 0.25 * jnp.sum(x**4)

    reference = "doi:10.1007/978-3-319-91578-4"
    return _standard("quartic", fun, np.zeros(d), np.ones(d), reference, mu=0)


def _standard(
    name: str, fun: Any, minimizer: Any, x0: Any, reference: str, fixed: bool = False, **more: Any
) -> Objective:
    """An objective whose dimension is that of its minimizer; arrays of a ``fixed`` one have no other shape."""

    def value(x: Float[ArrayLike, "*shape"]) -> Float[Array, ""]:
        x = jnp.asarray(x)
        if fixed:
            expect_shape(x.shape, x0.shape, name)
        found: Array = fun(x)
        return found

    known = {"minimizer": minimizer, "dimension": len(minimizer), "x0": x0, "reference": reference}
    return Objective(name, value, **known, **more)
