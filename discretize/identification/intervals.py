"""Exclusion of the parameters L and mu by intervals, for methods whose coefficients nest roots."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import sympy as sp

from ...dynamics.vector_fields.system import L, mu
from ..equality.numbers import apart as differ
from ..equality.numbers import between, precise, times
from ..linear.time_varying_form import TimeVarying
from ..linear.witness import samples
from .impulse_weights import Scalars

_FEW_DIGITS = 30  # of intervals
_SMALLEST = 16  # intervals of q are not made smaller than one over this


def excluded_by_intervals(target: TimeVarying, known: TimeVarying) -> bool:
    """Whether intervals show, for two values of the target's parameters, that no L and mu = q^2 L < L make them equal.

    A gradient has the unit of L x, so that the weights are those at L = 1 over L (which is checked at numbers).
    """
    found = list(samples(target.symbols, 3))
    if len(found) < 2:
        return False
    mixed, below = found[:2]
    with precise(_FEW_DIGITS):
        read = _reader(known)
        if not _in_units(read):
            return False
        for values in (below, mixed) if target.symbols else (below,):
            wanted = _reader(target.changed(values, lambda e: e)).weights(1, 1)
            if wanted is None or not _no_ratio(wanted, read):
                return False
    return True


def _reader(system: TimeVarying) -> _Intervals:
    scalars = tuple((s, e, system.begin[s]) for s, e in system.ahead.items())
    return _Intervals.of(tuple(sp.ImmutableMatrix(m) for m in system.system), scalars)


@functools.lru_cache(maxsize=512)
def _in_units(known: _Intervals) -> bool:
    for values in itertools.islice(samples({L, mu}), 3):
        here, there = known.weights(values[L], values[mu]), known.weights(1, values[mu] / values[L])
        scale = Fraction(int(values[L].p), int(values[L].q))
        if here is None or there is None:
            return False
        if any(differ(times(scale, a), b) for a, b in zip(here, there, strict=True)):
            return False
    return True


def _no_ratio(wanted: Sequence[Any], known: _Intervals) -> bool:
    """Whether for no q between 0 and 1 the known weights at L = 1, mu = q^2 are positive multiples of those."""
    boxes = [(Fraction(0), Fraction(1))]
    while boxes:
        low, high = boxes.pop()
        found = known.weights(1, between(low**2, high**2))
        if found is not None and _kept_off(wanted, found):
            continue
        middle = (low + high) / 2
        if high - low < Fraction(1, _SMALLEST) or not known.varies:
            return False
        boxes += [(low, middle), (middle, high)]
    return True


def _kept_off(wanted: Sequence[Any], found: Sequence[Any]) -> bool:
    """Whether numbers in these intervals are no positive multiple of the others."""
    pairs = list(zip(wanted, found, strict=True))
    nothing, positive = Fraction(0), between(Fraction(0), None)
    for a, b in pairs:
        sides = [differ(e, nothing) for e in (a, b)]
        zero = [bool(e.a == 0) and bool(e.b == 0) for e in (a, b)]
        if (sides[0] and zero[1]) or (zero[0] and sides[1]):
            return True
        if all(sides) and differ(times(a, b), positive):
            return True
    crossed = itertools.combinations(pairs, 2)
    return any(differ(times(a, d), times(b, c)) for (a, b), (c, d) in crossed)


class _Intervals:
    """Interval bounds of the weights of oracle results in the points of the first steps, for intervals of L and mu."""

    def __init__(self, system: tuple[sp.ImmutableMatrix, ...], scalars: Scalars) -> None:
        import mpmath

        iv = mpmath.iv
        functions = {n: getattr(iv, n) for n in ("mpf", "sqrt", "exp", "log", "sin", "cos")}
        names = [s for s, *_ in scalars]
        everything = [
            *(b for *_, b in scalars),
            *(e for _, e, _ in scalars),
            *(e for m in system for e in m),
        ]
        self.varies = any(mu in e.free_symbols for e in everything)
        self.shapes = [m.shape for m in system]
        self._begin = sp.lambdify([L, mu], [b for *_, b in scalars], [functions, "mpmath"])
        self._step = sp.lambdify(
            [*names, L, mu], everything[len(names) :], [functions, "mpmath"], cse=True
        )

    @staticmethod
    @functools.lru_cache(maxsize=512)
    def of(system: tuple[sp.ImmutableMatrix, ...], scalars: Scalars) -> _Intervals:
        """One shared object per method."""
        return _Intervals(system, scalars)

    def weights(self, ell: Any, m: Any, steps: int = 4) -> list[Any] | None:
        """Step by step, at L and mu; None where they have none."""
        import mpmath

        def interval(e: Any) -> Any:
            return mpmath.iv.mpf(e.p) / e.q if isinstance(e, sp.Rational) else mpmath.iv.mpf(e)

        at = interval(ell), interval(m)
        try:
            now = list(map(interval, self._begin(*at)))
            state: list[list[Any]] = [[] for _ in range(self.shapes[0][0])]
            found = []
            for _ in range(steps):
                entries = iter(map(interval, self._step(*now, *at)))
                now = [next(entries) for _ in now]
                a, b, c, d = (
                    [[next(entries) for _ in range(n)] for _ in range(k)] for k, n in self.shapes
                )
                for row, direct in zip(_product(c, state), d, strict=True):
                    found += [*row, *direct]
                state = [[*r, *s] for r, s in zip(_product(a, state), b, strict=True)]
        except (ValueError, ZeroDivisionError, TypeError, NotImplementedError):
            return None
        return found


def _product(one: list[list[Any]], other: list[list[Any]]) -> list[list[Any]]:
    columns = list(zip(*other, strict=True))
    return [[sum(map(times, row, column)) for column in columns] for row in one]
