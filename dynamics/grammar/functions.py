"""Functions as text: one expression in the variables x, or x and y, or x1, x2, and so on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import sympy as sp

from ..._support.arguments import checked
from ..evaluation.evaluate import evaluate
from ..vector_fields.objective import Objective
from .calls import Evaluator
from .errors import Source
from .expressions import Value
from .syntax import parse

if TYPE_CHECKING:
    from lark import Token

_INDEXED = re.compile(r"x([1-9][0-9]?)")
_FORMS = "the variables are x, or x and y, or x1, x2, ..."


@checked
def parse_function(text: str, name: str = "f") -> Objective:
    """The objective given by an expression, such as ``(1 - x)^2 + 100*(y - x^2)^2``, which is only parsed.

    The expression is in the language of `parse_system`. Its variables are x alone, x and y, or x1, x2, ..., where the
    largest index is the dimension.

    Args:
        text: the expression, at most 20,000 characters.
        name: the name of the objective, an identifier.

    Returns:
        The objective, of arrays of shape (dimension,); its minimizer and class constants are unknown.

    Raises:
        ParseError: the text is not in the language, with line, column and a caret.
    """
    source = Source(text)
    tree = parse(source, "sum")
    used: dict[str, sp.Symbol] = {}

    def lookup(token: Token) -> Value:
        variable = str(token)
        if variable not in ("x", "y") and not _INDEXED.fullmatch(variable):
            raise source.error(f"{variable!r} is not a variable of a function: {_FORMS}.", token)
        return Value(used.setdefault(variable, sp.Symbol(variable, real=True)))

    expression = Evaluator(source, lookup, {}).scalar(tree, "the value of a function")
    if not used:
        raise source.error(f"the function has no variable: {_FORMS}.", tree)
    places = _places(set(used))
    if places is None:
        raise source.error(f"these variables do not go together: {_FORMS}.", tree)
    at = {symbol: places[variable] for variable, symbol in used.items()}

    def fun(x: Any) -> Any:
        import jax.numpy as jnp

        x = jnp.asarray(x)
        zero = jnp.zeros((), x.dtype)  # where terms cancel, the value is no array
        return zero + evaluate(expression, {s: x[i] for s, i in at.items()}, {}, jnp)

    return Objective(name, fun, dimension=1 + max(places.values()))


def _places(variables: set[str]) -> dict[str, int] | None:
    """The index of each variable; None where two ways to name them are mixed."""
    if variables <= {"x", "y"}:
        return {v: "xy".index(v) for v in variables}
    if variables & {"x", "y"}:
        return None
    return {v: int(v[1:]) - 1 for v in variables}
