"""Two methods on one function of two coordinates, in exact numbers: a call of one that the other does not make.

Numbers are fractions where they can be and else intervals that contain them, so that two that are told apart
differ. What has no such numbers here (noise, populations, kinks inside an interval) is left undecided.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import Any, TypeAlias

import sympy as sp

from ..._support.errors import TooLarge
from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.elementwise import Elementwise, slots
from ...dynamics.algebra.oracles import Oracle
from ...dynamics.algebra.products import Product
from ...dynamics.algebra.vectors import Call, ScalarNode, Vector, VectorSymbol
from ...dynamics.vector_fields.block import start
from ..linear.state_space import explicit_proximal
from ..linear.witness import Values, different, samples
from ..programs.program import CallOracle, Program

Number: TypeAlias = Any  # a Fraction, or an interval of mpmath
Point: TypeAlias = "tuple[Number, ...]"
_DIGITS, _STEPS, _AHEAD, _SAMPLES = 150, 3, 2, 8
_LONGEST = 600  # bits of a denominator
_X0 = (Fraction(3, 2), Fraction(-5, 7))
y, _Z = sp.symbols("y z", real=True)


class NoNumber(ArithmeticError):
    """There is no real number here, or none that is worked out."""


@dataclass(frozen=True)
class Trial(Rendered):
    """An experiment with a function: a call of one method that the other does not make.

    Attributes:
        parameters: exact values of all symbols of both methods.
        x0: the starting point, two coordinates.
        slopes: by objective, the derivative in each coordinate as an expression in y: its gradient, operator or map.
        number: 0 if it is the first method that makes the call, 1 if the second.
        step: the step in which it does; the other makes it neither before nor in the ``later`` next steps.
        oracle: the oracle that is called.
        point: where, by coordinates: exact, or floats of 40 digits.
        nearest: where the other calls that oracle nearest to it; None if nowhere.
    """

    parameters: Values
    x0: tuple[sp.Rational, ...]
    slopes: Mapping[str, tuple[sp.Expr, ...]]
    number: int
    step: int
    oracle: Oracle
    point: tuple[sp.Expr, ...]
    nearest: tuple[sp.Expr, ...] | None
    later: int = _AHEAD

    def __str__(self) -> str:
        who, other = ("this one", "the other") if self.number == 0 else ("the other", "this one")
        places = [self.point] if self.nearest is None else [self.point, self.nearest]
        if self.nearest is None:
            shown = [", ".join(str(sp.N(c, 8)) for c in self.point)]
        else:
            pairs = [different(*c).split(" against ") for c in zip(*places, strict=True)]
            shown = [", ".join(p[i] for p in pairs) for i in range(2)]
        near = "" if self.nearest is None else f", but nearest to it at ({shown[1]})"
        values = [f"{s} = {v}" for s, v in sorted(self.parameters.items(), key=str)]
        for name, slope in self.slopes.items():
            values.append(f"the slopes {', '.join(map(str, slope))} of {name}")
        values.append(f"x0 = ({', '.join(map(str, self.x0))})")
        return (
            f"in step {self.step} {who} calls {self.oracle.name} at ({shown[0]}), where {other} does not call it up to "
            f"step {self.step + self.later}{near}; at {', '.join(values)}"
        )


def told_apart(one: Program, other: Program) -> Trial | None:
    """Numbers, starting point and function at which the two call their oracles elsewhere; None if none is found."""
    try:
        both = [explicit_proximal(p).inlined() for p in (one, other)]
    except TooLarge:
        return None
    if any(p.draws or p.counts for p in both):
        return None
    implicit = {c.oracle.of for p in both for c in p.calls if c.implicit != 0}
    objectives = sorted({o.of for p in both for o in _oracles(p)})
    slopes = {name: _slopes(i, name in implicit) for i, name in enumerate(objectives)}
    if {"mirror", "dual"} <= set(
        objectives
    ):  # the gradients of conjugate functions: one undoes the other
        slopes["mirror"] = _slopes(objectives.index("mirror"), True)
        slopes["dual"] = tuple(sp.solve(e - _Z, y)[0].xreplace({_Z: y}) for e in slopes["mirror"])
    symbols = {s for p in both for s in p.parameters}
    for values in samples(symbols, _SAMPLES):
        with contextlib.suppress(NoNumber, ZeroDivisionError, OverflowError), precise():
            runs = [_Run(p, values, slopes).calls() for p in both]
            found = _alone(*runs)
            if found is not None:
                number, step, oracle, point, nearest = found
                return Trial(
                    values, tuple(map(_shown, _X0)), slopes, number, step, oracle,
                    tuple(map(_shown, point)), None if nearest is None else tuple(map(_shown, nearest)),
                )  # fmt: skip
    return None


def _slopes(number: int, implicit: bool) -> tuple[sp.Expr, ...]:
    """Increasing functions of one coordinate, cubic or, where an implicit step has to be solved, affine."""
    found = []
    for i in range(len(_X0)):
        a, b, c = (sp.Rational(n + 2 * i + 3 * number, d) for n, d in ((1, 7), (2, 3), (3, 5)))
        found.append((0 if implicit else a * y**3) + b * y - c)
    return tuple(found)


def _oracles(p: Program) -> set[Oracle]:
    before = {c.oracle for b in p.blocks if isinstance(b.init, Vector) for c in b.init.calls()}
    nodes = {n.oracle for e in p._expressions() for n in _nodes(e) if n.oracle is not None}
    return {c.oracle for c in p.calls} | before | nodes


@contextlib.contextmanager
def precise(digits: int = _DIGITS) -> Iterator[None]:
    """Intervals of many digits."""
    import mpmath

    before, mpmath.iv.dps = mpmath.iv.dps, digits
    try:
        yield
    finally:
        mpmath.iv.dps = before


def _alone(
    one: Sequence[tuple[int, Oracle, Point]], other: Sequence[tuple[int, Oracle, Point]]
) -> tuple[int, int, Oracle, Point, Point | None] | None:
    """The earliest call of one that the other does not make: whose, step, oracle, point and the nearest to it."""
    found = []
    for number, (mine, theirs) in enumerate(((one, other), (other, one))):
        for step, oracle, point in mine:
            if step > _STEPS:
                break
            there = [p for s, o, p in theirs if o == oracle and s <= step + _AHEAD]
            if all(any(apart(*pair) for pair in zip(point, p, strict=True)) for p in there):
                nearest = min(there, key=lambda p: _distance(point, p), default=None)
                found.append((number, step, oracle, point, nearest))
                break
    return min(found, key=lambda f: f[1], default=None)


def _distance(one: Point, other: Point) -> float:
    return sum(abs(_middle(a) - _middle(b)) for a, b in zip(one, other, strict=True))


class _Run:
    """A program at numbers, step by step."""

    def __init__(
        self, program: Program, values: Values, slopes: Mapping[str, tuple[sp.Expr, ...]]
    ) -> None:
        self.program, self.slopes = program, slopes
        self.known: dict[Any, Any] = {s: Fraction(v.p, v.q) for s, v in values.items()}
        self.known[start] = _X0
        self.made: list[tuple[int, Oracle, Point]] = []
        self.step = -1

    def calls(self) -> list[tuple[int, Oracle, Point]]:
        """The calls of the first steps: step, oracle, point."""
        program = self.program
        state = {b.symbol: self.value(b.init) for b in program.blocks}
        for self.step in range(_STEPS + _AHEAD + 1):
            self.known.update(state)
            if program.counter is not None:
                self.known[program.counter] = Fraction(self.step)
            for i in program.instructions:
                if isinstance(i, CallOracle):
                    self.known[i.target] = self._answer(i)
                else:
                    raise NoNumber("a sweep over coordinates is not supported")
            state = {s: self.value(e) for s, e in program.next.items()}
        return self.made

    def value(self, e: Any) -> Any:
        """A vector, coordinate by coordinate, or a scalar."""
        if not isinstance(e, Vector):
            return number(e, self.known, self._node)
        total: Point = tuple(Fraction(0) for _ in _X0)
        for atom, weight in e.terms.items():
            scale = self.value(weight)
            moved = [times(scale, c) for c in self._atom(atom)]
            total = tuple(map(plus, total, moved))
        return total

    def _atom(self, a: Vector) -> Point:
        if isinstance(a, VectorSymbol):
            if a.kind != "vector":
                raise NoNumber(f"{a} is no vector")
            point: Point = self.known[a]
            return point
        if isinstance(a, Elementwise):
            inside = [self.value(v) for v in a.arguments]
            return tuple(
                number(a.body, {**self.known, **dict(zip(slots(len(inside)), c, strict=True))}, self._node)
                for c in zip(*inside, strict=True)
            )  # fmt: skip
        if isinstance(a, Product) and a.kind == "hadamard":
            return tuple(map(times, self._atom(a.left), self._atom(a.right)))
        if isinstance(a, Call) and not a.parameters:  # before the first step
            return self._called(a.oracle, self.value(a.point), list(map(self.value, a.directions)))
        raise NoNumber(f"{a} is not supported")

    def _called(self, oracle: Oracle, point: Point, directions: Sequence[Point]) -> Point:
        if oracle.kind not in {"grad", "operator", "map"}:
            raise NoNumber(f"{oracle.name} is not supported")
        self.made.append((self.step, oracle, point))
        slopes = [sp.diff(s, y, len(directions)) for s in self.slopes[oracle.of]]
        found = [number(s, {y: c}, self._node) for s, c in zip(slopes, point, strict=True)]
        for d in directions:
            found = list(map(times, found, d))
        return tuple(found)

    def _answer(self, i: CallOracle) -> Point:
        if i.parameters:
            raise NoNumber(f"{i.oracle.name} has further arguments")
        point, weight = self.value(i.point), self.value(i.implicit)
        directions = [self.value(d) for d in i.directions]
        if i.implicit == 0:
            return self._called(i.oracle, point, directions)
        if directions:
            raise NoNumber("an implicit derivative is not supported")
        solved = []
        for slope, p in zip(self.slopes[i.oracle.of], point, strict=True):
            gain, shift = (
                self.value(e) for e in (sp.diff(slope, y), slope.xreplace({y: sp.S.Zero}))
            )
            above = plus(p, times(weight, shift))  # y = p + weight (gain y + shift)
            solved.append(over(above, plus(Fraction(1), times(Fraction(-1), times(weight, gain)))))
        return self._called(i.oracle, tuple(solved), ())

    def _node(self, node: ScalarNode) -> Number:
        points = [self.value(v) for v in node.arguments]
        if node.kind == "inner":
            return functools.reduce(plus, map(times, *points))
        if node.kind == "value" and node.oracle is not None:
            heights = [sp.integrate(s, y) for s in self.slopes[node.oracle.of]]
            return functools.reduce(
                plus,
                (number(h, {y: c}, self._node) for h, c in zip(heights, points[0], strict=True)),
            )
        raise NoNumber(f"{node} is not supported")


def _nodes(e: Any) -> set[ScalarNode]:
    """The scalars made of vectors in an expression."""
    if isinstance(e, Vector):
        inside = [p for a in e.terms for p in a.parts()]
        return {n for part in [*e.terms.values(), *inside] for n in _nodes(part)}
    found: set[ScalarNode] = e.atoms(ScalarNode)
    return found | {n for node in found for v in node.arguments for n in _nodes(v)}


def number(
    e: sp.Expr,
    known: Mapping[Any, Number],
    node: Callable[[ScalarNode], Number] | None = None,
) -> Number:
    """Evaluate a scalar expression as a fraction, or as an interval that contains it.

    Args:
        e: the expression.
        known: values of its symbols.
        node: evaluates inner products and objective values.

    Raises:
        NoNumber: the expression has no real value there.
    """

    def value(part: sp.Expr) -> Number:
        return number(part, known, node)

    if e.is_Rational:
        return Fraction(int(e.p), int(e.q))
    if isinstance(e, ScalarNode) and node is not None:
        return node(e)
    if e.is_Symbol:
        return known[e]
    if e.is_Add or e.is_Mul:
        return functools.reduce(plus if e.is_Add else times, map(value, e.args))
    if e.is_Pow:
        return _power(value(e.base), value(e.exp))
    if isinstance(e, (sp.Max, sp.Min)):
        above = isinstance(e, sp.Max)
        best, *others = map(value, e.args)
        for p in others:
            best = p if (sign_of(plus(p, times(Fraction(-1), best))) > 0) == above else best
        return best
    if isinstance(e, (sp.Abs, sp.sign)):
        inside = value(e.args[0])
        side = sign_of(inside)
        return Fraction(side) if isinstance(e, sp.sign) else times(Fraction(side), inside)
    return _transcendental(e, value)


def real(e: sp.Expr) -> Number | None:
    """The real number that an expression is, or an interval that holds it; None where none is found."""
    with precise():
        try:
            return number(e, {})
        except (NoNumber, ZeroDivisionError, OverflowError, KeyError):
            return None


def _transcendental(e: sp.Expr, value: Callable[[sp.Expr], Number]) -> Number:
    import mpmath

    known = {
        sp.exp: mpmath.iv.exp,
        sp.log: mpmath.iv.log,
        sp.sin: mpmath.iv.sin,
        sp.cos: mpmath.iv.cos,
    }
    if e is sp.pi or e is sp.E:
        return mpmath.iv.pi if e is sp.pi else mpmath.iv.e
    if e.func not in known:
        written = e.rewrite(sp.exp)
        if written.atoms(e.func):
            raise NoNumber(f"{e.func} is not supported")
        return value(written)
    (inside,) = map(interval, map(value, e.args))
    if e.func is sp.log and not inside.a > 0:
        raise NoNumber("the logarithm of what may be negative")
    return known[e.func](inside)


def _power(base: Number, exponent: Number) -> Number:
    import mpmath

    whole = isinstance(exponent, Fraction) and exponent.denominator == 1
    if whole and abs(exponent) > 1000:
        raise NoNumber("a power too high")
    if isinstance(base, Fraction) and isinstance(exponent, Fraction):
        if whole:
            return _short(base ** int(exponent))
        if exponent.denominator == 2 and base >= 0:
            root = Fraction(isqrt(base.numerator), isqrt(base.denominator))
            if root**2 == base:
                return root ** int(2 * exponent)
    base = interval(base)
    if whole:
        if exponent < 0:
            sign_of(base)  # not zero
        return base ** int(exponent)
    if not base.a > 0:
        raise NoNumber("the root of what may be negative")
    if isinstance(exponent, Fraction) and exponent.denominator == 2:
        return mpmath.iv.sqrt(base) ** int(2 * exponent)
    return mpmath.iv.exp(interval(exponent) * mpmath.iv.log(base))


def _short(value: Fraction) -> Number:
    """The fraction; an interval where it has grown too long to be handy."""
    return value if value.denominator.bit_length() < _LONGEST else interval(value)


def plus(one: Number, other: Number) -> Number:
    """The sum."""
    exact = isinstance(one, Fraction) and isinstance(other, Fraction)
    return _short(one + other) if exact else interval(one) + interval(other)


def times(one: Number, other: Number) -> Number:
    """The product."""
    exact = isinstance(one, Fraction) and isinstance(other, Fraction)
    return _short(one * other) if exact else interval(one) * interval(other)


def over(one: Number, other: Number) -> Number:
    """The quotient; raises NoNumber where the divisor may be zero."""
    if not sign_of(other):
        raise NoNumber("a quotient by zero")
    return times(one, _power(other, Fraction(-1)))


def sign_of(value: Number) -> int:
    """The sign of a number; raises NoNumber where it is not certain."""
    if isinstance(value, Fraction):
        return (value > 0) - (value < 0)
    if value.a > 0 or value.b < 0:
        return 1 if value.a > 0 else -1
    raise NoNumber("a sign that is not certain")


def between(low: Fraction, high: Fraction | None) -> Number:
    """The interval from the one to the other, or of all that is larger."""
    import mpmath

    end = mpmath.iv.inf if high is None else interval(high)
    return mpmath.iv.mpf([interval(low).a, end.b])


def interval(value: Number) -> Number:
    """An interval that contains the number."""
    import mpmath

    if isinstance(value, Fraction):
        return mpmath.iv.mpf(value.numerator) / value.denominator
    return value


def apart(one: Number, other: Number) -> bool:
    """Whether two numbers provably differ."""
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one != other
    gap = interval(one) - interval(other)
    return bool(gap.a > 0) or bool(gap.b < 0)


def _shown(value: Number) -> sp.Expr:
    if isinstance(value, Fraction):
        return sp.Rational(value.numerator, value.denominator)
    import mpmath

    return sp.Float(mpmath.mp.make_mpf(value.mid._mpi_[0]), 40)


def _middle(value: Number) -> float:
    return float(value if isinstance(value, Fraction) else value.mid.a)
