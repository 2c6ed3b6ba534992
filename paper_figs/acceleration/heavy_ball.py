"""Acceleration dynamics, claim 4: heavy ball need not converge; Nesterov's method and triple momentum do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, Spread, above, at_most, below, between, exactly, near
from ..drawing import TITLES, legend_under, letter, look_of, panels
from ..entry import PaperFigure, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "arXiv:2509.18346, abstract; reconstructed"
LRP = "Lessard, Recht, Packard 2016"
METHODS = {n: title for n, title in TITLES.items() if n != "gradient_descent"}
_FAR = 30  # times the distance of the cycle from the minimizer
_EXACT = 1e-12  # a distance that is rounding
_GTD = "Goujaud, Taylor, Dieuleveut, arXiv:2307.11291"


def compute_counterexample(steps: int, shown: int) -> Result:
    """The three methods on the one-dimensional counterexample, and what each step dissipates and injects."""
    from fractions import Fraction

    from ...analysis.cycling.balance import known_cycle, run_ledger
    from ...dynamics.problems.lessard_recht_packard import GRADIENT

    f = od.objective("lessard_recht_packard")
    runs = {n: np.asarray(od.algorithm(n).run(f, f.x0, steps).x)[:, 0] for n in METHODS}
    # the cycle in rational numbers; a run may have reached any rotation of it
    points, ledger = known_cycle()
    cycle = np.array([float(v) for v in points])
    settled = runs["heavy_ball"][-3:]
    off = min(float(np.abs(settled - np.roll(cycle, r)).max()) for r in range(3))
    # the energy balance: around the cycle for heavy ball, over the first steps for the others
    ledgers = {"heavy_ball": ledger}
    for n in ("nesterov_sc", "triple_momentum"):
        ledgers[n] = run_ledger(n, GRADIENT, Fraction(33, 10), 6)[1]
    around = next(
        c
        for c in od.analysis.piecewise_cycles("heavy_ball", GRADIENT)
        if c.stable and c.period == 3
    )
    balance = od.analysis.energy_balance()
    claims = (
        Claim(f"Heavy ball from 3.3 ends on a cycle of period 3: distance after {steps} steps.", at_most(1e-9), off,
              LRP),
        Claim("The cycle attracts: modulus of its multiplier.", near((8 / 27), relative=1e-12),
              abs(complex(around.multiplier)), LRP),
        Claim("Around the cycle exactly as much is injected as dissipated: dissipated.",
              exactly("12672/49"), str(sum(ledger.dissipation)), SOURCE),
        Claim("Around the cycle exactly as much is injected as dissipated: injected.",
              exactly("12672/49"), str(sum(ledger.injection)), SOURCE),
        Claim("Heavy ball has no feed-through: what it dissipates through the gradient.",
              exactly("0"), str(sum(ledger.feedthrough)), SOURCE),
        *(Claim(f"{METHODS[n]} converges from the same start: |x| after {steps} steps.", at_most(1e-9),
              abs(float(runs[n][-1])), SOURCE)
          for n in ("nesterov_sc", "triple_momentum")),
        *(Claim(f"{METHODS[n]} dissipates more than is injected over its first six steps: difference.",
                above(0), float(sum(ledgers[n].dissipation) - sum(ledgers[n].injection)), SOURCE)
          for n in ("nesterov_sc", "triple_momentum")),
        Claim("Every step of the energy argument is proved.", exactly(len(balance.steps)),
              sum(s.verified for s in balance.steps), SOURCE),
    )  # fmt: skip
    data = {
        "runs": {n: r[: shown + 1] for n, r in runs.items()}, "cycle": cycle,
        "ledgers": ledgers,
    }  # fmt: skip
    return Result(data, claims)


def draw_counterexample(data: Mapping[str, Any]) -> Figure:
    from ...analysis.plots.cycles import draw_ledger

    figure, axes = panels(2, 2, height=4.5)
    for level in data["cycle"]:
        axes[0].axhline(level, color="0.8", lw=0.6, zorder=0)
    for i, (n, values) in enumerate(data["runs"].items()):
        look = look_of(n)
        axes[0].plot(np.arange(len(values)), values, **look.line, marker=look.marker, ms=3,
                     mec="white", mew=0.3, lw=0.9, label=METHODS[n], zorder=4 - i)  # fmt: skip
    axes[0].set(xlabel="iteration $k$", ylabel="$x_k$")
    axes[0].legend(loc="lower right", ncols=1)
    top = max(float(np.abs(v).max()) for v in data["runs"].values())
    axes[0].set_ylim(-1.1 * top, 0.6 * top)
    for ax, entry in zip(axes[1:], data["ledgers"].values(), strict=True):
        draw_ledger(entry, ax, legend=False)
    where = {
        "heavy_ball": ", around its cycle",
        "nesterov_sc": ", from 3.3",
        "triple_momentum": ", from 3.3",
    }
    letter(axes, ["the counterexample", *(f"{METHODS[n]}{where[n]}" for n in data["ledgers"])])
    legend_under(figure, axes[:0:-1], ncols=4)  # the last has all parts
    return figure


def compute_threshold(resolution: int, certified: int, periods: int, kappas: list[float]) -> Result:
    """The cycle region in the plane of step and momentum, and the least condition number with a cycle.

    Args:
        resolution: of the grid in each direction.
        certified: points along each axis of the grid on which convergence is certified.
        periods: the longest period considered.
        kappas: condition numbers of the table.
    """
    import sympy as sp

    analysis = od.analysis
    first = {p: analysis.cycle_threshold("heavy_ball", p) for p in range(3, periods + 1)}
    table = analysis.cycle_table("heavy_ball", kappas, periods=30)
    below_it, above_it = sp.Rational(1794, 100), sp.Rational(1795, 100)
    certificate = analysis.certify(od.algorithm("heavy_ball"), 1, below_it)
    region = analysis.cycle_region(1 / 25, 1.0, resolution=resolution, certified=certified)
    others = {
        n: sum(len(analysis.cycles(n, 1, k)) for k in (25, 100, 1000))
        for n in ("nesterov_sc", "triple_momentum")
    }
    claims = (
        Claim("Heavy ball, in Polyak's tuning, cycles from kappa = 9 + 4 sqrt(5) on.",
              exactly("9 + 4*sqrt(5)"), _ordered(first[3]), _GTD),
        Claim("No longer cycle comes before: least threshold of periods 4 on.",
              above(float(first[3])), min(float(v) for p, v in first.items() if p > 3), _GTD),
        Claim("Period 4 begins at kappa.", near(25.274142369088, absolute=1e-9), float(first[4]),
              "computed independently"),
        Claim("Just below, at kappa = 17.94, convergence is proved: certified rate.", below(1),
              float(certificate.rate), SOURCE),
        Claim("Its proof holds in exact arithmetic.", exactly(True), bool(certificate.verify())),
        Claim("Just above, at kappa = 17.95, there is a cycle: its period.",
              exactly(3), next((c.period for c in analysis.cycles("heavy_ball", 1, above_it)), 0), _GTD),
        *(Claim(f"{METHODS[n]} has no such cycle, periods up to 60, kappa = 25, 100, 1000: how many.", exactly(0), v,
              SOURCE)
          for n, v in others.items()),
    )  # fmt: skip
    data = {
        "region": region,
        "first": {str(p): float(v) for p, v in first.items()},
        "table": {"columns": ["kappa", "periods"],
                  "rows": [[float(str(k)), " ".join(str(p) for p, _ in found)] for k, found in table.items()]},
        "kappas": np.array(kappas),
    }  # fmt: skip
    return Result(data, claims)


def _ordered(value: Any) -> str:
    """A sum with its rational part first, whatever order it was printed in."""
    import sympy as sp

    rational, rest = value.as_coeff_Add()
    return f"{rational} + {rest}" if rational and rest else str(sp.simplify(value))


def draw_threshold(data: Mapping[str, Any]) -> Figure:
    from ..._support import style
    from ...analysis.plots.cycles import CERTIFIED, SHADES

    figure, axes = panels(1, 2, height=3.3)
    data["region"].plot(axes[0])
    rows = {kappa: [int(p) for p in text.split()] for kappa, text in data["table"]["rows"]}
    ax = axes[1]
    shades = dict(zip((3, 4, 5), SHADES, strict=False))
    for period in (3, 4, 5, None):  # named and coloured as in the map
        found = [
            (kappa, p) for kappa, seen in rows.items() for p in seen
            if (p == period if period else p not in shades)
        ]  # fmt: skip
        if found:
            square: Any = {
                "color": shades.get(period or 0, SHADES[3]),
                "mec": "0.4",
                "mew": 0.4,
                "ls": "none",
            }
            label = f"period {period}" if period else "longer"
            ax.plot(*np.array(found).T, "s", ms=5, **square, label=label)
    periods = [int(p) for p in data["first"]]
    ax.plot(list(data["first"].values()), periods, color="black", ls=(0, (5, 1.5)), marker="o", mfc="white", ms=4,
            lw=0.9, label="least $\\kappa$ with such a cycle")  # fmt: skip
    edge = data["first"]["3"]
    ax.axvspan(1, edge, color=CERTIFIED, lw=0, label="certified: convergence is proved")
    ax.annotate(r"$9 + 4\sqrt{5}$", (edge, 9.2), xytext=(-4, 0), textcoords="offset points", ha="right",
                fontsize=style.SMALL)  # fmt: skip
    ax.set(
        xscale="log",
        xlim=(6, 1.15 * max(rows)),
        xlabel=r"condition number $\kappa$",
        ylabel="period of the cycle",
    )
    ax.set_yticks(range(3, 1 + max(max(p) for p in rows.values() if p)))
    style.legend_below(ax)
    letter(axes, [r"cycles at $\kappa = 25$", "Polyak's tuning"])
    return figure


def compute_basins(resolution: int, samples: int, seed: int) -> Result:
    """The basins of the minimizer and of the cycle for heavy ball on the counterexample, over starts (x, v).

    Args:
        resolution: of the grid in each direction.
        samples: number of random starts for the shares.
        seed: of the random starts.
    """
    import jax

    from ...dynamics.problems.lessard_recht_packard import GRADIENT

    f = od.objective("lessard_recht_packard")
    heavy = od.algorithm("heavy_ball")
    box = {"x0[0]": (-6.0, 6.0), "v[0]": (-24.0, 24.0)}
    # a grid for the picture, random starts for the shares and their intervals
    drawn = od.analysis.basins(heavy, f, axes={n: (*e, resolution) for n, e in box.items()})
    random = od.analysis.basins(heavy, f, axes=box, samples=samples, key=jax.random.key(seed))
    found = od.analysis.basin_windows("heavy_ball", GRADIENT, (2, 4))
    cycle = next(i for i, a in enumerate(found.attractors) if a.period == 3)
    widest = max(found.reaching(cycle), key=lambda w: w.width)
    shares = {s.label: s for s in random.fractions}
    caught = next(s for label, s in shares.items() if "3" in label)
    # the other methods on the same function, from random starts over the same interval
    others = {}
    for n, box_of in (("nesterov_sc", "psi[0]"), ("triple_momentum", "z[0]")):
        b = od.analysis.basins(od.algorithm(n), f, axes={"x0[0]" if n == "nesterov_sc" else "x[0]": (-6.0, 6.0),
              box_of: (-6.0, 6.0)},
                               samples=samples, key=jax.random.key(seed))  # fmt: skip
        others[n] = b.fractions[0]
        assert b.attractors[0].kind == "fixed point"
    claims = (
        Claim("The cycle's main window of starts at rest begins at.", near(3.061231450, absolute=1e-8),
              float(widest.low),
              "computed independently; literature: about 3.07"),
        Claim("The cycle's main window of starts at rest ends at.", near(3.463325600, absolute=1e-8),
              float(widest.high),
              "computed independently; literature: about 3.46"),
        Claim("A positive share of random starts never converges under heavy ball.", above(0.01),
              Spread(caught.share, caught.low, caught.high), LRP),
        *(Claim(f"{METHODS[n]} takes every random start to the minimizer: share, with its interval.", between(0.995, 1),
                Spread(s.share, s.low, s.high), SOURCE) for n, s in others.items()),
        Claim("No point of the map is left undecided: share.", at_most(0.01), drawn.unresolved),
    )  # fmt: skip
    windows = np.array(
        [
            [float(w.low), float(w.high), w.attractor == cycle]
            for w in found.windows
            if w.width > 1e-3
        ]
    )
    return Result(
        {
            "map": drawn,
            "windows": windows,
            "points": np.array([float(v) for v in found.attractors[cycle].points]),
        },
        claims,
    )


def draw_basins(data: Mapping[str, Any]) -> Figure:
    from ..._support import style

    figure, axes = panels(1, 1, width=style.COLUMN_WIDTH, height=3.2)
    data["map"].plot(axes[0])
    axes[0].set_xlabel("$x_0$")
    return figure


def compute_cycle(kappa: int, period: int, steps: int) -> Result:
    """A function of two variables on which heavy ball cycles, and the other methods on the same function.

    Args:
        kappa: the condition number L/mu.
        period: of the cycle.
        steps: number of iterations.
    """
    cycle = _cycle(kappa, period)
    runs = {"heavy_ball": np.linalg.norm(cycle.follow(steps), axis=1)}
    start = np.asarray(cycle.points[0])
    # the others from much further away: near the minimizer the function is a ball, which Nesterov solves at once
    for n in ("nesterov_sc", "triple_momentum"):
        run = od.algorithm(n).run(cycle.objective, _FAR * start, steps)
        runs[n] = np.linalg.norm(np.asarray(run.x), axis=1)
    claims = (
        Claim(f"Heavy ball stays on the circle: distance from it over {steps} steps.", at_most(1e-9),
              float(np.abs(runs["heavy_ball"] - 1).max()), _GTD),
        *(Claim(f"{METHODS[n]} converges from {_FAR} times as far: |x| after {steps} steps.", at_most(1e-9),
                float(runs[n][-1]), SOURCE) for n in ("nesterov_sc", "triple_momentum")),
    )  # fmt: skip
    return Result(
        {
            "kappa": kappa,
            "period": period,
            "points": cycle.points,
            "vertices": cycle.vertices,
            "runs": runs,
        },
        claims,
    )


def _cycle(kappa: int, period: int) -> Any:
    """The cycle of heavy ball that goes round once in so many steps."""
    found = od.analysis.cycles("heavy_ball", 1, kappa)
    return next(c for c in found if c.period == period and c.winding == 1)


def draw_cycle(data: Mapping[str, Any]) -> Figure:
    from ..._support import style
    from ...analysis.plots.cycles import draw_cycle as draw_polygon

    figure, axes = panels(1, 2, height=3.2)
    # the function is that of the data: named by kappa and period, from which it is exact
    draw_polygon(_cycle(data["kappa"], data["period"]), axes[0])
    for n, values in data["runs"].items():
        look = look_of(n)
        where = "on its cycle" if n == "heavy_ball" else f"from {_FAR} times as far"
        axes[1].semilogy(values[:81], **look.line, marker=look.marker, markevery=4, ms=3, mec="white", mew=0.3,
                         label=f"{METHODS[n]}, {where}")  # fmt: skip
        exact = np.flatnonzero(values < _EXACT)
        if exact.size and values[exact[0] - 1] > 1e6 * _EXACT:
            at = (float(exact[0]), 1e-5)
            style.note(axes[1], f"exact from\n$k = {exact[0]}$ on", at, (3, 0), look.color)
    axes[1].set(ylim=(1e-9, 100), xlabel="iteration $k$", ylabel=r"$|x_k - x^\star|$")
    style.legend_below(axes[1])
    letter(axes, [rf"heavy ball, $\kappa = {data['kappa']}$", "all three on this function"])
    return figure


FIGURES = (
    PaperFigure(
        "counterexample", "The one-dimensional counterexample: iterates, and the energy of each step.",
        compute_counterexample, draw_counterexample, {"steps": 300, "shown": 30},
    ),
    PaperFigure(
        "threshold", "Where heavy ball cycles: steps and momenta, and condition numbers from 9 + 4 sqrt(5) on.",
        compute_threshold, draw_threshold,
        {"resolution": 160, "certified": 32, "periods": 8, "kappas": [18, 25, 50, 100, 200, 500, 1000]},
        {"resolution": 400, "certified": 60, "periods": 12, "kappas": [18, 20, 25, 35, 50, 70, 100, 140, 200, 300,
              500, 700, 1000]},
    ),
    PaperFigure(
        "basins", "Basins of heavy ball's minimizer and cycle on the counterexample.",
        compute_basins, draw_basins, {"resolution": 200, "samples": 2000, "seed": 0}, {"resolution": 800,
              "samples": 100000},
    ),
    PaperFigure(
        "cycle", "A function of two variables on which heavy ball cycles forever, and the others converge.",
        compute_cycle, draw_cycle, {"kappa": 25, "period": 3, "steps": 1000},
    ),
)  # fmt: skip
