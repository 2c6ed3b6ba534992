"""Figures on the dynamics of acceleration (arXiv:2509.18346), made of analysis, discretize and dynamics."""
