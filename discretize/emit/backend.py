"""Backends: a printer, and a statement of what it supports."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy as sp

from ..._support.errors import NotCarried
from ...dynamics.algebra.direct_sums import covectors_and_directions
from ...dynamics.algebra.operators import Inverse
from ...dynamics.algebra.products import Part, Product, Unary, identity
from ...dynamics.algebra.vectors import (
    Expr,
    ScalarNode,
    Vector,
    VectorSymbol,
)
from ...dynamics.algebra.windows import of_window
from ...dynamics.solves.routes import diagonal_by_products, multiplied, right_sides, solve_in
from ..programs.instructions import Choose
from .printing.language import NUMPY, Syntax

if TYPE_CHECKING:
    from ..programs.program import Program
    from ..step.iteration import Iteration
    from .lowering.names import Naming

# Everything that some backend cannot carry, and how a refusal says that a program has it.
POWERS = {
    "implicit": "takes an implicit step (a proximal map or a resolvent)",
    "several calls": "calls its oracles more than once per step",
    "no call": "calls no oracle",
    "draws": "draws noise",
    "jumps": "counts the jumps of a Poisson process",
    "operator": "calls a monotone operator, not a gradient",
    "other oracles": "calls an oracle other than a gradient or an operator",
    "directions": "multiplies by a Hessian",
    "several arguments": "calls a function of several arguments",
    "several spaces": "has blocks that need not have the shape of the parameters",
    "groups": "treats groups of parameters by fields of their own",
    "matrices": "multiplies matrices",
    "solves": "solves linear equations by products",
    "block solves": "solves linear equations for several blocks at once",
    "windows": "keeps a window of past values",
    "scalars": "computes inner products or values inside the step",
    "coefficient blocks": "has scalar blocks",
    "populations": "moves many particles that meet in a consensus point",
    "sweeps": "updates coordinates one after the other",
    "choices": "chooses between substeps by a guard",
    "loops": "repeats substeps until a guard holds",
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
                raise NotCarried(
                    f"the {self.name} backend does not support {who}: it {POWERS[need]}."
                )


def needs(program: Program) -> set[str]:
    """The entries of `POWERS` that a program asks for."""
    found: set[str] = set()
    program = program.realized()
    for c in program.calls:
        found |= {"implicit"} if c.implicit != 0 else set()
        found |= {"several arguments"} if c.oracle.args else set()
        _, along = covectors_and_directions(c.directions)  # what an adjoint acts on is an argument
        found |= {"directions"} if along else set()
        if c.oracle.kind != "grad":
            found.add("operator" if c.oracle.form.field else "other oracles")
        found |= {"populations"} if c.oracle.form.particles else set()
    found |= {"several calls"} if len(program.calls) > 1 else set()
    found |= {"no call"} if not program.calls and not program.sweeps else set()
    found |= {"sweeps"} if program.sweeps else set()
    spaces = zip(program.blocks, program.classes, strict=True)
    found |= {"several spaces"} if any(n > 0 and not b.operates for b, n in spaces) else set()
    found |= {"draws"} if program.draws else set()
    found |= {"choices" if isinstance(i, Choose) else "loops" for i in program.guarded}
    found |= {"scalars"} if program.guarded else set()
    found |= {"jumps"} if program.counts else set()
    found |= {"coefficient blocks"} if any(b.kind == "scalar" for b in program.blocks) else set()
    if any(isinstance(b.init, Vector) and b.init.calls() for b in program.blocks):
        found.add("initial call")
    for e in program.expressions():
        found |= _inside(e)
    if any(b.operates for b in program.blocks):
        found.add("matrices")
    found |= {"windows"} if any(b.keeps for b in program.blocks) else set()
    if names := groups_of(program):
        grads = [c for c in program.calls if c.oracle.slot in names]
        found = found - {"several arguments", "several spaces"} | {"groups"}
        found -= {"several calls"} if len(grads) == len(names) else set()
    return found


def groups_of(program: Program) -> tuple[str, ...]:
    """The arguments of a function of several as groups of parameters; none where they are not.

    They are where all that is called, beside named maps, is this function's partial gradients at one point, and a block
    is called as each.
    """
    asked = [c for c in program.calls if not c.oracle.form.registered]
    called = {(c.oracle.of, c.oracle.args, c.point) for c in asked}
    plain = all(
        c.oracle.kind == "grad" and not c.directions and not c.parameters and c.implicit == 0
        for c in asked
    )
    others = {o for o in program.oracles if not o.form.registered} - {c.oracle for c in asked}
    if len(called) != 1 or not plain or others:
        return ()
    ((_, names, _),) = called
    blocks = {b.name for b in program.blocks if isinstance(b.symbol, VectorSymbol)}
    held = blocks >= {*names} and {c.oracle.slot for c in asked} == {*names}
    return names if held else ()


def _inside(e: Expr) -> set[str]:
    found = set[str]()

    def look(e: Expr, given: bool = False, windowed: bool = False) -> None:
        """Note what an expression needs.

        ``given``: in an operator of which a solve takes products alone; ``windowed``: in one made of windows alone.
        """
        scalars: Iterable[sp.Expr] = e.terms.values() if isinstance(e, Vector) else [e]
        for node in {n for s in scalars for n in s.atoms(ScalarNode)}:
            found.add("scalars")
            for v in multiplied(node):
                look(v)
        for a in e.terms if isinstance(e, Vector) else ():
            if of_window(a) and (windowed or a != identity):
                found.update({"windows"} if a != identity else ())
                for part in a.parts():
                    look(part, given, True)
                continue
            if (solved := solve_in(a)) is not None:
                before, solve = solved
                assert isinstance(solve.left, Inverse)
                rights = right_sides(solve)
                found.update({"solves"} if "" in rights else {"solves", "block solves"})
                look(solve.left.argument, True)
                for part in (*rights.values(), *(b for b in before if not isinstance(b, Part))):
                    look(part)
                continue
            if isinstance(a, Unary) and diagonal_by_products(a):
                found.add("solves")
                look(a.argument, True)
                continue
            inside = given and not isinstance(a, VectorSymbol)
            word = isinstance(a, (Inverse, Product)) and not (
                isinstance(a, Product) and a.kind != "apply"
            )
            if not inside and (a.operates or (isinstance(a, Product) and a.kind != "hadamard")):
                found.add("matrices")
            for part in a.parts():
                look(part, inside and word)

    look(e)
    return found
