"""What a step asks for: evaluations of its oracles by kind, solves, and examples of a finite sum."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from ...dynamics.vector_fields.means import FiniteSum, Sampled
from ..emit.lowering.domains import lowered_of
from ..emit.lowering.names import Naming
from ..emit.lowering.statements import (
    ENTRIES,
    MATRIX,
    Ask,
    ChooseLet,
    LoopLet,
    Routine,
    SolveLet,
    SweepLet,
    inside,
)
from ..step.iteration import Iteration
from .ending import Spent

_WORDS = {
    "grad": "gradients", "batch": "minibatch gradients", "deviation": "deviations", "value": "values",
    "operator": "operators", "map": "maps",
    "prox": "proximal maps", "resolvent": "resolvents", "ensemble": "consensus points", "hvp": "products",
    "jvp": "products", "vjp": "products", "vhp": "products", "batchhvp": "minibatch products",
}  # fmt: skip
SIZED = "gradients of sized batches"  # whose rows are counted as they are taken
EXAMPLES = "examples"
_FROM_PRODUCTS = {ENTRIES: "diagonals", MATRIX: "matrices"}


@lru_cache(maxsize=256)
def _of(algorithm: Iteration) -> tuple[tuple[str, int], ...]:
    """What the statements of a step ask for, whatever its guards decide."""
    found, unsure = _counted(lowered_of(algorithm, Naming()).step)
    return tuple((kind, n) for kind, n in found.items() if kind not in unsure)


@lru_cache(maxsize=256)
def _outside(algorithm: Iteration) -> tuple[Counter[str], Counter[str]]:
    """What the start and a step ask for outside of guards."""
    low = lowered_of(algorithm, Naming())
    return asked(low.init), asked(low.step)


def asked(routine: Routine) -> Counter[str]:
    """How many evaluations of each kind a routine makes outside of its choices and loops."""
    found: Counter[str] = Counter()
    for s in routine.statements:
        if isinstance(s, Ask) and not s.over:
            kind = s.argument.partition("_")[0]
            sized = kind == "batch" and len(s.scalars) > 1
            found[SIZED if sized else _WORDS.get(kind, kind)] += 1
        elif isinstance(s, SolveLet):
            found[_FROM_PRODUCTS.get(s.method, "solves")] += 1
        elif isinstance(s, SweepLet):
            found["sweeps"] += 1
    return found


def _counted(routine: Routine) -> tuple[Counter[str], set[str]]:
    """How many evaluations of each kind a routine makes, and the kinds of which guards decide how many."""
    found = asked(routine)
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
    return found, unsure


def cost_of_step(algorithm: Iteration, objective: object = None) -> dict[str, int]:
    """How many evaluations of each kind a step takes, by name; what a step before it left is not evaluated again.

    Products are those outside of solves, whose number of products is that of their iterations. Evaluations whose number
    guards decide are left out, and the examples of a method whose batches change their size.

    Args:
        algorithm: the method.
        objective: of a `FiniteSum` the examples are counted too: rows of the data at which its function, its gradient
            or a product is evaluated.
    """
    cost = _with_examples(dict(_of(algorithm)), objective)
    if SIZED in cost:
        cost.pop(EXAMPLES, None)
    return cost


def cost_of_run(algorithm: Iteration, objective: object = None) -> tuple[Spent, ...]:
    """What a run asks for, by kind; what its guards decide is in the blocks of `counting.counted`.

    Args:
        algorithm: the method.
        objective: of a `FiniteSum` the examples are counted too.
    """
    begun, each = (_with_examples(dict(found), objective) for found in _outside(algorithm))
    rows = _rows_of(objective)
    decided = {kind: [(block, 1)] for kind, block in algorithm.counters.items()}
    seen = [(block, rows[kind]) for kind, block in algorithm.counters.items() if kind in rows]
    if seen:
        decided[EXAMPLES] = [*decided.get(EXAMPLES, ()), *seen]
    return tuple(
        Spent(n, begun.get(n, 0), each.get(n, 0), tuple(decided.get(n, ())))
        for n in dict.fromkeys((*each, *begun, *decided))
    )


def _with_examples(cost: dict[str, int], objective: object) -> dict[str, int]:
    rows = _rows_of(objective)
    if rows:
        cost[EXAMPLES] = sum(n * rows[kind] for kind, n in cost.items() if kind in rows)
    return cost


def _rows_of(objective: object) -> dict[str, int]:
    """At how many rows of a finite sum, or outcomes of an expectation, each kind is evaluated."""
    if not isinstance(objective, Sampled):
        return {}
    found = dict.fromkeys(("minibatch gradients", "minibatch products"), objective.batch_size)
    if isinstance(objective, FiniteSum):
        found |= dict.fromkeys(("gradients", "values", "products"), objective.rows)
    return found
