"""Measured convergence: comparison of runs, gaps to the flow, spectra of the modes."""
