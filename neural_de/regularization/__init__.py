"""Regularizers and their registry: one small file each, one line here; on `tracking`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..._support.arguments import checked
from ..._support.errors import unknown
from ..._support.registry import Registry

if TYPE_CHECKING:
    from .penalty import Regularizer

REGULARIZERS: Registry[Regularizer] = Registry(
    "regularizer",
    __name__,
    {
        "error": "accepted",
        "jacobian": "jacobian_norm",
        "local": "one_step",
        "steer": "random_end",
        "steps": "accepted",
        "stiffness": "accepted",
        "taylor": "derivatives",
    },
)


def regularizers() -> list[str]:
    """The names of the regularizers."""
    return REGULARIZERS.names()


@checked
def regularizer(name: str, **options: Any) -> Regularizer:
    """A regularizer by name, or a weighted sum such as ``"error+0.5*stiffness"``.

    Args:
        options: of the regularizer; in a sum by name, as in ``error={"kind": "scaled"}``.

    Raises:
        OdescentError: an unknown name or option, or text that does not parse as a sum.
    """
    from .sums import options_of, terms

    parts = terms(name)
    for owner in options:
        if len(parts) > 1 and owner not in [n for _, n in parts]:
            raise unknown(f"term of {name!r} with options", owner, [n for _, n in parts])
    built = [
        (c, REGULARIZERS.build(n, **options_of(n, len(parts) == 1, options))) for c, n in parts
    ]
    found = [r if c == 1 else r * c for c, r in built]
    total = found[0]
    for r in found[1:]:
        total = total + r
    return total
