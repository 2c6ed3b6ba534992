"""Expectations of polynomials in samples, in Gaussians and in Poisson numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import sympy as sp
from sympy.functions.combinatorial.numbers import stirling

from ..._support.errors import OdescentError
from ..algebra.scalars import as_scalar
from ..samples.laws import Law, law_of
from .operators import Index


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


def expectation(e: object, draws: Sequence[tuple[Sequence[sp.Symbol], Law]]) -> sp.Expr:
    """The mean of a polynomial in the coordinates of independent draws.

    Args:
        e: the polynomial.
        draws: the coordinates of each, with its law.

    Raises:
        OdescentError: the expression is no polynomial in them.
    """
    over = [s for symbols, _ in draws for s in symbols]
    total = sp.S.Zero
    for powers, c in polynomial_terms(e, over).items():
        left, moments = list(powers), [c]
        for symbols, law in draws:
            own, left = tuple(left[: len(symbols)]), left[len(symbols) :]
            moments.append(law.moment(own))
        total += sp.Mul(*moments)
    return total


def normal_expectation(e: object, normals: Sequence[sp.Symbol]) -> sp.Expr:
    """The mean of a polynomial in independent standard normals; their even powers have mean (n-1)!!.

    Raises OdescentError where the expression is no polynomial in them.
    """
    return expectation(e, [(normals, law_of("normal"))])


def poisson_expectation(e: object, means: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
    """The mean of a polynomial in independent Poisson numbers of these means.

    E n^k is the Touchard polynomial of the mean, whose coefficients are Stirling's numbers of the second kind.
    Raises OdescentError where the expression is no polynomial in them.
    """
    numbers = tuple(means)

    def moment(mean: sp.Expr, k: int) -> sp.Expr:
        return sp.Add(*[stirling(k, j) * mean**j for j in range(k + 1)])

    return sp.Add(
        *[
            c * sp.Mul(*[moment(means[n], k) for n, k in zip(numbers, powers, strict=True)])
            for powers, c in polynomial_terms(e, numbers).items()
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


def monomial(state: Iterable[sp.Symbol], index: Index) -> sp.Expr:
    """x^alpha."""
    return sp.Mul(*[s**n for s, n in zip(state, index, strict=True)])
