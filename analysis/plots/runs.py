"""Pictures of runs and of solutions: values of the objective over the steps, components of the state over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..._support.errors import OdescentError
from ..._support.style import DASHES, picture, series_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ...discretize.runs.trajectory import Trajectory
    from ...dynamics.flows.solution import Solution

_DECADES = 2.0  # positive values that span more are drawn on a logarithmic axis
_RUNS = 20  # of a batch that are drawn


def draw_run(run: Trajectory, ax: Axes | None, minimum: float | None) -> Axes:
    """Draw values over steps; see `Trajectory.plot`."""
    k = np.asarray(run.t if run.k is None else run.k)
    if run.f is None:
        if minimum is not None:
            raise OdescentError("this objective has no values, so that there is no gap to draw.")
        if k.ndim > 1:
            raise OdescentError(
                "a batch of runs without values has no picture; draw one, jax.tree.map(lambda a: a[i], batch)."
            )
        import jax

        with picture(ax, 0.7, r"step $k$") as drawn:
            _components(drawn, k, jax.tree.leaves(run.x))
        return drawn
    gap, f = minimum is not None, np.asarray(run.f)
    crowd = f.ndim > k.ndim
    f = np.nanmin(f, axis=-1) if crowd else f
    values = np.atleast_2d(f) - (minimum or 0.0)
    values = values.reshape(-1, values.shape[-1])
    if gap and (least := float(np.nanmin(values))) < -1e-9 * float(np.nanmax(np.abs(values))):
        raise OdescentError(
            f"the run falls below minimum={minimum:g}, by {-least:.3g}; give the least value of the objective."
        )
    steps = np.broadcast_to(k, f.shape).reshape(values.shape)
    label = r"$\min_i f(x^i_k)$" if crowd else "$f(x_k)$"
    label = rf"{label[:-1]} - \min f$" if gap else label
    with picture(ax, 0.7, r"step $k$", label, legend=False) as drawn:
        if _logarithmic(values, gap):
            drawn.set_yscale("log")
            values = np.where(values > 0, values, np.nan)
        for of, row in list(zip(steps, values, strict=True))[:_RUNS]:
            drawn.plot(of, row, **series_style(0).line, lw=1.1 if len(values) == 1 else 0.6)
        if len(values) > _RUNS:
            drawn.set_title(f"{_RUNS} of {len(values):,} runs")
    return drawn


def draw_solution(solution: Solution, ax: Axes | None) -> Axes:
    """Draw components over time; see `Solution.plot`."""
    with picture(ax, 0.7, "time $t$") as drawn:
        _components(drawn, solution.t, [solution.x])
    return drawn


def _components(ax: Axes, at: np.ndarray, leaves: list[Any]) -> None:
    """One line for each component, or one for the length of all where there are more than lines can be told apart."""
    together = np.concatenate([np.reshape(leaf, (len(at), -1)) for leaf in leaves], axis=1)
    if together.shape[1] > len(DASHES):
        ax.plot(at, np.linalg.norm(together, axis=1), **series_style(0).line, label="$|x|$")
        return
    one = together.shape[1] == 1
    for i, column in enumerate(together.T):
        label = "$x$" if one else f"$x_{{{i + 1}}}$"
        line: dict[str, Any] = series_style(i).line
        ax.plot(at, column, **line, label=label)


def _logarithmic(values: np.ndarray, gap: bool) -> bool:
    """Whether values are drawn on a logarithmic axis: a gap is, and what is positive over more than two decades."""
    seen = values[np.isfinite(values)]
    positive = seen[seen > 0]
    if not positive.size or (not gap and positive.size < seen.size):
        return False
    return gap or bool(np.log10(positive.max() / positive.min()) > _DECADES)
