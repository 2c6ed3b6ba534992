"""Squared lengths found in sums of inner products: what is a square, what is not, and what it is worth."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import odescent as od
from odescent.discretize.step.builder import with_lengths
from odescent.dynamics import vanishes
from odescent.dynamics.algebra.vectors import ScalarNode, Vector, VectorSymbol, inner

x, y, z = od.blocks("x y z")
a = od.parameters("a")


def found(e: sp.Expr) -> tuple[sp.Expr, list[Vector]]:
    """The scalar with its squares named v1, v2, ..., and what these are."""
    vectors: list[Vector] = []

    def named(v: Vector) -> Vector:
        vectors.append(v)
        return VectorSymbol(f"v{len(vectors)}")

    return with_lengths(e, named), vectors


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
