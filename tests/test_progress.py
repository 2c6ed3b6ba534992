"""Progress: on a terminal's standard error after a second, and nowhere else."""

from __future__ import annotations

import io
import re
import sys
import time

import pytest
from typer.testing import CliRunner

from odescent._cli.base import console
from odescent._support import progress
from odescent.cli import app


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """The standard error as a terminal, from inside a test: pytest puts its own there before each."""
    made = Terminal()
    monkeypatch.setattr(sys, "stderr", made)
    monkeypatch.setattr(progress, "_PATIENCE", 0.02)
    return made


def test_what_takes_long_is_said_and_wiped_away(monkeypatch: pytest.MonkeyPatch):
    terminal = on_a_terminal(monkeypatch)
    with progress.waiting("proving a rate"):
        deadline = time.monotonic() + 10
        while "proving" not in terminal.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
    said = terminal.getvalue()
    assert re.match(r"\rproving a rate, 0 s", said)
    assert re.search(r"\r +\r\Z", said)  # nothing of it is left


def test_the_line_goes_when_it_fails(monkeypatch: pytest.MonkeyPatch):
    terminal = on_a_terminal(monkeypatch)
    with pytest.raises(KeyError), progress.waiting("proving a rate"):
        raise KeyError
    assert terminal.getvalue().endswith("\r")


def test_a_bar_counts_and_ends_its_line(monkeypatch: pytest.MonkeyPatch):
    terminal = on_a_terminal(monkeypatch)
    show = progress.bar("steps")
    time.sleep(0.03)
    show(500, 1000)
    show(1000, 1000)
    assert "500 of 1,000 steps" in terminal.getvalue()
    assert terminal.getvalue().endswith("\n")


def test_nothing_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch):
    plain = io.StringIO()
    monkeypatch.setattr(sys, "stderr", plain)
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    with progress.waiting("proving a rate"):
        time.sleep(0.02)
    progress.bar("steps")(1, 2)
    console.report("on the way")
    monkeypatch.setattr(sys, "stderr", None)
    with progress.waiting("proving a rate"):
        pass
    assert plain.getvalue() == ""
    done = CliRunner().invoke(app, ["certify", "gradient_descent", "--mu", "1", "--L", "10"])
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"NO_COLOR": ""}, True)],
)
def test_colour_is_for_terminals_that_want_it(
    variables: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    console.say("needed\n  works", [(r"^needed$", "bold")])
    assert ("\x1b[" in terminal.getvalue()) is coloured
    assert "works" in terminal.getvalue()
