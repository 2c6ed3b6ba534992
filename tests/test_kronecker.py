"""Kronecker products of operators: their algebra, their numbers against dense matrices, and MKOR's two factors."""

from __future__ import annotations

import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import odescent as od
from odescent.dynamics import derivative, vanishes
from odescent.dynamics.algebra.trees import from_tree, tree
from odescent.dynamics.evaluation.evaluate import evaluate
from odescent.dynamics.grammar.write import to_text

A, B, C, D = od.blocks("A B C D", kind="matrix")
P, Q = od.blocks("P Q", kind="symmetric")
x, u = od.blocks("x u")
lam, h = od.parameters("lam h")
f = od.Objective("f")
k, ap, one = od.kronecker, od.apply, od.identity
RNG = np.random.default_rng(2)
ROWS, COLUMNS = 3, 4


def definite(n):
    m = RNG.normal(size=(n, n))
    return m @ m.T + np.eye(n)


VALUES = {
    A: RNG.normal(size=(ROWS, ROWS)) + 3 * np.eye(ROWS), B: RNG.normal(size=(COLUMNS, COLUMNS)) + 3 * np.eye(COLUMNS),
    P: definite(ROWS), Q: definite(COLUMNS), x: RNG.normal(size=(ROWS, COLUMNS)), lam: 0.3,
}  # fmt: skip


def test_products_transposes_and_inverses_go_factor_by_factor():
    assert vanishes(ap(k(A, B), k(C, D)) - k(ap(A, C), ap(B, D)))
    assert not vanishes(ap(k(A, B), k(C, D)) - k(ap(C, A), ap(B, D)))
    assert od.transpose(k(A, P)) == k(od.transpose(A), P) and k(one, one) == one
    assert vanishes(ap(k(A, B), od.linear_solve(k(A, B), x)) - x)
    mixed = k(A, one) + k(one, B) * lam
    assert vanishes(ap(mixed, od.linear_solve(mixed, x)) - x)
    assert k(A + C, B) == k(A, B) + k(C, B)
    rate = derivative(k(A, B), {A: C, B: D})
    assert rate == k(C, B) + k(A, D)


def test_numbers_are_those_of_the_dense_matrix_to_fifty_digits():
    dense = np.kron(VALUES[A], VALUES[B])
    applied = evaluate(ap(k(A, B), x), VALUES, {}, np)
    np.testing.assert_allclose(applied.reshape(-1), dense @ VALUES[x].reshape(-1), atol=1e-12)
    for left, right in ((A, B), (P, Q), (A, Q)):
        matrix = np.kron(VALUES[left], VALUES[right])
        with mpmath.workdps(50):
            right_side = mpmath.matrix(VALUES[x].reshape(-1).tolist())
            exact = mpmath.lu_solve(mpmath.matrix(matrix.tolist()), right_side)
        exact = np.array([float(e) for e in exact]).reshape(ROWS, COLUMNS)
        solution = od.linear_solve(k(left, right), x)
        for xp in (np, jnp):
            found = np.asarray(evaluate(solution, VALUES, {}, xp))
            np.testing.assert_allclose(found, exact, atol=1e-12 * np.linalg.cond(matrix))
    np.testing.assert_allclose(evaluate(k(A, B), VALUES, {}, np), dense)


def test_text_and_trees_keep_it():
    e = od.linear_solve(k(A, Q), x)
    assert from_tree(tree(e)) == e and "boxtimes" in e._repr_latex_()
    system = od.system("mkor", factors=2)
    written = to_text(system)
    assert "kronecker(P, Q)" in written and to_text(od.parse_system(written)) == written


def test_wrong_factors_and_arrays_are_refused():
    with pytest.raises(od.OdescentError, match="kronecker takes two operators, which x is not"):
        k(x, A)
    with pytest.raises(
        od.OdescentError, match=r"an array of two axes, not on one of the shape \(3,\)"
    ):
        evaluate(ap(k(A, B), x), {**VALUES, x: np.ones(3)}, {}, np)
    with pytest.raises(od.OdescentError, match="singular to rounding: pivot"):
        singular = {**VALUES, A: np.ones((ROWS, ROWS))}
        evaluate(od.linear_solve(k(A, B), x), singular, {}, np)
    with pytest.raises(od.OdescentError, match="1 or 2 factors, not 3"):
        od.system("mkor", factors=3)


@pytest.mark.parametrize("leak", ["inverse", "factor"])
def test_mkor_with_two_factors_is_its_textbook_form(leak):
    method = od.algorithm("mkor", factors=2, leak=leak)
    inputs, target = RNG.normal(size=(COLUMNS, 9)), RNG.normal(size=(ROWS, 9))
    functions = {
        "f": lambda w: jnp.sum((w @ inputs - target) ** 2) / 18,
        "a": lambda w: jnp.mean(jnp.asarray(inputs), axis=1),
        "b": lambda w: jnp.mean(w @ inputs - target, axis=1),
    }
    start = {x: RNG.normal(size=(ROWS, COLUMNS)), P: np.eye(ROWS), Q: np.eye(COLUMNS)}
    run = method.run(functions, start, 5, h=0.1)
    W, left, right, c = start[x], start[P], start[Q], 1 / 20

    def learned(M, v):
        if leak == "inverse":
            M, w, scale = (1 - c) * M + c * np.eye(len(M)), 1.0, 1.0
        else:
            M, w, scale = M / (1 - c), c, 1.0
        return scale * (M - w * np.outer(M @ v, M @ v) / (1 + w * v @ M @ v))

    for _ in range(5):
        residual = W @ inputs - target
        g = residual @ inputs.T / 9
        left, right = learned(left, residual.mean(axis=1)), learned(right, inputs.mean(axis=1))
        d = left @ g @ right
        W = W - 0.1 * np.linalg.norm(g) / np.linalg.norm(d) * d
    np.testing.assert_allclose(run.x[-1], W, atol=1e-12)
    np.testing.assert_allclose(run.states["P"][-1], left, atol=1e-12)
    assert np.linalg.eigvalsh(run.states["Q"][-1]).min() > 0
