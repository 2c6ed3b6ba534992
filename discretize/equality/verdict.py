"""The verdict on two algorithms: proved, refuted with a witness, or undecided."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.vectors import Vector
from ..linear.witness import Witness
from .trial import Trial

AGREE = "the transfer functions agree"


@dataclass(frozen=True)
class Equivalence(Rendered):
    """The verdict on two algorithms.

    Attributes:
        verdict: "proved", "refuted" or "undecided", on the oracle points of every step from every x0; a composition
            of two steps is a different method.
        same_output: whether the output sequences are equal too; None if undecided.
        change_of_coordinates: T with state_of_other = T state, on the observable part; None if not known.
        witness: for a refutation, an experiment in exact numbers with its two outcomes; None if the reason suffices
            (different oracles, a different number of calls).
        start: if only the start differs, by block this method's initial value and the one that would make the two
            equal; None otherwise, and if there is no such start.
        reason: one sentence.
    """

    verdict: str
    reason: str
    same_output: bool | None = None
    change_of_coordinates: sp.Matrix | None = None
    witness: Witness | Trial | None = None
    start: dict[str, tuple[Vector, Vector]] | None = None

    def __bool__(self) -> bool:
        return self.verdict == "proved"

    def __str__(self) -> str:
        return f"{self.verdict}: {self.reason}"
