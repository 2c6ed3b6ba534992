"""Checkpoints: the same bits after a kill, and no damaged, foreign or older file taken for one's own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small_tasks import Small

import odescent as od
from odescent import OdescentError
from odescent._support.errors import OdescentWarning
from odescent.neural_de import Config, load_trained, train
from odescent.neural_de.optimizers.by_name import Optimizer
from odescent.neural_de.training import checkpoints, run_folder
from odescent.neural_de.training.fingerprint import fingerprint

# a random end of the interval, Adam, a carried first step: key, optimizer and order of the rows all matter
DIGITS = Config(
    "digits-ode", steps=36, batch=32, rtol=1e-3, validate_every=12, checkpoint_every=4, dt0="warm",
    model_options={"hidden": [8]}, regularizer="steer", regularizer_options={"width": 0.3}, max_steps=32,
    validation=0.2505,  # 360 rows, as many as there are to test: one program serves both
)  # fmt: skip


def bits(run):
    """The weights, and the history and test metrics without what the clock says."""
    clock = ("seconds", "step_seconds", "prediction_seconds")
    plain = lambda record: {k: v for k, v in record.items() if k not in clock}
    arrays = [np.asarray(x).tobytes() for x in jax.tree.leaves(eqx.filter(run.model, eqx.is_array))]
    return arrays, [plain(r) for r in run.history], plain(run.test), run.best


@pytest.fixture(scope="module")
def whole():
    return bits(train(DIGITS))


def test_an_interrupted_run_ends_in_the_same_bits(whole, tmp_path):
    def stop(done, total, record):
        if done == 18:  # neither a checkpoint nor a validation
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="after step 17 of 36; run again with the same"):
        train(DIGITS, out=tmp_path, progress=stop)
    run = train(DIGITS, out=tmp_path, resume=True)
    assert bits(run) == whole
    lines = [json.loads(x) for x in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == run.history
    # a finished run is returned as it is: the test rows are not looked at again
    said = run_folder._RESULT.load(tmp_path / "result.json")
    run_folder._RESULT.save(
        tmp_path / "result.json", {**said, "test": {**said["test"], "loss": 123.0}}
    )
    assert train(DIGITS, out=tmp_path, resume=True).test["loss"] == 123.0
    with pytest.raises(OdescentError, match="holds a run already"):
        train(DIGITS, out=tmp_path)
    with pytest.raises(OdescentError, match=r"its coefficient is 1\.0, not 0\.2"):
        train(DIGITS.replace(coefficient=0.2), out=tmp_path, resume=True)
    with pytest.raises(OdescentError, match="its seed is 0, not 1"):
        train(DIGITS.replace(seed=1), out=tmp_path, resume=True)


def test_a_killed_process_goes_on_to_the_same_bits(whole, tmp_path):
    code = (
        "import sys, time, jax; jax.config.update('jax_enable_x64', True)\n"
        "from odescent.neural_de import Config, train\n"
        "slow = lambda done, total, record: time.sleep(0.2 if done > 6 else 0)\n"
        "train(Config.from_json(sys.argv[1]), out=sys.argv[2], progress=slow)\n"
    )
    folder = tmp_path / "run"
    arguments = [sys.executable, "-c", code, DIGITS.to_json(), str(folder)]
    root = str(Path(__file__).parent.parent)
    same = {"PYTHONPATH": root, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}  # compiled as it is here
    process = subprocess.Popen(arguments, env={**os.environ, **same})
    metrics, deadline = folder / "metrics.jsonl", time.monotonic() + 240
    while not (metrics.exists() and '"step": 10,' in metrics.read_text()):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    with metrics.open("a") as file:
        file.write('{"step": 11, "loss": 0.')  # as a kill in the middle of a line leaves it
    assert not (folder / "result.json").exists()
    assert bits(train(DIGITS, out=folder, resume=True)) == whole


def tree(a=0.0):
    return {"a": jnp.arange(5.0) + a, "b": (jnp.asarray(3, jnp.int32), None, abs)}


def test_a_checkpoint_comes_back(tmp_path):
    file = tmp_path / "c.npz"
    checkpoints.save(file, tree(1.0), {"settings": {"x": 1}}, {"step": 7})
    found, notes = checkpoints.load(file, tree(), {"settings": {"x": 1}})
    assert np.array_equal(found["a"], np.arange(5) + 1.0) and notes == {"step": 7}
    assert [p.name for p in tmp_path.iterdir()] == ["c.npz"]  # no temporary file


def test_foreign_files_are_refused_and_another_machine_is_said(tmp_path, monkeypatch):
    file = tmp_path / "c.npz"
    checkpoints.save(file, tree(), {"data": "x"}, {})
    for like, identity, part in (
        (tree(), {"data": "y"}, "belongs to another run: its data is 'x', not 'y'"),
        ({"a": jnp.zeros(6), "b": tree()["b"]}, {"data": "x"}, r"a different model: .*\[5\].* \[6\]"),
        ({"a": jnp.zeros(5, jnp.float32), "b": tree()["b"]}, {"data": "x"}, "a different model: .*float64"),
        ({"a": jnp.zeros(5)}, {"data": "x"}, "2 arrays, not 1"),
    ):  # fmt: skip
        with pytest.raises(OdescentError, match=part):
            checkpoints.load(file, like, identity)
    with pytest.raises(OdescentError, match="cannot be read"):
        checkpoints.load(tmp_path / "none.npz", tree(), {})
    monkeypatch.setenv("XLA_FLAGS", "--xla_something")
    with pytest.warns(OdescentWarning, match="XLA_FLAGS '.*' then, '--xla_something' now"):
        checkpoints.load(file, tree(), {"data": "x"})


def test_what_a_run_goes_on_from_does_not_hang_on_its_metrics(tmp_path):
    """Lines that are lost are said and change no weight; scores that a budget compares with may not be lost."""
    often = {"validate_every": 3, "checkpoint_every": 4}
    base = Config("small", steps=12, regularizer="steps", max_steps=64, **often)
    budget, loss = base.replace(target_nfe=6), base.replace(max_accuracy_loss=0.01)
    begun, late = tmp_path / "begun", tmp_path / "late"

    def until(config, path, last):
        def stop(done, total, record):
            if done == last:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train(config, task=Small(), out=path, progress=stop)

    until(budget, begun, 6)
    shutil.copytree(begun, tmp_path / "fresh")
    lines = (begun / "metrics.jsonl").read_text().splitlines()
    (begun / "metrics.jsonl").write_text("\n".join([lines[2], "[" * 200_000]) + "\n")
    expected = bits(train(budget, task=Small()))
    with pytest.warns(OdescentWarning, match="lacks the records of 4 of the 5 steps"):
        found = bits(train(budget, task=Small(), out=begun, resume=True))
    assert found[0] == expected[0] and found[2:] == expected[2:]
    # a kill after a line of metrics and before the first checkpoint: the line is not there twice
    (tmp_path / "fresh" / "checkpoint.npz").unlink()
    train(budget, task=Small(), out=tmp_path / "fresh", resume=True)
    text = (tmp_path / "fresh" / "metrics.jsonl").read_text().splitlines()
    assert bits(train(budget, task=Small(), out=tmp_path / "fresh", resume=True)) == expected
    assert len(text) == len(expected[1])
    until(loss, late, 12 + 6)  # of the run itself; the one without regularizer is done
    text = (late / "without" / "metrics.jsonl").read_text().splitlines()
    (late / "without" / "metrics.jsonl").write_text("\n".join(text[:5] + text[6:]) + "\n")
    with (
        pytest.warns(OdescentWarning),
        pytest.raises(OdescentError, match="scores of 1 of the 12 steps"),
    ):
        train(loss, task=Small(), out=late, resume=True)


def test_other_data_are_noticed(tmp_path):
    """The same settings on rows that have changed since: refused."""
    config = Config("small", steps=1)
    train(config, task=Small(), out=tmp_path)
    with pytest.raises(OdescentError, match="its kind is 'fit', not 'end'"):
        train(config, task=Small(kind="end"), out=tmp_path, resume=True)
    with pytest.raises(OdescentError, match=r"its rate is 0\.5, not 0\.7"):
        train(config, task=Small(rate=0.7), out=tmp_path, resume=True)
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(OdescentError, match="is damaged or belongs to a different run"):
        train(config, task=Small(), out=tmp_path, resume=True)
    with pytest.raises(OdescentError, match="nothing to resume"):
        train(config, task=Small(), resume=True)
    (tmp_path / "checkpoint.eqx").touch()
    with pytest.raises(OdescentError, match=r"of an earlier version \(checkpoint.eqx\)"):
        train(config, task=Small(), out=tmp_path, resume=True)


TABLE = jnp.asarray(np.linspace(0.1, 0.0, 300))  # the same however a process compiles
OWN = {
    "adam": lambda: optax.adam(0.1),
    "another step": lambda: optax.adam(0.11),
    "another moment": lambda: optax.adam(0.1, b2=0.99),
    "a schedule": lambda: optax.adam(optax.cosine_decay_schedule(0.1, 100)),
    "that ends later": lambda: optax.adam(optax.cosine_decay_schedule(0.1, 101)),
    "a table": lambda: optax.adam(lambda k: TABLE[k]),
    "one entry of it": lambda: optax.adam(lambda k: TABLE.at[250].set(1.0)[k]),
    "a step in the state": lambda: optax.inject_hyperparams(optax.adam)(learning_rate=0.1),
    "another in the state": lambda: optax.inject_hyperparams(optax.adam)(learning_rate=0.11),
    "noise": lambda: optax.noisy_sgd(0.1, key=jax.random.key(0)),
    "other noise": lambda: optax.noisy_sgd(0.1, key=jax.random.key(1)),
    "clipped": lambda: optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1)),
    "clipped later": lambda: optax.chain(optax.clip_by_global_norm(2.0), optax.adam(0.1)),
    "ours": lambda: od.algorithm("nesterov_sc").to_optax(mu=1.0, L=10.0),
    "ours, tuned": lambda: od.algorithm("nesterov_sc").to_optax(mu=1.0, L=11.0),
}
WEIGHTS = {"a": jnp.ones((3, 2)), "b": jnp.ones(2)}


def prints() -> dict[str, str]:
    """The fingerprint of each optimizer, made anew."""
    made = {name: Optimizer(make()) for name, make in OWN.items()}
    return {
        name: fingerprint(o, o.transformation.init(WEIGHTS), WEIGHTS) for name, o in made.items()
    }


def test_fingerprints_of_optimizers_tell_them_apart_in_every_process():
    found = prints()
    assert len(set(found.values())) == len(OWN) and found == prints()
    code = "import json, test_neural_checkpoints as t; print(json.dumps(t.prints()))"
    here = Path(__file__).resolve().parent
    path = os.pathsep.join([str(here), str(here.parent)])
    same = {
        "PYTHONPATH": path,
        "PYTHONHASHSEED": "7",
        "JAX_ENABLE_X64": str(int(checkpoints.has_x64())),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, **same},
    )  # fmt: skip
    assert json.loads(done.stdout) == found


def test_a_run_is_not_resumed_with_another_optimizer(tmp_path, monkeypatch):
    config = Config("small", steps=6, checkpoint_every=2)
    make = lambda rate: optax.inject_hyperparams(optax.adam)(learning_rate=rate)
    whole = train(config, task=Small(), optimizer=make(0.1))

    class Stop(Exception):
        pass

    def stop(done, total, record):
        if done == 5:
            raise Stop

    with pytest.raises(Stop):
        train(config, task=Small(), optimizer=make(0.1), out=tmp_path, progress=stop)
    for other in (make(0.2), optax.adam(0.1)):
        with pytest.raises(OdescentError, match="belongs to another run: its optimizer is another"):
            train(config, task=Small(), optimizer=other, out=tmp_path, resume=True)
    again = train(config, task=Small(), optimizer=make(0.1), out=tmp_path, resume=True)
    assert again.model.rate == whole.model.rate
    with pytest.raises(OdescentError, match="its optimizer is another"):
        load_trained(tmp_path, task=Small(), optimizer=make(0.2))
    there = {**checkpoints.environment(), "jax": "0.0"}  # it may trace otherwise
    monkeypatch.setattr(checkpoints, "environment", lambda: there)
    with pytest.warns(OdescentWarning, match="whether its optimizer is the same is not known"):
        found = train(config, task=Small(), optimizer=make(0.2), out=tmp_path, resume=True)
    assert found.model.rate == whole.model.rate  # it had ended
