"""What a step asks for: evaluations of its oracles by kind, solves, and examples of a finite sum."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from ...dynamics.vector_fields.finite_sum import FiniteSum
from ..emit.lowering.domains import lowered_of
from ..emit.lowering.names import Naming
from ..emit.lowering.statements import (
    ENTRIES,
    Ask,
    ChooseLet,
    LoopLet,
    Routine,
    SolveLet,
    SweepLet,
    inside,
)
from ..step.iteration import Iteration

_WORDS = {
    "grad": "gradients", "batch": "minibatch gradients", "value": "values", "operator": "operators", "map": "maps",
    "prox": "proximal maps", "resolvent": "resolvents", "ensemble": "consensus points", "hvp": "products",
    "jvp": "products", "vjp": "products", "vhp": "products",
}  # fmt: skip


@lru_cache(maxsize=256)
def _of(algorithm: Iteration, start: bool) -> tuple[tuple[str, int], ...]:
    """What the statements of a step ask for, or those of the start."""
    low = lowered_of(algorithm, Naming())
    found, unsure = _counted(low.init if start else low.step)
    unsure = (
        unsure | _counted(low.step)[1]
    )  # what guards decide is not counted, and not at the start either
    return tuple((kind, n) for kind, n in found.items() if kind not in unsure)


def _counted(routine: Routine) -> tuple[Counter[str], set[str]]:
    """How many evaluations of each kind a routine makes, and the kinds of which guards decide how many."""
    found: Counter[str] = Counter()
    unsure: set[str] = set()
    for s in routine.statements:
        inner = [_counted(r) for r in inside(s)] if isinstance(s, (ChooseLet, LoopLet)) else []
        unsure |= {kind for _, kinds in inner for kind in kinds}
        if isinstance(s, ChooseLet):
            (accept, _), (reject, _) = inner
            found.update(accept)
            unsure |= {kind for kind in {*accept, *reject} if accept[kind] != reject[kind]}
        elif isinstance(s, LoopLet):
            unsure |= {*inner[0][0]}
        elif isinstance(s, Ask) and not s.over:
            kind = s.argument.partition("_")[0]
            found[_WORDS.get(kind, kind)] += 1
        elif isinstance(s, SolveLet):
            found["diagonals" if s.method == ENTRIES else "solves"] += 1
        elif isinstance(s, SweepLet):
            found["sweeps"] += 1
    return found, unsure


def cost_of_step(algorithm: Iteration, objective: object = None) -> dict[str, int]:
    """How many evaluations of each kind a step takes, by name; what a step before it left is not evaluated again.

    Products are those outside of solves, whose number of products is that of their iterations. Evaluations whose number
    guards decide are left out.

    Args:
        algorithm: the method.
        objective: of a `FiniteSum` the examples are counted too: rows of the data at which its function, its gradient
            or a product is evaluated.
    """
    return _with_examples(dict(_of(algorithm, False)), objective)


def cost_of_start(algorithm: Iteration, objective: object = None) -> dict[str, int]:
    """The same of what a run asks for before its first step: the initial values of memories."""
    return _with_examples(dict(_of(algorithm, True)), objective)


def _with_examples(cost: dict[str, int], objective: object) -> dict[str, int]:
    if isinstance(objective, FiniteSum):
        whole = sum(cost.get(n, 0) for n in ("gradients", "values", "products"))
        picked = cost.get("minibatch gradients", 0)
        cost["examples"] = whole * objective.rows + picked * objective.batch_size
    return cost
