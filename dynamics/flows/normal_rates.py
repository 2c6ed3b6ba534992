"""Measured rates of attraction: the spectrum of the fast equations at a point of the critical manifold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..._support.errors import OdescentError
from ..algebra.calculus import symbols_of
from ..algebra.scalars import exact_values
from ..algebra.vectors import VectorSymbol
from ..evaluation.evaluate import evaluate, oracles_of, with_roots
from ..fast_slow.manifold import expand
from ..fast_slow.reduction import reduced
from ..vector_fields.objective import Objective
from ..vector_fields.system import VectorFields
from .solution import objective_for


def normal_rates(
    system: VectorFields,
    objective: Objective | Mapping[str, Any] | None,
    at: Mapping[Any, Any],
    parameters: Mapping[str, Any] | None = None,
) -> Any:
    """The eigenvalues, times the small parameter, of the fast equations at rest, the slowest first.

    Args:
        system: with fast= declared.
        objective: the functions that the equations call, as for `System.simulate`.
        at: arrays by block symbol or name: the slow blocks, and of fast blocks the guess from which they are searched,
            whose shape they have.
        parameters: numbers of the other parameters, by name.

    Returns:
        complex numbers, shape (number of unknowns,). The manifold attracts there if all real parts are negative.

    Raises:
        OdescentError: a block without a value, or fast blocks on several scales.
    """
    found = expand(system, 0)
    if len(found.levels) != 1:
        raise OdescentError(
            "rates are measured on one scale; bind the system to one, or measure its layer()."
        )
    (level,) = found.levels
    named = {b.name: b.symbol for b in system.blocks}
    values: Any = {named[str(getattr(k, "name", k))]: np.asarray(v, float) for k, v in at.items()}
    missing = [n for n, s in named.items() if s not in values]
    if missing:
        raise OdescentError(
            f"the blocks {', '.join(missing)} have no value: give at={{block: array}} for all of them."
        )
    oracles = oracles_of(system, objective_for(system, objective))
    given: dict[Any, Any] = {p.name: p for p in system.parameters}
    values |= {given.get(n, n): float(v) for n, v in exact_values(parameters or {}).items()}
    begun = reduced(system, 0)
    values = with_roots(
        [e for f in begun.fields.values() for e in f.drift.values()], values, oracles, np
    )
    values = with_roots(level.linearized.equations, values, oracles, np)
    unknowns = level.linearized.unknowns
    shapes = [np.shape(values[s]) for s in level.terms]
    sizes = [int(np.prod(shape)) for shape in shapes]
    ends = np.cumsum([0, *sizes])
    matrix = np.zeros((ends[-1], ends[-1]))
    for column in range(ends[-1]):
        unit = np.zeros(ends[-1])
        unit[column] = 1.0
        along = {
            u: unit[a:b].reshape(shape) if isinstance(u, VectorSymbol) else unit[a]
            for u, a, b, shape in zip(unknowns, ends, ends[1:], shapes, strict=False)
        }
        for e, a, b in zip(level.linearized.equations, ends, ends[1:], strict=False):
            matrix[a:b, column] = (
                np.reshape(evaluate(e, {**values, **along}, oracles, np) + np.zeros(b - a), -1)
                if symbols_of(e)
                else 0.0
            )
    spectrum = np.linalg.eigvals(matrix)
    return spectrum[np.argsort(-spectrum.real)]
