"""The canyons of arXiv:2306.09778 against the formulas of the authors' code, written out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import odescent as od


def objective_function(x: float, y: float, number: int, noisy: bool) -> float:
    """objective_function.m, GrandCanyon2, GrandCanyon2noisy, GrandCanyon3 and GrandCanyon3noisy."""
    b = -x - 1.6 * y
    if number == 3:
        v = y - ((1 / 8) * (x - 1) * (x - 4) ** 2 + 2)
        c = 1.1625 if noisy else 0.25
        wall = 25 * (1 - np.exp(-1.4 * v**2 * np.exp(-0.002 * x**4))) + 0.4 * x**2 + 0.2 * y**2
    else:
        v = -y - 0.6 * x * (x - 4)
        c = 1.5 if noisy else 0.0
        wall = 25 * (1 - np.exp(-1.2 * v**2)) + 0.75 * x**2 + 0.2 * y**2
    ripples = c * (2 - np.cos(0.75 * np.pi * x) - np.cos(0.75 * np.pi * y))
    return float(
        wall + ripples + 4 * np.exp(1 - 2 * v**4) * max((1 - np.exp(-9 * b**2)) * np.sign(b), 0.0)
    )


@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize("noisy", [False, True])
def test_the_formula_of_the_code(number: int, noisy: bool) -> None:
    f = od.objective("grand_canyon", number=number, noisy=noisy)
    points = np.random.default_rng(number).uniform(-2, 8, size=(60, 2))
    wanted = [objective_function(x, y, number, noisy) for x, y in points]
    np.testing.assert_allclose([float(f(p)) for p in points], wanted, rtol=1e-12, atol=1e-12)
    assert float(f(np.zeros(2))) == 0 and min(wanted) > 0
    assert all(np.isfinite(f.grad(p)).all() for p in points[:5])


def test_the_milder_rastrigin_of_the_code() -> None:
    f = od.objective("rastrigin", dimension=3, amplitude=2.5)
    x = np.array([0.3, -1.2, 2.0])
    wanted = np.sum(x**2) + 2.5 * np.sum(1 - np.cos(2 * np.pi * x))
    assert float(f(x)) == pytest.approx(wanted, rel=1e-13)
    assert float(f.L) == pytest.approx(2 + 10 * np.pi**2)


def test_bad_options() -> None:
    with pytest.raises(od.OdescentError, match="2 or 3"):
        od.objective("grand_canyon", number=1)
    with pytest.raises(od.OdescentError, match="amplitude"):
        od.objective("rastrigin", amplitude=0)
