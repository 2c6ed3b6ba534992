"""A panel of the explorer's picture: a rectangle with axes, in which lines, bands and dots are drawn as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np
from jaxtyping import Float

from .._support.style import CENTER as CENTER
from .._support.style import FLOW as FLOW

Points = Float[np.ndarray, "n 2"]
Box = tuple[float, float, float, float]  # left, top, width, height


class Panel:
    """A rectangle with axes: data coordinates to the document's."""

    def __init__(
        self, box: Box, x: Sequence[float], y: Sequence[float], log: bool = False
    ) -> None:  # fmt: skip
        self.left, self.top, self.width, self.height = box
        self.x, self.y, self.log = (float(x[0]), float(x[1])), (float(y[0]), float(y[1])), log
        self.parts: list[str] = []

    def at(self, points: Points) -> Points:
        """Places in the document; far ones are pulled in to where they are cut off anyhow."""
        y = np.log10(np.maximum(points[:, 1], 1e-300)) if self.log else points[:, 1]
        across = (points[:, 0] - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        across, up = np.clip(across, -9, 10), np.clip(up, -9, 10)
        return np.column_stack([self.left + self.width * across, self.top + self.height * (1 - up)])

    def line(self, points: Points, style: str, filled: bool = False) -> None:
        """Add a polyline.

        Args:
            points: in data coordinates; fewer than two draw nothing.
            style: SVG attributes.
            filled: close and fill it.
        """
        if len(points) > 1:
            shut = "Z" if filled else '" fill="none'
            self.parts.append(f'<path d="{path(self.at(points))}{shut}" {style}/>')

    def lines(self, many: Sequence[Points], style: str) -> None:
        long = [p for p in many if len(p) > 1]
        if long:
            ends = np.cumsum([len(p) for p in long])[:-1]
            d = "".join(map(path, np.split(self.at(np.concatenate(long)), ends)))
            self.parts.append(f'<path d="{d}" fill="none" {style}/>')

    def dots(self, points: Points, radius: float, style: str) -> None:
        """Add dots.

        Args:
            points: their centers, in data coordinates.
            radius: in SVG units.
            style: SVG attributes.
        """
        self.parts.append(
            f"<g {style}>"
            + "".join(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"/>' for x, y in self.at(points)
            )
            + "</g>"
        )

    def band(self, x: Float[np.ndarray, " n"], ends: Float[np.ndarray, "2 n"], style: str) -> None:
        """Fill the region between two curves, where both are finite.

        Args:
            x: abscissas.
            ends: the lower and upper curve.
            style: SVG attributes.
        """
        known = np.isfinite(ends).all(0)
        low, high = (np.column_stack([x, e])[known] for e in ends)
        self.line(np.concatenate([low, high[::-1]]), style, filled=True)

    def svg(self, name: str, title: str, across: str, up: str) -> str:
        """The panel with its frame, ticks and axis names.

        Args:
            name: a unique identifier, for the clip path.
            title: SVG text above the panel.
            across: name of the horizontal axis.
            up: name of the vertical axis.
        """
        right, bottom = self.left + self.width, self.top + self.height
        clip = f"clip-{name}"
        out = [
            f'<clipPath id="{clip}"><rect x="{self.left}" y="{self.top}" width="{self.width}" height="{self.height}"/>'
            f'</clipPath><g clip-path="url(#{clip})">{"".join(self.parts)}</g>',
            f'<rect x="{self.left}" y="{self.top}" width="{self.width}" height="{self.height}" fill="none" '
            'stroke="#B8C0C8"/>',
            f'<text class="title" x="{self.left}" y="{self.top - 12}">{title}</text>',
            f'<text class="name" x="{right - 4}" y="{bottom + 38}" text-anchor="end">{escape(across)}</text>',
            f'<text class="name" x="{self.left - 12}" y="{self.top - 4}" text-anchor="end">{escape(up)}</text>',
        ]
        for value in _ticks(*self.x):
            x = self.left + self.width * (value - self.x[0]) / (self.x[1] - self.x[0])
            out.append(
                f'<path d="M{x:.1f} {bottom}v5" stroke="#B8C0C8"/>'
                f'<text class="tick" x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">{_number(value)}</text>'
            )
        for value in _ticks(*self.y, whole=self.log):
            y = bottom - self.height * (value - self.y[0]) / (self.y[1] - self.y[0])
            if up and y < self.top + 6:
                continue  # the axis's name stands there
            said = _number(value)
            if self.log:
                said = f'10<tspan dy="-6" font-size="10">{said}</tspan>'
            out.append(
                f'<path d="M{self.left} {y:.1f}h-5" stroke="#B8C0C8"/>'
                f'<text class="tick" x="{self.left - 9}" y="{y + 4:.1f}" text-anchor="end">{said}</text>'
            )
        return "".join(out)


class StepPanel(Panel):
    """A panel over the steps of a run, with a logarithmic scale for what is positive among some values."""

    def __init__(self, box: Box, *seen: Float[np.ndarray, " n"]) -> None:
        self.k = np.arange(len(seen[0]))
        ends = (0.0, max(len(self.k) - 1.0, 1.0))
        super().__init__(box, ends, decades(np.concatenate(seen)), log=True)

    def curve(
        self, values: Float[np.ndarray, " n"], style: str, radius: float = 0, dots: str = ""
    ) -> None:
        """A line through the positive values, optionally with dots.

        Args:
            values: one per step.
            style: SVG attributes of the line.
            radius: of the dots, in SVG units.
            dots: SVG attributes of the dots; empty for none.
        """
        with np.errstate(invalid="ignore"):
            points = np.column_stack([self.k, values])[values > 0]
        self.line(points, style)
        if dots:
            self.dots(points, radius, dots)


def any_positive(*seen: Float[np.ndarray, " n"]) -> bool:
    """Whether a logarithmic scale can show anything of some values."""
    return any(bool((values[np.isfinite(values)] > 1e-300).any()) for values in seen)


def nothing(box: Box, title: str, *why: str) -> str:
    """An empty panel with the reason, line by line."""
    left, top, width, height = box
    first = top + height / 2 - 10 * (len(why) - 1) + 5
    said = "".join(
        f'<text x="{left + width / 2}" y="{first + 20 * i:g}" text-anchor="middle" fill="#777">{escape(line)}</text>'
        for i, line in enumerate(why)
    )
    return (
        f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="#F6F8FA" stroke="#D5DBE1"/>'
        f'<text class="title" x="{left}" y="{top - 12}">{title}</text>'
        f"{said}"
    )


def path(points: Points) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points.tolist())


def _ticks(low: float, high: float, whole: bool = False) -> list[float]:
    """About five round numbers between two."""
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= raw)
    step = max(step, 1.0) if whole else step
    if whole:
        step = math.ceil(step)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _number(value: float) -> str:
    return f"{value:.6g}".replace("-", "−") if abs(value) > 1e-12 else "0"


def decades(values: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Whole powers of ten around the positive ones of some numbers, at most 17."""
    seen = values[np.isfinite(values) & (values > 1e-300)]
    top = math.ceil(math.log10(float(seen.max())) + 1e-9)
    low = max(math.floor(math.log10(float(seen.min()))), top - 17)
    return float(low), float(max(top, low + 1))


def bold(text: str, color: str, opacity: float = 1.0) -> str:
    """SVG text in bold, in the colour of what it describes.

    Args:
        text: SVG text.
        color: CSS colour.
        opacity: of the fill, in [0, 1].
    """
    faint = f' fill-opacity="{opacity:g}"' if opacity < 1 else ""
    return f'<tspan fill="{color}"{faint} font-weight="bold">{text}</tspan>'


def italic(name: str, index: str = "") -> str:
    """A name in italics; with an index it is that of a function's argument, whose bracket is closed behind it."""
    said = f'<tspan font-style="italic">{name}</tspan>'
    below = f'<tspan dy="3" font-size="11">{index}</tspan><tspan dy="-3">)</tspan>'
    return said + below if index else said


GAP = f"gap {italic('f(x', 'k')} − min {italic('f')}"
