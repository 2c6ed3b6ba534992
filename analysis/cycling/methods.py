"""Cycles of a method over F(mu, L), and its periods against the condition number."""

from __future__ import annotations

from collections.abc import Iterable

from ..._support.errors import OdescentError
from ...discretize import algorithm as registered
from ..certificates.lower_bounds.cycle import Cycle, check_periods, found_by
from ..certificates.methods.plant import Method, read


def named(algorithm: Method | str) -> Method:
    """The method itself, or the registered algorithm of that name."""
    return registered(algorithm) if isinstance(algorithm, str) else algorithm


def cycles(
    algorithm: Method | str, mu: object, L: object, periods: int = 60, winding: int | None = None
) -> tuple[Cycle, ...]:
    """All cycles of a method on roots of unity over F(mu, L), by period and winding number.

    Each comes with the function in F(mu, L) on which the method runs around it (`Cycle.objective`), and is
    proved: all pairs of interpolation inequalities hold, by exact arithmetic, with equality too. None found is no
    proof of convergence: `certify` looks for that.

    Args:
        algorithm: as for `certify`, with one gradient per step, or the name of a registered algorithm.
        mu, L: the class, 0 <= mu < L; exact numbers stay exact, floats are the decimals that they print as.
        periods: the longest period that is tried, at least 2.
        winding: only cycles with this winding number; all by default.

    Raises:
        OdescentError: input outside its domain.

    Reference: Goujaud, Taylor, Dieuleveut, arXiv:2307.11291.
    """
    plant = read(named(algorithm), mu, L)
    if len(plant.D) != 1:
        raise OdescentError(
            f"cycles are computed for methods with one gradient per step; this one has {len(plant.D)}."
        )
    found = found_by(plant, check_periods(periods))
    return tuple(c for c in found if winding is None or c.winding == winding)


def cycle_table(
    algorithm: Method | str, kappas: Iterable[object], periods: int = 60, winding: int | None = 1
) -> dict[object, tuple[tuple[int, int], ...]]:
    """The cycles of a tuned method by condition number: kappa to pairs of period and winding number.

    Args:
        algorithm: as for `cycles`; its parameters may be bound to mu and L, which are 1 and kappa here.
        kappas: condition numbers, more than 1.
        periods, winding: as for `cycles`; winding number 1 by default.

    Raises:
        OdescentError: input outside its domain.
    """
    method = named(algorithm)
    return {
        kappa: tuple((c.period, c.winding) for c in cycles(method, 1, kappa, periods, winding))
        for kappa in kappas
    }
