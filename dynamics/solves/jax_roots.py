"""Implicit functions where JAX traces: a loop that is compiled, and a derivative that does not go through it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from ..implicit.search import ROUNDED

Values: TypeAlias = tuple[Any, ...]
Flat: TypeAlias = Callable[[Any], Any]
_HALVINGS = 30
_CURVATURES = 16  # products with a Hessian in which negative curvature is looked for
_DENSE = 100  # unknowns up to which equations with the derivative are solved by a factorization


def traced_root(
    residual: Callable[[Values], Values],
    newton: Callable[[Values], Values],
    start: Values,
    bound: Any,
    most: Any,
    minimizes: bool = False,
) -> Values:
    """A zero of the residual by Newton's method, differentiable in all that the residual reads.

    Args:
        residual: F, of arrays.
        newton: J^-1 F.
        start: where the search begins; nothing is differentiated in it.
        bound: the length of the last step, relative to 1 + the length of the unknowns.
        most: the number of steps.
        minimizes: whether the residual is a gradient, which every step has to descend.

    Returns:
        the zero; NaN where the search fails.
    """
    newton = jax.jit(newton)  # in several loops, and traced once

    def search(zero_of: Flat, unravel: Any, u: Any) -> Any:
        step: Flat = lambda v: ravel_pytree(newton(unravel(v)))[0]
        return _search(zero_of, step, u, bound, most, minimizes)

    return _differentiated(residual, search, start)


def traced_steps(
    residual: Callable[[Values], Values],
    by: Any,
    start: Values,
    bound: Any,
    most: Any,
    minimizes: bool = False,
) -> Values:
    """The same by the steps of an inner method.

    Args:
        residual: F, of arrays.
        by: the steps, see `roots.Steps`.
        start, bound, most, minimizes: as for `traced_root`; the length is that of the step of all values that come to
            rest.

    Returns:
        the zero; NaN where the steps do not come to rest.
    """
    ahead_of, moving = jax.jit(by.ahead), by.moving

    def squares(values: Values) -> Any:
        return sum(jnp.sum(v**2) for v in values)

    def going(state: Any) -> Any:
        _, k, size, ended = state
        return (k < most) & ~ended & jnp.isfinite(size)

    def move(state: Any) -> Any:
        values, k, _, _ = state
        ahead = ahead_of(values)
        size = jnp.sqrt(squares(tuple(a - b for a, b in zip(ahead[:moving], values, strict=False))))
        short = size <= bound * (1 + jnp.sqrt(squares((by.output(ahead),))))
        return ahead, k + 1, size, short & jnp.isfinite(size)

    def search(zero_of: Flat, unravel: Any, u: Any) -> Any:
        begun = by.begun(unravel(u)[0])
        none = jnp.zeros((), u.dtype)
        values, _, _, good = jax.lax.while_loop(going, move, (begun, 0, none, none > 0))
        found = by.output(values).reshape(u.shape)
        if minimizes:
            good = good & ~_curves_down(lambda v: jax.jvp(zero_of, (found,), (v,))[1], found)
        return jnp.where(good, found, jnp.nan)

    return _differentiated(residual, search, start)


def _differentiated(
    residual: Callable[[Values], Values], search: Callable[[Flat, Any, Any], Any], start: Values
) -> Values:
    """What a search finds, with the derivative of a zero of the residual; the start has none."""
    residual = jax.jit(residual)
    flat, unravel = ravel_pytree(jax.lax.stop_gradient(start))

    def zero_of(u: Any) -> Any:
        return ravel_pytree(residual(unravel(u)))[0]

    def solve(_: Any, u: Any) -> Any:
        return jax.lax.stop_gradient(search(zero_of, unravel, u))

    found: Values = unravel(jax.lax.custom_root(zero_of, flat, solve, _linear))
    return found


def _search(zero_of: Any, newton: Any, u: Any, bound: Any, most: Any, minimizes: bool) -> Any:
    norm = jnp.linalg.norm

    def halved(u: Any, step: Any, left: Any) -> tuple[Any, Any]:
        def going(state: Any) -> Any:
            k, after = state
            return (k < _HALVINGS) & ~(after < left)

        def half(state: Any) -> Any:
            k = state[0] + 1
            return k, norm(zero_of(u - step * 0.5**k))

        k, after = jax.lax.while_loop(going, half, (0, norm(zero_of(u - step))))
        return u - step * 0.5**k, after

    def going(state: Any) -> Any:
        _, left, k, ended, _ = state
        return (k < most) & ~ended & (left > 0) & jnp.isfinite(left)

    def move(state: Any) -> Any:
        u, left, k, _, _ = state
        step = newton(u)
        small = norm(step) <= bound * (1 + norm(u))
        ahead, after = halved(u, step, left)
        better = after < left
        # no step makes it smaller, and this one is of the size of rounding
        rounded = ~better & (norm(step) <= float(ROUNDED) * (1 + norm(u)))
        stuck = ~(better | small | rounded) | (minimizes & (jnp.vdot(step, zero_of(u)) < 0))
        ended = small | rounded | stuck
        return jnp.where(better, ahead, u), jnp.where(better, after, left), k + 1, ended, stuck

    left = norm(zero_of(u))
    u, left, _, ended, stuck = jax.lax.while_loop(going, move, (u, left, 0, left == 0, left < 0))
    good = (ended | (left == 0)) & ~stuck & jnp.isfinite(left)
    if minimizes:
        good = good & ~_curves_down(lambda v: jax.jvp(zero_of, (u,), (v,))[1], u)
    return jnp.where(good, u, jnp.nan)


def _curves_down(product: Callable[[Any], Any], u: Any) -> Any:
    """Whether a symmetric operator has a direction of negative curvature in a Krylov space (Lanczos).

    Of few unknowns the whole spectrum is computed. A search that begins at a maximum, or at a saddle on a line of
    symmetry, takes no step that would have told.
    """
    if u.size <= _CURVATURES:
        return _below_zero(jax.vmap(product)(jnp.eye(u.size, dtype=u.dtype)))
    tiny = float(np.finfo(u.dtype).eps)

    def after(before: Any, size_before: Any, w: Any, size: Any) -> tuple[Any, Any, Any]:
        """What a product leaves along the last two directions, its length, and the curvature along the last."""
        over, over_before = (jnp.where(s > 0, 1 / s, 0.0) for s in (size, size_before))
        image = product(w)
        along = jnp.vdot(w, image) * over**2
        rest = image * over - w * (along * over) - before * (size * over_before)
        left = jnp.linalg.norm(rest)
        # where the space is whole what is left is rounding, and the rest of the matrix zero
        told = left > 1e3 * tiny * jnp.sqrt(
            along**2 + left**2 + jnp.where(over_before > 0, size, 0.0) ** 2
        )
        return jnp.where(told, rest, 0.0), jnp.where(told, left, 0.0), along

    def pair(state: Any, _: Any) -> Any:
        """Two products, after which either vector is where it was: each is overwritten in its place."""
        one, size_one, other, size_other = state
        one, size_one, first = after(one, size_one, other, size_other)
        other, size_other, second = after(other, size_other, one, size_one)
        found = jnp.stack([first, second]), jnp.stack([size_one, size_other])
        return (one, size_one, other, size_other), found

    seed = jnp.isnan(u[0]).astype(
        int
    )  # so that it is drawn after the search, and not kept in memory
    w = jax.random.normal(jax.random.key(seed), u.shape, u.dtype)
    begin = (0 * w, jnp.zeros((), u.dtype), w, jnp.linalg.norm(w))
    _, found = jax.lax.scan(pair, begin, length=_CURVATURES // 2)
    diagonal, beside = (part.reshape(-1) for part in found)
    small = jnp.diag(diagonal) + jnp.diag(beside[:-1], 1) + jnp.diag(beside[:-1], -1)
    return _below_zero(small)


def _below_zero(matrix: Any) -> Any:
    """Whether a symmetric matrix has a negative eigenvalue, beyond rounding."""
    curvatures = jnp.linalg.eigvalsh((matrix + matrix.T) / 2)
    tiny = float(np.finfo(matrix.dtype).eps)
    return curvatures[0] < -jnp.sqrt(tiny) * jnp.max(jnp.abs(curvatures))


def _linear(product: Callable[[Any], Any], right: Any) -> Any:
    """The solution of the derivative's equation, in either direction of differentiation."""
    if right.size <= _DENSE:
        matrix = jax.jacobian(product)(jnp.zeros_like(right))
        return jnp.linalg.solve(matrix, right)
    krylov = partial(jax.scipy.sparse.linalg.gmres, tol=1e-12, atol=0.0, restart=60, maxiter=60)

    def solve(of: Callable[[Any], Any], b: Any) -> Any:
        return krylov(of, b)[0]

    return jax.lax.custom_linear_solve(product, right, solve, transpose_solve=solve)
