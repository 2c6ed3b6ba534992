"""A flow on quadratics: the slowest real part of its poles, which no certified rate can exceed."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import sympy as sp

from ..checking.checker import Number, Refused, all_left
from ..checking.field import NotInField, NumberField, below, expression
from .modes import characteristic, modal
from .plant import Plant, to_float

_FAR = 1e6  # curvatures up to so many mu stand for an infinite L


@dataclass(frozen=True)
class Decay:
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
    number = _real_part(polynomial) if plant.exact else None
    if number is not None:
        return Decay(curvature, -below(-number), expression(number))
    slow = Fraction(-float(np.roots([to_float(a) for a in polynomial]).real.max()))
    margin = Fraction(1, 10**14)
    while True:
        try:
            if not all_left(polynomial, Number(-slow - margin)):
                return Decay(curvature, slow + margin)
        except Refused:
            pass
        margin *= 10


def _real_part(polynomial: list[Number]) -> Number | None:
    """Minus the largest real part of the roots, where the degree is at most 2 and it lies in the field."""
    if len(polynomial) == 2:
        return polynomial[1]
    if len(polynomial) != 3:
        return None
    _, b, c = polynomial
    discriminant, half = b * b - Number(4) * c, Number(Fraction(1, 2))
    try:
        if discriminant.sign() <= 0:
            return half * b
        return half * (b - NumberField(max(b.d, c.d)).root(discriminant))
    except NotInField:
        return None
