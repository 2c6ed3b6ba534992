"""Sums of products of hyper-parameters that are formed exactly and rounded once.

A polynomial such as 1 - c h has zeros inside the domain of its parameters, near which no order of rounded operations
keeps its digits. Products and sums of floating-point numbers are sums of a few of them without any error (Dekker,
Numerische Mathematik 18, 1971), so that the polynomial can be formed as one long sum, and that be rounded once
(Ogita, Rump and Oishi, Accurate Sum and Dot Product, SIAM J. Sci. Comput. 26, 2005).
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from math import prod
from typing import Any, ClassVar, TypeAlias

import sympy as sp

Terms: TypeAlias = tuple[tuple[tuple[int, ...], int], ...]  # exponents and a whole coefficient
_LARGEST = 2**12  # of a coefficient: its products with halves of single precision are exact
_PARTS = 32  # of the long sum: a product of n numbers is a sum of 2**(n - 1)


class ExactSum(sp.Function):
    """A polynomial with whole coefficients in its arguments; each polynomial has a class of its own."""

    terms: ClassVar[Terms]

    @classmethod
    def eval(cls, *args: sp.Expr) -> sp.Expr | None:
        return None if all(a.is_Symbol for a in args) else cls.opened(args)

    @classmethod
    def opened(cls, args: tuple[Any, ...]) -> Any:
        """The polynomial, in SymPy's numbers or any others."""
        total = 0
        for powers, c in cls.terms:
            total += c * prod(a**n for a, n in zip(args, powers, strict=True))
        return total

    def products(self) -> list[tuple[int, list[sp.Symbol]]]:
        """Each term as its coefficient and its factors."""
        found = []
        for powers, c in self.terms:
            pairs = zip(self.args, powers, strict=True)
            found.append((c, [s for s, n in pairs for _ in range(n)]))
        return found


def exact_sum(e: sp.Expr) -> sp.Expr | None:
    """A sum with its zeros in one or more `ExactSum`, or None where no such form is needed, or known.

    A difference of two parameters, or of one and a number, needs none: it is rounded once as it stands. Sums that are
    no polynomials with rational coefficients and sums of very many parts have none.
    """
    symbols = sorted(e.free_symbols, key=lambda s: s.name)
    if not e.is_Add or not symbols or not e.is_polynomial(*symbols):
        return None
    poly = sp.Poly(e, *symbols)
    if not all(c.is_Rational for c in poly.coeffs()):
        return None
    powers, rest = poly.terms_gcd()
    whole, rest = rest.clear_denoms()
    content, rest = rest.primitive()
    made = _formed(rest.exclude())
    if made is None:
        return None
    factors = [s**n for s, n in zip(symbols, powers, strict=True)]
    found: sp.Expr = sp.Mul(content / whole, *factors, made)
    return found


def _formed(poly: sp.Poly) -> sp.Expr | None:
    terms = poly.terms()
    simple = all(sum(powers) <= 1 and abs(c) == 1 for powers, c in terms if any(powers))
    if len(terms) < 2 or (len(terms) == 2 and simple):
        return None
    if len({c > 0 for _, c in terms}) == 1 and all(s.is_positive for s in poly.gens):
        return None
    if max(abs(c) for _, c in terms) > _LARGEST or sum(2 ** sum(p) for p, _ in terms) > 2 * _PARTS:
        return None
    listed = tuple((tuple(map(int, p)), int(c)) for p, c in terms)
    return _kind(listed)(*poly.gens)


@lru_cache(maxsize=256)
def _kind(terms: Terms) -> Any:
    name = f"ExactSum_{sha256(repr(terms).encode()).hexdigest()[:8]}"
    return type(name, (ExactSum,), {"terms": terms, "nargs": len(terms[0][0])})
