"""Quadratics, the heavy-ball counterexample and the standard test functions, against closed forms and SciPy."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.optimize
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from odescent.dynamics.problems import objective
from odescent.dynamics.problems.standard import HIMMELBLAU_MINIMIZERS

IN_CLASS = {
    "quadratic": {},
    "quadratic, rotated": {"mu": 1e-2, "L": 7, "dimension": 4, "seed": 3},
    "quadratic, singular": {"eigenvalues": (0, 2)},
    "lessard_recht_packard": {},
    "huber": {"dimension": 3, "delta": 0.5},
    "logsumexp": {"dimension": 3, "temperature": 0.3},
    "logistic/synthetic": {"n": 30, "d": 3},
}
_built = {key: objective(key.split(",")[0], **options) for key, options in IN_CLASS.items()}
_value = {key: jax.jit(problem.fun) for key, problem in _built.items()}
_grad = {key: jax.jit(problem.grad) for key, problem in _built.items()}


def interpolation_slack(value, grad, mu, L, x, y):
    """f(y) - f(x) - <g(x), y - x> - ..., >= 0 on F(mu, L), and the size of its terms.

    Taylor, Hendrickx, Glineur, Math. Program. 161 (2017), Theorem 4, doi:10.1007/s10107-016-1009-3.
    """
    fx, fy, gx, gy = value(x), value(y), grad(x), grad(y)
    dg, dx = gy - gx, y - x
    terms = [fy, -fx, -gx @ dx]
    scale = 1 / (2 * (1 - mu / L))
    terms += [-scale * dg @ dg / L, -scale * mu * dx @ dx, 2 * scale * mu / L * dg @ dx]
    return sum(terms), sum(map(abs, terms))


@pytest.mark.parametrize("key", IN_CLASS)
@given(data=st.data())
def test_pairs_of_points_satisfy_the_interpolation_inequality(key, data):
    problem = _built[key]
    vectors = arrays(float, problem.dimension, elements=st.floats(-8, 8, allow_subnormal=False))
    x, y = (jnp.asarray(data.draw(vectors)) for _ in range(2))
    slack, size = interpolation_slack(
        _value[key], _grad[key], float(problem.mu), float(problem.L), x, y
    )
    assert slack >= -1e-13 * (1 + size)


@pytest.mark.parametrize(
    ("key", "mu", "L"),
    [
        ("quadratic", 1.001, 10),
        ("quadratic", 1, 9.99),
        ("quadratic, rotated", 1.01e-2, 7),
        ("quadratic, rotated", 1e-2, 6.99),
        ("lessard_recht_packard", 1.001, 25),
        ("lessard_recht_packard", 1, 24.99),
        ("huber", 0, 0.99),
    ],
)
def test_the_constants_cannot_be_improved(key, mu, L):
    value, grad, d = _value[key], _grad[key], _built[key].dimension
    pairs = np.random.default_rng(1).uniform(-4, 4, (100, 2, d))
    _, modes = np.linalg.eigh(jax.jacfwd(grad)(jnp.zeros(d)))
    pairs[:d] = np.stack([modes.T, -modes.T], axis=1)
    slack = jax.vmap(lambda pair: interpolation_slack(value, grad, mu, L, *pair)[0])
    assert slack(jnp.asarray(pairs)).min() < -1e-6


def test_quadratic_is_t1_by_default_and_keeps_exact_constants():
    t1 = objective("quadratic")
    assert (t1.mu, t1.L, t1.dimension) == (1, 10, 2)
    np.testing.assert_array_equal(t1.x0, (1, 1))
    assert t1.value(jnp.array([1.0, 1.0])) == 5.5
    x = jnp.array([1.0, 1.0])  # MATH (c): gradient descent with 1/L
    for _ in range(20):
        x = x - t1.grad(x) / 10
    np.testing.assert_allclose(x, (0.1215766545906, 0), atol=5e-14)
    exact = objective("quadratic", eigenvalues=(sp.sqrt(2), sp.Rational(1, 3), 1))
    assert exact.mu == sp.Rational(1, 3)
    assert exact.L == sp.sqrt(2)


@pytest.mark.parametrize("seed", [None, 0, 5])
def test_quadratic_has_the_spectrum_asked_for(seed):
    problem = objective("quadratic", mu=0.1, L=1000, dimension=5, seed=seed)
    H = jax.jacfwd(problem.grad)(jnp.zeros(5))
    np.testing.assert_allclose(np.linalg.eigvalsh(H), [0.1, 1, 10, 100, 1000], rtol=1e-11)
    assert (np.abs(H - jnp.diag(jnp.diag(H))).max() > 1) == (seed is not None)
    again = objective("quadratic", mu=0.1, L=1000, dimension=5, seed=seed)
    x = jnp.arange(5.0)
    assert problem.value(x) == again.value(x)


def test_heavy_ball_follows_the_published_cycle():
    expected = """3.3 -3.2 2.8 .355555555556 -1.718518518519 2.133333333333 .586008230453 -1.729492455418 2.045541838134
        .707940862673 -1.853050856069 2.156094091348 .615452703122"""
    problem = objective("lessard_recht_packard")
    assert (problem.mu, problem.L) == (1, 25)
    grad = jax.jit(problem.grad)
    x = [jnp.asarray(problem.x0)] * 2
    for _ in range(600):
        x.append(x[-1] - grad(x[-1]) / 9 + 4 / 9 * (x[-1] - x[-2]))
    np.testing.assert_allclose(
        np.array(x)[1:14, 0], [float(v) for v in expected.split()], atol=1e-12
    )
    cycle = [0.646530612244898, -1.802448979591837, 2.115918367346939]
    np.testing.assert_allclose(np.sort(np.array(x)[-3:, 0]), np.sort(cycle), atol=1e-14)


def test_the_cycle_is_exact_in_rationals():
    def slope(x):
        return 25 * x if x < 1 else x + 24 if x < 2 else 25 * x - 24

    cycle = [Fraction(k, 1225) for k in (792, -2208, 2592)]
    problem = objective("lessard_recht_packard", dimension=3)
    np.testing.assert_allclose(
        problem.grad(jnp.array([float(x) for x in cycle])),
        [float(slope(x)) for x in cycle],
        rtol=1e-15,
    )
    for k in range(3):
        before, x, after = cycle[k - 2], cycle[k - 1], cycle[k]
        assert x - slope(x) / 9 + Fraction(4, 9) * (x - before) == after
    edges = jnp.array([1.0, 2.0, np.nextafter(1.0, 0), np.nextafter(2.0, 0)])
    values = jax.vmap(problem.fun)(edges)
    np.testing.assert_allclose(values, [12.5, 38, 12.5, 38], rtol=1e-14)
    np.testing.assert_allclose(problem.grad(edges), [25, 26, 25, 26], rtol=1e-14)


@pytest.mark.parametrize("dimension", [2, 3, 7])
def test_rosenbrock_is_scipys(dimension):
    problem = objective("rosenbrock", dimension=dimension)
    for x in np.random.default_rng(0).uniform(-2, 2, (5, dimension)):
        v = np.roll(x, 1)
        np.testing.assert_allclose(
            problem.value(jnp.asarray(x)), scipy.optimize.rosen(x), rtol=1e-13
        )
        np.testing.assert_allclose(
            problem.grad(jnp.asarray(x)), scipy.optimize.rosen_der(x), rtol=1e-11, atol=1e-10
        )
        product = problem.hess(jnp.asarray(x), jnp.asarray(v))
        np.testing.assert_allclose(
            product, scipy.optimize.rosen_hess_prod(x, v), rtol=1e-11, atol=1e-9
        )


def test_rosenbrock_has_a_second_minimum_from_four_dimensions_on():
    problem = objective("rosenbrock", dimension=4)
    start = np.array([-1.0, 1, 1, 1])
    x = scipy.optimize.minimize(
        problem.value, start, jac=problem.grad, method="BFGS", options={"gtol": 1e-8}
    ).x
    assert abs(x[0] + 1) < 0.3
    assert np.linalg.eigvalsh(jax.jacfwd(problem.grad)(jnp.asarray(x)))[0] > 0


def test_himmelblau_has_its_four_minimizers():
    problem = objective("himmelblau")
    for listed in HIMMELBLAU_MINIMIZERS:
        with mpmath.workdps(40):
            root = mpmath.findroot(lambda x, y: (x**2 + y - 11, x + y**2 - 7), listed)
        np.testing.assert_allclose(listed, [float(v) for v in root], rtol=3e-16)
        assert jnp.linalg.norm(problem.grad(jnp.array(listed))) < 1e-12
    assert len({tuple(np.round(m, 3)) for m in HIMMELBLAU_MINIMIZERS}) == 4


def test_textbook_forms_in_high_precision():
    def rastrigin(x):
        return 10 * len(x) + sum(v**2 - 10 * mpmath.cos(2 * mpmath.pi * v) for v in x)

    def ackley(x):
        r = mpmath.sqrt(sum(v**2 for v in x) / len(x))
        wells = sum(mpmath.cos(2 * mpmath.pi * v) for v in x) / len(x)
        return -20 * mpmath.exp(-r / 5) - mpmath.exp(wells) + 20 + mpmath.e

    def logsumexp(x):
        return mpmath.log(sum(mpmath.exp(v) + mpmath.exp(-v) for v in x) / (2 * len(x)))

    def huber(x):
        return sum(v**2 / 2 if abs(v) <= 1 else abs(v) - mpmath.mpf(1) / 2 for v in x)

    def quartic(x):
        return sum(v**4 for v in x) / 4

    for textbook in (rastrigin, ackley, logsumexp, huber, quartic):
        problem = objective(textbook.__name__, dimension=3)
        for x in np.random.default_rng(2).uniform(-3, 3, (6, 3)) * np.logspace(-8, 0, 6)[:, None]:
            with mpmath.workdps(40):
                expected = float(textbook([mpmath.mpf(float(v)) for v in x]))
            np.testing.assert_allclose(
                problem.value(jnp.asarray(x)), expected, rtol=1e-12, atol=1e-15
            )


def test_gradients_at_the_edges():
    huber = objective("huber", dimension=5, delta=0.5)
    x = jnp.array([-2, -0.5, 0, 0.5, 1e300])
    np.testing.assert_array_equal(huber.grad(x), jnp.clip(x, -0.5, 0.5))
    assert jnp.isfinite(objective("logsumexp").value(jnp.array([1e5, -1e5])))
    np.testing.assert_array_equal(objective("ackley", dimension=3).grad(jnp.zeros(3)), np.zeros(3))


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_curvature_stays_below_the_smoothness_constant(dimension):
    for name, options in (("rastrigin", {}), ("logsumexp", {"temperature": 0.25}), ("huber", {})):
        problem = objective(name, dimension=dimension, **options)
        hessians = jax.jit(jax.vmap(jax.jacfwd(problem.grad)))
        rng = np.random.default_rng(0)
        spectra = np.linalg.eigvalsh(hessians(jnp.asarray(rng.uniform(-2, 2, (300, dimension)))))
        assert np.abs(spectra).max() <= float(problem.L) * (1 + 1e-13)
        top = np.linalg.eigvalsh(hessians(jnp.zeros((1, dimension)))).max()
        if dimension == 1:
            np.testing.assert_allclose(top, float(problem.L), rtol=1e-13)
    assert objective("logsumexp", temperature=0.25).L == 4


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("quadratic", {"eigenvalues": (1, -2)}, "eigenvalues must be finite numbers >= 0"),
        ("quadratic", {"eigenvalues": (0, 0)}, "one of them > 0"),
        ("quadratic", {"eigenvalues": ()}, "one of them > 0"),
        ("quadratic", {"eigenvalues": ("a",)}, "eigenvalues must be"),
        ("quadratic", {"eigenvalues": 3}, "eigenvalues must be .*, got 3"),
        ("quadratic", {"eigenvalues": (1, 2), "mu": 1}, "not both"),
        ("quadratic", {"mu": 1, "L": 10}, "dimension= together"),
        ("quadratic", {"mu": 10, "L": 1, "dimension": 2}, "needs mu <= L"),
        ("quadratic", {"mu": 1, "L": 10, "dimension": 1}, "2 dimensions or more"),
        (
            "quadratic",
            {"mu": 0, "L": 1, "dimension": 2},
            "mu must be a positive finite number, got 0",
        ),
        ("quadratic", {"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ("quadratic", {"x0": (1, 2, 3)}, r"shape \(2,\), got shape \(3,\)"),
        ("rosenbrock", {"dimension": 1}, "dimension must be a whole number of at least 2, got 1"),
        (
            "rastrigin",
            {"dimension": 2.5},
            "dimension must be a whole number of at least 1, got 2.5",
        ),
        ("lessard_recht_packard", {"dimension": True}, "dimension must be a whole number"),
        (
            "logsumexp",
            {"temperature": float("nan")},
            "temperature must be a positive finite number, got nan",
        ),
        ("huber", {"delta": -1}, "delta must be a positive finite number, got -1"),
    ],
)
def test_options_out_of_range_get_a_sentence(name, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        objective(name, **options)


@pytest.mark.untyped
@pytest.mark.parametrize(
    "name", ["quadratic", "rosenbrock", "himmelblau", "logsumexp", "logistic/breast_cancer"]
)
def test_arguments_of_another_shape_are_refused(name):
    with pytest.raises(ValueError, match=r"takes an array of shape .* got shape \(1,\)"):
        objective(name).value(jnp.ones(1))
