"""Laurent series of scalars in a small symbol, by structure: lazy streams of coefficients.

Sums, Cauchy products, powers by J. C. P. Miller's recurrence, exponentials and logarithms by their
differential equations, other functions by composition. No radical is ever differentiated, so that the
coefficients of nested roots stay polynomials over powers of the roots' values at 0; a factor that
vanishes there, as in (1 - exp(-c h)) / h, only shifts the series.
"""

from __future__ import annotations

from collections.abc import Callable
from math import factorial

import sympy as sp

from .calculus import derivative, singular, substitute, tidy
from .exact import is_zero
from .vectors import ScalarNode, Vector, by_slot, call, inner, scalar_symbols

VectorSeries = Callable[[Vector, int], list[Vector]]
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
        """The first power that is there; SingularError if none is found."""
        for k in range(self.start, self.start + _DEEPEST):
            if not is_zero(self[k]):
                return k
        raise SingularError

    def power(self, exponent: sp.Expr) -> Stream:
        """``self**exponent``; SingularError where that is no series in whole powers."""
        if exponent == 1:
            return self
        low = self.leading()
        shift = sp.sympify(low * exponent)
        if not shift.is_Integer:
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


def constant(value: sp.Expr) -> Stream:
    return Stream(0, lambda k: value if k == 0 else sp.S.Zero)


def stream(e: sp.Expr, symbol: sp.Symbol, vectors: VectorSeries) -> Stream:
    """The Laurent series of a scalar expression at ``symbol = 0``, with coefficients computed on demand.

    Args:
        e: the expression.
        symbol: the expansion variable.
        vectors: expands the vectors inside inner products and objective values.

    Returns:
        the stream of coefficients.
    """
    if symbol not in scalar_symbols(e):
        return constant(e)
    if e == symbol:
        return Stream(1, lambda k: sp.S.One if k == 1 else sp.S.Zero)

    def of(part: sp.Expr) -> Stream:
        return stream(part, symbol, vectors)

    if isinstance(e, sp.Add):
        parts = [of(a) for a in e.args]
        return Stream(min(p.start for p in parts), lambda k: sp.Add(*[p[k] for p in parts]))
    if isinstance(e, sp.Mul):
        moving = [a for a in e.args if symbol in scalar_symbols(a)]
        still = sp.Mul(*[a for a in e.args if symbol not in scalar_symbols(a)])
        total = of(moving[0])
        for factor in moving[1:]:
            total = total * of(factor)
        return total if still == 1 else Stream(total.start, lambda k: still * total[k])
    if isinstance(e, ScalarNode) and e.kind in {"inner", "value"}:
        return _inner(e, vectors) if e.kind == "inner" else _value(e, vectors)
    if isinstance(e, sp.exp):
        return of(e.exp).exp()
    if isinstance(e, sp.Pow):
        base, exponent = e.as_base_exp()
        if symbol in scalar_symbols(exponent):
            return (of(exponent) * of(base).log()).exp()
        return of(base).power(exponent)
    if isinstance(e, sp.log):
        return of(e.args[0]).log()
    moving_arguments = [a for a in e.args if symbol in scalar_symbols(a)]
    if isinstance(e, sp.Function) and len(moving_arguments) == 1:
        (argument,) = moving_arguments
        return of(argument).composed(lambda slot: e.xreplace({argument: slot}))
    return _by_derivatives(e, symbol)


def _inner(node: ScalarNode, vectors: VectorSeries) -> Stream:
    left, right = node.arguments

    def coefficient(k: int) -> sp.Expr:
        a, b = vectors(left, k), vectors(right, k)
        return sp.Add(*[inner(a[i], b[k - i]) for i in range(k + 1)])

    return Stream(0, coefficient)


def _value(node: ScalarNode, vectors: VectorSeries) -> Stream:
    """f(p(h)) by n f_n = sum of (n - k) <(grad f(p))_k, p_{n-k}>."""
    (point,), oracle = node.arguments, node.oracle
    assert oracle is not None
    gradients = {slot: call(oracle.other("grad", slot), point) for slot in by_slot(point)}

    def coefficient(n: int) -> sp.Expr:
        path = vectors(point, n)
        if n == 0:
            return ScalarNode("value", (path[0],), oracle)
        slopes = {slot: vectors(g, n - 1) for slot, g in gradients.items()}
        moved = [
            (n - k) * inner(slopes[slot][k], rate)
            for k in range(n)
            for slot, rate in by_slot(path[n - k]).items()
        ]
        return sp.Add(*moved) / n

    return Stream(0, coefficient)


def _by_derivatives(e: sp.Expr, symbol: sp.Symbol) -> Stream:
    """The definition, for what has no rule of its own: repeated derivatives at 0."""
    chain = [e]

    def coefficient(k: int) -> sp.Expr:
        while len(chain) <= k:
            chain.append(tidy(derivative(chain[-1], {symbol: sp.S.One})))
        return tidy(substitute(chain[k], {symbol: sp.S.Zero})) / factorial(k)

    return Stream(0, coefficient)
