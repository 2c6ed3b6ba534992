"""The consensus point: finite ensembles, Laplace's expansion, proximal steps, and the chain CBO -> CH -> MMS -> GD."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent.discretize.weak.step_moments import step_map
from odescent.dynamics import substitute, tidy, vanishes
from odescent.dynamics.stochastic import (
    Coordinates,
    finite_consensus,
    generator,
    laplace_mean,
    particle_system,
    prox_expansion,
    tilted_gaussian,
    to_ito,
)
from odescent.dynamics.vector_fields.system import Diffusion, Field

x, y = sp.symbols("x y", real=True)
alpha, lam, sigma, t = od.parameters("alpha lam sigma t")
X = od.blocks("x")
f = od.Objective("f")
F = sp.Function("F", real=True)


# finite ensembles


@pytest.mark.parametrize(("n", "d"), [(3, 1), (2, 2)])
def test_derivatives_of_the_point_of_finitely_many_particles(n: int, d: int) -> None:
    """dm/dx_i = w_i (I - alpha (x_i - m) grad f_i^T) and dm/dalpha = -Cov_w(x, f), for every f."""
    particles = [sp.symbols(f"x{i}_1:{d + 1}", real=True) for i in range(n)]
    found = finite_consensus("f", particles, alpha)
    point = found.point
    for i, at in enumerate(particles):
        assert sp.simplify(found.by_particle(i) - point.jacobian(at)) == sp.zeros(d, d)
    assert sp.simplify(found.by_alpha() - point.diff(alpha)) == sp.zeros(d, 1)


def test_the_point_of_numbers_against_scipys_softmax() -> None:
    from scipy.special import softmax

    places = np.random.default_rng(0).normal(size=(5, 2))
    particles = [sp.symbols(f"x{i}_1:3", real=True) for i in range(5)]
    found = finite_consensus("f", particles, 3, {"f": lambda a, b: sp.cos(a) + b**2})
    here = dict(zip([s for p in particles for s in p], places.ravel(), strict=True))
    wanted = softmax(-3 * (np.cos(places[:, 0]) + places[:, 1] ** 2)) @ places
    np.testing.assert_allclose(
        np.array(found.point.subs(here), dtype=float).ravel(), wanted, rtol=1e-12
    )


@pytest.mark.parametrize("noise", ["isotropic", "anisotropic"])
def test_the_particle_system(noise: str) -> None:
    """N = 2, d = 2: the generator on |X_1 - X_2|^2 by hand; noise of each particle is its own."""
    process = particle_system(od.system("cbo", noise=noise), 2, 2, {"f": lambda a, b: a**2 + b})
    names = [str(s) for s in process.state]
    assert names == ["x_1_1", "x_1_2", "x_2_1", "x_2_2"] and process.noise.shape == (4, 4)
    p, q = sp.Matrix(process.state[:2]), sp.Matrix(process.state[2:])
    weights = [sp.exp(-alpha * (z[0] ** 2 + z[1])) for z in (p, q)]
    mean = (weights[0] * p + weights[1] * q) / sum(weights)
    gap = (p - q).dot(p - q)
    sizes = [(z - mean).dot(z - mean) * (2 if noise == "isotropic" else 1) for z in (p, q)]
    wanted = -2 * lam * gap + sigma**2 * sum(sizes)
    values = {lam: 1.3, sigma: 0.4, alpha: 2.1} | dict(
        zip(process.state, (0.3, -0.8, 1.1, 0.5), strict=True)
    )
    found = generator(process, gap)
    assert float(found.subs(values)) == pytest.approx(float(wanted.subs(values)), rel=1e-12)


def test_particles_need_an_ensemble() -> None:
    with pytest.raises(od.OdescentError, match="needs an ensemble's oracle"):
        particle_system(od.system("overdamped_langevin"), 3)


# Laplace's expansion


def test_the_expansion_with_opaque_derivatives() -> None:
    first, second = laplace_mean(F(x), [x], 2)
    k, d3, d4, d5 = (sp.diff(F(x), x, n) for n in (2, 3, 4, 5))
    assert sp.simplify(first[0] + d3 / (2 * k**2)) == 0
    assert (
        sp.simplify(
            second[0] - (-5 * d3**3 / (8 * k**5) + 2 * d3 * d4 / (3 * k**4) - d5 / (8 * k**3))
        )
        == 0
    )


def test_the_first_coefficient_in_any_dimension_is_minus_half_k_d3_k() -> None:
    phi = sp.Function("Phi", real=True)(x, y)
    (found,) = laplace_mean(phi, [x, y])
    k = sp.hessian(phi, (x, y)).inv()
    wanted = [-sum(k[i, j] * sp.diff(phi, s, p, q) * k[a, b] for j, s in enumerate((x, y))
                   for a, p in enumerate((x, y)) for b, q in enumerate((x, y))) / 2 for i in range(2)]  # fmt: skip
    assert all(sp.simplify(e - w) == 0 for e, w in zip(found, wanted, strict=True))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_remainder_against_quadrature_with_forty_digits(order: int) -> None:
    """m - y - (the terms through alpha^-order) falls as alpha^-(order + 1)."""
    phi = (x - 1) ** 2 / 2 + (x - 1) ** 3 / 10 + (x - 1) ** 4 / 5
    terms = [c[0].subs(x, 1) for c in laplace_mean(phi, [x], order)]
    potential = sp.lambdify(x, phi, "mpmath")
    sizes, strengths = [], (160, 640)
    with mp.workdps(40):
        for a in strengths:
            wide = 14 / mp.sqrt(a)
            cut = [1 - wide, 1 - wide / 4, 1, 1 + wide / 4, 1 + wide]
            weight = lambda z, a=a: mp.exp(-a * potential(z))
            mass = mp.quad(weight, cut)
            mean = mp.quad(lambda z: (z - 1) * weight(z), cut) / mass  # noqa: B023
            sizes.append(
                abs(mean - sum(mp.mpf(c.p) / c.q / mp.mpf(a) ** j for j, c in enumerate(terms, 1)))
            )
    slope = float(mp.log(sizes[0] / sizes[1]) / math.log(4))
    assert slope == pytest.approx(order + 1, abs=0.1)


@settings(max_examples=5)
@given(st.integers(1, 4), st.integers(-2, 2), st.integers(-1, 1))
def test_gaussians_have_no_correction(k: int, c: int, off: int) -> None:
    phi = sp.Rational(k, 2) * (x - off) ** 2 + (y + c * x) ** 2
    assert all(e == sp.zeros(2, 1) for e in laplace_mean(phi, [x, y], 2))


def test_a_degenerate_minimizer_is_refused() -> None:
    with pytest.raises(od.OdescentError, match="not singular"):
        laplace_mean(x**2 + 2 * x * y + y**2, [x, y])


# the proximal step


def test_the_expansion_of_the_proximal_step_in_one_dimension() -> None:
    """x - t f' + t^2 f' f'' - t^3 (f' f''^2 + f'^2 f'''/2)."""
    form = Coordinates(1)
    found = [form.vector(c)[0] for c in prox_expansion(f.grad, X, 3)]
    f1, f2, f3 = (sp.diff(sp.Function("f", real=True)(x), x, n) for n in (1, 2, 3))
    wanted = [x, -f1, f1 * f2, -(f1 * f2**2 + f1**2 * f3 / 2)]
    assert all(sp.expand(a - b) == 0 for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("order", [1, 3, 5])
def test_it_solves_the_stationarity_condition_in_every_dimension(order: int) -> None:
    """y + t grad f(y) - x = O(t^(order + 1)), by the package's series, which the recursion did not use as a whole."""
    from odescent.dynamics import taylor

    moved = sum(
        (c * t**j for j, c in enumerate(prox_expansion(f.grad, X, order))), od.dynamics.zero
    )
    residual = taylor(moved + f.grad(moved) * t - X, t, order + 1)
    assert all(vanishes(c) for c in residual[: order + 1]) and not vanishes(residual[order + 1])


def test_a_number_against_the_resolvent_found_by_newton() -> None:
    """f = cosh: y + t sinh y = x with 40 digits."""
    form = Coordinates(1, {"f": sp.cosh})
    terms = [form.vector(c)[0].subs(x, sp.Rational(7, 10)) for c in prox_expansion(f.grad, X, 6)]
    with mp.workdps(40):
        errors = []
        for step in (mp.mpf("0.02"), mp.mpf("0.01")):
            root = mp.findroot(lambda v, s=step: v + s * mp.sinh(v) - mp.mpf("0.7"), 0.7)
            errors.append(
                abs(root - sum(mp.mpf(sp.N(c, 40)._mpf_) * step**j for j, c in enumerate(terms)))
            )
        assert float(mp.log(errors[0] / errors[1], 2)) == pytest.approx(7, abs=0.1)


# consensus hopping: m = prox + Laplace, and minus explicit gradient descent (CBO.md 1.5, R2 and R3)


def hop(objective: str, at: float, tau: float, strength: float) -> mp.mpf:
    """The consensus point of N(at, tau/strength) for exp(-strength f), by quadrature."""
    value = {"f": lambda z: mp.log(mp.cosh(z - 0.3)) + z**2 / 8}[objective]
    phi = lambda z: value(z) + (z - at) ** 2 / (2 * tau)
    wide = 12 * mp.sqrt(tau / strength)
    cut = [at - tau - wide, at - tau, at, at + wide]
    low = phi(mp.mpf(at))
    mass = mp.quad(lambda z: mp.exp(-strength * (phi(z) - low)), cut)
    return mp.quad(lambda z: z * mp.exp(-strength * (phi(z) - low)), cut) / mass


def test_consensus_hopping_minus_gradient_descent() -> None:
    """m - (x - tau g) = tau^2 (H g - f'''/(2 alpha)) + O(tau^3), both parts from the two expansions."""
    value = {"f": lambda z: sp.log(sp.cosh(z - sp.Rational(3, 10))) + z**2 / 8}
    f_at = value["f"](x)
    (first,) = laplace_mean(sp.Function("f", real=True)(x) + (x - y) ** 2 / (2 * t), [x])
    leading = sp.series(
        first[0].subs(sp.Function("f", real=True)(x), f_at).doit().subs(x, 1), t, 0, 3
    )
    proximal = Coordinates(1, value).vector(prox_expansion(f.grad, X, 2)[2])[0].subs(x, 1)
    strength = 8
    constant = float(proximal + leading.removeO().coeff(t, 2) / strength)
    slope = float(sp.diff(f_at, x).subs(x, 1))
    errors = []
    for tau in (0.02, 0.01):
        gap = float(hop("f", 1.0, tau, strength)) - (1 - tau * slope)
        errors.append(abs(gap - tau**2 * constant))
    assert gap / 0.01**2 == pytest.approx(constant, rel=0.05)
    assert np.log2(errors[0] / errors[1]) == pytest.approx(3, abs=0.1)


def test_consensus_hopping_on_quadratics_is_the_minimizing_movement() -> None:
    """The mean of the tilted law of N(x, s^2 I) is the step of the implicit scheme with h = alpha s^2."""
    hessian = sp.Matrix(
        [[3, 1], [1, sp.Rational(-1, 4)]]
    )  # indefinite: it needs I + tau A > 0 alone
    step = step_map(od.algorithm("minimizing_movement"), hessian=hessian)
    (h,) = od.algorithm("minimizing_movement").parameters
    s = sp.Symbol("s", positive=True)
    mean, _ = tilted_gaussian(
        sp.Matrix(step.state), s**2 * sp.eye(2), alpha, hessian, sp.zeros(2, 1)
    )
    for found, wanted in zip(mean, step.after, strict=True):
        assert sp.simplify(found - wanted.subs(h, alpha * s**2)) == 0


# the oracle in the calculus


def test_the_consensus_point_is_an_oracle_of_an_ensemble() -> None:
    system = od.system("cbo")
    (oracle,) = system.oracles
    assert (oracle.kind, oracle.of) == ("ensemble", "f")
    assert {p.name for p in system.parameters} == {"alpha", "lam", "sigma"}
    with pytest.raises(od.OdescentError, match="no numeric oracle 'ensemble'"):
        f.ensemble(np.zeros(2), 1.0)
    custom = od.Objective("f", ensemble=lambda z, a: z.mean(0) * a)
    np.testing.assert_array_equal(custom.ensemble(np.ones((3, 2)), 2.0), [2.0, 2.0])
    again = od.parse_system(
        "blocks x\nparameters a > 0\nensemble m\nfield pull: x' = -(x - m(x, 2*a))\n"
    )
    a = od.parameters("a")
    assert vanishes(again.drift[X] + X - od.Objective("m").ensemble(X, 2 * a))
    moved = substitute(f.ensemble(X, alpha), {alpha: 2, X: X * 3})
    assert tidy(moved) == f.ensemble(X * 3, 2)


def test_points_of_different_ensembles_are_not_mistaken_for_each_other() -> None:
    """A second stage, or another alpha, has another consensus point."""
    two = od.System({"all": {X: f.ensemble(X, alpha) + f.ensemble(X, alpha * 2) - X * 2}}, output=X)
    with pytest.raises(od.OdescentError, match="cannot be told apart"):
        generator(two, x)
    heun = od.Algorithm(
        od.System({"all": {X: f.ensemble(X, alpha) - X}}), od.scheme("heun"), od.parameters("h")
    )
    with pytest.raises(od.OdescentError, match="cannot be told apart"):
        step_map(heun)


def test_an_ensembles_point_is_frozen_in_conversions() -> None:
    away = X - f.ensemble(X, alpha)
    pull = od.System(
        {"all": Field({X: -away}, {X: Diffusion(away * sigma)})}, calculus="stratonovich"
    )
    assert vanishes(to_ito(pull).drift[X] - away * (sigma**2 / 2 - 1))
    with pytest.raises(od.OdescentError, match="order of the expansion"):
        prox_expansion(f.grad, X, -1)
