"""What several figures share: panels with letters, typeset tables, fitted orders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .._support import style
from .._support.errors import OdescentError
from .._support.rendering.brief import capital

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METHODS = ("gradient_descent", "heavy_ball", "nesterov_sc", "triple_momentum")
TITLES = {n: style.titled(n) for n in METHODS}
_LINE, _GAP = 0.155, 0.075  # inches: a line of small text, the room between rows
_SLOPE = "0.45"
_RAISED = 0.014  # half of what a line has below its baseline


def panels(
    rows: int = 1,
    columns: int = 1,
    width: float = style.FULL_WIDTH,
    height: float = 2.6,
    **options: Any,
) -> tuple[Figure, list[Axes]]:
    """A figure with a grid of axes in the house style.

    Args:
        rows: of the grid.
        columns: of the grid.
        width: of the figure, in inches.
        height: of the whole figure, in inches.
        **options: passed on to `matplotlib.figure.Figure.subplots`.

    Returns:
        The figure, and its axes row by row.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options).ravel().tolist()
    for ax in axes:
        ax.tick_params(labelsize=style.SMALL, direction="out", length=2.5, width=0.6)
    return figure, axes


def look_of(method: str) -> style.SeriesStyle:
    """A registered method's colour, dash and marker, the same in all pictures of the package."""
    return style.looks([method])[method]


def fitted_order(x: Iterable[float], y: Iterable[float]) -> float:
    """The exponent p of |y| ~ x^p, by least squares in the logarithms."""
    import numpy as np

    return float(np.polyfit(np.log(np.asarray(x)), np.log(np.abs(np.asarray(y))), 1)[0])


def slopes(ax: Axes, lines: Iterable[tuple[Any, Any, float]], factor: float = 0.55) -> None:
    """Reference slopes of claimed orders on logarithmic axes: dotted, beside what they are compared with.

    Args:
        ax: the axes.
        lines: abscissas and values of each series, and the order that is claimed of it.
        factor: how far below that, or above.
    """
    import numpy as np

    drawn = [(np.asarray(x, float), np.asarray(y, float), power) for x, y, power in lines]
    orders = ", ".join(f"${power:g}$" for power in dict.fromkeys(p for _, _, p in drawn))
    label = f"slope{'s' * (',' in orders)} {orders}"
    for x, y, power in drawn:
        at = int(np.argmin(y))  # where the order is to be seen
        ax.plot(
            x, factor * y[at] * (x / x[at]) ** power, color=_SLOPE, ls=(0, (1, 1.3)), lw=1.0, zorder=1.5, label=label,
            gid=f"slope {power:g}", scalex=False, scaley=False,
        )  # fmt: skip
        label = "_nolegend_"


def flow_alone(portrait: Any) -> Any:
    """A phase portrait without its nullclines."""
    from ..analysis.portraits.nullclines import Nullclines

    return replace(portrait, nullclines=Nullclines((), (), (0.0, 0.0)))


def mark(ax: Axes, x: Iterable[float] = (), y: Iterable[float] = ()) -> None:
    """Ticks at these numbers and at no others, on the axes for which there are some."""
    for axis, values in ((ax.xaxis, list(x)), (ax.yaxis, list(y))):
        if values:
            axis.set_ticks(values, [f"{v:g}".replace("-", "\u2212") for v in values])
    ax.minorticks_off()


def letter(axes: Sequence[Axes], titles: Sequence[str]) -> None:
    """Put (a), (b), ... and a title over each."""
    for i, (ax, title) in enumerate(zip(axes, titles, strict=True)):
        said = f"({chr(97 + i)}) {capital(title)}".rstrip()
        ax.set_title(said, loc="left", fontsize=style.FONT_SIZE, pad=4)


def legend_under(figure: Figure, axes: Sequence[Axes], ncols: int = 4, **options: Any) -> None:
    """One legend for all panels, below the figure; each label appears once.

    Args:
        figure: receives the legend.
        axes: the panels whose labelled artists are listed.
        ncols: the maximal number of columns.
        **options: passed on to `Figure.legend`.
    """
    handles = {
        str(h.get_label()): h
        for ax in axes
        for h in ax.get_legend_handles_labels()[0]
        if not str(h.get_label()).startswith("_")
    }
    figure.legend(
        handles=list(handles.values()), loc="outside lower center",
        ncols=min(ncols, max(len(handles), 1)), fontsize=style.SMALL, frameon=False, **options,
    )  # fmt: skip


def draw_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    shares: Sequence[float],
    width: float = style.FULL_WIDTH,
    numeric: Sequence[int] = (),
    note: str = "",
) -> Figure:
    """A table with three rules, as in a book; cells are mathtext and may have several lines.

    Args:
        columns: headings.
        rows: cells as text.
        shares: widths of the columns, in any unit.
        width: inches.
        numeric: columns that are set flush right.
        note: under the table, one line.

    Raises:
        OdescentError: rows of another length than the headings.
    """
    from matplotlib.figure import Figure

    if any(len(row) != len(columns) for row in rows) or len(shares) != len(columns):
        raise OdescentError(
            f"a table has rows and widths of {len(columns)} entries, one for each heading."
        )
    lines = [max(str(c).count("\n") + 1 for c in row) for row in [columns, *rows]]
    heights = [n * _LINE + _GAP for n in lines]
    total = sum(heights) + 0.12 + (_LINE + _GAP) * bool(note)
    edges = [0.0]
    for share in shares:
        edges.append(edges[-1] + share / sum(shares))
    figure = Figure(figsize=(width, total))
    ax = figure.add_axes((0.01, 0.0, 0.98, 1.0))
    ax.set_axis_off()
    ax.set(xlim=(0, 1), ylim=(total, 0))
    top = 0.05
    ax.plot([0, 1], [top, top], color="black", lw=0.9, clip_on=False)
    for i, (row, high) in enumerate(zip([columns, *rows], heights, strict=True)):
        for j, cell in enumerate(row):
            right = j in numeric
            at = edges[j + 1] - 0.012 if right else edges[j] + 0.004
            ax.text(
                at, top + high / 2 - _RAISED, str(cell), ha="right" if right else "left", va="center_baseline",
                fontsize=style.SMALL, fontweight="bold" if i == 0 else "normal", linespacing=1.25,
            )  # fmt: skip
        top += high
        if i == 0 or i == len(rows):
            ax.plot([0, 1], [top, top], color="black", lw=0.5 if i == 0 else 0.9, clip_on=False)
    ax.text(0.004, top + (_LINE + _GAP) / 2, note, va="center_baseline", fontsize=style.SMALL)
    return figure
