"""A method on one quadratic, exactly: its poles at one curvature, and the slowest of all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import product, starmap
from operator import mul

import sympy as sp

from .checker import ONE, ZERO, Number, Refused
from .field import Field, NotInField, below, expression, reciprocal
from .lmi import modal_radii
from .plant import Matrix, Plant
from .precise import context, fraction, high


@dataclass(frozen=True)
class Mode:
    """A quadratic on which the method is no faster: its curvature, and the modulus of the slowest pole there.

    ``low`` is a proved lower bound of the modulus, ``number`` and ``exact`` the modulus itself where it lies
    in the method's field.
    """

    curvature: sp.Expr
    low: Fraction
    number: Number | None = None
    exact: sp.Expr | None = None

    def __str__(self) -> str:
        return f"the quadratic of curvature {self.curvature}"


def total(terms: Iterable[Number]) -> Number:
    """The sum."""
    return sum(terms, ZERO)


def gain(plant: Plant, curvature: Number) -> Matrix:
    """lambda (I - lambda D)^-1 C: the gradients on the mode, read off the state.

    Raises ZeroDivisionError if the implicit step has no solution there.
    """
    p = len(plant.D)
    system = [
        [(ONE if i == j else ZERO) - curvature * e for j, e in enumerate(plant.D[i])]
        + [curvature * c for c in plant.C[i]]
        for i in range(p)
    ]
    for column in range(p):  # Gauss and Jordan
        at = next((i for i in range(column, p) if system[i][column]), None)
        if at is None:
            raise ZeroDivisionError
        system[column], system[at] = system[at], system[column]
        scale = reciprocal(system[column][column])
        pivot = [scale * e for e in system[column]]
        system = [
            pivot if i == column else [a - row[column] * b for a, b in zip(row, pivot, strict=True)]
            for i, row in enumerate(system)
        ]
    return [row[p:] for row in system]


def modal(plant: Plant, curvature: Number) -> Matrix:
    """The state's map on the mode, A + B gain; ZeroDivisionError as there."""
    slope = gain(plant, curvature)
    return [
        [e + total(b * g[j] for b, g in zip(into, slope, strict=True)) for j, e in enumerate(row)]
        for row, into in zip(plant.A, plant.B, strict=True)
    ]


def characteristic(matrix: Matrix) -> list[Number]:
    """Coefficients of the characteristic polynomial, leading one first (Faddeev and LeVerrier)."""
    n = len(matrix)
    found, current = [ONE], matrix
    for k in range(1, n + 1):
        found.append(Number(Fraction(-1, k)) * total(current[i][i] for i in range(n)))
        shifted = [
            [e + found[-1] if i == j else e for j, e in enumerate(row)]
            for i, row in enumerate(current)
        ]
        columns = list(zip(*shifted, strict=True))
        current = [[total(map(mul, row, column)) for column in columns] for row in matrix]
    return found


def determinant(matrix: Matrix) -> Number:
    """By the characteristic polynomial's last coefficient."""
    last = characteristic(matrix)[-1]
    return last if len(matrix) % 2 == 0 else -last


def transfer(plant: Plant) -> tuple[list[Number], list[Number]]:
    """Numerator and denominator of C (z I - A)^-1 B + D for one gradient a step, by powers of z, leading first."""
    bottom = characteristic(plant.A)
    response, state = [plant.D[0][0]], [row[0] for row in plant.B]
    for _ in plant.A:
        response.append(total(map(mul, plant.C[0], state)))
        state = [total(map(mul, row, state)) for row in plant.A]
    top = [total(map(mul, bottom[: k + 1], response[k::-1])) for k in range(len(bottom))]
    return top, bottom


def within(polynomial: list[Number], radius: Fraction) -> bool:
    """Whether all roots are less than radius in modulus (Schur and Cohn).

    Raises Refused if enclosures are too wide to tell.
    """
    n = len(polynomial) - 1
    p = [a * Number(radius ** (n - k)) for k, a in enumerate(polynomial)]
    while len(p) > 1:
        if (p[0] * p[0] - p[-1] * p[-1]).sign() <= 0:
            return False
        p = list(
            starmap(lambda a, b, p=p: p[0] * a - p[-1] * b, zip(p[:-1], p[:0:-1], strict=True))
        )
    return True


def radius(plant: Plant, curvature: sp.Expr) -> Mode:
    """The modulus of the slowest pole on one quadratic; at least 1 where an implicit step has no solution."""
    try:
        polynomial = characteristic(modal(plant, plant.number(curvature)))
    except ZeroDivisionError:
        return Mode(curvature, Fraction(1))
    number = _modulus(polynomial) if plant.exact else None
    if number is not None:
        return Mode(curvature, below(number), number, expression(number))
    size = _largest_root(polynomial)
    margin = size / 2**80
    while size > margin > 0:
        try:
            if not within(polynomial, size - margin):
                return Mode(curvature, size - margin)
        except Refused:
            pass
        margin *= 16
    return Mode(curvature, Fraction(0))


def _largest_root(polynomial: list[Number]) -> Fraction:
    """About the largest modulus of the roots, to 90 bits or so also where roots meet."""
    mp = context()
    roots = mp.polyroots([high(a) for a in polynomial], maxsteps=500, extraprec=600, error=False)
    return fraction(max(abs(z) for z in roots))


def _size(x: Number) -> Number:
    return x if x.sign() >= 0 else -x


def _modulus(polynomial: list[Number]) -> Number | None:
    """The largest modulus of the roots, where the degree is at most 2 and it lies in the field."""
    if len(polynomial) == 2:
        return _size(polynomial[1])
    if len(polynomial) != 3:
        return None
    _, b, c = polynomial
    discriminant = b * b - Number(4) * c
    field = Field(max(b.d, c.d))
    try:
        if discriminant.sign() <= 0:
            return field.root(c)
        return (_size(b) + field.root(discriminant)) * Number(Fraction(1, 2))
    except NotInField:
        return None


def slowest(plant: Plant) -> Mode:
    """The slowest quadratic of curvature in [mu, L]: an end where that is the slowest, else one near it."""
    low, top = plant.mu, plant.L
    best = max(radius(plant, low), radius(plant, top), key=lambda m: m.low)
    curvatures, radii = modal_radii(*plant.floats(), float(low), float(top))
    at = int(radii.argmax())
    if 0 < at < len(radii) - 1:  # in floats; which is slower is decided exactly
        inner = radius(plant, sp.Rational(str(float(curvatures[at]))))
        best = max(best, inner, key=lambda m: m.low)
    return best


def trajectories(plant: Plant, rate: Number, steps: int) -> list[list[Number]]:
    """(x_k, u_k / L, ..., u_{k+s} / L) along the quadratics of curvature mu and L that have a pole rate or -rate."""
    found = []
    for pole, end in product((rate, -rate), (plant.mu, plant.L)):
        curvature = plant.number(end)
        try:
            step, slope = modal(plant, curvature), gain(plant, curvature)
        except ZeroDivisionError:
            continue
        shifted = [
            [e - pole if i == j else e for j, e in enumerate(row)] for i, row in enumerate(step)
        ]
        for state in kernel(shifted, len(step)):
            inputs = [
                total(map(mul, row, state)) * reciprocal(plant.number(plant.L)) for row in slope
            ]
            trajectory, scale = list(state), ONE
            for _ in range(steps + 1):
                trajectory += [scale * u for u in inputs]
                scale = scale * pole
            found.append(trajectory)
    return found


def kernel(rows: Matrix, width: int) -> Matrix:
    """A basis of the solutions of rows x = 0."""
    done: Matrix = []
    pivots: list[int] = []
    for row in rows:
        for other, p in zip(done, pivots, strict=True):
            row = [a - row[p] * b if b else a for a, b in zip(row, other, strict=True)]
        lead = next((j for j, e in enumerate(row) if e), None)
        if lead is None:
            continue
        scale = reciprocal(row[lead])
        row = [scale * e if e else e for e in row]
        done = [
            [a - other[lead] * b if b else a for a, b in zip(other, row, strict=True)]
            if other[lead] else other for other in done
        ] + [row]  # fmt: skip
        pivots.append(lead)
    found = []
    for free in (j for j in range(width) if j not in pivots):
        column = [ZERO] * width
        column[free] = ONE
        for row, p in zip(done, pivots, strict=True):
            column[p] = -row[free]
        found.append(column)
    return found
