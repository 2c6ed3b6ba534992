"""Theory of the runs: effective potentials, barriers, passage times."""
