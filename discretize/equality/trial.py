"""Two methods on one function of two coordinates, in exact numbers: a call of one that the other does not make.

Where both draw noise and the function is quadratic, the point of a call is a normal variable, and two methods are told
apart by means and variances. Where only one does, its draws are given numbers: near them it calls near that point, so
that it does so with positive probability. What has no such numbers here (populations, kinks inside an interval) is
left undecided.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import sympy as sp

from ..._support.errors import NotCarried, TooLarge
from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.operators import OracleDerivative
from ...dynamics.algebra.oracles import Oracle
from ...dynamics.algebra.vectors import Call, ScalarNode, Vector, VectorSymbol
from ...dynamics.vector_fields.block import start
from ..linear.state_space import explicit_proximal
from ..linear.witness import Values, different, samples
from ..programs.guards import Guard, Inequality
from ..programs.instructions import Choose, Instruction, Loop
from ..programs.program import Assign, CallOracle, Count, Draw, Plain, Program
from .coordinates import CoordinateValues, Matrix
from .numbers import (
    NoNumber,
    Normal,
    Number,
    apart,
    number,
    over,
    plus,
    precise,
    sign_of,
    times,
    variance,
)

Point: TypeAlias = "tuple[Number, ...]"
_STEPS, _AHEAD, _SAMPLES = 3, 2, 8
_ITERATIONS = 40  # of a loop
_FIELDS = {"grad", "operator", "map"}
_EQUAL = sp.Float(10) ** -36  # of what is shown to 40 digits
_X0 = (Fraction(3, 2), Fraction(-5, 7))
y, _Z = sp.symbols("y z", real=True)


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
        later: by how many steps the other may be behind.
        draws: if only one of them draws noise, which: coordinate i of its draw n, from 0 for both, is then
            (1 + n) / (2 + i), and the numbers that it counts are 1; None otherwise.
        variance: if both draw noise, that of the point, and of the nearest, by coordinates; then these are means.
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
    draws: int | None = None
    variance: tuple[tuple[sp.Expr, ...], ...] = ()
    drawn: tuple[tuple[sp.Expr, ...], ...] = ()

    def __str__(self) -> str:
        who, other = ("this one", "the other") if self.number == 0 else ("the other", "this one")
        places = [p for p in (self.point, self.nearest) if p is not None]
        shown = _printed(places)
        if self.variance:
            spread = _printed(self.variance)
            shown = [f"mean {m} and variance {v}" for m, v in zip(shown, spread, strict=True)]
        where = "a normal point of " if self.variance else ""
        near = (
            ""
            if self.nearest is None
            else f", but nearest to it at {where and 'one of '}{shown[1]}"
        )
        values = [f"{s} = {v}" for s, v in sorted(self.parameters.items(), key=str)]
        for name, slope in self.slopes.items():
            values.append(f"the slopes {', '.join(map(str, slope))} of {name}")
        values.append(f"x0 = ({', '.join(map(str, self.x0))})")
        if self.draws is not None:
            drawing = "this one" if self.draws == 0 else "the other"
            if self.drawn:
                listed = ", ".join(f"({', '.join(map(str, p))})" for p in self.drawn)
                values.append(f"the first draws of {drawing} {listed}")
            else:
                values.append(
                    f"coordinate i of draw n of {drawing} near (n + 1)/(i + 2), n and i from 0"
                )
        return (
            f"in step {self.step} {who} calls {self.oracle.name} at {where}{shown[0]}, where {other} does not call "
            f"it up to step {self.step + self.later}{near}; at {', '.join(values)}"
        )


def _printed(places: Sequence[tuple[sp.Expr, ...]]) -> list[str]:
    """One place or two, with as many digits as tell their coordinates apart."""
    if len(places) == 1:
        return [f"({', '.join(str(sp.N(c, 8)) for c in places[0])})"]
    pairs = [_pair(*c) for c in zip(*places, strict=True)]
    return [f"({', '.join(p[i] for p in pairs)})" for i in range(2)]


def _pair(one: sp.Expr, other: sp.Expr) -> list[str]:
    """Two coordinates; those that are equal but for rounding with few digits."""
    if abs(one - other) < _EQUAL * (1 + abs(one)):
        return [str(sp.N(c, 8)) for c in (one, other)]
    return different(one, other).split(" against ")


_LISTED = 3  # draws that a witness lists


def _possible(i: Draw, n: int, c: int) -> Fraction:
    """A coordinate of the n-th draw: a value that its law can take, in two dimensions."""
    match i.law:
        case "" | "normal":
            return Fraction(n + 1, c + 2)
        case "rademacher":
            return Fraction((-1) ** (n // 2**c))
        case "uniform" | "rows":  # in [0, 1], for vectors and scalars
            return Fraction(1, n + c + 2)
        case "sphere":
            return (Fraction(7, 5), Fraction(1, 5))[(n + c) % 2]
    raise NoNumber(f"{i} is not supported")


def told_apart(one: Program, other: Program) -> Trial | None:
    """Numbers, starting point and function at which the two call their oracles elsewhere; None if none is found."""
    try:
        both = [explicit_proximal(p) for p in (one, other)]
    except TooLarge:
        return None
    noisy = [bool(p.draws or p.counts) for p in both]
    laws = all(noisy)
    drawing = noisy.index(True) if any(noisy) and not laws else None
    implicit = {c.oracle.of for p in both for c in p.calls if c.implicit != 0}
    objectives = sorted({o.of for p in both for o in _oracles(p)})
    slopes = {name: _slopes(i, laws or name in implicit) for i, name in enumerate(objectives)}
    if {"mirror", "dual"} <= set(
        objectives
    ):  # the gradients of conjugate functions: one undoes the other
        slopes["mirror"] = _slopes(objectives.index("mirror"), True)
        slopes["dual"] = tuple(sp.solve(e - _Z, y)[0].xreplace({_Z: y}) for e in slopes["mirror"])
    symbols = {s for p in both for s in p.parameters}
    for values in samples(symbols, _SAMPLES):
        with contextlib.suppress(NoNumber, NotCarried, ZeroDivisionError, OverflowError), precise():
            runs = [_Run(p, values, slopes, laws) for p in both]
            found = _alone(*(run.calls() for run in runs))
            if found is not None:
                samples_of = (
                    [] if drawing is None or not both[drawing].samples else runs[drawing].drawn
                )
                listed = tuple(tuple(map(_shown, p)) for p in samples_of[:_LISTED])
                number, step, oracle, point, nearest = found
                places = [point] if nearest is None else [point, nearest]
                shown = [tuple(map(_shown, p)) for p in places]
                spread = [tuple(_shown(variance(c)) for c in p) for p in places] if laws else []
                return Trial(
                    values, tuple(map(_shown, _X0)), slopes, number, step, oracle, shown[0],
                    None if nearest is None else shown[1], draws=drawing, variance=tuple(spread), drawn=listed,
                )  # fmt: skip
    return None


def _slopes(number: int, affine: bool) -> tuple[sp.Expr, ...]:
    """Increasing functions of one coordinate, cubic or, for implicit steps and normal laws, affine."""
    found = []
    for i in range(len(_X0)):
        a, b, c = (sp.Rational(n + 2 * i + 3 * number, d) for n, d in ((1, 7), (2, 3), (3, 5)))
        found.append((0 if affine else a * y**3) + b * y - c)
    return tuple(found)


def _oracles(p: Program) -> set[Oracle]:
    before = {c.oracle for b in p.blocks if isinstance(b.init, Vector) for c in b.init.calls()}
    nodes = {n.oracle for e in p.expressions() for n in _nodes(e) if n.oracle is not None}
    return {c.oracle for c in p.calls} | before | nodes


def _alone(
    one: Sequence[tuple[int, Oracle, Point]], other: Sequence[tuple[int, Oracle, Point]]
) -> tuple[int, int, Oracle, Point, Point | None] | None:
    """The earliest call of one that the other does not make: whose, step, oracle, point and the nearest to it."""
    found = []
    for who, (mine, theirs) in enumerate(((one, other), (other, one))):
        for step, oracle, point in mine:
            if step > _STEPS:
                break
            there = [p for s, o, p in theirs if o == oracle and s <= step + _AHEAD]
            if all(any(apart(*pair) for pair in zip(point, p, strict=True)) for p in there):
                nearest = min(there, key=lambda p: _distance(point, p), default=None)
                found.append((who, step, oracle, point, nearest))
                break
    return min(found, key=lambda f: f[1], default=None)


def _distance(one: Point, other: Point) -> float:
    return sum(
        abs(_middle(a) - _middle(b)) + abs(_middle(variance(a)) - _middle(variance(b)))
        for a, b in zip(one, other, strict=True)
    )


class _Run(CoordinateValues):
    """A program at numbers, step by step."""

    def __init__(
        self,
        program: Program,
        values: Values,
        slopes: Mapping[str, tuple[sp.Expr, ...]],
        laws: bool = False,
    ) -> None:
        begin: dict[Any, Any] = {s: Fraction(v.p, v.q) for s, v in values.items()}
        lengths = {b.symbol: b.history for b in program.blocks if b.history is not None}
        super().__init__({**begin, start: _X0}, lengths)
        self.program, self.slopes, self.laws = program, slopes, laws
        self.made: list[tuple[int, Oracle, Point]] = []
        self.drawn: list[Point] = []
        self.step = -1

    def calls(self) -> list[tuple[int, Oracle, Point]]:
        """The calls of the first steps: step, oracle, point."""
        program = self.program
        state = {b.symbol: self.first(b.symbol, b.init) for b in program.blocks}
        for self.step in range(_STEPS + _AHEAD + 1):
            self.known.update(state)
            if program.counter is not None:
                self.known[program.counter] = Fraction(self.step)
            self._perform(program.instructions)
            state = {s: self.value(e) for s, e in program.next.items()}
        return self.made

    def _perform(self, instructions: Sequence[Instruction]) -> None:
        """The instructions, by the ways that the guards choose at these numbers."""
        for i in instructions:
            if isinstance(i, Choose):
                branch = i.accept if self._holds(i.guard) else i.reject
                self._perform(branch.instructions)
                self._name(i.names, branch.values)
            elif isinstance(i, Loop):
                self._repeat(i)
            else:
                self.known[i.target] = self._target(i)

    def _repeat(self, i: Loop) -> None:
        """A loop; NoNumber where it does not end soon."""
        self._name(i.names, i.begin)
        for n in range(1, _ITERATIONS + 1):
            self.known[i.count] = Fraction(n)
            self._perform(i.body.instructions)
            ended = n >= self.value(i.limit) if i.until is None else self._holds(i.until)
            self._name(i.names, i.body.values)
            if ended:
                return
            if i.until is not None and n >= self.value(i.limit):
                raise NoNumber("a loop at its limit has no values")
        raise NoNumber("a loop does not end soon")

    def _name(self, names: Sequence[Any], values: Sequence[Any]) -> None:
        """Give names their values, all at once."""
        self.known.update(zip(names, [self.value(e) for e in values], strict=True))

    def _holds(self, guard: Guard) -> bool:
        """Whether a guard holds; NoNumber where that is not certain."""
        if isinstance(guard, Inequality):
            side = sign_of(
                plus(self.value(guard.right), times(Fraction(-1), self.value(guard.left)))
            )
            return side > 0 or (side == 0 and not guard.strict)
        held = [self._holds(part) for part in guard.parts]
        return all(held) if guard.every else any(held)

    def _target(self, i: Plain) -> Any:
        if isinstance(i, CallOracle):
            return self._answer(i)
        if isinstance(i, Assign):
            return self.value(i.value)
        if isinstance(i, Count) and not self.laws:
            return Fraction(1)
        if not isinstance(i, Draw) or i.operates:
            raise NoNumber(f"{i} is not supported")
        # independent variables of mean zero and variance one, or numbers that stand for them
        n = len(self.drawn)
        if self.laws and not i.standardized:
            raise NoNumber(f"{i} is not supported")
        found: Point = tuple(
            Normal(Fraction(0), {(n, c): Fraction(1)}) if self.laws else _possible(i, n, c)
            for c in range(len(_X0))
        )
        self.drawn.append(found)
        return found if isinstance(i.target, VectorSymbol) else found[0]

    def called(self, call: Call) -> Point:
        if call.parameters:
            raise NoNumber(f"{call} is not supported")
        return self._called(
            call.oracle, self.value(call.point), [*map(self.value, call.directions)]
        )

    def derivative(self, e: OracleDerivative) -> Matrix:
        """Diagonal, since the function is a sum over the coordinates."""
        if e.oracle.kind not in _FIELDS or e.parameters:
            raise NoNumber(f"{e} is not supported")
        along = [self.value(Vector.of([(d, sp.S.One)])) for d in e.directions]
        (one, other) = self._slope(e.oracle, self.value(e.point), along, len(along) + 1)
        return (one, self.zero), (self.zero, other)

    def _slope(
        self, oracle: Oracle, point: Point, directions: Sequence[Point], times: int
    ) -> Point:
        """A derivative of the slopes in the coordinates of a point, along directions."""
        slopes = [sp.diff(s, y, times) for s in self.slopes[oracle.of]]
        found = [number(s, {y: c}) for s, c in zip(slopes, point, strict=True)]
        for d in directions:
            found = list(map(self.times, found, d))
        return tuple(found)

    def _called(self, oracle: Oracle, point: Point, directions: Sequence[Point]) -> Point:
        if oracle.kind not in _FIELDS or any(isinstance(c, tuple) for c in point):
            raise NoNumber(f"{oracle.name} is not supported")
        self.made.append((self.step, oracle, point))
        return self._slope(oracle, point, directions, len(directions))

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

    def node(self, node: ScalarNode) -> Number:
        if node.kind != "value" or node.oracle is None:
            return super().node(node)
        heights = [sp.integrate(s, y) for s in self.slopes[node.oracle.of]]
        (point,) = map(self.value, node.arguments)
        return self._sum(number(h, {y: c}) for h, c in zip(heights, point, strict=True))


def _nodes(e: Any) -> set[ScalarNode]:
    """The scalars made of vectors in an expression."""
    if isinstance(e, Vector):
        inside = [p for a in e.terms for p in a.parts()]
        return {n for part in [*e.terms.values(), *inside] for n in _nodes(part)}
    found: set[ScalarNode] = e.atoms(ScalarNode)
    return found | {n for node in found for v in node.arguments for n in _nodes(v)}


def _shown(value: Number) -> sp.Expr:
    value = value.mean if isinstance(value, Normal) else value
    if isinstance(value, Fraction):
        return sp.Rational(value.numerator, value.denominator)
    import mpmath

    return sp.Float(mpmath.mp.make_mpf(value.mid._mpi_[0]), 40)


def _middle(value: Number) -> float:
    value = value.mean if isinstance(value, Normal) else value
    return float(value if isinstance(value, Fraction) else value.mid.a)
