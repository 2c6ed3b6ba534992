"""Laurent series of scalars as lazy streams of coefficients, with their sums, products, functions and kinks.

Powers go by J. C. P. Miller's recurrence, exponentials and logarithms by their differential equations, other functions
by composition. No radical is ever differentiated, so that the coefficients of nested roots stay polynomials over
powers of the roots' values at 0; a factor that vanishes there, as in (1 - exp(-c h)) / h, only shifts the series.
What has a kink there, as abs(h - h^2) has, has the series of one side.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from math import factorial

import sympy as sp

from ..numbers.cases import COMPARING, innermost
from .calculus import singular, tidy
from .exact import is_zero

KINKS = (*COMPARING, sp.ceiling)
_PIECES = 64  # of what is taken apart at its kinks
_DEEPEST = 16  # how far the first term of a factor is looked for before it is taken to be zero


class SingularError(Exception):
    """There is no Laurent series at 0."""


class Stream:
    """The series sum of ``self[k] * h**k`` over k >= ``start``; coefficients are canonical and computed once."""

    def __init__(self, start: int, coefficient: Callable[[int], sp.Expr]) -> None:
        self.start, self._coefficient = start, coefficient
        self._known: dict[int, sp.Expr] = {}

    def __getitem__(self, k: int) -> sp.Expr:
        if k < self.start:
            return sp.S.Zero
        if k not in self._known:
            value = self._coefficient(k)
            if singular(value) or singular(value := tidy(value)):
                raise SingularError
            self._known[k] = value
        return self._known[k]

    def __add__(self, other: Stream) -> Stream:
        return Stream(min(self.start, other.start), lambda k: self[k] + other[k])

    def __mul__(self, other: Stream) -> Stream:
        def coefficient(k: int) -> sp.Expr:
            return sp.Add(*[self[i] * other[k - i] for i in range(self.start, k - other.start + 1)])

        return Stream(self.start + other.start, coefficient)

    def leading(self) -> int:
        """The first power that is there; SingularError if none is found, or if that is undecided."""
        with suppress(ArithmeticError):
            for k in range(self.start, self.start + _DEEPEST):
                if not is_zero(self[k]):
                    return k
        raise SingularError

    def power(self, exponent: sp.Expr, after: bool) -> Stream:
        """``self**exponent``; SingularError where that is no series in whole powers, on both sides unless ``after``."""
        if exponent == 1:
            return self
        low = self.leading()
        shift = sp.sympify(low * exponent)
        one_sided = not exponent.is_integer and (low % 2 or shift % 2)
        if not shift.is_Integer or (one_sided and not after):
            raise SingularError
        first = self[low]

        def coefficient(k: int) -> sp.Expr:
            n = k - int(shift)
            if n == 0:
                return first**exponent
            parts = [
                (exponent * j - n + j) * self[low + j] * result[k - j] for j in range(1, n + 1)
            ]
            return sp.Add(*parts) / (n * first)

        result = Stream(int(shift), coefficient)
        return result

    def _regular(self) -> None:
        if any(not is_zero(self[k]) for k in range(self.start, 0)):
            raise SingularError

    def exp(self) -> Stream:
        self._regular()

        def coefficient(n: int) -> sp.Expr:
            if n == 0:
                return sp.exp(self[0])
            return sp.Add(*[k * self[k] * result[n - k] for k in range(1, n + 1)]) / n

        result = Stream(0, coefficient)
        return result

    def log(self) -> Stream:
        if self.leading() != 0:
            raise SingularError

        def coefficient(n: int) -> sp.Expr:
            if n == 0:
                return sp.log(self[0])
            inside = [k * result[k] * self[n - k] for k in range(1, n)]
            return (self[n] - sp.Add(*inside) / n) / self[0]

        result = Stream(0, coefficient)
        return result

    def side(self, after: bool) -> tuple[int, sp.Expr]:
        """The first power that is there, and the sign that it gives the sum next to 0.

        Args:
            after: whether the variable is positive; else SingularError where the sign is another one before 0.
        """
        low = self.leading()
        if (low % 2 and not after) or vanishes_in_places(self[low]):
            raise SingularError
        return low, sp.sign(self[low])

    def magnitude(self, after: bool) -> Stream:
        """``abs(self)`` next to 0."""
        low, side = self.side(after)
        return Stream(low, lambda k: sp.Abs(self[k]) if k == low else side * self[k])

    def extreme(self, other: Stream, which: type[sp.Max] | type[sp.Min], after: bool) -> Stream:
        """The greater or the lesser of the two next to 0."""
        apart = self + other * constant(sp.S.NegativeOne)
        low, side = apart.side(after)
        turn = side if which is sp.Max else -side

        def coefficient(k: int) -> sp.Expr:
            if k <= low:
                return which(self[k], other[k])
            return (self[k] + other[k] + turn * apart[k]) / 2

        return Stream(min(self.start, other.start), coefficient)

    def rounded_up(self, after: bool) -> Stream:
        """``ceiling(self)`` next to 0: it jumps at whole numbers."""
        self._regular()
        if self[0].has(*KINKS):  # it may be a whole number on a set with interior
            raise SingularError
        if not self[0].is_integer:
            return constant(sp.ceiling(self[0]))
        _, side = (self + constant(-self[0])).side(after)
        return constant(self[0] + sp.Max(0, side))

    def composed(self, function: Callable[[sp.Expr], sp.Expr]) -> Stream:
        """``function(self)`` by its derivatives at ``self[0]``."""
        self._regular()
        slot = sp.Dummy(real=True)
        slopes = [function(slot)]
        rest = Stream(1, lambda k: self[k])
        powers = [Stream(0, lambda k: sp.S.One if k == 0 else sp.S.Zero)]

        def coefficient(k: int) -> sp.Expr:
            while len(slopes) <= k:
                slopes.append(sp.diff(slopes[-1], slot))
                powers.append(powers[-1] * rest)
            return sp.Add(
                *[
                    slopes[j].xreplace({slot: self[0]}) * powers[j][k] / factorial(j)
                    for j in range(k + 1)
                ]
            )

        return Stream(0, coefficient)


def vanishes_in_places(e: sp.Expr) -> bool:
    """Whether what is not zero may be so on a set with interior, as max(0, p - q) is."""
    if e.is_nonzero or not e.has(*KINKS):
        return False
    pieces = {e}
    while open_ := [(p, kink) for p in pieces if (kink := innermost(p, KINKS)) is not None]:
        if len(pieces) > _PIECES or any(isinstance(kink, sp.ceiling) for _, kink in open_):
            return True
        pieces -= {piece for piece, _ in open_}
        pieces |= {piece.xreplace({kink: side}) for piece, kink in open_ for side in _sides(kink)}
    try:
        return any(map(is_zero, pieces))
    except ArithmeticError:  # undecided
        return True


def _sides(kink: sp.Expr) -> tuple[sp.Expr, ...]:
    """What an expression with a kink is on its sides."""
    if isinstance(kink, (sp.Max, sp.Min)):
        return tuple(kink.args)
    one = sp.S.One if isinstance(kink, sp.sign) else kink.args[0]
    return one, -one


def constant(value: sp.Expr) -> Stream:
    return Stream(0, lambda k: value if k == 0 else sp.S.Zero)


def variable() -> Stream:
    """The series of the variable itself."""
    return Stream(1, lambda k: sp.S.One if k == 1 else sp.S.Zero)
