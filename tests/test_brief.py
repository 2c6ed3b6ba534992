"""Results that hold arrays say in one line what they are where they are typed, and more where they are printed."""

import numpy as np
import pytest

import odescent as od

BALL, F = od.algorithm("heavy_ball"), od.objective("lessard_recht_packard")
RESULTS = {
    "Trajectory": lambda: BALL.run(F, np.array([3.3]), 400),
    "Solution": lambda: od.system("gradient_flow").simulate(F, np.ones(1), 1.0),
    "Spectrum": lambda: od.analysis.spectrum(BALL, 1, 10),
    "Comparison": lambda: od.analysis.convergence(
        od.algorithm("nesterov_sc"), od.objective("quadratic"), np.ones(2), 20
    ),
    "Portrait": lambda: od.analysis.phase_portrait(BALL, F, x0=3.3, steps=20),
}


LINES = {
    "Trajectory": "<Trajectory: 400 steps, f from ",
    "Solution": "<Solution: t from 0 to 1, ",
    "Spectrum": "<Spectrum: heavy_ball: rate 0.519494 on quadratics with curvatures in [1, 10]>",
    "Comparison": "<Comparison: nesterov_sc beside its limit flow, 20 steps: at most ",
    "Portrait": "<Portrait: 1 fixed point, by interval Krawczyk, proved to be all>",
}


@pytest.mark.parametrize("name", RESULTS)
def test_no_numbers_of_arrays(name: str) -> None:
    shown = RESULTS[name]()
    assert repr(shown).startswith(LINES[name]) and repr(shown).endswith(">")
    assert "array(" not in str(shown)
    assert ("x: f64[401,1]" in str(shown)) == (name == "Trajectory")


def test_a_portrait_and_a_comparison_say_what_they_found() -> None:
    portrait = str(RESULTS["Portrait"]())
    assert (
        portrait == "1 fixed point, by interval Krawczyk, proved to be all.\n  (0, 0)  stable focus"
    )
    f = od.objective("quadratic", eigenvalues=[0.05, 0.3, 1.0])
    said = od.analysis.convergence(od.algorithm("nesterov_sc"), f, np.ones(3), 40)
    lines = str(said).splitlines()
    assert lines[0].startswith("nesterov_sc beside its limit flow, 40 steps: at most ")
    assert lines[1].startswith("the distance closes as h^")
    rate = 1 - np.sqrt(0.05)
    assert (
        lines[3] == f"spectral factor of the distance per step: {rate:.4f}, squared {rate**2:.4f}"
    )
