"""Training of a neural ODE or SDE: reproducible, resumable, and measured."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ..._support.rendering.brief import quantity
from ..._support.rendering.rendered import Rendered
from ..settings.config import Config
from ..tasks.task import Task
from . import checkpoints
from .compiled import TrainState
from .loop import Progress, Run
from .run_folder import CHECKPOINT, RunFolder, folder
from .setup import setup

WITHOUT = "without"  # the folder of the run without regularizer, in that of a run with a budget of accuracy


@dataclass(frozen=True)
class Trained(Rendered):
    """A finished run.

    Attributes:
        model: the weights with the best score on the validation rows; with a budget, among those within it.
        config: the settings, completed by defaults.
        history: a record per step (step, loss, penalty, metrics, nfe, accepted, rejected, seconds, ...) and, under
            "validation", per validation.
        best: step and score of the model; with a budget also "excess", by how much its validation is over it.
        test: metrics on the test rows, computed once: with nfe per solve, the first step used, seconds per
            prediction of `prediction_rows` test rows and per training step (medians).
        path: the folder; None if nothing was written.
        task: with its data, model and loss.
    """

    model: Any
    config: Config
    history: list[dict[str, Any]]
    best: dict[str, Any]
    test: dict[str, Any]
    path: Path | None
    task: Task

    def __str__(self) -> str:
        c = self.config
        with_ = f" with {c.regularizer}" if c.regularizer else ""
        rows = [
            f"{c.task}{with_}, {quantity(len(self.history), 'record')}; best at step {self.best.get('step')}"
        ]
        rows += [
            f"  test {name}: {value:.6g}"
            for name, value in self.test.items()
            if isinstance(value, float | int)
        ]
        return "\n".join(rows)


def train(
    config: Config,
    *,
    task: Task | None = None,
    optimizer: Any = None,
    out: str | Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> Trained:
    """Train a model; results are bitwise reproducible on one machine, also after interruption and resumption.

    ::

        run = od.neural_de.train(Config("digits-ode", regularizer="error", coefficient=0.1, dt0="calibrated"))
        run.test["accuracy"], run.test["nfe"]

    Args:
        config: the settings; name a registered task, or give `task`.
        task: your own task, with your model, data and loss.
        optimizer: your own optax transformation, instead of one by name. Resuming requires the same one: its JAX
            traces, with schedules and numbers, identify the checkpoint. It may take the extra arguments
            value, grad, value_fn, grad_fn, operator_fn and linearized_fn of the batch.
        out: a folder for checkpoint.npz, metrics.jsonl and result.json; created if missing.
        resume: continue from the folder's checkpoint, if there is one; a finished run is returned.
        progress: called with (steps done, all steps, the last record).

    Returns:
        The best weights by the validation rows, the history of the run, and metrics on the test rows.

    Raises:
        OdescentError: settings that contradict each other, a checkpoint that is damaged or belongs to another run, or a
            folder that is in use.
        TrainingFailed: a solve, loss or gradient failed; the last valid state is in the checkpoint.
    """
    run = _run(config, task, optimizer, progress)
    where = folder(out, resume)
    if config.max_accuracy_loss is not None:
        run.reference, run.reached = _without(config, task, optimizer, where, resume, run)
    run.folder.path = where
    state = run.go(resume)
    best, test = _best(run, state), run.folder.result()
    if test is None:
        test = run.test(state)
        run.folder.conclude(best, test)
    return Trained(state.best, run.config, run.history, best, test, where, run.task)


@checked
def load_trained(
    path: str | Path, *, task: Task | None = None, optimizer: Any = None, best: bool = True
) -> Trained:
    """Load a run from its folder, finished or not, without training or evaluation.

    Args:
        path: the folder.
        task, optimizer: your own, if it was trained with them.
        best: the weights with the best score; else those of the checkpoint.

    Returns:
        The run so far; `test` is empty if it is not finished.

    Raises:
        OdescentError: a folder without a checkpoint, a damaged one, or one of another task.
    """
    place = Path(path)
    settings = checkpoints.settings_of(place / CHECKPOINT)
    config = Config.from_json(json.dumps(settings))
    if config.optimizer == "given":
        if optimizer is None:
            raise OdescentError(
                f"the run in {str(place)!r} had an optimizer of its own: give optimizer=."
            )
        config = config.replace(optimizer=None)
    run = _run(config, task, optimizer, None)
    run.folder.path = place
    kept = run.folder.resumed(run.begin())
    assert kept is not None  # its settings were read from it
    state = kept[0]
    run.history = run.folder.metrics(int(state.step), int(state.validated))
    model = state.best if best else run.setup.compiled.output(state)
    return Trained(
        model,
        run.config,
        run.history,
        _best(run, state),
        run.folder.result() or {},
        place,
        run.task,
    )


def _run(config: Config, task: Task | None, optimizer: Any, progress: Progress | None) -> Run:
    """The run with everything filled in, without its folder."""
    made = setup(config, task, optimizer)
    settings = made.config.to_dict()
    identity = {"settings": settings, "data": made.rows.digest, **_own(made.task)}
    return Run(made, RunFolder(None, identity), progress)


def _own(task: Any) -> dict[str, Any]:
    """The fields of a task of your own, which its runs depend on as on their settings; of other things their types."""
    if not dataclasses.is_dataclass(task):
        return {}
    values = {f.name: getattr(task, f.name) for f in dataclasses.fields(task)}
    text = json.dumps(values, default=lambda value: type(value).__name__)
    return {"task": json.loads(text)} if values else {}


def _without(
    config: Config, task: Task | None, optimizer: Any, where: Path | None, resume: bool, run: Run
) -> tuple[list[float], float]:
    """Scores of the same run without regularizer, batch by batch, and the best one on the validation rows.

    Scores before it has learned are NaN: it would be no merit to be as good.
    """
    progress = run.progress
    if progress is not None:  # one bar for both
        show = progress
        run.progress = lambda done, total, record: show(total + done, 2 * total, record)
        progress = lambda done, total, record: show(done, 2 * total, record)
    out = None if where is None else where / WITHOUT
    found = train(
        config.without_penalty(), task=task, optimizer=optimizer, out=out,
        resume=resume, progress=progress,
    )  # fmt: skip
    score = run.task.score
    seen = {r["step"]: r.get(score, r["loss"]) for r in found.history if "loss" in r}
    lost = run.setup.steps - len(seen)
    if lost:
        raise OdescentError(
            f"{str(out)!r} lacks the scores of {lost} of the {run.setup.steps} steps without regularizer, which the "
            "budget compares with: its metrics.jsonl is damaged; start anew in another folder."
        )
    scores = [
        float("nan") if seen[k] is None else float(seen[k]) for k in range(1, run.setup.steps + 1)
    ]
    return _from_learned(scores, run.task.sign), float(found.best[score])


def _from_learned(scores: list[float], sign: int) -> list[float]:
    """Scores from where the mean of the last ten has gone nine tenths of its way; NaN before."""
    values = np.array(scores)
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        return scores
    means = [values[known[max(0, i - 9) : i + 1]].mean() for i in range(len(known))]
    way = sign * (np.array(means) - means[0])
    first = int(known[np.argmax(way >= 0.9 * way.max())])
    return [float("nan")] * first + scores[first:]


def _best(run: Run, state: TrainState) -> dict[str, Any]:
    found = {"step": int(state.best_step), run.task.score: float(state.best_score)}
    if run.config.budgeted and run.best is not None:
        found["excess"] = run.excess(run.best)
    return found
