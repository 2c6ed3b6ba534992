"""Fokker-Planck equations on a grid of cells, by a scheme that keeps sign and mass.

The flux through a face is fitted to the exponential between its two cells (Scharfetter and Gummel, IEEE Transactions on
Electron Devices 16, 1969; Chang and Cooper, Journal of Computational Physics 6, 1970): the densities of cells are the
probabilities of a Markov chain. Its law in time is a mean of powers of a matrix without negative entries
(uniformization; Jensen, Skandinavisk Aktuarietidskrift 36, 1953).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..._support.errors import OdescentError
from .noisy_field import NoisyField

_FLAT = 1e-12
_WORK = 1e10  # products of an entry and a density, at most
_DENSE = 600  # cells, up to which powers of the matrix are formed
_NEAR = 300.0  # of a cell's Peclet number: beyond, there is no noise to speak of

Cells = Float[np.ndarray, " m"]


def rates(field: NoisyField, edges: tuple[Float[np.ndarray, " _"], ...]) -> Any:
    """The rates between cells, a sparse matrix (m, m) whose columns add to 0; walls reflect.

    Args:
        field: of one or two entries.
        edges: of the cells along each axis, evenly spaced; cells are numbered with the last axis fastest.

    Raises:
        OdescentError: a drift or noise that is not finite, or noise too oblique for cells of this shape.
    """
    from scipy.sparse import coo_array, diags_array

    shape = tuple(len(e) - 1 for e in edges)
    h = [float(e[1] - e[0]) for e in edges]
    centers = [(e[1:] + e[:-1]) / 2 for e in edges]
    number = np.arange(int(np.prod(shape))).reshape(shape)
    columns, rows, values = [], [], []

    def link(source: np.ndarray, sink: np.ndarray, rate: np.ndarray) -> None:
        columns.append(source.ravel())
        rows.append(sink.ravel())
        values.append(rate.ravel())

    for i in range(field.n):
        sides = [e[1:-1] if k == i else centers[k] for k, e in enumerate(edges)]
        b, a = _at(field, sides)
        along = a[:, i, i] / 2
        if field.n == 2:
            along = along - np.abs(a[:, 0, 1]) / 2 * h[i] / h[1 - i]
        if (along < -_FLAT * np.abs(a).max()).any():
            ratio = float(np.sqrt(a[0, 0, 0] / max(a[0, 1, 1], 1e-300)))
            raise OdescentError(
                f"the noise of {field.name} is too oblique for cells of {h[0]:.3g} by {h[1]:.3g}; give cells= whose "
                f"sides have a ratio of about {ratio:.3g}."
            )
        ahead, back = _fitted(b[:, i], np.maximum(along, 0.0), h[i])
        low, high = (np.take(number, np.arange(shape[i] - 1) + k, axis=i) for k in (0, 1))
        link(low, high, ahead)
        link(high, low, back)
    if field.n == 2:
        _, a = _at(field, [e[1:-1] for e in edges])
        cross = a[:, 0, 1].reshape(shape[0] - 1, shape[1] - 1) / 2 / (h[0] * h[1])
        rising, falling = np.maximum(cross, 0.0), np.maximum(-cross, 0.0)
        if cross.any():
            for one, other, rate in (
                (number[:-1, :-1], number[1:, 1:], rising),
                (number[1:, :-1], number[:-1, 1:], falling),
            ):
                link(one, other, rate)
                link(other, one, rate)
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    moves = coo_array(entries, shape=(number.size, number.size)).tocsc()
    return (moves - diags_array(moves.sum(0))).tocsc()


def _at(field: NoisyField, sides: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """b - div a / 2 and a at the points of a grid."""
    z = jnp.asarray(np.stack(np.meshgrid(*sides, indexing="ij"), -1).reshape(-1, field.n))
    b, a = (np.asarray(found) for found in _terms(field)(z))
    if not (np.isfinite(b).all() and np.isfinite(a).all()):
        raise OdescentError(
            f"the drift or the noise of {field.name} is not finite everywhere in the window; give another one."
        )
    return b, a


@lru_cache(maxsize=32)
def _terms(field: NoisyField) -> Callable[[Any], Any]:
    return jax.jit(jax.vmap(lambda z: (field.conservative_drift(z), field.covariance(z))))


def _fitted(b: np.ndarray, d: np.ndarray, h: float) -> tuple[np.ndarray, np.ndarray]:
    """The rates ahead and back through faces, for a drift b and a diffusion d; upwind where there is no diffusion."""
    flat = np.abs(b) * h >= _NEAR * d
    peclet = np.where(flat, 1.0, b * h / np.where(flat, 1.0, d))
    with np.errstate(invalid="ignore", divide="ignore"):
        back = np.where(peclet == 0, 1.0, peclet / np.expm1(peclet))
    size = d / h**2
    ahead = np.where(flat, np.maximum(b, 0.0) / h, size * (back + peclet))
    return np.maximum(ahead, 0.0), np.where(flat, np.maximum(-b, 0.0) / h, size * back)


def long_run(q: Any, name: str) -> Cells:
    """The probabilities in the long run: with those of one cell given, sums and products of what is not negative.

    Args:
        q: rates between cells.
        name: of the system.

    Raises:
        OdescentError: more than one law, for cells that are not connected.
    """
    from scipy.sparse import eye_array
    from scipy.sparse.csgraph import connected_components

    m = q.shape[0]
    fast = float(-q.diagonal().min())
    if fast == 0:
        raise OdescentError(f"nothing moves {name} in this window.")
    # a law for each set of connected cells that no rate leaves
    sets, of = connected_components(q, directed=True, connection="strong")
    sinks, sources = q.nonzero()
    left = np.unique(of[sources[of[sources] != of[sinks]]])
    if sets - len(left) > 1:
        raise OdescentError(
            f"{name} has no unique stationary density in this window: more than one part of it is not left once it is "
            "entered; noise in every direction connects them."
        )
    # a long implicit step shows a cell with much probability
    first = _factored(eye_array(m) - (1e6 / fast) * q).solve(np.full(m, 1 / m))
    pin = int(np.argmax(first))
    rest = np.delete(np.arange(m), pin)
    try:
        others = _factored(-q[rest][:, rest]).solve(q[rest][:, [pin]].toarray().ravel())
    except RuntimeError:  # singular
        others = np.full(m - 1, np.nan)
    if not (np.isfinite(others).all() and (others >= -1e-12 * np.abs(others).max()).all()):
        raise OdescentError(
            f"{name} has no unique stationary law in this window: parts of it are not connected."
        )
    p = np.insert(np.maximum(others, 0.0), pin, 1.0)
    return np.asarray(p / p.sum())


def _factored(matrix: Any) -> Any:
    """LU factors with pivots from the diagonal, which keeps the sign of such a matrix's inverse."""
    from scipy.sparse.linalg import splu

    return splu(
        matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )  # fmt: skip


def later(q: Any, p: Cells, time: float, name: str) -> Cells:
    """The probabilities after a time, to rounding.

    Args:
        q: rates between cells.
        p: probabilities.
        time: more than 0.
        name: of the system, for messages.

    Raises:
        OdescentError: too many steps of the chain.
    """
    from scipy.sparse import eye_array
    from scipy.stats import poisson

    m, fast = q.shape[0], float(-q.diagonal().min())
    mean = fast * time
    chain = (eye_array(m) + q / max(fast, 1e-300)).tocsr()
    if m <= _DENSE and mean > 1000:
        halvings = int(np.ceil(np.log2(mean)))
        power = _mixed(chain, np.eye(m), poisson, mean / 2**halvings)
        for _ in range(halvings):
            power = power @ power
            power /= power.sum(0)
        return np.asarray(power @ p)
    if mean * chain.nnz > _WORK:
        limit = _WORK / chain.nnz / fast
        raise OdescentError(
            f"a time of {time:g} is too long for these cells of {name}: take times up to {limit:.3g}, fewer cells, or "
            "inf for the long run."
        )
    parts = max(int(np.ceil(mean / 1e4)), 1)
    for _ in range(parts):
        p = _mixed(chain, p, poisson, mean / parts)
    return p


def _mixed(chain: Any, p: Any, poisson: Any, mean: float) -> Any:
    """The mean of chain^k p over Poisson numbers k."""
    last = int(np.ceil(mean + 10 * np.sqrt(mean) + 25))
    weights = poisson.pmf(np.arange(last + 1), mean)
    total = weights[0] * p
    for w in weights[1:]:
        p = chain @ p
        if w > 0:
            total = total + w * p
    return total / total.sum(0)


__all__ = ["later", "long_run", "rates"]
