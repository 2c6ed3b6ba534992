"""Zero vectors in emitted steps: along them, at them, at the beginning of loops, and in one branch of two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp
from emitted_runs import SETTINGS, oracles, run_jax, run_numpy, run_optax, run_torch

import odescent as od
from odescent.discretize.emit import load, targets

x, v = od.blocks("x v")
s = sp.Symbol("s", real=True)
h = od.parameters("h")
f = od.Objective("f")
STEP, STEPS = 0.1, 6
Q, CENTER = np.diag([1.0, 2.0, 3.0]), np.array([0.3, -0.2, 0.1])
START = np.array([1.0, -2.0, 0.5])


def slope(p: np.ndarray) -> np.ndarray:
    return Q @ (p - CENTER)


def product() -> od.Algorithm:
    """A Hessian along a vector that was put to zero."""
    along = f.grad(x, along=(v,))
    return of(od.Let({v: 0 * v}), od.Let({x: x - h * along - h * f.grad(x)}))


def loop() -> od.Algorithm:
    """Newton's direction by descent from zero, in a loop; the Hessian along it is asked for once an iteration."""
    rest = f.grad(x) - f.grad(x, along=(v,))
    again = od.Repeat([od.Let({v: v + h * rest})], od.inner(rest, rest) <= 1e-2, 1000)
    return of(od.Let({v: 0 * v}), again, od.Let({x: x - v}))


def branches() -> od.Algorithm:
    """A move that is zero in one branch, and made inside of the other."""
    move = od.Let({v: h * f.grad(x - h * f.grad(x))})
    return of(od.Select(od.inner(x, x) >= 3, [move], [od.Let({v: 0 * v})]), od.Let({x: x - v}))


def of(*substeps: Any) -> od.Algorithm:
    blocks = [od.Block("x", init=od.dynamics.start), od.Block("v", role="memory")]
    return od.Algorithm(od.System({}, blocks=blocks, output=x), od.Scheme(substeps), step=h)


def by_hand(name: str, p: np.ndarray) -> np.ndarray:
    """The next point."""
    if name == "product":
        return p - STEP * slope(p)
    if name == "branches":
        return p - STEP * slope(p - STEP * slope(p)) if p @ p >= 3 else p
    direction = np.zeros(3)
    while True:
        direction = direction + STEP * (slope(p) - Q @ direction)
        rest = slope(p) - Q @ direction
        if rest @ rest <= 1e-2:
            return p - direction


MADE: dict[str, Callable[[], od.Algorithm]] = {
    "product": product,
    "loop": loop,
    "branches": branches,
}


@pytest.mark.parametrize("name", MADE)
def test_a_run_and_emitted_numpy_go_as_by_hand(name: str) -> None:
    wanted = [START]
    for _ in range(STEPS):
        wanted.append(by_hand(name, wanted[-1]))
    method = MADE[name]()
    run = method.run(lambda p: (p - CENTER) @ (Q @ (p - CENTER)) / 2, START, STEPS, h=STEP)
    np.testing.assert_allclose(run.x, wanted, rtol=1e-12, atol=1e-14)
    module, given = load(method, "numpy"), {"grad": slope}
    given |= {"hvp": lambda p, u: Q @ u} if name == "loop" else {}
    found = module.run(x0=START, steps=STEPS, h=STEP, **given)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)
    if name == "loop":  # the first residual is the gradient itself
        assert run.counts["products"][-1] == run.counts["iterations"][-1] > 4 * STEPS
    if name == "branches":
        assert np.any(np.all(np.diff(run.x, axis=0) == 0, axis=1)) and np.any(np.diff(run.x))


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("target", sorted({"numpy", "jax", "optax", "torch"} & set(targets())))
def test_every_backend_prints_them(name: str, target: str) -> None:
    assert MADE[name]().source(target)


def leapfrog() -> od.Algorithm:
    """The gradients of a step are at a block that begins at zero; the last is the first of the next step."""
    half = od.Let({x: x - h * f.grad(v) / 2})
    return of(half, od.Let({v: v + h * x}), half)


def doubled() -> od.Algorithm:
    """Descent of a block that begins at zero, which stays where the value would rise."""
    worse = f.value(v) > f.value(od.at(v))
    back = od.Select(worse, [od.Let({v: od.at(v), s: s / 2})], [od.Let({s: 2 * s})])
    length = od.Block("s", "scalar", "memory", sp.S.One)
    blocks = [od.Block("x", init=od.dynamics.start), od.Block("v", role="memory"), length]
    steps = (od.Let({v: v - s * f.grad(v)}), back, od.Let({x: x + h * (v - x)}))
    return od.Algorithm(od.System({}, blocks=blocks, output=x), od.Scheme(steps), step=h)


def difference() -> od.Algorithm:
    """The gradient less that at zero."""
    return of(od.Let({x: x - h * f.grad(x) + h * f.grad(0 * x)}))


def at_zero_by_hand(name: str, steps: int, size: float) -> np.ndarray:
    """The points, on the quadratic of the emitted runs."""
    known, start = oracles(np)
    grad, value, p, z, length = known["grad"], known["value"], start, np.zeros(len(start)), 1.0
    points = [p]
    for _ in range(steps):
        if name == "leapfrog":
            p = p - size * grad(z) / 2
            z = z + size * p
            p = p - size * grad(z) / 2
        elif name == "doubled":
            trial = z - length * grad(z)
            worse = value(trial) > value(z)
            z, length = (z, length / 2) if worse else (trial, 2 * length)
            p = p + size * (z - p)
        else:
            p = p - size * (grad(p) - grad(0 * p))
        points.append(p)
    return np.array(points)


ASKED_AT_ZERO = {f.__name__: f for f in (leapfrog, doubled, difference)}


@pytest.mark.parametrize("name", ASKED_AT_ZERO)
@pytest.mark.parametrize("run", [run_numpy, run_jax, run_optax, run_torch])
def test_what_is_asked_at_zero_is_emitted(name: str, run: Callable[..., Any]) -> None:
    """Kept from the start on, the first was a call at zero, which no target could write."""
    if run is run_torch:
        pytest.importorskip("torch")
    wanted = at_zero_by_hand(name, 8, SETTINGS["h"])
    np.testing.assert_allclose(run(ASKED_AT_ZERO[name](), 8), wanted, rtol=1e-11, atol=1e-12)
