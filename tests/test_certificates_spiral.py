"""Functions on which methods are slow: run, checked pair by pair in 40 digits, and compared with certified rates."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent.analysis import NoCertificate, certify
from odescent.analysis.certificates import Certificate
from odescent.analysis.certificates.checking.checker import (
    Number,
    Refused,
    check_lower,
    factors_of,
    spirals,
)
from odescent.analysis.certificates.lower_bounds.spiral import Spiral


def three(alpha: Any, beta: Any, gamma: Any) -> dict[str, object]:
    return {"alpha": alpha, "beta": beta, "gamma": gamma}


def gradient(z: Any, alpha: Any, beta: Any, gamma: Any) -> Any:
    """G for which y_t = z^t solves xi+ = (1 + beta) xi - beta xi_- - alpha G y, y = (1 + gamma) xi - gamma xi_-."""
    return -(z - 1) * (z - beta) / (alpha * ((1 + gamma) * z - gamma))


def worst_pair(s: Spiral, G: Any, mu: Any, L: Any, count: int) -> Any:
    """The least interpolation slack over all ordered pairs of the first points and the minimizer, in 40 digits."""
    z = mpmath.mpc(
        mpmath.mpf(s.real.numerator) / s.real.denominator,
        mpmath.mpf(s.imaginary.numerator) / s.imaginary.denominator,
    )
    phi = mpmath.mpf(s.value.numerator) / s.value.denominator
    y = [mpmath.mpc(0)] + [z**t for t in range(count)]
    data = [(p, G * p, phi * abs(p) ** 2) for p in y]
    dot = lambda a, b: (mpmath.conj(a) * b).real
    least = mpmath.inf
    for i, (yi, gi, fi) in enumerate(data):
        for j, (yj, gj, fj) in enumerate(data):
            if i != j:
                dy, dg = yi - yj, gi - gj
                bent = abs(dg) ** 2 / L + mu * abs(dy) ** 2 - 2 * mu / L * dot(dg, dy)
                slack = fi - fj - dot(gj, dy) - bent / (2 * (1 - mu / L))
                least = min(least, slack / max(abs(yi), abs(yj)) ** 2)
    return least


@pytest.mark.parametrize(
    ("beta", "gamma", "kappa"),
    [
        (Fraction(1, 3), Fraction(1, 3), 4),
        (Fraction(1, 2), 0, 9),
        (Fraction(4, 5), Fraction(4, 5), 81),
    ],
)
def test_it_is_a_function_of_the_class_with_this_run(beta: Any, gamma: Any, kappa: int) -> None:
    alpha = 1 if gamma else Fraction(4, 1) / (1 + Fraction(1, 3)) ** 2 / 2
    found = certify(three(alpha, beta, gamma), Fraction(1, kappa), 1)
    lower = found.lower()
    s = found.slowest
    assert s is not None and lower is not None and found.verify()
    assert float(found.mode.low) < lower <= found.rate
    assert 0 <= s.low - Fraction(lower) < Fraction(1, 10**15)
    with mpmath.workdps(40):
        z = (
            mpmath.mpf(s.real.numerator) / s.real.denominator
            + 1j * mpmath.mpf(s.imaginary.numerator) / s.imaginary.denominator
        )
        numbers = [
            mpmath.mpf(Fraction(x).numerator) / Fraction(x).denominator
            for x in (alpha, beta, gamma)
        ]
        G = gradient(z, *numbers)
        assert worst_pair(s, G, mpmath.mpf(1) / kappa, mpmath.mpf(1), 40) > -(mpmath.mpf(10) ** -30)
    # the method itself, fed with these gradients
    a, b, c = (float(x) for x in (alpha, beta, gamma))
    points = s.points(60)
    slope = complex(G)
    turn = np.array([[slope.real, slope.imag], [-slope.imag, slope.real]])
    z_ = complex(float(s.real), float(s.imaginary))
    xi = z_ / ((1 + c) * z_ - c)  # xi_0 for y_0 = 1
    now, before = (np.array([v.real, v.imag]) for v in (xi, xi / z_))
    for y in points:
        np.testing.assert_allclose((1 + c) * now - c * before, y, atol=1e-9)
        now, before = (1 + b) * now - b * before - a * y @ turn, now
    assert np.linalg.norm(points[-1]) == pytest.approx(lower**59, rel=1e-9)


def test_as_good_as_the_certified_rate() -> None:
    """Polyak's heavy ball with three steps of memory: nothing is left between the bounds."""
    found = certify(od.algorithm("heavy_ball"), 1, 4, steps=3)
    assert 0 <= found.rate - found.lower() < 1e-6
    plain = certify(od.algorithm("nesterov"), 1, 10)
    assert plain.rate - plain.lower() < 1e-3 and float(plain.mode.low) < plain.lower() - 0.06
    for attained in (
        certify(od.algorithm("triple_momentum"), 1, 10),
        certify(od.algorithm("nesterov"), 1, 10, over="quadratics"),
    ):
        assert attained.lower() == attained.rate or attained.rate - attained.lower() < 1e-15
        assert attained.slowest is None  # a quadratic is as slow


@settings(max_examples=5)
@given(st.fractions(Fraction(1, 4), 2, max_denominator=8), st.fractions(0, Fraction(9, 10), max_denominator=10),
       st.fractions(0, 1, max_denominator=4))  # fmt: skip
def test_never_above_a_certified_rate(alpha: Fraction, beta: Fraction, gamma: Fraction) -> None:
    try:
        found = certify(three(alpha, beta, gamma), Fraction(1, 12), 1)
    except NoCertificate:
        return
    assert found.lower() <= found.rate and found.verify()


@pytest.mark.parametrize("unit", [Fraction(1, 10**30), 3 * 10**12])
def test_units_change_nothing(unit: Any) -> None:
    plain, scaled = (certify(od.algorithm("nesterov"), u, 10 * u) for u in (1, unit))
    assert scaled.lower() == pytest.approx(plain.lower(), abs=1e-9) and scaled.verify()
    assert scaled.slowest is not None and scaled.gap == pytest.approx(plain.gap, rel=1e-7)


def test_a_wrong_one_is_refused() -> None:
    found = certify(three(1, Fraction(1, 2), Fraction(1, 2)), Fraction(1, 9), 1)
    found.lower()
    s = found.slowest
    claim = dict(found.statement)
    plant = found.method()
    assert s is not None and check_lower("rate", claim, s.to_dict(plant))
    for change in (
        {"real": s.real * Fraction(1001, 1000), "imaginary": s.imaginary * Fraction(1001, 1000)},
        {"value": s.value * Fraction(11, 10)}, {"value": s.value * Fraction(9, 10)}, {"value": Fraction(0)},
        {"imaginary": s.imaginary + Fraction(1, 20)}, {"real": Fraction(1)},
        {"real": Fraction(0), "imaginary": Fraction(0)},
    ):  # fmt: skip
        wrong = dataclasses.replace(s, **change)
        with pytest.raises(Refused):
            check_lower("rate", claim, wrong.to_dict(plant))
    for key, change in (("state", [["1"] * 2] * 2), ("gradient", ["1", "1"]), ("gap", "1/100")):
        with pytest.raises(Refused):
            check_lower("rate", claim, {**s.to_dict(plant), key: change})


def test_it_travels() -> None:
    found = certify(od.algorithm("nesterov"), 1, 10)
    lower = found.lower()
    again = Certificate.from_dict(found.to_dict())
    assert again.lower() == lower and again.verify() and again.slowest == found.slowest
    assert "spirals" in str(found) and math.isclose(
        abs(complex(found.slowest.real, found.slowest.imaginary)), lower
    )
    data = found.to_dict()
    data["lower"]["value"] = str(Fraction(data["lower"]["value"]) * 2)
    with pytest.raises(od.OdescentError, match="no function of the class"):
        Certificate.from_dict(data)


@pytest.mark.parametrize("loss", ["1/100", "1/1000000", "0", "-1/100"])
@pytest.mark.parametrize("G", [1, 3])
def test_the_work_is_bounded(loss: str, G: int) -> None:
    """On |x|^2 / 2, or, beyond L = 2, on no function: spirals that turn in too slowly are refused before any point."""
    z = [Number(1 - Fraction(loss)), Number(Fraction(1, 10**5))]
    factors = factors_of(Number(Fraction(1, 2)), Number(Fraction(1, 2)))
    it = factors, Number(Fraction(G, 2)), z, [Number(G), Number(0)]
    if loss == "1/100":
        assert spirals(*it) == (G == 1)
    else:
        with pytest.raises(Refused, match="more than 20000 points"):
            spirals(*it)
