"""Curves of special points in two parameters, with the points of codimension two on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from ..._support.errors import OdescentError
from ..._support.numbers import real
from ..._support.rendering.brief import quantity, short
from ..._support.rendering.drawable import drawn
from ..._support.rendering.rendered import Rendered
from . import normal_forms
from .branch import BranchSource
from .critical import BRANCH, FLIP, FOLD, HOPF, TORUS, StationaryProblem, second, slope_of
from .curve import CurvePoint, Vector, Zero, between, first_tangent, follow, point_at, root
from .field import Forms
from .special import Located, SpecialPoint, rounded

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Test = Callable[[Vector], float]
_UNFOLDED = 1e-9


@dataclass(frozen=True)
class DoublePoint(Rendered):
    """A point of a curve at which a second condition holds (codimension two).

    Attributes:
        values: of the two parameters.
        kind: "cusp", "Bogdanov-Takens", "generalized Hopf" (Bautin), "zero-Hopf", "generalized flip", "Chenciner",
            "1:1", "1:2", "1:3" or "1:4 resonance", "degenerate pitchfork".
        x: output there.
    """

    values: tuple[float, float]
    kind: str
    x: np.ndarray


@dataclass(frozen=True)
class CriticalCurve(Rendered):
    """A curve of special points of one kind in two parameters.

    Attributes:
        kind: "fold", "branch point", "Hopf", "period doubling" or "Neimark-Sacker".
        parameters: their names.
        values: shape (n, 2).
        x: output, shape (n, *x0.shape).
        frequencies: of Hopf points per unit of time, angles of Neimark-Sacker points per step, else zero; shape (n,).
        special: points of codimension two, in the order of the curve.
        ends: why it ends at its first and at its last point.
        name: the map, method or flow.
    """

    kind: str
    parameters: tuple[str, str]
    values: Float[np.ndarray, "n 2"]
    x: Float[np.ndarray, "n ..."]
    frequencies: Float[np.ndarray, " n"]
    special: tuple[DoublePoint, ...]
    ends: tuple[str, str]
    name: str

    def __str__(self) -> str:
        p, q = self.parameters
        n = len(self.values)
        rows = [f"{self.name}: {self.kind} curve in ({p}, {q}), {quantity(n, 'point')}"]
        for s in self.special:
            rows.append(f"  {p} = {s.values[0]:.12g}, {q} = {s.values[1]:.12g}  {s.kind}")
        rows += [f"  ends: {said}" for said in dict.fromkeys(self.ends)]
        return "\n".join(rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "name": self.name,
            "kind": self.kind,
            "parameters": list(self.parameters),
            "values": self.values.tolist(),
            "x": self.x.tolist(),
            "frequencies": self.frequencies.tolist(),
            "special": [
                {"kind": s.kind, "values": list(s.values), "x": s.x.tolist()} for s in self.special
            ],
            "ends": list(self.ends),
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curve in the plane of its two parameters, with the points of codimension two.

        Args:
            ax: the axes to draw into; None makes a figure.
        """
        return drawn(self, ax)


def critical_curve(
    source: BranchSource, point: SpecialPoint, second: str, interval: tuple[float, float]
) -> CriticalCurve:
    """The curve of a special point in the parameter of a continuation and a second one.

    Args:
        source: of the continuation on which the point was found.
        point: the special point.
        second: the second parameter.
        interval: (low, high), in which it is varied.

    Raises:
        OdescentError: an unknown parameter, a bad interval, or a point that has no curve.
    """
    names, at = source.field.names, point.found
    first = names[source.active]
    if second not in names or second == first:
        rest = [n for n in names if n != first]
        raise OdescentError(
            f"the second parameter must be one of {', '.join(rest) or 'none'}, not {short(second)}."
        )
    low, high = (real(v) for v in interval)
    number = names.index(second)
    here = float(source.values[number])
    if not (np.isfinite([low, high]).all() and low <= here <= high and low < high):
        raise OdescentError(
            f"{second} must be varied in an interval (low, high) around its value {here:g}, not {short(interval)}."
        )
    if not isinstance(at, Located) or not at.vector.any():
        raise OdescentError(f"the {point.kind} point at {point.value:.6g} is not known exactly.")
    return _Walk(source, point, at, number, (low, high)).curve()


class _Walk:
    """The curve from one special point to both sides."""

    def __init__(
        self, source: BranchSource, point: SpecialPoint, at: Located, number: int, interval: tuple[float, float]
    ) -> None:  # fmt: skip
        self.source, self.at, self.kind = source, at, at.kind
        self.problem: StationaryProblem = source.problem(
            1 if source.field.flow else int(point.period or 1)
        )
        self.n = len(at.vector)
        self.active = [source.active, number]
        cut = np.zeros(self.n)
        values = source.values.copy()
        values[source.active] = at.y[-1]
        if self.kind in (HOPF, TORUS):
            cut = second(slope_of(self.problem, at.y[:-1], values), self.kind, at.scalar, at.vector)
        scalars = [at.scalar] if self.kind in (HOPF, TORUS, BRANCH) else []
        self.start = np.concatenate(
            [at.y[:-1], at.vector, scalars, [at.y[-1], source.values[number]]]
        )
        self.zero: Zero = self.problem.system(
            self.kind, {source.active: source.interval, number: interval}, cut
        )
        self.special: list[tuple[DoublePoint, Vector]] = []
        self.left: Vector | None = None

    def curve(self) -> CriticalCurve:
        weights = self.zero.weights(self.start)
        first = first_tangent(
            self.zero.evaluate(self.start)[1], weights, np.eye(len(self.start))[-1]
        )
        start = point_at(self.zero, self.start, first)
        if start is None:
            value = self.at.y[-1] * self.source.field.units.value
            raise OdescentError(
                f"the {self.kind} point at {value:.6g} has no curve in these two parameters."
            )
        halves, ends, special = [], [], []
        for sign in (-1.0, 1.0):
            self.special = []
            begin = CurvePoint(start.y, sign * start.tangent, start.slope)
            half, said = follow(self.zero, begin, self.source.steps, self.watch)
            halves.append([p.y for p in half if self.inside(p.y)])
            if said.startswith("at a ") and self.special:
                halves[-1].append(self.special[-1][1])
            ends.append(said)
            special.append([s for s, _ in self.special])
            if said == "the branch closes":
                halves, ends, special = [[], halves[-1]], [said, said], [[], special[-1]]
                break
        y = np.stack([*reversed(halves[0][1:]), *halves[1]])
        values = np.tile(self.source.values, (len(y), 1))
        values[:, self.active] = y[:, -2:]
        x = self.source.field.points(y[:, : self.n], values)[:, 0]
        k = y[:, 2 * self.n] if self.kind in (HOPF, TORUS) else np.zeros(len(y))
        angle = np.sqrt(np.maximum(k, 0)) if self.kind == HOPF else np.arccos(np.clip(k, -1, 1))
        names, units = self.source.field.names, self.source.field.units
        turns = angle / units.time if self.kind in (HOPF, TORUS) else np.zeros(len(y))
        return CriticalCurve(
            self.kind, (names[self.active[0]], names[self.active[1]]), y[:, -2:] * [units.value, 1.0], x, turns,
            (*reversed(special[0]), *special[1]), (ends[0], ends[1]), self.source.field.name,
        )  # fmt: skip

    def inside(self, y: Vector) -> bool:
        """Whether the point is of its kind: beyond a resonance or a double zero the critical eigenvalues are real."""
        if self.kind not in (HOPF, TORUS, BRANCH):
            return True
        k = float(y[2 * self.n])
        if self.kind == BRANCH:
            return abs(k) <= _UNFOLDED
        return k >= 0 if self.kind == HOPF else abs(k) <= 1

    def watch(self, a: CurvePoint, b: CurvePoint) -> str | None:
        """Points of codimension two between two neighbours; where they end the curve, the sentence."""
        if self.kind == BRANCH:
            return self._branches(b)
        last = None
        for kind, test in self.tests(a):
            part = root(self.zero, a, b, at_point(test))
            if part is None:
                continue
            here = between(self.zero, a, b, part)
            if here is None:
                continue
            y = here.y
            values = self.values(y)
            x = self.source.field.points(y[None, : self.n], values[None])[0, 0]
            first = rounded(y[-2]) * self.source.field.units.value
            made = DoublePoint((first, rounded(y[-1])), kind, x)
            self.special.append((made, y))
            last = made
        if last is not None and not self.inside(b.y):
            return f"at a {last.kind} point"
        return None if self.inside(b.y) else "at the end of the critical eigenvalues"

    def _branches(self, b: CurvePoint) -> str | None:
        return None if self.inside(b.y) else "the second parameter breaks the branch point up"

    def values(self, y: Vector) -> np.ndarray:
        """All parameters at a point."""
        values = self.source.values.copy()
        values[self.active] = y[-2:]
        return values

    def forms(self, y: Vector) -> tuple[Forms, np.ndarray]:
        """The derivatives there, and G_u."""
        u, values = y[: self.n], self.values(y)
        return Forms(self.problem.zero, u, values, self.active[0]), slope_of(
            self.problem, u, values
        )

    def tests(self, a: CurvePoint) -> list[tuple[str, Test]]:
        """Names and functions of the second conditions; signs are oriented by the point before."""
        n, flow = self.n, self.source.field.flow
        if self.kind == FOLD:
            reference = _left(self.forms(a.y)[1])

            def oriented(y: Vector) -> tuple[Forms, Vector]:
                forms, slope = self.forms(y)
                p = _left(slope)
                return forms, p if p @ reference >= 0 else -p

            def cusp(y: Vector) -> float:
                forms, p = oriented(y)
                return float(p @ forms(y[n : 2 * n], y[n : 2 * n]))

            double: Test = lambda y: float(oriented(y)[1] @ y[n : 2 * n])
            return [("cusp", cusp), ("Bogdanov-Takens" if flow else "1:1 resonance", double)]
        if self.kind == FLIP:
            return [
                ("generalized flip", lambda y: normal_forms.flip(*self.forms(y))),
                ("1:2 resonance", self._flip_double(a)),
            ]
        scalar: Test = lambda y: float(y[2 * n])
        if self.kind == HOPF:

            def lyapunov(y: Vector) -> float:
                k = scalar(y)
                return normal_forms.hopf(*self.forms(y), np.sqrt(k)) if k > 1e-8 else np.nan

            found: list[tuple[str, Test]] = [
                ("generalized Hopf", lyapunov),
                ("Bogdanov-Takens", scalar),
            ]
            if n > 2:
                found.append(("zero-Hopf", lambda y: float(np.linalg.det(self.forms(y)[1]))))
            return found

        def radius(y: Vector) -> float:
            k = scalar(y)
            return normal_forms.torus(*self.forms(y), np.arccos(k)) if abs(k) < 1 - 1e-8 else np.nan

        return [
            ("Chenciner", radius),
            ("1:1 resonance", lambda y: scalar(y) - 1),
            ("1:2 resonance", lambda y: scalar(y) + 1),
            ("1:3 resonance", lambda y: scalar(y) + 0.5),
            ("1:4 resonance", scalar),
        ]

    def _flip_double(self, a: CurvePoint) -> Callable[[Vector], float]:
        """Of the multiplier -1: the product of its left and right vectors, zero where it is double."""
        n = self.n
        shifted: Callable[..., Any] = lambda y: self.forms(y)[1] + 2 * np.eye(n)
        reference = _left(shifted(a.y))

        def test(y: Vector) -> float:
            p = _left(shifted(y))
            return float((p if p @ reference >= 0 else -p) @ y[n : 2 * n])

        return test


def at_point(test: Test) -> Callable[[CurvePoint], float]:
    """A test function of the unknowns as one of points."""
    return lambda here: test(here.y)


def _left(slope: np.ndarray) -> Vector:
    """The left null vector, of length 1."""
    made: Vector = np.linalg.svd(slope)[0][:, -1]
    return made


__all__ = ["CriticalCurve", "DoublePoint", "critical_curve"]
