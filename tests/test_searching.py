"""Implicit functions in algorithms: searched for in a loop of Newton's steps, from what was found before."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent import OdescentError
from odescent.dynamics import vanishes

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
