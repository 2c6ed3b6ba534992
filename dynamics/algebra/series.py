"""Series in a small scalar, by structure: Taylor series of vectors, and Laurent series of scalars.

Series of scalars are lazy streams of coefficients: sums, Cauchy products, powers by J. C. P. Miller's recurrence,
exponentials and logarithms by their differential equations, other functions by composition. No radical is ever
differentiated, so that the coefficients of nested roots stay polynomials over powers of the roots' values at 0; a
factor that vanishes there, as in (1 - exp(-c h)) / h, only shifts the series.

An oracle at a moving point, F(p_0 + h p_1 + ...), is expanded by Faa di Bruno's formula over the
partitions of the order, so that nothing is differentiated that is then thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from math import factorial
from typing import Any, overload

import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from .calculus import derivative, scalar_of, singular, substitute, tidy, vanishes
from .exact import is_zero
from .operators import Inverse, inverse
from .products import Product, _product, apply
from .vectors import (
    Argument,
    Atom,
    Call,
    Expr,
    ScalarNode,
    Vector,
    by_slot,
    call,
    in_slot,
    inner,
    scalar_symbols,
    zero,
)

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
    return _scalar_by_derivatives(e, symbol)


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


def _scalar_by_derivatives(e: sp.Expr, symbol: sp.Symbol) -> Stream:
    """The definition, for what has no rule of its own: repeated derivatives at 0."""
    chain = [e]

    def coefficient(k: int) -> sp.Expr:
        while len(chain) <= k:
            chain.append(tidy(derivative(chain[-1], {symbol: sp.S.One})))
        return tidy(substitute(chain[k], {symbol: sp.S.Zero})) / factorial(k)

    return Stream(0, coefficient)


@overload
def taylor(e: Vector, symbol: sp.Symbol, order: int) -> list[Vector]: ...
@overload
def taylor(e: sp.Expr, symbol: sp.Symbol, order: int) -> list[sp.Expr]: ...
@checked
def taylor(e: Expr, symbol: sp.Symbol, order: int) -> list[Any]:
    """Coefficients of ``symbol**0 ... symbol**order`` of the Taylor expansion at 0.

    Args:
        e: a scalar or vector expression.
        symbol: the expansion variable.
        order: the highest power, at least 0.

    Returns:
        order + 1 coefficients of the type of ``e``.

    Raises:
        OdescentError: a coefficient is singular at 0.
    """
    try:
        if isinstance(e, Vector):
            return _vector(e, symbol, order)
        found = _stream(scalar_of(e), symbol)
        if any(not is_zero(found[k]) for k in range(found.start, 0)):
            raise SingularError
        return [found[k] for k in range(order + 1)]
    except (SingularError, ZeroDivisionError):
        raise OdescentError(f"{e} has no Taylor expansion at {symbol} = 0.") from None


def power_sum(terms: Sequence[Any], symbol: sp.Symbol) -> Any:
    """The sum of terms times the powers of a symbol: what has them as its Taylor coefficients."""
    return sum((c * symbol**j for j, c in enumerate(terms)), 0 * terms[0])


def truncated(e: Expr, symbol: sp.Symbol, order: int) -> Any:
    """An expression through this power of a symbol."""
    return power_sum(taylor(e, symbol, order), symbol)


def limit_at(e: Expr, values: Mapping[sp.Symbol, sp.Expr]) -> Expr:
    """An expression at values of its symbols; where it is singular, its limit in the one symbol that makes it so.

    Args:
        e: a scalar or vector expression.
        values: by symbol.

    Returns:
        the limit; what is put in, singular, where there is none or several symbols have different ones.
    """
    plain = substitute(e, values)
    if not singular(plain):
        return plain
    found: list[Expr] = []
    for s, v in values.items():
        others = substitute(e, {t: w for t, w in values.items() if t != s})
        if not singular(others):
            with suppress(OdescentError):
                found.append(tidy(taylor(substitute(others, {s: s + v}), s, 0)[0]))
    agreed = found and all(vanishes(other - found[0]) for other in found[1:])
    return found[0] if agreed else plain


def orders_lost(e: Expr, symbol: sp.Symbol, known: Mapping[Any, Expr]) -> int:
    """An upper bound on the orders that quotients in ``e`` lose when it is evaluated on truncated series.

    Division by symbol**n loses n orders; division by a truncated series that vanishes as symbol**n loses 2 n.

    Args:
        e: a scalar or vector expression.
        symbol: the expansion variable.
        known: the truncated series of the symbols of ``e``.

    Returns:
        the number of orders, 0 where ``e`` has no expansion.
    """
    if isinstance(e, Vector):
        return max(
            (
                orders_lost(c, symbol, known)
                + max((orders_lost(part, symbol, known) for part in a.parts()), default=0)
                for a, c in e.terms.items()
            ),
            default=0,
        )
    if not any(p.exp.could_extract_minus_sign() for p in e.atoms(sp.Pow)):
        return 0
    inexact = bool(scalar_symbols(e) & set(known))
    try:
        found = _stream(substitute(e, known), symbol)
        if inexact:
            return -2 * min(found.start, 0)
        return max((-k for k in range(found.start, 0) if not is_zero(found[k])), default=0)
    except (SingularError, ZeroDivisionError, OdescentError):
        return 0  # no expansion, which the caller finds when it expands


def _stream(e: sp.Expr, symbol: sp.Symbol) -> Stream:
    known: dict[Vector, list[Vector]] = {}

    def vectors(v: Vector, order: int) -> list[Vector]:
        if len(known.get(v, ())) <= order:
            known[v] = _vector(v, symbol, order)
        return known[v]

    return stream(e, symbol, vectors)


def _vector(e: Vector, symbol: sp.Symbol, order: int) -> list[Vector]:
    scalars = {atom: _stream(coefficient, symbol) for atom, coefficient in e.terms.items()}
    low = min((s.start for s in scalars.values()), default=0)
    total = dict.fromkeys(range(min(low, 0), order + 1), zero)
    for atom, factor in scalars.items():
        vectors = _atom(atom, symbol, order - factor.start)
        for i in range(factor.start, order + 1):
            if factor[i] != 0:
                for j in range(order + 1 - i):
                    total[i + j] = total[i + j] + vectors[j] * factor[i]
    found = {k: tidy(v) for k, v in total.items()}
    if any(found[k] for k in found if k < 0) or any(singular(v) for v in found.values()):
        raise SingularError
    return [found[k] for k in range(order + 1)]


def _by_derivatives(e: Vector, symbol: sp.Symbol, order: int) -> list[Vector]:
    """The definition: repeated derivatives at 0, for element-wise functions."""
    coefficients, current = [], tidy(e)
    for k in range(order + 1):
        at_zero = tidy(substitute(current, {symbol: sp.S.Zero}))
        if singular(at_zero):
            raise SingularError
        coefficients.append(at_zero * sp.Rational(1, factorial(k)))
        if k < order:
            current = tidy(derivative(current, {symbol: sp.S.One}))
    return coefficients


def _atom(atom: Atom, symbol: sp.Symbol, order: int) -> list[Vector]:
    if symbol not in atom.free_symbols:
        return [atom] + [zero] * order
    if isinstance(atom, Argument):
        return [in_slot(atom.slot, v) for v in _vector(atom.value, symbol, order)]
    if isinstance(atom, Product):
        left, right = (_vector(side, symbol, order) for side in (atom.left, atom.right))
        return [
            sum((_product(atom.kind, left[i], right[n - i]) for i in range(n + 1)), zero)
            for n in range(order + 1)
        ]
    if isinstance(atom, Inverse):
        return _inverse(_vector(atom.argument, symbol, order))
    if isinstance(atom, Call) and not any(symbol in p.free_symbols for p in atom.parameters):
        return _call(atom, symbol, order)
    if (own := getattr(atom, "own_series", None)) is not None:  # an implicit function
        terms: list[Vector] = own(symbol, order)
        return terms
    return _by_derivatives(atom, symbol, order)


def _inverse(operator: list[Vector]) -> list[Vector]:
    """The series of an inverse: M X = 1 order by order."""
    if not operator:
        return []
    if not operator[0]:
        raise SingularError
    found = [inverse(operator[0])]
    for n in range(1, len(operator)):
        moved = (apply(operator[k], found[n - k]) for k in range(1, n + 1))
        found.append(-apply(found[0], sum(moved, zero)))
    return found


def _call(atom: Call, symbol: sp.Symbol, order: int) -> list[Vector]:
    point = _vector(atom.point, symbol, order)
    directions = [_vector(d, symbol, order) for d in atom.directions]
    total = [zero] * (order + 1)
    for orders in _compositions(len(directions), order):
        fixed = [series[i] for series, i in zip(directions, orders, strict=True)]
        if not all(fixed):
            continue
        for n in range(order + 1 - sum(orders)):
            for parts in _partitions(n, n):
                if all(point[j] for j, _ in parts):
                    moved = [point[j] for j, times in parts for _ in range(times)]
                    weight = sp.Integer(1)
                    for _, times in parts:
                        weight = weight / factorial(times)
                    term = call(atom.oracle, point[0], [*fixed, *moved], atom.parameters) * weight
                    total[sum(orders) + n] = total[sum(orders) + n] + term
    return total


def _compositions(slots: int, order: int) -> Iterator[tuple[int, ...]]:
    """Nonnegative orders for each slot with a sum of at most ``order``."""
    if slots == 0:
        yield ()
        return
    for first in range(order + 1):
        for rest in _compositions(slots - 1, order - first):
            yield (first, *rest)


def _partitions(n: int, largest: int) -> Iterator[tuple[tuple[int, int], ...]]:
    """Partitions of n as (part, multiplicity) pairs, parts at most ``largest`` and decreasing."""
    if n == 0:
        yield ()
        return
    for part in range(min(n, largest), 0, -1):
        for times in range(1, n // part + 1):
            for rest in _partitions(n - part * times, part - 1):
                yield ((part, times), *rest)
