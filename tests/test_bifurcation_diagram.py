"""Bifurcations at published and exact values."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.analysis import bifurcation


def logistic(x: jax.Array, *, r: jax.Array) -> jax.Array:
    return r * x * (1 - x)


def test_logistic_map_doubles_where_the_literature_says() -> None:
    """3, 1 + sqrt(6) and 3.5440903596 (OEIS A086181), and 1 where the origin hands over."""
    found = bifurcation(logistic, parameter="r", values=(0.5, 3.56, 103), start=0.3)
    assert [c.kind for c in found.changes[1:]] == ["period doubling"] * 3
    assert [c.period for c in found.changes] == [1, 1, 2, 4]
    values = [c.value for c in found.changes]
    assert values[0] == pytest.approx(1, abs=1e-13) and found.changes[0].kind == "transcritical"
    assert values[1:] == pytest.approx([3, 1 + 6**0.5, 3.5440903596], abs=2e-10)


def test_points_of_the_picture_are_the_cycles() -> None:
    """Fixed point 1 - 1/r; two-cycle (r + 1 +- sqrt((r - 3)(r + 1))) / (2 r)."""
    found = bifurcation(logistic, parameter="r", values=np.array([2.0, 2.5, 3.2, 3.4]), start=0.3)
    assert found.periods[:, 0].tolist() == [1, 1, 2, 2]
    for r in (2.0, 2.5):
        np.testing.assert_allclose(found.points[found.at == r], [1 - 1 / r], rtol=1e-14)
    for r in (3.2, 3.4):
        root = np.sqrt((r - 3) * (r + 1))
        expected = (r + 1 + np.array([-root, root])) / (2 * r)
        np.testing.assert_allclose(np.sort(found.points[found.at == r]), expected, rtol=1e-13)


def test_window_of_period_three_opens_at_a_fold() -> None:
    found = bifurcation(logistic, parameter="r", values=(3.82, 3.845, 26), start=0.5)
    fold = next(c for c in found.changes if c.period == 3 and c.kind == "fold")
    assert fold.value == pytest.approx(1 + 8**0.5, abs=1e-13)
    double = next(c for c in found.changes if c.period == 3 and c.kind == "period doubling")
    assert double.value == pytest.approx(3.8414990075, abs=1e-9)  # published


def test_neimark_sacker_of_the_delayed_logistic_map() -> None:
    """x+ = r x (1 - y), y+ = x: complex multipliers of modulus sqrt(r - 1) at the fixed point, so r = 2."""
    delayed = lambda z, *, r: jnp.stack([r * z[0] * (1 - z[1]), z[0]])
    found = bifurcation(delayed, parameter="r", values=(1.5, 2.1, 25), start=[0.4, 0.4], steps=4000)
    assert [(c.kind, c.period) for c in found.changes] == [("Neimark-Sacker", 1)]
    assert found.changes[0].value == pytest.approx(2, abs=1e-10)


def test_gradient_descent_loses_stability_at_two_over_L() -> None:
    x = od.blocks("x")
    f = od.Objective("f")
    h = od.parameters("h")
    descent = od.method({x: x - h * f.grad(x)}, output=x)
    target = od.objective("quadratic", eigenvalues=(1, 8))
    found = bifurcation(descent, target, parameter="h", values=(0.05, 0.4, 36), start=[1.0, 1.0])
    assert [c.kind for c in found.changes] == [
        "period doubling"
    ]  # critical eigenvalue 1 - h L = -1
    assert found.changes[0].value == pytest.approx(0.25, abs=1e-12)
    assert np.isnan(found.periods[-1, 0])  # it leaves


def test_hopf_bifurcation_of_a_flow() -> None:
    """x' = v, v' = m v - x^2 v - x: the origin loses stability at m = 0; the cycle has period 2 pi there."""
    x, v = od.blocks("x v")
    m = sp.Symbol("m", real=True)
    system = od.System({"all": {x: v, v: m * v - od.hadamard(od.hadamard(x, x), v) - x}})
    target = od.Objective("unused", jnp.sum)
    found = bifurcation(system, target, parameter="m", values=(-0.4, 0.4, 9), start=[0.5])
    assert [c.kind for c in found.changes] == ["Hopf"]
    assert found.changes[0].value == pytest.approx(0, abs=1e-12)
    assert (found.periods[:3, 0] == 0).all()
    assert found.periods[-1, 0] == pytest.approx(
        2 * np.pi * (1 + 0.4**2 / 16), rel=2e-3
    )  # Lindstedt
    late = found.points[found.at == found.values[-1], 0]
    assert np.abs(late).max() == pytest.approx(2 * 0.4**0.5, rel=0.02)


def test_two_starts_see_two_attractors() -> None:
    """x+ = x + h x (m - x^2): for m > 0 the ends are +-sqrt(m)."""
    pitchfork = lambda x, *, m: x + 0.1 * x * (m - x * x)
    found = bifurcation(
        pitchfork, parameter="m", values=np.array([-0.5, 0.5, 1.0]), starts=np.array([-0.7, 0.7])
    )
    ends = np.sort(found.points[found.at == 0.5])
    np.testing.assert_allclose(ends, [-(0.5**0.5), 0.5**0.5], rtol=1e-13)
    assert [(c.kind, c.value) for c in found.changes] == [
        ("pitchfork", pytest.approx(0, abs=1e-12))
    ]


def test_fold_of_a_flow_is_exact() -> None:
    """m x + x^3 - x^5: the outer equilibria end at folds at m = -1/4."""
    x = od.blocks("x")
    m = sp.Symbol("m", real=True)
    cube = od.hadamard(x, od.hadamard(x, x))
    system = od.System({"all": {x: m * x + cube - od.hadamard(cube, od.hadamard(x, x))}})
    found = bifurcation(system, parameter="m", values=(-0.6, 0.3, 10), start=[1.0])
    assert ("fold", pytest.approx(-0.25, abs=1e-13)) in [(c.kind, c.value) for c in found.changes]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"parameter": "q", "values": (0, 1, 5)}, "no axis"),
        ({"parameter": "r", "values": [1.0, 0.5]}, "increase"),
        ({"parameter": "r", "values": (1, 1, 5)}, "low to high"),
        ({"parameter": "x0", "values": (0, 1, 5)}, "r"),
    ],
)
def test_bad_input(options: dict, said: str) -> None:
    with pytest.raises(od.OdescentError, match=said):
        bifurcation(logistic, start=0.3, **options)


def test_where_nothing_settles_there_is_nothing_to_change() -> None:
    """x -> a x with a > 1 from 1: every orbit diverges."""
    found = bifurcation(lambda x, *, a: a * x, parameter="a", values=[2.0, 3.0], start=[1.0])
    assert np.isnan(found.periods).all() and found.changes == ()
