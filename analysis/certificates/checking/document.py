"""Certificates as plain data: numbers as text, and the document around a statement."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

import sympy as sp

from .checker import SCHEMA, Matrix, Number, Reader
from .field import NotInField, NumberField, below, enclosure, expression

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
        return text(NumberField(d).number(e, {}))
    except NotInField:
        return text(enclosure(e))


def as_number(value: Text, d: int) -> Number:
    """A number of a document whose numbers lie in Q(sqrt d)."""
    reader = Reader.__new__(Reader)
    vars(reader).update(vars(_reader(d)))
    return reader.number(value)


@lru_cache
def _reader(d: int) -> Reader:
    """What reads numbers of a field; a copy of it has read none yet, and so never too many."""
    return Reader({"d": d})


def to_sympy(x: Text, d: int) -> sp.Expr:
    """A number of the document as an exact expression; of an enclosure, the middle."""
    return expression(as_number(x, d))


def down(x: Number) -> float:
    """A number rounded down to a float."""
    low = below(x)
    found = float(low)
    return found if Fraction(found) <= low else math.nextafter(found, -math.inf)


def up(x: Number) -> float:
    """A number rounded up to a float."""
    return 0.0 - down(-x)  # not -0


def sealed(
    name: str, kind: str, claim: Mapping[str, Any], witness: Mapping[str, Any]
) -> dict[str, Any]:
    """The whole document; d is 1 unless some number has a root.

    Args:
        name: of the method, a word.
        kind: of certificate, such as "rate".
        claim: the statement, with the field's d.
        witness: what it follows from.

    Returns:
        Plain data as `checker.check` reads it.
    """
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


def says_the_same(claim: Mapping[str, Any], said: Mapping[str, Any]) -> bool:
    """Whether a statement has these numbers, and the same field wherever they have roots."""
    if not all(claim[key] == value for key, value in said.items() if key != "d"):
        return False
    return claim["d"] == said["d"] or 1 in (claim["d"], said["d"])
