"""Sums of products of vectors as forms in fewer vectors, their differences, so that large products do not cancel.

Expressions hold products of atoms: |x - y|^2 is |x|^2 - 2 <x, y> + |y|^2, of which nothing is left in rounded
arithmetic where x and y are close, and element by element (x - y)^2 may fall below zero. A sum of products is a
quadratic form in its atoms. Where its matrix A has a lower rank than rows, A = B^T C B with the rows of B independent
and C a part of A: it is the form C in the vectors B.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeAlias

import sympy as sp

from ..algebra.calculus import tidy
from ..algebra.exact import canonical, is_zero, sample
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
    unchanged,
    zero,
)
from ..samples.contraction import ones

_MOST = 8  # vectors of a form
_MOST_IN_PARAMETERS = 4  # in which it is written, where its coefficients are no numbers
_Gram: TypeAlias = dict[tuple[Atom, Atom], sp.Expr]  # coefficients of products
_Numbers: TypeAlias = dict[tuple[Atom, Atom], Any]
_Products: TypeAlias = dict[tuple[int, int], sp.Expr]  # the same, of the vectors of a list


def in_differences(e: Expr, named: Callable[[Vector], Vector]) -> Expr:
    """The expression with its sums of products in fewer vectors, where there are fewer.

    Sums inside of its vectors and scalar nodes stay as they are.

    Args:
        e: a vector, whose element-wise products are read, or a scalar, whose inner products are.
        named: gives a vector a name, for instance by an assignment, or a multiple of one.
    """
    if isinstance(e, Vector):
        return _vector(e, named)
    return _scalar(e, named)


def _vector(e: Vector, named: Callable[[Vector], Vector]) -> Vector:
    parts: list[tuple[Vector, sp.Expr]] = []
    entries: _Gram = {}
    outers: _Gram = {}
    applied: dict[Atom, list[tuple[Atom, sp.Expr]]] = {}
    for a, c in e.terms.items():
        c = _scalar(c, named)
        kind = a.kind if isinstance(a, Product) else ""
        if kind == "hadamard" and not a.operates:
            entries[a.left, a.right] = c
        elif kind == "outer" and not (a.left.operates or a.right.operates):
            outers[a.left, a.right] = c
        elif kind == "apply" and not a.operates and _is_block(a.left):
            applied.setdefault(a.left, []).append((a.right, c))
        else:
            parts.append((a, c))
    for matrix, terms in applied.items():
        single = len(terms) == 1
        inside = Vector.of(terms) if single else named(Vector.of(terms))
        parts += [*apply(matrix, inside).terms.items()]
    parts += [*_outer_terms(outers, named), *_terms(entries, named, hadamard)]
    parts = _by_factor(parts, named)
    return (
        e
        if unchanged(e, parts)
        else Vector.of((a, c * k) for v, k in parts for a, c in v.terms.items())
    )


def _is_block(operator: Atom) -> bool:
    """Whether it is a matrix of the state, or the transpose of one."""
    inside = operator.argument if isinstance(operator, Unary) else operator
    return isinstance(inside, VectorSymbol) and inside.kind in OPERATORS


def _outer_terms(found: _Gram, named: Callable[[Vector], Vector]) -> list[tuple[Vector, sp.Expr]]:
    """Outer products of fewer vectors: symmetric sums as forms, others where they are one product."""
    terms: list[tuple[Vector, sp.Expr]] = []
    for atoms in _connected(found):
        own = {pair: c for pair, c in found.items() if pair[0] in atoms}
        if all(is_zero(c - own.get((b, a), sp.S.Zero)) for (a, b), c in own.items()):
            pairs = [(a, b) for i, a in enumerate(atoms) for b in atoms[i:] if (a, b) in own]
            form = _form(tuple(atoms), {(a, b): own[a, b] * (1 if a == b else 2) for a, b in pairs})
            if form is not None:
                vectors = [named(v) for v in form[0]]
                for (i, j), c in form[1].items():
                    half = c / 2
                    terms += [
                        (outer(vectors[i], vectors[j]), half),
                        (outer(vectors[j], vectors[i]), half),
                    ]
                continue
        elif (sides := _one_product(own)) is not None:
            terms.append((outer(*map(named, sides[:2])), sides[2]))
            continue
        terms += [(outer(a, b), c) for (a, b), c in own.items()]
    return terms


def _one_product(gram: _Gram) -> tuple[Vector, Vector, sp.Expr] | None:
    """Two vectors with numbers in them, and a factor, if their outer product is the sum."""
    (first, last), scale = next(iter(gram.items()))
    left = {a: canonical(gram.get((a, last), sp.S.Zero) / scale) for a, _ in gram}
    right = {b: canonical(gram.get((first, b), sp.S.Zero) / scale) for _, b in gram}
    if not all(c.is_Rational for c in (*left.values(), *right.values())):
        return None
    if not all(
        is_zero(gram.get((a, b), sp.S.Zero) - scale * c * d)
        for a, c in left.items()
        for b, d in right.items()
    ):
        return None
    return Vector.of(left.items()), Vector.of(right.items()), scale


def joined(e: Expr, named: Callable[[Vector], Vector]) -> Expr:
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


_Weighted: TypeAlias = tuple[Any, tuple[Atom, Atom], Callable[[Vector, Vector], Any]]


def _plain(node: ScalarNode) -> _Weighted | None:
    """An inner product as one of two vectors, by a symmetric matrix of the state where there is one in it."""
    for a, b in (node.arguments, node.arguments[::-1]):
        if isinstance(a, Product) and a.kind == "apply" and not (a.operates or b.operates):
            matrix = a.left
            if isinstance(matrix, VectorSymbol) and matrix.kind == "symmetric":
                return matrix, (a.right, b), lambda u, v, m=matrix: inner(apply(m, u), v)
    a, b = node.arguments
    plain = not any(v.operates or v == ones for v in (a, b))
    return (None, (a, b), inner) if plain else None


def _along(node: ScalarNode) -> _Weighted | None:
    """An inner product with the derivative of a gradient along a vector as one of two vectors."""
    for a, b in (node.arguments, node.arguments[::-1]):
        if isinstance(a, Call) and len(a.directions) == 1 and a.oracle.form.self_adjoint:
            ((slot, value),) = by_slot(a.directions[0]).items()
            key = a.oracle, a.point, a.parameters, slot
            if slot == a.oracle.slot and len(value.terms) == 1 and not b.calls():

                def product(u: Vector, v: Vector, key: Any = key) -> sp.Expr:
                    oracle, point, parameters, slot = key
                    return inner(call(oracle, point, (in_slot(slot, u),), parameters), v)

                return key, (next(iter(value.terms)), b), product
    return None


def _by_factor(
    parts: list[tuple[Vector, sp.Expr]], named: Callable[[Vector], Vector]
) -> list[tuple[Vector, sp.Expr]]:
    """Terms such as (1 + q) x - q y as x + q (x - y), for a scalar q of vectors, which may be large."""
    if any(a.operates for v, _ in parts for a in v.terms):
        return parts
    fixed: list[sp.Expr] = []
    groups: dict[sp.Expr, list[tuple[int, sp.Expr]]] = {}
    for i, (_, c) in enumerate(parts):
        fixed.append(sp.Add(*[t for t in sp.Add.make_args(c) if not t.has(ScalarNode)]))
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
    named: Callable[[Vector], Vector],
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
    found: _Gram,
    named: Callable[[Vector], Vector],
    product: Callable[[Vector, Vector], Any],
    costly: bool = False,
) -> list[tuple[Any, sp.Expr]]:
    """Products with their coefficients, of fewer vectors where there are fewer.

    If they are ``costly``, only where fewer of them are left.
    """
    terms: list[tuple[Any, sp.Expr]] = []
    for atoms in _connected(found):
        own = {pair: c for pair, c in found.items() if pair[0] in atoms}
        form = _form(tuple(atoms), own)
        more = form is not None and costly and len(form[1]) >= len({a for a, _ in own})
        if form is None or more:
            terms += [(product(*pair), c) for pair, c in own.items()]
            continue
        vectors = [named(v) for v in form[0]]
        terms += [(product(vectors[i], vectors[j]), c) for (i, j), c in form[1].items()]
    return terms


@lru_cache(maxsize=1 << 12)
def with_differences(e: Expr) -> tuple[Expr, tuple[tuple[VectorSymbol, Vector], ...]]:
    """The same for evaluation: the expression in symbols for its differences, and what these stand for."""
    made: dict[Vector, VectorSymbol] = {}

    def named(v: Vector) -> Vector:
        if len(v.terms) < 2:
            return v
        number = v.terms[min(v.terms, key=lambda a: a.key)].as_coeff_Mul()[0]
        plain = tidy(v * (1 / number))
        name: Vector = made.setdefault(plain, VectorSymbol(f"({plain})")) * number
        return name

    short = in_differences(joined(e, named), named)
    return short, tuple((s, v) for v, s in made.items())


def _inner_products(
    e: sp.Expr, weighted: Callable[[ScalarNode], _Weighted | None]
) -> tuple[dict[Any, _Gram], dict[Any, Callable[[Vector, Vector], Any]], list[sp.Expr]]:
    """The coefficients of inner products in a sum, by what weighs them and the pair of their vectors; its other terms.

    Coefficients may have other inner products in denominators, as in the square of v/|v|^2 - m.
    """
    found: dict[Any, _Gram] = {}
    products: dict[Any, Callable[[Vector, Vector], Any]] = {}
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


def _connected(found: _Gram) -> list[list[Atom]]:
    """The vectors of a sum, in groups without products between them."""
    groups: list[list[Atom]] = []
    for pair in found:
        touched = [g for g in groups if any(a in g for a in pair)]
        merged = list(dict.fromkeys([a for g in touched for a in g] + [*pair]))
        groups = [g for g in groups if g not in touched] + [merged]
    return groups


def _form(atoms: tuple[Atom, ...], gram: _Gram) -> tuple[list[Vector], _Products] | None:
    """A form of atoms in other vectors, fewer or their difference; None where there are none."""
    if not 2 <= len(atoms) <= _MOST:
        return None
    whole = {}
    for (a, b), c in gram.items():
        for pair in ((a, b), (b, a)):
            whole[pair] = c if a == b else c / 2
    numbers = _numbers(whole)
    if not all(c.is_finite for c in map(sp.sympify, numbers.values())):
        return None
    with suppress(ArithmeticError):  # undecided
        if len(_pivots(atoms, numbers)) < len(atoms):
            return _shorter(atoms, whole, numbers)
        if len(atoms) == 2 and _is_small(sum(numbers.values()), numbers.values()):
            return _factored(*atoms, whole)
    return None


def _shorter(
    atoms: tuple[Atom, ...], gram: _Gram, numbers: _Numbers
) -> tuple[list[Vector], _Products] | None:
    """The form in fewer vectors, without denominators that it does not have."""
    known = sp.lcm_list([sp.fraction(canonical(c))[1] for c in gram.values()])
    tried: list[set[Atom]] = []
    for k in range(len(atoms)):
        pivots = _pivots(atoms[k:] + atoms[:k], numbers)
        if {*pivots} in tried:
            continue
        tried.append({*pivots})
        core = sp.Matrix([[gram.get((a, b), sp.S.Zero) for b in pivots] for a in pivots])
        sides = sp.Matrix([[gram.get((a, b), sp.S.Zero) for b in atoms] for a in pivots])
        if len(pivots) > _MOST_IN_PARAMETERS and not all(c.is_Rational for c in core):
            return None
        # all atoms in the pivots: the rows of B, cleared of denominators that the sum does not have
        rows, determinant = core.adjugate() * sides, core.det()
        rows = rows.applyfunc(lambda x, by=determinant: canonical(x / by))
        scales = [
            sp.S.One
            if all(_divides(x, known) for x in rows.row(i))
            else sp.lcm_list([sp.fraction(x)[1] for x in rows.row(i)])
            for i in range(len(pivots))
        ]
        # what is left in front of the products of these vectors
        form = {
            (i, j): canonical(core[i, j] * (1 if i == j else 2) / (scales[i] * scales[j]))
            for i in range(len(pivots))
            for j in range(i, len(pivots))
            if core[i, j] != 0
        }
        fine = all(_divides(c, known**2) for c in form.values())
        if fine and _is_exact(atoms, pivots, gram, sides, rows):
            vectors = [
                Vector.of((a, canonical(rows[i, j] * scale)) for j, a in enumerate(atoms))
                for i, scale in enumerate(scales)
            ]
            return vectors, form
    return None


def _is_exact(
    atoms: tuple[Atom, ...], pivots: list[Atom], gram: _Gram, sides: sp.Matrix, rows: sp.Matrix
) -> bool:
    """Whether the rows of the other atoms follow from those of the pivots, not at some values alone."""
    others = [(i, a) for i, a in enumerate(atoms) if a not in pivots]
    return all(
        is_zero((rows.col(i).T * sides.col(j))[0] - gram.get((a, b), sp.S.Zero))
        for i, a in others
        for j, b in others
        if i <= j
    )


def _factored(u: Atom, v: Atom, gram: _Gram) -> tuple[list[Vector], _Products] | None:
    """A form of two vectors that is zero where they are equal: their difference times another; None for others."""
    if not is_zero(sp.Add(*gram.values())):
        return None
    first, last = gram.get((u, u), sp.S.Zero), gram.get((v, v), sp.S.Zero)
    if 0 in (first, last):
        return [u - v, v if first == 0 else u], {(0, 1): first - last}
    return [u - v, u * first - v * last], {(0, 1): sp.S.One}


def _divides(c: sp.Expr, denominator: sp.Expr) -> bool:
    """Whether what a coefficient is divided by is a number, or stands in the sum already."""
    return bool(sp.fraction(canonical(c * denominator))[1].is_number)


def _is_small(x: Any, beside: Iterable[Any]) -> bool:
    return bool(abs(x) <= sp.Rational(1, 10**25) * max(1, *map(abs, beside)))


def _numbers(gram: _Gram) -> _Numbers:
    """The matrix of a form at some values of all that its coefficients depend on."""
    inside = {s for c in gram.values() for s in c.free_symbols | c.atoms(ScalarNode)}
    values = sample(sorted(inside, key=str))
    found = {pair: c.xreplace(values) for pair, c in gram.items()}
    if all(c.is_Rational for c in found.values()):
        return {pair: Fraction(int(c.p), int(c.q)) for pair, c in found.items()}
    return {pair: sp.N(c, 50) for pair, c in found.items()}


def _pivots(atoms: Sequence[Atom], numbers: _Numbers) -> list[Atom]:
    """The first atoms whose rows span the others."""
    rows = [[numbers.get((a, b), 0) for b in atoms] for a in atoms]
    kept: list[Atom] = []
    done: list[tuple[int, list[Any]]] = []
    for a, row in zip(atoms, rows, strict=True):
        left = list(row)
        for place, other in done:
            left = [x - left[place] / other[place] * y for x, y in zip(left, other, strict=True)]
        sizes = [abs(x) for x in left]
        if not _is_small(max(sizes), row):
            done.append((sizes.index(max(sizes)), left))
            kept.append(a)
    return kept
