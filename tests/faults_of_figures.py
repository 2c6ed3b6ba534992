"""Faults that a referee would find in a drawn figure; a module of its own, as several files of tests draw figures."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any

import matplotlib.colors
import numpy as np

from odescent._support import style
from odescent.discretize.library import REGISTRY

_NONE = ("", " ", "None", "none", None)
_CAPS = ("_", "|")  # of error bars
_POINT = 1e-9


def faults(figure: Any, claims: Iterable[Any] = ()) -> list[str]:
    """What is wrong with a figure: unexplained markers, a method in another colour or by another name, vague names,
    orders without slope, texts that are cut off or lie over one another.

    Args:
        figure: a matplotlib figure.
        claims: of the figure; one that speaks of an order asks for reference slopes.
    """
    return [
        *(f"no legend names {seen}" for seen in _unexplained(figure)),
        *_wrong_colors(figure),
        *(f"vague: {text}" for text in _texts(figure) if re.search(r"\blengths?\b", text)),
        *_slopes(figure, claims),
        *_layout(figure),
    ]


def _axes(figure: Any) -> Iterator[Any]:
    for ax in figure.axes:
        yield ax
        yield from ax.child_axes


def _legends(figure: Any) -> list[Any]:
    own = [ax.get_legend() for ax in _axes(figure)]
    return [*figure.legends, *(legend for legend in own if legend is not None)]


def _look(line: Any) -> tuple[str, str, str]:
    return (
        str(line.get_marker()),
        _hex(line.get_markerfacecolor()),
        _hex(line.get_markeredgecolor()),
    )


def _marked(lines: Iterable[Any]) -> Iterator[Any]:
    for line in lines:
        x = np.asarray(line.get_xdata(), float)
        if (
            line.get_marker() not in (*_NONE, *_CAPS)
            and line.get_visible()
            and np.isfinite(x).any()
        ):
            yield line


def _parts(handle: Any) -> Iterator[Any]:
    """The lines of a legend's entry, those of error bars and of groups among them."""
    if hasattr(handle, "get_marker"):
        yield handle
    for part in getattr(handle, "get_children", list)():
        yield from _parts(part)


def _hex(color: Any) -> str:
    return (
        str(color) if isinstance(color, str) and color in _NONE else matplotlib.colors.to_hex(color)
    )


def _is_grey(color: str) -> bool:
    return len({color[1:3], color[3:5], color[5:7]}) == 1 and color not in ("#000000", "#ffffff")


def _unexplained(figure: Any) -> list[str]:
    """Markers that stand in no legend.

    A marker is named by an entry of its look or its label. A grey entry names open or filled markers of all lines
    whose colour has an entry. A text in the colour of a line names it too.
    """
    entries = [line for g in _legends(figure) for h in g.legend_handles for line in _parts(h)]
    texts = {t.get_text() for g in _legends(figure) for t in g.get_texts()}
    looks = {_look(line) for line in entries if line.get_marker() not in _NONE}
    colors = {_hex(line.get_color()) for line in entries}
    greys = {face == "#ffffff" for _, face, edge in looks if _is_grey(edge) or _is_grey(face)}
    found = []
    for ax in _axes(figure):
        bars = [c for c in ax.containers if str(c.get_label()) in texts]
        explained = {id(line) for c in bars for line in c.get_children()}
        for line in _marked(line for line in ax.lines if id(line) not in explained):
            look, label = _look(line), str(line.get_label())
            of_a_kind = (look[1] == "#ffffff") in greys and {
                _hex(line.get_color()),
                *look[1:],
            } & colors
            if not (look in looks or label in texts or of_a_kind or _labels(ax, line)):
                found.append(f"the marker {look} of {label!r} in {ax.get_title(loc='left')!r}")
    return found


def _labels(ax: Any, line: Any) -> bool:
    """Whether a text in the colour of a line stands beside its end."""
    return any(_hex(t.get_color()) == _hex(line.get_color()) and t.get_text() for t in ax.texts)


def _method(label: str) -> str | None:
    """The method that a label speaks of: its title, and at most more after a comma, a colon or a bracket."""
    said = re.split(r"[:(]|, (?!strongly|convex)", label)[0].strip().lower()
    return next((n for n, title in REGISTRY.titles.items() if title.lower() == said), None)


def _wrong_colors(figure: Any) -> list[str]:
    found = []
    lines = [(line, str(line.get_label())) for ax in _axes(figure) for line in ax.lines]
    for legend in _legends(figure):
        for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
            lines += [(line, text.get_text()) for line in _parts(handle)]
    for line, label in lines:
        name = _method(label)
        if name is not None:
            look = style.method_style(name)
            assert look is not None
            if not label.startswith(REGISTRY.titles[name]):
                found.append(f"{label!r} does not begin with the title {REGISTRY.titles[name]!r}")
            color = _hex(line.get_color()).upper()
            if color != look.color:
                found.append(f"{label} is drawn in {color}, not in {look.color}")
    return list(dict.fromkeys(found))  # a line and its entry are one fault


def _texts(figure: Any) -> list[str]:
    texts = [
        t.get_text() for ax in _axes(figure) for t in (ax.xaxis.label, ax.yaxis.label, *ax.texts)
    ]
    texts += [ax.get_title(loc=where) for ax in _axes(figure) for where in ("left", "center")]
    return [*texts, *(t.get_text() for legend in _legends(figure) for t in legend.get_texts())]


def _slopes(figure: Any, claims: Iterable[Any]) -> list[str]:
    """Missing reference slopes, and those that have another slope than they say."""
    drawn = [
        line
        for ax in _axes(figure)
        for line in ax.lines
        if str(line.get_gid()).startswith("slope ")
    ]
    found = []
    for line in drawn:
        said = float(str(line.get_gid()).removeprefix("slope "))
        (x0, x1), (y0, y1) = (np.log(np.asarray(v, float))[[0, -1]] for v in line.get_data())
        if abs((y1 - y0) / (x1 - x0) - said) > _POINT:
            found.append(
                f"a line of slope {(y1 - y0) / (x1 - x0):.4g} is said to have the slope {said:g}"
            )
    wanted = sorted(
        {
            c.text
            for c in claims
            if re.search(r"fitted (order|exponent)|order of the gap|to the power", c.text)
        }
    )
    return found if drawn or not wanted else [f"no reference slope for: {wanted[0]}"]


def _layout(figure: Any) -> list[str]:
    """Texts beyond the edge of the figure, and pairs of them that overlap, by more than a point."""
    figure.set_dpi(300)  # of files; letters have other sizes on a screen
    with style.context():
        figure.draw_without_rendering()
        boxes = [(t.get_text(), t.get_window_extent()) for t in _placed(figure)]
    point = figure.dpi / 72
    inside = figure.bbox.padded(point)
    found = [
        f"cut off: {text!r}"
        for text, box in boxes
        if not (inside.contains(*box.min) and inside.contains(*box.max))
    ]
    for (text, box), (other, there) in itertools.combinations(boxes, 2):
        sides = np.minimum(box.max, there.max) - np.maximum(box.min, there.min)
        if sides.min() > point:
            found.append(f"{text!r} lies over {other!r}")
    return found


def _placed(figure: Any) -> Iterator[Any]:
    """The texts that are seen; of the labels of ticks, those beside the axes."""
    texts = [*figure.texts, *(t for legend in _legends(figure) for t in legend.get_texts())]
    for ax in _axes(figure):
        texts += [*ax.texts, *(ax.title, ax._left_title, ax._right_title)]
        if ax.axison:
            texts += [ax.xaxis.label, ax.yaxis.label]
            for axis, labels in ((0, ax.get_xticklabels()), (1, ax.get_yticklabels())):
                ends = ax.bbox.min[axis] - 1, ax.bbox.max[axis] + 1
                for t in labels:
                    at = t.get_transform().transform(t.get_position())[axis]
                    texts += [t] if ends[0] <= at <= ends[1] else []
    return (t for t in texts if t.get_visible() and t.get_text().strip())
