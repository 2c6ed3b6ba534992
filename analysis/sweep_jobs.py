"""Sweeps: one function over a grid of inputs, on any executor, resumable.

Jobs are idempotent and named by a hash of their inputs; each result is written as it comes, by the process that
called `sweep`, so workers need no common file system. A sweep that was killed goes on where it was.
"""

from __future__ import annotations

import itertools
import operator
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from odescent._errors import OdescentError
from odescent._processes import carry_out, processors
from odescent._progress import bar
from odescent._whole_numbers import check_whole

from .sweep_store import Store, encode, job_name, plain_inputs
from .sweep_table import columns_of, csv_text, text_table

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Job:
    """One row of a sweep.

    Attributes:
        name: SHA-256 of the function's name, the version and the inputs.
        inputs: the keyword arguments.
        result: what the function returned; None for a job that failed or was not done.
        error: the traceback as text, for one that failed.
        seconds: how long it took.
        done: whether there is a result.
    """

    name: str
    inputs: dict[str, Any]
    result: Any = None
    error: str | None = None
    seconds: float | None = None
    done: bool = False


@dataclass(frozen=True)
class Sweep:
    """The jobs of a sweep, in the order of the grid.

    Attributes:
        jobs: all of them.
        folder: where the results are.
    """

    jobs: tuple[Job, ...]
    folder: Path

    def __str__(self) -> str:
        return self.table()

    @property
    def results(self) -> list[Any]:
        """What the jobs returned, in the order of the grid; None where there is nothing."""
        return [j.result for j in self.jobs]

    @property
    def failures(self) -> tuple[Job, ...]:
        """The jobs that failed; ``sweep(..., retry=True)`` does them again."""
        return tuple(j for j in self.jobs if j.error is not None)

    @property
    def waiting(self) -> tuple[Job, ...]:
        """The jobs that were not done."""
        return tuple(j for j in self.jobs if not j.done and j.error is None)

    @property
    def seconds(self) -> float:
        """What all results cost, in seconds of one worker."""
        return sum(j.seconds or 0.0 for j in self.jobs)

    def rows(self) -> tuple[list[str], list[list[Any]]]:
        """Column names and rows: inputs, then results (the entries of dicts apart), then the last line of errors."""
        return columns_of([(j.inputs, j.result, j.error) for j in self.jobs])

    def table(self) -> str:
        """The rows as aligned text."""
        return text_table(*self.rows())

    def csv(self) -> str:
        """The rows as CSV (RFC 4180)."""
        return csv_text(*self.rows())


class SweepInterrupted(KeyboardInterrupt):
    """A sweep that was interrupted; ``sweep`` is what there is so far, and the same call goes on from it."""

    def __init__(self, sweep: Sweep) -> None:
        done = sum(j.done for j in sweep.jobs)
        super().__init__(
            f"interrupted after {done} of {len(sweep.jobs)} jobs; the same call resumes from {str(sweep.folder)!r}."
        )
        self.sweep = sweep


def sweep(
    function: Callable[..., Any],
    grid: Mapping[str, Any] | Iterable[Any],
    executor: Executor | None = None,
    *,
    folder: str | os.PathLike[str],
    version: str = "",
    retry: bool = False,
    workers: int | None = None,
    progress: bool | Progress = True,
) -> Sweep:
    """Call a function for every point of a grid, keep the results in a folder, and resume where a run was stopped.

    Args:
        function: an ordinary function of JSON-able keyword arguments, importable by its name; it returns numbers,
            text, lists, dicts and numeric arrays.
        grid: names to lists of values, for all combinations (the last name fastest); or dicts of inputs one by one.
        executor: any `concurrent.futures.Executor`: by default processes, started afresh ("spawn"; a fork of a
            process with JAX in it can hang); Dask's ``Client.get_executor()`` and its SLURM and Kubernetes clusters,
            or mpi4py's, work as they are. It is not shut down.
        folder: of the results: one file each, JSON, or npz where there are arrays; and a manifest.
        version: part of the jobs' names: change it when the function changes what it computes.
        retry: do again what failed before; otherwise it is listed only.
        workers: of the default executor.
        progress: a bar with the time to come on the standard error, or a function of (done, total).

    Returns:
        All jobs in the order of the grid; failures are listed with their tracebacks and stop nothing.

    Raises:
        SweepInterrupted: at Ctrl-C, with what there is; the same call goes on.
        OdescentError: a function without an importable name, inputs that are not JSON data, another sweep's folder,
            an executor that broke down.
    """
    who = _function_name(function)
    if workers is not None:
        check_whole("workers", workers, 1)
    inputs = _inputs(grid)
    names = [job_name(who, version, i) for i in inputs]
    store = Store(Path(folder), who)
    jobs: dict[str, Job] = {}
    for name, own in zip(names, inputs, strict=True):
        if name not in jobs:
            jobs[name] = _known(store, name, own)
    todo = [j for j in jobs.values() if not j.done and (retry or j.error is None)]
    show = progress if callable(progress) else bar("jobs") if progress else None
    run = _Run(who, version, store, jobs, show, len(jobs) - len(todo))
    tasks = {j.name: j.inputs for j in todo}
    try:
        if show is not None and todo:
            show(run.done, len(jobs))
        carry_out(
            partial(_call, function), tasks, run.keep, run.lose, executor=executor, workers=workers or processors()
        )  # fmt: skip
    except KeyboardInterrupt:
        raise SweepInterrupted(Sweep(tuple(jobs[n] for n in names), Path(folder))) from None
    return Sweep(tuple(jobs[n] for n in names), Path(folder))


def _function_name(function: Any) -> str:
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not callable(function) or not module or not name or "<" in name:
        raise OdescentError(
            f"a sweep needs a function with a name, defined at the top level of a module, not {function!r}."
        )
    try:
        found = operator.attrgetter(name)(sys.modules[module])
    except (KeyError, AttributeError):
        found = None
    if found is not function:
        raise OdescentError(
            f"a worker could not find the function {name} in the module {module}; define it at its top level."
        )
    return f"{module}:{name}"


def _inputs(grid: Any) -> list[dict[str, Any]]:
    if isinstance(grid, Mapping):
        lists = {}
        for name, values in grid.items():
            if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
                raise OdescentError(
                    f"the grid gives a list of values for {name!r}, not {values!r}."
                )
            lists[name] = list(values)
        points: Iterable[Any] = (
            dict(zip(lists, chosen, strict=True)) for chosen in itertools.product(*lists.values())
        )
    elif isinstance(grid, Iterable) and not isinstance(grid, (str, bytes)):
        points = grid
    else:
        raise OdescentError(
            f"a grid is a dict of lists, or dicts one by one, not {type(grid).__name__}."
        )
    made = []
    for point in points:
        own = plain_inputs(point)
        if not isinstance(own, dict) or not all(k.isidentifier() for k in own):
            raise OdescentError(f"the inputs of a job are a dict by argument name, not {point!r}.")
        made.append(own)
    return made


def _known(store: Store, name: str, inputs: dict[str, Any]) -> Job:
    """What the folder knows of a job."""
    found = store.load(name, inputs)
    if found is not None:
        return Job(name, inputs, found["result"], None, found.get("seconds"), True)
    failed = store.load_failure(name)
    if failed is not None:
        return Job(name, inputs, None, failed["traceback"], failed.get("seconds"))
    return Job(name, inputs)


def _call(function: Callable[..., Any], inputs: Mapping[str, Any]) -> tuple[bool, Any, float]:
    """In the worker: (True, the result, seconds) or (False, the traceback, seconds)."""
    began = time.perf_counter()
    try:
        result = function(**inputs)
        encode(result, {})  # refuses what cannot be kept, here, where the traceback is
        return True, _concrete(result), time.perf_counter() - began
    except Exception:
        return False, traceback.format_exc(), time.perf_counter() - began


def _concrete(value: Any) -> Any:
    """Arrays of any library as NumPy's, so that the caller needs none of them."""
    import numpy as np

    if isinstance(value, Mapping):
        return {k: _concrete(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_concrete(v) for v in value]
    return (
        np.asarray(value)
        if hasattr(value, "__array__") and not isinstance(value, np.generic)
        else value
    )


@dataclass
class _Run:
    """The jobs that are under way."""

    who: str
    version: str
    store: Store
    jobs: dict[str, Job]
    show: Progress | None
    done: int

    def keep(self, name: str, outcome: tuple[bool, Any, float | None]) -> None:
        """Write down what a worker found."""
        fine, value, seconds = outcome
        inputs = self.jobs[name].inputs
        record = {
            "function": self.who,
            "version": self.version,
            "inputs": inputs,
            "seconds": seconds,
        }
        if fine:
            self.store.save(name, record, value)
            self.jobs[name] = _known(self.store, name, inputs)
        else:
            self.store.note_failure(name, record, value)
            self.jobs[name] = Job(name, inputs, None, value, seconds)
        self.done += 1
        if self.show is not None:
            self.show(self.done, len(self.jobs))

    def lose(self, name: str, error: Exception) -> None:
        """Write down why a job has no result: what the executor itself says."""
        ours = isinstance(error, OdescentError)
        self.keep(name, (False, str(error) if ours else _text(error), None))


def _text(error: Exception) -> str:
    return "".join(traceback.format_exception(error))


__all__ = ["Job", "Sweep", "SweepInterrupted", "sweep"]
