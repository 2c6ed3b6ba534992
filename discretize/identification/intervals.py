"""Exclusion of the parameters L and mu by intervals, for methods whose coefficients nest roots."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import sympy as sp

from ...dynamics.numbers.boxes import FUNCTIONS, Interval, add, div, integer_pow, mul, neg, sub
from ...dynamics.vector_fields.system import L, mu
from ..equality.numbers import apart as differ
from ..equality.numbers import interval, precise
from ..linear.time_varying_form import TimeVarying
from ..linear.witness import samples
from .impulse_weights import Scalars, frozen

_FEW_DIGITS = 30  # of the target's weights
_PARTS, _ROUNDS = 32, 4  # of q, at first; how often what is left is cut in eight
_MOST = 4096  # intervals at once
_STEPS = 4  # whose weights are compared
_WHOLE = 2**53  # up to which double precision has all whole numbers
_RATIOS = 2  # weights that the others are divided by
# The weights of the answers so far in each point, in the order of the calls.
Rows: TypeAlias = "list[list[Any]]"


def excluded_by_intervals(
    target: TimeVarying, known: TimeVarying, later: int = 0, times: int = 1
) -> bool:
    """Whether intervals show, for two values of the target's parameters, that no L and mu = q^2 L < L make them equal.

    A gradient has the unit of L x, so that the weights are those at L = 1 over L (which is checked at numbers).

    Args:
        target: the given method.
        known: the known method, whose parameters are L and mu, or L.
        later: by how many steps the known coefficients are ahead.
        times: how many steps of the known method are one of the target; its calls are in the same order.
    """
    found = list(samples(target.symbols, 3))
    if len(found) < 2:
        return False
    mixed, below = found[:2]
    with precise(_FEW_DIGITS):
        read = _reader(known)
        if not _in_units(read, later):
            return False
        for values in (below, mixed) if target.symbols else (below,):
            own = _reader(target.changed(values, lambda e: e))
            wanted = own.at_numbers(sp.S.One, sp.S.One, -(-_STEPS // times))
            ends = [[_ends(e) for e in row] for row in wanted]
            if not ends or not _no_ratio(ends, read, later):
                return False
    return True


def _reader(system: TimeVarying) -> _Weights:
    return _Weights.of(*frozen(system))


def _ends(number: Any) -> Interval:
    """The interval in double precision around one of many digits; a number of double precision stays one."""
    from mpmath.libmp import from_float, mpf_gt, mpf_lt, to_float

    low, high = number._mpi_
    below, above = to_float(low), to_float(high)  # to nearest, or beyond the range
    if mpf_gt(from_float(below), low):
        below = np.nextafter(below, -np.inf)
    if mpf_lt(from_float(above), high):
        above = np.nextafter(above, np.inf)
    return Interval(np.array([below]), np.array([above]))


@functools.lru_cache(maxsize=512)
def _in_units(known: _Weights, later: int) -> bool:
    for values in itertools.islice(samples({L, mu}), 3):
        here = known.at_numbers(values[L], values[mu], _STEPS, later)
        there = known.at_numbers(sp.S.One, values[mu] / values[L], _STEPS, later)
        scale = interval(Fraction(int(values[L].p), int(values[L].q)))
        if not here or len(here) != len(there):
            return False
        if any(differ(scale * a, b) for a, b in _pairs(here, there)):
            return False
    return True


def _pairs(one: Rows, other: Rows) -> list[tuple[Any, Any]]:
    """The weights of the same answers in the same points, as far as both go."""
    return [pair for a, b in zip(one, other, strict=False) for pair in zip(a, b, strict=False)]


def _no_ratio(wanted: Rows, known: _Weights, later: int) -> bool:
    """Whether for no q between 0 and 1 the known weights at L = 1, mu = q^2 are positive multiples of those."""
    cuts = np.linspace(0.0, 1.0, _PARTS + 1)
    low, high = cuts[:-1], cuts[1:]
    for _ in range(_ROUNDS):
        with np.errstate(all="ignore"):
            off = _kept_off(_pairs(wanted, known.between(low.tobytes(), high.tobytes(), later)))
        left = np.flatnonzero(~np.broadcast_to(off, low.shape))
        if not len(left):
            return True
        if not known.varies or 8 * len(left) > _MOST:
            return False
        cuts = np.linspace(low[left], high[left], 9)
        low, high = cuts[:-1].ravel(), cuts[1:].ravel()
    return False


def _kept_off(pairs: list[tuple[Interval, Interval]]) -> Any:
    """Where numbers in the second intervals are no positive multiple of those in the first."""
    off: Any = np.zeros(1, bool)
    signs = [(_sign(a), _sign(b)) for a, b in pairs]
    for (a, b), (sa, sb) in zip(pairs, signs, strict=True):
        nothing = [(e.low == 0) & (e.high == 0) for e in (a, b)]
        off = off | ((sa != 0) & nothing[1]) | (nothing[0] & (sb != 0)) | (sa * sb < 0)
    nonzero = [p for p, (s, _) in zip(pairs, signs, strict=True) if s[0]]
    for a, b in nonzero[:_RATIOS]:
        for c, d in pairs:
            one, other = mul(a, d), mul(b, c)
            off = off | (one.high < other.low) | (other.high < one.low)
    return off


def _sign(a: Interval) -> Any:
    """1, -1, or 0 where zero is not excluded."""
    return np.where(a.low > 0, 1, np.where(a.high < 0, -1, 0))


class _Weights:
    """The weights of oracle results in the points of the first steps, at numbers, or with bounds between numbers."""

    def __init__(self, system: tuple[sp.ImmutableMatrix, ...], scalars: Scalars) -> None:
        names = [s for s, *_ in scalars]
        everything = [
            *(b for *_, b in scalars),
            *(e for _, e, _ in scalars),
            *(e for m in system for e in m),
        ]
        self.varies = any(mu in e.free_symbols for e in everything)
        self.shapes = [m.shape for m in system]
        self._begin, self._step = everything[: len(names)], everything[len(names) :]
        self._arguments = [*names, L, mu]

    def _compiled(self, functions: Mapping[str, Any]) -> tuple[Callable[..., Any], ...]:
        """The first scalars, by L and mu, and what a step has, by scalars, L and mu."""
        modules = [functions, "mpmath"]
        return (
            sp.lambdify([L, mu], self._begin, modules),
            sp.lambdify(self._arguments, self._step, modules, cse=True),
        )

    @functools.cached_property
    def _in_many_digits(self) -> tuple[Callable[..., Any], ...]:
        import mpmath

        names = ("mpf", "sqrt", "exp", "log", "sin", "cos", "pi", "e")
        return self._compiled({n: getattr(mpmath.iv, n) for n in names})

    @functools.cached_property
    def _in_boxes(self) -> tuple[Callable[..., Any], ...]:
        return self._compiled(_OPERATIONS)

    @staticmethod
    @functools.lru_cache(maxsize=512)
    def of(system: tuple[sp.ImmutableMatrix, ...], scalars: Scalars) -> _Weights:
        """One shared object per method."""
        return _Weights(system, scalars)

    @functools.lru_cache(maxsize=64)  # noqa: B019 - methods are few, and shared
    def at_numbers(self, ell: sp.Expr, m: sp.Expr, steps: int, later: int = 0) -> Rows:
        """Call by call, at L and mu, in mpmath's intervals; the first ones alone where later ones have none."""
        import mpmath

        iv = mpmath.iv

        def number(e: Any) -> Any:
            return iv.mpf(e.p) / e.q if isinstance(e, sp.Rational) else iv.mpf(e)

        at = number(ell), number(m)
        return self._rows(self._in_many_digits, number, at, steps, later)

    @functools.lru_cache(maxsize=64)  # noqa: B019 - methods are few, and shared
    def between(self, low: bytes, high: bytes, later: int) -> Rows:
        """The bounds at L = 1 and mu = q^2, for q between these: arrays of double precision."""
        q = Interval(np.frombuffer(low), np.frombuffer(high))
        at = (_Box(1), _Box(integer_pow(q, y=2)))
        return [
            [e.held for e in row] for row in self._rows(self._in_boxes, _Box, at, _STEPS, later)
        ]

    def _rows(
        self,
        compiled: tuple[Callable[..., Any], ...],
        number: Callable[[Any], Any],
        at: Any,
        steps: int,
        later: int,
    ) -> Rows:
        first, following = compiled
        found: Rows = []
        with contextlib.suppress(ArithmeticError, ValueError, TypeError, NotImplementedError):
            now = list(map(number, first(*at)))
            state: Rows = [[] for _ in range(self.shapes[0][0])]
            for k in range(later + steps):
                entries = iter(map(number, following(*now, *at)))
                now = [next(entries) for _ in now]
                if k < later:
                    continue
                a, b, c, d = (
                    [[next(entries) for _ in range(n)] for _ in range(rows)]
                    for rows, n in self.shapes
                )
                found += [
                    [*row, *direct] for row, direct in zip(_product(c, state), d, strict=True)
                ]
                state = [[*r, *s] for r, s in zip(_product(a, state), b, strict=True)]
        return found


def _product(one: Rows, other: Rows) -> Rows:
    columns = list(zip(*other, strict=True))
    return [[sum(x * y for x, y in zip(row, c, strict=True)) for c in columns] for row in one]


class _Box:
    """Intervals with Python's operators, which is what SymPy's printer of code asks for."""

    def __init__(self, value: Any) -> None:
        if isinstance(value, Fraction):
            value = (
                int(value) if value.denominator == 1 else _Box(value.numerator) / value.denominator
            )
        if isinstance(value, int):
            if abs(value) > _WHOLE:
                raise ArithmeticError(f"double precision does not hold {value}")
            exact = np.array([float(value)])
            value = Interval(exact, exact)
        if not isinstance(value, _Box | Interval):
            raise TypeError(f"bounds of {value!r} are not known")
        self.held: Interval = value.held if isinstance(value, _Box) else value

    def __add__(self, other: Any) -> _Box:
        return _Box(add(self.held, _Box(other).held))

    def __mul__(self, other: Any) -> _Box:
        return _Box(mul(self.held, _Box(other).held))

    def __truediv__(self, other: Any) -> _Box:
        return _Box(div(self.held, _Box(other).held))

    def __rtruediv__(self, other: Any) -> _Box:
        return _Box(other) / self

    def __neg__(self) -> _Box:
        return _Box(neg(self.held))

    def __sub__(self, other: Any) -> _Box:
        return _Box(sub(self.held, _Box(other).held))

    def __rsub__(self, other: Any) -> _Box:
        return _Box(other) - self

    def __pow__(self, power: Any) -> _Box:
        """Whole powers, and halves of them."""
        if not isinstance(power, int | Fraction) or (2 * power).denominator != 1:
            raise ArithmeticError(f"bounds of a power {power} are not known")
        if power.denominator == 1:
            return _Box(integer_pow(self.held, y=int(power)))
        return _Box(FUNCTIONS["sqrt"](self.held)) ** int(2 * power)

    __radd__, __rmul__ = __add__, __mul__


_OPERATIONS: Mapping[str, Any] = {
    "mpf": Fraction,  # of whole numbers
    **{n: functools.partial(lambda n, a: _Box(FUNCTIONS[n](_Box(a).held)), n) for n in FUNCTIONS},
}
