"""Certificates as plain data: numbers as text, and the method and class that they are about."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import sympy as sp

from . import checker
from .checker import Number
from .field import Field, NotInField, below, enclosure, expression
from .plant import Plant

SCHEMA = "odescent.certificate/1"
Text = Any  # a number as the checker reads it: "p/q", ["a", "b"] for a + b sqrt(d), {"from": lo, "to": hi}


def text(x: Number) -> Text:
    """A number as the checker reads it."""
    if x.e:
        return {"from": str(x.a - x.e), "to": str(x.a + x.e)}
    return [str(x.a), str(x.b)] if x.b else str(x.a)


def number_text(e: sp.Expr, d: int) -> Text:
    """A SymPy number as the checker reads it, in Q(sqrt d) or as an enclosure."""
    try:
        return text(Field(d).number(e, {}))
    except NotInField:
        return text(enclosure(e))


def to_sympy(x: Text, d: int) -> sp.Expr:
    """A number of the document as an exact expression; of an enclosure, the middle."""
    found = checker.read(x, d)
    return expression(found)


def above(x: Text, d: int) -> float:
    """A number of the document rounded up to a float."""
    exact = checker.read(x, d)
    upper = -below(Number(-exact.a, -exact.b, exact.d, exact.e))
    up = float(upper)
    return up if Fraction(up) >= upper else math.nextafter(up, math.inf)


def describe(plant: Plant, rate: Number) -> dict[str, Any]:
    """The method, the class and the rate, as the document has them.

    The rate may lie in a larger field than a rational method.
    """
    return {
        "method": plant.name, "d": max(plant.d, rate.d),
        "mu": text(plant.number(plant.mu)), "L": text(plant.number(plant.L)),
        **{k: [[text(x) for x in row] for row in getattr(plant, k)] for k in "ABCD"},
        "output": [text(x) for x in plant.output], "fixed_point": [text(x) for x in plant.fixed],
        "rate": text(rate),
    }  # fmt: skip


def agrees(document: Mapping[str, Any], plant: Plant) -> bool:
    """Whether the document is about this method: all its numbers are those of the matrices."""
    rate = checker.read(document["rate"], int(document["d"]))
    anew = plant.again()
    same = all(document[key] == value for key, value in describe(anew, rate).items() if key != "d")
    return same and anew.d in (1, int(document["d"]))


def from_document(document: Mapping[str, Any]) -> Plant:
    """The method that a document is about."""
    d = int(document["d"])
    A, B, C, D = ([[checker.read(x, d) for x in row] for row in document[k]] for k in "ABCD")
    output, fixed = ([checker.read(x, d) for x in document[k]] for k in ("output", "fixed_point"))
    mu, L = (to_sympy(document[name], d) for name in ("mu", "L"))
    exact = not any(x.e for m in (A, B, C, D) for r in m for x in r)
    name = str(document.get("method", ""))
    return Plant(A, B, C, D, output, fixed, mu, L, d, exact, name)
