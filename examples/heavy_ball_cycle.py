"""Heavy ball, tuned for quadratics, cycles forever; Nesterov's method on the same function does not.

    python examples/heavy_ball_cycle.py

Problem: Polyak's tuning is the fastest on quadratics in F(mu, L). Over all of F(mu, L) it has a cycle of period 3
from a condition number on, on a function that is built here (Goujaud, Taylor, Dieuleveut, arXiv:2307.11291).

Claim: that condition number is 9 + 4 sqrt(5) = 17.944...; below it, at 17, convergence is proved. The value is the
threshold that the engine finds, the theory is that number.
"""

from __future__ import annotations

import numpy as np

import odescent as od


def main(steps: int = 3000) -> tuple[float, float]:
    """Find the threshold, run around the cycle, and certify below; returns (threshold, 9 + 4 sqrt(5))."""
    threshold = od.analysis.cycle_threshold("heavy_ball", period=3)
    print(f"heavy ball cycles from kappa = {threshold} = {float(threshold):.6f} on")

    cycle = next(c for c in od.analysis.cycles("heavy_ball", 1, 25) if c.period == 3)
    path = cycle.follow(steps)
    away = float(np.abs(np.linalg.norm(path, axis=1) - 1).max())
    print(
        f"kappa = 25, on {cycle.objective.name}: the iterates stay on the unit circle for {steps} steps, to {away:.0e}"
    )
    assert away < 1e-9

    far = 30 * np.asarray(
        cycle.points[0]
    )  # near the minimizer the function is a ball, which takes two steps
    other = od.algorithm("nesterov").run(cycle.objective, far, 300)
    close = np.linalg.norm(np.asarray(other.x), axis=1) < 1e-9
    assert close[-1]
    arrived = int(np.flatnonzero(~close)[-1]) + 1
    print(
        f"Nesterov's method, from 30 times as far, is within 1e-9 of the minimizer from step {arrived} on"
    )

    certificate = od.analysis.certify(od.algorithm("heavy_ball"), 1, 17)
    print(f"kappa = 17: {certificate}")
    assert certificate.rate < 1 and certificate.verify()
    return float(threshold), 9 + 4 * 5**0.5


if __name__ == "__main__":
    main()
