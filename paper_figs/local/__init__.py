"""Figures on local regularization (arXiv:2303.02262), made of neural_de; coefficients are selected as in heuristics."""
