"""``odescent certify``: what it prints, writes and refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from odescent.analysis import Certificate
from odescent.analysis.certificates import load
from odescent.cli import app

RUNNER = CliRunner()


def run(*arguments: str, code: int = 0) -> Any:
    result = RUNNER.invoke(app, ["certify", *arguments])
    assert result.exit_code == code, (result.stdout[-500:], result.stderr, result.exception)
    return result


def test_text() -> None:
    text = run("heavy_ball", "--mu", "1", "--L", "10").stdout
    assert text.startswith("heavy_ball: rate 0.8459059") and "verified exactly" in text
    assert "1 - rate = 0.15409" in text and "at least 0.519493853 on the quadratic" in text
    more = run("heavy_ball", "--mu", "1", "--L", "10", "--lower", "30").stdout
    assert "at least 0.84577974" in more and "spirals" in more
    exact = run("triple_momentum", "--mu", "0.1", "--L", "1").stdout
    assert "exactly 1 - sqrt(10)/10, attained" in exact
    given = run("nesterov", "--mu", "1", "--L", "10", "--rate", "0.76", "--steps", "1").stdout
    assert "rate 0.760000000" in given and "1 step of memory" in given
    over = run("proximal_point", "--set", "h=1/3", "--mu", "1", "--L", "9", "--over", "quadratics")
    assert "exactly 3/4" in over.stdout
    iqc = run("heavy_ball", "--mu", "1", "--L", "10", "--multipliers", "off_by_one")
    assert "rate 0.860408579" in iqc.stdout and "1 step of memory" in iqc.stdout


def test_the_certificate_and_the_checker(tmp_path: Path) -> None:
    file, checker = tmp_path / "certificate.json", tmp_path / "check.py"
    out = run("nesterov", "--mu", "1", "--L", "10", "--out", str(file), "--checker", str(checker))
    assert str(file) in out.stdout
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(checker), str(file)], capture_output=True, text=True, check=True
    )  # fmt: skip
    assert done.stdout.startswith("proved:\nabout x_k+1 = A x_k + B u_k")
    printed = json.loads(run("nesterov", "--mu", "1", "--L", "10", "--json").stdout)
    assert Certificate.from_dict(printed).verify()
    assert Certificate.from_dict(json.loads(file.read_text())).verify()
    assert "Python alone" in run("--checker", str(checker)).stdout


def test_finitely_many_steps_and_flows(tmp_path: Path) -> None:
    bound = run("nesterov_c", "--mu", "0", "--L", "1", "--horizon", "2").stdout
    assert "f(x_2) - f* <= 0.09090909" in bound and "exactly 1/11" in bound
    for_all = run("gradient_descent", "--mu", "0", "--L", "3", "--horizon", "all").stdout
    assert "3/(2*(2*N + 1))" in for_all and "for every N" in for_all and "verified" in for_all
    flow = run("heavy_ball", "--flow", "--set", "c=2", "--mu", "1").stdout
    assert "exp(-0.666666666 t)" in flow and "the rate is 2/3" in flow and "verified" in flow
    assert "exactly 1/2" in run("gradient_flow", "--mu", "1/2", "--L", "3").stdout
    arguments = (
        "--mu",
        "0",
        "--L",
        "2",
        "--horizon",
        "2",
        "--measure",
        "gradient",
        "--start",
        "value",
    )
    file, checker = tmp_path / "certificate.json", tmp_path / "check.py"
    printed = json.loads(
        run("ogm", *arguments, "--json", "--out", str(file), "--checker", str(checker)).stdout
    )
    assert printed["statement"]["measure"] == "gradient" and load(printed).verify()
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(checker), str(file)], capture_output=True, text=True, check=True
    )  # fmt: skip
    assert "|grad f(y_N)|^2 <= c (f(x_0) - f*)" in done.stdout


def test_the_algorithm_or_the_flow_in_a_file(tmp_path: Path) -> None:
    """Gradient descent, typed: max(|1 - h mu|, |1 - h L|), and the rate mu of its flow."""
    file = tmp_path / "descent.ode"
    file.write_text("blocks x parameters a > 0 objective f field all: x' = -a*grad f(x) output x")
    given = (str(file), "--mu", "1", "--L", "4", "--set", "a=1")
    scheme = ("--scheme", "explicit_euler", "--set", "h=1/4")
    certificate = json.loads(run(*given, *scheme, "--json").stdout)
    assert Certificate.from_dict(certificate).exact == Fraction(3, 4)
    assert "exp(-1.000000000 t)" in run(*given).stdout  # it has no scheme
    assert "exp(-1.000000000 t)" in run(*given, "--scheme", "explicit_euler", "--flow").stdout
    assert "is for a system file" in run("nesterov", "--tuning", "h=1", code=2).stderr
    assert "parameters a, not b" in run(*given[:5], "--set", "b=1", code=2).stderr
    assert "does not exist" in run("nothing.ode", "--mu", "1", code=2).stderr


def test_no_certificate() -> None:
    text = run("heavy_ball", "--mu", "1", "--L", "100", code=1).stdout
    assert text.startswith("no certificate exists") and "period 3" in text
    printed = json.loads(run("heavy_ball", "--mu", "1", "--L", "100", "--json", code=1).stdout)
    assert printed["certified"] is False and printed["cycle"]["period"] == 3
    assert len(printed["cycle"]["points"]) == len(printed["cycle"]["vertices"]) == 3


def test_bad_input_gets_a_sentence() -> None:
    for arguments, sentence in (
        (["nestrov", "--mu", "1", "--L", "10"], "did you mean"),
        (["nesterov", "--mu", "1"], "give --L"),
        (["nesterov", "--mu", "ten", "--L", "10"], "--mu must be a number"),
        (["nesterov", "--mu", "3", "--L", "1"], "at least mu"),
        (["nesterov", "--mu", "1", "--L", "10", "--steps", "9"], "from 1 to 6"),
        (["nesterov", "--mu", "1", "--L", "10", "--over", "all"], "over must be"),
        (["proximal_point", "--mu", "1", "--L", "10"], "--set h=1/2"),
        (["adam", "--mu", "1", "--L", "10"], "not linear"),
        (
            ["ogm", "--mu", "0", "--L", "1", "--horizon", "2", "--measure", "speed"],
            "measure must be",
        ),
        (["gradient_flow"], "give --mu"),
        (["gradient_flow", "--mu", "1", "--steps", "3"], "not to flows"),
        (["heavy_ball", "--mu", "1", "--L", "10", "--multipliers", "all"], "kind of multipliers"),
        (["heavy_ball", "--flow", "--mu", "1", "--set", "b=1"], "has the parameters c, not b"),
        (["ogm", "--mu", "0", "--L", "1", "--horizon", "some"], "--horizon must be"),
        (["ogm", "--mu", "1", "--L", "2", "--horizon", "all"], "mu = 0"),
        ([], "name of an algorithm"),
    ):
        result = run(*arguments, code=2)
        assert sentence in result.stderr and result.stdout == ""
