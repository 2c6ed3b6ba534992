"""Models with a neural ODE or SDE inside: classifiers, latent ODEs, continuous flows; on `solving`."""
