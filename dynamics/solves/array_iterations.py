"""Iterations from products on flat arrays, in what NumPy and PyTorch have in common.

Emitted modules contain these functions, so that they are annotated as there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]


def _norm(v: Array) -> float:
    """The Euclidean length."""
    return math.sqrt(float(v @ v))


def _cg(
    times: Callable[[Array], Array],
    r: Array,
    goal: float,
) -> tuple[Array, float, str]:
    """Conjugate gradients for times(x) = r, with an operator that is definite.

    The solution, the largest stretch of a direction, and what is wrong.
    """
    x, p, sign, scale = 0 * r, r, 0.0, 0.0
    rr = float(r @ r)
    for _ in range(10 * min(len(r), 1000)):
        if math.sqrt(rr) <= goal:
            break
        q = times(p)
        pp, curvature = float(p @ p), float(p @ q)
        sign = sign or curvature / pp
        scale = max(scale, _norm(q) / math.sqrt(pp))
        if not curvature * sign > 1e-15 * scale * abs(sign) * pp:
            both = f"{sign:.3g} and {curvature / pp:.3g}"
            fault = f"a definite operator is needed; curvatures are {both}"
            return x, scale, fault
        step = rr / curvature
        x, r = x + step * p, r - step * q
        before, rr = rr, float(r @ r)
        p = r + (rr / before) * p
    return x, scale, ""


def _minres(
    times: Callable[[Array], Array],
    r: Array,
    goal: float,
) -> tuple[Array, float, str]:
    """Minimal residuals (Paige and Saunders) for times(x) = r, symmetric.

    The solution, the largest stretch of a direction, and what is wrong.
    """
    x = w = w_old = v_old = 0 * r
    beta = left = _norm(r)
    v, beta_old, scale = r / beta, 0.0, 0.0
    dbar, epsilon, c, s = 0.0, 0.0, -1.0, 0.0
    for _ in range(10 * min(len(r), 1000)):
        y = times(v) - beta_old * v_old
        alpha = float(v @ y)
        y = y - alpha * v
        beta = _norm(y)
        scale = max(scale, math.hypot(beta_old, alpha, beta))
        # the last rotation, and a new one
        delta, gbar = c * dbar + s * alpha, s * dbar - c * alpha
        epsilon_old, epsilon, dbar = epsilon, s * beta, -c * beta
        gamma = math.hypot(gbar, beta)
        if not gamma > 1e-15 * scale:
            return x, scale, "the operator is singular"
        c, s = gbar / gamma, beta / gamma
        w, w_old = (v - epsilon_old * w_old - delta * w) / gamma, w
        x = x + c * left * w
        left = s * left
        if left <= goal or beta <= 1e-15 * scale:
            break
        v, v_old, beta_old = y / beta, v, beta
    return x, scale, ""


def _gmres(
    times: Callable[[Array], Array],
    r: Array,
    goal: float,
) -> tuple[Array, float, str]:
    """Generalized minimal residuals for times(x) = r, of 100 products at most.

    The solution, the largest stretch of a direction, and what is wrong.
    """
    left = [_norm(r)]
    basis, scale = [r / left[0]], 0.0
    turns: list[tuple[float, float]] = []
    columns: list[list[float]] = []
    while len(columns) < min(100, len(r)) and abs(left[-1]) > goal:
        y = times(basis[-1])
        scale = max(scale, _norm(y))
        column = [0.0] * len(basis)
        for _ in range(2):  # twice, so that the basis is orthogonal to rounding
            for i, v in enumerate(basis):
                part = float(v @ y)
                column[i] += part
                y = y - part * v
        for i, (c, s) in enumerate(turns):
            one, two = column[i], column[i + 1]
            column[i], column[i + 1] = c * one + s * two, c * two - s * one
        beta = _norm(y)
        gamma = math.hypot(column[-1], beta)
        if not gamma > 1e-15 * scale:
            return 0 * r, scale, "the operator is singular"
        c, s = column[-1] / gamma, beta / gamma
        column[-1] = gamma
        columns.append(column)
        turns.append((c, s))
        left[-1:] = [c * left[-1], -s * left[-1]]
        if beta <= 1e-15 * scale:
            break
        basis.append(y / beta)
    weights = left[: len(columns)]
    x = 0 * r
    for j in range(len(columns))[::-1]:
        weights[j] /= columns[j][j]
        x = x + weights[j] * basis[j]
        for i in range(j):
            weights[i] -= columns[j][i] * weights[j]
    return x, scale, ""


def _iterated(
    times: Callable[[Array], Array],
    b: Array,
    method: Callable[..., tuple[Array, float, str]],
    tolerance: float,
    eps: float,
) -> Array:
    """The solution of times(x) = b: a method applied again to what it leaves of b.

    ArithmeticError where it does not come to |b - times(x)| <= tolerance |b|, or to
    rounding.
    """
    goal = max(float(tolerance), 4 * eps) * _norm(b)
    x, r, scale, rounds, fault = 0 * b, b, 0.0, 0, ""
    size = _norm(r)
    while not size <= goal + 50 * eps * scale * _norm(x):
        rounds += 1
        if rounds > 200 or not math.isfinite(size) or fault:
            share = size / _norm(b)
            fault = fault or "the solve does not converge"
            raise ArithmeticError(f"{fault}; the residual is {share:.2g} of b.")
        more, scale_now, fault = method(times, r, goal / 2)
        x, scale = x + more, max(scale, scale_now)
        before, r = size, b - times(x)
        size = _norm(r)
        stopped = "" if size < 0.9 * before else "the solve does not converge"
        fault = fault or stopped
    return x


def _solve(
    product: Callable[[Array], Array],
    b: Array,
    method: Callable[..., tuple[Array, float, str]],
    tolerance: float,
) -> Array:
    """The solution of product(x) = b; ArithmeticError where there is none."""

    def times(v: Array) -> Array:
        found: Array = np.reshape(product(v.reshape(b.shape)), -1)
        return found

    flat = np.reshape(b, -1)
    eps = float(np.finfo(flat.dtype).eps)
    return _iterated(times, flat, method, tolerance, eps).reshape(b.shape)


def _matrix(product: Callable[[Array], Array], b: Array) -> Array:
    """The matrix of an operator that is known by its products."""
    eye = np.eye(b.size, dtype=b.dtype)
    columns = [np.reshape(product(e.reshape(b.shape)), -1) for e in eye]
    return np.stack(columns, axis=1)


def _entries(product: Callable[[Array], Array], like: Array) -> Array:
    """The diagonal of an operator on arrays like this one, from its products."""
    found = np.empty_like(like)
    for i in range(like.size):
        e = np.zeros_like(like)
        e.flat[i] = 1
        found.flat[i] = product(e).flat[i]
    return found


def _pivots(matrix: Array) -> Array:
    """The pivots of a factorization, in each column the largest that is left."""
    rows = np.array(matrix)
    for k in range(len(rows)):
        at = k + int(np.argmax(np.abs(rows[k:, k])))
        rows[[k, at]] = rows[[at, k]]
        if rows[k, k] != 0:
            rows[k + 1 :] -= np.outer(rows[k + 1 :, k] / rows[k, k], rows[k])
    return np.diagonal(rows)


def _lu(matrix: Array, b: Array) -> Array:
    """The solution of matrix x = b; ArithmeticError where it is singular."""
    flat = b if b.ndim == 2 and b.size != len(matrix) else np.reshape(b, -1)
    eps, size = float(np.finfo(flat.dtype).eps), np.abs(flat).max(initial=0)
    try:
        x = np.linalg.solve(matrix, flat)
        stretched = np.abs(matrix).max(initial=0) * np.abs(x).max(initial=0)
    except np.linalg.LinAlgError:
        stretched = math.inf
    if not eps * stretched <= 1e-6 * size:  # what small pivots do; they are looked for
        pivots = np.abs(_pivots(matrix))
        k = int(np.argmin(pivots))
        least, most = pivots[k], pivots.max()
        if not least > len(pivots) * eps * most:
            found = f"pivot {k + 1} is {least:.2g}, the largest {most:.2g}"
            raise ArithmeticError(f"the operator is singular to rounding: {found}.")
    return np.reshape(x, b.shape)


def _cholesky(matrix: Array, b: Array) -> Array:
    """The solution of matrix x = b, for a definite one; ArithmeticError for another."""
    sign = -1.0 if matrix.flat[0] < 0 else 1.0
    try:
        factor = np.linalg.cholesky(sign * matrix)
    except np.linalg.LinAlgError:
        factor = np.zeros_like(matrix)
    pivots = np.diagonal(factor) ** 2
    if not pivots.min() > len(matrix) * np.finfo(pivots.dtype).eps * pivots.max():
        found = np.linalg.eigvalsh(matrix)
        between = f"between {found[0]:.3g} and {found[-1]:.3g}"
        message = f"a definite operator is needed; curvatures are {between}."
        raise ArithmeticError(message)
    return sign * _lu(factor.T, _lu(factor, b))


def _woodbury(
    over: Callable[[Array], Array],
    lefts: list[Array],
    rights: list[Array],
    b: Array,
) -> Array:
    """The solution of D x + sum of left <right, x> = b, with the inverse of D given."""

    def divided(v: Array) -> Array:
        found: Array = np.reshape(over(v.reshape(b.shape)), -1)
        return found

    right = np.stack([np.reshape(v, -1) for v in rights])
    left = np.stack([divided(np.reshape(v, -1)) for v in lefts])
    x = divided(np.reshape(b, -1))
    small = np.eye(len(lefts), dtype=x.dtype) + right @ left.T
    return np.reshape(x - _lu(small, right @ x) @ left, b.shape)
