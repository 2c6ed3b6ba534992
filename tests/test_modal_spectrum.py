"""Spectra against closed forms: classical optimal tunings and rates, quadratic roots, published tables."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent.analysis import spectrum
from odescent.analysis.rates.modal_spectrum import ModalMatrix
from odescent.discretize import moment_map


def polyak() -> od.Algorithm:
    x, before = od.blocks("x before")
    f = od.Objective("f")
    alpha, beta = od.parameters("alpha beta")
    step = x + beta * (x - before) - alpha * f.grad(x)
    return od.method({x: step, before: x}, output=x, name="polyak")


def descent() -> od.Algorithm:
    x = od.blocks("x")
    f = od.Objective("f")
    alpha = od.parameters("alpha")
    return od.method({x: x - alpha * f.grad(x)}, output=x, name="descent")


POLYAK, DESCENT = polyak(), descent()


@given(st.floats(0.05, 3), st.floats(1.5, 200))
@settings(max_examples=6)
def test_best_step_of_gradient_descent(mu: float, kappa: float) -> None:
    """alpha = 2 / (L + mu), rate (kappa - 1) / (kappa + 1)."""
    L = mu * kappa
    found = spectrum(DESCENT, mu, L, tune={"alpha": (1e-3 / L, 4 / L)})
    assert found.tuned["alpha"] == pytest.approx(2 / (L + mu), rel=1e-10)
    assert found.tuned_rate == pytest.approx((kappa - 1) / (kappa + 1), rel=1e-10)


@given(st.floats(0.1, 3), st.floats(3, 150))
@settings(max_examples=2)
def test_best_step_and_momentum_are_polyaks(mu: float, kappa: float) -> None:
    """alpha = 4 / (sqrt L + sqrt mu)^2, beta = q^2, rate q = (sqrt kappa - 1) / (sqrt kappa + 1) (Polyak 1964)."""
    L = mu * kappa
    q = (kappa**0.5 - 1) / (kappa**0.5 + 1)
    found = spectrum(POLYAK, mu, L, tune={"alpha": (1e-3 / L, 4 / L), "beta": (0, 1)})
    assert found.tuned_rate == pytest.approx(q, rel=1e-6)
    assert found.tuned["alpha"] == pytest.approx(4 / (L**0.5 + mu**0.5) ** 2, rel=1e-5)
    assert found.tuned["beta"] == pytest.approx(q * q, rel=1e-5)


def test_rates_of_published_methods_on_quadratics() -> None:
    """At kappa = 10: heavy ball .519494, Nesterov and triple momentum 1 - 1/sqrt(10) at lambda = mu."""
    assert spectrum(od.algorithm("heavy_ball"), 1, 10).rate == pytest.approx(
        0.519493853296, abs=1e-7
    )
    nesterov = spectrum(od.algorithm("nesterov_sc"), 1, 10)
    assert nesterov.rate == pytest.approx(1 - 10**-0.5, rel=1e-12) and nesterov.worst == 1
    assert spectrum(od.algorithm("triple_momentum"), 1, 10).rate == pytest.approx(
        1 - 10**-0.5, rel=1e-9
    )


@given(st.floats(0.01, 0.3), st.floats(0.01, 0.99))
@settings(max_examples=10)
def test_eigenvalues_solve_the_characteristic_quadratic(alpha: float, beta: float) -> None:
    """Heavy ball: r^2 - (1 + beta - alpha lambda) r + beta = 0 on every mode."""
    found = spectrum(POLYAK, 0.5, 8, parameters={"alpha": alpha, "beta": beta}, curvatures=17)
    r, lam = found.eigenvalues, found.curvatures[:, None]
    np.testing.assert_allclose(r**2 - (1 + beta - alpha * lam) * r + beta, 0, atol=1e-12)
    assert found.rate >= found.radius.max() - 1e-15


def test_locus_lies_on_the_circle_of_radius_root_beta_while_complex() -> None:
    beta = np.linspace(0.01, 0.99, 60)
    found = spectrum(POLYAK, 1, 10, parameters={"alpha": 0.1}, against="beta", values=beta)
    assert found.locus is not None
    assert found.locus.modes.tolist() == [1, 10]
    complex_ = np.abs(found.locus.eigenvalues.imag) > 1e-9
    modulus = np.abs(found.locus.eigenvalues)
    expected = np.broadcast_to(np.sqrt(beta)[:, None, None], modulus.shape)
    np.testing.assert_allclose(modulus[complex_], expected[complex_], rtol=1e-12)
    assert found.parameters["alpha"] == 0.1
    # continued along the parameter: no branch jumps across the real axis
    assert np.abs(np.diff(found.locus.eigenvalues, axis=0)).max() < 0.3
    # the least worst radius over beta: double root at mu, sqrt(beta) = 1 - sqrt(alpha mu)
    assert found.locus.best == pytest.approx((1 - 0.1**0.5) ** 2, abs=0.02)


def test_a_tuning_is_released_by_name() -> None:
    """Heavy ball's own (c, h) at Polyak's optimum; another h is worse."""
    ball = od.algorithm("heavy_ball")
    own = spectrum(ball, 1, 10)
    h = 2 / (1 + 10**0.5)
    assert spectrum(ball, 1, 10, parameters={"h": h}).rate == pytest.approx(own.rate, abs=1e-7)
    assert spectrum(ball, 1, 10, parameters={"h": 0.8 * h}).rate > own.rate


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mu": 2, "L": 1}, "0 <= mu <= L"),
        ({"mu": 1, "L": float("nan")}, "0 <= mu <= L"),
        ({"mu": 1, "L": 10}, "alpha has no value"),
        ({"mu": 1, "L": 10, "parameters": {"alpha": 0.1, "beta": -1}}, "beta must be"),
        ({"mu": 1, "L": 10, "parameters": {"q": 0.1}}, "no parameter"),
        ({"mu": 1, "L": 10, "tune": {"alpha": (1, 1), "beta": (0, 1)}}, "low < high"),
        (
            {"mu": 1, "L": 10, "against": "beta", "values": [1, 0], "parameters": {"alpha": 0.1}},
            "increasing",
        ),
    ],
)
def test_bad_input(options: dict, said: str) -> None:
    with pytest.raises(od.OdescentError, match=said):
        spectrum(POLYAK, options.pop("mu"), options.pop("L"), **options)


def test_a_bound_algorithm_knows_its_curvatures() -> None:
    bound = od.algorithm("nesterov_sc").bind(mu=1, L=10)
    found = spectrum(bound)
    assert (found.curvatures[0], found.curvatures[-1]) == (1, 10)
    assert (
        found.rate
        == spectrum(od.algorithm("nesterov_sc"), 1, 10).rate
        == spectrum(bound, L=10).rate
    )
    with pytest.raises(od.OdescentError, match="mu has no value: give it, as in spectrum"):
        spectrum(od.algorithm("nesterov_sc"))
    with pytest.raises(od.OdescentError, match="L has no value"):
        spectrum(od.algorithm("nesterov_sc"), 1)


def test_methods_without_modes_are_refused() -> None:
    with pytest.raises(od.OdescentError):
        spectrum(od.algorithm("adam"), 1, 10)
    with pytest.raises(od.NotCarried, match="operator"):
        spectrum(od.algorithm("extragradient"), 1, 10, parameters={"h": 0.1})


def test_proximal_point_contracts_by_the_resolvent() -> None:
    """x+ = x / (1 + h lambda), an implicit step."""
    found = spectrum(od.algorithm("proximal_point"), 2, 10, parameters={"h": 0.5})
    np.testing.assert_allclose(found.radius, 1 / (1 + 0.5 * found.curvatures), rtol=1e-14)
    assert found.rate == pytest.approx(0.5, rel=1e-14)


LANGEVIN = ["sgd", "sgld", "unadjusted_langevin", "annealed_langevin", "leimkuhler_matthews", "stochastic_theta",
            "underdamped_langevin", "underdamped_exact", "baoab", "aboba", "obabo"]  # fmt: skip


@pytest.mark.parametrize("name", LANGEVIN)
def test_with_noise_the_modes_are_those_of_the_mean(name: str) -> None:
    """Beside the exact map of the first moments on a quadratic; the strength of the noise is not asked for."""
    method = od.algorithm(name)
    numbers = {"h": 0.15, "gam": 1.7, "u": 0.8}
    own = {s.name: numbers[s.name] for s in method.parameters if s.name in numbers}
    found = spectrum(method, 0.5, 4, parameters=own, curvatures=5)
    lam = sp.Symbol("lam", positive=True)
    if method.clock is not None:  # noise that changes with time; its mean does not
        expected = np.abs(1 - 0.15 * found.curvatures)
    else:
        moments = moment_map(method.tuned, lam)
        n = len(moments.step.state)
        known = {s: own.get(s.name, 1.0) for s in moments.matrix.free_symbols if s != lam}
        mean = sp.lambdify(lam, moments.matrix[:n, :n].subs(known))
        expected = [np.abs(np.linalg.eigvals(mean(v))).max() for v in found.curvatures]
    np.testing.assert_allclose(found.radius, expected, rtol=1e-9)


def test_a_draw_that_enters_by_its_square_has_no_mean_without_it() -> None:
    program = od.algorithm("unadjusted_langevin").tuned
    [x], [xi] = program.state, [d.target for d in program.draws]
    squared = dataclasses.replace(program, next={x: x * od.inner(xi, xi)})
    with pytest.raises(od.OdescentError, match="a draw enters nonlinearly"):
        squared.mean()
    cubed = dataclasses.replace(program, next={x: x + xi * od.inner(xi, xi)})
    assert cubed.mean().next == {x: x} and cubed.mean().draws == ()


@pytest.mark.parametrize("kappa", [4.0, 1e2, 1e6])
@pytest.mark.parametrize(
    ("name", "order"),
    [("nesterov_sc", 2), ("heavy_ball", 2), ("triple_momentum", 1), ("gradient_descent", 1)],
)  # fmt: skip
def test_a_double_pole_is_said_to_be_one(name: str, order: int, kappa: float) -> None:
    """Critical damping: Nesterov's and Polyak's tunings have a double pole at mu, with one eigenvector."""
    found = spectrum(od.algorithm(name), 1.0, kappa)
    assert found.order == order
    assert found.bound == {1: "ρᵏ", 2: "k ρᵏ"}[order]


def test_the_order_is_that_of_the_iterates() -> None:
    """On the mode mu of Nesterov's method |x_k| = (1 + c k) rho^k, of triple momentum c rho^k."""
    f = od.objective("quadratic", eigenvalues=(1.0, 10.0))
    for name, order in (("nesterov_sc", 2), ("triple_momentum", 1)):
        method = od.algorithm(name)
        rho = spectrum(method, 1.0, 10.0).rate
        x = np.abs(method.run(f, np.array([1.0, 0.0]), 80).x[:, 0])
        scaled = np.log(x[[20, 40, 80]]) - np.array([20, 40, 80]) * np.log(rho)
        growth = np.diff(scaled) / np.log(2)
        np.testing.assert_allclose(growth, order - 1, atol=0.12)


def test_two_modes_side_by_side_are_not_a_double_pole() -> None:
    """Two equal eigenvalues with two eigenvectors decay like rho^k."""
    x, y = od.blocks("x y")
    h = od.parameters("h")
    f = od.Objective("f")
    twice = od.method({x: x - h * f.grad(x), y: y - h * f.grad(y)}, output=x)
    assert spectrum(twice, 1.0, 2.0, parameters={"h": 0.5}).order == 1


def test_the_tuned_value_is_that_of_what_is_bound():
    """The step 1/sqrt(L) at L = 4 is 1/2, whatever the curvatures of the spectrum."""
    nag = od.algorithm("nesterov_sc")
    bound = nag.bind(mu=0.25, L=4)
    assert ModalMatrix(bound, ["h"], {"mu": 1.0, "L": 10.0}).default("h") == 0.5
    assert ModalMatrix(nag, ["h"], {"mu": 1.0, "L": 16.0}).default("h") == 0.25
    locus = spectrum(bound, against="h", values=[0.25, 0.5]).locus
    assert locus is not None  # L, which only the step had in it, is no parameter any more
