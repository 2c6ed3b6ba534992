"""Numerical flows of systems: adaptive and fixed steps, noise, many starts; the loops of all iterations."""
