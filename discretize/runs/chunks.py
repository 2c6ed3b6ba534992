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
from .ending import Ends

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
        ends: conditions at which it ends; None for none.
    """

    steps: int
    every: int = 1
    statistics: tuple[str, ...] = ()
    chunk: int | None = None
    progress: Progress | None = None
    file: Path | None = None
    ends: Ends | None = None


@dataclass(frozen=True)
class Kept:
    """State between chunks: the loop's carry, the records at multiples of `every`, and the condition that holds."""

    carry: Any
    records: tuple[Any, ...]  # of (k, x, states, f), each with a leading axis
    hit: int = -1

    @property
    def done(self) -> int:
        return int(self.carry["k"])

    @property
    def bad(self) -> int:
        return int(self.carry["bad"])

    @property
    def ended(self) -> bool:
        """Whether it diverged or a condition holds."""
        return self.bad >= 0 or self.hit >= 0


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
        ``(c, x0) -> (carry, record)`` and ``(c, key, carry, every, end, ends) -> (carry, records, n, hit)``, where the
        first n of the ``capacity`` records are valid, and hit is the position of the condition that holds, or -1.
    """

    def recorded(carry: Any, c: Any) -> tuple[Any, ...]:
        x, states, f, _ = made.record(carry["state"], c)
        return carry["k"], x, states, f

    def begin(c: Any, x0: Any) -> tuple[Any, Any]:
        state = made.init(x0, c)
        x, _, f, bad = made.record(state, c)
        zero = jnp.zeros((), jnp.asarray(0).dtype)
        carry = {"state": state, "k": zero, "bad": jnp.where(bad, zero, zero - 1),
                 "statistics": _first((x, f), statistics)}  # fmt: skip
        return carry, recorded(carry, c)

    def taken(before: Any, carry: Any, c: Any, key: Any) -> tuple[Any, Any]:
        own = None if key is None else draws.at_step(key, before)
        state, k = made.step(carry["state"], c, own), before + 1
        x, _, f, bad = made.record(state, c)
        seen = _next(carry["statistics"], (x, f), k, bad)
        bad = jnp.where(bad, k, carry["bad"])
        return {"state": state, "k": k, "bad": bad, "statistics": seen}, f

    watched = made.taken is not None  # or where there are conditions

    # conditions are asked of the state before a step, in the loop's body together with the step: what both ask of the
    # objective is computed once, as a gradient of gradient descent is; where one holds, the step is not kept, and
    # neither is one whose size is no positive number
    def one(before: Any, now: _Now, c: Any, key: Any, ends: Ends | None) -> _Now:
        new, f = taken(before, now.carry, c, key)
        hit, met = now.hit, 0
        if ends is not None:
            x, states, _, _ = made.record(now.carry["state"], c)
            hit, met = ends.met(before, x, states, now.f).astype(hit.dtype), len(ends.names)
        elif not watched:
            return _Now(new, hit, None)
        if watched:
            hit = jnp.where((hit < 0) & made.refused(new["state"]), met, hit)
            met += 1
        if ends is not None and ends.budgets:
            over = ends.exceeded(new["k"], made.record(new["state"], c)[1]).astype(hit.dtype)
            hit = jnp.where((hit < 0) & (over >= 0), met + over, hit)
        kept = lambda old, new: jnp.where(hit < 0, new, old)
        after = None if ends is None else jax.tree.map(kept, now.f, f)
        return _Now(jax.tree.map(kept, now.carry, new), hit, after)

    # one compiled loop serves all chunks: lengths are arguments, buffers have a fixed capacity, and a state that
    # is not finite ends the loop at its step, without being recorded
    def advance(
        c: Any, key: Any, carry: Any, every: Any, end: Any, ends: Ends | None = None
    ) -> tuple[Any, ...]:
        shapes = jax.eval_shape(recorded, carry, c)
        buffers = jax.tree.map(lambda s: jnp.zeros((capacity, *s.shape), s.dtype), shapes)

        def body(loop: Any) -> Any:
            now, buffers, n = loop
            k = now.carry["k"]
            target = jnp.minimum((k // every + 1) * every, end)
            step = lambda k, now: one(k, now, c, key, ends)
            now = iterate(step, now, target - k, _going, k)
            buffers = jax.tree.map(lambda b, v: b.at[n].set(v), buffers, recorded(now.carry, c))
            whole = (now.carry["k"] % every == 0) & _going(now)
            return now, buffers, n + whole.astype(n.dtype)

        f = None if ends is None else made.record(carry["state"], c)[2]
        none = jnp.zeros((), jnp.int32)
        start = (_Now(carry, none - 1, f), buffers, none)
        going = lambda loop: (loop[0].carry["k"] < end) & _going(loop[0])
        now, buffers, n = jax.lax.while_loop(going, body, start)
        hit = now.hit
        if ends is not None:  # the last state has not been asked yet
            x, states, _, _ = made.record(now.carry["state"], c)
            last = ends.met(now.carry["k"], x, states, now.f).astype(hit.dtype)
            hit = jnp.where(_going(now), last, hit)
        return now.carry, buffers, n, hit

    return jax.jit(begin), jax.jit(advance)


class _Now(NamedTuple):
    """What the loop carries on: what is kept, the condition that holds or -1, and f where there are conditions."""

    carry: Any
    hit: Any
    f: Any


def _going(now: _Now) -> Any:
    return (now.carry["bad"] < 0) & (now.hit < 0)


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
    kept, found = carry["statistics"], {}
    for name in statistics:
        if name == "variance":
            count = carry["k"] + (carry["bad"] < 0).astype(carry["k"].dtype)
            divisor = jnp.maximum(count - 1, 1)
            x, f = jax.tree.map(lambda v: v / divisor.astype(v.dtype), kept["squares"])  # noqa: B023
        else:
            x, f = kept[name]
        found[name] = {"x": x} if f is None else {"x": x, "f": f}
    return found


def capacity_for(record: Any) -> int:
    """The number of records in a chunk's buffer; the last slot is for a step that is no multiple of `every`."""
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(record))
    return int(max(min(_RECORD_BYTES // max(size, 1), _MOST_RECORDS), 1)) + 1


def at_once(job: RunJob, request: LongRun) -> Any:
    """All steps in one call, for use under an outer transformation: (carry, records, hit).

    Where a condition holds, the records after it repeat the last one, so that each run of a batch ends for itself.
    """
    capacity = request.steps // request.every + 1
    begin, advance = loops(job.made, request.statistics, capacity)
    carry, first = begin(job.c, job.x0)
    carry, records, n, hit = advance(
        job.c, job.key, carry, request.every, request.steps, request.ends
    )
    if request.ends is not None or job.made.taken is not None:
        x, states, f, _ = job.made.record(carry["state"], job.c)
        over = (jnp.arange(capacity, dtype=n.dtype) >= n) & (hit >= 0)
        spread: Callable[[Any], Any] = lambda a: over.reshape(-1, *[1] * (a.ndim - 1))
        last = (carry["k"], x, states, f)
        records = jax.tree.map(lambda a, b: jnp.where(spread(a), b, a), records, last)
    records = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, records)
    if request.steps % request.every == 0:
        records = jax.tree.map(lambda a: a[:-1], records)  # the spare slot
    k = jnp.minimum(jnp.arange(records[0].size) * request.every, request.steps)
    # rows that were not reached hold zeros, but their own step numbers
    return carry, (jnp.where(hit >= 0, records[0], k), *records[1:]), hit


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
        asked = (
            request.ends is None
        )  # a run that is taken up where it ended asks its conditions anew
        while (kept.done < request.steps or not asked) and not kept.ended:
            # up to a multiple of `every`, so that the records of a chunk fit into its buffer
            room = (kept.done // request.every) * request.every + space
            end = min(kept.done + pace, room, request.steps)
            began = time.monotonic()
            ahead = advance(job.c, job.key, kept.carry, request.every, end, request.ends)
            carry, records, n, hit = jax.block_until_ready(ahead)  # type: ignore[no-untyped-call]
            asked, took = True, time.monotonic() - began
            # cut by NumPy: JAX would compile a cut of each length
            new = jax.tree.map(lambda a: np.asarray(a)[: int(n)].copy(), records)  # noqa: B023
            kept = Kept(carry, (*kept.records, new) if int(n) else kept.records, int(hit))
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
