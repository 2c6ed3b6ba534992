"""Claims: choices that change nothing but counts of the steps in which their guard fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import sympy as sp

from .control import Select
from .guards import Guard
from .substeps import Let


@dataclass(frozen=True)
class Counted:
    """A claim.

    Attributes:
        guard: what is claimed of each step.
        violated: the scalar block that counts where it fails.
        unchecked: that of the steps in which a side is not a number; None where these count as violations.
    """

    guard: Guard
    violated: sp.Symbol
    unchecked: sp.Symbol | None


def claims(steps: Iterable[Any]) -> Iterator[Counted]:
    """The claims among substeps."""
    for step in steps:
        if isinstance(step, Select) and not step.accept and len(step.reject) == 1:
            (failed,) = step.reject
            if (violated := _one_more(failed)) is not None:
                yield Counted(step.condition, violated, None)
            elif isinstance(failed, Select) and failed.condition == step.condition.negated():
                sides = [_one_more(s) for side in (failed.accept, failed.reject) for s in side]
                if len(sides) == 2 and sides[0] is not None and sides[1] is not None:
                    yield Counted(step.condition, sides[0], sides[1])


def _one_more(step: Any) -> sp.Symbol | None:
    """The scalar block that a substep adds one to, if that is all."""
    if not isinstance(step, Let) or len(step.assign) != 1:
        return None
    ((s, value),) = step.assign.items()
    return s if isinstance(s, sp.Symbol) and value == s + 1 else None
