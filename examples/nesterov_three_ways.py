"""Nesterov's method three ways: from passivity and immersion, from a lower model, from wanted poles.

    python examples/nesterov_three_ways.py

Problem: minimize f that is mu-strongly convex with L-Lipschitz gradient. Each way ends in an algorithm; the engine
proves that the first two are one method, and that the third has the coefficients of the textbook.

Claim: all three are Nesterov's constant-momentum scheme, x+ = y - grad f(y) / L, y+ = x+ + beta (x+ - x) with
beta = (1 - q) / (1 + q), q = sqrt(mu / L) (Nesterov, Lectures on Convex Optimization, 2018, 2.2.22,
doi:10.1007/978-3-319-91578-4). The value is the largest difference from it over 60 steps; the theory is 0.
"""

from __future__ import annotations

import numpy as np
import sympy as sp

import odescent as od
from odescent.dynamics import L, mu

MU, SMOOTH = 1, 50


def textbook(x0: np.ndarray, curvatures: np.ndarray, steps: int) -> np.ndarray:
    """The scheme as the book has it, on f(x) = sum_i curvatures_i x_i^2 / 2; shape (steps + 1, n)."""
    q = (MU / SMOOTH) ** 0.5
    beta = (1 - q) / (1 + q)
    x = y = x0
    xs = [x0]
    for _ in range(steps):
        following = y - curvatures * y / SMOOTH
        x, y = following, following + beta * (following - x)
        xs.append(x)
    return np.array(xs)


def main(steps: int = 60) -> tuple[float, float]:
    """Construct the method three ways; returns the largest difference from the textbook, and the theory's 0."""
    by_immersion = od.derive("nesterov", route="immersion")
    by_model = od.derive("nesterov", route="model")
    for derivation in (by_immersion, by_model):
        assert derivation.verified
        print(f"{derivation.name} by {derivation.route}: {len(derivation.steps)} steps, all proved")
    same = by_immersion.algorithm.equivalent(by_model.algorithm)
    print(f"that the two algorithms are one: {same.verdict}")
    assert same

    # two equal poles 1 - q at the mode mu, and one at 0 at the mode L: the placement has one solution
    rho = 1 - sp.sqrt(mu / L)
    placed = od.place_poles({"mu": (rho, rho), "L": (0,)})
    algorithms = [by_immersion.algorithm, by_model.algorithm, *placed.algorithms]
    assert len(algorithms) == 3

    curvatures = np.geomspace(MU, SMOOTH, 12)
    quadratic = od.objective("quadratic", eigenvalues=tuple(curvatures))
    x0 = np.linspace(1, 2, 12)
    expected = textbook(x0, curvatures, steps)
    worst = 0.0
    for algorithm in algorithms:
        states = algorithm.run(quadratic, x0, steps)
        found = np.asarray(states.states.get("xi", states.x))
        worst = max(worst, float(np.abs(found - expected).max()))
    print(f"largest difference from the textbook over {steps} steps: {worst:.1e}")
    return worst, 0.0


if __name__ == "__main__":
    main()
