"""The commands simulate and portrait: what they print and write, against known iterates and portraits."""

import json

import numpy as np
import pytest

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


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["simulate", "gradient_flow"], "say for how long"),
        (["simulate", "nesterv"], "did you mean"),
        (["simulate", "nesterov_sc", "--steps", "2.5"], "--steps must be a whole number"),
        (["simulate", "nesterov_sc", "--x0", "1,2,3"], "3 numbers, but the objective has 2"),
        (["simulate", "nesterov_sc", "--out", "run.txt"], ".npz or .csv"),
        (["simulate", "nesterov_sc", "--set", "q=1"], "no parameter"),
        (["portrait", "nesterov_sc"], "either --curvature"),
        (["portrait", "nesterov_sc", "--curvature", "1", "--window", "1,2"], "X0,X1,Y0,Y1"),
        (["portrait", "nesterov_sc", "--curvature", "1", "--out", "p.bmp"], "a picture"),
        (["portrait", "nothing", "--curvature", "1"], "no algorithm 'nothing'"),
    ],
)
def test_bad_input(call, args, sentence):
    code, _, error = call(*args)
    assert code == 2 and sentence in error and error.count("\n") == 1


@pytest.mark.parametrize("command", ["simulate", "portrait"])
def test_help_has_an_example(call, command):
    code, said, _ = call(command, "--help")
    assert code == 0 and f"odescent {command} " in said
