"""Moments: of Gaussians, of processes, of steps; stationary laws against published closed forms and simulation."""

from __future__ import annotations

import functools

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats

import odescent as od
from odescent.discretize.weak.step_moments import (
    MomentMap,
    moment_map,
    stationary_covariance,
    step_map,
)
from odescent.dynamics.stochastic import (
    Coordinates,
    gaussian_moment,
    generator,
    in_coordinates,
    moment_equations,
    normal_expectation,
    sde,
    tilted_gaussian,
)
from odescent.dynamics.vector_fields.system import Diffusion, Field

x, y = sp.symbols("x y", real=True)
X = od.blocks("x")
m = sp.Symbol("m", positive=True)  # the curvature
a, b, h, s, gam, u, lam, sigma = od.parameters("a b h s gam u lam sigma")
SMALL = st.integers(-3, 3)


def same(left: object, right: object) -> bool:
    return bool(sp.simplify(sp.expand(sp.sympify(left) - right)) == 0)


# Gaussians


@settings(max_examples=15)
@given(st.lists(SMALL, min_size=5, max_size=5))
def test_means_of_polynomials_of_a_normal(k: list[int]) -> None:
    xi = sp.Symbol("xi", real=True)
    found = normal_expectation(sum(c * (1 + xi * a) ** i for i, c in enumerate(k)), [xi])
    wanted = sum(c * stats.norm(1, 0.7).moment(i) for i, c in enumerate(k))
    assert float(found.subs(a, 0.7)) == pytest.approx(float(wanted), abs=1e-9)


@settings(max_examples=10)
@given(st.tuples(*[st.integers(0, 3)] * 3), st.lists(SMALL, min_size=9, max_size=9))
def test_isserlis_against_a_product_of_factors(index: tuple[int, ...], entries: list[int]) -> None:
    """z = B xi with independent xi: the same moment by expanding in them."""
    factor = sp.Matrix(3, 3, entries)
    normals = sp.symbols("n1:4", real=True)
    z = factor * sp.Matrix(normals)
    wanted = normal_expectation(sp.prod([e**n for e, n in zip(z, index, strict=True)]), normals)
    assert gaussian_moment(index, factor * factor.T) == wanted


def test_a_normal_in_a_function_is_refused() -> None:
    with pytest.raises(od.OdescentError, match="polynomial in x is needed here"):
        normal_expectation(sp.exp(x), [x])


# processes


def test_the_hierarchy_of_the_ornstein_uhlenbeck_process_is_closed() -> None:
    found = moment_equations(sde({x: -a * x}, [{x: s}]), 4)
    assert found.closed
    for n in range(1, 5):
        wanted = -n * a * x**n + sp.Rational(n * (n - 1), 2) * s**2 * x ** (n - 2)
        assert same(found.rates()[x**n], wanted)
    # the solution by the exponential of the matrix, against the Gaussian law
    values = {a: 0.8, s: 0.6}
    matrix = np.array(found.matrix.subs(values), dtype=float)
    force = np.array(found.constant.subs(values), dtype=float)
    block = np.block([[matrix, force], [np.zeros((1, 5))]])
    start = np.array([1.3**n for n in range(1, 5)] + [1.0])
    after = linalg.expm(block * 0.7) @ start
    law = stats.norm(1.3 * np.exp(-0.56), np.sqrt(0.36 / 1.6 * (1 - np.exp(-1.12))))
    np.testing.assert_allclose(after[:4], [law.moment(n) for n in range(1, 5)], rtol=1e-12)
    kept = found.stationary()
    assert (
        kept[x] == 0
        and same(kept[x**2], s**2 / (2 * a))
        and same(kept[x**4], 3 * s**4 / (4 * a**2))
    )


def test_an_open_hierarchy_says_what_is_missing() -> None:
    found = moment_equations(sde({x: -(x**3)}, [{x: 1}]), 2)
    assert not found.closed and same(found.rates()[x**2], 1 - 2 * x**4)
    with pytest.raises(od.OdescentError, match="not closed"):
        found.stationary()


def test_moments_of_two_coupled_coordinates() -> None:
    """Underdamped Langevin on m x^2/2: equipartition <x^2> = u/(...)... m <x^2> = <v^2> / u, uncorrelated."""
    found = moment_equations(
        od.system("underdamped_langevin"), 2, functions={"f": lambda q: m * q**2 / 2}
    )
    kept = {str(k): v for k, v in found.stationary().items()}
    assert same(kept["x**2"], 1 / m) and same(kept["v**2"], u) and kept["v*x"] == 0


@settings(max_examples=5)
@given(st.floats(0.5, 2), st.floats(0.1, 0.9))
def test_moments_of_the_geometric_brownian_motion(rate: float, size: float) -> None:
    """E X^n = x0^n exp((n a + n (n-1) s^2/2) t)."""
    found = moment_equations(sde({x: a * x}, [{x: s * x}]), 3)
    values = {a: rate, s: size}
    for n in range(1, 4):
        wanted = n * rate + n * (n - 1) / 2 * size**2
        assert float(found.matrix[n - 1, n - 1].subs(values)) == pytest.approx(wanted)


# consensus-based optimization


@pytest.mark.parametrize(("noise", "d", "k"), [("isotropic", 1, 1), ("isotropic", 2, 2), ("isotropic", 3, 3),
                                               ("anisotropic", 2, 1), ("anisotropic", 3, 1)])  # fmt: skip
def test_the_decay_of_cbo_towards_a_frozen_consensus_point(noise: str, d: int, k: int) -> None:
    """L V/V = -2 lam + k sig^2 and E V+/V = 1 - 2 h lam + h^2 lam^2 + k h sig^2 (Fornasier, Klock and Riedl)."""
    system = od.system("cbo", noise=noise)
    form = Coordinates(d)
    away = [p - q for p, q in zip(form.symbols(X), form.frozen("f"), strict=True)]
    v = sum(e**2 for e in away)
    assert same(generator(system, v, d) / v, -2 * lam + k * sigma**2)
    step = step_map(od.Algorithm(system, od.scheme("explicit_euler"), h), d)
    factor = sp.cancel(step.mean(v) / v)
    assert same(factor, 1 - 2 * h * lam + h**2 * lam**2 + k * h * sigma**2)
    # the rates of CBO.md 4(d): lam = 1, sig = .32, h = .01
    rate = (
        -sp.log(factor.subs({lam: 1, sigma: sp.Rational(32, 100), h: sp.Rational(1, 100)})) / 0.01
    )
    assert float(rate) == pytest.approx(
        {1: 1.9056, 2: 1.8013}.get(k, -np.log(0.9801 + 0.003072) / 0.01), abs=1e-4
    )


@pytest.mark.parametrize("noise", ["isotropic", "anisotropic"])
def test_the_euler_step_of_cbo_is_the_printed_update(noise: str) -> None:
    """X - lam h (X - m) + sig sqrt(h) D(X - m) xi, m at the old particles (CBO.md 1.1)."""
    step = step_map(od.Algorithm(od.system("cbo", noise=noise), od.scheme("explicit_euler"), h), 2)
    away = [p - q for p, q in zip(step.state, Coordinates(2).frozen("f"), strict=True)]
    size = [sp.sqrt(away[0] ** 2 + away[1] ** 2)] * 2 if noise == "isotropic" else away
    for p, e, z, d, xi in zip(step.state, step.after, away, size, step.drawn, strict=True):
        assert same(e, p - lam * h * z + sigma * sp.sqrt(h) * d * xi)


@functools.cache
def cloud_under_cbo(noise: str) -> MomentMap:
    return moment_map(
        od.Algorithm(od.system("cbo", noise=noise), od.scheme("explicit_euler"), h), dimension=2
    )


@functools.cache
def underdamped() -> MomentMap:
    return moment_map(od.algorithm("underdamped_langevin"), m)


@pytest.mark.parametrize("noise", ["isotropic", "anisotropic"])
def test_mean_and_covariance_of_a_cloud_under_cbo(noise: str) -> None:
    """Means (1-lam h) mu + lam h m, and C' = (1-lam h)^2 C + sig^2 h D (CBO.md 1.5, R8).

    D is (tr C + |mu-m|^2) I for isotropic noise, diag(C_jj + (mu-m)_j^2) for anisotropic."""
    found = cloud_under_cbo(noise)
    mu, m = sp.symbols("mu1:3", real=True), Coordinates(2).frozen("f")
    cloud = sp.Matrix(2, 2, sp.symbols("c1:5", real=True))
    cloud[1, 0] = cloud[0, 1]
    p, q = found.step.state
    before = {p: mu[0], q: mu[1], p**2: cloud[0, 0] + mu[0] ** 2, q**2: cloud[1, 1] + mu[1] ** 2,
              p * q: cloud[0, 1] + mu[0] * mu[1]}  # fmt: skip
    column = sp.Matrix([before[k] for k in found.monomials])
    after = dict(zip(found.monomials, found.matrix * column + found.constant, strict=True))
    away = [a - b for a, b in zip(mu, m, strict=True)]
    own = [cloud[i, i] + away[i] ** 2 for i in range(2)]
    heat = [sum(own)] * 2 if noise == "isotropic" else own
    for i, s_ in enumerate((p, q)):
        assert same(after[s_], (1 - lam * h) * mu[i] + lam * h * m[i])
        spread = after[s_**2] - after[s_] ** 2
        assert same(spread, (1 - lam * h) ** 2 * cloud[i, i] + sigma**2 * h * heat[i])
    assert same(after[p * q] - after[p] * after[q], (1 - lam * h) ** 2 * cloud[0, 1])


@settings(max_examples=25)
@given(st.floats(0.05, 2.5), st.floats(0.1, 2), st.sampled_from(["isotropic", "anisotropic"]))
def test_stability_in_mean_square_of_cbo(step: float, size: float, noise: str) -> None:
    """k h sig^2 < 1 - (1 - lam h)^2 with k = d = 2 for isotropic noise and 1 for anisotropic."""
    conditions = cloud_under_cbo(noise).stability_conditions()
    values = {h: sp.Rational(str(round(step, 4))), sigma: sp.Rational(str(round(size, 4))), lam: 1}
    stable = all(e.subs(values) > 0 for e in conditions)
    k = 2 if noise == "isotropic" else 1
    assert stable == bool(k * values[h] * values[sigma] ** 2 < 1 - (1 - values[h]) ** 2)


@settings(max_examples=15)
@given(st.floats(0.05, 3), st.floats(0.1, 3), st.floats(0.05, 2))
def test_stability_conditions_against_eigenvalues(
    step: float, curvature: float, friction: float
) -> None:
    found = underdamped()
    values = {h: step, m: curvature, gam: friction, u: 1.0}
    radius = max(abs(np.linalg.eigvals(np.array(found.second.subs(values), dtype=float))))
    if abs(radius - 1) > 1e-6:
        assert all(e.subs(values) > 0 for e in found.stability_conditions()) == (radius < 1)


# stationary laws of schemes on m x^2/2

ULA = 1 / (m * (1 - h * m / 2))
CLOSED = {  # name: (position, velocity or None); Leimkuhler and Matthews (doi:10.1093/amrx/abs010), CBO.md 4(f)
    "unadjusted_langevin": (ULA, None),
    "leimkuhler_matthews": (1 / m, None),
    "stochastic_theta": (1 / m, None),
    "sgld": ((1 + h * sigma**2 / 2) / (m * (1 - h * m / 2)), None),
    "baoab": (1 / m, 1 - h**2 * m / 4),
    "aboba": (1 / m, 4 / (4 - h**2 * m)),
    "obabo": (4 / (m * (4 - h**2 * m)), 1),
    "underdamped_langevin": (
        2 * gam * (gam * h - h**2 * m - 2)
        / (m * (2 * gam**2 * h - 3 * gam * h**2 * m - 4 * gam + h**3 * m**2 + 4 * h * m)), None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CLOSED)
def test_stationary_variances(name: str) -> None:
    law = stationary_covariance(od.algorithm(name), m)
    position, velocity = CLOSED[name]
    assert same(law.variance("x").subs(u, 1), position) and not any(law.mean)
    if velocity is not None:
        assert same(law.variance("v").subs(u, 1), velocity)


@pytest.mark.parametrize("theta", [sp.Rational(1, 3), sp.Rational(2, 3), 1])
def test_the_theta_scheme(theta: sp.Expr) -> None:
    law = stationary_covariance(od.algorithm("stochastic_theta", theta=theta), m)
    assert same(law.covariance[0], 2 / (m * (2 - h * m + 2 * h * m * theta)))


@settings(max_examples=8)
@given(st.lists(st.integers(-2, 2), min_size=4, max_size=4), st.integers(1, 3))
def test_a_matrix_against_scipys_lyapunov_solver(entries: list[int], by: int) -> None:
    """x+ = (I - h A) x + h S sigma + sqrt(2 h) xi in two coordinates that act on each other."""
    root = sp.Matrix(2, 2, entries)
    hessian = root * root.T + by * sp.eye(2)
    values = {h: sp.Rational(1, 40), sigma: sp.Rational(2, 5)}
    law = stationary_covariance(
        od.algorithm("sgld").bind(h=values[h], sigma=values[sigma]), hessian
    )
    matrix = np.eye(2) - np.array(hessian, dtype=float) / 40
    wanted = linalg.solve_discrete_lyapunov(matrix, np.eye(2) * (2 / 40 + 0.16 / 1600))
    np.testing.assert_allclose(np.array(law.covariance, dtype=float), wanted, rtol=1e-12)


def multiplicative() -> od.Algorithm:
    """SGD on m x^2/2 with gradient errors b x xi and s zeta."""
    system = od.System(
        {"flow": {X: -od.Objective("f").grad(X)},
         "one": Field({}, {X: Diffusion(X * b)}), "two": Field({}, {X: Diffusion(s, "B")})}
    )  # fmt: skip
    return od.Algorithm(system, od.scheme("explicit_euler"), h)


def test_noise_that_multiplies_the_state() -> None:
    """M+ = ((1 - h m)^2 + h b^2) M + h s^2 for dX = -m X dt + b X dW + s dB, and its simulation."""
    law = stationary_covariance(multiplicative(), m)
    assert same(law.covariance[0], s**2 / (2 * m - h * m**2 - b**2))
    moments = moment_map(multiplicative(), m)
    assert same(moments.matrix[1, 1], (1 - h * m) ** 2 + h * b**2) and same(
        moments.constant[1], h * s**2
    )
    rng, n = np.random.default_rng(1), 20_000
    position = np.zeros(n)
    for _ in range(150):
        one, two = rng.normal(size=(2, n))
        position += -0.1 * position + np.sqrt(0.1) * (0.5 * position * one + 0.8 * two)
    wanted = float(law.covariance[0].subs({m: 1, h: 0.1, b: 0.5, s: 0.8}))
    assert position.var() == pytest.approx(wanted, rel=5 * np.sqrt(3 / n))


def test_an_unstable_chain_has_no_law() -> None:
    with pytest.raises(od.OdescentError, match="do not converge"):
        stationary_covariance(od.algorithm("unadjusted_langevin").bind(h=3), 1)
    with pytest.raises(
        od.OdescentError, match="do not converge"
    ):  # stable in the mean, not in mean square
        stationary_covariance(multiplicative().bind(h=sp.Rational(1, 10), b=2, s=1), 1)
    walk = Field({X: -od.Objective("f").grad(X)}, {od.blocks("y"): Diffusion(sp.S.One)})
    free = od.System({"all": walk}, output=X)
    with pytest.raises(od.OdescentError, match="the stationary moments are not unique"):
        stationary_covariance(od.Algorithm(free, od.scheme("explicit_euler"), h), m)
    with pytest.raises(od.OdescentError, match="not linear in the state"):
        quartic = od.System({"all": {X: -od.elementwise(lambda z: z**3, X)}})
        stationary_covariance(od.Algorithm(quartic, od.scheme("explicit_euler"), h), m)
    with pytest.raises(od.OdescentError, match="polynomial in Z is needed"):
        stationary_covariance(od.algorithm("mirror_descent"), m)
    with pytest.raises(od.OdescentError, match="change with its number"):
        stationary_covariance(od.algorithm("nesterov_c"), m)
    with pytest.raises(od.OdescentError, match="hessian="):
        step_map(od.algorithm("stochastic_theta"))
    with pytest.raises(od.OdescentError, match="no output 'z'"):
        stationary_covariance(od.algorithm("baoab"), m).variance("z")


def test_means_of_a_nonlinear_step_against_quadrature() -> None:
    """E phi(x+) of ULA on x^4/4 for phi = x^3 - x, by 40-digit Gauss-Hermite quadrature."""
    step = step_map(od.algorithm("unadjusted_langevin"), functions={"f": lambda q: q**4 / 4})
    found = step.mean(x**3 - x).subs({x: sp.Rational(7, 10), h: sp.Rational(1, 8)})
    with mp.workdps(40):
        after = lambda n: mp.mpf(7) / 10 - mp.mpf("0.343") / 8 + n / 2
        wanted = mp.quad(lambda n: (after(n) ** 3 - after(n)) * mp.npdf(n), [-16, 0, 16])
        assert abs(mp.mpf(sp.N(found, 40)._mpf_) - wanted) < mp.mpf(10) ** -35


# consensus hopping on quadratics


@settings(max_examples=10)
@given(
    st.lists(st.integers(-2, 2), min_size=4, max_size=4), st.lists(SMALL, min_size=4, max_size=4)
)
def test_consensus_hopping_on_a_quadratic_is_the_proximal_step(
    entries: list[int], points: list[int]
) -> None:
    """(I + tau A) m = mean + tau A x*, tau = alpha s^2, for every alpha; and the general covariance."""
    alpha = sp.Symbol("alpha", positive=True)
    root = sp.Matrix(2, 2, entries)
    hessian, at, goal = root * root.T, sp.Matrix(points[:2]), sp.Matrix(points[2:])
    found, _ = tilted_gaussian(at, s**2 * sp.eye(2), alpha, hessian, goal)
    tau = alpha * s**2
    assert sp.simplify((sp.eye(2) + tau * hessian) * found - at - tau * hessian * goal) == sp.zeros(
        2, 1
    )


def test_the_tilted_law_against_quadrature() -> None:
    c, k, alpha = 0.7, 1.9, 2.3
    mean, variance = tilted_gaussian(
        sp.Matrix([sp.Rational(3, 2)]), sp.Matrix([[sp.Rational(7, 10)]]), sp.Rational(23, 10),
        sp.Matrix([[sp.Rational(19, 10)]]), sp.Matrix([sp.Rational(-1, 2)]),
    )  # fmt: skip
    weight = lambda z: mp.exp(-((z - 1.5) ** 2) / (2 * c) - alpha * k * (z + 0.5) ** 2 / 2)
    mass, first, second = (mp.quad(lambda z, n=n: weight(z) * z**n, [-8, 0, 8]) for n in range(3))
    assert float(mean[0]) == pytest.approx(float(first / mass), rel=1e-12)
    assert float(variance[0]) == pytest.approx(
        float(second / mass - (first / mass) ** 2), rel=1e-12
    )
    with pytest.raises(od.OdescentError, match="no finite mass"):
        tilted_gaussian(sp.Matrix([0]), sp.Matrix([[1]]), 1, sp.Matrix([[-2]]), sp.Matrix([0]))


def test_systems_of_the_library_have_coordinates() -> None:
    for name in (
        "overdamped_langevin",
        "stochastic_gradient_flow",
        "stochastic_gradient_langevin",
        "cbo",
    ):
        assert in_coordinates(od.system(name), 2).noise.shape[0] == 2


def test_variances_are_scalars_of_one_coordinate_and_of_the_block_named():
    """A block v is not mixed with v_old; several coordinates have a covariance; what is not linear has none."""
    v, old = od.blocks("v v_old")
    f = od.Objective("f")
    fields = {"all": Field({v: -f.grad(v)}, {v: Diffusion(sp.sqrt(2))})}
    system = od.System(fields, blocks=[od.Block("v_old", "vector", "memory")], output=v)
    steps = (od.Let({old: v}), od.Flow("all", "explicit"))
    made = od.Algorithm(system, od.Scheme(steps), h, outputs={"square": od.hadamard(v, v)})
    law = stationary_covariance(made, m)
    assert same(law.variance("v"), ULA) and same(law.variance("v_old"), ULA)
    two = stationary_covariance(made, sp.diag(m, 2 * m)).variance("v")
    assert two.shape == (2, 2) and same(two[0, 0], ULA) and two[0, 1] == 0
    with pytest.raises(od.OdescentError, match="'square' is not linear"):
        law.variance("square")
