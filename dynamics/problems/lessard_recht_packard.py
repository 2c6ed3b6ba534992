"""The one-dimensional function on which heavy ball, tuned by Polyak for quadratics, cycles."""

from __future__ import annotations

from ..vector_fields.objective import Objective
from .piecewise_quadratic import PiecewiseLinear, build

_NAME = "lessard_recht_packard"
#: phi', in rational numbers.
GRADIENT = PiecewiseLinear(knots=(1, 2), slopes=(25, 1, 25))


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
    return build(_NAME, GRADIENT, dimension, 3.3, "doi:10.1137/15M1009597")
