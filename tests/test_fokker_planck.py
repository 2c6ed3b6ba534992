"""Densities on grids against Gaussian laws, Gibbs's law and SciPy's moments; sign and mass; bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from faults_of_figures import faults
from scipy.integrate import quad
from scipy.linalg import expm, solve_continuous_lyapunov
from scipy.stats import multivariate_normal

import odescent as od
from odescent.analysis import PhaseDensity, fokker_planck
from odescent.analysis.noise.noisy_field import NoisyField
from odescent.analysis.noise.sample_paths import sample_paths
from odescent.dynamics.vector_fields.processes import Diffusion

x, y = od.blocks("x y", kind="scalar")
A = np.array([[-1.0, 2.0], [-2.0, -1.0]])
S = np.array([[1.0, 0.0], [0.5, 1.0]])  # one process moves both entries, another the second alone
ROTATION = od.System(
    {
        "all": od.Field({x: -x + 2 * y, y: -2 * x - y}, {x: Diffusion(1, "A"), y: Diffusion(0.5, "A")}),
        "more": od.Field({}, {y: Diffusion(1, "B")}),
    },
    output=x, name="rotation",
)  # fmt: skip
DOUBLE_WELL = od.Objective(lambda z: ((z**2 - 1) ** 2).sum())
QUADRATIC = od.objective("quadratic", eigenvalues=(1.0,))
LINE = (-2.5, 2.5)


def sound(found: PhaseDensity) -> None:
    total = found.masses.reshape(len(found.times), -1).sum(1)
    assert (np.abs(total - 1) < 1e-12).all() and (found.values >= 0).all()


def order(gaps: list[float]) -> float:
    return float(np.log2(gaps[0] / gaps[1]))


def test_double_well_in_the_long_run_is_gibbs() -> None:
    norm = quad(lambda z: np.exp(-((z**2 - 1) ** 2)), *LINE)[0]
    gaps = []
    for cells in (50, 100):
        found = fokker_planck("overdamped_langevin", LINE, DOUBLE_WELL, cells=cells, method="grid")
        sound(found)
        gibbs = np.exp(-((found.centers[0] ** 2 - 1) ** 2)) / norm
        gaps.append(float(np.abs(found.values[0] - gibbs).max()))
    assert order(gaps) == pytest.approx(2, abs=0.1)
    known = fokker_planck("overdamped_langevin", LINE, DOUBLE_WELL, cells=100)
    assert known.method == "Gibbs"
    assert known.values[0] == pytest.approx(gibbs, abs=1e-4)


def test_deep_wells_keep_their_balance() -> None:
    """Each holds half, though the barrier is passed once in e^30 units of time."""
    deep = od.Objective(lambda z: 30 * ((z**2 - 1) ** 2).sum())
    found = fokker_planck("overdamped_langevin", (-1.9, 1.9), deep, cells=200, method="grid")
    sound(found)
    assert found.mean[0, 0] == pytest.approx(0, abs=1e-2)


def test_ornstein_uhlenbeck_with_a_current_and_oblique_noise() -> None:
    """Against mean and covariance by matrix exponentials, at a time and in the long run; of second order."""
    t, first, spread = 0.5, np.array([1.0, 0.0]), 0.4
    long_run = solve_continuous_lyapunov(A, -S @ S.T)
    e = expm(t * A)
    now = long_run + e @ (spread**2 * np.eye(2) - long_run) @ e.T
    gaps: list[list[float]] = []
    for cells in (32, 64):
        found = fokker_planck(
            ROTATION, ((-4, 4), (-4, 4)), times=(t, np.inf), x0=first, spread=spread, cells=cells, method="grid"
        )  # fmt: skip
        sound(found)
        z = np.stack(np.meshgrid(*found.centers, indexing="ij"), -1)
        wanted = [multivariate_normal(e @ first, now).pdf(z), multivariate_normal((0, 0), long_run).pdf(z)]  # fmt: skip
        gaps.append([float(np.abs(p - w).max()) for p, w in zip(found.values, wanted, strict=True)])
    for k in (0, 1):
        assert order([g[k] for g in gaps]) == pytest.approx(2, abs=0.25)
    known = fokker_planck(
        ROTATION, ((-4, 4), (-4, 4)), times=(t, np.inf), x0=first, spread=spread, cells=64
    )
    assert known.method == "Gaussian"
    for p, w in zip(known.values, wanted, strict=True):
        assert p == pytest.approx(w, abs=1e-3)
    assert not faults(known.plot().figure)


def test_a_point_at_time_zero_and_long_times_of_a_grid() -> None:
    found = fokker_planck(
        "overdamped_langevin", (-6, 6), QUADRATIC, times=(0, 0.01, 200), x0=1.03, cells=100, method="grid"
    )  # fmt: skip
    sound(found)
    assert found.mean[:, 0] == pytest.approx([1.03, 1.03 * np.exp(-0.01), 0], abs=1e-3)
    assert not faults(found.plot().figure)


def test_noise_that_depends_on_the_state() -> None:
    """dx = -x dt + sqrt(1 + x^2) dW is of density proportional to (1 + x^2)^-2."""
    heavy = od.System({"all": od.Field({x: -x}, {x: Diffusion((1 + x**2) ** 0.5)})}, output=x)
    gaps = []
    for method in ("auto", "grid"):
        found = fokker_planck(heavy, (-8, 8), cells=200, method=method)
        sound(found)
        wanted = (1 + found.centers[0] ** 2) ** -2.0
        wanted /= wanted.sum() * 16 / 200
        gaps.append(float(np.abs(found.values[0] - wanted).max()))
    assert gaps[0] < 1e-12 and gaps[1] < 2e-3
    assert "outermost cells" in str(fokker_planck(heavy, (-1, 1), cells=50))


def test_underdamped_langevin() -> None:
    """exp(-f - v^2 / (2 u)), whatever the friction; the grid, upwind along x, is of first order."""
    gaps = []
    for cells in (40, 80):
        window, own = ((-2.2, 2.2), (-3.5, 3.5)), {"gam": 1.0, "u": 0.8}
        given: dict[str, Any] = {"parameters": own, "cells": cells}
        known = fokker_planck("underdamped_langevin", window, DOUBLE_WELL, **given)
        found = fokker_planck("underdamped_langevin", window, DOUBLE_WELL, method="grid", **given)
        sound(found)
        q, v = np.meshgrid(*known.centers, indexing="ij")
        wanted = np.exp(-((q**2 - 1) ** 2) - v**2 / 1.6)
        wanted /= wanted.sum() * 4.4 * 7 / cells**2
        assert known.values[0] == pytest.approx(wanted, abs=1e-12)
        gaps.append(float(np.abs(found.values[0] - wanted).mean()))
    assert known.method == "Gibbs, with velocities" and order(gaps) > 0.7


@pytest.mark.optimized
def test_sample_paths_have_the_mean_and_the_covariance() -> None:
    field = NoisyField(ROTATION, None, {}, 2)
    first, t, many = np.array([1.0, 0.0]), 0.7, 4000
    last = sample_paths(field, np.tile(first, (many, 1)), t, 700, 0, 700)[:, -1]
    e, long_run = expm(t * A), solve_continuous_lyapunov(A, -S @ S.T)
    assert last.mean(0) == pytest.approx(e @ first, abs=5 / many**0.5)
    assert np.cov(last.T) == pytest.approx(long_run - e @ long_run @ e.T, abs=7 / many**0.5)


def test_a_portrait_shows_paths_and_the_density() -> None:
    given: dict[str, Any] = {"window": ((-2, 2), (-2.5, 2.5)), "axes": ("v", "x"), "t1": 2.0, "x0": -1.0}  # fmt: skip
    given |= {"parameters": {"gam": 1.0, "u": 0.3}, "cycles": False}
    langevin = od.system("underdamped_langevin")
    shown = od.analysis.phase_portrait(langevin, DOUBLE_WELL, density=np.inf, paths=2, **given)
    density, paths = shown.density, shown.paths
    assert density is not None and paths is not None
    assert paths.shape == (2, 1001, 2) and paths[:, 0].tolist() == [[0.0, -1.0]] * 2
    v, q = np.meshgrid(*density.centers, indexing="ij")
    wanted = np.exp(-(((q**2 - 1) ** 2) + v**2 / 0.6))
    assert density.values[0] / density.values.max() == pytest.approx(
        wanted / wanted.max(), abs=1e-12
    )
    assert "over it 2 sample paths and the density in the long run" in str(shown)
    assert not faults(shown.plot().figure)
    with pytest.raises(od.OdescentError, match="has no noise"):
        od.analysis.phase_portrait("gradient_flow", "himmelblau", x0=[1.0, 1.0], paths=1, t1=0.1)
    with pytest.raises(od.OdescentError, match="give t1="):
        od.analysis.phase_portrait(langevin, DOUBLE_WELL, paths=2, **given | {"t1": 0.0})


BAD: list[tuple[Any, Any, dict[str, Any], str]] = [
    ("gradient_flow", LINE, {}, "has no noise"),
    ("overdamped_langevin", (1, -1), {}, "low < high"),
    ("overdamped_langevin", (1, np.inf), {}, "finite numbers"),
    ("overdamped_langevin", ((-1, 1),) * 3, {}, "one or two sides, not 3"),
    ("overdamped_langevin", LINE, {"times": (1.0,)}, "give x0="),
    ("overdamped_langevin", LINE, {"times": (2.0, 1.0), "x0": 0.0}, "must increase"),
    ("overdamped_langevin", LINE, {"times": 1.0, "x0": 5.0}, "in the window"),
    ("overdamped_langevin", LINE, {"times": 1.0, "x0": 0.0, "spread": -1.0}, "spread must be"),
    ("overdamped_langevin", LINE, {"cells": 2}, "cells must be"),
    ("overdamped_langevin", LINE, {"method": "magic"}, "no method called"),
    ("overdamped_langevin", LINE, {"times": 1e9, "x0": 0.0, "cells": 2000}, "too long"),
    (ROTATION, ((-1, 1), (-40, 40)), {"cells": 20, "method": "grid"}, "ratio of about 0.894"),
]  # fmt: skip


@pytest.mark.parametrize(("system", "window", "options", "said"), BAD)
def test_bad_input(system: Any, window: Any, options: dict[str, Any], said: str) -> None:
    target = None if isinstance(system, od.System) else DOUBLE_WELL
    with pytest.raises(od.OdescentError, match=said):
        fokker_planck(system, window, target, **options)
