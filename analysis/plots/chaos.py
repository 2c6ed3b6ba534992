"""Pictures of chaos: exponents against a parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..._support.style import picture, series_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..chaos.lyapunov import Lyapunov


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
