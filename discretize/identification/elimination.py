"""Real solutions of polynomial equations excluded by elimination: S-polynomials until one has no admissible zero.

Coefficients are fractions or intervals that hold them. What may be zero is never divided by: an equation whose leading
coefficient may be zero is left out, which excludes less.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb
from typing import TypeAlias

import sympy as sp
from sympy.polys.orderings import grevlex
from sympy.polys.rings import PolyElement

from ..._support.work import work
from ..equality.numbers import NoNumber, Number, interval, precise, sign_of

Monomial: TypeAlias = "tuple[int, ...]"
Terms: TypeAlias = "dict[Monomial, Number]"
_TERMS, _LONGEST, _BITS = 60, 100, 30_000  # of equations, and of what they combine to
_PRODUCT = 1  # the work of a product of a number and a term
_HALVINGS = 8  # of an interval in which a polynomial is to have no root
FEW, PAIRS = 8, 60  # combinations that are tried
ORDER = functools.lru_cache(1 << 16)(
    grevlex
)  # of monomials; their keys are asked for again and again


def no_solution(
    equations: Iterable[PolyElement],
    positive: frozenset[sp.Symbol],
    below: frozenset[sp.Symbol],
    most: int = PAIRS,
    numbers: Mapping[sp.Symbol, Number] | None = None,
) -> bool:
    """Whether no real values of the unknowns solve the equations; False is inconclusive.

    Args:
        equations: polynomials of one ring, which are to be zero.
        positive: the generators that are positive.
        below: those that are less than one, too.
        most: how many combinations of two are tried.
        numbers: what generators that are no unknowns are, as fractions or intervals.
    """
    with precise():
        plain = [_plain(p, positive, below) for p in _turned(list(equations), below) if p]
        known = numbers or {}
        ring = plain[0].ring if plain else None
        names = [s for s in ring.symbols if s not in known] if ring else []
        left = [_with_numbers(p, known) for p in dict.fromkeys(plain)]
        search = _Search(names, positive, below)
        return search.excludes(_halved(left, [s in positive for s in names]), most)


@dataclass(frozen=True)
class _Monic:
    """A polynomial with the leading coefficient 1, which is not among its terms."""

    lead: Monomial
    terms: Terms


class _Search:
    """Combinations of equations in some unknowns, until one of them has no admissible zero."""

    def __init__(
        self,
        names: Sequence[sp.Symbol],
        positive: frozenset[sp.Symbol],
        below: frozenset[sp.Symbol],
    ) -> None:
        self.positive = [s in positive for s in names]
        self.below = [s in below for s in names]

    def excludes(self, equations: Iterable[Terms], most: int) -> bool:
        """Whether so many combinations of two show that the equations have no admissible solution."""
        queue = sorted(equations, key=lambda p: (max(map(sum, p)), len(p)))
        if any(map(self.never_zero, queue)):
            return True
        queue = [p for p in queue if len(p) <= _TERMS]
        basis: list[_Monic] = []
        pairs: list[
            tuple[int, int, _Monic, _Monic]
        ] = []  # by degree of the least multiple, and by age
        tried, made = 0.0, 0
        while (queue or pairs) and tried < most:
            if queue:
                p, tried = queue.pop(0), tried + 0.1
            else:
                _, _, one, other = heapq.heappop(pairs)
                if one not in basis or other not in basis:
                    continue
                p, tried = _cancelling(one, other), tried + 1
            p = self.without_factors(_remainder(p, basis))
            if not p:
                continue
            if self.never_zero(p):
                return True
            if len(p) > _LONGEST or max(map(_bits, p.values())) > _BITS:
                return False
            new = _monic(p)
            if new is None:
                continue
            reducible = [q for q in basis if any(_divides(new.lead, m) for m in (q.lead, *q.terms))]
            basis = [q for q in basis if q not in reducible]
            queue += [{q.lead: Fraction(1), **q.terms} for q in reducible]
            for q in basis:
                lcm = sum(map(max, new.lead, q.lead))
                if lcm < sum(new.lead) + sum(q.lead):  # not coprime
                    heapq.heappush(pairs, (lcm, made := made + 1, q, new))
            basis.append(new)
        return False

    def without_factors(self, p: Terms) -> Terms:
        """Without powers of unknowns that are positive, and factors 1 - s of those below one where they are exact."""
        if not p:
            return p
        least = [min(m[i] for m in p) if held else 0 for i, held in enumerate(self.positive)]
        if any(least):
            p = {tuple(map(operator.sub, m, least)): c for m, c in p.items()}
        for i, held in enumerate(self.below):
            while held and (shorter := _without_one(p, i)) is not None:
                p = shorter
        return p

    def never_zero(self, p: Terms) -> bool:
        """Whether a polynomial has no zero: terms of one sign, or one unknown without a root where it lies."""
        inside = [i for i in range(len(self.positive)) if any(m[i] for m in p)]
        signs = {_sign(c) for c in p.values()}
        even = all(self.positive[i] or not m[i] % 2 for i in inside for m in p)
        if even and len(signs) == 1 and 0 not in signs:
            return all(self.positive[i] for i in inside) or any(not any(m) for m in p)
        if len(inside) != 1:
            return False
        (i,) = inside
        coefficients = [p.get(tuple(n * (j == i) for j in range(len(self.positive))), Fraction(0))
                        for n in range(max(m[i] for m in p) + 1)]  # fmt: skip
        return _no_root(coefficients, self.positive[i], self.below[i])


def _turned(equations: list[PolyElement], below: frozenset[sp.Symbol]) -> list[PolyElement]:
    """The equations in 1 - s, for unknowns s below one in which they have fewer terms: homogeneous ones stay so."""
    for s in below if equations else ():
        work(sum(len(p) * (p.degree(p.ring(s)) + 1) for p in equations if p))
        g = equations[0].ring(s)
        other = [p.compose(g, 1 - g) for p in equations]
        equations = min(equations, other, key=lambda listed: sum(map(len, listed)))
    return equations


def _with_numbers(p: PolyElement, numbers: Mapping[sp.Symbol, Number]) -> Terms:
    """The terms in the unknowns, with numbers for the other generators."""
    places = [i for i, s in enumerate(p.ring.symbols) if s not in numbers]
    powers = _powers([(i, numbers[s]) for i, s in enumerate(p.ring.symbols) if s in numbers])
    found: Terms = {}
    for m, c in p.items():
        value = powers(m, Fraction(int(c.numerator), int(c.denominator)))
        name = tuple(m[i] for i in places)
        found[name] = plus(found[name], value) if name in found else value
    return {m: c for m, c in found.items() if c != 0}


def _powers(numbers: Sequence[tuple[int, Number]]) -> Callable[[Monomial, Number], Number]:
    """Multiplies a coefficient by the powers of numbers that a monomial has."""
    made = functools.cache(lambda i, n: value[i] if n == 1 else times(made(i, n - 1), value[i]))
    value = dict(numbers)

    @functools.cache
    def together(exponents: tuple[int, ...]) -> Number:
        """The product of the powers, which many terms share."""
        parts = [made(i, n) for i, n in zip(value, exponents, strict=True) if n]
        return functools.reduce(times, parts, Fraction(1))

    def multiplied(m: Monomial, c: Number) -> Number:
        return times(c, together(tuple(m[i] for i in value)))

    return multiplied


def _halved(equations: Iterable[Terms], positive: Sequence[bool]) -> list[Terms]:
    """The equations in the squares of positive unknowns that occur in even powers only."""
    left = [p for p in equations if p]
    shares = [
        2 if held and not any(m[i] % 2 for p in left for m in p) else 1
        for i, held in enumerate(positive)
    ]
    return [{tuple(map(operator.floordiv, m, shares)): c for m, c in p.items()} for p in left]


def _monic(p: Terms) -> _Monic | None:
    """The polynomial over its leading coefficient; None where that may be zero."""
    lead = max(p, key=ORDER)
    if not _sign(p[lead]):
        return None
    return _Monic(lead, {m: _over(c, p[lead]) for m, c in p.items() if m != lead})


def _remainder(p: Terms, basis: Sequence[_Monic]) -> Terms:
    """What division by the polynomials of the basis leaves; leading terms cancel exactly."""
    rest, left = {}, dict(p)
    while left:
        lead = max(left, key=ORDER)
        c = left.pop(lead)
        by = next((q for q in basis if _divides(q.lead, lead)), None)
        if by is None:
            rest[lead] = c
        else:
            _subtract(left, c, tuple(map(operator.sub, lead, by.lead)), by.terms)
    return rest


def _cancelling(p: _Monic, q: _Monic) -> Terms:
    """The combination of two monic polynomials in which their leading terms cancel."""
    lcm = tuple(map(max, p.lead, q.lead))
    found: Terms = {}
    for one, sign in ((p, -1), (q, 1)):
        _subtract(found, Fraction(sign), tuple(map(operator.sub, lcm, one.lead)), one.terms)
    return found


def _subtract(left: Terms, c: Number, shift: Monomial, terms: Terms) -> None:
    """Takes away a polynomial times a term, in place."""
    work(_PRODUCT * len(terms))
    for n, d in terms.items():
        m = tuple(map(operator.add, n, shift))
        value = plus(left.get(m, Fraction(0)), times(-c, d))
        if value == 0:
            left.pop(m, None)
        else:
            left[m] = value


def plus(one: Number, other: Number) -> Number:
    """The sum; of fractions a fraction, however long."""
    return one + other if _exact(one, other) else interval(one) + interval(other)


def times(one: Number, other: Number) -> Number:
    """The product."""
    return one * other if _exact(one, other) else interval(one) * interval(other)


def _over(one: Number, other: Number) -> Number:
    return one / other if _exact(one, other) else interval(one) / interval(other)


def _exact(*numbers: Number) -> bool:
    return all(isinstance(n, Fraction) for n in numbers)


def _divides(one: Monomial, other: Monomial) -> bool:
    return all(map(operator.le, one, other))


def _bits(c: Number) -> int:
    return c.denominator.bit_length() if isinstance(c, Fraction) else 0


def _sign(c: Number) -> int:
    """The sign; 0 where it is not certain."""
    try:
        return sign_of(c)
    except NoNumber:
        return 0


def _plain(
    p: PolyElement, positive: frozenset[sp.Symbol], below: frozenset[sp.Symbol]
) -> PolyElement:
    """Without factors s and 1 - s that cannot be zero."""
    least = [
        min(m[i] for m in p.monoms()) if s in positive else 0 for i, s in enumerate(p.ring.symbols)
    ]
    if any(least):
        terms = {tuple(map(operator.sub, m, least)): c for m, c in p.items()}
        p = p.ring.from_dict(terms)
    for s, g in zip(p.ring.symbols, p.ring.gens, strict=True):
        while s in below and p.degree(g) > 0 and not p.evaluate(g, 1):
            p = p.exquo(g - 1)
    return p.monic()


def _without_one(p: Terms, i: int) -> Terms | None:
    """A polynomial over s - 1; None where it is not certain to be a multiple."""
    by: dict[Monomial, dict[int, Number]] = {}
    for m, c in p.items():
        by.setdefault((*m[:i], 0, *m[i + 1 :]), {})[m[i]] = c
    found: Terms = {}
    for rest, coefficients in by.items():
        carried: Number = Fraction(0)
        for n in range(max(coefficients), 0, -1):
            carried = plus(carried, coefficients.get(n, Fraction(0)))
            if carried != 0:
                found[(*rest[:i], n - 1, *rest[i + 1 :])] = carried
        if plus(carried, coefficients.get(0, Fraction(0))) != 0:
            return None
    return found


def _no_root(coefficients: Sequence[Number], positive: bool, below: bool) -> bool:
    """Whether a polynomial, lowest power first, has no root among the reals, those that are positive or below one."""
    if all(isinstance(c, Fraction) for c in coefficients):
        exact = [sp.Rational(c.numerator, c.denominator) for c in reversed(coefficients)]
        single = sp.Poly(exact, sp.Symbol("s"))
        if not positive:
            return bool(single.count_roots() == 0)
        ends = [e for e in ((0, 1) if below else (0,)) if single.eval(e) == 0]  # no solutions
        return bool(single.sqf_part().count_roots(0, 1 if below else None) == len(ends))
    sides = [coefficients] if below else [coefficients, coefficients[::-1]]  # s and 1 / s
    if not positive:
        if not _sign(coefficients[0]):
            return False
        turned = [-c if n % 2 else c for n, c in enumerate(coefficients)]
        sides += [turned, turned[::-1]]
    return all(_one_sign(_bernstein(side), _HALVINGS) for side in sides)


def _bernstein(coefficients: Sequence[Number]) -> list[Number]:
    """Bernstein's coefficients on [0, 1]: the values there lie between the least and the greatest."""
    n = len(coefficients) - 1
    return [
        functools.reduce(
            plus, [times(Fraction(comb(j, i), comb(n, i)), coefficients[i]) for i in range(j + 1)]
        )
        for j in range(n + 1)
    ]


def _one_sign(values: Sequence[Number], halvings: int) -> bool:
    """Whether a polynomial with these Bernstein coefficients has no root, halving its interval so many times."""
    signs = {_sign(v) for v in values}
    if len(signs) == 1:
        return 0 not in signs
    if not halvings or not _sign(values[0]) or _sign(values[0]) != _sign(values[-1]):
        return False
    left, right, row = [values[0]], [values[-1]], list(values)
    while len(row) > 1:  # de Casteljau
        row = [times(Fraction(1, 2), plus(a, b)) for a, b in itertools.pairwise(row)]
        left.append(row[0])
        right.insert(0, row[-1])
    return _one_sign(left, halvings - 1) and _one_sign(right, halvings - 1)
