"""Slow manifolds of random linear systems, up to three fast blocks on up to three scales, against eigenvectors."""

from __future__ import annotations

import random

import mpmath as mp
import pytest
import sympy as sp

import odescent as od

SCALES = (("a",), ("a", "a"), ("a", "a", "a"), ("a", "b"), ("a", "a", "b"), ("a", "b", "c"))


def system(
    seed: int, scales: tuple[str, ...]
) -> tuple[od.System, list[list[sp.Rational]], dict[str, sp.Symbol]]:
    """Two slow blocks and one fast block a scale; the fast part is dominated by its diagonal, so it is attracting."""
    rng, fast = random.Random(seed), len(scales)
    names = ["x1", "x2", *(f"y{i}" for i in range(fast))]
    blocks = od.blocks(" ".join(names), "scalar")
    matrix = [[sp.Rational(rng.randint(-5, 5), rng.randint(1, 3)) for _ in names] for _ in names]
    for i in range(2, 2 + fast):
        for j in range(2, 2 + fast):
            matrix[i][j] = sp.Rational(rng.randint(-2, 2), 3)
        matrix[i][i] = -sp.Rational(rng.randint(3, 6))
    symbols = {n: od.parameters(n) for n in sorted({*scales})}
    small = [sp.S.One, sp.S.One, *(symbols[n] for n in scales)]
    rates = {
        b: sum((c * s for c, s in zip(row, blocks, strict=True)), sp.S.Zero) / e
        for b, row, e in zip(blocks, matrix, small, strict=True)
    }
    order = {"small": tuple(symbols.values())} if len(symbols) > 1 else {}
    declared = dict(zip(blocks[2:], small[2:], strict=True))
    return od.System(rates, output=blocks[0], fast=declared, **order), matrix, symbols


def exact(matrix: list[list[sp.Rational]], small: list[mp.mpf]) -> mp.matrix:
    """The invariant graph over the slow blocks: the span of the eigenvectors of the two smallest eigenvalues."""
    n = len(matrix)
    rows = [
        [mp.mpf(int(c.p)) / int(c.q) / e for c in row] for row, e in zip(matrix, small, strict=True)
    ]
    values, vectors = mp.eig(mp.matrix(rows))
    slow = sorted(range(n), key=lambda k: abs(values[k]))[:2]
    over = mp.matrix([[vectors[i, k] for k in slow] for i in range(2)])
    return mp.matrix([[vectors[i, k] for k in slow] for i in range(2, n)]) * over**-1


@pytest.mark.parametrize("scales", SCALES, ids="".join)
@pytest.mark.parametrize("seed", range(2))
def test_the_graph_has_the_order_that_is_asked_for(seed: int, scales: tuple[str, ...]) -> None:
    built, matrix, symbols = system(seed, scales)
    order = 2 if len(symbols) == 1 else 1
    graph = built.slow_manifold(order).graph()
    blocks = [b.symbol for b in built.blocks]
    errors = []
    with mp.workdps(40):
        for e in (mp.mpf(1) / 200, mp.mpf(1) / 2000):
            size = {"a": e, "b": e**2, "c": e**3}
            wanted = exact(matrix, [mp.mpf(1), mp.mpf(1), *(size[n] for n in scales)])
            given = {symbols[n]: sp.Float(str(size[n]), 40) for n in symbols}
            gaps = [
                abs(
                    mp.mpf(str(sp.N(sp.diff(graph[y], blocks[c]).xreplace(given), 40)))
                    - mp.re(wanted[i, c])
                )
                for i, y in enumerate(blocks[2:])
                for c in range(2)
            ]
            errors.append(max(gaps))
    assert mp.log(errors[0] / errors[1], 10) == pytest.approx(order + 1, abs=0.1)
