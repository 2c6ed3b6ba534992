"""Optimizers of a training run by name: optax's, odescent's, and least squares; on `tasks` and `discretize`."""
