"""A user's own system on the command line: what is printed, refused, and stopped."""

import json
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from typer.testing import CliRunner

from odescent._cli.base import own_system
from odescent._cli.base.own_system import FileRequest, Refused, derive
from odescent.cli import app
from odescent.discretize.reading.method_text import read_algorithm
from odescent.replay import replay

ROOT = Path(__file__).resolve().parent.parent
BALL = str(ROOT / "examples" / "heavy_ball.ode")
OWN = """
blocks x, v
parameters c > 0
objective f
field damp: v' = -c*v
field kick: v' = -grad f(x)
field drift: x' = v
output x
"""
SCHEME = "lie_trotter(damp: exact, kick: explicit, drift: explicit)"
# What the grammar lets through: a root of a number with large factors, which stays as it is, and what the engine would
# be at for a long time, the inverse of a large symbolic matrix.
PRIMES = (70000000000000000000000000067, 300000000000000000000000000007)
ROOTED = f"blocks x objective f field a: x' = -sqrt({PRIMES[0]}*{PRIMES[1]})*grad f(x)"
COUPLED = 12
MATRIX = "\n".join(
    [
        "blocks " + ", ".join(f"x{i}" for i in range(COUPLED)),
        "parameters " + ", ".join(f"a{i} > 0, b{i} > 0" for i in range(COUPLED)),
        "field all_of_them: "
        + ", ".join(
            f"x{i}' = " + " + ".join(f"sin(a{i}*b{j})*x{j}" for j in range(COUPLED))
            for i in range(COUPLED)
        ),
        "output x0",
    ]
).replace("x0", "y0")


def run(*arguments: str, code: int = 0):
    result = CliRunner().invoke(app, ["derive", *arguments])
    assert result.exit_code == code, (result.stdout[-500:], result.stderr, result.exception)
    return result


def refused(*arguments: str) -> list[str]:
    """The lines on the standard error; nothing else is printed."""
    result = run(*arguments, code=2)
    assert result.stdout == ""
    first, *rest = result.stderr.rstrip("\n").split("\n")
    assert first.startswith("odescent: ")
    return [first.removeprefix("odescent: "), *rest]


@pytest.fixture
def own(tmp_path: Path) -> str:
    (tmp_path / "own.ode").write_text(OWN)
    return str(tmp_path / "own.ode")


def test_a_whole_algorithm_in_one_file(tmp_path: Path):
    text = run(BALL).stdout
    derivation = read_algorithm(BALL).derivation()
    assert text.rstrip() == derivation.text().rstrip()
    assert f"{len(derivation.steps)} of {len(derivation.steps)} steps verified" in text
    latex = run(BALL, "--latex").stdout
    assert latex.rstrip() == derivation.latex().rstrip()
    out = tmp_path / "ball.txt"
    assert "steps verified" in run(BALL, "--out", str(out)).stdout
    assert out.read_text(encoding="utf-8").rstrip() == text.rstrip()


@pytest.mark.usefixtures("here")
def test_options_complete_a_system_and_json_says_all(own: str):
    result = run(
        own, "--scheme", SCHEME, "--where", "c = 2*sqrt(mu)", "--tuning", "h = 1/sqrt(L)", "--json"
    )
    data = json.loads(result.stdout_bytes.decode("utf-8"))
    assert (data["schema"], data["route"], data["verified"]) == (
        "odescent.derivation/3",
        "direct",
        True,
    )
    assert data["algorithm"]["where"] == {"c": "2*sqrt(mu)"}
    assert data["algorithm"]["tuning"] == {"h": "1/sqrt(L)"}
    assert data["algorithm"]["fields"]["kick"] == {"v": "-grad f(x)"}
    assert result.stderr == ""
    # the damping is exact: the momentum is exp(-c h)
    assert "exp(-2*sqrt(mu)/sqrt(L))" in json.dumps(data["algorithm"]["program"])


@pytest.mark.usefixtures("here")
def test_a_name_that_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mine").write_text(OWN + "scheme explicit_euler")
    monkeypatch.chdir(tmp_path)
    assert "steps verified" in run("mine").stdout


@pytest.mark.usefixtures("here")
def test_a_time_dependent_system_with_a_clock(tmp_path: Path):
    file = tmp_path / "decay.ode"
    file.write_text("blocks x time t objective f field a: x' = -grad f(x)/t scheme explicit_euler")
    clocked = json.loads(run(str(file), "--clock", "(k + 1)*h", "--json").stdout)
    assert "k + 1" in json.dumps(clocked["algorithm"]) or "1 + k" in json.dumps(
        clocked["algorithm"]
    )


def test_a_mistake_is_shown_with_its_place(own: str):
    Path(own).write_text(OWN.replace("-c*v", "-d*v") + f"scheme {SCHEME}")
    sentence, line, caret = refused(own)
    assert sentence.startswith("own.ode, line 5, column 19: the name 'd' is not declared")
    assert line == "    field damp: v' = -d*v"
    assert line[caret.index("^")] == "d"
    assert refused(own, "--json") == [sentence, line, caret]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "there is no scheme: add a line"),
        (["--scheme", "lie_trotter(damp: exct)"], "--scheme, line 1, column 19: there is no integrator 'exct'"),
        (["--scheme", "all: exact, kick: implicit"], "needs a field that is linear"),
        (["--scheme", "damp: exact"], "does not add up"),
        (["--scheme", SCHEME, "--where", "d = 1"], "--where, line 1, column 1: there is no parameter 'd'"),
        (["--scheme", SCHEME, "--tuning", "h = import os"], "--tuning, line 1"),
        (["--scheme", SCHEME, "--route", "model"], "--route is for the known methods"),
        (["--scheme", SCHEME, "--time-limit", "0"], "--time-limit must be more than 0"),
        (["--scheme", SCHEME, "--time-limit", "soon"], "--time-limit must be a number"),
        (["--latex", "--json"], "exclude each other"),
    ],
)  # fmt: skip
def test_bad_input_is_exit_code_2_and_a_sentence(
    own: str, arguments: list[str], part: str, tmp_path: Path
):
    assert part in refused(own, *arguments, "--out", str(tmp_path / "out.txt"))[0]
    assert [p.name for p in tmp_path.iterdir()] == ["own.ode"]


@pytest.mark.usefixtures("here")
def test_files_that_cannot_be_read(tmp_path: Path):
    assert "does not exist" in refused(str(tmp_path / "none.ode"))[0]
    (tmp_path / "folder.ode").mkdir()
    assert "is not a file" in refused(str(tmp_path / "folder.ode"))[0]
    (tmp_path / "binary.ode").write_bytes(bytes(range(256)))
    assert "UTF-8" in refused(str(tmp_path / "binary.ode"))[0]
    assert "which 'nesterov' is not" in refused("nesterov", "--scheme", "rk4")[0]


@pytest.mark.parametrize("scheme", ["cayley", "exact"])
def test_what_takes_too_long_is_stopped(tmp_path: Path, scheme: str):
    file = tmp_path / "hostile.ode"
    file.write_text(MATRIX)
    began = time.monotonic()
    sentence, *_ = refused(str(file), "--scheme", scheme, "--time-limit", "3")
    assert time.monotonic() - began < 10
    assert "took longer than 3 s and was stopped" in sentence or "no closed form" in sentence


def test_a_root_with_large_factors_is_left_as_it_is(tmp_path: Path):
    file = tmp_path / "rooted.ode"
    file.write_text(ROOTED)
    answer = run(str(file), "--scheme", "explicit_euler", "--time-limit", "20").stdout
    assert f"√{PRIMES[0] * PRIMES[1]}" in answer and "4 of 4 steps verified" in answer


def test_a_step_that_does_not_hold_is_exit_code_1(monkeypatch: pytest.MonkeyPatch):
    wrong = own_system.Answer("text", 3, ("Limit",))
    monkeypatch.setattr(own_system, "derive", lambda request, seconds: wrong)
    assert "the first that is not: 'Limit'" in run(BALL, code=1).stderr


def test_what_the_engine_did_not_expect_is_a_sentence(monkeypatch: pytest.MonkeyPatch):
    for error, part in [
        (KeyError("odd"), "KeyError: 'odd'"),
        (MemoryError(), "more than 4 GiB"),
        (RecursionError(), "nested too deeply"),
    ]:

        def fail(request: FileRequest, error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr(own_system, "_derived", fail)
        assert part in own_system._carried_out(FileRequest("a.ode"))["error"]


def test_a_child_that_dies_is_a_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(Refused, match="ended without a result"):
        derive(FileRequest(BALL))


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="needs POSIX signals")
def test_a_child_without_its_parent_ends_by_itself(tmp_path: Path):
    file = tmp_path / "hostile.ode"
    file.write_text(MATRIX + "\nscheme cayley")
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "odescent._cli.base.own_system"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
    )
    request = {"path": str(file), "seconds": 1.0}
    child.communicate(json.dumps(request), timeout=20)
    assert child.returncode == -signal.SIGALRM


def test_the_parent_loads_no_mathematics_and_the_child_nothing_of_the_folder_it_runs_in(
    tmp_path: Path,
):
    (tmp_path / "sympy.py").write_text("raise SystemExit('loaded from the folder')")
    code = f"""
import sys, atexit
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
sys.argv[1:] = ["derive", {BALL!r}]
from odescent.cli import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert "steps verified" in done.stdout
    assert not {"sympy", "lark", "jax", "numpy"} & {m.split(".")[0] for m in done.stderr.split()}


def test_nothing_loads_lark_before_a_text_is_read():
    code = "import sys, odescent.discretize.reading.method_text; assert 'lark' not in sys.modules"
    subprocess.run(
        [sys.executable, "-P", "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )


def emitted(*arguments: str, code: int = 0):
    result = CliRunner().invoke(app, ["emit", *arguments])
    assert result.exit_code == code, (result.stdout[-500:], result.stderr, result.exception)
    return result


def test_a_system_file_is_emitted_as_its_algorithm_is(tmp_path: Path):
    """What the child emits is what od.read_algorithm emits, numbers bound exactly."""
    for target in ("numpy", "jax"):
        text = emitted(BALL, "--target", target).stdout
        assert text.rstrip() == read_algorithm(BALL).source(target).rstrip()
    out = tmp_path / "ball.py"
    said = emitted(BALL, "--mu", "0.1", "--L", "3", "--out", str(out)).stdout
    assert said.startswith(f"{out}: heavy_ball for numpy.")
    bound = read_algorithm(BALL).bind({"mu": sp.Rational(1, 10), "L": 3})
    assert out.read_text(encoding="utf-8") == bound.source("numpy")


def test_emitted_source_of_ones_own_system_runs(own: str, tmp_path: Path):
    """With the scheme and the bindings on the command line; against a hand-written loop."""
    out = tmp_path / "method.py"
    result = emitted(
        own, "--scheme", SCHEME, "--where", "c = 3/2", "--set", "h=1/4", "--out", str(out), "--json"
    )
    data = json.loads(result.stdout)
    assert data["settings"] == {"h": "1/4"} and data["free"] == []
    namespace = runpy.run_path(str(out))
    state = namespace["init"](np.array([1.0, -2.0]))
    x, v = np.array([1.0, -2.0]), np.zeros(2)
    for _ in range(5):
        state = namespace["step"](state, lambda p: 3 * p, namespace["coefficients"]())
        v = np.exp(-1.5 / 4) * v - 3 * x / 4
        x = x + v / 4
    assert np.allclose(namespace["output"](state, None), x, rtol=1e-13)


@pytest.mark.usefixtures("here")
def test_emitting_refuses_with_sentences(own: str):
    def refusal(*arguments: str) -> str:
        result = emitted(*arguments, code=2)
        assert result.stdout == "" and result.stderr.startswith("odescent: ")
        return result.stderr

    assert "there is no scheme: add a line" in refusal(own)
    assert "there is no parameter 'foo'" in refusal(BALL, "--set", "foo=1")
    assert "mu must be a number" in refusal(BALL, "--mu", "one")
    assert "there is no target 'fortran'" in refusal(BALL, "--target", "fortran")
    assert "does not exist" in refusal("none.ode")
    assert "L must be at least mu" in refusal(BALL, "--mu", "3", "--L", "1")
    Path(own).write_text(OWN.replace("-c*v", "-d*v") + f"scheme {SCHEME}")
    assert "the name 'd' is not declared" in refusal(own) and "^" in refusal(own)


def test_emitting_takes_no_longer_than_it_may():
    result = emitted(BALL, "--time-limit", "0.01", code=2)
    assert result.stdout == "" and "emitting" in result.stderr


def test_options_of_a_file_are_for_files():
    for option in ("scheme", "where", "tuning", "clock", "time-limit"):
        result = CliRunner().invoke(app, ["emit", "nesterov", f"--{option}", "1"])
        assert isinstance(result.exception, SystemExit) and result.exit_code == 2
        assert f"--{option} is for a system file" in result.stderr


@pytest.mark.usefixtures("here")
def test_json_of_ones_own_system_replays(own: str):
    data = json.loads(run(own, "--scheme", SCHEME, "--json").stdout_bytes.decode("utf-8"))
    assert replay(data, say=lambda line: None) == []
    exact = data["algorithm"]["exact"]
    assert set(exact["system"]["fields"]) == {"damp", "kick", "drift"}
    assert [s["flow"] for s in exact["scheme"]["steps"]] == [["damp"], ["kick"], ["drift"]]
    claim = data["steps"][0]["claims"][0]
    claim["value"] = ["sum", ["2", claim["value"]]]
    assert replay(data, say=lambda line: None)


EQUATION = "x'' + (3/t)*x' + grad f(x) = 0"


@pytest.mark.usefixtures("here")
def test_an_equation_is_typed_in_the_place_of_a_file() -> None:
    options = ("--scheme", "semi_implicit_euler(v, x)", "--clock", "(k + 3)*h")
    shown = run(EQUATION, *options).stdout
    assert "v' = -3/t v" in shown and "k h/(3 + k) v" in shown
    whole = run(f"{EQUATION} scheme semi_implicit_euler(v, x) clock (k + 3)*h").stdout
    assert whole == shown


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("equation", "sentence"),
    [
        ("x'' + c*x' = 0", "the name 'c' is not declared"),
        ("x'' = ", "the text ends too early"),
        (EQUATION, "there is no scheme"),
        ("x' = __import__('os')", "line 1"),
    ],
)
def test_a_typed_equation_is_refused_as_a_file_is(equation: str, sentence: str) -> None:
    stderr = run(equation, code=2).stderr
    assert sentence in stderr and "Traceback" not in stderr


@pytest.mark.usefixtures("here")
def test_other_commands_take_an_equation() -> None:
    method = "x'' + 2*x' + grad f(x) = 0 scheme semi_implicit_euler(v, x)"
    for words, said in (
        (["certify", method, "--set", "h=0.3", "--mu", "1", "--L", "10"], "0.825367251"),
        (
            ["simulate", EQUATION, "--objective", "rosenbrock", "--time", "2", "--t0", "0.1"],
            "t = 2, f",
        ),
        (["emit", method, "--target", "numpy"], "semi_implicit_euler"),
        (["simulate", method, "--objective", "quadratic", "--set", "h=0.1"], "f from"),
    ):
        result = CliRunner().invoke(app, words)
        assert "Traceback" not in result.output and said in result.stdout, result.output
