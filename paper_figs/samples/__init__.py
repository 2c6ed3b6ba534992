"""Figures on methods with samples and on averages that follow the motion, made of analysis, discretize and dynamics."""
