"""Cycles on roots of unity: published thresholds, exact membership in the class, and the method running along."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp
import textbook as tb
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import odescent as od
from odescent.analysis import counterexample
from odescent.analysis.certificates import Cycle, roots_of_unity

HEAVY_BALL = od.algorithm("heavy_ball")


def test_thresholds_of_polyaks_tuning() -> None:
    assert counterexample(HEAVY_BALL, 1, sp.Rational(179, 10)) is None
    at_the_threshold = counterexample(HEAVY_BALL, 1, 9 + 4 * sp.sqrt(5))
    assert at_the_threshold is not None and at_the_threshold.period == 3
    winding_one = lambda kappa: [c.period for c in roots_of_unity(HEAVY_BALL, 1, kappa) if c.winding == 1]  # fmt: skip
    assert winding_one(sp.Rational(1795, 100)) == [3]
    assert winding_one(25) == [3]
    assert winding_one(sp.Rational("25.2741423690")) == [3]
    assert winding_one(sp.Rational("25.2741423692")) == [3, 4]
    assert winding_one(100) == [3, 4, 5, 6]
    assert winding_one(1000) == list(range(3, 13))
    pairs = {(c.period, c.winding) for k in (100, 1000) for c in roots_of_unity(HEAVY_BALL, 1, k)}
    assert {(7, 2), (5, 2)} <= pairs


def test_published_vertices() -> None:
    """The first row of the matrix M, which maps e_0 = (1, 0) to the vertex with its second entry negated."""
    for kappa, row in ((25, (0.770833333333, 0.180421959122)), (100, (0.755050505051, 0.087477313514))):  # fmt: skip
        cycle = counterexample(HEAVY_BALL, 1, kappa)
        assert cycle is not None
        np.testing.assert_allclose(cycle.vertices[0], (row[0], -row[1]), atol=1e-12)


@pytest.mark.parametrize("kappa", [10, 1000])
@pytest.mark.parametrize("name", ["gradient_descent", "nesterov_sc", "triple_momentum"])
def test_methods_that_converge_have_none(name: str, kappa: int) -> None:
    assert counterexample(od.algorithm(name), 1, kappa) is None


def star(alpha: Fraction, beta: Fraction, k: Fraction, K: int) -> float:
    """Goujaud, Taylor and Dieuleveut's condition for winding number 1, in units L = 1."""
    c, u = math.cos(2 * math.pi / K), float(k * alpha)
    b, k_ = float(beta), float(k)
    return u**2 - 2 * (b - c + k_ * (1 - b * c)) * u + 2 * k_ * (1 - c) * (1 + b**2 - 2 * b * c)


@settings(max_examples=30)
@given(
    st.fractions(Fraction(1, 10), 4, max_denominator=30),
    st.fractions(0, Fraction(29, 30), max_denominator=30),
    st.integers(2, 300),
)
def test_heavy_ball_against_the_published_condition(alpha: Fraction, beta: Fraction, kappa: int) -> None:  # fmt: skip
    k = Fraction(1, kappa)
    values = {K: star(alpha, beta, k, K) for K in range(3, 16)}
    assume(all(abs(v) > 1e-9 for v in values.values()))
    method = {"alpha": alpha, "beta": beta}
    found = {c.period for c in roots_of_unity(method, k, 1, periods=15) if c.winding == 1}
    assert found - {2} == {K for K, v in values.items() if v <= 0}


def project(polygon: Any, point: Any) -> Any:
    """The nearest point of a convex polygon with corners in counterclockwise order, by its edges."""
    best, least = None, math.inf
    inside = True
    for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        edge = b - a
        inside &= edge[0] * (point - a)[1] - edge[1] * (point - a)[0] >= 0
        at = a + edge * np.clip((point - a) @ edge / (edge @ edge), 0, 1)
        if (distance := float(np.sum((point - at) ** 2))) < least:
            best, least = at, distance
    return point if inside else best


def gradient(cycle: Cycle) -> Any:
    angles = np.arctan2(cycle.vertices[:, 1], cycle.vertices[:, 0])
    polygon = cycle.vertices[np.argsort(angles)]
    return lambda p: cycle.mu * p + (cycle.L - cycle.mu) * project(polygon, p)


@pytest.mark.parametrize(
    ("method", "kappa", "period", "winding"),
    [
        (HEAVY_BALL, 25, 3, 1),
        (HEAVY_BALL, 100, 7, 2),
        (HEAVY_BALL, 1000, 5, 2),
        (tb.three_parameters(sp.Rational(7, 200), sp.Rational(9, 10)), 100, 4, 1),
        (tb.three_parameters(sp.Rational(3, 100), sp.Rational(9, 10), sp.Rational(1, 50)), 100, 3, 1),
    ],
)  # fmt: skip
def test_the_method_runs_around_for_ever(
    method: Any, kappa: int, period: int, winding: int
) -> None:
    cycle = next(
        c for c in roots_of_unity(method, 1, kappa) if (c.period, c.winding) == (period, winding)
    )
    slope = gradient(cycle)
    matrices = method.state_space()
    values = {od.dynamics.mu: 1, od.dynamics.L: kappa}
    numeric = lambda m: np.array(m.xreplace(values).evalf(), float)
    A, B, C = numeric(matrices.A), numeric(matrices.B), numeric(matrices.C)
    state = cycle.states[0]
    for step in range(300):
        point = (C @ state)[0]
        np.testing.assert_allclose(point, cycle.points[step % period], atol=1e-7)
        state = A @ state + B @ slope(point)[None]


@settings(max_examples=5)
@given(st.integers(-40, 40), st.integers(0, 9))
def test_units_change_nothing(power: int, digit: int) -> None:
    """f(x) -> c f(x) takes the methods with steps in 1 / L along, and with them their cycles."""
    unit = Fraction(10 + digit, 10) * Fraction(10) ** power
    method = {"alpha": Fraction(39, 20) / unit, "beta": Fraction(4, 5)}
    for given_, mu, L in ((HEAVY_BALL, 1, 100), (method, Fraction(1, 50), 1)):
        cycles = [
            (c.period, c.winding, c.strict) for c in roots_of_unity(given_, mu * unit, L * unit)
        ]
        plain = given_ if given_ is HEAVY_BALL else {**method, "alpha": method["alpha"] * unit}
        known = [(c.period, c.winding, c.strict) for c in roots_of_unity(plain, mu, L)]
        assert cycles == known and known


@settings(max_examples=40)
@given(st.lists(st.floats(-3, 3), min_size=4, max_size=4), st.sampled_from([20, 100, 1000]))
def test_the_function_is_in_the_class(at: list[float], kappa: int) -> None:
    """mu |u - v|^2 <= <g(u) - g(v), u - v>, and |g(u) - g(v)|^2 <= L <g(u) - g(v), u - v>."""
    cycle = counterexample(HEAVY_BALL, 1, kappa)
    assert cycle is not None
    slope = gradient(cycle)
    u, v = np.array(at[:2]), np.array(at[2:])
    moved, change = u - v, slope(u) - slope(v)
    assert change @ moved >= (1 - 1e-9) * moved @ moved - 1e-12
    assert change @ change <= kappa * (1 + 1e-9) * change @ moved + 1e-9


@pytest.mark.untyped
def test_bad_input() -> None:
    for periods in (1, 2.5, True):
        with pytest.raises(od.OdescentError, match=r"period.* must be a whole number"):
            counterexample(HEAVY_BALL, 1, 10, periods)
    assert counterexample(HEAVY_BALL, 1, 1) is None  # one quadratic
    look = od.blocks("x")
    f = od.Objective("f")
    two = od.method({look: look - f.grad(look - f.grad(look) / 20) / 20}, output=look)
    assert counterexample(two, 1, 10) is None  # two gradients a step: not looked at
