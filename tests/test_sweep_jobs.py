"""Sweeps: the same table however often it was killed, on threads, processes and a Dask cluster."""

from __future__ import annotations

import csv
import io
import math
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import sweep_functions as functions
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent._support.errors import OdescentWarning
from odescent.analysis import SweepInterrupted, sweep

GRID = {"a": [1, 2, 3], "b": [1, 2, 3, 4]}
TABLE = [a**b for a in GRID["a"] for b in GRID["b"]]


@given(st.lists(st.integers(1, 12), max_size=3), st.integers(1, 3))
@settings(max_examples=12)
def test_killed_and_resumed_sweeps_give_the_same_table(kills: list[int], workers: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "results"
        for kill in kills:

            def stop(done: int, total: int, kill: int = kill) -> None:
                if done >= kill:
                    raise KeyboardInterrupt

            with ThreadPoolExecutor(workers) as pool:
                try:
                    sweep(functions.power, GRID, pool, folder=folder, progress=stop)
                except SweepInterrupted as left:
                    assert sum(j.done for j in left.sweep.jobs) + len(left.sweep.waiting) == 12
                    for job in left.sweep.jobs:
                        assert (
                            not job.done
                            or job.result["value"] == job.inputs["a"] ** job.inputs["b"]
                        )
        with ThreadPoolExecutor(workers) as pool:
            done = sweep(functions.power, GRID, pool, folder=folder, progress=False)
        assert [r["value"] for r in done.results] == TABLE
        assert not list(folder.glob("*.tmp")) and len(list(folder.glob("*.json"))) == 13


def test_columns_stand_in_the_order_of_the_grid(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        for _ in range(2):  # computed, and read back
            done = sweep(
                functions.power, {"b": [2], "a": [3]}, pool, folder=tmp_path, progress=False
            )
            assert done.rows()[0] == ["b", "a", "value", "root"]


def test_nothing_is_computed_twice(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        sweep(functions.power, GRID, pool, folder=tmp_path, progress=False)
        functions.CALLS.clear()
        more = {"a": [1, 2, 3], "b": [1, 2, 3, 4, 5]}
        again = sweep(functions.power, more, pool, folder=tmp_path, progress=False)
        assert sorted(c["a"] for c in functions.CALLS) == [1, 2, 3]
        assert {c["b"] for c in functions.CALLS} == {5}
        functions.CALLS.clear()
        sweep(functions.power, GRID, pool, folder=tmp_path, version="2", progress=False)
    assert len(functions.CALLS) == 12 and len(again.jobs) == 15


def test_failures_are_listed_and_retried_on_request(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with ThreadPoolExecutor(1) as pool:
        run = lambda **more: sweep(
            functions.picky, [{"a": 4.0}, {"a": -1.0}, {"a": 9.0}], pool, folder=tmp_path, **more
        )
        first = run(progress=lambda done, total: seen.append((done, total)))
        assert first.results == [2.0, None, 3.0]
        assert [f.inputs["a"] for f in first.failures] == [-1.0]
        assert "ValueError: a is negative, which hurts" in (first.failures[0].error or "")
        assert "Traceback" in (first.failures[0].error or "")
        assert seen[-1] == (3, 3)
        second = run(progress=lambda done, total: seen.append((done, total)))
        assert seen[-1] == (3, 3) and len(second.failures) == 1 and len(seen) == 4
        run(progress=lambda done, total: seen.append((done, total)), retry=True)
        assert len(seen) == 6
    lines = first.table().splitlines()
    assert str(first).splitlines() == lines
    assert lines[0].split() == ["a", "result", "error"]
    assert "which hurts" in lines[2]
    rows = list(csv.reader(io.StringIO(first.csv())))
    assert rows[1][:2] == ["4.0", "2.0"]


def test_processes_by_default_and_a_worker_that_dies(tmp_path: Path) -> None:
    done = sweep(functions.deadly, {"a": [0, 1, 2, 3]}, folder=tmp_path, workers=2, progress=False)
    assert done.results == [0, 1, None, 9]
    assert "abruptly" in (done.failures[0].error or "")


def test_dask_cluster_of_two_workers(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        grid = {"n": [2, 3, 5, 8]}
        done = sweep(
            functions.spectrum_of, grid, client.get_executor(), folder=tmp_path, progress=False
        )
    for n, result in zip(grid["n"], done.results, strict=True):
        k = np.arange(1, n + 1)
        np.testing.assert_allclose(
            result["values"], 2 - 2 * np.cos(k * np.pi / (n + 1)), atol=1e-13
        )
        assert result["where"] == math.inf
    assert len({r["pid"] for r in done.results}) == 2
    with ThreadPoolExecutor(1) as pool:  # the same folder serves another executor
        again = sweep(functions.spectrum_of, grid, pool, folder=tmp_path, progress=False)
    assert [r["pid"] for r in again.results] == [r["pid"] for r in done.results]


def test_damaged_results_are_made_again(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        run = lambda: sweep(
            functions.spectrum_of, {"n": [2, 3]}, pool, folder=tmp_path, progress=False
        )
        first = run()
        for form in ("json", "npz"):
            (job, *_) = sorted(tmp_path.glob(f"[0-9a-f]*.{form}"))
            job.write_bytes(job.read_bytes()[:40])
        second = run()
    np.testing.assert_array_equal(first.results[1]["values"], second.results[1]["values"])


def test_results_without_a_plain_form_are_failures(tmp_path: Path) -> None:
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.warns(OdescentWarning, match="all 1 jobs") as said,
    ):
        done = sweep(functions.unfit, {"a": [1]}, pool, folder=tmp_path, progress=False)
    assert "a record holds a object" in (done.failures[0].error or "")
    assert "a record holds a object" in str(said[0].message) and "1 failed" in repr(done)


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("function", "grid", "said"),
    [
        (lambda a: a, {"a": [1]}, "with a name"),
        (functions.picky, {"a": 3}, "list of values"),
        (functions.picky, {"a": "text"}, "list of values"),
        (functions.picky, 7, "grid of sweep must be a mapping"),
        (functions.picky, {"a": [float("nan")]}, "finite"),
        (functions.picky, {"a": [object()]}, "JSON data"),
        (functions.picky, [[1]], "dict by argument name"),
        (functions.picky, {"a": []}, "the grid has no point"),
        (functions.picky, [], "the grid has no point"),
    ],
)
def test_bad_input(tmp_path: Path, function: object, grid: object, said: str) -> None:
    with pytest.raises(od.OdescentError, match=said):
        sweep(function, grid, folder=tmp_path, progress=False)  # type: ignore[arg-type]


def test_local_functions_and_foreign_folders_are_refused(tmp_path: Path) -> None:
    def local(a: int) -> int:
        return a

    with pytest.raises(od.OdescentError, match="top level"):
        sweep(local, {"a": [1]}, folder=tmp_path, progress=False)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(od.OdescentError, match="not empty"):
        sweep(functions.picky, {"a": [1]}, folder=tmp_path, progress=False)
    with ThreadPoolExecutor(1) as pool:
        sweep(functions.picky, {"a": [1.0]}, pool, folder=tmp_path / "own", progress=False)
        with pytest.raises(od.OdescentError, match="holds results of"):
            sweep(functions.power, GRID, pool, folder=tmp_path / "own", progress=False)
