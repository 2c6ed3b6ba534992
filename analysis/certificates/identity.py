"""Exact certificates at a rate that a quadratic attains: identities known in form, to be checked for a method.

Both are for one gradient a step, with V over (x_k, u_k / L), and bound the output.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .checker import ONE, STAR, ZERO, Inequality, Number, add_square, dot
from .document import rate_document, statement
from .field import reciprocal
from .modes import trajectories
from .plant import Matrix, Plant


def documents(plant: Plant, rate: Number) -> Iterator[Mapping[str, Any]]:
    """Candidates at the rate, still to be checked."""
    if plant.exact and len(plant.D) == 1:
        yield _with_function_value(plant, rate)
        yield from _distance(plant, rate, trajectories(plant, rate, 1))


def _with_function_value(plant: Plant, rate: Number) -> Mapping[str, Any]:
    """V = Q(y, x*) + 2 mu |x+|^2, x+ the next output; V decreases by rate^2 Q(y, y+) + (1 - rate^2) Q(x*, y+).

    Of the triple momentum method it is an identity (Van Scoy, Freeman, Lynch, 10.1109/LCSYS.2017.2722406).
    """
    it = Inequality(statement(plant, rate, "output"), 1)
    P = _square_of_output(it)
    ratio = it.mu * reciprocal(it.L)
    y, g = (row[: len(P)] for row in (it.y[0], it.g[0]))
    P = [[(ratio + ratio) * e for e in row] for row in P]
    add_square(P, -ONE, g, g)
    add_square(P, -ratio, y, y)
    add_square(P, ratio + ratio, g, y)
    lam = {(0, 1): it.rate * it.rate}
    return rate_document(plant, rate, 1, P, {(0, STAR): ONE}, lam, it.mu + it.mu)


def _distance(plant: Plant, rate: Number, along: list[list[Number]]) -> Iterator[Mapping[str, Any]]:
    """V = L |x+|^2, which decreases by the same multiple of Q(y+, x*) and Q(x*, y+).

    The multiple is that for which the decrease vanishes along a quadratic. This proves the rates of gradient
    descent and of the proximal point method.
    """
    it = Inequality(statement(plant, rate, "output"), 1)
    P = _square_of_output(it)
    _, D, _ = it.remainders(P, {}, {})
    _, slope, _ = it.remainders([[ZERO] * len(P) for _ in P], {}, {(1, STAR): ONE})
    for trajectory in along:
        left, right = dot(trajectory, D), dot(trajectory, slope)
        at = next((i for i, e in enumerate(right) if e), None)
        if at is not None:
            multiple = -left[at] * reciprocal(right[at])
            yield rate_document(plant, rate, 1, P, {}, {(1, STAR): multiple}, it.L)


def _square_of_output(it: Inequality) -> Matrix:
    """|x+|^2 over (x_k, u_k / L)."""
    m = it.n + it.early
    after = dot(it.output, it.later[: it.n])[:m]
    P = [[ZERO] * m for _ in range(m)]
    add_square(P, ONE, after, after)
    return P
