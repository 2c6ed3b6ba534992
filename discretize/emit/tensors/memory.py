"""The memory of an emitted optimizer: the point that the parameters hold, its buffers, the need of a closure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import sympy as sp

from ...._support.errors import NotCarried
from ....dynamics.algebra.calculus import Symbol, substitute, symbols_of, tidy, vanishes
from ....dynamics.algebra.exact import canonical
from ....dynamics.algebra.oracles import Oracle
from ....dynamics.algebra.vectors import Call, Expr, Vector, VectorSymbol
from ....dynamics.notation.show import text
from ....dynamics.vector_fields.block import start
from ...linear.witness import is_positive
from ...programs.program import Assign, CallOracle, Program
from ..backend import needs
from ..lowering.lower import solve_implicit
from ..transform.linear import plan
from ..transform.plan import PARAMS

_GRADIENTS = {"grad", "operator"}


def _is_gradient(c: CallOracle | Call) -> bool:
    """Whether backward answers it: products with a Hessian are asked of another function."""
    return c.oracle.kind in _GRADIENTS and not c.directions


@dataclass(frozen=True)
class Layout:
    """A program as an optimizer runs it.

    Attributes:
        program: its blocks are the memory; PARAMS stands for what the parameters hold between steps.
        gradient: the oracle whose values are the gradients, if there is one.
        at_params: whether the first gradient of a step is taken at what the parameters hold.
        closure: whether a step takes gradients at other points too, or by a guard, so that it needs a closure.
        first_gradient: whether the initial memory needs gradients that are not the first one of a step.
        holds: what the parameters hold, in words.
        meaning: each memory vector in terms of the algorithm's blocks, for people.
    """

    program: Program
    gradient: Oracle | None
    at_params: bool
    closure: bool
    first_gradient: bool
    holds: str
    meaning: Mapping[str, str] = field(default_factory=dict)

    @property
    def starts_there(self) -> bool:
        """Whether the output is what the parameters hold, as long as no step has been made."""
        p = self.program
        values: dict[Symbol, Expr] = {b.symbol: b.init for b in p.blocks}
        values |= {PARAMS: start}
        values |= {p.counter: sp.S.Zero} if p.counter is not None else {}
        return vanishes(substitute(p.outputs["x"], values) - start)


def layout(program: Program) -> Layout:
    """The layout of a program; NotCarried where an optimizer's contract has no room for it."""
    program = solve_implicit(program)
    explicit = [c for c in program.calls if _is_gradient(c)]
    oracles = {c.oracle for c in explicit}
    if len(oracles) > 1:
        raise NotCarried(
            f"the torch backend takes gradients of one function, not of {len(oracles)}: a closure has one loss."
        )
    if any(c.parameters for c in explicit):
        raise NotCarried("the torch backend supports only gradients without further arguments.")
    general = {"draws", "scalars", "choices", "initial call", "several calls", "windows"}
    if len(explicit) == 1 and not needs(program) & general:
        try:
            return _additive(program, explicit[0])
        except NotCarried:
            pass
    return _general(program, explicit)


def names_of(made: Layout) -> set[str]:
    """The names of its blocks and of what its step computes."""
    p = made.program
    return {b.name for b in p.blocks} | {s.name for s in p.defined}


# one gradient, and coordinates with little memory


def _additive(program: Program, call: CallOracle) -> Layout:
    made = plan(program)
    assert made.gradient is not None  # it comes in: that is what a plan is
    p, update = made.program, made.update
    asked = CallOracle(made.gradient, call.oracle, PARAMS)
    after = {**p.next, PARAMS: PARAMS + update}
    whole = replace(p, instructions=(asked, *p.instructions), next=after)
    if not any(b.kind == "vector" for b in p.blocks):
        whole = replace(whole, outputs={**p.outputs, "x": _at_the_point(program)})
    meaning = {}
    if made.meaning:
        whole, scales = _averaging(whole, made.gradient)
        for name, vector in made.meaning.items():
            meaning[name] = text(tidy(vector / scales.get(name, 1)))
            meaning[name] += ", an average of gradients" * (name in scales)
    holds = "the point where gradients are taken"
    return Layout(whole, call.oracle, True, False, False, holds, meaning)


def _at_the_point(program: Program) -> Vector:
    """The output in terms of the gradient point, where there is no other memory."""
    flat = program.inlined()
    (point,), output = [c.point for c in flat.calls], flat.outputs["x"]
    assert isinstance(output, Vector)
    ratios = {canonical(c / point.terms[a]) for a, c in output.terms.items() if a in point.terms}
    for ratio in ratios:
        if vanishes(output - point * ratio) and not symbols_of(ratio) - set(program.parameters):
            found: Vector = PARAMS * ratio
            return found
    raise NotCarried("the output is not a multiple of the gradient point.")


def _averaging(p: Program, gradient: VectorSymbol) -> tuple[Program, dict[str, sp.Expr]]:
    """Memory m+ = a m + c g in the scale where a + c = 1: an average of gradients, one pass to update."""
    fixed = set(p.parameters)
    scales: dict[str, sp.Expr] = {}
    values: dict[Symbol, Expr] = {}
    for b in p.blocks:
        moved = next((i for i in p.instructions if p.next[b.symbol] in i.targets), None)
        if not isinstance(moved, Assign) or not isinstance(moved.value, Vector):
            continue
        terms = dict(moved.value.terms)
        own, other = terms.pop(b.symbol, sp.S.Zero), terms.pop(gradient, sp.S.Zero)
        if terms or own == 0 or other == 0 or not symbols_of(own + other) <= fixed:
            continue
        if is_positive(1 - own):
            scale = canonical(other / (1 - own))
            scales[b.name] = scale
            values |= {s: s * scale for s in (b.symbol, moved.target)}

    def scaled(e: Expr) -> Expr:
        return tidy(substitute(e, values))

    divided = {
        s: 1 / scales[b.name]
        for b in p.blocks
        if b.name in scales
        for s in (b.symbol, p.next[b.symbol])
    }
    instructions = tuple(
        replace(i, value=tidy(scaled(i.value) * divided.get(i.target, sp.S.One)))
        if isinstance(i, Assign)
        else i
        for i in p.instructions
    )
    # the names of the memory after the step stand for the scaled memory, too
    after = {s: e if s in divided else scaled(e) for s, e in p.next.items()}
    blocks = tuple(
        replace(b, init=tidy(b.init / scales[b.name])) if b.name in scales else b for b in p.blocks
    )
    outputs = {n: scaled(e) for n, e in p.outputs.items()}
    return replace(p, blocks=blocks, instructions=instructions, next=after, outputs=outputs), scales


# everything else


def _general(program: Program, explicit: list[CallOracle]) -> Layout:
    output = program.outputs["x"]
    points = [c.point for c in program.asked if _is_gradient(c)]
    by_symbol = {b.symbol: b for b in program.blocks if b.init == start}
    assert isinstance(output, Vector)
    wanted = [*points[:1], output, *([] if output.calls() else by_symbol)]
    place = next((s for s in wanted if s in by_symbol), None)
    if place is not None:
        assert isinstance(place, VectorSymbol)
        p = _renamed(program, {place: PARAMS})
        after = dict(p.next)
        after[PARAMS] = after.pop(place)
        p = replace(p, next=after, blocks=tuple(b for b in p.blocks if b.symbol != place))
        holds = f"the block {place.name}"
    else:
        values = {b.symbol: b.init for b in program.blocks}
        if not output.calls() and not vanishes(substitute(output, values) - start):
            raise NotCarried(
                "the torch backend starts at the parameters, but no block of this algorithm does."
            )
        p, output = _held_output(program, output)
        after = {**p.next, PARAMS: substitute(output, program.next)}
        p = replace(p, next=after, outputs={**p.outputs, "x": PARAMS})
        holds = "the algorithm's output"
    p = p.alive(p.next[PARAMS], p.outputs["x"])
    asked = [c for c in p.asked if _is_gradient(c)]
    at_params = bool(asked) and asked[0].point == PARAMS
    p, first = _with_first_gradient(p, asked[0].target if at_params else None)
    if at_params and len(asked) == 1:
        holds += ", where gradients are taken"
    elif at_params:
        holds += ", where the first gradient of a step is taken"
    gradient = asked[0].oracle if asked else None
    inside = any(c not in p.instructions for c in p.calls if _is_gradient(c))
    closure = len(asked) > 1 or (bool(asked) and not at_params) or first or inside
    return Layout(p, gradient, at_params, closure, first, holds)


def _renamed(program: Program, values: Mapping[Symbol, Expr]) -> Program:
    """The program with symbols of its step replaced; initial values stay."""
    inits = {b.name: b.init for b in program.blocks}
    done = program.bind(values)
    return replace(done, blocks=tuple(replace(b, init=inits[b.name]) for b in done.blocks))


def _held_output(program: Program, output: Vector) -> tuple[Program, Vector]:
    """The program where what it asks an oracle for is the output, which the parameters hold already."""
    for i in program.instructions:
        if isinstance(i, CallOracle) and i.as_call() == output:
            kept = tuple(other for other in program.instructions if other is not i)
            return _renamed(replace(program, instructions=kept), {i.target: PARAMS}), output
    return program, output


def _with_first_gradient(p: Program, gradient: VectorSymbol | None) -> tuple[Program, bool]:
    """Gradients at the start in initial memory are the first step's own gradient, if it is taken there.

    Others are taken before it, so that a step begins where the parameters are.
    """
    begun = [c for b in p.blocks if isinstance(b.init, Vector) for c in b.init.calls()]
    asked = [c for c in begun if _is_gradient(c) and c.point == start]
    away = any(_is_gradient(c) and c.point != start for c in begun)
    if away and any(b.kind == "window" for b in p.blocks):
        raise NotCarried(
            "beside a window the torch backend supports gradients at the starting point only in the initial memory."
        )
    if not asked:
        return p, away
    name = gradient if gradient is not None else VectorSymbol("g_start")

    def asked_once(e: Expr) -> Expr:
        if not isinstance(e, Vector):
            return e
        return Vector.of((name if a in asked else a, c) for a, c in e.terms.items())

    blocks = tuple(replace(b, init=asked_once(b.init)) for b in p.blocks)
    return replace(p, blocks=blocks), gradient is None or away
