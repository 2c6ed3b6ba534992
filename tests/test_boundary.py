"""Stability boundaries in closed form: against roots of polynomials, and the continued curves on them to 1e-10."""

import mpmath as mp
import numpy as np
import pytest

import odescent as od
from odescent.analysis import bifurcation, stability_boundary

A, M = od.parameters("a m")
PLANES = {
    "heavy_ball": ({"learning_rate": A, "momentum": M}, {"a": (0.1, 5), "m": (0.01, 0.99)}, {}),
    "conformal_heavy_ball": ({}, {"h": (0.1, 4), "c": (0.01, 3)}, {}),
    "dissipative_leapfrog": ({}, {"h": (0.1, 4), "c": (0.01, 3)}, {}),
    "nesterov_sc": ({}, {"L": (0.2, 3), "mu": (0.01, 0.2)}, {}),
    "nesterov_look_ahead": ({}, {"L": (0.2, 3), "mu": (0.01, 0.2)}, {}),
    "triple_momentum": ({}, {"L": (0.2, 3), "mu": (0.01, 0.2)}, {}),
    "robust_momentum": ({}, {"L": (0.2, 3), "rho": (0.01, 0.99)}, {"mu": 0.1}),
    "inertial_newton": ({}, {"h": (0.1, 3), "alpha": (0.01, 3)}, {"beta": 0.5}),
}


@pytest.mark.parametrize("name", PLANES)
def test_continued_and_closed_form_agree(name: str) -> None:
    options, over, fixed = PLANES[name]
    edge = stability_boundary(od.algorithm(name, **options), over=over, parameters=fixed)
    assert any(edge.curves.values())
    for kind, parts in edge.curves.items():
        if parts:
            curve = edge.continued(kind)
            assert len(curve.values) > 10
            assert edge.gap(curve) < 1e-10


def test_curves_are_where_the_largest_root_is_on_the_circle() -> None:
    """By numerical roots of the modal matrix, which the closed form does not use."""
    method = od.algorithm("inertial_newton")
    edge = stability_boundary(
        method, over={"h": (0.1, 3), "alpha": (0.01, 3)}, parameters={"beta": 0.5}, curvature=1.7
    )
    found = method.state_space().modal_matrix(1.7)
    for kind, parts in edge.curves.items():
        assert parts, kind
        for h, alpha in parts[0][::20]:
            values = {"h": h, "alpha": alpha, "beta": 0.5}
            matrix = found.subs({s: values[s.name] for s in found.free_symbols})
            roots = np.abs(np.linalg.eigvals(np.array(matrix, float)))
            assert roots.max() == pytest.approx(1, abs=1e-8)


def test_what_is_algebraic() -> None:
    ball = stability_boundary(
        od.algorithm("heavy_ball", learning_rate=A, momentum=M),
        over={"a": (0.1, 5), "m": (0.01, 0.99)},
    )
    assert all(ball.algebraic.values()) and "none found in the window" in str(ball)
    other = stability_boundary(
        od.algorithm("conformal_heavy_ball"), over={"h": (0.1, 4), "c": (0.01, 3)}
    )
    assert not other.algebraic["period doubling"]
    with pytest.raises(od.OdescentError, match="no Neimark-Sacker boundary"):
        ball.continued("Neimark-Sacker")
    labels = [t.get_text() for t in ball.plot().get_legend().get_texts()]
    assert labels == ["period doubling"]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("heavy_ball", {"over": {"L": (1, 2)}}, "two parameters"),
        ("heavy_ball", {"over": {"L": (1, 2), "q": (1, 2)}}, "no parameter"),
        ("heavy_ball", {"over": {"L": (2, 1), "mu": (0.1, 0.2)}}, "low to high"),
        ("heavy_ball", {"over": {"L": (1, 2), "mu": (0.1, 0.2)}, "curvature": 0}, "curvature"),
        ("robust_momentum", {"over": {"L": (1, 2), "mu": (0.1, 0.2)}}, "needs a value"),
        (
            "adam",
            {"over": {"beta1": (0.1, 0.2), "beta2": (0.1, 0.2)}, "parameters": {"h": 1, "eps": 1}},
            "form",
        ),
    ],
)
def test_bad_input(name: str, options: dict, said: str) -> None:
    with pytest.raises(od.OdescentError, match=said):
        stability_boundary(od.algorithm(name), **options)


def logistic(x, *, r):
    return r * x * (1 - x)


def test_a_cycle_born_by_doubling_ends_in_a_doubling() -> None:
    """A quadratic map has no pitchforks; where the 20-cycle ends, the 10-cycle has the multiplier -1, in 30 digits."""
    found = bifurcation(logistic, parameter="r", values=[3.604, 3.606, 3.607], start=[0.3])
    assert "pitchfork" not in {c.kind for c in found.changes}
    (change,) = [c for c in found.changes if c.period == 10]
    mp.mp.dps = 30
    r = mp.mpf(change.value)
    x = mp.mpf("0.3")
    for _ in range(60_000):
        x = r * x * (1 - x)
    power = lambda x: _orbit(r, x)[0] - x
    x = mp.findroot(power, x)
    assert abs(_orbit(r, x)[1] + 1) < 1e-6


def _orbit(r, x):
    slope = mp.mpf(1)
    for _ in range(10):
        x, slope = r * x * (1 - x), slope * r * (1 - 2 * x)
    return x, slope


@pytest.mark.parametrize("longest", [5.0, 5000.0])
def test_the_curves_are_found_in_wide_windows_and_on_their_edges(longest: float) -> None:
    ball = od.algorithm("heavy_ball")
    edge = od.analysis.stability_boundary(ball, over={"step": (0, longest), "momentum": (0, 1)})
    ((doubling,), pairs) = edge.curves["period doubling"], edge.curves["Neimark-Sacker"]
    step, momentum = doubling.T
    np.testing.assert_allclose(step**2, 2 + 2 * momentum, rtol=1e-12)
    assert step.min() < 1.42 and step.max() > 1.99
    if longest == 5:  # else two steps apart
        np.testing.assert_allclose(pairs[0][:, 1], 1)
        assert pairs[0][:, 0].max() > 1.9
