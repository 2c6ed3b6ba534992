"""Ensembles of paths, of a method with noise or of interacting particles, with their statistics."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from .panel import Points

QUANTILES = (0.1, 0.9)  # ends of the band: four paths of five are in it


@dataclass(frozen=True)
class PathEnsemble:
    """Paths of the same numbers of steps; NaN from the step on at which one is not finite any more.

    Attributes:
        paths: shape (n, k + 1, 2), in the picture's coordinates.
        center: shape (k + 1, 2), the consensus point or the mean.
        meets: whether the paths are particles that see each other.
        consensus: whether the center is their consensus point, and not the mean.
        values: of the objective along the paths, shape (n, k + 1), and
        center_values: at the consensus point, shape (k + 1,); or None.
    """

    paths: Float[np.ndarray, "n k 2"]
    center: Points
    meets: bool
    consensus: bool
    values: Float[np.ndarray, "n k"] | None
    center_values: Float[np.ndarray, " k"] | None

    @property
    def names(self) -> tuple[str, str]:
        """What the paths and their center are called."""
        called = "particles" if self.meets else "paths"
        return called, "consensus point" if self.consensus else "mean"

    def left_at(self) -> tuple[int, int | None]:
        """How many paths leave the finite numbers, and the first step at which one does."""
        bad = np.isnan(self.paths).any(2)
        return int(bad.any(1).sum()), int(np.argmax(bad.any(0))) if bad.any() else None

    def spread(self) -> Float[np.ndarray, " k"]:
        """The root mean square distance of the paths from the center, step by step."""
        away = ((self.paths - self.center) ** 2).sum(2)
        found = np.sqrt(average(away))
        size = np.abs(self.center).max(1)
        return np.where(found < 1e-12 * size, 0.0, found)  # the mean of equal numbers is rounded

    def extent(self) -> Points:
        """Corners of a box around all but a hundredth of the places on either side."""
        seen = self.paths[np.isfinite(self.paths).all(2)]
        return np.asarray(np.quantile(seen, [0.01, 0.99], axis=0))


def average(values: Float[np.ndarray, "n ..."]) -> Float[np.ndarray, "..."]:
    """The mean over the paths that are finite; NaN where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmean(values, 0))


def band(values: Float[np.ndarray, "n ..."]) -> Float[np.ndarray, "2 ..."]:
    """The two quantiles of the paths that are finite; NaN where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanquantile(values, QUANTILES, 0))
