"""Searches for the numbers of implicit functions: where they begin and end, and the method that takes their steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp

from ..._support.rendering.rendered import Rendered
from ..algebra.calculus import Symbol, change, substitute, symbols_of
from ..algebra.trees import from_tree, tree
from ..algebra.vectors import Call, Expr, Vector, VectorSymbol, _key, _text

START = VectorSymbol("x0")  # the starting point, in initial values
TOLERANCE, MAX_STEPS = sp.Rational(1, 10**9), sp.Integer(100)
MAX_STEPS_OF_A_METHOD = sp.Integer(10_000)
# a step below this, relative to 1 + the length of the unknown, ends a search whose residual does not fall: rounding
ROUNDED = sp.Rational(1, 10**4)


@dataclass(frozen=True)
class InnerMethod(Rendered):
    """A step of an optimization method, which searches for an implicit function in place of Newton's method.

    Attributes:
        name: the method's.
        state: its blocks; the number of the step after them, where coefficients depend on it.
        begin: their initial values, in the symbol x0 of the starting point.
        ahead: their values after a step, with calls of a gradient.
        output: the point that it returns, in the blocks.
        counted: whether the last of the state is the number of the step.
    """

    name: str
    state: tuple[Symbol, ...]
    begin: tuple[Expr, ...]
    ahead: tuple[Expr, ...]
    output: Vector
    counted: bool = False

    def step(self, equation: Vector, unknown: Symbol, names: Sequence[Symbol]) -> InnerStep:
        """A step that searches for the zero of an equation, with other names for the state."""
        own: dict[Any, Any] = dict(zip(self.state, names, strict=True))

        def rule(e: Expr) -> Expr | None:
            return substitute(equation, {unknown: e.point}) if isinstance(e, Call) else None

        ahead = tuple(change(substitute(e, own), rule) for e in self.ahead)
        moving = len(names) - self.counted
        return InnerStep(tuple(names), ahead, substitute(self.output, own), moving)

    def begun(self, at: Any) -> tuple[Expr, ...]:
        """The initial state at a starting point."""
        return tuple(substitute(e, {START: at}) for e in self.begin)

    @property
    def key(self) -> tuple[Any, ...]:
        """Its identity, in words."""
        parts = (*self.begin, *self.ahead, self.output)
        told = (_key(e) if isinstance(e, Vector) else _text(e) for e in parts)
        return (self.name, *(s.name for s in self.state), *told)

    def written(self) -> list[Any]:
        """As nested lists."""
        lists = [[*map(tree, part)] for part in (self.state, self.begin, self.ahead)]
        return [self.name, *lists, tree(self.output), str(int(self.counted))]

    @classmethod
    def read(cls, data: Any) -> InnerMethod:
        """From nested lists."""
        name, *parts, output, counted = data
        state, begin, ahead = (tuple(map(from_tree, part)) for part in parts)
        point: Any = from_tree(output)
        symbols: Any = state
        return cls(str(name), symbols, begin, ahead, point, counted == "1")


@dataclass(frozen=True)
class InnerStep(Rendered):
    """A step of an inner method on equations.

    Attributes:
        state: the names of its values.
        ahead: the values after a step, in these names.
        output: the point that it returns.
        moving: how many of the values come to rest: all but the number of the step.
    """

    state: tuple[Symbol, ...]
    ahead: tuple[Expr, ...]
    output: Vector
    moving: int


@dataclass(frozen=True)
class Search:
    """How the numbers of a solution are found.

    Attributes:
        start: where the search for each unknown begins, which tells the branches of a solution apart; None where it is
            not said: at the value of the symbol that is called as the unknown.
        tolerance: the length of the last step of the search, relative to 1 + the length of the unknown.
        max_steps: how many steps it may take.
        adjoint: the method of the linear solve of its derivative, a key of `solves.ROUTES`; "" for the operator's own.
        method: what takes the steps; None for Newton's method.
    """

    start: tuple[Expr | None, ...] = ()
    tolerance: sp.Expr = TOLERANCE
    max_steps: sp.Expr = MAX_STEPS
    adjoint: str = ""
    method: InnerMethod | None = None

    def changed(self, rule: Callable[[Any], Any]) -> Search:
        """With its expressions rewritten."""
        start = tuple(s if s is None else rule(s) for s in self.start)
        return replace(
            self, start=start, tolerance=rule(self.tolerance), max_steps=rule(self.max_steps)
        )

    def of(self, which: Sequence[int]) -> Search:
        """That of some of the unknowns."""
        return replace(self, start=tuple(self.start[i] for i in which) if self.start else ())

    @property
    def expressions(self) -> list[Expr]:
        """Everything that it reads."""
        return [self.tolerance, self.max_steps, *(s for s in self.start if s is not None)]

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells two searches for one function apart."""
        how = (self.tolerance, self.max_steps)
        free = str([_text(e) if symbols_of(e) else "" for e in how])
        return (free, "" if self.method is None else str(self.method.key))
