"""The way of a step on which guards accept, and what is held on it: what limits and expansions are taken of."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property

import sympy as sp

from ..._support.errors import NotCarried
from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.calculus import Symbol, vanishes
from ...dynamics.flows.system import System
from ..programs.program import Program
from ..programs.substeps import Let, Repeat, Scheme, Select, inside_of, without


class Ways(Rendered):
    """What an algorithm says of its guards.

    Attributes:
        system: its system, and ``bound`` that with its bindings.
        scheme: its scheme.
        step: the symbol of the step.
    """

    system: System
    bound: System
    scheme: Scheme
    step: sp.Symbol

    @property
    @abstractmethod
    def own_program(self) -> Program:
        """The program of one step, with every oracle call that it makes by itself."""

    @abstractmethod
    def _compiled(self, scheme: Scheme) -> Program:
        """The program of one step of another scheme."""

    @cached_property
    def accepted_program(self) -> Program:
        """The same where guards accept, each loop is one iteration, and what branches set is held: it has no guards."""
        if not self.scheme.guarded:
            return self.own_program
        return self._held(self.set_by_guards)

    @cached_property
    def held_program(self) -> Program:
        """The same with the coefficient blocks held where they are: what the limit of small steps is taken of."""
        held = {b.symbol for b in self.system.blocks if b.role == "coefficient"}
        if not held and not self.scheme.guarded:
            return self.own_program
        return self._held(held | self.set_by_guards)

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

    def _held(self, held: set[Symbol]) -> Program:
        """The program of one way through the scheme, where guards accept, with some blocks held."""
        way = self.scheme.branch(True) if self.scheme.guarded else self.scheme
        once = self._compiled(without(way.unrolled(), held))
        if not any(isinstance(s, Repeat) and s.until is not None for s in way.every):
            return once
        # A loop that leaves the state where its first iteration has brought it: a search, with its outcome held.
        twice = self._compiled(without(way.unrolled(2), held))
        first, second = once.update_map(1), twice.update_map(1)
        loop = next(s for s in way.every if isinstance(s, Repeat) and s.until is not None)
        for s in {*first} | {*second}:
            if not vanishes(first.get(s, s) - second.get(s, s)):
                raise NotCarried(
                    f"the loop until {loop.until} moves {s} in every iteration, so that a step has no expansion in "
                    f"{self.step}; an implicit function stands for where such a loop ends."
                )
        return once
