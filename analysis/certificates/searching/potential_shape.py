"""The inequalities of a potential function for all steps, linear in its coefficients; see `checker.Potential`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from ..checking.checker import STAR, Number, at, read, reciprocal
from ..methods.plant import to_float

Name: TypeAlias = tuple[
    Any, ...
]  # what it belongs to, the pair of points or entries, and the powers of the clock
_DEGREE = 2


@dataclass(frozen=True)
class Moment:
    """What each unknown does at one v, along the first axis: fractions where v is one, else floats.

    Attributes:
        clock: its value.
        D, E: the forms over (x, u, next u).
        left: the function values that have to cancel, two of D and two of E.
        signs: of each multiplier, its value.
    """

    clock: Any
    D: Any
    E: Any
    left: Any
    signs: Any


class Shape:
    """The unknowns by name, for a method as the statement has it."""

    def __init__(self, statement: Mapping[str, Any]) -> None:
        self._of = {k: _fractions(statement[k]) for k in ("A", "B", "C", "D", "output")}
        self._of |= {k: _fractions(statement[k]) for k in ("step_unit", "point_unit")}
        clock = {k: _fractions(statement["clock"][k]) for k in ("now", "next", "over")}
        self._clock, self.begin = clock, _fractions(statement["rest"])
        self.n, self.whole = len(self.begin), clock == {"now": [0, 1], "next": [1, 1], "over": [1]}
        self.ends = (0, STAR) if statement["bounded"] == "point" else (0, 1, STAR)
        begin = read(statement["clock"]["from"], int(statement["d"]))
        self.least = to_float(begin)
        now, over = (at([Number(c) for c in clock[k]], begin) for k in ("now", "over"))
        self.first = Fraction((now * reciprocal(over)).a)  # the clock begins with a fraction
        down = range(_DEGREE, -1, -1)
        # in the step number k and k + 1 all is a polynomial in k; the square of another clock is left out, for the
        # relation between it and the next one
        joint = [(d, 0) for d in down] if self.whole else [(1, 1), (0, 2), (1, 0), (0, 1), (0, 0)]
        entries = itertools.combinations_with_replacement(range(self.n + 1), 2)
        pairs = [p for p in itertools.permutations((STAR, 0, 1), 2) if p[1] != STAR]
        self.names: list[Name] = [
            *(("growth", d) for d in down), *(("a", d) for d in down),
            *sorted((("Q", *ij, d) for ij in entries for d in down), key=lambda name: -name[-1]),
            *(("lambda", *ij, *powers) for ij in pairs for powers in joint),
            *(("nu", *ij, d) for ij in itertools.permutations(self.ends, 2) for d in down),
            ("first_weights", STAR, 0),
        ]  # fmt: skip
        self.index = {name: i for i, name in enumerate(self.names)}

    def of(self, *what: str) -> list[int]:
        """The places of the unknowns of some kinds."""
        return [k for k, name in enumerate(self.names) if name[0] in what]

    def at(self, v: Any) -> Moment:
        """All at one v; exactly, if it is a fraction."""
        number: Any = float if isinstance(v, float) else Fraction

        kind: Any = float if number is float else object

        def poly(p: Any, x: Any, over: Any = 1) -> Any:
            """Of polynomials in nested lists, or of one."""
            if p and isinstance(p[0], list):
                return np.array([poly(e, x, over) for e in p], dtype=kind)
            return sum((number(c) * x**i for i, c in enumerate(p)), number(0)) / over

        now, later, over = (poly(p, v) for p in self._clock.values())
        t, s, of = now / over, later / over, self._of
        (C, D, _), (C_next, D_next, output) = (
            [poly(of[k], x, poly(of["point_unit"], x)) for k in ("C", "D", "output")]
            for x in (t, s)
        )
        A, B = (poly(of[k], v, poly(of["step_unit"], v)) for k in "AB")
        n, size = self.n, self.n + 2
        one = np.array([[number(i == j) for j in range(size)] for i in range(size)], dtype=kind)
        zero = one[0] * 0
        moved = A @ one[:n] + np.outer(B, one[n])
        before, after = one[: n + 1], np.vstack([moved, one[n + 1 :]])
        y = {0: C @ one[:n] + D * one[n], 1: C_next @ moved + D_next * one[n + 1], STAR: zero}
        ahead, g = {**y, 1: output @ moved}, {0: one[n], 1: one[n + 1], STAR: zero}
        D, E = (np.zeros((len(self.names), size, size), dtype=kind) for _ in range(2))
        left = np.zeros((len(self.names), 4), dtype=kind)
        signs: dict[Name, Any] = {}
        for k, (what, *rest) in enumerate(self.names):
            if what == "growth":
                left[k, 2 + max(self.ends)] -= t ** rest[0]
            elif what == "a":
                left[k] = [t ** rest[0], -(s ** rest[0]), t ** rest[0], number(0)]
            elif what == "Q":
                i, j, d = rest
                E[k] = t**d * _symmetric(before[i], before[j])
                D[k] = E[k] - s**d * _symmetric(after[i], after[j])
            elif what in ("lambda", "nu"):
                i, j, *powers = rest
                weight = t ** powers[0] * (s ** powers[1] if what == "lambda" else 1)
                into, points, first = (D, y, 0) if what == "lambda" else (E, ahead, 2)
                dy, dg = points[i] - points[j], g[i] - g[j]
                into[k] = weight * (2 * _symmetric(g[j], dy) + _symmetric(dg, dg))
                for point, sign in ((i, -2), (j, 2)):
                    if point != STAR:
                        left[k, first + point] += sign * weight
                signs.setdefault((what, i, j), np.zeros(len(self.names), dtype=kind))[k] = weight
        return Moment(t, D, E, left, np.array(list(signs.values())))

    def start(self) -> tuple[Any, Any, Any]:
        """S over (x_0, u_0): its constant and its linear part; and the function value that is left, linear."""
        count = len(self.names)
        S, left = np.zeros((count, 2, 2)), [Fraction(0)] * count
        far = np.array([[float(x), 0.0] for x in self.begin] + [[0.0, 1.0]])
        D, unit = (
            sum(c * self.first**i for i, c in enumerate(self._of[k])) for k in ("D", "point_unit")
        )
        reads = float(D / unit)
        y, u = np.array([1.0, reads]), far[-1]
        for k, (what, *rest) in enumerate(self.names):
            if what == "a":
                left[k] = -(self.first ** rest[0])
            elif what == "Q":
                i, j, d = rest
                S[k] = -(float(self.first) ** d) * _symmetric(far[i], far[j])
            elif what == "first_weights":
                S[k] = _symmetric(u, u) - 2 * _symmetric(u, y)
                left[k] = Fraction(2)
        return np.diag([1.0, 0.0]), S, left

    def witness(self, values: list[Fraction]) -> tuple[list[str], dict[str, Any]]:
        """The growth and the rest of the unknowns as `checker.Potential` reads them."""
        lists: dict[str, Any] = {"lambda": {}, "nu": {}, "Q": {}, "a": {}, "growth": {}}
        first: dict[str, str] = {}
        for (what, *rest), x in zip(self.names, values, strict=True):
            if not x:
                continue
            key = f"{rest[0]},{rest[1]}" if len(rest) > 1 else ""
            if what == "first_weights":
                first[key] = str(x)
            elif what == "lambda":
                lists[what].setdefault(key, {})[f"{rest[2]},{rest[3]}"] = str(x)
            else:
                lists[what].setdefault(key, {})[rest[-1]] = x
        whole = {
            what: {key: _listed(p) for key, p in lists[what].items()}
            for what in ("nu", "Q", "a", "growth")
        }
        return whole["growth"].get("", []), {
            "a": whole["a"].get("", []), "Q": whole["Q"], "lambda": lists["lambda"],
            "nu": whole["nu"], "first": first,
        }  # fmt: skip


def _listed(powers: Mapping[int, Fraction]) -> list[str]:
    """Coefficients, lowest first."""
    return [str(powers.get(k, Fraction(0))) for k in range(max(powers) + 1)]


def _fractions(texts: Any) -> Any:
    """Of rational numbers as text, in nested lists."""
    return [_fractions(x) for x in texts] if isinstance(texts, list) else Fraction(texts)


def _symmetric(u: Any, v: Any) -> Any:
    return (np.outer(u, v) + np.outer(v, u)) / 2
