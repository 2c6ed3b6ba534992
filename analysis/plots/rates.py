"""Pictures of a `Convergence` and of spectra: gaps over iterations, modal radii over the curvature, root loci."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from ..._support import style
from ..._support.style import SMALL, picture, series_style

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from ..rates.gaps import Convergence, Series
    from ..rates.modal_spectrum import Spectrum


def draw(data: Convergence, ax: Axes | None, legend: bool) -> Axes:
    """Draw all series, then the theoretical rates behind them; see `Convergence.plot`.

    Args:
        data: the gaps.
        ax: the axes to draw into; None makes a figure.
        legend: whether to draw one.
    """
    handles: list[Artist] = []
    with style.picture(ax, 0.7, *data.labels, handles, legend) as ax:
        ax.set_yscale("log")
        cap = _cap(data)
        drawn = {name: _part(s, data.floor, cap) for name, s in data.series.items()}
        longest = max((float(k[-1] - k[0]) for k, _ in drawn.values() if k.size), default=1.0)
        seen = style.looks(drawn)
        for i, name in enumerate(drawn):
            handles += _series(ax, name, seen[name], *drawn[name], i, len(drawn), longest)
        _limits(ax, list(drawn.values()))
        handles += _theory(ax, data, drawn)
        _declutter(ax)
    with style.context():
        _crosses(ax, data, drawn)
    return ax


Part = tuple[Float[np.ndarray, " _"], Float[np.ndarray, " _"]]


def _cap(data: Convergence) -> float:
    """The largest gap drawn: 10^4 times all starts and all of the convergent series."""
    tops = [0.0]
    for s in data.series.values():
        shown = s.gap[s.shown(data.floor)]
        if shown.size:
            tops.append(float(shown[0] if s.diverged_at is not None else shown.max()))
    return 1e4 * max(tops)


def _part(s: Series, floor: float, cap: float) -> Part:
    """What is drawn of a series: up to the cap, what is below the floor left as a gap (NaN)."""
    shown = s.shown(floor)
    high = np.flatnonzero(shown & (s.gap > cap))
    stop = int(high[0]) if s.diverged_at is not None and high.size else len(s.gap)
    return s.iterations[:stop], np.where(shown, s.gap, np.nan)[:stop]


def _series(
    ax: Axes, name: str, look: style.SeriesStyle, k: np.ndarray, gap: np.ndarray, index: int, total: int,
    longest: float,
) -> list[Artist]:  # fmt: skip
    label = style.titled(name) + ("" if np.isfinite(gap).any() else " (no positive gap)")
    order: Any = {"lw": 1.0, "zorder": 3 + 0.01 * index, "label": label}
    (line,) = ax.plot(k, gap, ls=look.dash, **look.marked(3.8), **order)
    every = max(1, int(np.searchsorted(k - k[0], longest / 8))) if k.size else 1
    line.set_markevery((index * every // total % max(len(k), 1), every))
    return [line]


def _crosses(ax: Axes, data: Convergence, drawn: dict[str, Part]) -> None:
    """End each diverged series with a cross and the iteration, texts clear of one another."""
    root = ax.get_figure(root=True)
    if root is None or all(s.diverged_at is None for s in data.series.values()):
        return
    root.draw_without_rendering()  # settle the layout: places are measured in points
    points = 72.0 / root.dpi
    frame = ax.get_window_extent()
    taken: list[tuple[float, float]] = []
    seen_as = style.looks(drawn)
    for name, s in data.series.items():
        k, gap = drawn[name]
        seen = np.flatnonzero(np.isfinite(gap))
        if s.diverged_at is None or not seen.size:
            continue
        color, end = seen_as[name].color, (float(k[seen[-1]]), float(gap[seen[-1]]))
        ax.plot(*end, "x", color=color, ms=7, mew=1.6, zorder=5, clip_on=False)
        at = ax.transData.transform(end) * points
        left = at[0] > (0.4 * frame.x0 + 0.6 * frame.x1) * points
        x, y = float(at[0]) + (-7.0 if left else 7.0), float(at[1])
        while any(abs(x - other[0]) < 70 and abs(y - other[1]) < 9.5 for other in taken):
            y -= 9.5
        taken.append((x, y))
        offset = (x - float(at[0]), y - float(at[1]))
        side = "right" if left else "left"
        style.note(ax, f"diverged at {s.diverged_at:g}", end, offset, color, ha=side, zorder=6)


def _limits(ax: Axes, parts: list[Part]) -> None:
    """Fix both axes to the series, so that theory lines do not stretch them."""
    values = np.concatenate([gap for _, gap in parts])
    values = values[np.isfinite(values)]
    if values.size:
        low, high = np.log10([values.min(), values.max()])
        margin = max(0.05 * (high - low), 0.01)
        ax.set_ylim(10 ** max(low - margin, -307.0), 10 ** min(high + margin, 307.0))
    ax.set_xlim(*ax.get_xlim())


def _theory(ax: Axes, data: Convergence, drawn: dict[str, Part]) -> list[Artist]:
    """One thin grey line per rate, from the start of its series to the end of the axes."""
    handles: list[Artist] = []
    seen = style.looks(drawn)
    starts = {
        n: (k[0], gap[0]) for n, (k, gap) in drawn.items() if gap.size and np.isfinite(gap[0])
    }
    right = max((float(k[-1]) for k, _ in drawn.values() if k.size), default=1.0)
    if not starts:
        return handles
    highest = max(starts.values(), key=lambda start: start[1])
    low, high = np.log10(ax.get_ylim())
    for i, (name, rate) in enumerate(data.theory.items()):
        k0, gap0 = starts.get(name, highest)
        slope, right_here = float(np.log10(rate)), right
        if slope != 0:  # stop at the frame, where numbers still are numbers
            edge = low if slope < 0 else high
            right_here = min(right, k0 + (edge - np.log10(gap0)) / slope)
        k = np.array([k0, right_here])
        label = rf"{style.titled(name)}, theory: ${rate:.4g}^k$"
        dash = style.DASHES[1:][(2 * i + 1) % 6]
        color = seen[name].color if name in seen else "0.45"
        log = np.log10(gap0) + slope * (k - k0)
        handles += ax.plot(k, 10**log, color=color, ls=dash, lw=0.7, zorder=2, label=label)
    return handles


def _declutter(ax: Axes) -> None:
    """At most seven labelled decades, no minor ticks; plain numbers on hardly a decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    low, high = np.log10(ax.get_ylim())
    if high - low < 1.5:
        few = high - low < 0.8
        ax.yaxis.set_major_locator(MaxNLocator(5) if few else LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        ax.yaxis.set_major_locator(LogLocator(numticks=7))
    ax.yaxis.set_minor_locator(NullLocator())


def draw_radius(s: Spectrum, ax: Axes | None = None) -> Axes:
    """Draw the modal radius over lambda, its worst value marked, and that of the best tuning."""
    first, second = series_style(0), series_style(1)
    with picture(ax, 0.7, r"$\lambda$", "modal radius") as ax:
        ax.plot(s.curvatures, s.radius, color=first.color, label=_named("as given", s.rate))
        if s.tuned_radius is not None and s.tuned_rate is not None:
            ax.plot(s.curvatures, s.tuned_radius, **second.line, label=_named("best", s.tuned_rate))
        ax.plot(
            s.worst, s.rate, marker=first.marker, color=first.color, ls="none", clip_on=False, zorder=3,
            label="its largest value",
        )  # fmt: skip
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
            ends = [r"$\lambda = \mu$", r"$\lambda = L$"]
        else:
            best, modes = int(np.argmin(s.locus.worst)), s.locus.modes
            two = [r"$\lambda = \mu$", r"$\lambda = L$"]
            names = two if len(modes) == 2 else [rf"$\lambda = {modes[0]:.4g}$"]
            groups = [(s.locus.eigenvalues[:, i], best, names[i]) for i in range(len(modes))]
            ends = ["least value", "best value"]
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
            for face, what in (("white", ends[0]), (style.color, ends[1])):
                named = f"{label}: {what}" if len(groups) > 1 else what
                ax.plot(
                    [], [], marker=style.marker, mfc=face, mec=style.color, ls="none", label=named
                )
        if s.locus is not None:
            from .basins import _label

            ax.set_title(
                f"filled: {_label(s.locus.parameter)} = {s.locus.best:.4g}, "
                rf"$\rho$ = {float(s.locus.worst.min()):.4g}", fontsize=SMALL,
            )  # fmt: skip
        ax.set_aspect("equal", "datalim")
    return ax
