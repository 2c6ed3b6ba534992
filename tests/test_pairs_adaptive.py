"""The pairs of flow and algorithm in the library (MATH d): adaptive, sign and normalized methods."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import sympy as sp
from programs import Machine, fitted_order

import odescent as od
from odescent.dynamics import vanishes
from odescent.dynamics.algebra.products import elementwise, hadamard
from odescent.dynamics.algebra.vectors import inner

h = sp.Symbol("h", positive=True)
x, v, m = od.blocks("x v m")
a, b, t, eps = od.parameters("a b t eps")
f = od.Objective("f")
g = f.grad(x)
SCALE = np.array([1.0, 10.0, 3.0])
GRAD: Any = lambda q: SCALE * q + 0.5 * np.sin(q)
BEGIN = np.array([0.8, -1.1, 0.3])
ADAPTIVE = ["rmsprop", "adagrad", "adaptive", "sign_descent", "normalized_gradient_descent"]


@pytest.mark.parametrize("name", ADAPTIVE)
def test_derivations_verify(name: str) -> None:
    found = od.algorithm(name).derivation()
    assert found.verified and len(found.steps) >= 2


def ours(name: str, steps: int, **values: Any) -> np.ndarray:
    machine = Machine(od.algorithm(name).tuned, {"grad_f": GRAD}, **values)
    return np.array([state["x"] for state in machine.run(BEGIN, steps)])


def of_optax(transformation: Any, steps: int) -> np.ndarray:
    grad = lambda q: jnp.asarray(SCALE) * q + 0.5 * jnp.sin(q)
    params = jnp.asarray(BEGIN)
    state, xs = transformation.init(params), [np.asarray(params)]
    update = jax.jit(transformation.update)
    for _ in range(steps):
        updates, state = update(grad(params), state, params)
        params = optax.apply_updates(params, updates)
        xs.append(np.asarray(params))
    return np.array(xs)


@pytest.mark.promotion
def test_rmsprop_is_that_of_optax() -> None:
    """Row 30, to rounding; eps stands under the root."""
    peer = of_optax(optax.rmsprop(0.02, decay=0.95, eps=1e-4), 80)
    np.testing.assert_allclose(ours("rmsprop", 80, h=0.02, beta2=0.95, eps=1e-4), peer, atol=1e-13)


@pytest.mark.promotion
def test_adagrad_is_that_of_optax() -> None:
    """Row 30, to rounding; optax's accumulator starts at 0.1, which stands in delta here."""
    peer = of_optax(optax.adagrad(0.3, initial_accumulator_value=0.1, eps=1e-7), 80)
    mine = ours("adagrad", 80, rate=0.3, delta=sp.Rational("0.1000001"))
    np.testing.assert_allclose(mine, peer, atol=1e-13)


@pytest.mark.promotion
def test_sign_descent_is_that_of_optax() -> None:
    """Row 31, to rounding."""
    peer = of_optax(optax.sign_sgd(0.013), 120)
    np.testing.assert_allclose(ours("sign_descent", 120, h=0.013), peer, atol=1e-13)


def test_adagrad_in_its_own_letters() -> None:
    """v = h G: sqrt(h) takes the place of the learning rate, exactly."""
    rate, delta = od.parameters("rate delta")
    update = od.algorithm("adagrad").tuned.update_map()
    total = v + rate**2 * hadamard(g, g)
    assert vanishes(update[v] - total)
    size = elementwise(lambda v_, g_: g_ / sp.sqrt(v_ + delta * rate**2), total, g)
    assert vanishes(update[x] - (x - rate**2 * size))
    G, point = 0 * BEGIN, BEGIN
    for state in Machine(od.algorithm("adagrad").tuned, {"grad_f": GRAD}, rate=0.3, delta=0.2).run(
        BEGIN, 30
    ):
        np.testing.assert_allclose(state["x"], point, rtol=1e-11)
        np.testing.assert_allclose(state["v"], 0.09 * G, rtol=1e-11)
        G = G + GRAD(point) ** 2
        point = point - 0.3 * GRAD(point) / np.sqrt(G + 0.2)


def test_adam_is_the_bias_corrected_member() -> None:
    """Row 29: along Adam's flow m/(1 - e^-at) and v/(1 - e^-bt) obey m' = r (g - m), v' = q (g.g - v) with
    r = a/(1 - e^-at) and q = b/(1 - e^-bt), exactly: the member that `adaptive` makes.
    """
    flow = od.system("adam")
    corrected = {
        m: m / (1 - sp.exp(-a * t)),
        v: v / (1 - sp.exp(-b * t)),
    }
    member = od.system("adaptive", bias_corrected=True)
    for block, value in corrected.items():
        wanted = od.dynamics.substitute(member.drift[block], {block: value})
        assert vanishes(flow.derivative(value) - wanted)


def test_the_general_flow_has_adagrad_and_rmsprop_as_members() -> None:
    """q = 0, p = 1 is AdaGrad's v' = g.g; p = q = b is RMSprop's; m rests at a g / r."""
    p, q, r = od.parameters("p q r")
    general = od.system("adaptive")
    assert vanishes(general.bind({p: 1, q: 0}).drift[v] - od.system("adagrad").drift[v])
    assert vanishes(general.bind({p: b, q: b}).drift[v] - od.system("rmsprop").drift[v])
    assert vanishes(od.dynamics.substitute(general.drift[m], {m: a / r * g}))


def test_adam_and_rmsprop_tend_to_the_sign_flow() -> None:
    """Row 31: with beta fixed, eps = 0 and h -> 0 both follow x' = -sign(g); order 1 in h, before x reaches 0.

    Without memory (beta2 = 0, eps = 0) RMSprop is g/sqrt(g.g) = sign(g) at once.
    """
    counts, end = (100, 200, 400, 800), 0.1
    exact = BEGIN - end * np.sign(BEGIN)
    for name, values in {
        "rmsprop": {"beta2": 0.9, "eps": sp.Rational(1, 10**20)},
        "adam": {"beta1": 0.5, "beta2": 0.9, "eps": sp.Rational(1, 10**20)},
    }.items():
        errors = [
            np.abs(ours(name, n, h=sp.nsimplify(end) / n, **values)[-1] - exact).max()
            for n in counts
        ]
        order = fitted_order([end / n for n in counts], errors)
        assert order == pytest.approx(1, abs=0.1), (name, order)
    beta2 = sp.Symbol("beta2", positive=True)
    update = od.algorithm("rmsprop").tuned.bind({beta2: 0, eps: 0}).update_map()
    wanted = elementwise(lambda s_, g_: g_ / sp.sqrt(s_), hadamard(g, g), g)
    assert vanishes(update[x] - (x - h * wanted))


def test_orders_against_scipy() -> None:
    """RMSprop, AdaGrad and the general method approach their own flows at order 1."""
    from scipy.integrate import solve_ivp

    mild: Any = lambda q: np.array([1.0, 0.7, 1.4]) * q + 0.3 * np.sin(q)
    rates = {"b": 1.5, "eps": 1.0, "a": 2.0, "r": 1.5, "p": 1.2, "q": 0.7}
    number = {n: sp.nsimplify(s) for n, s in rates.items()}

    def general(_: float, s: np.ndarray) -> np.ndarray:
        q, m_, v_ = np.split(s, 3)
        n = mild(q)
        moved = rates["a"] * n - rates["r"] * m_, rates["p"] * n * n - rates["q"] * v_
        return np.concatenate([-m_ / np.sqrt(v_ + rates["eps"]), *moved])

    def second(leak: float, gain: float) -> Any:
        def flow(_: float, s: np.ndarray) -> np.ndarray:
            q, v_ = np.split(s, 2)
            n = mild(q)
            return np.concatenate([-n / np.sqrt(v_ + rates["eps"]), gain * n * n - leak * v_])

        return flow

    flows = {
        "adaptive": (general, 9),
        "rmsprop": (second(1.5, 1.5), 6),
        "adagrad": (second(0, 1), 6),
    }
    for name, (flow, size) in flows.items():
        begin = np.concatenate([BEGIN, np.zeros(size - 3)])
        exact = solve_ivp(flow, (0, 1), begin, rtol=1e-12, atol=1e-13).y[:3, -1]
        program, errors, counts = od.algorithm(name).program, [], (40, 80, 160, 320)
        for n in counts:
            machine = Machine(program, {"grad_f": mild}, h=sp.Rational(1, n), **number)
            errors.append(np.abs(machine.run(BEGIN, n)[-1]["x"] - exact).max())
        order = fitted_order([1 / n for n in counts], errors)
        assert order == pytest.approx(1, abs=0.12), (name, order)


def test_sign_descent_follows_the_flow_between_its_jumps() -> None:
    """Where no coordinate of g vanishes the sign is constant, so explicit Euler is the flow itself."""
    machine = Machine(od.algorithm("sign_descent").tuned, {"grad_f": GRAD}, h=sp.Rational(1, 100))
    with pytest.raises(od.OdescentError, match="jumps, so it has no derivative"):
        od.algorithm("sign_descent").modified_equation(1)
    last = machine.run(BEGIN, 25)[-1]["x"]
    np.testing.assert_allclose(last, BEGIN - 0.25 * np.sign(BEGIN), rtol=1e-12)


def test_normalized_descent_moves_at_unit_speed() -> None:
    """Row 32: x - h g/|g|; on |x|^2/2 the flow reaches 0 at the time |x_0|, and so does the method."""
    update = od.algorithm("normalized_gradient_descent").tuned.update_map()
    textbook = od.method({x: x - g * (h / sp.sqrt(inner(g, g)))}, output=x).program.update_map()
    assert vanishes(update[x] - textbook[x])
    size = np.linalg.norm(BEGIN)
    machine = Machine(
        od.algorithm("normalized_gradient_descent").tuned, {"grad_f": lambda q: q}, h=size / 100
    )
    states = machine.run(BEGIN, 99)
    np.testing.assert_allclose(states[50]["x"], BEGIN / 2, rtol=1e-9)
    np.testing.assert_allclose(states[99]["x"], BEGIN / 100, rtol=1e-7)


def test_rescaled_flow_reaches_the_minimum_in_finite_time() -> None:
    """f' = -|g|^(p/(p-1)): for p = 3 and |x|^2/2, |x|' = -|x|^(1/2), so |x(t)| = (|x_0|^(1/2) - t/2)^2."""
    flow = od.system("rescaled_flow", p=3)
    value = flow.derivative(f.value(x))
    assert sp.simplify(value + inner(g, g) ** sp.Rational(3, 4)) == 0
    solved = flow.simulate(
        od.Objective("f", fun=lambda q: (q @ q) / 2), np.array([0.6, 0.8]), 1.0, points=2
    )
    assert np.linalg.norm(solved.x[-1]) == pytest.approx(0.25, rel=1e-7)
    assert vanishes(od.system("rescaled_flow", p=2).drift[x] + g)
    for bad in (1, 0.5, h):
        with pytest.raises(od.OdescentError, match="must be a number more than 1"):
            od.system("rescaled_flow", p=bad)
