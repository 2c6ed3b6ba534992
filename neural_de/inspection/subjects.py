"""Subjects of an inspection: a run, its folder, your own model, or a vector field alone."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from ..._support.rendering.rendered import Rendered
from ...dynamics.vector_fields.own_functions import all_current
from ..solving.solve import Solved, solve
from ..tasks.rows import count
from ..tasks.task import Losses, Task
from ..training.compiled import solve_options
from ..training.trained import Trained, load_trained

PARTS = ("train", "validation", "test")
_KEY = 2**31 - 4  # apart from those of training and evaluation


class FixedOption(OdescentError):
    """A model or loss that sets an option of its solve itself, which was to be another one here."""


@dataclass(frozen=True)
class Subject(Rendered):
    """Rows and a model or vector field that solves them.

    Attributes:
        name: for titles.
        losses: (model, batch, key=..., **options of `solve`) -> the loss, metrics and solve of a batch.
        model: a pytree with the weights for `losses`, and with the user's functions that these call.
        rows: arrays by name, of one length.
        fixed: arrays that are part of every batch.
        score, sign: the metric, and 1 if larger is better, else -1; None if there is none.
        options: options of `solve`, as in training.
        vector_field: (t, y) -> dy/dt for y of shape (batch, d); None if the model does not expose one.
        key: data of the key of the noise.
    """

    name: str
    losses: Callable[..., Losses]
    model: Any
    rows: Mapping[str, Any]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    score: str | None = None
    sign: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    vector_field: Callable[[Any, Any], Any] | None = None
    key: int = 0

    def first(self, n: int | None) -> dict[str, Any]:
        """The first n rows, all of them for None."""
        return {name: a[:n] for name, a in self.rows.items()}

    def solved(self, rows: int | None = None, **options: Any) -> Losses:
        """The first rows as one state; options in place of those of training."""
        batch = {**_arrays(self.first(rows)), **_arrays(self.fixed)}
        key = jr.fold_in(jr.key(self.key), _KEY)
        return self._run(_together, batch, key, options)

    def each(self, rows: int | None = None, **options: Any) -> Losses:
        """The first rows one by one, each with its own steps; everything gets their axis."""
        chosen = _arrays(self.first(rows))
        keys = jr.split(jr.fold_in(jr.key(self.key), _KEY), count(self.first(rows)))
        fixed = _arrays(self.fixed)
        return self._run(_one_by_one, (chosen, fixed), keys, options)

    def _run(self, how: Any, batch: Any, key: Any, options: Mapping[str, Any]) -> Losses:
        given = {**self.options, **options}
        try:
            found: Losses = how(
                self.losses, all_current(self.model), batch, key, all_current(given)
            )
        except TypeError as error:
            # The two values meet in a call inside the loss, which no signature shows: Python's message alone names it.
            twice = re.search(r"multiple values for keyword argument '(\w+)'", str(error))
            if twice is None or twice[1] not in given:
                raise
            raise FixedOption(
                f"{self.name} sets {twice[1]}= of solve itself: let the options that come win, as in solve(..., "
                f"**{{'{twice[1]}': ..., **options}})."
            ) from None
        return found


# Compiled once for all subjects whose losses, options and shapes are equal, such as the runs of a sweep.
@eqx.filter_jit
def _together(outcome: Any, model: Any, batch: Any, key: Any, options: Any) -> Any:
    return outcome(model, batch, key=key, **options)


@eqx.filter_jit
def _one_by_one(outcome: Any, model: Any, batch: Any, keys: Any, options: Any) -> Any:
    rows, fixed = batch

    def one(row: Any, key: Any) -> Any:
        batch = {n: a[None] for n, a in row.items()}
        return outcome(model, {**batch, **fixed}, key=key, **options)

    return eqx.filter_vmap(one)(rows, keys)


@dataclass(frozen=True)
class TaskLosses:
    """A task's loss and solve at a given step of training."""

    task: Task
    steps: int

    def __call__(self, model: Any, batch: Any, key: Any = None, **options: Any) -> Losses:
        """The losses of a batch, as in validation."""
        step = jnp.asarray(self.steps, jnp.int32)
        found: Losses = self.task.loss(model, batch, key=key, step=step, training=False, **options)
        return found


def subject(
    what: Any,
    y0: Any = None,
    t0: float = 0.0,
    t1: float = 1.0,
    args: Any = None,
    *,
    rows: str = "validation",
    loss: Callable[..., Any] | None = None,
    vector_field: Callable[[Any, Any], Any] | None = None,
    labels: Any = None,
    name: str | None = None,
    **options: Any,
) -> Subject:
    """The object of the inspection functions: a run, a vector field or a model.

    ::

        subject(run)                                      # what `train` returned, or its folder
        subject(field, y0, 0.0, 1.0, args, rtol=1e-6)     # y' = field(t, y, args) from each row of y0
        subject(model, y0, loss=lambda model, batch, **options: model(batch["x"], **options))

    Args:
        what: a run, a folder, a vector field, or with `loss` any model.
        y0: initial states or inputs, one per row; not for runs.
        t0, t1, args: of a vector field.
        rows: the rows of a run: "train", "validation" or "test".
        loss: (model, batch, key=..., **options) -> `Losses`, or (anything, Solved), or Solved.
        vector_field: (t, y) -> dy/dt, for pictures of it; by default the model's `field` or `drift`.
        labels: a whole number per row, for colours.
        name: for titles; by default the task's, with its regularizer, or the function's.
        options: of `solve`.

    Returns:
        Rows and what solves them, as the other functions here take it.

    Raises:
        OdescentError: another object.
    """
    # a run brings its rows, its loss and its settings
    if isinstance(what, str | Path):
        what = load_trained(what)
    if isinstance(what, Trained):
        if y0 is not None or loss is not None:
            raise OdescentError("a run has rows and a loss of its own: leave y0= and loss= out.")
        return _of_run(what, rows, vector_field, name, options)
    if y0 is None:
        raise OdescentError(
            "give a run of train, its folder, or a vector field or model with the rows y0= that it starts from."
        )
    # anything else needs initial states
    states = np.asarray(y0)
    if states.ndim < 2:
        raise OdescentError(
            f"y0 has one row per initial state; it cannot have the shape {states.shape}."
        )
    options = {"throw": False, **options}
    found = {"x": states} | ({} if labels is None else {"y": np.asarray(labels)})
    if loss is not None:
        field_ = vector_field or field_of(what)
        model = (_open(loss), what)
        label = name or type(what).__name__
        return Subject(label, _own_losses, model, found, options=options, vector_field=field_)
    if not callable(what):
        raise OdescentError(
            f"a run, a folder, or a vector field f(t, y, args) is expected, not {type(what).__name__}; of a model of "
            "your own give loss=."
        )
    # a vector field: the solve itself is the model, and its penalty needs a key
    shown = vector_field or (lambda t, y: what(t, y, args))
    label = name or getattr(what, "__name__", "vector field").replace("<lambda>", "vector field")
    losses, model = _SolveLosses(t0, t1), (what, args)
    return Subject(label, losses, model, found, options=options, vector_field=shown)


@dataclass(frozen=True)
class _SolveLosses:
    """The solve of a vector field as its losses; the field and its arguments are the model."""

    t0: float
    t1: float

    def __call__(self, model: Any, batch: Any, key: Any = None, **more: Any) -> Losses:
        field, args = model
        noise = {"key": key} if "diffusion" in more or more.get("regularizer") is not None else {}
        return _losses(solve(field, batch["x"], self.t0, self.t1, args, **noise, **more))


def _own_losses(model: Any, batch: Any, **more: Any) -> Losses:
    """Those of a user's loss and model."""
    loss, own = model
    return _losses(loss(own, batch, **more))


def field_of(model: Any) -> Callable[[Any, Any], Any] | None:
    """The vector field (t, y) of a model: its `field`, `drift`, or that of its `sde`."""
    for owner in (model, getattr(model, "sde", None)):
        for name in ("field", "drift"):
            found: Any = getattr(owner, name, None)
            if callable(found):
                return found  # type: ignore[no-any-return]
    return None


def _of_run(
    run: Trained, rows: str, vector_field: Any, name: str | None, options: Mapping[str, Any]
) -> Subject:
    if rows not in PARTS:
        raise OdescentError(f"rows= must be one of {', '.join(PARTS)}, not {short(rows)}.")
    c, task = run.config, run.task
    data = task.rows(c).in_precision(np.dtype(c.precision))
    dt0: Any = c.dt0
    if dt0 in ("warm", "calibrated"):
        dt0 = run.test.get("dt0") or next(
            (r["validation"]["dt0"] for r in reversed(run.history) if "validation" in r), "hairer"
        )
    label = name or (c.task if c.regularizer is None else f"{c.task}, {c.regularizer}")
    field_ = vector_field or field_of(run.model)
    return Subject(
        label, TaskLosses(task, c.steps or 0), run.model, getattr(data, rows), data.fixed, task.score, task.sign,
        {**solve_options(c, dt0), **options}, field_, c.seed,
    )  # fmt: skip


def _open(loss: Callable[..., Any]) -> Callable[..., Any]:
    """The loss; OdescentError if it does not accept the options of a solve."""
    try:
        kinds = {p.kind for p in inspect.signature(loss).parameters.values()}
    except (TypeError, ValueError):  # a function without a signature, or no function
        return loss
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        raise OdescentError(
            "loss= is called with a key and options of solve by name, and this one does not accept all of them: end it "
            "with **options, as in lambda model, batch, **options: ..., and pass them on to solve."
        )
    return loss


def _losses(found: Any) -> Losses:
    if isinstance(found, Losses):
        return found
    solved = found[-1] if isinstance(found, tuple) else found
    if not isinstance(solved, Solved):
        raise OdescentError(
            "loss= returns Losses, (anything, Solved) or Solved, where Solved is what solve(...) returned; not "
            f"{type(found).__name__}."
        )
    return Losses(jnp.zeros((), solved.penalty.dtype), {}, solved)


def trajectories(subject: Subject, rows: int, times: int) -> tuple[np.ndarray, np.ndarray]:
    """The ways of the first rows.

    Args:
        subject: whose rows.
        rows: how many.
        times: evenly spaced, how many; a model that saves at times of its own has those.

    Returns:
        Times, of shape (times,), and the states there, of shape (times, rows, d).
    """
    plain = subject.solved(rows)
    ends = (plain.solved.solution.t0, plain.solved.solution.t1)
    t0, t1 = (float(np.ravel(t)[0]) for t in ends)
    grid = np.linspace(t0, t1, times)
    try:
        found = subject.solved(rows, saveat=dfx.SaveAt(ts=jnp.asarray(grid, plain.loss.dtype)))
    except FixedOption:  # the model saves at times of its own
        found = plain
        saved = np.asarray(found.solved.ts, float)
        grid = saved.reshape(-1, saved.shape[-1])[0]
    states = np.asarray(jax.tree.leaves(found.solved.ys)[0], float)
    states = np.moveaxis(states, found.solved.time_axis, 0)
    return grid, states.reshape(len(grid), states.shape[1], -1)


def _arrays(rows: Mapping[str, Any]) -> dict[str, Any]:
    return {n: jnp.asarray(a) for n, a in rows.items()}
