"""What all certificates share: a document of plain data, and its way to JSON and back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any, TypeVar

import sympy as sp

from odescent._errors import OdescentError

from . import checker
from .checker import Number
from .document import to_sympy
from .field import below

Kind = TypeVar("Kind", bound="Record")


@dataclass(frozen=True)
class Record:
    """A proof as a document: a statement, a witness from which it follows, and maybe a lower bound.

    The document is as the checker reads it; `from_dict` reads back what it proves, and nothing else.
    """

    document: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """Which statement is made: "rate", "iqc", "quadratics", "flow", "horizon" or "potential"."""
        return str(self.document["kind"])

    @property
    def statement(self) -> Mapping[str, Any]:
        """The method, the class and what is claimed, exact numbers as text."""
        found: Mapping[str, Any] = self.document["statement"]
        return found

    @property
    def witness(self) -> Mapping[str, Any]:
        """What the statement follows from."""
        found: Mapping[str, Any] = self.document["witness"]
        return found

    @property
    def d(self) -> int:
        """The numbers lie in Q(sqrt d)."""
        return int(self.statement["d"])

    @property
    def multipliers(self) -> dict[str, dict[tuple[int, ...], sp.Expr]]:
        """The weights of the interpolation inequalities by pair of points (-1 is the minimizer): "lambda" and "nu".

        "lambda" is without those from the minimizer, which follow. Of kind "iqc", by how many steps they reach back.
        """
        return {
            name: {
                tuple(map(int, key.split(","))): to_sympy(x, self.d)
                for key, x in self.witness.get(name, {}).items()
            }
            for name in ("lambda", "nu")
        }

    @cached_property
    def name(self) -> str:
        """The method's name where its numbers were compared with the method's; else that it calls itself so."""
        called = str(self.document["name"])
        if called and (self.matches_source() or self.matches_registry(called)):
            return called
        return f"matrices that call themselves {called}" if called else "a method of your own"

    def matches_source(self) -> bool:
        """Whether the statement is about the method that it was made for, where that is at hand."""
        raise NotImplementedError

    def matches_registry(self, name: str) -> bool:
        """Whether the statement is about what the library has under a name."""
        raise NotImplementedError

    def lower_part(self) -> Mapping[str, Any] | None:
        """The lower bound as the document has it, where one is known."""
        found: Mapping[str, Any] | None = self.document.get("lower")
        return found

    def says(self) -> str:
        """The statement in full, as the stand-alone checker prints it.

        Raises OdescentError if the document does not prove it.
        """
        try:
            return checker.check(self.to_dict())
        except checker.Refused as reason:
            raise OdescentError(f"the certificate does not hold: {reason}.") from None

    def verify(self) -> bool:
        """Check the whole document anew in exact arithmetic, without a solver, and against the method at hand."""
        try:
            checker.check(self.to_dict())
        except checker.Refused:
            return False
        return not self.has_source() or self.matches_source()

    def has_source(self) -> bool:
        """Whether the method that the certificate was made for is at hand."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` and the stand-alone checker read; nothing is searched for."""
        found = {k: v for k, v in self.document.items() if k != "lower"}
        lower = self.lower_part()
        if lower is not None:
            found["lower"] = lower
        plain: dict[str, Any] = json.loads(json.dumps(found))
        return plain

    def to_json(self) -> str:
        """The same as JSON."""
        return json.dumps(self.to_dict(), indent=1) + "\n"

    @classmethod
    def from_dict(cls: type[Kind], data: Any) -> Kind:
        """A certificate from plain data, which is checked: what does not prove its statement is refused.

        Raises OdescentError with the reason.
        """
        try:
            checker.check(data)
        except checker.Refused as reason:
            raise OdescentError(f"the data is no certificate: {reason}.") from None
        return cls(json.loads(json.dumps(data)))


def shown(e: sp.Expr) -> str:
    """A number, rounded if it is long."""
    return str(e) if len(str(e)) <= 24 else f"{float(e):.12g}"


def places(x: Number, digits: int = 9, upward: bool = True) -> str:
    """A number with so many decimal places, rounded up or down."""
    low = below(-x if upward else x) * 10**digits
    whole = -math.floor(low) if upward else math.floor(low)
    return f"{Decimal(whole).scaleb(-digits):f}"


def significant(x: Number, digits: int = 8, upward: bool = False) -> str:
    """A positive number with so many significant digits, rounded up or down."""
    low = -below(-x) if upward else below(x)
    power = 0
    while low * 10**power >= 10**digits:
        power -= 1
    while low and low * 10**power < 10 ** (digits - 1):
        power += 1
    scaled = low * Fraction(10) ** power
    whole = math.ceil(scaled) if upward else math.floor(scaled)
    return str(Decimal(whole).scaleb(-power))
