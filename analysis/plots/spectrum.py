"""Pictures of spectra: the modal radius over the curvature, and root loci in the complex plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..._support.style import SMALL, picture, series_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..rates.modal_spectrum import Spectrum


def draw_radius(s: Spectrum, ax: Axes | None = None) -> Axes:
    """Draw the modal radius over lambda, its worst value marked, and that of the best tuning."""
    first, second = series_style(0), series_style(1)
    with picture(ax, 0.7, r"$\lambda$", "modal radius") as ax:
        ax.plot(s.curvatures, s.radius, color=first.color, label=_named("as given", s.rate))
        ax.plot(
            s.worst, s.rate, marker=first.marker, color=first.color, ls="none", clip_on=False, zorder=3
        )  # fmt: skip
        if s.tuned_radius is not None and s.tuned_rate is not None:
            ax.plot(s.curvatures, s.tuned_radius, **second.line, label=_named("best", s.tuned_rate))
        highest = max(s.rate, s.tuned_rate or 0.0)
        if highest > 0.9:
            ax.axhline(1.0, color="black", lw=0.5, ls=":")
        if np.isfinite(highest):
            ax.set_ylim(0, 1.05 * max(highest, 0.05))
    return ax


def _named(what: str, rate: float) -> str:
    return rf"{what}: $\rho = {rate:.4g}$"


def draw_locus(s: Spectrum, ax: Axes | None = None) -> Axes:
    """Draw eigenvalues in the complex plane with the unit circle.

    With a locus: those at its modes (mu and L) as the parameter grows, open marks at its least value, filled ones
    at its best. Without: those over lambda, from mu (open) to L (filled).
    """
    with picture(ax, 1.0, "Re", "Im") as ax:
        angle = np.linspace(0, 2 * np.pi, 361)
        ax.plot(np.cos(angle), np.sin(angle), color="black", lw=0.6, ls=":")
        ax.axhline(0, color="#BBBBBB", lw=0.4, zorder=0)
        ax.axvline(0, color="#BBBBBB", lw=0.4, zorder=0)
        if s.locus is None:
            groups = [(s.eigenvalues, len(s.curvatures) - 1, r"$\lambda$ from $\mu$ to $L$")]
        else:
            best, modes = int(np.argmin(s.locus.worst)), s.locus.modes
            ends = [r"$\lambda = \mu$", r"$\lambda = L$"]
            named = ends if len(modes) == 2 else [rf"$\lambda = {modes[0]:.4g}$"]
            groups = [(s.locus.eigenvalues[:, i], best, named[i]) for i in range(len(modes))]
        for i, (values, marked, label) in enumerate(groups):
            style = series_style(i)
            for j, own in enumerate(values.T):
                ax.plot(
                    own.real, own.imag, **style.line, lw=1.1, label=label if j == 0 else "_nolegend_"
                )  # fmt: skip
                for at, face in ((0, "white"), (marked, style.color)):
                    ax.plot(
                        own.real[at], own.imag[at], marker=style.marker, mfc=face, mec=style.color, ls="none",
                        zorder=2 if at == 0 else 3,
                    )  # fmt: skip
        if s.locus is not None:
            from .basins import _label

            ax.set_title(
                f"filled: {_label(s.locus.parameter)} = {s.locus.best:.4g}, "
                rf"$\rho$ = {float(s.locus.worst.min()):.4g}", fontsize=SMALL,
            )  # fmt: skip
        ax.set_aspect("equal", "datalim")
    return ax
