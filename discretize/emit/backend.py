"""Backends: a printer, and a statement of what it supports."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..._support.errors import NotCarried
from ...dynamics.algebra.calculus import change
from ...dynamics.algebra.vectors import Expr, Product, ScalarNode, Vector
from .printing.language import NUMPY, Syntax

if TYPE_CHECKING:
    from ..programs.program import Program
    from ..step.iteration import Iteration
    from .lowering.names import Naming

# Everything that some backend cannot carry, and how a refusal says that a program has it.
POWERS = {
    "implicit": "takes an implicit step (a proximal map or a resolvent)",
    "several calls": "calls its oracles more than once a step",
    "no call": "calls no oracle",
    "draws": "draws noise",
    "jumps": "counts the jumps of a Poisson process",
    "operator": "calls a monotone operator, not a gradient",
    "other oracles": "calls an oracle other than a gradient or an operator",
    "directions": "multiplies by a Hessian",
    "matrices": "multiplies matrices",
    "scalars": "computes inner products or values inside the step",
    "coefficient blocks": "carries scalar blocks",
    "populations": "moves many particles that meet in a consensus point",
    "sweeps": "moves coordinates one after the other",
    "initial call": "calls an oracle to make its initial state",
}


@dataclass(frozen=True)
class Backend:
    """A target of emitted code.

    Attributes:
        name: the target.
        suffix: of a file, with the dot.
        carries: the entries of `POWERS` that it can carry.
        print: the source of one algorithm, with a naming of what the program calls its own; NotCarried where
            what it carries does not come together in the target.
        words: names with a meaning that the source does not show.
        syntax: of the language, with its reserved words.
    """

    name: str
    suffix: str
    carries: frozenset[str]
    print: Callable[[Iteration, Naming], str]
    words: frozenset[str] = frozenset()
    syntax: Syntax = NUMPY

    def refuse(self, program: Program, name: str = "") -> None:
        """Raise NotCarried, with one sentence, if the backend cannot carry the program."""
        for need in sorted(needs(program), key=list(POWERS).index):
            if need not in self.carries:
                who = name or "this algorithm"
                raise NotCarried(f"the {self.name} backend cannot carry {who}: it {POWERS[need]}.")


def needs(program: Program) -> set[str]:
    """The entries of `POWERS` that a program asks for."""
    found: set[str] = set()
    for c in program.calls:
        found |= {"implicit"} if c.implicit != 0 else set()
        found |= {"directions"} if c.directions else set()
        if c.oracle.kind != "grad":
            found.add("operator" if c.oracle.form.field else "other oracles")
        found |= {"populations"} if c.oracle.form.particles else set()
    found |= {"several calls"} if len(program.calls) > 1 else set()
    found |= {"no call"} if not program.calls and not program.sweeps else set()
    found |= {"sweeps"} if program.sweeps else set()
    found |= {"draws"} if program.draws else set()
    found |= {"jumps"} if program.counts else set()
    found |= {"coefficient blocks"} if any(b.kind == "scalar" for b in program.blocks) else set()
    if any(isinstance(b.init, Vector) and b.init.calls() for b in program.blocks):
        found.add("initial call")
    for e in program._expressions():
        found |= _inside(e)
    if any(b.kind == "matrix" for b in program.blocks):
        found.add("matrices")
    return found


def _inside(e: Expr) -> set[str]:
    found: set[str] = set()

    def look(node: Expr) -> None:
        if isinstance(node, Product) and node.kind != "hadamard":
            found.add("matrices")

    change(e, look)
    scalars: Iterable[object] = e.terms.values() if isinstance(e, Vector) else [e]
    if any(s.has(ScalarNode) for s in scalars):  # type: ignore[attr-defined]
        found.add("scalars")
    return found
