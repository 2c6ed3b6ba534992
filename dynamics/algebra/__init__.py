"""Exact scalars, vectors and opaque multilinear oracles, with their calculus and series. Imports `_support` alone."""

from ..notation import show  # noqa: F401  (vectors print themselves by it)
from . import pairings  # noqa: F401  (and have inner products in one form)
from . import inverse_identities  # noqa: F401  (and what has inverses is proved to vanish)
