"""Relativistic gradient descent: its two limits, its modified equation and its order."""

from __future__ import annotations

import pytest
import sympy as sp
from modified import local_order

import odescent as od
from odescent.dynamics import vanishes
from odescent.dynamics.algebra.series import taylor

x, v, p = od.blocks("x v p")
h, gam, delta, m, eps, al, be = od.parameters("h gam delta m eps al be")
f = od.Objective("f")
SPLITTINGS = {"look_ahead": 0, "strang": 1}


def published(alpha: int) -> od.Algorithm:
    """The update of Franca, Sulam, Robinson and Vidal at delta = 0, with their momentum m and step eps."""
    ahead = x + sp.sqrt(m) * v
    half = sp.sqrt(m) * v - eps * f.grad(ahead)
    updates = {x: alpha * ahead + (1 - alpha) * x + half, v: sp.sqrt(m) * half}
    return od.method(updates, output=x, init={v: od.dynamics.zero})


def classical(splitting: str) -> od.Algorithm:
    return od.algorithm("relativistic", splitting=splitting).replace(where={delta: 0})


@pytest.mark.parametrize("splitting", SPLITTINGS)
def test_the_published_map_without_relativity(splitting: str) -> None:
    """v is scaled by h (by h/2 where the drift is halved), m = e^(-gam h) and eps = h^2 (h^2/2)."""
    alpha = SPLITTINGS[splitting]
    ours, theirs = classical(splitting), published(alpha)
    found = theirs.equivalent(ours, where={m: sp.exp(-gam * h), eps: h**2 / (1 + alpha)})
    assert found and found.same_output, found


def test_without_relativity_it_is_nesterov_or_heavy_ball() -> None:
    """alpha = 0: y+ = x + m (x - x_-) with x+ = y - eps g(y); alpha = 1: heavy ball with step (1 + m) eps."""
    beta = sp.exp(-gam * h)
    look_ahead = classical("look_ahead").coefficients
    assert [
        sp.simplify(look_ahead[n] - w)
        for n, w in (("beta", beta), ("gamma", beta), ("alpha", h**2))
    ] == [0, 0, 0]
    ball = classical("strang").coefficients
    wanted = (("beta", beta), ("gamma", 0), ("alpha", (1 + beta) * h**2 / 2))
    assert [sp.simplify(ball[n] - w) for n, w in wanted] == [0, 0, 0]


def test_modified_equation_of_the_look_ahead() -> None:
    """F_1 by hand from the map through h^2, with the velocity law s(v) = v / sqrt(1 + delta |v|^2)."""
    law = lambda u: u / sp.sqrt(1 + delta * od.inner(u, u))
    decay = lambda part: 1 - gam * h * part + (gam * h * part) ** 2 / 2
    half = sp.Rational(1, 2)
    slowed = v * decay(half)
    kicked = slowed - h * f.grad(x + h * law(slowed))
    after = {x: x + h * law(kicked), v: kicked * decay(half)}
    terms = od.algorithm("relativistic", splitting="look_ahead").modified_equation(1).terms
    for s, e in after.items():
        series = taylor(e, h, 2)
        assert vanishes(series[1] - terms[0][s])
        moved = od.dynamics.derivative(terms[0][s], terms[0])
        assert vanishes(series[2] - moved / 2 - terms[1][s])


@pytest.mark.parametrize(("splitting", "order", "wanted"), [
    ("look_ahead", 0, 2), ("look_ahead", 1, 3), ("look_ahead", 2, 4),
    ("strang", 0, 3), ("strang", 1, 3), ("strang", 2, 5),
])  # fmt: skip
def test_fitted_local_order(splitting: str, order: int, wanted: int) -> None:
    """Strang's composition is symmetric but for the damping in its ends: its even terms stay, the odd vanish."""
    algorithm = od.algorithm("relativistic", splitting=splitting)
    assert local_order(algorithm, order, gam=0.8, delta=1.7) == pytest.approx(wanted, abs=0.25)
