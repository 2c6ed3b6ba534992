"""The style of all pictures: suitable for print, grayscale and color-blind readers.

Colours are those of Okabe and Ito (Color Universal Design, 2008), ordered so that neighbours
also differ in lightness; each comes with its own dash pattern and marker, so that a grey print
loses nothing. Nothing here touches matplotlib's global state: the look is passed through
`matplotlib.rc_context`, and figures are made without pyplot.
"""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .arguments import checked
from .errors import OdescentError, expected
from .files import make_folder, write_whole

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

Dash = str | tuple[float, tuple[float, ...]]

COLUMN_WIDTH = 3.4  # inches, one column of a two-column paper
FULL_WIDTH = 7.0  # inches, both columns
FONT_SIZE = 9.0  # points; tick labels and legends are SMALL
SMALL = 8.0

COLORS = ("#0072B2", "#D55E00", "#000000", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES: tuple[Dash, ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (1, 1.2)),
    (0, (6, 1.5, 1, 1.5)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (8, 2)),
    (0, (2, 2)),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

# The one table of the methods' looks, in the rows of their colours; the place in a row gives the dash and marker.
# Methods that are compared with one another stand in different rows; one that is in none takes what is left.
METHOD_COLORS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        COLORS[0]: (
            "gradient_descent", "inertial_newton", "unadjusted_langevin", "relativistic", "leimkuhler_matthews",
            "polar_cbo", "douglas_rachford", "sor", "accelerated_mirror_descent", "m_fac",
            "armijo", "inexact_bilevel",
        ),
        COLORS[1]: (
            "heavy_ball", "item", "rmsprop", "annealed_langevin", "obabo", "consensus_freezing", "extragradient",
            "itoh_abe", "unified_nesterov", "mkor", "sketched_gradient_descent",
            "exact_line_search", "implicit_bilevel",
        ),
        COLORS[2]: (
            "nesterov_sc", "nesterov_look_ahead", "adagrad", "underdamped_langevin", "underdamped_exact",
            "mirror_cbo", "proximal_gradient", "newton", "iterative_newton", "zeroth_order",
            "barzilai_borwein", "penalty_bilevel", "adadagrad_norm", "federated_averaging",
        ),
        COLORS[3]: (
            "triple_momentum", "proximal_point", "sgd", "baoab", "jump_cbo", "ogda", "coordinate_descent", "nag_flow",
            "muon", "adagrad_norm", "adahessian", "bold_driver",
        ),
        COLORS[4]: (
            "cbo", "nesterov_c", "conformal_heavy_ball", "sign_descent", "sgld", "aboba", "halpern", "adaptive",
            "regularized_newton", "newton_schulz", "implicit_gradient_transport",
            "polyak_step", "adadagrad",
        ),
        COLORS[5]: (
            "consensus_hopping", "ogm", "robust_momentum", "adam", "normalized_gradient_descent",
            "langevin_splitting", "stochastic_theta", "dissipative_leapfrog", "mirror_descent",
            "inverse_filter", "hessian_aided_momentum", "adaptive_regularized_newton",
            "wolfe",
        ),
    }
)  # fmt: skip
# What else has one colour in all pictures; no method has it.
FLOW = COLORS[6]  # the flow that a method discretizes
MODIFIED = "#882255"  # its modified equation
CENTER = "#882255"  # the mean or the consensus point of many paths
TINTS = ("#5D3A9B", "#A793CC", "#DCD3EC")  # areas and parts of a whole, dark to light

_FLOWS = ("flow", "limit flow", "flow of the drift")

RC: Mapping[str, Any] = MappingProxyType(
    {
        "font.family": "STIXGeneral",
        "mathtext.fontset": "stix",
        "font.size": FONT_SIZE,
        "axes.labelsize": FONT_SIZE,
        "axes.titlesize": FONT_SIZE,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
        "legend.fontsize": SMALL,
        "axes.linewidth": 0.6,
        "axes.unicode_minus": True,
        "xtick.direction": "out",
        "ytick.direction": "out",
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "lines.linewidth": 1.1,
        "lines.markersize": 3.5,
        "legend.frameon": False,
        "figure.constrained_layout.w_pad": 0.03,
        "figure.constrained_layout.h_pad": 0.03,
        "savefig.dpi": 300,
        "savefig.facecolor": "white",
        "savefig.bbox": None,
        "pdf.fonttype": 42,
        "svg.fonttype": "path",
        "svg.hashsalt": "odescent",
    }
)

_METADATA: Mapping[str, Mapping[str, str | None]] = {
    "pdf": {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}


@dataclass(frozen=True)
class SeriesStyle:
    """Colour (hex), dash pattern and marker of one series."""

    color: str
    dash: Dash
    marker: str

    @property
    def line(self) -> dict[str, Any]:
        """Colour and dash as arguments of matplotlib's `plot`."""
        return {"color": self.color, "ls": self.dash}

    def marked(self, size: float) -> dict[str, Any]:
        """Colour and a marker of that size, with a white edge, as arguments of `plot`."""
        return {"color": self.color, "marker": self.marker, "ms": size, "mec": "white", "mew": 0.4}


def series_style(index: int) -> SeriesStyle:
    """The look of series number `index` (0, 1, ...).

    The first seven differ in colour, dash and marker at once; later ones repeat the colour
    with another dash and marker, so that the first 343 are still all different.
    """
    turn, slot = divmod(index, len(COLORS))
    other = (slot + turn) % len(COLORS)
    return SeriesStyle(COLORS[slot], DASHES[other], MARKERS[(other + turn // len(COLORS)) % 7])


def method_style(name: str) -> SeriesStyle | None:
    """The look of a registered method in all pictures, by its name, an alias of it or its title; None for others."""
    from ..discretize.library import REGISTRY

    known = REGISTRY.full(name)
    if known not in REGISTRY.titles:
        known = next((n for n, title in REGISTRY.titles.items() if title == name), name)
    numbers = {
        n: slot + len(COLORS) * place
        for slot, names in enumerate(METHOD_COLORS.values())
        for place, n in enumerate(names)
    }
    others = [n for n in REGISTRY.titles if n not in numbers]
    free = (i for i in itertools.count() if i % len(COLORS) != COLORS.index(FLOW))
    left = (i for i in free if i not in numbers.values())
    numbers |= dict(zip(others, left, strict=False))  # in the order of the registry
    return series_style(numbers[known]) if known in numbers else None


def looks(names: Iterable[str]) -> dict[str, SeriesStyle]:
    """The look of each series of a picture: its own for a method and for a flow, for others what is left.

    Args:
        names: of the series: registered names and titles of methods, "flow", and any others.
    """
    series = list(dict.fromkeys(names))
    found = {n: method_style(n) for n in series}
    own = SeriesStyle(FLOW, "-", MARKERS[6])
    found |= {n: own for n in series if n in _FLOWS}
    taken = {look.color for look in found.values() if look is not None}
    free = [i for i, color in enumerate(COLORS) if color not in taken | {FLOW}]
    # the colours that are free come first, then all again with other dashes and markers
    numbers = iter([*free, *range(len(COLORS), len(COLORS) * (len(series) + 1))])
    return {n: look or series_style(next(numbers)) for n, look in found.items()}


def context() -> AbstractContextManager[None]:
    """The style as a context manager; matplotlib's own settings return when it ends."""
    import matplotlib

    settings: Any = dict(RC)
    return matplotlib.rc_context(settings)


def figure(
    width: float = COLUMN_WIDTH, height_ratio: float = 0.75, ncols: int = 1
) -> tuple[Figure, tuple[Axes, ...]]:
    """A new figure with one row of `ncols` axes in this style, outside of pyplot's list; notebooks show it.

    Args:
        width: width in inches (`COLUMN_WIDTH` or `FULL_WIDTH` for a paper).
        height_ratio: height divided by the width of one column.
        ncols: number of axes side by side.

    Raises:
        ValueError: if a size is not positive and finite, or `ncols` is less than 1.
    """
    from .pictures import NotebookAxes, NotebookFigure, Panels

    if not (0 < width < float("inf") and 0 < height_ratio < float("inf") and ncols >= 1):
        raise OdescentError(
            f"A figure needs a positive width and height ratio and at least one column; got "
            f"width={width}, height_ratio={height_ratio}, ncols={ncols}."
        )
    with context():
        size = (width, width * height_ratio / ncols)
        fig = NotebookFigure(figsize=size, layout="constrained")
        fig.style = context
        axes = Panels(
            fig.add_subplot(1, ncols, i + 1, axes_class=NotebookAxes) for i in range(ncols)
        )
        for ax in axes:  # ticks are made lazily, outside of the context: fix their look here
            ax.tick_params(labelsize=SMALL, direction="out", length=2.5, width=0.6)
    return fig, axes


def axes_or_new(ax: Axes | None, height_ratio: float) -> Axes:
    """`ax` itself, or the axes of a new figure of one column's width; an error where `ax` is no axes."""
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes | None):
        raise expected("ax", "an Axes or None", ax)
    return figure(COLUMN_WIDTH, height_ratio)[1][0] if ax is None else ax


@contextmanager
def picture(
    ax: Axes | None,
    height_ratio: float,
    xlabel: str = "",
    ylabel: str = "",
    handles: Sequence[Artist] | None = None,
    legend: bool = True,
) -> Iterator[Axes]:
    """Axes to draw on in this style, with a legend below them when all is drawn.

    Args:
        ax: the axes, or None for a new figure of one column's width, which grows by the legend.
        height_ratio: of a new figure.
        xlabel, ylabel: of the axes.
        handles: a list, to be filled, of what the legend names; all that has a label where None.
        legend: whether there is one.
    """
    with context():
        drawn = axes_or_new(ax, height_ratio)
        drawn.set_xlabel(xlabel)
        drawn.set_ylabel(ylabel)
        yield drawn
        if legend:
            legend_below(drawn, handles, grow=ax is None)


def legend_below(
    ax: Axes, handles: Sequence[Artist] | None = None, grow: bool = False
) -> Legend | None:
    """Put a legend under the axes, clear of data and tick labels, in as many columns as fit.

    Args:
        ax: the axes; the figure's constrained layout makes room by shrinking them.
        handles: the entries; by default all labelled artists of the axes.
        grow: make the figure taller instead, so that the axes keep their size.

    Returns:
        The legend, or None if there are no entries.

    Raises:
        OdescentError: axes without a figure.
    """
    if handles is None:
        handles = ax.get_legend_handles_labels()[0]
    if not handles:
        return None
    root = ax.get_figure(root=True)
    if root is None:
        raise OdescentError("A legend needs axes that belong to a figure; these belong to none.")
    root.draw_without_rendering()
    frame = ax.get_window_extent()
    outer = ax.get_tightbbox()
    points = 72.0 / root.dpi
    below = 0.0 if outer is None else (frame.y0 - outer.y0) * points
    room = (frame if outer is None else outer).width
    pad = below / SMALL + 0.5
    for ncols in range(min(4, len(handles)), 0, -1):
        legend = ax.legend(
            handles=list(handles),
            loc="upper center",
            bbox_to_anchor=(0.5, 0.0),
            borderaxespad=pad,
            ncols=ncols,
            fontsize=SMALL,
            frameon=False,
            handlelength=2.6,
            columnspacing=1.2,
            handletextpad=0.5,
            labelspacing=0.3,
            borderpad=0.0,
        )
        if ncols == 1 or legend.get_window_extent().width <= room:
            break
    if grow:
        wide, high = root.get_size_inches()
        root.set_size_inches(wide, high + (legend.get_window_extent().height + 4) / root.dpi)
    return legend


def note(
    ax: Axes,
    text: str,
    at: tuple[float, float],
    offset: tuple[float, float],
    color: str,
    **more: Any,
) -> None:
    """Annotate a point with small text; a white rim keeps it legible over lines.

    Args:
        ax: the axes.
        text: the annotation.
        at: the point, in data coordinates.
        offset: of the text from the point, in typographic points.
        color: of the text.
        **more: passed on to `Axes.annotate`.
    """
    from matplotlib.patheffects import withStroke

    rim = [withStroke(linewidth=2.0, foreground="white")]
    ax.annotate(
        text, at, xytext=offset, textcoords="offset points", va="center", fontsize=SMALL, color=color, path_effects=rim,
        **more,
    )  # fmt: skip


def save(
    fig: Figure,
    path_without_suffix: str | os.PathLike[str],
    formats: Sequence[str] = ("pdf", "svg", "png"),
) -> tuple[Path, ...]:
    """Write the figure in each format, atomically and reproducibly to the byte.

    All formats are drawn in memory first, so a failure in drawing leaves nothing on the disk; a
    failure in writing leaves no partial file. The folder is created where it is missing.

    Args:
        fig: the figure.
        path_without_suffix: where to write, e.g. `figures/portrait`.
        formats: any of "pdf", "svg", "png" (300 dots per inch).

    Returns:
        The paths written, in the order of `formats`.

    Raises:
        OdescentError: for an unknown format, or a path that already ends in one.
        OdescentError: if a file or its folder cannot be written.
    """
    base = Path(path_without_suffix)
    unknown = [f for f in formats if f not in _METADATA]
    if unknown:
        raise OdescentError(f"Figures are saved as pdf, svg or png; got the format {unknown[0]!r}.")
    if base.suffix.lstrip(".") in _METADATA or not base.name:
        raise OdescentError(
            f"Give the path of a figure without its suffix, such as 'figures/portrait'; got "
            f"{str(base)!r}."
        )
    drawn: dict[Path, bytes] = {}
    with context():
        for form in formats:
            buffer = io.BytesIO()
            fig.savefig(buffer, format=form, metadata=dict(_METADATA[form]))
            drawn[base.with_name(f"{base.name}.{form}")] = buffer.getvalue()
    make_folder(base.parent)
    for path, data in drawn.items():
        write_whole(path, data)
    return tuple(drawn)


def titled(name: str) -> str:
    """The label of a series: the title of a registered method that is called so, else the name as it is."""
    from ..discretize.library import REGISTRY

    return REGISTRY.titles.get(name, name)


@checked
def save_as(ax: Axes, path: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Write the figure of some axes to a path ending in .pdf, .svg or .png, or without suffix in all three.

    Raises:
        OdescentError: another suffix, or a file that cannot be written.
    """
    root = ax.get_figure(root=True)
    if root is None:
        raise OdescentError("these axes belong to no figure, so there is nothing to save.")
    place = Path(path)
    form = place.suffix.lstrip(".").lower()
    if not form:
        return save(root, place)
    if form not in _METADATA:
        raise OdescentError(f"Figures must be saved as pdf, svg or png, not {str(place)!r}.")
    return save(root, place.with_suffix(""), (form,))
