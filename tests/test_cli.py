"""The commands in this process: what they print, what they refuse, what they leave behind."""

import ast
import json
import os
import re
import stat
import sys
import threading
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from typer.testing import CliRunner

import odescent as od
from odescent._cli.base import console
from odescent._cli.base.console import plain
from odescent._cli.base.registries import KINDS
from odescent._cli.commands import demo as cmd_demo
from odescent._cli.commands import doctor as cmd_doctor
from odescent._support.installed import command
from odescent.cli import app
from odescent.discretize.emit.backends import optax

COMMANDS = ("list", "derive", "emit", "demo", "doctor")
RUNNER = CliRunner()


def run(*arguments: str, code: int = 0):
    result = RUNNER.invoke(app, list(arguments))
    assert result.exit_code == code, (result.stdout[-500:], result.stderr, result.exception)
    if code != 2:
        assert not result.stderr or code == 1
    return result


def refused(*arguments: str) -> str:
    """The sentence of a refusal: one line on the standard error, and nothing else anywhere."""
    result = run(*arguments, code=2)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("odescent: ")
    return result.stderr.removeprefix("odescent: ").rstrip("\n")


def document(*arguments: str, code: int = 0) -> dict:
    return json.loads(run(*arguments, code=code).stdout_bytes.decode("utf-8"))


def test_without_a_command_it_shows_where_to_start():
    text = run().stdout
    assert run("--help").stdout.rstrip() == text.rstrip()
    assert all(f"\n  {name} " in text for name in COMMANDS)
    assert text.count("\n    odescent ") == 3


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_examples_of_the_command(name: str):
    text = run(name, "--help").stdout
    assert run(name, "-h").stdout == text
    assert "Example" in text
    examples = [line.split() for line in text.splitlines() if line.startswith("    odescent ")]
    assert examples
    assert all(e[1] == name for e in examples)


def test_version():
    assert run("--version").stdout == f"odescent {od.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (["derve", "nesterov"], "no command 'derve': did you mean 'derive'"),
        (
            ["minimize", "rastrigin"],
            "no command 'minimize'; od.minimize is a function of the Python package",
        ),
        (["list", "--jsno"], "no option --jsno: did you mean --json"),
        (["--verison"], "did you mean --version"),
        (["list", "algoritms"], "did you mean 'algorithms'"),
        (["derive", "nestrov"], "did you mean 'nesterov'"),
        (["derive", "nesterov", "--route", "imersion"], "did you mean 'immersion'"),
        (["emit", "heavy_bal"], "did you mean 'heavy_ball'"),
        (["emit", "nesterov", "--target", "nunpy"], "did you mean 'numpy'"),
        (["emit", "nesterov", "--set", "m=1"], "no parameter 'm'"),
    ],
)
def test_unknown_names_suggest_the_nearest(arguments: list[str], suggestion: str):
    assert suggestion in refused(*arguments)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["derive"], "missing argument 'NAME'; see odescent derive --help."),
        (["derive", "nesterov", "--route"], "requires an argument"),
        (["derive", "nesterov", "twice"], "unexpected extra argument"),
        (["derive", "nesterov", "--latex", "--json"], "exclude each other"),
        (["derive", "cbo", "--set", "noise=white"], "no noise of the relaxation 'white'"),
        (
            ["derive", "cbo", "--set", "route=model"],
            "is not an option of a method; use NAME and --route",
        ),
        (["emit", "nesterov", "--mu", "0"], "mu must be more than 0"),
        (["emit", "nesterov", "--mu=-1"], "mu must be"),
        (["emit", "nesterov", "--mu", "2", "--L", "1"], "L must be at least mu"),
        (["emit", "nesterov", "--mu", "nan"], "mu must be a number such as"),
        (["emit", "nesterov", "--L", "inf"], "not 'inf'"),
        (["emit", "nesterov", "--L", "1/0"], "not '1/0'"),
        (["emit", "nesterov", "--L", "1e9999999"], "not '1e9999999'"),
        (["emit", "nesterov", "--L", "9" * 1000], "not '99999999999999999999...'"),
        (["emit", "nesterov", "--L", "__import__('os')"], "L must be a number"),
        (["emit", "nesterov", "--set", "L"], "--set takes NAME=VALUE"),
        (["emit", "nesterov", "--set", "L=2", "--L", "3"], "L was given twice: 3 and 2"),
        (
            ["emit", "gradient_descent", "--set", "step=3/L"],
            "step of gradient descent must be '1/L'",
        ),
    ],
)
def test_bad_input_gets_a_sentence(arguments: list[str], part: str):
    assert part in refused(*arguments)


def test_list_names_every_entry():
    text = run("list").stdout
    names = [*od.systems(), *od.algorithms(), *od.schemes(), *od.objectives()]
    assert all(f"\n  {name}" in text for name in names)
    assert max(map(len, text.splitlines())) <= 96
    everything = document("list", "--json")
    assert everything.pop("schema") == "odescent.list/1"
    assert list(everything) == list(KINDS)
    for kind, known in [("systems", od.systems), ("algorithms", od.algorithms)]:
        assert [e["name"] for e in everything[kind]] == known()
    assert document("list", "schemes", "--json")["schemes"] == everything["schemes"]
    having = document("list", "MOMENTUM", "--json")  # a word, in names and descriptions
    assert having.pop("schema") == "odescent.list/1" and {"systems", "algorithms"} <= set(having)
    for kind, entries in having.items():
        assert entries == [e for e in everything[kind] if "momentum" in str(e).lower()]
    derived = {e["name"]: e for e in everything["derivations"]}
    assert derived["nesterov_sc"]["routes"] == ["immersion", "model", "direct"]
    assert derived["nesterov_sc"]["aliases"] == ["nag", "nesterov"]
    summaries = {e["name"]: e["summary"] for e in everything["algorithms"]}
    assert summaries["gradient_descent"].startswith("x+ = x - h grad f(x)")
    assert all(summaries.values())


def test_derive_passes_the_options_of_a_method_on():
    text = run("derive", "cbo", "--set", "noise=anisotropic").stdout
    assert text.rstrip() == od.derive("cbo", noise="anisotropic").text().rstrip()
    assert text != od.derive("cbo").text()


def test_derive_prints_the_derivation():
    text = run("derive", "heavy_ball").stdout
    assert text.rstrip() == od.derive("heavy_ball").text().rstrip()
    assert "\x1b" not in text
    latex = run("derive", "heavy_ball", "--latex").stdout
    assert latex.rstrip() == od.derive("heavy_ball").latex().rstrip()
    data = document("derive", "heavy_ball", "--json")
    assert data["schema"] == "odescent.derivation/3"
    assert data["verified"] is True
    assert all(s["verified"] for s in data["steps"])


@pytest.mark.parametrize("option", ["--latex", "--json", None])
def test_derive_writes_what_it_would_print(tmp_path: Path, option: str | None):
    extra = [option] if option else []
    printed = run("derive", "heavy_ball", *extra).stdout
    out = tmp_path / "derivation"
    said = run("derive", "heavy_ball", *extra, "--out", str(out)).stdout
    assert out.read_text(encoding="utf-8").rstrip() == printed.rstrip()
    assert said == (printed if option == "--json" else said)
    assert option == "--json" or "steps verified" in said


def test_a_step_that_does_not_hold_is_exit_code_1(monkeypatch: pytest.MonkeyPatch):
    right = od.derive("heavy_ball")
    first = next(iter(right.steps[0].perturbed()))
    wrong = replace(right, steps=(first, *right.steps[1:]))
    monkeypatch.setattr(od, "derive", lambda name, route=None: wrong, raising=False)
    result = run("derive", "heavy_ball", code=1)
    assert "NOT VERIFIED" in result.stdout
    assert repr(first.title) in result.stderr
    assert document("derive", "heavy_ball", "--json", code=1)["verified"] is False


def test_emit_prints_source_that_parses(tmp_path: Path):
    printed = run("emit", "nesterov", "--mu", "1/3", "--L", "2.5").stdout
    assert printed == od.algorithm("nesterov").bind(mu=sp.Rational(1, 3), L=2.5).source()
    ast.parse(printed)
    out = tmp_path / "nesterov.py"
    assert run("emit", "nesterov", "--out", str(out)).stdout.endswith("the parameters L, mu.\n")
    assert out.read_text(encoding="utf-8") == od.algorithm("nesterov").source("numpy")


def test_emit_reads_numbers_exactly_and_says_so():
    data = document("emit", "proximal_point", "--set", "h=0.1", "--json")
    assert data["schema"] == "odescent.emit/1"
    assert (data["settings"], data["free"], data["out"]) == ({"h": "1/10"}, [], None)
    assert "1 / 10" in data["source"] or "0.1" in data["source"]
    data = document("emit", "gradient_descent", "--set", "step=2/(L+mu)", "--L=1e-3", "--json")
    assert data["settings"] == {"step": "2/(L+mu)", "L": "1/1000"}
    assert data["free"] == ["mu"]


@pytest.mark.parametrize("target", ["numpy", "jax", "optax", "latex"])
def test_emit_knows_every_target(target: str):
    assert run("emit", "nesterov", "--target", target).stdout.strip()
    assert target in [e["name"] for e in document("list", "targets", "--json")["targets"]]


def test_what_a_target_cannot_carry_is_refused_and_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(optax, "BACKEND", replace(optax.BACKEND, carries=frozenset()))
    out = tmp_path / "x.py"
    refused("emit", "extragradient", "--target", "optax", "--out", str(out))
    assert not list(tmp_path.iterdir())


def test_out_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    emit = ("emit", "nesterov", "--out")
    assert "is a folder" in refused(*emit, str(tmp_path))
    assert "there is no folder" in refused(*emit, str(tmp_path / "none" / "x.py"))
    old = tmp_path / "old.py"
    old.write_text("old")
    assert "there is no folder" in refused(*emit, str(old / "x.py"))
    link = tmp_path / "link.py"
    link.symlink_to(tmp_path / "gone" / "x.py")
    assert f"there is no folder {str(tmp_path / 'gone')!r}" in refused(*emit, str(link))
    link.unlink()
    monkeypatch.setattr("os.replace", _full)
    assert "No space left" in refused(*emit, str(old))
    monkeypatch.undo()
    assert old.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["old.py"]


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_out_keeps_permissions_follows_links_and_writes_into_pipes(tmp_path: Path):
    file, link, pipe = tmp_path / "file.py", tmp_path / "link.py", tmp_path / "pipe"
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file)
    run("emit", "nesterov", "--out", str(link))
    assert link.is_symlink()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert "NumPy" in file.read_text(encoding="utf-8")
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    run("emit", "nesterov", "--out", str(pipe))
    reader.join(10)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert read == [file.read_text(encoding="utf-8")]


def test_demo_reports_and_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fake(out, quick, report):
        report(f"quick {quick}")
        return {
            "a": np.float64(2.5),
            "rate": float("nan"),
            "files": [out / "p.png"],
            "n": np.arange(2),
        }

    monkeypatch.setattr(cmd_demo, "demonstrate", fake)
    assert run("demo", "--quick", "--out", str(tmp_path)).stdout == "quick True\n"
    result = RUNNER.invoke(app, ["demo", "--json", "--out", str(tmp_path)])
    assert result.stderr == "quick False\n"
    assert json.loads(result.stdout) == {
        "schema": "odescent.demo/1",
        "a": 2.5,
        "rate": None,
        "files": [str(tmp_path / "p.png")],
        "n": [0, 1],
    }
    monkeypatch.undo()
    (tmp_path / "file").write_text("")
    assert "is a file" in refused("demo", "--out", str(tmp_path / "file"))


def test_doctor_reports_what_there_is():
    data = document("doctor", "--json")
    assert data["schema"] == "odescent.doctor/1"
    assert data["ok"] is True
    assert data["jax"]["default_float"] == "float64"  # as tests/conftest.py sets it
    versions = {p["name"]: p["version"] for p in data["packages"]}
    assert versions["numpy"] == np.__version__
    text = run("doctor").stdout
    missing = [p for p in data["packages"] if p["version"] is None]
    assert all(command(p["extra"]) in text for p in missing)
    extras = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
    named = set(extras["project"]["optional-dependencies"]) - {"all", "dev"}  # some of the others
    assert {e["name"] for e in data["extras"]} == named
    for extra in data["extras"]:
        assert f" {extra['name']} " in text
        assert extra["purpose"] in text
        own = {p["name"] for p in data["packages"] if p["extra"] == extra["name"]}
        assert set(extra["missing"]) == own & {p["name"] for p in missing}


def test_doctor_survives_what_is_broken(monkeypatch: pytest.MonkeyPatch):
    def version(name: str) -> str:
        if name == "sympy":
            raise cmd_doctor.metadata.PackageNotFoundError(name)
        if name == "torch":
            raise OSError("bad metadata")
        return "1"

    monkeypatch.setattr(cmd_doctor.metadata, "version", version)
    monkeypatch.setitem(sys.modules, "jax", None)  # an import of it fails
    data = json.loads(RUNNER.invoke(app, ["doctor", "--json"]).stdout)
    assert data["ok"] is False
    hints = "\n".join(data["hints"])
    assert "sympy is needed but not installed" in hints
    assert "torch is broken (bad metadata)" in hints
    assert "JAX does not work" in hints
    assert "Hint: JAX" in RUNNER.invoke(app, ["doctor"]).stdout


def test_doctor_knows_the_dependencies():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
    declared = {
        "": project["project"]["dependencies"],
        **project["project"]["optional-dependencies"],
    }
    for extra, rows in cmd_doctor.PACKAGES.items():
        if extra != "cuda":  # JAX names its plug-in there
            names = {re.match(r"[\w-]+", entry)[0] for entry in declared[extra]} - {"odescent"}
            assert sorted(names) == sorted(name for _, name, _ in rows)


@pytest.mark.parametrize(
    ("unicode", "ascii"),
    [
        ("ψ' = -Kψ - b∇f(y)", "psi' = -K psi - b grad f(y)"),
        ("h² ∇²f(x)[x'] + 2√μ", "h^2 hess f(x)[x'] + 2 sqrt(mu)"),
        ("(L_Gψ)⁻¹ Dψᵀ → ✓", "(L_G psi)^-1 D psi^T -> ok"),
        ("x ≤ é, ☃", "x <= e, ?"),
    ],
)
def test_mathematics_in_ascii(unicode: str, ascii: str):
    assert plain(unicode) == ascii


def test_documents_are_strict_json():
    text = console.document({"ψ": float("inf"), "schema": "own/1"}, "other/1")
    assert text == '{\n  "schema": "own/1",\n  "ψ": null\n}\n'


def test_derive_as_a_web_page(tmp_path):
    page = tmp_path / "nesterov.html"
    assert (
        "14 of 14 steps verified" in run("derive", "nesterov", "--html", "--out", str(page)).stdout
    )
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "--html and --json exclude each other" in refused(
        "derive", "nesterov", "--html", "--json"
    )
