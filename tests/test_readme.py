"""The README: its Python shows what it says, its commands run, its picture and table are made elsewhere."""

from __future__ import annotations

import ast
import io
import re
import shlex
import shutil
import sys
import tokenize
import types
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from odescent._cli.group import made
from odescent.cli import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line.partition("#")[0].removeprefix("odescent").strip()
    for line in re.findall(r"^odescent\b.*$", README, re.MULTILINE)
]
# What takes long and has tests of its own is parsed here, options and all, and not run again.
ELSEWHERE = {
    "demo": "test_demo.py",
    "explore": "test_explorer_page.py",
    "figures": "test_paper_figs.py",
    "portrait": "test_cycles_story.py",
    "synthesize": "test_cli_synthesize.py",
    "train": "test_cli_train.py",
}


def said(block: str) -> dict[int, str]:
    """By the line that an expression ends on: the comment on it, or alone on the line after it."""
    found = {}
    for token in tokenize.generate_tokens(io.StringIO(block).readline):
        if token.type == tokenize.COMMENT:
            alone = not token.line[: token.start[1]].strip()
            found[token.start[0] - alone] = token.string.lstrip("# ")
    return found


def agrees(value: object, text: str) -> bool:
    """Whether a value prints as the text, or is the number in it to the digits that it has."""
    if text in (str(value), repr(value)):
        return True
    digits = len(text.partition(".")[2])
    return re.fullmatch(r"-?\d+\.\d+", text) is not None and f"{float(value):.{digits}f}" == text  # type: ignore[arg-type]


@pytest.mark.promotion
def test_the_python_runs_and_every_value_is_what_it_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    pasted = types.ModuleType("pasted")
    monkeypatch.setitem(sys.modules, "pasted", pasted)
    seen = 0
    for block in PYTHON:
        comments = said(block)
        for node in ast.parse(block).body:
            text = ast.unparse(node)
            if not isinstance(node, ast.Expr):
                exec(text, pasted.__dict__)  # noqa: S102  our own README
                continue
            value = eval(text, pasted.__dict__)  # noqa: S307
            if value is not None:  # a bare expression says its value
                assert agrees(value, comments[node.end_lineno or 0]), (text, value, comments)
                seen += 1
    assert seen >= 12


@pytest.mark.parametrize(("value", "text", "holds"), [
    (0.0426607, "0.042661", True), (0.0426617, "0.042661", False), (True, "True", True), (21.0, "22.0", False),
])  # fmt: skip
def test_a_wrong_number_would_be_seen(value: object, text: str, holds: bool) -> None:
    assert agrees(value, text) is holds


@pytest.mark.parametrize("line", COMMANDS)
def test_the_commands_run(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    words = shlex.split(line)
    if words and words[0] in ELSEWHERE:
        assert f'"{words[0]}"' in (ROOT / "tests" / ELSEWHERE[words[0]]).read_text(encoding="utf-8")
        made(words[0]).make_context(words[0], words[1:])  # refuses what it does not take
        return
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, (done.stderr, done.exception)
    if "--out" in words:
        assert Path(words[words.index("--out") + 1]).exists()


def test_the_picture_is_what_the_command_under_it_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [command] = re.findall(r"^`odescent (explore .*)`$", README, re.MULTILINE)
    words = shlex.split(command)
    kept = (ROOT / words[-1]).read_text(encoding="utf-8")
    assert f"]({words[-1]})" in README
    assert len(kept) < 200_000
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, words).exit_code == 0
    made = Path(words[-1]).read_text(encoding="utf-8")
    number = r"-?\d+(?:\.\d+)?"
    assert re.sub(number, "0", made) == re.sub(number, "0", kept)
    both = [np.array(re.findall(number, text), float) for text in (made, kept)]
    np.testing.assert_allclose(*both, atol=0.25)  # a quarter of a pixel, on any machine


def test_the_table_is_the_comparisons() -> None:
    rows = [line for line in README.splitlines() if line.startswith("|")]
    whole = (ROOT / "docs/comparison.md").read_text(encoding="utf-8").splitlines()
    assert len(rows) >= 6
    assert set(rows) <= set(whole)


def test_its_links_lead_somewhere() -> None:
    inside = [t for t in re.findall(r"\]\(([^)]+)\)", README) if "//" not in t]
    assert len(inside) >= 4
    assert all((ROOT / t).is_file() for t in inside)
    assert all((ROOT / t).exists() for t in re.findall(r"`((?:docs|examples)/[\w./]*)`", README))
