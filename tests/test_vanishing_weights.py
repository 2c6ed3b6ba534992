"""Inverses of a multiple of the identity and weighted outer products where weights vanish: none of them divides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
from methods_by_hand import START, Methods, slope, value

import odescent as od
from odescent import Algorithm
from odescent.discretize.emit import load

METHODS = Methods()
x, m, y = od.blocks("x m y")
k = od.blocks("k", kind="scalar")
h = od.parameters("h")
f = od.Objective("f")
g = f.grad(x)
OUTER = od.outer(x - m, x - m), od.outer(m, x), od.outer(y, m)
EYE = np.eye(2)


def _by_hand(weights: Any) -> Any:
    """A step with so many outer products, from the weights by the number of the step."""

    def step(z: Any, n: int) -> None:
        if n == 0:
            z.m, z.y = 0.3 * START, -0.5 * START
        outer = [np.outer(z.x - z.m, z.x - z.m), np.outer(z.m, z.x), np.outer(z.y, z.m)]
        weighted = (w * a for w, a in zip(weights(n), outer, strict=False))
        z.x, z.m = z.x - 0.1 * np.linalg.solve(3 * EYE + sum(weighted), slope(z.x)), z.x

    return step


def _made(weights: list[Any], name: str) -> Algorithm:
    operator = 3 * od.identity
    for w, a in zip(weights, OUTER, strict=False):
        operator = operator + w * a
    updates = {x: x - h * od.linear_solve(operator, g), m: x, y: y, k: k + sp.Rational(1, 2)}
    start = od.dynamics.start
    turned = {m: start * sp.Rational(3, 10), y: start * sp.Rational(-1, 2), k: 0}
    return od.method(updates, output=x, init=turned, name=name)


@METHODS.method(_by_hand(lambda n: [(n / 2) ** 2]), h=0.1)
def one() -> Algorithm:
    return _made([k**2], "one")


@METHODS.method(_by_hand(lambda n: [n / 2, (n / 2) ** 2]), h=0.1)
def two() -> Algorithm:
    return _made([k, k**2], "two")


@METHODS.method(_by_hand(lambda n: [n / 2, 1.0]), h=0.1)
def one_of_two() -> Algorithm:
    return _made([k, 1], "one_of_two")


@pytest.mark.parametrize("name", METHODS)
def test_steps_are_those_of_a_dense_solve(name: str):
    METHODS.agrees(name)


@pytest.mark.parametrize("name", METHODS)
def test_numpy_goes_on_where_a_weight_is_zero(name: str):
    made = METHODS[name].made()
    run = made.run(od.Objective(value), START, 6, h=0.1).x
    found = load(made, "numpy").run(slope, x0=START, steps=6, h=0.1)
    np.testing.assert_allclose(found, run, rtol=1e-12)


def test_no_weight_is_below_a_line():
    for name in ("one", "two", "one_of_two"):
        text = str(METHODS[name].made())
        assert "/k" not in text, text
