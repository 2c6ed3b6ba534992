"""Pictures of chaos: exponents against a parameter, cobwebs, recurrences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..._support.style import picture, series_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..chaos.lyapunov import Lyapunov
    from ..chaos.returns import Cobweb, Recurrences


def draw_exponents(found: Lyapunov, ax: Axes | None = None) -> Axes:
    """Draw exponents against the parameter that was varied, with the intervals shaded; else each with its interval."""
    names = list(found.parameters)
    many = found.exponents.ndim > 1
    name = names[0] if many else "number of the exponent"
    with picture(ax, 0.75, f"${name}$" if many and len(name) == 1 else name, r"$\lambda$") as ax:
        ax.axhline(0.0, color="black", lw=0.6, zorder=0)
        if not many:
            k = np.arange(1, len(found.exponents) + 1)
            half = found.high - found.exponents
            ax.errorbar(
                k, found.exponents, half, ls="none", capsize=3, **series_style(0).marked(4.5),
                label="exponent, with its interval",
            )  # fmt: skip
            ax.set_xticks(k)
            return ax
        order = np.argsort(found.parameters[name], kind="stable")
        x = found.parameters[name][order]
        for i in range(found.exponents.shape[1]):
            look = series_style(i)
            ax.plot(
                x, found.exponents[order, i], **look.line, lw=0.8, label=rf"$\lambda_{{{i + 1}}}$"
            )
            low, high = found.low[order, i], found.high[order, i]
            ax.fill_between(x, low, high, color=look.color, alpha=0.2, lw=0)
        ax.set_xlim(float(x[0]), float(x[-1]))
    return ax


def draw_cobweb(web: Cobweb, ax: Axes | None = None) -> Axes:
    """Draw the graph, the diagonal, the orbit between them and the fixed points: filled where they attract."""
    name = "$F(x)$" if web.power == 1 else f"$F^{{{web.power}}}(x)$"
    with picture(ax, 0.9, "$x$", name) as ax:
        first, second = series_style(0), series_style(1)
        ax.plot(web.x, web.x, color="black", lw=0.6, label="$y = x$")
        ax.plot(web.x, web.y, color=first.color, lw=1.2, label=name)
        x = np.repeat(web.orbit, 2)
        ax.plot(x[:-1], np.append(web.orbit[0], x[2:]), color=second.color, lw=0.6, label="orbit")
        for stable, fill in ((True, "black"), (False, "white")):
            own = web.fixed[(np.abs(web.fixed[:, 1]) < 1) == stable]
            if len(own):
                ax.plot(
                    own[:, 0], own[:, 0], ls="none", marker="o", ms=4, mfc=fill, mec="black", mew=0.8,
                    label="attracts" if stable else "does not attract",
                )  # fmt: skip
        ax.set_xlim(float(web.x[0]), float(web.x[-1]))
        ax.set_ylim(float(web.x[0]), float(web.x[-1]))
    return ax


def draw_recurrences(r: Recurrences, ax: Axes | None = None) -> Axes:
    """Draw a dot where two states are near to each other."""
    with picture(ax, 1.0, "$t$", "$t$") as ax:
        half = (r.t[1] - r.t[0]) / 2
        ends = (float(r.t[0] - half), float(r.t[-1] + half))
        ax.imshow(
            ~r.near,
            cmap="gray",
            vmin=0,
            vmax=1,
            origin="lower",
            extent=(*ends, *ends),
            interpolation="nearest",
        )
    return ax
