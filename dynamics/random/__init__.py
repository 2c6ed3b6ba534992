"""Counter-based random numbers: normals, Poisson counts, Brownian sources."""
