"""Long runs: chunks of one compiled, resumable loop that stores only requested quantities.

The loop's bounds are arguments, so that one executable serves every chunk, however long: a run that was
interrupted and resumed has the same bits as one that was not.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..._support.errors import check_choice
from ..._support.numbers import check_whole
from ...dynamics.flows.stepper import PointStepper, iterate
from ..programs import draws

STATISTICS = ("mean", "variance", "minimum", "maximum")
_RECORD_BYTES = 8 << 20  # of the buffer that one chunk fills
_MOST_RECORDS = 512
_CHUNK_SECONDS = 0.25  # how long a chunk is aimed to take: so soon Ctrl-C is answered
_SAVE_SECONDS = 5.0  # a run file is written at most this often

Progress = Callable[[int, int], None]


class RunJob(NamedTuple):
    """A run to be made: a stepper with its coefficients, a start, and a source of noise if it draws."""

    made: PointStepper
    c: Any
    x0: Any
    key: draws.Source | None = None


@dataclass(frozen=True)
class LongRun:
    """Options of a long run.

    Attributes:
        steps: the number of steps.
        every: a record is kept at every such step, and at the last.
        statistics: running statistics of x and f over all steps, the start included, from `STATISTICS`.
        chunk: steps per call of the compiled loop; found from its speed where None.
        progress: called with (steps done, steps) after each chunk.
        file: where the run is kept to be resumed; see `run_file`.
    """

    steps: int
    every: int = 1
    statistics: tuple[str, ...] = ()
    chunk: int | None = None
    progress: Progress | None = None
    file: Path | None = None


@dataclass(frozen=True)
class Kept:
    """State between chunks: the loop's carry, and the records at multiples of `every`."""

    carry: Any
    records: tuple[Any, ...]  # of (k, x, states, f), each with a leading axis

    @property
    def done(self) -> int:
        return int(self.carry["k"])

    @property
    def bad(self) -> int:
        return int(self.carry["bad"])


class RunInterrupted(KeyboardInterrupt):
    """Ctrl-C in a long run; ``trajectory`` is what it had come to."""

    def __init__(self, sentence: str, trajectory: Any) -> None:
        super().__init__(sentence)
        self.trajectory = trajectory


def check(request: LongRun) -> None:
    """Refuse what makes no sense, with a sentence."""
    for name, value in (("every", request.every), ("chunk", request.chunk)):
        if value is not None or name == "every":
            check_whole(name, value, 1)
    for name in request.statistics:
        check_choice("running statistic", name, STATISTICS)


@functools.lru_cache(maxsize=128)
def loops(made: PointStepper, statistics: tuple[str, ...], capacity: int) -> tuple[Any, Any]:
    """Compile the start and the loop of a run in chunks.

    Args:
        made: the stepper.
        statistics: names of the running statistics.
        capacity: the largest number of records per call.

    Returns:
        ``(c, x0) -> (carry, record)`` and ``(c, key, carry, every, end) -> (carry, records, n)``, where the first n of
        the ``capacity`` records are valid.
    """

    def recorded(carry: Any, c: Any) -> tuple[Any, ...]:
        x, states, f, _ = made.record(carry["state"], c)
        return carry["k"], x, states, f

    def fine(carry: Any) -> Any:
        return carry["bad"] < 0

    def begin(c: Any, x0: Any) -> tuple[Any, Any]:
        state = made.init(x0, c)
        x, _, f, bad = made.record(state, c)
        zero = jnp.zeros((), jnp.asarray(0).dtype)
        carry = {"state": state, "k": zero, "bad": jnp.where(bad, zero, zero - 1),
                 "statistics": _first((x, f), statistics)}  # fmt: skip
        return carry, recorded(carry, c)

    def one(before: Any, carry: Any, c: Any, key: Any) -> Any:
        own = None if key is None else draws.at_step(key, before)
        state, k = made.step(carry["state"], c, own), before + 1
        x, _, f, bad = made.record(state, c)
        seen = _next(carry["statistics"], (x, f), k, bad)
        return {"state": state, "k": k, "bad": jnp.where(bad, k, carry["bad"]), "statistics": seen}

    # one compiled loop serves all chunks: lengths are arguments, buffers have a fixed capacity, and a state that
    # is not finite ends the loop at its step, without being recorded
    def advance(c: Any, key: Any, carry: Any, every: Any, end: Any) -> tuple[Any, ...]:
        shapes = jax.eval_shape(recorded, carry, c)
        buffers = jax.tree.map(lambda s: jnp.zeros((capacity, *s.shape), s.dtype), shapes)

        def body(loop: Any) -> Any:
            carry, buffers, n = loop
            target = jnp.minimum((carry["k"] // every + 1) * every, end)
            step = lambda k, now: one(k, now, c, key)
            carry = iterate(step, carry, target - carry["k"], fine, carry["k"])
            buffers = jax.tree.map(lambda b, v: b.at[n].set(v), buffers, recorded(carry, c))
            whole = (carry["k"] % every == 0) & fine(carry)
            return carry, buffers, n + whole.astype(n.dtype)

        start = (carry, buffers, jnp.zeros((), jnp.int32))
        going = lambda loop: (loop[0]["k"] < end) & fine(loop[0])
        return jax.lax.while_loop(going, body, start)

    return jax.jit(begin), jax.jit(advance)


def _first(seen: Any, statistics: tuple[str, ...]) -> Any:
    kept = {}
    if {"mean", "variance"} & set(statistics):
        kept["mean"] = seen
    if "variance" in statistics:
        kept["squares"] = jax.tree.map(jnp.zeros_like, seen)
    return kept | {n: seen for n in ("minimum", "maximum") if n in statistics}


def _next(kept: Any, seen: Any, k: Array, bad: Array) -> Any:
    """Welford's recurrences (10.1080/00401706.1962.10490022); a step that diverged does not count."""
    new = {}
    if "mean" in kept:
        count: Callable[..., Any] = lambda v: (k + 1).astype(v.dtype)
        new["mean"] = jax.tree.map(lambda m, v: m + (v - m) / count(v), kept["mean"], seen)
    if "squares" in kept:
        new["squares"] = jax.tree.map(
            lambda s, old, mean, v: s + (v - old) * (v - mean),
            kept["squares"], kept["mean"], new["mean"], seen,
        )  # fmt: skip
    for name, better in (("minimum", jnp.minimum), ("maximum", jnp.maximum)):
        if name in kept:
            new[name] = jax.tree.map(better, kept[name], seen)
    return jax.tree.map(lambda old, v: jnp.where(bad, old, v), kept, new)


def summary(carry: Any, statistics: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The statistics by name, each of x and (where there are values) of f."""
    kept, count = carry["statistics"], carry["k"] + (carry["bad"] < 0).astype(carry["k"].dtype)
    found, divisor = {}, jnp.maximum(count - 1, 1)
    for name in statistics:
        if name == "variance":
            x, f = jax.tree.map(lambda v: v / divisor.astype(v.dtype), kept["squares"])
        else:
            x, f = kept[name]
        found[name] = {"x": x} if f is None else {"x": x, "f": f}
    return found


def capacity_for(record: Any) -> int:
    """The number of records in a chunk's buffer; the last slot is for a step that is no multiple of `every`."""
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(record))
    return int(max(min(_RECORD_BYTES // max(size, 1), _MOST_RECORDS), 1)) + 1


def at_once(job: RunJob, request: LongRun) -> Any:
    """All steps in one call, for use under an outer transformation: (carry, records)."""
    capacity = request.steps // request.every + 1
    begin, advance = loops(job.made, request.statistics, capacity)
    carry, first = begin(job.c, job.x0)
    carry, records, _ = advance(job.c, job.key, carry, request.every, request.steps)
    records = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, records)
    if request.steps % request.every == 0:
        records = jax.tree.map(lambda a: a[:-1], records)  # the spare slot
    k = jnp.minimum(jnp.arange(records[0].size) * request.every, request.steps)
    # rows that were not reached hold zeros, but their own step numbers
    return carry, (k, *records[1:])


def in_chunks(
    job: RunJob,
    request: LongRun,
    load: Callable[[Any, Any], Kept | None],
    save: Callable[[Kept], None],
    show: Callable[[Kept], Any],
) -> Kept:
    """Run to the end, from the start or from what `load` finds.

    Args:
        load: (first carry, first record) to what a run file holds, or None.
        save: writes a run file.
        show: what was kept, as a trajectory.

    Raises:
        RunInterrupted: on Ctrl-C, with what there is by then; the run file, if any, is written first.
    """
    begin, _ = loops(job.made, request.statistics, 1)
    carry, first = jax.block_until_ready(begin(job.c, job.x0))  # type: ignore[no-untyped-call]
    _, advance = loops(job.made, request.statistics, capacity_for(first))
    space = (capacity_for(first) - 1) * request.every
    one = jax.tree.map(lambda a: np.asarray(a)[None], first)
    kept = load(carry, one) or Kept(carry, (one,))
    pace, saved = request.chunk or 1, time.monotonic()
    try:
        while kept.done < request.steps and kept.bad < 0:
            # up to a multiple of `every`, so that the records of a chunk fit into its buffer
            room = (kept.done // request.every) * request.every + space
            end = min(kept.done + pace, room, request.steps)
            began = time.monotonic()
            ahead = advance(job.c, job.key, kept.carry, request.every, end)
            carry, records, n = jax.block_until_ready(ahead)  # type: ignore[no-untyped-call]
            took = time.monotonic() - began
            new = jax.tree.map(lambda a: np.asarray(a[: int(n)]), records)  # noqa: B023
            kept = Kept(carry, (*kept.records, new) if int(n) else kept.records)
            if request.chunk is None:
                faster = np.clip(_CHUNK_SECONDS / max(took, 1e-9), 0.5, 10.0)
                pace = min(int(pace * faster) or 1, request.steps)  # a full buffer may end all
            if time.monotonic() - saved > _SAVE_SECONDS:
                save(kept)
                saved = time.monotonic()
            if request.progress is not None:
                request.progress(kept.done, request.steps)
    except KeyboardInterrupt:
        save(kept)
        how = (
            f"run again with the same arguments and resume={str(request.file)!r} to go on"
            if request.file
            else "to be able to go on, give the run a file, as in resume='run.npz'"
        )
        sentence = f"interrupted after step {kept.done} of {request.steps}; {how}."
        raise RunInterrupted(sentence, show(kept)) from None
    save(kept)
    return kept


def collect(job: RunJob, kept: Kept) -> Any:
    """The records as one (k, x, states, f), the last step's included."""
    records = list(kept.records)
    if kept.bad < 0 and int(records[-1][0][-1]) != kept.done:
        x, states, f, _ = jax.jit(job.made.record)(kept.carry["state"], job.c)
        last = jax.tree.map(lambda a: np.asarray(a)[None], (kept.carry["k"], x, states, f))
        records.append(last)
    return jax.tree.map(lambda *a: np.concatenate(a), *records)
