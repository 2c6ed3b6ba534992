"""Functions on which a method is slow or does not converge; it may import from `methods` and `checking`."""
