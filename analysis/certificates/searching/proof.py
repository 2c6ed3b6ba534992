"""Proofs of a rate over F(mu, L) in exact numbers, before they are documents.

At a rate that a quadratic attains there are identities known in form, to be checked for a method (`attained`): for one
gradient per step, with V over (x_k, u_k / L), bounding the output. None of these depends on the size of L / mu or on
floats.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import permutations
from typing import Any

from ..checking.checker import HALF, ONE, STAR, ZERO, Method, Number, Refused, poles, within
from ..checking.document import sealed, text
from ..checking.elimination import add_square, dot
from ..checking.field import reciprocal
from ..methods.modes import SlowestMode, characteristic, modal, trajectories
from ..methods.plant import Matrix, NoCertificate, Plant
from ..methods.statement import rate_document, statement
from .inequality_rows import InequalityRows

Weights = Mapping[tuple[int, int], Number]


@dataclass(frozen=True)
class Proof:
    """What `checker.check_rate` needs of a Lyapunov function, still to be checked.

    Attributes:
        rate: that is proved.
        steps: of memory.
        P, nu, lam: as in the document.
        weight: of |x+ - share x|^2, x the output, which the Lyapunov function is at least; None where it is positive
            definite in the whole state.
        share: less than the rate, so that x decays where x+ - share x does.
    """

    rate: Number
    steps: int
    P: Matrix
    nu: Weights
    lam: Weights
    weight: Number | None = None
    share: Number = ZERO

    def document(self, plant: Plant) -> dict[str, Any]:
        """As plain data."""
        return rate_document(
            plant, self.rate, self.steps, self.P, self.nu, self.lam, self.weight, self.share
        )

    def raised(self, rate: Number) -> Proof:
        """The same at a larger rate: with lambda + (rate^2 - its own^2) nu the decrease gains that many E."""
        more = rate * rate - self.rate * self.rate
        lam = dict(self.lam)
        for (i, j), x in self.nu.items():
            if i != STAR:  # those follow
                lam[i, j] = lam.get((i, j), ZERO) + more * x
        return replace(self, rate=rate, lam=lam)


def pairs(points: int) -> list[tuple[int, int]]:
    """All ordered pairs of different points, the minimizer among them."""
    return list(permutations(range(STAR, points), 2))


def free_pairs(points: int) -> list[tuple[int, int]]:
    """The pairs whose multipliers are unknowns of the decrease: not those from the minimizer."""
    return [(i, j) for i, j in pairs(points) if i != STAR]


def inequality(plant: Plant, rate: Number, steps: int) -> InequalityRows:
    """The checker's own form of what is to be proved.

    Args:
        plant: the method.
        rate: that is claimed.
        steps: of memory.
    """
    return InequalityRows(Method(statement(plant, rate), steps))


def attained(plant: Plant, rate: Number) -> Iterator[Proof]:
    """Candidates at the rate, still to be checked."""
    if not plant.exact or len(plant.D) != 1:
        return
    it, along = inequality(plant, rate, 1), trajectories(plant, rate, 1)
    yield from _distance(it, rate, along)
    for share in _other_poles(plant, rate):
        yield from _with_function_value(it, rate, along, share)


def _other_poles(plant: Plant, rate: Number) -> list[Number]:
    """0, and of two states what is beside the rate on the quadratic of curvature mu: z+ = x+ - that x decays alone."""
    found = [ZERO]
    if len(plant.A) == 2:
        try:
            _, minus_trace, _ = characteristic(modal(plant, plant.number(plant.mu)))
        except ZeroDivisionError:
            return found
        other = -minus_trace - rate
        if other and (rate - other).sign() > 0 and (rate + other).sign() > 0:
            found.append(other)
    return found


def _with_function_value(
    it: InequalityRows, rate: Number, along: list[list[Number]], share: Number
) -> Iterator[Proof]:
    """V = Q(y, x*) + c |z+|^2, z+ the next output less a share of this one.

    V decreases by rate^2 Q(y, y+) and what follows from the minimizer; c is that for which the decrease vanishes along
    a quadratic. Of the triple momentum method it is an identity, with c = 2 mu (Van Scoy, Freeman, Lynch,
    10.1109/LCSYS.2017.2722406), of the robust momentum method the rest is a square (Cyrus, Hu, Van Scoy, Lessard,
    arXiv:1710.04753).
    """
    square = _square_of_output(it, share)
    ratio = it.mu * reciprocal(it.L)
    P = [[ZERO] * len(square) for _ in square]
    y, g = (row[: len(P)] for row in (it.y[0], it.g[0]))
    add_square(P, -ONE, g, g)
    add_square(P, -ratio, y, y)
    add_square(P, ratio + ratio, g, y)
    nu, lam = {(0, STAR): ONE}, {(0, 1): rate * rate}
    _, D, _ = it.remainders(P, nu, lam)
    _, slope, _ = it.remainders(square, {}, {})
    for size in vanishing(D, slope, along):
        whole = [
            [a + size * b for a, b in zip(*rows, strict=True)]
            for rows in zip(P, square, strict=True)
        ]
        yield Proof(rate, 1, whole, nu, lam, it.L * size, share)


def _distance(it: InequalityRows, rate: Number, along: list[list[Number]]) -> Iterator[Proof]:
    """V = L |x+|^2, which decreases by the same multiple of Q(y+, x*) and Q(x*, y+).

    The multiple is that for which the decrease vanishes along a quadratic. This proves the rates of gradient
    descent and of the proximal point method.
    """
    P = _square_of_output(it, ZERO)
    _, D, _ = it.remainders(P, {}, {})
    _, slope, _ = it.remainders([[ZERO] * len(P) for _ in P], {}, {(1, STAR): ONE})
    for multiple in vanishing(D, slope, along):
        yield Proof(rate, 1, P, {}, {(1, STAR): multiple}, it.L)


def vanishing(D: Matrix, slope: Matrix, along: list[list[Number]]) -> Iterator[Number]:
    """For each trajectory w the t for which (D + t slope) w may be zero.

    Args:
        D, slope: symmetric, n x n.
        along: vectors w of length n.
    """
    for w in along:
        left, right = dot(w, D), dot(w, slope)
        at = next((i for i, e in enumerate(right) if e), None)
        if at is not None:
            yield -left[at] * reciprocal(right[at])


def _square_of_output(it: InequalityRows, share: Number) -> Matrix:
    """|x+ - share x|^2 over (x_k, u_k / L)."""
    m = it.n + it.early
    now = [*it.output, *[ZERO] * (m - it.n)]
    after = dot(it.output, it.later[: it.n])[:m]
    row = [a - share * b for a, b in zip(after, now, strict=True)]
    P = [[ZERO] * m for _ in range(m)]
    add_square(P, ONE, row, row)
    return P


_DEPTH = 20  # halvings


def prove_on_quadratics(plant: Plant, mode: SlowestMode, wanted: Number | None) -> dict[str, Any]:
    """The document of a rate over quadratics: the one wanted, else the exact one, else the least of 9 decimals.

    Raises NoCertificate if there is none.

    Args:
        plant: the method.
        mode: the slowest quadratic.
        wanted: the rate to prove; None for the least.
    """
    if wanted is not None:
        cuts = _cuts(plant, wanted)
        if cuts is None:
            raise NoCertificate("this rate over quadratics could not be proved for this method.")
        return _made(plant, wanted, cuts)
    if mode.number is not None:
        cuts = _cuts(plant, mode.number)
        if cuts is not None:
            return _made(plant, mode.number, cuts)
    scale = 10**9
    size, step = Fraction(math.ceil(mode.low * scale), scale), Fraction(1, scale)
    while size < 1:
        cuts = _cuts(plant, Number(size))
        if cuts is not None:
            return _made(plant, Number(size), cuts)
        size, step = size + step, 2 * step
    raise NoCertificate("no rate below 1 over quadratics could be proved for this method.")


def _cuts(plant: Plant, rate: Number) -> list[Number] | None:
    """Where to cut [mu, L] so that the checker sees all signs, by halves; None if that ends nowhere."""
    method = Method(_claim(plant, rate))

    def holds(low: Number, high: Number) -> bool:
        with suppress(Refused):  # enclosures too wide, or too many digits
            return within(poles(method, low, high), rate, False)
        return False

    def halved(low: Number, high: Number, depth: int) -> list[Number] | None:
        if holds(low, high):
            return [low]
        middle = HALF * (low + high)
        if depth == 0 or not holds(middle, middle):
            return None
        left = halved(low, middle, depth - 1)
        right = None if left is None else halved(middle, high, depth - 1)
        return None if left is None or right is None else left + right

    low, high = method.mu, method.L
    found = halved(low, high, _DEPTH) if holds(low, low) and holds(high, high) else None
    return None if found is None else found[1:]


def _claim(plant: Plant, rate: Number) -> dict[str, Any]:
    claim = statement(plant, rate)
    del claim["bounded"]
    return claim


def _made(plant: Plant, rate: Number, cuts: list[Number]) -> dict[str, Any]:
    claim = _claim(plant, rate)
    return sealed(plant.name, "quadratics", claim, {"cuts": [text(x) for x in cuts]})
