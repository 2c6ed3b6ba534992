"""Meanings of the names of a program: expressions in its state, calls and draws."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import sympy as sp

from ..._support.errors import TooLarge
from ...dynamics.algebra.calculus import Symbol, substitute, symbols_of, tidy
from ...dynamics.algebra.vectors import Atom, Expr, ScalarNode, Vector, VectorSymbol

# Terms of a value that is expanded; in a step of most methods it has fewer than a hundred.
LARGEST = 5000
LARGEST_WRITTEN_OUT = 50_000  # where the alternative is a refusal


class Meanings:
    """Names with their values, in canonical form; what would have more than `LARGEST` terms has none here.

    Values are for finding what is equal, and to tell that two are equal they are expanded: products of vectors that
    depend on each other through many substeps would grow without end. What has no value here is left by its name.
    Values are worked out when an expression asks for them: most names of a step are never asked for.
    """

    def __init__(self, known: Mapping[Symbol, Expr] | None = None) -> None:
        self.known = dict(known or {})
        self._waiting: dict[Symbol, Expr] = {}
        self.sizes = {name: _terms(value, {}) for name, value in self.known.items()}

    def copied(self) -> Meanings:
        """The same names with the same values, to which others can be added apart."""
        made = Meanings()
        made.known, made.sizes = dict(self.known), dict(self.sizes)
        made._waiting = dict(self._waiting)
        return made

    def define(self, name: Symbol, value: Expr) -> None:
        """Note what a name stands for, unless that is too large."""
        self._waiting[name] = value

    def note(self, name: Symbol, value: Expr) -> None:
        """Note what a name stands for, in which no other name is replaced."""
        self.known[name], self.sizes[name] = value, _terms(value, {})

    def of(self, e: Expr, largest: int = LARGEST) -> Expr | None:
        """An expression with the names replaced; None if it is too large."""
        for name in self._asked_for(e) if self._waiting else ():
            found = self._replaced(self._waiting.pop(name), LARGEST)
            if found is not None:
                self.note(name, found)
        return self._replaced(e, largest)

    def _asked_for(self, e: Expr) -> list[Symbol]:
        """The names without a value so far on which an expression depends, in the order in which they were defined."""
        needed: set[Symbol] = set()
        more = symbols_of(e) & self._waiting.keys()
        while more:
            needed |= more
            read = {s for name in more for s in symbols_of(self._waiting[name])}
            more = (read & self._waiting.keys()) - needed
        return [name for name in self._waiting if name in needed]

    def _replaced(self, e: Expr, largest: int) -> Expr | None:
        if e in self.known:
            return self.known[e]
        if _terms(e, self.sizes) > largest:
            return None
        return tidy(substitute(e, self.known))

    def __call__(self, e: Expr) -> Expr:
        """An expression with the names replaced, or as it is if that is too large."""
        found = self.of(e)
        return e if found is None else found

    def written_out(self, e: Expr) -> Expr:
        """An expression with the names replaced; raises TooLarge where that is too large."""
        found = self.of(e, LARGEST_WRITTEN_OUT)
        if found is None:
            raise TooLarge(
                f"a step has more than {LARGEST_WRITTEN_OUT:,} terms when it is written out in the state; "
                "take fewer substeps, or compare runs."
            )
        return found


def _terms(e: Expr, sizes: dict[Symbol, int]) -> int:
    """How many terms an expression has at most when it is expanded, each symbol having as many as ``sizes`` says."""
    if isinstance(e, Vector):
        return sum(_terms(c, sizes) * _of_atom(a, sizes) for a, c in e.terms.items())
    if e.is_Symbol:
        return sizes.get(e, 1)
    if e.is_Add:
        return sum(_terms(a, sizes) for a in e.args)
    if e.is_Pow and isinstance(e.exp, sp.Integer):
        return int(_terms(e.base, sizes) ** abs(int(e.exp)))
    inside = e.arguments if isinstance(e, ScalarNode) else e.args
    return prod(_terms(a, sizes) for a in inside)


def _of_atom(a: Atom, sizes: dict[Symbol, int]) -> int:
    if isinstance(a, VectorSymbol):
        return sizes.get(a, 1)
    return prod(_terms(part, sizes) for part in a.parts())
