"""Calls in other processes: shares of the processors, failures, deaths, interruptions."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sweep_functions as functions

from odescent._support.errors import OdescentError
from odescent._support.processes import carry_out, processors


def carried(tasks: dict[str, Any], **options: Any) -> tuple[dict[str, Any], dict[str, Exception]]:
    kept: dict[str, Any] = {}
    lost: dict[str, Exception] = {}
    carry_out(functions.where, tasks, kept.__setitem__, lost.__setitem__, **options)
    return kept, lost


@pytest.mark.skipif(processors() < 2, reason="one processor")
def test_each_worker_has_its_share_of_the_processors() -> None:
    kept, lost = carried({str(i): {"sleeps": 0.3} for i in range(6)}, workers=2)
    shares = {pid: tuple(share) for pid, share in kept.values()}
    assert not lost and len(kept) == 6 and len(shares) == 2 and os.getpid() not in shares
    first, second = map(set, shares.values())
    assert not first & second and first | second == os.sched_getaffinity(0)


def test_one_that_raises_and_one_that_dies_take_no_other_along() -> None:
    tasks = {"fine": {}, "raises": {"raises": True}, "dies": {"dies": True}, "later": {}}
    kept, lost = carried(tasks, workers=2)
    assert kept.keys() == {"fine", "later"} and lost.keys() == {"raises", "dies"}
    assert isinstance(lost["raises"], ValueError) and "as planned" in str(lost["raises"])
    assert "abruptly" in str(lost["dies"])


def test_what_a_worker_cannot_be_sent_or_import_takes_no_other_along(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    here = types.ModuleType("nowhere_else")
    here.task = type("task", (dict,), {"__module__": "nowhere_else"})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "nowhere_else", here)
    tasks = {"strange": here.task(), "open": {"lock": threading.Lock()}, "fine": {}}
    kept, lost = carried(tasks, workers=2)
    assert kept.keys() == {"fine"} and lost.keys() == {"strange", "open"}
    assert "No module named 'nowhere_else'" in str(lost["strange"])
    assert isinstance(lost["strange"], OdescentError) and "lock" in str(lost["open"])
    assert capfd.readouterr().err == ""


def test_an_executor_of_ones_own_is_used_and_left_open() -> None:
    with ThreadPoolExecutor(1) as pool:
        kept, _ = carried({"a": {}}, workers=1, executor=pool)
        assert kept["a"][0] == os.getpid() and pool.submit(int).result() == 0
    with pytest.raises(OdescentError, match="failed with 1 jobs left"):
        carried({"a": {}}, workers=1, executor=pool)


def test_an_interruption_ends_the_workers_when_they_have_put_away_their_work(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    began: list[float] = []

    def interrupt(name: str, value: Any) -> None:
        began.append(time.monotonic())
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()

    # The pool ends the slower one a second time, when it sees that the quicker one has ended.
    tasks = {"short": {"sleeps": 0.5}} | {
        name: {"sleeps": 60.0, "leaves": str(tmp_path / name), "takes": takes}
        for name, takes in (("slower", 0.8), ("quicker", 0.1))
    }
    # A job that a shell starts in the background ignores it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            carry_out(functions.where, tasks, interrupt, lambda *_: None, workers=2)
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - began[0] < 9
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        "slower": "put away",
        "quicker": "put away",
    }
    assert capfd.readouterr().err == ""
