"""Emitted NumPy of random maps against the program that it was made from; sources for all targets end."""

from __future__ import annotations

import random

import numpy as np
import pytest
import sympy as sp
from modified import ORACLES
from programs import Machine

import odescent as od
from odescent.discretize.emit import load, source, targets

x, v, w = od.blocks("x v w")
n = od.blocks("n", kind="scalar")
f = od.Objective("f")
a, b, h, s = od.parameters("a b h s")
BEGIN = np.array([0.9, -0.6])


def momentum(draw: random.Random) -> od.Algorithm:
    """Momentum with random weights, a function of the gradient that need not be linear, and perhaps a count."""
    weights = [a, b, h, s, 1 - b, sp.sqrt(a), sp.exp(-b * h), 1 / (1 + s), a * h, sp.Rational(3, 7)]
    weight = lambda: draw.choice(weights)
    g = f.grad(draw.choice([x, x + weight() * v]))
    functions = [
        lambda: g,
        lambda: g / sp.sqrt(weight() + od.inner(g, g)),
        lambda: g / (1 + od.inner(g, v) ** 2),
        lambda: od.elementwise(lambda z: z / (sp.Abs(z) + 1), g),
        lambda: od.elementwise(sp.tanh, g),
        lambda: od.elementwise(lambda z, q: z / (sp.sqrt(q) + size), g, w),
    ]
    size = weight()
    bent = draw.choice(functions)()
    moved = weight() * v + weight() * bent
    updates = {
        v: moved,
        w: weight() * w + od.elementwise(lambda z: z**2, g),
        x: x - weight() * moved,
    }
    init = {v: 0, w: 0}
    if draw.random() < 0.4:
        updates |= {n: n * weight() + 1, x: x - moved / n}
        init |= {n: 1}
    return od.method(updates, output=x, init=init)


@pytest.mark.parametrize("seed", range(20))
def test_random_maps(seed: int) -> None:
    draw = random.Random(seed)
    algorithm = momentum(draw)
    values = {p.name: draw.randrange(1, 99) / 100 for p in algorithm.program.parameters}
    machine = Machine(algorithm.own_program, ORACLES, **values)
    states = [machine.init(BEGIN)]
    for k in range(4):
        states.append(machine.step(states[-1], k))
    found = load(algorithm, "numpy").run(ORACLES["grad_f"], BEGIN, 4, **values)
    np.testing.assert_allclose(found, [state["x"] for state in states], rtol=1e-11, atol=1e-12)


def test_a_coefficient_that_is_negative_both_ways() -> None:
    """a^2 v is subtracted; its weight and its opposite both begin with a minus sign."""
    g = f.grad(x + a * v)
    weight = (1 - b) / (1 + od.inner(v, g) ** 2)
    moved = a * v + weight * g
    assert source(od.method({v: moved, x: x - a * moved}, output=x, init={v: 0}), "numpy")


@pytest.mark.parametrize("target", targets())
def test_a_sum_with_more_roots_than_one_is_conjugated_once(target: str) -> None:
    g = f.grad(x + (1 - b) * v)
    moved = sp.sqrt(a) * v + a * g
    assert source(od.method({v: moved, x: x - moved / 4}, output=x, init={v: 0}), target)
