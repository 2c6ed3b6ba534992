"""Exact thresholds: published numbers, closed forms, and enclosures on both sides of each."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent.analysis import cycle_range, cycle_threshold, cycles
from odescent.analysis.certificates.checking.checker import Number
from odescent.analysis.certificates.lower_bounds.cycle import (
    cosine,
    minimal_polynomial,
    signs,
    sine,
)
from odescent.dynamics import L, mu


def test_published_thresholds() -> None:
    assert cycle_threshold("heavy_ball", period=3, winding=1) == 9 + 4 * sp.sqrt(5)
    four = cycle_threshold("heavy_ball", period=4)
    assert isinstance(four, sp.CRootOf)
    assert abs(sp.N(four - sp.cot(sp.pi / 16) ** 2, 40)) < sp.Rational(1, 10**35)
    assert float(four) == pytest.approx(25.274142369088, abs=1e-12)
    assert float(cycle_threshold("heavy_ball", 7, 2)) == pytest.approx(82.8, abs=0.05)
    assert cycle_threshold("heavy_ball", 7, None) == cycle_threshold("heavy_ball", 7, 2)
    assert cycle_range("heavy_ball", 3) == ((9 + 4 * sp.sqrt(5), sp.oo),)


@pytest.mark.parametrize(("period", "winding"), [(4, 1), (5, 2), (6, 1), (12, 1)])
def test_both_sides(period: int, winding: int) -> None:
    """The criterion at rational kappa just below and just above, by the other path: exact numbers, no resultants."""
    threshold = sp.Rational(str(sp.N(cycle_threshold("heavy_ball", period, winding), 30)))
    for kappa, expected in (
        (threshold - sp.Rational(1, 10**20), False),
        (threshold + sp.Rational(1, 10**20), True),
    ):
        found = {(c.period, c.winding) for c in cycles("heavy_ball", 1, kappa, period)}
        assert ((period, winding) in found) is expected


def test_a_method_with_a_closed_form() -> None:
    """Gradient descent with step 4 / (L + mu) cycles between two points: its gradient, 2 x / alpha, is possible iff
    mu <= (L + mu) / 2 <= L, so for every kappa; with 5 / (2 L) iff mu <= 4 L / 5."""
    always = {"alpha": 4 / (L + mu)}
    assert cycle_range(always, 2) == ((1, sp.oo),) and cycle_threshold(always, 2) == 1
    assert cycle_range({"alpha": sp.Rational(5, 2) / L}, 2) == ((sp.Rational(5, 4), sp.oo),)
    # 2 x / alpha at alpha = (1 - q)(3 + q) / L is L-smooth iff 2 <= (1 - q)(3 + q), q <= sqrt 2 - 1
    q = sp.sqrt(mu / L)
    assert cycle_range({"alpha": (1 - q) * (3 + q) / L}, 2) == ((3 + 2 * sp.sqrt(2), sp.oo),)
    bounded = cycle_range({"alpha": 8 * q * (1 - q) / L}, 2)  # 2 <= 8 q (1 - q) at q = 1/2 only
    assert bounded == ()
    window = cycle_range(
        {"alpha": 9 * q * (1 - q) / L}, 2
    )  # 1/3 <= q <= 2/3, and mu <= 2 / alpha holds there
    assert window == ((sp.Rational(9, 4), 9),)


@pytest.mark.parametrize("name", ["gradient_descent", "nesterov_sc", "triple_momentum"])
def test_no_kappa_at_all(name: str) -> None:
    assert all(cycle_range(name, K) == () for K in range(2, 9))
    with pytest.raises(od.OdescentError, match="no cycle of period 3"):
        cycle_threshold(name, 3)


@pytest.mark.parametrize("K", [2, 3, 4, 5, 7, 9, 12, 15, 30])
def test_minimal_polynomials(K: int) -> None:
    x = sp.Symbol("x")
    coefficients = [sp.Rational(c.numerator, c.denominator) for c in minimal_polynomial(K)]
    ours = sum(c * x**i for i, c in enumerate(coefficients))
    assert sp.expand(ours - sp.minimal_polynomial(2 * sp.cos(2 * sp.pi / K), x)) == 0


@given(st.integers(2, 25), st.integers(0, 60))
def test_cosines_and_sines(K: int, r: int) -> None:
    two_cos = sp.N(2 * sp.cos(2 * sp.pi / K), 40)
    angle = 2 * sp.pi * sp.Rational(r, K)
    at = lambda p: sum(sp.Rational(c.numerator, c.denominator) * two_cos**i for i, c in enumerate(p))  # fmt: skip
    assert abs(at(cosine(K, r)) - sp.N(sp.cos(angle), 40)) < 1e-25
    assert abs(at(sine(K, r)) - sp.N(sp.sin(angle) * sp.cot(sp.pi / K), 40)) < 1e-25


def test_signs_of_zeros() -> None:
    """1 + 2 cos(2 pi / 3) = 0; cos(2 pi / 5) = (sqrt 5 - 1) / 4; each missed by 1e-40 is no zero."""
    whole = lambda *v: [Number(Fraction(e)) for e in v]
    assert signs(whole(1, 2), [], 3, 1, True) == (0, 0)
    golden = [Number(Fraction(1, 4), Fraction(-1, 4), 5), Number(Fraction(1))]
    assert signs(golden, [], 5, 1, True) == (0, 0)
    conjugate = [Number(Fraction(1, 4), Fraction(1, 4), 5), Number(Fraction(1))]
    assert signs(conjugate, [], 5, 1, True) == (1, 1)
    tiny = Number(Fraction(1, 10**400))
    assert signs([golden[0] + tiny, golden[1]], [], 5, 1, True) == (1, 1)
    assert signs([golden[0] - tiny, golden[1]], [], 5, 1, True) == (-1, -1)


@settings(max_examples=20)
@given(st.integers(3, 9), st.fractions(Fraction(1, 20), Fraction(9, 10), max_denominator=60))
def test_ranges_agree_with_single_numbers(K: int, q: Fraction) -> None:
    kappa = 1 / sp.Rational(q.numerator, q.denominator) ** 2
    inside = any(low <= kappa <= high for low, high in cycle_range("heavy_ball", K))
    found = cycles("heavy_ball", 1, kappa, K, 1)
    assert inside is any(c.period == K for c in found)


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("heavy_ball", 1), "whole number"),
        (("heavy_ball", 10**400), "from 2 to 1000, not a number of more than 40 digits"),
        (("heavy_ball", 97), "degree 48 in"),
        (("heavy_ball", 4, 2), "common factor"),
        (({"beta": 1}, 3), "mapping"),
        (({"alpha": sp.Symbol("s")}, 3), "tuned by mu and L"),
        (({"alpha": 1}, 3), "units of 1/L"),
        (({"alpha": (mu / L) ** sp.Rational(1, 3) / L}, 3), "rational in"),
        ((7, 3), "must be an Algorithm or the name of a registered one"),
    ],
)
def test_bad_input(arguments: tuple[object, ...], words: str) -> None:
    for function in (cycle_threshold, cycle_range):
        with pytest.raises(od.OdescentError, match=words):
            function(*arguments)
