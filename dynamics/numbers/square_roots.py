"""Fields of square roots of numbers, in which a root that is there already is found.

A field is Q(g_1, ..., g_n), each g_k the positive root of a number of Q(g_1, ..., g_(k-1)) that has none there. So the
products of different g_k are a basis, a number is zero only if its coefficients are, and the root of 5 + 2 sqrt(6) is
sqrt(2) + sqrt(3) where these two are. No number is factored.
"""

from __future__ import annotations

import functools
from math import isqrt, lcm
from typing import Any, TypeAlias

import mpmath
import sympy as sp

from ..._support.errors import DividedByZero
from ..._support.work import work

Number: TypeAlias = dict[int, Any]  # by the set of the g_k of a product, as bits, its coefficient
_ROOTS = 6  # the search for a root takes up to three times as long with one g_k more


class SquareRoots:
    """A field, which grows by the roots that are asked for.

    Attributes:
        squares: the square of each g_k, a number of the field before it.
        symbols: the names of the g_k in expressions, as far as they have them.
    """

    def __init__(self) -> None:
        self.squares: list[Number] = []
        self.symbols: list[sp.Symbol] = []

    def rational(self, value: sp.Rational) -> Number:
        return {0: sp.QQ(value.p, value.q)} if value else {}

    def generator(self, k: int) -> Number:
        return {1 << k: sp.QQ(1)}

    # expressions

    def read(self, e: sp.Expr) -> Number | None:
        """The number that an expression in the g_k is; None where there are other symbols in it."""
        return None if e.free_symbols - {*self.symbols} else self._read(e)

    def _read(self, e: sp.Expr) -> Number:
        if e.is_Rational:
            return self.rational(e)
        if e.is_Symbol:
            return self.generator(self.symbols.index(e))
        if e.is_Add or e.is_Mul:
            return functools.reduce(self.sum if e.is_Add else self.product, map(self._read, e.args))
        base, exponent = e.as_base_exp()
        return self.power(self._read(base), int(exponent))

    def written(self, a: Number) -> sp.Expr:
        """The number as an expression in the g_k."""
        terms = []
        for bits, c in a.items():
            roots = [s for k, s in enumerate(self.symbols) if bits & (1 << k)]
            terms.append(sp.Mul(sp.Rational(int(c.numerator), int(c.denominator)), *roots))
        return sp.Add(*terms)

    # arithmetic

    def sum(self, a: Number, b: Number) -> Number:
        total = dict(a)
        for bits, c in b.items():
            total[bits] = total.get(bits, 0) + c
        return {bits: c for bits, c in total.items() if c}

    def scaled(self, a: Number, c: Any) -> Number:
        return {bits: c * value for bits, value in a.items()} if c else {}

    def product(self, a: Number, b: Number) -> Number:
        work(len(a) * len(b))
        total: Number = {}
        for one, c in a.items():
            for other, d in b.items():
                part: Number = {one ^ other: c * d}
                for k, square in enumerate(self.squares):
                    if one & other & (1 << k):
                        part = self.product(part, square)
                total = self.sum(total, part)
        return total

    def inverse(self, a: Number) -> Number:
        """1 / a, by the conjugates of a with respect to each g_k."""
        if not a:
            raise DividedByZero("a denominator vanishes identically.")
        if a.keys() == {0}:
            return {0: 1 / a[0]}
        k = max(a).bit_length() - 1
        rest, slope = self._parts(a, k)
        conjugate = self.sum(rest, self.scaled(self.product(slope, self.generator(k)), -1))
        return self.product(conjugate, self.inverse(self._norm(rest, slope, k)))

    def power(self, a: Number, n: int) -> Number:
        if n < 0:
            a, n = self.inverse(a), -n
        result = self.rational(sp.S.One)
        while n:
            if n & 1:
                result = self.product(result, a)
            n >>= 1
            a = self.product(a, a) if n else a
        return result

    def _parts(self, a: Number, k: int) -> tuple[Number, Number]:
        """p and q with a = p + q g_k."""
        bit = 1 << k
        without = {bits: c for bits, c in a.items() if not bits & bit}
        return without, {bits ^ bit: c for bits, c in a.items() if bits & bit}

    def _norm(self, p: Number, q: Number, k: int) -> Number:
        """p^2 - q^2 g_k^2."""
        squared = self.product(self.product(q, q), self.squares[k])
        return self.sum(self.product(p, p), self.scaled(squared, -1))

    # size and roots

    def sign(self, a: Number) -> int:
        """-1, 0 or 1: with as many digits as tell a number that is not zero from zero."""
        if not a:
            return 0
        digits = 30
        while True:
            with mpmath.workdps(digits):
                roots: list[Any] = []
                for square in self.squares:
                    roots.append(mpmath.sqrt(sum(_terms(square, roots))))
                terms = _terms(a, roots)
                value = sum(terms)
                if abs(value) > sum(map(abs, terms)) * mpmath.mpf(10) ** (-digits // 2):
                    return 1 if value > 0 else -1
            digits *= 2
            work(digits)

    def root(self, a: Number) -> Number | None:
        """The positive root of a positive number, for which the field is extended where it has none.

        None where the field is as large as it may get.
        """
        found = self._own_root(a, len(self.squares))
        if found is not None:
            return self.scaled(found, self.sign(found))
        if len(self.squares) == _ROOTS:
            return None

        # the radicand is made integral, and one of numbers free of small squares
        denominator = sp.QQ(lcm(*(int(c.denominator) for c in a.values())))
        square, factor = self.scaled(a, denominator**2), 1 / denominator
        if a.keys() == {0}:
            outside, inside = sp.sqrt(sp.Integer(int(square[0]))).as_coeff_Mul()
            square, factor = self.rational(inside**2), factor * int(outside)
        self.squares.append(square)
        return self.scaled(self.generator(len(self.squares) - 1), factor)

    def _own_root(self, a: Number, n: int) -> Number | None:
        """A root of a number in the field of the first n of the g_k; None where there is none."""
        if not a:
            return {}
        if n == 0:
            over, under = int(a[0].numerator), int(a[0].denominator)
            if over < 0 or isqrt(over) ** 2 != over or isqrt(under) ** 2 != under:
                return None
            return {0: sp.QQ(isqrt(over), isqrt(under))}
        k = n - 1
        p, q = self._parts(a, k)
        if not q:  # p is a square, or one times that of g_k
            found = self._own_root(p, k)
            if found is not None:
                return found
            found = self._own_root(self.product(p, self.squares[k]), k)
            return found and self.product(found, self.inverse(self.generator(k)))
        norm = self._own_root(self._norm(p, q, k), k)
        if norm is None:
            return None
        for sign in (1, -1):  # (u + v g)^2 = p + q g with u^2 = (p +- norm) / 2 and 2 u v = q
            u = self._own_root(self.scaled(self.sum(p, self.scaled(norm, sign)), sp.QQ(1, 2)), k)
            if u is not None:
                v = self.product(self.scaled(q, sp.QQ(1, 2)), self.inverse(u))
                return self.sum(u, self.product(v, self.generator(k)))
        return None


def _terms(a: Number, roots: list[Any]) -> list[Any]:
    """The terms of a number, for mpmath."""
    found = []
    for bits, c in a.items():
        value = mpmath.mpf(int(c.numerator)) / int(c.denominator)
        for k, root in enumerate(roots):
            if bits & (1 << k):
                value = value * root
        found.append(value)
    return found
