"""The commands as processes: what loads, exit codes, pipes, terminals, interruption."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

import odescent as od
from odescent._cli.base.registries import KINDS
from odescent.cli import app

ROOT = Path(__file__).resolve().parent.parent
COMMAND = (sys.executable, "-m", "odescent.cli")
CLEAN = {
    k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "PYTHONIOENCODING")
}
ENVIRONMENT = {**CLEAN, "PYTHONPATH": str(ROOT), "TERM": "xterm", "JAX_PLATFORMS": "cpu"}


def process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *arguments],
        check=False,
        capture_output=True,
        env={**ENVIRONMENT, **environment},
        timeout=120,
    )


FORKS = """
import atexit, json, os, sys
from odescent.cli import main
for arguments in json.loads(sys.argv[1]):
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == 0, arguments
    else:
        atexit.register(lambda: print(*sys.modules, file=sys.stderr))
        sys.argv[1:] = arguments
        sys.exit(main())
"""


def loaded(commands: Sequence[Sequence[str]]) -> list[set[str]]:
    """The modules that each command has loaded when it ends; all start as copies of one process."""
    done = subprocess.run(
        [sys.executable, "-c", FORKS, json.dumps(commands)],
        check=True,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    lines = done.stderr.splitlines()
    assert len(lines) == len(commands)
    return [{name.split(".")[0] for name in line.split()} for line in lines]


HEAVY = {"jax", "lark", "matplotlib", "numpy", "optax", "rich", "scipy", "sklearn", "sympy"}


def test_a_command_loads_only_what_it_needs():
    absent = {
        (): HEAVY,
        ("--help",): HEAVY,
        ("--version",): HEAVY,
        **{(name, "--help"): HEAVY for name in ("derive", "train", "figures", "explore")},
        ("list",): HEAVY - {"numpy"},  # the modules of the figures stand on it
        **{("list", kind): HEAVY for kind in KINDS if kind != "figures"},
    }
    found = dict(zip(absent, loaded(list(absent)), strict=True))
    assert {c: found[c] & absent[c] for c in absent if found[c] & absent[c]} == {}


@pytest.mark.parametrize(
    "arguments", [("emit", "nesterov", "--target", "numpy"), ("derive", "heavy_ball")]
)
def test_a_derivation_is_made_without_arrays_and_pictures(arguments: tuple[str, ...]):
    (found,) = loaded([arguments])
    assert not found & {"jax", "matplotlib", "rich"}


@pytest.mark.parametrize(
    "arguments", [["list"], ["--help"], ["emit", "nesterov"], ["list", "--json"]]
)
def test_a_closed_pipe_is_quiet(arguments: list[str]):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*COMMAND, *arguments],
        check=False,
        stdout=writing,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        timeout=60,
    )
    os.close(writing)
    assert done.stderr == b""
    assert done.returncode in (1, 141)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_device_gets_a_sentence():
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*COMMAND, "list"],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            timeout=60,
        )
    assert done.returncode == 2
    assert done.stderr.startswith(b"odescent: standard output cannot be written: No space")
    assert done.stderr.count(b"\n") == 1


def test_json_is_utf8_whatever_the_terminal(tmp_path: Path):
    done = process("derive", "heavy_ball", "--json", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert json.loads(done.stdout.decode("utf-8"))["schema"] == "odescent.derivation/3"
    done = process("derive", "heavy_ball", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "∇" not in done.stdout.decode("ascii")
    assert b"grad f(" in done.stdout


def test_errors_are_one_line_and_leave_nothing(tmp_path: Path):
    done = process("emit", "nesterov", "--out", str(tmp_path / "none" / "x.py"))
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.count(b"\n") == 1
    assert not list(tmp_path.iterdir())


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """What a command prints on a terminal."""
    leader, follower = pty.openpty()
    running = subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=follower,
        stderr=follower,
        env={**ENVIRONMENT, "PYTHONIOENCODING": "utf-8", **environment},
    )
    os.close(follower)
    text = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # Linux says so when the other end is closed
            break
        if not part:
            break
        text += part
    os.close(leader)
    assert running.wait(60) == 0
    return text.decode("utf-8").replace("\r\n", "\n")


def test_colour_only_on_terminals_that_want_it():
    piped = process("list", "targets", PYTHONIOENCODING="utf-8").stdout.decode("utf-8")
    coloured = on_a_terminal("list", "targets")
    assert "\x1b[1mtargets\x1b[0m" in coloured
    assert "\x1b" not in piped
    for quiet in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in on_a_terminal("list", "targets", **quiet)


HEEDING = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
"""


def test_interruption_is_quiet():
    code = (
        HEEDING
        + """
import sys, time
from odescent._cli.commands import demo
def demonstrate(out, quick, report):
    report("ready")
    time.sleep(60)
demo.demonstrate = demonstrate
sys.argv[1:] = ["demo"]
from odescent.cli import main
main()
"""
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
    assert (running.returncode, out, err) == (130, b"", b"")


def test_completion_offers_names():
    done = process(
        _ODESCENT_COMPLETE="complete_bash", COMP_WORDS="odescent emit nesterov_", COMP_CWORD="2"
    )
    known = [name for name in od.algorithms() if name.startswith("nesterov_")]
    assert done.stdout.decode().split() == known and len(known) >= 2


def test_out_may_be_a_pipe(tmp_path: Path):
    """Also one without a name in a folder, as /dev/stdout is where the output is piped."""
    with (tmp_path / "seen").open("wb") as seen:
        command = '"$0" -m odescent emit nesterov --out /dev/stdout | cat'
        subprocess.run(["sh", "-c", command, sys.executable], stdout=seen, check=True)
    assert (tmp_path / "seen").read_text().startswith('"""Nesterov, strongly convex: one step')


def test_an_interruption_says_how_to_go_on(tmp_path: Path):
    """Ctrl-C in the middle of a training that keeps what is done, which then goes on."""
    code = (
        HEEDING + "import runpy; runpy.run_module('odescent', run_name='__main__', alter_sys=True)"
    )
    train = [
        "train",
        "digits-ode",
        "--batch",
        "32",
        "--tolerance",
        "1e-2",
        "--out",
        str(tmp_path / "r"),
    ]
    with subprocess.Popen(
        [sys.executable, "-c", code, *train, "--steps", "100000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as running:
        steps = tmp_path / "r" / "metrics.jsonl"
        while running.poll() is None and not (steps.exists() and '"seconds"' in steps.read_text()):
            time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (130, b"")
    said = err.decode()
    assert re.fullmatch(
        r"odescent: interrupted after step \d+ of 100000; run again with the same settings and --resume to go on\.\n",
        said,
    )


def test_an_interruption_that_a_library_turns_into_another_error_is_one(
    monkeypatch: pytest.MonkeyPatch,
):
    """NumPy and JAX raise ImportError where Ctrl-C comes while they load; any other ImportError stays."""

    def load(*_: object) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise ImportError("the extension cannot be initialized") from error

    monkeypatch.setattr("odescent._cli.commands.list.entries", load)
    assert CliRunner().invoke(app, ["list"]).exit_code == 130

    def lack(*_: object) -> None:
        raise ImportError("there is no such module")

    monkeypatch.setattr("odescent._cli.commands.list.entries", lack)
    assert isinstance(CliRunner().invoke(app, ["list"]).exception, ImportError)
