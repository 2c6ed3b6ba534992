"""Guarded substeps: a list that is repeated until a guard holds, and a choice between two lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import OdescentError, expected
from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.scalars import as_scalar
from .guards import Guard, guard_of

UNROLLED = 64  # iterations of a loop without a guard that analysis writes one after the other


@dataclass(frozen=True, init=False)
class Repeat(Rendered):
    """Repeat substeps until a guard holds, at least once and at most so many times.

    Stages that the substeps save are local to an iteration. A run in which the guard does not hold after ``max_steps``
    iterations ends there and says what was last compared; a loop without a guard takes exactly ``max_steps``.

    Attributes:
        steps: the substeps.
        until: a relation of scalars in the state after the iteration, and in stages by `at`; None for a fixed number.
        max_steps: the bound, a positive whole number or a parameter.
        count: the name of a scalar block that counts the iterations: 1 in the first, at the end how many there were.
        fixed_point: the loop ends near a fixed point of an iteration: so is it differentiated, and not otherwise.
        save: save the state after the loop as a stage of that name.
    """

    steps: tuple[Any, ...]
    until: Guard | None
    max_steps: sp.Expr
    count: str | None
    fixed_point: bool
    save: str | None

    @checked
    def __init__(
        self,
        steps: Any,
        until: Any = None,
        max_steps: object = None,
        count: Any = None,
        fixed_point: bool = False,
        save: str | None = None,
    ) -> None:
        listed = _substeps("a Repeat", steps)
        if not listed:
            raise OdescentError("a Repeat needs substeps to repeat; its list is empty.")
        if max_steps is None:
            raise OdescentError(
                "a Repeat needs max_steps=, the largest number of iterations: a positive whole number or a parameter."
            )
        symbol = getattr(count, "symbol", count)
        if not (symbol is None or isinstance(symbol, (str, sp.Symbol))):
            raise expected("count of a Repeat", "a scalar block", count)
        values = {
            "steps": listed,
            "until": None if until is None else guard_of(until, "the condition of a Repeat"),
            "max_steps": bound_of(max_steps),
            "count": None if symbol is None else str(symbol),
            "fixed_point": fixed_point,
            "save": save,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True, init=False)
class Select(Rendered):
    """Choose between two lists of substeps by a guard.

    Stages that a list saves are local to it.

    Attributes:
        condition: a relation of scalars in the current state, and in stages by `at`.
        accept: the substeps where it holds.
        reject: those where it does not.
        save: save the state after them as a stage of that name.
    """

    condition: Guard
    accept: tuple[Any, ...]
    reject: tuple[Any, ...]
    save: str | None

    @checked
    def __init__(
        self, condition: Any, accept: Any = (), reject: Any = (), save: str | None = None
    ) -> None:
        values = {
            "condition": guard_of(condition, "the condition of a Select"),
            "accept": _substeps("accept of a Select", accept),
            "reject": _substeps("reject of a Select", reject),
            "save": save,
        }
        if not values["accept"] and not values["reject"]:
            raise OdescentError(
                "a Select needs substeps to choose from; both of its lists are empty."
            )
        for name, value in values.items():
            object.__setattr__(self, name, value)


def _substeps(what: str, steps: Any) -> tuple[Any, ...]:
    """A list of substeps; a scheme checks what is in it."""
    try:
        return tuple(steps)
    except TypeError:
        raise expected(what, "a list of substeps", steps) from None


def bound_of(value: object) -> sp.Expr:
    """A largest number of iterations; OdescentError where it is a number that is none."""
    try:
        bound = as_scalar(value)
    except TypeError as error:
        raise OdescentError(f"max_steps of a Repeat: {error}") from None
    if bound.is_number and not (bound.is_Integer and bound.is_positive):
        raise OdescentError(
            f"max_steps of a Repeat must be a positive whole number or a parameter, not {bound}."
        )
    return bound
