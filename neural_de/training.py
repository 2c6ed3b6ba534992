"""Train a neural ODE or SDE: reproducible, resumable, and measured."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array

from .._errors import OdescentError
from .._files import write_whole
from . import checkpoints
from .config import Config
from .failures import TrainingFailed, diagnose
from .recipe import CANDIDATES, Recipe, TrainState, recipe, resolved
from .tasks import TASKS
from .tasks.base import Rows, Task, count

_CHECKPOINT, _METRICS, _RESULT = "checkpoint.eqx", "metrics.jsonl", "result.json"
_CHUNK = 2048  # rows per solve of an evaluation

Progress = Callable[[int, int, Mapping[str, Any]], None]


@dataclass(frozen=True)
class Trained:
    """A finished run.

    Attributes:
        model: the weights with the best score on the validation rows.
        config: with everything filled in.
        history: a record per step (step, loss, penalty, metrics, nfe, accepted, rejected, seconds, ...) and, under
            "validation", per validation.
        best: step and score of the model.
        test: metrics on the test rows, computed once: with nfe per solve, the first step used, seconds per
            prediction of `prediction_rows` rows and per training step (medians).
        path: the folder; None if nothing was written.
    """

    model: Any
    config: Config
    history: list[dict[str, Any]]
    best: dict[str, Any]
    test: dict[str, Any]
    path: Path | None


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
        optimizer: your own optax transformation, instead of one by name.
        out: a folder for checkpoint.eqx, metrics.jsonl and result.json; made if it is not there.
        resume: go on from the folder's checkpoint, if there is one; of a finished run, return it.
        progress: called with (steps done, all steps, the last record).

    Raises:
        OdescentError: settings that do not fit, a checkpoint that is damaged or belongs to another run, a folder
            that is in use.
        TrainingFailed: a solve, loss or gradient that fails; the last good state is in the checkpoint.
    """
    task = _task(config, task)
    _check_devices(config)
    dtype = jnp.dtype(config.precision)
    rows = task.rows(config).in_precision(np.dtype(config.precision))
    if optimizer is not None:
        if config.optimizer is not None or config.learning_rate is not None:
            raise OdescentError(
                "give an optimizer by name in the settings or as an object, not both."
            )
        config = config.replace(optimizer="given", learning_rate=None)
    config = resolved(config, task, rows)
    batch = config.batch or 1
    if batch > count(rows.train) or batch % config.devices:
        raise OdescentError(
            f"a batch has at most {count(rows.train)} rows and is split evenly over {config.devices} devices; it "
            f"cannot have {batch}."
        )
    if dtype == jnp.float64 and not checkpoints.has_x64():
        raise OdescentError(
            "precision='float64' needs JAX's: jax.config.update('jax_enable_x64', True)."
        )
    made = recipe(config, task, rows, optimizer)
    return _Run(config, task, rows, made, _folder(out, resume), progress).go(resume)


def _task(config: Config, task: Task | None) -> Task:
    if task is None:
        return TASKS.build(config.task)
    if task.name != config.task:
        raise OdescentError(f"the settings are for {config.task}, and the task is {task.name}.")
    return task


def _check_devices(config: Config) -> None:
    if config.devices > len(jax.devices()):
        raise OdescentError(
            f"there are {len(jax.devices())} devices, not {config.devices}: give fewer."
        )


def _folder(out: str | Path | None, resume: bool) -> Path | None:
    if out is None:
        if resume:
            raise OdescentError("there is nothing to resume from without a folder: give out=.")
        return None
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OdescentError(
            f"the folder {str(folder)!r} cannot be made: {error.strerror or error}."
        ) from None
    used = [n for n in (_CHECKPOINT, _METRICS, _RESULT) if (folder / n).exists()]
    if used and not resume:
        raise OdescentError(
            f"the folder {str(folder)!r} holds a run already ({used[0]}): resume it, or give another folder."
        )
    return folder


class _Run:
    """One run on its way."""

    def __init__(
        self,
        config: Config,
        task: Task,
        rows: Rows,
        made: Recipe,
        folder: Path | None,
        progress: Progress | None,
    ) -> None:
        self.config, self.task, self.rows, self.recipe = config, task, rows, made
        self.folder, self.progress = folder, progress
        self.total, self.batch = config.steps or 0, config.batch or 1
        self.history: list[dict[str, Any]] = []
        self.identity = {"settings": config.to_dict(), "data": rows.digest}
        self.placed = _placement(config.devices)
        self.fixed = self.placed(rows.fixed, False)

    def go(self, resume: bool) -> Trained:
        state = self.recipe.begin(self.rows, self.config.seed)
        if resume and self.folder is not None and (self.folder / _CHECKPOINT).exists():
            state, _ = checkpoints.load(self.folder / _CHECKPOINT, state, self.identity)
            self.history = self._read_metrics(int(state.step), int(state.validated))
        state = self.placed(state, False)
        state = self._loop(state)
        return self._finish(state)

    def _loop(self, state: TrainState) -> TrainState:
        saved = int(state.step) if self.history else -1
        try:
            while True:
                k = int(state.step)
                if state.validated != k and (
                    k % self.config.validate_every == 0 or k == self.total
                ):
                    state = self._validate(state)
                if saved != k and (k % self.config.checkpoint_every == 0 or k == self.total):
                    self._save(state)
                    saved = k
                if k == self.total:
                    return state
                state = self._step(state, k)
        except KeyboardInterrupt:
            self._save(state)
            raise

    def _step(self, state: TrainState, k: int) -> TrainState:
        batch = self._batch(k)
        began = time.perf_counter()
        after, metrics = self.recipe.update(state, batch)
        found = jax.device_get(metrics)
        seconds = time.perf_counter() - began
        fine = bool(found.pop("fine"))
        solved, finite = bool(found.pop("solved")), bool(found.pop("finite"))
        record = {"step": k + 1, **{n: v.item() for n, v in found.items()}, "seconds": seconds}
        if not fine:
            if int(after.failures) > self.config.skips:
                failure = diagnose(self.recipe, state, batch)
                self._save(state)
                self._note({"step": k + 1, "failure": failure.to_dict()})
                kept = "the weights before it are in .model of this error"
                if self.folder is not None:
                    kept = f"the state before it is kept in {str(self.folder / _CHECKPOINT)!r}"
                raise TrainingFailed(failure, state.model, kept)
            record["skipped"] = "gradient" if solved and finite else "loss" if solved else "solve"
        self._note(record)
        if self.progress is not None:
            self.progress(k + 1, self.total, record)
        return after

    def _batch(self, k: int) -> dict[str, Array]:
        """The rows of step k: each epoch is a permutation that follows from the seed, its rest dropped."""
        n = count(self.rows.train)
        epoch, position = divmod(k, n // self.batch)
        order = np.random.default_rng([self.config.seed, epoch]).permutation(n)
        rows = order[position * self.batch : (position + 1) * self.batch]
        chosen = {name: a[rows] for name, a in self.rows.train.items()}
        return {**self.placed(chosen, True), **self.fixed}

    def _validate(self, state: TrainState) -> TrainState:
        k = int(state.step)
        model = self.recipe.output(state)
        dt0, found = state.dt0, None
        if self.config.dt0 == "calibrated":
            dt0 = self._calibrated(state, model)
        found = self.metrics(model, self.rows.validation, dt0, 0)
        score = found.get(self.task.score, found["loss"])
        best = float(state.best_score)
        better = bool(found["solved"]) and self.task.sign * (score - best) > 0
        self._note({"step": k, "validation": {**found, "dt0": float(dt0)}})
        after: TrainState = eqx.tree_at(
            lambda s: (s.dt0, s.validated, s.best, s.best_score, s.best_step),
            state,
            (
                dt0,
                jnp.asarray(k, jnp.int32),
                model if better else state.best,
                jnp.asarray(score if better else best, state.best_score.dtype),
                jnp.asarray(k, jnp.int32) if better else state.best_step,
            ),
        )
        return after

    def _calibrated(self, state: TrainState, model: Any) -> Array:
        """The first step with which the first validation rows cost least; the shortest of several."""
        costs = []
        part = self._first_chunk()
        for fraction in CANDIDATES:
            dt0 = jnp.asarray(fraction * self.task.span, state.dt0.dtype)
            found = self._evaluated(model, part, dt0, 0, 0)
            costs.append(found["nfe"] if found["solved"] else np.inf)
        best = max(i for i, c in enumerate(costs) if c == min(costs))
        return jnp.asarray(CANDIDATES[best] * self.task.span, state.dt0.dtype)

    def metrics(self, model: Any, rows: Mapping[str, Any], dt0: Any, draw: int) -> dict[str, Any]:
        """Means over the rows, chunk by chunk; `solved` only if every solve went well."""
        n, ends = count(rows), self._ends(rows)
        totals: dict[str, float] = {}
        solved = True
        for i, (a, b) in enumerate(itertools.pairwise(ends)):
            found = self._evaluated(model, {k: v[a:b] for k, v in rows.items()}, dt0, draw, i)
            solved = solved and bool(found.pop("solved"))
            for name, value in found.items():
                totals[name] = totals.get(name, 0.0) + float(value) * float(b - a) / n
        return {**totals, "solved": solved}

    def _ends(self, rows: Mapping[str, Any]) -> list[int]:
        """Where chunks of about the same length begin and end."""
        n = count(rows)
        chunks = 1 if self.task.whole else -(-n // _CHUNK)
        return [n * i // chunks for i in range(chunks + 1)]

    def _first_chunk(self) -> dict[str, Any]:
        """Validation rows that are solved as one state, in a shape that is compiled already."""
        end = self._ends(self.rows.validation)[1]
        return {n: a[:end] for n, a in self.rows.validation.items()}

    def _evaluated(
        self, model: Any, rows: Mapping[str, Any], dt0: Any, draw: int, chunk: int
    ) -> dict[str, Any]:
        key = jr.fold_in(jr.key(self.config.seed), 2**31 - 2 - draw)
        key = jr.key_data(jr.fold_in(key, chunk))
        batch = {**self.placed(rows, False), **self.fixed}
        late = jnp.asarray(self.total, jnp.int32)
        found: dict[str, Any] = jax.device_get(self.recipe.evaluate(model, batch, key, late, dt0))
        return found

    def _finish(self, state: TrainState) -> Trained:
        best = {"step": int(state.best_step), self.task.score: float(state.best_score)}
        if self.folder is not None and (self.folder / _RESULT).exists():
            test = self._read_result(best)
        else:
            test = self._test(state)
            if self.folder is not None:
                said = {"identity": self.identity, "best": best, "test": test}
                text = json.dumps(_finite(said), indent=1, sort_keys=True, allow_nan=False)
                write_whole(self.folder / _RESULT, text + "\n")
        return Trained(state.best, self.config, self.history, best, test, self.folder)

    def _test(self, state: TrainState) -> dict[str, Any]:
        """On the test rows, once; the first step is that of the end of training."""
        dt0 = state.dt0
        if self.config.dt0 == "calibrated":
            dt0 = self._calibrated(state, state.best)
        found = self.metrics(state.best, self.rows.test, dt0, 1)
        part, walls = self._first_chunk(), []
        for _ in range(6):
            began = time.perf_counter()
            self._evaluated(state.best, part, dt0, 0, 0)
            walls.append(time.perf_counter() - began)
        steps = [r["seconds"] for r in self.history if "seconds" in r]
        shown = float(dt0) if self.config.dt0 in ("warm", "calibrated") else self.config.dt0
        return {
            **found, "dt0": shown, "prediction_seconds": float(np.median(walls[1:])), "prediction_rows": count(part),
            "step_seconds": float(np.median(steps[1:] or steps or [np.nan])),
        }  # fmt: skip

    def _save(self, state: TrainState) -> None:
        if self.folder is None:
            return
        epoch, position = divmod(int(state.step), count(self.rows.train) // self.batch)
        order = {"seed": self.config.seed, "epoch": epoch, "position": position}
        notes = {"step": int(state.step), "data_order": order}
        checkpoints.save(self.folder / _CHECKPOINT, state, self.identity, notes)

    def _note(self, record: dict[str, Any]) -> None:
        self.history.append(record)
        if self.folder is not None:
            with (self.folder / _METRICS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(_finite(record), allow_nan=False) + "\n")

    def _read_metrics(self, step: int, validated: int) -> list[dict[str, Any]]:
        """The records up to a step and a validation; the file loses later ones, and a line that a kill cut off."""
        assert self.folder is not None
        path, kept = self.folder / _METRICS, []
        lines = path.read_text("utf-8", "replace").splitlines() if path.exists() else []
        for line in lines:
            try:
                said = json.loads(line)
                last = validated if "validation" in said else step
                if said["step"] <= last and "failure" not in said:
                    kept.append(said)
            except (ValueError, KeyError, TypeError):
                continue
        write_whole(path, "".join(json.dumps(r) + "\n" for r in kept))
        return kept

    def _read_result(self, best: dict[str, Any]) -> dict[str, Any]:
        assert self.folder is not None
        try:
            said = json.loads((self.folder / _RESULT).read_text("utf-8"))
            same = said["identity"] == json.loads(json.dumps(self.identity))
            test = said["test"]
        except (OSError, ValueError, KeyError, TypeError):
            same, test = False, {}
        if not same or not isinstance(test, dict):
            raise OdescentError(
                f"{str(self.folder / _RESULT)!r} is damaged or of another run: the test rows are looked at once, so "
                "take it away only if that is meant."
            )
        return test


def _placement(devices: int) -> Callable[[Any, bool], Any]:
    """Puts a pytree's arrays on the devices: split along the first axis, or whole on each."""
    if devices == 1:
        return lambda tree, split: jax.tree.map(
            lambda x: jnp.asarray(x) if eqx.is_array_like(x) else x, tree
        )
    split_by: Any = jax.sharding.PartitionSpec  # carries no types
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:devices]), ("batch",))
    whole = jax.sharding.NamedSharding(mesh, split_by())
    parts = jax.sharding.NamedSharding(mesh, split_by("batch"))

    def placed(tree: Any, split: bool) -> Any:
        where = parts if split else whole
        return jax.tree.map(lambda x: jax.device_put(x, where) if eqx.is_array_like(x) else x, tree)

    return placed


def _finite(value: Any) -> Any:
    """JSON data, with None for numbers that are not finite."""
    if isinstance(value, Mapping):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
