"""Metrics of a model on rows, and the first step of minimal cost."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array

from ..tasks.rows import count
from ..tasks.task import Task
from .setup import Setup

CHUNK = 2048  # rows per solve
CALIBRATION = 512  # rows to find the first step with, where solves have more than twice as many
CANDIDATES = tuple(2 ** (-i / 2) for i in range(14))  # first steps, as fractions of the interval
_DRAWS = 2**31 - 2  # keys of evaluations stand before it, those of steps from 0 on


class Evaluation:
    """A run's model on its validation and test rows."""

    def __init__(self, setup: Setup, placed: Callable[[Any, bool], Any]) -> None:
        self.setup, self.placed = setup, placed
        self.config, self.task, self.rows = setup.config, setup.task, setup.rows
        self.fixed = placed(setup.rows.fixed, False)

    def metrics(self, model: Any, rows: Mapping[str, Any], dt0: Any, draw: int) -> dict[str, Any]:
        """Loss and metrics on rows, chunk by chunk.

        Args:
            model: the weights.
            rows: arrays by name.
            dt0: the first step.
            draw: which of the run's evaluations this is, for its random numbers.

        Returns:
            Means over the rows by name; `solved` only if every solve went well.
        """
        n, ends = count(rows), _ends(self.task, rows)
        totals: dict[str, float] = {}
        solved = True
        for i, (a, b) in enumerate(itertools.pairwise(ends)):
            found = self._evaluated(model, {k: v[a:b] for k, v in rows.items()}, dt0, draw, i)
            solved = solved and bool(found.pop("solved"))
            for name, value in found.items():
                totals[name] = totals.get(name, 0.0) + float(value) * float(b - a) / n
        return {**totals, "solved": solved}

    def calibrated(self, model: Any, dtype: Any) -> Array:
        """The first step with which the first validation rows cost least; the shortest of several."""
        costs = []
        part = first_chunk(self.task, self.rows.validation)
        if count(part) > 2 * CALIBRATION and not self.task.whole:
            part = {n: a[:CALIBRATION] for n, a in part.items()}
        for fraction in CANDIDATES:
            dt0 = jnp.asarray(fraction * self.task.span, dtype)
            found = self._evaluated(model, part, dt0, 0, 0)
            costs.append(found["nfe"] if found["solved"] else np.inf)
        best = max(i for i, c in enumerate(costs) if c == min(costs))
        return jnp.asarray(CANDIDATES[best] * self.task.span, dtype)

    def prediction_seconds(self, model: Any, dt0: Any) -> float:
        """The median of three predictions of the first test rows, which were evaluated before: nothing is compiled."""
        part, walls = first_chunk(self.task, self.rows.test), []
        for _ in range(3):
            began = time.perf_counter()
            self._evaluated(model, part, dt0, 0, 0)
            walls.append(time.perf_counter() - began)
        return float(np.median(walls))

    def _evaluated(
        self, model: Any, rows: Mapping[str, Any], dt0: Any, draw: int, chunk: int
    ) -> dict[str, Any]:
        key = jr.fold_in(jr.key(self.config.seed), _DRAWS - draw)
        key = jr.key_data(jr.fold_in(key, chunk))
        batch = {**self.placed(rows, False), **self.fixed}
        late = jnp.asarray(self.setup.steps, jnp.int32)
        found: dict[str, Any] = jax.device_get(self.setup.evaluate(model, batch, key, late, dt0))
        return found


def first_chunk(task: Task, rows: Mapping[str, Any]) -> dict[str, Any]:
    """The first rows that are solved as one state, in a shape that is compiled once they were evaluated."""
    end = _ends(task, rows)[1]
    return {n: a[:end] for n, a in rows.items()}


def _ends(task: Task, rows: Mapping[str, Any]) -> list[int]:
    """Where chunks of about the same length begin and end."""
    n = count(rows)
    chunks = 1 if task.whole else -(-n // CHUNK)
    return [n * i // chunks for i in range(chunks + 1)]
