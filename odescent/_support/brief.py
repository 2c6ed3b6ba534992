"""Short representations: results by their fields, with the shapes of arrays; titles where a line begins."""

from __future__ import annotations


def brief(self: object) -> str:
    """The ``__repr__`` of a dataclass that holds arrays."""
    import equinox as eqx

    return eqx.tree_pformat(self)


def capital(text: str) -> str:
    """The text with a capital first letter; the rest stays, as symbols and names in it have a case."""
    return text[:1].upper() + text[1:]
