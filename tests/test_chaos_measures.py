"""The 0-1 test, basin entropy and uncertainty exponents against what is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

import odescent as od
from odescent.analysis import basins, zero_one_test
from odescent.analysis.attraction.boundaries import basin_entropy, uncertainty


@pytest.mark.parametrize(("r", "near"), [(4.0, 1.0), (3.97, 1.0), (3.55, 0.0), (3.84, 0.0)])
def test_zero_one_test_of_the_logistic_map(r: float, near: float) -> None:
    """1 in the chaotic range, 0 on cycles."""
    x = np.empty(2200)
    x[0] = 0.3
    for k in range(1, len(x)):
        x[k] = r * x[k - 1] * (1 - x[k - 1])
    assert zero_one_test(x[200:]) == pytest.approx(near, abs=0.06)


def test_entropy_of_halves_and_of_noise() -> None:
    halves = np.zeros((100, 100), int)
    halves[:, 52:] = 1  # cuts through one column of boxes, 2 : 3
    found = basin_entropy(halves)
    one = -(0.4 * np.log(0.4) + 0.6 * np.log(0.6))
    assert found.boundary == pytest.approx(one) and found.basin == pytest.approx(one / 20)
    assert not found.fractal
    noise = np.random.default_rng(0).integers(0, 4, (200, 200))
    assert basin_entropy(noise).fractal and basin_entropy(noise).boundary < np.log(4)


def test_a_straight_boundary_has_dimension_one_and_cantors_its_own() -> None:
    x, y = np.meshgrid(np.arange(512), np.arange(512), indexing="ij")
    assert uncertainty((x + y > 500).astype(int)).dimension == pytest.approx(1, abs=0.01)
    label, at = np.zeros(3**10, int), np.arange(3**10)
    for k in range(
        10
    ):  # gaps of the middle third set by the parity of their size: it is the boundary
        label[at // 3**k % 3 == 1] = k % 2
    found = uncertainty(label)
    assert found.dimension == pytest.approx(np.log(2) / np.log(3), abs=0.06)


def test_basins_know_their_boundary() -> None:
    found = basins(lambda x: x - 0.1 * (x**3 - x), axes={"x0": (-1.1, 1.5, 90)}, steps=1000)
    assert found.entropy().basin > 0 and not found.entropy().fractal
    with pytest.raises(od.OdescentError, match="at least 64"):
        basins(lambda x: x / 2, axes={"x0": (-1, 1, 5)}).uncertainty()


@pytest.mark.parametrize(
    ("series", "said"), [([1.0, 2.0], "200"), (np.full(300, np.nan), "finite")]
)
def test_bad_series(series: object, said: str) -> None:
    with pytest.raises(od.OdescentError, match=said):
        zero_one_test(series)
