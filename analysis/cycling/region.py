"""The region of step and momentum in which a method cycles on F(mu, L), as data that can be drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from ..._support.errors import OdescentError
from ..._support.rendering.drawable import drawn
from ..._support.rendering.rendered import Rendered
from ..certificates.lower_bounds.cycle import check_periods, sequences, windings
from ..certificates.searching.least import has_rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Grid = Float[np.ndarray, "betas alphas"]


@dataclass(frozen=True, eq=False)
class CycleRegion(Rendered):
    """A map of xi+ = (1 + beta) xi - beta xi_- - alpha grad f((1 + gamma) xi - gamma xi_-) over F(mu, L).

    In floats, for pictures: at a point of the grid, `cycles` decides without doubt.

    Attributes:
        mu, L, gamma: the class, and what is fixed.
        alpha: steps, shape (alphas,).
        beta: momenta, shape (betas,).
        period: the shortest period of a cycle on roots of unity, 0 where there is none up to `periods`.
        winding: its winding number, 0 where there is none.
        margin: the largest of the conditions over all periods and winding numbers, each divided by the sum of its
            terms' sizes: positive where there is a cycle, at most 1.
        stability: positive where the method converges on all quadratics in the class: the least slack in the
            stability conditions at mu and L.
        certified: whether a Lyapunov function proves convergence on the class, on a coarser grid of
            `certified_alpha` and `certified_beta` (by a solver's word: `certify` proves it).
        periods: the longest period that was tried.
    """

    mu: float
    L: float
    gamma: float
    alpha: Float[np.ndarray, " alphas"]
    beta: Float[np.ndarray, " betas"]
    period: Int[np.ndarray, "betas alphas"]
    winding: Int[np.ndarray, "betas alphas"]
    margin: Grid
    stability: Grid
    certified_alpha: Float[np.ndarray, " _"]
    certified_beta: Float[np.ndarray, " _"]
    certified: Bool[np.ndarray, "_ _"]
    periods: int

    def __str__(self) -> str:
        low, high = (f"({b[0]:.4g}, {b[-1]:.4g})" for b in (self.alpha, self.beta))
        return (
            f"cycles over F({self.mu:.6g}, {self.L:.6g}), gamma = {self.gamma:.6g}, on {self.period.size} points\n"
            f"  steps alpha in {low}, momenta beta in {high}, periods up to {self.periods}\n"
            f"  a cycle at {np.mean(self.period > 0):.1%} of the points; convergence on quadratics at "
            f"{np.mean(self.quadratics):.1%}"
        )

    @property
    def quadratics(self) -> Bool[np.ndarray, "betas alphas"]:
        """Whether the method converges on all quadratics in the class."""
        return self.stability > 0

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the map: cycles by period, what is certified, and Polyak's tuning."""
        return drawn(self, ax)


def cycle_region(
    mu: float = 1.0,
    L: float = 25.0,
    gamma: float = 0.0,
    resolution: int = 200,
    periods: int = 25,
    certified: int = 0,
) -> CycleRegion:
    """The shortest cycle for each step in (0, 4/L) and momentum in (0, 1), all points at once.

    Args:
        mu, L: the class, 0 <= mu < L.
        gamma: the look-ahead; 0 for heavy ball.
        resolution: points along each axis, at least 2; the middles of so many cells.
        periods: the longest period that is tried.
        certified: points along each axis of the grid of Lyapunov functions; 0 for none. About 2 ms a point.

    Raises:
        OdescentError: input outside its domain.
    """
    if not (0 <= mu < L < np.inf and np.isfinite(gamma)):
        raise OdescentError(f"a region needs 0 <= mu < L and a finite gamma, not {mu}, {L}, {gamma}.")  # fmt: skip
    if resolution < 2 or certified < 0:
        raise OdescentError(
            f"a region must have at least 2 points along each axis, and 0 or more to certify, not {resolution} and "
            f"{certified}."
        )
    check_periods(periods)
    steps, momenta = _axis(4 / L, resolution), _axis(1.0, resolution)
    alpha, beta = np.meshgrid(steps, momenta)
    zero, one = np.zeros_like(alpha), np.ones_like(alpha)
    bottom = [one, -(1 + beta), beta]
    even, odd = sequences([zero, -alpha * (1 + gamma), alpha * gamma], bottom, mu, L)
    period, winding = np.zeros(alpha.shape, int), np.zeros(alpha.shape, int)
    margin = np.full(alpha.shape, -np.inf)
    for K, m in windings(periods):
        theta, cot = 2 * np.pi * m / K, 1 / np.tan(np.pi / K)
        level = sum(c * np.cos(l * theta) for l, c in enumerate(even))
        slant = sum(c * np.sin(l * theta) for l, c in enumerate(odd, 1))
        size = sum(np.abs(c) for c in even) + cot * sum(np.abs(c) for c in odd)
        here = (level - cot * np.abs(slant)) / size
        new = (here >= 0) & (period == 0)
        period[new], winding[new] = K, m
        margin = np.maximum(margin, here)
    some, few = _axis(4 / L, certified), _axis(1.0, certified)
    return CycleRegion(
        mu, L, gamma, steps, momenta, period, winding, margin, _stability(alpha, beta, gamma, mu, L),
        some, few, _certified(some, few, gamma, mu, L), periods,
    )  # fmt: skip


def _axis(top: float, n: int) -> Float[np.ndarray, " _"]:
    return top * (np.arange(n) + 0.5) / max(n, 1)


def _stability(alpha: Grid, beta: Grid, gamma: float, mu: float, L: float) -> Grid:
    """The slack with which both roots of z^2 - trace z + det are inside (Jury); linear in the curvature."""
    least = np.full(alpha.shape, np.inf)
    for lam in (mu, L):
        trace, det = 1 + beta - alpha * lam * (1 + gamma), beta - alpha * lam * gamma
        least = np.minimum(least, np.minimum(1 - np.abs(det), 1 + det - np.abs(trace)))
    return least


def _certified(
    steps: Float[np.ndarray, " _"], momenta: Float[np.ndarray, " _"], gamma: float, mu: float, L: float,
) -> Bool[np.ndarray, "_ _"]:  # fmt: skip
    found = np.zeros((len(momenta), len(steps)), bool)
    if mu == 0:
        return found
    alpha, beta = np.meshgrid(steps, momenta)
    stable = _stability(alpha, beta, gamma, mu, L) > 0
    for i, j in np.argwhere(stable).tolist():
        method = {"alpha": alpha[i, j], "beta": beta[i, j], "gamma": gamma}
        found[i, j] = has_rate(method, mu, L, 2, 1e-6)
    return found
