"""Training: against plain diffrax and optax by hand, the order of the rows, failures, dt0, budgets, comparisons."""

import functools
import json
from dataclasses import dataclass
from typing import ClassVar

import diffrax as dfx
import equinox as eqx
import hand_loops
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hand_loops import coefficients
from small_tasks import FIELDS, Small, Weights

import odescent as od
from odescent import OdescentError
from odescent.neural_de import Config, Losses, Rows, TrainingFailed, compare, solve, train
from odescent.neural_de.training.evaluation import Evaluation

pytestmark = pytest.mark.promotion
SMALL = Config("small")


def leaves(tree):
    return [np.asarray(x) for x in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]


@functools.cache
def objective():
    """`Small`'s loss on all rows, by plain diffrax."""
    rows = Small().rows(SMALL)
    x, y = jnp.asarray(rows.train["x"]), jnp.asarray(rows.train["y"])

    def loss(rate):
        sol = dfx.diffeqsolve(
            dfx.ODETerm(lambda t, u, a: a * u), dfx.Heun(), 0.0, 1.0, 0.05, x, rate, max_steps=64,
            stepsize_controller=dfx.PIDController(rtol=1e-3, atol=1e-3), adjoint=dfx.DirectAdjoint(),
        )  # fmt: skip
        return jnp.mean((sol.ys[-1] - y) ** 2)

    return jax.jit(loss)


@functools.cache
def gradient():
    return jax.jit(jax.grad(objective()))


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


def extragradient(L, steps):
    operator = lambda x: np.asarray(gradient()(x))
    return hand_loops.extragradient(operator, np.asarray(0.5), steps, L)[-1]


def lbfgs(steps):
    """With the line search of optax, which asks for losses and gradients of the same batch elsewhere."""
    peer, f = optax.lbfgs(1.0), objective()
    rate = jnp.asarray(0.5)
    state = peer.init(rate)

    @jax.jit
    def moved(state, rate):
        value, g = f(rate), gradient()(rate)
        change, state = peer.update(g, state, rate, value=value, grad=g, value_fn=f)
        return state, optax.apply_updates(rate, change)

    for _ in range(steps):
        state, rate = moved(state, rate)
    return rate


BOUNDS = {"mu": 2.0, "L": 18.0}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"optimizer": "adam", "learning_rate": 0.1}, lambda: adam(8)),
        ({"optimizer": "nesterov_sc", "optimizer_options": BOUNDS}, lambda: nesterov(2, 18, 8)),
        ({"optimizer": "triple_momentum", "optimizer_options": BOUNDS}, lambda: triple_momentum(2, 18, 8)),
        ({"optimizer": "extragradient", "optimizer_options": {"L": 18.0}}, lambda: extragradient(18, 8)),
        ({"optimizer": "lbfgs", "learning_rate": 1.0}, lambda: lbfgs(8)),
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


def test_an_optimizer_with_noise_takes_its_key_as_a_number(tmp_path):
    """Unadjusted Langevin on a still loss: increments sqrt(2 h) N(0, 1), others for another key, and resumable."""
    config = SMALL.replace(steps=8, optimizer="odescent:unadjusted_langevin", checkpoint_every=3)
    task = Small("still", "rows", n=4)
    runs = [
        train(config.replace(optimizer_options={"h": 1e-4, "key": k}), task=task, out=tmp_path / f"{k}")
        for k in (0, 1)
    ]  # fmt: skip
    a, b = (leaves(r.model)[0] for r in runs)
    moved = np.concatenate([a, b]) / np.sqrt(
        2e-4 * np.array([r.best["step"] for r in runs]).repeat(4)
    )
    assert not np.allclose(a, b) and 0.2 < np.std(moved) < 3
    again = train(runs[0].config, task=task, out=tmp_path / "0", resume=True)
    assert np.array_equal(leaves(again.model)[0], a)
    for bad in ({"h": 1e-4}, {"h": 1e-4, "key": "x"}):
        with pytest.raises(OdescentError, match="draws noise: give its option key"):
            train(config.replace(optimizer_options=bad), task=task)


@pytest.mark.parametrize(
    ("name", "asked"), [("proximal_point", "prox"), ("newton", "hvp")]
)  # fmt: skip
def test_an_optimizer_that_asks_for_more_than_gradients_is_refused(name, asked):
    options = {} if name == "newton" else {"h": 0.1}
    with pytest.raises(OdescentError, match=f"{name} needs {asked} at every step"):
        train(SMALL.replace(optimizer=name, optimizer_options=options), task=Small())


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
    assert (tmp_path / "run" / "checkpoint.npz").exists()
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


def test_weights_that_were_just_validated_are_not_calibrated_again(monkeypatch):
    """Three validations, and the test only where other weights than the last ones are the best."""
    done, real = [], Evaluation.calibrated

    def calibrated(self, model, dtype):
        done.append(model)
        return real(self, model, dtype)

    monkeypatch.setattr(Evaluation, "calibrated", calibrated)
    config = SMALL.replace(steps=2, validate_every=1, dt0="calibrated", skips=9)
    for rate, last in ((0.1, True), (1e3, False)):  # it learns, or it runs away
        done.clear()
        found = train(config.replace(learning_rate=rate), task=Small())
        assert (found.best["step"] == 2) is last and len(done) == (3 if last else 4)
        after = [h["validation"]["dt0"] for h in found.history if "validation" in h]
        assert found.test["dt0"] == after[found.best["step"]]


def test_a_budget_moves_the_coefficient_towards_its_target():
    """With more evaluations than wanted log lambda rises by 0.1 a step, and by 3 times the mean violation.

    Of it the share exp(1 - 1 / near) is applied, where near is a mean that starts at 0.
    """
    config = SMALL.replace(regularizer="steps", target_nfe=1, steps=3)
    seen = [r["coefficient"] for r in train(config, task=Small()).history if "loss" in r]
    mean = 1 - 0.9 ** np.arange(1, 4)  # of violations 1, each with a tenth of the weight
    np.testing.assert_allclose(
        np.log(np.divide(seen, 0.01)), 0.1 * np.arange(1, 4) + 3 * mean + 1 - 1 / mean, rtol=1e-5
    )


@dataclass(frozen=True)
class Counted(Small):
    """`Small`, noting when its loss is traced: for training or not."""

    traced: ClassVar[list[bool]] = []

    def loss(self, model, batch, **options):
        self.traced.append(options["training"])
        return super().loss(model, batch, **options)


def test_a_sweep_compiles_one_update_and_one_evaluation():
    """Coefficients, schedules, first steps, seeds and budgets are arguments; the penalty follows each of them."""
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
    for target, start in ((9, 0.1), (7, 10.0)):
        train(base.replace(target_nfe=target, coefficient=start), task=Counted())
    assert Counted.traced.count(True) == 3  # one more for all budgets
    paid = {c: [r["penalty"] for r in run.history if "loss" in r] for c, run in runs.items()}
    # the weights stand still, so that penalties are proportional to coefficients: c (end / c)^(k / steps)
    np.testing.assert_allclose(np.divide(paid[3.0, None], paid[0.1, None]), 30, rtol=1e-5)
    falls = np.divide(paid[3.0, 0.03], paid[3.0, None])
    np.testing.assert_allclose(falls, 0.01 ** (np.arange(4) / 4), rtol=1e-5)


@dataclass(frozen=True)
class Each(Small):
    """`Small` with its rows solved one by one."""

    def loss(self, model, batch, *, key, step, training, **options):
        solved = solve(
            FIELDS[self.field], batch["x"], 0.0, 1.0, model, solver=dfx.Heun(), adjoint=dfx.DirectAdjoint(), key=key,
            per_sample=True, **options,
        )  # fmt: skip
        return Losses(jnp.mean((solved.last - batch["y"]) ** 2), {}, solved)


def test_rows_may_be_solved_one_by_one():
    """Evaluations and penalty of a step are the means over solves of single rows; the shortest first step is kept."""
    task = Each(rate=2.5)
    config = SMALL.replace(regularizer="error", coefficient=0.5, max_steps=64, precision="float64")
    run = train(config.replace(steps=2, dt0="warm"), task=task)
    first = run.history[1]
    x = np.sort(task.rows(config).train["x"])
    alone = [
        od.neural_de.solve(
            FIELDS["linear"], jnp.asarray([v]), 0.0, 1.0, Weights(jnp.zeros(4), 2.5), solver=dfx.Heun(), rtol=1e-3,
            atol=1e-3, dt0=0.01, regularizer=od.neural_de.error(), max_steps=64,
        )
        for v in x
    ]  # fmt: skip
    costs = [int(s.statistics.drift_evaluations) for s in alone]
    assert len(set(costs)) > 1 and first["nfe"] == np.mean(costs)
    assert first["penalty"] == pytest.approx(0.5 * np.mean([s.penalty for s in alone]), rel=1e-9)
    carried = [od.neural_de.WarmStart(0.01).updated(s.statistics).dt0 for s in alone]
    assert first["dt0"] == pytest.approx(float(min(carried)), rel=1e-9)
    budget = SMALL.replace(steps=2, regularizer="steps", target_nfe=20, max_steps=64)
    assert np.isfinite(train(budget, task=task).test["nfe"])
    with pytest.raises(TrainingFailed, match=r"used up its 9 steps at t = 0\.\d+ .*E = "):
        train(config.replace(max_steps=9), task=task)


@dataclass(frozen=True)
class WithNumber(Small):
    """The model has a plain number beside its weights, as `equinox.nn.Dropout` has its rate."""

    def model(self, config, rows, key, dtype):
        return {"weights": super().model(config, rows, key, dtype), "factor": 3.0}

    def loss(self, model, batch, **options):
        return super().loss(
            eqx.tree_at(lambda m: m.rate, model["weights"], model["weights"].rate * model["factor"] / 3),
            batch, **options,
        )  # fmt: skip


def test_plain_numbers_of_a_model_are_no_weights(tmp_path):
    config = SMALL.replace(steps=4, optimizer="adam", learning_rate=0.1)
    run = train(config, task=WithNumber(), out=tmp_path)
    assert run.model["factor"] == 3.0 and isinstance(run.model["factor"], float)
    expected = train(config, task=Small()).model.rate
    np.testing.assert_allclose(run.model["weights"].rate, expected, rtol=1e-6)
    found = od.neural_de.load_trained(tmp_path, task=WithNumber()).model
    assert found["factor"] == 3.0 and found["weights"].rate == run.model["weights"].rate
    views = od.neural_de.inspect(
        run
    )  # the task sets its solver itself: a profile knows it, no other can be taken
    assert abs(views["steps"].stability - 2) < 1e-6 and views["evaluations"].together > 0
    assert "sets solver= of solve itself" in views["left out"]["solvers"]


@dataclass(frozen=True)
class Wrong(Small):
    """`Small` with one thing wrong."""

    what: str = ""
    score: ClassVar[str] = "loss"

    def rows(self, config):
        good = super().rows(config)
        bad = {"ragged": {**good.train, "z": np.ones(3)}, "none": {}}.get(self.what, good.train)
        return Rows(bad, good.validation, good.test)

    def loss(self, model, batch, **options):
        out = super().loss(model, batch, **options)
        return {
            "solved": out.solved, "loss": Losses(batch["x"], {}, out.solved),
            "metric": Losses(out.loss, {"m": batch["x"]}, out.solved),
        }.get(self.what, out)  # fmt: skip


class Unscored(Small):
    score = "accuracy"


class Open(Small):
    defaults: ClassVar = {"steps": 3, "optimizer": "sgd", "learning_rate": 0.1, "batch": 4}


@pytest.mark.untyped
def test_a_task_of_your_own_that_does_not_fit_is_refused():
    for task, part in (
        (Wrong(what="ragged"), r"arrays of train must have one length.*'z': 3"),
        (Wrong(what="none"), "train must have one length, at least 1, not none"),
        (Wrong(what="solved"), "the value of the loss of small must be Losses"),
        (Wrong(what="loss"), r"loss of small is one number per batch, and this one has the shape \(4,\)"),
        (Wrong(what="metric"), "m of small is one number per batch"),
        (Unscored(), "no metric of small to be its score called 'accuracy'"),
        (Open(), "the task small leaves rtol, atol, max_steps without a value"),
        (Small, "task of train must be a Task or None"),
    ):  # fmt: skip
        with pytest.raises(OdescentError, match=part):
            train(SMALL, task=task)
    with pytest.raises(OdescentError, match="must be a Config"):
        train("small", task=Small())


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
        (Config("spirals-ode", batch=10**6), "batch must be at most 1080"),
        (Config("spirals-ode", devices=99), "99 is more than the"),
        (Config("spirals-ode", paper=2021), "the papers have no settings for spirals-ode"),
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
    for own in (
        {"optimizer": "adam"},
        {"learning_rate": 0.1},
        {"schedule": "cosine"},
        {"optimizer_options": {"b1": 0.5}},
    ):
        with pytest.raises(OdescentError, match=f"not both: leave out {next(iter(own))}, "):
            train(SMALL.replace(**own), task=Small(), optimizer=optax.adam(0.1))
    assert "train" in od.neural_de.__all__
