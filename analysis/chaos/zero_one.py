"""The 0-1 test for chaos in a series of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._support.errors import OdescentError
from ..._support.numbers import check_whole, reals


def zero_one_test(series: Any, *, frequencies: int = 100, seed: int = 0) -> float:
    """The 0-1 test: near 1 for chaotic series, near 0 for periodic and quasi-periodic ones.

    Correlation method, median over frequencies in (pi/5, 4 pi/5): Gottwald and Melbourne, SIAM Journal on Applied
    Dynamical Systems 8 (2009), doi:10.1137/080718851. A flow must be sampled coarsely, or by a return map: a series
    that is sampled finely looks regular.

    Args:
        series: numbers, shape (n,), n at least 200; its transient left out.
        frequencies: how many random frequencies are tried.
        seed: of these.

    Returns:
        the median of the correlations of mean square displacement with time, between -1 and 1.

    Raises:
        OdescentError: too short a series, or numbers that are not finite.
    """
    x = reals(series)
    check_whole("frequencies", frequencies, 1)
    if x.ndim != 1 or len(x) < 200:
        raise OdescentError(
            f"the 0-1 test needs a series of at least 200 numbers, not the shape {x.shape}."
        )
    if not np.isfinite(x).all():
        raise OdescentError("the series must be finite, but it contains NaN or infinity.")
    n, x = len(x), x - x.mean()  # of which the displacements do not depend, but their rounding does
    last = n // 10  # of the displacements; the mean is over the rest
    lags = np.arange(1, last + 1)
    found = []
    for c in np.random.default_rng(seed).uniform(np.pi / 5, 4 * np.pi / 5, frequencies):
        path = np.cumsum(x * np.exp(1j * c * np.arange(1, n + 1)))
        start = path[: n - last]
        moved = np.array([np.mean(np.abs(path[k : k + n - last] - start) ** 2) for k in lags])
        spread = moved.std()
        found.append(np.corrcoef(lags, moved)[0, 1] if spread > 0 else 0.0)
    return float(np.median(found))


__all__ = ["zero_one_test"]
