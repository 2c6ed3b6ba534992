"""Consensus-based optimization as gradient descent: the remainder of a step, and the two underlying principles.

Of arXiv:2306.09778 only the abstract was at hand; orders and constants are derived here (see `docs/stochastic.md`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, at_most, near
from ..drawing import fitted_order, legend_under, letter, mark, panels, slopes
from ..entry import PaperFigure, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "arXiv:2306.09778, abstract; derived here"
_CLAIMED = {  # orders in alpha and in tau
    "laplace plain": -1, "laplace first": -2, "laplace second": -3, "movement plain": 2, "movement first": 3,
}  # fmt: skip


def _landscape() -> od.Objective:
    """A smooth function of two variables that is neither convex nor a quadratic."""
    import jax.numpy as jnp

    def value(x: Any) -> Any:
        return (
            0.5 * x[0] ** 2
            + 0.35 * x[1] ** 2
            + 0.6 * jnp.sin(1.3 * x[0] + 0.4) * jnp.cos(0.9 * x[1])
        )

    return od.Objective("landscape", value, dimension=2)


def compute_budget(
    particles: int, widths: list[float], alpha: float, seed: int, repeats: int
) -> Result:
    """One step at lam h = 1 compared with gradient descent: how the remainder g shrinks with sigma sqrt(h).

    The ensemble is normal with standard deviation 1/2 around (1.2, -0.8). The sampling error of the particles' mean,
    whose expectation is 0 at lam h = 1, is subtracted from the remainder.

    Args:
        particles: in each ensemble.
        widths: values of sigma sqrt(h), the standard deviation of the step's noise.
        alpha: the inverse temperature.
        seed: of the ensembles and the noise.
        repeats: independent ensembles for each width.
    """
    import jax

    from ...particles import effective_gradient

    f = _landscape()
    method = od.algorithm("cbo")
    keys = jax.random.split(jax.random.key(seed), (len(widths), repeats, 2))
    center = np.array([[1.2, -0.8]])
    rest = np.zeros((len(widths), repeats, 2))
    move, sizes = (
        np.zeros(len(widths)),
        {n: np.zeros(len(widths)) for n in ("noise", "explicit", "laplace", "monte_carlo")},
    )
    for i, width in enumerate(widths):
        for j in range(repeats):
            cloud = center + 0.5 * jax.random.normal(keys[i, j, 0], (particles, 2), float)
            run = method.run(f, cloud, 1, keys[i, j, 1], alpha=alpha, lam=1.0, h=1.0, sigma=width)
            found = effective_gradient(run, f, alpha=alpha, lam=1.0, h=1.0)
            rest[i, j] = found.residual[0] - found.parts["relaxation"][0]
            move[i] += (
                np.linalg.norm(found.consensus[1] - found.consensus[0] - found.residual[0])
                / repeats
            )
            for n in sizes:
                sizes[n][i] += found.budget[n][0] / repeats
    # orders are fitted over the narrowest widths, where the expansion holds
    size = np.linalg.norm(rest.mean(1), axis=-1)
    squares = np.array(widths) ** 2
    order = fitted_order(squares[-3:], size[-3:])
    linear = fitted_order(squares[-3:], move[-3:])
    share = size / move
    claims = (
        Claim("The gradient's part of a step grows as tau, the square of sigma sqrt(h): fitted order.",
              near(1.0, absolute=0.1), linear, SOURCE),
        Claim("The rest is of second order in that square: fitted order.", near(2.0, absolute=0.25), order, SOURCE),
        Claim("At the narrowest cloud the rest is small: share of the step.", at_most(0.05), float(share[-1]), SOURCE),
        Claim("It stays within the budget sigma sqrt(h) + tau + tau/alpha + 1/sqrt(N), with constants: largest ratio.",
              at_most(1.0), float(np.max(size / sum(sizes.values()))), SOURCE),
    )  # fmt: skip
    data = {
        "widths": np.array(widths),
        "size": size,
        "move": move,
        "budget": sizes,
        "order": order,
    }
    return Result(data, claims)


def draw_budget(data: Mapping[str, Any]) -> Figure:
    from ..._support import style

    figure, (ax,) = panels(1, 1, width=style.COLUMN_WIDTH, height=3.4)
    entries = {
        r"gradient step, $\tau\,|\nabla f|$": data["move"], "remainder $|g|$": data["size"],
        r"noise, $\sigma\sqrt{h}$": data["budget"]["noise"],
        r"$\tau^2|\nabla^2 f\,\nabla f|$": data["budget"]["explicit"],
        r"$\tau^2|\nabla\Delta f|/2\alpha$": data["budget"]["laplace"],
        "sampling error of the mean": data["budget"]["monte_carlo"],
    }  # fmt: skip
    for i, (label, values) in enumerate(entries.items()):
        look = style.series_style(i)
        thick = i < 2
        ax.loglog(data["widths"], values, color=look.color, ls="-" if thick else look.dash, marker=look.marker,
                  ms=3.5 if thick else 2, lw=1.2 if thick else 0.8, label=label)  # fmt: skip
    # of the orders 1 and 2 in tau, the square of the width
    slopes(ax, [(data["widths"], data["move"], 2), (data["widths"], data["size"], 4)])
    mark(ax, data["widths"])
    ax.set(
        xlabel=r"noise $\sigma\sqrt{h}$ at $\lambda h = 1$", ylabel="norm of each part of a step"
    )
    legend_under(figure, [ax], ncols=2, columnspacing=1.0, handlelength=2.0)
    return figure


def compute_principles(
    exponents: list[float], steps: list[float], tau: float, nodes: int
) -> Result:
    """The Laplace principle and the minimizing movement in the mean-field limit, by quadrature.

    Args:
        exponents: values of the inverse temperature alpha.
        steps: values of the proximal step tau for the minimizing movement.
        tau: the proximal step for the Laplace principle.
        nodes: of the quadrature.
    """
    import sympy as sp

    from ...dynamics.stochastic.consensus import laplace_mean

    z, x, t = sp.symbols("z x tau", real=True)
    f = z**2 / 2 + z**4 / 20 + sp.sin(2 * z) / 2
    at = 1.3
    terms = laplace_mean(f + (z - x) ** 2 / (2 * t), [z], 2)
    first, second = (sp.lambdify((z, t), c[0], "numpy") for c in terms)
    value, slope = (sp.lambdify(z, e, "numpy") for e in (f, f.diff(z)))

    # the weighted mean is concentrated around the proximal point: a fine grid around it suffices
    def consensus(alpha: float, tau: float) -> float:
        """The mean of N(at, tau / alpha) weighted by exp(-alpha f)."""
        y = _prox(slope, at, tau)
        width = (1 / (alpha * (1 / tau + 0.2))) ** 0.5
        points = y + 14 * width * np.linspace(-1, 1, nodes)
        exponent = -alpha * (value(points) + (points - at) ** 2 / (2 * tau))
        weights = np.exp(exponent - exponent.max())
        return float((points * weights).sum() / weights.sum())

    y = _prox(slope, at, tau)
    laplace = {
        "plain": [consensus(a, tau) - y for a in exponents],
        "first": [consensus(a, tau) - y - first(y, tau) / a for a in exponents],
        "second": [consensus(a, tau) - y - first(y, tau) / a - second(y, tau) / a**2 for a in exponents],
    }  # fmt: skip
    # the same for the minimizing movement, in powers of tau at a fixed alpha
    curvature = float(f.diff(z, 2).subs(z, at))
    third = float(f.diff(z, 3).subs(z, at))
    alpha = 40.0
    g = float(slope(at))
    movement = {
        "plain": [consensus(alpha, s) - (at - s * g) for s in steps],
        "first": [
            consensus(alpha, s) - (at - s * g) - s**2 * (curvature * g - third / (2 * alpha))
            for s in steps
        ],
    }
    # orders are fitted over the asymptotic half
    tail = exponents[len(exponents) // 2 :]
    near_end = steps[len(steps) // 2 :]
    orders = {
        **{f"laplace {n}": fitted_order(tail, e[-len(tail) :]) for n, e in laplace.items()},
        **{
            f"movement {n}": fitted_order(near_end, e[-len(near_end) :])
            for n, e in movement.items()
        },
    }
    claims = (
        Claim("Laplace: the consensus point tends to the proximal step as 1/alpha: fitted order.",
              near(_CLAIMED["laplace plain"], absolute=0.05), orders["laplace plain"], SOURCE),
        Claim("Laplace: with the first term of the expansion, as 1/alpha^2.",
              near(_CLAIMED["laplace first"], absolute=0.05), orders["laplace first"], SOURCE),
        Claim("Laplace: with the second, as 1/alpha^3.", near(_CLAIMED["laplace second"], absolute=0.12),
              orders["laplace second"], SOURCE),
        Claim("Minimizing movement: it differs from an explicit gradient step by tau^2: fitted order.",
              near(_CLAIMED["movement plain"], absolute=0.05), orders["movement plain"], SOURCE),
        Claim("Minimizing movement: with that term, by tau^3.", near(_CLAIMED["movement first"], absolute=0.1),
              orders["movement first"], SOURCE),
    )  # fmt: skip
    data = {
        "exponents": np.array(exponents), "steps": np.array(steps), "orders": orders,
        "laplace": {n: np.abs(e) for n, e in laplace.items()}, "movement": {n: np.abs(e) for n, e in movement.items()},
    }  # fmt: skip
    return Result(data, claims)


def _prox(slope: Any, at: float, tau: float) -> float:
    """argmin f(y) + (y - at)^2 / (2 tau), by bracketing and Brent's method."""
    from scipy.optimize import brentq

    return float(brentq(lambda y: slope(y) + (y - at) / tau, at - 5, at + 5, xtol=1e-15))


def draw_principles(data: Mapping[str, Any]) -> Figure:
    from ..._support import style

    figure, axes = panels(1, 2, height=2.8)
    names = {
        "laplace plain": r"$|m_\alpha - \mathrm{prox}|$", "laplace first": r"less the $1/\alpha$ term",
        "laplace second": r"less the terms to $1/\alpha^2$",
        "movement plain": r"$|m_\alpha - (x - \tau\nabla f)|$", "movement first": r"less the $\tau^2$ term",
    }  # fmt: skip
    for ax, kind, along in ((axes[0], "laplace", "exponents"), (axes[1], "movement", "steps")):
        for i, (n, values) in enumerate(data[kind].items()):
            look = style.series_style(i)
            key = f"{kind} {n}"
            ax.loglog(data[along], values, color=look.color, marker=look.marker, ms=3, lw=0.9,
                      label=f"{names[key]}: order ${data['orders'][key]:.2f}$")  # fmt: skip
        claimed = [
            (data[along], values, _CLAIMED[f"{kind} {n}"]) for n, values in data[kind].items()
        ]
        slopes(ax, claimed)
        ax.legend(loc="best")
        mark(ax, data[along])
        ax.set_ylabel("distance of the consensus point $m_\\alpha$")
    axes[0].set_xlabel(r"exponent $\alpha$")
    axes[1].set_xlabel(r"step $\tau = \alpha s^2$")
    letter(axes, ["Laplace principle", "minimizing movement"])
    return figure


FIGURES = (
    PaperFigure(
        "budget", "A step of consensus-based optimization as gradient descent, and what else is in it.",
        compute_budget, draw_budget,
        {"particles": 50000, "widths": [0.4, 0.2, 0.1, 0.05], "alpha": 5.0, "seed": 0, "repeats": 8},
        {"particles": 1000000, "widths": [0.4, 0.2, 0.1, 0.05, 0.025], "repeats": 16},
    ),
    PaperFigure(
        "principles", "The two principles behind it, with infinitely many particles: fitted orders.",
        compute_principles, draw_principles,
        {"exponents": [20.0, 40.0, 80.0, 160.0, 320.0, 640.0], "tau": 0.5, "nodes": 20001,
         "steps": [0.2, 0.1, 0.05, 0.025, 0.0125, 0.00625]},
    ),
)  # fmt: skip
