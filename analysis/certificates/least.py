"""The least rate of the Lyapunov inequality of `lmi`, relative to 1 - rate: candidates for exact proofs.

With delta = 1 - rate^2 and the multipliers written as lambda = l - delta nu (l is lambda at the rate 1) it says

    W - delta E >= 0,   E > 0,   nu >= 0,   l - delta nu >= 0,

where W = V - V+ - sum l_ij Q_ij: linear in (P, nu, l), and monotone in delta, which is held itself and never formed
from a rate next to 1. The matrices are formed in high precision in the `coordinates` of the slowest mode.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from .centers import Center, Centers
from .checker import Number
from .coordinates import coordinates, curvatures
from .lmi import STAR, free_pairs, pairs
from .plant import Method, Plant, read
from .precise import context, fraction, unit
from .proof import Proof

_TOLERANCE = 1e-8  # of 1 - rate, relative
SAME = 1e-7  # gaps that are so near, relatively, are the same
MOST = 6  # steps of memory
_POINTS = 8  # gradients in the inequality, beyond which no memory is added unasked
Weights = dict[tuple[int, int], Fraction]


@dataclass(frozen=True)
class Candidate:
    """A Lyapunov function that may prove rates up to a gap.

    Attributes:
        gap: 1 - rate, in floats.
        steps: of memory.
    """

    gap: float
    steps: int
    inequality: LeastRate
    center: Center

    def rounded(self, gap: Fraction, bits: int) -> Proof:
        """P over (x, u / L), nu and lambda at the rate 1 - gap, with so many bits, each relative to its size."""
        P, nu, lam = self.inequality.rounded(self.center.x, gap, bits)
        exact = [[Number(x) for x in row] for row in P]
        first, second = ({ij: Number(w) for ij, w in found.items()} for found in (nu, lam))
        return Proof(Number(1 - gap), self.steps, exact, first, second)


def candidates(plant: Plant, steps: int) -> list[Candidate]:
    """Lyapunov functions with so many steps of memory, the least rate first; none if none was found."""
    for curvature in curvatures(plant):
        try:
            inequality = LeastRate(plant, steps, curvature)
        except (ValueError, ZeroDivisionError):
            continue
        found = inequality.centers.largest(_near)
        if found:
            numbers = [c for c in reversed(found) if np.isfinite(c.x).all()]
            return [Candidate(_gap(c.delta), steps, inequality, c) for c in numbers]
    return []


def least_rate(method: Method, mu: float, L: float, steps: int) -> float:
    """The least rate with so many steps of memory, in floats; infinite if none is found."""
    found = candidates(read(method, mu, L), steps)
    return 1 - found[0].gap if found else math.inf


def _near(c: Center) -> bool:
    """Whether 1 - rate is within the tolerance of the largest."""
    return _gap(min(c.beyond, 1.0)) - _gap(c.delta) < _TOLERANCE * _gap(c.delta)


def _gap(delta: float) -> float:
    """1 - sqrt(1 - delta) without cancellation."""
    return delta / (1 + math.sqrt(max(0.0, 1 - delta)))


class LeastRate:
    """The inequality as data for `Centers`.

    Args:
        plant: the method.
        steps: of memory.
        curvature: of the quadratic that the coordinates are from.
    """

    def __init__(self, plant: Plant, steps: int, curvature: Any) -> None:
        self.of = of = coordinates(plant, steps, curvature)
        self.n, held, count = len(plant.A), of.held, len(of.y)
        early = count - of.calls
        self.of_p = list(combinations_with_replacement(range(held), 2))
        self.of_nu, self.of_l = pairs(early), free_pairs(count)
        mp = context()
        # inequalities divided by (1 - mu / L)^2, which is their size
        narrow = 1 - of.ratio if of.ratio < 1 else mp.mpf(1)
        self.weight = mp.ldexp(mp.mpf(1), -2 * int(mp.nint(mp.log(narrow, 2))))
        slack = {ij: _slack(of.y, of.g, ij, of.ratio) * self.weight for ij in pairs(count)}
        star = self._from_the_minimizer(of.calls, count)
        self.starts = (len(self.of_p), len(self.of_p) + len(self.of_nu))
        self.unknowns = self.starts[1] + len(self.of_l)
        size = len(of.T)
        W, E = (np.zeros((self.unknowns, size, size)) for _ in range(2))
        now, none = unit(size)[:held], unit(size) * 0
        for a, (i, j) in enumerate(self.of_p):
            before, after = (_product(rows, i, j) for rows in (now, of.later))
            E[a], W[a] = before.astype(float), (before - after).astype(float)
        for a, ij in enumerate([*self.of_nu, *self.of_l], self.starts[0]):
            whole = sum((slack[STAR, i] * int(w) for i, w in enumerate(star[:, a]) if w), none)
            if a < self.starts[1]:
                E[a] = -slack[ij].astype(float)
            else:
                whole = whole + slack[ij]
            W[a] = -whole.astype(float)
        self.centers = Centers(
            [(W, E), (E[:, :held, :held].copy(), np.zeros((self.unknowns, held, held)))],
            self._numbers(star),
        )

    def _from_the_minimizer(self, calls: int, count: int) -> Any:
        """The multipliers l from the minimizer to each point, for which the function values cancel."""
        first = len(self.of_p)
        star = np.zeros((count, first + len(self.of_nu) + len(self.of_l)))
        for a, (i, j) in enumerate(self.of_nu, first):
            for point, sign in ((i, 1), (j, -1)):
                if point != STAR:
                    star[point, a] -= sign
                    star[point + calls, a] += sign
        for a, (i, j) in enumerate(self.of_l, first + len(self.of_nu)):
            star[i, a] += 1
            if j != STAR:
                star[j, a] -= 1
        return star

    def _numbers(self, star: Any) -> tuple[Any, Any]:
        """The rows of nu, of l - delta nu, and of those from the minimizer: what is constant, what delta takes."""
        own = np.eye(self.unknowns)
        at = {ij: own[a] for a, ij in enumerate(self.of_nu, self.starts[0])}
        none = np.zeros(self.unknowns)
        constant = [own[self.starts[0] : self.starts[1]], own[self.starts[1] :], star]
        taken = [np.tile(none, (len(self.of_nu), 1)), np.array([at.get(ij, none) for ij in self.of_l]),
                 np.array([at.get((STAR, i), none) for i in range(len(star))])]  # fmt: skip
        return np.vstack(constant), np.vstack(taken)

    def rounded(
        self, x: Any, gap: Fraction, bits: int
    ) -> tuple[list[list[Fraction]], Weights, Weights]:
        """See `Candidate.rounded`."""
        held = self.of.held
        P = np.zeros((held, held))
        for (i, j), entry in zip(self.of_p, x, strict=False):
            P[i, j] = P[j, i] = entry
        sizes = np.sqrt(np.abs(np.diag(P)))
        exact = [
            [_short(P[i, j], bits, sizes[i] * sizes[j]) for j in range(held)] for i in range(held)
        ]
        T = [[fraction(e) for e in row[:held]] for row in self.of.T[:held]]
        weight = fraction(self.weight)
        nu = dict(zip(self.of_nu, x[self.starts[0] : self.starts[1]].tolist(), strict=True))
        delta = float(2 * gap - gap * gap)
        lam = {
            ij: entry - delta * nu.get(ij, 0.0)
            for ij, entry in zip(self.of_l, x[self.starts[1] :].tolist(), strict=True)
        }
        half = _times(exact, T)
        columns = [list(row) for row in zip(*T, strict=True)]
        return _times(columns, half), _weights(nu, weight, bits), _weights(lam, weight, bits)


def _weights(found: Mapping[tuple[int, int], float], unit_: Fraction, bits: int) -> Weights:
    return {ij: unit_ * _short(w, bits, abs(w)) for ij, w in found.items() if w > 0}


def _short(x: float, bits: int, size: float) -> Fraction:
    """A number rounded to so many bits of a size."""
    if not size:
        return Fraction(0)
    grid = Fraction(2) ** (math.frexp(size)[1] - bits)
    return round(Fraction(x) / grid) * grid


def _times(left: list[list[Fraction]], right: list[list[Fraction]]) -> list[list[Fraction]]:
    columns = list(zip(*right, strict=True))
    return [[sum((a * b for a, b in zip(row, c, strict=True) if a and b), Fraction(0)) for c in columns]
            for row in left]  # fmt: skip


def _product(rows: Any, i: int, j: int) -> Any:
    """The form 2 a b of two rows, a^2 of one."""
    found = np.outer(rows[i], rows[j])
    return found if i == j else found + found.T


def _slack(y: Any, g: Any, ij: tuple[int, int], k: Any) -> Any:
    """The quadratic part of the interpolation slack between two points, times 2 (1 - mu / L)."""
    i, j = ij
    none = y[0] * 0
    yi, gi = (none, none) if i == STAR else (y[i], g[i])
    yj, gj = (none, none) if j == STAR else (y[j], g[j])
    dy, dg = yi - yj, gi - gj
    cross = np.outer(dg * k - gj * (1 - k), dy)
    return cross + cross.T - np.outer(dg, dg) - np.outer(dy * k, dy)


def by_memory(plant: Plant, steps: int | None) -> Iterator[list[Candidate]]:
    """Candidates with so many steps of memory; without a number, of more and more until more change nothing."""
    if steps is not None:
        yield candidates(plant, steps)
        return
    calls, best = len(plant.D), 0.0
    for memory in range(1, MOST + 1):
        if memory > 1 and calls * (memory + 1) > _POINTS:
            return
        found = candidates(plant, memory)
        yield found
        least = found[0].gap if found else 0.0
        # the second may change nothing and the third something
        if memory > (2 if calls == 1 else 1) and least <= best * (1 + SAME):
            return
        best = max(best, least)
