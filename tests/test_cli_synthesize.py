"""``odescent synthesize``: what it prints, writes and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import schemas
from typer.testing import CliRunner

from odescent.cli import app

RUNNER = CliRunner()


def run(*arguments: str, code: int = 0) -> Any:
    result = RUNNER.invoke(app, ["synthesize", *arguments])
    assert result.exit_code == code, (result.stdout[-500:], result.stderr, result.exception)
    return result


def test_gradient_descent_from_its_flow(tmp_path: Path) -> None:
    """Step 2 / (L + mu) and rate (L - mu) / (L + mu)."""
    arguments = ("gradient_flow", "--mu", "1", "--L", "10", "--rate", "spectral", "--scheme")
    file = tmp_path / "found.json"
    printed = json.loads(run(*arguments, "explicit_euler", "--json", "--out", str(file)).stdout)
    assert schemas.check(printed) == json.loads(file.read_text())
    assert printed["gains"] == {"h": "2/(L + mu)"} and printed["recognized"] == "gradient_descent"
    assert printed["closed_form"]["poles"] == {"mu": ["rho"], "L": ["-rho"]}
    assert printed["rate"] == pytest.approx(9 / 11, abs=1e-8)


def test_a_constraint(tmp_path: Path) -> None:
    """Heavy ball's flow in explicit Euler steps: K = 2 sqrt(L), b = 2 L / (L + mu)."""
    file = tmp_path / "found.txt"
    found = run(
        "passive", "--mu", "1", "--L", "10", "--rate", "spectral", "--set", "a=0", "--scheme", "explicit_euler",
        "--out", str(file),
    )  # fmt: skip
    text = file.read_text()
    assert text.strip() in found.stdout and str(file) in found.stdout
    assert float(text.split()[1]) == pytest.approx((9 / 11) ** 0.5, abs=1e-7)
    assert "K = 2*sqrt(L)" in text and "b = 2*L/(L + mu)" in text


def test_bad_input_gets_a_sentence() -> None:
    for arguments, sentence in (
        (["passive", "--L", "10"], "give --mu"),
        (["pasive", "--mu", "1", "--L", "10"], "did you mean"),
        (["passive", "--mu", "1", "--L", "10", "--rate", "best"], "no rate"),
        (["passive", "--mu", "1", "--L", "10", "--set", "z=1"], "no parameter"),
        (["passive", "--mu", "10", "--L", "1"], "at least mu"),
    ):
        result = run(*arguments, code=2)
        assert sentence in result.stderr and result.stdout == ""
