"""Runs that begin by block: they go on as the run that was there, whatever a method keeps from step to step."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.dynamics import start

x, v, w = od.blocks("x v w")
f = od.Objective("f")
h, c = od.parameters("h c")
START = np.array([0.7, -0.4])
GIVEN = {"mu": 1.0, "L": 20.0, "h": 0.02, "c": 1.0, "beta": 0.9, "beta1": 0.9, "beta2": 0.99}
METHODS = [
    "bold_driver", "dissipative_leapfrog", "heavy_ball", "nag_flow", "nesterov_sc", "relativistic",
    "triple_momentum", "adaptive_regularized_newton", "barzilai_borwein",
]  # fmt: skip


def value(z):
    return jnp.sum(z**4) / 4 + jnp.sum(z**2) / 2 + z[0] * z[1] / 3


def slope(z: np.ndarray) -> np.ndarray:
    return z**3 + z + z[::-1] / 3


def averaged() -> od.Algorithm:
    """A method that keeps the gradient at x + v/3, a point of two blocks."""
    ahead = f.grad(x + v / 3)
    fields = {"pull": {x: -ahead}, "turn": {v: w}, "follow": {w: -ahead - w}}
    heun = od.Flow("pull", "heun")
    steps = (heun, od.Flow("turn", "explicit"), od.Flow("follow", "explicit"))
    return od.Algorithm(
        od.System(fields, output=x, name="averaged"), od.Scheme(steps), name="averaged"
    )


@pytest.mark.parametrize("name", [*METHODS, "averaged"])
def test_a_run_goes_on_from_the_states_of_a_step(name: str) -> None:
    method = averaged() if name == "averaged" else od.algorithm(name)
    given = {s.name: GIVEN.get(s.name, 0.5) for s in method.parameters}
    whole = method.run(value, START, 4, **given)
    states = {b.symbol: np.asarray(whole.states[b.name])[2] for b in method.system.blocks}
    rest = method.run(value, states, 2, **given)
    np.testing.assert_allclose(rest.x, np.asarray(whole.x)[2:], rtol=1e-12, atol=1e-14)


def test_a_leapfrog_begins_with_the_gradient_at_its_position() -> None:
    """It was that at the velocity, which is the first block."""
    method = od.algorithm("dissipative_leapfrog")
    at, speed = np.array([1.0, 2.0]), np.array([0.3, 0.1])
    found = method.run(value, {x: at, v: speed}, 3, h=0.1, c=1.0)
    for k in range(4):
        np.testing.assert_allclose(found.x[k], at, rtol=1e-12)
        speed = speed * np.exp(-0.05) - 0.05 * slope(at)
        at = at + 0.1 * speed
        speed = (speed - 0.05 * slope(at)) * np.exp(-0.05)


def test_what_is_kept_of_two_blocks_begins_at_both() -> None:
    at, speed, third = START, np.array([0.5, 0.2]), np.array([-0.3, 0.6])
    found = averaged().run(value, {x: at, v: speed, w: third}, 3, h=0.1)
    for k in range(4):
        np.testing.assert_allclose(found.x[k], at, rtol=1e-12)
        first = slope(at + speed / 3)
        at = at - 0.05 * (first + slope(at - 0.1 * first + speed / 3))
        speed = speed + 0.1 * third
        third = third - 0.1 * (slope(at + speed / 3) + third)


def test_memories_of_the_start_begin_at_the_position() -> None:
    """In flows and runs: a block that begins at the gradient of the starting point."""
    fields = {
        "turn": {v: -v},
        "pull": {x: -w + sp.Rational(1, 2) * v},
        "follow": {w: f.grad(x) - w},
    }
    system = od.System(fields, output=x, init={w: f.grad(start)}, name="started")
    begin = {x: START, v: np.array([2.0, 3.0])}
    method = od.Algorithm(system, "explicit_euler", step=h)
    assert np.allclose(method.run(value, begin, 1, h=0.1).states["w"][0], slope(START))
    assert np.allclose(system.simulate(value, begin, 0.1).states["w"][0], slope(START))


def test_leaves_of_a_pytree_keep_their_gradients() -> None:
    tree = {"a": np.array([1.0, 2.0]), "b": np.ones(2)}
    speed = {"a": np.array([0.3, 0.1]), "b": np.zeros(2)}
    loss = lambda p: jnp.sum(p["a"] ** 4) / 4 + jnp.sum(p["b"] ** 2)
    found = od.algorithm("dissipative_leapfrog").run(loss, {x: tree, v: speed}, 2, h=0.1, c=1.0)
    alone = od.algorithm("dissipative_leapfrog").run(
        lambda z: jnp.sum(z**4) / 4, {x: tree["a"], v: speed["a"]}, 2, h=0.1, c=1.0
    )
    np.testing.assert_allclose(found.x["a"], alone.x, rtol=1e-12)
    with pytest.raises(
        od.OdescentError, match="not known where blocks begin at pytrees; give arrays"
    ):
        averaged().run(loss, {x: tree, v: speed, w: speed}, 2, h=0.1)


def test_a_guarded_method_begins_with_what_it_keeps_at_its_own_block() -> None:
    """The gradient and the value that it keeps are those of a block that is not the position."""
    s = sp.Symbol("s", real=True)
    length = od.Block("s", "scalar", "coefficient", sp.S.One)
    trial = od.Block("v", init=start)
    fields = {"pull": {v: -s * f.grad(v)}, "follow": {x: v - x}}
    system = od.System(fields, blocks=[od.Block("x", init=start), trial, length], output=x)
    stays = [od.Let({v: od.at(v, "start"), s: s / 2})]
    better = f.value(v) <= f.value(od.at(v, "start"))
    choice = od.Select(better, [od.Let({s: 2 * s})], stays)
    steps = (od.Flow("pull", "explicit"), choice, od.Flow("follow", "explicit"))
    method = od.Algorithm(system, od.Scheme(steps), step=h, name="kept")
    assert len(method.program.held) == 2
    at, ahead, times = START, np.array([1.5, -2.0]), 1.0
    found = method.run(value, {x: at, v: ahead}, 8, h=0.11)
    for k in range(9):
        np.testing.assert_allclose(found.x[k], at, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(found.states["v"][k], ahead, rtol=1e-12, atol=1e-14)
        moved = ahead - 0.11 * times * slope(ahead)
        fine = float(value(moved)) <= float(value(ahead))
        ahead, times = (moved, 2 * times) if fine else (ahead, times / 2)
        at = at + 0.11 * (ahead - at)


def test_a_dual_block_of_a_method_begins_at_zero_in_its_own_space() -> None:
    """Chambolle and Pock's steps for |K x - b|_1 + |x|^2/2: the dual block began at x0, of another shape."""
    matrix = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, -1.0], [0.3, 0.0, 1.0], [1.0, 1.0, 1.0]])
    offset = np.array([1.0, -1.0, 0.5, 2.0])
    lam, ahead = od.blocks("lam ahead")
    tau, sigma = od.parameters("tau sigma")
    apart = od.Map("c")
    clipped = lambda e: sp.Max(-1, sp.Min(1, e))
    dual = od.elementwise(clipped, lam + sigma * apart(ahead))
    moved = od.Objective("g").prox(x - tau * apart.vjp(ahead, dual), tau)
    updates = {lam: dual, x: moved, ahead: 2 * moved - x}
    method = od.method(updates, output=x, name="primal_dual")
    shrunk = od.Objective("g", prox=lambda z, t: z / (1 + t))
    functions = {"g": shrunk, "c": lambda z: matrix @ z - offset}
    begin = {x: np.ones(3), lam: np.zeros(4)}
    found = method.run(functions, begin, 200, tau=0.3, sigma=0.3)
    p, q, z = np.ones(3), np.zeros(4), np.ones(3)
    for k in range(201):
        np.testing.assert_allclose(found.x[k], p, rtol=1e-12, atol=1e-13)
        q = np.clip(q + 0.3 * (matrix @ z - offset), -1, 1)
        new = (p - 0.3 * matrix.T @ q) / 1.3
        p, z = new, 2 * new - p
    assert np.abs(found.x[-1] - found.x[-2]).max() < 1e-8
    with pytest.raises(od.OdescentError, match="no start determines the shape of lam"):
        method.run(functions, {x: np.ones(3)}, 5, tau=0.3, sigma=0.3)


def test_a_matrix_beside_vectors_needs_a_start() -> None:
    """It began at x0, so that its product with a vector was an inner product."""
    J = od.blocks("J", kind="matrix")
    updates = {x: x - h * od.apply(J, f.grad(x)), J: J}
    with pytest.raises(
        od.OdescentError, match=r"the matrix J has no starting value.*init=\{J: od.identity\}"
    ):
        od.method(updates, output=x, name="turned")
    method = od.method(updates, output=x, init={J: 2 * od.identity}, name="turned")
    found = method.run(value, START, 1, h=0.1).x[1]
    np.testing.assert_allclose(found, START - 0.2 * slope(START), rtol=1e-12)
    turned = method.run(value, {x: START, J: np.diag([1.0, 3.0])}, 1, h=0.1).x[1]
    np.testing.assert_allclose(turned, START - 0.1 * np.array([1, 3]) * slope(START), rtol=1e-12)


def test_a_start_that_no_block_takes_is_refused() -> None:
    """Its values were dropped without a word; zeros only say the shape."""
    q, g, h = od.blocks("q"), od.Objective("g"), od.parameters("h")
    system = od.System({q: -g.grad(q)}, blocks=[od.Block("q")], output=q, name="from_zero")
    method = od.Algorithm(system, "explicit_euler", step=h)
    given = od.Objective("g", lambda p: jnp.sum((p - 1) ** 2) / 2)
    sentence = r"does not begin at x0: q begins at 0; give starts by block, as \{q: ...\}, or write Block\('q', init="
    with pytest.raises(od.OdescentError, match=sentence):
        method.run(given, np.ones(2), 3, h=0.5)
    with pytest.raises(od.OdescentError, match=f"^from_zero {sentence}"):
        system.simulate(given, np.ones(2), 1.0)
    np.testing.assert_allclose(method.run(given, np.zeros(2), 3, h=0.5).x[-1], 0.875)
    np.testing.assert_allclose(method.run(given, {q: 2 * np.ones(2)}, 3, h=0.5).x[-1], 1.125)
