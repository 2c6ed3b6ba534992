"""Exact linear algebra on small matrices of scalars, in one ring of polynomials for all their entries.

SymPy's own simplifies expressions at every step, which is slow; fractions that are cancelled at every step
are slow too. So denominators are cleared first, and C (z I - A)^-1 B is found without division
(Faddeev and Le Verrier).
"""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence

import sympy as sp
from sympy.polys.galoistools import gf_gcd
from sympy.polys.rings import PolyElement, PolyRing

from ...dynamics.algebra.exact import Fractions, canonical, is_zero
from ...dynamics.numbers.factors import in_factors

Rows = list[list[PolyElement]]
Powers = list[PolyElement]  # the coefficients of s**0, s**1, ...
System = tuple[sp.Matrix, sp.Matrix, sp.Matrix, sp.Matrix]  # A, B, C, D
_PRIME = 2**61 - 1  # a random point modulo this decides whether two polynomials can have a factor


def inverse(matrix: sp.Matrix) -> sp.Matrix | None:
    """The inverse with canonical entries; None for a singular matrix."""
    n = matrix.rows
    if n == 0:
        return matrix
    cleared = _Cleared((matrix, sp.eye(n), sp.eye(n)))
    numerators, characteristic = cleared.resolvent(range(n))
    if not characteristic[0]:
        return None
    # at s = 0 the resolvent of d M is -(d M)^-1
    found = [(-e * cleared.below[0], characteristic[0]) for row in numerators[0] for e in row]
    return sp.Matrix(n, n, cleared.expressions(found)).applyfunc(canonical)


def transfer(system: System, z: sp.Symbol) -> sp.Matrix:
    """C (z I - A)^-1 B + D, each entry one fraction without common factors."""
    n, (rows, cols) = system[0].rows, system[3].shape
    if n == 0 or cols == 0:
        return system[3]
    cleared = _Cleared(system, z)
    numerators, characteristic = cleared.resolvent(range(n))
    s = cleared.further[0] * cleared.below[0]  # (z I - A)^-1 = d (s I - d A)^-1 with s = d z
    under = _at(characteristic, s)
    scale, extra = cleared.below[0], cleared.below[1] * cleared.below[2]
    found = []
    for i in range(rows):
        for j in range(cols):
            over = _at([m[i][j] for m in numerators], s) * scale
            direct = cleared.rows[3][i][j]
            if direct:
                over = over * cleared.below[3] + direct * extra * under
                found.append((over, under * extra * cleared.below[3]))
            else:
                found.append((over, under * extra))
    return sp.Matrix(rows, cols, cleared.expressions(found))


def same_transfer(one: System, other: System) -> list[list[bool | None]]:
    """For each entry of two transfer matrices of one shape: whether they are equal (True is a proof).

    None where the zero test of the field is open (roots of roots, functions without known relations).
    """
    n = one[0].rows
    joint = (
        sp.diag(one[0], other[0]),
        sp.Matrix.vstack(one[1], other[1]),
        sp.Matrix.hstack(one[2], other[2]),
        sp.Matrix.vstack(one[3], other[3]),
    )
    cleared = _Cleared(joint)
    mine, below = cleared.resolvent(range(n))
    theirs, under = cleared.resolvent(range(n, joint[0].rows))
    no = False if cleared.field.decides else None
    rows, cols = one[3].shape

    def equal(i: int, j: int) -> bool:
        if cleared.rows[3][i][j] != cleared.rows[3][rows + i][j]:
            return False
        left, right = [m[i][j] for m in mine], [m[i][j] for m in theirs]
        if below != under:
            left, right = cleared.convolved(left, under), cleared.convolved(right, below)
        length = max(len(left), len(right))
        padded = [[*e, *[cleared.ring.zero] * (length - len(e))] for e in (left, right)]
        return not any(cleared.reduced(a - b) for a, b in zip(*padded, strict=True))

    return [[True if equal(i, j) else no for j in range(cols)] for i in range(rows)]


def _at(powers: Sequence[PolyElement], s: PolyElement) -> PolyElement:
    """The polynomial in s, by Horner's rule."""
    total = s.ring.zero
    for c in reversed(powers):
        total = total * s + c
    return total


class _Cleared:
    """Matrices as polynomials in shared generators, each over one denominator."""

    def __init__(self, matrices: Sequence[sp.Matrix], *further: sp.Symbol) -> None:
        self.field = Fractions([*further, *[e for m in matrices for e in m]])
        elements = iter(self.field.elements)
        self._rational: PolyRing = self.field.elements[0].numer.ring
        # integers are faster than fractions; relations may bring fractions back
        exact = bool(self.field.relations)
        self.ring: PolyRing = self._rational if exact else self._rational.clone(domain=sp.ZZ)
        self.further = [self._moved(next(elements).numer) for _ in further]
        self.rows: list[Rows] = []
        self.below: list[PolyElement] = []
        for m in matrices:
            found = [next(elements) for _ in range(m.rows * m.cols)]
            pairs = [(self._moved(e.numer), self._moved(e.denom)) for e in found]
            below = functools.reduce(lambda d, e: d.lcm(e), {d for _, d in pairs}, self.ring.one)
            over = [a * below.exquo(d) for a, d in pairs]
            self.rows.append([over[i * m.cols : (i + 1) * m.cols] for i in range(m.rows)])
            self.below.append(below)

    def _moved(self, p: PolyElement) -> PolyElement:
        return p.set_ring(self.ring)

    def reduced(self, p: PolyElement) -> PolyElement:
        return self.field.reduced(p)

    def product(self, one: Rows, other: Rows) -> Rows:
        columns = list(zip(*other, strict=True))
        zero = self.ring.zero
        return [
            [
                self.reduced(sum((a * b for a, b in zip(row, c, strict=True) if a and b), zero))
                for c in columns
            ]
            for row in one
        ]

    def convolved(self, one: Powers, other: Powers) -> Powers:
        total = [self.ring.zero] * (len(one) + len(other) - 1)
        for i, a in enumerate(one):
            for j, b in enumerate(other):
                total[i + j] = total[i + j] + a * b
        return [self.reduced(p) for p in total]

    def resolvent(self, part: range) -> tuple[list[Rows], Powers]:
        """C adj(s I - A) B and det(s I - A), by powers of s, on that part of the states."""
        a = [[self.rows[0][i][j] for j in part] for i in part]
        b = [self.rows[1][i] for i in part]
        c = [[row[i] for i in part] for row in self.rows[2]]
        n = len(part)
        factor = [[self.ring.one if i == j else self.ring.zero for j in range(n)] for i in range(n)]
        numerators, characteristic = [], [self.ring.one]
        for k in range(1, n + 1):
            numerators.append(self.product(self.product(c, factor), b))
            moved = self.product(a, factor)
            trace = sum((moved[i][i] for i in range(n)), self.ring.zero)
            last = self.reduced(-trace).quo_ground(k)  # exact, over the integers too
            characteristic.append(last)
            factor = [
                [e + last if i == j else e for j, e in enumerate(row)]
                for i, row in enumerate(moved)
            ]
        return numerators[::-1], characteristic[::-1]

    def expressions(self, fractions: list[tuple[PolyElement, PolyElement]]) -> list[sp.Expr]:
        """Fractions in ``further`` (z, if any) and the parameters as expressions, cancelled."""
        names = [self.field.meaning.get(g, g) for g in self.ring.symbols]
        known: dict[PolyElement, sp.Expr] = {}

        def expression(p: PolyElement) -> sp.Expr:
            if p not in known:
                known[p] = p.as_expr(*names)
            return known[p]

        found = []
        for over, under in fractions:
            over, under = self._cancelled(self.reduced(over), under)
            found.append(expression(over) / expression(under))
        return found

    def _cancelled(self, over: PolyElement, under: PolyElement) -> tuple[PolyElement, PolyElement]:
        if not over:
            return over, self.ring.one
        if self.further and self._coprime(over, under):
            common = self.ring.domain.gcd(over.content(), under.content())
            return over.quo_ground(common), under.quo_ground(common)
        over, under = over.cancel(under)
        return over, under

    def _coprime(self, over: PolyElement, under: PolyElement) -> bool:
        """Whether the two are coprime; False is inconclusive.

        At a random point modulo a prime the images in z have no common factor, and ``under`` has a number
        for its leading coefficient, so that every factor of it has z.
        """
        at = self.ring.gens.index(self.further[0])
        generator = random.Random(0)
        values = [generator.randrange(1, _PRIME) for _ in self.ring.gens]
        top = under.degree(self.further[0])
        if any(m[at] == top and any(e for i, e in enumerate(m) if i != at) for m in under.monoms()):
            return False
        images = []
        for p in (over, under):
            image = [0] * (p.degree(self.further[0]) + 1)
            for monomial, c in p.terms():
                c = sp.QQ(c)
                term = int(c.numerator) * pow(int(c.denominator), -1, _PRIME)
                for i, e in enumerate(monomial):
                    if e and i != at:
                        term = term * pow(values[i], e, _PRIME) % _PRIME
                image[-1 - monomial[at]] = (image[-1 - monomial[at]] + term) % _PRIME
            while image and image[0] == 0:
                image.pop(0)
            images.append(image)
        return len(gf_gcd(*images, _PRIME, sp.ZZ)) == 1 and len(images[1]) == top + 1


__all__ = ["System", "inverse", "same_transfer", "transfer"]


def cholesky_columns(covariance: sp.Matrix, order: Sequence[int]) -> list[dict[int, sp.Expr]]:
    """Columns of Cholesky's factor with the rows in that order, by row; one for each rank of the covariance."""
    left = covariance.copy()
    columns: list[dict[int, sp.Expr]] = []
    for k, i in enumerate(order):
        pivot = canonical(left[i, i])
        if is_zero(pivot):
            continue
        root = sp.sqrt(_compact(pivot))
        below = {j: canonical(left[j, i]) for j in order[k + 1 :]}
        columns.append({i: root, **{j: _compact(c) / root for j, c in below.items() if c != 0}})
        for a in below:
            for b in below:
                left[a, b] = canonical(left[a, b] - below[a] * below[b] / pivot)
    return columns


def _compact(e: sp.Expr) -> sp.Expr:
    """The shorter of two products, so that a square root keeps positive factors apart."""
    return min(sp.factor_terms(sp.expand(e)), in_factors(e), key=sp.count_ops)
