"""Figures on methods with operators, windows and constraints, made of analysis, discretize and dynamics."""
