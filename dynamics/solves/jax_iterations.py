"""Iterations and factorizations from products on pytrees, in JAX.

Emitted modules contain these functions, so that they are annotated as there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

PyTree: TypeAlias = Any


def _cg(
    times: Callable[[Array], Array],
    r: Array,
    goal: Array,
) -> tuple[Array, Array]:
    """Conjugate gradients for times(x) = r, with an operator that is definite.

    The solution, NaN where curvatures have both signs, and the largest stretch of a
    direction.
    """
    none = jnp.zeros((), r.dtype)
    count = jnp.zeros((), int)
    start = (jnp.zeros_like(r), r, r, jnp.vdot(r, r), none, none, count)

    def going(state: Any) -> Array:
        _, _, _, rr, _, _, k = state
        more: Array = (jnp.sqrt(rr) > goal) & (k < 10 * min(r.size, 1000))
        return more

    def move(state: Any) -> Any:
        x, r, p, rr, sign, scale, k = state
        q = times(p)
        pp, curvature = jnp.vdot(p, p), jnp.vdot(p, q)
        sign = jnp.where(k == 0, curvature / pp, sign)
        scale = jnp.maximum(scale, jnp.sqrt(jnp.vdot(q, q) / pp))
        fine = curvature * sign > 1e-15 * scale * jnp.abs(sign) * pp
        step = jnp.where(fine, rr / jnp.where(fine, curvature, 1), jnp.nan)
        x, r = x + step * p, r - step * q
        ahead = jnp.vdot(r, r)
        return x, r, r + ahead / rr * p, ahead, sign, scale, k + 1

    x, _, _, _, _, scale, _ = jax.lax.while_loop(going, move, start)
    return x, scale


def _minres(
    times: Callable[[Array], Array],
    r: Array,
    goal: Array,
) -> tuple[Array, Array]:
    """Minimal residuals (Paige and Saunders) for times(x) = r, symmetric.

    The solution and the largest stretch of a direction.
    """
    zero, none = jnp.zeros_like(r), jnp.zeros((), r.dtype)
    size = jnp.linalg.norm(r)
    v = r / jnp.where(size == 0, 1, size)
    recurrence = (
        none,
        none,
        none,
        -jnp.ones_like(none),
        none,
    )  # beta, dbar, epsilon, c, s
    count = jnp.zeros((), int)
    start = (zero, v, zero, zero, zero, recurrence, size, none, count)

    def going(state: Any) -> Array:
        left, scale, k = state[-3:]
        ended = (k > 0) & (state[5][0] <= 1e-15 * scale)
        more: Array = (left > goal) & ~ended & (k < 10 * min(r.size, 1000))
        return more

    def move(state: Any) -> Any:
        x, v, v_old, w, w_old, (beta_old, dbar, epsilon, c, s), left, scale, k = state
        y = times(v) - beta_old * v_old
        alpha = jnp.vdot(v, y)
        y = y - alpha * v
        beta = jnp.linalg.norm(y)
        scale = jnp.maximum(scale, jnp.sqrt(beta_old**2 + alpha**2 + beta**2))
        # the last rotation, and a new one
        delta, gbar = c * dbar + s * alpha, s * dbar - c * alpha
        gamma = jnp.hypot(gbar, beta)
        gamma = jnp.where(gamma > 1e-15 * scale, gamma, jnp.nan)
        w, w_old = (v - epsilon * w_old - delta * w) / gamma, w
        epsilon, dbar = s * beta, -c * beta
        c, s = gbar / gamma, beta / gamma
        x = x + c * left * w
        ahead = y / jnp.where(beta == 0, 1, beta)
        return (
            x,
            ahead,
            v,
            w,
            w_old,
            (beta, dbar, epsilon, c, s),
            s * left,
            scale,
            k + 1,
        )

    found = jax.lax.while_loop(going, move, start)
    return found[0], found[-2]


def _gmres(
    times: Callable[[Array], Array],
    r: Array,
    goal: Array,
) -> tuple[Array, Array]:
    """Generalized minimal residuals for times(x) = r, of 100 products at most.

    The solution and the largest stretch of a direction.
    """
    most, kind = min(100, r.size), r.dtype
    none, size = jnp.zeros((), kind), jnp.linalg.norm(r)
    first = r / jnp.where(size == 0, 1, size)
    basis = jnp.zeros((most + 1, r.size), kind).at[0].set(first)
    upper, left = jnp.eye(most, dtype=kind), jnp.zeros(most + 1, kind).at[0].set(size)
    start = (basis, upper, left, jnp.zeros((2, most), kind), none, jnp.zeros((), int))

    def going(state: Any) -> Array:
        _, _, left, _, _, k = state
        more: Array = (k < most) & (jnp.abs(left[k]) > goal)
        return more

    def turned(i: Array, state: Any) -> Any:
        column, turns = state
        c, s = turns[:, i]
        one, two = column[i], column[i + 1]
        column = column.at[i].set(c * one + s * two)
        return column.at[i + 1].set(c * two - s * one), turns

    def move(state: Any) -> Any:
        basis, upper, left, turns, scale, k = state
        y = times(basis[k])
        scale = jnp.maximum(scale, jnp.linalg.norm(y))
        parts = basis @ y
        y = y - parts @ basis
        again = basis @ y  # so that the basis is orthogonal to rounding
        y = y - again @ basis
        beta = jnp.linalg.norm(y)
        beta = jnp.where(beta > 1e-15 * scale, beta, 0)
        column, _ = jax.lax.fori_loop(0, k, turned, (parts + again, turns))
        gamma = jnp.hypot(column[k], beta)
        gamma = jnp.where(gamma > 1e-15 * scale, gamma, jnp.nan)
        c, s = column[k] / gamma, beta / gamma
        upper = upper.at[:, k].set(jnp.where(jnp.arange(most) < k, column[:most], 0))
        upper = upper.at[k, k].set(gamma)
        left = left.at[k + 1].set(-s * left[k]).at[k].set(c * left[k])
        basis = basis.at[k + 1].set(y / jnp.where(beta == 0, 1, beta))
        return basis, upper, left, turns.at[:, k].set(jnp.stack([c, s])), scale, k + 1

    basis, upper, left, _, scale, k = jax.lax.while_loop(going, move, start)
    kept = jnp.where(jnp.arange(most) < k, left[:most], 0)
    weights = jax.scipy.linalg.solve_triangular(upper, kept)
    return weights @ basis[:most], scale


def _raveled(tree: PyTree) -> tuple[Array, Callable[[Array], PyTree]]:
    """The entries of a tree as a vector of its widest type, and the way back."""
    leaves, form = jax.tree.flatten(tree)
    types = [leaf.dtype for leaf in leaves]
    with jax.numpy_dtype_promotion("standard"):
        kind = jnp.result_type(*types) if types else jnp.result_type(float)
    flat, shaped = ravel_pytree([leaf.astype(kind) for leaf in leaves])

    def back(x: Array) -> PyTree:
        found = [y.astype(t) for y, t in zip(shaped(x), types, strict=True)]
        return jax.tree.unflatten(form, found)

    return flat, back


def _solve(
    product: Callable[[PyTree], PyTree],
    b: PyTree,
    method: Callable[..., tuple[Array, Array]],
    tolerance: ArrayLike,
    symmetric: bool = True,
) -> PyTree:
    """The solution of product(x) = b: a method applied again to what it leaves of b.

    NaN where it does not come to |b - product(x)| <= tolerance |b|, or to rounding.
    """
    flat, shaped = _raveled(b)
    info: Any = jnp.finfo
    eps: float = info(flat.dtype).eps
    share = jnp.maximum(jnp.asarray(tolerance, flat.dtype), 4 * eps)

    def times(v: Array) -> Array:
        return _raveled(product(shaped(v)))[0].astype(flat.dtype)

    def solved(times: Callable[[Array], Array], b: Array) -> Array:
        goal = share * jnp.linalg.norm(b)

        def large(x: Array, size: Array, scale: Array) -> Array:
            within = size <= goal + 50 * eps * scale * jnp.linalg.norm(x)
            return jnp.logical_not(within)

        def going(state: Any) -> Array:
            x, _, size, before, scale, k = state
            more = jnp.isfinite(size) & (size < 0.9 * before) & (k < 200)
            found: Array = large(x, size, scale) & more
            return found

        def move(state: Any) -> Any:
            x, r, size, _, scale, k = state
            more, stretch = method(times, r, goal / 2)
            x = x + more
            r = b - times(x)
            return x, r, jnp.linalg.norm(r), size, jnp.maximum(scale, stretch), k + 1

        size = jnp.linalg.norm(b)
        none = jnp.zeros_like(size)
        count = jnp.zeros((), int)
        start = (jnp.zeros_like(b), b, size, jnp.full_like(size, jnp.inf), none, count)
        x, _, size, _, scale, _ = jax.lax.while_loop(going, move, start)
        return jnp.where(large(x, size, scale), jnp.nan, x)

    solve = jax.lax.custom_linear_solve
    return shaped(solve(times, flat, solved, solved, symmetric=symmetric))


def _matrix(product: Callable[[PyTree], PyTree], b: PyTree) -> Array:
    """The matrix of an operator that is known by its products."""
    flat, shaped = _raveled(b)
    eye = jnp.eye(flat.size, dtype=flat.dtype)
    columns: Array = jax.vmap(lambda e: _raveled(product(shaped(e)))[0])(eye)
    return columns.T


def _entries(product: Callable[[PyTree], PyTree], like: PyTree) -> PyTree:
    """The diagonal of an operator on trees like this one, from its products."""
    flat, shaped = _raveled(like)

    def entry(i: Array) -> Array:
        e = jnp.zeros_like(flat).at[i].set(1)
        return _raveled(product(shaped(e)))[0][i]

    return shaped(jax.lax.map(entry, jnp.arange(flat.size)))


def _columns(matrix: Array, b: PyTree) -> tuple[Array, Callable[[Array], PyTree]]:
    """The columns of b, or its entries as one, and what gives them its shape."""
    if isinstance(b, Array) and b.ndim == 2 and b.size != len(matrix):
        return b, lambda x: x
    return ravel_pytree(b)


def _sound(x: Array, pivots: Array) -> Array:
    """The solution, NaN where a pivot is zero to rounding."""
    info: Any = jnp.finfo
    eps: float = info(pivots.dtype).eps
    fine = jnp.min(pivots) > pivots.size * eps * jnp.max(pivots)
    return jnp.where(fine, x, jnp.nan)


def _lu(matrix: Array, b: PyTree) -> PyTree:
    """The solution of matrix x = b; NaN where a pivot is zero to rounding."""
    flat, shaped = _columns(matrix, b)
    factors = jax.scipy.linalg.lu_factor(matrix)
    x = jax.scipy.linalg.lu_solve(factors, flat)
    return shaped(_sound(x, jnp.abs(jnp.diagonal(factors[0]))))


def _cholesky(matrix: Array, b: PyTree) -> PyTree:
    """The solution of matrix x = b, for a definite one; NaN for another."""
    sign = jnp.where(matrix[0, 0] < 0, -1, 1).astype(matrix.dtype)
    factor = jnp.linalg.cholesky(sign * matrix)
    flat, shaped = _columns(matrix, b)
    x = sign * jax.scipy.linalg.cho_solve((factor, True), flat)
    return shaped(_sound(x, jnp.diagonal(factor) ** 2))


def _woodbury(
    over: Callable[[PyTree], PyTree],
    lefts: list[PyTree],
    rights: list[PyTree],
    b: PyTree,
) -> PyTree:
    """The solution of D x + sum of left <right, x> = b, with the inverse of D given."""
    _, shaped = ravel_pytree(b)
    right = jnp.stack([ravel_pytree(v)[0] for v in rights])
    left = jnp.stack([ravel_pytree(over(v))[0] for v in lefts])
    x = ravel_pytree(over(b))[0]
    small = jnp.eye(len(lefts), dtype=x.dtype) + right @ left.T
    return shaped(x - _lu(small, right @ x) @ left)
