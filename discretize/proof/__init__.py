"""Checked steps from a principle to an algorithm, and their documents; imports `expansion` and `emit`."""
