"""Consensus-based optimization on a hard function, where gradient descent stops in the wrong valley.

    python examples/consensus_hard_function.py

Problem: the canyon of Riedl, Klock, Geldhauser and Fornasier (arXiv:2306.09778): a winding valley in the plane with
ripples, many local minima, and a step across its floor; the minimizer is (0, 0). The particles know values only.

Claim: from a box around the valley the particles find the minimizer. Gradient descent from (8, 8), which the paper
starts at, ends more than two units away. The value is the distance of the best point found, the theory is 0.
"""

from __future__ import annotations

import numpy as np

import odescent as od


def main() -> tuple[float, float]:
    """Minimize by values and by gradients; returns the distance of the particles' best point, and 0."""
    canyon = od.objective("grand_canyon")

    step = od.parameters("h")
    descent = od.Algorithm(od.system("gradient_flow"), od.scheme("explicit_euler"), step=step)
    path = np.asarray(descent.run(canyon, np.array([8.0, 8.0]), 10_000, h=1e-3).x)
    print(
        f"gradient descent ends at {path[-1].round(3)}, value {float(canyon.value(path[-1])):.3f}"
    )
    assert np.linalg.norm(path[-1]) > 2

    found = od.minimize(canyon, [(-2, 8), (-2, 8)], runs=8, seed=0)
    arrived = int((np.linalg.norm(found.xs, axis=1) < 0.1).sum())
    print(found)
    print(f"{arrived} of {len(found.funs)} searches arrive")
    return float(np.linalg.norm(found.x)), 0.0


if __name__ == "__main__":
    main()
