"""Ensembles of paths, of a method with noise or of interacting particles: statistics and panels."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from .panel import CENTER, GAP, Box, Panel, Points, StepPanel, any_positive, bold, nothing

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


_POINTS = 12_000  # of all paths in the picture: a browser draws so many at once
_MIDDLE = f'stroke="{CENTER}" stroke-width="2"'
_BAND = "–".join(f"{100 * q:.0f}" for q in QUANTILES) + " %"


def paths(panel: Panel, many: PathEnsemble, against_time: bool, color: str) -> str:
    """Draw the paths and their center.

    Args:
        panel: receives the drawing.
        many: the ensemble, with paths of shape (n, k, 2).
        against_time: whether the horizontal axis is time; then a band shows the quantiles.
        color: of the method.

    Returns:
        A description for the panel's title, as SVG text.
    """
    n, length = many.paths.shape[:2]
    every = max(1, -(-n * length // _POINTS))
    kept = np.unique(np.append(np.arange(0, length, every), length - 1))
    opacity = max(0.12, min(0.6, 4 / n))
    whole = [p[np.isfinite(p).all(1)] for p in many.paths[:, kept]]
    if against_time:
        panel.band(many.center[:, 0], band(many.paths[..., 1]), _shade(color))
    panel.lines(whole, f'stroke="{color}" stroke-width="1" stroke-opacity="{opacity:.2f}"')
    center = many.center[np.isfinite(many.center).all(1)]
    panel.line(center, _MIDDLE)
    if not against_time:  # else they all are on the two edges
        _ends(panel, many.paths[:, 0], np.array([p[-1] for p in whole]), color)
        if many.consensus:
            panel.dots(center[:1], 5, f'fill="white" stroke="{CENTER}" stroke-width="2"')
        panel.dots(center[-1:], 5, f'fill="{CENTER}" stroke="white" stroke-width="1"')
    called, middle = many.names
    if n == 1:
        return f"{bold('one ' + called.removesuffix('s'), color)}"
    return f"{bold(f'{n} {called}', color)} and their {bold(middle, CENTER)}"


def _shade(color: str) -> str:
    """The look of a band."""
    return f'fill="{color}" fill-opacity="0.2" stroke="none"'


def _ends(panel: Panel, first: Points, last: Points, color: str) -> None:
    """Where paths start, hollow unless they start together, and where they are now."""
    if np.ptp(first, axis=0).max() > 0:
        panel.dots(first, 2.6, f'fill="white" stroke="{color}" stroke-width="1"')
    panel.dots(last, 3.4, f'fill="{color}" stroke="white" stroke-width="0.6"')


def spread(box: Box, many: PathEnsemble, color: str) -> str:
    """The distance of the paths from their center, against the step."""
    title = f"distance from the {many.names[1]}, root mean square"
    found = many.spread()
    if len(many.paths) < 2 or not (found > 0).any():
        return nothing(box, title, f"there is no distance between the {many.names[0]}")
    panel = StepPanel(box, found)
    panel.curve(found, f'stroke="{color}" stroke-width="2.4"')
    return panel.svg("spread", title, "k", "")


def convergence(
    box: Box,
    many: PathEnsemble,
    gaps: Float[np.ndarray, "n k"],
    mean: Float[np.ndarray, " k"],
    least: float,
    color: str,
) -> str:
    """The panel of the gaps f(x_k) - min f: their mean, a band that holds four paths of five, and the consensus point.

    Args:
        box: the panel's rectangle.
        many: the ensemble.
        gaps: of each path.
        mean: over the paths.
        least: min f.
        color: of the method.

    Returns:
        The panel as SVG.
    """
    low, high = band(gaps)
    center = None if many.center_values is None else many.center_values - least
    seen = [mean, low, *([] if center is None else [center])]
    if not any_positive(*seen):
        return nothing(box, GAP, "it is reached")
    panel = StepPanel(box, *seen, high)
    panel.band(panel.k, np.stack([low, high]), _shade(color))
    panel.curve(mean, f'stroke="{color}" stroke-width="2.2"')
    title = f"{GAP}: {bold('mean', color)}, {bold(_BAND, color, 0.65)}"
    if center is not None:
        panel.curve(center, _MIDDLE)
        title += f", {bold('consensus', CENTER)}"
    return panel.svg("gap", title, "k", "")
