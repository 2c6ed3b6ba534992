"""Controllers against loops by hand, decision for decision; and those that nobody wrote down before."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from scipy.optimize import rosen, rosen_der

import odescent as od
from odescent.discretize import controllers

h = od.parameters("h")
f = od.Objective("f")
x = od.Block("x", init=od.dynamics.start)
X = x.symbol
g = f.grad(X)
TRIAL = od.Flow("descent", "explicit")
START = np.array([-1.2, 1.0])
CURVATURES = np.array([1.0, 10.0])


def scalar(name: str, begin: object = 1) -> od.Block:
    return od.Block(name, "scalar", "coefficient", sp.sympify(begin))


def descent(*more: od.Block) -> od.System:
    """x' = -s grad f(x) with numbers that a method sets, the first one s."""
    return od.System({"descent": {X: -more[0].symbol * g}}, blocks=[x, *more], output=X)


def banana(p: jnp.ndarray) -> jnp.ndarray:
    return 100 * (p[1] - p[0] ** 2) ** 2 + (1 - p[0]) ** 2


def quadratic(p: jnp.ndarray) -> jnp.ndarray:
    return jnp.sum(jnp.asarray(CURVATURES) * p**2) / 2


def by_wolfe(
    p: np.ndarray, s: float, c1: float = 1e-4, c2: float = 0.9
) -> tuple[np.ndarray, float]:
    """One step of steepest descent, the weak conditions by bisection (Lewis and Overton's algorithm 2.6)."""
    slope, low, high = rosen_der(p), 0.0, np.inf
    while True:
        trial = p - s * slope
        if rosen(trial) > rosen(p) - c1 * s * (slope @ slope):
            high = s
        elif rosen_der(trial) @ slope > c2 * (slope @ slope):
            low = s
        else:
            return trial, s
        s = 2 * low if np.isinf(high) else (low + high) / 2


def test_wolfe_is_the_search_by_hand() -> None:
    run = od.algorithm("wolfe", step=1).run(banana, START, 100)
    p, s = START, 1.0
    for k in range(100):
        p, s = by_wolfe(p, s)
        np.testing.assert_allclose(run.x[k + 1], p, rtol=1e-9)
        assert run.states["s"][k + 1] == s
    # a gradient is asked for only where the decrease is enough, and a value only at a trial
    counts = {n: int(c[-1]) for n, c in run.counts.items()}
    assert counts["values"] == 100 + counts["iterations"]
    assert 200 <= counts["gradients"] < 100 + counts["iterations"]


def test_a_radius_has_three_outcomes() -> None:
    radius = scalar("r")
    r = radius.symbol
    size = sp.sqrt(od.inner(f.grad(od.at(X)), f.grad(od.at(X))))
    flow = od.System(
        {"descent": {X: -r * g / sp.sqrt(od.inner(g, g))}}, blocks=[x, radius], output=X
    )
    outcomes = controllers.trust_radius(f.value(od.at(X)) - f.value(X), r * size, r, [X])
    method = od.Algorithm(flow, od.Scheme((TRIAL, *outcomes)), step=1, name="radius")
    run = method.run(quadratic, [1.0, 1.0], 60)
    p, now, seen = np.ones(2), 1.0, set()
    for k in range(60):
        slope = CURVATURES * p
        trial = p - now * slope / np.linalg.norm(slope)
        gained = (CURVATURES @ p**2 - CURVATURES @ trial**2) / 2 / (now * np.linalg.norm(slope))
        outcome = 2 if gained >= 0.75 else 1 if gained >= 0.25 else 0
        seen.add(outcome)
        p, now = (p if outcome == 0 else trial), now * (0.5, 1, 2)[outcome]
        np.testing.assert_allclose(run.x[k + 1], p, rtol=1e-9)
        assert run.states["r"][k + 1] == now
    assert seen == {0, 1, 2}


def embedded(order: int = 1) -> od.Algorithm:
    """Heun's method with Euler's in it; the time is a block."""
    tol = od.parameters("tol")
    length, time = scalar("s"), scalar("time", 0)
    s = length.symbol
    gap = X - od.at(X, "euler")
    control = controllers.error_per_unit_step(
        sp.sqrt(od.inner(gap, gap)), tol, s, [X, time.symbol], order, h
    )
    flow = od.System({"descent": {X: -s * g, time.symbol: s}}, blocks=[x, length, time], output=X)
    steps = (od.Flow("descent", "explicit", save="euler", commit=False), od.Flow("descent", "heun"))
    return od.Algorithm(flow, od.Scheme((*steps, *control)), step=h, name="embedded")


@pytest.mark.parametrize("tol", [0.1, 0.01, 0.001])
def test_an_error_per_unit_step_bounds_the_error(tol: float) -> None:
    """Of x' = -A x, whose solution is known; the flow contracts, so that errors add up at most."""
    method = embedded()
    run = method.run(quadratic, [1.0, 1.0], 4000, h=1, tol=tol)
    t = run.states["time"]
    exact = np.exp(-np.outer(t, CURVATURES))
    assert np.abs(run.x - exact).max() < tol * t.max()
    moved = np.diff(t) > 0
    # the error of every step that was accepted, measured again
    s, p = run.states["s"][:-1][moved], run.x[:-1][moved]
    slope = CURVATURES * p
    gaps = np.linalg.norm(s[:, None] ** 2 / 2 * CURVATURES * slope, axis=1)
    assert np.all(gaps <= tol * s * (1 + 1e-9))
    assert run.counts["rejections"][-1] > 0


def test_an_error_of_zero_lets_the_step_grow_by_the_limit() -> None:
    """At the minimizer both schemes agree."""
    run = embedded().run(quadratic, [0.0, 0.0], 3, h=1, tol=0.1)
    np.testing.assert_array_equal(run.states["s"], [1, 5, 25, 125])


def test_a_dual_holds_a_budget() -> None:
    """Minimize |x - (3, 4)|^2/2 with |x|^2 = 4: the multiplier of the constraint is found, which is 3/4 of 2."""
    weight = scalar("lam")
    lam = weight.symbol
    flow = od.System({"descent": {X: -g - lam * X}}, blocks=[x, weight], output=X)
    hold = controllers.dual(lam, od.inner(X, X), 4, sp.Rational(1, 20))
    method = od.Algorithm(flow, od.Scheme((TRIAL, *hold)), step=h, name="penalized")
    run = method.run(
        lambda p: jnp.sum((p - jnp.array([3.0, 4.0])) ** 2) / 2, [1.0, 1.0], 2000, h=0.1
    )
    np.testing.assert_allclose(run.x[-1], [1.2, 1.6], rtol=1e-8)
    np.testing.assert_allclose(run.states["lam"][-1], 1.5, rtol=1e-8)


def test_a_penalty_that_grows_only_where_feasibility_stalls() -> None:
    """Nobody wrote it down before: it is a choice like the others, and runs in NumPy as in JAX."""
    weight = scalar("w")
    w, c = weight.symbol, od.Map("c")
    defect = od.inner(c(X), c(X))
    flow = od.System(
        {"descent": {X: -g - w * od.gradient(defect, X) / 2}}, blocks=[x, weight], output=X
    )
    stalls = defect >= sp.Rational(9, 10) * od.inner(c(od.at(X)), c(od.at(X)))
    # what is feasible enough has not stalled
    grow = od.Select(
        sp.And(stalls, defect >= sp.Rational(1, 100)), [od.Let({w: 2 * w})], [od.Let({w: w})]
    )
    method = od.Algorithm(flow, od.Scheme((TRIAL, grow)), step=h, name="penalty")
    functions = {"f": lambda p: jnp.sum((p - 2) ** 2) / 2, "c": lambda p: p[:1] * p[1:] - 1}
    run = method.run(functions, [2.0, 1.0], 400, h=0.02)
    p, now, weights = np.array([2.0, 1.0]), 1.0, [1.0]
    for _ in range(400):
        before = (p[0] * p[1] - 1) ** 2
        p = p - 0.02 * (p - 2 + now * (p[0] * p[1] - 1) * p[::-1])
        after = (p[0] * p[1] - 1) ** 2
        now *= 2 if after >= 0.9 * before and after >= 0.01 else 1
        weights.append(now)
    np.testing.assert_array_equal(run.states["w"], weights)
    np.testing.assert_allclose(run.x[-1], p, rtol=1e-9)
    assert weights[-1] > 1 and (p[0] * p[1] - 1) ** 2 < 0.011


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: controllers.dual("lam", 1, 2), "multiplier of dual must be a Symbol, not 'lam'"),
        (lambda: controllers.accepted(sp.true, h, [X]), "the condition of a Select is always true"),
        (
            lambda: controllers.error_per_unit_step(1.0, 0.1, h, [X], 0),
            "order must be a whole number of at least 1, not 0",
        ),
        (
            lambda: controllers.error_per_step(1.0, 0.1, h, [X], 1, limits=(1,)),
            "limits must be a pair of numbers",
        ),
        (
            lambda: controllers.error_per_step(1.0, 0.1, h, [X], 1, rejected=(1, 2, 3)),
            "rejected must be a pair of numbers",
        ),
        (
            lambda: controllers.dual(h, f.value(X), 2, sensitivity=-1),
            "sensitivity must be a positive number, not -1",
        ),
    ],
)
def test_bad_input_gets_a_sentence(call: object, said: str) -> None:
    with pytest.raises(od.OdescentError) as refused:
        call()
    assert said in str(refused.value)
