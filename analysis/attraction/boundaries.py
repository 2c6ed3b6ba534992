"""How mixed basins are: basin entropy, and the uncertainty exponent of their boundary, from a grid of labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from ..._support.errors import OdescentError
from ..._support.numbers import check_whole
from ..._support.rendering.rendered import Rendered


@dataclass(frozen=True)
class BasinEntropy(Rendered):
    """Basin entropy (Daza, Wagemakers, Georgeot, Guery-Odelin, Sanjuan, Sci. Rep. 6 (2016), doi:10.1038/srep31416).

    Attributes:
        basin: the mean over all boxes of the entropy of the labels inside.
        boundary: the mean over those boxes that have several labels; 0 where there are none.
        fractal: whether the boundary entropy is more than log 2, which suffices for a fractal boundary.
    """

    basin: float
    boundary: float
    fractal: bool


@dataclass(frozen=True)
class Uncertainty(Rendered):
    """The uncertainty exponent of a boundary.

    (McDonald, Grebogi, Ott, Yorke, Physica D 17 (1985), doi:10.1016/0167-2789(85)90001-6.)

    Attributes:
        exponent: of the share of points whose label is not that of a neighbor at a distance, against the distance.
        error: standard error of the fitted slope.
        dimension: of the boundary, that of the grid less the exponent.
        distances: in cells.
        shares: of uncertain points.
    """

    exponent: float
    error: float
    dimension: float
    distances: Int[np.ndarray, " m"]
    shares: Float[np.ndarray, " m"]


def basin_entropy(labels: Int[np.ndarray, "..."], box: int = 5) -> BasinEntropy:
    """The entropy of a grid of labels in boxes of so many cells a side; cells that fill no box are left out."""
    check_whole("box", box, 2)
    if min(labels.shape) < box:
        raise OdescentError(f"boxes of {box} cells do not fit into a grid of shape {labels.shape}.")
    sides = [n // box for n in labels.shape]
    cut = labels[tuple(slice(n * box) for n in sides)]
    split = cut.reshape([k for n in sides for k in (n, box)])
    d = labels.ndim
    boxes = split.transpose([*range(0, 2 * d, 2), *range(1, 2 * d, 2)]).reshape(-1, box**d)
    entropy, several = np.zeros(len(boxes)), np.zeros(len(boxes), int)
    for label in np.unique(boxes):
        part = (boxes == label).mean(1)
        several += part > 0
        entropy -= part * np.log(np.where(part > 0, part, 1.0))
    edge = several > 1
    boundary = float(entropy[edge].mean()) if edge.any() else 0.0
    return BasinEntropy(float(entropy.mean()), boundary, bool(boundary > np.log(2)))


def uncertainty(labels: Int[np.ndarray, "..."]) -> Uncertainty:
    """The uncertainty exponent of a grid of labels, with distances of 1, 2, 4, ... cells along the axes.

    Raises OdescentError for a grid that is too small, or that has one label only.
    """
    most = min(labels.shape) // 16
    if most < 4:
        raise OdescentError(
            f"the grid needs at least 64 cells along each axis, not the shape {labels.shape}."
        )
    distances = 2 ** np.arange(int(np.log2(most)) + 1)
    shares = []
    for k in distances:
        found = []
        for axis in range(labels.ndim):
            a = np.moveaxis(labels, axis, 0)
            middle = a[k:-k]
            found.append(np.mean((middle != a[2 * k :]) | (middle != a[: -2 * k])))
        shares.append(float(np.mean(found)))
    f = np.array(shares)
    if not (f > 0).all():
        raise OdescentError("the grid has no boundary: all its cells have one label.")
    x, y = np.log(distances), np.log(f)
    (slope, offset) = np.polyfit(x, y, 1)
    rest = y - slope * x - offset
    error = np.sqrt((rest**2).sum() / max(len(x) - 2, 1) / ((x - x.mean()) ** 2).sum())
    return Uncertainty(float(slope), float(error), float(labels.ndim - slope), distances, f)


__all__ = ["BasinEntropy", "Uncertainty", "basin_entropy", "uncertainty"]
