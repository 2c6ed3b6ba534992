"""Functions that a method does not minimize: cycles on roots of unity (Goujaud, Taylor, Dieuleveut, arXiv:2307.11291).

The condition stands in `circle`; here it is put to a method for all periods and winding numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from ...._support.errors import OdescentError
from ..checking.checker import ONE, Refused, within
from ..methods.modes import characteristic, modal, radius, transfer
from ..methods.plant import Method, Plant, read, to_floats
from .circle import sequences, signs

if TYPE_CHECKING:
    from ....dynamics import Objective

_MOST = 60  # the longest period that is tried


@dataclass(frozen=True, eq=False)
class Cycle:
    """A function in F(mu, L) on which a method runs around K points of a circle for ever.

    f(x) = L/2 |x|^2 - (L - mu)/2 dist(x, conv vertices)^2 in the plane, with minimizer 0.

    Attributes:
        period, winding: K points, m times around.
        mu, L: the class.
        points: where the gradients are taken, one period, on the unit circle.
        gradients: of f there.
        states: of the method, by time and entry.
        vertices: of the polygon in f; the one nearest to each point.
        strict: whether the interpolation inequalities hold strictly: then f has the curvature mu in all
            directions near the points. Without, the points lie where two curvatures meet.
        plant: the method.
    """

    period: int
    winding: int
    mu: float
    L: float
    points: Float[np.ndarray, "K 2"]
    gradients: Float[np.ndarray, "K 2"]
    states: Float[np.ndarray, "K n 2"]
    vertices: Float[np.ndarray, "K 2"]
    strict: bool
    plant: Plant = field(repr=False)

    @cached_property
    def objective(self) -> Objective:
        """The function f, with value and gradient, mu and L as they were given."""
        from ....dynamics.problems.smoothed_support import smoothed_support

        return smoothed_support(self.vertices, self.plant.mu, self.plant.L)

    @cached_property
    def multiplier(self) -> float | None:
        """The factor by which the slowest deviation from the cycle grows in one period; None if not strict.

        Near a strict cycle the method is the one on the quadratic of curvature mu, whose slowest pole has this
        modulus to the power K.
        """
        if not self.strict:
            return None
        mode = radius(self.plant, self.plant.mu)
        return float(mode.low if mode.exact is None else mode.exact) ** self.period

    @cached_property
    def stable(self) -> bool | None:
        """Whether the cycle attracts what starts near it; decided exactly, None if the cycle is not strict."""
        if not self.strict:
            return None
        at_mu = self.plant.number(self.plant.mu)
        return within(characteristic(modal(self.plant, at_mu)), ONE, strict=True)

    def follow(self, steps: int, state: Any = None) -> Float[np.ndarray, "k 2"]:
        """The gradient points of the method on `objective`, shape (steps + 1, 2).

        Args:
            steps: how many, at least 0.
            state: where it starts, shape (n, 2), in the coordinates of `states`; on the cycle by default.
        """
        import jax
        import jax.numpy as jnp

        with jax.enable_x64(True):
            A, B, C, D = (jnp.asarray(m) for m in self.plant.floats())
            if D.any():
                raise OdescentError("an implicit method is not followed here: run the algorithm.")
            start = jnp.asarray(self.states[0] if state is None else state, dtype=float)

            def step(s: Any, _: None) -> tuple[Any, Any]:
                point = (C @ s)[0]
                return A @ s + B @ self.objective.grad(point)[None], point

            points: Float[np.ndarray, "k 2"] = np.asarray(
                jax.lax.scan(step, start, None, length=steps + 1)[1]
            )
        return points

    def __str__(self) -> str:
        turns = "" if self.winding == 1 else f" with winding number {self.winding}"
        x, y = self.vertices[0]
        return (
            f"it runs for ever around a cycle of period {self.period}{turns} on "
            f"f(x) = {self.L:g}/2 |x|^2 - {self.L - self.mu:g}/2 dist(x, P)^2 in the plane, P the regular polygon "
            f"with {self.period} corners around 0 of which one is ({x:.12g}, {y:.12g})"
        )


def counterexample(algorithm: Method, mu: object, L: object, periods: int = _MOST) -> Cycle | None:
    """The cycle on roots of unity with the shortest period, with proof; None if there is none up to ``periods``.

    Args:
        algorithm: as for `certify`, with one gradient per step.
        mu, L: the class, 0 <= mu < L.
        periods: the longest period, at least 2.

    Raises:
        OdescentError: input outside its domain.
    """
    return next(roots_of_unity(algorithm, mu, L, periods), None)


def roots_of_unity(
    algorithm: Method, mu: object, L: object, periods: int = _MOST
) -> Iterator[Cycle]:
    """All such cycles, by period and winding number; see `counterexample`."""
    return found_by(read(algorithm, mu, L), check_periods(periods))


def check_periods(periods: object) -> int:
    """The longest period to try; OdescentError unless it is a whole number of at least 2."""
    if type(periods) is not int or periods < 2:
        raise OdescentError(f"periods must be a whole number of at least 2, not {periods!r}.")
    return periods


def windings(periods: int, shortest: int = 2) -> list[tuple[int, int]]:
    """Periods K and winding numbers m that are coprime, 1 <= m <= K/2 (the others are mirror images)."""
    return [
        (K, m)
        for K in range(shortest, periods + 1)
        for m in range(1, K // 2 + 1)
        if math.gcd(K, m) == 1
    ]


def found_by(plant: Plant, periods: int = _MOST) -> Iterator[Cycle]:
    """The same for a method that was read already."""
    if len(plant.D) != 1 or not plant.mu < plant.L:
        return
    top, bottom = transfer(plant)
    tried = windings(periods)
    around = np.exp(2j * math.pi * np.array([m / K for K, m in tried]))
    over, under = (np.polyval(to_floats(poly), around) for poly in (top, bottom))
    even, odd = sequences(top, bottom, plant.number(plant.mu), plant.number(plant.L))
    powers = around[:, None] ** np.arange(len(bottom))
    cot = 1 / np.tan([math.pi / K for K, _ in tried])
    level, slant = to_floats(even), to_floats(odd)
    margin = powers.real @ level - np.abs(powers[:, 1:].imag @ slant) * cot
    likely = margin > -1e-10 * (np.abs(level).sum() + cot * np.abs(slant).sum())
    moves = float(plant.L) * np.abs(over) > 1e-12 * np.abs(under)  # H has the unit of 1 / L
    for at in np.flatnonzero(likely & moves):
        try:
            least = min(signs(even, odd, *tried[at], plant.exact))
        except Refused:  # only for enclosures, at the edge
            continue
        if least >= 0:
            yield _cycle(
                plant, complex(around[at]), complex(under[at] / over[at]), *tried[at], least > 0
            )


def _cycle(plant: Plant, around: complex, gradient: complex, K: int, m: int, strict: bool) -> Cycle:
    A, B, _, _ = plant.floats()
    state = np.linalg.solve(around * np.eye(len(A)) - A, B[:, 0] * gradient)
    turn = around ** np.arange(K)
    mu, L = float(plant.mu), float(plant.L)
    return Cycle(
        K, m, mu, L, _plane(turn), _plane(gradient * turn), _plane(turn[:, None] * state),
        _plane((gradient - mu) / (L - mu) * turn), strict, plant,
    )  # fmt: skip


def _plane(z: Any) -> Float[np.ndarray, "*n 2"]:
    """Complex numbers as points of the plane."""
    return np.stack([np.real(z), np.imag(z)], axis=-1)
