"""Momentum methods with given poles on quadratics, and the passive form; imports `library`."""
