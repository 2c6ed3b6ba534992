"""Optimizers over the level lines of their objective: runs, critical points as the method sees them, planes."""
