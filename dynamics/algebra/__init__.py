"""Exact scalars, vectors and opaque multilinear oracles, with their calculus and series. Imports `_support` alone."""

from ..notation import show  # noqa: F401  (vectors print themselves by it)
