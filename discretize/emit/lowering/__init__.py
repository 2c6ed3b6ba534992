"""A program as routines of short statements, with its names and coefficients; imports printing."""
