"""The way of a step on which guards accept, and what is held on it: what limits and expansions are taken of."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property

import sympy as sp

from ..._support.errors import NotCarried, listed
from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.calculus import Symbol, substitute, symbols_of, vanishes
from ...dynamics.algebra.vectors import Expr, Vector
from ...dynamics.flows.system import System
from ...dynamics.implicit.making import root
from ...dynamics.vector_fields.block import Block
from ..programs.bindings import chained
from ..programs.program import Program
from ..programs.substeps import Let, Repeat, Scheme, Select, Step, inside_of, replaced, without
from .sizes import no_limit

ACCEPTING = "each guard accepts"
RESTING = "each inner loop ends at the fixed point of its iteration"


def at_rest(step: Step) -> Step:
    """A loop that ends near a fixed point as the assignment of that point, an implicit function; others as they are."""
    if not isinstance(step, Repeat):
        return step
    if not step.fixed_point or step.until is None:
        return replaced(step, [at_rest(s) for s in step.steps])
    after: dict[Symbol, Expr] = {}
    for part in step.steps:
        if not isinstance(part, Let) or part.read or part.save:
            return step
        after |= {s: substitute(e, after) for s, e in part.assign.items()}
    found = root({s: _plain(e - s) for s, e in after.items()})
    return Let(found, save=step.save)


def _plain(e: Expr) -> Expr:
    """An equation without a factor that all of its terms have, such as the length of a step."""
    factors = {abs(c) for c in e.terms.values()} if isinstance(e, Vector) else set()
    return e * (1 / factors.pop()) if len(factors) == 1 else e


class Ways(Rendered):
    """What an algorithm says of its guards, and of a step that depends on the state.

    Attributes:
        system: its system, and ``bound`` that with its bindings.
        scheme: its scheme.
        step: the symbol of the step.
        size: the step as an expression in the state, or None; ``small`` is its small factor, if it has one.
        where: the bindings.
    """

    name: str
    system: System
    bound: System
    scheme: Scheme
    step: sp.Symbol
    size: sp.Expr | None
    small: sp.Symbol | None
    where: Mapping[sp.Symbol, sp.Expr]

    @property
    @abstractmethod
    def own_program(self) -> Program:
        """The program of one step, with every oracle call that it makes by itself."""

    @property
    @abstractmethod
    def _clocks(self) -> tuple[Block, Block]:
        """Blocks for the time that has passed and for the last step."""

    @abstractmethod
    def _reads_time(self) -> bool:
        """Whether a field or an assignment has the time in it."""

    @abstractmethod
    def _compiled(
        self, scheme: Scheme, size: sp.Expr | None = None, elapsed: Block | None = None
    ) -> Program:
        """The program of one step of another scheme, with the step as it is taken where that is given."""

    @property
    def bound_size(self) -> sp.Expr | None:
        """The step as it is taken, where it depends on the state, with the bindings."""
        return None if self.size is None else substitute(self.size, chained(self.where))

    @cached_property
    def sized_program(self) -> Program:
        """The same with the step as it is taken, where that depends on the state."""
        if self.size is None:
            return self.own_program
        elapsed = self._clocks[0] if self._reads_time() else None
        return self._compiled(self.scheme, self.bound_size, elapsed)

    @property
    def limit_symbol(self) -> sp.Symbol:
        """The symbol in which limits and modified equations are taken: the step, or its small factor.

        Raises OdescentError for a step that depends on the state and has no small factor.
        """
        if self.size is None:
            return self.step
        if self.small is None:
            raise no_limit(self.size, self.name or "this algorithm")
        return self.small

    @cached_property
    def accepted_program(self) -> Program:
        """The same where guards accept, each loop is one iteration, and what branches set is held: it has no guards."""
        if not self.scheme.guarded:
            return self.own_program
        return self._held(self.set_by_guards)

    @cached_property
    def accepted_sized_program(self) -> Program:
        """The same with the step as it is taken, where that depends on the state."""
        if not self.scheme.guarded:
            return self.sized_program
        return self._held(self.set_by_guards, self.bound_size)

    @cached_property
    def held_program(self) -> Program:
        """The same with the coefficient blocks held where they are: what the limit of small steps is taken of."""
        held = {b.symbol for b in self.system.blocks if b.role == "coefficient"}
        if not held and not self.scheme.guarded:
            return self.own_program
        return self._held(held | self.set_by_guards)

    @cached_property
    def held_sized_program(self) -> Program:
        """The same with the step as it is taken, where that depends on the state."""
        held = {b.symbol for b in self.system.blocks if b.role == "coefficient"}
        if not held and not self.scheme.guarded:
            return self.sized_program
        return self._held(held | self.set_by_guards, self.bound_size)

    @cached_property
    def set_by_guards(self) -> set[Symbol]:
        """The scalar blocks that guarded substeps set, or count in, and that nothing else moves: radii, trial steps."""
        found: set[Symbol] = set()
        for step in self.scheme.steps:
            if isinstance(step, (Repeat, Select)):
                inside = list(inside_of(step))
                found |= {s for part in inside if isinstance(part, Let) for s in part.assign}
                counts = {part.count for part in (step, *inside) if isinstance(part, Repeat)}
                found |= {b.symbol for b in self.system.blocks if b.name in counts}
        own = {b.symbol for b in self.system.blocks if b.kind == "scalar" and b.role != "memory"}
        return {s for s in found & own if vanishes(self.bound.drift[s])}

    @property
    def taken_for_granted(self) -> tuple[str, ...]:
        """What the limit and the modified equation take for granted of guards and loops, in words."""
        every = [*self.scheme.every]
        loops = [s for s in every if isinstance(s, Repeat) and s.until is not None]
        said = [ACCEPTING] if any(isinstance(s, Select) for s in every) else []
        said += [RESTING] if any(s.fixed_point for s in loops) else []
        moves = {s for e in self.held_program.next.values() for s in symbols_of(e)}
        held = sorted(str(s) for s in self.set_by_guards & moves)
        return (*said, *[f"{listed(held)} {'are' if len(held) > 1 else 'is'} held"] * bool(held))

    def _held(self, held: set[Symbol], size: sp.Expr | None = None) -> Program:
        """The program of one way through the scheme, where guards accept, with some blocks held."""
        way = self.scheme.branch(True) if self.scheme.guarded else self.scheme
        way = Scheme([at_rest(s) for s in way.steps], way.name, way.reference)
        once = self._compiled(without(way.unrolled(), held), size)
        if not any(isinstance(s, Repeat) and s.until is not None for s in way.every):
            return once
        # A loop that leaves the state where its first iteration has brought it: a search, with its outcome held.
        twice = self._compiled(without(way.unrolled(2), held), size)
        first, second = once.update_map(1), twice.update_map(1)
        loop = next(s for s in way.every if isinstance(s, Repeat) and s.until is not None)
        for s in sorted({*first} | {*second}, key=str):
            if not vanishes(first.get(s, s) - second.get(s, s)):
                raise NotCarried(
                    f"the loop until {loop.until} moves {s} in every iteration, so that a step has no expansion in "
                    f"{self.step}; an implicit function stands for where such a loop ends."
                )
        return once
