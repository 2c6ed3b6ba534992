"""Instrumentation of a solver: stages, local errors, stiffness, counts, Brownian paths; on `_support` alone."""
