"""One factor of MKOR on logistic regression: its two leaks, and gradient descent beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, above, at_most, below, between, exactly, near
from ..drawing import legend_under, letter, look_of, panels
from ..entry import PaperFigure, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "arXiv:2306.01685; derived here"
_LEAKS = ("inverse", "factor")
_KEEP = 0.95


def run_of(leak: str, steps: int, h: float) -> dict[str, np.ndarray]:
    """A run on the breast cancer data: the gaps of f, the ends of the spectrum of P, and the distance by hand."""
    import jax

    f = od.objective("logistic/breast_cancer", regularization=1e-2)
    run = od.algorithm("mkor", leak=leak).run(f, np.zeros(f.dimension or 1), steps, h=h)
    points, factors = np.asarray(run.x), np.asarray(run.states["P"])
    slopes = np.asarray(jax.vmap(f.grad)(points))
    P, unit, errors = np.eye(len(points[0])), np.eye(len(points[0])), []
    for g, found in zip(slopes[:-1], factors[1:], strict=True):
        average = (
            np.linalg.inv(_KEEP * P + (1 - _KEEP) * unit) + np.outer(g, g)
            if leak == "inverse"
            else _KEEP * np.linalg.inv(P) + (1 - _KEEP) * np.outer(g, g)
        )
        P = np.linalg.inv(average)
        errors.append(np.linalg.norm(found - P, 2) / np.linalg.norm(P, 2))
    ends = np.array([np.linalg.eigvalsh((p + p.T) / 2)[[0, -1]] for p in factors])
    moved = np.linalg.norm(np.diff(points, axis=0), axis=1)
    turned = np.abs(moved / (h * np.linalg.norm(slopes[:-1], axis=1)) - 1)
    gap = np.asarray(jax.vmap(f.value)(points)) - float(f.value(f.minimizer))
    return {"gap": gap, "ends": ends, "errors": np.array(errors), "rescaled": turned}


def gaps_of(name: str, rates: list[float], steps: int, **options: str) -> np.ndarray:
    """The gaps of f at the end for each rate; infinite where the run diverged."""
    f = od.objective("logistic/breast_cancer", regularization=1e-2)
    low, found = float(f.value(f.minimizer)), []
    for rate in rates:
        run = od.algorithm(name, **options).run(f, np.zeros(f.dimension or 1), steps, h=rate)
        end = float(f.value(np.asarray(run.x[-1]))) - low
        found.append(end if np.isfinite(end) else np.inf)
    return np.array(found)


def compute_leaks(steps: int, h: float, rates: list[float], tuned: int) -> Result:
    """The factor under both leaks, and the best of a grid of rates for each method.

    Args:
        steps: of the runs with the factor.
        h: their rate.
        rates: grid, the same for all.
        tuned: steps of the runs of the grid.
    """
    runs = {leak: run_of(leak, steps, h) for leak in _LEAKS}
    grid = {f"mkor {leak}": gaps_of("mkor", rates, tuned, leak=leak) for leak in _LEAKS}
    grid["gradient descent"] = gaps_of("gradient_descent", rates, tuned)
    best = {name: float(np.min(row)) for name, row in grid.items()}
    top = {leak: run["ends"][:, 1] for leak, run in runs.items()}
    late = np.arange(steps // 4, steps // 2)
    growth = float(np.exp(np.polyfit(late, np.log(top["factor"][late]), 1)[0]))
    derivation = od.derive("mkor")
    claims = (
        Claim("Every step of the derivation, a splitting into leak and rank-one flow, is proved.",
              exactly(len(derivation.steps)), sum(s.verified for s in derivation.steps), SOURCE),
        *(Claim(f"Leak on the {leak}: the worst relative distance to the factor that is inverted densely by hand.",
                at_most(1e-9), float(run["errors"].max()), SOURCE) for leak, run in runs.items()),
        *(Claim(f"Leak on the {leak}: the factor stays positive definite, least eigenvalue.",
                above(0), float(run["ends"][:, 0].min()), SOURCE) for leak, run in runs.items()),
        Claim("Leak on the inverse: no eigenvalue ever exceeds 1, where it starts: the largest less 1.",
              at_most(1e-12), float(top["inverse"].max() - 1), "derived here"),
        Claim("Leak on the factor: where no gradient points the eigenvalue grows by 1/0.95 in each step, measured.",
              near(1 / _KEEP, relative=1e-3), growth, "limit; derived here"),
        Claim("The direction is as long as the gradient: worst relative error of |dx| / (h |g|).",
              at_most(1e-9), float(max(run["rescaled"].max() for run in runs.values())), SOURCE),
        Claim("Leak on the inverse: as gradients vanish the factor tends to the identity, distance at the end.",
              at_most(0.05), float(1 - runs["inverse"]["ends"][-1, 0]), "limit; measured here"),
        Claim("So at the best rates of one grid it gains next to nothing: the gap to that of gradient descent.",
              between(0.5, 1.5), best["mkor inverse"] / best["gradient descent"], "limit; measured here"),
        Claim("Leak on the factor, at the best rates of the grid: the gap to that of gradient descent.",
              below(1), best["mkor factor"] / best["gradient descent"], "measured here"),
    )  # fmt: skip
    return Result(
        {"runs": runs, "grid": grid, "rates": rates, "best": best, "tuned": tuned}, claims
    )


def draw_leaks(data: Mapping[str, Any]) -> Figure:
    figure, axes = panels(1, 3, height=2.9)
    look, plain = look_of("mkor"), look_of("gradient_descent")
    dashes = dict(zip(_LEAKS, ("-", (0, (4, 1.5))), strict=True))
    for leak, run in data["runs"].items():
        own: dict[str, Any] = {
            "color": look.color,
            "ls": dashes[leak],
            "label": f"MKOR, leak on the {leak}",
        }
        steps = np.arange(len(run["ends"]))
        axes[0].fill_between(steps, *np.asarray(run["ends"]).T, color=look.color, alpha=0.14, lw=0)
        axes[0].semilogy(steps, run["ends"], **own)
        axes[1].semilogy(steps[1:], np.maximum(run["errors"], 1e-17), **own)
        axes[2].loglog(data["rates"], data["grid"][f"mkor {leak}"], marker=look.marker, ms=3, **own)
    axes[2].loglog(data["rates"], data["grid"]["gradient descent"], marker=plain.marker, ms=3, **plain.line,
                   label="Gradient descent")  # fmt: skip
    axes[0].set(xlabel="iteration $k$", ylabel="extreme eigenvalues of the factor")
    axes[1].set(xlabel="iteration $k$", ylabel="distance to the dense inverse", ylim=(1e-17, 1e-8))
    axes[2].set(xlabel="rate $h$", ylabel=rf"$f - f^\star$ after {data['tuned']} steps")
    letter(axes, ["two leaks", "the inverse is exact", "gap against the rate"])
    legend_under(figure, axes, ncols=3)
    return figure


FIGURES = (
    PaperFigure(
        "leaks", "One factor of MKOR: exact under both leaks, bounded under one, and gradient descent beside it.",
        compute_leaks, draw_leaks,
        {"steps": 300, "h": 0.05, "rates": [0.3, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0],
         "tuned": 60},
    ),
)  # fmt: skip
