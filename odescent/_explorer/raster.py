"""The explorer's own SVG documents as PNG, drawn by matplotlib: paths, rectangles, circles and text."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SVG = "{http://www.w3.org/2000/svg}"
_DENSITY = 200  # pixels per inch, of a document with 100 units per inch
_TOKEN = re.compile(r"[MLZhv]|-?[\d.]+(?:e-?\d+)?")
_CLASSES: dict[str, dict[str, str]] = {
    "name": {"font-style": "italic", "font-size": "18"},
    "title": {"font-size": "16", "fill": "#222"},
    "tick": {"font-size": "13", "fill": "#555"},
}
_TEXT = {"font-size": "15", "fill": "#333"}
_INHERITED = ("fill", "stroke", "fill-opacity", "stroke-opacity", "stroke-width", "clip-path")


@dataclass(frozen=True)
class TextPiece:
    """A piece of text of one style, dy units below the line."""

    text: str
    style: Mapping[str, Any]
    dy: float = 0.0


def png(svg: str) -> bytes:
    """A PNG file of a document that `drawing.draw` has made."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    root = ElementTree.fromstring(svg)
    _, _, width, height = map(float, root.get("viewBox", "").split())
    figure = Figure(figsize=(width / 100, height / 100), dpi=_DENSITY)
    FigureCanvasAgg(figure)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.axis("off")
    clips = {c.get("id", ""): c[0] for c in root.iter(_SVG + "clipPath")}
    for child in root:
        _element(ax, child, {}, clips)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DENSITY)
    return file.getvalue()


def _element(ax: Axes, node: Any, above: Mapping[str, str], clips: Mapping[str, Any]) -> None:
    from matplotlib.patches import Circle, PathPatch, Rectangle

    style = {**above, **{n: v for n, v in node.attrib.items() if n in _INHERITED}}
    kind = node.tag.removeprefix(_SVG)

    def number(name: str) -> float:
        return float(node.get(name, 0))

    made: Any = None
    if kind == "g":
        for child in node:
            _element(ax, child, style, clips)
    elif kind == "text":
        _text(ax, node)
    elif kind == "rect":
        made = Rectangle((number("x"), number("y")), number("width"), number("height"))
    elif kind == "circle":
        made = Circle((number("cx"), number("cy")), number("r"))
    elif kind == "path":
        made = PathPatch(_path(node.get("d", "")))
    if made is None:
        return
    made.set(**_paint({**style, **node.attrib}))
    if node.get("stroke-linecap") == "round":
        made.set_capstyle("round")
    ax.add_patch(made)
    clip = clips.get(style.get("clip-path", "")[5:-1])
    if clip is not None:
        box = [float(clip.get(n)) for n in ("x", "y", "width", "height")]
        made.set_clip_path(Rectangle((box[0], box[1]), box[2], box[3], transform=ax.transData))


def _paint(style: Mapping[str, str]) -> dict[str, Any]:
    """Colours and lines of a patch; a unit is 0.72 points."""
    from matplotlib.colors import to_rgba

    def color(name: str, otherwise: str) -> Any:
        said = style.get(name, otherwise)
        return "none" if said == "none" else to_rgba(said, float(style.get(f"{name}-opacity", 1)))

    dashes = style.get("stroke-dasharray")
    width = 0.72 * float(style.get("stroke-width", 1))
    line = "-" if dashes is None else (0, tuple(0.72 * float(d) / width for d in dashes.split()))
    return {
        "facecolor": color("fill", "black"),
        "edgecolor": color("stroke", "none"),
        "linewidth": width,
        "linestyle": line,
    }


def _path(d: str) -> Any:
    """Commands M, L, Z, h and v, the ones that panels write."""
    from matplotlib.path import Path

    points: list[tuple[float, float]] = []
    codes: list[Any] = []
    tokens = iter(_TOKEN.findall(d))
    for token in tokens:
        if token in "ML":
            points.append((float(next(tokens)), float(next(tokens))))
            codes.append(Path.MOVETO if token == "M" else Path.LINETO)
        elif token == "Z":
            points.append(points[-1])
            codes.append(Path.CLOSEPOLY)
        else:
            step = float(next(tokens))
            x, y = points[-1]
            points.append((x + step, y) if token == "h" else (x, y + step))
            codes.append(Path.LINETO)
    return Path(np.array(points, float).reshape(-1, 2), codes)


def _text(ax: Axes, node: Any) -> None:
    """Pieces of text one after the other, anchored as a whole."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.patches import PathPatch
    from matplotlib.textpath import TextPath, text_to_path
    from matplotlib.transforms import Affine2D

    style: Any = {**_TEXT, **_CLASSES.get(node.get("class", ""), {}), **node.attrib}
    shapes = []
    along = below = 0.0
    for run in _runs(node, style):
        below += run.dy
        font = FontProperties(
            family=["STIXGeneral", "DejaVu Serif"],
            style=run.style.get("font-style", "normal"),
            weight=run.style.get("font-weight", "normal"),
            size=float(run.style["font-size"]),
        )
        shapes.append((TextPath((along, -below), run.text, prop=font), run.style))
        along += text_to_path.get_text_width_height_descent(run.text, font, False)[0]
    back = {"middle": along / 2, "end": along}.get(node.get("text-anchor"), 0.0)
    move = Affine2D().scale(1, -1).translate(float(node.get("x")) - back, float(node.get("y")))
    for shape, own in shapes:
        ax.add_patch(PathPatch(shape.transformed(move), facecolor=_paint(own)["facecolor"], lw=0))


def _runs(node: Any, style: Mapping[str, str], dy: float = 0.0) -> Iterator[TextPiece]:
    """The pieces of text of an element and of the spans in it, in their order."""
    if node.text:
        yield TextPiece(node.text, style, dy)
    for span in node:
        yield from _runs(span, {**style, **span.attrib}, float(span.get("dy", 0)))
        if span.tail:
            yield TextPiece(span.tail, style)
