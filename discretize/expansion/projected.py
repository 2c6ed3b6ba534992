"""Steps that end in a projection: a substep that takes a block to a nearest point of a set."""

from __future__ import annotations

from collections.abc import Iterable

from ...dynamics.algebra.calculus import Symbol
from ...dynamics.algebra.vectors import Call, Expr, Vector
from ...dynamics.maps import form_of
from ...dynamics.maps.form import SOLID, THIN
from ..programs.control import Repeat, Select
from ..programs.substeps import Let, Scheme, Step, replaced
from ..step.iteration import Iteration


def projected(algorithm: Iteration) -> dict[Symbol, str]:
    """The blocks that fields move and a `Let` projects by a named map, with its name."""
    moved = {s for f in algorithm.system.fields.values() for s in f.drift}
    return {
        s: call.oracle.of
        for step in algorithm.scheme.every
        if isinstance(step, Let)
        for s, e in step.assign.items()
        if s in moved and (call := _projection(e)) is not None
    }


def solid(algorithm: Iteration) -> bool:
    """Whether its projections leave the points of open sets in place."""
    return all(form_of(name).onto == SOLID for name in projected(algorithm).values())


def inside(algorithm: Iteration) -> Scheme:
    """The scheme without its projections: its substeps add up to the system."""
    blocks = projected(algorithm)

    def opened(steps: Iterable[Step]) -> list[Step]:
        found: list[Step] = []
        for step in steps:
            if isinstance(step, Let):
                assign = {s: _point(e) if s in blocks else e for s, e in step.assign.items()}
                found.append(Let(assign, step.read, step.save))
            elif isinstance(step, Repeat):
                found.append(replaced(step, opened(step.steps)))
            elif isinstance(step, Select):
                ways = opened(step.accept), opened(step.reject)
                found.append(Select(step.condition, *ways, step.save))
            else:
                found.append(step)
        return found

    scheme = algorithm.scheme
    return Scheme(opened(scheme.steps), scheme.name, scheme.reference)


def _projection(e: Expr) -> Call | None:
    """The call of a projection that an expression is, and nothing else."""
    if not isinstance(e, Vector) or len(e.terms) != 1:
        return None
    ((atom, c),) = e.terms.items()
    if c != 1 or not isinstance(atom, Call) or atom.oracle.kind != "named" or atom.directions:
        return None
    return atom if form_of(atom.oracle.of).onto in (SOLID, THIN) else None


def _point(e: Expr) -> Expr:
    found = _projection(e)
    return e if found is None else found.point


__all__ = ["inside", "projected", "solid"]
