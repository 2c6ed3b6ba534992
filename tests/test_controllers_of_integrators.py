"""The controllers of integrators beside diffrax's, and that of a budget beside the neural one: the same decisions."""

from __future__ import annotations

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.discretize import controllers
from odescent.neural_de import Budget, PerUnitStep, regularizer, solve

f = od.Objective("f")
h, tol = od.parameters("h tol")
x = od.Block("x", init=od.dynamics.start)
X = x.symbol
START = np.array([-1.2, 1.0])
SAFETY = 0.9
LIKE_DIFFRAX = {"limits": (1, 10), "rejected": (sp.Rational(1, 5), sp.Rational(9, 10))}


def banana(p: jax.Array) -> jax.Array:
    return 100 * (p[1] - p[0] ** 2) ** 2 + (1 - p[0]) ** 2


def field(t: object, p: jax.Array, args: object) -> jax.Array:
    return -jax.grad(banana)(p)


def length(y: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(y**2))


def embedded(per_unit: bool) -> od.Algorithm:
    """Heun's method with Euler's in it, the time a block, and steps as diffrax changes them."""
    scale = od.Block("s", "scalar", "coefficient", sp.Rational(1, 10_000))
    time = od.Block("time", "scalar", "coefficient", sp.S.Zero)
    s, gap = scale.symbol, X - od.at(X, "euler")
    error, back = sp.sqrt(od.inner(gap, gap)), [X, time.symbol]
    # the error of a step is of the order of s^2, that per unit of time of s; the safety is that of the factor
    control = (
        controllers.error_per_unit_step(
            error, tol, s, back, 1, h, sp.Rational(9, 10), **LIKE_DIFFRAX
        )
        if per_unit
        else controllers.error_per_step(
            error, tol, s, back, 1, sp.Rational(81, 100), **LIKE_DIFFRAX
        )
    )
    flow = od.System(
        {"descent": {X: -s * f.grad(X), time.symbol: s}}, blocks=[x, scale, time], output=X
    )
    steps = (od.Flow("descent", "explicit", save="euler", commit=False), od.Flow("descent", "heun"))
    return od.Algorithm(flow, od.Scheme((*steps, *control)), step=h, name="embedded")


@pytest.mark.parametrize(
    ("per_unit", "tolerance", "end"),
    [(False, 1e-2, 1.0), (False, 1e-4, 1.0), (True, 30.0, 0.1), (True, 3.0, 0.1)],
)
def test_the_controllers_decide_as_those_of_diffrax(
    per_unit: bool, tolerance: float, end: float
) -> None:
    """Later, where the step is as long as is stable, rounding grows from step to step."""
    pid = dfx.PIDController(rtol=0.0, atol=tolerance, norm=length, safety=SAFETY)
    solved = dfx.diffeqsolve(
        dfx.ODETerm(field), dfx.Heun(), 0.0, end, 1e-4, jnp.asarray(START), max_steps=20_000,
        stepsize_controller=PerUnitStep(pid) if per_unit else pid, saveat=dfx.SaveAt(steps=True),
    )  # fmt: skip
    made = int(solved.stats["num_accepted_steps"]) - 3  # the last ones are cut where the solve ends
    times = np.asarray(solved.ts)[:made]
    assert solved.ys is not None
    trials = int(solved.stats["num_steps"])
    run = embedded(per_unit).run(banana, START, trials, h=1, tol=tolerance)
    mine = run.states["time"]
    moved = np.diff(mine) > 0
    np.testing.assert_allclose(mine[1:][moved][:made], times, rtol=1e-9)
    np.testing.assert_allclose(
        run.x[1:][moved][:made], np.asarray(solved.ys)[:made], rtol=1e-7, atol=1e-9
    )
    # the steps that were taken back are the same ones
    last = int(np.flatnonzero(moved)[made - 1]) + 1
    assert trials - last <= 5
    assert np.sum(~moved[:last]) == last - made
    assert int(solved.stats["num_rejected_steps"]) - np.sum(~moved[:last]) <= 2
    assert np.sum(~moved[:last]) > 3


def test_the_error_of_a_solve_is_of_the_order_of_the_tolerance_per_unit_of_time() -> None:
    """Of x' = x, whose estimate has no zeros: in the tolerance of a step it is of first order, else of second."""

    def error(controller: dfx.AbstractStepSizeController) -> float:
        found = solve(
            lambda t, y, args: y, jnp.asarray([1.0]), t0=0.0, t1=2.0, solver=dfx.Heun(),
            controller=controller, max_steps=100_000,
        )  # fmt: skip
        exact = np.exp(2.0)
        assert found.solution.ys is not None
        return abs(float(found.solution.ys[-1, 0]) - exact)

    tolerances = np.array([1e-2, 1e-3, 1e-4])
    pids = [dfx.PIDController(rtol=0.0, atol=float(a)) for a in tolerances]
    per_unit = [error(PerUnitStep(pid)) for pid in pids]
    per_step = [error(pid) for pid in pids]
    slope = lambda e: np.polyfit(np.log(tolerances), np.log(e), 1)[0]
    # the solve has an error of h^2, where h goes by the tolerance per unit of time, and by its root per step
    assert abs(slope(per_unit) - 2) < 0.15
    assert abs(slope(per_step) - 1) < 0.15


def test_a_solve_per_unit_step_goes_backwards_too_and_is_differentiated() -> None:
    controller = PerUnitStep(dfx.PIDController(rtol=1e-6, atol=1e-8))
    decay = lambda t, y, args: -args * y

    def end(rate: jax.Array, t0: float, t1: float) -> jax.Array:
        found = solve(decay, jnp.asarray([1.0]), t0=t0, t1=t1, args=rate, controller=controller)
        assert found.solution.ys is not None
        return found.solution.ys[-1, 0]

    rate = jnp.asarray(0.7)
    for t0, t1 in ((0.0, 2.0), (2.0, 0.0)):
        value, slope = jax.value_and_grad(end)(rate, t0, t1)
        exact = np.exp(-0.7 * (t1 - t0))
        np.testing.assert_allclose(value, exact, rtol=1e-6)
        np.testing.assert_allclose(slope, -(t1 - t0) * exact, rtol=1e-5)


@pytest.mark.parametrize("name", ["error", "steps", "taylor"])
def test_regularizers_go_with_it(name: str) -> None:
    found = solve(
        lambda t, y, args: -y, jnp.asarray([1.0, 2.0]), t0=0.0, t1=1.0, regularizer=regularizer(name),
        controller=PerUnitStep(dfx.PIDController(rtol=1e-4, atol=1e-4)), key=jax.random.key(0),
    )  # fmt: skip
    assert np.isfinite(found.penalty)


def test_an_error_of_first_order_is_refused() -> None:
    with pytest.raises(od.OdescentError, match="PerUnitStep needs an error of order over 1"):
        PerUnitStep(dfx.PIDController(rtol=1e-3, atol=1e-3)).init(
            None, 0.0, 1.0, jnp.ones(1), 0.1, None, None, 1
        )


@pytest.mark.parametrize("other", [1e-3, dfx.ConstantStepSize(), None])
def test_what_is_not_adaptive_is_refused(other: object) -> None:
    with pytest.raises(od.OdescentError, match="controller must be an adaptive one of diffrax"):
        PerUnitStep(other)


@pytest.mark.parametrize("sensitivity", [0.5, 4.0])
def test_the_budget_of_neural_equations_is_this_ascent(sensitivity: float) -> None:
    """As long as evaluations exceed it, without the terms for the lag of the weights."""
    lam = od.Block("lam", "scalar", "coefficient", sp.Rational(1, 100))
    target, cost = 40.0, lambda p: 60 - 0.4 * p[0]
    ascent = controllers.dual(lam.symbol, f.value(X), 40, sp.Rational(1, 10), sensitivity)
    flow = od.System({"descent": {X: -f.grad(X)}}, blocks=[x, lam], output=X)
    method = od.Algorithm(flow, od.Scheme((*ascent, od.Flow("descent", "explicit"))), step=h)
    run = method.run(cost, np.zeros(1), 30, h=1)
    budget = Budget(target_nfe=target, start=0.01, gain=0.1, sensitivity=sensitivity)
    for k in range(30):  # a longer violation counts more
        budget = budget.updated(jnp.asarray(cost(run.x[k])))
        np.testing.assert_allclose(
            np.exp(budget.log_coefficient), run.states["lam"][k + 1], rtol=1e-9
        )
    assert run.states["lam"][-1] > 0.015


def test_a_bounded_excess_falls_as_it_grows() -> None:
    """The three ways: far over the budget, near it, far below; against the formula."""
    lam = od.Block("lam", "scalar", "coefficient", sp.S.One)
    ascent = controllers.dual(lam.symbol, f.value(X), 1, sp.Rational(1, 4), 2)
    flow = od.System({"descent": {X: -f.grad(X)}}, blocks=[x, lam], output=X)
    method = od.Algorithm(flow, od.Scheme((*ascent, od.Flow("descent", "explicit"))), step=h)
    run = method.run(lambda p: p[0], np.array([3.0]), 40, h=0.1)
    excess = np.clip(2 * (run.x[:-1, 0] - 1), -1, 1)
    np.testing.assert_allclose(np.diff(np.log(run.states["lam"])), excess / 4, atol=1e-12)
    assert {-1.0, 1.0} <= set(excess) and np.any(np.abs(excess) < 1)
