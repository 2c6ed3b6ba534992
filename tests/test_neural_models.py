"""Data and models: splits and files, shapes and limits, and a budget met while training."""

import io
import os
from pathlib import Path

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import odescent as od
from odescent import OdescentError
from odescent.neural_de.models import networks as models
from odescent.neural_de.tasks import data
from odescent.neural_de.tasks.rows import count

nde = od.neural_de


def test_splits_are_disjoint_and_reproducible():
    a, b, c = (data.load("digits", seed=s) for s in (0, 0, 1))
    assert np.array_equal(a.train["x"], b.train["x"])
    assert not np.array_equal(a.test["x"], c.test["x"])
    parts = [a.train, a.validation, a.test]
    assert sum(map(count, parts)) == 1797 and count(a.test) == 360 and a.classes == 10
    from sklearn.datasets import load_digits

    # all rows are there once, each with its label
    rows = lambda x, y: sorted(map(bytes, np.column_stack([x, y]).astype(np.float32)))
    whole = load_digits()
    mine = rows(*(np.concatenate([p[n] for p in parts]) for n in "xy"))
    assert mine == rows(whole.data / 16, whole.target)


def test_spirals_do_not_mix():
    """A point's own radius tells its angle: on the clean curve, r = angle / 3 pi, plus half a turn for class 1."""
    split = data.load("spirals").train
    x, y = split["x"], split["y"]
    r, angle = np.hypot(*x.T), np.arctan2(x[:, 1], x[:, 0])
    off = (angle - 3 * np.pi * r - np.pi * y + np.pi) % (2 * np.pi) - np.pi
    assert np.mean(abs(off) < np.pi / 2) > 0.99


def test_files_are_checked(tmp_path, monkeypatch):
    monkeypatch.delenv("ODESCENT_DATA", raising=False)
    with pytest.raises(OdescentError, match="set the environment variable ODESCENT_DATA"):
        data.load("mnist")
    monkeypatch.setenv("ODESCENT_DATA", str(tmp_path))
    with pytest.raises(OdescentError, match=r"no file mnist\.npz"):
        data.load("mnist")
    target = tmp_path / "mnist.npz"
    small = {
        "x_train": np.full((20, 28, 28), 255, np.uint8), "y_train": np.arange(20) % 10,
        "x_test": np.zeros((5, 28, 28), np.uint8), "y_test": np.arange(5),
    }  # fmt: skip
    np.savez(target, **small)
    found = data.load("mnist")
    x = found.train["x"]
    assert len(x) == 18 and x.max() == 1 and x.dtype == np.float32
    whole = target.read_bytes()
    pickled = io.BytesIO()
    np.savez(pickled, **(small | {"y_test": np.array([{}] * 5, object)}))
    single = io.BytesIO()
    np.save(single, np.ones(3))
    damaged = {
        "damaged": whole[: len(whole) // 2], "cannot be read": b"not a zip", "empty": b"",
        "without pickle": pickled.getvalue(), "one array": single.getvalue(),
    }  # fmt: skip
    for content in damaged.values():
        target.write_bytes(content)
        with pytest.raises(OdescentError, match="damaged"):
            data.load("mnist")
    np.savez(target, **{k: v for k, v in small.items() if k != "y_test"})
    with pytest.raises(OdescentError, match="lacks y_test"):
        data.load("mnist")
    labels = small["y_train"]
    for bad in (
        {"x_test": np.zeros((5, 28, 27), np.uint8)}, {"y_train": labels - 5}, {"y_train": labels + 0.5},
        {"y_train": labels.astype(str)}, {"y_train": labels.astype(bool)}, {"y_train": np.array(3)},
    ):  # fmt: skip
        np.savez(target, **(small | bad))
        with pytest.raises(OdescentError, match="a different file"):
            data.load("mnist")
    for bad in ({"name": "minst"}, {"name": "digits", "validation": 1.0}):
        with pytest.raises(OdescentError):
            data.load(**bad)


def test_physionet_grid_by_hand(tmp_path, monkeypatch):
    """Two values within an hour are averaged; the scaling is that of the training rows."""
    n = 10
    np.savez(
        tmp_path / "physionet2012.npz",
        offsets=np.arange(0, 2 * n + 1, 2), minute=np.tile([55, 80], n).astype(np.uint16),
        var=np.zeros(2 * n, np.uint8), value=np.repeat(np.arange(n), 2).astype(np.float32) + np.tile([0, 2.0], n),
        outcome=np.tile([0, 0, 0, 0, 1], (n, 1)),
    )  # fmt: skip
    monkeypatch.setenv("ODESCENT_DATA", str(tmp_path))
    found = data.load("physionet", seed=3)
    both, mask = (np.concatenate([found.train[n], found.validation[n]]) for n in ("x", "mask"))
    assert mask.sum() == len(both) and mask[:, 1, 0].all() and found.fixed["times"][1] * 48 == 1
    assert both.min() == 0 and np.isclose(both.max(), 1) and np.all(found.train["y"] == 1)


def test_a_physionet_file_of_other_arrays_is_refused(tmp_path, monkeypatch):
    n = 10
    good = {
        "offsets": np.arange(0, 2 * n + 1, 2), "minute": np.tile([55, 80], n), "var": np.zeros(2 * n, int),
        "value": np.arange(2.0 * n), "outcome": np.tile([0, 0, 0, 0, 1], (n, 1)),
    }  # fmt: skip
    monkeypatch.setenv("ODESCENT_DATA", str(tmp_path))
    np.savez(tmp_path / "physionet2012.npz", **good)
    assert count(data.load("physionet").train) == 7
    value, minute, two = good["value"], good["minute"], np.arange(0, 21, 10)
    for bad, part in (
        ({"value": value * np.nan}, "finite"), ({"value": value.astype(str)}, "finite"),
        ({"value": value[None]}, "axis"), ({"value": value[:0], "offsets": np.zeros(n + 1, int)}, "finite"),
        ({"offsets": np.array(3)}, "whole numbers"),
        ({"offsets": good["offsets"][:, None]}, "whole numbers"), ({"offsets": good["offsets"] * 1.0}, "whole numbers"),
        ({"offsets": two, "outcome": good["outcome"][:2]}, "5 records at least"), ({"minute": minute - 60}, "minutes"),
        ({"minute": minute[:-1]}, "differ"), ({"var": good["var"] - 1}, "variables"),
        ({"var": good["var"] + 0.5}, "variables"),
        ({"offsets": good["offsets"][::-1]}, "differ"), ({"outcome": good["outcome"].astype(str)}, "outcomes"),
    ):  # fmt: skip
        np.savez(tmp_path / "physionet2012.npz", **(good | bad))
        with pytest.raises(OdescentError, match=f"a different file: .*{part}"):
            data.load("physionet")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_archive_is_refused_or_holds_what_it_held(tmp_path, monkeypatch, draws):
    """Whatever numpy, zipfile, zlib or the tokenizer of a header make of the bytes."""
    monkeypatch.setenv("ODESCENT_DATA", str(tmp_path))
    whole = {
        "x_train": np.arange(6 * 784, dtype=np.uint8).reshape(6, 28, 28), "y_train": np.arange(6),
        "x_test": np.zeros((2, 28, 28), np.uint8), "y_test": np.arange(2),
    }  # fmt: skip
    target = tmp_path / "mnist.npz"
    np.savez_compressed(target, **whole)
    expected, content = data.load("mnist"), bytearray(target.read_bytes())
    for place in draws.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=20)):
        content[place] ^= draws.draw(st.integers(1, 255))
    target.write_bytes(content[: draws.draw(st.integers(0, len(content)))])
    try:
        found = data.load("mnist")
    except OdescentError:
        return
    for a, b in ((found.train, expected.train), (found.test, expected.test)):
        assert all(np.array_equal(a[n], b[n]) for n in "xy")


@pytest.mark.skipif("ODESCENT_DATA" not in os.environ, reason="the real files are not here")
def test_the_real_files():
    """Counts that the publishers state."""
    if (Path(os.environ["ODESCENT_DATA"]) / "mnist.npz").is_file():
        m = data.load("mnist")
        assert np.bincount(m.test["y"]).tolist() == [
            980,
            1135,
            1032,
            1010,
            982,
            892,
            958,
            1028,
            974,
            1009,
        ]
    if (Path(os.environ["ODESCENT_DATA"]) / "physionet2012.npz").is_file():
        p = data.load("physionet")
        assert sum(s["y"].sum() for s in (p.train, p.validation, p.test)) == 554 + 585


def test_spiral_moments_begin_at_the_start_and_turn():
    t, mean, variance = data.spiral_sde_moments(paths=2000, times=11, substeps=20)
    assert np.allclose(mean[0], [2, 0]) and not variance[0].any() and t[-1] == 1
    # for a short time the mean follows the drift: A (2, 0)^3 = (-0.8, -16)
    assert -16 * t[1] * 1.1 < mean[1, 1] < -0.5 * 16 * t[1]


def test_spiral_moments_are_those_of_the_process():
    """Against diffrax's adaptive solution with other paths: what is left is the noise of 3000 of them, 2e-4."""
    times, means, variances = data.spiral_sde_moments()
    matrix = jnp.asarray([[-0.1, 2.0], [-2.0, -0.1]])
    start = jnp.tile(jnp.asarray([[2.0, 0.0]]), (3000, 1))
    solved = eqx.filter_jit(
        lambda key: nde.solve(
            lambda t, u, a: u**3 @ matrix.T - 0.02 * u, start, 0.0, 1.0, diffusion=lambda t, u, a: 0.2 * u,
            key=key, rtol=1e-3, atol=1e-3, max_steps=512, saveat=dfx.SaveAt(ts=jnp.asarray(times, start.dtype)),
        ).ys
    )  # fmt: skip
    paths = np.asarray(solved(jr.key(0)))
    off = paths.mean(1) - means, paths.var(1) - variances
    assert sum(np.mean(x**2) for x in off) < 6e-4


def test_models_have_the_papers_shapes():
    m = models.NeuralODEClassifier(784, [100], 10, jr.key(0))
    assert [layer.weight.shape for layer in m.field.layers] == [(785, 100), (101, 784)]
    with pytest.raises(OdescentError, match=r"\(batch, 784\), not \(2, 64\)"):
        m(jnp.zeros((2, 64), jnp.float32))
    with pytest.raises(OdescentError, match="positive"):
        models.TimeMLP(2, [0], jr.key(0))
    spiral = models.NeuralSDE(2, [50], jr.key(0), power=3)
    y = jnp.asarray([[2.0, -1.0]], jnp.float32)
    by_hand = (
        np.tanh(np.asarray(y) ** 3 @ spiral.drift.layers[0].weight) @ spiral.drift.layers[1].weight
    )
    assert np.allclose(spiral.drift(0.0, y), by_hand, rtol=1e-5)


def test_a_stochastic_classifier_whose_rows_are_solved_one_by_one():
    """Without noise both ways solve the same ODE, from three rows into three classes along two paths."""
    model = nde.NeuralSDEClassifier(4, 3, [5], 3, jr.key(0), dtype=jnp.float64)
    still = eqx.tree_at(lambda m: m.sde.diffusion.weight, model, jnp.zeros((3, 3)))
    x = jr.normal(jr.key(1), (3, 4))
    run = eqx.filter_jit(
        lambda **more: still(x, jr.key(2), paths=2, rtol=1e-4, atol=1e-4, **more)[0]
    )
    np.testing.assert_allclose(run(per_sample=True), run(), atol=1e-3)


def test_losses_against_optax():
    logits, labels = jr.normal(jr.key(0), (7, 4)), jnp.asarray([0, 1, 2, 3, 0, 1, 2])
    ours, theirs = (
        models.cross_entropy(logits, labels),
        optax.softmax_cross_entropy_with_integer_labels(logits, labels),
    )
    assert np.isclose(ours, jnp.mean(theirs))
    assert np.isclose(models.accuracy(logits, labels), np.mean(np.argmax(logits, 1) == labels))


@pytest.mark.promotion
def test_training_meets_a_budget_from_a_coefficient_a_hundred_times_off():
    """Digits, 200 steps: within one step (6 evaluations) of the budget from either side."""
    split = data.load("digits").train
    x, y = jnp.asarray(split["x"]), jnp.asarray(split["y"])
    optimizer = optax.adam(3e-3)
    target = 37  # six steps of Tsit5 and the first stage, of 49 and more without regularization

    @jax.jit
    def train(weights, state, budget, rows, dt0):
        model, xs, ys = weights, x[rows], y[rows]

        def loss(model):
            logits, out = model(
                xs,
                rtol=1e-6,
                atol=1e-6,
                dt0=dt0,
                regularizer=nde.steps(),
                max_steps=128,
                throw=False,
            )
            return models.cross_entropy(
                logits, ys
            ) + budget.coefficient * out.penalty, out.statistics

        (_, stats), g = jax.value_and_grad(loss, has_aux=True)(model)
        updates, state = optimizer.update(g, state)
        return (
            optax.apply_updates(model, updates),
            state,
            budget.updated(stats.drift_evaluations),
            stats,
        )

    for start in (1e-4, 1.0):
        model = models.NeuralODEClassifier(64, [16], 10, jr.key(0))
        state = optimizer.init(model)
        budget = nde.Budget(target_nfe=target, start=start)
        rng, last = np.random.default_rng(0), []
        for _ in range(200):
            rows = jnp.asarray(rng.choice(len(x), 32, replace=False))
            model, state, budget, stats = train(model, state, budget, rows, 0.05)
            last.append(int(stats.drift_evaluations))
        assert abs(np.median(last[-30:]) - target) <= 6, (
            start,
            last[-30:],
            float(budget.coefficient),
        )
