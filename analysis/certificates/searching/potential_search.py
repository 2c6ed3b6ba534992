"""The search for one potential function for all steps: semidefinite programs, rounded one number at a time.

The cancellation of function values, and the independence of D from the minimizer, are linear equations with rational
coefficients, solved exactly. What is left are inequalities at every step. Imposed at some steps they are a
semidefinite program, which says how large growth can be; then one coefficient after the other is given the simplest
fraction in the interval that is left for it (Taylor, Bach, arXiv:1902.00947, fix the shape of V and fit; here the fit
is in the program). The best potentials have no strict inequality to round towards, which is why numbers are fixed one
by one and not all at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Float

from .centers import Center, Centers
from .potential_shape import Name, Shape

_NEAR = (0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 30.0)  # steps, or v relative to its least less one
_NEARBY = 1e-6  # of the largest value of an unknown
_FAR = 1e6  # an unknown that may be so large may be any
_ROOM = 1e-7  # by which inequalities may fail in floats
# of the growth that seems possible: first all, then what the simplest potential has, then less
_SHARES = (1.0, None, 0.9, 0.7)


class Flat:
    """The solutions of linear equations: each unknown as a constant and a combination of free ones, in fractions."""

    def __init__(self, count: int) -> None:
        self.rows: list[tuple[Fraction, dict[int, Fraction]]] = [
            (Fraction(0), {k: Fraction(1)}) for k in range(count)
        ]

    def copy(self) -> Flat:
        """Another, to go on with."""
        found = Flat(0)
        found.rows = list(self.rows)
        return found

    @property
    def free(self) -> list[int]:
        """The unknowns that the others follow from."""
        return sorted({k for _, row in self.rows for k in row})

    def require(self, weights: Mapping[int, Fraction], value: Fraction = Fraction(0)) -> bool:
        """Add the equation sum weights x = value; False if it contradicts those before."""
        constant, row = -value, dict[int, Fraction]()
        for k, w in weights.items():
            constant += w * self.rows[k][0]
            for f, x in self.rows[k][1].items():
                row[f] = row.get(f, Fraction(0)) + w * x
        row = {f: x for f, x in row.items() if x}
        if not row:
            return not constant
        pivot = max(row)  # multipliers follow from the potential
        scale = -1 / row.pop(pivot)
        for k, (c, old) in enumerate(self.rows):
            if pivot in old:
                factor = old[pivot] * scale
                new = {f: x for f, x in old.items() if f != pivot}
                for f, x in row.items():
                    new[f] = new.get(f, Fraction(0)) + factor * x
                self.rows[k] = (c + factor * constant, {f: x for f, x in new.items() if x})
        return True

    def floats(self) -> tuple[Float[np.ndarray, " count"], Float[np.ndarray, "count free"]]:
        """The same as arrays."""
        place = {f: i for i, f in enumerate(self.free)}
        linear = np.zeros((len(self.rows), len(place)))
        for k, (_, row) in enumerate(self.rows):
            for f, x in row.items():
                linear[k, place[f]] = float(x)
        return np.array([float(c) for c, _ in self.rows]), linear


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
                yield shape.witness([c for c, _ in found.rows])


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
        if flat.rows[k][1]:
            most = _most(program, flat, d)
            low = Fraction(0.95 * share * most if 1e-3 < most < math.inf else 0.0)
            flat.require({k: Fraction(1)}, simplest(low, Fraction(share * most)) if low else Fraction(0))  # fmt: skip


def _rounded(
    program: PotentialInequalities, flat: Flat, which: Sequence[int], inside: bool
) -> Flat | None:
    """Some unknowns as fractions, each the simplest that the inequalities leave; None if that ends nowhere."""
    at = program.over(flat)
    for k in which:
        if not flat.rows[k][1]:
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
