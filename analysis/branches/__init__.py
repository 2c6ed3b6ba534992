"""Branches of equilibria and cycles, stable or not: pseudo-arclength continuation, special points, their curves."""
