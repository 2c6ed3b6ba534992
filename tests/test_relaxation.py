"""The chain CBO -> consensus hopping -> minimizing movement -> gradient descent: its steps, and its orders measured.

The numbers are Gauss-Hermite quadrature (infinitely many samples) and plain NumPy sampling, not the package's.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from scipy.special import softmax

import odescent as od
from odescent import replay
from odescent.dynamics import vanishes
from odescent.dynamics.stochastic import tilted_gaussian

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(80)
AT = np.array([1.0, -0.7])


def value(z: Any) -> Any:
    """The test function of the notes, on (..., 2)."""
    a, b = z[..., 0], z[..., 1]
    return (
        np.log(np.cosh(a - 0.3)) + 0.5 * np.log(np.cosh(1.5 * (a + b))) + b**2 / 4 + 0.2 * np.sin(1.3 * a)
    )  # fmt: skip


def derivatives() -> tuple[Any, Any, Any]:
    """Its gradient, Hessian and the gradient of its Laplacian, by SymPy."""
    a, b = sp.symbols("a b")
    f = (
        sp.log(sp.cosh(a - 0.3))
        + sp.log(sp.cosh(1.5 * (a + b))) / 2
        + b**2 / 4
        + sp.sin(1.3 * a) / 5
    )
    slope = sp.Matrix([f.diff(a), f.diff(b)])
    hessian = sp.hessian(f, (a, b))
    laplacian = hessian.trace()
    third = sp.Matrix([laplacian.diff(a), laplacian.diff(b)])
    third_of = [[hessian.diff(v)] for v in (a, b)]
    made = [sp.lambdify((a, b), e, "numpy") for e in (slope, hessian, third)]
    tensor = sp.lambdify((a, b), [t[0] for t in third_of], "numpy")
    return (
        lambda z: made[0](*z).ravel(),
        lambda z: made[1](*z),
        (lambda z: made[2](*z).ravel(), tensor),
    )


GRADIENT, HESSIAN, (BENT, THIRD) = derivatives()


def hop(x: Any, tau: float, alpha: float) -> Any:
    """The consensus point of N(x, tau/alpha I), by quadrature around the proximal point where it has its mass."""
    y = proximal(x, tau)
    shape = np.linalg.cholesky(np.linalg.inv(HESSIAN(y) + np.eye(2) / tau) / alpha)
    grid = np.stack(np.meshgrid(NODES, NODES, indexing="ij"), axis=-1)
    at = y + grid @ shape.T
    total = value(at) + np.sum((at - x) ** 2, axis=-1) / (2 * tau)
    least = total.min()
    weight = np.exp(-alpha * (total - least) + np.sum(grid**2, axis=-1) / 2) * np.outer(
        WEIGHTS, WEIGHTS
    )
    return np.einsum("ij,ijk->k", weight, at) / weight.sum()


def proximal(x: Any, tau: float) -> Any:
    found = optimize.root(
        lambda y: y - x + tau * GRADIENT(y),
        x,
        jac=lambda y: np.eye(2) + tau * HESSIAN(y),
        tol=1e-15,
    )
    return found.x


def slopes(sizes: Any, errors: Any) -> Any:
    return np.diff(np.log(errors)) / np.diff(np.log(sizes))


# the steps


@pytest.mark.parametrize("noise", ["isotropic", "anisotropic"])
def test_every_step_holds_and_replays(noise: str) -> None:
    d = od.derive("cbo", noise=noise)
    assert d.verified and d.route == "relaxation" and len(d.steps) == 13
    data = json.loads(json.dumps(d.to_dict()))
    assert replay.replay(data, say=lambda line: None) == []
    assert "Reconstructed" in d.provenance and "tau is alpha times its square" in d.provenance


def test_the_equations_that_are_shown() -> None:
    """The equation and its limit, x' = -lam (x - m); no modified equation, which would have to be a weak one."""
    d, x, (lam, alpha) = od.derive("cbo"), od.blocks("x"), od.parameters("lam alpha")
    shown = d.equations
    assert list(shown) == ["bound system", "limit h -> 0"]
    away = x - od.Objective("f").ensemble(x, alpha)
    for flow in shown.values():
        assert isinstance(flow, od.System) and vanishes(flow.drift[x] + away * lam)


def test_every_claim_matters() -> None:
    """Of the option that the battery over the registry does not see."""
    for step in od.derive("cbo", noise="anisotropic").steps:
        changed = list(step.perturbed())
        assert changed and not any(p.verified for p in changed), step.title


def test_the_chain_of_hopping_alone() -> None:
    d = od.derive("consensus_hopping")
    assert d.verified and [s.title for s in d.steps] == [
        s.title for s in od.derive("cbo").steps[5:]
    ]


# hopping is the proximal step, on quadratics: exactly


@settings(max_examples=25)
@given(st.integers(0, 2**31), st.integers(1, 4), st.floats(-2, 6))
def test_the_tilted_gaussian_is_the_proximal_step_of_its_covariance(
    seed: int, d: int, power: float
) -> None:
    """argmin f(y) + (y - x)' C^-1 (y - x) / (2 alpha) by NumPy's solver, for any alpha, A >= 0 and C > 0."""
    rng = np.random.default_rng(seed)
    root, side = rng.normal(size=(2, d, d))
    A, C = root @ root.T, side @ side.T + 0.3 * np.eye(d)
    x, goal, alpha = rng.normal(size=d), rng.normal(size=d), 10.0**power
    inverse = np.linalg.inv(C) / alpha
    wanted = np.linalg.solve(A + inverse, A @ goal + inverse @ x)
    mean, _ = tilted_gaussian(*(sp.Matrix(v) for v in (x, C)), alpha, sp.Matrix(A), sp.Matrix(goal))
    scale = np.linalg.cond(A + inverse)
    np.testing.assert_allclose(
        np.array(mean, float).ravel(), wanted, rtol=1e-13 * scale, atol=1e-13 * scale
    )


# smooth f, infinitely many samples


def test_laplaces_expansion_in_two_dimensions() -> None:
    """m = y - K [D^3 f : K] / (2 alpha) + O(alpha^-2), slopes -1 and -2."""
    alphas, tau = np.array([20.0, 40.0, 80.0, 160.0]), 0.5
    y = proximal(AT, tau)
    K = np.linalg.inv(HESSIAN(y) + np.eye(2) / tau)
    first = -K @ np.einsum("kij,ij->k", np.array(THIRD(*y)), K) / 2
    gaps = [hop(AT, tau, a) - y for a in alphas]
    assert slopes(alphas, np.linalg.norm(gaps, axis=1))[-1] == pytest.approx(-1, abs=0.05)
    rest = [np.linalg.norm(g - first / a) for g, a in zip(gaps, alphas, strict=True)]
    assert slopes(alphas, rest)[-1] == pytest.approx(-2, abs=0.05)


def test_hopping_minus_gradient_descent_in_two_dimensions() -> None:
    """tau^2 (H g - grad Laplacian f / (2 alpha)) + O(tau^3), slopes 2 and 3."""
    taus, alpha = np.array([0.04, 0.02, 0.01, 0.005]), 10.0
    g = GRADIENT(AT)
    leading = HESSIAN(AT) @ g - BENT(AT) / (2 * alpha)
    gaps = [hop(AT, t, alpha) - (AT - t * g) for t in taus]
    assert slopes(taus, np.linalg.norm(gaps, axis=1))[-1] == pytest.approx(2, abs=0.05)
    rest = [np.linalg.norm(v - t**2 * leading) for v, t in zip(gaps, taus, strict=True)]
    assert slopes(taus, rest)[-1] == pytest.approx(3, abs=0.05)


# finitely many samples


def test_monte_carlo_of_a_linear_function() -> None:
    """N E|x_k - m|^2 -> e^(alpha tau |g|^2) (d s^2 + tau^2 |g|^2); slope -1/2; the effective sample size."""
    rng, alpha, s, g = np.random.default_rng(2), 4.0, 0.2, np.array([1.0, -0.5, 0.3])
    tau = alpha * s**2
    level = alpha * tau * g @ g
    d, counts, rms = 3, np.array([500, 2000, 8000]), []
    for n in counts:
        v = s * rng.normal(size=(400, n, d))
        w = softmax(-alpha * v @ g, axis=1)
        at = np.einsum("rn,rnd->rd", w, v)
        rms.append(np.sqrt(np.mean(np.sum((at + tau * g) ** 2, axis=1))))
        share = np.mean(1 / np.sum(w**2, axis=1)) / n
    wanted = np.sqrt(np.exp(level) * (d * s**2 + tau**2 * g @ g))
    assert rms[-1] * np.sqrt(counts[-1]) == pytest.approx(wanted, rel=0.06)
    assert np.polyfit(np.log(counts), np.log(rms), 1)[0] == pytest.approx(-0.5, abs=0.05)
    assert share == pytest.approx(np.exp(-level), rel=0.02)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_the_temperature_of_hopping_with_few_samples(n: int) -> None:
    """The stationary variance on f = x^2 / 2 is 1 / beta with beta = 2 alpha (n - 1) for s -> 0, not 2 alpha n."""
    rng, s, alpha = np.random.default_rng(n), 0.1, 4.0
    x, seen = np.zeros(2000), []
    for k in range(2000):
        v = x[:, None] + s * rng.normal(size=(2000, n))
        x = np.sum(softmax(-alpha * v**2 / 2, axis=1) * v, axis=1)
        if k > 500 and k % 100 == 0:
            seen.append(np.var(x))
    assert np.mean(seen) == pytest.approx(1 / (2 * alpha * (n - 1)), rel=0.04)


def test_the_noise_of_cbo_in_place_of_that_of_hopping() -> None:
    """lam h = 1, isotropic, N = infinity: |g_k| / tau^2 stays bounded as tau = alpha sigma^2 h E|X - m|^2 -> 0.

    X - m has a Rayleigh length r in the plane; the particles after the step are m + sigma sqrt(h) r xi.
    """
    alpha, g = 5.0, GRADIENT(AT)
    radius, mass = np.polynomial.laguerre.laggauss(40)  # r^2 / 2 is exponential
    grid = np.stack(np.meshgrid(NODES, NODES, indexing="ij"), axis=-1)
    sizes, rest = np.array([0.2, 0.1, 0.05, 0.025]) ** 2, []
    for size in sizes:
        at = AT + np.sqrt(2 * radius * size)[:, None, None, None] * grid
        weight = (
            mass[:, None, None]
            * np.outer(WEIGHTS, WEIGHTS)
            * np.exp(-alpha * (value(at) - value(AT)))
        )
        m = np.einsum("rij,rijk->k", weight, at) / weight.sum()
        rest.append(np.linalg.norm(m - AT + alpha * size * 2 * g))
    found = slopes(sizes, rest)
    assert found[-1] == pytest.approx(2, abs=0.1) and abs(found[-1] - 2) < abs(found[0] - 2)


def test_the_gap_of_a_drift_that_is_not_full() -> None:
    """CBO against hopping at common noise: the difference is of first order in 1 - lam h."""
    rng, alpha = np.random.default_rng(0), 5.0
    x = AT + 0.4 + 0.5 * rng.normal(size=(200_000, 2))
    xi = rng.normal(size=x.shape)
    m = softmax(-alpha * value(x)) @ x
    kick = 0.3 * np.linalg.norm(x - m, axis=1, keepdims=True) * xi
    after = lambda e: softmax(-alpha * value(m + e * (x - m) + kick)) @ (m + e * (x - m) + kick)
    gaps = np.array([0.1, 0.05, 0.025, 0.0125])
    found = [np.linalg.norm(after(e) - after(0.0)) for e in gaps]
    assert np.polyfit(np.log(gaps), np.log(found), 1)[0] == pytest.approx(1, abs=0.08)
