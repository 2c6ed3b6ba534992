"""What is kept of a benchmark: its output beside the circumstances, whole or not at all, and nothing personal."""

import importlib.util
import os
import platform
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from odescent import OdescentError

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The module, on a folder with two benchmarks of its own: one that ends well and one that does not."""
    spec = importlib.util.spec_from_file_location("record", BENCHMARKS / "record.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "quick.py").write_text("print('ratio 1.25')\nprint()\n")
    (folder / "broken.py").write_text("print('half a table')\nraise SystemExit(3)\n")
    (folder / "record.py").write_text("")
    monkeypatch.setattr(module, "HERE", folder)
    for name in ("OMP_NUM_THREADS", "XLA_FLAGS"):
        monkeypatch.delenv(name, raising=False)
    return module


def test_every_benchmark_is_known_and_none_that_is_shared(record):
    assert record.names() == ["broken", "quick"]
    record.HERE = BENCHMARKS
    assert {"optax_step", "certificates", "particles"} <= set(record.names())
    assert not {"record", "alternating"} & set(record.names())


def test_the_output_is_kept_beside_its_circumstances(record, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    out = tmp_path / "new" / "results"
    assert record.record("quick", out)
    assert [f.name for f in out.iterdir()] == ["quick.txt"]
    command, date, machine, commit, versions, empty, *printed = (
        (out / "quick.txt").read_text(encoding="utf-8").splitlines()
    )
    assert command == "command   OMP_NUM_THREADS=1 python benchmarks/quick.py"
    assert re.fullmatch(r"date      20\d\d-\d\d-\d\d", date)
    assert re.fullmatch(rf"machine   .+, {os.cpu_count()} logical cores, \w+ \w+", machine)
    assert commit == "commit    unknown"  # the folder is in no repository
    assert f"Python {platform.python_version()}, jax " in versions
    assert (empty, printed) == ("", ["ratio 1.25"])


def test_the_commit_says_whether_there_are_changes(record, tmp_path: Path):
    def git(*words: str) -> str:
        own = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", *own, *words], cwd=record.HERE, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    head = git("rev-parse", "--short", "HEAD")
    assert f"commit    {head}" in record.circumstances()
    (record.HERE / "quick.py").write_text("print('ratio 2')\n")
    assert f"commit    {head} and changes" in record.circumstances()


def test_nothing_tells_whose_machine_it_is(record, tmp_path: Path):
    record.HERE = BENCHMARKS  # in a repository, with a path
    text = "\n".join(record.circumstances())
    words = set(re.findall(r"[\w.-]+", text))
    assert not words & {socket.gethostname(), platform.node()}
    for place in (Path.cwd(), Path.home(), BENCHMARKS, Path(sys.prefix), tmp_path):
        assert str(place) not in text
    assert re.search(r"/\w+/", text) is None


def test_a_benchmark_that_fails_leaves_what_there_was(record, tmp_path: Path):
    (tmp_path / "broken.txt").write_text("of last week")
    assert not record.record("broken", tmp_path)
    assert (tmp_path / "broken.txt").read_text() == "of last week"
    assert not list(tmp_path.glob(".*"))


def test_a_text_that_cannot_be_written_leaves_what_there_was(record, tmp_path: Path, monkeypatch):
    (tmp_path / "quick.txt").write_text("of last week")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OdescentError, match="No space left"):
        record.record("quick", tmp_path)
    assert (tmp_path / "quick.txt").read_text() == "of last week"
    assert not list(tmp_path.glob(".*"))


def test_all_of_them_run_and_the_failed_are_named(record, tmp_path: Path, capsys):
    assert record.main(["--out", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err == "failed: broken\n"
    assert record.main(["quick", "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "quick.txt").read_text().endswith("ratio 1.25\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["quik"], "there is no benchmark 'quik'"), (["--out", __file__], "--out takes a folder")],
)
def test_mistakes_are_said_before_anything_runs(record, arguments, said, capsys):
    with pytest.raises(SystemExit) as ended:
        record.main(arguments)
    printed = capsys.readouterr()
    assert ended.value.code == 2 and said in printed.err and printed.out == ""
