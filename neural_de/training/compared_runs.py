"""Comparison of several runs: regularizers in rows, means and spreads over seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ..._support.rendering.rendered import Rendered
from ..settings.config import Config
from ..tasks import TASKS
from ..tasks.task import Task
from .trained import Trained, train

_COLUMNS = (
    ("nfe", "NFE", 1.0, ".1f"),
    ("step_seconds", "ms/step", 1e3, ".2f"),
    ("prediction_seconds", "ms/pred.", 1e3, ".2f"),
)


@dataclass(frozen=True)
class RunComparison(Rendered):
    """Runs of one task, grouped by settings.

    Attributes:
        score: the metric that chooses the weights.
        groups: label of the settings to the runs that finished, seed by seed.
        failed: label and seed to the message of a failed run.
    """

    score: str
    groups: dict[str, list[Trained]]
    failed: dict[tuple[str, int], str]

    def to_dict(self) -> dict[str, Any]:
        """JSON data: per group and metric of the test rows the mean, the standard deviation and the number of runs."""
        found = []
        for label, runs in self.groups.items():
            names = [n for n in (runs[0].test if runs else {}) if _numbers(runs, n)]
            metrics = {n: _summary(_numbers(runs, n)) for n in names}
            seeds = [r.config.seed for r in runs]
            failures = {str(s): text for (one, s), text in self.failed.items() if one == label}
            found.append({"label": label, "seeds": seeds, "test": metrics, "failed": failures})
        return {"score": self.score, "groups": found}

    def _headline(self) -> str:
        return ", ".join(f"{label} ({len(runs)})" for label, runs in self.groups.items())

    def __str__(self) -> str:
        columns = ((self.score, self.score, 1.0, ".4g"), *_COLUMNS)
        table = [["", "runs", *(title for _, title, _, _ in columns), "NFE ratio"]]
        first = next((_numbers(runs, "nfe") for runs in self.groups.values() if runs), [])
        for label, runs in self.groups.items():
            lost = sum(1 for one, _ in self.failed if one == label)
            cells = [label, f"{len(runs)}" + (f" ({lost} failed)" if lost else "")]
            for name, _, scale, form in columns:
                cells.append(_shown([scale * x for x in _numbers(runs, name)], form))
            costs = _numbers(runs, "nfe")
            ratio = statistics.fmean(costs) / statistics.fmean(first) if costs and first else None
            table.append([*cells, "" if ratio is None else f"{ratio:.2f}"])
        return aligned(table)


def aligned(table: Sequence[Sequence[str]]) -> str:
    """Rows of cells as text: the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = []
    for first, *rest in table:
        others = (cell.rjust(w) for cell, w in zip(rest, widths[1:], strict=True))
        lines.append("  ".join([first.ljust(widths[0]), *others]).rstrip())
    return "\n".join(lines)


def _numbers(runs: Sequence[Trained], name: str) -> list[float]:
    values = [r.test.get(name) for r in runs]
    return [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]


def _summary(values: Sequence[float]) -> dict[str, Any]:
    spread = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "deviation": spread, "runs": len(values)}


def _shown(values: Sequence[float], form: str) -> str:
    if not values:
        return "-"
    mean = format(statistics.fmean(values), form)
    if len(values) == 1:
        return mean
    return f"{mean} ± {statistics.stdev(values):.2g}"


@checked
def compare(
    configs: Sequence[Config],
    *,
    task: Task | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    progress: Callable[[int, int, Mapping[str, Any]], None] | None = None,
) -> RunComparison:
    """Train with each of the settings; settings that differ only in the seed form one row, with mean ± deviation.

    A failed run is recorded, and the others continue. Ratios refer to the first row.

    Args:
        configs: settings for one task.
        task, resume, progress: as in `train`.
        out: a folder with a folder for each run.

    Returns:
        The runs in groups, as a table when printed.

    Raises:
        OdescentError: no settings, several tasks, equal settings, or an error of `train`.
    """
    if not configs:
        raise OdescentError("there is nothing to compare: give at least one Config.")
    if len({c.task for c in configs}) > 1:
        raise OdescentError("runs of one task are compared; these settings name several.")
    if len(set(configs)) < len(configs):
        raise OdescentError("the same settings are given twice.")
    from .failures import TrainingFailed

    labels = labels_of(configs)
    groups: dict[str, list[Trained]] = {label: [] for label in labels}
    failed: dict[tuple[str, int], str] = {}
    for label, config in zip(labels, configs, strict=True):
        name = "".join(c if c.isalnum() or c in "-_.=" else "_" for c in label)
        folder = None if out is None else Path(out) / f"{name}-seed{config.seed}"
        try:
            found = train(config, task=task, out=folder, resume=resume, progress=progress)
            groups[label].append(found)
        except TrainingFailed as reason:
            failed[label, config.seed] = str(reason)
    score = (TASKS.build(configs[0].task) if task is None else task).score
    return RunComparison(score, groups, failed)


def labels_of(configs: Sequence[Config]) -> list[str]:
    """The settings that differ, without the seed."""
    names = [f.name for f in fields(Config) if f.name != "seed"]
    differ = [n for n in names if any(getattr(c, n) != getattr(configs[0], n) for c in configs)]
    found = []
    for c in configs:
        said = [] if "regularizer" not in differ else [c.regularizer or "vanilla"]
        for n in differ:
            value = getattr(c, n)
            if n != "regularizer" and value is not None:
                said.append(f"{n}={_text(value)}")
        found.append(" ".join(said) or (c.regularizer or "vanilla"))
    return found


def _text(value: Any) -> str:
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ",".join(f"{k}={v}" for k, v in value.items())
    return str(value)
