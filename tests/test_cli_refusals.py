"""Bad input of every command: exit code 2, one sentence on the standard error, nothing printed, nothing written."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from odescent._cli.base.spelling import as_options
from odescent._cli.commands import COMMANDS
from odescent._cli.group import made
from odescent._support.numbers import number
from odescent.cli import app
from odescent.discretize.emit import BACKENDS

REFUSED = {
    # names: the nearest, or some of what there is
    "nesterv": "no command 'nesterv'",
    "list nothing_like_it": "no kind or entry 'nothing_like_it'",
    "derive nope": "no derivation of 'nope'",
    'derive ""': "no derivation of ''",
    "derive nesterov --route none": "known: direct, immersion, model",
    "emit heavy_bal": "did you mean 'heavy_ball'",
    "emit gradient_flow": "is a system: emit takes an algorithm",
    "emit nesterov --target cobol": f"known: {', '.join(sorted(BACKENDS))}",
    "emit nesterov --set zz=3": "no parameter 'zz'",
    "certify nesterv --mu 1 --L 2": "did you mean 'nesterov",
    "certify nesterov --mu 1 --L 10 --over cubes": "'quadratics', not 'cubes'",
    "certify nesterov --mu 1 --L 10 --multipliers magic": "known: interpolation",
    "certify nesterov --mu 0 --L 1 --horizon 3 --measure weight": "one of value, gradient, distance",
    "synthesize passive --mu 1 --L 10 --rate best": "known: certified, spectral",
    "synthesize passive --mu 1 --L 10 --scheme rk5": "no scheme 'rk5'",
    "simulate gradient_flw --time 1": "did you mean 'gradient_flow'",
    "simulate gradient_descent --objective rosenbrok": "did you mean 'rosenbrock'",
    "simulate gradient_descent --statistics men": "did you mean 'mean'",
    "portrait nesterov_sc --curvature 1 --mu 1 --L 9 --with nope": "no algorithm or system 'nope'",
    "train nope": "no task 'nope'",
    "train digits-ode --regularizer nope": "no regularizer 'nope'",
    "train digits-ode --optimizer nope": "no optimizer 'nope'",
    "train digits-ode --dt0 hot": "known: calibrated, hairer, warm",
    "figures --paper nope": "known: acceleration",
    "explore nope --out a.svg": "no algorithm or system 'nope'",
    "portrait heavy_ball --curvature 1 --set momentun=1/2": "did you mean 'momentum'",
    "emit nesterov --target PyTorch": "did you mean 'torch'",
    # numbers: what came and what was expected
    "emit nesterov --mu x": "such as 10, 0.01, 1e-4 or 1/3, not 'x'",
    "emit nesterov --mu=-1": "more than 0, not -1",
    "emit nesterov --mu 1e500": "between 1e-300 and 1e300",
    "emit nesterov --mu 2 --L 1": "L must be at least mu",
    "certify nesterov --mu 1 --L 10 --steps 99": "from 1 to 6, not 99",
    "certify nesterov --mu 1 --L 10 --steps 1.5": "--steps must be a whole number",
    "certify nesterov --mu 1 --L 10 --rate 2": "less than 1",
    "certify nesterov --mu 0 --L 1 --horizon 1.5": "whole number or all, not 3/2",
    "synthesize passive --mu 1 --L 10 --seed -1": "--seed must be at least 0",
    "synthesize passive --mu 10 --L 1": "L = 1 < mu = 10",
    "simulate gradient_descent --steps 1.5": "whole number, at least 0, not '1.5'",
    "simulate gradient_descent --steps 1e30": "at most 1e+15",
    "simulate gradient_descent --every 0": "at least 1, not '0'",
    "simulate gradient_descent --x0 1,2,3": "3 numbers, but the objective has 2",
    "simulate gradient_descent --x0 ,": "not ''",
    "simulate gradient_descent --seed 99999999999": "--seed must be at most 2147483647",
    "simulate gradient_flow --time nan": "not 'nan'",
    "portrait nesterov_sc --curvature 0": "--curvature must be more than 0",
    "portrait nesterov_sc --curvature 1 --window 1,2,3": "X0,X1,Y0,Y1",
    "portrait nesterov_sc --curvature 1 --slow a,b": "FAST,SMALL,ORDER",
    "train digits-ode --batch 0": "at least 1, not 0",
    "train digits-ode --devices 99": "devices=99 is more than the 1 that JAX has",
    "train digits-ode --tolerance 0": "positive number",
    "explore --port 99999": "--port must be at most 65535",
    "explore cbo --paths 101": "--paths must be at most 100",
    "explore cbo --paths 0": "--paths must be at least 1",
    "explore cbo --seed -1": "--seed must be at least 0",
    "portrait heavy_ball --curvature 1 --set momentum=2": "momentum must be a positive number below 1, not 2",
    "simulate heavy_ball --set step=0.1 --set momentum=-0.5": "below 1, not -1/2",
    "simulate gradient_descent --set step=0.1 --set lr=0.1": "step and lr both set the parameter h",
    # what is missing, and what does not go together
    "derive": "missing argument 'NAME'",
    "certify": "needs the name of an algorithm",
    "certify nesterov --mu 1": "give --L",
    "certify nesterov --mu 1 --L 10 --measure value": "give --horizon as well",
    "simulate gradient_flow": "as in --time 10",
    "simulate adam": "h, beta1, beta2 and eps: give --set h=... and --set beta1=... and",
    "simulate nesterov --objective rosenbrock": "give --mu ... and --L ..., here or on the objective, or --set",
    "simulate gradient_descent --mu 1 --L 1": "no parameter of gradient_descent called 'mu'",
    "simulate cbo --objective ackley": "or odescent explore cbo",
    "certify adam --mu 1 --L 10": "linear apart from their gradients, and adam is not",
    "portrait nag_flow --objective lessard_recht_packard": "or a --curvature, or, in Python",
    "portrait nesterov_sc --objective ackley --slow psi,1/K,2": "a state of two numbers",
    "simulate proximal_gradient": "which the objective 'quadratic' does not have",
    "portrait nesterov_sc": "either --curvature",
    "derive nesterov --latex --html": "exclude each other",
    "derive nesterov --scheme rk4": "is for a system file",
    "figures --quick --full": "give one of them",
    "train digits-ode --resume": "give --out",
    "train digits-ode --paper 1999": "leave --paper out",
    "portrait nesterov --story": "is available for heavy_ball, not for 'nesterov'",
    "doctor extra": "unexpected extra argument",
    "list --jsno": "did you mean --json",
    # files
    "derive missing.ode": "does not exist",
    "derive nesterov --out nowhere/x": "there is no folder",
    "emit nesterov --out nowhere/x": "there is no folder",
    "certify nesterov --mu 1 --L 10 --out nowhere/x": "there is no folder",
    "certify nesterov --mu 1 --L 10 --checker nowhere/x": "there is no folder",
    "synthesize passive --mu 1 --L 10 --out nowhere/x": "there is no folder",
    "simulate gradient_descent --out nowhere/x.csv": "there is no folder",
    "portrait nesterov_sc --curvature 1 --mu 1 --L 10 --out nowhere/x.png": "there is no folder",
    "portrait nesterov_sc --curvature 1 --mu 1 --L 10 --out nowhere/x.gif": "there is no folder",
    "portrait nesterov_sc --curvature 1 --mu 1 --L 10 --out nowhere/x": "there is no folder",
    "portrait heavy_ball --story --out junk.npz": "is a file",
    "explore --out nowhere/x.svg": "there is no folder",
    "train digits-ode --out junk.npz": "is a file",
    "derive nesterov --out folder": "is a folder",
    "simulate gradient_descent --out x.txt": ".npz or .csv",
    "simulate gradient_descent --resume junk.npz": "no run file of odescent",
    "portrait nesterov_sc --curvature 1 --mu 1 --L 10 --out x.txt": "a film (.gif, .mp4)",
    "inspect nowhere": "cannot be read",
    "figures --out junk.npz": "is a file",
    "demo --out junk.npz": "is a file",
    "explore --out x.pdf": "ends in .svg",
    'figures --out ""': "--out must be the name of a file or a folder, not ''; see odescent figures",
    "train spirals-ode --steps 1 --out=": "--out must be the name of a file or a folder, not ''",
    'inspect ""': "RUN... must be the name of a file or a folder, not ''",
}


@pytest.mark.parametrize("line", REFUSED)
def test_one_sentence_and_nothing_else(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "junk.npz").write_bytes(b"junk")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, shlex.split(line))
    assert (done.exit_code, done.stdout) == (2, "")
    sentence = done.stderr
    assert sentence.startswith("odescent: ")
    assert sentence.count("\n") == 1
    assert sentence.rstrip()[-1] in ".?"
    assert REFUSED[line] in sentence
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["folder", "junk.npz"]


PLACES = [
    (name, option.opts[0])
    for name in COMMANDS
    for option in made(name).params
    if option.metavar in ("FILE", "FOLDER")
]


@pytest.mark.parametrize(("command", "option"), PLACES)
def test_no_file_or_folder_has_an_empty_name(
    command: str, option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be the current folder."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [command, option, ""])
    assert (done.exit_code, done.stdout) == (2, "")
    said = f"{option} must be the name of a file or a folder, not ''; see odescent {command} --help"
    assert done.stderr == f"odescent: {said}.\n"
    assert not list(tmp_path.iterdir())


def test_every_command_that_writes_is_among_them() -> None:
    assert len(PLACES) >= 14
    assert {"derive", "emit", "simulate", "portrait", "certify", "train"} <= {c for c, _ in PLACES}


@pytest.mark.parametrize("text", ["1e300", "-1e-300", "0", "0e99", "1/3", "1e-9"])
def test_numbers_that_double_precision_holds(text: str) -> None:
    assert float(number("x", text)) == (1 / 3 if "/" in text else float(text))


def test_where_there_is_no_certificate_the_way_out_is_an_option() -> None:
    done = CliRunner().invoke(app, shlex.split("certify nesterov --mu 0 --L 10"))
    assert (done.exit_code, done.stderr) == (1, "")
    assert "give --horizon N for a bound after so many steps, or --horizon all." in done.stdout


def test_the_commands_in_the_help_are_whole_sentences() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).stdout
    listed = shown.partition("Commands:")[2].partition("Start here")[0].strip().splitlines()
    assert len(listed) == len(COMMANDS)
    assert all(line.endswith(".") and not line.endswith("...") for line in listed)


@pytest.mark.parametrize(
    ("sentence", "spelled"),
    [
        ("give horizon=N or horizon='all'.", "give --horizon N or --horizon all."),
        ("give horizon=... to it.", "give --horizon ... to it."),
        ("with horizon=True to go on.", "with --horizon to go on."),
        ("as in horizon='out/run.npz'.", "as in --horizon out/run.npz."),
        (
            "certify(method, mu=1, horizon=10), or bind it.",
            "certify(method, mu=1, horizon=10), or bind it.",
        ),
        ("later, as in horizon=0.1.", "later, as in --horizon 0.1."),
        ("it has mu=N and horizon=Nine.", "it has mu=N and horizon=Nine."),
        ("Objective(..., horizon=...)", "Objective(..., horizon=...)"),
    ],
)
def test_keywords_are_spelled_as_the_options_that_there_are(sentence: str, spelled: str) -> None:
    assert as_options(sentence, {"--horizon"}) == spelled
