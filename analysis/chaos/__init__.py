"""Chaos: Lyapunov exponents, the 0-1 test, recurrences, cobwebs, orbits in three dimensions."""
