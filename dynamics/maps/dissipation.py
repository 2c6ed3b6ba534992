"""The sign of <x, m(x)> for a named map m: never negative where the registry states its dissipation."""

from __future__ import annotations

from ..algebra.vectors import Call, ScalarNode
from . import form_of


def dissipates(node: ScalarNode) -> bool:
    """Whether a scalar is an inner product <x, m(c x)>, c > 0, of which the registry knows that it is not negative."""
    if node.kind != "inner":
        return False
    for x, value in (node.arguments, node.arguments[::-1]):
        if not (isinstance(value, Call) and value.oracle.form.registered) or value.directions:
            continue
        scale = value.point.terms.get(x) if len(value.point.terms) == 1 else None  # type: ignore[call-overload]
        if scale is not None and scale.is_positive:
            return form_of(value.oracle.of).dissipates(value.parameters)
    return False
