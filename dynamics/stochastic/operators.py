"""Linear differential operators with variable coefficients: sums of a(x) d^alpha, which apply, compose and transpose.

The generator of a diffusion, its adjoint, the one-step operator of a scheme and its logarithm are all of
them elements of this algebra, so that weak error expansions need no test function.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from math import comb, factorial

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.rendering.rendered import Rendered
from ..algebra.calculus import slope
from ..algebra.scalars import as_scalar

Index = tuple[int, ...]  # how often each coordinate is differentiated


class Operator(Rendered):
    """The operator phi -> sum over alpha of ``terms[alpha]`` d^alpha phi, in the coordinates ``over``.

    Operators of the same coordinates add, scale by expressions from the left, and compose with ``@``:
    ``(A @ B)(phi) = A(B(phi))``. Equality is `vanishes` of the difference.
    """

    def __init__(self, over: Iterable[sp.Symbol], terms: Mapping[Index, object]) -> None:
        self.over = tuple(over)
        for index in terms:
            if len(index) != len(self.over):
                raise OdescentError(
                    f"the index {index} has {len(index)} entries, but there are {len(self.over)} coordinates."
                )
        kept = {i: as_scalar(c) for i, c in sorted(terms.items())}
        self.terms: dict[Index, sp.Expr] = {i: c for i, c in kept.items() if c != 0}

    @staticmethod
    def identity(over: Iterable[sp.Symbol]) -> Operator:
        """phi -> phi."""
        over = tuple(over)
        return Operator(over, {(0,) * len(over): sp.S.One})

    @property
    def order(self) -> int:
        """The highest number of derivatives; 0 for the zero operator."""
        return max((sum(i) for i in self.terms), default=0)

    def part(self, order: int) -> Operator:
        """The terms with that many derivatives."""
        return Operator(self.over, {i: c for i, c in self.terms.items() if sum(i) == order})

    def coefficient(self, *coordinates: sp.Symbol) -> sp.Expr:
        """The coefficient of the derivative in these coordinates (repeated where it is a higher one)."""
        return self.terms.get(tuple(coordinates.count(s) for s in self.over), sp.S.Zero)

    def map(self, rule: Callable[[sp.Expr], object]) -> Operator:
        """The operator with its coefficients rewritten."""
        return Operator(self.over, {i: rule(c) for i, c in self.terms.items()})

    def __call__(self, phi: object) -> sp.Expr:
        phi = as_scalar(phi)
        return sp.Add(*[c * _differentiated(phi, self.over, i) for i, c in self.terms.items()])

    def __add__(self, other: Operator) -> Operator:
        self._check(other)
        total = dict(self.terms)
        for i, c in other.terms.items():
            total[i] = total.get(i, sp.S.Zero) + c
        return Operator(self.over, total)

    def __neg__(self) -> Operator:
        return self.map(lambda c: -c)

    def __sub__(self, other: Operator) -> Operator:
        return self + (-other)

    def __rmul__(self, scale: object) -> Operator:
        factor = as_scalar(scale)
        return self.map(lambda c: factor * c)

    def __matmul__(self, other: Operator) -> Operator:
        """The composition, by Leibniz's rule."""
        self._check(other)
        total: dict[Index, list[sp.Expr]] = {}
        for i, a in self.terms.items():
            for split in itertools.product(*(range(n + 1) for n in i)):
                weight = reduce(lambda w, nk: w * comb(*nk), zip(i, split, strict=True), 1)
                for j, b in other.terms.items():
                    moved = _differentiated(b, self.over, split)
                    if moved != 0:
                        reached = tuple(n - k + m for n, k, m in zip(i, split, j, strict=True))
                        total.setdefault(reached, []).append(weight * a * moved)
        return Operator(self.over, {i: sp.expand(sp.Add(*c)) for i, c in total.items()})

    def adjoint(self) -> Operator:
        """The formal adjoint: the integral of rho A phi is that of phi A* rho, boundary terms left out."""
        total = Operator(self.over, {})
        one = Operator.identity(self.over)
        for i, c in self.terms.items():
            derivative = Operator(self.over, {i: sp.S.One})
            total = total + (-1) ** sum(i) * (derivative @ (c * one))
        return total

    def vanishes(self) -> bool:
        """Whether every coefficient simplifies to zero; True is a proof."""
        return all(sp.simplify(sp.expand(c)) == 0 for c in self.terms.values())

    def _check(self, other: Operator) -> None:
        if self.over != other.over:
            raise OdescentError(
                f"operators in the coordinates {self.over} and {other.over} cannot be combined; use the same ones."
            )

    def __str__(self) -> str:
        def mark(i: Index) -> str:
            return "".join(
                f" d_{s}" + (f"^{n}" if n > 1 else "")
                for s, n in zip(self.over, i, strict=True)
                if n
            )

        return " + ".join(f"({c}){mark(i)}" for i, c in self.terms.items()) or "0"

    __repr__ = __str__


def _differentiated(e: sp.Expr, over: tuple[sp.Symbol, ...], index: Index) -> sp.Expr:
    for s, n in zip(over, index, strict=True):
        for _ in range(n):
            e = slope(e, s)
    return e


def indices(dimension: int, order: int) -> list[Index]:
    """Every index with that many derivatives."""
    found = itertools.product(range(order + 1), repeat=dimension)
    return [i for i in found if sum(i) == order]


def index_factorial(index: Index) -> int:
    """alpha! = alpha_1! alpha_2! ..."""
    return reduce(lambda total, n: total * factorial(n), index, 1)


def logarithm(terms: list[Operator]) -> list[Operator]:
    """L_1, L_2, ... with exp(s L_1 + s^2 L_2 + ...) = 1 + s A_1 + s^2 A_2 + ..., given A_1, A_2, ...

    From log(1 + X) = X - X^2/2 + X^3/3 - ..., where the factors of a product keep their order.
    """
    found: list[Operator] = []
    for n in range(1, len(terms) + 1):
        total = terms[n - 1]
        for m in range(2, n + 1):
            for parts in _compositions(n, m):
                product = reduce(lambda a, b: a @ b, [terms[p - 1] for p in parts])
                total = total + sp.Rational((-1) ** (m + 1), m) * product
        found.append(total.map(sp.expand))
    return found


def exponential(terms: list[Operator], order: int) -> list[Operator]:
    """A_1, ..., A_order of exp(s L_1 + s^2 L_2 + ...) = 1 + s A_1 + s^2 A_2 + ..., given L_1, L_2, ..."""
    found: list[Operator] = []
    for n in range(1, order + 1):
        total = Operator(terms[0].over, {})
        for m in range(1, n + 1):
            for parts in _compositions(n, m):
                if max(parts) <= len(terms):
                    product = reduce(lambda a, b: a @ b, [terms[p - 1] for p in parts])
                    total = total + sp.Rational(1, factorial(m)) * product
        found.append(total.map(sp.expand))
    return found


def _compositions(n: int, parts: int) -> list[tuple[int, ...]]:
    """Positive integers, that many, with sum n, in every order."""
    if parts == 1:
        return [(n,)]
    return [
        (first, *rest)
        for first in range(1, n - parts + 2)
        for rest in _compositions(n - first, parts - 1)
    ]
