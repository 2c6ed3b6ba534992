"""A fast and a slow variable in the plane: critical and slow manifold, the layer, and what is left after reduction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, above, near
from ..drawing import fitted_order, legend_under, letter, mark, panels, slopes
from ..entry import PaperFigure, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FENICHEL = "Fenichel 1979, doi:10.1016/0022-0396(79)90152-9; the system and its sizes are made here"
_TIGHT = {"rtol": 1e-11, "atol": 1e-13}


def fast_and_slow() -> Any:
    """x' = -y, eps y' = x - y - y^3: the critical manifold is the root of y + y^3 = x."""
    x, y = od.blocks("x y", "scalar")
    eps = od.parameters("epsilon")
    fields = {"slow": {x: -y}, "fast": {y: (x - y - y**3) / eps}}
    return od.System(fields, output=x, fast={y: eps})


def graphs(system: Any, at: np.ndarray, eps: float, order: int) -> np.ndarray:
    """The graph of y over x to each order, by row."""
    from ...dynamics.evaluation.evaluate import evaluate

    terms = system.slow_manifold(order)["y"]
    named = {b.name: b.symbol for b in system.blocks}
    rows = []
    for p in at:
        values = {named["x"]: float(p), named["y"]: float(p) / (1 + p * p)}
        rows.append([float(evaluate(e, values, {}, np)) for e in terms])
    powers = eps ** np.arange(order + 1)
    return np.cumsum(np.array(rows).T * powers[:, None], axis=0)


def flown(system: Any, start: tuple[float, float], eps: float, times: np.ndarray) -> np.ndarray:
    """x and y along the flow at some times, by row; of a reduced system y is where its search begins."""
    x, y = (system.block(n).symbol for n in "xy")
    run = system.simulate(
        None, {x: np.float64(start[0]), y: np.float64(start[1])}, float(times[-1]), times=times, solver="kvaerno5",
        parameters={"epsilon": eps} if system.parameters else {}, **_TIGHT,
    )  # fmt: skip
    return np.stack([np.asarray(run.states[n]) for n in "xy"])


def compute_fast_slow(
    starts: list[list[float]], shown: list[float], small: list[float], time: float, order: int
) -> Result:
    """Trajectories beside the manifolds, and how far the expansions are from them.

    Args:
        starts: of the trajectories that are shown, x and y.
        shown: values of eps in the pictures.
        small: those at which orders are fitted.
        time: until when, and at which expansions are compared.
        order: of the slow manifold.
    """
    system = fast_and_slow()
    clock = np.linspace(0, time, 241)
    begin = (starts[0][0], starts[0][1])
    off: dict[int, list[float]] = {n: [] for n in range(order + 1)}
    apart: dict[int, list[float]] = {0: [], 1: []}
    reduced = {n: system.reduced(n) for n in apart}
    for eps in small:
        # beside the manifold from the beginning, so that nothing but the expansion is left
        on = float(graphs(system, np.array(begin[:1]), eps, order)[-1, 0])
        x, y = flown(system, (begin[0], on), eps, clock)
        found = graphs(system, x[-1:], eps, order)[:, 0]
        for n in off:
            off[n].append(abs(float(y[-1] - found[n])))
        for n, flow in reduced.items():
            apart[n].append(abs(float(x[-1] - flown(flow, (begin[0], on), eps, clock)[0, -1])))
    defect = [float(_defect(system, begin[0], eps, order)) for eps in small]
    # into the layer: x is nearly held, and y falls at the rate of the linear equation beside its root
    eps, root = small[-1], float(graphs(system, np.array(begin[:1]), small[-1], 0)[0, 0])
    early = np.linspace(0, 5 * eps, 26)
    layer = flown(system, (begin[0], root + 1e-4), eps, early)
    beside = layer[1] - graphs(system, layer[0], eps, order)[-1]
    away = np.abs(beside)
    rate = float(np.polyfit(early[:8] / eps, np.log(away[:8]), 1)[0])
    exact = -(1 + 3 * root**2)
    far = {e: abs(float(flown(system, begin, e, clock)[1, -1])) for e in shown}
    still = flown(reduced[0], begin, shown[0], clock)
    claims = (
        *(Claim(f"Distance of the trajectory from the graph to order {n}: fitted order in eps.",
                near(n + 1, absolute=0.1), fitted_order(small, off[n]), FENICHEL) for n in off),
        Claim(f"What the graph to order {order} leaves of its equation of invariance: fitted order.",
              near(order + 1, absolute=0.1), fitted_order(small, defect), FENICHEL),
        *(Claim(f"Error of x by the reduced system to order {n}: fitted order.",
                near(n + 1, absolute=0.1), fitted_order(small, row), FENICHEL) for n, row in apart.items()),
        Claim("In the layer y tends to the manifold at the rate of its linear equation: measured to computed.",
              near(1, absolute=0.05), rate / exact, FENICHEL),
        Claim("For the largest eps that is shown the manifolds are no good: the distance of x to the reduced one's.",
              above(0.02), abs(float(flown(system, begin, max(shown), clock)[0, -1] - still[0, -1])),
              "limit; measured here"),
    )  # fmt: skip
    grid = np.linspace(0.02, 1.15 * max(s[0] for s in starts), 60)
    panels_: dict[str, Any] = {
        f"{e:g}": {
            "slow": graphs(system, grid, e, order)[-1],
            "full": [flown(system, (s[0], s[1]), e, clock) for s in starts],
        }
        for e in shown
    }
    return Result(
        {"x": grid, "critical": graphs(system, grid, 1.0, 0)[0], "panels": panels_, "reduced": still,
         "small": small, "off": [off[n] for n in off], "last": far},
        claims,
    )  # fmt: skip


def _defect(system: Any, at: float, eps: float, order: int) -> Any:
    """The length of what the graph leaves of its equation at a point."""
    from ...dynamics.evaluation.evaluate import evaluate

    named = {b.name: b.symbol for b in system.blocks}
    (left,) = system.slow_manifold(order).defect().values()
    values = {named["x"]: at, named["y"]: at / (1 + at * at), system.parameters[0]: eps}
    return abs(evaluate(left, values, {}, np))


def draw_fast_slow(data: Mapping[str, Any]) -> Figure:
    from ..._support import style

    figure, axes = panels(2, 2, height=4.8)
    for ax, panel in zip(axes, data["panels"].values(), strict=False):
        for k, (x, y) in enumerate(panel["full"]):
            say: Any = (lambda words: words) if k == 0 else (lambda words: None)
            rest = np.interp(x[0], data["x"], data["critical"])
            ax.plot(
                [x[0], x[0]],
                [y[0], rest],
                color="0.6",
                lw=0.9,
                ls=":",
                label=say("layer, $x$ held"),
            )
            ax.plot(x, y, color="0.35", lw=1.0, label=say("trajectories"))
            ax.plot(
                x[:1], y[:1], color="0.35", marker="o", ms=3, ls="none", label=say("their starts")
            )
        ax.plot(
            data["x"],
            data["critical"],
            color=style.FLOW,
            lw=1.3,
            ls=(0, (4, 1.5)),
            label="critical manifold",
        )
        ax.plot(data["x"], panel["slow"], color=style.MODIFIED, lw=1.5, label="slow manifold")
        x, y = data["reduced"]
        ax.plot(x[::24], np.interp(x[::24], data["x"], data["critical"]), color="black", marker="s", ms=2.5, ls="none",
                label="reduced, equal times")  # fmt: skip
        ax.set(xlabel="$x$", ylabel="$y$", xlim=(0, data["x"][-1]))
    for n, row in enumerate(data["off"]):
        axes[3].loglog(data["small"], row, color=style.COLORS[n], marker="o", ms=3.5, ls="none",
                       label=f"(d): order {n}")  # fmt: skip
    slopes(axes[3], [(data["small"], row, n + 1) for n, row in enumerate(data["off"])], factor=0.7)
    mark(axes[3], x=data["small"])
    axes[3].set(xlabel=r"$\epsilon$", ylabel="distance from the graph")
    titles = [rf"$\epsilon = {eps}$" for eps in data["panels"]]
    letter(axes, [*titles, "trajectory and graph"])
    legend_under(figure, axes, ncols=4)
    return figure


FIGURES = (
    PaperFigure(
        "fast_slow", "A fast and a slow variable: manifolds, layers, and the orders of what is left.",
        compute_fast_slow, draw_fast_slow,
        {"starts": [[1.5, 1.4], [1.2, -0.4], [0.7, 1.1], [0.5, -0.3]], "shown": [0.4, 0.1, 0.02],
         "small": [0.04, 0.02, 0.01], "time": 1.0, "order": 2},
    ),
)  # fmt: skip
