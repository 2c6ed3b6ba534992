"""Figures on consensus-based optimization as gradient descent (arXiv:2306.09778), made of particles."""
