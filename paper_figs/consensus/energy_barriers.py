"""Stochastic perturbations overcome energy barriers: success rates on the canyon, passage times over a barrier."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, Spread, at_least, below, between
from ..drawing import letter, look_of, mark, panels
from ..entry import PaperFigure, Result
from .consensus_points import SOURCE, START, arrivals

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def compute(
    particles: list[int], sigmas: list[float], runs: int, steps: int, betas: list[float], passages: int, h: float,
    seed: int,
) -> Result:  # fmt: skip
    """Success of consensus-based optimization against its particles and noise; passages of Langevin dynamics.

    Args:
        particles, sigmas: numbers of particles, and strengths of the noise, of consensus-based optimization.
        runs, steps, seed: of each.
        betas: inverse temperatures of Langevin dynamics in the double well (x^2 - 1)^2.
        passages, h: how many passages from one minimum to the other are timed, and the step in units of beta.
    """
    import jax

    from ...particles import (
        eyring_kramers,
        first_passage,
        gaussian_start,
        mean_passage_time,
        simulate,
    )

    f = od.objective("grand_canyon")
    method = od.algorithm("cbo", noise_after_drift=True)
    found = {}
    for sigma in sigmas:
        shares = []
        for n in particles:
            run = simulate(
                method, f, gaussian_start(START, 0.5, n), steps, runs=runs, seed=seed, record=(), record_every=steps,
                params={"alpha": 100.0, "sigma": sigma, "lam": 1.0, "h": 0.01},
            )  # fmt: skip
            shares.append(arrivals(np.asarray(run.consensus)))
        found[sigma] = shares
    well, times = od.Objective("well", partial(_double_well, 1.0), dimension=1), []
    for i, beta in enumerate(betas):
        tilted = od.Objective("tilted", partial(_double_well, beta), dimension=1)
        step = h / beta
        exact = float(mean_passage_time(lambda x: (x * x - 1) ** 2, -1, 1, beta, digits=6))
        # the noise of `unadjusted_langevin` is that of beta = 1: time runs beta times faster in the tilted well
        limit = int(12 * exact / beta / step)
        measured = first_passage(
            od.algorithm("unadjusted_langevin"), tilted, np.array([-1.0]), lambda x: x[0] >= 1.0,
            steps=limit, runs=passages, key=jax.random.key(seed + i), h=step,
        )  # fmt: skip
        asymptotic = eyring_kramers(well, [-1.0], [0.0], beta)
        unit = step * beta
        times.append([exact, asymptotic, measured.mean * unit, measured.error * unit])
    table = np.array(times)
    ratio, error = table[:, 2] / table[:, 0], table[:, 3] / table[:, 0]
    strong = found[max(sigmas)]
    claims = [
        Claim("With many particles the minimizer is found: share of runs.", at_least(0.8), strong[-1], SOURCE),
        Claim("With few it mostly is not: share of runs.", below(0.5), strong[0], SOURCE),
    ]  # fmt: skip
    for i, beta in enumerate(betas):
        low, high = ratio[i] - 1.96 * error[i], ratio[i] + 1.96 * error[i]
        claims.append(
            Claim(f"Langevin at beta = {beta:g}: mean passage time over the exact one.", between(0.85, 1.15),
                  Spread(ratio[i], low, high), "exact double integral")
        )  # fmt: skip
    data = {
        "particles": np.array(particles), "betas": np.array(betas), "times": table,
        "shares": {f"{s:g}": [[v.value, v.low, v.high] for v in shares] for s, shares in found.items()},
    }  # fmt: skip
    return Result(data, tuple(claims))


def _double_well(beta: float, x: Any) -> Any:
    return beta * (x[0] ** 2 - 1) ** 2


def draw(data: Mapping[str, Any]) -> Figure:
    from ..._support import style

    figure, axes = panels(1, 2, height=2.8)
    cbo, langevin = look_of("cbo"), look_of("unadjusted_langevin")
    for i, (sigma, rows) in enumerate(data["shares"].items()):
        value, low, high = np.array(rows).T
        look: Any = {"color": cbo.color, "ls": style.DASHES[i % 7], "marker": style.MARKERS[i % 7]}
        axes[0].errorbar(data["particles"], value, [value - low, high - value], **look, ms=4, mec="white", mew=0.4,
                         lw=1.0, capsize=2, label=rf"$\sigma = {sigma}$", clip_on=False)  # fmt: skip
    axes[0].set_xscale("log")
    mark(axes[0], data["particles"])
    axes[0].set(ylim=(-0.03, 1.03), xlabel="particles $N$", ylabel="share at the minimizer")
    axes[0].legend(
        loc="best", title="bars: 95 % (Wilson)", title_fontsize=style.SMALL, alignment="left"
    )
    exact, asymptotic, mean, error = data["times"].T
    axes[1].semilogy(data["betas"], exact, color="black", label="exact")
    axes[1].semilogy(
        data["betas"], asymptotic, color="0.5", ls=(0, (5, 1.5)), label="Eyring-Kramers"
    )
    axes[1].errorbar(data["betas"], mean, 1.96 * error, fmt="o", color=langevin.color, ms=4, lw=0.9, capsize=2,
                     label="measured, 95 %")  # fmt: skip
    marks = [v for v in (3, 5, 10, 20, 50, 100, 200, 500) if exact.min() / 2 < v < 2 * exact.max()]
    mark(axes[1], data["betas"], marks)
    axes[1].set(xlabel=r"inverse temperature $\beta$", ylabel="mean passage time")
    axes[1].legend(loc="best")
    letter(axes, ["consensus-based optimization", "Langevin over a barrier"])
    return figure


FIGURES = (
    PaperFigure(
        "barriers", "Noise overcomes barriers: success rates with intervals, and passage times against exact ones.",
        compute, draw,
        {"particles": [10, 30, 100, 300], "sigmas": [0.8, 1.6], "runs": 100, "steps": 250, "betas": [1.0, 2.0, 3.0],
         "passages": 1000, "h": 2e-3, "seed": 0},
        {"particles": [10, 20, 50, 100, 200, 500, 1000], "runs": 1000, "betas": [1.0, 2.0, 3.0, 4.0, 5.0],
              "passages": 10000,
         "sigmas": [0.4, 0.8, 1.2, 1.6]},
    ),
)  # fmt: skip
