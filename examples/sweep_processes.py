"""A sweep over many processes that resumes where it stopped.

    python examples/sweep_processes.py

Problem: how fast do two methods contract on quadratics, over a grid of condition numbers? Each point of the grid is
a job of its own; results are files, so a killed run can be resumed, and any executor can be used: processes here,
Dask or MPI on a cluster.

Claim: Nesterov's method contracts by 1 - 1 / sqrt(kappa) per step on quadratics, heavy ball by
(sqrt(kappa) - 1) / (sqrt(kappa) + 1) (Lessard, Recht, Packard, 2016, arXiv:1408.3595, table 1). The value is the
largest distance from that over the grid, the theory is 0 up to what a finite run shows.
"""

from __future__ import annotations

import sys
from pathlib import Path

import odescent as od

THEORY = {
    "nesterov_sc": lambda kappa: 1 - kappa**-0.5,
    "heavy_ball": lambda kappa: (kappa**0.5 - 1) / (kappa**0.5 + 1),
}


def contraction(method: str, kappa: float) -> dict[str, float]:
    """One job: the measured factor per step of the distance to the minimizer, late in a run."""
    import numpy as np

    quadratic = od.objective("quadratic", mu=1, L=kappa, dimension=8)
    steps = int(25 * kappa**0.5)
    run = od.algorithm(method).run(quadratic, np.ones(8), steps)
    gap = np.linalg.norm(np.asarray(run.x), axis=1)
    late = slice(steps // 2, None)
    k = np.arange(len(gap))[late]
    # a double pole adds a factor of order k, whose logarithm is fitted beside the line
    columns = np.stack([k, np.ones(len(k)), np.log(k)], 1)
    slope = np.linalg.lstsq(columns, np.log(gap[late]), rcond=None)[0][0]
    return {"contraction": float(np.exp(slope))}


def main(out: Path = Path("out/sweep"), workers: int = 2) -> tuple[float, float]:
    """Run the grid, twice; returns the largest distance from the theory, and 0."""
    grid = {"method": list(THEORY), "kappa": [4.0, 16.0, 64.0]}
    done = od.analysis.sweep(contraction, grid, folder=out, workers=workers)
    print(done.table())
    assert not done.failures and not done.waiting

    again = od.analysis.sweep(
        contraction, grid, folder=out, workers=workers
    )  # reads, computes nothing
    assert again.results == done.results
    distances = [
        abs(job.result["contraction"] - THEORY[job.inputs["method"]](job.inputs["kappa"]))
        for job in done.jobs
    ]
    print(f"largest distance from the theory: {max(distances):.1e}")
    return max(distances), 0.0


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("out/sweep"))
