"""Numbers for which two methods differ: values of the parameters, and the two results."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import sympy as sp

from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.exact import canonical
from ...dynamics.algebra.scalars import admitted

DIGITS, MORE = 120, 1200  # of numbers that are no fractions, and where these do not differ
_GUARD = 30  # digits that may be lost to rounding
_SHOWN = 30  # digits of two numbers that are written out
_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43)
SAMPLES = 24

Values: TypeAlias = dict[sp.Symbol, sp.Rational]
When: TypeAlias = tuple[
    tuple[int, int], ...
]  # (step, call of the step); step -1 is before the first


@dataclass(frozen=True)
class Witness(Rendered):
    """An experiment with two outcomes.

    Give the parameters their values, start both methods at x0 (0 or 1, one coordinate), and let every oracle
    answer 0, but 1 at the calls in ``answers`` (a proximal point: its gradient). Then the two methods' calls at
    ``point`` are made at the points ``values``; an implicit call's own answer, scaled, is part of its point.

    Attributes:
        parameters: exact values of all symbols of both methods.
        x0: the starting point, 0 or 1.
        answers: for each of the two, the calls (step, number within the step) that are answered by 1; step -1
            stands for the calls before the first step. All others are answered by 0.
        point: for each of the two, the call (step, number within the step) whose point is compared; the number
            -1 stands for the output before that step.
        values: the two points: exact fractions, or floats of 40 digits that are right to the last but one.
    """

    parameters: Values
    x0: int
    answers: tuple[When, When]
    point: tuple[tuple[int, int], tuple[int, int]]
    values: tuple[sp.Expr, sp.Expr]

    @property
    def step(self) -> int:
        """The step of the first method in which the points differ."""
        return self.point[0][0]

    def __str__(self) -> str:
        where = ", ".join(f"{s} = {v}" for s, v in sorted(self.parameters.items(), key=str))
        return f"{different(*self.values)}{f' at {where}' if where else ''}"


def different(one: sp.Expr, other: sp.Expr) -> str:
    """Two numbers with as many digits as show that they differ, at least six; where that is many, the difference."""
    texts = str(one), str(other)
    if one.is_Rational and other.is_Rational and max(map(len, texts)) <= 30:
        return f"{texts[0]} against {texts[1]}"
    gap = other - one
    if gap and abs(gap) < abs(one) * sp.Float(10) ** -_SHOWN:
        beside = f"{'minus' if gap < 0 else 'plus'} {sp.N(abs(gap), 6)}"
        return f"{sp.N(one, 6)} against the same number {beside}"
    for digits in range(6, 2 * DIGITS):
        texts = str(sp.N(one, digits)), str(sp.N(other, digits))
        if texts[0] != texts[1]:
            break
    more = digits + 2  # so that the last digit shown is no artefact of rounding
    return f"{sp.N(one, more)} against {sp.N(other, more)}"


def samples(symbols: Iterable[sp.Symbol], number: int = SAMPLES) -> Iterator[Values]:
    """Values of the symbols, squares so that roots are fractions, with mu < L; the simplest first.

    Beside small fractions, all below one or all above or mixed, there are some that nobody has thought of. They have
    what is assumed of the symbols, such as to be odd; there are none for what no such value has.
    """
    listed = sorted(symbols, key=lambda s: (str(s), str(sorted(s.assumptions0.items()))))
    for seed in range(number):
        generator = random.Random(seed)
        values: Values = {}
        for i, s in enumerate(listed):
            top, bottom = (
                _PRIMES[(j + 3 * seed) % 14] for j in (2 * i, 2 * i + 1 + 2 * (seed % 2))
            )
            if seed >= 12 or i >= 7:
                top, bottom = generator.randrange(2, 10**6), generator.randrange(2, 10**6)
            side = {"mu": 1, "L": 2}.get(s.name, (1, 0, 2)[seed % 3])
            if (side == 1 and top > bottom) or (side == 2 and top < bottom):
                top, bottom = bottom, top
            value = sp.Rational(top, bottom) ** 2
            if s.is_integer:
                value = sp.Integer(top)
            unsigned = not (s.is_nonnegative or s.is_negative)
            value = -value if s.is_negative or (unsigned and (seed + i) % 2) else value
            values[s] = admitted(s, value)
        if None not in values.values():
            yield values


class BoundedNumbers:
    """Numbers beside bounds of the terms that they were made of; exact where they are fractions."""

    def __init__(
        self, rows: Sequence[Sequence[Any]], sizes: Sequence[Sequence[Any]], digits: int = DIGITS
    ) -> None:
        self.rows, self.sizes, self.digits = rows, sizes, digits

    def __matmul__(self, other: BoundedNumbers) -> BoundedNumbers:
        def product(one: Any, two: Any) -> list[list[Any]]:
            columns = list(zip(*two, strict=True)) if two else []
            return [[sum(a * b for a, b in zip(r, c, strict=True)) for c in columns] for r in one]

        if not other.rows:  # no states: nothing arrives
            return BoundedNumbers([[] for _ in self.rows], [[] for _ in self.rows], self.digits)
        import mpmath

        with mpmath.workdps(self.digits):
            rows, sizes = product(self.rows, other.rows), product(self.sizes, other.sizes)
        return BoundedNumbers(rows, sizes, self.digits)


def numbers(
    matrices: Sequence[sp.Matrix], values: Values, digits: int = DIGITS
) -> list[BoundedNumbers] | None:
    """The matrices at these values, as fractions if all are, else in many digits; None where one is not real."""
    import mpmath

    inserted = []
    for m in matrices:
        entries = [sp.sympify(e).xreplace(values) for e in m]
        entries = [e if e.is_Rational else sp.N(e, digits + 10) for e in entries]
        if not all(e.is_Rational or (e.is_Float and e.is_finite) for e in entries):
            return None
        inserted.append(entries)
    exact = all(e.is_Rational for entries in inserted for e in entries)

    def number(e: sp.Expr) -> Any:
        return Fraction(int(e.p), int(e.q)) if exact else mpmath.mpmathify(e)

    found = []
    with mpmath.workdps(digits):
        for m, entries in zip(matrices, inserted, strict=True):
            rows = [
                [number(e) for e in entries[i * m.cols : (i + 1) * m.cols]] for i in range(m.rows)
            ]
            found.append(BoundedNumbers(rows, [[abs(e) for e in row] for row in rows], digits))
    return found


def response(parts: Sequence[BoundedNumbers], steps: int) -> list[BoundedNumbers]:
    """D, CB, CAB, ... of the matrices A, B, C, D."""
    a, b, c, d = parts
    found = [d]
    for _ in range(steps):
        found.append(c @ b)
        b = a @ b
    return found


def first_difference(
    one: Sequence[BoundedNumbers],
    other: Sequence[BoundedNumbers],
    order: tuple[Sequence[int], Sequence[int]],
) -> tuple[int, int, int, tuple[sp.Expr, sp.Expr]] | None:
    """The first entry in which two sequences of matrices differ.

    Args:
        one: the first sequence.
        other: the second, of the same length.
        order: the rows and the columns of ``other`` that correspond to those of ``one``.

    Returns:
        index in the sequence, row, column and the two values; None if all entries agree.
    """
    for k, (a, b) in enumerate(zip(one, other, strict=True)):
        for i, p in enumerate(order[0]):
            for j, q in enumerate(order[1]):
                mine, theirs = a.rows[i][j], b.rows[p][q]
                if apart(mine, theirs, a.sizes[i][j], b.sizes[p][q], digits=a.digits):
                    return k, i, j, (shown(mine, a.digits), shown(theirs, a.digits))
    return None


def apart(mine: Any, theirs: Any, *sizes: Any, digits: int = DIGITS) -> bool:
    """Whether two numbers differ, exactly or by more than rounding could do to terms of these sizes."""
    if isinstance(mine, Fraction) and isinstance(theirs, Fraction):
        return mine != theirs
    import mpmath

    with mpmath.workdps(digits):
        rounding = sum(map(_real, sizes)) * mpmath.mpf(10) ** -(digits - _GUARD)
        return bool(abs(_real(mine) - _real(theirs)) > rounding)


def _real(value: Any) -> Any:
    import mpmath

    if isinstance(value, Fraction):
        return mpmath.mpf(value.numerator) / value.denominator
    return mpmath.mpf(value)


def shown(value: Any, digits: int = DIGITS) -> sp.Expr:
    """A number in a witness."""
    if isinstance(value, (Fraction, int)):
        exact = Fraction(value)
        return sp.Rational(exact.numerator, exact.denominator)
    return sp.Float(value, digits)


def settled(e: sp.Expr) -> sp.Expr:
    """With absolute values, signs, maxima and roots of squares resolved where every coefficient shows the sign.

    Nested square roots of numbers are written without nesting where they can be.
    """
    e = sp.sqrtdenest(e)
    if not e.has(sp.Abs, sp.sign, sp.Max, sp.Min):
        return canonical(e)

    def sign(a: sp.Expr) -> int:
        top, bottom = sp.fraction(canonical(a))
        product = sp.expand(top * bottom)
        terms = sp.Add.make_args(product)
        if product == 0 or all(t.is_positive for t in terms):
            return 1
        return -1 if all(t.is_negative for t in terms) else 0

    def resolved(node: sp.Expr) -> sp.Expr:
        if isinstance(node, (sp.Max, sp.Min)):
            best, *others = node.args
            for a in others:
                side = sign(a - best)
                if not side:
                    return node
                best = a if (side > 0) == isinstance(node, sp.Max) else best
            return best
        (a,) = node.args
        side = sign(a)
        if isinstance(node, sp.sign):
            return sp.Integer(side) if side and canonical(a) != 0 else node
        return side * a if side else node

    kinds = (sp.Abs, sp.sign, sp.Max, sp.Min)
    return canonical(e.replace(lambda n: isinstance(n, kinds), resolved))


def is_positive(e: sp.Expr, below: bool = False) -> bool:
    """Whether the scalar is provably positive for positive parameters with mu <= L, or mu < L where mu is ``below``."""
    u = sp.Symbol("u", positive=True)
    e = e.replace(sp.exp, lambda a: sp.exp(a) if not (-a).is_positive else 1 / (1 + u))
    named = {s.name: s for s in e.free_symbols}
    if {"mu", "L"} <= set(named):
        low, more = (
            sp.Symbol("low", positive=True),
            sp.Symbol("more", nonnegative=True, zero=False if below else None),
        )
        e = e.xreplace({named["mu"]: low**2, named["L"]: (low + more) ** 2})
    parts = sp.fraction(sp.together(sp.powdenest(e, force=True)))
    return all(bool(sp.expand(part).is_positive) for part in parts)
