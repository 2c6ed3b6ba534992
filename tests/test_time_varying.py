"""Methods with changing coefficients: textbook forms against derived ones, perturbations, starts, limits of it."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import textbook as tb
from experiments import check_witness

import odescent as od
from odescent.discretize.library.model_family import TAU, discretized
from odescent.discretize.linear.time_varying_form import K
from odescent.dynamics.algebra.exact import is_zero
from odescent.dynamics.vector_fields.system import L, mu

f = od.Objective("f")
x, y, old, x0 = od.blocks("x y old x0")
t, n, before = od.blocks("t n before", kind="scalar")
s = 1 / L
grow = (1 + sp.sqrt(1 + 4 * t**2)) / 2


def fista(scale: sp.Expr = sp.S.One) -> od.Algorithm:
    """x+ = y - s g(y), y+ = x+ + ((t - 1) / t+) (x+ - x), from t = 1."""
    moved = y - s * f.grad(y)
    return od.method(
        {x: moved, y: moved + scale * (t - 1) / grow * (moved - x), t: grow}, output=x, init={t: 1}
    )


def fista_from_two() -> od.Algorithm:
    """y = x + ((t_{k-1} - 1) / t_k) (x - x_-), x+ = y - s g(y): both t are blocks, the first momentum is 0."""
    point = x + (before - 1) / t * (x - old)
    updates = {x: point - s * f.grad(point), old: x, before: t, t: grow}
    return od.method(updates, output=x, init={t: 1, before: 1})


def nesterov_c() -> od.Algorithm:
    """y+ = x+ + ((k + 1) / (k + 4)) (x+ - x)."""
    moved = y - s * f.grad(y)
    return od.method(
        {x: moved, y: moved + (n + 1) / (n + 4) * (moved - x), n: n + 1}, output=x, init={n: 0}
    )


def nesterov_c_from_two(first: int = 0) -> od.Algorithm:
    """y = x + (k / (k + 3)) (x - x_-): x_- does not matter in the first step."""
    point = x + n / (n + 3) * (x - old)
    return od.method({x: point - s * f.grad(point), old: x, n: n + 1}, output=x, init={n: first})


def ogm() -> od.Algorithm:
    """Kim and Fessler: x+ = y - s g, y+ = x+ + ((th - 1) / th+) (x+ - x) + (th / th+) (x+ - y)."""
    moved = y - s * f.grad(y)
    return od.method(
        {x: moved, y: moved + (t - 1) / grow * (moved - x) + t / grow * (moved - y), t: grow},
        output=x,
        init={t: 1},
    )


def scheme_two() -> od.Algorithm:
    """Nesterov's constant step scheme II: a+^2 = (1 - a+) a^2 + (mu / L) a+, beta = a (1 - a) / (a^2 + a+)."""
    q = mu / L
    after = ((q - t**2) + sp.sqrt((q - t**2) ** 2 + 4 * t**2)) / 2
    moved = y - s * f.grad(y)
    return od.method(
        {x: moved, y: moved + t * (1 - t) / (t**2 + after) * (moved - x), t: after},
        output=x,
        init={t: 1},
    )


PROVED = {
    "FISTA, z form and y form": (lambda: od.algorithm("nesterov_c", momentum="fista"), fista),
    "FISTA, y form and z form": (fista, lambda: od.algorithm("nesterov_c", momentum="fista")),
    "FISTA, y form and x_- form": (fista, fista_from_two),
    "NAG-C, passive form and y form": (lambda: od.algorithm("nesterov_c"), nesterov_c),
    "NAG-C, passive form and x_- form": (lambda: od.algorithm("nesterov_c"), nesterov_c_from_two),
    "NAG-C, x_- form and y form": (nesterov_c_from_two, nesterov_c),
    "OGM": (lambda: od.algorithm("ogm"), ogm),
    "steady c = 1 and NAG-SC": (lambda: discretized(1, mu, 1 / sp.sqrt(mu)), tb.nesterov),
}


@pytest.mark.parametrize("name", PROVED)
def test_proved_with_output(name: str) -> None:
    one, other = (build() for build in PROVED[name])
    found = one.equivalent(other)
    assert found.verdict == "proved" and bool(found), found.reason
    assert found.same_output is True and found.change_of_coordinates is not None


def test_any_mu() -> None:
    """The recurrences of 1 / a and of tau are the same where both are positive: proved with roots of squares."""
    found = od.algorithm("unified_nesterov").equivalent(scheme_two())
    assert found and found.same_output, found.reason


def test_steady_triple_momentum_has_another_output() -> None:
    found = discretized(2, mu, 1 / sp.sqrt(mu)).equivalent(od.algorithm("triple_momentum"))
    assert found and found.same_output is False
    assert found.change_of_coordinates == sp.eye(2)


def test_the_change_of_coordinates_carries_the_states() -> None:
    """x'_k = T_k x_k along loops in NumPy, with the scale of the one and the t of the other."""
    grad = lambda v: np.array([1.0, 10.0]) * v
    T = od.algorithm("nesterov_c", momentum="fista").equivalent(fista()).change_of_coordinates
    assert T is not None
    step, h = 0.1, 1 / np.sqrt(10)
    xa = za = np.ones(2)
    xb = yb = np.ones(2)
    scale, tb_ = 0.0, 1.0
    for _ in range(12):
        at = np.array(T.subs({TAU: scale, L: 10}).evalf(), dtype=float)
        np.testing.assert_allclose(at @ np.array([xa, za]), [xb, yb], atol=1e-13)
        point, following = (scale * xa + h * za) / (scale + h), scale + h
        xa, za = point - step * grad(point), za - h * following * grad(point)
        scale = (np.sqrt(h**2 + 4 * following**2) - h) / 2
        grown = (1 + np.sqrt(1 + 4 * tb_**2)) / 2
        moved = yb - step * grad(yb)
        xb, yb, tb_ = moved, moved + (tb_ - 1) / grown * (moved - xb), grown
        np.testing.assert_allclose(xa, xb, atol=1e-13)


def test_the_change_of_coordinates_of_the_passive_form() -> None:
    found = od.algorithm("nesterov_c").equivalent(nesterov_c_from_two())
    T = found.change_of_coordinates
    assert T is not None and K in T.free_symbols
    # x = y - h psi at every step, and x_- from the momentum k / (k + 3)
    assert all(is_zero(e) for e in T.row(0) - sp.Matrix([[-1 / sp.sqrt(L), 1]]))


REFUTED = {
    "another momentum": (
        lambda: fista(sp.Rational(101, 100)),
        "gradient 1 in the point of step 1|x0|step 2",
    ),
    "the other momentum": (nesterov_c, "gradient"),
    "OGM": (ogm, "gradient"),
    "constant momentum": (tb.nesterov, "gradient"),
}


@pytest.mark.parametrize("name", REFUTED)
def test_refuted(name: str) -> None:
    build, said = REFUTED[name]
    found = od.algorithm("nesterov_c", momentum="fista").equivalent(build())
    assert found.verdict == "refuted" and found.witness is not None
    assert any(part in found.reason for part in said.split("|"))
    assert found.witness.step >= 1
    check_witness(found.witness, od.algorithm("nesterov_c", momentum="fista"), build())


def test_the_witness_is_right() -> None:
    """The weight of the first gradient in the second point, by hand: -s (1 + beta_1)."""
    found = od.algorithm("nesterov_c").equivalent(nesterov_c_from_two(first=1))
    assert found.verdict == "refuted"
    value = sp.sympify(found.witness.parameters[L])
    assert float(found.witness.values[0]) == pytest.approx(float(-(1 + sp.Rational(1, 4)) / value))
    assert float(found.witness.values[1]) == pytest.approx(float(-(1 + sp.Rational(2, 5)) / value))


def test_another_start() -> None:
    moved = y - s * f.grad(y)
    late = od.method(
        {x: moved, y: moved + (n + 1) / (n + 4) * (moved - x), n: n + 1},
        output=x,
        init={n: 0, x: 2 * x0},
    )
    found = od.algorithm("nesterov_c").equivalent(late)
    assert found.verdict == "refuted" and "x0" in found.reason


def test_what_it_does_not_prove() -> None:
    assert od.algorithm("adam").equivalent(od.algorithm("item")).verdict == "refuted"
    w = od.blocks("w")
    nonlinear = od.method(
        {x: y - s * f.grad(y), y: y, t: t + od.inner(w, w), w: w}, output=x, init={t: 1}
    )
    assert od.algorithm("item").equivalent(nonlinear).verdict == "refuted"
    padded = od.method({x: x - s / (n + 1) * f.grad(x), w: 2 * w, n: n + 1}, output=x, init={n: 0})
    plain = od.method({x: x - s / (n + 1) * f.grad(x), n: n + 1}, output=x, init={n: 0})
    found = padded.equivalent(plain)
    assert found.verdict == "proved" and found.same_output


def test_quadratic_closed_forms() -> None:
    """n+ = n + t, t+ = t + 2 is (k + 1)^2 - 1 and 2 k + 3: against the same in k."""
    one = od.method(
        {x: x - s / (n + 1) * f.grad(x), n: n + t, t: t + 2}, output=x, init={n: 0, t: 1}
    )
    two = od.method({x: x - s / (n**2 + 1) * f.grad(x), n: n + 1}, output=x, init={n: 0})
    assert one.equivalent(two) and two.equivalent(one)
    three = od.method({x: x - s / (n**2 + 2) * f.grad(x), n: n + 1}, output=x, init={n: 0})
    assert one.equivalent(three).verdict == "refuted"
