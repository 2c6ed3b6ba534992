"""Solves in an emitted PyTorch optimizer: the product of the operator as a function of lists of tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ...._support.errors import NotCarried
from ....dynamics.algebra.vectors import Vector, VectorSymbol
from ....dynamics.maps.form import LEAF
from ..lowering.statements import Ask, ChooseLet, InnerLet, LoopLet, ScalarLet, SolveLet, VectorLet
from ..printing.language import NUMPY
from ..printing.lines import wrapped
from ..printing.printer import Printer

_TENSORS = replace(NUMPY, prefix="torch.", functions={"arctan": "torch.atan"})


def solve_lines(s: SolveLet, lists: Mapping[str, str], place: str, scalars: Printer) -> list[str]:
    """The product of the operator as a function, and the solve with it.

    Args:
        s: the solve.
        lists: the lists of tensors that it reads, by the names of their vectors.
        place: the list that it makes.
        scalars: prints numbers.

    Returns:
        lines of source.

    Raises:
        NotCarried: a solve inside of the operator.
    """
    known = {**lists, s.along.name: f"{s.along.name}_list"}
    along = known[s.along.name]
    lines = ["", f"        def {s.function}({along}: list[Tensor]) -> list[Tensor]:"]
    indent = "            "
    for inner in s.product.statements:
        if isinstance(inner, (ChooseLet, LoopLet)):
            raise NotCarried("the torch backend has no guards inside of the operator of a solve.")
        target = known.setdefault(inner.target.name, f"{inner.target.name}_list")
        if isinstance(inner, ScalarLet):
            lines.append(f"{indent}{inner.target.name} = {scalars.scalar(inner.value)}")
        elif isinstance(inner, InnerLet):
            pair = f"{known[inner.left.name]}, {known[inner.right.name]}"
            lines.append(f"{indent}{inner.target.name} = _inner({pair})")
        elif isinstance(inner, Ask):
            given = [f"list({known[v.name]})" for v in inner.vectors]
            given += [scalars.scalar(e) for e in inner.scalars]
            of = known[inner.vectors[-1].name]
            lines += wrapped(f"{target} = _alike", [of, asked(inner, given)], "", indent)
        elif isinstance(inner, VectorLet):
            lines += _each(f"{target} = ", inner.value, known, scalars)
        else:
            raise NotCarried("the torch backend has no form for a solve inside of an operator.")
    value = s.product.results["product"]
    assert isinstance(value, Vector)
    lines += _each("return ", value, known, scalars)
    function, arguments = s.solution(known.__getitem__, scalars.scalar)
    return [*lines, "", *wrapped(f"{place} = {function}", arguments, "", "        ")]


def _each(head: str, value: Vector, lists: Mapping[str, str], scalars: Printer) -> list[str]:
    """A vector, tensor by tensor."""
    names = sorted(v.name for v in value.free_symbols if isinstance(v, VectorSymbol))
    if isinstance(value, VectorSymbol):
        return [f"            {head}{lists[value.name]}"]
    body = Printer(_TENSORS, scalars.names).vector(value)
    function = f"lambda {', '.join(names)}: {body}"
    return wrapped(f"{head}_each", [function, *(lists[n] for n in names)], "", "            ")


def asked(s: Ask, given: list[str]) -> str:
    """The call of a function that the optimizer was given, or of a named map, on lists of tensors."""
    if not s.over:
        return f"self.{s.argument}({', '.join(given)})"
    return f"{'_leaves' if s.over == LEAF else '_flat'}({', '.join([s.argument, *given])})"
