"""Measured convergence: runs side by side, gaps to the flow, spectra of the modes."""
