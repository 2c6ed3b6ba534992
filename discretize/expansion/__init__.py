"""Expansions in small steps: limit flows and modified equations; imports `step` and `linear`."""
