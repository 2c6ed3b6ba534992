"""Modified equations and slow manifolds of random systems, against numbers at a function that is no quadratic."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp
from modified import ORACLES, local_order
from programs import Machine, fitted_order

import odescent as od
from odescent.dynamics import elementwise, inner, substitute
from odescent.dynamics.flows.system import System

x, v, w, y = od.blocks("x v w y")
f = od.Objective("f")
h, eps = od.parameters("h eps")
t = sp.Symbol("t", positive=True)


def vector(draw: random.Random, among: list[Any]) -> Any:
    """One term of a field: linear, an oracle, or a function that is not linear."""
    one, other = draw.choice(among), draw.choice(among)
    terms: list[Callable[[], Any]] = [
        lambda: one,
        lambda: f.grad(one + other / 3),
        lambda: f.hess(one, other),
        lambda: inner(one, one) * other,
        lambda: one / sp.sqrt(1 + inner(one, one)),
        lambda: elementwise(sp.sin, one),
        lambda: elementwise(lambda z: z**2, one) - other,
    ]
    return (
        sp.Rational(draw.choice([-5, -4, -3, -2, -1, 1, 2]), draw.randrange(2, 8))
        * draw.choice(terms)()
    )


@pytest.mark.parametrize("seed", range(8))
def test_a_step_follows_the_modified_equation_one_order_further(seed: int) -> None:
    draw = random.Random(seed)
    among = [x, v] + [w] * draw.randrange(2)
    timed = {"time": t} if draw.random() < 0.4 else {}
    fields = {
        f"part{i}": {b: vector(draw, among)} for i, b in enumerate([*among, draw.choice(among)])
    }
    fields["joint"] = {x: v, v: -x / (1 + t) if timed else -x}
    parts, blocks = (
        draw.sample([*fields], len(fields)),
        draw.sample([b.name for b in among], len(among)),
    )
    scheme = draw.choice(
        [
            *map(od.scheme, ("explicit_euler", "heun", "midpoint", "rk4")),
            od.scheme("semi_implicit_euler", order=tuple(blocks)),
            od.scheme("strang", [(p, "explicit") for p in parts]),
            od.scheme("lie_trotter", [(p, "explicit") for p in parts]),
        ]
    )
    algorithm = od.Algorithm(od.System(fields, output=x, **timed), scheme, step=h)
    order = draw.choice([1, 1, 2])
    assert local_order(algorithm, order, steps=(0.02, 0.01, 0.005)) > order + 1.7


@pytest.mark.parametrize("seed", range(12))
def test_a_truncated_slow_manifold_is_invariant_to_the_next_order(seed: int) -> None:
    draw = random.Random(seed)
    order, rate = draw.choice([1, 1, 2]), sp.Rational(draw.randrange(1, 6), draw.randrange(1, 4))
    slow = vector(draw, [x, y]) + draw.choice([0, 1]) * y
    fast = -(rate * y + vector(draw, [x])) / eps + vector(draw, [x, y])
    terms = System({x: slow, y: fast}, output=x, fast={y: eps}).slow_manifold(order)[y]
    machine = Machine(od.algorithm("gradient_descent").tuned, ORACLES, L=2.0)

    def value(e: Any, size: float, **state: Any) -> Any:
        return np.asarray(machine.evaluate(substitute(e, {eps: sp.nsimplify(size)}), state))

    def graph(at: Any, size: float) -> Any:
        return sum(size**j * value(term, size, x=at) for j, term in enumerate(terms))

    at, moved, left, sizes = np.array([0.7, -0.4]), 1e-4, [], (0.02, 0.01, 0.005)
    for size in sizes:
        state = {"x": at, "y": graph(at, size)}
        ahead = moved * value(slow, size, **state)
        one, two = ((graph(at + n * ahead, size) - graph(at - n * ahead, size)) for n in (1, 2))
        left.append(
            np.max(np.abs((8 * one - two) / (12 * moved) - value(fast, size, **state)) * size)
        )
    assert max(left) < 1e-11 or fitted_order(sizes, left) > order + 0.7
