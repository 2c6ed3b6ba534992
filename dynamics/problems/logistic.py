"""L2-regularized logistic regression, with reliable constants and minimizer: scikit-learn's and synthetic data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.special
from jaxtyping import Array, ArrayLike, Float, Int

from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from ..vector_fields.objective import Objective
from ._checks import expect_shape, positive, whole


def logistic(
    X: ArrayLike | Sequence[Any],
    y: ArrayLike | Sequence[Any],
    regularization: float,
    name: str = "logistic",
    *,
    tolerance: float = 1e-12,
) -> Objective:
    """F(w) = 1/n sum_i log(1 + exp(-y_i <x_i, w>)) + lam/2 |w|^2 on R^d, with lam = `regularization` > 0.

    The data are used as they are: nothing is scaled, no intercept is added, and every coordinate of w is
    regularized, including the weight of a constant column, so that F is lam-strongly convex.

    L = lambda_max(X^T X)/(4 n) + lam, rounded upwards past every rounding error; mu = lam, because the
    logistic part alone has no positive lower bound on its curvature over all of R^d.

    The minimizer is computed on first use in float64, by a trust-region Newton method of SciPy and then plain
    Newton steps until the gradient norm stops falling.

    Args:
        X: the design matrix, shape (n, d).
        y: labels, shape (n,), of two distinct values; the smaller becomes -1, the larger +1.
        regularization: lam, positive.
        name: the name of the objective.
        tolerance: the largest gradient norm accepted at the minimizer.

    Returns:
        the objective, with x0 = 0 of shape (d,).

    Raises:
        OdescentError: invalid data or options; on reading the minimizer, a gradient norm above ``tolerance``.

    Reference: Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, 2nd ed., section 4.4,
    doi:10.1007/978-0-387-84858-7; the constants: Bohning, Ann. Inst. Statist. Math. 44 (1992), doi:10.1007/BF00048682.
    """
    A = _signed(X, y, name)
    lam = positive(regularization, "regularization", name)
    tolerance = positive(tolerance, "tolerance", name)
    d = A.shape[1]

    def fun(w: Float[ArrayLike, " d"]) -> Float[Array, ""]:
        w = jnp.asarray(w)
        expect_shape(w.shape, (d,), name)
        margins = jnp.asarray(A, dtype=w.dtype) @ w
        return jnp.mean(jnp.logaddexp(-margins, 0.0)) + 0.5 * lam * jnp.vdot(w, w)

    return Objective(
        name,
        fun,
        mu=lam,
        L=_smoothness(A, lam, name),
        minimizer=lambda: _minimizer(A, lam, tolerance, name),
        dimension=d,
        x0=np.zeros(d),
        reference="doi:10.1007/978-0-387-84858-7",
    )


def _smoothness(A: Float[np.ndarray, "n d"], lam: float, name: str) -> float:
    """An upper bound on lambda_max(A^T A)/(4 n) + lam that holds in exact arithmetic; lambda_max to about 1e-11.

    The Gram matrix is off by at most max(n, d) eps trace (Higham, Accuracy and Stability, ch. 3), the
    eigenvalue of a symmetric m x m matrix by a modest multiple of m^(3/2) eps trace; ten times m^2 is allowed.
    """
    n, d = A.shape
    with np.errstate(over="ignore", invalid="ignore"):
        gram = A.T @ A if d <= n else A @ A.T
    if not np.all(np.isfinite(gram)):
        raise OdescentError(f"{name}: X^T X overflows; scale the columns of X to unit variance.")
    slack = 2 * np.finfo(float).eps * (max(n, d) + 10 * len(gram) ** 2) * np.trace(gram)
    last = len(gram) - 1
    top = scipy.linalg.eigh(gram, eigvals_only=True, subset_by_index=(last, last))[0] + slack
    return float(np.nextafter((top / (4 * n) + lam) * (1 + 4 * np.finfo(float).eps), np.inf))


def _signed(X: Any, y: Any, name: str) -> Float[np.ndarray, "n d"]:
    """The rows y_i x_i, y_i = -1 or +1, or one sentence about what is wrong with the data."""
    try:
        features = np.asarray(X, dtype=float)
    except (TypeError, ValueError):
        raise OdescentError(f"{name}: X must be an array of numbers of shape (n, d).") from None
    labels = np.asarray(y)
    if features.ndim != 2 or 0 in features.shape:
        raise OdescentError(f"{name}: X must have shape (n, d), got shape {features.shape}.")
    if labels.shape != features.shape[:1]:
        raise OdescentError(
            f"{name}: y must have shape {features.shape[:1]}, one label per row of X, got {labels.shape}."
        )
    bad = np.argwhere(~np.isfinite(features))
    if len(bad):
        i, j = map(int, bad[0])
        raise OdescentError(f"{name}: X must be finite, but X[{i}, {j}] is {features[i, j]}.")
    values = np.unique(labels)
    if len(values) != 2 or (values.dtype.kind in "fc" and not np.all(np.isfinite(values))):
        shown = ", ".join(map(str, values[:4])) + (", ..." if len(values) > 4 else "")
        raise OdescentError(
            f"{name}: y must hold exactly 2 distinct finite labels, it holds {len(values)}: {shown}."
        )
    signed: Float[np.ndarray, "n d"] = np.where(labels == values[1], 1.0, -1.0)[:, None] * features
    return signed


def _minimizer(
    A: Float[np.ndarray, "n d"], lam: float, tolerance: float, name: str
) -> Float[np.ndarray, " d"]:
    """The minimizer in float64, with a gradient norm of at most `tolerance`."""
    n, d = A.shape

    def value(w: Float[np.ndarray, " d"]) -> float:
        return float(np.mean(np.logaddexp(0.0, -A @ w)) + 0.5 * lam * (w @ w))

    def gradient(w: Float[np.ndarray, " d"]) -> Float[np.ndarray, " d"]:
        slope: Float[np.ndarray, " d"] = lam * w - A.T @ scipy.special.expit(-A @ w) / n
        return slope

    def hessian(w: Float[np.ndarray, " d"]) -> Float[np.ndarray, "d d"]:
        weights = scipy.special.expit(A @ w) * scipy.special.expit(-A @ w)
        curvature: Float[np.ndarray, "d d"] = A.T @ (weights[:, None] * A) / n + lam * np.eye(d)
        return curvature

    w = scipy.optimize.minimize(
        value, np.zeros(d), jac=gradient, hess=hessian, method="trust-exact", options={"gtol": 1e-6}
    ).x
    best = float(np.linalg.norm(gradient(w)))
    for _ in range(30):
        try:
            step = scipy.linalg.cho_solve(scipy.linalg.cho_factor(hessian(w)), gradient(w))
        except np.linalg.LinAlgError:
            break
        norm = float(np.linalg.norm(gradient(w - step)))
        if not norm < best:
            break
        w, best = w - step, norm
    if best > tolerance:
        raise OdescentError(
            f"{name}: the minimizer was found to a gradient norm of {best:.1e} only, not to {tolerance:.1e}; "
            "scale the columns of X to unit variance, raise regularization= or raise tolerance=."
        )
    return np.asarray(w, dtype=float)


def breast_cancer(regularization: float = 1e-4) -> Objective:
    """Logistic regression on the Wisconsin diagnostic breast-cancer data: 569 rows, 30 features, w in R^31.

    The features are standardized (mean 0, standard deviation 1 over the 569 rows), and a column of ones is
    appended for the intercept, w[30]. Everything is regularized, the intercept too, so F is
    `regularization`-strongly convex. Labels: -1 malignant (212 rows), +1 benign (357). With the default
    regularization the condition number L/mu is about 3.3e4.

    The data ship with scikit-learn; nothing is downloaded. See `logistic` for the formula, L and the minimizer.

    Reference: Wolberg, Mangasarian, Street, Street, UCI Machine Learning Repository (1993), doi:10.24432/C5DW2B.
    """
    X, y = breast_cancer_data()
    return logistic(X, y, regularization, "logistic/breast_cancer")


def breast_cancer_data() -> tuple[Float[np.ndarray, "569 31"], Int[np.ndarray, " 569"]]:
    """The standardized features with the column of ones, shape (569, 31), and the labels 0 and 1, shape (569,)."""
    from sklearn.datasets import load_breast_cancer

    features, y = load_breast_cancer(return_X_y=True)
    standardized = (features - features.mean(axis=0)) / features.std(axis=0)
    return np.column_stack([standardized, np.ones(len(y))]), y


def synthetic(
    n: int = 200,
    d: int = 10,
    conditioning: float = 100.0,
    regularization: float = 1e-3,
    seed: int = 0,
) -> Objective:
    """Logistic regression on data drawn from its own model, with an ill-conditioned design.

    Rows x_i = D g_i with g_i standard normal in R^d and D^2 = diag(1, ..., 1/conditioning), evenly spaced in
    the logarithm, so that the covariance has the condition number `conditioning`. The true weights are w = D^-1 u
    with u uniform on the sphere of radius 3, and y_i = 1 with probability 1/(1 + exp(-<x_i, w>)).

    The draws come from NumPy's PCG64 generator, so that the data depend on the seed alone and not on JAX's precision.

    Args:
        n: the number of samples, at least 2.
        d: the dimension.
        conditioning: the condition number of the covariance, at least 1.
        regularization: lam of `logistic`.
        seed: of the draws, a non-negative integer.

    Returns:
        the objective of `logistic` for X of shape (n, d) and y of shape (n,).

    Raises:
        OdescentError: an option is out of range, or all n labels agree (small n only).
    """
    name = "logistic/synthetic"
    n, d = whole(n, "n", name, least=2), whole(d, "d", name)
    rng = np.random.default_rng(whole(seed, "seed", name, least=0))
    ratio = positive(conditioning, "conditioning", name)
    if ratio < 1:
        raise OdescentError(f"{name}: conditioning must be at least 1, got {short(conditioning)}.")
    directions = rng.standard_normal((n, d))
    u = rng.standard_normal(d)
    logits = directions @ (3 * u / np.linalg.norm(u))
    y = (rng.uniform(size=n) < scipy.special.expit(logits)).astype(int)
    if np.ptp(y) == 0:
        raise OdescentError(
            f"{name}: all {n} labels drawn with seed={seed} agree; choose another seed or a larger n."
        )
    scales = np.geomspace(1.0, ratio**-0.5, d)
    return logistic(directions * scales, y, regularization, name)
