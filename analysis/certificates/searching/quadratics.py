"""Rates over all quadratics of curvature in [mu, L], proved by the signs of polynomials in the curvature."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from ..checking.checker import HALF, Decay, Number, poles, within
from ..checking.document import sealed, text
from ..methods.modes import SlowestMode
from ..methods.plant import NoCertificate, Plant
from ..methods.statement import statement

_DEPTH = 20  # halvings


def prove(plant: Plant, mode: SlowestMode, wanted: Number | None) -> dict[str, Any]:
    """The document of a rate over quadratics: the one wanted, else the exact one, else the least of 9 decimals.

    Raises NoCertificate if there is none.

    Args:
        plant: the method.
        mode: the slowest quadratic.
        wanted: the rate to prove; None for the least.
    """
    if wanted is not None:
        cuts = _cuts(plant, wanted)
        if cuts is None:
            raise NoCertificate("this rate over quadratics could not be proved for this method.")
        return _made(plant, wanted, cuts)
    if mode.number is not None:
        cuts = _cuts(plant, mode.number)
        if cuts is not None:
            return _made(plant, mode.number, cuts)
    scale = 10**9
    size, step = Fraction(math.ceil(mode.low * scale), scale), Fraction(1, scale)
    while size < 1:
        cuts = _cuts(plant, Number(size))
        if cuts is not None:
            return _made(plant, Number(size), cuts)
        size, step = size + step, 2 * step
    raise NoCertificate("no rate below 1 over quadratics could be proved for this method.")


def _cuts(plant: Plant, rate: Number) -> list[Number] | None:
    """Where to cut [mu, L] so that the checker sees all signs, by halves; None if that ends nowhere."""
    method = Decay(_claim(plant, rate))

    def holds(low: Number, high: Number) -> bool:
        return within(poles(method, low, high), rate, False)

    def halved(low: Number, high: Number, depth: int) -> list[Number] | None:
        if holds(low, high):
            return [low]
        middle = HALF * (low + high)
        if depth == 0 or not holds(middle, middle):
            return None
        left = halved(low, middle, depth - 1)
        right = None if left is None else halved(middle, high, depth - 1)
        return None if left is None or right is None else left + right

    low, high = method.mu, method.L
    found = halved(low, high, _DEPTH) if holds(low, low) and holds(high, high) else None
    return None if found is None else found[1:]


def _claim(plant: Plant, rate: Number) -> dict[str, Any]:
    claim = statement(plant, rate)
    del claim["bounded"]
    return claim


def _made(plant: Plant, rate: Number, cuts: list[Number]) -> dict[str, Any]:
    claim = _claim(plant, rate)
    return sealed(plant.name, "quadratics", claim, {"cuts": [text(x) for x in cuts]})
