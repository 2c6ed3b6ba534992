"""Cycles over F(mu, L): the function is in the class, the method runs around it for ever, and nothing contradicts."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import permutations
from typing import Any

import jax
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp

import odescent as od
from odescent.analysis import NoCertificate, certify, cycle_region, cycle_table, cycles
from odescent.analysis.certificates import Cycle

METHODS = {
    "alpha": st.fractions(Fraction(1, 10), Fraction(39, 10), max_denominator=40),
    "beta": st.fractions(0, Fraction(29, 30), max_denominator=30),
    "gamma": st.fractions(Fraction(-1, 5), Fraction(1, 2), max_denominator=20),
}


def test_periods_of_polyaks_tuning() -> None:
    table = cycle_table("heavy_ball", (Fraction(179, 10), 17.95, 25, 100, 1000))
    assert [[K for K, _ in found] for found in table.values()] == [
        [], [3], [3], [3, 4, 5, 6], list(range(3, 13)),
    ]  # fmt: skip
    everything = cycle_table("heavy_ball", (100, 1000), periods=12, winding=None)
    assert (7, 2) in everything[100] and (5, 2) in everything[1000]


@pytest.mark.parametrize("name", ["nesterov_sc", "triple_momentum"])
def test_none_for_methods_that_converge(name: str) -> None:
    assert not any(cycle_table(name, (2, 10, 100, 1000), winding=None).values())


def test_a_known_region() -> None:
    """kappa = 30, beta = 0.6: cycles for alpha L in [2.2847375, 3.2), the first of period 4 (a published scan)."""
    at = lambda alpha: cycles({"alpha": alpha, "beta": Fraction(3, 5)}, Fraction(1, 30), 1, 20)
    assert not at(Fraction(22847374, 10**7))
    assert {c.period for c in at(Fraction(22847376, 10**7))} == {4}


CASES = [
    ("heavy_ball", 25, 3, 1),
    ("heavy_ball", 100, 7, 2),
    ("heavy_ball", 1000, 5, 2),
    ("heavy_ball", 1000, 12, 1),
]


def find(name: str, kappa: Any, period: int, winding: int) -> Cycle:
    (found,) = (c for c in cycles(name, 1, kappa, period, winding) if c.period == period)
    return found


@pytest.mark.parametrize("case", CASES)
def test_three_thousand_steps(case: tuple[str, int, int, int]) -> None:
    cycle = find(*case)
    path = cycle.follow(3000)
    expected = cycle.points[np.arange(3001) % cycle.period]
    assert np.abs(path - expected).max() < 1e-12


@pytest.mark.parametrize("case", CASES[:2])
def test_stability_is_what_a_simulation_sees(case: tuple[str, int, int, int]) -> None:
    """Deviations shrink by the multiplier per period; sqrt(beta)^K for Polyak's tuning, from the literature."""
    cycle = find(*case)
    q = case[1] ** -0.5
    rate = (1 - q) / (1 + q)
    assert cycle.stable is True and cycle.strict
    assert cycle.multiplier == pytest.approx(rate**cycle.period, rel=1e-12)
    start = cycle.states[0] + 1e-4
    far = cycle.follow(12 * cycle.period, start)[:: cycle.period]
    gap = np.linalg.norm(far - cycle.points[0], axis=1)
    turns = np.arange(1, 13)  # a double pole: (c + d k) rate^k
    assert (gap[1:] <= 1e-2 * (1 + turns) * cycle.multiplier**turns + 1e-12).all()


def test_convex_functions() -> None:
    """mu = 0, period 3: alpha L from 3 (1 + b + b^2) / (1 + 2 b) on, the end included (closed form)."""
    first = Fraction(21, 8)  # b = 1/2
    threes = lambda alpha: [
        c.strict for c in cycles({"alpha": alpha, "beta": Fraction(1, 2)}, 0, 1, 3) if c.period == 3
    ]
    assert threes(first) == [False] and threes(first - Fraction(1, 10**30)) == []
    assert threes(first + Fraction(1, 10**30)) == [True]


def test_an_unstable_cycle() -> None:
    """The quadratic of curvature mu decides, on which a momentum beyond 1 diverges."""
    (cycle,) = cycles({"alpha": Fraction(5, 2)}, Fraction(1, 100), 1, 2)
    assert cycle.period == 2 and cycle.stable is True  # curvature mu near the points: it attracts
    (steep,) = cycles({"alpha": Fraction(49, 10), "beta": Fraction(11, 10)}, Fraction(1, 100), 1, 2)
    assert steep.stable is False and steep.multiplier is not None and steep.multiplier > 1


def test_at_the_threshold_the_cycle_is_on_the_edge() -> None:
    (cycle,) = cycles("heavy_ball", 1, 9 + 4 * sp.sqrt(5), 3)
    assert not cycle.strict and cycle.stable is None and cycle.multiplier is None
    assert cycles("heavy_ball", 1, 9 + 4 * sp.sqrt(5) - sp.Rational(1, 10**60), 3) == ()


@settings(max_examples=12)
@given(st.fixed_dictionaries(METHODS), st.sampled_from([3, 20, 150]))
def test_fifty_digits(method: dict[str, Fraction], kappa: int) -> None:
    """Each reported cycle is run around twice in 50 digits, with a projection of the test's own."""
    for cycle in cycles(method, Fraction(1, kappa), 1, 8):
        with mp.workdps(50):
            exact = {n: mp.mpf(v.numerator) / v.denominator for n, v in method.items()}
            run_around(cycle, **exact, mu=mp.mpf(1) / kappa)


def run_around(cycle: Cycle, alpha: Any, beta: Any, gamma: Any, mu: Any) -> None:
    K = cycle.period
    turn = mp.expjpi(mp.mpf(2) * cycle.winding / K)
    look = 1 + gamma - gamma / turn
    gradient = (turn - 1) * (turn - beta) / (-alpha * turn * look)
    corners = [(gradient - mu) / (1 - mu) * mp.expjpi(mp.mpf(2) * j / K) for j in range(K)]
    np.testing.assert_allclose(complex(corners[0]), complex(*cycle.vertices[0]), atol=1e-11)
    xi, before = 1 / look, 1 / look / turn
    for step in range(2 * K):
        y = (1 + gamma) * xi - gamma * before
        assert abs(y - turn**step) < mp.mpf(10) ** -30
        slope = mu * y + (1 - mu) * nearest(corners, y)
        xi, before = (1 + beta) * xi - beta * before - alpha * slope, xi
        near = np.array([float(y.real), float(y.imag)])
        np.testing.assert_allclose(
            cycle.objective.grad(near), [float(slope.real), float(slope.imag)], atol=1e-9
        )


def nearest(corners: list[Any], y: Any) -> Any:
    """The nearest point of the regular polygon, by its edges; y is known to be outside or on it."""
    found = []
    for a, b in zip(corners, [*corners[1:], corners[0]], strict=True):
        edge = b - a
        length = abs(edge) ** 2
        t = 0 if length == 0 else min(max(((y - a) * mp.conj(edge)).real / length, 0), 1)
        found.append(a + t * edge)
    outward = mp.expjpi(mp.mpf(1) / len(corners)) * corners[0]  # the middle of an edge, scaled
    apothem = abs(corners[0]) * mp.cos(mp.pi / len(corners))
    inside = all(
        (y * mp.conj(outward * mp.expjpi(mp.mpf(2) * j / len(corners)))).real
        < apothem * abs(outward) * (1 - mp.mpf(10) ** -40)
        for j in range(len(corners))
    )
    return y if inside else min(found, key=lambda p: abs(p - y))


def interpolable(w: complex, K: int, m: int, mu: float) -> float:
    """The least slack of all pairs of interpolation inequalities (Taylor, Hendrickx, Glineur 2017), L = 1, f equal."""
    y = np.exp(2j * math.pi * m * np.arange(K) / K)
    g = w * y
    inner = lambda u, v: (u * np.conj(v)).real
    slacks = []
    for i, j in permutations(range(K), 2):
        dy, dg = y[i] - y[j], g[i] - g[j]
        quadratic = abs(dg) ** 2 + mu * abs(dy) ** 2 - 2 * mu * inner(dg, dy)
        slacks.append(-inner(g[j], dy) - quadratic / (2 * (1 - mu)))
    return float(min(slacks))


@settings(max_examples=40)
@given(st.fixed_dictionaries(METHODS), st.sampled_from([3, 20, 150]))
def test_all_pairs(method: dict[str, Fraction], kappa: int) -> None:
    found = {(c.period, c.winding) for c in cycles(method, Fraction(1, kappa), 1, 9)}
    alpha, beta, gamma = (float(method[n]) for n in ("alpha", "beta", "gamma"))
    for K in range(2, 10):
        for m in (m for m in range(1, K // 2 + 1) if math.gcd(m, K) == 1):
            turn = np.exp(2j * math.pi * m / K)
            w = (turn - 1) * (turn - beta) / (-alpha * ((1 + gamma) * turn - gamma))
            slack = interpolable(w, K, m, 1 / kappa)
            if abs(slack) > 1e-9:
                assert ((K, m) in found) is (slack > 0)


@settings(max_examples=24)
@given(st.fixed_dictionaries(METHODS), st.sampled_from([4, 30]))
def test_never_a_certificate_beside_a_cycle(method: dict[str, Fraction], kappa: int) -> None:
    if cycles(method, Fraction(1, kappa), 1, 20):
        with pytest.raises(NoCertificate):
            certify(method, Fraction(1, kappa), 1)


def test_a_region_is_its_points() -> None:
    region = cycle_region(1 / 25, 1.0, resolution=12, periods=8, certified=6)
    for i, j in np.ndindex(region.period.shape):
        if abs(region.margin[i, j]) < 1e-9:
            continue
        method = {"alpha": float(region.alpha[j]), "beta": float(region.beta[i])}
        found = cycles(method, 1 / 25, 1, 8)
        first = (found[0].period, found[0].winding) if found else (0, 0)
        assert (region.period[i, j], region.winding[i, j]) == first
        A = lambda lam, a=method["alpha"], b=method["beta"]: [[1 + b - a * lam, -b], [1, 0]]
        poles = max(np.abs(np.linalg.eigvals(A(lam))).max() for lam in (1 / 25, 1))
        assert region.quadratics[i, j] == (poles < 1)
    assert region.certified.any() and not region.certified.all()
    i, j = np.argwhere(region.certified)[-1]
    certify(
        {"alpha": float(region.certified_alpha[j]), "beta": float(region.certified_beta[i])},
        1 / 25,
        1,
    )
    assert region.plot().get_xlabel() == r"step $\alpha L$"


def test_certify_names_the_cycle_with_its_function() -> None:
    with pytest.raises(NoCertificate) as caught:
        certify(od.algorithm("heavy_ball"), 1, 25)
    cycle = caught.value.counterexample
    assert isinstance(cycle, Cycle) and cycle.objective.L == 25
    with jax.enable_x64(True):
        slope = jax.vmap(cycle.objective.grad)(cycle.points)
    np.testing.assert_allclose(slope, cycle.gradients, atol=1e-12)


@pytest.mark.untyped
def test_bad_input() -> None:
    for bad in ({"resolution": 1}, {"mu": 2.0, "L": 1.0}, {"periods": 1}, {"certified": -1}):
        with pytest.raises(od.OdescentError):
            cycle_region(**bad)
    with pytest.raises(od.OdescentError, match="one gradient per step"):
        cycles("extragradient", 1, 10)
    with pytest.raises(od.OdescentError, match="algorithm"):
        cycles("no_such_method", 1, 10)
