"""Statements about a method's matrices, as documents have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..checking import checker
from ..checking.checker import ONE, ZERO, Number
from ..checking.document import sealed, table, text, to_sympy, triangle, weights
from .plant import Matrix, Plant


def statement(plant: Plant, rate: Number, bounded: str = "state") -> dict[str, Any]:
    """What is claimed of a method: its matrices, the class, and 1 - rate as the gap.

    The rate may lie in a larger field than a rational method. An enclosed rate is claimed at its upper end.

    Args:
        plant: the method.
        rate: from 0 to less than 1.
        bounded: "state" or "output".
    """
    gap = ONE - rate
    if gap.e:
        gap = Number(gap.a - gap.e)
    return {
        "d": max(plant.d, gap.d),
        "mu": text(plant.number(plant.mu)), "L": text(plant.number(plant.L)),
        **{k: table(getattr(plant, k)) for k in "ABCD"},
        **{k: [text(x) for x in row] for k, row in (("output", plant.output), ("rest", plant.fixed))},
        "bounded": bounded, "gap": text(gap),
    }  # fmt: skip


def rate_document(
    plant: Plant,
    rate: Number,
    memory: int,
    P: Matrix,
    nu: Mapping[tuple[int, int], Number],
    lam: Mapping[tuple[int, int], Number],
    weight: Number | None = None,
    share: Number = ZERO,
) -> dict[str, Any]:
    """The document of a rate; with a weight it is the output that decays, by its next less a share of this one.

    Args:
        plant: the method.
        rate: that is proved.
        memory: steps of memory.
        P: the quadratic part, m x m.
        nu, lam: multipliers by pair of points.
        weight: of the output's square; None where the state is bounded.
        share: of the last output.
    """
    witness = {"memory": memory, "P": triangle(P), "nu": weights(nu), "lambda": weights(lam)}
    if weight is not None:
        witness["weight"] = text(weight)
        if share:
            witness["share"] = text(share)
    claim = statement(plant, rate, "state" if weight is None else "output")
    numbers = (*(x for row in P for x in row), *nu.values(), *lam.values())
    claim["d"] = max(claim["d"], *(x.d for x in numbers))
    return sealed(plant.name, "rate", claim, witness)


def from_statement(claim: Mapping[str, Any], name: str = "") -> Plant:
    """The method that a statement is about."""
    method = checker.Method(claim)
    mu, L = (to_sympy(claim[key], method.d) for key in ("mu", "L"))
    return Plant(
        method.A, method.B, method.C, method.D, method.output, method.rest, mu, L, method.d,
        not method.boxed, name,
    )  # fmt: skip
