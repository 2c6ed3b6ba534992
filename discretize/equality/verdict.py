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
        verdict: "proved", "refuted" or "undecided", for the oracle points of every step, from every x0: two steps
            put together as one are another method.
        same_output: whether the outputs are the same sequence too (None: not decided).
        change_of_coordinates: T with state_of_other = T state, on the part that matters; else None.
        witness: for a refutation, an experiment with exact numbers and its two outcomes; None where the reason
            itself is one (other oracles, another number of calls).
        start: where only the start differs: by block, this method's initial value and the one with which the two
            would be equal; None otherwise, and where no start would do.
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
