"""Elimination of vectors by their differences, where an expression then holds fewer products.

A secant step of memory one is trilinear, <g, s> p - <p, s> g with p = g - d: it is as small as d, but its terms are
not, and no form in fewer vectors shows it. In g and d it is <d, s> g - <g, s> d, which loses nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import chain, combinations, islice, product
from math import inf, isnan, nan
from typing import Any, TypeAlias

import sympy as sp

from ..algebra.calculus import substitute, tidy
from ..algebra.products import Product, Unary
from ..algebra.scalars import nodes_of
from ..algebra.vectors import Atom, Call, Expr, ScalarNode, Vector, VectorSymbol, zero

_TRIED = 8  # choices of the vectors that go, and further differences
Named: TypeAlias = Callable[[Vector], Vector]
# An expression in symbols for its differences, and what these stand for.
Short: TypeAlias = tuple[Expr, tuple[tuple[VectorSymbol, Vector], ...]]


def eliminated(
    e: Expr,
    short: Callable[[Expr], Short],
    named: Named,
    old: Collection[Vector] = (),
    below: float = inf,
) -> Expr:
    """The expression with vectors as others plus named differences, as long as that makes it shorter.

    Args:
        e: a vector or a scalar.
        short: writes an expression in symbols for its differences.
        named: gives a vector a name, for instance by an assignment, or a multiple of one.
        old: vectors that go first, such as those of the step before: new ones may be much smaller, so that as old
            ones plus differences they would lose digits.
        below: nothing changes in an expression of this size or a larger one, in symbols and operations.
    """
    seen, made = short(e)
    gaps: dict[VectorSymbol, Vector] = {}
    known = dict(made)
    for s, v in made:
        if _is_difference(v) and all(a in gaps or a not in known for a in v.terms):
            gaps[s] = v
    parts: dict[Any, Expr] = {s: v for s, v in made if s not in gaps} | {None: seen}
    size = least = _size_of(parts, gaps)
    if size >= below:
        return e
    best: tuple[dict[Any, Expr], dict[VectorSymbol, Vector]] | None = None
    # with the differences that are named already, and with one more
    for more in ({}, *_alike(parts.values())):
        for tried, by in islice(_without(e, parts, gaps | more, old), _TRIED):
            now = _size_of(tried, gaps | more)
            if now < least and not _is_needed(by, chain(*(short(v)[1] for v in tried.values()))):
                least, best = now, (tried, gaps | more)
        if best is not None:
            break
    if best is None:
        return e
    names: dict[Any, Vector] = {}
    for s, v in chain(best[1].items(), best[0].items()):
        last = substitute(v, names)
        if s is not None:
            names[s] = named(last)
    return eliminated(last, short, named, old, size)


def _alike(parts: Iterable[Expr]) -> Iterator[dict[VectorSymbol, Vector]]:
    """Differences of two vectors that both have inner products with a third: those with the most of them."""
    beside: dict[Vector, list[Vector]] = {}
    for n in dict.fromkeys(n for v in parts for n in _nodes(v) if _is_inner(n)):
        one, other = n.arguments
        beside.setdefault(one, []).append(other)
        if one != other:
            beside.setdefault(other, []).append(one)
    pairs = Counter(pair for alike in beside.values() for pair in combinations(alike, 2))
    for (one, other), _ in pairs.most_common(_TRIED):
        if _is_difference(gap := one - other):
            yield {VectorSymbol(f"({gap})"): gap}


def _is_needed(by: Mapping[Vector, Vector], made: Iterable[tuple[VectorSymbol, Vector]]) -> bool:
    """Whether some vector that went is made again, up to a factor."""
    gone = [*by.values()]
    return any(
        v.terms.keys() == w.terms.keys() and len({c / w.terms[a] for a, c in v.terms.items()}) == 1
        for _, v in made
        for w in gone
    )


def _without(
    e: Expr, parts: Mapping[Any, Expr], gaps: Mapping[VectorSymbol, Vector], old: Collection[Vector]
) -> Iterator[tuple[dict[Any, Expr], dict[Vector, Vector]]]:
    """The parts of an expression without one vector of each difference, and these vectors, choice after choice."""
    standing = {a for v in parts.values() for a in _leaves(v)}
    beside = [[a for a in gap.terms if a in standing] for gap in gaps.values()]
    if all(len(atoms) < 2 for atoms in beside):  # products of differences are all there is of them
        return
    leaves = [*_leaves(e)]
    functions = [f for f in leaves if not isinstance(f, VectorSymbol)]
    fixed = {s for f in functions for s in f.symbols()}  # what they are evaluated at stays as it is
    choices: list[list[Any]] = []
    for gap, atoms in zip(gaps.values(), beside, strict=True):
        free = [a for a in gap.terms if isinstance(a, VectorSymbol) and a not in fixed]
        # one that stands nowhere else, or an old one, or any
        alone, before = [a for a in free if a not in atoms], [a for a in free if a in old]
        choices.append(alone[:1] or before or free or [None])
    for chosen in product(*choices):
        by = _solved(chosen, gaps)
        new = [a for gap in gaps.values() for a in gap.terms if a not in by]
        yield _homogeneous(parts, by, new), by


def _is_difference(v: Vector) -> bool:
    """Whether it is zero where some vectors are equal: blocks, names and calls, with rational coefficients."""
    plain = (isinstance(a, (VectorSymbol, Call)) and not a.operates for a in v.terms)
    return all(plain) and all(c.is_Rational for c in v.terms.values()) and not sum(v.terms.values())


def _solved(atoms: Iterable[Any], gaps: Mapping[VectorSymbol, Vector]) -> dict[Vector, Vector]:
    """Each of these vectors, one of each difference, by the names of differences and by other vectors."""
    by: dict[Vector, Vector] = {}
    for a, (name, gap) in zip(atoms, gaps.items(), strict=True):
        rest = substitute(gap, by) - name
        if a in rest.terms:
            one = {a: a - rest * (1 / rest.terms[a])}
            by = {b: substitute(v, one) for b, v in by.items()} | one
    return by


def _homogeneous(
    parts: Mapping[Any, Expr], by: Mapping[Any, Expr], new: Iterable[Vector]
) -> dict[Any, Expr]:
    """The parts of an expression with others for some vectors, each of one degree in the new ones.

    As g - gap a vector is of degrees 1 and 0 in g, which may be much smaller than the gap. What is of degree 0 mostly
    cancels, but only if it stands apart.
    """
    put, found = dict(by), dict[Any, Expr]()
    degrees: dict[Vector, float] = dict.fromkeys(new, 1)
    nonzero = {*chain(*map(_divisors, parts.values()))}
    for s, v in parts.items():
        changed = _apart(tidy(substitute(v, put)))
        if s is None:
            return found | {None: changed}
        groups: dict[float, Vector] = {}
        for a, c in changed.terms.items():
            degree = _degree(a, degrees) + _degree(c, degrees)
            groups[degree] = groups.get(degree, zero) + a * c
        if any(map(isnan, groups)):
            groups = {nan: changed}
        put[s] = zero
        for degree, group in groups.items():
            if len(group.terms) < 2:
                put[s] += group
                continue
            name = s if len(groups) == 1 else VectorSymbol(f"{s.name} of degree {degree}")
            scale = _scale(group, nonzero)
            found[name] = _apart(tidy(group * (1 / scale)))
            degrees[name] = degree - _degree(scale, degrees)
            put[s] += name * scale
    return found


def _divisors(e: Expr) -> Iterator[sp.Expr]:
    """What the scalars in an expression are divided by, whatever is chosen in functions."""
    if isinstance(e, Vector):
        yield from chain(*map(_divisors, e.terms.values()))
    elif e.is_Pow and e.exp.is_Integer and e.exp < 0:
        yield e.base
    elif e.is_Add or e.is_Mul:
        yield from chain(*map(_divisors, e.args))


def _scale(v: Vector, nonzero: Collection[sp.Expr]) -> sp.Expr:
    """Powers of these that are in a term of the vector, from the term with the most: what they are of may be tiny."""
    scale, most = sp.S.One, 0
    for c in v.terms.values():
        powers = {b: n for b, n in c.as_powers_dict().items() if b in nonzero and n > 0}
        if (size := sum(powers.values())) > most:
            scale, most = sp.Mul(*[b**n for b, n in powers.items()]), size
    return scale


def _apart(e: Any) -> Any:
    """A sum over one denominator as a sum of quotients: products of tiny numbers underflow."""
    if isinstance(e, Vector):
        return Vector.of((a, _apart(c)) for a, c in e.terms.items())
    over, under = sp.fraction(e)
    return e if under.is_Add else sp.Add(*[c / under for c in sp.Add.make_args(over)])


def _degree(e: Any, degrees: Mapping[Vector, float]) -> float:
    """The degree of an expression in vectors of which it is known, 0 in others; NaN if its terms have several."""
    if _is_inner(e) or isinstance(e, (Product, Unary)):
        return sum(_degree(v, degrees) for v in e.arguments)
    if isinstance(e, Atom):
        return degrees.get(e, 0)
    if isinstance(e, Vector):
        found = {_degree(a, degrees) + _degree(c, degrees) for a, c in e.terms.items()}
    elif e.is_Mul:
        return sum(_degree(c, degrees) for c in e.args)
    elif e.is_Pow and e.exp.is_Integer:
        return int(e.exp) * _degree(e.base, degrees)
    else:
        found = {_degree(c, degrees) for c in e.args} | (set() if e.is_Add else {0.0})
    return found.pop() if len(found) == 1 else nan


def _leaves(e: Expr) -> Iterator[Any]:
    """What an expression is linear in, product by product: symbols, and functions as they are evaluated."""
    for node in _nodes(e):
        if _is_inner(node):
            yield from chain(*map(_leaves, node.arguments))
        else:
            yield node
    for a in e.terms if isinstance(e, Vector) else ():
        if isinstance(a, (Product, Unary)):
            yield from chain(*map(_leaves, a.arguments))
        else:
            yield a


def _nodes(e: Expr) -> Iterator[ScalarNode]:
    """The scalars of vectors in the coefficients of an expression."""
    for c in e.terms.values() if isinstance(e, Vector) else (e,):
        yield from nodes_of(c, ScalarNode)


def _is_inner(e: object) -> bool:
    return type(e) is ScalarNode and e.kind == "inner"


def _size_of(parts: Mapping[Any, Expr], gaps: Mapping[VectorSymbol, Vector]) -> int:
    return sum(map(_size, chain(parts.values(), gaps.values())))


def _size(e: Expr) -> int:
    """How many symbols, numbers and operations there are in an expression."""
    if isinstance(e, Vector):
        return sum(_size(c) + _parts(a) for a, c in e.terms.items())
    return sum(_parts(n) if isinstance(n, ScalarNode) else 1 for n in sp.preorder_traversal(e))


def _parts(made: Any) -> int:
    """The size of an atom, or of a scalar of vectors, by its parts."""
    parts = made.arguments if isinstance(made, ScalarNode) else made.parts()
    return 1 + sum(map(_size, parts))
