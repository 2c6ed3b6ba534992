"""Gradient transformations as data, before they are printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ....dynamics.algebra.calculus import Symbol
from ....dynamics.algebra.oracles import Oracle
from ....dynamics.algebra.vectors import Expr, Vector, VectorSymbol
from ...programs.program import Program

PARAMS = VectorSymbol("params")


@dataclass(frozen=True)
class Plan:
    """A gradient transformation, before it is printed.

    Attributes:
        program: blocks are the memory; what the parameters hold is called ``params``.
        gradient: the name of the gradient that comes in; None if the step makes no use of one.
        update: the additive update, in the program's names.
        uses_params: whether the update reads the parameters.
        meaning: each memory vector in terms of the algorithm's blocks.
        first: blocks whose initial values oracles make, with that value at the first update.
        assumes: what the parameters hold at the start, where that is a matter of the oracles.
        oracle: whose gradient comes in.
    """

    program: Program
    gradient: VectorSymbol | None
    update: Vector
    uses_params: bool
    meaning: Mapping[str, Vector]
    first: Mapping[Symbol, Expr] = field(default_factory=dict)
    assumes: str = ""
    oracle: Oracle | None = None
