"""Acceleration dynamics: spectra over [mu, L], rates against the condition number, iterates over their flows."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..._support.style import FLOW, MODIFIED
from ..claims import Claim, at_most, between, exactly, near
from ..drawing import TITLES as NAMES
from ..drawing import fitted_order, legend_under, letter, look_of, mark, panels, slopes
from ..entry import PaperFigure, Result
from .terms import bent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "arXiv:2509.18346, abstract; reconstructed"
_ORDERS = {"limit flow": 1, "modified equation": 2}  # of the distance of the iterates, in the step
_OVER: dict[str, tuple[str, Any]] = {
    "limit flow": (FLOW, (0, (5, 1.5))),
    "modified equation": (MODIFIED, "-"),
}
_LARGE = 30  # condition numbers from which on orders in kappa are fitted
_QUADRATICS = (0, (1.2, 1.6))
_REAL = 1e-9  # imaginary parts below it are rounding


def compute_spectra(kappa: int, curvatures: int) -> Result:
    """Eigenvalues of the four methods, mode by mode, from mu to L."""
    found = {
        n: od.analysis.spectrum(od.algorithm(n), 1, kappa, curvatures=curvatures) for n in NAMES
    }
    q = kappa**-0.5
    theory = {
        "gradient_descent": 1 - q**2,
        "heavy_ball": (1 - q) / (1 + q),
        "nesterov_sc": 1 - q,
        "triple_momentum": 1 - q,
    }
    heavy, nag, triple = (found[n] for n in ("heavy_ball", "nesterov_sc", "triple_momentum"))
    claims = (
        *(Claim(f"{NAMES[n]}: the rate on quadratics.", near(theory[n], relative=1e-6), s.rate,
              "Lessard, Recht, Packard 2016")
          for n, s in found.items()),
        Claim("Heavy ball: all modes contract alike: spread of the modal radius.",
              at_most(1e-6), float(np.ptp(heavy.radius)), SOURCE),
        Claim("Nesterov: both poles at mu are 1 - sqrt(mu/L): largest distance.",
              at_most(1e-6), float(np.abs(nag.eigenvalues[0] - (1 - q)).max()), SOURCE),
        Claim("Triple momentum: the poles at mu are rho and rho^2: largest distance.",
              at_most(1e-6), float(np.abs(np.sort(triple.eigenvalues[0].real) - np.array([(1 - q) ** 2,
                    1 - q])).max()), SOURCE),
        *(Claim(f"{NAMES[n]}: a deadbeat pole at L, by the feed-through a = h: modulus.",
                at_most(1e-6), float(np.abs(found[n].eigenvalues[-1]).min()), SOURCE)
          for n in ("nesterov_sc", "triple_momentum")),
    )  # fmt: skip
    data = {
        n: {"curvatures": s.curvatures, "radius": s.radius, "eigenvalues": s.eigenvalues} for n, s in found.items()
    }  # fmt: skip
    return Result({"kappa": kappa, "spectra": data}, claims)


def draw_spectra(data: Mapping[str, Any]) -> Figure:
    figure, axes = panels(1, 2, height=3.0)
    angle = np.linspace(0, 2 * np.pi, 400)
    axes[1].plot(np.cos(angle), np.sin(angle), color="0.3", lw=0.6, ls=":", label="unit circle")
    axes[1].axhline(0, color="0.8", lw=0.4, zorder=0)
    axes[1].axvline(0, color="0.8", lw=0.4, zorder=0)
    for i, (n, s) in enumerate(data["spectra"].items()):
        look = look_of(n)
        axes[0].plot(s["curvatures"], s["radius"], **look.line, label=NAMES[n])
        values = s["eigenvalues"]
        for j in range(values.shape[1]):
            locus = _through_the_axis(values[:, j])
            axes[1].plot(locus.real, locus.imag, color=look.color, lw=1.0)
            # poles of several methods meet: each has its own size, the largest behind
            size, order = 9.5 - 2.2 * i, 4 + 0.1 * i
            first, last = (_point(values[k, j]) for k in (0, -1))
            axes[1].plot(*first, look.marker, mfc="white", mec=look.color, ms=size, zorder=order)
            axes[1].plot(
                *last, look.marker, mfc=look.color, mec="white", mew=0.4, ms=size, zorder=order
            )
    for face, label in (("white", r"pole at $\lambda = \mu$"), ("0.45", r"pole at $\lambda = L$")):
        axes[1].plot([], [], "o", mfc=face, mec="0.45", ms=5, label=label)
    axes[0].set(xscale="log", xlim=(1, data["kappa"]), ylim=(0, 1.02))
    axes[0].set(xlabel=r"mode $\lambda/\mu$", ylabel="modal radius")
    axes[1].set(aspect="equal", xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), xlabel="Re", ylabel="Im")
    letter(
        axes,
        [
            rf"rate of each mode, $\kappa = {data['kappa']}$",
            r"poles of the modes from $\mu$ to $L$",
        ],
    )
    legend_under(figure, axes, ncols=4)
    return figure


def _through_the_axis(values: np.ndarray) -> np.ndarray:
    """A locus with the point between two samples at which a pair of poles meets on the real axis."""
    found = [values[0]]
    for a, b in pairwise(values):
        off, on = sorted((a, b), key=lambda v: -abs(v.imag))
        if abs(off.imag) > _REAL >= abs(on.imag):
            found.append(complex(off.real))
        found.append(b)
    return np.array(found)


def _point(value: complex) -> tuple[float, float]:
    return float(value.real), float(value.imag)


def compute_rates(kappas: list[float], steps: int) -> Result:
    """Certified rates over F(mu, L), rates on quadratics and rates that one function shows, against kappa."""
    # three rates: proved on the class, asymptotic on quadratics, measured on one function
    certified = {n: [_certified(n, k) for k in kappas] for n in NAMES}
    spectral = {
        n: [od.analysis.spectrum(od.algorithm(n), 1, k, curvatures=65).rate for k in kappas]
        for n in NAMES
    }
    realized = {n: [_realized(n, k, steps) for k in kappas] for n in NAMES}
    grid = np.array(kappas)
    # complexity: the number of steps per factor e, fitted for large kappa
    times = {n: -1 / np.log(np.array(certified[n])) for n in NAMES}
    large = grid >= _LARGE
    slopes = {n: fitted_order(grid[large], t[large]) for n, t in times.items() if n != "heavy_ball"}
    edge = 9 + 4 * 5**0.5
    # what the claims compare: known values at kappa = 10, the optimum, and the slack of the measured rates
    proved = [k for k, r in zip(kappas, certified["heavy_ball"], strict=True) if np.isfinite(r)]
    ten = {n: _certified(n, 10) for n in NAMES}
    best = [r - (1 - k**-0.5) for k, r in zip(kappas, certified["triple_momentum"], strict=True)]
    slack = [
        realized[n][i] - certified[n][i]
        for n in NAMES for i in range(len(kappas)) if np.isfinite(certified[n][i])
    ]  # fmt: skip
    claims = (
        Claim("Triple momentum is certified at 1 - 1/sqrt(kappa) everywhere: largest distance.",
              at_most(1e-5), float(np.abs(best).max()), "Van Scoy, Freeman, Lynch 2018"),
        Claim("kappa = 10: Nesterov's certified rate.", near(0.751821, absolute=3e-6), ten["nesterov_sc"],
              "two-step LMI, computed independently"),
        Claim("kappa = 10: heavy ball's certified rate.", near(0.860221, absolute=3e-6), ten["heavy_ball"],
              "two-step LMI, computed independently"),
        Claim("kappa = 10: gradient descent's certified rate, 1 - 1/kappa.", near(0.9, absolute=3e-6),
              ten["gradient_descent"], "PEPit"),
        Claim("Gradient descent needs of the order of kappa steps: fitted exponent.", between(0.95, 1.05),
              slopes["gradient_descent"], SOURCE),
        Claim("Nesterov's method needs of the order of sqrt(kappa): fitted exponent.", between(0.45, 0.55),
              slopes["nesterov_sc"], SOURCE),
        Claim("Triple momentum needs of the order of sqrt(kappa): fitted exponent.", between(0.45, 0.55),
              slopes["triple_momentum"], SOURCE),
        Claim("Heavy ball is certified below 9 + 4 sqrt(5) and nowhere above: on how many of the grid.",
              exactly(sum(k < edge for k in kappas)),
                    len([k for k in proved if k < edge]) + 1000 * len([k for k in proved if k > edge]), SOURCE),
        Claim("No run contracts more slowly than certified: largest excess.", at_most(1e-3), max(slack)),
    )  # fmt: skip
    finite = {n: np.where(np.isfinite(r), r, np.nan) for n, r in certified.items()}
    return Result(
        {
            "kappas": grid,
            "certified": finite,
            "spectral": spectral,
            "realized": realized,
            "edge": edge,
        },
        claims,
    )


def _certified(name: str, kappa: float) -> float:
    return float(od.analysis.worst_case_rate(od.algorithm(name), 1, kappa))


def _realized(name: str, kappa: float, steps: int) -> float:
    """The measured contraction of the distance per step on one non-quadratic function of the class."""
    from ...analysis.rates.gaps import compute_convergence

    f = bent(kappa)
    run = np.asarray(od.algorithm(name).run(f, np.full(f.dimension or 1, 1.5), steps).x)
    gap = np.linalg.norm(run - np.asarray(f.minimizer), axis=1)
    found = compute_convergence({"run": gap / gap[0]}, floor=1e-12).contraction()["run"]
    return float("nan") if found is None else found.ratio


def draw_rates(data: Mapping[str, Any]) -> Figure:
    from ..._support import style

    figure, axes = panels(1, 1, width=style.COLUMN_WIDTH, height=3.4)
    ax = axes[0]
    for n, label in NAMES.items():
        look = look_of(n)
        grid = data["kappas"]
        certified = -1 / np.log(data["certified"][n])
        ax.loglog(grid, certified, color=look.color, lw=1.3, label=label)
        ax.loglog(grid, -1 / np.log(np.array(data["spectral"][n])), color=look.color, lw=1.6, ls=_QUADRATICS,
                  zorder=2.5)  # fmt: skip
        some = _apart(grid)
        ax.loglog(grid[some], -1 / np.log(np.array(data["realized"][n])[some]), look.marker, color=look.color, ms=4,
                  mec="white", mew=0.4, zorder=3)  # fmt: skip
        end = np.flatnonzero(np.isfinite(certified))[-1]
        if end + 1 < len(grid):
            ax.plot(grid[end], certified[end], "x", color=look.color, ms=6, mew=1.4, zorder=4)
            text = "no certificate\nfrom " r"$9 + 4\sqrt{5}$ on"
            style.note(ax, text, (data["edge"], 3.5 * certified[end]), (4, 0), look.color)
    ax.axvline(data["edge"], color="0.5", lw=0.7, ls=(0, (4, 2)))
    # the orders kappa and sqrt(kappa) are claimed for large kappa
    large = grid >= _LARGE
    claimed = {"gradient_descent": 1.0, "triple_momentum": 0.5}
    slopes(
        ax,
        [(grid[large], -1 / np.log(data["certified"][n])[large], p) for n, p in claimed.items()],
        1.9,
    )
    ax.plot([], [], color="0.3", lw=1.3, label="certified over $F(\\mu, L)$")
    ax.plot([], [], color="0.3", lw=1.6, ls=_QUADRATICS, label="on quadratics")
    ax.plot([], [], "o", color="0.3", ms=4, label="one run (sum of softplus)")
    ax.set(xlabel=r"condition number $\kappa$", ylabel=r"steps for a factor $e$")
    first, last = data["kappas"][0], data["kappas"][-1]
    ax.set(xlim=(0.9 * first, 1.1 * last), ylim=(0.35, 2 * float(last)))  # whole markers
    legend_under(figure, axes, ncols=2, columnspacing=1.0, handlelength=1.8)
    return figure


def _apart(grid: np.ndarray) -> list[int]:
    """Indices of an increasing grid, of neighbours at least a quarter apart: marks that do not collide."""
    kept = [0]
    for i, value in enumerate(grid):
        if value >= 1.25 * grid[kept[-1]]:
            kept.append(i)
    return kept


def _valley() -> od.Objective:
    """f(p) = mu |p|^2 / 2 + sum of log cosh(W p) in two variables: smooth, strongly convex, no quadratic."""
    import jax.numpy as jnp

    w = np.array([[2.4, 1.2], [-0.5, 0.9], [0.7, -0.2]])
    mu = 0.3

    def value(p: Any) -> Any:
        return mu * jnp.sum(p**2) / 2 + jnp.sum(jnp.log(jnp.cosh(w @ p)))

    def gradient(p: Any) -> Any:
        return mu * p + w.T @ jnp.tanh(w @ p)

    largest = mu + float(np.linalg.eigvalsh(w.T @ w)[-1])
    return od.Objective(
        "valley", value, gradient, mu=mu, L=largest, minimizer=np.zeros(2), dimension=2
    )


def compute_over_flow(levels: int, time: float) -> Result:
    """Distance of the iterates from the limit flow and from the modified equation, as a function of the step."""
    f = _valley()
    assert f.L is not None and f.mu is not None
    x0 = np.array([1.6, 1.1])
    first = float(f.L) ** -0.5
    steps = first / 2.0 ** np.arange(levels)
    counts = [round(time / h) for h in steps]
    # one grid of times for all step sizes, so that each system is compiled once
    stride = 2 ** np.arange(levels)[::-1]  # of the finest step in each
    most = int(max(counts * stride))
    fine = steps[-1] * np.arange(most + 1)  # one shape for all steps: a program for each system
    gaps: dict[str, dict[str, list[float]]] = {}
    shown: dict[str, Any] = {}
    for n in ("heavy_ball", "nesterov_sc", "triple_momentum"):
        # the method beside its limit flow and beside the modified equation of first order
        method = _with_step(n)
        modified = method.modified_equation(1).drift
        through = od.System(
            {"all": modified}, blocks=method.bound.blocks, output=method.bound.output
        )
        limit, through = (
            s.bind({p: e for p, e in method.tuning_values.items() if p in s.parameters})
            for s in (method.consistent_with(), through)
        )
        gaps[n] = {"limit flow": [], "modified equation": []}
        for h, count, every in zip(steps.tolist(), counts, stride.tolist(), strict=True):
            run = np.asarray(method.run(f, x0, most, h=h, mu=float(f.mu)).x)[: count + 1]
            for label, system in (("limit flow", limit), ("modified equation", through)):
                known = {p.name: {"h": h, "mu": float(f.mu)}[p.name] for p in system.parameters}
                flow = system.simulate(
                    f, x0, float(fine[-1]), times=fine, rtol=1e-11, atol=1e-13, parameters=known
                )
                at = flow.x[: count * every + 1 : every]
                gaps[n][label].append(float(np.linalg.norm(at - run, axis=1).max()))
                if n == "nesterov_sc" and h == steps[1]:
                    shown[label] = flow.x[: count * every + 1]
            if n == "nesterov_sc" and h == steps[1]:
                shown["iterates"] = run
    # the order from the two smallest steps
    orders = {
        n: {label: fitted_order(steps[-2:], g[-2:]) for label, g in both.items()}
        for n, both in gaps.items()
    }
    claims = tuple(
        Claim(f"{NAMES[n]} follows its {label}: order of the gap in the step.",
              near(_ORDERS[label], absolute=0.12), order, SOURCE)
        for n, both in orders.items() for label, order in both.items()
    )  # fmt: skip
    axis = np.linspace(-1.6, 2.0, 121), np.linspace(-1.5, 1.5, 101)
    grid = np.stack(np.meshgrid(*axis), -1)
    import jax

    values = np.asarray(jax.vmap(jax.vmap(f.value))(grid))
    data = {
        "steps": steps,
        "gaps": gaps,
        "orders": orders,
        "shown": shown,
        "x": axis[0],
        "y": axis[1],
        "values": values,
    }
    return Result(data, claims)


def _with_step(name: str) -> od.Algorithm:
    """The algorithm with a free step and the rest of its tuning: heavy ball with the damping 2 sqrt(mu)."""
    import sympy as sp

    from ...dynamics import mu

    method = od.algorithm(name)
    kept = {s: e for s, e in method.tuning.items() if s != method.step}
    if name == "heavy_ball":
        kept = {s: 2 * sp.sqrt(mu) for s in kept}
    return method.replace(tuning=kept)


def draw_over_flow(data: Mapping[str, Any]) -> Figure:
    figure, axes = panels(1, 2, height=3.5)
    top = float(data["values"].max())
    axes[0].contour(
        data["x"],
        data["y"],
        data["values"],
        top * np.linspace(0.01, 1, 12) ** 1.6,
        colors="0.8",
        linewidths=0.6,
    )
    for label, (color, dash) in _OVER.items():
        axes[0].plot(*data["shown"][label].T, color=color, ls=dash, lw=1.4, label=label)
    own, run = look_of("nesterov_sc"), data["shown"]["iterates"]
    axes[0].plot(*run.T, **own.marked(3.5), ls="none", label="iterates", zorder=4)
    axes[0].plot(*run[0], "o", mfc="white", mec="black", ms=6, zorder=5, label="start")
    axes[0].set(xlabel="$x_1$", ylabel="$x_2$")
    for n, both in data["gaps"].items():
        look = look_of(n)
        for label, (_, dash) in _OVER.items():
            axes[1].loglog(data["steps"], both[label], color=look.color, ls=dash, marker=look.marker, ms=3, lw=0.9,
                           label=NAMES[n] if dash == "-" else "_nolegend_")  # fmt: skip
    heavy = data["gaps"]["heavy_ball"]
    slopes(axes[1], [(data["steps"], heavy[label], order) for label, order in _ORDERS.items()])
    for label, (_, dash) in _OVER.items():
        axes[1].plot([], [], color="0.3", ls=dash, lw=0.9, label=f"to the {label}")
    mark(axes[1], (0.02, 0.05, 0.1, 0.2))
    axes[1].set(xlabel="step $h$", ylabel="largest distance of the iterates")
    letter(axes, ["Nesterov's method over its flows", "how fast the gap closes"])
    legend_under(figure, axes, ncols=4)
    return figure


FIGURES = (
    PaperFigure(
        "spectra", "Spectra of four methods over [mu, L].", compute_spectra, draw_spectra,
        {"kappa": 25, "curvatures": 1025},
    ),
    PaperFigure(
        "rates", "Rates against the condition number: certified, on quadratics, and realized.",
        compute_rates, draw_rates,
        {"kappas": [2.0, 4.0, 8.0, 12.0, 17.0, 18.0, 30.0, 60.0, 120.0, 300.0], "steps": 3000},
        {"kappas": [2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0, 15.0, 17.0, 18.0, 25.0, 30.0, 45.0, 60.0, 90.0, 120.0, 200.0,
                    300.0, 600.0, 1000.0], "steps": 20000},
    ),
    PaperFigure(
        "over_flow", "Iterates over the flow that they discretize, and over the modified equation that they follow.",
        compute_over_flow, draw_over_flow, {"levels": 6, "time": 3.0}, {"levels": 8},
    ),
)  # fmt: skip
