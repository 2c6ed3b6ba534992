"""Convex quadratics with a prescribed spectrum."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from ..vector_fields.objective import Objective
from ._checks import expect_shape, positive, whole

_NAME = "quadratic"


def quadratic(
    eigenvalues: Iterable[Any] | None = None,
    *,
    mu: Any = None,
    L: Any = None,
    dimension: int | None = None,
    seed: int | None = None,
    x0: ArrayLike | Sequence[Any] | None = None,
) -> Objective:
    """f(x) = 1/2 sum_i lam_i (Q^T x)_i^2 on R^d, with f* = 0 at 0 (and elsewhere if some lam_i = 0).

    The spectrum is given either by `eigenvalues` or by `mu`, `L` and `dimension`: d numbers from mu to L, evenly spaced
    in their logarithm. Without either it is (1, 10). The constants are the least and the largest eigenvalue, exactly
    as given: integers and SymPy numbers stay exact.

    Args:
        eigenvalues: d numbers >= 0, at least one of them positive.
        mu: the least eigenvalue.
        L: the largest eigenvalue.
        dimension: d, with mu and L.
        seed: Q is an orthogonal matrix drawn from the Haar measure (orthogonal to rounding); without it the identity.
        x0: the starting point, shape (d,); default: ones.

    Raises:
        OdescentError: both or half a spectrum, a negative eigenvalue, mu > L, or wrong shapes.

    Reference: the random Q: Mezzadri 2007, arXiv:math-ph/0609050.
    """
    mu, L, spectrum = _spectrum(eigenvalues, mu, L, dimension)
    d = len(spectrum)
    start = np.ones(d) if x0 is None else np.asarray(x0, dtype=float)
    expect_shape(start.shape, (d,), f"{_NAME}: x0 of {d} eigenvalues")
    basis = None if seed is None else _orthogonal(d, whole(seed, "seed", _NAME, least=0))

    def fun(x: Float[ArrayLike, " d"]) -> Float[Array, ""]:
        x = jnp.asarray(x)
        expect_shape(x.shape, (d,), _NAME)
        modes = x if basis is None else jnp.asarray(basis.T, dtype=x.dtype) @ x
        return 0.5 * jnp.sum(jnp.asarray(spectrum, dtype=x.dtype) * modes**2)

    return Objective(
        _NAME,
        fun,
        mu=mu,
        L=L,
        minimizer=np.zeros(d),
        dimension=d,
        x0=start,
        reference="Polyak, Introduction to Optimization, Optimization Software 1987",
    )


def _spectrum(
    eigenvalues: Iterable[Any] | None, mu: Any, L: Any, dimension: int | None
) -> tuple[Any, Any, Float[np.ndarray, " d"]]:
    """(mu, L) as given, and the eigenvalues as floats."""
    ranged = [mu, L, dimension]
    if eigenvalues is None and all(v is None for v in ranged):
        eigenvalues = (1, 10)
    if eigenvalues is not None:
        if any(v is not None for v in ranged):
            raise OdescentError(
                f"{_NAME}: give eigenvalues= or mu=, L= and dimension=, not both of them."
            )
        try:
            values = list(eigenvalues)
            spectrum = np.array([float(v) for v in values])
        except (TypeError, ValueError, OverflowError):
            spectrum = np.array([np.nan])
        if not (np.all(np.isfinite(spectrum)) and np.all(spectrum >= 0) and np.any(spectrum > 0)):
            raise OdescentError(
                f"{_NAME}: eigenvalues must be finite numbers >= 0, one of them > 0, got {short(eigenvalues)}."
            )
        return values[int(np.argmin(spectrum))], values[int(np.argmax(spectrum))], spectrum
    if any(v is None for v in ranged):
        raise OdescentError(f"{_NAME}: give mu=, L= and dimension= together, or eigenvalues=.")
    least, most = positive(mu, "mu", _NAME), positive(L, "L", _NAME)
    d = whole(dimension, "dimension", _NAME)
    if least > most or (d == 1 and least < most):
        raise OdescentError(
            f"{_NAME}: a spectrum from mu to L needs mu <= L, and 2 dimensions or more where mu < L; "
            f"got mu={mu}, L={L}, dimension={d}."
        )
    return mu, L, np.geomspace(least, most, d)


def _orthogonal(d: int, seed: int) -> Float[np.ndarray, "d d"]:
    """A Haar-distributed orthogonal matrix: QR of a normal matrix, with the signs of R's diagonal divided out."""
    factor, upper = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))
    return factor * np.where(np.diag(upper) < 0, -1.0, 1.0)
