"""The logistic regressions of the registry: scikit-learn's breast-cancer data, and synthetic data."""

from __future__ import annotations

import numpy as np
import scipy.special
from jaxtyping import Float, Int

from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from ..vector_fields.objective import Objective
from ._checks import positive, whole
from .logistic import logistic


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
