"""Newton's flow of the conditions of Karush, Kuhn and Tucker on problem 7 of Hock and Schittkowski."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, at_least, at_most, below, near
from ..drawing import legend_under, letter, mark, panels
from ..entry import PaperFigure, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "derived here"
PROBLEM = "Hock and Schittkowski 1981, problem 7"
_BEST = -(3**0.5)
_END = np.array([0.0, 3**0.5])
_SQUARE = (17**0.5 - 1) / 2  # u + u^2 = 4 with u = (1 + x1^2)^2 = -x2
_OTHERS = np.array(
    [[0.0, -(3**0.5)], *([s * (_SQUARE**0.5 - 1) ** 0.5, -_SQUARE] for s in (-1, 1))]
)


@cache
def functions() -> dict[str, Any]:
    """f = log(1 + x1^2) - x2 and c = (1 + x1^2)^2 + x2^2 - 4: the minimum is -sqrt(3), at (0, sqrt(3))."""
    import jax.numpy as jnp

    return {
        "f": lambda x: jnp.log(1 + x[0] ** 2) - x[1],
        "c": lambda x: jnp.stack([(1 + x[0] ** 2) ** 2 + x[1] ** 2 - 4]),
    }


def conditions(x: Any, lam: Any) -> np.ndarray:
    """F = (grad f + Dc^T lam, c) at each time, by automatic differentiation."""
    import jax
    import jax.numpy as jnp

    given = functions()

    def at(x: Any, lam: Any) -> Any:
        lagrangian = lambda p: given["f"](p) + given["c"](p) @ lam
        return jnp.concatenate([jax.grad(lagrangian)(x), given["c"](x)])

    return np.asarray(jax.vmap(at)(jnp.asarray(x), jnp.asarray(lam)))


def follow(flow: od.System, start: list[float], time: float, points: int) -> tuple[Any, Any, Any]:
    """Times, points and multipliers along the flow."""
    x, lam = od.blocks("x lam")
    run = flow.simulate(
        functions(), {x: np.array(start[:2]), lam: np.array(start[2:])}, time, points=points, rtol=1e-10, atol=1e-12
    )  # fmt: skip
    return np.asarray(run.t), np.asarray(run.x), np.asarray(run.states["lam"])


def compute_kkt(
    starts: list[list[float]], others: list[list[float]], time: float, points: int
) -> Result:
    """The flow from several starts: its residuals, and the points to which it leads.

    Args:
        starts: points of the plane with a multiplier, from which it leads to the minimizer.
        others: the same below, with a negative multiplier, from which it leads to another point.
        time: to which the flow is followed.
        points: of each path.
    """
    paths, sizes, rates, bent = [], [], [], []
    flow = od.system("kkt_newton_flow")  # compiled once
    for start in [*starts, *others]:
        t, x, lam = follow(flow, start, time, points)
        F = conditions(x, lam)
        norms = np.linalg.norm(F, axis=1)
        paths.append(x)
        sizes.append(np.stack([np.linalg.norm(F[:, :2], axis=1), np.abs(F[:, 2])], 1))
        rates += [float(np.polyfit(t, np.log(v), 1)[0]) for v in (sizes[-1][:, 0], sizes[-1][:, 1])]
        bent.append(float(np.abs(F / norms[:, None] - F[0] / norms[0]).max()))
    exact = np.exp(-t)[:, None]
    apart = max(float(np.abs(s / (s[0] * exact) - 1).max()) for s in sizes)
    given = functions()
    ends = np.array([p[-1] for p in paths])
    good, bad = ends[: len(starts)], ends[len(starts) :]
    values = [float(given["f"](e)) for e in ends]
    claims = (
        *(Claim(f"Of {len(paths)} starts: the {which} slope of log |c| and of log |grad L| in time.",
                near(-1, absolute=1e-5), value, SOURCE)
          for which, value in (("least", min(rates)), ("largest", max(rates)))),
        Claim("c(t) = e^-t c(0), and the gradient of the Lagrangian alike: worst relative error.",
              at_most(1e-5), apart, SOURCE),
        Claim("F keeps its direction: worst change of F / |F|.",
              at_most(1e-5), max(bent), SOURCE),
        Claim("The end above is the published minimizer (0, sqrt(3)): worst distance, of the order e^-t.",
              at_most(20 * np.exp(-time)), float(np.linalg.norm(good - _END, axis=1).max()), PROBLEM),
        Claim("The value there is -sqrt(3): worst error.",
              at_most(20 * np.exp(-time)), float(np.abs(np.array(values[: len(starts)]) - _BEST).max()), PROBLEM),
        Claim("The flow seeks any point of the conditions: from below it ends at another of the four, worst distance.",
              at_most(20 * np.exp(-time)), float(max(np.linalg.norm(_OTHERS - e, axis=1).min() for e in bad)),
              "limit; derived here"),
        Claim("The ends from below are not the minimizer: the least f there, less the minimum.",
              at_least(3), float(min(values[len(starts) :]) - _BEST), "limit; measured here"),
        Claim("f may rise on the way, far from the constraint: the least at the starts above, less the minimum.",
              below(0), float(min(given["f"](np.array(s[:2])) for s in starts)) - _BEST, "limit; measured here"),
    )  # fmt: skip
    return Result({"paths": paths, "sizes": sizes, "t": t, "above": len(starts)}, claims)


def draw_kkt(data: Mapping[str, Any]) -> Figure:
    from ..._support import style

    figure, (plane, decay) = panels(1, 2, height=3.2)
    x, y = np.meshgrid(np.linspace(-2.2, 2.2, 221), np.linspace(-3.0, 3.0, 221))
    plane.contour(
        x, y, np.log(1 + x**2) - y, levels=14, colors="0.85", linewidths=0.5, linestyles="solid"
    )
    plane.contour(
        x, y, (1 + x**2) ** 2 + y**2 - 4, levels=[0.0], colors=style.TINTS[0], linewidths=1.4
    )
    plane.plot([], [], color=style.TINTS[0], lw=1.4, label="constraint $c = 0$")
    plane.plot([], [], color="0.85", lw=0.8, label="levels of $f$")
    for i, path in enumerate(data["paths"]):
        above = i < data["above"]
        look: dict[str, Any] = {"color": style.FLOW, "label": "to the minimizer"}
        if not above:
            look = {
                "color": "0.45",
                "ls": (0, (4, 1.5)),
                "label": "to another solution",
            }
        plane.plot(*np.asarray(path).T, lw=1.1, **look)
        plane.plot(*path[0], color="black", marker="o", ms=2.6, ls="none", label="start")
    plane.plot(
        *_END,
        color="black",
        marker="*",
        ms=9,
        ls="none",
        zorder=5,
        label=r"minimizer $(0, \sqrt{3})$",
    )
    plane.plot(
        *_OTHERS.T,
        color="0.35",
        marker="X",
        ms=5,
        ls="none",
        zorder=5,
        label="other solutions of the conditions",
    )
    plane.set(xlabel="$x_1$", ylabel="$x_2$", xlim=(-2.2, 2.2), ylim=(-3.0, 3.0))
    for i, sizes in enumerate(data["sizes"]):
        for column, (color, label) in enumerate(
            ((style.FLOW, r"$|\nabla_x L|$"), (style.TINTS[0], "$|c|$"))
        ):
            decay.semilogy(
                data["t"],
                np.asarray(sizes)[:, column],
                color=color,
                lw=1.0,
                label=label if i == 0 else "_nolegend_",
            )
    decay.semilogy(
        data["t"],
        0.03 * np.exp(-np.asarray(data["t"])),
        color="black",
        ls=(0, (1, 1.3)),
        label="$e^{-t}$",
    )
    decay.set(xlabel="time $t$", ylabel="conditions along the flow")
    mark(plane, x=(-2, -1, 0, 1, 2), y=(-2, 0, 2))
    letter([plane, decay], ["problem 7 of Hock and Schittkowski", "both conditions decay alike"])
    decay.legend(loc="upper right")
    legend_under(figure, [plane], ncols=4)
    return figure


FIGURES = (
    PaperFigure(
        "kkt_newton", "Newton's flow of the conditions of optimality: all of them decay as e^-t, along straight lines.",
        compute_kkt, draw_kkt,
        {"starts": [[2.0, 2.0, 0.5], [-1.5, 1.0, 0.5], [1.0, 2.6, 0.5], [-0.6, 0.8, 0.5]],
         "others": [[1.2, -1.5, -0.5], [-1.8, -2.5, -0.5]], "time": 12.0, "points": 200},
    ),
)  # fmt: skip
