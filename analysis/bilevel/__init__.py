"""Bilevel optimization: the flows of the library with fast blocks, run as a solver; imports `dynamics`."""
