"""Interactive pictures: portraits, landscapes, orbits in space and branches as pages that answer the pointer."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._support.errors import OdescentError
from ..._support.rendering.scene import Scene, SceneLine, SceneMark, box_around, in_space
from ..._support.style import FLOW, looks, series_style, titled
from ..branches.continuation import Continuation
from ..landscapes.landscape import Landscape
from ..portraits.portrait import Portrait
from ..portraits.space import SpacePortrait

_GREY = "#b5b5b5"
_MESH = 36  # lines of a surface along each side
_CUT = 0.98  # of the values of f in the window: steep walls are cut off


def interactive(result: Portrait | Landscape | SpacePortrait | Continuation) -> Scene:
    """A picture of a result that can be turned, moved and zoomed, with eigenvalues under the pointer.

    A landscape becomes the surface of f with the runs on it. In a notebook the result shows itself; ``.save("a.html")``
    writes a page that needs no other file and no network.

    Args:
        result: of `phase_portrait`, `landscape`, `space_portrait` or `continuation`.

    Raises:
        OdescentError: another result.
    """
    made = {
        Portrait: _of_portrait, Landscape: _of_landscape, SpacePortrait: _of_space, Continuation: _of_branches,
    }.get(type(result))  # fmt: skip
    if made is None:
        raise OdescentError(
            "interactive takes a phase_portrait, a landscape, a space_portrait or a continuation, "
            f"not {type(result).__name__}."
        )
    return made(result)  # type: ignore[operator,no-any-return]


def _plain(label: str) -> str:
    """A label without mathtext."""
    kept = label.replace("$", "").replace("\\", "")
    return kept.replace("{", "").replace("}", "")


def eigenvalue_text(values: Any) -> str:
    """Eigenvalues, one a line."""
    rows = []
    for v in np.atleast_1d(values).astype(complex).tolist():
        turn = (
            f" {'+' if v.imag >= 0 else '-'} {abs(v.imag):.5g}i"
            if abs(v.imag) > 1e-12 * abs(v)
            else ""
        )
        rows.append(f"  {v.real:.5g}{turn}")
    return "\n".join(rows)


def _at(point: Any) -> str:
    return (
        "("
        + ", ".join(
            f"{v + 0.0:.6g}" for v in np.round(np.asarray(point, float), 10).ravel().tolist()
        )
        + ")"
    )


def _parted(paths: Any) -> np.ndarray:
    """Paths from several starts as one, parted by a row that is not finite; shape (k, 2)."""
    z = np.asarray(paths, float)
    if z.ndim == 2:
        return z
    gap = np.full((1, z.shape[-1]), np.nan)
    return np.concatenate([part for path in z for part in (path, gap)])


def _of_portrait(p: Portrait) -> Scene:
    lines = [SceneLine(in_space(line.points), _GREY, 0.8) for line in p.flow_lines]
    for family, name, color in zip(
        (p.nullclines.first, p.nullclines.second),
        p.nullcline_labels,
        ("#8A8D2B", "#A65E2E"),
        strict=True,
    ):
        lines += [SceneLine(in_space(q), color, 1.2, _plain(name)) for q in family]
    for s in p.separatrices:
        kind = "stable manifold" if s.stable else "unstable manifold"
        lines.append(SceneLine(in_space(s.points), "#5D3A9B" if s.stable else "#A793CC", 1.2, kind))
    lines += [SceneLine(in_space(z), FLOW, 2.0, titled(n)) for n, z in _all(p.flows)]
    for cycle in p.limit_cycles:
        kind = "stable limit cycle" if cycle.stable else "unstable limit cycle"
        lines.append(SceneLine(in_space(cycle.points), "#0B4552", 1.6, kind))
    own = looks(p.iterates)
    for name, z in _all(p.iterates):
        lines.append(SceneLine(in_space(z), own[name].color, 1.0, titled(name)))
        lines.append(SceneLine(in_space(z), own[name].color, 2.2, dots=True))
    marks = []
    for f in p.fixed_points:
        of = " of the drift" if p.noisy else ""
        text = f"{f.kind}{of}\n{_at(f.point)}\neigenvalues\n{eigenvalue_text(f.eigenvalues)}"
        marks.append(
            SceneMark(
                np.append(f.point, 0.0), text, str(f.kind).startswith("stable"), f"{f.kind}{of}"
            )
        )
    window = np.array(p.window, float)
    return Scene(
        tuple(lines), tuple(marks), tuple(_plain(n) for n in p.labels), window, "phase portrait"
    )


def _all(named: Any) -> list[tuple[str, np.ndarray]]:
    return [(n, _parted(z)) for n, z in named.items()]


def _of_space(p: SpacePortrait) -> Scene:
    lines = []
    for i, orbit in enumerate(p.orbits):
        look = series_style(i)
        lines.append(SceneLine(orbit, look.color, 1.0 if p.flow else 1.2, dots=not p.flow))
    marks = [
        SceneMark(
            e.point, f"{e.kind}, {e.unstable} growing\n{_at(e.point)}\neigenvalues\n{eigenvalue_text(e.eigenvalues)}",
            e.unstable == 0, e.kind,
        )
        for e in p.equilibria
    ]  # fmt: skip
    window = box_around([*p.orbits, *(e.point[None] for e in p.equilibria)])
    return Scene(tuple(lines), tuple(marks), p.labels, window, p.name)


def _of_landscape(shown: Landscape) -> Scene:
    finite = np.isfinite(shown.values)
    top = float(np.quantile(shown.values[finite], _CUT))
    height = np.where(finite & (shown.values <= top), shown.values, np.nan)
    every = [max(n // _MESH, 1) for n in height.shape]
    lines = []
    for j in range(0, len(shown.y), every[0]):
        row = np.column_stack([shown.x, np.full(len(shown.x), shown.y[j])])
        lines.append(SceneLine(in_space(row, height[j])[::2], _GREY, 0.6))
    for i in range(0, len(shown.x), every[1]):
        column = np.column_stack([np.full(len(shown.y), shown.x[i]), shown.y])
        lines.append(SceneLine(in_space(column, height[:, i])[::2], _GREY, 0.6))
    for name, z in shown.flows.items():
        path = _parted([*map(in_space, z, shown.flow_courses[name].f)])
        lines.append(SceneLine(_cut(path, top), FLOW, 2.0, titled(name)))
    own = looks(shown.iterates)
    for name, z in shown.iterates.items():
        path = _parted([*map(in_space, z, shown.courses[name].f)])
        lines.append(SceneLine(_cut(path, top), own[name].color, 1.4, titled(name)))
        lines.append(SceneLine(_cut(path, top), own[name].color, 2.2, dots=True))
    marks = []
    for c in shown.critical_points:
        rows = [
            f"{c.kind} of f, f = {c.value:.6g}",
            _at(c.x),
            "curvatures",
            eigenvalue_text(c.curvatures),
        ]
        for name, e in c.equilibria.items():
            what = "multipliers" if e.step else "eigenvalues"
            rows.append(f"{titled(name)}: {e.kind or 'no kind: ' + e.reason}")
            if len(e.eigenvalues):
                rows += [what, eigenvalue_text(e.eigenvalues)]
        if c.value <= top:
            marks.append(
                SceneMark(np.append(c.point, c.value), "\n".join(rows), c.kind == "minimum", c.kind)
            )
    low = float(np.nanmin(height))
    window = np.array([*shown.window, (low - 0.02 * (top - low), top)], float)
    labels = (*(_plain(n) for n in shown.labels), "f")
    return Scene(tuple(lines), tuple(marks), labels, window, shown.objective)


def _cut(path: np.ndarray, top: float) -> np.ndarray:
    """Without what is above the surface that is shown."""
    return np.where((path[:, 2] <= top)[:, None], path, np.nan)


def _of_branches(c: Continuation) -> Scene:
    lines, marks, heights = [], [], []
    for i, b in enumerate(c.branches):
        color = series_style(i).color
        columns = b.x.reshape(len(b.values), b.x.shape[1], -1)[..., 0]
        for k in range(columns.shape[1]):
            z = np.column_stack([b.values, columns[:, k]])
            heights.append(z)
            for stable, shade, width, said in (
                (True, color, 2.0, ""),
                (False, "#999999", 1.0, "unstable"),
            ):
                # a stretch reaches to the next point, whatever that is
                keep = b.stable == stable
                keep |= np.append(False, keep[:-1])
                part = np.where(keep[:, None], z, np.nan)
                if keep.any():
                    lines.append(
                        SceneLine(in_space(part), shade, width, said or f"branch {i + 1}: {b.kind}")
                    )
    for s in c.special:
        at = np.array([s.value, float(s.x.reshape(len(s.x), -1)[0, 0]), 0.0])
        extra = "" if s.coefficient is None else f"\ncoefficient {s.coefficient:.6g}"
        text = f"{s.label}\n{c.parameter} = {s.value:.10g}{extra}\ncritical\n{eigenvalue_text(s.eigenvalue)}"
        marks.append(SceneMark(at, text, False, s.kind))
    window = box_around(heights)
    return Scene(tuple(lines), tuple(marks), (c.parameter, "x"), window, c.name)


__all__ = ["interactive"]
