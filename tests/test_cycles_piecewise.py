"""One dimension, exactly: the published counterexample, and random piecewise linear gradients against simulation."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp

import odescent as od
from odescent.analysis import basin_windows, exact_edges, piecewise_cycles
from odescent.dynamics.problems.lessard_recht_packard import GRADIENT
from odescent.dynamics.problems.piecewise_quadratic import PiecewiseLinear

WHOLE = st.integers(-4, 4)
SLOPES = st.integers(1, 30)


@st.composite
def gradients(draw: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Knots and slopes."""
    knots = sorted(draw(st.sets(WHOLE, min_size=1, max_size=3)))
    slopes = draw(st.lists(SLOPES, min_size=len(knots) + 1, max_size=len(knots) + 1))
    return tuple(knots), tuple(slopes)


def test_the_published_cycle() -> None:
    rest, saddle, attracting = piecewise_cycles("heavy_ball", GRADIENT, 4)
    assert rest.points == (0,) and rest.stable is True
    assert saddle.points == tuple(sp.Rational(n, 1367) for n in (792, -2208, 2592))
    assert attracting.points == tuple(sp.Rational(n, 1225) for n in (792, -2208, 2592))
    assert attracting.stable is True and not attracting.saddle
    assert attracting.multipliers == (sp.Rational(-8, 27),) * 2
    lam = attracting.characteristic.gen
    assert sp.expand(attracting.characteristic.as_expr() - (27 * lam + 8) ** 2 / 729) == 0
    assert saddle.saddle and saddle.stable is False
    assert sp.simplify(saddle.multiplier - (2160 + sp.sqrt(2160**2 - 4 * 729 * 64)) / 1458) == 0
    assert float(saddle.multiplier) == pytest.approx(2.93303, abs=5e-6)


@pytest.mark.parametrize("name", ["gradient_descent", "nesterov_sc", "triple_momentum"])
def test_methods_without_a_cycle(name: str) -> None:
    (rest,) = piecewise_cycles(name, GRADIENT, 6)
    assert rest.period == 1 and rest.stable is True
    windows = basin_windows(name, GRADIENT, (-50, 50))
    assert len(windows.windows) == 1 and not windows.unsettled


def heavy_ball_float(x0: float, steps: int) -> float:
    """A plain loop."""
    x = before = x0
    for _ in range(steps):
        slope = 25 * x if x < 1 else x + 24 if x < 2 else 25 * x - 24
        x, before = x + 4 / 9 * (x - before) - slope / 9, x
    return abs(x)


def test_basin_windows() -> None:
    found = basin_windows("heavy_ball", GRADIENT)
    assert [c.period for c in found.attractors] == [1, 3]
    main = max(found.reaching(1), key=lambda w: w.width)
    assert float(main.low) == pytest.approx(3.061231450, abs=1e-9)
    assert float(main.high) == pytest.approx(3.463325600, abs=1e-9)
    assert all(b - a < Fraction(1, 10**12) for a, b in found.unsettled)
    whole = sum((w.high - w.low for w in found.windows), Fraction(0))
    assert 12 - whole < len(found.unsettled) * Fraction(1, 10**12)
    for window in found.windows:  # each is simulated near both ends and in the middle
        for share in (1e-6, 0.3, 0.5, 1 - 1e-6):
            x0 = float(window.low) + share * window.width
            near_zero = heavy_ball_float(x0, 600) < 1e-3
            assert near_zero is (window.attractor == 0)


def test_exact_edges() -> None:
    """Each edge lies in the gap that was left, and its run in 150 digits comes to the saddle and stays there long."""
    found = basin_windows(
        "heavy_ball", GRADIENT, (Fraction(-7, 2), Fraction(7, 2)), Fraction(1, 10**6)
    )
    edges = exact_edges("heavy_ball", GRADIENT, found)
    assert len(edges) == len(found.edges) > 10
    for (low, high), edge in zip(found.unsettled, edges, strict=True):
        assert edge is not None
        start, saddle = edge
        assert Fraction(low) <= Fraction(str(sp.N(start, 30))) <= Fraction(high)
        assert saddle.points[0] == sp.Rational(792, 1367)
        with mp.workdps(150):
            x = before = mp.mpf(str(sp.N(start, 150)))
            for _ in range(150):
                slope = 25 * x if x < 1 else x + 24 if x < 2 else 25 * x - 24
                x, before = x + 4 * (x - before) / 9 - slope / 9, x
            assert min(abs(x - mp.mpf(int(p.p)) / int(p.q)) for p in saddle.points) < 1e-60


def test_windows_wider_than() -> None:
    found = basin_windows("heavy_ball", GRADIENT)
    sizes = [w.width for w in found.reaching(1)]
    assert [w.width for w in found.reaching(1, wider=0.2)] == [s for s in sizes if s > 0.2]
    assert len(found.edges) == 16
    assert len(basin_windows("heavy_ball", GRADIENT, (-50, 50), Fraction(1, 10**5)).edges) == 44


def test_a_coarse_resolution_says_what_it_left_out() -> None:
    found = basin_windows("heavy_ball", GRADIENT, (-6, 6), Fraction(1, 100))
    fine = basin_windows("heavy_ball", GRADIENT, (-6, 6))
    assert all(b - a < Fraction(1, 50) for a, b in found.unsettled)
    for window in found.windows:
        assert any(
            w.low <= window.low and window.high <= w.high and w.attractor == window.attractor
            for w in fine.windows
        )


METHOD = st.fixed_dictionaries(
    {
        "alpha": st.fractions(Fraction(1, 50), Fraction(3, 20), max_denominator=50),
        "beta": st.fractions(0, Fraction(9, 10), max_denominator=10),
        "gamma": st.fractions(0, Fraction(1, 2), max_denominator=4),
    }
)


@settings(max_examples=40)
@given(METHOD, gradients())
def test_cycles_are_orbits(method: dict[str, Fraction], shape: Any) -> None:
    """Run from x_0 and x_{-1}, in fractions, with a gradient that is summed up from 0 by hand."""
    gradient = PiecewiseLinear(*shape)
    for cycle in piecewise_cycles(method, gradient, 4):
        alpha, beta, gamma = (method[n] for n in ("alpha", "beta", "gamma"))
        x, before = xi_of(cycle.states[0])
        for turn in range(2 * cycle.period):
            y = (1 + gamma) * x - gamma * before
            assert y == Fraction(str(cycle.points[turn % cycle.period]))
            x, before = (1 + beta) * x - beta * before - alpha * slope_by_hand(gradient, y), x
        assert (x, before) == xi_of(cycle.states[0])


def xi_of(state: tuple[Fraction, ...]) -> tuple[Fraction, Fraction]:
    """The state of a three-parameter method; one entry where x_{-1} plays no role."""
    return (state[0], state[1]) if len(state) == 2 else (state[0], state[0])


def slope_by_hand(gradient: PiecewiseLinear, x: Fraction) -> Fraction:
    """The integral of the piecewise constant second derivative from 0 to x."""
    ends = sorted({Fraction(0), x, *(k for k in gradient.knots if min(0, x) < k < max(0, x))})
    total = sum(
        (gradient.slopes[sum(k < (a + b) / 2 for k in gradient.knots)] * (b - a) for a, b in pairwise(ends)),
        Fraction(0),
    )  # fmt: skip
    return total if x >= 0 else -total


@settings(max_examples=15)
@given(gradients(), st.integers(-60, 60))
def test_the_objective_is_the_function(shape: Any, n: int) -> None:
    gradient = PiecewiseLinear(*shape)
    f = od.objective("piecewise_quadratic", knots=gradient.knots, slopes=gradient.slopes)
    x = Fraction(n, 7)
    assert float(f.value(np.array([float(x)]))) == pytest.approx(float(gradient.value(x)), abs=1e-9)
    assert float(f.grad(np.array([float(x)]))[0]) == pytest.approx(
        float(slope_by_hand(gradient, x)), abs=1e-9
    )
    assert (f.mu, f.L) == (gradient.mu, gradient.L)


@pytest.mark.parametrize(
    ("knots", "slopes"),
    [((1, 2), (36, 1, 36)), ((-1, 2), (1, 9, 1)), ((1, 4), (1, 36, 9)), ((-3, 3), (4, 1, 16))],
)  # fmt: skip
def test_windows_against_simulation(knots: tuple[Any, ...], slopes: tuple[int, ...]) -> None:
    """Heavy ball in Polyak's tuning, by a loop in floats, with the slope by integration."""
    gradient = PiecewiseLinear(knots, slopes)
    found = basin_windows("heavy_ball", gradient, (-5, 5), Fraction(1, 10**4), periods=5)
    q = (min(slopes) / max(slopes)) ** 0.5
    alpha, beta = 4 / (1 + q) ** 2 / max(slopes), ((1 - q) / (1 + q)) ** 2
    for window in found.windows:
        x = before = float(window.low + window.high) / 2
        for _ in range(400):
            piece = gradient.pieces[sum(k < x for k in gradient.knots)]
            slope = float(piece.slope) * x + float(piece.intercept)
            x, before = x + beta * (x - before) - alpha * slope, x
        points = found.attractors[window.attractor].points
        assert min(abs(x - float(p)) for p in points) < 1e-6


def test_windows_scale() -> None:
    """f(c x) / c^2 has the same slopes and knots divided by c."""
    scaled = PiecewiseLinear((Fraction(1, 3), Fraction(2, 3)), (25, 1, 25))
    one = basin_windows("heavy_ball", GRADIENT, (-6, 6), Fraction(1, 10**9))
    other = basin_windows("heavy_ball", scaled, (-2, 2), Fraction(1, 10**9))
    np.testing.assert_allclose(one.edges, 3 * np.array(other.edges), atol=1e-8)


def test_the_registered_function_is_unchanged() -> None:
    """phi of Lessard, Recht and Packard, as printed."""
    f = od.objective("lessard_recht_packard")
    x = np.linspace(-3, 4, 57)[:, None]
    printed = np.where(
        x < 1, 12.5 * x**2, np.where(x < 2, 0.5 * x**2 + 24 * x - 12, 12.5 * x**2 - 24 * x + 36)
    )
    np.testing.assert_allclose(jax.vmap(f.value)(jnp.asarray(x)), printed[:, 0], rtol=1e-15)
    assert math.isclose(float(f.x0[0]), 3.3)


@pytest.mark.untyped
def test_bad_input() -> None:
    with pytest.raises(od.OdescentError, match="irrational"):
        piecewise_cycles("heavy_ball", PiecewiseLinear((1,), (1, 2)))
    with pytest.raises(od.OdescentError, match="explicit"):
        piecewise_cycles(od.algorithm("proximal_point").bind(h=1), GRADIENT)
    with pytest.raises(od.OdescentError, match="itineraries"):
        piecewise_cycles("heavy_ball", GRADIENT, 14)
    with pytest.raises(od.OdescentError, match="no attracting cycle"):
        basin_windows({"alpha": Fraction(9, 10)}, GRADIENT)
    for interval in ((1, 1), (2, 1), (0, sp.pi), ("a", 1), (0,)):
        with pytest.raises(od.OdescentError, match="interval"):
            basin_windows("heavy_ball", GRADIENT, interval)
    for knots, slopes in (
        ((1, 0), (1, 2, 3)),
        ((1,), (1,)),
        ((1,), (0, 0)),
        ((1,), (-1, 2)),
        ((1,), ("x", 2)),
    ):
        with pytest.raises(od.OdescentError, match="piecewise_quadratic"):
            PiecewiseLinear(knots, slopes)
