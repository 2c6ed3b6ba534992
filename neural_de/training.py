"""Train a neural ODE or SDE: reproducible, resumable, and measured."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .._errors import OdescentError, expected
from . import checkpoints
from .config import Config
from .loop import Progress, Run
from .program import TrainState
from .recipe import recipe, resolved
from .run_folder import CHECKPOINT, RunFolder, folder
from .tasks import TASKS
from .tasks.base import Task, count

OF_OPTIMIZER = ("optimizer", "learning_rate", "schedule", "optimizer_options")
NEEDED = ("steps", "batch", "optimizer", "rtol", "atol", "max_steps")  # of every run
WITHOUT = "without"  # the folder of the run without regularizer, in that of a run with a budget of accuracy


@dataclass(frozen=True)
class Trained:
    """A finished run.

    Attributes:
        model: the weights with the best score on the validation rows; with a budget, among those within it.
        config: with everything filled in.
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


def train(
    config: Config,
    *,
    task: Task | None = None,
    optimizer: Any = None,
    out: str | Path | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> Trained:
    """Train a model; the same settings give the same bits on one machine, killed and resumed or not.

    ::

        run = od.neural_de.train(Config("digits-ode", regularizer="error", coefficient=0.1, dt0="calibrated"))
        run.test["accuracy"], run.test["nfe"]

    Args:
        config: the settings; name a registered task, or give `task`.
        task: your own, with your model, data and loss.
        optimizer: your own optax transformation, instead of one by name; to resume, give the same: what JAX traces
            of it, schedules and numbers included, is in the checkpoint's identity. One that takes extra arguments gets
            value, grad, value_fn, grad_fn, operator_fn and linearized_fn of the batch.
        out: a folder for checkpoint.eqx, metrics.jsonl and result.json; made if it is not there.
        resume: go on from the folder's checkpoint, if there is one; of a finished run, return it.
        progress: called with (steps done, all steps, the last record).

    Raises:
        OdescentError: settings that do not fit, a checkpoint that is damaged or belongs to another run, a folder
            that is in use.
        TrainingFailed: a solve, loss or gradient that fails; the last good state is in the checkpoint.
    """
    run = _prepared(config, task, optimizer, progress)
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


def load_trained(
    path: str | Path, *, task: Task | None = None, optimizer: Any = None, best: bool = True
) -> Trained:
    """A run from its folder, finished or still going on; nothing is trained, and no row is looked at.

    Args:
        path: the folder.
        task, optimizer: your own, if it was trained with them.
        best: the weights with the best score; else those of the checkpoint.

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
    run = _prepared(config, task, optimizer, None)
    run.folder.path = place
    kept = run.folder.resumed(run.begin())
    assert kept is not None  # its settings were read from it
    state = kept[0]
    run.history = run.folder.metrics(int(state.step), int(state.validated))
    model = state.best if best else run.recipe.output(state)
    return Trained(
        model,
        run.config,
        run.history,
        _best(run, state),
        run.folder.result() or {},
        place,
        run.task,
    )


def _prepared(config: Config, task: Task | None, optimizer: Any, progress: Progress | None) -> Run:
    """The run with everything filled in, without its folder."""
    task = _task(config, task)
    if config.devices > len(jax.devices()):
        raise OdescentError(
            f"there are {len(jax.devices())} devices, not {config.devices}: give fewer."
        )
    rows = task.rows(config).in_precision(np.dtype(config.precision))
    if optimizer is not None:
        named = [n for n in OF_OPTIMIZER if getattr(config, n) not in (None, {}, "constant")]
        if named:
            raise OdescentError(
                "give an optimizer by name in the settings or as an object, not both: leave out "
                f"{', '.join(named)}, which the object has of its own."
            )
        config = config.replace(optimizer="given")
    config = resolved(config, task, rows)
    open_ = [n for n in NEEDED if getattr(config, n) is None]
    if open_:
        raise OdescentError(
            f"the task {task.name} leaves {', '.join(open_)} open: put them into its defaults, or into the settings."
        )
    batch = config.batch or 1
    if batch > count(rows.train) or batch % config.devices:
        raise OdescentError(
            f"a batch has at most {count(rows.train)} rows and is split evenly over {config.devices} devices; it "
            f"cannot have {batch}."
        )
    if config.precision == "float64" and not checkpoints.has_x64():
        raise OdescentError(
            "precision='float64' needs JAX's: jax.config.update('jax_enable_x64', True)."
        )
    made = recipe(config, task, rows, optimizer)
    identity = {"settings": config.to_dict(), "data": rows.digest, **_own(task)}
    return Run(config, task, rows, made, RunFolder(None, identity), progress)


def _own(task: Any) -> dict[str, Any]:
    """The fields of a task of your own, which its runs depend on as on their settings; of other things their types."""
    if not dataclasses.is_dataclass(task):
        return {}
    values = {f.name: getattr(task, f.name) for f in dataclasses.fields(task)}
    text = json.dumps(values, default=lambda value: type(value).__name__)
    return {"task": json.loads(text)} if values else {}


def _task(config: Any, task: Any) -> Task:
    if not isinstance(config, Config):
        raise expected("the settings of a run", "a Config, as Config('digits-ode') is", config)
    if task is None:
        return TASKS.build(config.task)
    if not isinstance(task, Task):
        raise expected("task=", "a Task of your own, an object and not its class", task)
    if task.name != config.task:
        raise OdescentError(f"the settings are for {config.task}, and the task is {task.name}.")
    return task


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
    lost = run.total - len(seen)
    if lost:
        raise OdescentError(
            f"{str(out)!r} lacks the scores of {lost} of the {run.total} steps without regularizer, which the budget "
            "compares with: its metrics.jsonl is damaged; start anew in another folder."
        )
    scores = [float("nan") if seen[k] is None else float(seen[k]) for k in range(1, run.total + 1)]
    return _from_learned(scores, run.task.sign), float(found.best[score])


def _from_learned(scores: list[float], sign: int) -> list[float]:
    """Scores from where the mean of the last ten has gone nine tenths of its way; NaN before."""
    import numpy as np

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
