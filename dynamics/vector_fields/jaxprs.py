"""Traversal of a traced function: one rule per operation, given by the caller.

Intervals, PyTorch's tensors, faster kernels and entries that are read outside of an array are tables of rules; what a
call is, and which programs it holds, is known here alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

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


def read_outside(made: Any) -> tuple[int, int] | None:
    """The number of an entry that is read outside of its axis, and the length of that; None where there is none.

    JAX takes the nearest entry instead, without a word. Only numbers of entries that are known before a run are seen,
    as in x[3], and not those in loops.

    Args:
        made: as `jax.make_jaxpr` gives it.
    """
    found: list[tuple[int, int]] = []

    def starts(values: Sequence[Any], sizes: Sequence[int], lengths: Sequence[int]) -> None:
        for at, size, length in zip(values, sizes, lengths, strict=True):
            if at is not None:
                wrong = np.ravel(at)[np.ravel((at < 0) | (at > length - size))]
                found.extend((int(i), length) for i in wrong[:1])

    def rule(equation: Any, values: list[Any]) -> Sequence[Any]:
        name, params = equation.primitive.name, equation.params
        known = all(v is not None for v in values)
        made: Any = None
        if name == "dynamic_slice":
            starts(values[1:], params["slice_sizes"], equation.invars[0].aval.shape)
        elif name == "gather" and values[1] is not None and "PROMISE" in str(params["mode"]):
            axes = params["dimension_numbers"].start_index_map
            lengths = [equation.invars[0].aval.shape[a] for a in axes]
            starts(np.moveaxis(values[1], -1, 0), [params["slice_sizes"][a] for a in axes], lengths)
        elif known and name in _OF_NUMBERS:
            made = _OF_NUMBERS[name](*values)
        elif known and name == "broadcast_in_dim":
            value, shape = values[0], params["shape"]
            own = [1] * len(shape)
            for axis, length in zip(params["broadcast_dimensions"], np.shape(value), strict=True):
                own[axis] = length
            made = np.broadcast_to(np.reshape(value, own), shape)
        elif known and name == "concatenate":
            made = np.concatenate(values, axis=params["dimension"])
        return [made] * len(equation.outvars)

    with contextlib.suppress(Exception):  # an operation that is not walked here is not looked into
        walk(made.jaxpr, made.consts, [None] * len(made.jaxpr.invars), rule, _whole)
    return found[0] if found else None


_OF_NUMBERS: dict[str, Callable[..., Any]] = {  # what JAX does with the numbers of entries
    "lt": np.less,
    "add": np.add,
    "select_n": lambda which, no, yes: np.where(which, yes, no),
    "convert_element_type": lambda value: value,
}


def _whole(value: Any) -> Any:
    """Whole numbers and truth values; None for others, and for what JAX traces."""
    kind = getattr(getattr(value, "dtype", None), "kind", "O")
    if isinstance(value, (bool, int)) or kind in "iub":
        try:
            return np.asarray(value)
        except Exception:  # of a tracer: what it holds is not known
            return None
    return None


def operations(jaxpr: Any) -> set[str]:
    """The names of all operations, those in calls included."""
    found: set[str] = set()
    for equation in jaxpr.eqns:
        called = _called(equation)
        found |= {equation.primitive.name} if called is None else operations(called[0])
    return found


def programs(made: Any) -> Iterator[Any]:
    """A program and all that it calls, repeats and chooses from, with their constants where they have any."""
    yield made
    for equation in made.eqns:
        for held in equation.params.values():
            for part in held if isinstance(held, tuple | list) else (held,):
                if hasattr(part, "eqns"):
                    yield from programs(part)


def derivative(made: Any) -> Any:
    """The trace of the gradient of what was traced, by rules of the user's too; None where there is none."""
    import jax

    shaped: Any = jax.ShapeDtypeStruct

    def slopes(*x: Any) -> Any:
        found, pull = jax.vjp(lambda *x: jax.core.eval_jaxpr(made.jaxpr, made.consts, *x), *x)
        return pull([jax.numpy.ones_like(v) for v in found])

    try:
        return jax.make_jaxpr(slopes)(*(shaped(a.shape, a.dtype) for a in made.in_avals))
    except Exception:  # of a rule, or of a loop that has no gradient
        return None


def _called(equation: Any, entered: Sequence[str] | None = None) -> tuple[Any, Any] | None:
    """The program of a call and its constants; None for an operation."""
    name = equation.primitive.name
    held = next((equation.params[k] for k in _HELD if k in equation.params), None)
    if held is None or (name in _REPEATED if entered is None else name not in entered):
        return None
    return getattr(held, "jaxpr", held), getattr(held, "consts", ())


__all__ = ["derivative", "operations", "programs", "read_outside", "walk"]
