"""Tipping: basins along a parameter, probabilities of tipping, resilience of attractors, edge states."""
