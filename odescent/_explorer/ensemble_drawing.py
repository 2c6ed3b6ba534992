"""The panels of an ensemble: its paths, how far they are spread, and the objective along them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from .ensemble import QUANTILES, Ensemble, band
from .panel import CENTER, ITERATES, Box, Panel, Points, decades, italic, nothing

_POINTS = 12_000  # of all paths in the picture: a browser draws so many at once
_SHADE = f'fill="{ITERATES}" fill-opacity="0.2" stroke="none"'
_MIDDLE = f'stroke="{CENTER}" stroke-width="2"'
_BAND = "–".join(f"{100 * q:.0f}" for q in QUANTILES) + " %"


def paths(panel: Panel, many: Ensemble, against_time: bool) -> str:
    """Draw the paths and their center; what they are, for the title."""
    n, length = many.paths.shape[:2]
    every = max(1, -(-n * length // _POINTS))
    kept = np.unique(np.append(np.arange(0, length, every), length - 1))
    opacity = max(0.12, min(0.6, 4 / n))
    whole = [p[np.isfinite(p).all(1)] for p in many.paths[:, kept]]
    if against_time:
        _shaded(panel, many.center[:, 0], band(many.paths[..., 1]))
    panel.lines(whole, f'stroke="{ITERATES}" stroke-width="1" stroke-opacity="{opacity:.2f}"')
    center = many.center[np.isfinite(many.center).all(1)]
    panel.line(center, _MIDDLE)
    if not against_time:  # else they all are on the two edges
        _ends(panel, many.paths[:, 0], np.array([p[-1] for p in whole]))
        if many.consensus:
            panel.dots(center[:1], 5, f'fill="white" stroke="{CENTER}" stroke-width="2"')
        panel.dots(center[-1:], 5, f'fill="{CENTER}" stroke="white" stroke-width="1"')
    called, middle = many.names
    if n == 1:
        return f"{_bold('one ' + called.removesuffix('s'), ITERATES)}"
    return f"{_bold(f'{n} {called}', ITERATES)} and their {_bold(middle, CENTER)}"


def _ends(panel: Panel, first: Points, last: Points) -> None:
    """Where paths start, hollow unless they start together, and where they are now."""
    if np.ptp(first, axis=0).max() > 0:
        panel.dots(first, 2.6, f'fill="white" stroke="{ITERATES}" stroke-width="1"')
    panel.dots(last, 3.4, f'fill="{ITERATES}" stroke="white" stroke-width="0.6"')


def spread(box: Box, many: Ensemble) -> str:
    """The distance of the paths from their center, against the step."""
    title = f"distance from the {many.names[1]}, root mean square"
    found = many.spread()
    if len(many.paths) < 2 or not (found > 0).any():
        return nothing(box, title, f"there is no distance between the {many.names[0]}")
    k = np.arange(len(found))
    panel = Panel(box, _steps(found), decades(found), log=True)
    _line(panel, k, found, f'stroke="{ITERATES}" stroke-width="2.4"')
    return panel.svg("spread", title, "k", "")


def convergence(
    box: Box,
    many: Ensemble,
    gaps: Float[np.ndarray, "n k"],
    mean: Float[np.ndarray, " k"],
    least: float,
) -> str:
    """The mean of the gaps, the quantiles of four paths of five, and the gap at the consensus point."""
    title = f"gap {italic('f(x', 'k')} − min {italic('f')}: "
    low, high = band(gaps)
    center = None if many.center_values is None else many.center_values - least
    seen = [mean, low, *([] if center is None else [center])]
    if not any((line > 1e-300).any() for line in seen):
        return nothing(box, title.rstrip(": "), "it is reached")
    k = np.arange(gaps.shape[1])
    panel = Panel(box, _steps(mean), decades(np.concatenate([*seen, high])), log=True)
    _shaded(panel, k, np.stack([low, high]))
    _line(panel, k, mean, f'stroke="{ITERATES}" stroke-width="2.2"')
    title += f"{_bold('mean', ITERATES)}, {_bold(_BAND, ITERATES, 0.65)}"
    if center is not None:
        _line(panel, k, center, _MIDDLE)
        title += f", {_bold('consensus', CENTER)}"
    return panel.svg("gap", title, "k", "")


def _shaded(panel: Panel, k: Float[np.ndarray, " n"], ends: Float[np.ndarray, "2 n"]) -> None:
    """The band between two lines, as far as both are known."""
    known = np.isfinite(ends).all(0)
    low, high = (np.column_stack([k, e])[known] for e in ends)
    panel.line(np.concatenate([low, high[::-1]]), _SHADE, filled=True)


def _line(
    panel: Panel, k: Float[np.ndarray, " n"], values: Float[np.ndarray, " n"], style: str
) -> None:
    """A line through the positive values."""
    with np.errstate(invalid="ignore"):
        panel.line(np.column_stack([k, values])[values > 0], style)


def _steps(values: Float[np.ndarray, " n"]) -> tuple[float, float]:
    return 0.0, max(len(values) - 1.0, 1.0)


def _bold(text: str, color: str, opacity: float = 1.0) -> str:
    faint = f' fill-opacity="{opacity:g}"' if opacity < 1 else ""
    return f'<tspan fill="{color}"{faint} font-weight="bold">{text}</tspan>'
