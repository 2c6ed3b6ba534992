"""A sweep over the coordinates of one block, as an instruction of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._support.errors import OdescentError
from ...dynamics.algebra.calculus import Symbol, change, substitute, symbols_of, tidy
from ...dynamics.algebra.vectors import Call, Expr, Vector, VectorSymbol
from ..programs.program import SweepCoordinates
from ..programs.substeps import RULES, Sweep

if TYPE_CHECKING:
    from .builder import Builder


def sweep(builder: Builder, step: Sweep) -> tuple[Symbol, VectorSymbol]:
    """Emit the instruction; the block that it moves, and the name of its new value.

    Raises OdescentError for fields that move more than one vector, have noise, couple the coordinates
    other than through an oracle at the block itself, or (discrete_gradient) are no gradient of one function.
    """
    drift, noise = builder.select(step)
    if len(drift) != 1 or noise:
        what = "noise" if noise else f"the blocks {', '.join(s.name for s in drift)}"
        raise OdescentError(
            f"a sweep moves the coordinates of one vector block without noise, but its fields have {what}; "
            "give the block by on=, or split the fields."
        )
    ((target, e),) = drift.items()
    if not isinstance(target, VectorSymbol) or target.kind != "vector" or not isinstance(e, Vector):
        raise OdescentError(
            f"a sweep updates the coordinates of a vector block, and {target} is not a vector block."
        )
    _check(target, e, step)
    view = builder.view(step.read)
    moving = VectorSymbol(builder.fresh(f"{target.name}_moving", first=True))
    slope = _slope(builder, builder.at_time(e, step.time), target, moving, view)
    start = builder.state[target.name]
    assert isinstance(start, Vector)
    made = VectorSymbol(builder.fresh(target.name if step.commit else f"{target.name}_{step.save}"))
    kind, weight = step.by.kind, RULES[step.by.kind].sweep
    assert weight is not None  # as the sweep was checked when it was made
    builder.instructions.append(
        SweepCoordinates(
            made, start, moving, slope, step.fraction * builder.step, weight,
            kind == "discrete_gradient", step.backward,
        )
    )  # fmt: skip
    return target, made


def _check(target: VectorSymbol, e: Vector, step: Sweep) -> None:
    if target.name in step.read or "*" in step.read:
        raise OdescentError(
            f"a sweep over {target} reads {target} as it moves, not at a saved stage; leave it out of read=."
        )
    if any(target in symbols_of(c) for c in e.terms.values()):
        raise OdescentError(
            f"a sweep over {target} needs a field that acts on each coordinate apart, but {e} has a coefficient "
            f"that depends on all of {target}."
        )
    for c in e.calls():
        if target not in c.symbols():
            continue
        if c.point != target or c.directions or not c.oracle.form.field:
            raise OdescentError(
                f"a sweep over {target} can call a gradient or an operator at {target} itself, but the drift has {c}."
            )
    if step.by.kind != "discrete_gradient":
        return
    own = [c for c in e.calls() if target in c.symbols()]
    gradient = VectorSymbol("gradient")
    hidden = change(e, lambda node: gradient if node in own else None)
    if len(own) != 1 or own[0].oracle.kind != "grad" or target in hidden.free_symbols:
        raise OdescentError(
            f"a discrete gradient needs a field that is the gradient of one function at {target}, scaled, but the "
            f"drift is {e}."
        )


def _slope(
    builder: Builder,
    e: Vector,
    target: VectorSymbol,
    moving: VectorSymbol,
    view: dict[Symbol, Expr],
) -> Vector:
    """The drift in program names, with calls at the block left in it and all others made before the sweep."""
    inside = dict(view)
    inside[target] = moving

    def rule(node: Expr) -> Expr | None:
        return (
            builder.result(node)
            if isinstance(node, Call) and moving not in node.symbols()
            else None
        )

    return tidy(change(substitute(e, inside), rule))
