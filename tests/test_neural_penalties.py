"""Regularizers as data: the registry, sampling laws, closed forms; schedules, budgets, the papers' settings."""

import math

import diffrax as dfx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import odescent as od
from odescent import OdescentError
from odescent.neural_de.regularization.integrated import Integrated

nde = od.neural_de


def oscillator(t, y, w):
    return jnp.stack([w * y[1], -w * y[0]])


Y0 = jnp.asarray([1.0, 0.5])


def test_every_registered_regularizer_goes_through_a_solve():
    """One solve carries them all; each alone is finite, says where it comes from, and unknown options are named."""
    total = None
    for name in nde.regularizers():
        r = nde.regularizer(name)
        assert isinstance(r, nde.Regularizer)
        assert all(len(ref) == 10 and ref[4] == "." for ref in r.reference), name
        assert r.reference or name == "steps"  # ours
        total = 0.1 * r if total is None else total + 0.1 * r
        with pytest.raises(OdescentError, match="no option"):
            nde.regularizer(name, colour="red")
    run = jax.jit(
        lambda w: nde.solve(oscillator, Y0, 0.0, 2.0, w, regularizer=total, key=jr.key(0)).penalty
    )
    value, slope = jax.jit(jax.value_and_grad(run))(3.0)
    assert np.isfinite(value) and value > 0 and np.isfinite(slope) and slope != 0


@pytest.mark.untyped
@pytest.mark.parametrize(
    "options",
    [
        ("error", {"kind": "scalde"}), ("error", {"reduction": "median"}), ("stiffness", {"kind": "jpv"}),
        ("local", {"time": "unbiazed"}), ("local", {"step": "accept"}), ("local", {"quantity": "eror"}),
        ("steps", {"reduction": "men"}), ("taylor", {"order": 0}), ("taylor", {"order": 2.0}),
        ("steer", {"width": -1.0}), ("steer", {"width": float("nan")}),
    ],
)  # fmt: skip
def test_bad_options_get_a_sentence(options):
    name, bad = options
    with pytest.raises(OdescentError):
        nde.regularizer(name, **bad)


def test_sampling_laws_of_the_local_penalty():
    """Over the key: unbiased has mean sum h_j E_j / T, biased has mean of E_j (each within 4 standard errors)."""
    n = 4000
    field = lambda t, y, a: jnp.cos(4 * y + t**2)
    y0 = jnp.asarray([0.3])

    @jax.jit
    def run(keys):
        def one(key, time):
            r = nde.local(time=time)
            return nde.solve(
                field, y0, 0.5, 2.5, rtol=1e-5, atol=1e-5, dt0=1e-2, regularizer=r, key=key
            ).penalty

        return jax.vmap(lambda k: one(k, "unbiased"))(keys), jax.vmap(lambda k: one(k, "biased"))(
            keys
        )

    stats = nde.solve(field, y0, 0.5, 2.5, rtol=1e-5, atol=1e-5, dt0=1e-2).statistics
    unbiased, biased = run(jr.split(jr.key(0), n))
    for values, mean in ((unbiased, stats.weighted.sum / 2.0), (biased, stats.error.mean)):
        assert len(np.unique(np.round(values, 12))) >= int(stats.accepted) - 1
        assert abs(np.mean(values) - mean) < 4 * np.std(values) / math.sqrt(n)
    assert (
        abs(float(stats.weighted.sum / 2.0 - stats.error.mean)) > 0.01
    )  # the two laws differ here


@pytest.mark.parametrize("order", [1, 2, 3])
def test_taylor_is_the_integral_in_closed_form_and_does_not_steer_the_steps(order):
    """For y = (cos wt, ..): |y^(K)|^2 / 2 = w^2K |y0|^2 / 2, constant; and the steps are those without it."""
    w, t1 = 3.0, 1.2
    run = jax.jit(
        lambda r=None: nde.solve(oscillator, Y0, 0.0, t1, w, regularizer=r), static_argnums=0
    )
    out, plain = run(nde.taylor(order)), run(None)
    assert np.isclose(out.penalty, t1 * w ** (2 * order) * float(Y0 @ Y0) / 2, rtol=1e-5)
    assert np.allclose(out.ys, plain.ys, rtol=1e-12) and out.ys.shape == (1, 2)
    assert int(out.statistics.accepted) == int(plain.statistics.accepted)
    assert np.isclose(out.statistics.error.sum, plain.statistics.error.sum, rtol=1e-9)


def test_integrated_penalties_sum_and_do_not_steer_the_steps():
    """For y' = w (y2, -y1) every one is constant along the way: |J'e|^2 / 2 = w^2 for any signs e, |y'|^2 / 2, ...

    RNODE (arXiv 2002.02798) is the sum of the first two; each keeps the value that it has alone.
    """
    w, t1, key = 3.0, 1.2, jr.key(5)
    square = float(Y0 @ Y0) / 2
    exact = {"jacobian": w**2, "kinetic": w**2 * square, "second": w**4 * square, "speed": w}
    made = (nde.jacobian(), nde.taylor(1), nde.taylor(2), Speed())
    parts = dict(zip(exact, made, strict=True))
    whole = nde.error() + 0.1 * nde.steps()
    for i, r in enumerate(parts.values()):
        whole = whole + 10.0**i * r

    def penalty(w, r):
        return nde.solve(
            oscillator, Y0, 0.0, t1, w, regularizer=r, key=key, rtol=1e-8, atol=1e-8
        ).penalty

    for name, r in parts.items():
        assert np.isclose(penalty(w, r), t1 * exact[name], rtol=1e-7), name
    run = lambda r: nde.solve(oscillator, Y0, 0.0, t1, w, regularizer=r, key=key)
    out, plain = run(whole), run(nde.error() + 0.1 * nde.steps())
    total = sum(10.0**i * t1 * x for i, x in enumerate(exact.values()))
    assert np.isclose(out.penalty - plain.penalty, total, rtol=1e-5)
    assert np.array_equal(out.ys, plain.ys) and out.ys.shape == (1, 2)
    assert np.array_equal(out.statistics.error.sum, plain.statistics.error.sum)
    slope = jax.grad(penalty)(w, nde.jacobian() + nde.taylor(1))
    assert np.isclose(slope, 2 * w * t1 * (1 + square), rtol=1e-7)


class Speed(Integrated):
    """|y'| / |y|, on the oscillator w all the way."""

    def rate(self, problem, key):
        norm = lambda x: jnp.sqrt(jnp.sum(x**2))
        return lambda t, y, args: norm(problem.terms.vf(t, y, args)) / norm(y)


def test_the_jacobian_penalty_has_the_squared_frobenius_norm_as_its_mean():
    """For y' = A y, over the key: mean |A'e|^2 / 3 = |A|^2 / 3, within 4 standard errors; forwards and backwards."""
    a = jnp.asarray([[0.5, -1.0, 0.2], [2.0, 0.1, 0.3], [0.0, 0.7, -0.4]])
    field = lambda t, y, a: a @ y

    @jax.jit
    @jax.vmap
    def each(key):
        ends = (0.0, 1.5), (1.5, 0.0)
        return jnp.stack([
            nde.solve(field, jnp.ones(3), *e, a, rtol=1e-2, atol=1e-2, regularizer=nde.jacobian(), key=key).penalty
            for e in ends
        ])  # fmt: skip

    values = np.asarray(each(jr.split(jr.key(0), 400)))
    assert np.allclose(values[:, 0], values[:, 1], rtol=1e-9)
    exact, spread = 1.5 * float(jnp.sum(a**2)) / 3, values[:, 0].std()
    assert spread > 0.1 and abs(values[:, 0].mean() - exact) < 4 * spread / math.sqrt(400)
    with pytest.raises(OdescentError, match=r"jacobian\(\) draws at random"):
        nde.solve(field, jnp.ones(3), 0.0, 1.0, a, regularizer=nde.jacobian())
    with pytest.raises(OdescentError, match=r"jacobian\(\) takes one vector field"):
        nde.solve(field, jnp.ones(3), 0.0, 1.0, a, regularizer=nde.jacobian(), key=jr.key(0),
                  diffusion=lambda t, y, a: y)  # fmt: skip


def test_steer_moves_the_end_or_the_save_times():
    r = nde.steer(0.5)
    run = jax.jit(
        jax.vmap(
            lambda k: nde.solve(oscillator, Y0, 0.0, 1.0, 2.0, rtol=1e-3, regularizer=r, key=k).ts[
                -1
            ]
        )
    )
    ends = np.asarray(run(jr.split(jr.key(0), 600)))
    assert ends.min() > 0.5 and ends.max() < 1.5
    assert (
        abs(ends.mean() - 1) < 4 / math.sqrt(12 * 600)
        and abs(ends.std() - 1 / math.sqrt(12)) < 0.03
    )
    ts = jnp.asarray([0.0, 0.25, 0.5, 1.0])
    saved = lambda k: (
        nde.solve(oscillator, Y0, 0.0, 1.0, 2.0, saveat=dfx.SaveAt(ts=ts), regularizer=r, key=k).ts
    )
    moved = np.asarray(jax.jit(saved)(jr.key(3)))
    assert (
        np.all(np.diff(moved) >= 0)
        and np.all(abs(moved - ts) <= 0.25)
        and not np.allclose(moved, ts)
    )


def test_backwards_taylor_is_what_it_is_forwards():
    """y' = w (y2, -y1) from 1.2 back to 0: |y''|^2 / 2 = w^4 |y0|^2 / 2 all the way, 1.2 long."""
    run = lambda r: nde.solve(oscillator, Y0, 1.2, 0.0, 3.0, regularizer=r).penalty
    assert np.isclose(run(nde.taylor(2)), 1.2 * 3.0**4 * float(Y0 @ Y0) / 2, rtol=1e-5)


def test_steer_is_as_wide_as_the_interval_compiled_too():
    run = lambda t1: nde.solve(
        oscillator, Y0, 0.0, t1, 2.0, regularizer=nde.steer(1.5), key=jr.key(0), rtol=1e-3
    ).ts  # fmt: skip
    with pytest.raises(OdescentError, match="narrower than the interval, which is 1 long"):
        jax.jit(lambda: run(1.0))()
    assert 0.5 < float(jax.jit(run)(2.0)[-1]) < 3.5  # how long it is then, is not known beforehand


def test_sums_are_of_regularizers():
    a, b = nde.error(), nde.steps()
    assert sum([a, b]) == a + b and sum([a]) == a
    for bad in (lambda: a + 1, lambda: 1 + a, lambda: a * b, lambda: a * "0.1"):
        with pytest.raises(TypeError):
            bad()


def test_what_taylor_and_steer_do_with_other_save_times():
    """Padding, a function of the state or several sets of times hide the integral; steer needs times to move."""
    solve = lambda saveat, r: nde.solve(
        oscillator, Y0, 0.0, 1.0, 2.0, rtol=1e-3, saveat=saveat, regularizer=r, key=jr.key(3), max_steps=32
    )  # fmt: skip
    subs = dfx.SaveAt(subs=[dfx.SubSaveAt(t1=True), dfx.SubSaveAt(ts=[0.5])])
    first = dfx.SaveAt(t1=True, fn=lambda t, y, a: y[0])
    for hidden in (
        dfx.SaveAt(t1=True, steps=True), first, subs, dfx.SaveAt(t1=True, dense=True), dfx.SaveAt(dense=True),
    ):  # fmt: skip
        with pytest.raises(OdescentError, match="the last saved time"):
            solve(hidden, nde.taylor())
    ts = dfx.SaveAt(ts=[0.0, 0.4, 0.8])  # |y''|^2 / 2 is constant along the oscillator's ways
    part, whole = (solve(s, nde.taylor()).penalty for s in (ts, dfx.SaveAt(t1=True)))
    assert np.isclose(part, 0.8 * whole, rtol=1e-3)
    with pytest.raises(OdescentError, match="not of several"):
        solve(subs, nde.steer())
    with pytest.raises(OdescentError, match="there is one"):
        solve(dfx.SaveAt(ts=[1.0]), nde.steer())
    moved = solve(dfx.SaveAt(t1=True), nde.steer()).ts[-1]
    dense = solve(dfx.SaveAt(dense=True), nde.steer()).solution
    assert moved != 1 and dense.t1 == moved and np.allclose(dense.evaluate(0.0), Y0)


def test_steps_predict_the_number_of_steps():
    """At steps that a perfect controller would take (E = 1) the sum is the number of steps, whatever the tolerance."""
    for tol in (1e-4, 1e-7):
        s = nde.solve(oscillator, Y0, 0.0, 20.0, 1.0, rtol=tol, atol=tol).statistics
        # PI-free controller with safety 0.9: each step is 0.9 of the one that would just pass
        assert abs(float(s.in_steps.sum) / (0.9 * int(s.accepted)) - 1) < 0.1


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.integers(1, 10**6))
def test_exponential_schedule_has_the_papers_form(a, b, n):
    f = nde.exponential(a, b, n)
    k = math.log(a / b) / n
    assert math.isclose(f(0), a, rel_tol=1e-9) and math.isclose(f(n), b, rel_tol=1e-9)
    assert math.isclose(f(0.3 * n), a * math.exp(-k * 0.3 * n), rel_tol=1e-6)
    assert nde.constant(a)(n) == a


def test_weights_multiply_and_schedules_wait_for_their_step():
    a, s = nde.error("scaled"), nde.exponential(2.0, 0.5, 10)
    r = (3 * (s * a + nde.steps())).at(10)
    out = nde.solve(oscillator, Y0, 0.0, 2.0, 1.0, regularizer=r)
    t = out.statistics
    assert np.isclose(out.penalty, 3 * (0.5 * t.error.sum + t.in_steps.sum))
    for bad in ((0, 1, 5), (1, -1, 5), (1, 1, 0)):
        with pytest.raises(OdescentError, match="positive numbers"):
            nde.exponential(*bad)


@settings(max_examples=20)
@given(st.sampled_from([100.0, 0.01]), st.floats(0.2, 5.0), st.floats(0.3, 0.9))
def test_a_budget_finds_the_coefficient_from_a_hundredfold_error(wrong, right, power):
    """A solve that costs 30 (lambda/right)^-power evaluations meets a budget of 30, from far off on either side."""
    cost = lambda c: 30 * (c / right) ** -power
    budget = nde.Budget(target_nfe=30, start=right * wrong)
    step = jax.jit(lambda b: b.updated(cost(b.coefficient)))
    for _ in range(200):
        budget = step(budget)
    assert abs(cost(float(budget.coefficient)) - 30) < 1


def test_a_budget_of_accuracy_turns_the_sign_round():
    b = nde.Budget(max_accuracy_loss=0.01, start=1.0)
    for _ in range(60):  # at the budget
        b = b.updated(0.01)
    assert np.isclose(b.coefficient, 1, rtol=1e-2)
    assert b.updated(0.02).coefficient < 0.95 and b.updated(0.0).coefficient > 1.05
    assert b.updated(float("nan")).coefficient < 0.7  # a failed solve is the worst
    n = nde.Budget(target_nfe=30, start=1.0, bounds=(0.5, 2.0))
    for _ in range(120):
        n = n.updated(jnp.asarray([100, 200]))
    assert np.isclose(n.coefficient, 2.0)
    for bad in ({}, {"target_nfe": 3, "max_accuracy_loss": 0.1}, {"target_nfe": 0}, {"target_nfe": 3, "start": -1.0},
                {"target_nfe": 3, "bounds": (2.0, 1.0)}):  # fmt: skip
        with pytest.raises(OdescentError, match="Budget"):
            nde.Budget(**bad)


def test_the_papers_settings_are_regularizers_and_schedules():
    listed = {2021: ("mnist", "physionet", "spiral_sde", "mnist_sde"), 2023: ("mnist", "mnist_sde")}
    for year, experiments in listed.items():
        for name in experiments:
            found = nde.paper_settings(year, name)
            assert found.reference in ("2105.03918", "2303.02262") and hasattr(dfx, found.solver)
            for r, schedule in found.regularizers.values():
                assert isinstance((r * schedule).at(0), nde.Regularizer)
    er, schedule = nde.paper_settings(2021).regularizers["ERNODE"]
    assert (er.kind, er.reduction) == ("weighted", "mean")
    assert math.isclose(schedule(0), 100) and math.isclose(schedule(75), 10, rel_tol=1e-9)
    for bad in ((2022, "mnist"), (2021, "minst")):
        with pytest.raises(OdescentError, match="there is no"):
            nde.paper_settings(*bad)
