"""Figures on regularized solver heuristics (arXiv:2105.03918), made of neural_de, and the selection of coefficients."""
