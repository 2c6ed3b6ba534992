"""Quadratic forms in vectors, written in fewer vectors or in differences.

A sum of products of atoms is a form with a matrix A. Where its rank is lower than its size, A = B^T C B with the rows
of B independent and C a part of A: it is the form C in the vectors B. Ranks are found at some values of the
coefficients and proved for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import sympy as sp

from ..algebra.exact import canonical, is_zero, sample
from ..algebra.vectors import Atom, ScalarNode, Vector

_MOST = 8  # vectors of a form
_MOST_IN_PARAMETERS = 4  # in which it is written, where its coefficients are no numbers
Gram: TypeAlias = dict[tuple[Atom, Atom], sp.Expr]  # coefficients of products
Products: TypeAlias = dict[tuple[int, int], sp.Expr]  # the same, of the vectors of a list
_Numbers: TypeAlias = dict[tuple[Atom, Atom], Any]


def is_known_zero(e: sp.Expr) -> bool:
    """Whether a coefficient is proved to be zero; False where that is undecided."""
    try:
        return is_zero(e)
    except ArithmeticError:
        return False


def connected(found: Gram) -> list[list[Atom]]:
    """The vectors of a sum, in groups without products between them."""
    groups: list[list[Atom]] = []
    for pair in found:
        touched = [g for g in groups if any(a in g for a in pair)]
        merged = list(dict.fromkeys([a for g in touched for a in g] + [*pair]))
        groups = [g for g in groups if g not in touched] + [merged]
    return groups


def form_of(atoms: tuple[Atom, ...], gram: Gram) -> tuple[list[Vector], Products] | None:
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
    if len(_pivots(atoms, numbers)) < len(atoms):
        return _shorter(atoms, whole, numbers)
    if len(atoms) == 2 and _is_small(sum(numbers.values()), numbers.values()):
        return _factored(*atoms, whole)
    return None


def one_product(gram: Gram) -> tuple[Vector, Vector, sp.Expr] | None:
    """Two vectors with numbers in them, and a factor, if their outer product is the sum."""
    (first, last), scale = next(iter(gram.items()))
    left = {a: canonical(gram.get((a, last), sp.S.Zero) / scale) for a, _ in gram}
    right = {b: canonical(gram.get((first, b), sp.S.Zero) / scale) for _, b in gram}
    if not all(c.is_Rational for c in (*left.values(), *right.values())):
        return None
    if not all(
        is_known_zero(gram.get((a, b), sp.S.Zero) - scale * c * d)
        for a, c in left.items()
        for b, d in right.items()
    ):
        return None
    return Vector.of(left.items()), Vector.of(right.items()), scale


def _shorter(
    atoms: tuple[Atom, ...], gram: Gram, numbers: _Numbers
) -> tuple[list[Vector], Products] | None:
    """The form in fewer vectors, without denominators that it does not have."""
    known = sp.lcm_list([sp.fraction(canonical(c))[1] for c in gram.values()])
    tried: list[set[Atom]] = []
    for k in range(len(atoms)):
        pivots = _pivots(atoms[k:] + atoms[:k], numbers)
        # there are none where coefficients with kinks are zero at the numbers
        if not pivots or {*pivots} in tried:
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
    atoms: tuple[Atom, ...], pivots: list[Atom], gram: Gram, sides: sp.Matrix, rows: sp.Matrix
) -> bool:
    """Whether the rows of the other atoms follow from those of the pivots, not at some values alone."""
    others = [(i, a) for i, a in enumerate(atoms) if a not in pivots]
    return all(
        is_known_zero((rows.col(i).T * sides.col(j))[0] - gram.get((a, b), sp.S.Zero))
        for i, a in others
        for j, b in others
        if i <= j
    )


def _factored(u: Atom, v: Atom, gram: Gram) -> tuple[list[Vector], Products] | None:
    """A form of two vectors that is zero where they are equal: their difference times another; None for others."""
    if not is_known_zero(sp.Add(*gram.values())):
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


def _numbers(gram: Gram) -> _Numbers:
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
