"""The function of x alone where the lower level's minimizer is sought in a closed convex set, with its gradient."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .levels import Levels, Projection

gmres: Any = jax.scipy.sparse.linalg.gmres
vjp: Any = jax.vjp
_MOST = 20_000  # steps of a lower search
_ADJOINT = 1e-10  # relative residual of the adjoint equation
_GROWTH, _EASE = 2.0, 0.9  # of the curvature that a step is made for


class Constrained:
    """What `Reduced` is without constraints, from the same arguments and the projection of y on a set.

    "implicit" differentiates the equation y = P(y - t G_y(x, y)) of the minimizer: where the faces on which it lies do
    not change, that is its derivative. "penalty" needs first derivatives alone, by Danskin's theorem.

    Args:
        method: "implicit" or "penalty".
        levels: both levels.
        sigma: the small parameter of the penalty.
        tolerance: of the lower searches: the length of their last step relative to 1 + that of y.
        project: the projection of y.
    """

    mu = None  # a bound on the distance to the minimizer is not known from the length of a projected step
    failure = (
        f"the lower search by projected gradients does not come to rest in {_MOST} steps: make the lower level convex "
        "in y, with a gradient that is defined on the set, or begin elsewhere."
    )

    def __init__(
        self, method: str, levels: Levels, sigma: float, tolerance: float, project: Projection
    ) -> None:
        self._at, self._numbers = _program(method, levels, project).at, (sigma, tolerance)
        self.fast = ("y",) if method == "implicit" else ("y", "z")

    def __call__(self, x: Any, guess: tuple[Any, ...]) -> dict[str, Any]:
        """Values at x, from a guess of the lower minimizers."""
        return dict(self._at(x, guess, *self._numbers))


class _InSet:
    """What is compiled for levels and a set, for every sigma and tolerance."""

    def __init__(self, method: str, levels: Levels, project: Projection) -> None:
        self.o, self.project = levels.oracles, project
        self.at = jax.jit(self._implicit if method == "implicit" else self._penalty)

    def _implicit(self, x: Any, guess: tuple[Any, ...], _: Any, tolerance: Any) -> dict[str, Any]:
        o = self.o
        lower: Any = o["grad_G_y"]
        y, step, residual = self._least(lambda y: lower(x, y), guess[0], tolerance)
        value, slope_x, slope_y = (o[n](x, y) for n in ("value_F", "grad_F_x", "grad_F_y"))
        moved, pull = vjp(lambda x, y: self.project(y - step * lower(x, y)), x, y)
        equation: Any = lambda v: v - pull(v)[1]
        adjoint, _ = gmres(equation, slope_y, tol=_ADJOINT, restart=min(y.size, 60), maxiter=60)
        left = jnp.linalg.norm(equation(adjoint) - slope_y)
        solved = left <= 1e3 * _ADJOINT * (1e-300 + jnp.linalg.norm(slope_y))
        return {
            # what the search leaves of y changes the value, to first order, by its product with the adjoint
            "value": value + jnp.where(solved, jnp.vdot(adjoint, moved - y), 0.0),
            "gradient": jnp.where(solved, slope_x + pull(adjoint)[0], jnp.nan),
            "fast": (y,),
            "residual": residual,
            "upper": value,
        }

    def _penalty(self, x: Any, guess: tuple[Any, ...], s: Any, tolerance: Any) -> dict[str, Any]:
        o = self.o
        both = lambda y: s * o["grad_F_y"](x, y) + o["grad_G_y"](x, y)
        y, _, one = self._least(both, guess[0], tolerance)
        z, _, other = self._least(lambda z: o["grad_G_y"](x, z), guess[1], tolerance)
        upper = o["value_F"](x, y)
        return {
            "value": upper + (o["value_G"](x, y) - o["value_G"](x, z)) / s,
            "gradient": o["grad_F_x"](x, y) + (o["grad_G_x"](x, y) - o["grad_G_x"](x, z)) / s,
            "fast": (y, z),
            "residual": jnp.hypot(one, other),
            "upper": upper,
        }

    def _least(
        self, gradient: Callable[[Any], Any], guess: Any, tolerance: Any
    ) -> tuple[Any, Any, Any]:
        """The minimizer in the set, the step that fits its curvature, and the length of a step of size one from it.

        Accelerated projected gradients (Beck and Teboulle, doi:10.1137/080716542) whose memory is dropped where they
        turn back (O'Donoghue and Candes, doi:10.1007/s10208-013-9150-3); the length is NaN where they do not end.
        """

        def going(state: Any) -> Any:
            y, _, _, _, last, n = state
            ended = last <= tolerance * (1 + jnp.linalg.norm(y))
            return jnp.logical_not(ended) & (n < _MOST) & jnp.isfinite(last + jnp.sum(y))

        def move(state: Any) -> Any:
            y, ahead, t, curvature, last, n = state
            slope = gradient(ahead)
            new = self.project(ahead - slope / curvature)
            gone = new - ahead
            bent = jnp.vdot(gradient(new) - slope, gone)
            small = 1e-14 * (1 + jnp.linalg.norm(ahead)) >= jnp.linalg.norm(gone)
            fits = (bent <= curvature * jnp.vdot(gone, gone)) | small
            back = jnp.vdot(ahead - new, new - y) > 0
            later = jnp.where(back, 1.0, (1 + jnp.sqrt(1 + 4 * t**2)) / 2)
            lead = jnp.where(back, 0.0, (t - 1) / later)
            taken = (new, new + lead * (new - y), later, _EASE * curvature, jnp.linalg.norm(gone))
            tried = (y, ahead, t, _GROWTH * curvature, last)
            kept = [jnp.where(fits, a, b) for a, b in zip(taken, tried, strict=True)]
            return (*kept, n + 1)

        one = jnp.ones(())
        begin = self.project(guess)
        state = (begin, begin, one, one, jnp.full((), np.finfo(float).max), jnp.zeros((), int))
        y, _, _, curvature, last, _ = jax.lax.while_loop(going, move, state)
        ended = (last <= tolerance * (1 + jnp.linalg.norm(y))) & jnp.isfinite(jnp.sum(y))
        residual = jnp.linalg.norm(y - self.project(y - gradient(y)))
        return y, 1 / curvature, jnp.where(ended, residual, jnp.nan)


_program = lru_cache(maxsize=8)(_InSet)
