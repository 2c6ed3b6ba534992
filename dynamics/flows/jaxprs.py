"""Traversal of a traced function: one rule per operation, given by the caller.

Intervals, PyTorch's tensors and faster kernels are tables of rules; what a call is, and which programs it holds, is
known here alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Rule = Callable[[Any, list[Any]], Sequence[Any]]
_HELD = ("jaxpr", "call_jaxpr", "fun_jaxpr")
_REPEATED = ("scan", "while", "cond")


def walk(
    jaxpr: Any,
    consts: Sequence[Any],
    arguments: Sequence[Any],
    rule: Rule,
    lift: Callable[[Any], Any] = lambda value: value,
    entered: Sequence[str] | None = None,
) -> list[Any]:
    """The outputs of a jaxpr.

    Args:
        jaxpr, consts: as `jax.make_jaxpr` gives them.
        arguments: values of its inputs, of whatever kind the rule computes with.
        rule: (equation, values of its inputs) to the values of its outputs.
        lift: constants to values of that kind.
        entered: the names of the calls that are walked too; all but loops and conditionals where None.
    """
    known = dict(zip(jaxpr.constvars, map(lift, consts), strict=True))
    known.update(zip(jaxpr.invars, arguments, strict=True))
    read: Callable[[Any], Any] = lambda v: lift(v.val) if hasattr(v, "val") else known[v]
    for equation in jaxpr.eqns:
        values = [read(v) for v in equation.invars]
        called = _called(equation, entered)
        if called is None:
            made = rule(equation, values)
        else:
            inputs = values[len(values) - len(called[0].invars) :]
            made = walk(*called, inputs, rule, lift, entered)
        known.update(zip(equation.outvars, made, strict=True))
    return [read(v) for v in jaxpr.outvars]


def operations(jaxpr: Any) -> set[str]:
    """The names of all operations, those in calls included."""
    found: set[str] = set()
    for equation in jaxpr.eqns:
        called = _called(equation)
        found |= {equation.primitive.name} if called is None else operations(called[0])
    return found


def _called(equation: Any, entered: Sequence[str] | None = None) -> tuple[Any, Any] | None:
    """The program of a call and its constants; None for an operation."""
    name = equation.primitive.name
    held = next((equation.params[k] for k in _HELD if k in equation.params), None)
    if held is None or (name in _REPEATED if entered is None else name not in entered):
        return None
    return getattr(held, "jaxpr", held), getattr(held, "consts", ())


__all__ = ["operations", "walk"]
