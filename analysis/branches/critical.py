"""Equations of equilibria and fixed points, and the extended systems of their special points.

With G(u, p) = 0 (velocities, or F^k(u) - u for maps) and A = G_u, a special point also has a null vector v:

- fold: A v = 0;
- branch point: A' w = 0, w G_p = 0, with G + b w = 0, where b = 0 unless it is unfolded (G. Moore,
  Numerical Functional Analysis and Optimization 2 (1980), doi:10.1080/01630568008816070);
- Hopf: (A^2 + k) v = 0 with k = frequency^2; Neimark-Sacker: (M^2 - 2 k M + 1) v = 0 with M = 1 + A, k = cos angle
  (Govaerts, 2000, doi:10.1137/1.9780898719543); the plane of solutions is cut by a fixed vector;
- period doubling: (M + 1) v = 0.

Each is regular at a generic point, so that Newton's method finds it and a second parameter continues it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .curve import CurvePoint, Vector, Zero
from .field import ParametricField, along

ZERO, FOLD, BRANCH, HOPF, FLIP, TORUS = (
    "zero", "fold", "branch point", "Hopf", "period doubling", "Neimark-Sacker"
)  # fmt: skip
_CUT = (HOPF, TORUS)  # of which the critical space is a plane


def equations(zero: Callable[[Any, Any], Any], kind: str) -> Callable[..., Any]:
    """The equations of a kind of point: (unknowns, parameters, reference) to residuals.

    Args:
        zero: G.
        kind: "zero" (G = 0 alone), or a special point.
    """

    def plain(z: Any, values: Any, cut: Any) -> Any:
        return zero(z, values)

    def critical(z: Any, values: Any, cut: Any) -> Any:
        n = len(cut)
        u, v = z[:n], z[n : 2 * n]
        g: Callable[[Any], Any] = lambda x: zero(x, values)
        slope: Callable[[Any], Any] = lambda w: along(g, u, w)
        unit = v @ v - 1.0
        if kind == FOLD:
            return jnp.concatenate([g(u), slope(v), unit[None]])
        if kind == FLIP:
            return jnp.concatenate([g(u), slope(v) + 2.0 * v, unit[None]])
        k = z[2 * n]
        first = slope(v)
        if kind == HOPF:
            twice = slope(first) + k * v
        else:  # M^2 - 2 k M + 1 in A = M - 1
            twice = slope(first) + (2.0 - 2.0 * k) * (first + v)
        return jnp.concatenate([g(u), twice, jnp.stack([unit, cut @ v])])

    def branch(z: Any, values: Any, cut: Any, active: Any) -> Any:
        n = len(cut)
        u, w, b = z[:n], z[n : 2 * n], z[2 * n]
        back = jax.vjp(lambda x, q: zero(x, values.at[active].set(q)), u, values[active])[1]
        on_state, on_parameter = back(w)
        return jnp.concatenate(
            [zero(u, values) + b * w, on_state, jnp.stack([on_parameter, w @ w - 1.0])]
        )

    return plain if kind == ZERO else branch if kind == BRANCH else critical


@lru_cache(maxsize=128)
def compiled(zero: Callable[[Any, Any], Any], kind: str) -> Callable[..., Any]:
    """The equations of a kind with their derivative: (unknowns, parameters, numbers of the free ones, cut) to both."""
    system = equations(zero, kind)

    def whole(y: Any, values: Any, active: Any, cut: Any) -> Any:
        n = len(y) - len(active)
        values = values.at[active].set(y[n:])
        extra = (active[0],) if kind == BRANCH else ()
        return system(y[:n], values, cut, *extra)

    def both(y: Any, values: Any, active: Any, cut: Any) -> Any:
        return whole(y, values, active, cut), jax.jacfwd(whole)(y, values, active, cut)

    return jax.jit(both)


@dataclass(frozen=True, eq=False)
class StationaryProblem:
    """Equilibria of a field, or the points of a period of a map.

    Attributes:
        field: the field.
        period: of the map, 1 for flows.
        values: all parameters, shape (m,).
    """

    field: ParametricField
    zero: Callable[[Any, Any], Any]
    period: int
    values: Float[np.ndarray, " m"]

    @classmethod
    def of(cls, field: ParametricField, period: int, values: np.ndarray) -> StationaryProblem:
        """The problem of a field; equal ones share their compiled code."""
        return cls(field, _zero(field, period), period, values)

    def system(self, kind: str, intervals: Mapping[int, tuple[float, float]], cut: Vector) -> Zero:
        """The equations of a kind of point in the state, its null vector and the parameters that are free.

        Args:
            kind: of `equations`.
            intervals: of the free parameters, by their numbers.
            cut: a vector of the critical plane across the null vector; shape (n,), zeros if there is no plane.
        """
        return CriticalSystem(self, kind, dict(intervals), cut).zero()


@lru_cache(maxsize=128)
def _zero(field: ParametricField, period: int) -> Callable[[Any, Any], Any]:
    return field.zero(period)


class CriticalSystem:
    """The equations of one kind of point, and the vector to which they refer."""

    def __init__(
        self,
        problem: StationaryProblem,
        kind: str,
        intervals: dict[int, tuple[float, float]],
        cut: Vector,
    ) -> None:
        self.problem, self.kind, self.intervals, self.cut = problem, kind, intervals, cut
        self._evaluate = compiled(problem.zero, kind)
        self._active = np.array(list(intervals))

    def __call__(self, y: Vector) -> tuple[np.ndarray, np.ndarray]:
        value, slope = self._evaluate(y, self.problem.values, self._active, self.cut)
        return np.asarray(value), np.asarray(slope)

    def weights(self, y: Vector) -> Vector:
        """States and scalars count in units of their size, at least 1; parameters in those of their intervals."""
        n, free = len(self.cut), len(self.intervals)
        made = np.ones(len(y))
        made[:n] = 1 / max(1.0, float(np.abs(y[:n]).max()))
        if self.kind in _CUT:
            made[2 * n] = 1 / max(1.0, abs(float(y[2 * n])))
        made[-free:] = [1 / (high - low) for low, high in self.intervals.values()]
        return made

    def refresh(self, here: CurvePoint) -> CurvePoint:
        """Turn the cut with the critical plane."""
        if self.kind in _CUT:
            n = len(self.cut)
            self.cut = across(self.problem, self.kind, here.y, list(self.intervals), n)
        return here

    def zero(self) -> Zero:
        """As equations of a curve."""
        last = dict(zip(range(-len(self.intervals), 0), self.intervals, strict=True))
        field = self.problem.field
        return Zero(
            self, self.weights, {i: self.intervals[number] for i, number in last.items()},
            {i: field.names[number] for i, number in last.items()},
            {i: field.units.value for i, number in last.items() if number == field.units.active},
            field.units.state, self.refresh,
        )  # fmt: skip


def across(problem: StationaryProblem, kind: str, y: Vector, active: list[int], n: int) -> Vector:
    """The unit vector of the critical plane that is orthogonal to the null vector in it."""
    values = problem.values.copy()
    values[active] = y[len(y) - len(active) :]
    slope = slope_of(problem, y[:n], values)
    k, v = float(y[2 * n]), y[n : 2 * n]
    return second(slope, kind, k, v)


def second(slope: np.ndarray, kind: str, k: float, v: Vector) -> Vector:
    """Of the plane of solutions of the quadratic equation in A, the unit vector across v.

    Args:
        slope: A, shape (n, n).
        kind: Hopf or Neimark-Sacker.
        k: the squared frequency, or the cosine of the angle.
        v: in the plane.
    """
    e = np.eye(len(slope))
    if kind == HOPF:
        matrix = slope @ slope + k * e
    else:
        matrix = (slope + e) @ (slope + e) - 2 * k * (slope + e) + e
    plane = np.linalg.svd(matrix)[2][-2:]
    inside = plane @ (v / np.linalg.norm(v))
    made: Vector = np.array([-inside[1], inside[0]]) @ plane
    made /= np.linalg.norm(made)
    return made


def value_and_slope(
    problem: StationaryProblem, u: Vector, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """G, shape (n,), and A = G_u, shape (n, n)."""
    y, first = np.append(u, values[0]), np.zeros(1, int)
    value, slope = compiled(problem.zero, ZERO)(y, values, first, np.zeros(len(u)))
    return np.asarray(value), np.asarray(slope)[:, :-1]


def slope_of(problem: StationaryProblem, u: Vector, values: np.ndarray) -> np.ndarray:
    """A = G_u, shape (n, n)."""
    return value_and_slope(problem, u, values)[1]


__all__ = [
    "BRANCH",
    "FLIP",
    "FOLD",
    "HOPF",
    "TORUS",
    "ZERO",
    "CriticalSystem",
    "StationaryProblem",
    "across",
    "compiled",
    "second",
    "slope_of",
    "value_and_slope",
]
