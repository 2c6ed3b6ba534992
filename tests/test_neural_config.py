"""Settings: JSON there and back, refusals, and what the papers and tasks fill in."""

import json

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from odescent import OdescentError
from odescent.neural_de import Config, Rows, task_names
from odescent.neural_de.settings.config import settings as settings_of_runs
from odescent.neural_de.tasks import TASKS
from odescent.neural_de.training.setup import resolved

positive = st.floats(1e-12, 1e6)
values = st.integers() | positive | st.text(max_size=3)
options = st.dictionaries(st.sampled_from("abc"), values, max_size=2)
settings = st.builds(
    Config,
    task=st.text(max_size=8),
    seed=st.integers(0, 2**40),
    steps=st.none() | st.integers(1, 10**9),
    learning_rate=st.none() | positive,
    optimizer_options=options,
    dt0=st.none() | positive | st.sampled_from(["hairer", "warm", "calibrated"]),
    precision=st.sampled_from(["float32", "float64"]),
)


@hypothesis.given(settings)
def test_json_there_and_back(config):
    again = Config.from_json(config.to_json())
    assert again == config and hash(again) == hash(config) and again.digest == config.digest
    assert json.loads(config.to_json()) == config.to_dict()


@hypothesis.given(settings, settings)
def test_other_settings_have_another_digest(a, b):
    assert (a.digest == b.digest) == (a == b)


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"steps": 0}, "steps must be a whole number, at least 1, not 0"),
        ({"steps": 1.5}, "steps must be a whole number"),
        ({"batch": True}, "batch must be a whole number"),
        ({"seed": -1}, "seed must be a whole number, at least 0"),
        ({"seed": 2**63}, r"below 2\^63"),
        ({"task": None}, "task must be a name, not None"),
        ({"regularizer": 3}, "regularizer must be a name, not 3"),
        ({"optimizer": 1.5}, "optimizer must be a name, not 1.5"),
        ({"rtol": 0.0}, "rtol must be a positive number, not 0.0"),
        ({"rtol": "small"}, "rtol must be a positive number, not 'small'"),
        ({"learning_rate": float("nan")}, "learning_rate must be a positive number"),
        ({"coefficient": 1.0}, "belongs to a regularizer"),
        ({"regularizer": "error", "final_coefficient": 1.0}, "starts at coefficient"),
        ({"precision": "float16"}, "no precision 'float16'"),
        ({"dt0": "warmer"}, "did you mean 'warm'"),
        ({"dt0": -1.0}, "dt0 must be a positive length"),
        ({"validation": 1.0}, "validation must be between 0 and 1"),
        ({"optimizer_options": {"a": object()}}, "optimizer_options must be numbers"),
        ({"stepz": 3}, "no setting 'stepz': did you mean 'steps'"),
    ],
)
def test_what_is_refused(given, part):
    said = {"task": "digits-ode", **given}
    with pytest.raises(OdescentError, match=part):
        Config("digits-ode").replace(**given)
    if all(isinstance(v, (str, int, float)) and v == v for v in given.values()):
        with pytest.raises(OdescentError, match=part):
            Config.from_json(json.dumps(said))


def test_the_command_has_an_option_for_each_setting():
    """None but Config says which settings there are; those without help have an option of another kind, or none."""
    from odescent._cli.group import made

    command = made("train")
    helps = {o: p.help for p in command.params for o in p.opts}
    for name, known in settings_of_runs().items():
        option = "--" + name.replace("_", "-")
        if known["option"]:
            assert helps[option] == known["option"]
        else:
            assert option not in helps or name in ("regularizer", "seed")
    assert set(settings_of_runs("penalty")) >= {"coefficient", "target_nfe", "max_accuracy_loss"}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"steps": 3}', '{"task": 3}', "null"])
def test_text_that_is_no_configuration(text):
    with pytest.raises(OdescentError, match="a JSON object with at least its task"):
        Config.from_json(text)


def rows(n):
    part = {"x": np.zeros((n, 1))}
    return Rows(part, part, part)


def test_the_papers_settings():
    """arXiv 2105.03918: 75 epochs of MNIST in batches of 512; arXiv 2303.02262: 7500 steps of Adam."""
    task = TASKS.build("mnist-ode")
    found = resolved(Config("mnist-ode", paper=2021, regularizer="ERNODE"), task, rows(54_000))
    assert (found.batch, found.steps, found.rtol, found.atol) == (512, 75 * 105, 1.4e-8, 1.4e-8)
    assert found.optimizer == "sgd" and found.optimizer_options == {"momentum": 0.9}
    assert found.rate()(0) == 0.1 and np.isclose(found.rate()(100_000), 0.05)
    found = resolved(Config("mnist-ode", paper=2023), task, rows(54_000))
    assert (found.steps, found.optimizer, found.learning_rate) == (7500, "adam", 1e-3)
    assert found.model_options == {"hidden": [100], "final": False}
    with pytest.raises(OdescentError, match="no regularizer of 2023"):
        resolved(Config("mnist-ode", paper=2023, regularizer="ERNODE"), task, rows(1000))
    spiral = TASKS.build("spiral-sde")
    assert resolved(Config("spiral-sde", paper=2021), spiral, rows(100)).steps == 250


@pytest.mark.parametrize("name", task_names())
def test_every_task_fills_in_what_is_open(name):
    task = TASKS.build(name)
    found = resolved(Config(name), task, rows(1000))
    needed = ("steps", "batch", "optimizer", "learning_rate", "rtol", "atol", "max_steps", "dt0")
    assert all(getattr(found, n) is not None for n in needed) and task.name == name
    assert resolved(found, task, rows(1000)) == found
    assert hash(task) == hash(TASKS.build(name))
    own = resolved(Config(name, rtol=0.25, learning_rate=7.0), task, rows(1000))
    assert own.atol == 0.25 and own.learning_rate == 7.0
