"""Implicit functions in algorithms: searched for in a loop of Newton's steps, from what was found before."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent import OdescentError
from odescent.dynamics import vanishes
from odescent.dynamics.evaluation.evaluate import evaluate

X0 = np.array([1.0, 0.5, -0.3])


def upper(x, y):
    return jnp.sum(jnp.cos(y)) + 0.5 * jnp.sum((y - 1) ** 2) + jnp.sum(x**4) / 40


def lower(x, y):
    return jnp.sum((y - jnp.tanh(x)) ** 2) / 2 + jnp.sum(y**4) / 10


FLOW = od.system("implicit_bilevel").reduced(0)
x, y = (FLOW.block(n).symbol for n in "xy")
G = od.Objective("G", args=("x", "y"))


@jax.jit
def inner(x):
    y = jnp.zeros(3)
    for _ in range(12):
        y = y - jnp.linalg.solve(jax.hessian(lower, 1)(x, y), jax.grad(lower, 1)(x, y))
    return y


@pytest.mark.parametrize("scheme", ["explicit_euler", "heun", "rk4"])
def test_a_run_is_that_of_the_hypergradient(scheme):
    method = od.Algorithm(FLOW, od.scheme(scheme))
    run = method.run({"F": upper, "G": lower}, {x: X0, y: np.zeros(3)}, 15, h=0.1)
    slope = jax.jit(lambda at: -jax.grad(lambda v: upper(v, inner(v)))(at))

    def step(at, h=0.1):
        one = slope(at)
        if scheme == "explicit_euler":
            return at + h * one
        if scheme == "heun":
            return at + h * (one + slope(at + h * one)) / 2
        two = slope(at + h * one / 2)
        three = slope(at + h * two / 2)
        return at + h * (one + 2 * two + 2 * three + slope(at + h * three)) / 6

    at = jnp.asarray(X0)
    for _ in range(15):
        at = step(at)
    assert np.allclose(run.x[-1], at, rtol=1e-12, atol=1e-13)


def test_emitted_numpy_is_the_same_run_and_starts_where_it_ended():
    method = od.Algorithm(FLOW, od.scheme("explicit_euler"))
    run = method.run({"F": upper, "G": lower}, {x: X0, y: np.zeros(3)}, 15, h=0.1)
    module: dict = {}
    exec(method.source("numpy"), module)  # noqa: S102
    gradients = {
        f"grad_{n}_{s}": jax.jit(jax.grad(f, i))
        for n, f in (("F", upper), ("G", lower)) for i, s in enumerate("xy")
    }  # fmt: skip
    asked = {"count": 0}

    def lower_slope(x, y):
        asked["count"] += 1
        return np.asarray(gradients["grad_G_y"](x, y))

    product = lambda f, i: jax.jit(lambda x, y, v: jax.jvp(lambda y: f(x, y), (y,), (v,))[1])
    given = {
        "grad_G_y": lower_slope,
        "hvp_G_y_y": product(jax.grad(lower, 1), 1),
        "hvp_G_x_y": product(jax.grad(lower), 1),
        "grad_F_x": gradients["grad_F_x"],
        "grad_F_y": gradients["grad_F_y"],
    }
    found = module["run"](**given, x0=X0, y0=np.zeros(3), steps=15, h=0.1)
    assert np.allclose(found, run.x, rtol=1e-12, atol=1e-13)
    assert asked["count"] <= 15 * 5  # the first search takes five steps, later ones fewer


def test_the_limit_is_the_flow_and_the_memory_is_out_of_it():
    method = od.Algorithm(FLOW, od.scheme("explicit_euler"))
    assert vanishes(method.consistent_with().drift[x] - FLOW.drift[x])
    modified = method.modified_equation(1)
    rate = FLOW.derivative(FLOW.drift[x])
    assert vanishes(modified.terms[1][x] + rate / 2)


def test_equations_are_searched_for_once_and_scalars_too():
    a, b = od.blocks("a b", "scalar")
    root = od.root(a**3 + a - b, a)
    flow = od.System(
        {b: -root - root**2}, output=b, blocks=[od.Block("a", "scalar", "coefficient")], init={b: 1}
    )
    method = od.Algorithm(flow, od.scheme("explicit_euler"))
    text = str(method)
    assert text.count("newton") >= 1 and text.count("repeat") + text.count("while") <= 2


REFUSED = {
    "no start": (
        lambda: od.Algorithm(
            od.System({"flow": {x: -od.argmin(G.value(x, y), y)}}, output=x),
            od.scheme("explicit_euler"),
        ),
        "has no start",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    attempt, sentence = REFUSED[name]
    with pytest.raises(OdescentError) as refused:
        attempt()
    assert sentence in str(refused.value)


def test_a_search_that_does_not_end_is_said():
    few = od.argmin(G.value(x, y), y, max_steps=1)
    flow = od.System({"flow": {x: -few}}, output=x, blocks=[od.Block("y", role="memory")])
    method = od.Algorithm(flow, od.scheme("explicit_euler"))
    run = method.run({"G": lower}, {x: X0, y: np.zeros(3)}, 5, h=0.1)
    assert len(run.x) == 1 and run.diverged_at == 1
    assert "the loop until Newton's step of y is short has not ended after 1 iterations" in str(run)


def test_a_tolerance_is_a_parameter():
    tol = sp.Symbol("tol", positive=True)
    flow = od.System(
        {"flow": {x: -od.argmin(G.value(x, y), y, tolerance=tol)}}, output=x,
        blocks=[od.Block("y", role="memory")],
    )  # fmt: skip
    method = od.Algorithm(flow, od.scheme("explicit_euler"))
    loose, tight = (
        method.run({"G": lower}, {x: X0, y: np.zeros(3)}, 3, h=0.1, tol=t).x[-1]
        for t in (0.5, 1e-9)
    )
    at = jnp.asarray(X0)
    for _ in range(3):
        at = at - 0.1 * inner(at)
    assert np.allclose(tight, at, rtol=1e-12) and 1e-9 < np.max(abs(loose - at)) < 1e-2


@pytest.mark.promotion
@pytest.mark.parametrize("kind", ["argmin", "root"])
@pytest.mark.parametrize("seed", range(3))
def test_single_precision_ends_where_rounding_does(kind, seed):
    """In float32 no step of Newton's is 1e-9 short: every run ended in its first step."""
    value = G.value(x, y)
    found = (
        od.argmin(value, y, start=x)
        if kind == "argmin"
        else od.root(G.grad(x, y, wrt="y"), y, start=x)
    )
    method = od.Algorithm(od.System({x: -found}, output=x), od.scheme("explicit_euler"))
    begin = np.random.default_rng(seed).normal(size=3) * 3
    single = method.run({"G": lower}, jnp.asarray(begin, jnp.float32), 5, h=0.1)
    double = method.run({"G": lower}, jnp.asarray(begin), 5, h=0.1)
    assert single.x.dtype == jnp.float32 and len(single.x) == len(double.x) == 6
    assert np.allclose(single.x, double.x, rtol=1e-5, atol=1e-6)


@pytest.mark.promotion
@pytest.mark.parametrize("seed", range(5))
def test_a_compiled_search_in_single_precision_ends_there_too(seed):
    begin = jnp.asarray(np.random.default_rng(seed).normal(size=3) * 3, jnp.float32)
    oracles = {"value_G": lower, "grad_G_x": jax.grad(lower), "grad_G_y": jax.grad(lower, 1)}
    for found in (od.argmin(G.value(x, y), y, start=x), od.root(G.grad(x, y, wrt="y"), y, start=x)):
        at = jax.jit(lambda v: evaluate(found, {x: v}, oracles, jnp))(begin)  # noqa: B023
        assert at.dtype == jnp.float32 and np.allclose(at, inner(begin), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n", [1, 4])
def test_a_maximum_is_no_minimum_in_a_method_either(n):
    """Newton's steps go to a maximum as well: a run took it without a word."""
    hill = lambda x, y: -jnp.sum((y - x) ** 2) - jnp.sum((y - 1) ** 4)
    begin = jnp.linspace(0.3, 2.0, n)
    runs = {}
    for kind in ("argmin", "root"):
        found = (
            od.argmin(G.value(x, y), y, start=x) if kind == "argmin"
            else od.root(G.grad(x, y, wrt="y"), y, start=x)
        )  # fmt: skip
        method = od.Algorithm(od.System({x: -found}, output=x), od.scheme("explicit_euler"))
        runs[kind] = method.run({"G": hill}, begin, 3, h=0.1)
    assert runs["argmin"].diverged_at == 1 and len(runs["root"].x) == 4


def test_a_method_with_a_minimizer_is_not_proved_to_be_one_with_a_zero():
    one, other, same = (
        od.method({x: x - found}, output=x)
        for found in (
            od.argmin(G.value(x, y), y, start=x),
            od.root(G.grad(x, y, wrt="y"), y, start=x),
            od.root(-3 * G.grad(x, y, wrt="y"), y, start=x),
        )
    )
    assert one.equivalent(other).verdict != "proved" and other.equivalent(same).verdict == "proved"
