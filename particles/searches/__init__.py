"""Derivative-free minimization: methods, stopping, ask and tell, outcomes."""
