"""The commands simulate and portrait: what they print and write, against known iterates and portraits."""

import json

import numpy as np
import pytest

import odescent as od
from odescent.cli import app


@pytest.fixture
def call(capsys):
    def run(*args):
        with pytest.raises(SystemExit) as done:
            app([str(a) for a in args])
        said = capsys.readouterr()
        return done.value.code, said.out, said.err

    return run


def test_the_counterexample_of_heavy_ball_cycles(call, tmp_path):
    out = tmp_path / "run.csv"
    code, said, _ = call(
        "simulate", "heavy_ball", "--objective", "lessard_recht_packard", "--x0", "3.3", "--steps", 90,
        "--out", out, "--json",
    )  # fmt: skip
    value = json.loads(said)
    assert code == 0 and value["schema"] == "odescent.simulate/1" and value["records"] == 91
    rows = np.genfromtxt(out, delimiter=",", names=True)
    cycle = np.sort(rows["x1"][-3:])
    np.testing.assert_allclose(cycle, np.array([-2208, 792, 2592]) / 1225, atol=1e-9)


def test_long_runs_with_statistics_and_a_run_file(call, tmp_path):
    file = tmp_path / "run.npz"
    args = ["simulate", "gradient_descent", "--objective", "quadratic", "--every", "1e3", "--L", "20",
            "--statistics", "mean,maximum", "--resume", file, "--json"]  # fmt: skip
    first = json.loads(call(*args, "--steps", "5e3")[1])
    again = json.loads(call(*args, "--steps", "1e4")[1])
    assert (first["records"], again["records"]) == (6, 11)
    assert again["statistics"]["maximum"]["f"] == pytest.approx(5.5)
    # the mean of (1 - lam / 20)^k over k = 0..10^4 is 20 / lam / (10^4 + 1)
    np.testing.assert_allclose(
        again["statistics"]["mean"]["x"], np.array([20, 2]) / 10001, rtol=1e-9
    )
    code, _, error = call(*args[:-1], "--steps", "10")
    assert code == 2 and "at step 10000 already" in error


def test_a_run_ends_by_a_tolerance_or_a_budget(call):
    """And says what it asked for: the same run in Python has these counts and this point."""
    args = ["simulate", "armijo", "--objective", "rosenbrock", "--set", "h=1"]
    code, said, _ = call(*args, "--steps", "1e4", "--until", "gradient=0.1", "--json")
    found = json.loads(said)
    want = od.algorithm("armijo").run(
        od.objective("rosenbrock"),
        od.objective("rosenbrock").x0,
        10000,
        until={"gradient": 0.1},
        h=1,
    )
    assert code == 0 and found["stopped"] == "gradient" and found["steps"] == want.steps < 10000
    assert found["counts"] == {n: v[-1] for n, v in want.counts.items()}
    assert found["x_last"] == want.x[-1].tolist()
    code, said, _ = call(*args, "--budget", "values=100, gradients=1000")
    assert code == 0 and "stopped by the budget of values" in said
    counts = dict(reversed(part.split()) for part in said.split("asked for ")[1][:-2].split(", "))
    assert 90 < int(counts["values"]) <= 100
    said = call("simulate", "gradient_flow", "--time", "100", "--until", "gradient=0.01")[1]
    assert "It was stopped by gradient at t = 4.6" in said


def test_a_run_is_shown_in_a_few_records(call):
    said = call("simulate", "gradient_descent", "--set", "h=0.1", "--steps", "64")[1]
    head, *rows = [line.split() for line in said.splitlines()[1:]]
    assert head == ["step", "f"] and [r[0] for r in rows] == ["0", "1", "3", "7", "15", "31", "64"]
    for k, f in rows[1:]:  # the curvatures are 1 and 10, and the second is solved in one step
        assert float(f) == pytest.approx(0.81 ** int(k) / 2, rel=1e-5)
    assert len(call("simulate", "gradient_descent", "--steps", "0")[1].splitlines()) == 1


def test_a_flow_for_a_time(call):
    value = json.loads(call("simulate", "gradient_flow", "--time", "2", "--x0", "1", "--json")[1])
    np.testing.assert_allclose(value["x_last"], np.exp([-2, -20]), atol=1e-7)


def test_a_portrait_and_its_picture(call, tmp_path):
    code, said, _ = call(
        "portrait", "heavy_ball", "--curvature", "1", "--mu", "1", "--L", "25", "--steps", "10",
        "--out", tmp_path / "p.svg",
    )  # fmt: skip
    assert code == 0 and "1 fixed point, by interval Krawczyk, proved to be all." in said
    assert (tmp_path / "p.svg").read_text().startswith("<?xml")
    value = json.loads(
        call("portrait", "passive", "--curvature", "1", "--set", "K=8", "--set", "a=0", "--set", "b=2", "--slow",
             "psi,1/K,1", "--window", "-1,1,-1,1", "--json")[1]
    )  # fmt: skip
    (point,) = value["fixed_points"]
    assert point["kind"] == "stable node" and value["search"]["complete"]
    np.testing.assert_allclose(
        sorted(p[0] for p in point["eigenvalues"]), -4 + np.sqrt(14) * np.array([-1, 1])
    )


def test_set_takes_the_words_of_the_method_in_every_command(call, tmp_path):
    """Momentum 1/2 and learning rate 1/4 are the step 1/2 and the friction 1, whoever is asked."""
    words = ["--set", "learning_rate=0.25", "--set", "momentum=1/2"]
    own = ["--set", "h=0.5", "--set", "c=1"]
    portrait = ["portrait", "heavy_ball", "--curvature", "1", "--steps", "5", "--json"]
    ours, theirs = (json.loads(call(*portrait, *said)[1]) for said in (words, own))
    np.testing.assert_allclose(ours["iterates"]["heavy_ball"], theirs["iterates"]["heavy_ball"])
    assert ours["fixed_points"] == theirs["fixed_points"]
    run = ["simulate", "heavy_ball", "--x0", "1", "--steps", "5", "--json"]
    ours, theirs = (json.loads(call(*run, *said)[1]) for said in (words, own))
    np.testing.assert_allclose(ours["x_last"], theirs["x_last"])
    code, _, error = call("portrait", "heavy_ball", "--curvature", "1", "--set", "momentun=1/2")
    assert code == 2 and "did you mean 'momentum'" in error


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["simulate", "gradient_flow"], "give the final time of its flow"),
        (["simulate", "nesterv"], "did you mean"),
        (["simulate", "nesterov_sc", "--steps", "2.5"], "--steps must be a whole number"),
        (["simulate", "nesterov_sc", "--x0", "1,2,3"], "3 numbers, but the objective has 2"),
        (["simulate", "nesterov_sc", "--out", "run.txt"], ".npz or .csv"),
        (["simulate", "nesterov_sc", "--set", "q=1"], "no parameter"),
        (
            ["simulate", "nesterov_sc", "--budget", "gradients"],
            "takes NAME=VALUE, as in gradients=1000",
        ),
        (["simulate", "nesterov_sc", "--budget", "gradients=1.5"], "whole number"),
        (
            ["simulate", "nesterov_sc", "--budget", "gradients=5,gradients=9"],
            "given twice: 5 and 9",
        ),
        (["simulate", "nesterov_sc", "--budget", "values=9"], "never ends a run of nesterov_sc"),
        (["simulate", "nesterov_sc", "--until", "slope=1"], "no condition to stop at 'slope'"),
        (["simulate", "gradient_flow", "--time", "1", "--budget", "gradients=9"], "for algorithms"),
        (["portrait", "nesterov_sc"], "either --curvature"),
        (["portrait", "nesterov_sc", "--curvature", "1", "--window", "1,2"], "X0,X1,Y0,Y1"),
        (["portrait", "nesterov_sc", "--curvature", "1", "--out", "p.bmp"], "a picture"),
        (["portrait", "nothing", "--curvature", "1"], "no algorithm or system 'nothing'"),
    ],
)
def test_bad_input(call, args, sentence):
    code, _, error = call(*args)
    assert code == 2 and sentence in error and error.count("\n") == 1


# A system of nobody's: a ball on a spring in a wind, whose flow is e^(A t).
SPRING = """
system spring
blocks q, p
parameters g > 0, w > 0
objective f
field rub: p' = -g*p
field pull: p' = -w*grad f(q)
field move: q' = p
output q
init q = x0, p = 0
"""
VAN_DER_POL = """
blocks x, v
parameters m > 0
field all: x' = v, v' = m*(v - hadamard(hadamard(x, x), v)) - x
output x
init x = x0, v = 0
"""
PATIENT = ("--time-limit", 600)  # on a machine that is busy
LIE = "lie_trotter(rub: exact, pull: explicit, move: explicit)"


@pytest.fixture
def spring(tmp_path):
    (tmp_path / "spring.ode").write_text(SPRING)
    return tmp_path / "spring.ode"


@pytest.mark.usefixtures("here")
def test_the_flow_of_a_system_file(call, spring):
    from scipy.linalg import expm

    code, said, _ = call(
        "simulate",
        spring,
        *PATIENT,
        "--time",
        "2",
        "--x0",
        "1",
        "--set",
        "g=1/2",
        "--set",
        "w=3",
        "--json",
    )
    value = json.loads(said)
    assert code == 0 and value["objective"] == "quadratic"
    for entry, lam in zip(value["x_last"], (1, 10), strict=True):
        exact = expm(np.array([[0, 1], [-3 * lam, -0.5]]) * 2.0)[0, 0]
        assert entry == pytest.approx(exact, abs=1e-7)


def test_the_algorithm_of_a_system_file(call, spring):
    code, said, _ = call(
        "simulate", spring, *PATIENT, "--scheme", LIE, "--tuning", "h = 1/10, w = 3", "--set", "g=0.5", "--steps", "7",
        "--x0", "1", "--json",
    )  # fmt: skip
    q, p = np.ones(2), np.zeros(2)
    for _ in range(7):
        p = np.exp(-0.5 / 10) * p
        p = p - 3 / 10 * np.array([1, 10]) * q
        q = q + p / 10
    assert code == 0
    np.testing.assert_allclose(json.loads(said)["x_last"], q, rtol=1e-12)


@pytest.mark.usefixtures("here")
def test_a_system_file_without_oracles_needs_no_objective(call, tmp_path):
    own = tmp_path / "relaxation.ode"
    own.write_text(VAN_DER_POL)
    period = 6.6632868593231301897  # arXiv:2111.12198
    at = [
        json.loads(
            call("simulate", own, *PATIENT, "--time", t, "--x0", "2", "--set", "m=1", "--json")[1]
        )
        for t in (40, 40 + period)
    ]
    assert at[0]["objective"] is None and at[0]["f_last"] is None
    np.testing.assert_allclose(at[0]["x_last"], at[1]["x_last"], atol=1e-5)
    code, said, _ = call(
        "portrait",
        own,
        "--set",
        "m=1",
        "--window",
        "-3,3,-4,4",
        "--out",
        tmp_path / "p.png",
        "--json",
    )
    value = json.loads(said)
    assert code == 0 and value["fixed_points"][0]["kind"] == "unstable focus"
    assert value["limit_cycles"][0]["period"] == pytest.approx(period, abs=1e-9)
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("here")
def test_the_portrait_of_a_system_file_with_its_iterates(call, spring):
    settings = [
        "--curvature",
        "2",
        "--set",
        "g=1/2",
        "--steps",
        "4",
        "--window",
        "-2,2,-4,4",
        "--json",
    ]
    code, said, _ = call(
        "portrait", spring, *PATIENT, "--scheme", LIE, "--tuning", "h = 1/10, w = 3", *settings
    )
    value = json.loads(said)
    (points,) = value["iterates"].values()
    assert code == 0 and len(points) == 5
    np.testing.assert_allclose(points[1], [1 - 3 * 2 / 100, -3 * 2 / 10], rtol=1e-12)
    (point,) = value["fixed_points"]
    np.testing.assert_allclose(
        np.sort_complex([complex(*e) for e in point["eigenvalues"]]),
        np.sort_complex(np.roots([1, 0.5, 6])),
        atol=1e-9,
    )
    value = json.loads(
        call("portrait", spring, *PATIENT, "--set", "w=3", *settings)[1]
    )  # the system alone
    assert value["iterates"] == {}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("lines", "args", "sentence", "excerpt"),
    [
        ("objective f\nfield a: q' = p - grad f(r)\noutput q", ["--time", "1"],
         "line 3, column 26: the name 'r' is not declared", "field a: q' = p - grad f(r)"),
        ("field a: q' = p, p' = -q\noutput q", ["--time", "1", "--x0", "1", "--set", "k=2"],
         "there is no parameter of the system called 'k'", ""),
        ("field a: q' = p, p' = -q\noutput q", ["--steps", "5"], "has no scheme: give one with --scheme", ""),
        ("field a: q' = p, p' = -q\noutput q", ["--time", "1"], "no starting point here", ""),
        ("field a: q' = p, p' = -q\noutput q\nscheme lie_trotter(b: exact)", [],
         "there is no field 'b': known: a.", "scheme"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said_with_its_place(
    call, tmp_path, lines, args, sentence, excerpt
):
    (tmp_path / "wrong.ode").write_text(f"blocks q, p\n{lines}\n")
    code, said, error = call("simulate", tmp_path / "wrong.ode", *PATIENT, *args)
    first, *rest = error.rstrip("\n").split("\n")
    assert code == 2 and said == "" and sentence in first
    if excerpt:
        assert excerpt in rest[0] and rest[1].strip() == "^" * len(rest[1].strip())


def test_a_hostile_file_is_stopped_and_options_of_files_are_for_files(call, tmp_path):
    # what the engine would be at for a long time: the inverse of a large symbolic matrix
    n = range(12)
    rows = [" + ".join(f"sin(a{i}*b{j})*y{j}" for j in n) for i in n]
    names = {w: ", ".join(f"{w}{i}" for i in n) for w in "yab"}
    field = ", ".join(f"y{i}' = {row}" for i, row in enumerate(rows))
    lines = [f"blocks {names['y']}", f"parameters {names['a']}, {names['b']}", f"field a: {field}"]
    (tmp_path / "slow.ode").write_text("\n".join([*lines, "output y0", "scheme cayley"]))
    values = [
        part for s in ("h", *(f"{w}{i}" for w in "ab" for i in n)) for part in ("--set", f"{s}=1")
    ]
    given = ["--steps", "1", "--x0", "1", *values, "--time-limit", "3"]
    code, _, error = call("simulate", tmp_path / "slow.ode", *given)
    assert code == 2 and "took longer than 3 s" in error
    code, _, error = call("portrait", "heavy_ball", "--curvature", "1", "--scheme", LIE)
    assert code == 2 and "--scheme is for a system file" in error


@pytest.mark.parametrize("command", ["simulate", "portrait"])
def test_help_has_an_example(call, command):
    code, said, _ = call(command, "--help")
    assert code == 0 and f"odescent {command} " in said
