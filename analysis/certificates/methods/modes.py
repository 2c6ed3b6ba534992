"""A method or a flow on one quadratic, exactly: its poles at one curvature, and the slowest of all."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import sympy as sp
from jaxtyping import Float

from ...._support.rendering.rendered import Rendered
from ....discretize.linear.modal import modal_poles
from ..checking.checker import HALF, ONE, ZERO, Number, Refused, all_left, inner, within
from ..checking.elimination import dot, kernel, solved
from ..checking.field import NotInField, NumberField, below, expression, reciprocal
from .plant import Matrix, Plant, to_floats
from .precise import context, fraction, high


@dataclass(frozen=True)
class SlowestMode(Rendered):
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


def gain(plant: Plant, curvature: Number) -> Matrix:
    """lambda (I - lambda D)^-1 C: the gradients on the mode, read off the state.

    Raises ZeroDivisionError if the implicit step has no solution there.
    """
    left = [
        [(ONE if i == j else ZERO) - curvature * e for j, e in enumerate(row)]
        for i, row in enumerate(plant.D)
    ]
    return solved(left, [[curvature * c for c in row] for row in plant.C])


def modal(plant: Plant, curvature: Number) -> Matrix:
    """The state's map on the mode, A + B gain; ZeroDivisionError as there."""
    slope = gain(plant, curvature)
    return [
        [e + more for e, more in zip(row, dot(into, slope), strict=True)]
        for row, into in zip(plant.A, plant.B, strict=True)
    ]


def hiding(plant: Plant, curvature: Number, line: float, flow: bool = False) -> list[Number]:
    """A gain from the output to the state with which all poles on the mode that can move are well within.

    Within the circle of this radius; of a flow, left of this line. It is that of a Kalman filter, in few digits: poles
    that the output does not show stay where they are, which is how the checker knows that it shows the others.

    Args:
        plant: the method or the flow, with n states.
        curvature: of the quadratic.
        line: the radius, or the abscissa.
        flow: which of them.

    Returns:
        n numbers.
    """
    from scipy.linalg import solve_continuous_are, solve_discrete_are

    M, row = to_floats(modal(plant, curvature)), to_floats([plant.output])
    one = np.eye(len(M))
    if flow:
        X = solve_continuous_are((M - line * one).T, row.T, one * np.abs(M).max() ** 2, np.eye(1))
        found = -X @ row.T
    else:
        X = solve_discrete_are((M / line).T, row.T, one, np.eye(1))
        found = -M @ X @ row.T / (1 + row @ X @ row.T)
    return [Number(Fraction(round(x * 2**40), 2**40)) for x in found[:, 0].tolist()]


def characteristic(matrix: Matrix) -> list[Number]:
    """Coefficients of the characteristic polynomial, leading one first (Faddeev and LeVerrier)."""
    n = len(matrix)
    found, current = [ONE], matrix
    for k in range(1, n + 1):
        found.append(Number(Fraction(-1, k)) * sum((current[i][i] for i in range(n)), ZERO))
        shifted = [
            [e + found[-1] if i == j else e for j, e in enumerate(row)]
            for i, row in enumerate(current)
        ]
        current = [dot(row, shifted) for row in matrix]
    return found


def transfer(plant: Plant) -> tuple[list[Number], list[Number]]:
    """Numerator and denominator of C (z I - A)^-1 B + D for one gradient per step, by powers of z, leading first."""
    bottom = characteristic(plant.A)
    response, state = [plant.D[0][0]], [row[0] for row in plant.B]
    for _ in plant.A:
        response.append(inner(plant.C[0], state))
        state = [inner(row, state) for row in plant.A]
    top = [inner(bottom[: k + 1], response[k::-1]) for k in range(len(bottom))]
    return top, bottom


def radius(plant: Plant, curvature: sp.Expr) -> SlowestMode:
    """The modulus of the slowest pole on one quadratic; at least 1 where an implicit step has no solution."""
    try:
        polynomial = characteristic(modal(plant, plant.number(curvature)))
    except ZeroDivisionError:
        return SlowestMode(curvature, Fraction(1))
    number = _slowest_root(polynomial) if plant.exact else None
    if number is not None:
        return SlowestMode(curvature, below(number), number, expression(number))
    size = _largest_root(polynomial)
    margin = size / 2**80
    while size > margin > 0:
        try:
            if not within(polynomial, Number(size - margin), strict=True):
                return SlowestMode(curvature, size - margin)
        except Refused:
            pass
        margin *= 16
    return SlowestMode(curvature, Fraction(0))


def _largest_root(polynomial: list[Number]) -> Fraction:
    """About the largest modulus of the roots, to 90 bits or so also where roots meet."""
    mp = context()
    roots = mp.polyroots([high(a) for a in polynomial], maxsteps=500, extraprec=600, error=False)
    return fraction(max(abs(z) for z in roots))


def _size(x: Number) -> Number:
    return x if x.sign() >= 0 else -x


def _slowest_root(polynomial: list[Number], flow: bool = False) -> Number | None:
    """The largest modulus of the roots, or minus their largest real part.

    None where the degree is more than 2, or it does not lie in the field.
    """
    if len(polynomial) == 2:
        return polynomial[1] if flow else _size(polynomial[1])
    if len(polynomial) != 3:
        return None
    _, b, c = polynomial
    discriminant, field = b * b - Number(4) * c, NumberField(max(b.d, c.d))
    try:
        if discriminant.sign() <= 0:
            return HALF * b if flow else field.root(c)
        root = field.root(discriminant)
    except NotInField:
        return None
    return HALF * (b - root if flow else _size(b) + root)


def slowest(plant: Plant) -> SlowestMode:
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
    """(x_k, u_k / L, ..., u_{k+s} / L) along the quadratics of curvature mu and L that have a pole rate or -rate.

    Args:
        plant: the method, with n states and p gradients a step.
        rate: the modulus of the pole.
        steps: s, of memory.

    Returns:
        Rows of n + p (s + 1) numbers, one for each run.
    """
    found = []
    for pole, end in product((rate, -rate), (plant.mu, plant.L)):
        try:
            step = modal(plant, plant.number(end))
        except ZeroDivisionError:
            continue
        shifted = [
            [e - pole if i == j else e for j, e in enumerate(row)] for i, row in enumerate(step)
        ]
        found += [_run(plant, end, state, steps) for state in kernel(shifted, len(step))]
    return found


def turning(plant: Plant, rate: Number, steps: int) -> list[list[Number]]:
    """The same from a basis of the state, of two coordinates, where both poles are complex and of modulus ``rate``.

    Args:
        plant, rate, steps: as for `trajectories`.
    """
    found: list[list[Number]] = []
    for end in (plant.mu, plant.L) if len(plant.A) == 2 else ():
        try:
            _, minus_trace, product_ = characteristic(modal(plant, plant.number(end)))
        except ZeroDivisionError:
            continue
        square = rate * rate
        complex_ = (minus_trace * minus_trace - Number(4) * square).sign() < 0
        if complex_ and not product_ - square:
            found += [_run(plant, end, state, steps) for state in ([ONE, ZERO], [ZERO, ONE])]
    return found


def _run(plant: Plant, end: sp.Expr, state: list[Number], steps: int) -> list[Number]:
    """The state, and the gradients over L that follow on the quadratic."""
    curvature, unit = plant.number(end), reciprocal(plant.number(plant.L))
    step, slope = modal(plant, curvature), gain(plant, curvature)
    found = list(state)
    for _ in range(steps + 1):
        found += [unit * inner(row, state) for row in slope]
        state = [inner(row, state) for row in step]
    return found


def modal_radii(
    A: Any, B: Any, C: Any, D: Any, mu: float, L: float, modes: int = 65
) -> tuple[Float[np.ndarray, " modes"], Float[np.ndarray, " modes"]]:
    """Curvatures in [mu, L], spaced geometrically and with the ends, and the largest pole at each, in floats.

    Args:
        A, B, C, D: of the method, in floats.
        mu, L: the ends, 0 <= mu <= L.
        modes: how many curvatures.
    """
    spaced = np.geomspace if mu > 0 else np.linspace
    curvatures = spaced(mu, L, modes)
    return curvatures, np.abs(modal_poles(A, B, C, D, curvatures)).max(axis=1)


_FAR = 1e6  # curvatures up to so many mu stand for an infinite L


@dataclass(frozen=True)
class Decay(Rendered):
    """A quadratic on which the flow is no faster: its curvature, and minus the largest real part of its poles.

    ``high`` is a proved upper bound of that, ``exact`` the number itself where it lies in the flow's field.
    """

    curvature: sp.Expr
    high: Fraction
    exact: sp.Expr | None = None

    def __str__(self) -> str:
        return f"the quadratic of curvature {self.curvature}"


def decays(plant: Plant) -> Decay:
    """The slowest quadratic: an end of [mu, L] where that is the slowest, else one near it."""
    A, B, C, _ = plant.floats()
    low = float(plant.mu)
    high = float(plant.L) if plant.L is not sp.oo else _FAR * low
    curvatures = np.geomspace(low, high, 129)
    rates = np.array([-np.linalg.eigvals(A + c * B @ C).real.max() for c in curvatures])
    ends = [plant.mu] if plant.L is sp.oo else [plant.mu, plant.L]
    best = min((decay(plant, e) for e in ends), key=lambda e: e.high)
    if rates.min() < float(best.high) - 1e-9:
        inner = decay(plant, sp.Rational(str(float(curvatures[int(rates.argmin())]))))
        best = min(best, inner, key=lambda e: e.high)
    return best


def decay(plant: Plant, curvature: sp.Expr) -> Decay:
    """The rate on one quadratic."""
    polynomial = characteristic(modal(plant, plant.number(curvature)))
    number = _slowest_root(polynomial, flow=True) if plant.exact else None
    if number is not None:
        return Decay(curvature, -below(-number), expression(number))
    slow = Fraction(-float(np.roots(to_floats(polynomial)).real.max()))
    margin = Fraction(1, 10**14)
    while True:
        try:
            if not all_left(polynomial, Number(-slow - margin)):
                return Decay(curvature, slow + margin)
        except Refused:
            pass
        margin *= 10
