"""Every command's JSON document has the keys and types that docs/json.md gives, and every schema is on that page.

Documents that take long to make are checked where other tests make them, by `schemas.check` too.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from schemas import PAGE, check, fits, schemas
from typer.testing import CliRunner

from odescent._cli.commands import COMMANDS
from odescent.cli import app

ROOT = Path(__file__).parent.parent
QUICK = {
    "list": 0,
    "list schemes": 0,
    "derive heavy_ball": 0,
    "emit nesterov --mu 1/3": 0,
    "emit proximal_point --set h=0.1 --out p.py": 0,
    "certify triple_momentum --mu 1 --L 10": 0,
    "certify heavy_ball --mu 1 --L 100": 1,
    "certify nesterov_c --mu 0 --L 1 --horizon 3": 0,
    "certify gradient_descent --mu 0 --L 1 --horizon all": 0,
    "certify gradient_flow --mu 1": 0,
    "certify proximal_point --set h=1/3 --mu 1 --L 10 --over quadratics": 0,
    "certify nesterov_sc --mu 1 --L 10 --multipliers sector": 0,
    "certify --checker check.py": 0,
    "simulate gradient_descent --steps 3 --statistics mean": 0,
    "simulate gradient_flow --time 1 --out flow.csv": 0,
    "portrait gradient_flow --objective quadratic": 0,
    "portrait heavy_ball --objective quadratic --steps 3": 0,
    "explore gradient_descent --out flow.svg": 0,
    "doctor": 0,
}
ELSEWHERE = {
    "synthesize": "test_cli_synthesize.py",
    "story": "test_cycles_story.py",
    "train": "test_cli_train.py",
    "inspect": "test_neural_after.py",
    "demo": "test_demo.py",
    "figures": "test_paper_figs.py",
}


@pytest.mark.parametrize("line", QUICK)
def test_the_document_is_as_the_page_says(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [*line.split(), "--json"])
    assert done.exit_code == QUICK[line], done.stderr
    check(json.loads(done.stdout))


def test_every_command_and_every_schema_is_covered() -> None:
    commands = set(COMMANDS)
    assert {line.split()[0] for line in QUICK} | ELSEWHERE.keys() - {"story"} == commands
    for test in ELSEWHERE.values():
        assert "schemas.check(" in (ROOT / "tests" / test).read_text(encoding="utf-8")
    folders = ("odescent", "analysis", "discretize", "dynamics", "neural_de", "paper_figs")
    sources = [f for d in folders for f in (ROOT / d).rglob("*.py")]
    written = {
        name
        for file in sources
        for name in re.findall(r'"(odescent\.\w+/\d+)"', file.read_text(encoding="utf-8"))
    }
    page = PAGE.read_text(encoding="utf-8")
    assert {"odescent.emit/1", "odescent.certificate/3", "odescent.figure/2"} <= written
    assert {name for name in written if name not in page} == set()
    assert schemas().keys() <= written


@pytest.mark.parametrize(
    ("kind", "value", "holds"),
    [
        ("text", "a", True), ("text", 1, False), ("whole", 2, True), ("whole", 2.5, False), ("whole", True, False),
        ("number", 2, True), ("number or null", None, True), ("number", None, False), ("list of text", ["a"], True),
        ("list of text", ["a", 1], False), ("text or list", [1], True), ("object", [], False), ("any", None, True),
        ("boolean", False, True), ("boolean", 0, False),
    ],
)  # fmt: skip
def test_a_wrong_type_would_be_seen(kind: str, value: object, holds: bool) -> None:
    assert fits(kind, value) is holds


def test_a_wrong_document_would_be_seen() -> None:
    right = {"schema": "odescent.story/1", "name": "heavy_ball", "story": True, "out": []}
    assert check(dict(right)) == right
    for wrong in (
        {**right, "more": 1},
        {**right, "out": [1]},
        {"schema": right["schema"]},
        {"schema": "odescent.x/1"},
    ):
        with pytest.raises(AssertionError):
            check(wrong)
