"""Guards: comparisons of scalars, joined by "and" and "or", which decide how a step goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import sympy as sp
from sympy.logic.boolalg import Boolean

from ..._support.errors import OdescentError, shown
from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.scalars import as_scalar
from ...dynamics.notation.show import text

_TURNED = {"<": ">", "<=": ">=", r"\le": r"\ge"}


@dataclass(frozen=True)
class Inequality(Rendered):
    """``left < right``, or ``left <= right``; neither holds where a side is not a number."""

    left: sp.Expr
    right: sp.Expr
    strict: bool

    @property
    def expressions(self) -> tuple[sp.Expr, ...]:
        """Both sides."""
        return self.left, self.right

    @property
    def comparisons(self) -> tuple[Inequality, ...]:
        """Itself."""
        return (self,)

    def changed(self, rule: Callable[[Any], Any]) -> Inequality:
        """With both sides rewritten."""
        return Inequality(rule(self.left), rule(self.right), self.strict)

    def negated(self) -> Inequality:
        """The opposite, where both sides are numbers."""
        return Inequality(self.right, self.left, not self.strict)

    def written(self, show: Callable[[sp.Expr], str], signs: tuple[str, ...]) -> str:
        """The comparison in print, a number on its right.

        Args:
            show: prints a side.
            signs: what stands for <, <=, and, or, and around a part that is joined itself.

        Returns:
            text.
        """
        sign = signs[0] if self.strict else signs[1]
        if self.left.is_number and not self.right.is_number:  # as people write it, x > 0
            return f"{show(self.right)} {_TURNED[sign]} {show(self.left)}"
        return f"{show(self.left)} {sign} {show(self.right)}"

    def __str__(self) -> str:
        return self.written(text, PLAIN)


@dataclass(frozen=True)
class Joined(Rendered):
    """Guards of which every one, or at least one, has to hold."""

    parts: tuple[Guard, ...]
    every: bool

    @property
    def expressions(self) -> tuple[sp.Expr, ...]:
        """The sides of all comparisons."""
        return tuple(e for part in self.parts for e in part.expressions)

    @property
    def comparisons(self) -> tuple[Inequality, ...]:
        """All comparisons, in order."""
        return tuple(c for part in self.parts for c in part.comparisons)

    def changed(self, rule: Callable[[Any], Any]) -> Joined:
        """With the sides of all comparisons rewritten."""
        return Joined(tuple(part.changed(rule) for part in self.parts), self.every)

    def negated(self) -> Joined:
        """The opposite, where all sides are numbers."""
        return Joined(tuple(part.negated() for part in self.parts), not self.every)

    def written(self, show: Callable[[sp.Expr], str], signs: tuple[str, ...]) -> str:
        """The guard in print; the arguments are those of a comparison's."""
        word, opening, closing = signs[2 if self.every else 3], signs[4], signs[5]
        return f" {word} ".join(
            f"{opening}{part.written(show, signs)}{closing}" for part in self.parts
        )

    def __str__(self) -> str:
        return self.written(text, PLAIN)


Guard: TypeAlias = "Inequality | Joined"
PLAIN = ("<", "<=", "and", "or", "(", ")")  # as text, and in Python
_BY_RELATION: dict[Any, tuple[bool, bool]] = {  # whether sides are exchanged, and whether it is strict
    sp.StrictLessThan: (False, True), sp.LessThan: (False, False),
    sp.StrictGreaterThan: (True, True), sp.GreaterThan: (True, False),
}  # fmt: skip


def guard_of(condition: object, what: str) -> Guard:
    """A condition as a guard.

    Args:
        condition: a SymPy relation <, <=, > or >= of scalars, or some of them joined by ``sympy.And``, ``Or``, ``Not``.
        what: what has the condition, for messages.

    Raises:
        OdescentError: anything else, and a condition that is always true or always false.
    """
    if isinstance(condition, (Inequality, Joined)):
        return condition
    if isinstance(condition, (bool, type(sp.true), type(sp.false))):
        raise OdescentError(
            f"{what} is always {str(bool(condition)).lower()}; compare scalars that change from step to step."
        )
    if isinstance(condition, (sp.And, sp.Or)):
        parts = tuple(guard_of(part, what) for part in condition.args)
        return Joined(parts, isinstance(condition, sp.And))
    if isinstance(condition, sp.Not):
        return guard_of(condition.args[0], what).negated()
    if isinstance(condition, (sp.Equality, sp.Unequality)):
        raise OdescentError(
            f"{what} asks for equality, {condition}, but numbers that are computed are hardly ever equal; compare by "
            "<, <=, > or >=."
        )
    found = _BY_RELATION.get(getattr(condition, "func", None))
    if found is None:
        wanted = "a relation of scalars by <, <=, > or >=, or an And or Or of these"
        given = "a condition of this kind" if isinstance(condition, Boolean) else shown(condition)
        raise OdescentError(f"{what} must be {wanted}, not {given}.")
    exchanged, strict = found
    left, right = map(as_scalar, condition.args)  # type: ignore[attr-defined]
    return Inequality(right, left, strict) if exchanged else Inequality(left, right, strict)
