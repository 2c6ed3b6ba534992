"""Results that hold arrays show their shapes where they are typed, and what they say where they are printed."""

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


@pytest.mark.parametrize("name", RESULTS)
def test_no_numbers_of_arrays(name: str) -> None:
    shown = repr(RESULTS[name]())
    assert shown.startswith(f"{name}(")
    assert "f64[" in shown
    assert "array(" not in shown
    assert len(shown) < 6000


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
