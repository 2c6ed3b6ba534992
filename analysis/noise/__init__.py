"""Systems with noise: paths of least action, densities in time and in the long run, the share of paths that leave."""
