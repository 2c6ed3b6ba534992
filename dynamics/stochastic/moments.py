"""The moment equations of a stochastic process, and the mean of a weighted Gaussian."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.rendering.rendered import Rendered
from ..algebra.scalars import as_scalar
from ..flows.system import System
from .coordinates import Functions
from .gaussians import monomial, polynomial_terms
from .operators import indices
from .processes import SDE, generator, in_coordinates


@dataclass(frozen=True)
class MomentEquations(Rendered):
    """d/dt E x^alpha for the monomials through a degree: matrix times those moments, plus a constant, plus the rest.

    Attributes:
        monomials: the monomials, by degree.
        matrix, constant: of the linear system that they obey.
        rest: for each, what is left: higher monomials with their coefficients. All zero when closed.
    """

    monomials: tuple[sp.Expr, ...]
    matrix: sp.Matrix
    constant: sp.Matrix
    rest: tuple[sp.Expr, ...]

    @property
    def closed(self) -> bool:
        """Whether no higher moment enters."""
        return all(r == 0 for r in self.rest)

    def rates(self) -> dict[sp.Expr, sp.Expr]:
        """L of each monomial: the mean of it is the rate of that moment."""
        linear = self.matrix * sp.Matrix(self.monomials) + self.constant
        return {
            m: sp.expand(e + r) for m, e, r in zip(self.monomials, linear, self.rest, strict=True)
        }

    def stationary(self) -> dict[sp.Expr, sp.Expr]:
        """The moments that do not change; OdescentError if the hierarchy is open or they are not unique."""
        if not self.closed:
            higher = next(r for r in self.rest if r != 0)
            raise OdescentError(
                f"the moments are not closed: their rates need the mean of {higher}."
            )
        if self.matrix.det() == 0:
            raise OdescentError("the stationary moments are not unique: their matrix is singular.")
        solved = self.matrix.LUsolve(-self.constant)
        return {m: sp.factor(e) for m, e in zip(self.monomials, solved, strict=True)}


def moment_equations(
    system: System | SDE, degree: int, dimension: int = 1, functions: Functions | None = None
) -> MomentEquations:
    """The equations of all moments of the state through a degree, for polynomial drift and noise.

    Args:
        system: in vectors or in coordinates.
        degree: the highest degree, at least 1.
        dimension: d of the vector blocks.
        functions: formulas of objectives by name.

    Raises:
        OdescentError: a degree below 1, or L of a monomial is not a polynomial.
    """
    if degree < 1:
        raise OdescentError(f"the degree of the moments must be 1 or more, not {degree}.")
    sde = in_coordinates(system, dimension, functions)
    state = sde.state
    listed = [i for k in range(1, degree + 1) for i in reversed(indices(len(state), k))]
    place = {i: k for k, i in enumerate(listed)}
    monomials = [monomial(state, i) for i in listed]
    matrix, constant = sp.zeros(len(listed), len(listed)), sp.zeros(len(listed), 1)
    rest = [sp.S.Zero] * len(listed)
    for k, m in enumerate(monomials):
        for powers, c in polynomial_terms(generator(sde, m), state).items():
            if not any(powers):
                constant[k] += c
            elif powers in place:
                matrix[k, place[powers]] += c
            else:
                rest[k] += c * monomial(state, powers)
    return MomentEquations(tuple(monomials), matrix, constant, tuple(rest))


def tilted_gaussian(
    mean: sp.Matrix, covariance: sp.Matrix, alpha: object, hessian: sp.Matrix, minimizer: sp.Matrix
) -> tuple[sp.Matrix, sp.Matrix]:
    """Mean and covariance of N(mean, C) weighted by exp(-alpha f), f = (x - x*)^T A (x - x*) / 2, for symmetric A.

    Completing the square: the mean is mean - (I + alpha C A)^-1 alpha C A (mean - x*), which for C = s^2 I is
    prox_(tau f)(mean) with tau = alpha s^2, whatever alpha: consensus hopping is the minimizing movement.

    Args:
        mean: shape (d, 1).
        covariance: C, shape (d, d).
        alpha: the inverse temperature.
        hessian: A, shape (d, d).
        minimizer: x*, shape (d, 1).

    Returns:
        mean of shape (d, 1) and covariance of shape (d, d).

    Raises:
        OdescentError: wrong shapes, or numbers for which the weighted law has no finite mass.
    """
    strength = as_scalar(alpha)
    n = mean.rows
    columns = ((mean, 1), (minimizer, 1), (covariance, n), (hessian, n))
    if any(m.shape != (n, k) for m, k in columns):
        raise OdescentError(
            f"a Gaussian in {n} coordinates takes matrices of {n} rows and a minimizer of {n}."
        )
    pull = strength * covariance * hessian
    system = sp.eye(n) + pull
    precision = covariance.inv() + strength * hessian
    if precision.is_positive_definite is False:
        raise OdescentError(
            "the weight has no finite mass: I + alpha C A must have positive eigenvalues only."
        )
    moved = system.LUsolve(pull * (mean - minimizer))
    return (mean - moved).applyfunc(sp.cancel), system.LUsolve(covariance).applyfunc(sp.cancel)
