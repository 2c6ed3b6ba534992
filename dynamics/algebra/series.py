"""Series in a small scalar, by structure: Taylor series of vectors, and Laurent series of scalars.

An oracle at a moving point, F(p_0 + h p_1 + ...), is expanded by Faa di Bruno's formula over the
partitions of the order, so that nothing is differentiated that is then thrown away.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from math import factorial
from typing import Any, overload

import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ..._support.numbers import check_whole
from .calculus import component, derivative, scalar_of, singular, substitute, tidy, vanishes
from .exact import is_zero
from .operators import Inverse, inverse
from .oracles import NEAR_ZERO
from .products import Elementwise, Product, _elementwise, _product, apply, slots
from .streams import KINKS, SingularError, Stream, constant, vanishes_in_places, variable
from .vectors import (
    Argument,
    Atom,
    Call,
    Expr,
    ScalarNode,
    Vector,
    VectorSymbol,
    by_slot,
    call,
    in_slot,
    inner,
    scalar_symbols,
    zero,
)

_DEEPEST = 8  # how far the first term of a vector is looked for
VectorSeries = Callable[[Vector, int], list[Vector]]


def stream(
    e: sp.Expr,
    symbol: sp.Symbol,
    vectors: VectorSeries,
    moving: Mapping[sp.Symbol, Stream] | None = None,
) -> Stream:
    """The Laurent series of a scalar expression at ``symbol = 0``, with coefficients computed on demand.

    Where the expression has a kink there, as abs(h - h^2) has, it is the series for ``symbol > 0`` if the symbol is
    declared as positive, and there is none otherwise.

    Args:
        e: the expression.
        symbol: the expansion variable.
        vectors: expands the vectors inside inner products and objective values.
        moving: the series of other symbols.

    Returns:
        the stream of coefficients.
    """
    moving, after = moving or {symbol: variable()}, bool(symbol.is_positive)

    def fixed(part: sp.Expr) -> bool:
        return moving.keys().isdisjoint(scalar_symbols(part))

    def of(part: sp.Expr) -> Stream:
        return stream(part, symbol, vectors, moving)

    if fixed(e):
        return constant(e)
    if e in moving:
        return moving[e]

    if isinstance(e, sp.Add):
        parts = [of(a) for a in e.args]
        return Stream(min(p.start for p in parts), lambda k: sp.Add(*[p[k] for p in parts]))
    if isinstance(e, sp.Mul):
        still = sp.Mul(*filter(fixed, e.args))
        first, *others = itertools.filterfalse(fixed, e.args)
        total = of(first)
        for factor in others:
            total = total * of(factor)
        return total if still == 1 else Stream(total.start, lambda k: still * total[k])
    if isinstance(e, ScalarNode) and e.kind in {"inner", "value"}:
        return _inner(e, vectors) if e.kind == "inner" else _value(e, vectors)
    if isinstance(e, sp.exp):
        return of(e.exp).exp()
    if isinstance(e, sp.Pow):
        base, exponent = e.as_base_exp()
        if not fixed(exponent):
            return (of(exponent) * of(base).log()).exp()
        return of(base).power(exponent, after)
    if isinstance(e, sp.log):
        return of(e.args[0]).log()
    if isinstance(e, (sp.Max, sp.Min)):
        first, *others = map(of, e.args)
        for other in others:
            first = first.extreme(other, e.func, after)
        return first
    if isinstance(e, sp.sign):
        return constant(of(e.args[0]).side(after)[1])
    if isinstance(e, (sp.Abs, sp.ceiling)):
        inside = of(e.args[0])
        return inside.magnitude(after) if isinstance(e, sp.Abs) else inside.rounded_up(after)
    arguments = list(itertools.filterfalse(fixed, e.args))
    if isinstance(e, sp.Function) and len(arguments) == 1:
        (argument,) = arguments
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
        OdescentError: a coefficient is singular at 0, or an order that is no whole number.
    """
    order = check_whole("order", order, 0)
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
    if isinstance(atom, Elementwise):
        names: dict[Atom, sp.Symbol] = {}
        begin = [component(substitute(v, {symbol: sp.S.Zero}), names) for v in atom.arguments]
        if _meets_a_kink(atom.body, begin):
            return _by_components(atom, symbol, order, names)
    return _by_derivatives(atom, symbol, order)


def _meets_a_kink(body: sp.Expr, begin: Sequence[sp.Expr]) -> bool:
    """Whether an element-wise function may have no derivative where its arguments begin, because of how they do."""
    if any(e == 0 for e in begin):
        return True
    kinks = body.atoms(*KINKS)
    pairs = (itertools.combinations(k.args, 2) for k in kinks if isinstance(k, (sp.Max, sp.Min)))
    turns = [a - b for two in pairs for a, b in two]
    turns += [k.args[0] for k in kinks if not isinstance(k, (sp.Max, sp.Min))]
    there = dict(zip(slots(len(begin)), begin, strict=True))
    moved = [e.xreplace(there) for e in turns]
    return any(e.is_Integer or vanishes_in_places(e) or is_zero(e) for e in moved)


def _by_components(
    atom: Elementwise, symbol: sp.Symbol, order: int, names: dict[Atom, sp.Symbol]
) -> list[Vector]:
    """The series of a component, as a scalar in those of what the arguments' series are made of."""
    known: dict[int, list[Vector]] = {}

    def coefficient(i: int, k: int) -> sp.Expr:
        if len(known.get(i, ())) <= k:
            known[i] = _vector(atom.arguments[i], symbol, max(k, order))
        return component(known[i][k], names)

    places = slots(len(atom.arguments))
    moving = {s: Stream(0, functools.partial(coefficient, i)) for i, s in enumerate(places)}
    moving[symbol] = variable()
    found = stream(atom.body, symbol, lambda v, k: _vector(v, symbol, k), moving)
    if any(not is_zero(found[k]) for k in range(found.start, 0)):
        raise SingularError
    shape = min((s for s in atom.free_symbols if isinstance(s, VectorSymbol)), key=str)
    return [_vector_of(found[k], names, shape) for k in range(order + 1)]


def _vector_of(e: sp.Expr, names: Mapping[Atom, sp.Symbol], shape: VectorSymbol) -> Vector:
    """The vector with this component, of the shape of another one."""
    used = {a: s for a, s in names.items() if s in e.free_symbols}
    body = e.xreplace(dict(zip(used.values(), slots(len(used)), strict=True)))
    return _elementwise(body, tuple(used) or (shape,))


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
    if atom.oracle.form.registered and not point[0]:
        smooth, degree = NEAR_ZERO.get(atom.oracle.of, (False, None))
        if not smooth:
            return _homogeneous(atom, symbol, order, degree)
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


def _homogeneous(atom: Call, symbol: sp.Symbol, order: int, degree: int | None) -> list[Vector]:
    """The series of a named map at a point that begins at zero: m(h^n u) = h^(n degree) m(u) for positive h."""
    if degree is None or atom.directions or not symbol.is_positive:
        raise SingularError
    powers = range(1, _DEEPEST)
    low = next((n for n in powers if _vector(atom.point, symbol, n)[n]), None)
    if low is None:
        raise SingularError
    moved = call(atom.oracle, tidy(atom.point * symbol**-low), (), atom.parameters)
    begin = low * degree
    return ([zero] * begin + _vector(moved, symbol, max(order - begin, 0)))[: order + 1]


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
