"""Numbers, and polynomials with rational coefficients, in exact arithmetic."""
