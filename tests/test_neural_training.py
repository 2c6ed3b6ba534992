"""Training: against plain diffrax and optax by hand, the order of the rows, failures, dt0, budgets, comparisons."""

import functools
import json
from dataclasses import dataclass
from typing import ClassVar

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hand_loops import coefficients
from small_tasks import Small

import odescent as od
from odescent import OdescentError
from odescent.neural_de import Config, TrainingFailed, compare, train

pytestmark = pytest.mark.promotion
SMALL = Config("small")


def leaves(tree):
    return [np.asarray(x) for x in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]


@functools.cache
def gradient():
    """Of `Small`'s loss on all rows, by plain diffrax."""
    rows = Small().rows(SMALL)
    x, y = jnp.asarray(rows.train["x"]), jnp.asarray(rows.train["y"])

    def loss(rate):
        sol = dfx.diffeqsolve(
            dfx.ODETerm(lambda t, u, a: a * u), dfx.Heun(), 0.0, 1.0, 0.05, x, rate, max_steps=64,
            stepsize_controller=dfx.PIDController(rtol=1e-3, atol=1e-3), adjoint=dfx.DirectAdjoint(),
        )  # fmt: skip
        return jnp.mean((sol.ys[-1] - y) ** 2)

    return jax.jit(jax.grad(loss))


def nesterov(mu, L, steps):
    """x+ = y - g(y) / L, y+ = x+ + beta (x+ - x); its output is x."""
    beta = (1 - np.sqrt(mu / L)) / (1 + np.sqrt(mu / L))
    x = y = 0.5
    for _ in range(steps):
        new = y - gradient()(y) / L
        x, y = new, new + beta * (new - x)
    return x


def triple_momentum(mu, L, steps):
    """Its output is not where it asks for gradients, nor what it iterates."""
    alpha, beta, gamma, delta = coefficients("triple_momentum", mu, L)
    old = now = 0.5
    for _ in range(steps):
        g = gradient()((1 + gamma) * now - gamma * old)
        old, now = now, (1 + beta) * now - beta * old - alpha * g
    return (1 + delta) * now - delta * old


def adam(steps):
    peer = optax.adam(0.1)
    rate = jnp.asarray(0.5)
    state = peer.init(rate)
    for _ in range(steps):
        change, state = peer.update(gradient()(rate), state, rate)
        rate = optax.apply_updates(rate, change)
    return rate


BOUNDS = {"mu": 2.0, "L": 18.0}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({"optimizer": "adam", "learning_rate": 0.1}, lambda: adam(8), marks=pytest.mark.slow),
        ({"optimizer": "nesterov_sc", "optimizer_options": BOUNDS}, lambda: nesterov(2, 18, 8)),
        ({"optimizer": "triple_momentum", "optimizer_options": BOUNDS}, lambda: triple_momentum(2, 18, 8)),
    ],
)  # fmt: skip
def test_it_trains_as_a_loop_by_hand(settings, expected):
    """The weights after 8 steps, at the point that the method puts out."""
    config = SMALL.replace(
        steps=8, dt0=0.05, precision="float64", validate_every=8, max_steps=64, **settings
    )
    found = train(config, task=Small())
    assert found.best["step"] == 8  # the last validation is the best one
    np.testing.assert_allclose(found.model.rate, expected(), rtol=1e-11)
    assert abs(float(found.model.rate) - 0.5) > 0.1  # it moved


def test_each_epoch_takes_every_row_once():
    """The gradient of sum w[row] is 1 in the batch's rows: gradient descent counts how often each was taken."""
    config = Config("small", steps=9, learning_rate=1.0, validate_every=100)
    task = Small(field="still", kind="rows", n=12)
    found = {k: train(config.replace(steps=k), task=task) for k in (3, 4, 9)}
    final = {k: -leaves(run.model)[0] for k, run in found.items()}
    assert set(final[3]) == {1} and set(final[9]) == {3}
    assert sorted(final[4]) == [1] * 8 + [2] * 4
    other = -leaves(train(config.replace(steps=1, seed=1), task=task).model)[0]
    first = -leaves(train(config.replace(steps=1), task=task).model)[0]
    assert sorted(other) == sorted(first) and not np.array_equal(other, first)


@pytest.mark.parametrize(
    ("task", "reason", "check"),
    [
        (Small("undefined", "end", 1.0), "resolution", lambda f: abs(f.t - 0.5) < 1e-6),
        # y' = -3000 y: Heun's pair must take steps below 2 / 3000, and sees |J v| / |v| = 3000
        (Small("linear", "end", -3000.0), "max_steps",
         lambda f: abs(f.stiffness - 3000) < 1 and f.h < 2 / 3000 * 1.5 and f.accepted + f.rejected == 64),
        # the root of sum w^2 has no gradient at 0
        (Small("still", "root"), "gradient", lambda f: f.t is None and f.accepted > 0),
    ],
)  # fmt: skip
def test_a_failure_is_named_and_the_last_good_state_kept(task, reason, check, tmp_path):
    with pytest.raises(TrainingFailed, match="training stopped at step 0: ") as raised:
        train(SMALL.replace(max_steps=64), task=task, out=tmp_path / "run")
    failure = raised.value.failure
    assert failure.reason in reason.split("|") and check(failure), failure
    assert raised.value.model.rate == np.float32(task.rate)
    assert (tmp_path / "run" / "checkpoint.eqx").exists()
    noted = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert noted["failure"]["reason"] == failure.reason


def test_failures_may_be_passed_over():
    """Three bad batches in a row are skipped and noted, the fourth stops; the weights stay as they were."""
    task = Small("still", "root")
    run = train(SMALL.replace(steps=3, skips=3, validate_every=100), task=task)
    assert [r.get("skipped") for r in run.history if "loss" in r] == ["gradient"] * 3
    assert not leaves(run.model)[0].any()
    with pytest.raises(TrainingFailed, match="at step 3: the gradient is not finite"):
        train(SMALL.replace(steps=4, skips=3, validate_every=100), task=task)


def test_the_calibrated_first_step_is_the_cheapest():
    """Heun's pair follows y' = 1 exactly, so that one step over the whole interval is enough: 2 evaluations."""
    task = Small("constant", "end")
    found = train(SMALL.replace(steps=1, dt0="calibrated"), task=task)
    assert found.test["dt0"] == 1 and found.test["nfe"] == 2 and found.test["accepted"] == 1
    warm = train(SMALL.replace(steps=4, dt0="warm"), task=task)
    used = [r["dt0"] for r in warm.history if "loss" in r]
    # a step without an error grows tenfold, to the interval at most
    np.testing.assert_allclose(used[:2], [0.1, 1.0], rtol=1e-5)


def test_a_budget_moves_the_coefficient_towards_its_target():
    """With more evaluations than wanted log lambda rises by 0.1 a step, and by 3 times the mean violation."""
    config = SMALL.replace(regularizer="steps", target_nfe=1, steps=3)
    seen = [r["coefficient"] for r in train(config, task=Small()).history if "loss" in r]
    mean = 1 - 0.9 ** np.arange(1, 4)  # of violations 1, each with a tenth of the weight
    np.testing.assert_allclose(
        np.log(np.divide(seen, 0.01)), 0.1 * np.arange(1, 4) + 3 * mean, rtol=1e-5
    )


@dataclass(frozen=True)
class Counted(Small):
    """`Small`, noting when its loss is traced: for training or not."""

    traced: ClassVar[list[bool]] = []

    def loss(self, model, batch, **options):
        self.traced.append(options["training"])
        return super().loss(model, batch, **options)


def test_a_sweep_compiles_one_update_and_one_evaluation():
    """Coefficients, schedules, first steps and seeds are arguments; the penalty follows each of them."""
    base = SMALL.replace(regularizer="error+0.5*steps", learning_rate=1e-30, steps=4, dt0=0.1)
    runs = {
        (c, end): train(base.replace(coefficient=c, final_coefficient=end), task=Counted())
        for c, end in ((0.1, None), (3.0, None), (3.0, 0.03))
    }
    train(base.replace(regularizer="2*error+0.1*steps", seed=1, dt0="calibrated"), task=Counted())
    assert sorted(Counted.traced) == [False, True]
    train(base.without_penalty(), task=Counted())
    assert sorted(Counted.traced) == [
        False,
        True,
        True,
    ]  # without penalty, a program that pays for none
    paid = {c: [r["penalty"] for r in run.history if "loss" in r] for c, run in runs.items()}
    # the weights stand still, so that penalties are proportional to coefficients: c (end / c)^(k / steps)
    np.testing.assert_allclose(np.divide(paid[3.0, None], paid[0.1, None]), 30, rtol=1e-5)
    falls = np.divide(paid[3.0, 0.03], paid[3.0, None])
    np.testing.assert_allclose(falls, 0.01 ** (np.arange(4) / 4), rtol=1e-5)


def test_a_comparison_has_means_and_deviations():
    configs = [
        SMALL.replace(seed=s, **more)
        for more in ({}, {"regularizer": "error", "coefficient": 0.5})
        for s in (0, 1, 2)
    ]
    found = compare(configs, task=Small())
    vanilla, error = found.to_dict()["groups"]
    assert vanilla["label"] == "vanilla" and error["label"] == "error coefficient=0.5"
    losses = [r.test["loss"] for r in found.groups["vanilla"]]
    assert vanilla["test"]["loss"]["mean"] == pytest.approx(np.mean(losses))
    assert vanilla["test"]["loss"]["deviation"] == pytest.approx(np.std(losses, ddof=1))
    lines = str(found).splitlines()
    assert len({len(line) for line in lines}) == 1 and lines[1].endswith("1.00")
    for bad, part in (([], "nothing to compare"), ([SMALL, SMALL], "twice")):
        with pytest.raises(OdescentError, match=part):
            compare(bad, task=Small())


def test_what_does_not_fit_is_refused():
    for config, part in (
        (Config("digits-od"), "no task 'digits-od'"),
        (Config("small"), "no task"),
        (Config("spirals-ode", batch=10**6), "a batch has at most 1080 rows"),
        (Config("spirals-ode", devices=99), "devices, not 99"),
        (Config("spirals-ode", paper=2021), "the papers do not have spirals-ode"),
        (Config("spirals-ode", optimizer="adamm", learning_rate=1.0), "did you mean"),
        (Config("spirals-ode", optimizer="adam"), "needs a learning rate"),
        (Config("spirals-ode", optimizer="sgd", learning_rate=1.0, optimizer_options={"b": 1}), "option of sgd"),
        (Config("spirals-ode", optimizer="nesterov_sc", learning_rate=1.0), "follows from its tuning"),
        (Config("spirals-ode", regularizer="eror"), "no regularizer 'eror'"),
        (Config("spirals-ode", model_options={"depth": 3}), "no model option 'depth'"),
    ):  # fmt: skip
        with pytest.raises(OdescentError, match=part):
            train(config)
    with pytest.raises(OdescentError, match="the settings are for"):
        train(Config("digits-ode"), task=Small())
    with pytest.raises(OdescentError, match="not both"):
        train(SMALL.replace(optimizer="adam"), task=Small(), optimizer=optax.adam(0.1))
    assert "train" in od.neural_de.__all__
