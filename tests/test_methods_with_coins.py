"""Methods of users that toss coins and pick rows: they converge where stochastic gradients stay at their noise."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import sympy as sp

import odescent as od

x, s, m, c = od.blocks("x s m c")
count = od.blocks("n", kind="scalar")
f = od.Objective("f")
h, q, lam = od.parameters("h q lam")
row, toss = od.sample("u", law="rows"), od.sample("z", law="uniform")
heads = sp.Piecewise((1, toss < q), (0, True))
rng = np.random.default_rng(0)
ROWS = rng.normal(size=(60, 4))
ANSWERS = ROWS @ np.array([1.0, 0.0, -2.0, 0.5]) + rng.normal(size=60)
LOSS = od.FiniteSum("f", lambda p, one: (one[0] @ p - one[1]) ** 2 / 2, (ROWS, ANSWERS), batch=4)
SHARP = float(np.linalg.eigvalsh(ROWS.T @ ROWS / 60)[-1])


def svrg(period: int = 10) -> od.Algorithm:
    """Johnson and Zhang (2013): the gradient of a batch less what it is at a point whose whole gradient is kept."""
    new = sp.Piecewise((1, sp.Eq(count, 0)), (0, True))
    point, whole = s + new * (x - s), m + new * (f.grad(x) - m)
    step = f.batch(x, row) - f.batch(point, row) + whole
    after = sp.Mod(count + 1, period)
    return od.method({s: point, m: whole, x: x - h * step, count: after}, output=x, init={count: 0})


def loopless_svrg() -> od.Algorithm:
    """Kovalev, Horvath and Richtarik (arXiv:1901.08689): a coin says when the point is kept anew."""
    step = f.batch(x, row) - f.batch(s, row) + f.grad(s)
    return od.method({x: x - h * step, s: s + heads * (x - s)}, output=x)


def prox_skip() -> od.Algorithm:
    """Mishchenko and others (arXiv:2202.09357): the proximal step of lam |x|_1 where a coin shows heads."""
    moved = x - h * (f.grad(x) - c)
    nearer = od.elementwise(
        lambda e: sp.sign(e) * sp.Max(sp.Abs(e) - h * lam / q, 0), moved - h / q * c
    )
    new = moved + heads * (nearer - moved)
    return od.method({x: new, c: c + q / h * (new - moved)}, output=x, init={c: 0 * x})


MADE = {"svrg": svrg, "loopless_svrg": loopless_svrg, "prox_skip": prox_skip}


def least(share: float) -> np.ndarray:
    """The minimizer of the loss plus a share of the sum of absolute values, by many steps by hand."""
    p = np.zeros(4)
    for _ in range(4000):
        p = p - ROWS.T @ (ROWS @ p - ANSWERS) / 60 / SHARP
        p = np.sign(p) * np.maximum(abs(p) - share / SHARP, 0)
    return p


@pytest.mark.parametrize("name", MADE)
def test_it_converges_to_the_minimizer(name: str) -> None:
    more = {"svrg": {}, "loopless_svrg": {"q": 0.1}, "prox_skip": {"q": 0.3, "lam": 0.3}}[name]
    size = 1 / SHARP if name == "prox_skip" else 0.1
    run = MADE[name]().run(LOSS, np.zeros(4), 800, h=size, key=jax.random.key(0), **more)
    np.testing.assert_allclose(run.x[-1], least(more.get("lam", 0.0)), atol=1e-9)


def test_plain_stochastic_gradients_stay_at_their_noise() -> None:
    run = od.algorithm("sgd", noise="minibatch").run(LOSS, np.zeros(4), 800, h=0.1, key=0)
    assert np.linalg.norm(run.x[700:] - least(0.0), axis=1).mean() > 0.02


def test_the_mean_of_a_step_is_that_of_the_whole_gradient() -> None:
    """At a kept point that is the current one; the kept point moves by the share of heads."""
    step, half = loopless_svrg().program.update_map(), {q: sp.Rational(1, 2)}
    after = {k: od.dynamics.substitute(od.mean(e), half) for k, e in step.items()}
    assert od.dynamics.vanishes(after[x] - x + h * f.grad(x))
    assert od.dynamics.vanishes(after[s] - (s + x) / 2)


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("target", ["numpy", "jax", "optax", "torch", "latex", "markdown"])
def test_it_is_emitted_and_its_conditions_can_be_read(name: str, target: str) -> None:
    made = MADE[name]()
    assert made.source(target)
    shown = str(made)
    assert "sign(n" not in shown and "Max(0, 1" not in shown and "[" in shown
