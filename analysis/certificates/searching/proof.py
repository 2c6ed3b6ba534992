"""Proofs of a rate over F(mu, L) in exact numbers, before they are documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

from ..checking.checker import STAR, ZERO, Inequality, Number
from ..methods.plant import Matrix, Plant
from ..methods.statement import rate_document, statement

Weights = Mapping[tuple[int, int], Number]


@dataclass(frozen=True)
class Proof:
    """What `checker.Inequality` needs of a Lyapunov function, still to be checked.

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


def inequality(plant: Plant, rate: Number, steps: int) -> Inequality:
    """The checker's own form of what is to be proved."""
    return Inequality(statement(plant, rate), steps)
