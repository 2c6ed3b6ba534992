"""Samples with a law, drawn in every step, and their means; imports `algebra`."""
