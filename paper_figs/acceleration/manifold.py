"""Acceleration dynamics, claim 1: the manifold psi = 0, its fibers, fast and slow dynamics.

The derivations are this package's own reconstruction of the programme announced in arXiv:2509.18346.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import odescent as od

from ..claims import Claim, at_most, between, exactly, near
from ..drawing import fitted_order, flow_alone, legend_under, letter, mark, panels, slopes
from ..entry import PaperFigure, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "arXiv:2509.18346, abstract; formulas reconstructed"
_WINDOW = ((-3.0, 3.0), (-3.6, 3.6))
_MU, _L = 0.25, 2.0
_MANIFOLD = r"manifold $\psi = 0$ (order 0)"


def bowl() -> od.Objective:
    """f(x) = mu x^2 / 2 + (L - mu) log cosh x with mu = 1/4, L = 2: convex, its curvature falls away from 0."""
    import jax.numpy as jnp

    def value(x: Any) -> Any:
        return jnp.sum(_MU * x**2 / 2 + (_L - _MU) * jnp.log(jnp.cosh(x)))

    def gradient(x: Any) -> Any:
        return _MU * x + (_L - _MU) * jnp.tanh(x)

    return od.Objective("bowl", value, gradient, mu=_MU, L=_L, minimizer=np.zeros(1), dimension=1)


def closed_loop() -> tuple[Any, Any]:
    """The plant x' = v, v' = u under the law that passivity and immersion gives: derivation and system in (x, v)."""
    from ...dynamics.algebra.calculus import substitute
    from ...dynamics.algebra.vectors import zero

    x, v, u, w = od.blocks("x v u w")
    K, a = od.parameters("K a")
    f = od.Objective("f")
    derivation = od.immerse({x: v, v: u}, u, gain=K, immersion={v: -a * f.grad(x)})
    law = next(c.value for s in derivation.steps for c in s.claims if c.name == "u")
    return derivation, od.System({"plant": {x: v}, "law": {v: substitute(law, {w: zero})}})


def compute_manifold(gain: float, seeds: int, spacing: float) -> Result:
    """Three portraits on one objective: immersed (b = 0), interconnected with a fast memory, and accelerated.

    Args:
        gain: K, the rate at which the manifold psi = 0 attracts.
        seeds: number of starts.
        spacing: between streamlines, relative to the window.
    """
    derivation, loop = closed_loop()
    passive, f = od.system("passive"), bowl()
    K, a, b, eps = od.parameters("K a b epsilon")
    fibre = loop.block("v").symbol
    exact = loop.bind({K: 1 / eps}).with_fast({fibre: eps}).slow_manifold(4)[fibre]
    slowed = passive.bind({K: 1 / eps}).with_fast({"psi": eps})
    memory = slowed.slow_manifold(4)["psi"]

    # along a fast fibre psi decays exponentially; its rate is measured from many starts
    starts = np.linspace(-2.75, 2.75, seeds)
    bound = loop.bind({K: gain, a: 1})
    run = bound.simulate(f, starts, 1.0, points=101, rtol=1e-12, atol=1e-14)
    slope = np.asarray(f.grad(run.states["x"]))
    psi = run.states["v"] + slope
    rates = np.log(np.abs(psi[1:] / psi[0])) / -run.t[1:, None]

    # trajectories from the upper and lower edges show the attraction
    edges = [(x, y) for x in starts for y in (-3.5, 3.5)]
    common: dict[str, Any] = {
        "window": _WINDOW,
        "x0": -2.6,
        "t1": 12.0,
        "cycles": False,
        "spacing": spacing,
    }
    along = np.linspace(*_WINDOW[0], 201)
    graph = np.stack([along, -np.asarray(f.grad(along))], 1)
    analysis = od.analysis
    immersed = analysis.phase_portrait(
        bound, f, axes=("x", "v"), curves={"manifold": graph}, **{**common, "seeds": edges}
    )
    slow = analysis.phase_portrait(
        passive, f, axes=("y", "psi"), slow=("psi", "1/K", 3), seeds=edges,
        parameters={"K": gain, "a": 1, "b": 1}, **common,
    )  # fmt: skip
    fast = analysis.phase_portrait(
        passive, f, axes=("y", "psi"), parameters={"K": 2 * _MU**0.5, "a": 0, "b": 1}, **common
    )
    # a mode has a slow graph if its two rates are real and distinct
    lam = od.parameters("lambda_")
    accelerated = passive.bind({K: 2 * _MU**0.5, a: 0, b: 1})
    gap = _discriminant(accelerated, lam)
    modes = np.geomspace(_MU, _L, 200)
    real = int(sum(gap(v) > 1e-12 for v in modes[1:]))
    claims = (
        Claim("Every step of the construction by passivity and immersion is proved.",
              exactly(len(derivation.steps)), sum(s.verified for s in derivation.steps), SOURCE),
        Claim("Immersed, the manifold v = -a grad f is invariant to all orders: corrections up to eps^4.",
              exactly(0), sum(bool(t) for t in exact[1:]), SOURCE),
        Claim(f"Along every fast fibre psi falls at the rate K = {gain:g}: least rate.",
              near(gain, relative=1e-6), float(rates.min()), SOURCE),
        Claim(f"Along every fast fibre psi falls at the rate K = {gain:g}: largest rate.",
              near(gain, relative=1e-6), float(rates.max()), SOURCE),
        Claim("Interconnected (b > 0) the slow manifold has corrections at each order up to eps^4.",
              exactly(4), sum(bool(t) for t in memory[1:]), "Fenichel; reconstructed"),
        Claim("Accelerated (K = 2 sqrt(mu), a = 0) no mode above mu has a slow graph: of 199 modes in (mu, L].",
              exactly(0), real, "reconstructed"),
        Claim("At lambda = mu it is critically damped: the discriminant there.",
              at_most(1e-12), abs(gap(_MU)), "reconstructed"),
    )  # fmt: skip
    data = {
        "immersed": immersed, "slow": slow, "fast": fast, "starts": starts,
        "times": run.t, "psi": psi, "gain": gain,
    }  # fmt: skip
    return Result(data, claims)


def _discriminant(system: od.System, lam: Any) -> Any:
    from ...dynamics.fast_slow.manifold import graph_discriminant

    found = graph_discriminant(system.linearize(lam))
    return lambda value: float(found.subs(lam, value))


def draw_manifold(data: Mapping[str, Any]) -> Figure:
    from dataclasses import replace

    from ..._support import style

    figure, axes = panels(1, 3, height=3.0)
    names = ("immersed", "slow", "fast")
    for ax, name in zip(axes, names, strict=True):
        portrait = flow_alone(data[name])
        curves = {
            label.replace("slow manifold, order", "slow manifold to order"): c
            for label, c in portrait.curves.items()
        }
        first = next((label for label in curves if label.endswith("order 0")), "")
        curves = {(_MANIFOLD if n in ("manifold", first) else n): c for n, c in curves.items()}
        if name == "immersed":
            for x in np.linspace(*_WINDOW[0], 13)[1:-1]:
                ax.axvline(x, color=style.TINTS[1], lw=0.9, zorder=0.5, label="fibres")
        replace(portrait, curves=curves).plot(ax, legend=False)
        ax.set_ylim(*_WINDOW[1])
    axes[0].set(xlabel="$x$", ylabel="$v$")
    for ax in axes[1:]:
        ax.set(xlabel="$y$", ylabel=r"$\psi$")
    gain = rf"K = {2 * data['gain']:g}\sqrt{{\mu}} = {data['gain']:g}"  # mu = 1/4
    letter(axes, [
        "immersed\n" rf"      $a = 1,\; b = 0,\; {gain}$", "interconnected\n" rf"      $a = 1,\; b = 1,\; {gain}$",
        "accelerated\n" r"      $a = 0,\; b = 1,\; K = 2\sqrt{\mu} = 1$",
    ])  # fmt: skip
    legend_under(figure, axes, ncols=4)
    return figure


def compute_slow_graph(smallest: float, points: int) -> Result:
    """How well the expansion in 1/K follows the slow eigenvector of a mode, and which modes have one at all."""
    from ...dynamics.evaluation.evaluate import evaluate, oracles_of

    passive = od.system("passive")
    K, a, b, eps = od.parameters("K a b epsilon")
    lam, feed, back = 1.0, 1.0, 1.0
    small = np.geomspace(smallest, 0.15, points)
    f = od.objective("quadratic", eigenvalues=(lam,))
    # the expansion on one mode of curvature 1, beside the slow eigenvector computed in numbers
    free = passive.bind({K: 1 / eps, a: feed, b: back})
    psi, y = (free.block(n).symbol for n in ("psi", "y"))
    terms = free.with_fast({psi: eps}).slow_manifold(3)[psi]
    oracles = oracles_of(free, f)
    at_one = [float(np.sum(evaluate(t, {y: np.ones(1)}, oracles, np))) if t else 0.0 for t in terms]
    matrix = passive.bind({a: feed, b: back}).linearize(lam)
    exact = []
    for e in small:
        m = np.array(matrix.subs(K, 1 / e).evalf(), float)
        values, vectors = np.linalg.eig(m)
        slow = vectors[:, int(np.argmax(values.real))]
        exact.append(float((slow[0] / slow[1]).real))
    # the order of each truncation, over the smaller half of eps
    errors = np.array([
        [abs(sum(c * e**j for j, c in enumerate(at_one[: n + 1])) - s) for e, s in zip(small, exact, strict=True)]
        for n in range(4)
    ])  # fmt: skip
    fitted = [fitted_order(small[: points // 2], row[: points // 2]) for row in errors]
    # the least gain for which a mode of curvature lambda has a slow graph
    ratio = np.geomspace(1, 100, 120)
    least = {
        name: np.array([_least_gain(passive.bind({a: value, b: 1}), K, r) for r in ratio])
        for name, value in (("a = 0", 0), ("a = h", 0.1))  # mu = 1, L = 100, h = 1/sqrt(L)
    }
    claims = (
        *(Claim(f"Truncated after eps^{n}, the slow graph is off by a power of eps: fitted order.",
                between(n + 0.95, n + 1.05) if n else near(1, absolute=0.05), fitted[n], "Fenichel 1979")
          for n in range(4)),
        Claim("Without feed-through a mode has a slow graph from K = 2 sqrt(lambda) on: worst relative error.",
              at_most(1e-9), float(np.max(np.abs(least["a = 0"] / (2 * np.sqrt(ratio)) - 1))), "reconstructed"),
    )  # fmt: skip
    return Result(
        {"eps": small, "errors": errors, "fitted": fitted, "ratio": ratio, "least": least}, claims
    )


def _least_gain(system: od.System, K: Any, curvature: float) -> float:
    """The least gain above the mode's own rate at which it has a slow graph."""
    import sympy as sp

    from ...dynamics.fast_slow.manifold import graph_discriminant

    roots = sp.Poly(graph_discriminant(system.linearize(sp.Float(curvature))), K).nroots(n=20)
    return max(float(sp.re(r)) for r in roots)


def draw_slow_graph(data: Mapping[str, Any]) -> Figure:
    from ..._support import style

    figure, axes = panels(1, 2, height=2.7)
    for n, row in enumerate(data["errors"]):
        look = style.series_style(n)
        axes[0].loglog(data["eps"], row, color=look.color, marker=look.marker, ms=3, lw=0.9,
                       label=rf"through $\epsilon^{n}$: order {data['fitted'][n]:.2f}")  # fmt: skip
    slopes(axes[0], [(data["eps"], row, max(n + 1, 1)) for n, row in enumerate(data["errors"])])
    axes[0].set(xlabel=r"$\epsilon = 1/K$", ylabel="error of the slow graph's slope")
    axes[0].legend(loc="lower right")
    axes[1].set(xscale="log", yscale="log")
    ends = [data["least"]["a = 0"], data["least"]["a = h"], np.full(len(data["ratio"]), 1e2)]
    labels = ("only for $a = 0$", r"for $a = 0$ and for $a = h = 1/\sqrt{L}$")
    for low, high, tint, label in zip(ends, ends[1:], style.TINTS[1:], labels, strict=False):
        edge: Any = {"facecolor": tint, "edgecolor": style.TINTS[0], "lw": 0.8}
        axes[1].fill_between(data["ratio"], low, high, **edge, label=label)
    axes[1].axhline(
        2, color="black", lw=0.9, ls=(0, (4, 2)), label=r"accelerated: $K = 2\sqrt{\mu}$"
    )
    axes[1].text(12, 3.3, "the mode oscillates", ha="left", fontsize=style.SMALL)
    mark(axes[1], y=(2, 5, 10, 20, 50))
    axes[1].set(
        xlim=(1, 100), ylim=(1.4, 90), xlabel=r"mode $\lambda/\mu$", ylabel=r"damping $K/\sqrt{\mu}$"
    )  # fmt: skip
    axes[1].legend(
        loc="upper left", title="slow manifold", title_fontsize=style.SMALL, alignment="left"
    )
    letter(axes, ["the expansion is exact to its order", "where a mode has a slow manifold"])
    return figure


FIGURES = (
    PaperFigure(
        "manifold", "The manifold psi = 0 with its fibres, fast and slow trajectories, and what acceleration gives up.",
        compute_manifold, draw_manifold,
        {"gain": 5.0, "seeds": 12, "spacing": 0.07},
    ),
    PaperFigure(
        "slow_graph", "The slow manifold's expansion in 1/K against the exact one, and which modes have one.",
        compute_slow_graph, draw_slow_graph, {"smallest": 1e-3, "points": 16}, {"points": 60},
    ),
)  # fmt: skip
