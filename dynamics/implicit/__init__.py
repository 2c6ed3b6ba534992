"""Implicit functions: roots and minimizers that depend on blocks, as vectors of the calculus; imports `algebra`."""
