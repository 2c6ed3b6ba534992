"""Rates over all quadratics of curvature in [mu, L], proved by the signs of polynomials in the curvature."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from .checker import Number, everywhere, within_everywhere
from .document import sealed, statement
from .modes import Mode
from .plant import NoCertificate, Plant


def prove(plant: Plant, mode: Mode, wanted: Number | None) -> dict[str, Any]:
    """The document of a rate over quadratics: the one wanted, else the exact one, else the least of 9 decimals.

    Raises NoCertificate if there is none.
    """
    matrices = (plant.A, plant.B, plant.C, plant.D)
    rows = everywhere(*matrices, plant.number(plant.mu), plant.number(plant.L))
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
    claim = statement(plant, rate)
    del claim["bounded"]
    return sealed(plant.name, "quadratics", claim, {})
