"""Phase portraits of systems: the field, the iterates and the refusals."""

import numpy as np
import pytest

import odescent as od
from odescent.analysis import phase_portrait


@pytest.fixture
def oscillator():
    x, v = od.blocks("x v")
    c = od.parameters("c")
    return od.System(
        {"damp": {v: -c * v}, "kick": {v: -od.Objective("f").grad(x)}, "drift": {x: v}}
    )


def test_field_and_classification_are_those_of_the_damped_oscillator(oscillator):
    portrait = phase_portrait(
        oscillator, curvature=4.0, window=((-1, 1), (-2, 2)), parameters={"c": 1}, t1=0
    )
    x, v = np.meshgrid(portrait.x, portrait.y)
    np.testing.assert_allclose(portrait.samples, np.stack([v, -v - 4 * x], -1), atol=1e-12)
    (point,) = portrait.fixed_points
    assert "focus" in point.kind and "stable" in point.kind
    np.testing.assert_allclose(np.sort(point.eigenvalues.real), [-0.5, -0.5], atol=1e-6)
    np.testing.assert_allclose(
        np.sort(point.eigenvalues.imag), [-(3.75**0.5), 3.75**0.5], atol=1e-6
    )


def test_iterates_are_the_textbook_methods_and_the_flow_is_the_bound_systems():
    portrait = phase_portrait(
        od.algorithm("nesterov_sc"), curvature=10.0, parameters={"mu": 1, "L": 100}, steps=30
    )
    x = y = 1.0
    beta = (10 - 1) / (10 + 1)
    points = [(y, (y - x) / 0.1)]
    for _ in range(30):
        following = y - 10 * y / 100
        y, x = following + beta * (following - x), following
        points.append((y, (y - x) / 0.1))
    np.testing.assert_allclose(portrait.iterates["nesterov_sc"], points, atol=1e-12)
    flow = portrait.flows["flow"]
    matrix = np.array([[-0.1 * 10, 1], [-10, -2]])  # y' = psi - h lam y, psi' = -2 psi - lam y
    from scipy.linalg import expm

    np.testing.assert_allclose(flow[-1], expm(matrix * 3.0) @ [1, 0], atol=1e-7)


def test_a_double_well_shows_its_saddle(oscillator):
    well = od.Objective("well", fun=lambda x: ((x**2 - 1) ** 2 / 4).sum())
    portrait = phase_portrait(
        oscillator, well, window=((-1.8, 1.8), (-1.5, 1.5)), parameters={"c": 0.3}, t1=0
    )
    kinds = sorted(p.kind for p in portrait.fixed_points)
    assert kinds.count("saddle") == 1 and len(kinds) == 3
    assert portrait.separatrices


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({}, "an objective of one variable or a curvature"),
        ({"curvature": 1.0}, "parameters c have no value"),
        ({"curvature": 1.0, "parameters": {"c": 1}, "axes": ("x", "w")}, "not the system's blocks"),
        ({"curvature": 1.0, "parameters": {"c": 1}, "x0": np.nan}, "must be finite"),
    ],
)
def test_refusals(oscillator, change, sentence):
    with pytest.raises(od.OdescentError, match=sentence):
        phase_portrait(oscillator, **{"window": ((-1, 1), (-1, 1)), "t1": 0, **change})


def test_other_blocks_and_dimensions_are_refused(oscillator):
    with pytest.raises(od.OdescentError, match="cannot be laid over"):
        phase_portrait(
            oscillator, curvature=1.0, parameters={"c": 1, "mu": 1, "L": 2},
            algorithms={"nag": od.algorithm("nesterov_sc")},
        )  # fmt: skip
    with pytest.raises(od.OdescentError, match="two vector blocks"):
        phase_portrait(od.system("gradient_flow"), curvature=1.0)
    with pytest.raises(od.OdescentError, match="depends on time"):
        phase_portrait(od.system("nesterov_c").bind({od.parameters("a"): 0}), curvature=1.0, t1=0)
