"""Linear conditions on (beta, s, t), eliminated exactly, with the names of contradictory ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import sympy as sp

from ..._support.errors import OdescentError
from ...dynamics.algebra.exact import canonical, is_zero
from ..library.momentum import Row

_ZERO, _ONE = sp.S.Zero, sp.S.One
BETA: Row = (_ONE, _ZERO, _ZERO)
S: Row = (_ZERO, _ONE, _ZERO)
T: Row = (_ZERO, _ZERO, _ONE)


class Contradiction(OdescentError):
    """Conditions that no parameters of the passive form meet together."""


@dataclass(frozen=True)
class Condition:
    """``row`` times (beta, s, t) equals ``value``; ``text`` names it in sentences."""

    text: str
    row: Row
    value: sp.Expr


@dataclass
class Elimination:
    """Conditions in reduced row echelon form, each with the given conditions that it combines."""

    rows: list[tuple[list[sp.Expr], sp.Expr, int, tuple[str, ...]]] = field(default_factory=list)
    pivots: tuple[sp.Expr, ...] = ()

    @staticmethod
    def of(conditions: Sequence[Condition]) -> Elimination:
        made = Elimination()
        for i, c in enumerate(conditions):
            try:
                made.add(c)
            except Contradiction:
                _raise_smallest(list(conditions[: i + 1]))
        return made

    def copy(self) -> Elimination:
        return Elimination(list(self.rows), self.pivots)

    def reduced(self, c: Condition) -> tuple[list[sp.Expr], sp.Expr, tuple[str, ...]]:
        """The condition reduced modulo the others."""
        row, value = list(c.row), c.value
        used: tuple[str, ...] = (c.text,)
        for other, known, pivot, names in self.rows:
            if (factor := row[pivot]) != 0:
                row = [canonical(x - factor * y) for x, y in zip(row, other, strict=True)]
                value, used = value - factor * known, joined(names, used)
        value = canonical(value)
        return (
            [sp.S.Zero if is_zero(x) else x for x in row],
            sp.S.Zero if is_zero(value) else value,
            used,
        )

    def add(self, c: Condition) -> None:
        """Take a condition in; raises Contradiction if the ones before leave no room for it."""
        row, value, used = self.reduced(c)
        columns = [i for i, x in enumerate(row) if x != 0]
        if not columns:
            if value != 0:
                raise contradiction(used, value)
            return
        pivot = min(columns, key=lambda i: (not row[i].is_number, sp.count_ops(row[i])))
        lead = row[pivot]
        row = [canonical(x / lead) for x in row]
        value = canonical(value / lead)
        cleared = []
        for other, known, column, names in self.rows:
            if (factor := other[pivot]) != 0:
                other = [canonical(x - factor * y) for x, y in zip(other, row, strict=True)]
                known, names = canonical(known - factor * value), joined(names, used)
            cleared.append((other, known, column, names))
        self.rows = [*cleared, (row, value, pivot, used)]
        self.pivots = (*self.pivots, lead)

    def value(self, row: Row) -> sp.Expr | None:
        """The value of a combination of beta, s, t, or None where the conditions leave it open."""
        rest, value, _ = self.reduced(Condition("", row, sp.S.Zero))
        return None if any(x != 0 for x in rest) else canonical(-value)

    @property
    def names(self) -> tuple[str, ...]:
        return joined(*(names for *_, names in self.rows))


def joined(*names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(n for group in names for n in group if n))


def _raise_smallest(conditions: list[Condition]) -> NoReturn:
    """The contradiction among conditions that lose it when any one of them is dropped; the last is one of them."""
    for c in conditions[:-1]:
        fewer = [other for other in conditions if other is not c]
        trial = Elimination()
        try:
            for other in fewer:
                trial.add(other)
        except Contradiction:
            conditions = fewer
    last = Elimination()
    for c in conditions:
        last.add(c)
    raise AssertionError("they contradict one another")  # pragma: no cover


def contradiction(used: tuple[str, ...], residual: sp.Expr) -> Contradiction:
    """The error for conditions of these names, which together leave ``residual`` where 0 is needed."""
    total, product = " (their sum)", " (their product)"
    both = {n.removesuffix(total) for n in used} & {
        n.removesuffix(product) for n in used if n.endswith(product)
    }
    stems = {n: n.removesuffix(total).removesuffix(product) for n in used}
    names = joined(tuple(stem if stem in both else n for n, stem in stems.items()))
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    left = sp.factor(sp.fraction(sp.together(residual))[0] if residual.free_symbols else residual)
    note = ", with q = sqrt(mu/L)" if "q" in {s.name for s in left.free_symbols} else ""
    return Contradiction(
        f"no parameters of the passive form meet these conditions together: {listed}; "
        f"that would need {left} = 0{note}. Drop or change one of them."
    )
