"""Identities of inverses are proved, and nothing else: against linear algebra in a finite field."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
import sympy as sp

import odescent as od
from odescent.dynamics import derivative, substitute, vanishes

A, B, C, U, V = od.blocks("A B C U V", kind="matrix")
S, K = od.blocks("S K", kind="symmetric")
u, v, b, x = od.blocks("u v b x")
lam, mu, h = od.parameters("lam mu h")
one, ap, solve = od.identity, od.apply, od.linear_solve
f, c = od.Objective("f"), od.Map("c")
H, J = f.hessian(x), c.jacobian(x)


def inv(M):
    return solve(M, one)


IDENTITIES = {
    "resolvent": solve(A + lam * one, b) - solve(A + mu * one, b)
    - (mu - lam) * solve(A + lam * one, solve(A + mu * one, b)),
    "resolvents commute": solve(A + lam * one, solve(A + mu * one, b))
    - solve(A + mu * one, solve(A + lam * one, b)),
    "second resolvent": inv(A + C) - inv(B + C) - solve(A + C, ap(B - A, inv(B + C))),
    "partial fractions": solve(A + lam * one, ap(A, solve(A + mu * one, b)))
    - (lam * solve(A + lam * one, b) - mu * solve(A + mu * one, b)) / (lam - mu),
    "push-through": solve(lam * one + ap(U, V), ap(U, b)) - ap(U, solve(lam * one + ap(V, U), b)),
    "Gauss and Newton": solve(lam * one + ap(od.transpose(J), J), ap(od.transpose(J), c(x)))
    - ap(od.transpose(J), solve(lam * one + ap(J, od.transpose(J)), c(x))),
    "Woodbury": solve(A + ap(U, V), b) - solve(A, b)
    + solve(A, ap(U, solve(one + ap(V, solve(A, U)), ap(V, solve(A, b))))),
    "Woodbury with a middle": inv(A + ap(U, ap(C, V))) - inv(A)
    + solve(A, ap(U, solve(inv(C) + ap(V, solve(A, U)), ap(V, inv(A))))),
    "Kalman's gain": ap(S, ap(od.transpose(U), solve(K + ap(U, ap(S, od.transpose(U))), b)))
    - solve(inv(S) + ap(od.transpose(U), solve(K, U)), ap(od.transpose(U), solve(K, b))),
    "Hua": A - inv(inv(A) + inv(inv(B) - A)) - ap(A, ap(B, A)),
    "parallel sum": inv(inv(A) + inv(B)) - ap(A, solve(A + B, B)),
    "parallel sum, from A": inv(inv(A) + inv(B)) - A + ap(A, solve(A + B, A)),
    "product": solve(ap(A, B), b) - solve(B, solve(A, b)),
    "Cayley": solve(one + h * A / 2, b - h * ap(A, b) / 2)
    - ap(one - h * A / 2, solve(one + h * A / 2, b)),
    "Hessian": ap(H, solve(H + lam * one, f.grad(x))) - f.grad(x) + lam * solve(H + lam * one, f.grad(x)),
    "its resolvent": solve(H + lam * one, f.grad(x)) - solve(H + mu * one, f.grad(x))
    - (mu - lam) * solve(H + lam * one, solve(H + mu * one, f.grad(x))),
    "in other units": solve(H + lam * one, b) - solve(one + H / lam, b) / lam,
    "Schur": solve(
        od.block_operator({("x", "x"): A, ("x", "y"): B, ("y", "x"): C, ("y", "y"): lam * one}),
        od.stack({"x": u, "y": v}),
    )
    - od.stack({
        "x": solve(A - ap(B, C) / lam, u - ap(B, v) / lam),
        "y": (v - ap(C, solve(A - ap(B, C) / lam, u - ap(B, v) / lam))) / lam,
    }),
}  # fmt: skip


@pytest.mark.parametrize("name", IDENTITIES)
def test_an_identity_is_proved_and_with_another_coefficient_it_is_not(name):
    e = IDENTITIES[name]
    assert vanishes(e)
    for a, k in e.terms.items():
        assert not vanishes(e + a * k / 1000)


LEFT, RIGHT = solve(one + ap(U, V), ap(U, b)), ap(U, solve(one + ap(V, U), b))


def test_what_depends_on_equal_vectors_is_equal():
    assert vanishes(f.grad(LEFT) - f.grad(RIGHT))
    assert vanishes(f.grad(LEFT, along=[u]) - f.grad(RIGHT, along=[u]))
    assert vanishes(f.value(LEFT) - f.value(RIGHT))
    assert vanishes(sp.sqrt(od.inner(LEFT, LEFT)) * u - sp.sqrt(od.inner(RIGHT, RIGHT)) * u)
    assert not vanishes(f.grad(LEFT) - f.grad(RIGHT + u))
    assert not vanishes(f.value(LEFT) - f.value(2 * RIGHT))


def test_inner_products_and_traces_are_decided():
    apart = solve(S + lam * one, solve(S + mu * one, v))
    forms = [solve(S + m * one, v) for m in (lam, mu)]
    e = od.inner(u, forms[0]) - od.inner(u, forms[1]) - (mu - lam) * od.inner(u, apart)
    assert vanishes(e)
    assert not vanishes(e + od.inner(u, apart) / 1000)
    assert vanishes(od.trace(ap(A, ap(B, C))) - od.trace(ap(C, ap(A, B))))
    assert not vanishes(od.trace(ap(A, ap(B, C))) - od.trace(ap(B, ap(A, C))))
    assert vanishes(od.trace(ap(A, B)) - od.trace(ap(od.transpose(A), od.transpose(B))))
    moved = solve(one + ap(U, V), U)
    assert vanishes(od.trace(ap(moved, V)) - od.trace(ap(V, moved)))


def test_a_derivative_of_a_solve_is_the_square_of_the_inverse():
    answer = solve(H + lam * one, f.grad(x))
    assert vanishes(derivative(answer, {lam: sp.S.One}) + solve(H + lam * one, answer))


def test_no_denominator_appears_where_resolvents_are_multiplied():
    square = solve(A + lam * one, solve(A + mu * one, b))
    assert substitute(square, {mu: lam}) == solve(A + lam * one, solve(A + lam * one, b))


PRIME, SIZE = (1 << 61) - 1, 5
UNIT = [[int(i == j) for j in range(SIZE)] for i in range(SIZE)]


def product(X, Y):
    columns = list(zip(*Y, strict=True))
    entry = lambda r, s: sum(p * q for p, q in zip(r, s, strict=True)) % PRIME
    return [[entry(r, s) for s in columns] for r in X]


def total(X, Y, k=1):
    return [[(p + k * q) % PRIME for p, q in zip(r, s, strict=True)] for r, s in zip(X, Y, strict=True)]  # fmt: skip


def eliminated(rows):
    """Reduced rows modulo the prime, and the columns of their pivots."""
    rows, pivots = [r[:] for r in rows], []
    for column in range(len(rows[0])):
        at = len(pivots)
        found = next((i for i in range(at, len(rows)) if rows[i][column]), None)
        if found is None:
            continue
        rows[at], rows[found] = rows[found], rows[at]
        k = pow(rows[at][column], -1, PRIME)
        rows[at] = [p * k % PRIME for p in rows[at]]
        for i, row in enumerate(rows):
            if i != at and row[column]:
                rows[i] = [(p - row[column] * q) % PRIME for p, q in zip(row, rows[at], strict=True)]  # fmt: skip
        pivots.append(column)
    return rows, pivots


def inverted(X):
    rows, _ = eliminated([r + e for r, e in zip(X, UNIT, strict=True)])
    return [r[SIZE:] for r in rows]


LETTERS = {
    "B": (B, lambda p, q: q),
    "A^-1": (inv(A), lambda p, q: inverted(p)),
    "(A+B)^-1": (inv(A + B), lambda p, q: inverted(total(p, q))),
    "(1+AB)^-1": (inv(one + ap(A, B)), lambda p, q: inverted(total(UNIT, product(p, q)))),
    "(1+BA)^-1": (inv(one + ap(B, A)), lambda p, q: inverted(total(UNIT, product(q, p)))),
    "(A+2)^-1": (inv(A + 2 * one), lambda p, q: inverted(total(p, UNIT, 2))),
    "(A+3)^-1": (inv(A + 3 * one), lambda p, q: inverted(total(p, UNIT, 3))),
    "(A^-1+B^-1)^-1": (
        inv(inv(A) + inv(B)),
        lambda p, q: inverted(total(inverted(p), inverted(q))),
    ),
    "(A-B^-1)^-1": (inv(A - inv(B)), lambda p, q: inverted(total(p, inverted(q), -1))),
}


def rational(k):
    r, s, t, w = PRIME, k, 0, 1
    while s > 1 << 30:
        q = r // s
        r, s, t, w = s, r - q * s, w, t - q * w
    return Fraction(s, w)


def relations(draw):
    """All linear relations between some words of three of the letters, found from random matrices modulo a prime."""
    names = draw.sample(list(LETTERS), 3)
    words = [(), *((p,) for p in names), *((p, q) for p in names for q in names)]
    words += [tuple(draw.choice(names) for _ in range(3)) for _ in range(5)]
    words = list(dict.fromkeys(words))
    columns = [[] for _ in words]
    for _ in range(2):
        given = [[[draw.randrange(PRIME) for _ in range(SIZE)] for _ in UNIT] for _ in range(2)]
        values = {n: LETTERS[n][1](*given) for n in names}
        for column, word in zip(columns, words, strict=True):
            matrix = UNIT
            for letter in word:
                matrix = product(matrix, values[letter])
            column += [entry for row in matrix for entry in row]
    rows, pivots = eliminated([list(r) for r in zip(*columns, strict=True)])
    for free in set(range(len(words))) - set(pivots):
        weights = {p: rational(-rows[i][free] % PRIME) for i, p in enumerate(pivots)} | {free: 1}
        e = 0
        for i, weight in weights.items():
            made = one
            for letter in reversed(words[i]):
                made = ap(LETTERS[letter][0], made)
            e = e + made * sp.Rational(Fraction(weight))
        yield e


@pytest.mark.parametrize("seed", range(6))
def test_all_relations_between_random_words_are_proved(seed):
    draw = random.Random(seed)
    for e in relations(draw):
        assert vanishes(e)
        if e.terms:
            assert not vanishes(e + draw.choice(list(e.terms)) / 7)
