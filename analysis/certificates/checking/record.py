"""The base of all certificates: a document of plain data, written to JSON and read back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import sympy as sp

from ...._support import store
from ...._support.errors import OdescentError
from ...._support.rendering.rendered import Rendered
from . import checker
from .checker import Number
from .document import as_number, says_the_same, to_sympy
from .field import below, expression

Kind = TypeVar("Kind", bound="ProofDocument")


@dataclass(frozen=True)
class ProofDocument(Rendered):
    """A proof as a document: a statement, a witness from which it follows, and maybe a lower bound.

    The document is as the checker reads it; `from_dict` reads back what it proves, and nothing else.

    Attributes:
        document: the statement, what proves it, and maybe a lower bound, as plain data that `checker.check` reads.
        source: what the method was read from, for `verify` to read anew; None after `from_dict`.
        condition: where mu or L were estimated, what has to be true of a function for the statement to be about it;
            what is proved, and the document, do not depend on it.
    """

    document: Mapping[str, Any]
    source: tuple[Any, ...] | None = field(default=None, repr=False, compare=False, kw_only=True)
    condition: str = field(default="", repr=False, compare=False, kw_only=True)

    # what is claimed, by its name in statements and lower bounds
    claim: ClassVar[str]

    _shows = ("text", "formula")

    @property
    def subject(self) -> str:
        """The method's name, with the condition under which the statement applies to the intended function."""
        return f"{self.name} ({self.condition})" if self.condition else self.name

    @property
    def kind(self) -> str:
        """Which statement is made: "rate", "quadratics", "flow", "horizon" or "potential"."""
        return str(self.document["kind"])

    @property
    def statement(self) -> Mapping[str, Any]:
        """The method, the class and what is claimed, exact numbers as text."""
        found: Mapping[str, Any] = self.document["statement"]
        return found

    @property
    def witness(self) -> Mapping[str, Any]:
        """The data from which the statement follows."""
        found: Mapping[str, Any] = self.document["witness"]
        return found

    @property
    def d(self) -> int:
        """The numbers lie in Q(sqrt d)."""
        return int(self.statement["d"])

    @property
    def multipliers(self) -> dict[str, dict[tuple[int, ...], sp.Expr]]:
        """The weights of the interpolation inequalities by pair of points (-1 is the minimizer): "lambda" and "nu".

        "lambda" is without those from the minimizer, which follow.
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

    @property
    def claimed(self) -> Number:
        """The claimed number."""
        return as_number(self.statement[self.claim], self.d)

    @property
    def proved(self) -> sp.Expr:
        """What was proved, an exact number."""
        return expression(self.claimed)

    @property
    def mu(self) -> sp.Expr:
        """Strong convexity, exact."""
        return to_sympy(self.statement["mu"], self.d)

    @property
    def L(self) -> sp.Expr:
        """Smoothness, exact or infinite."""
        said = self.statement["L"]
        return sp.oo if said == "infinity" else to_sympy(said, self.d)

    @property
    def P(self) -> sp.Matrix:
        """The quadratic part of the Lyapunov function, over the rows stated by the checker."""
        rows = [[to_sympy(x, self.d) for x in row] for row in self.witness.get("P", [])]
        return sp.Matrix(len(rows), len(rows), lambda i, j: rows[min(i, j)][abs(i - j)])

    def _described(self, *source: Any) -> Mapping[str, Any]:
        """The statement about a method that is read from its source, but for what is claimed."""
        raise NotImplementedError

    def registered(self, name: str) -> tuple[Any, ...]:
        """The library's method of a name as such a source, for the statement's class."""
        raise NotImplementedError

    def matches_source(self) -> bool:
        """Whether all numbers of the statement equal those of the method for which it was made."""
        return self.source is not None and self._is_about(self.source)

    def matches_registry(self, name: str) -> bool:
        """Whether the numbers are those of the registered method of that name."""
        try:
            return self._is_about(self.registered(name))
        except (OdescentError, ArithmeticError, TypeError):
            return False

    def _is_about(self, source: tuple[Any, ...]) -> bool:
        return says_the_same(self.statement, self._described(*source))

    @cached_property
    def _lower(self) -> dict[str, Any]:
        """The lower bound as the document has it, under "part", where one was found."""
        known = self.document.get("lower")
        return {"part": self._first_proved(self.candidates()) if known is None else known}

    def candidates(self) -> Iterable[dict[str, Any]]:
        """Lower bounds that are known without a search, the best first, still to be proved."""
        return ()

    def _first_proved(self, parts: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
        """The first lower bound that the checker proves."""
        for part in parts:
            try:
                checker.check_lower(self.kind, dict(self.statement), part)
            except (checker.Refused, ArithmeticError):
                continue
            return part
        return None

    def lower_part(self) -> dict[str, Any] | None:
        """The best lower bound that is known so far, proved by the checker; None if there is none."""
        found: dict[str, Any] | None = self._lower["part"]
        return found

    @property
    def reached(self) -> Number | None:
        """The lower bound on the claimed number."""
        part = self.lower_part()
        return None if part is None else as_number(part[self.claim], self.d)

    @property
    def exact(self) -> sp.Expr | None:
        """What was proved as an algebraic number, where a function of the class attains it; else None."""
        part = self.lower_part()
        attained = part is not None and part[self.claim] == self.statement[self.claim]
        return self.proved if attained else None

    def says(self) -> str:
        """The statement in full, as the stand-alone checker prints it.

        Raises OdescentError if the document does not prove it.
        """
        try:
            return checker.check(self.to_dict())
        except checker.Refused as reason:
            raise OdescentError(f"the certificate does not hold: {reason}.") from None

    def verify(self) -> bool:
        """Check the whole document again in exact arithmetic, without a solver, and compare it with the method."""
        try:
            checker.check(self.to_dict())
        except checker.Refused:
            return False
        return self.source is None or self.matches_source()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for `from_dict` and the stand-alone checker; starts no search."""
        found = {k: v for k, v in self.document.items() if k != "lower"}
        lower = self.lower_part()
        if lower is not None:
            found["lower"] = lower
        plain: dict[str, Any] = store.plain_data(found, "a certificate")
        return plain

    def to_json(self) -> str:
        """The same as JSON."""
        return store.text(self.to_dict())

    @classmethod
    def from_dict(cls: type[Kind], data: Any) -> Kind:
        """A certificate from plain data, which is checked; invalid proofs are rejected.

        Raises OdescentError with the reason.
        """
        try:
            checker.check(data)
        except checker.Refused as reason:
            raise OdescentError(f"the data is no certificate: {reason}.") from None
        return cls(store.plain_data(data, "a certificate"))


def shown(e: sp.Expr) -> str:
    """A number, rounded if it is long."""
    return str(e) if len(str(e)) <= 24 else f"{float(e):.12g}"


def places(x: Number, digits: int = 9, upward: bool = True) -> str:
    """A number with so many decimal places, rounded up or down.

    Args:
        x: the number.
        digits: after the point.
        upward: whether it is rounded up.
    """
    low = below(-x if upward else x) * 10**digits
    whole = -math.floor(low) if upward else math.floor(low)
    return f"{Decimal(whole).scaleb(-digits):f}"


def significant(x: Number, digits: int = 8, upward: bool = False) -> str:
    """A positive number with so many significant digits, rounded up or down.

    Args:
        x: the number, more than 0.
        digits: how many.
        upward: whether it is rounded up.
    """
    low = -below(-x) if upward else below(x)
    power = 0
    while low * 10**power >= 10**digits:
        power -= 1
    while low and low * 10**power < 10 ** (digits - 1):
        power += 1
    scaled = low * Fraction(10) ** power
    whole = math.ceil(scaled) if upward else math.floor(scaled)
    return str(Decimal(whole).scaleb(-power))
