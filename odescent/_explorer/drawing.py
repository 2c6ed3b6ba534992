"""The explorer's picture: three panels as one SVG document, in the colours of every other picture here.

An SVG is written in a few milliseconds, where matplotlib needs a tenth of a second and more for the same panels: with
it a slider would not be live. It is also sharp at any size on a projector.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from jaxtyping import Float

from odescent.analysis.style import COLORS
from odescent.dynamics.unicode import pretty

Points = Float[np.ndarray, "n 2"]

WIDTH, HEIGHT = 1180, 600
_FLOW, _ITERATES, _INK, _FAINT = COLORS[0], COLORS[1], "#222222", "#9AA5B1"
_RHO = '<tspan font-style="italic">ρ</tspan>'
_STYLE = (
    "text{font-family:'STIX Two Text',Georgia,'Times New Roman',serif;font-size:15px;fill:#333}"
    ".name{font-style:italic;font-size:18px}.title{font-size:16px;fill:#222}.tick{font-size:13px;fill:#555}"
)


@dataclass(frozen=True)
class Pictured:
    """What is drawn; see `View` for most of it.

    Attributes:
        kind: "phase", "time" or "plane", as of a `Model`.
        axes: names of the two coordinates.
        arcs: little arcs along the field, shape (n, j, 2), with their relative speed, shape (n,).
        levels: level lines of the objective.
        mode: the curvature whose mode is drawn, to mark it in the spectrum; or None.
        slope: the rate to compare the gap with; None on an objective that is in no class F(mu, L).
    """

    kind: str
    axes: tuple[str, str]
    window: Float[np.ndarray, "2 2"]
    iterates: Points
    flow: Points
    arcs: Float[np.ndarray, "n j 2"]
    speed: Float[np.ndarray, " n"]
    levels: Sequence[Points]
    curvatures: Float[np.ndarray, " m"]
    radius: Float[np.ndarray, " m"]
    rate: float | None
    mode: float | None
    gap: Float[np.ndarray, " k"] | None
    slope: float | None


class _Panel:
    """A rectangle with axes: data coordinates to the document's."""

    def __init__(
        self, box: tuple[float, float, float, float], x: Sequence[float], y: Sequence[float], log: bool = False
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

    def line(self, points: Points, style: str) -> None:
        if len(points) > 1:
            self.parts.append(f'<path d="{_path(self.at(points))}" fill="none" {style}/>')

    def lines(self, many: Sequence[Points], style: str) -> None:
        long = [p for p in many if len(p) > 1]
        if long:
            ends = np.cumsum([len(p) for p in long])[:-1]
            d = "".join(map(_path, np.split(self.at(np.concatenate(long)), ends)))
            self.parts.append(f'<path d="{d}" fill="none" {style}/>')

    def dots(self, points: Points, radius: float, style: str) -> None:
        self.parts.append(
            f"<g {style}>"
            + "".join(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"/>' for x, y in self.at(points)
            )
            + "</g>"
        )

    def svg(self, name: str, title: str, across: str, up: str) -> str:
        """The panel with its frame, ticks and names."""
        right, bottom = self.left + self.width, self.top + self.height
        clip = f"clip-{name}"
        out = [
            f'<clipPath id="{clip}"><rect x="{self.left}" y="{self.top}" width="{self.width}" height="{self.height}"/>'
            f'</clipPath><g clip-path="url(#{clip})">{"".join(self.parts)}</g>',
            f'<rect x="{self.left}" y="{self.top}" width="{self.width}" height="{self.height}" fill="none" '
            'stroke="#B8C0C8"/>',
            f'<text class="title" x="{self.left}" y="{self.top - 12}">{title}</text>',
            f'<text class="name" x="{right - 4}" y="{bottom + 38}" text-anchor="end">{escape(across)}</text>',
            f'<text class="name" x="{self.left - 12}" y="{self.top + 8}" text-anchor="end">{escape(up)}</text>',
        ]
        for value in _ticks(*self.x):
            x = self.left + self.width * (value - self.x[0]) / (self.x[1] - self.x[0])
            out.append(
                f'<path d="M{x:.1f} {bottom}v5" stroke="#B8C0C8"/>'
                f'<text class="tick" x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">{_number(value)}</text>'
            )
        for value in _ticks(*self.y, whole=self.log):
            y = bottom - self.height * (value - self.y[0]) / (self.y[1] - self.y[0])
            if y < self.top + 14:
                continue  # the axis's name stands there
            said = (
                f'10<tspan dy="-6" font-size="10">{_number(value)}</tspan>'
                if self.log
                else _number(value)
            )
            out.append(
                f'<path d="M{self.left} {y:.1f}h-5" stroke="#B8C0C8"/>'
                f'<text class="tick" x="{self.left - 9}" y="{y + 4:.1f}" text-anchor="end">{said}</text>'
            )
        return "".join(out)


def draw(p: Pictured) -> str:
    """The SVG document of a view: the portrait, the modal radius over the curvatures, and the objective's gap."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" role="img" '
        f'aria-label="flow, iterates, spectrum and convergence"><style>{_STYLE}</style>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _portrait(p),
        _spectrum(p),
        _convergence(p),
        "</svg>",
    ]
    return "".join(parts)


def _portrait(p: Pictured) -> str:
    panel = _Panel((62, 42, 600, 500), p.window[0], p.window[1])
    panel.lines(p.levels, 'stroke="#D4DAE0" stroke-width="1"')
    if len(p.arcs):
        shade = np.searchsorted(np.quantile(p.speed, [0.25, 0.5, 0.75]), p.speed)
        for k, opacity in enumerate((0.30, 0.42, 0.54, 0.66)):
            some = p.arcs[shade == k]
            style = f'stroke="{_FAINT}" stroke-opacity="{opacity}" stroke-width="1.4"'
            panel.lines(list(some), style + ' stroke-linecap="round"')
            panel.parts.append(
                f'<g fill="{_FAINT}" fill-opacity="{opacity}">{_heads(panel, some)}</g>'
            )
    for axis in (0, 1):
        zero = p.window[axis]
        if p.kind != "time" and zero[0] < 0 < zero[1]:
            ends = np.zeros((2, 2))
            ends[:, 1 - axis] = p.window[1 - axis]
            panel.line(ends, 'stroke="#C9CED4" stroke-width="0.8"')
    panel.line(p.flow, f'stroke="{_FLOW}" stroke-width="2.6" stroke-linecap="round"')
    panel.line(p.iterates, f'stroke="{_ITERATES}" stroke-width="1" stroke-opacity="0.45"')
    panel.dots(p.iterates, 4.2, f'fill="{_ITERATES}" stroke="white" stroke-width="0.8"')
    panel.dots(p.iterates[:1], 6, f'fill="white" stroke="{_ITERATES}" stroke-width="2"')
    title = (
        f'<tspan fill="{_FLOW}" font-weight="bold">flow</tspan> and '
        f'<tspan fill="{_ITERATES}" font-weight="bold">iterates</tspan> from the same start'
    )
    return panel.svg("portrait", title, *(_name(a) for a in p.axes))


def _heads(panel: _Panel, arcs: Float[np.ndarray, "n j 2"]) -> str:
    """Arrow heads at the ends of arcs."""
    a, b = panel.at(arcs[:, -2]), panel.at(arcs[:, -1])
    size = np.hypot(*(b - a).T)
    u = ((b - a) / np.where(size > 0, size, 1.0)[:, None])[size > 0]
    b = b[size > 0]
    side = np.column_stack([-u[:, 1], u[:, 0]])
    corners = np.stack([b + 3.4 * u, b - 2.6 * u + 2.9 * side, b - 2.6 * u - 2.9 * side], 1)
    return f'<path d="{"".join(_path(c) + "Z" for c in corners)}"/>' if len(corners) else ""


def _spectrum(p: Pictured) -> str:
    box = (760.0, 42.0, 400.0, 196.0)
    if not len(p.radius):
        return _nothing(box, "modal radius over the curvatures", "this method has no modes")
    finite = p.radius[np.isfinite(p.radius)]
    top = min(max(1.06, 1.08 * float(finite.max(initial=0))), 3.0)
    low, high = float(p.curvatures[0]), float(p.curvatures[-1])
    reach = (low, high) if p.mode is None else (min(low, p.mode), max(high, p.mode))
    if reach[0] == reach[1]:
        reach = (reach[0] / 2, reach[1] * 2)
    panel = _Panel(box, reach, (0.0, top))
    one = np.array([[reach[0], 1.0], [reach[1], 1.0]])
    panel.line(one, f'stroke="{_INK}" stroke-width="1" stroke-dasharray="2 3"')
    radius = np.column_stack([p.curvatures, np.minimum(p.radius, 1e6)])
    panel.line(radius, f'stroke="{COLORS[3]}" stroke-width="2.6"')
    if p.mode is not None:
        ends = np.array([[p.mode, 0.0], [p.mode, top]])
        panel.line(ends, f'stroke="{_ITERATES}" stroke-width="1.4" stroke-dasharray="5 3"')
        if low <= p.mode <= high:
            at = float(np.interp(p.mode, p.curvatures, p.radius))
            panel.dots(np.array([[p.mode, at]]), 5, f'fill="{_ITERATES}"')
    rate = "" if p.rate is None else f"modal radius, largest {_RHO} = {p.rate:.4f}"
    if p.rate is not None and p.rate >= 1:
        rate += " (not contracting)"
    return panel.svg("spectrum", rate, "λ", "")


def _convergence(p: Pictured) -> str:
    box = (760.0, 318.0, 400.0, 224.0)
    title = (
        'gap <tspan font-style="italic">f(x</tspan><tspan dy="3" font-size="11">k</tspan>'
        '<tspan dy="-3">)</tspan> − min <tspan font-style="italic">f</tspan>'
    )
    seen = None if p.gap is None else p.gap[np.isfinite(p.gap) & (p.gap > 1e-300)]
    if p.gap is None or seen is None or not len(seen):
        return _nothing(
            box, title, "the least value is not known here" if p.gap is None else "it is reached"
        )
    top = math.ceil(math.log10(float(seen.max())) + 1e-9)
    low = max(math.floor(math.log10(float(seen.min()))), top - 17)
    k = np.arange(len(p.gap))
    panel = _Panel(
        box, (0.0, max(len(p.gap) - 1.0, 1.0)), (float(low), float(max(top, low + 1))), log=True
    )
    if p.slope is not None and 0 < p.slope < 1:
        slope = float(seen[0]) * p.slope ** (2.0 * k)
        panel.line(
            np.column_stack([k, slope]),
            f'stroke="{COLORS[3]}" stroke-width="1.8" stroke-dasharray="6 4"',
        )
        title += f', and the slope <tspan fill="{COLORS[3]}" font-style="italic">ρ²ᵏ</tspan>'
    inside = p.gap > 0
    panel.line(
        np.column_stack([k, p.gap])[inside],
        f'stroke="{_ITERATES}" stroke-width="1.2" stroke-opacity="0.6"',
    )
    panel.dots(np.column_stack([k, p.gap])[inside], 2.6, f'fill="{_ITERATES}"')
    return panel.svg("gap", title, "k", "")


def _nothing(box: tuple[float, float, float, float], title: str, why: str) -> str:
    left, top, width, height = box
    return (
        f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="#F6F8FA" stroke="#D5DBE1"/>'
        f'<text class="title" x="{left}" y="{top - 12}">{title}</text>'
        f'<text x="{left + width / 2}" y="{top + height / 2}" text-anchor="middle" fill="#777">{escape(why)}</text>'
    )


def _path(points: Points) -> str:
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


def _name(axis: str) -> str:
    return pretty(axis).replace("x1", "x₁").replace("x2", "x₂")
