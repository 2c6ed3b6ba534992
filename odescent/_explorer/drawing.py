"""The explorer's picture: its panels as one SVG document, in the colours of every other picture here.

An SVG is written in a few milliseconds, where matplotlib needs a tenth of a second and more for the same panels: with
it a slider would not be live. It is also sharp at any size on a projector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ..dynamics.notation.unicode import pretty
from . import ensemble
from .ensemble import PathEnsemble
from .modes import ModalRadius
from .panel import (
    FLOW,
    GAP,
    Box,
    Panel,
    Points,
    StepPanel,
    any_positive,
    bold,
    italic,
    nothing,
    path,
)  # fmt: skip

WIDTH, HEIGHT = 1180, 600
_INK, _FAINT, _SLOPE = "#222222", "#9AA5B1", "#6B7680"
_RHO = italic("ρ")
_TWO = ((760.0, 42.0, 400.0, 196.0), (760.0, 318.0, 400.0, 224.0))  # the panels on the right
_THREE = tuple((760.0, top, 400.0, 116.0) for top in (42.0, 234.0, 426.0))  # those of an ensemble
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
        spectrum: the modal radius over the curvatures, or why there is none.
        mode: the curvature whose mode is drawn, to mark it in the spectrum; or None.
        slope: the rate to compare the gap with; None on an objective that is in no class F(mu, L).
        color: of the method, the same in all pictures of the package.
        ensemble: the paths that are drawn instead of the iterates; or None.
        gaps: the objective less its least value along each of them, shape (n, k + 1); or None where it is unknown.
        least: that value.
        hidden: names of further coordinates, which are not drawn.
    """

    kind: str
    axes: tuple[str, str]
    window: Float[np.ndarray, "2 2"]
    iterates: Points
    flow: Points
    arcs: Float[np.ndarray, "n j 2"]
    speed: Float[np.ndarray, " n"]
    levels: Sequence[Points]
    spectrum: ModalRadius
    mode: float | None
    gap: Float[np.ndarray, " k"] | None
    slope: float | None
    color: str
    ensemble: PathEnsemble | None = None
    gaps: Float[np.ndarray, "n k"] | None = None
    least: float = 0.0
    hidden: Sequence[str] = ()


def draw(p: Pictured) -> str:
    """The SVG document of a view: the portrait, the modal radius, an ensemble's spread, and the objective's gap."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" role="img" '
        f'aria-label="flow, iterates, spectrum and convergence"><style>{_STYLE}</style>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _portrait(p),
        *_beside(p),
        "</svg>",
    ]
    return "".join(parts)


def _portrait(p: Pictured) -> str:
    panel = Panel((62, 42, 600, 500), p.window[0], p.window[1])
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
    panel.line(p.flow, f'stroke="{FLOW}" stroke-width="2.6" stroke-linecap="round"')
    flow = bold("flow", FLOW)
    if p.ensemble is not None:
        title = ensemble.paths(panel, p.ensemble, p.kind == "time", p.color)
        if len(p.flow):
            title = f"{flow} without noise, {title}"
    else:
        panel.line(p.iterates, f'stroke="{p.color}" stroke-width="1" stroke-opacity="0.45"')
        panel.dots(p.iterates, 4.2, f'fill="{p.color}" stroke="white" stroke-width="0.8"')
        panel.dots(p.iterates[:1], 6, f'fill="white" stroke="{p.color}" stroke-width="2"')
        title = f"{flow} and {bold('iterates', p.color)} from the same start"
    if p.hidden:
        names = ", ".join(italic(_name(n)) for n in p.hidden)
        title += f"; {names} {'is' if len(p.hidden) == 1 else 'are'} not drawn"
    return panel.svg("portrait", title, *(_name(a) for a in p.axes))


def _heads(panel: Panel, arcs: Float[np.ndarray, "n j 2"]) -> str:
    """Arrow heads at the ends of arcs."""
    a, b = panel.at(arcs[:, -2]), panel.at(arcs[:, -1])
    size = np.hypot(*(b - a).T)
    u = ((b - a) / np.where(size > 0, size, 1.0)[:, None])[size > 0]
    b = b[size > 0]
    side = np.column_stack([-u[:, 1], u[:, 0]])
    corners = np.stack([b + 3.4 * u, b - 2.6 * u + 2.9 * side, b - 2.6 * u - 2.9 * side], 1)
    return f'<path d="{"".join(path(c) + "Z" for c in corners)}"/>' if len(corners) else ""


def _beside(p: Pictured) -> list[str]:
    """The panels to the right of the portrait."""
    if p.ensemble is None:
        return [_spectrum(p, _TWO[0]), _convergence(p, _TWO[1])]
    return [
        _spectrum(p, _THREE[0]),
        ensemble.spread(_THREE[1], p.ensemble, p.color),
        _convergence(p, _THREE[2]),
    ]


def _spectrum(p: Pictured, box: Box) -> str:
    found = p.spectrum
    whose = " of the mean" if found.mean else ""
    if not len(found.radius):
        return nothing(box, "modal radius over the curvatures", *found.why)
    finite = found.radius[np.isfinite(found.radius)]
    top = min(max(1.06, 1.08 * float(finite.max(initial=0))), 3.0)
    low, high = float(found.curvatures[0]), float(found.curvatures[-1])
    reach = (low, high) if p.mode is None else (min(low, p.mode), max(high, p.mode))
    if reach[0] == reach[1]:
        reach = (reach[0] / 2, reach[1] * 2)
    panel = Panel(box, reach, (0.0, top))
    one = np.array([[reach[0], 1.0], [reach[1], 1.0]])
    panel.line(one, f'stroke="{_INK}" stroke-width="1" stroke-dasharray="2 3"')
    radius = np.column_stack([found.curvatures, np.minimum(found.radius, 1e6)])
    panel.line(radius, f'stroke="{p.color}" stroke-width="2.6"')
    if p.mode is not None:
        ends = np.array([[p.mode, 0.0], [p.mode, top]])
        panel.line(ends, f'stroke="{_SLOPE}" stroke-width="1.4" stroke-dasharray="5 3"')
        if low <= p.mode <= high:
            at = float(np.interp(p.mode, found.curvatures, found.radius))
            panel.dots(np.array([[p.mode, at]]), 5, f'fill="{p.color}" stroke="white"')
    said = "" if found.rate is None else f"modal radius{whose}, largest {_RHO} = {found.rate:.4f}"
    if found.rate is not None and found.rate >= 1:
        said += " (not contracting)"
    return panel.svg("spectrum", said, "λ", "")


def _convergence(p: Pictured, box: Box) -> str:
    if p.ensemble is not None and p.gaps is not None and p.gap is not None:
        return ensemble.convergence(box, p.ensemble, p.gaps, p.gap, p.least, p.color)
    if p.gap is None or not any_positive(p.gap):
        why = "the least value is not known here" if p.gap is None else "it is reached"
        return nothing(box, GAP, why)
    panel, title = StepPanel(box, p.gap), GAP
    if p.slope is not None and 0 < p.slope < 1:
        first = p.gap[np.isfinite(p.gap) & (p.gap > 1e-300)][0]
        slope = float(first) * p.slope ** (2.0 * panel.k)
        style = f'stroke="{_SLOPE}" stroke-width="1.8" stroke-dasharray="6 4"'
        panel.line(np.column_stack([panel.k, slope]), style)
        title += f', and the slope <tspan fill="{_SLOPE}" font-style="italic">ρ²ᵏ</tspan>'
    style = f'stroke="{p.color}" stroke-width="1.2" stroke-opacity="0.6"'
    panel.curve(p.gap, style, 2.6, f'fill="{p.color}"')
    return panel.svg("gap", title, "k", "")


def _name(axis: str) -> str:
    return pretty(axis).replace("x1", "x₁").replace("x2", "x₂")
