"""Sums of inner products in differences: squared lengths and other forms, what is none, and what it is worth."""

from __future__ import annotations

import random
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import odescent as od
from odescent.dynamics import start, substitute, vanishes
from odescent.dynamics.algebra.vectors import ScalarNode, Vector, VectorSymbol, inner
from odescent.dynamics.evaluation.differences import in_differences, with_differences
from odescent.dynamics.evaluation.evaluate import evaluate, vector_field

x, y, z, g, p = VECTORS = od.blocks("x y z g p")
a, b = od.parameters("a b")
f = od.Objective("f")


def found(e: sp.Expr) -> tuple[sp.Expr, list[Vector]]:
    """The scalar with its squares named v1, v2, ..., and what these are."""
    vectors: list[Vector] = []

    def named(v: Vector) -> Vector:
        if len(v.terms) < 2:
            return v
        vectors.append(v)
        return VectorSymbol(f"v{len(vectors)}")

    return in_differences(e, named), vectors


@given(st.lists(st.integers(-3, 3), min_size=3, max_size=3), st.integers(1, 4), st.integers(-5, 5))
def test_every_square_is_found(weights: list[int], scale: int, more: int) -> None:
    v = sum((u * w for u, w in zip((x, y, z), weights, strict=True)), od.dynamics.zero)
    e = sp.sqrt(a + sp.exp(inner(v, v) * scale)) * more
    short, vectors = found(e)
    if sum(w != 0 for w in weights) < 2 or more == 0:
        assert vectors == [] and short == e
        return
    (one,) = vectors
    (node,) = short.atoms(ScalarNode)
    assert node == inner(VectorSymbol("v1"), VectorSymbol("v1"))
    (square,) = [n.args[0] for n in short.atoms(sp.exp)]
    assert vanishes(inner(one, one) * (square / node) - inner(v, v) * scale)


def test_what_is_no_square_stays() -> None:
    for e in (
        inner(x, x) + inner(y, y), inner(x, y) * 2, inner(x, x) - 2 * inner(x, y) + 2 * inner(y, y),
        inner(x, x) - inner(y, y), inner(x, x) + 2 * inner(x, y) - inner(y, y), inner(x, x) - a * inner(x, y),
        inner(x, x) + a, inner(x, x) * inner(y, y) + inner(x, y), a, od.Objective("f").value(x) + inner(x, x),
    ):  # fmt: skip
        assert found(e) == (e, [])


def test_a_vector_over_an_inner_product_is_one_term_of_the_square() -> None:
    """|y/|z|^2 - x|^2 is |y - |z|^2 x|^2 / |z|^4."""
    v = y / inner(z, z) - x
    short, vectors = found(inner(v, v))
    (one,) = vectors
    (node,) = [n for n in short.atoms(ScalarNode) if n != inner(z, z)]
    assert vanishes(short / node * inner(one, one) - inner(v, v))


def test_the_program_takes_the_difference_first() -> None:
    """1e8 + 1e-6 minus 1e8: |x|^2 - 2 <x, m> + |m|^2 has no digit of that left, and the program has them all."""
    from programs import Machine

    made = od.algorithm("cbo")
    oracles: dict[str, Any] = {"ensemble_f": lambda p, alpha: np.full(2, 1e8)}
    machine = Machine(made.program, oracles, h=1, lam=1, sigma=1, alpha=1)
    draw = {d.target.name: np.array([[1.0, 0.0]]) for d in made.program.draws}
    start = np.array([[1e8 + 3e-6, 1e8 + 4e-6]])
    kick = machine.step({"x": start}, 0, draw)["x"][0, 0] - 1e8
    gap = start - 1e8
    np.testing.assert_allclose(kick, np.sqrt(np.sum(gap**2)), atol=2e-8)


def in_blocks(short: sp.Expr, vectors: list[Vector]) -> sp.Expr:
    return substitute(short, {VectorSymbol(f"v{i}"): v for i, v in enumerate(vectors, 1)})


@pytest.mark.parametrize(
    ("form", "differences"),
    [
        (inner(x - y, g - p), [x - y, g - p]),
        (inner(g, x - y) * a - a, [x - y]),
        (inner(x - y, x - y + g), [x - y]),
        (inner(x - y, x - y) + inner(x - z, x - z), [x - z, y - z]),
        (inner(g, g) - inner(g, p), [g - p]),
        (2 * inner(x, x) - 3 * inner(x, y) + inner(y, y), [x - y, 2 * x - y]),
        (inner(a * g - x, a * g - x), [a * g - x]),
        (inner(a * x + b * y, a * x + b * y), [a * x + b * y]),
        (inner(g - p, g - p) + inner(x + y, x + y), [g - p, x + y]),
    ],
)
def test_a_form_in_differences_is_written_in_them(form: sp.Expr, differences: list[Vector]) -> None:
    short, vectors = found(form)
    assert len(vectors) == len(differences)
    assert all(any(v in (d, -d) for v in vectors) for d in differences)
    assert vanishes(in_blocks(short, vectors) - form)
    assert not any(sp.denom(c).free_symbols for v in vectors for c in v.terms.values())


@pytest.mark.parametrize("seed", range(12))
def test_random_forms_keep_their_values_and_do_not_cancel(seed: int) -> None:
    """With x and y that agree to ten digits, and g and p, beside the same in 60 digits."""
    rng = random.Random(seed)

    def drawn() -> Vector:
        u, v = rng.sample([x - y, g - p], 2)
        more = rng.choice([0, 1, -2, a]) * v
        return u * rng.choice([1, 2, b]) + (more if rng.random() < 0.5 else u * 0)

    e = inner(drawn(), drawn()) * rng.choice([1, a]) + inner(drawn(), drawn()) * rng.choice([0, 3])
    e = rng.choice([e, sp.exp(e), (e + 1) / (inner(x - y, x - y) + 1), sp.sqrt(1 + e**2) - 1])
    short, vectors = found(e)
    assert vanishes(in_blocks(short, vectors) - e)
    e = inner(drawn(), drawn())
    near = np.random.default_rng(seed)
    at: dict[Any, Any] = {a: 0.7, b: 1.3}
    for first, second in ((x, y), (g, p)):
        at[first] = near.normal(size=3)
        at[second] = at[first] + 1e-10 * near.normal(size=3)
    # what each inner product is, in 60 digits
    exact = {n: exactly(n, at) for n in e.atoms(ScalarNode)}
    wanted = e.xreplace(exact).xreplace({s: sp.Rational(at[s]) for s in (a, b)})
    assert abs(evaluate(e, at, {}, np) / float(wanted) - 1) < 1e-9


def exactly(node: ScalarNode, at: dict[Any, Any]) -> sp.Rational:
    left, right = (at[v] for v in node.arguments)
    return sum(
        sp.Rational(float(u)) * sp.Rational(float(v)) for u, v in zip(left, right, strict=True)
    )


def test_secant_steps_go_on_to_the_last_digit() -> None:
    """Barzilai and Borwein's steps with the last point as a block: <x - y, x - y>/<x - y, g - p>, far from zero."""
    move, change = x - y, f.grad(x) - p
    step = inner(move, move) / inner(move, change)
    before = start - f.grad(start) / 100
    made = {x: x - step * f.grad(x), y: x, p: f.grad(x)}
    method = od.method(made, output=x, init={y: before, p: f.grad(before)}, name="secant")
    curvature, center = np.array([1.0, 3.0, 10.0]), np.array([100.0, 200.0, 300.0])
    slope = lambda q: curvature * (q - center)
    found = method.run(lambda q: (curvature * (q - center) ** 2).sum() / 2, np.zeros(3), 28).x
    at = np.zeros(3)
    last = at - slope(at) / 100
    for k in range(29):
        size = np.abs(at - center).max()
        np.testing.assert_allclose(found[k], at, rtol=0, atol=1e-6 * size + 1e-12)
        move, change = at - last, slope(at) - slope(last)
        at, last = at - move @ move / (move @ change) * slope(at), at
    assert size < 1e-9


def test_products_of_entries_are_taken_of_differences() -> None:
    """(g - m)^2 of nearly equal entries fell below zero, and its root was no number."""
    m = od.blocks("m")
    spread = od.elementwise(sp.sqrt, od.hadamard(f.grad(x) - m, f.grad(x) - m))
    method = od.method({x: x - a * spread, m: f.grad(x)}, output=x, name="spread")
    entries = np.array([0.1, 0.7, 1.3, 2.9])
    near = entries * (1 + 1e-12)
    moved = {x: entries, m: near}
    found = method.run(lambda q: (q**2).sum() / 2, moved, 1, a=1.0).x[1]
    np.testing.assert_array_equal(found, entries - np.abs(entries - near))
    flow = od.System({"all": {x: -spread, m: f.grad(x) - m}}, output=x)
    rates = vector_field(flow, {"grad": lambda q: q}, {}, np)(0.0, (entries, near))
    np.testing.assert_array_equal(rates[0], -np.abs(entries - near))


@pytest.mark.parametrize("at", ["point", "parameter", "operator", "entries"])
def test_scalars_inside_of_vectors_are_taken_of_differences(at: str) -> None:
    """At the point of a gradient, as the step of a prox, in a solve, and in a function of entries."""
    size = inner(x - y, x - y)
    made = {
        "point": f.grad(x - size * y),
        "parameter": f.prox(x, size),
        "operator": od.linear_solve(f.hessian(x) + size * od.identity, y),
        "entries": od.elementwise(lambda e: sp.exp(e * size), x),
    }[at]
    text = od.method({x: made, y: x}, output=x, name="inside").source("numpy")
    assert "gap_dot_gap" in text and "x_dot_y" not in text


def test_a_large_multiple_of_a_difference_is_taken_of_the_difference() -> None:
    """x + q (x - y) with q = 1e9 was (1 + q) x - q y, in which nine digits are lost."""
    q = 1 / inner(x - y, x - y)
    made = {x: x + q * (x - y) / 10**6 - a * f.grad(x), y: y}
    method = od.method(made, output=x, name="far")
    at, before = np.array([3.0, -2.0, 1.0]), np.array([3.0, -2.0, 1.0]) + 1e-6 * np.array([1, 2, 2])
    near = before - at
    begin = {x: at, y: before}
    found = method.run(lambda z: (z**2).sum() / 2, begin, 1, a=0.5).x[1]
    wanted = at - near / (near @ near) / 1e6 - 0.5 * at
    np.testing.assert_allclose(found, wanted, rtol=1e-14)
    numbers = {x: at, y: before, a: 0.5}
    again = evaluate(made[x], numbers, {"grad": lambda z: z}, np)
    np.testing.assert_allclose(again, wanted, rtol=1e-14)
    assert np.abs(found - at).max() > 0.1


@pytest.mark.parametrize("kind", ["hessian", "adjoint", "matrix"])
def test_a_linear_map_of_a_difference_is_applied_once(kind: str) -> None:
    """In steps and in evaluations; a difference of two products has fewer digits, and takes twice the time."""
    c, J = od.Map("c"), od.blocks("J", kind="matrix")
    mapped = {
        "hessian": f.grad(x, along=(x - y,)),
        "adjoint": c.vjp(x, c(x) - p),
        "matrix": od.apply(J, 2 * x - a * y),
    }[kind]
    updates = {x: x - a * mapped, y: x, **({J: J} if kind == "matrix" else {p: p})}
    begin = {J: od.identity} if kind == "matrix" else None
    method = od.method(updates, output=x, init=begin, name="once")
    text = method.source("numpy").partition("def step")[2]
    assert text.count({"hessian": "hvp(x", "adjoint": "vjp_c(x", "matrix": " @ "}[kind]) == 1
    matrix = np.array([[2.0, 1.0], [0.0, 3.0]])
    asked: list[Any] = []

    def product(q: np.ndarray, *directions: np.ndarray) -> np.ndarray:
        asked.append(directions)
        return q**2 * directions[-1]

    oracles = {
        "hess": product,
        "grad": np.cos,
        "map_c": np.sin,
        "vjp_c": product,
        "map": np.sin,
        "vjp": product,
    }
    at = {
        x: np.array([0.3, 1.2]),
        y: np.array([0.1, -0.4]),
        p: np.array([0.2, 0.9]),
        a: 0.7,
        J: matrix,
    }
    found = evaluate(mapped, at, oracles, np)
    gap = np.sin(at[x]) - at[p] if kind == "adjoint" else at[x] - at[y]
    wanted = matrix @ (2 * at[x] - 0.7 * at[y]) if kind == "matrix" else at[x] ** 2 * gap
    np.testing.assert_allclose(found, wanted, rtol=1e-14)
    assert len(asked) == (kind != "matrix")


def test_an_outer_product_of_differences_is_one() -> None:
    """Broyden's update, and a symmetric one, of points that agree to eight digits."""
    J, S = od.blocks("J", kind="matrix"), od.blocks("S", kind="symmetric")
    move, rest = x - y, g - p - od.apply(J, x - y)
    broyden = J + od.outer(rest, move) / inner(move, move)
    change = move - od.apply(S, g - p)
    symmetric = S + od.outer(change, change) / inner(change, g - p)
    one = np.random.default_rng(5).normal(size=(4, 3))
    near = {x: one[0], y: one[0] + 1e-8 * one[1], g: one[2], p: one[2] + 1e-8 * one[3]}
    near |= {J: np.diag([1.0, 2.0, 3.0]), S: np.diag([1.0, 2.0, 0.5])}
    s, d = near[x] - near[y], near[g] - near[p]
    wanted = near[J] + np.outer(d - near[J] @ s, s) / (s @ s)
    np.testing.assert_allclose(evaluate(broyden, near, {}, np), wanted, rtol=1e-12)
    r = s - near[S] @ d
    wanted = near[S] + np.outer(r, r) / (r @ d)
    np.testing.assert_allclose(evaluate(symmetric, near, {}, np), wanted, rtol=1e-12)
    for made, block in ((broyden, J), (symmetric, S)):
        method = od.method(
            {x: x, y: y, g: g, p: p, block: made},
            output=x,
            init={block: od.identity},
            name="update",
        )
        assert method.source("numpy").count("np.outer(") == 1


def test_outer_products_that_are_not_one_stay() -> None:
    for e in (
        od.outer(x, y) + od.outer(y, z), od.outer(x, y) + od.outer(y, x), od.outer(x, x) + od.outer(y, y),
        od.outer(x, y) - a * od.outer(x, z),
    ):  # fmt: skip
        assert with_differences(e) == (e, ())


@pytest.mark.parametrize("weight", ["matrix", "hessian"])
def test_a_form_of_a_difference_takes_one_product(weight: str) -> None:
    """<S (g - p), g - p>, and the same with a Hessian, in which the symmetric terms stand once."""
    S = od.blocks("S", kind="symmetric")
    change = g - p
    mapped = od.apply(S, change) if weight == "matrix" else f.grad(x, along=(change,))
    form = inner(mapped, change) + inner(mapped, z) * 0
    kept = {g: g, p: p, **({S: S} if weight == "matrix" else {})}
    begin = {S: od.identity} if weight == "matrix" else None
    updates = {x: x - form * f.grad(x), **kept}
    method = od.method(updates, output=x, init=begin, name="form")
    text = method.source("numpy").partition("def step")[2]
    assert text.count(" @ " if weight == "matrix" else "hvp(x") == 1
    one = np.random.default_rng(3).normal(size=(3, 3))
    near = {x: one[2], g: one[0], p: one[0] + 1e-9 * one[1], S: np.diag([1.0, 2.0, -0.5])}
    d = near[g] - near[p]
    by = {"hess": lambda q, u: np.diag([1.0, 2.0, -0.5]) @ u}
    wanted = d @ (np.diag([1.0, 2.0, -0.5]) @ d)
    np.testing.assert_allclose(evaluate(form, near, by, np), wanted, rtol=1e-12)


class Drawn:
    """Random expressions in vectors, matrices, Hessians and adjoints."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.J, self.S = od.blocks("J", kind="matrix"), od.blocks("S", kind="symmetric")

    def vector(self, depth: int) -> Vector:
        draw, k = self.vector, self.rng.random()
        pick = self.rng.choice
        if depth <= 0 or k < 0.2:
            return pick(VECTORS)
        if k < 0.55:
            return draw(depth - 1) * pick([1, 2, a, -1]) - draw(depth - 1) * pick([1, 1, b])
        if k < 0.65:
            return od.apply(pick([self.J, self.S, od.transpose(self.J)]), draw(depth - 1))
        if k < 0.75:
            return f.grad(draw(0), along=(draw(depth - 1),))
        if k < 0.8:
            return od.Map("c").vjp(draw(0), draw(depth - 1))
        if k < 0.9:
            return od.hadamard(draw(depth - 1), draw(depth - 1))
        return self.scalar(depth - 1) * draw(depth - 1)

    def scalar(self, depth: int) -> sp.Expr:
        k = self.rng.random()
        if depth <= 0 or k < 0.15:
            return self.rng.choice([a, b, a * b, sp.Integer(2)])
        if k < 0.75:
            return inner(self.vector(depth - 1), self.vector(depth - 1))
        if k < 0.9:
            return self.scalar(depth - 1) + self.scalar(depth - 1)
        return 1 / (1 + self.scalar(depth - 1) ** 2)

    def operator(self) -> Vector:
        one, other = self.vector(2), self.vector(2)
        return self.J + od.outer(one, other) * self.rng.choice([1, a, self.scalar(1)])


@pytest.mark.parametrize("seed", range(4))
def test_random_expressions_have_the_values_of_their_atoms(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn, rng = Drawn(seed), np.random.default_rng(seed)
    hessian = lambda q: np.diag(1 + q**2) + np.ones((3, 3))
    oracles = {
        "hess": lambda q, u: hessian(q) @ u, "vjp": lambda q, u: np.cos(q) * u,
        "map": jnp.sin, "map_c": jnp.sin, "vjp_c": lambda q, u: jnp.cos(q) * u,
    }  # fmt: skip
    changed = 0
    for n in range(25):
        e = (drawn.vector(3), drawn.scalar(3), drawn.operator())[n % 3]
        at: dict[Any, Any] = {s: rng.normal(size=3) for s in VECTORS} | {a: 0.7, b: 1.3}
        at[drawn.J] = rng.normal(size=(3, 3))
        at[drawn.S] = at[drawn.J] + at[drawn.J].T
        found = evaluate(e, at, oracles, np)
        with monkeypatch.context() as patch:
            patch.setattr(
                "odescent.dynamics.evaluation.evaluate.with_differences", lambda e: (e, ())
            )
            wanted = evaluate(e, at, oracles, np)
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9 * np.max(np.abs(wanted)))
        changed += bool(with_differences(e)[1])
    assert changed >= 3
