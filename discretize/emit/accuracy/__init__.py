"""Accurate forms of scalars: cancellation, exact sums, power series, error bounds; imports dynamics alone."""
