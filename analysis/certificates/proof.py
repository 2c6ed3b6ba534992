"""One proof of a rate over F(mu, L) in exact numbers, before it is a document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .checker import STAR, ZERO, Inequality, Number
from .document import rate_document, statement
from .plant import Matrix, Plant

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


def inequality(plant: Plant, rate: Number, steps: int) -> Inequality:
    """The checker's own form of what is to be proved."""
    return Inequality(statement(plant, rate), steps)
