"""The least rate of a method's Lyapunov inequality over F(mu, L), relative to 1 - rate: candidates for exact proofs.

Units are L = 1. With s steps of memory, Q_ij >= 0 the interpolation slacks between all gradient points and the
minimizer, and V_k = [x_k; u_k; ...; u_{k+s-1}]' P [...] + sum p_i f_i,

    V - sum nu_ij Q_ij = E > 0,      rate^2 V - V+ - sum lambda_ij Q_ij = D >= 0,      nu, lambda >= 0

prove the rate. The function values have to cancel: that fixes p by nu, and each lambda from the minimizer by the
others, so that only inequalities remain (Taylor, Van Scoy, Lessard, arXiv:1803.06073, in this form). With delta =
1 - rate^2 and the multipliers written as lambda = l - delta nu (l is lambda at the rate 1) it says

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

from ...._support.errors import OdescentError
from ..checking.checker import ONE, STAR, Matrix, Number
from ..checking.elimination import add_form, zeros
from ..methods.coordinates import Matrices, coordinates, curvatures
from ..methods.modes import modal_radii
from ..methods.plant import Method, Plant, read
from ..methods.precise import dyadic, exactly, fraction, unit
from .centers import Center, Centers
from .proof import Proof, free_pairs, pairs

_TOLERANCE = 1e-8  # of 1 - rate, relative
SAME = 1e-7  # gaps that are so near, relatively, are the same
WITHIN = (
    5e-7  # of 1 - rate, relative: farther from the largest than this, doubles have ended the search
)
MOST = 6  # steps of memory
_SLOW = 0.01  # modes that decay less in a step are nothing for doubles alone
_POINTS = 8  # gradients in the inequality, beyond which no memory is added unasked
Weights = dict[tuple[int, int], Number]


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

    def multipliers(self) -> list[float]:
        """nu and lambda, those that do not follow."""
        constant, taken = self.inequality.centers.numbers
        found: list[float] = ((constant - self.center.delta * taken) @ self.center.x).tolist()
        return found[: len(self.inequality.of_nu) + len(self.inequality.of_l)]

    def rounded(self, gap: Fraction, bits: int) -> Proof:
        """P over (x, u / L), nu and lambda at the rate 1 - gap, with so many bits, each relative to its size."""
        return Proof(
            Number(1 - gap), self.steps, *self.inequality.rounded(self.center.x, gap, bits)
        )


def candidates(plant: Plant, steps: int) -> list[Candidate]:
    """Lyapunov functions with so many steps of memory, the least rate first; none if none was found."""
    return _found(Matrices.of(plant), steps, _TOLERANCE)


def _found(method: Matrices, steps: int, tolerance: float) -> list[Candidate]:
    for inequality in _inequalities(method, steps):
        found = inequality.centers.largest(lambda c: near(c, tolerance))
        if found:
            numbers = [c for c in reversed(found) if np.isfinite(c.x).all()]
            return [Candidate(gap_of(c.delta), steps, inequality, c) for c in numbers]
    return []


def _inequalities(method: Matrices, steps: int) -> Iterator[LeastRate]:
    """The inequality in the coordinates in which it is well posed, one or two of them."""
    for curvature in curvatures(method):
        try:
            yield LeastRate(method, steps, curvature)
        except (ValueError, ZeroDivisionError):
            continue


def worst_case_rate(
    algorithm: Method | dict[str, object] | tuple[Any, ...],
    mu: float,
    L: float,
    tol: float = 1e-7,
    steps: int = 2,
) -> float:
    """The smallest rate over F(mu, L) from the Lyapunov inequality, approximately, in floats; inf if none is found.

    The quick function for maps and searches; `certify` proves such a rate.

    Args:
        algorithm: an algorithm with a state-space view, or its matrices (A, B, C) or (A, B, C, D), or a mapping
            of alpha, beta, gamma of the three-parameter form.
        mu, L: the class, 0 < mu <= L.
        tol: how near to the least rate, relative to 1 - rate.
        steps: memory of the Lyapunov function.

    Raises:
        OdescentError: constants that are no class, or a method that `certify` refuses.
    """
    method = _in_floats(algorithm, mu, L)
    found = None if method is None else _found(method, steps, tol)
    return 1 - found[0].gap if found else math.inf


def has_rate(
    algorithm: tuple[Any, ...] | Mapping[str, float],
    mu: float,
    L: float,
    steps: int,
    gap: float = 0.0,
) -> bool:
    """Whether a rate below 1 - gap is found, in floats: less work than the least rate.

    Args:
        algorithm, mu, L, steps: as for `worst_case_rate`.
        gap: at least 0, less than 1.
    """
    method, wanted = _in_floats(algorithm, mu, L), 2 * gap - gap * gap
    if method is None:
        return False
    for inequality in _inequalities(method, steps):
        found = inequality.centers.largest(lambda c: c.delta > wanted or c.beyond < wanted)
        if found and found[-1].delta > wanted:
            return True
    return False


def _in_floats(algorithm: Any, mu: float, L: float) -> Matrices | None:
    """The method, in units L = 1; None where some quadratic of the class is not minimized at a rate below 1."""
    if not 0 <= mu <= L < math.inf:
        raise OdescentError(f"a class requires 0 <= mu <= L, not mu = {mu} and L = {L}.")
    mu, L = float(mu), float(L)  # of SymPy's numbers
    if isinstance(algorithm, tuple):
        A, B, C, *rest = (np.asarray(m, dtype=float) for m in algorithm)
        D = rest[0] if rest else np.zeros((len(C), len(C)))
    elif isinstance(algorithm, dict):
        alpha, beta, gamma = (float(algorithm.get(n, 0.0)) for n in ("alpha", "beta", "gamma"))
        A, B = np.array([[1 + beta, -beta], [1.0, 0.0]]), np.array([[-alpha], [0.0]])
        C, D = np.array([[1 + gamma, -gamma]]), np.zeros((1, 1))
    else:
        A, B, C, D = read(algorithm, mu, L).floats()
    if mu == 0 or not all(np.isfinite(m).all() for m in (A, B, C, D)):
        return None
    # infinite where an implicit step has no solution
    decay = 1 - float(modal_radii(A, B, C, D, mu, L)[1].max())
    if not decay > 0:
        return None
    return Matrices.of_floats((A, B, C, D), mu, L, precise=min(decay, 1 - mu / L) < _SLOW)


def near(c: Center, tolerance: float = _TOLERANCE) -> bool:
    """Whether 1 - rate is so near to the largest, relatively."""
    return gap_of(min(c.beyond, 1.0)) - gap_of(c.delta) < tolerance * gap_of(c.delta)


def gap_of(delta: float) -> float:
    """1 - sqrt(1 - delta) without cancellation."""
    return delta / (1 + math.sqrt(max(0.0, 1 - delta)))


class LeastRate:
    """The inequality as data for `Centers`.

    Args:
        method: its matrices.
        steps: of memory.
        curvature: of the quadratic that the coordinates are from.
    """

    def __init__(self, method: Matrices, steps: int, curvature: Any) -> None:
        self.of = of = coordinates(method, steps, curvature)
        held, count = of.held, len(of.y)
        early = count - of.calls
        entries = held * (held + 1) // 2
        self.of_nu, self.of_l = pairs(early), free_pairs(count)
        # inequalities divided by (1 - mu / L)^2, which is their size
        narrow = float(1 - of.ratio) if of.ratio < 1 else 1.0
        self.weight = type(of.ratio)(2) ** (-2 * round(math.log2(narrow)))
        slack = {ij: _slack(of.y, of.g, ij, of.ratio) * self.weight for ij in pairs(count)}
        self.starts = (entries, entries + len(self.of_nu))
        self.unknowns = self.starts[1] + len(self.of_l)
        self.followed = [_followed(ij, of.calls) for ij in self.of_nu]
        star = self._from_the_minimizer(of.calls, count)
        size = len(of.T)
        W, E = (np.zeros((self.unknowns, size, size)) for _ in range(2))
        own = unit(size, exactly(of.T))
        none = own * 0
        fill(W, E, own, of.later)
        for a, ij in enumerate([*self.of_nu, *self.of_l], self.starts[0]):
            whole = sum((slack[STAR, i] * int(w) for i, w in enumerate(star[:, a]) if w), none)
            if a < self.starts[1]:
                E[a] = -slack[ij].astype(float)
                whole = sum((slack[after] for after in self.followed[a - entries]), whole)
            else:
                whole = whole + slack[ij]
            W[a] = -whole.astype(float)
        self.centers = Centers(
            [(W, E), (E[:, :held, :held].copy(), np.zeros((self.unknowns, held, held)))],
            self._numbers(star),
        )

    def _from_the_minimizer(self, calls: int, count: int) -> Any:
        """The multipliers l from the minimizer to each point, for which the function values cancel."""
        star = np.zeros((count, self.unknowns))
        for a, (i, j) in enumerate(self.of_nu, self.starts[0]):
            for point, sign in ((i, 1), (j, -1)):
                if point != STAR:
                    star[point, a] -= sign
                    star[point + calls, a] += sign
            for i, j in self.followed[a - self.starts[0]]:
                star[i, a] += 1
                star[j, a] -= 1
        for a, (i, j) in enumerate(self.of_l, self.starts[1]):
            star[i, a] += 1
            if j != STAR:
                star[j, a] -= 1
        return star

    def _numbers(self, star: Any) -> tuple[Any, Any]:
        """The rows of nu, of l - delta nu, and of those from the minimizer: what is constant, what delta takes."""
        own = np.eye(self.unknowns)
        at = {ij: own[a] for a, ij in enumerate(self.of_nu, self.starts[0])}
        none, lam = np.zeros(self.unknowns), own[self.starts[1] :].copy()
        for a, after in enumerate(self.followed, self.starts[0]):
            for ij in after:
                lam[self.of_l.index(ij), a] += 1
        constant = [own[self.starts[0] : self.starts[1]], lam, star]
        taken = [np.tile(none, (len(self.of_nu), 1)), np.array([at.get(ij, none) for ij in self.of_l]),
                 np.array([at.get((STAR, i), none) for i in range(len(star))])]  # fmt: skip
        return np.vstack(constant), np.vstack(taken)

    def rounded(self, x: Any, gap: Fraction, bits: int) -> tuple[Matrix, Weights, Weights]:
        """See `Candidate.rounded`.

        Args:
            x: the unknowns of a solution, shape (unknowns,).
            gap: 1 - rate.
            bits: of each number.
        """
        held = self.of.held
        weight = fraction(self.weight)
        found = dict(zip(self.of_nu, x[self.starts[0] : self.starts[1]].tolist(), strict=True))
        nu = _weights(found, weight, bits)
        delta = float(2 * gap - gap * gap)
        lam = {
            ij: Number(weight * dyadic(more - delta * found.get(ij, 0.0), bits))
            for ij, more in zip(self.of_l, x[self.starts[1] :].tolist(), strict=True)
        }
        # to nu as it was rounded: what is left for the minimizer is a difference of the size of delta
        for ij, after in zip(self.of_nu, self.followed, strict=True):
            for pair in after if ij in nu else ():
                lam[pair] += nu[ij]
        exact = back_from(symmetric(x, held), self.of.T[:held, :held], bits)
        return exact, nu, {ij: w for ij, w in lam.items() if w.sign() > 0}


def _followed(ij: tuple[int, int], calls: int) -> list[tuple[int, int]]:
    """The pairs whose multipliers take over the function values of nu_ij one step on, but for delta of them."""
    i, j = ij
    return [(i, i + calls)] * (i != STAR) + [(j + calls, j)] * (j != STAR)


def back_from(P: Any, T: Any, bits: int) -> Matrix:
    """T'P T exactly, with P rounded to so many bits of the size of its rows and columns.

    Args:
        P: symmetric, n x n, in floats.
        T: n x n, dyadic.
        bits: of the entries.
    """
    sizes, n = np.sqrt(np.abs(np.diag(P))), len(P)
    exact = [
        [Number(dyadic(P[i, j], bits, sizes[i] * sizes[j])) for j in range(n)] for i in range(n)
    ]
    into = [[Number(fraction(e)) for e in row] for row in T]
    return add_form(zeros(n), ONE, exact, into)


def _weights(found: Mapping[tuple[int, int], float], unit_: Fraction, bits: int) -> Weights:
    return {ij: Number(unit_ * dyadic(w, bits)) for ij, w in found.items() if w > 0}


def fill(W: Any, E: Any, now: Any, later: Any) -> None:
    """The part of P in V - V+ and in V.

    Args:
        W, E: the parts of all unknowns, P's first, shape (unknowns, size, size).
        now, later: the rows of what V is of, now and one step on.
    """
    for a, (i, j) in enumerate(combinations_with_replacement(range(len(later)), 2)):
        before, after = (product(rows, i, j) for rows in (now, later))
        E[a], W[a] = before.astype(float), (before - after).astype(float)


def symmetric(x: Any, size: int) -> Any:
    """P of the unknowns."""
    P = np.zeros((size, size))
    for (i, j), entry in zip(combinations_with_replacement(range(size), 2), x, strict=False):
        P[i, j] = P[j, i] = entry
    return P


def product(rows: Any, i: int, j: int) -> Any:
    """The form 2 a b of two rows, a^2 of one.

    Args:
        rows: of length n.
        i, j: which.

    Returns:
        Shape (n, n).
    """
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
