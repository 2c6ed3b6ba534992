"""Consensus-based optimization as gradient descent, figures 1(b), 2(a), 2(b) and 2(c) of arXiv:2306.09778.

Objective, schemes, starts and parameters are those of the authors' code: the canyon, from (8, 8), fifty runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..._support.style import titled
from ..claims import Claim, Spread, above, at_least, exactly
from ..drawing import legend_under, letter, look_of, panels
from ..entry import PaperFigure, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "arXiv:2306.09778, abstract and figures"
START = (8.0, 8.0)
WINDOW = (-2.0, 8.6)
NEAR = 0.25  # of the minimizer, in each coordinate: well inside the lowest basin
METHODS = {
    "cbo": "cbo", "hopping": "consensus_hopping", "descent": "gradient_descent", "langevin": "annealed_langevin"
}  # fmt: skip
TITLES = {n: titled(method) for n, method in METHODS.items()}
_RING = "particles at the start: 3 standard deviations"


def compute(
    runs: int, particles: int, steps: int, descent_steps: int, seed: int, alpha: float, sigma: float, lam: float,
    h: float, spread: float, width: float, rate: float, heat: float,
) -> Result:  # fmt: skip
    """Consensus points of two ensembles, and the iterates of gradient descent without and with noise.

    Args:
        runs, particles, steps, descent_steps, seed: sizes; the steps of ensembles, and of single points.
        alpha: exponent of the weights.
        sigma, lam, h: noise, drift and step of consensus-based optimization, whose noise comes after the drift.
        spread, width: standard deviation of its start, and of consensus hopping's draws.
        rate, heat: step of gradient descent, and the noise of its steps k = 0, 1, ..., heat / log(k + 2).
    """
    import jax

    from ...particles import gaussian_start, simulate

    f = od.objective("grand_canyon")
    common: dict[str, Any] = {"runs": runs, "seed": seed, "record": ()}
    # ensembles from one start; only their consensus points are drawn
    cbo = simulate(
        od.algorithm("cbo", noise_after_drift=True), f, gaussian_start(START, spread, particles), steps,
        params={"alpha": alpha, "sigma": sigma, "lam": lam, "h": h}, **common,
    )  # fmt: skip
    hopping = simulate(
        od.algorithm("consensus_hopping"), f, gaussian_start(START, width, particles), steps,
        params={"alpha": alpha, "s": width}, **common,
    )  # fmt: skip
    step = od.parameters("h")
    # single points from the same start, with and without noise
    plain = od.Algorithm(od.system("gradient_flow"), od.scheme("explicit_euler"), step=step)
    descent = np.asarray(plain.run(f, np.array(START), descent_steps, h=rate).x)[None]
    langevin = od.algorithm("annealed_langevin")
    keys = jax.random.split(jax.random.key(seed), runs)
    heated = jax.vmap(
        lambda key: (
            langevin.run(f, np.array(START), descent_steps, key, h=rate, tau=rate, sigma=heat).x
        )
    )(keys)
    paths = {
        "cbo": np.asarray(cbo.consensus), "hopping": np.asarray(hopping.consensus), "descent": descent,
        "langevin": np.asarray(heated),
    }  # fmt: skip
    shares = {n: arrivals(p) for n, p in paths.items()}
    end = float(np.abs(descent[0, -1]).max())
    claims = (
        Claim("Gradient descent from (8, 8) does not reach the minimizer: how many of one.",
              exactly(0), round(shares["descent"].value), SOURCE),
        Claim("It stops in another minimum: how far from the lowest one.", above(1.0), end,
              SOURCE),
        Claim("Consensus-based optimization mostly does: share of the runs.", at_least(0.5), shares["cbo"], SOURCE),
        Claim("Consensus hopping mostly does: share of the runs.", at_least(0.5), shares["hopping"], SOURCE),
        Claim("Noise takes gradient descent over barriers too, in some runs: share.", above(0.0), shares["langevin"],
              SOURCE),
    )  # fmt: skip
    axis = np.linspace(*WINDOW, 241)
    grid = np.stack(np.meshgrid(axis, axis), -1)
    values = np.asarray(jax.vmap(jax.vmap(f.value))(grid))
    shown = {n: _thinned(n, p, steps) for n, p in paths.items()}
    rows = [[TITLES[n], s.value, s.low, s.high, len(paths[n])] for n, s in shares.items()]
    table = {"columns": ["method", "share at the minimizer", "low", "high", "runs"], "rows": rows}
    data = {
        "axis": axis, "values": values, "paths": shown, "table": table, "spread": {"cbo": spread, "hopping": width}
    }  # fmt: skip
    return Result(data, claims)


def arrivals(paths: np.ndarray) -> Spread:
    """The share of runs that end near the minimizer, with Wilson's interval at 95 %."""
    from ...analysis.attraction.basin_map import wilson

    arrived = int((np.abs(paths[:, -1]) < NEAR).all(1).sum())
    low, high = wilson(arrived, len(paths))
    return Spread(arrived / len(paths), low, high)


def _thinned(name: str, paths: np.ndarray, steps: int) -> np.ndarray:
    """The times that the paper draws: 25 of CBO, all of hopping, 200 of gradient descent, 10 of Langevin."""
    count = {"cbo": 25, "hopping": steps + 1, "descent": 200, "langevin": 10}[name]
    chosen = np.floor(np.linspace(0, paths.shape[1] - 1, min(count, paths.shape[1]))).astype(int)
    return paths[:, chosen]


def draw(data: Mapping[str, Any]) -> Figure:
    from matplotlib.patches import Circle

    figure, axes = panels(2, 2, height=7.3)
    levels = np.concatenate([np.linspace(0.5, 12, 9), np.linspace(16, 60, 9)])
    colors = {n: look_of(method).color for n, method in METHODS.items()}
    for ax, (n, paths) in zip(axes, data["paths"].items(), strict=True):
        ax.contour(
            data["axis"], data["axis"], data["values"], levels, colors="0.78", linewidths=0.45
        )
        for path in paths:
            line = {"descent": 1.2, "langevin": 0.35}.get(n, 0.45)
            ax.plot(*path.T, "-", color=colors[n], lw=line, alpha=1.0 if n == "descent" else 0.45)
        dots: Any = {"color": colors[n], "mec": "none"}
        ax.plot(*paths.reshape(-1, 2).T, ".", ms=1.8, alpha=0.6, **dots)
        what = "consensus points" if n in data["spread"] else "iterates"
        ax.plot([], [], ".-", ms=6, lw=0.8, **dots, label=f"{TITLES[n]}: {what}")
        star: Any = {"mfc": "white", "mec": "black", "mew": 0.9, "ls": "none", "zorder": 5}
        ax.plot(0, 0, "*", ms=10, **star, label="minimizer")
        start: Any = {"mfc": "black", "mec": "white", "mew": 0.4, "ls": "none", "zorder": 5}
        ax.plot(*START, "o", ms=5, **start, label="start, of particles their mean")
        if n in data["spread"]:
            round_it: Any = {"fill": False, "ec": "0.3", "lw": 0.8, "ls": (0, (4, 2)), "zorder": 4}
            ax.add_patch(Circle(START, 3 * data["spread"][n], label=_RING, **round_it))
        ax.set(xlim=WINDOW, ylim=WINDOW, aspect="equal", xlabel="$x_1$", ylabel="$x_2$")
    rows = [
        next(row for row in data["table"]["rows"] if row[0] == title) for title in TITLES.values()
    ]
    letter(axes, [f"{title}\n      {_counted(*rest)}" for title, *rest in rows])
    legend_under(figure, axes, ncols=2)
    return figure


def _counted(share: float, low: float, high: float, runs: int) -> str:
    """How many of the runs arrive, with the interval at 95 % where there are several."""
    said = f"{round(share * runs)} of {runs} arrive"
    return said if runs == 1 else f"{said}: {100 * share:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"


FIGURES = (
    PaperFigure(
        "trajectories", "Consensus points move like noisy gradient descent, and pass the barriers that stop it.",
        compute, draw,
        {"runs": 50, "particles": 200, "steps": 250, "descent_steps": 10000, "seed": 0, "alpha": 100.0, "sigma": 1.6,
         "lam": 1.0, "h": 0.01, "spread": 0.5, "width": 0.7, "rate": 1e-3, "heat": 10.0},
    ),
)  # fmt: skip
