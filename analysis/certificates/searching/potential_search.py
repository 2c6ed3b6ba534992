"""The search for one potential function for all steps: semidefinite programs, rounded one number at a time.

The cancellation of function values, and the independence of D from the minimizer, are linear equations with rational
coefficients, solved exactly. What is left are inequalities at every step. Imposed at some steps they are a
semidefinite program, which says how large growth can be; then one coefficient after the other is given the simplest
fraction in the interval that is left for it (Taylor, Bach, arXiv:1902.00947, fix the shape of V and fit; here the fit
is in the program). The best potentials have no strict inequality to round towards, which is why numbers are fixed one
by one and not all at once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

from ..checking.checker import STAR, Number, at, reciprocal
from ..checking.document import as_number
from ..methods.plant import to_float
from .centers import Center, Centers

_NEAR = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 30.0)  # steps, or v relative to its least less one
_NEARBY = 1e-6  # of the largest value of an unknown
_FAR = 1e6  # an unknown that may be so large may be any
_ROOM = 1e-7  # by which inequalities may fail in floats
# of the growth that seems possible: first all, then what the simplest potential has, then less
_SHARES = (1.0, None, 0.9, 0.7)


class Flat:
    """The solutions of linear equations: each unknown as a constant and a combination of free ones, in fractions."""

    def __init__(self, count: int) -> None:
        # by unknown, the factors of the free ones, and the constant last
        self.rows = np.array(
            [[Fraction(int(i == j)) for j in range(count + 1)] for i in range(count)], dtype=object
        )

    def copy(self) -> Flat:
        """Another, to go on with."""
        found = copy(self)
        found.rows = self.rows.copy()
        return found

    @property
    def free(self) -> list[int]:
        """The unknowns that the others follow from."""
        return np.flatnonzero(self.rows[:, :-1].any(0)).tolist()

    def varies(self, k: int) -> bool:
        """Whether an unknown is not fixed yet."""
        return bool(self.rows[k, :-1].any())

    def require(self, weights: Mapping[int, Fraction], value: Fraction = Fraction(0)) -> bool:
        """Add the equation sum weights x = value; False if it contradicts those before."""
        row = sum((w * self.rows[k] for k, w in weights.items()), 0 * self.rows[0])
        row[-1] -= value
        used = np.flatnonzero(row)
        if not row[:-1].any():
            return not len(used)
        pivot = np.flatnonzero(row[:-1])[-1]  # multipliers follow from the potential
        at = np.flatnonzero(self.rows[:, pivot])
        self.rows[np.ix_(at, used)] -= np.outer(self.rows[at, pivot] / row[pivot], row[used])
        return True

    def floats(self) -> tuple[Float[np.ndarray, " count"], Float[np.ndarray, "count free"]]:
        """The same as arrays."""
        return self.rows[:, -1].astype(float), self.rows[:, self.free].astype(float)


def equations(shape: Shape) -> Flat:
    """What must hold identically: function values cancel, and D does not know how far the minimizer is."""
    flat, dry, v = Flat(len(shape.names)), 0, math.ceil(shape.least) + 2
    rest = np.array([*shape.begin, Fraction(0), Fraction(0)], dtype=object)
    _, _, left = shape.start()
    flat.require(dict(enumerate(left)))
    while dry < 2:
        moment, before = shape.at(Fraction(v)), len(flat.free)
        for column in (*moment.left.T, *(moment.D @ rest).T):
            flat.require({k: Fraction(x) for k, x in enumerate(column) if x})
        dry, v = dry + 1 if len(flat.free) == before else 0, v + 1
    return flat


class PotentialInequalities:
    """The inequalities at some steps, in floats."""

    def __init__(self, shape: Shape, far: Sequence[float]) -> None:
        self.shape = shape
        n, size = shape.n, shape.n + 2
        at_rest = next(i for i, x in enumerate(shape.begin) if x)
        # coordinates: the state at rest, and the others
        into = np.eye(size)
        into[:n, at_rest] = [float(x) for x in shape.begin]
        constant, start, _ = shape.start()
        self.blocks, signs = (
            [(constant, start)],
            [np.eye(len(shape.names))[shape.index["first_weights", -1, 0]]],
        )
        signs += [
            np.eye(len(shape.names))[k] for name, k in shape.index.items() if name[0] == "growth"
        ]
        others = [i for i in range(size) if i != at_rest]
        ends = range(size if len(shape.ends) == 3 else size - 1)
        for x in (*_NEAR, *far):
            moment = shape.at(shape.least + x if shape.whole else shape.least * (1 + x / 2))
            grown = 1 + abs(moment.clock)
            scale = np.full(size, 1 / grown)
            scale[at_rest] = 1.0
            D, E = ((into.T @ M @ into) * np.outer(scale, scale) for M in (moment.D, moment.E))
            self.blocks += [(0.0, D[:, others][:, :, others]), (0.0, E[:, ends][:, :, ends])]
            signs += list(moment.signs / grown**2)
        self.signs = np.array(signs)

    def only(self, part: str) -> PotentialInequalities:
        """With the inequalities of D, or of E, alone."""
        found = copy(self)
        found.blocks = self.blocks[1 + (part == "E") :: 2]
        return found

    def over(self, flat: Flat) -> Inside:
        """The inequalities over the free unknowns."""
        constant, linear = flat.floats()
        blocks = []
        for fixed, block in self.blocks:
            whole = fixed + np.tensordot(constant, block, 1) + _ROOM * np.eye(block.shape[1])
            blocks.append(np.concatenate([np.tensordot(linear.T, block, 1), whole[None]]))
        signs = np.column_stack([self.signs @ linear, self.signs @ constant + _ROOM])
        return Inside(constant, linear, blocks, signs)


class Inside:
    """The unknowns for which the inequalities hold, but for a little room: z of x = constant + linear z.

    ``point`` is one of them, (z, 1); None if none was found.
    """

    def __init__(self, constant: Any, linear: Any, blocks: list[Any], signs: Any) -> None:
        self.constant, self.linear = constant, linear
        self.blocks = [(block, 0 * block) for block in blocks]
        moving = np.abs(signs[:, :-1]).max(1, initial=0.0) > 0
        self.one = np.eye(signs.shape[1])[-1]
        self.rows = np.vstack([signs[moving], self.one])
        self.point: Any = None
        if not (signs[~moving, -1] < 0).any():
            found = Centers(self.blocks, (self.rows, 0 * self.rows)).first()
            self.point = None if found is None else found / found[-1]

    def largest(self, k: int, sign: float = 1.0) -> float:
        """Of x_k, or of -x_k for the sign -1, about the largest value; nan if there is none."""
        if self.point is None:
            return math.nan
        row = sign * np.append(self.linear[k], self.constant[k])
        value = float(row @ self.point)
        # row (z, t) > delta t, from far enough below the point
        rows, taken = np.vstack([self.rows, row]), np.vstack([0 * self.rows, self.one])
        found = Centers(self.blocks, (rows, taken)).follow(
            self.point, value - max(1.0, abs(value)), _settled
        )
        return float(row @ found[-1].x / found[-1].x[-1]) if found else value


def _settled(at: Center) -> bool:
    return at.beyond - at.delta < _NEARBY * max(1.0, abs(at.delta)) or at.delta > _FAR


def simplest(low: Fraction, high: Fraction) -> Fraction:
    """The fraction of least denominator, and then size, in an interval."""
    low, high = min(low, high), max(low, high)
    if low <= 0 <= high:
        return Fraction(0)
    if high < 0:
        return -simplest(-high, -low)
    whole = math.ceil(low)
    if whole <= high:
        return Fraction(whole)
    return whole - 1 + 1 / simplest(1 / (high - whole + 1), 1 / (low - whole + 1))


def candidates(statement: Mapping[str, Any]) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """Growths and witnesses that may be proofs, best growth first."""
    shape = Shape(statement)
    whole = equations(shape)
    far, near = (
        PotentialInequalities(shape, (100.0, 1e3, 1e4)),
        PotentialInequalities(shape, (100.0,)),
    )
    later = PotentialInequalities(shape, (100.0, 1e3, 1e4, 1e5))
    leading, flat = _leading(far, whole.copy())
    if leading is None:
        return
    lower = range(leading - 1, -1, -1)
    for share in _SHARES:
        slower = flat.copy()
        if share is not None:
            _grow(far, slower, lower, share)
        starts = [(_sparse(far, slower), far, True)]
        starts += [(slower, near, True)] if share is not None else []
        for start, program, inside in starts:
            found = _rounded(program, start.copy(), shape.of("a", "Q", "first_weights"), inside)
            if found is not None:
                found = _rounded(later.only("D"), found, shape.of("lambda"), inside)
            if found is not None:
                _grow(later.only("E"), found, lower, 0.99)
                found = _rounded(later.only("E"), found, shape.of("nu"), inside)
            if found is not None:
                yield shape.witness(found.rows[:, -1].tolist())


def _sparse(program: PotentialInequalities, flat: Flat) -> Flat:
    """With all polynomials zero that can be, one after the other."""
    groups: dict[Name, list[int]] = {}
    for name, k in program.shape.index.items():
        if name[0] in ("Q", "lambda", "nu"):
            groups.setdefault(name[:3], []).append(k)
    for group in groups.values():
        trial = flat.copy()
        kept = [trial.require({k: Fraction(1)}) for k in group]
        if all(kept) and program.over(trial).point is not None:
            flat = trial
    return flat


def _most(program: PotentialInequalities, flat: Flat, d: int) -> float:
    return program.over(flat).largest(program.shape.index["growth", d])


def _leading(program: PotentialInequalities, flat: Flat) -> tuple[int | None, Flat]:
    """The degree of the growth, and its largest leading coefficient fixed, simple where it can be; None if none."""
    for d in (2, 1, 0):
        most, chosen = _most(program, flat, d), Fraction(0)
        if not math.isfinite(most):
            break
        if most > 0.01:
            chosen = simplest(Fraction(0.98 * most), Fraction(1.0005 * most))
        flat.require({program.shape.index["growth", d]: Fraction(1)}, chosen)
        if chosen:
            return d, flat
    return None, flat


def _grow(program: PotentialInequalities, flat: Flat, lower: Iterable[int], share: float) -> None:
    """Fix the other coefficients of growth where they are free, at such a share of what they can be."""
    for d in lower:
        k = program.shape.index["growth", d]
        if flat.varies(k):
            most = _most(program, flat, d)
            low = Fraction(0.95 * share * most if 1e-3 < most < math.inf else 0.0)
            flat.require({k: Fraction(1)}, simplest(low, Fraction(share * most)) if low else Fraction(0))  # fmt: skip


def _rounded(
    program: PotentialInequalities, flat: Flat, which: Sequence[int], inside: bool
) -> Flat | None:
    """Some unknowns as fractions, each the simplest that the inequalities leave; None if that ends nowhere."""
    at = program.over(flat)
    for k in which:
        if not flat.varies(k):
            continue
        low, high = -at.largest(k, -1.0), at.largest(k)
        if not (math.isfinite(low) and math.isfinite(high)):
            return None
        for chosen in _choices(low, high, inside):
            trial = flat.copy()
            trial.require({k: Fraction(1)}, chosen)
            there = program.over(trial)
            if there.point is not None:
                flat, at = trial, there
                break
        else:
            return None
    return flat


def _choices(low: float, high: float, inside: bool) -> Iterator[Fraction]:
    """Simple numbers of an interval that may be a point: the simplest of all first, or of those well inside."""
    middle, width = (low + high) / 2, abs(high - low)
    size = max(1.0, abs(middle))
    whole = simplest(Fraction(low - 1e-3 * size), Fraction(high + 1e-3 * size))
    if width > 0.02 * size:
        within = simplest(Fraction(low + width / 3), Fraction(high - width / 3))
        yield from (within, whole) if inside and width > 0.1 * size else (whole, within)
        return
    for part in (1e-2, 1e-3, 1e-4, 1e-5):
        if part * size < max(width, 2e-4 * size) * 4:
            yield simplest(Fraction(middle - part * size), Fraction(middle + part * size))
    yield Fraction(0)


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
        begin = as_number(statement["clock"]["from"], int(statement["d"]))
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
