"""Expectations of polynomials in Gaussians, and the moment equations of a stochastic process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

import sympy as sp
from sympy.functions.combinatorial.factorials import factorial2

from ..._errors import OdescentError
from ..exact import as_scalar
from ..fields import System
from .coordinates import Functions
from .operators import Index, indices
from .processes import SDE, generator, in_coordinates


def polynomial_terms(e: object, over: Sequence[sp.Symbol]) -> dict[Index, sp.Expr]:
    """The coefficients of a polynomial in these symbols, by powers; they may have any other functions in them.

    Raises OdescentError where the expression is no polynomial.
    """
    found: dict[Index, list[sp.Expr]] = {}
    expanded = sp.expand(as_scalar(e))
    for term in sp.Add.make_args(expanded) if expanded != 0 else ():
        factor, rest = term.as_independent(*over, as_Add=False)
        powers = rest.as_powers_dict() if rest != 1 else {}
        index = tuple(powers.get(s, 0) for s in over)
        if set(powers) - set(over) or not all(as_scalar(n).is_Integer and n >= 0 for n in index):
            names = ", ".join(str(s) for s in over)
            raise OdescentError(
                f"a polynomial in {names} is needed here, but there is the term {term}."
            )
        found.setdefault(tuple(int(n) for n in index), []).append(factor)
    return {i: sp.Add(*c) for i, c in found.items()}


def normal_expectation(e: object, normals: Sequence[sp.Symbol]) -> sp.Expr:
    """The mean of a polynomial in independent standard normals; their even powers have mean (n-1)!!.

    Raises OdescentError where the expression is no polynomial in them.
    """
    return sp.Add(
        *[
            c * reduce(lambda p, n: p * factorial2(n - 1), powers, sp.S.One)
            for powers, c in polynomial_terms(e, normals).items()
            if all(n % 2 == 0 for n in powers)
        ]
    )


def gaussian_moment(index: Index, covariance: sp.Matrix) -> sp.Expr:
    """E z^alpha of a centred Gaussian, by Isserlis' recursion E z_i g = sum over j of K_ij E d_j g."""
    first = next((i for i, n in enumerate(index) if n), None)
    if first is None:
        return sp.S.One
    left = tuple(n - (i == first) for i, n in enumerate(index))
    total = sp.S.Zero
    for j, n in enumerate(left):
        if n:
            lower = tuple(m - (i == j) for i, m in enumerate(left))
            total += covariance[first, j] * n * gaussian_moment(lower, covariance)
    return sp.expand(total)


@dataclass(frozen=True)
class MomentEquations:
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
            raise OdescentError(
                "no unique moments are stationary: the moments' matrix is singular."
            )
        solved = self.matrix.LUsolve(-self.constant)
        return {m: sp.factor(e) for m, e in zip(self.monomials, solved, strict=True)}


def moment_equations(
    system: System | SDE, degree: int, dimension: int = 1, functions: Functions | None = None
) -> MomentEquations:
    """The equations of all moments of the state through a degree, for polynomial drift and noise.

    Raises OdescentError for a degree below 1 and where L of a monomial is no polynomial.
    """
    if degree < 1:
        raise OdescentError(f"the degree of the moments is 1 or more, not {degree}.")
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


def monomial(state: Iterable[sp.Symbol], index: Index) -> sp.Expr:
    """x^alpha."""
    return sp.Mul(*[s**n for s, n in zip(state, index, strict=True)])


def tilted_gaussian(
    mean: sp.Matrix, covariance: sp.Matrix, alpha: object, hessian: sp.Matrix, minimizer: sp.Matrix
) -> tuple[sp.Matrix, sp.Matrix]:
    """Mean and covariance of N(mean, C) weighted by exp(-alpha f), f = (x - x*)^T A (x - x*) / 2, for symmetric A.

    Completing the square: the mean is mean - (I + alpha C A)^-1 alpha C A (mean - x*), which for C = s^2 I is
    prox_(tau f)(mean) with tau = alpha s^2, whatever alpha: consensus hopping is the minimizing movement.
    Raises OdescentError where numbers show that the weighted law has no finite mass.
    """
    strength = as_scalar(alpha)
    n = mean.rows
    if (
        mean.shape != (n, 1)
        or any(m.shape != (n, n) for m in (covariance, hessian))
        or minimizer.shape != (n, 1)
    ):
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


__all__ = [
    "MomentEquations",
    "gaussian_moment",
    "moment_equations",
    "monomial",
    "normal_expectation",
    "polynomial_terms",
    "tilted_gaussian",
]
