"""Sums of products of vectors as forms in fewer vectors, their differences, so that large products do not cancel.

Expressions hold products of atoms: |x - y|^2 is |x|^2 - 2 <x, y> + |y|^2, of which nothing is left in rounded
arithmetic where x and y are close, and element by element (x - y)^2 may fall below zero. A sum of products is a
quadratic form, which `forms` writes in fewer vectors. Linear maps are applied once to a sum of vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import lru_cache, partial
from typing import Any, TypeAlias

import sympy as sp

from ..algebra.calculus import rebuilt, tidy
from ..algebra.products import Product, Unary, apply, hadamard, outer
from ..algebra.vectors import (
    OPERATORS,
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
    zero,
)
from ..samples.contraction import ones
from .elimination import Named, Short, eliminated
from .forms import Gram, connected, form_of, is_known_zero, one_product

_Inner: TypeAlias = Callable[[Vector, Vector], Any]
# A key of what weighs an inner product, the pair of its vectors, and the product of others.
_Weighted: TypeAlias = tuple[Any, tuple[Atom, Atom], _Inner]


def in_differences(e: Expr, named: Named) -> Expr:
    """The expression with its sums of products in fewer vectors, where there are fewer.

    Sums inside of its vectors and scalar nodes stay as they are.

    Args:
        e: a vector, whose element-wise products are read, or a scalar, whose inner products are.
        named: gives a vector a name, for instance by an assignment, or a multiple of one.
    """
    if isinstance(e, Vector):
        return _vector(e, named)
    return _scalar(e, named)


def _vector(e: Vector, named: Named) -> Vector:
    parts: list[tuple[Vector, sp.Expr]] = []
    entries: Gram = {}
    outers: Gram = {}
    applied: dict[Atom, list[tuple[Atom, sp.Expr]]] = {}
    for a, c in e.terms.items():
        c = _scalar(c, named)
        if not isinstance(a, Product):
            parts.append((a, c))
        elif a.kind == "hadamard" and not a.operates:
            entries[a.left, a.right] = c
        elif a.kind == "outer" and not (a.left.operates or a.right.operates):
            outers[a.left, a.right] = c
        elif a.kind == "apply" and not a.operates and _is_block(a.left):
            applied.setdefault(a.left, []).append((a.right, c))
        else:
            parts.append((a, c))
    for matrix, terms in applied.items():
        single = len(terms) == 1
        inside = Vector.of(terms) if single else named(Vector.of(terms))
        parts += [*apply(matrix, inside).terms.items()]
    parts += [*_outer_terms(outers, named), *_terms(entries, named, hadamard)]
    return rebuilt(e, _by_factor(parts, named))


def _is_block(operator: Atom) -> bool:
    """Whether it is a matrix of the state, or the transpose of one."""
    inside = operator.argument if isinstance(operator, Unary) else operator
    return isinstance(inside, VectorSymbol) and inside.kind in OPERATORS


def _outer_terms(found: Gram, named: Named) -> list[tuple[Vector, sp.Expr]]:
    """Outer products of fewer vectors: symmetric sums as forms, others where they are one product."""
    terms: list[tuple[Vector, sp.Expr]] = []
    for atoms in connected(found):
        own = {pair: c for pair, c in found.items() if pair[0] in atoms}
        if all(is_known_zero(c - own.get((b, a), sp.S.Zero)) for (a, b), c in own.items()):
            pairs = [(a, b) for i, a in enumerate(atoms) for b in atoms[i:] if (a, b) in own]
            form = form_of(
                tuple(atoms), {(a, b): own[a, b] * (1 if a == b else 2) for a, b in pairs}
            )
            if form is not None:
                vectors = [named(v) for v in form[0]]
                for (i, j), c in form[1].items():
                    half = c / 2
                    terms += [
                        (outer(vectors[i], vectors[j]), half),
                        (outer(vectors[j], vectors[i]), half),
                    ]
                continue
        elif (sides := one_product(own)) is not None:
            terms.append((outer(*map(named, sides[:2])), sides[2]))
            continue
        terms += [(outer(a, b), c) for (a, b), c in own.items()]
    return terms


def joined(e: Expr, named: Named) -> Expr:
    """The expression with derivatives of a function along several directions as one along their sum.

    Args:
        e: a vector, or a scalar, whose inner products with such derivatives are read.
        named: as of `in_differences`, of the sum of the directions.
    """
    if not isinstance(e, Vector):
        return _scalar(e, named, _along)
    v = e
    along: dict[Any, list[tuple[Atom, Vector, sp.Expr]]] = {}
    for a, c in v.terms.items():
        if isinstance(a, Call) and len(a.directions) == 1:
            ((slot, value),) = by_slot(a.directions[0]).items()
            key = a.oracle, a.point, a.parameters, slot
            along.setdefault(key, []).append((a, value, c))
    for (oracle, point, parameters, slot), terms in along.items():
        if len(terms) > 1:
            total: Vector = sum((value * c for _, value, c in terms), zero)
            apart: Vector = sum((a * c for a, _, c in terms), zero)
            v = v - apart + call(oracle, point, (in_slot(slot, named(total)),), parameters)
    return v


def _plain(node: ScalarNode) -> _Weighted | None:
    """An inner product as one of two vectors, by a symmetric matrix of the state where there is one in it."""
    both: Any = node.arguments
    if any(v.operates or v == ones for v in both):
        return None
    for a, b in (both, both[::-1]):
        applied = isinstance(a, Product) and a.kind == "apply"
        if applied and isinstance(a.left, VectorSymbol) and a.left.kind == "symmetric":
            return a.left, (a.right, b), partial(_by_matrix, a.left)
    return None, both, inner


def _along(node: ScalarNode) -> _Weighted | None:
    """An inner product with the derivative of a gradient along a vector as one of two vectors."""
    both: Any = node.arguments
    for a, b in (both, both[::-1]):
        if isinstance(a, Call) and len(a.directions) == 1 and a.oracle.form.self_adjoint:
            ((slot, value),) = by_slot(a.directions[0]).items()
            if slot == a.oracle.slot and len(value.terms) == 1 and not b.calls():
                key = a.oracle, a.point, a.parameters, slot
                return key, (next(iter(value.terms)), b), partial(_by_call, key)
    return None


def _by_matrix(matrix: Vector, u: Vector, v: Vector) -> sp.Expr:
    return inner(apply(matrix, u), v)


def _by_call(key: Any, u: Vector, v: Vector) -> sp.Expr:
    oracle, point, parameters, slot = key
    return inner(call(oracle, point, (in_slot(slot, u),), parameters), v)


def _by_factor(parts: list[tuple[Vector, sp.Expr]], named: Named) -> list[tuple[Vector, sp.Expr]]:
    """Terms such as (1 + q) x - q y as x + q (x - y), for a scalar q of vectors, which may be large."""
    if any(a.operates for v, _ in parts for a in v.terms):
        return parts
    fixed: list[sp.Expr] = []
    groups: dict[sp.Expr, list[tuple[int, sp.Expr]]] = {}
    for i, (_, c) in enumerate(parts):
        c = _with_constant(c)
        fixed.append(_constant(c))
        ratio, factor = (c - fixed[-1]).as_coeff_Mul()
        sign, factor = _unsigned(factor)
        groups.setdefault(factor, []).append((i, sign * ratio))
    apart = {
        q: same
        for q, same in groups.items()
        if q.has(ScalarNode) and min(r for _, r in same) < 0 < max(r for _, r in same)
    }
    if not apart:
        return parts
    moved = {i for same in apart.values() for i, _ in same}
    kept = [(v, fixed[i] if i in moved else c) for i, (v, c) in enumerate(parts)]
    gaps = (
        (Vector.of((a, c * r) for i, r in same for a, c in parts[i][0].terms.items()), q)
        for q, same in apart.items()
    )
    return [*((v, c) for v, c in kept if c != 0), *((named(gap), q) for gap, q in gaps)]


def _constant(c: sp.Expr) -> sp.Expr:
    """The terms of a sum in which there are no vectors."""
    return sp.Add(*[t for t in sp.Add.make_args(c) if not t.has(ScalarNode)])


def _with_constant(c: sp.Expr) -> sp.Expr:
    """A product such as h (1 + q) as h + h q."""
    for f in sp.Mul.make_args(c):
        if f.is_Add and (constant := _constant(f)) != 0:
            return c / f * constant + c / f * (f - constant)
    return c


def _unsigned(e: sp.Expr) -> tuple[int, sp.Expr]:
    """A product as 1 or -1 times one in which no sum begins with a minus sign."""
    sign, factors = 1, []
    for f in sp.Mul.make_args(e):
        base, n = f.as_base_exp()
        if n.is_Integer and base.could_extract_minus_sign():
            base, sign = -base, sign * (-1) ** int(n)
        factors.append(base**n)
    return sign, sp.Mul(*factors)


def _scalar(
    e: sp.Expr,
    named: Named,
    weighted: Callable[[ScalarNode], _Weighted | None] = _plain,
) -> sp.Expr:
    if isinstance(e, ScalarNode) or not e.has(ScalarNode):
        return e
    if not e.is_Add:
        return e.func(*[_scalar(a, named, weighted) for a in e.args])
    found, products, rest = _inner_products(e, weighted)
    terms = [_scalar(a, named, weighted) for a in rest]
    for key, gram in found.items():
        gram = {pair: _scalar(c, named, weighted) for pair, c in gram.items()}
        terms += [c * node for node, c in _terms(gram, named, products[key], weighted is _along)]
    return sp.Add(*terms)


def _terms(
    found: Gram,
    named: Named,
    product: _Inner,
    costly: bool = False,
) -> list[tuple[Any, sp.Expr]]:
    """Products with their coefficients, of fewer vectors where there are fewer.

    If they are ``costly``, only where fewer of them are left.
    """
    terms: list[tuple[Any, sp.Expr]] = []
    for atoms in connected(found):
        own = {pair: c for pair, c in found.items() if pair[0] in atoms}
        form = form_of(tuple(atoms), own)
        if form is None or (costly and len(form[1]) >= len({a for a, _ in own})):
            terms += [(product(*pair), c) for pair, c in own.items()]
            continue
        vectors = [named(v) for v in form[0]]
        terms += [(product(vectors[i], vectors[j]), c) for (i, j), c in form[1].items()]
    return terms


def in_fewer(e: Expr, named: Named, old: Collection[Vector] = ()) -> Expr:
    """The expression with vectors as others plus differences, see `eliminated`, where that makes it shorter."""
    return eliminated(e, _short, named, old)


@lru_cache(maxsize=1 << 12)
def with_differences(e: Expr) -> Short:
    """The same for evaluation: the expression in symbols for its differences, and what these stand for."""
    made: dict[Vector, VectorSymbol] = {}
    fewer = in_fewer(e, partial(_symbol, made))
    return _in_symbols(fewer, made) if made else _short(e)


@lru_cache(maxsize=1 << 12)
def _short(e: Expr) -> Short:
    """The expression in symbols for its differences; all of its vectors stay."""
    return _in_symbols(e, {})


def _in_symbols(e: Expr, made: dict[Vector, VectorSymbol]) -> Short:
    """The same with symbols that are known already, to which its own are added."""
    named = partial(_symbol, made)
    short = in_differences(joined(e, named), named)
    return short, tuple((s, v) for v, s in made.items())


def _symbol(made: dict[Vector, VectorSymbol], v: Vector) -> Vector:
    """A symbol for a vector that is a difference of others, or a multiple of one."""
    if len(v.terms) < 2:
        return v
    number = v.terms[min(v.terms, key=lambda a: a.key)].as_coeff_Mul()[0]
    plain = tidy(v * (1 / number))
    name: Vector = made.setdefault(plain, VectorSymbol(f"({plain})")) * number
    return name


def _inner_products(
    e: sp.Expr, weighted: Callable[[ScalarNode], _Weighted | None]
) -> tuple[dict[Any, Gram], dict[Any, _Inner], list[sp.Expr]]:
    """The coefficients of inner products in a sum, by what weighs them and the pair of their vectors; its other terms.

    Coefficients may have other inner products in denominators, as in the square of v/|v|^2 - m.
    """
    found: dict[Any, Gram] = {}
    products: dict[Any, _Inner] = {}
    rest: list[sp.Expr] = []
    for term in e.args:
        nodes = [f for f in sp.Mul.make_args(term) if type(f) is ScalarNode]
        node = nodes[0] if len(nodes) == 1 and nodes[0].kind == "inner" else None
        known = None if node is None else weighted(node)
        if known is None:
            rest.append(term)
            continue
        key, (a, b), products[key] = known[0], known[1], known[2]
        gram = found.setdefault(key, {})
        pair = (b, a) if (b, a) in gram else (a, b)
        gram[pair] = gram.get(pair, sp.S.Zero) + term / node
    return found, products, rest
