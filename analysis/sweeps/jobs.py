"""Sweeps: one function over a grid of inputs, on any executor, resumable.

Jobs are idempotent and named by a hash of their inputs; each result is written as it comes, by the process that
called `sweep`, so workers need no common file system. A sweep that was killed resumes where it stopped.
"""

from __future__ import annotations

import csv
import io
import itertools
import operator
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..._support import store
from ..._support.arguments import checked
from ..._support.errors import OdescentError, OdescentWarning
from ..._support.files import make_folder
from ..._support.numbers import check_whole
from ..._support.processes import carry_out, processors
from ..._support.progress import bar
from ..._support.rendering.brief import short
from ..._support.rendering.rendered import Rendered

Progress = Callable[[int, int], None]
_RESULT = store.Format("odescent.job/1", "result", of="job")
_MANIFEST = store.Format("odescent.sweep/1", "manifest of a sweep")


@dataclass(frozen=True)
class SweepRow(Rendered):
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
class ParameterSweep(Rendered):
    """The jobs of a sweep, in the order of the grid.

    Attributes:
        jobs: all of them.
        folder: where the results are.
    """

    jobs: tuple[SweepRow, ...]
    folder: Path

    def _headline(self) -> str:
        failed = f", {len(self.failures)} failed" if self.failures else ""
        done = sum(job.done for job in self.jobs)
        return f"{done} of {len(self.jobs)} runs done{failed}, in {self.folder}"

    def __str__(self) -> str:
        return self.table()

    @property
    def results(self) -> list[Any]:
        """What the jobs returned, in the order of the grid; None where there is nothing."""
        return [j.result for j in self.jobs]

    @property
    def failures(self) -> tuple[SweepRow, ...]:
        """The jobs that failed; ``sweep(..., retry=True)`` does them again."""
        return tuple(j for j in self.jobs if j.error is not None)

    @property
    def waiting(self) -> tuple[SweepRow, ...]:
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


@checked
class SweepInterrupted(KeyboardInterrupt):
    """A sweep that was interrupted; ``sweep`` holds the results so far, and the same call resumes it."""

    def __init__(self, sweep: ParameterSweep) -> None:
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
) -> ParameterSweep:
    """Evaluate a function on a grid, store the results in a folder, and resume interrupted sweeps.

    Args:
        function: an ordinary function of JSON-able keyword arguments, importable by its name; it returns numbers,
            text, lists, dicts and numeric arrays.
        grid: names to lists of values, for all combinations (the last name fastest); or dicts of inputs one by one.
        executor: any `concurrent.futures.Executor`: by default processes, started afresh ("spawn"; a fork of a
            process with JAX in it can hang); Dask's ``Client.get_executor()`` and its SLURM and Kubernetes clusters,
            or mpi4py's, work as they are. It is not shut down.
        folder: folder of the results: a JSON file for each job, with an npz file for arrays, and a manifest.
        version: part of the jobs' names; change it if the function computes something else.
        retry: repeat jobs that failed before; otherwise they are only listed.
        workers: number of processes of the default executor.
        progress: a progress bar with the remaining time on standard error, or a function of (done, total).

    Returns:
        All jobs in the order of the grid; failed jobs are listed with their tracebacks and do not stop the others. If
        all of them failed there is a warning.

    Raises:
        SweepInterrupted: at Ctrl-C, with the results so far; the same call resumes.
        OdescentError: a function without an importable name, inputs that are not JSON data, another sweep's folder,
            an executor that broke down.
    """
    who = _function_name(function)
    if workers is not None:
        check_whole("workers", workers, 1)
    asked = [{"function": who, "version": version, "inputs": inputs} for inputs in _inputs(grid)]
    names = [store.identity(identity) for identity in asked]
    _begin(Path(folder), who)
    show = progress if callable(progress) else bar("jobs") if progress else None
    run = _Run(Path(folder), dict(zip(names, asked, strict=True)), show)
    jobs = run.jobs
    todo = [j for j in jobs.values() if not j.done and (retry or j.error is None)]
    run.done = len(jobs) - len(todo)

    def found() -> ParameterSweep:
        return ParameterSweep(tuple(jobs[n] for n in names), Path(folder))

    tasks = {j.name: j.inputs for j in todo}
    try:
        if show is not None and todo:
            show(run.done, len(jobs))
        carry_out(
            partial(_call, function), tasks, run.keep, run.lose, executor=executor, workers=workers or processors()
        )  # fmt: skip
    except KeyboardInterrupt:
        raise SweepInterrupted(found()) from None
    made = found()
    if len(made.failures) == len(made.jobs):
        warnings.warn(
            f"all {len(made.jobs)} jobs of the sweep failed, the first with {_last_line(made.jobs[0].error)}; "
            "see .failures, and sweep(..., retry=True) once it is mended.",
            OdescentWarning,
            stacklevel=2,
        )
    return made


def _function_name(function: Any) -> str:
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not callable(function) or not module or not name or "<" in name:
        raise OdescentError(
            f"a sweep needs a function with a name, defined at the top level of a module, not {short(function)}."
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
                    f"the grid must give a list of values for {name!r}, not {short(values)}."
                )
            lists[name] = list(values)
        points: Iterable[Any] = (
            dict(zip(lists, chosen, strict=True)) for chosen in itertools.product(*lists.values())
        )
    elif isinstance(grid, Iterable) and not isinstance(grid, (str, bytes)):
        points = grid
    else:
        raise OdescentError(
            f"a grid must be a dict of lists or an iterable of dicts, not {type(grid).__name__}."
        )
    made = []
    for point in points:
        own = store.plain_data(point, "the inputs of a job")
        if not isinstance(own, dict) or not all(k.isidentifier() for k in own):
            raise OdescentError(
                f"the inputs of a job must be a dict by argument name, not {short(point)}."
            )
        made.append(own)
    if not made:
        raise OdescentError("the grid has no point: give every argument at least one value.")
    return made


def _begin(folder: Path, who: str) -> None:
    """Make the folder of a function's results; OdescentError for one that holds other things."""
    make_folder(folder)
    manifest = folder / "manifest.json"
    if not any(folder.iterdir()):
        _MANIFEST.save(manifest, {"function": who})
    if not manifest.exists():
        raise OdescentError(
            f"the folder {str(folder)!r} is not empty and holds no sweep; give another folder."
        )
    whose = (_MANIFEST.find(manifest) or {"function": "something else"})["function"]
    if whose != who:
        raise OdescentError(
            f"the folder {str(folder)!r} holds results of {whose}, not of {who}; give another folder."
        )


def _call(function: Callable[..., Any], inputs: Mapping[str, Any]) -> tuple[bool, Any, float]:
    """In the worker: (True, the result, seconds) or (False, the traceback, seconds)."""
    began = time.perf_counter()
    try:
        result, arrays = function(**inputs), dict[str, Any]()
        plain = store.encode(
            result, arrays
        )  # refuses what cannot be kept, here, where the traceback is
        return True, store.decode(plain, arrays), time.perf_counter() - began
    except Exception:
        return False, traceback.format_exc(), time.perf_counter() - began


class _Run:
    """The requested jobs, each with its result in the folder if there is one."""

    def __init__(
        self, folder: Path, asked: Mapping[str, Mapping[str, Any]], show: Progress | None
    ) -> None:
        self.folder, self.asked, self.show, self.done = folder, asked, show, 0
        self.jobs = {name: self._known(name) for name in asked}

    def keep(self, name: str, outcome: tuple[bool, Any, float | None]) -> None:
        """Write down what a worker found."""
        fine, value, seconds = outcome
        found = {"result": value if fine else None, "error": None if fine else value}
        record = {"identity": self.asked[name], "seconds": seconds, **found}
        _RESULT.save(self.folder / f"{name}.json", record)
        self.jobs[name] = self._known(name)
        self.done += 1
        if self.show is not None:
            self.show(self.done, len(self.jobs))

    def _known(self, name: str) -> SweepRow:
        inputs = self.asked[name]["inputs"]
        found = _RESULT.find(self.folder / f"{name}.json", self.asked[name])
        if found is None:
            return SweepRow(name, inputs)
        error = found["error"]
        return SweepRow(name, inputs, found["result"], error, found["seconds"], error is None)

    def lose(self, name: str, error: Exception) -> None:
        """Record why a job has no result: the executor's error."""
        ours = isinstance(error, OdescentError)
        self.keep(name, (False, str(error) if ours else _text(error), None))


def _text(error: Exception) -> str:
    return "".join(traceback.format_exception(error))


def columns_of(
    jobs: Sequence[tuple[Mapping[str, Any], Any, str | None]],
) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows of (inputs, result, error); the entries of a result that is a dict are columns."""
    entries: list[Mapping[str, Any]] = [
        r if isinstance(r, Mapping) else {} if r is None else {"result": r} for _, r, _ in jobs
    ]
    inputs = list(dict.fromkeys(n for own, _, _ in jobs for n in own))
    results = list(dict.fromkeys(n for found in entries for n in found))
    failed = any(error is not None for _, _, error in jobs)
    names = [*inputs, *(f"result.{n}" if n in inputs else n for n in results)]
    rows = [
        [*map(own.get, inputs), *map(found.get, results), *[_last_line(error)] * failed]
        for (own, _, error), found in zip(jobs, entries, strict=True)
    ]
    return names + ["error"] * failed, rows


def _last_line(error: str | None) -> str | None:
    lines = (error or "").strip().splitlines()
    return lines[-1] if lines else None


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, np.ndarray):
        return f"array{value.shape}" if value.ndim else f"{value.item():.6g}"
    return " ".join(str(value).split())


def text_table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns under their names, numbers to the right; no trailing spaces."""
    cells = [[_shown(v) for v in row] for row in rows]
    numeric = [
        all(v is None or isinstance(v, (int, float)) for v in (row[i] for row in rows))
        for i in range(len(names))
    ]
    widths = [max(len(n), *(len(row[i]) for row in cells), 0) for i, n in enumerate(names)]

    def line(row: Sequence[str]) -> str:
        parts = [
            c.rjust(w) if right else c.ljust(w)
            for c, w, right in zip(row, widths, numeric, strict=True)
        ]
        return "  ".join(parts).rstrip()

    return "\n".join([line(list(names)), *(line(row) for row in cells)])


def csv_text(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """CSV with all digits; arrays as nested lists."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(names)
    for row in rows:
        writer.writerow([_whole(v) for v in row])
    return buffer.getvalue()


def _whole(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return "" if value is None else repr(value) if isinstance(value, float) else value
