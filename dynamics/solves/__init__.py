"""Linear solves with numbers: the route of each by its operator's structure, and the iterations from products."""
