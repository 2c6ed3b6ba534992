"""Certificates as plain data: numbers as text, and the method and class that they are about."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import sympy as sp

from . import checker
from .checker import ONE, SCHEMA, ZERO, Number
from .field import Field, NotInField, below, enclosure, expression
from .plant import Matrix, Plant

Text = Any  # a number as the checker reads it: "p/q", ["a", "b"] for a + b sqrt(d), {"from": lo, "to": hi}


class Rooted(list[str]):
    """The text of a number with a root, to be told from a row of two numbers."""


def text(x: Number) -> Text:
    """A number as the checker reads it."""
    if x.e:
        return {"from": str(x.a - x.e), "to": str(x.a + x.e)}
    return Rooted([str(x.a), str(x.b)]) if x.b else str(x.a)


def table(rows: Matrix) -> list[list[Text]]:
    """A matrix as the checker reads it."""
    return [[text(x) for x in row] for row in rows]


def triangle(P: Matrix) -> list[list[Text]]:
    """The upper triangle of a symmetric matrix, row by row."""
    return [[text(x) for x in row[i:]] for i, row in enumerate(P)]


def weights(given: Mapping[tuple[int, int], Number]) -> dict[str, Text]:
    """Multipliers by pair, without those that are 0."""
    return {f"{i},{j}": text(x) for (i, j), x in given.items() if x}


def number_text(e: sp.Expr, d: int) -> Text:
    """A SymPy number as the checker reads it, in Q(sqrt d) or as an enclosure."""
    try:
        return text(Field(d).number(e, {}))
    except NotInField:
        return text(enclosure(e))


def to_sympy(x: Text, d: int) -> sp.Expr:
    """A number of the document as an exact expression; of an enclosure, the middle."""
    return expression(checker.read(x, d))


def down(x: Number) -> float:
    """A number rounded down to a float."""
    low = below(x)
    found = float(low)
    return found if Fraction(found) <= low else math.nextafter(found, -math.inf)


def up(x: Number) -> float:
    """A number rounded up to a float."""
    return -down(-x)


def statement(plant: Plant, rate: Number, bounded: str = "state") -> dict[str, Any]:
    """What is claimed of a method: its matrices, the class, and 1 - rate as the gap.

    The rate may lie in a larger field than a rational method. An enclosed rate is claimed at its upper end.
    """
    gap = ONE - rate
    if gap.e:
        gap = Number(gap.a - gap.e)
    return {
        "d": max(plant.d, gap.d),
        "mu": text(plant.number(plant.mu)), "L": text(plant.number(plant.L)),
        **{k: table(getattr(plant, k)) for k in "ABCD"},
        "output": [text(x) for x in plant.output], "bounded": bounded, "gap": text(gap),
    }  # fmt: skip


def sealed(
    name: str, kind: str, claim: Mapping[str, Any], witness: Mapping[str, Any]
) -> dict[str, Any]:
    """The whole document; d is 1 unless some number has a root."""
    rooted = _rooted(claim) or _rooted(witness)
    return {
        "schema": SCHEMA, "name": name, "kind": kind,
        "statement": {**claim, "d": claim["d"] if rooted else 1}, "witness": dict(witness),
    }  # fmt: skip


def _rooted(part: Any) -> bool:
    if isinstance(part, Rooted):
        return True
    inner = part.values() if isinstance(part, Mapping) else part if isinstance(part, list) else ()
    return any(_rooted(x) for x in inner)


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
    """The document of a rate; with a weight it is the output that decays, by its next less a share of this one."""
    witness = {"memory": memory, "P": triangle(P), "nu": weights(nu), "lambda": weights(lam)}
    if weight is not None:
        witness["weight"] = text(weight)
        if share:
            witness["share"] = text(share)
    claim = statement(plant, rate, "state" if weight is None else "output")
    numbers = (*(x for row in P for x in row), *nu.values(), *lam.values())
    claim["d"] = max(claim["d"], *(x.d for x in numbers))
    return sealed(plant.name, "rate", claim, witness)


def says_the_same(claim: Mapping[str, Any], said: Mapping[str, Any]) -> bool:
    """Whether a statement has these numbers, and the same field wherever they have roots."""
    if not all(claim[key] == value for key, value in said.items() if key != "d"):
        return False
    return claim["d"] == said["d"] or 1 in (claim["d"], said["d"])


def agrees(claim: Mapping[str, Any], plant: Plant) -> bool:
    """Whether a statement is about this method on this class: all its numbers are those of the matrices."""
    said = statement(plant, ONE)
    return says_the_same(claim, {k: x for k, x in said.items() if k not in ("bounded", "gap")})


def from_statement(claim: Mapping[str, Any], name: str = "") -> Plant:
    """The method that a statement is about."""
    method = checker.Method(claim)
    mu, L = (to_sympy(claim[key], method.d) for key in ("mu", "L"))
    fixed, _ = method.rest
    return Plant(
        method.A, method.B, method.C, method.D, method.output, fixed, mu, L, method.d,
        not method.enclosed, name,
    )  # fmt: skip
