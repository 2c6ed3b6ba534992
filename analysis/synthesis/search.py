"""The search for the best worst-case rate over a family's gains: many cheap starts, then simplex descents.

The rate is a maximum of spectral radii (or of an LMI's optimum), so it is not smooth at its minimum:
the descents use values only, and start again from where they stopped until nothing improves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from ..._support.errors import OdescentError
from .family import Family

SAMPLES = 4096
MODES = 33
IMPROVEMENT = 1e-9
COARSE, FINE = 1e-3, 1e-8
SPREADS = (0.3, 0.1, 0.1, 0.03, 0.03, 0.01, 0.01)  # sizes of the simplices, relative to the gains
Vector = Float[np.ndarray, " gains"]
Moved = Float[np.ndarray, " moved"]
Rate: TypeAlias = Callable[[Vector], float]
RateOf: TypeAlias = Callable[[Family, float], Rate]  # of a family, to a tolerance


@dataclass(frozen=True)
class BestGains:
    """A family's best gains, their rate, and how many rates were evaluated."""

    family: Family
    gains: Vector
    rate: float
    evaluations: int


def spectral_rate(
    family: Family, values: Float[np.ndarray, "*batch gains"], modes: int = MODES
) -> Float[np.ndarray, "*batch"]:
    """The largest modulus of a pole over curvatures in [mu, L]; infinite where it is not defined.

    Args:
        family: with numbers for mu and L.
        values: gains.
        modes: number of curvatures, at Chebyshev points.
    """
    low, high = float(family.mu), float(family.L)
    nodes = np.cos(np.linspace(np.pi, 0.0, modes))
    curvatures = np.clip((low + high) / 2 + (high - low) / 2 * nodes, low, high)
    poles = family.modes(values, curvatures)
    radius: Float[np.ndarray, "*batch"] = np.abs(poles).max((-1, -2))
    return np.where(np.isnan(radius), np.inf, radius)


def coordinates(family: Family, values: Vector) -> Vector:
    """Search coordinates: square roots of positive gains, so that zero is inside the search."""
    return np.array(
        [np.sqrt(v) if s.is_positive else v for s, v in zip(family.gains, values, strict=True)]
    )


def gains(
    family: Family, at: Float[np.ndarray, "*batch gains"]
) -> Float[np.ndarray, "*batch gains"]:
    """Gains from search coordinates."""
    positive = np.array([bool(s.is_positive) for s in family.gains])
    return np.where(positive, np.square(at), at)


def starts(
    family: Family, random: np.random.Generator, count: int
) -> Float[np.ndarray, "count gains"]:
    """The best of many random gains by their spectral rate, no two of them close.

    Each gain is log-uniform over five decades in units of a random half-integer power of L, since its dimension is
    unknown.

    Args:
        family: the family to search.
        random: source of the gains.
        count: the maximal number of starts.

    Raises:
        OdescentError: no stable gains were found.
    """
    size = (SAMPLES, len(family.gains))
    unit = float(family.L) ** (random.integers(-2, 3, size) / 2)
    drawn = 10.0 ** random.uniform(-3.5, 1.5, size) * unit
    real = np.array([not s.is_positive for s in family.gains])
    drawn = np.where(real & (random.random(size) < 0.5), -drawn, drawn)
    rates = spectral_rate(family, drawn, modes=5)
    chosen: list[Vector] = []
    for i in np.argsort(rates):
        if not rates[i] < 1 or len(chosen) == count:
            break
        if all(np.abs(np.log(np.abs(drawn[i] / c))).max() > 0.7 for c in chosen):
            chosen.append(drawn[i])
    if not chosen:
        raise OdescentError(
            f"none of {SAMPLES} random gains of {family.algorithm.scheme} is stable on [mu, L]; "
            "give another scheme or fewer constraints."
        )
    return np.array(chosen)


def descend(
    family: Family, rate: Rate, begin: Vector, tolerance: float, spreads: Sequence[float] = SPREADS
) -> tuple[Vector, float, int]:
    """Simplex descents (Nelder-Mead), each restarted from the end of the previous one, until nothing improves.

    Args:
        family: the family to search.
        rate: the objective.
        begin: gains; those that are zero stay zero.
        tolerance: of the gains' coordinates.
        spreads: sizes of the simplices, relative to the coordinates.

    Returns:
        The gains, their rate, and the number of evaluations.
    """
    from scipy.optimize import minimize

    whole, best, evaluations = coordinates(family, begin), np.inf, 0
    moved = np.flatnonzero(whole)  # a gain that is zero stays so

    def value(w: Moved) -> float:
        return rate(gains(family, filled(w)))

    def filled(w: Moved) -> Vector:
        full = np.zeros_like(whole)
        full[moved] = w
        return full

    at = whole[moved]
    random = np.random.default_rng(0)
    for spread in spreads:
        # a simplex that points elsewhere each time: along a crease a descent stops before its end
        turn, _ = np.linalg.qr(random.standard_normal((len(at), len(at))))
        corners = np.vstack([at, at + spread * turn * np.maximum(np.abs(at), 0.1)])
        limits = {"xatol": tolerance, "fatol": tolerance / 10, "maxfev": 400 * len(at)}
        options = {"initial_simplex": corners, **limits}
        done = minimize(value, at, method="Nelder-Mead", options=options)
        evaluations += int(done.nfev)
        gained = best - float(done.fun)
        at, best = np.asarray(done.x), min(best, float(done.fun))
        if gained < IMPROVEMENT and spread < 0.1:
            break
    return gains(family, filled(at)), best, evaluations


def on_faces(family: Family, rate: Rate, values: Vector, best: float) -> tuple[Vector, float, int]:
    """The optimum with gains set to zero where the rate is as good; descents from the interior rarely reach a face.

    Args:
        family: the family to search.
        rate: the objective.
        values: gains at an optimum.
        best: their rate.

    Returns:
        The gains, their rate, and the number of evaluations.
    """
    spent = 0
    for i in np.argsort(np.abs(values)):
        if values[i] == 0 or not family.gains[i].is_positive or np.count_nonzero(values) == 1:
            continue
        face = np.where(np.arange(len(values)) == i, 0.0, values)
        if rate(face) > best + 0.1 * (1 - best):
            continue
        for scale in (1.0, 1.1):
            reached, there, more = descend(family, rate, scale * face, COARSE, SPREADS[:2])
            spent += more
            if there < best + COARSE / 10:
                values, best = reached, there
    return values, best, spent


def coarse(family: Family, rate_of: RateOf, random: np.random.Generator, count: int) -> BestGains:
    """A neighbourhood of the optimum: short descents from the most promising of many random starts.

    Args:
        family: the family to search.
        rate_of: makes the rate function of a family, to a tolerance.
        random: source of the starts.
        count: number of descents.
    """
    rate = rate_of(family, COARSE / 10)
    begun = starts(family, random, 4 * count)
    ranked = sorted(begun, key=rate)[:count]
    ends = [descend(family, rate, s, COARSE, SPREADS[:2]) for s in ranked]
    values, best, _ = min(ends, key=lambda e: e[1])
    values, best, spent = on_faces(family, rate, values, best)
    return BestGains(family, values, best, len(begun) + sum(e[2] for e in ends) + spent)


def fine(
    found: BestGains,
    rate_of: RateOf,
    tolerance: float = 10 * FINE,
    spreads: Sequence[float] = SPREADS[1:],
) -> BestGains:
    """The optimum to about eight digits, from its neighbourhood.

    Args:
        found: the result of `coarse`.
        rate_of: makes the rate function of a family, to a tolerance.
        tolerance: of the gains' coordinates.
        spreads: sizes of the simplices, relative to the coordinates.
    """
    rate = rate_of(found.family, FINE)
    values, best, spent = descend(found.family, rate, found.gains, tolerance, spreads)
    return BestGains(found.family, values, best, found.evaluations + spent)


def spectral(family: Family, tolerance: float) -> Rate:
    """The worst case over quadratics, as a function of the gains."""
    return lambda values: float(spectral_rate(family, values))


def certified(family: Family, tolerance: float) -> Rate:
    """The certified rate over F(mu, L) as a function of the gains, to a tolerance.

    The spectral rate bounds it from below and costs nothing: an unstable method is not sent to the solver.
    """
    from ..certificates.searching.least import worst_case_rate

    low, high = float(family.mu), float(family.L)

    def rate(values: Vector) -> float:
        bound = float(spectral_rate(family, values, modes=9))
        if bound >= 1.0:
            return 1.0 + min(bound, 1e3)
        found = worst_case_rate(family.matrices(values), low, high, tol=tolerance)
        return found if np.isfinite(found) else 1.0 + bound

    return rate


RATES: dict[str, RateOf] = {"certified": certified, "spectral": spectral}
