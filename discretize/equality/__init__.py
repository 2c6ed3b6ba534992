"""Equality of two programs as methods, proved or refuted with a witness; imports `linear` and `programs`."""
