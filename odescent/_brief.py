"""How results show themselves where they are typed: their fields, with the shapes of arrays instead of the numbers."""

from __future__ import annotations


def brief(self: object) -> str:
    """The ``__repr__`` of a dataclass that holds arrays."""
    import equinox as eqx

    return eqx.tree_pformat(self)
