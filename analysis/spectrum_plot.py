"""Pictures of spectra: the modal radius over the curvature, and root loci in the complex plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .style import SMALL, axes_or_new, context, legend_below, series_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .modal_spectrum import Spectrum


def draw_radius(s: Spectrum, ax: Axes | None = None) -> Axes:
    """Draw the modal radius over lambda, its worst value marked, and that of the best tuning."""
    with context():
        ax = axes_or_new(ax, 0.7)
        first, second = series_style(0), series_style(1)
        (line,) = ax.plot(
            s.curvatures, s.radius, color=first.color, label=_named("as given", s.rate)
        )
        ax.plot(
            [s.worst],
            [s.rate],
            marker=first.marker,
            color=first.color,
            ls="none",
            clip_on=False,
            zorder=3,
        )
        handles = [line]
        if s.tuned_radius is not None and s.tuned_rate is not None:
            (best,) = ax.plot(
                s.curvatures,
                s.tuned_radius,
                color=second.color,
                ls=second.dash,
                label=_named("best", s.tuned_rate),
            )
            handles.append(best)
        highest = max(s.rate, s.tuned_rate or 0.0)
        if highest > 0.9:
            ax.axhline(1.0, color="black", lw=0.5, ls=":")
        ax.set_xlabel(r"$\lambda$")
        ax.set_ylabel("modal radius")
        if np.isfinite(highest):
            ax.set_ylim(0, 1.05 * max(highest, 0.05))
        legend_below(ax, handles, grow=True)
    return ax


def _named(what: str, rate: float) -> str:
    return rf"{what}: $\rho = {rate:.4g}$"


def draw_locus(s: Spectrum, ax: Axes | None = None) -> Axes:
    """Draw eigenvalues in the complex plane with the unit circle.

    With a locus: those at its modes (mu and L) as the parameter grows, open marks at its least value, filled ones
    at its best. Without: those over lambda, from mu (open) to L (filled).
    """
    with context():
        ax = axes_or_new(ax, 1.0)
        angle = np.linspace(0, 2 * np.pi, 361)
        ax.plot(np.cos(angle), np.sin(angle), color="black", lw=0.6, ls=":")
        ax.axhline(0, color="#BBBBBB", lw=0.4, zorder=0)
        ax.axvline(0, color="#BBBBBB", lw=0.4, zorder=0)
        handles = []
        if s.locus is None:
            groups = [(s.eigenvalues, len(s.curvatures) - 1, r"$\lambda$ from $\mu$ to $L$")]
        else:
            best = int(np.argmin(s.locus.worst))
            modes = s.locus.modes
            named = (
                [r"$\lambda = \mu$", r"$\lambda = L$"]
                if len(modes) == 2
                else [rf"$\lambda = {modes[0]:.4g}$"]
            )
            groups = [(s.locus.eigenvalues[:, i], best, named[i]) for i in range(len(modes))]
        for i, (values, marked, label) in enumerate(groups):
            style = series_style(i)
            for j in range(values.shape[1]):
                own = values[:, j]
                (line,) = ax.plot(own.real, own.imag, color=style.color, ls=style.dash, lw=1.1)
                ax.plot(
                    own.real[:1],
                    own.imag[:1],
                    marker=style.marker,
                    mfc="white",
                    mec=style.color,
                    ls="none",
                )
                ax.plot(
                    own.real[marked],
                    own.imag[marked],
                    marker=style.marker,
                    color=style.color,
                    ls="none",
                    zorder=3,
                )
                if j == 0:
                    line.set_label(label)
                    handles.append(line)
        if s.locus is not None:
            from .basins_plot import _label

            ax.set_title(
                f"filled: {_label(s.locus.parameter)} = {s.locus.best:.4g}, "
                rf"$\rho$ = {float(s.locus.worst.min()):.4g}", fontsize=SMALL,
            )  # fmt: skip
        ax.set_aspect("equal", "datalim")
        ax.set_xlabel("Re")
        ax.set_ylabel("Im")
        legend_below(ax, handles, grow=True)
    return ax


__all__ = ["draw_locus", "draw_radius"]
