"""Theory beside the runs: effective potentials, barriers, passage times."""
