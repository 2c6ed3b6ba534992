"""Identification of a program with a known method and its parameters; imports `equality` and `library`."""
