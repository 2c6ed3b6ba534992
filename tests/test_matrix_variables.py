"""Functions of matrices: transposes and products of their gradients, and methods that begin at a matrix."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import odescent as od
from odescent.discretize.emit import load
from odescent.dynamics import start
from odescent.dynamics.evaluation.evaluate import evaluate

W = od.blocks("W", kind="matrix")
L, R, P, Q = od.blocks("L R P Q", kind="symmetric")
u = od.blocks("u")
f = od.Objective("f")
h, eps = od.parameters("h eps")
G = f.grad(W)
START = np.arange(6.0).reshape(2, 3) / 3
GOAL = np.array([[1.0, 2.0, 3.0], [0.0, 1.0, -1.0]])


def loss(w: Any) -> Any:
    return jnp.sum((w - GOAL) ** 2) / 2 + jnp.sum(w**4) / 20 + jnp.sum(w) ** 2 / 7


GRAD: Callable[[Any], Any] = jax.grad(loss)


def slope(w: np.ndarray) -> np.ndarray:
    return np.asarray(GRAD(w))


def by_hand(step: Callable[..., Any], *state: np.ndarray, count: int = 4) -> np.ndarray:
    found = [START]
    for _ in range(count):
        state = step(*state)
        found.append(state[0])
    return np.stack(found)


def rows_alone() -> od.Algorithm:
    """The sums of G G^T and of G^T G; the first scales the rows of a step."""
    left, right = L + od.apply(G, od.transpose(G)), R + od.apply(od.transpose(G), G)
    step = od.linear_solve(left + eps * od.identity, G)
    begin = {W: start, L: 0 * od.identity, R: 0 * od.identity}
    return od.method({W: W - h * step, L: left, R: right}, output=W, init=begin)


def rows_alone_by_hand(w: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, ...]:
    g = slope(w)
    p = p + g @ g.T
    return w - 0.1 * np.linalg.solve(p + 0.5 * np.eye(2), g), p


def both_sides() -> od.Algorithm:
    """Averages of both, whose inverses scale rows and columns."""
    left = L + h * (od.apply(G, od.transpose(G)) - L)
    right = R + h * (od.apply(od.transpose(G), G) - R)
    rows = od.linear_solve(left + eps * od.identity, G)
    columns = od.transpose(od.linear_solve(right + eps * od.identity, od.transpose(rows)))
    begin = {W: start, L: od.identity, R: 2 * od.identity}
    return od.method({W: W - h * columns, L: left, R: right}, output=W, init=begin)


def both_sides_by_hand(w: np.ndarray, p: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, ...]:
    g = slope(w)
    p, q = p + 0.1 * (g @ g.T - p), q + 0.1 * (g.T @ g - q)
    step = np.linalg.solve(p + 0.5 * np.eye(2), g) @ np.linalg.inv(q + 0.5 * np.eye(3))
    return w - 0.1 * step, p, q


def newton() -> od.Algorithm:
    """The Hessian of a function of a matrix acts on the gradient whole, and not on its columns."""
    step = od.linear_solve(f.hessian(W) + eps * od.identity, G)
    return od.method({W: W - h * step}, output=W, init={W: start})


def newton_by_hand(w: np.ndarray) -> tuple[np.ndarray, ...]:
    whole = np.asarray(jax.hessian(loss)(w)).reshape(6, 6) + 0.5 * np.eye(6)
    return (w - 0.1 * np.linalg.solve(whole, slope(w).ravel()).reshape(2, 3),)


def test_outer_products_and_diagonals_act_on_columns() -> None:
    near = od.identity + eps * od.outer(od.apply(G, od.apply(od.transpose(G), u)), u)
    step = od.apply(od.diagonal_operator(u), od.linear_solve(near, G))
    flow = od.System({W: -step, u: 0 * u}, output=W, init={W: start, u: 0 * u})
    method = od.Algorithm(flow, "explicit_euler", step=h)
    U = np.array([0.5, -1.5])

    def by_numbers(w: np.ndarray) -> tuple[np.ndarray, ...]:
        g = slope(w)
        near = np.eye(2) + 0.5 * np.outer(g @ g.T @ U, U)
        return (w - 0.1 * np.diag(U) @ np.linalg.solve(near, g),)

    found = method.run(loss, {W: START, u: U}, 4, h=0.1, eps=0.5).x
    np.testing.assert_allclose(found, by_hand(by_numbers, START), rtol=1e-9)


METHODS: dict[str, tuple[Any, ...]] = {
    "rows_alone": (rows_alone, rows_alone_by_hand, np.zeros((2, 2))),
    "both_sides": (both_sides, both_sides_by_hand, np.eye(2), 2 * np.eye(3)),
    "newton": (newton, newton_by_hand),
}


@pytest.mark.parametrize("name", METHODS)
def test_runs_are_those_by_hand(name: str) -> None:
    """From a matrix alone: the sides of the others follow."""
    make, step, *begin = METHODS[name]
    method = make()
    values = {"h": 0.1, "eps": 0.5} if len(method.parameters) == 2 else {"eps": 0.5}
    found = method.run(loss, START, 4, **values)
    np.testing.assert_allclose(found.x, by_hand(step, START, *begin), rtol=1e-9)


@pytest.mark.parametrize("name", ["rows_alone", "both_sides"])
@pytest.mark.parametrize("target", ["numpy", "jax"])
def test_emitted_runs_are_those_by_hand(name: str, target: str) -> None:
    make, step, *begin = METHODS[name]
    gradient = GRAD if target == "jax" else slope
    method = make()
    module = load(method, target)
    found = module.run(gradient, jnp.asarray(START), 4, h=0.1, eps=0.5)
    np.testing.assert_allclose(found, by_hand(step, START, *begin), rtol=1e-9)


def test_every_leaf_of_a_tree_has_its_own_sides() -> None:
    method, rng = rows_alone(), np.random.default_rng(0)
    tree = {"a": rng.normal(size=(2, 3)), "b": rng.normal(size=(4, 2))}
    goal = {"a": jnp.ones((2, 3)), "b": jnp.zeros((4, 2))}
    apart = lambda p, q: jnp.sum((p - q) ** 2) / 2 + jnp.sum(p**4) / 20
    whole = lambda t: apart(t["a"], goal["a"]) + apart(t["b"], goal["b"])
    found = method.run(whole, tree, 3, h=0.1, eps=0.5).x
    for name, begin in tree.items():
        own = method.run(lambda p, n=name: apart(p, goal[n]), begin, 3, h=0.1, eps=0.5).x
        np.testing.assert_allclose(found[name][-1], own[-1], rtol=1e-12)


def test_flows_begin_at_a_matrix() -> None:
    """It ended in an error of shapes: every matrix was as long as the starting point has entries."""
    given = od.Objective("f", loss)
    flow = od.System({W: -od.apply(L, G), L: -L}, output=W, init={W: start, L: od.identity})
    found = flow.simulate(given, START, 1.0, rtol=1e-9, atol=1e-9).x[-1]
    plain = od.System({W: -G}, output=W, init={W: start})
    # exp(-t) scales the rate: the flow of -grad f at the time 1 - exp(-1)
    again = plain.simulate(given, START, 1 - np.exp(-1.0), rtol=1e-9, atol=1e-9).x[-1]
    np.testing.assert_allclose(found, again, rtol=1e-7)
    assert str(plain.derivative(f.value(W))) == "-|grad f(W)|^2"


@pytest.mark.parametrize("x0", [np.ones(3), np.ones((2, 2, 2)), 1.0])
def test_a_matrix_begins_at_two_axes(x0: Any) -> None:
    """A flow ended in an IndexError otherwise."""
    plain = od.System({W: -G}, output=W, init={W: start}, name="plain")
    sentence = r"the matrix W of .* begins at x0, which must have two axes, not the shape"
    with pytest.raises(od.OdescentError, match=sentence):
        plain.simulate(od.Objective("f", loss), x0, 1.0)
    with pytest.raises(od.OdescentError, match=sentence):
        od.Algorithm(plain, "explicit_euler", step=h).run(lambda w: jnp.sum(w**2), x0, 2, h=0.1)


def test_the_transpose_of_what_acts_on_whole_matrices_is_refused() -> None:
    """(H^-1 G)^T is not G^T H^-1, nor is that of A G B^T the product in turn."""
    for whole in (
        od.linear_solve(f.hessian(W) + od.identity, G),
        od.apply(od.kronecker(P, Q), G),
        od.apply(P, od.linear_solve(f.hessian(W) + od.identity, G)),
    ):
        with pytest.raises(od.NotCarried, match=r"the transpose of .* is not known"):
            od.transpose(whole)
    with pytest.raises(od.NotCarried, match="is not known"):
        od.transpose(f.grad(u))


def written(rng: random.Random, depth: int) -> Any:
    """A matrix of two rows and columns, of the gradient of a function of one."""
    if depth == 0:
        return rng.choice([G, od.transpose(G), W, P, f.grad(W + P), od.outer(u, u), od.identity])
    one = written(rng, depth - 1)
    other = written(rng, rng.randrange(depth))
    made: list[Callable[[], Any]] = [
        lambda: one + 2 * other,
        lambda: od.apply(one, other),
        lambda: od.transpose(one),
        lambda: od.apply(od.diagonal_operator(u), one),
        lambda: od.apply(od.outer(u, od.apply(P, u)), one),
        lambda: od.linear_solve(P + 9 * od.identity, one),
        lambda: od.apply(one, od.transpose(other)),
        lambda: f.grad(W, along=(one,)),
        lambda: od.hadamard(one, other),
        lambda: od.elementwise(sp.sin, one),
    ]
    return rng.choice(made)()


def number(e: Any, xp: Any = np) -> Any:
    square = lambda w: (
        jnp.sum(jnp.sin(w) * jnp.arange(1.0, 5.0).reshape(2, 2)) + jnp.sum(w[0] * w[1] ** 2)
    )
    oracles = {"grad": jax.grad(square)}
    values = {
        W: jnp.array([[0.3, -0.2], [0.5, 0.1]]), P: jnp.array([[0.4, 0.2], [0.2, -0.3]]), u: jnp.array([0.7, -0.6]),
    }  # fmt: skip
    return np.asarray(evaluate(e, values, oracles, jnp))


@pytest.mark.parametrize("seed", range(60))
def test_random_products_have_the_values_of_their_matrices(seed: int) -> None:
    """Transposes, inner products and solves of what gradients of matrices are in."""
    rng = random.Random(seed)
    tried, compared = 0, 0
    while tried < 4:
        e, other = written(rng, rng.randint(1, 3)), written(rng, 1)
        try:
            turned, pair = od.transpose(e), od.inner(e, other)
            value, beside = number(e + P * 0 + 0 * W) if e else None, number(other)
        except od.OdescentError:
            continue
        tried += 1
        if value is None or value.shape != (2, 2) or beside.shape != (2, 2):
            continue
        compared += 1
        np.testing.assert_allclose(number(turned), value.T, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(number(pair), np.sum(value * beside), rtol=1e-9, atol=1e-12)
    assert compared


@pytest.mark.parametrize(
    ("scheme", "ratio"), [("explicit_euler", 1.9), ("heun", 3.5), ("adams_bashforth", 2.8)]
)
def test_schemes_keep_their_order(scheme: str, ratio: float) -> None:
    """Stages, and a gradient that is kept from the step before, are matrices as well."""
    square = od.apply(G, od.transpose(G))
    field = {W: -od.apply(square, W) - G, L: square - L}
    system = od.System({"all": field}, output=W, init={W: start, L: od.identity})
    method, given = od.Algorithm(system, scheme, step=h), od.Objective("f", loss)
    exact = system.simulate(given, START, 0.2, rtol=1e-10, atol=1e-12).x[-1]
    coarse, fine = (
        np.abs(method.run(given, START, n, h=0.2 / n).x[-1] - exact).max() for n in (40, 80)
    )
    assert coarse > ratio * fine
