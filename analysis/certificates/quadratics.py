"""Rates over all quadratics of curvature in [mu, L], proved by the signs of polynomials in the curvature."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any, TypeAlias

import sympy as sp

from . import checker
from .checker import ONE, ZERO, Number, Refused
from .document import describe, from_document
from .modes import Mode, characteristic, determinant, modal, total
from .plant import NoCertificate, Plant

Bernstein: TypeAlias = list[
    Number
]  # a polynomial on [0, 1] by its coefficients in Bernstein's basis
_DEPTH = 20  # halvings of an interval before a sign counts as open


def pencil(plant: Plant) -> list[Bernstein]:
    """det [[z I - A, -lambda B], [-C, I - lambda D]] by powers of z, leading first; lambda from mu to L is [0, 1].

    This is the characteristic polynomial of the mode times det(I - lambda D), of degree at most p in lambda,
    found by interpolation.
    """
    p = len(plant.D)
    nodes = [Fraction(j + 1, 7 * (p + 1)) for j in range(p + 1)]
    low, high = plant.number(plant.mu), plant.number(plant.L)
    values = []
    for node in nodes:
        at = low + (high - low) * Number(node)
        unit = [[ONE if i == j else ZERO for j in range(p)] for i in range(p)]
        scale = determinant(
            [[a - at * b for a, b in zip(*rows, strict=True)] for rows in zip(unit, plant.D, strict=True)]
        )  # fmt: skip
        values.append([scale * c for c in characteristic(modal(plant, at))])
    basis = sp.Matrix([
        [sp.Rational(math.comb(p, i) * t**i * (1 - t) ** (p - i)) for i in range(p + 1)] for t in nodes
    ])  # fmt: skip
    weights = [[Number(Fraction(int(e.p), int(e.q))) for e in row] for row in basis.inv().tolist()]
    return [
        [total(w * v[k] for w, v in zip(row, values, strict=True)) for row in weights]
        for k in range(len(plant.A) + 1)
    ]


def product(a: Bernstein, b: Bernstein) -> Bernstein:
    """The product of two polynomials."""
    m, n = len(a) - 1, len(b) - 1
    found = [ZERO] * (m + n + 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            weight = Fraction(math.comb(m, i) * math.comb(n, j), math.comb(m + n, i + j))
            found[i + j] += Number(weight) * x * y
    return found


def positive(polynomial: Bernstein, strict: bool, depth: int = _DEPTH) -> bool:
    """Whether a polynomial is positive, or not negative, on [0, 1]; False also where that stays open.

    It is where its coefficients are; else both halves are looked at.
    """
    signs = [c.sign() for c in polynomial]
    least = 1 if strict else 0
    if min(signs) >= least:
        return True
    if depth == 0 or min(signs[0], signs[-1]) < least:
        return False
    left: Bernstein = []
    right: Bernstein = []
    row = polynomial
    while row:  # de Casteljau
        left.append(row[0])
        right.insert(0, row[-1])
        row = [Number(Fraction(1, 2)) * (a + b) for a, b in pairwise(row)]
    return positive(left, strict, depth - 1) and positive(right, strict, depth - 1)


def _flipped(row: Bernstein) -> Bernstein:
    return [-c for c in row]


def _add(*terms: Bernstein) -> Bernstein:
    return [total(cs) for cs in zip(*terms, strict=True)]


def within_everywhere(rows: list[Bernstein], rate: Number) -> bool:
    """Whether all poles are at most rate in modulus on all the quadratics; rows as of `pencil`.

    These are Schur and Cohn's inequalities; for up to two states in Jury's form, which allows for poles on the
    circle.
    """
    if rows[0][0].sign() < 0:
        rows = [_flipped(row) for row in rows]
    if not positive(rows[0], strict=True):  # the implicit step has a solution everywhere
        return False
    n, scale, scaled = len(rows) - 1, ONE, []
    for row in reversed(rows):  # the poles divided by the rate
        scaled.append([scale * c for c in row])
        scale = scale * rate
    rows = scaled[::-1]
    if n <= 2:
        first, last = rows[0], rows[-1]
        tests = [_add(first, last), _add(first, _flipped(last))]
        if n == 2:
            tests += [_add(first, rows[1], last), _add(first, _flipped(rows[1]), last)]
        return all(positive(test, strict=False) for test in tests)
    while len(rows) > 1:
        head, tail = rows[0], rows[-1]
        if not positive(_add(product(head, head), _flipped(product(tail, tail))), strict=True):
            return False
        pairs = zip(rows[:-1], rows[:0:-1], strict=True)
        rows = [_add(product(head, a), _flipped(product(tail, b))) for a, b in pairs]
    return True


def prove(plant: Plant, mode: Mode, wanted: Number | None) -> dict[str, Any]:
    """The document of a rate over quadratics: the one wanted, else the exact one, else the least of 9 decimals.

    Raises NoCertificate if there is none.
    """
    rows = pencil(plant)
    if wanted is not None:
        if not within_everywhere(rows, wanted):
            raise NoCertificate("this rate over quadratics could not be proved for this method.")
        return _made(plant, wanted)
    if mode.number is not None and within_everywhere(rows, mode.number):
        return _made(plant, mode.number)
    scale = 10**9
    size, step = Fraction(math.ceil(mode.low * scale), scale), Fraction(1, scale)
    while size < 1:
        if within_everywhere(rows, Number(size)):
            return _made(plant, Number(size))
        size, step = size + step, 2 * step
    raise NoCertificate("no rate below 1 over quadratics could be proved for this method.")


def _made(plant: Plant, rate: Number) -> dict[str, Any]:
    return {**describe(plant, rate), "kind": "quadratics"}


def check(document: Mapping[str, Any]) -> None:
    """Raise Refused unless the document proves its rate over quadratics."""
    plant = from_document(document)
    rate = checker.read(document["rate"], plant.d)
    if not 0 < plant.mu <= plant.L or (rate and rate.sign() < 0):
        raise Refused("0 < mu <= L and a rate that is not negative are needed")
    if not within_everywhere(pencil(plant), rate):
        raise Refused("a pole may be larger than the rate")
