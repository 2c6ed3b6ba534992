"""The rank-one inverse filter on logistic regression: exact with and without a leak, and what Euler's step does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, above, at_most, near
from ..drawing import fitted_order, legend_under, letter, look_of, panels, slopes
from ..entry import PaperFigure, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "Sherman and Morrison 1950; the flow is derived here"
_RIDGE = 1e-2
_NAMES = {False: "without a leak", True: "with a leak"}


def filtered(leak: bool, steps: int, h: float, beta: float) -> dict[str, np.ndarray]:
    """A run on the breast cancer data, its inverse beside that of the sum by hand, and the gaps of f."""
    import jax

    f = od.objective("logistic/breast_cancer", regularization=_RIDGE)
    given: dict[str, Any] = {"h": h, "beta": beta} if leak else {"h": h}
    run = od.algorithm("inverse_filter", leak=leak).run(
        f, np.zeros(f.dimension or 1), steps, **given
    )
    points, inverses = np.asarray(run.x), np.asarray(run.states["P"])
    slopes_ = np.asarray(jax.vmap(f.grad)(points))
    keep, gain = (beta, 1 - beta) if leak else (1.0, h)
    total, errors, least = np.eye(len(points[0])), [], []
    for g, P in zip(slopes_[:-1], inverses[1:], strict=True):
        total = keep * total + gain * np.outer(g, g)
        dense = np.linalg.inv(total)
        errors.append(np.linalg.norm(P - dense, 2) / np.linalg.norm(dense, 2))
        least.append(np.linalg.eigvalsh((P + P.T) / 2)[0])
    values = np.asarray(jax.vmap(f.value)(points)) - float(f.value(f.minimizer))
    return {"errors": np.array(errors), "least": np.array(least), "gap": values}


def held_step(integrator: str, h: float, g: np.ndarray, count: int) -> np.ndarray:
    """P after count steps along P' = -P g g^T P with g held, from the identity."""
    P, v = od.blocks("P", kind="symmetric"), od.blocks("g")
    Pg = od.apply(P, v)
    system = od.System(
        {"filter": {P: -od.outer(Pg, Pg)}, "hold": {v: v * 0}}, output=v, init={P: od.identity}
    )
    parts = od.scheme("lie_trotter", [("filter", integrator), ("hold", "explicit")])
    run = od.Algorithm(system, parts).run(od.Objective("f"), {P: np.eye(len(g)), v: g}, count, h=h)
    return np.asarray(run.states["P"][-1])


def compute_filter(
    steps: int,
    h: float,
    beta: float,
    counts: list[int],
    time: float,
    rates: list[float],
    tuned: int,
) -> Result:
    """The inverse against dense inverses, its integrators' orders, and the progress of f.

    Args:
        steps: of the runs.
        h: the step.
        beta: what the leak keeps in a step.
        counts: numbers of steps to one time, for the orders.
        time: that time.
        rates: grid of rates, for the comparison with gradient descent.
        tuned: steps of these runs.
    """
    import jax

    f = od.objective("logistic/breast_cancer", regularization=_RIDGE)
    runs = {name: filtered(leak, steps, h, beta) for leak, name in _NAMES.items()}
    start = np.zeros(f.dimension or 1)
    plain = od.algorithm("gradient_descent").run(f, start, steps, h=1 / float(f.L or 1))
    low = float(f.value(f.minimizer))
    descent = np.asarray(jax.vmap(f.value)(np.asarray(plain.x))) - low
    g = np.asarray(f.grad(start))
    dense = np.linalg.inv(np.eye(len(g)) + time * np.outer(g, g))
    apart = {
        name: [float(np.linalg.norm(held_step(name, time / n, g, n) - dense, 2)) for n in counts]
        for name in ("exact", "explicit")
    }
    widths = [time / n for n in counts]
    far = float(time * (g @ g))
    once = np.linalg.eigvalsh(held_step("explicit", time, g, 1))[0]
    leaking = runs[_NAMES[True]]["gap"]
    best = {
        name: min(_end(name, rate, tuned) for rate in rates)
        for name in ("inverse_filter", "gradient_descent")
    }
    claims = (
        *(Claim(f"{name.capitalize()} the filter is the inverse of the sum: worst relative distance to dense inverses.",
                at_most(1e-10), float(run["errors"].max()), SOURCE) for name, run in runs.items()),
        *(Claim(f"{name.capitalize()} it stays positive definite: least eigenvalue.",
                above(0), float(run["least"].min()), SOURCE) for name, run in runs.items()),
        Claim("With the gradient held its step is exact for every h: worst distance.",
              at_most(1e-13), max(apart["exact"]), SOURCE),
        Claim("Explicit Euler in its place is not: fitted order.",
              near(1, absolute=0.1), fitted_order(widths[-4:], apart["explicit"][-4:]), "derived here"),
        Claim(f"One step of it over h |g|^2 = {far:.3g} > 1 leaves the definite matrices: least eigenvalue.",
              near(1 - far, relative=1e-9), float(once), "derived here"),
        Claim("With a leak and gradients without noise the filter grows as they vanish and the run leaves again: "
              "the gap of f at the end, to the least one.",
              above(100), float(leaking[-1] / leaking.min()), "limit; measured here"),
        Claim("Without a leak early gradients are never forgotten: at the best rates of one grid, the gap to that of "
              "gradient descent.",
              above(10), float(best["inverse_filter"] / best["gradient_descent"]), "limit; measured here"),
    )  # fmt: skip
    return Result({"runs": runs, "descent": descent, "apart": apart, "widths": widths}, claims)


def _end(name: str, rate: float, steps: int) -> float:
    """The gap of f after a run; infinite where it diverged."""
    f = od.objective("logistic/breast_cancer", regularization=_RIDGE)
    run = od.algorithm(name).run(f, np.zeros(f.dimension or 1), steps, h=rate)
    end = float(f.value(np.asarray(run.x[-1]))) - float(f.value(f.minimizer))
    return end if np.isfinite(end) else np.inf


def draw_filter(data: Mapping[str, Any]) -> Figure:
    from ..._support import style

    figure, axes = panels(1, 3, height=2.9)
    look, plain = look_of("inverse_filter"), look_of("gradient_descent")
    dashes = dict(zip(_NAMES.values(), ("-", (0, (4, 1.5))), strict=True))
    for name, run in data["runs"].items():
        own: dict[str, Any] = {
            "color": look.color,
            "ls": dashes[name],
            "label": f"inverse filter {name}",
        }
        axes[0].semilogy(
            np.arange(1, len(run["errors"]) + 1), np.maximum(run["errors"], 1e-17), **own
        )
        axes[2].loglog(np.arange(1, len(run["gap"])), run["gap"][1:], **own)
    steps = np.arange(1, len(data["descent"]))
    axes[2].loglog(steps, data["descent"][1:], **plain.line, label="Gradient descent, $h = 1/L$")
    axes[0].set(
        xlabel="iteration $k$", ylabel=r"distance of $P_k$ to the dense inverse", ylim=(1e-17, 1e-8)
    )
    axes[1].loglog(data["widths"], data["apart"]["explicit"], color=style.MODIFIED, marker="^", ms=3.5,
                   label="explicit Euler, constant $g$")  # fmt: skip
    axes[1].loglog(data["widths"], np.maximum(data["apart"]["exact"], 1e-17), color=look.color, marker=look.marker,
                   ms=3.5, ls="none", label="exact step, constant $g$")  # fmt: skip
    slopes(axes[1], [(data["widths"], data["apart"]["explicit"], 1)])
    axes[1].set(xlabel="step $h$", ylabel="error at a fixed time", ylim=(1e-17, 1e2))
    axes[2].set(xlabel="iteration $k$", ylabel=r"$f(x_k) - f^\star$")
    letter(axes, ["Sherman and Morrison", "the order of a step", "the objective"])
    legend_under(figure, axes, ncols=3)
    return figure


FIGURES = (
    PaperFigure(
        "filter", "The rank-one inverse filter: an inverse that stays exact, with and without a leak.",
        compute_filter, draw_filter,
        {"steps": 400, "h": 0.2, "beta": 0.95, "counts": [1, 2, 4, 8, 16, 32, 64, 128], "time": 1.0,
         "rates": [0.3, 1.0, 3.0, 6.0, 8.0, 10.0, 20.0], "tuned": 60},
    ),
)  # fmt: skip
