"""Logistic regression against scikit-learn, SciPy, exact rational arithmetic and its own class."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.special
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from odescent.dynamics.problems import REGISTRY, objective
from odescent.dynamics.problems.logistic import breast_cancer_data, logistic

RNG = np.random.default_rng(0)
X_SMALL = RNG.standard_normal((20, 3))
Y_SMALL = np.where(np.arange(20) % 3 == 0, 1, -1)


@pytest.fixture(scope="module")
def cancer():
    return objective("logistic/breast_cancer")


def textbook(w, X, y, lam):
    """Value and gradient with labels 0 and 1: the cross-entropy of the predicted probabilities."""
    logits = X @ w
    value = -np.mean(
        y * scipy.special.log_expit(logits) + (1 - y) * scipy.special.log_expit(-logits)
    )
    gradient = X.T @ (scipy.special.expit(logits) - y) / len(y) + lam * w
    return value + 0.5 * lam * w @ w, gradient


def positive_definite(M):
    """Whether an integer symmetric matrix is positive definite: its leading minors, by Bareiss, exactly."""
    M = [list(row) for row in M]
    previous = 1
    for k in range(len(M)):
        if M[k][k] <= 0:
            return False
        for i in range(k + 1, len(M)):
            for j in range(k + 1, len(M)):
                M[i][j] = (M[i][j] * M[k][k] - M[i][k] * M[k][j]) // previous
        previous = M[k][k]
    return True


def test_data_are_scikit_learns_standardized_with_an_intercept():
    X, y = breast_cancer_data()
    raw = load_breast_cancer()
    assert X.shape == (569, 31)
    np.testing.assert_allclose(X[:, :30], StandardScaler().fit_transform(raw.data), atol=1e-12)
    np.testing.assert_array_equal(X[:, 30], 1)
    assert [(y == label).sum() for label in (0, 1)] == [212, 357]


def test_value_and_gradient_are_the_cross_entropy(cancer):
    X, y = breast_cancer_data()
    assert float(cancer.value(jnp.zeros(31))) == pytest.approx(np.log(2), rel=1e-15)
    for w in RNG.standard_normal((5, 31)) * np.array([[0.01], [0.1], [1], [10], [100]]):
        value, gradient = textbook(w, X, y, 1e-4)
        np.testing.assert_allclose(cancer.value(jnp.asarray(w)), value, rtol=1e-13)
        np.testing.assert_allclose(cancer.grad(jnp.asarray(w)), gradient, rtol=1e-10, atol=1e-13)


def test_gradient_is_the_finite_difference(cancer):
    w = RNG.standard_normal(31)
    slopes = scipy.optimize.approx_fprime(w, jax.jit(cancer.fun), 1e-7)
    np.testing.assert_allclose(cancer.grad(jnp.asarray(w)), slopes, atol=1e-5)


def test_huge_margins_do_not_overflow(cancer):
    problem = logistic([[1.0], [1.0]], [0, 1], 1e-3)
    w = jnp.array([1e6])
    np.testing.assert_allclose(problem.value(w), 0.5e6 + 0.5e-3 * 1e12, rtol=1e-14)
    np.testing.assert_allclose(problem.grad(w), [0.5 + 1e3], rtol=1e-14)
    assert jnp.all(jnp.isfinite(cancer.grad(jnp.full(31, 1e8))))


def test_constants_and_condition_number(cancer):
    assert float(cancer.mu) == 1e-4
    assert float(cancer.L) == pytest.approx(3.3205019206, rel=1e-10)
    assert cancer.L / cancer.mu >= 1e4


def test_smoothness_constant_holds_in_exact_arithmetic(cancer):
    X, _ = breast_cancer_data()
    bits = 110
    rows = np.array([[int(Fraction(float(v)) * 2**bits) for v in row] for row in X], dtype=object)
    assert all(v.is_integer() for v in np.ldexp(X, bits).ravel())  # nothing was cut off
    gram = rows.T @ rows
    for factor, holds in ((Fraction(1), True), (1 - Fraction(1, 10**9), False)):
        curvature = (Fraction(cancer.L.p, cancer.L.q) - Fraction(cancer.mu.p, cancer.mu.q)) * factor
        bound = 4 * len(X) * curvature * 4**bits
        shifted = -gram
        shifted[np.diag_indices(31)] += bound.numerator // bound.denominator
        assert positive_definite(shifted) == holds


def test_constants_bound_the_curvature_and_satisfy_interpolation(cancer):
    mu, L = float(cancer.mu), float(cancer.L)
    value, grad = jax.jit(cancer.fun), jax.jit(cancer.grad)
    star = np.asarray(cancer.minimizer)
    for _ in range(200):
        x, y = (
            jnp.asarray(star * RNG.uniform() + RNG.standard_normal(31) * 10 ** RNG.uniform(-2, 1))
            for _ in "xy"
        )
        dg, dx = grad(y) - grad(x), y - x
        scale = 1 / (2 * (1 - mu / L))
        right = scale * (dg @ dg / L + mu * dx @ dx - 2 * mu / L * dg @ dx)
        left = value(y) - value(x) - grad(x) @ dx
        assert left - right >= -1e-13 * (1 + value(x) + value(y) + abs(grad(x) @ dx))
    top = np.linalg.eigvalsh(jax.jacfwd(cancer.grad)(jnp.zeros(31)))[-1]  # attained at 0
    assert top == pytest.approx(L, rel=1e-10)


def test_minimizer_is_stationary_and_scikit_learns(cancer):
    X, y = breast_cancer_data()
    w = cancer.minimizer
    assert w.dtype == np.float64
    assert np.linalg.norm(textbook(w, X, y, 1e-4)[1]) <= 1e-12
    assert jnp.linalg.norm(cancer.grad(jnp.asarray(w))) <= 1e-12
    peer = LogisticRegression(
        C=1 / (len(y) * 1e-4),
        fit_intercept=False,
        solver="newton-cholesky",
        tol=1e-13,
        max_iter=1000,
    ).fit(X, y)
    np.testing.assert_allclose(w, peer.coef_[0], atol=1e-8)
    assert cancer.minimizer is w


def test_minimizer_is_not_computed_before_it_is_asked_for(monkeypatch):
    calls = []
    original = scipy.optimize.minimize
    monkeypatch.setattr(
        scipy.optimize, "minimize", lambda *a, **k: (calls.append(1), original(*a, **k))[1]
    )
    problem = REGISTRY.build("logistic/synthetic")  # made anew
    problem.value(jnp.asarray(problem.x0))
    assert calls == []
    assert problem.minimizer is problem.minimizer
    assert calls == [1]


@pytest.mark.parametrize(
    "labels", [(0, 1), (-1, 1), (False, True), ("benign", "malignant"), (2.5, 7)]
)
def test_any_two_labels_will_do_and_the_larger_is_plus_one(labels):
    y = np.array(labels)[(Y_SMALL > 0).astype(int)]
    w = jnp.array([0.3, -1.0, 2.0])
    assert logistic(X_SMALL, y, 0.1).value(w) == logistic(X_SMALL, Y_SMALL, 0.1).value(w)
    assert logistic(X_SMALL, -Y_SMALL, 0.1).value(w) != logistic(X_SMALL, Y_SMALL, 0.1).value(w)


def test_more_columns_than_rows():
    X = RNG.standard_normal((6, 40))
    problem = logistic(X, [0, 1, 0, 1, 1, 0], 1e-2)
    expected = np.linalg.norm(X, 2) ** 2 / 24 + 1e-2
    assert float(problem.L) == pytest.approx(expected, rel=1e-10)
    assert float(problem.L) >= expected
    assert jnp.linalg.norm(problem.grad(jnp.asarray(problem.minimizer))) <= 1e-12


def test_synthetic_follows_its_options():
    problem = objective(
        "logistic/synthetic", n=4000, d=3, conditioning=1e4, regularization=1e-5, seed=7
    )
    H = jax.jacfwd(problem.grad)(jnp.zeros(3)) - 1e-5 * jnp.eye(3)  # a quarter of the covariance
    np.testing.assert_allclose(4 * np.diag(H), [1, 1e-2, 1e-4], rtol=0.1)
    same, other = (objective("logistic/synthetic", seed=s).value(jnp.ones(10)) for s in (0, 1))
    assert same == objective("logistic/synthetic").value(jnp.ones(10)) != other


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((np.ones(3), [0, 1, 1], 1.0), r"X must have shape \(n, d\), got shape \(3,\)"),
        ((np.ones((0, 2)), [], 1.0), r"X must have shape \(n, d\)"),
        (([[1, 2], [3]], [0, 1], 1.0), "X must be an array of numbers"),
        (
            (np.ones((3, 2)), [0, 1], 1.0),
            r"y must have shape \(3,\), one label per row of X, got \(2,\)",
        ),
        (([[1.0], [np.nan]], [0, 1], 1.0), r"X must be finite, but X\[1, 0\] is nan"),
        (
            (np.ones((3, 2)), [0, 1, 2], 1.0),
            "exactly 2 distinct finite labels, it holds 3: 0, 1, 2",
        ),
        ((np.ones((2, 2)), [1, 1], 1.0), "exactly 2 distinct finite labels, it holds 1: 1"),
        ((np.ones((2, 2)), [1, np.nan], 1.0), "exactly 2 distinct finite labels"),
        ((np.ones((2, 2)), [0, 1], 0), "regularization must be a positive finite number, got 0"),
        (
            (np.ones((2, 2)), [0, 1], -1.0),
            r"regularization must be a positive finite number, got -1\.$",
        ),
        (
            (np.ones((2, 2)), [0, 1], "a"),
            "regularization must be a positive finite number, got 'a'",
        ),
        ((np.full((2, 2), 1e200), [0, 1], 1.0), "overflows; scale the columns"),
    ],
)
def test_bad_data_get_a_sentence(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        logistic(*arguments)


def test_bad_options_of_the_synthetic_data_get_a_sentence():
    with pytest.raises(ValueError, match=r"conditioning must be at least 1, got 0\.5"):
        objective("logistic/synthetic", conditioning=0.5)
    with pytest.raises(ValueError, match=r"all 2 labels drawn with seed=[0-9]+ agree"):
        [objective("logistic/synthetic", n=2, seed=s) for s in range(20)]


def test_a_minimizer_out_of_reach_is_said():
    problem = logistic(X_SMALL, Y_SMALL, 0.1, "mine", tolerance=1e-30)
    with pytest.raises(
        ValueError, match=r"mine: the minimizer .* gradient norm of .* only, not to 1\.0e-30"
    ):
        _ = problem.minimizer
