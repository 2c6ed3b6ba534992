"""The loop of a training run: steps, validations, checkpoints, and the test at the end; Ctrl-C between two steps."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..tasks.rows import count
from .compiled import TrainState
from .evaluation import Evaluation, first_chunk
from .failures import TrainingFailed, diagnose
from .run_folder import CHECKPOINT, RunFolder
from .setup import Setup


@contextmanager
def between_steps() -> Iterator[Callable[[], None]]:
    """A check that raises KeyboardInterrupt if Ctrl-C was pressed since the beginning.

    Python raises it wherever the program stands, and in a callback of another library (JAX has one for collections of
    garbage) it is printed and forgotten. Here the first is kept for the next check, and a second one raises at once.
    In other threads than the main one, and where a program handles the signal itself, nothing is changed.
    """
    before = signal.getsignal(signal.SIGINT)
    ours = threading.current_thread() is threading.main_thread()
    if not ours or before is not signal.default_int_handler:
        yield lambda: None
        return
    pressed = False

    def keep(number: int, frame: Any) -> None:
        nonlocal pressed
        if pressed:
            signal.default_int_handler(number, frame)
        pressed = True

    def check() -> None:
        if pressed:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, keep)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)


Progress = Callable[[int, int, Mapping[str, Any]], None]


class Run:
    """A run on its way.

    Args:
        setup: what it computes.
        folder: where it is kept.
        progress: called with (steps done, all steps, the last record).

    Attributes:
        reference, reached: with a budget of accuracy, the scores of the run without regularizer, step by step, and
            the best of its validations.
        history: its records so far.
        best: the validation of the best weights.
    """

    def __init__(self, setup: Setup, folder: RunFolder, progress: Progress | None = None) -> None:
        self.setup, self.folder, self.progress = setup, folder, progress
        self.config, self.task, self.rows = setup.config, setup.task, setup.rows
        self.reference: Sequence[float] | None = None
        self.reached: float | None = None
        self.history: list[dict[str, Any]] = []
        self.best: Mapping[str, Any] | None = None
        self._order = (-1, np.empty(0, np.int64))  # an epoch, and that of its rows
        self.placed = placement(setup.config.devices)
        self.evaluation = Evaluation(setup, self.placed)

    def begin(self) -> TrainState:
        """The state before the first step; the folder gets to know the optimizer."""
        state = self.setup.begin()
        if self.folder.path is not None:
            self.folder.identity |= self.setup.optimizer_identity(state)
        return state

    def go(self, resume: bool) -> TrainState:
        """From the beginning or the checkpoint to the last step."""
        state = self.begin()
        kept = self.folder.resumed(state) if resume else None
        if kept is not None:
            state, notes = kept
            self.best = notes.get("best")
            self.history = self.folder.metrics(int(state.step), int(state.validated))
        self.folder.keep(self.history)
        return self._loop(self.placed(state, False))

    def _loop(self, state: TrainState) -> TrainState:
        saved = int(state.step) if self.history else -1
        try:
            with between_steps() as check:
                while True:
                    k = int(state.step)
                    if state.validated != k and (
                        k % self.config.validate_every == 0 or k == self.setup.steps
                    ):
                        state = self._validate(state)
                    if saved != k and (
                        k % self.config.checkpoint_every == 0 or k == self.setup.steps
                    ):
                        self._save(state)
                        saved = k
                    check()
                    if k == self.setup.steps:
                        return state
                    state = self._step(state, k)
        except KeyboardInterrupt:
            self._save(state)
            how = (
                "to be able to go on, give the run a folder, as in out='run'"
                if self.folder.path is None
                else "run again with the same settings and resume=True to go on"
            )
            raise KeyboardInterrupt(
                f"interrupted after step {int(state.step)} of {self.setup.steps}; {how}."
            ) from None

    def _step(self, state: TrainState, k: int) -> TrainState:
        batch = self._batch(k)
        reference = (
            None if self.reference is None else jnp.asarray(self.reference[k], self.setup.dtype)
        )
        began = time.perf_counter()
        after, metrics = self.setup.update(state, batch, reference)
        found = jax.device_get(metrics)
        seconds = time.perf_counter() - began
        fine = bool(found.pop("fine"))
        solved, finite = bool(found.pop("solved")), bool(found.pop("finite"))
        record = {"step": k + 1, **{n: v.item() for n, v in found.items()}, "seconds": seconds}
        if not fine:
            if int(after.failures) > self.config.skips:
                failure = diagnose(self.setup, state, batch)
                self._save(state)
                self._note({"step": k + 1, "failure": failure.to_dict()})
                kept = "the weights before it are in .model of this error"
                if self.folder.path is not None:
                    kept = f"the state before it is kept in {str(self.folder.path / CHECKPOINT)!r}"
                raise TrainingFailed(failure, state.model, kept)
            record["skipped"] = "gradient" if solved and finite else "loss" if solved else "solve"
        self._note(record)
        if self.progress is not None:
            self.progress(k + 1, self.setup.steps, record)
        return after

    def _batch(self, k: int) -> dict[str, Array]:
        """The rows of step k: each epoch is a permutation that follows from the seed, its rest dropped."""
        n = count(self.rows.train)
        epoch, position = divmod(k, n // self.setup.batch)
        if self._order[0] != epoch:
            order = np.random.default_rng([self.config.seed, epoch]).permutation(n)
            self._order = (epoch, order)
        rows = self._order[1][position * self.setup.batch : (position + 1) * self.setup.batch]
        chosen = {name: a[rows] for name, a in self.rows.train.items()}
        return {**self.placed(chosen, True), **self.evaluation.fixed}

    def _validate(self, state: TrainState) -> TrainState:
        k = int(state.step)
        model = self.setup.compiled.output(state)
        dt0 = state.dt0
        if self.config.dt0 == "calibrated":
            dt0 = self.evaluation.calibrated(model, dt0.dtype)
        found = self.evaluation.metrics(model, self.rows.validation, dt0, 0)
        score = self._score(found)
        better = bool(found["solved"]) and self._better(found, score, state)
        self.best = found if better else self.best
        self._note({"step": k, "validation": {**found, "dt0": float(dt0)}})
        after: TrainState = eqx.tree_at(
            lambda s: (s.dt0, s.validated, s.best, s.best_score, s.best_step),
            state,
            (
                dt0,
                jnp.asarray(k, jnp.int32),
                model if better else state.best,
                jnp.asarray(score, state.best_score.dtype) if better else state.best_score,
                jnp.asarray(k, jnp.int32) if better else state.best_step,
            ),
        )
        return after

    def _better(self, found: Mapping[str, Any], score: float, state: TrainState) -> bool:
        """Whether these weights are to be kept: the best score, or with a budget the best that meet it.

        A budget of evaluations takes the best score among weights within it, and of equal scores the least loss, for
        the first ones within it have not learned for long; a budget of score the fewest evaluations; as long as none
        are within it, the ones that come nearest. Weights that have not been trained stand only until there are
        others.
        """
        higher = self.task.sign * (score - float(state.best_score)) > 0
        old = self.best
        if not self.config.budgeted or old is None:
            return higher
        if state.best_step == 0:  # a field that has learned nothing is within most budgets
            return True
        if score == self._score(old):
            higher = float(found["loss"]) < float(old["loss"])
        excess = [self.excess(r) for r in (old, found)]
        if max(excess) > 0:
            return excess[1] < excess[0] or (excess[1] == excess[0] and higher)
        if self.config.target_nfe is not None:
            return higher
        return bool(found["nfe"] < old["nfe"]) or (found["nfe"] == old["nfe"] and higher)

    def _score(self, found: Mapping[str, Any]) -> float:
        return float(found.get(self.task.score, found["loss"]))

    def excess(self, found: Mapping[str, Any]) -> float:
        """By how much a validation is over the budget; 0 within it."""
        if self.config.target_nfe is not None:
            return max(0.0, float(found["nfe"]) - self.config.target_nfe)
        lost = self.task.sign * ((self.reached or 0.0) - self._score(found))
        return max(0.0, lost - (self.config.max_accuracy_loss or 0.0))

    def test(self, state: TrainState) -> dict[str, Any]:
        """On the test rows, once; the first step is that of the end of training."""
        dt0 = state.dt0  # of the last validation
        if self.config.dt0 == "calibrated" and int(state.best_step) != int(state.validated):
            dt0 = self.evaluation.calibrated(state.best, dt0.dtype)
        found = self.evaluation.metrics(state.best, self.rows.test, dt0, 1)
        steps = [r["seconds"] for r in self.history if "seconds" in r]
        shown = float(dt0) if self.config.dt0 in ("warm", "calibrated") else self.config.dt0
        return {
            **found, "dt0": shown, "prediction_seconds": self.evaluation.prediction_seconds(state.best, dt0),
            "prediction_rows": count(first_chunk(self.task, self.rows.test)),
            "step_seconds": float(np.median(steps[1:] or steps or [np.nan])),
        }  # fmt: skip

    def _save(self, state: TrainState) -> None:
        epoch, position = divmod(int(state.step), count(self.rows.train) // self.setup.batch)
        order = {"seed": self.config.seed, "epoch": epoch, "position": position}
        notes = {"step": int(state.step), "data_order": order, "best": self.best}
        self.folder.save(state, notes)

    def _note(self, record: dict[str, Any]) -> None:
        self.history.append(record)
        self.folder.note(record)


def placement(devices: int) -> Callable[[Any, bool], Any]:
    """Puts a pytree's arrays on the devices: split along the first axis, or whole on each."""
    if devices == 1:
        return lambda tree, split: jax.tree.map(
            lambda x: jnp.asarray(x) if _is_array(x) else x, tree
        )
    split_by: Any = jax.sharding.PartitionSpec  # carries no types
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:devices]), ("batch",))
    whole = jax.sharding.NamedSharding(mesh, split_by())
    parts = jax.sharding.NamedSharding(mesh, split_by("batch"))

    def placed(tree: Any, split: bool) -> Any:
        where = parts if split else whole
        return jax.tree.map(lambda x: jax.device_put(x, where) if _is_array(x) else x, tree)

    return placed


def _is_array(x: Any) -> bool:
    """Plain numbers are none: a model's (the rate of a dropout) are settings, and no weights."""
    return eqx.is_array(x) or isinstance(x, np.ndarray)
