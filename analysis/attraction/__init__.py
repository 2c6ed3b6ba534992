"""Attractors and basins of attraction: iterates of many starts on a grid, their returns and limits, bifurcations."""
