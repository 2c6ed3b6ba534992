"""The registered tasks that read files or draw noise, on data small enough to be made here."""

import jax
import numpy as np
import pytest

from odescent import OdescentError
from odescent.neural_de import Config, Rows, train
from odescent.neural_de.tasks import TASKS


def losses(run):
    return [r["loss"] for r in run.history if "seconds" in r]


def test_a_latent_ode_learns_a_series(tmp_path, monkeypatch):
    """Two variables, seen at irregular hours: the mean squared error falls to a third at least."""
    rng, n = np.random.default_rng(0), 40
    events = [(60 * h, v) for h in range(0, 49, 4) for v in (0, 1)]
    seen = [[e for e in events if rng.uniform() < 0.7] for _ in range(n)]
    flat = [e for one in seen for e in one]
    minute, var = np.array(flat, np.uint16).T
    value = np.where(var == 0, np.cos(minute / 2880 * 3), minute / 2880).astype(np.float32)
    outcome = np.zeros((n, 5), np.int16)
    np.savez(
        tmp_path / "physionet2012.npz", offsets=np.cumsum([0, *map(len, seen)]), minute=minute,
        var=var.astype(np.uint8), value=value, outcome=outcome,
    )  # fmt: skip
    monkeypatch.setenv("ODESCENT_DATA", str(tmp_path))
    sizes = {"latent": 3, "hidden": 8, "width": 6, "layers": 1, "units": 8}
    config = Config(
        "physionet-latent-ode", steps=60, batch=16, rtol=1e-2, model_options=sizes, validate_every=20,
        regularizer="error", coefficient=0.1, validation=0.25,
    )  # fmt: skip
    run = train(config)
    first = next(r["validation"]["mse"] for r in run.history if "validation" in r)
    assert run.best["mse"] < first / 3 and run.test["mse"] < first / 2 and run.test["nfe"] > 0


def test_a_neural_sde_classifies_what_is_plain(tmp_path, monkeypatch):
    """Images that are dark or bright: two classes, told apart after a few steps in spite of the noise."""
    y = np.arange(60) % 2
    x = np.broadcast_to((y * 255).astype(np.uint8)[:, None, None], (60, 28, 28))
    np.savez(tmp_path / "mnist.npz", x_train=x, y_train=y, x_test=x[:20], y_test=y[:20])
    monkeypatch.setenv("ODESCENT_DATA", str(tmp_path))
    config = Config(
        "mnist-sde",
        steps=20,
        batch=20,
        validate_every=10,
        validation=1 / 3,  # as many rows as there are to test, so that one program serves both
        model_options={"dimension": 3, "hidden": [4]},
    )
    run = train(config)
    assert run.test["accuracy"] == 1 and losses(run)[-1] < 0.5 * losses(run)[0]


def test_digits_are_the_same_for_an_ode_and_an_sde():
    """One data set, two models: ten logits from 64 pixels, and the papers' settings for neither."""
    found = {n: TASKS.build(n).rows(Config(n)) for n in ("digits-ode", "digits-sde")}
    assert found["digits-sde"].digest == found["digits-ode"].digest
    config, rows = Config("digits-sde", paper=2023), found["digits-sde"]
    model = TASKS.build("digits-sde").model(config, rows, jax.random.key(0), np.float32)
    assert (model.embed.weight.shape, model.head.weight.shape) == ((64, 32), (32, 10))
    with pytest.raises(OdescentError, match="the papers have no settings for digits-sde"):
        train(config)


def test_options_of_models_are_checked():
    for name in TASKS.names():
        part = {"x": np.zeros((4, 49, 3) if "latent" in name else (4, 3))}
        rows, config = Rows(part, part, part, classes=2), Config(name, model_options={"depth": 1})
        with pytest.raises(OdescentError, match="no model option 'depth'"):
            TASKS.build(name).model(config, rows, jax.random.key(0), np.float32)
    three = {"x": np.zeros((4, 3))}
    rows, config = Rows(three, three, three), Config("digits-ode", model_options={"channels": [2]})
    with pytest.raises(OdescentError, match="square images"):
        TASKS.build("digits-ode").model(config, rows, jax.random.key(0), np.float32)


@pytest.mark.untyped
@pytest.mark.parametrize("hidden", ["abc", 3.5, [4, 0], [2.5]])
def test_widths_of_layers_are_checked(hidden):
    two = {"x": np.zeros((4, 2))}
    rows = Rows(two, two, two, classes=2)
    config = Config("spirals-ode", model_options={"hidden": hidden})
    with pytest.raises(
        OdescentError, match=r"widths of layers must be positive whole|hidden of .* must be a list"
    ):
        TASKS.build("spirals-ode").model(config, rows, jax.random.key(0), np.float32)
