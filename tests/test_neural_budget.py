"""Sums of regularizers by name, and coefficients that are found while training."""

import json
from dataclasses import dataclass

import diffrax as dfx
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from small_tasks import Small

import odescent as od
from odescent import OdescentError
from odescent._support.store import difference
from odescent.neural_de import Budget, Config, load_trained, train
from odescent.neural_de.tasks.task import Losses

pytestmark = pytest.mark.promotion
nde = od.neural_de
SMALL = Config("small")


def a_solve(regularizer):
    return nde.solve(
        lambda t, y, a: jnp.sin(a * t) * y, jnp.ones(2), 0.0, 3.0, 2.0, solver=dfx.Dopri5(), rtol=1e-4, atol=1e-4,
        regularizer=regularizer, stiffness=("shampine", "jvp"),
    )  # fmt: skip


def test_a_sum_is_the_sum_of_its_terms():
    """Against the statistics of the solve: 0.1 sum E + 3 max S / 3.3066 + the number of steps."""
    found = nde.regularizer(
        "0.1*error + 3*stiffness+steps", error={"kind": "scaled"}, stiffness={"reduction": "max", "kind": "shampine"}
    )  # fmt: skip
    out = jax.jit(lambda: a_solve(found))()
    s = out.statistics
    size = 3.3066  # of Dopri5 on the negative axis (Hairer and Wanner)
    expected = 0.1 * s.error.sum + 3 * s.stiffness["shampine"].maximum / size + s.in_steps.sum
    np.testing.assert_allclose(out.penalty, expected, rtol=2e-5)
    assert type(nde.regularizer("error")) is type(nde.error())  # one alone is what it was


numbers = st.integers(1, 9999).map(lambda n: n / 100)
terms = st.dictionaries(st.sampled_from(nde.regularizers()), numbers, min_size=1)


@given(terms, st.booleans())
def test_a_config_spells_a_sum_in_one_way(chosen, spaced):
    join, star = (" + ", " * ") if spaced else ("+", "*")
    text = join.join(f"{c:.4f}{star}{name}" for name, c in chosen.items())
    config = Config("small", regularizer=text)
    again = Config("small", regularizer=config.regularizer)
    assert config == again and Config.from_json(config.to_json()) == config
    assert [part.rpartition("*")[2] for part in config.regularizer.split("+")] == list(chosen)
    for part, (name, c) in zip(config.regularizer.split("+"), chosen.items(), strict=True):
        assert part == (name if c == 1 else f"{c!r}*{name}")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "must be a name or a sum"), ("error+", "must be a name or a sum"),
        ("error-steps", "must be a name or a sum"), ("error*2", "must be a name or a sum"),
        ("__import__('os')", "must be a name or a sum"), ("+error", "must be a name or a sum"),
        ("0*error", "must be positive"), ("1/0*error", "must be a number"), ("error+2*error", "twice"),
        ("error+" * 60 + "error", "must be a name or a sum"),
    ],
)  # fmt: skip
def test_what_is_no_sum_is_refused(text, part):
    with pytest.raises(OdescentError, match=part):
        Config("small", regularizer=text)


def test_options_of_a_sum_stand_under_its_terms():
    for options, part in (
        ({"kind": "scaled"}, "no term of 'error[+]steps' with options 'kind'"),
        ({"error": "scaled"}, "options of error in a sum are given by name"),
        ({"steps": {"kind": 1}}, "no option of the regularizer 'steps' called 'kind'"),
    ):
        with pytest.raises(OdescentError, match=part):
            nde.regularizer("error+steps", **options)
    with pytest.raises(OdescentError, match="no regularizer 'eror'"):
        nde.regularizer("error+eror")


@pytest.fixture(scope="module")
def two_terms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sum")
    config = SMALL.replace(steps=2, regularizer="error+0.5*steps", coefficient=0.1, dt0=0.05)
    return config, train(config, task=Small(), out=folder), folder


def test_a_sum_trains_and_another_sum_does_not_take_its_checkpoint(two_terms):
    config, run, folder = two_terms
    first = run.history[1]
    by_hand = nde.solve(
        lambda t, y, m: 0.5 * y, jnp.asarray(Small().rows(config).train["x"], jnp.float32), 0.0, 1.0,
        solver=dfx.Heun(), rtol=1e-3, atol=1e-3, dt0=0.05,
    ).statistics  # fmt: skip
    expected = 0.1 * (by_hand.weighted.sum + 0.5 * by_hand.in_steps.sum)
    np.testing.assert_allclose(first["penalty"], expected, rtol=1e-3)
    for other in ("error+0.6*steps", "error", "steps+error"):
        with pytest.raises(OdescentError, match="its regularizer is"):
            train(config.replace(regularizer=other), task=Small(), out=folder, resume=True)


def test_a_run_comes_back_from_its_folder(two_terms):
    _, run, folder = two_terms
    found = load_trained(folder, task=Small())
    assert found.config == run.config and found.best == run.best and found.history == run.history
    np.testing.assert_array_equal(found.model.rate, run.model.rate)
    assert found.test == json.loads((folder / "result.json").read_text())["test"]
    with pytest.raises(OdescentError, match="there is no task 'small'"):
        load_trained(folder)
    with pytest.raises(OdescentError, match="cannot be read"):
        load_trained(folder / "nowhere")


def test_settings_that_an_older_version_did_not_know_are_none():
    """A checkpoint from before a setting existed is that of a run without it."""
    old, new = {"settings": {"a": 1}}, {"settings": {"a": 1, "max_accuracy_loss": None}}
    assert difference(old, new) is None and difference(old, {"settings": {"a": 1, "b": 0}})


@settings(max_examples=30)
@given(
    st.sampled_from([100.0, 0.01]), st.floats(0.2, 0.9), st.floats(1, 50), st.floats(-2.0, 2.0)
)  # fmt: skip
def test_a_budget_is_met_though_the_weights_lag_behind(wrong, power, lag, scale):
    """Evaluations relax towards 39 (lambda/right)^-power within `lag` updates; one step is 6 of them."""
    right = 10**scale
    budget = Budget(target_nfe=39, start=right * wrong, bounds=(1e-9, 1e9))

    def update(state, _):
        budget, cost = state
        wanted = jnp.clip(39 * (budget.coefficient / right) ** -power, 13, 200)
        cost = cost + (wanted - cost) / lag
        return (budget.updated(cost), cost), cost

    start = jnp.clip(39 * jnp.asarray(wrong) ** -power, 13, 200)
    _, costs = jax.lax.scan(update, (budget, start), length=600)
    assert jnp.abs(costs[-200:] - 39).max() < 6


def test_the_integral_alone_would_swing():
    """What the proportional term is for."""

    def spread(damping):
        budget, cost = Budget(target_nfe=39, start=1.0, damping=damping), jnp.asarray(39.0)
        for _ in range(600):
            wanted = jnp.clip(39 * (budget.coefficient / 0.01) ** -0.9, 13, 200)
            cost = cost + (wanted - cost) / 40
            budget = step(budget, cost)
            seen.append(float(cost))
        return np.ptp(seen[-200:])

    step, seen = jax.jit(lambda b, c: b.updated(c)), []
    swing = spread(1e-6)
    assert swing > 10 * spread(30.0)


@pytest.mark.parametrize("accuracy", [False, True])
def test_a_budget_that_was_met_by_itself_for_long_is_met_again_soon(accuracy):
    """Needed for 300 updates, not for the next 1000 (the coefficient runs away), and needed again."""
    target, right, far = (0.1, 1.0, 1e2) if accuracy else (39.0, 1e-2, 1e-2)
    budget = (
        Budget(max_accuracy_loss=target, start=100.0, sensitivity=4.0)
        if accuracy
        else Budget(target_nfe=target, start=1e-4)
    )
    power = 0.5 if accuracy else -0.5

    def update(state, free):
        budget, found = state
        held = jnp.clip(target * (budget.coefficient / right) ** power, 0, 1.2 * target)
        found = found + (jnp.where(free, 0.8 * target, held) - found) / 10
        return (budget.updated(found), found), (budget.coefficient / right, found / target)

    free = jnp.zeros(1500, bool).at[300:1300].set(True)
    begun = (budget, jnp.asarray(1.2 * target))
    _, (coefficient, found) = jax.lax.scan(update, begun, free)
    assert jnp.abs(found[250:300] - 1).max() < 0.05
    assert (coefficient[1299] / far > 1) == accuracy and abs(jnp.log10(coefficient[1299])) >= 2
    assert jnp.abs(found[1400:] - 1).max() < 0.1 and jnp.abs(found[1450:] - 1).max() < 0.05


@pytest.mark.parametrize("start", [1e-3, 0.1, 100.0])
def test_learning_comes_first(start):
    """A penalty ten times too large unlearns: what is learned grows without one, and evaluations with it.

    Were the penalty applied from the start, a hundred times too large, less than half were learned after 150 updates.
    """
    right = 0.1

    def update(state, _):
        budget, learned = state
        wrong = budget.coefficient / right
        grown = learned + jnp.where(wrong < 10, (1 - learned) * learned / 20, -learned / 10)
        cost = 13 + 6 * jnp.ceil(6 * grown * jnp.clip(wrong**-0.3, 0, 1.5))
        return (budget.updated(cost), jnp.maximum(grown, 1e-3)), (grown, cost)

    begun = (Budget(target_nfe=39, start=start), jnp.asarray(1e-2))
    _, (learned, cost) = jax.lax.scan(update, begun, length=400)
    assert learned[150] > 0.9
    assert jnp.abs(cost[-200:] - 39).max() <= 6 and cost[-200:].min() <= 39


@jax.jit
def updated_often(budget, measured, n):
    return jax.lax.fori_loop(0, n, lambda _, b: b.updated(measured), budget)


@given(st.floats(-4.0, 2.0), st.integers(0, 300), st.sampled_from([1, -1]))
def test_what_is_not_applied_is_not_blamed(scale, updates, sign):
    """Far within a budget of evaluations, or far below one of accuracy, nothing is penalized and lambda waits."""
    start, target = 10.0**scale, 39.0
    budget = (
        Budget(target_nfe=target, start=start, bounds=(1e-9, 1e9))
        if sign > 0
        else Budget(max_accuracy_loss=0.01, start=start, bounds=(1e-9, 1e9))
    )
    far, at = (target / 2, target) if sign > 0 else (0.5, 0.01)

    waited = updated_often(budget, far, updates)
    assert waited.coefficient < 1e-30
    np.testing.assert_allclose(waited.log_coefficient, np.log(start), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(updated_often(waited, at, 200).coefficient, start, rtol=1e-2)


@pytest.mark.parametrize("start", [1e-3, 10.0])
def test_one_evaluation_too_many_is_too_many(start):
    """Steps are few: 39 evaluations are all that is between 33 and 45. By its size alone it would last 400 updates."""

    def update(budget, _):
        cost = jnp.where(budget.coefficient < 0.1, 39.0, 33.0)
        return budget.updated(cost), cost

    _, cost = jax.lax.scan(update, Budget(target_nfe=38, start=start), length=600)
    assert jnp.argmax(cost < 38) < 200 and jnp.any(cost[-20:] < 38)


@dataclass(frozen=True)
class Growth(Small):
    """y' = rate y, with the loss (rate - 3)^2: a smaller rate costs fewer steps, and its loss is known."""

    def loss(self, model, batch, **options):
        found = super().loss(model, batch, **options)
        return Losses((model.rate - 3) ** 2, {}, found.solved)


GROWTH = Config(
    "small", steps=300, learning_rate=0.05, regularizer="steps", validate_every=20, max_steps=256, dt0=0.1,
)  # fmt: skip


def validations(run):
    return [(r["step"], r["validation"]) for r in run.history if "validation" in r]


@pytest.fixture(scope="module")
def vanilla():
    run = train(GROWTH.without_penalty(), task=Growth())
    assert abs(run.model.rate - 3) < 1e-3
    return run


@pytest.mark.parametrize("start", [1e-3, 10.0])
def test_training_ends_within_one_step_of_its_budget(start, vanilla):
    """Heun's pair makes two evaluations per step; the multiplier that is sought is of the order of a tenth."""
    target = 60
    run = train(GROWTH.replace(target_nfe=target, coefficient=start), task=Growth())
    last = [r["nfe"] for r in run.history if "nfe" in r][-40:]
    assert vanilla.test["nfe"] > target + 20
    assert max(abs(n - target) for n in last) <= 2, last
    within = [(v["loss"], k) for k, v in validations(run) if v["nfe"] <= target]
    assert run.best["step"] == min(within)[1] and run.test["nfe"] <= target


def test_weights_that_have_not_been_trained_are_not_what_a_budget_keeps():
    """A rate of 0.5 is within it, and no other: the penalty is too weak to bring the weights back to it."""
    weak = {"target_nfe": 1, "coefficient": 1e-8, "steps": 40, "learning_rate": 0.01}
    run = train(GROWTH.replace(**weak), task=Growth())
    (first, *others) = validations(run)
    assert first[0] == 0 and all(v["nfe"] > first[1]["nfe"] for _, v in others)
    assert run.best["step"] > 0


@dataclass(frozen=True)
class Scored(Growth):
    """With a score that is 1 as soon as the rate is 2."""

    score = "hit"
    sign = 1

    def loss(self, model, batch, **options):
        found = super().loss(model, batch, **options)
        return Losses(found.loss, {"hit": jnp.where(model.rate > 2, 1.0, 0.0)}, found.solved)


def test_of_equal_scores_within_a_budget_the_least_loss_is_kept():
    run = train(GROWTH.replace(target_nfe=60), task=Scored())
    within = [(v["hit"], -v["loss"], k) for k, v in validations(run) if v["nfe"] <= 60]
    hits = [k for hit, _, k in within if hit == max(within)[0]]
    assert len(hits) > 1 and run.best["step"] == max(within)[2] != hits[0]
    assert run.best["excess"] == 0


def test_a_budget_that_is_not_met_is_said():
    """A rate of 0.5, where training starts, costs more."""
    run = train(GROWTH.replace(target_nfe=1, steps=40), task=Growth())
    kept = dict(validations(run))[run.best["step"]]
    assert run.best["excess"] == kept["nfe"] - 1 > 0
    assert "excess" not in train(GROWTH.replace(steps=2), task=Growth()).best


def test_a_budget_of_score_waits_until_the_run_without_penalty_has_learned(vanilla):
    """That one's loss, (rate - 3)^2, has gone nine tenths of its way where the mean of ten says so."""
    run = train(GROWTH.replace(max_accuracy_loss=1.0, coefficient=1.0), task=Growth())
    plain, found = ([h for h in r.history if "nfe" in h] for r in (vanilla, run))
    losses = np.array([h["loss"] for h in plain])
    means = np.array([losses[max(0, k - 9) : k + 1].mean() for k in range(len(losses))])
    learned = int(np.argmax(means[0] - means >= 0.9 * (means[0] - means.min())))
    coefficients = np.array([h["coefficient"] for h in found])
    assert 10 < learned < 150 and coefficients[:learned].max() < 1e-30
    assert coefficients[learned + 20] > 0.01
    assert [h["nfe"] for h in found[:learned]] == [h["nfe"] for h in plain[:learned]]


def test_a_budget_of_score_spends_it_on_evaluations(vanilla, tmp_path):
    """A loss of 1 more than without regularizer is the rate 2."""
    config = GROWTH.replace(max_accuracy_loss=1.0, coefficient=1e-2, checkpoint_every=50)
    run = train(config, task=Growth(), out=tmp_path / "whole")
    assert run.test["nfe"] < vanilla.test["nfe"]
    losses = np.array([r["loss"] for r in run.history if "nfe" in r])[-50:]
    assert np.abs(losses - 1).max() < 0.1
    within = [
        (v["nfe"], v["loss"], k)
        for k, v in validations(run)
        if v["loss"] <= vanilla.best["loss"] + 1
    ]
    assert run.best["step"] == min(within)[2]
    reference = load_trained(tmp_path / "whole" / "without", task=Growth())
    np.testing.assert_array_equal(reference.model.rate, vanilla.model.rate)

    def stop(done, total, record):
        assert total == 600
        if done == 470:  # in the second run, between two checkpoints
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, task=Growth(), out=tmp_path / "cut", progress=stop)
    again = train(config, task=Growth(), out=tmp_path / "cut", resume=True)
    np.testing.assert_array_equal(again.model.rate, run.model.rate)
    assert again.best == run.best and validations(again) == validations(run)


def test_one_budget_at_a_time():
    for bad, part in (
        ({"target_nfe": 9, "max_accuracy_loss": 0.1}, "one budget"),
        ({"max_accuracy_loss": -1.0}, "max_accuracy_loss must be a positive number"),
        (
            {"max_accuracy_loss": 0.1, "coefficient": 1.0, "final_coefficient": 0.1},
            "leave final_coefficient out",
        ),
    ):
        with pytest.raises(OdescentError, match=part):
            Config("small", regularizer="error", **bad)
    with pytest.raises(OdescentError, match="max_accuracy_loss belongs to a regularizer"):
        Config("small", max_accuracy_loss=0.1)
