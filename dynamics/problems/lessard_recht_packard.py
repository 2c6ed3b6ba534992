"""The one-dimensional function on which heavy ball, tuned by Polyak for quadratics, cycles for ever."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from ..oracles import Objective
from ._checks import whole

_NAME = "lessard_recht_packard"


def lessard_recht_packard(dimension: int = 1) -> Objective:
    """f(x) = sum_i phi(x_i) in F(1, 25), with minimizer 0 and f* = 0, where

        phi(x) = 25/2 x^2                 phi'(x) = 25 x          x < 1
                 x^2/2 + 24 x - 12                  x + 24        1 <= x < 2
                 25/2 x^2 - 24 x + 36               25 x - 24     x >= 2

    phi' is continuous, piecewise linear with slopes 25, 1, 25. Heavy ball with Polyak's alpha = 1/9, beta = 4/9
    and x_{-1} = x_0 = 3.3 (the default x0, shape (dimension,)) approaches the attracting 3-cycle
    792/1225 -> -2208/1225 -> 2592/1225; gradient descent, Nesterov's method and triple momentum converge.

    Raises a `ValueError` for a dimension that is not a positive whole number.

    Reference: Lessard, Recht, Packard, Analysis and Design of Optimization Algorithms via Integral Quadratic
    Constraints, SIAM J. Optim. 26 (2016), doi:10.1137/15M1009597, arXiv:1408.3595.
    """
    d = whole(dimension, "dimension", _NAME)

    def fun(x: Float[ArrayLike, "*shape"]) -> Float[Array, ""]:
        x = jnp.asarray(x)
        middle = 0.5 * x**2 + 24 * x - 12
        right = 12.5 * x**2 - 24 * x + 36
        return jnp.sum(jnp.where(x < 1, 12.5 * x**2, jnp.where(x < 2, middle, right)))

    return Objective(
        _NAME,
        fun,
        mu=1,
        L=25,
        minimizer=np.zeros(d),
        dimension=d,
        x0=np.full(d, 3.3),
        reference="doi:10.1137/15M1009597",
    )
