"""Expressions as text in the syntax of a target; imports accuracy."""
