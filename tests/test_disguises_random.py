"""Random linear methods in random coordinates: proved equal; altered by 1e-9, decided as exact sequences are."""

from __future__ import annotations

import random

import pytest
import sympy as sp
from experiments import check_witness

import odescent as od

f = od.Objective("f")
x0 = od.blocks("x0")
a, b, s = od.parameters("a b s")
n = od.blocks("n", kind="scalar")
VALUES = {a: sp.Rational(37, 41), b: sp.Rational(53, 59), s: sp.Rational(61, 67) ** 2}


def entry(r: random.Random) -> sp.Expr:
    fraction = sp.Rational(r.randint(-5, 5), r.randint(1, 4))
    return r.choice([sp.S.Zero, fraction, a, b, s, sp.sqrt(s), 1 - b, a * b])


def method(A: sp.Matrix, B: sp.Matrix, C: sp.Matrix, S: sp.Matrix, E: sp.Matrix) -> od.Algorithm:
    blocks = [od.blocks(f"u{i}") for i in range(A.rows)]

    def read(row: sp.Matrix) -> od.Vector:
        return sum((u * e for u, e in zip(blocks, row, strict=True)), 0 * blocks[0])

    g = f.grad(read(C))
    updates = {u: read(A.row(i)) + g * B[i] for i, u in enumerate(blocks)}
    return od.method(
        updates, output=read(E), init={u: x0 * e for u, e in zip(blocks, S, strict=True)}
    )


def unread(parts: list[sp.Matrix], r: random.Random) -> list[sp.Matrix]:
    """With a state that nothing reads, or one that nothing moves."""
    A, B, C, S, E = parts
    k = A.rows
    seen = r.random() < 0.5
    A = sp.diag(A, entry(r))
    for j in range(k):
        A[(j, k) if seen else (k, j)] = entry(r)
    more = [sp.S.Zero if seen else entry(r) for _ in range(2)]
    read = [entry(r) if seen else sp.S.Zero for _ in range(2)]
    return [
        A,
        B.col_join(sp.Matrix([more[0]])),
        C.row_join(sp.Matrix([read[0]])),
        S.col_join(sp.Matrix([more[1]])),
        E.row_join(sp.Matrix([read[1]])),
    ]


def sequences(parts: list[sp.Matrix], steps: int) -> list[sp.Expr]:
    """The impulse response and the response to x0 at numbers, exactly."""
    A, B, C, S, _ = (m.xreplace(VALUES) for m in parts)
    found, p, q = [], B, S
    for _ in range(steps):
        found += [(C * p)[0], (C * q)[0]]
        p, q = A * p, A * q
    return found


@pytest.mark.parametrize("seed", range(12))
def test_random_coordinates(seed: int) -> None:
    r = random.Random(seed)
    k = r.choice([1, 2, 2, 3])
    shapes = [(k, k), (k, 1), (1, k), (k, 1), (1, k)]
    parts = [sp.Matrix(i, j, lambda *_: entry(r)) for i, j in shapes]
    parts[1][0] = parts[2][0] = 1  # so that there is a call that matters
    T = sp.eye(k)
    for _ in range(3):
        i, j = r.randrange(k), r.randrange(k)
        one = sp.eye(k)
        one[i, j] = r.choice([sp.Integer(2), a, sp.sqrt(s)]) if i == j else entry(r)
        T = T * one
    A, B, C, S, E = parts
    back = T.inv()
    turned = [T * A * back, T * B, C * back, T * S, E * back]
    if seed % 2:
        turned = unread(turned, r)
    found = method(*parts).equivalent(method(*turned))
    assert found.verdict == "proved" and found.same_output, found.reason

    which = r.randrange(4)
    altered = [m.copy() for m in turned]
    altered[which][r.randrange(len(altered[which]))] += sp.Rational(1, 10**9)
    same = sequences(parts, 2 * k + 3) == sequences(altered, 2 * k + 3)
    found = method(*parts).equivalent(method(*altered))
    assert found.verdict == ("proved" if same else "refuted"), found.reason
    if found.witness is not None:
        check_witness(found.witness, method(*parts), method(*altered))


@pytest.mark.parametrize("seed", range(6))
def test_random_coordinates_that_change_with_the_step(seed: int) -> None:
    r = random.Random(seed)
    x, w = od.blocks("x w")
    gains = [n / (n + 3), 1 / (n + 1), (n + 1) / (n + 4), sp.S.One, b, 1 - 1 / (n + 2)]

    def momentum(beta: sp.Expr, alpha: sp.Expr, ahead: sp.Expr, unit: sp.Expr) -> od.Algorithm:
        """Momentum by w = unit (x - x_-), with a unit that depends on the step."""
        moved = x + beta * w / unit - alpha * f.grad(x + ahead * w / unit)
        after = unit.xreplace({n: n + 1}) * (moved - x)
        return od.method({x: moved, w: after, n: n + 1}, output=x, init={w: 0, n: 0})

    beta, alpha, ahead = r.choice(gains), s * r.choice(gains), r.choice(gains)
    unit = r.choice([n + 1, a / (n + 2), sp.Integer(3), b * (n + 1) ** 2])
    one, two = momentum(beta, alpha, ahead, sp.S.One), momentum(beta, alpha, ahead, unit)
    assert one.equivalent(two).same_output
    near = momentum(beta, alpha * (1 + sp.Rational(1, 10**12) / (n + 1)), ahead, unit)
    found = one.equivalent(near)
    assert found.verdict == "refuted" and found.witness is not None
    check_witness(found.witness, one, near)


@pytest.mark.parametrize("seed", range(12))
def test_random_maps_in_units_of_their_own(seed: int) -> None:
    """Momentum with a function of the gradient that is not linear, and a scalar state."""
    r = random.Random(seed)
    x, v, w = od.blocks("x v w")
    weights = [a, b, s, 1 - b, sp.sqrt(a), sp.exp(-a), 1 / (1 + s), sp.Rational(3, 7)]
    friction, gain, step, size, share = (r.choice(weights) for _ in range(5))
    unit, other, ticks = (
        r.choice([a, 2, sp.sqrt(2), 1 + b, sp.Rational(3, 7), -b]) for _ in range(3)
    )
    functions = [
        lambda g, q: g / sp.sqrt(size + od.dynamics.inner(g, g)),
        lambda g, q: od.elementwise(lambda e: e / (sp.Abs(e) + 1), g),
        lambda g, q: od.elementwise(lambda e: sp.tanh(size * e), g),
        lambda g, q: od.elementwise(lambda e, y: e / (sp.sqrt(sp.Abs(y)) + size), g, q),
        lambda g, q: od.elementwise(sp.sign, g) + size * g,
    ]
    bent, ahead = r.choice(functions), r.choice([0, share])

    def momentum(
        k: sp.Expr = sp.S.One,
        j: sp.Expr = sp.S.One,
        i: sp.Expr = sp.S.One,
        near: sp.Expr = sp.S.One,
    ) -> od.Algorithm:
        """The velocity k times, the average of squares j times, the count i times."""
        g = f.grad(x + ahead / k * v)
        averaged = share * w / j + od.elementwise(lambda e: e**2, g)
        moved = friction / k * v + gain * bent(g, averaged)
        updates = {
            v: k * moved,
            w: j * averaged,
            n: n + i,
            x: x - near * step / (1 + n / i) * moved,
        }
        return od.method(updates, output=x, init={v: 0, w: 0, n: i})

    found = momentum().equivalent(momentum(unit, other, ticks))
    assert found.verdict == "proved" and found.same_output, found.reason
    found = momentum().equivalent(momentum(unit, other, ticks, 1 + sp.Rational(1, 10**9)))
    assert found.verdict == "refuted", found.reason
