"""``odescent inspect``: the solves of trained models in numbers and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from ..._support.errors import OdescentError
from ..._support.files import make_folder, write_whole
from ..base import console
from ..base.values import Folder, OptionKind

_SCHEMA = "odescent.inspect/1"


def run(
    runs: list[Annotated[Path, OptionKind("RUN...", path=True)]],
    *,
    rows: Annotated[str, ("train", "validation", "test"), OptionKind("PART")] = "validation",
    out: Folder | None = None,
    json: bool = False,
) -> None:
    """Inspect trained models: steps, errors and stiffness, evaluations per row, other solvers, the vector field.

    A run is a folder written by train --out; several runs add a plot of accuracy against evaluations.

    Args:
        runs: Folders of finished runs.
        rows: train, validation or test.
        out: Folder for pictures and inspect.json.
        json: Print one JSON document, for machines.

    Examples:
        odescent inspect run --out pictures
        odescent inspect vanilla error steps --out pictures
        odescent inspect run --rows train --json
    """
    from ...neural_de.inspection.pareto_front import pareto
    from ...neural_de.inspection.subjects import subject
    from ...neural_de.inspection.views import draw_pareto, inspect
    from ...neural_de.training.trained import load_trained

    if len({p.resolve() for p in runs}) < len(runs):
        raise OdescentError("the same run is given twice.")
    found, said = [], []
    loaded = [load_trained(p) for p in runs]
    if out is not None:
        make_folder(out)
    for path, trained in zip(runs, loaded, strict=True):
        folder = None if out is None else out / _name(path, runs) if len(runs) > 1 else out
        views = inspect(subject(trained, rows=rows), folder)
        reasons = views.pop("left out")
        found.append(
            {
                "run": str(path), "task": trained.config.task, "best": trained.best, "test": trained.test,
                **{n: v.to_dict() for n, v in views.items()}, "left_out": reasons,
            }
        )  # fmt: skip
        said.append(_told(path, trained, views, reasons))
    value: dict[str, Any] = {"rows": rows, "runs": found, "out": out}
    if len(runs) > 1:
        front = pareto(loaded) if out is None else draw_pareto(loaded, out)
        value["pareto"] = front.to_dict()
        said.append(_front(front))
    if out is not None:
        write_whole(out / "inspect.json", console.document(value, _SCHEMA))
        said.append(f"Pictures and inspect.json are in {out}.")
    console.answer(json, "\n\n".join(said), value, _SCHEMA, [(r"^\S.*:$", "bold")])


def _name(path: Path, runs: Sequence[Path]) -> str:
    """A folder's own name, numbered where two have the same."""
    name = path.resolve().name
    alike = [p for p in runs if p.resolve().name == name]
    return name if len(alike) == 1 else f"{name}-{alike.index(path) + 1}"


def _told(path: Path, trained: Any, views: dict[str, Any], reasons: dict[str, str]) -> str:
    lines = [f"{path} ({trained.config.task}, {trained.config.regularizer or 'vanilla'}):"]
    if "steps" in views:
        p = views["steps"]
        held = "" if p.stability is None else f" (stable to {p.stability:.3g})"
        lines.append(
            f"  {p.accepted} steps, {p.rejected} rejected, from h = {min(p.h):.3g} to {max(p.h):.3g}; largest E "
            f"{max(p.error):.3g}, largest h S {max(p.h * p.stiffness):.3g}{held}"
        )
    if "evaluations" in views:
        c = views["evaluations"].to_dict()
        line = f"  evaluations: {c['together']} as one state"
        if "median" in c:
            line += f", each row on its own {c['median']:g} ({c['q05']:g} to {c['q95']:g})"
        lines.append(line)
    if "solvers" in views:
        lines += [f"  {line}" for line in str(views["solvers"]).splitlines()]
    if "mesh" in views:
        lines.append(f"  {views['mesh']}")
    lines += [f"  no {name}: {why}" for name, why in reasons.items()]
    return "\n".join(lines)


def _front(front: Any) -> str:
    lines = [f"test {front.score} against evaluations (* nothing beats it):"]
    for p in sorted(front.points, key=lambda p: p.mean[0]):
        n, score = p.mean
        lines.append(f"  {'*' if p.on_front else ' '} {n:6.1f}  {score:.4g}  {p.label}")
    return "\n".join(lines)
