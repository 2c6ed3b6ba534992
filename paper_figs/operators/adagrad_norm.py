"""AdaGrad-norm: the energy that its flow conserves, the rate that follows, and what a step adds to the energy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, above, at_least, at_most, exactly, near
from ..drawing import fitted_order, legend_under, letter, look_of, mark, panels, slopes
from ..entry import PaperFigure, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "derived here; the method is that of arXiv:1806.01811"


def problems() -> dict[str, tuple[od.Objective, np.ndarray]]:
    """A convex and a nonconvex function, with a start."""
    f = od.objective("logistic/breast_cancer", regularization=1e-2)
    return {
        "logistic": (f, np.full(f.dimension or 1, 0.5)),
        "rosenbrock": (od.objective("rosenbrock"), np.array([-1.2, 1.0])),
    }


def drift_of(
    f: od.Objective, start: np.ndarray, eps: float, h: float, time: float
) -> tuple[Any, Any, Any]:
    """Points, sums with eps and energies of the method, the last less that at the start."""
    import jax

    parts = od.scheme("lie_trotter", [("sum", "explicit"), ("drift", "explicit")])
    method = od.Algorithm(od.system("adagrad_norm"), parts)
    run = method.run(f, start, round(time / h), h=h, eps=eps)
    points, total = np.asarray(run.x), np.asarray(run.states["w"]) + eps
    energy = np.asarray(jax.vmap(f.value)(points)) + 2 * np.sqrt(total)
    return points, total, energy - energy[0]


def added(f: od.Objective, points: Any, total: Any) -> np.ndarray:
    """The claimed rate at which a step adds energy, over h, at each point."""
    import jax

    g = np.asarray(jax.vmap(f.grad)(points))
    curved = np.asarray(jax.jit(jax.vmap(lambda x, v: jax.jvp(f.grad, (x,), (v,))[1]))(points, g))
    square = np.sum(g * g, axis=1)
    return np.asarray(np.sum(g * curved, axis=1) / (2 * total) + square**2 / (4 * total**1.5))


def compute_first_integral(
    eps: float, time: float, late: float, steps: list[float], large: float
) -> Result:
    """The energy along the flow and the method, and the mean of the squares beside its bound.

    Args:
        eps: of the flow.
        time: to which the energy is followed.
        late: to which the mean of the squares is.
        steps: of the method.
        large: a step for which its bound is that of the flow no more.
    """
    import jax

    flow, known = od.system("adagrad_norm"), problems()
    means, bounds, conserved, least = {}, {}, {}, {}
    for name, (f, start) in known.items():
        run = flow.simulate(
            f, start, late, points=400, parameters={"eps": eps}, rtol=1e-10, atol=1e-12
        )
        t, w = np.asarray(run.t)[1:], np.asarray(run.states["w"])
        values = np.asarray(jax.vmap(f.value)(np.asarray(run.x)))
        energy = values + 2 * np.sqrt(w + eps)
        conserved[name] = float(np.abs(energy / energy[0] - 1).max())
        gap = values[0] - float(f.value(f.minimizer))
        bounds[name] = (gap**2 / 4 + gap * np.sqrt(eps)) / t
        means[name] = w[1:] / t
        squares = np.sum(np.asarray(jax.vmap(f.grad)(np.asarray(run.x))) ** 2, axis=1)
        least[name] = np.minimum.accumulate(squares)[1:]
    f, start = known["logistic"]
    found = {f"{h:g}": drift_of(f, start, eps, h, time) for h in steps}
    ends = [float(energy[-1]) for _, _, energy in found.values()]
    points, total, _ = found[f"{min(steps):g}"]
    claimed = min(steps) * float(np.trapezoid(added(f, points, total), dx=min(steps)))
    f, start = known["rosenbrock"]
    parts = od.scheme("lie_trotter", [("sum", "explicit"), ("drift", "explicit")])
    wild = od.Algorithm(flow, parts).run(f, start, 50, h=large, eps=eps)
    gap = float(f.value(start)) - float(f.value(f.minimizer))
    over = float(wild.states["w"][-1]) / (gap**2 / 4 + gap * np.sqrt(eps))
    derivation = od.derive("adagrad_norm")
    claims = (
        Claim("Every step of the derivation, from the first integral to the rate, is proved.",
              exactly(len(derivation.steps)), sum(s.verified for s in derivation.steps), SOURCE),
        *(Claim(f"Along the flow on {name} f + 2 sqrt(w + eps) is constant: worst relative change.",
                at_most(1e-7), value, SOURCE) for name, value in conserved.items()),
        *(Claim(f"On {name} the mean of |g|^2 stays below (gap^2/4 + gap sqrt(eps)) / t: the largest quotient.",
                at_most(1 + 1e-7), float((means[name] / bounds[name]).max()), SOURCE) for name in known),
        *(Claim(f"On {name} so does the least |g|^2 so far: the largest quotient.",
                at_most(1), float((least[name] / bounds[name]).max()), SOURCE) for name in known),
        Claim("The bound is not idle: the share of it that the flow on the logistic function uses up.",
              at_least(0.9), float((means["logistic"] / bounds["logistic"]).max()), SOURCE),
        Claim("What the method adds to the energy is of the first order in the step: fitted order.",
              near(1, absolute=0.1), fitted_order(steps, ends), SOURCE),
        Claim("The coefficient is <g, H g>/(2 w) + |g|^4/(4 w^1.5), w with eps: measured to claimed, least step.",
              near(1, absolute=0.05), ends[-1] / claimed, SOURCE),
        Claim(f"The bound is the flow's and not the method's: with h = {large:g} on rosenbrock the sum exceeds it, "
              "quotient after 50 steps.",
              above(1), over, "limit; measured here"),
    )  # fmt: skip
    times = {f"{h:g}": np.arange(len(found[f"{h:g}"][2])) * h for h in steps}
    return Result(
        {"energy": {n: row[2] for n, row in found.items()}, "times": times, "steps": steps, "ends": ends,
         "means": means, "bounds": bounds, "least": least, "t": t}, claims,
    )  # fmt: skip


def draw_first_integral(data: Mapping[str, Any]) -> Figure:
    from ..._support import style

    figure, axes = panels(1, 3, height=2.9)
    look = look_of("adagrad_norm")
    for i, (h, row) in enumerate(list(data["energy"].items())[:4]):
        axes[0].plot(
            data["times"][h],
            row,
            color=look.color,
            ls=style.DASHES[i],
            label=f"AdaGrad-norm, $h = {h}$",
        )
    axes[0].axhline(0, color=style.FLOW, label="flow")
    axes[0].set(xlabel="time $t = k h$", ylabel="$E(t) - E(0)$")
    axes[1].loglog(data["steps"], data["ends"], color=look.color, marker=look.marker, ms=4, ls="none",
                   label="at the last time")  # fmt: skip
    slopes(axes[1], [(data["steps"], data["ends"], 1)])
    axes[1].set(xlabel="step $h$", ylabel="increase of $E$")
    mark(axes[1], x=data["steps"], y=(0.03, 0.1, 0.3))
    for name, dash in zip(data["means"], ("-", (0, (4, 1.5))), strict=True):
        own: dict[str, Any] = {"ls": dash, "lw": 1.0}
        said = name.replace("rosenbrock", "Rosenbrock")
        axes[2].loglog(
            data["t"],
            data["bounds"][name],
            color=style.TINTS[1],
            ls=dash,
            lw=3.0,
            label=f"bound, {said}",
        )
        axes[2].loglog(
            data["t"],
            data["means"][name],
            color=style.FLOW,
            **own,
            label=rf"mean of $|g|^2$, {said}",
        )
        shown = np.where(data["least"][name] > 1e-12, data["least"][name], np.nan)
        axes[2].loglog(data["t"], shown, color="0.55", **own, label=rf"smallest $|g|^2$, {said}")
    axes[2].set(xlabel="time $t$", ylabel="squared gradients")
    letter(
        axes, [r"energy $E = f + 2 (w + \epsilon)^{1/2}$", "its increase", "the rate of the flow"]
    )
    legend_under(figure, axes, ncols=4)
    return figure


FIGURES = (
    PaperFigure(
        "first_integral", "AdaGrad-norm: the energy that its flow conserves, and the rate 1/t that follows.",
        compute_first_integral, draw_first_integral,
        {"eps": 1.0, "time": 8.0, "late": 1000.0, "steps": [0.1, 0.05, 0.025, 0.0125], "large": 0.1},
    ),
)  # fmt: skip
