"""The command train: what it prints, writes and refuses."""

import functools
import json
import os

import numpy as np
import pytest
import schemas

from odescent.cli import app
from odescent.neural_de.tasks.data import spiral_sde_moments


@pytest.fixture
def call(capsys):
    def run(*args):
        with pytest.raises(SystemExit) as done:
            app([str(a) for a in args])
        said = capsys.readouterr()
        return done.value.code, said.out, said.err

    return run


@pytest.mark.promotion
def test_it_trains_writes_and_resumes(call, tmp_path):
    folder = tmp_path / "run"
    args = [
        "train", "spirals-ode", "--regularizer", "error", "--coefficient", "1/10", "--steps", "8", "--batch", "16",
        "--tolerance", "1e-2", "--optimizer", "gradient_descent", "--set", "L=20", "--set", "model.hidden=6,6",
        "--set", "regularizer.kind=scaled", "--out", folder,
    ]  # fmt: skip
    code, said, _ = call(*args, "--json")
    value = schemas.check(json.loads(said))
    assert code == 0 and value["schema"] == "odescent.train/1"
    settings = value["settings"]
    assert settings["coefficient"] == 0.1 and settings["rtol"] == settings["atol"] == 0.01
    assert settings["model_options"] == {"hidden": [6, 6]} and settings["optimizer_options"] == {
        "L": 20
    }
    assert settings["regularizer_options"] == {"kind": "scaled"}
    steps = [json.loads(x) for x in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [s["step"] for s in steps if "nfe" in s] == list(range(1, 9))
    # Tsit5: six evaluations per step, one more at the start, two to choose the first step
    assert all(s["nfe"] == 6 * (s["accepted"] + s["rejected"]) + 3 for s in steps if "nfe" in s)
    code, _, error = call(*args)
    assert code == 2 and "holds a run already" in error
    code, said, _ = call(*args, "--resume")
    assert code == 0 and said.startswith("spirals-ode: 8 steps") and str(folder) in said


def test_every_setting_has_an_option(call, tmp_path, monkeypatch):
    """Those of one run of a neural SDE, whose loss, the distance from the moments of the data, falls."""
    moments = functools.cache(spiral_sde_moments)  # 20,000 paths: made once for both of us
    monkeypatch.setattr("odescent.neural_de.tasks.spiral_moments.spiral_sde_moments", moments)
    # nor are the 40,000 of a validation needed to see that a loss falls
    monkeypatch.setattr("odescent.neural_de.tasks.spiral_moments.FRESH", 4000)
    monkeypatch.setenv("ODESCENT_DATA", "elsewhere")
    out = tmp_path / "run"
    args = [
        "train", "spiral-sde", "--steps", "30", "--batch", "20", "--tolerance", "0.1", "--regularizer", "error",
        "--coefficient", "1/100", "--final-coefficient", "1/400", "--brownian-tolerance", "1/64",
        "--schedule", "constant", "--clip", "10", "--precision", "float64", "--max-steps", "128",
        "--validate-every", "15", "--checkpoint-every", "15", "--skips", "1", "--data", tmp_path, "--out", out,
        "--set", "model.hidden=8,", "--json",
    ]  # fmt: skip
    code, said, error = call(*args)
    assert code == 0, error
    value = json.loads(said)
    found = value["settings"]
    assert os.environ["ODESCENT_DATA"] == str(tmp_path)
    wanted = {
        "final_coefficient": 0.0025, "brownian_tolerance": 1 / 64, "schedule": "constant", "clip": 10.0,
        "precision": "float64", "max_steps": 128, "validate_every": 15, "checkpoint_every": 15, "skips": 1,
    }  # fmt: skip
    assert {n: found[n] for n in wanted} == wanted
    rows = [json.loads(x) for x in (out / "metrics.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if "seconds" in row]
    times, means, _ = moments()
    still = np.mean((np.asarray([2.0, 0.0]) - means) ** 2)  # of paths that stay where they are
    test = value["test"]
    assert len(losses) == len(times) == 30 and np.mean(losses[-5:]) < losses[0]
    assert test["loss"] < 3 * still and test["noise"] > 0


@pytest.mark.parametrize(
    ("budget", "said_so"),
    [
        (["--target-nfe", "4"], "within the budget of 4 evaluations; this one, over it by"),
        (["--max-accuracy-loss", "1e-9", "--coefficient", "1e4"], None),
    ],
)
def test_a_budget_that_no_validation_met_is_said(call, budget, said_so):
    args = ["train", "spirals-ode", "--steps", "3", "--batch", "16", "--regularizer", "steps"]
    code, said, _ = call(*args, *budget)
    assert code == 0 and (said_so is None or said_so in " ".join(said.split()))
    code, said, _ = call(*args, *budget, "--json")
    best = schemas.check(json.loads(said))["best"]
    assert code == 0 and (best["excess"] > 0) == (said_so is not None)


def test_data_from_a_folder(call, tmp_path, monkeypatch):
    monkeypatch.delenv("ODESCENT_DATA", raising=False)
    code, _, error = call("train", "mnist-ode", "--data", tmp_path / "nowhere")
    assert code == 2 and "there is no folder" in error and "--data" in error
    monkeypatch.setenv("ODESCENT_DATA", "elsewhere")
    code, _, error = call("train", "mnist-ode", "--data", tmp_path)
    assert code == 2 and "no file mnist.npz" in error and str(tmp_path) in error


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["digit-ode"], "did you mean 'digits-ode'"),
        (["digits-ode", "--coefficient", "1"], "coefficient belongs to a regularizer"),
        (["digits-ode", "--regularizer", "eror"], "no regularizer 'eror'"),
        (["digits-ode", "--steps", "1.5"], "--steps takes whole numbers"),
        (["digits-ode", "--steps", "0"], "steps must be a whole number, at least 1, not 0"),
        (["digits-ode", "--dt0", "quick"], "no first step 'quick'"),
        (["digits-ode", "--tolerance", "-1"], "rtol must be a positive number"),
        (["digits-ode", "--set", "data.x=1"], "--set takes NAME, regularizer.NAME or model.NAME"),
        (["digits-ode", "--seed", "0,0"], "given twice"),
        (["digits-ode", "--resume"], "nothing to resume from"),
        (["digits-ode", "--paper", "2022"], "no experiment|the papers have no settings for"),
        (["digits-ode", "--devices", "99"], "99 is more than the"),
        (["digits-ode", "--regularizer", "error", "--target-nfe", "9", "--paper", "2021"], "leave target_nfe out"),
    ],
)  # fmt: skip
def test_bad_input_gets_a_sentence(call, arguments, part):
    import re

    code, said, error = call("train", *arguments)
    assert code == 2 and not said and re.search(part, error) and error.count("\n") == 1, error


def test_the_lists_name_tasks_and_regularizers(call):
    _, said, _ = call("list", "--json")
    value = json.loads(said)
    assert {e["name"] for e in value["tasks"]} >= {"digits-ode", "mnist-ode", "spiral-sde"}
    assert all(e["summary"] for kind in ("tasks", "regularizers") for e in value[kind])
