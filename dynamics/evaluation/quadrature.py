"""Numbers for means over samples: points and weights of a law in a given dimension."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np

from ..samples.laws import LAWS, Law

_NODES = 24  # of Gauss's rules, in each of up to three dimensions
_ON_CIRCLE = 96
_LARGEST = 10  # entries of a vector of signs whose mean is a finite sum
_DRAWS = 1024  # beyond: fixed draws with their negatives


@functools.lru_cache(maxsize=64)
def quadrature(name: str, dimension: int, scalar: bool = False) -> tuple[Any, Any]:
    """Points and weights of a law: a finite sum where it has one, Gauss's rules up to three dimensions.

    Beyond these, 1,024 fixed pseudo-random draws and their negatives stand for it, whose second moments are made those
    of the law: a mean then has a relative error of a few per cent.

    Args:
        name: of the law.
        dimension: of the vector; 1 for a scalar.
        scalar: whether it is a law of scalars.

    Returns:
        points of shape (n, dimension), weights of shape (n,).
    """
    law = LAWS[f"{name}_scalar" if scalar else name]
    if name == "coordinate":
        unit = np.sqrt(dimension) * np.eye(dimension)
        return _even(np.concatenate([unit, -unit]))
    if name == "rademacher" and dimension <= _LARGEST:
        return _even(np.array(list(itertools.product([1.0, -1.0], repeat=dimension))))
    if name == "sphere" and dimension == 1:
        return _even(np.array([[1.0], [-1.0]]))
    if name == "sphere" and dimension == 2:
        angle = 2 * np.pi * (np.arange(_ON_CIRCLE) + 0.5) / _ON_CIRCLE
        return _even(np.sqrt(2.0) * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    if law.entry is not None and dimension <= 3 and name != "rademacher":
        x, w = _gauss(name, scalar)
        points = np.array(list(itertools.product(x, repeat=dimension)))
        weights = np.array([np.prod(c) for c in itertools.product(w, repeat=dimension)])
        return points, weights / weights.sum()
    return _even(_drawn(name, law, dimension))


def _even(points: Any) -> tuple[Any, Any]:
    return points, np.full(len(points), 1 / len(points))


def _gauss(name: str, scalar: bool) -> tuple[Any, Any]:
    if name == "normal":
        return np.polynomial.hermite_e.hermegauss(_NODES)
    x, w = np.polynomial.legendre.leggauss(_NODES)
    return ((x + 1) / 2 if scalar else np.sqrt(3.0) * x), w


def _drawn(name: str, law: Law, dimension: int) -> Any:
    """Draws with their negatives."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((_DRAWS, dimension))
    if name == "rademacher":
        z = np.sign(z)
    elif name == "sphere":
        z *= np.sqrt(dimension) / np.linalg.norm(z, axis=1)[:, None]
    elif name == "uniform":
        z = rng.uniform(-np.sqrt(3.0), np.sqrt(3.0), z.shape)
    z = np.concatenate([z, -z])
    return z if name in ("rademacher", "sphere") else z / np.sqrt((z**2).mean(axis=0))
