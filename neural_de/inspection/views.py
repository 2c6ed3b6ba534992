"""All applicable pictures of a trained model, written to a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..._support.errors import OdescentError
from .counts import evaluation_counts
from .fixed_mesh import fixed_mesh
from .pareto_front import pareto
from .plane_field import field_plane
from .profiles import step_profile
from .solver_table import solver_comparison
from .subjects import Subject, subject

if TYPE_CHECKING:
    from ..training.trained import Trained

VIEWS: dict[str, Callable[[Subject], Any]] = {
    "steps": step_profile,
    "evaluations": evaluation_counts,
    "solvers": solver_comparison,
    "field": field_plane,
    "mesh": fixed_mesh,
}


def inspect(
    what: Subject | Any, out: str | Path | None = None, *, formats: Sequence[str] = ("png",)
) -> dict[str, Any]:
    """The views of a model by name: steps, evaluations per row, other solvers, its field in a plane, a fixed mesh.

    Views that do not apply (a field that the model does not expose) are listed under "left out", with reasons.

    Args:
        what: a `Subject`, or what `subject` takes.
        out: a folder for a picture of each view.
        formats: of the pictures: "png", "pdf", "svg".

    Returns:
        The data of each view by its name; under "left out" the reasons for the others, by name.

    Raises:
        OdescentError: if no view applies, with the reason of the first.
    """
    s = what if isinstance(what, Subject) else subject(what)
    found: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    for name, view in VIEWS.items():
        try:
            found[name] = view(s)
        except OdescentError as reason:
            reasons[name] = str(reason)
    if not found:
        raise OdescentError(next(iter(reasons.values())))
    if out is not None:
        for name, value in found.items():
            _save(value, Path(out) / name, formats)
    return {**found, "left out": reasons}


def draw_pareto(runs: Sequence[Trained], out: str | Path, formats: Sequence[str] = ("png",)) -> Any:
    """Accuracy against evaluations of several runs, written to a folder.

    Args:
        runs: of one task.
        out: the folder.
        formats: of the picture.

    Returns:
        What is drawn.
    """
    found = pareto(runs)
    _save(found, Path(out) / "pareto", formats)
    return found


def _save(value: Any, path: Path, formats: Sequence[str]) -> None:
    from ..._support.style import save

    drawn = value.plot()
    axes = drawn[0] if isinstance(drawn, tuple) else drawn
    save(axes.get_figure(root=True), path, formats)
