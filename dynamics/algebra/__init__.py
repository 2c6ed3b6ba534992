"""Exact scalars, vectors and opaque multilinear oracles, with their calculus and series. Imports `_support` alone."""

from ..notation import show  # noqa: F401  (vectors print themselves by it)
from . import identities  # noqa: F401  (and have inner products in one form, and inverses proved to vanish)
