"""Weights of a method's answers in its later points, as fractions in its parameters and in what roots give."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import isqrt
from typing import Any, TypeAlias

import sympy as sp
from sympy.polys.domains import QQ
from sympy.polys.fields import FracElement, FracField
from sympy.polys.matrices import DomainMatrix
from sympy.polys.rings import PolyElement

from ..._support.work import kept, work
from ...dynamics.algebra.exact import Fractions
from ...dynamics.algebra.scalars import exponents
from ...dynamics.numbers.fractions import added, divided, multiplied, raised, whole
from ..equality.numbers import Number, real
from ..linear.time_varying_form import TimeVarying
from .elimination import ORDER

Key: TypeAlias = (
    "tuple[int, int, int, int]"  # a point's step and number, an answer's step and number
)
Rule: TypeAlias = "tuple[tuple[sp.Symbol, sp.Expr], ...]"
Scalars: TypeAlias = (
    "tuple[tuple[sp.Symbol, sp.Expr, sp.Expr], ...]"  # with the next value and the first
)


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights of answers in points, as fractions in unknowns; equal where they are the same object.

    Attributes:
        field: that of the fractions.
        found: the weights that are not identically zero.
        relations: polynomials that are zero.
        positive: the generators that are positive.
        below: those that are less than one, too.
        numbers: what generators that are powers of e to rational numbers are, as intervals.
        roots: the same of those that are roots of numbers.
        characteristic: coefficients of the characteristic polynomial, of a method that does not change.
        scaled: whether these are the weights only up to a positive factor, which is another unknown.
    """

    field: FracField
    found: Mapping[Key, FracElement]
    relations: tuple[PolyElement, ...]
    positive: frozenset[sp.Symbol]
    below: frozenset[sp.Symbol]
    numbers: Mapping[sp.Symbol, Number]
    roots: Mapping[sp.Symbol, Number]
    characteristic: tuple[FracElement, ...] = ()
    scaled: bool = False


def is_number(e: FracElement) -> bool:
    return bool(e.numer.is_ground and e.denom.is_ground)


def number_of(e: FracElement) -> Any:
    return e.numer.LC / e.denom.LC if e else QQ.zero


def weights(
    system: TimeVarying,
    rule: Mapping[sp.Symbol, sp.Expr],
    below: frozenset[sp.Symbol],
    steps: int,
    constant: bool,
    later: int = 0,
) -> Weights | None:
    """Weights of answers in the points of the first steps; None where they are no fractions.

    Args:
        system: the method.
        rule: what stands for its parameters.
        below: the unknowns in that which are less than one.
        steps: how many steps.
        constant: of a method that does not change only the weights of the first answers are read.
        later: the step with which the coefficients begin.
    """
    order = tuple(sorted(rule.items(), key=lambda p: str(p[0])))
    return _weights(*frozen(system), order, below, steps, constant, later)


def frozen(system: TimeVarying) -> tuple[tuple[sp.ImmutableMatrix, ...], Scalars]:
    """The matrices and the scalars of a method, by which what is found of it is kept."""
    scalars = tuple((s, e, system.begin[s]) for s, e in system.ahead.items())
    return tuple(sp.ImmutableMatrix(m) for m in system.system), scalars


@kept(1024)
def _weights(
    system: tuple[sp.ImmutableMatrix, ...],
    scalars: Scalars,
    rule: Rule,
    below: frozenset[sp.Symbol],
    steps: int,
    constant: bool,
    later: int,
) -> Weights | None:
    try:
        return _Recurrence(system, scalars, dict(rule), steps + later).weights(
            below, steps, constant, later
        )
    except (ArithmeticError, NotImplementedError):  # a denominator that vanishes, among others
        return None


class _Recurrence:
    """Matrices of a method step by step, as fractions in generators and in scalars that are given by roots."""

    def __init__(
        self,
        system: tuple[sp.ImmutableMatrix, ...],
        scalars: Scalars,
        rule: Mapping[sp.Symbol, sp.Expr],
        steps: int,
    ) -> None:
        entries = [e.xreplace(dict(rule)) for m in system for e in m]
        after = {s: e.xreplace(dict(rule)) for s, e, _ in scalars}
        self.used = _reached(after, {s for e in entries for s in e.free_symbols})
        parts = {s: _by_root(after[s], set(after)) for s in self.used}
        # a root in an entry is that of a next value
        self._roots = {sp.Dummy(): s for s in self.used if len(parts[s] or ()) > 1}
        for mark, s in self._roots.items():
            entries = [_without_root(e, parts[s][2], mark) for e in entries]  # type: ignore[index]
        read = {s for e in entries for s in e.free_symbols}
        self._roots = {mark: s for mark, s in self._roots.items() if mark in read}
        begin = [b.xreplace(dict(rule)) for s, _, b in scalars if s in self.used]
        everything = [*entries, *begin, *(e for s in self.used for e in parts[s] or ())]
        lowered = Fractions(everything)
        own = lowered.elements[0].numer.ring.symbols if everything else ()
        self.meaning = {g: lowered.meaning.get(g, sp.S.Zero) for g in own}
        held = [g for g, m in self.meaning.items() if m not in self.used and m not in self._roots]
        if any(self.meaning[g].free_symbols & set(after) for g in held):
            raise NotImplementedError("a root of a scalar")
        unknown = [
            [sp.Dummy(f"{s}_{k}") for k in range(1, steps + bool(self._roots))]
            for s in self.used if parts[s] is None or len(parts[s] or ()) > 1
        ]  # fmt: skip
        named = {g: sp.Dummy(str(self.meaning[g])) for g in held}
        late_first = [s for group in zip(*unknown, strict=True) for s in group][::-1]
        self.field = FracField([*late_first, *named.values()] or [sp.Dummy()], QQ, ORDER)
        gens = dict(zip(self.field.symbols, self.field.gens, strict=True))
        self.named = {named[g]: self.meaning[g] for g in held}
        places = {s: i for i, s in enumerate(self.field.symbols)}
        self._held = {g: places[n] for g, n in named.items()}
        elements = iter(lowered.elements)
        self.shapes = [m.shape for m in system]
        self._entries = [next(elements) for _ in entries]
        now = {s: self._at(next(elements), {}) for s in self.used}
        moved = {s: [next(elements) for _ in parts[s] or ()] for s in self.used}
        self.relations: list[PolyElement] = []
        fresh = iter([gens[s] for s in late_first][::-1])
        self.orbit = [now]
        for _ in range(steps - 1 + bool(self._roots)):
            now = {s: self._after(moved[s], now, fresh) for s in self.used}
            self.orbit.append(now)
        for now, ahead in itertools.pairwise(self.orbit):
            for mark, s in self._roots.items():
                a, b, _ = (self._at(e, now) for e in moved[s])
                now[mark] = (ahead[s] - a) / b

    def _at(self, e: FracElement, now: Mapping[sp.Symbol, FracElement]) -> FracElement:
        """An element in the generators at these scalars."""
        values = [
            self._held[g] if g in self._held else now.get(self.meaning[g]) for g in e.numer.ring.symbols
        ]  # fmt: skip

        def value(p: PolyElement) -> FracElement:
            # generators are renamed, numbers multiply, and what is left is arithmetic of fractions
            renamed: dict[tuple[int, ...], Any] = {}
            total = self.field.zero
            for monomial, c in p.terms():
                powers, others = [0] * len(self.field.gens), []
                for v, power in zip(values, monomial, strict=True):
                    if power and isinstance(v, int):
                        powers[v] += power
                    elif power and is_number(v):
                        c = c * number_of(v) ** power
                    elif power:
                        others.append(raised(v, power))
                work(1 + len(others))
                if others:
                    term = self.field.ring.from_dict({tuple(powers): c})
                    total = added(total, reduce(multiplied, others, whole(self.field, term)))
                elif c:
                    renamed[tuple(powers)] = renamed.get(tuple(powers), 0) + c
            rest = self.field.ring.from_dict({m: c for m, c in renamed.items() if c})
            return added(total, whole(self.field, rest)) if total else whole(self.field, rest)

        return divided(value(e.numer), value(e.denom))

    def _after(
        self, parts: list[FracElement], now: Mapping[sp.Symbol, FracElement], fresh: Any
    ) -> FracElement:
        """The next value of a scalar: a fraction, or a new unknown s with (s - a)^2 = b^2 r, from s = a + b sqrt(r)."""
        if len(parts) == 1:
            return self._at(parts[0], now)
        s = next(fresh)
        if not parts:
            return s
        a, b, r = (self._at(e, now) for e in parts)
        if all(map(is_number, (a, b, r))):
            root = _root(number_of(r))
            if root is not None:
                return self.field(number_of(a) + number_of(b) * root)
        self.relations.append(((s - a) ** 2 - b**2 * r).numer)
        return s

    def weights(
        self, below: frozenset[sp.Symbol], steps: int, constant: bool, later: int
    ) -> Weights:
        found: dict[Key, FracElement] = {}
        n, p = self.shapes[1]
        state: list[dict[tuple[int, int], FracElement]] = [{} for _ in range(n)]
        characteristic: tuple[FracElement, ...] = ()
        for k in range(steps):
            if k == 0 or not constant:
                entries = iter([self._at(e, self.orbit[later + k]) for e in self._entries])
                a, b, c, d = (
                    [[next(entries) for _ in range(cols)] for _ in range(rows)]
                    for rows, cols in self.shapes
                )
            if k == 0 and constant and n:
                square = DomainMatrix(a, (n, n), self.field.to_domain())
                characteristic = tuple(square.charpoly())
            for i in range(p):
                point = _combined(c[i], state)
                point |= {(k, j): e for j, e in enumerate(d[i]) if e and (k == 0 or not constant)}
                found |= {(k, i, *at): e for at, e in point.items() if e}
            state = [_combined(row, state) for row in a]
            if k == 0 or not constant:
                for own, row in zip(state, b, strict=True):
                    own |= {(k, j): e for j, e in enumerate(row) if e}
        positive = frozenset(s for s, m in self.named.items() if m.is_positive)
        smaller = frozenset(s for s, m in self.named.items() if m in below)
        numbers = {s: real(self.named[s]) for s in exponents(self.named)}
        at_numbers = {s: m for s, m in self.named.items() if m.is_number and s not in numbers}
        roots = {s: value for s, m in at_numbers.items() if (value := real(m)) is not None}
        return Weights(
            self.field, found, tuple(self.relations), positive, smaller, numbers, roots, characteristic
        )  # fmt: skip


def _combined(
    row: Sequence[FracElement], state: Sequence[Mapping[tuple[int, int], FracElement]]
) -> dict[tuple[int, int], FracElement]:
    total: dict[tuple[int, int], FracElement] = {}
    for weight, own in zip(row, state, strict=True):
        for at, e in own.items() if weight else ():
            part = multiplied(weight, e)
            total[at] = added(total[at], part) if at in total else part
    return total


def _reached(after: Mapping[sp.Symbol, sp.Expr], read: set[sp.Symbol]) -> list[sp.Symbol]:
    """The scalars on which what is read depends."""
    found: set[sp.Symbol] = set()
    while (read & set(after)) - found:
        found |= read & set(after)
        read = {t for s in found for t in after[s].free_symbols}
    return [s for s in after if s in found]


def _by_root(e: sp.Expr, scalars: set[sp.Symbol]) -> tuple[sp.Expr, ...] | None:
    """A next value as (a, b, r) with a + b sqrt(r), as (a,) where it has no root of scalars, or None."""
    roots = [p for p in e.atoms(sp.Pow) if not p.exp.is_Integer and p.free_symbols & scalars]
    if not roots:
        return (e,)
    mark, base = sp.Dummy(), roots[0].base
    written = _without_root(e, base, mark)
    b = sp.diff(written, mark)
    if mark in b.free_symbols or len({p.base for p in roots}) > 1:
        return None
    return written.xreplace({mark: sp.S.Zero}), b, base


def _without_root(e: sp.Expr, base: sp.Expr, mark: sp.Symbol) -> sp.Expr:
    """With a symbol in the place of the square root of ``base``."""
    halves = [p for p in e.atoms(sp.Pow) if p.base == base and (2 * p.exp).is_odd]
    return e.xreplace({p: mark ** (2 * p.exp) for p in halves})


def _root(r: Any) -> Any:
    """The square root of a fraction, where it is one."""
    over, under = int(r.numerator), int(r.denominator)
    if over < 0 or isqrt(over) ** 2 != over or isqrt(under) ** 2 != under:
        return None
    return QQ(isqrt(over), isqrt(under))
