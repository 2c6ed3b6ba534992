"""First integrals of adaptive flows: found, conserved in numbers, and what follows from them."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent import replay
from odescent.discretize.routes.methods.first_integral import first_integral
from odescent.dynamics import derivative, vanishes

NAMES = ("adagrad_norm", "adagrad")
x, v = od.blocks("x v")
w = od.blocks("w", kind="scalar")
eps = od.parameters("eps")
f = od.Objective("f")
START, EPS = np.array([1.5, -0.7, 0.4]), 0.3


def height(x):
    return jnp.sum(jnp.cosh(x)) - 3 + jnp.sin(x[0] * x[1]) / 3


def energy(name, at, total):
    """The energy of the derivation, in numbers."""
    sums = total if name == "adagrad_norm" else np.atleast_1d(total)
    return float(height(at)) + 2 * float(np.sum(np.sqrt(sums + EPS)))


@pytest.mark.parametrize("name", NAMES)
def test_the_derivation_holds_replays_and_no_altered_claim_does(name):
    made = od.derive(name)
    assert made.route == "first_integral" and made.verified
    assert not [s.title for s in made.steps for p in s.perturbed() if p.verified]
    lines = []
    assert not replay.replay(json.loads(json.dumps(made.to_dict())), say=lines.append), lines


@pytest.mark.parametrize("name", NAMES)
def test_the_energy_is_constant_along_the_flow(name):
    flow = od.system(name)
    run = flow.simulate(height, START, 4.0, parameters={"eps": EPS})
    (total,) = [run.states[b.name] for b in flow.blocks if b.symbol != flow.output]
    found = [energy(name, a, s) for a, s in zip(run.x, total, strict=True)]
    np.testing.assert_allclose(found, found[0], rtol=1e-6)


def test_the_mean_of_squares_is_below_its_bound():
    run = od.system("adagrad_norm").simulate(height, START, 20.0, parameters={"eps": EPS})
    gap = float(height(START)) - float(min(height(a) for a in run.x))
    for t, total in zip(run.t[1:], run.states["w"][1:], strict=True):
        assert total / t <= (gap**2 / 4 + gap * np.sqrt(EPS)) / t * (1 + 1e-6) + 1e-9
    # nothing smaller would do: the flow uses most of it up
    assert total > 0.99 * (gap**2 / 4 + gap * np.sqrt(EPS))


@pytest.mark.parametrize("name", NAMES)
def test_what_a_step_adds_is_the_first_order_that_is_claimed(name):
    """(E(after) - E(before))/h^2 at one state tends to E_1, at the order one."""
    g, curved = jax.grad(height)(START), jax.hessian(height)(START)
    total = 0.8 if name == "adagrad_norm" else np.array([0.8, 0.2, 1.1])
    root = np.sqrt(total + EPS)
    if name == "adagrad_norm":
        square = float(g @ g)
        claimed = float(g @ curved @ g) / (2 * root**2) + square**2 / (4 * root**3)
    else:
        moved = g / root
        claimed = float(moved @ curved @ moved) / 2 + float(np.sum(g**4 / (4 * root**3)))
    gaps = []
    for h in (1e-3, 5e-4):
        square = float(g @ g) if name == "adagrad_norm" else np.asarray(g) ** 2
        after = total + h * square
        moved = START - h * np.asarray(g) / np.sqrt(after + EPS)
        gaps.append((energy(name, moved, after) - energy(name, START, total)) / h**2 - claimed)
    assert abs(gaps[1]) < 1e-2 * abs(claimed) and 1.8 < gaps[0] / gaps[1] < 2.2
    (last,) = [s for s in od.derive(name).steps if s.title == "What the step adds"]
    assert {c.name for c in last.claims} == {"E", "E_1"}


def test_adagrad_norm_in_its_own_letters():
    """b+^2 = b^2 + |g|^2, x+ = x - rate g / b+ (Ward, Wu and Bottou)."""
    rate, delta = 0.3, 0.2
    run = od.algorithm("adagrad_norm").run(height, START, 30, rate=rate, delta=delta)
    at, square = START, delta
    for found in run.x:
        np.testing.assert_allclose(found, at, rtol=1e-10)
        g = np.asarray(jax.grad(height)(at))
        square = square + g @ g
        at = at - rate * g / np.sqrt(square)


@pytest.mark.parametrize("power", [sp.Rational(1, 3), sp.Rational(2, 3), 1])
def test_another_power_of_the_sum_has_another_integral(power):
    g = f.grad(x)
    flow = od.System(
        {"sum": {w: 3 * od.inner(g, g)}, "drift": {x: -g / (w + eps) ** power}},
        output=x, init={w: 0},
    )  # fmt: skip
    found = first_integral(flow)
    assert vanishes(derivative(found, flow.drift))
    wrong = f.value(x) + (found - f.value(x)) * sp.Rational(8, 7)
    assert not vanishes(derivative(wrong, flow.drift))


def test_a_flow_that_forgets_has_none():
    with pytest.raises(od.OdescentError, match="no first integral"):
        first_integral(od.system("rmsprop"))
    g = f.grad(x)
    leak = od.System(
        {"all": {w: od.inner(g, g) - w, x: -g / sp.sqrt(w + eps)}}, output=x, init={w: 0}
    )
    with pytest.raises(od.OdescentError, match="gain what f loses"):
        first_integral(leak)
