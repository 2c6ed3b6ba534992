"""Strict certificates on a face: a rate that a quadratic attains, proved exactly.

At such a rate the decrease D vanishes along the quadratic's own trajectory, so it cannot be positive definite.
That is a linear condition on the unknowns, solved here in the method's field; what remains is a strict problem
on the complement, whose solution is rounded and proved like any other.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations_with_replacement
from operator import mul
from typing import Any

import numpy as np

from .checker import ONE, ZERO, Inequality, Number, dot, subtract
from .lmi import STAR, LyapunovLMI, pairs
from .margin import MarginProgram
from .modes import kernel, total, trajectories
from .plant import Matrix, Plant, to_float
from .proof import Proof, inequality

_BITS = 48  # of the rounded unknowns


def proof(plant: Plant, rate: Number, steps: int) -> Proof | None:
    """A candidate at the rate; None if there is none on this face."""
    along = trajectories(plant, rate, steps)
    matrices = (*plant.floats(), float(plant.mu), float(plant.L))
    lmi = LyapunovLMI(
        *matrices, steps, R=np.eye(len(plant.A))
    )  # in the coordinates of the exact part
    solutions = kernel(_conditions(inequality(plant, rate, steps), lmi, along), lmi.unknowns)
    if not solutions:
        return None
    basis = np.array([[to_float(x) for x in column] for column in solutions])
    D, E, signs = lmi.at(to_float(rate) ** 2)
    away = _complement(np.array([[to_float(x) for x in w] for w in along]), D.shape[1])
    blocks = [np.tensordot(basis, part, axes=1) for part in (away.T @ D @ away, E)]
    program = MarginProgram(
        [(block, np.zeros_like(block)) for block in blocks if block.size],
        (signs @ basis.T, np.zeros((len(signs), len(basis)))),
    )
    found, margin = program.solve()
    if not (margin > 0 and program.holds(found)):
        return None
    weights = [Number(Fraction(round(y * 2**_BITS), 2**_BITS)) for y in found.tolist()]
    x = dot(weights, solutions)
    P = [[ZERO] * lmi.m for _ in range(lmi.m)]
    for (i, j), entry in zip(_entries(lmi.m), x, strict=False):
        P[i][j] = P[j][i] = entry
    at_nu, at_free = lmi.starts
    nu = dict(zip(lmi.of_e, x[at_nu:at_free], strict=True))
    lam = dict(zip(lmi.of_d, x[at_free:], strict=True))
    return Proof(rate, steps, P, nu, lam)


def _conditions(it: Inequality, lmi: LyapunovLMI, along: list[list[Number]]) -> Matrix:
    """Rows over the unknowns: the entries of D w for each trajectory w."""
    size, tau = len(it.g[0]), it.rate * it.rate
    rows: Matrix = []
    for w in along:
        later = [total(map(mul, row, w)) for row in it.later]
        columns = []
        for i, j in _entries(lmi.m):  # L (tau T0' S T0 - T1' S T1) w for unit symmetric S
            image = [ZERO] * size
            for a, b in {(i, j), (j, i)}:
                image[a] = image[a] + tau * w[b]
                image = [e - later[b] * t for e, t in zip(image, it.later[a], strict=True)]
            columns.append([it.L * e for e in image])
        # D has - lambda Q for all pairs, those from the minimizer by what they follow from
        images = {ij: _image(it, ij, w) for ij in pairs(len(it.y) - 1)}
        own = dict(enumerate(lmi.of_d, lmi.starts[1]))
        for a in range(lmi.starts[0], lmi.unknowns):
            column = images[own[a]] if a in own else [ZERO] * size
            for point, (constant, slope) in enumerate(lmi.star[:, :, a].T.tolist()):
                if constant or slope:
                    weight = Number(int(constant)) + Number(int(slope)) * tau
                    follow = images[STAR, point]
                    column = [e + weight * f for e, f in zip(column, follow, strict=True)]
            columns.append(column)
        rows += [list(row) for row in zip(*columns, strict=True)]
    return rows


def _image(it: Inequality, ij: tuple[int, int], w: list[Number]) -> list[Number]:
    """- Q_ij w."""
    zero = [[ZERO] * len(w) for _ in w]
    return [total(map(mul, row, w)) for row in subtract(it, zero, {ij: ONE})]


def _entries(m: int) -> list[tuple[int, int]]:
    return list(combinations_with_replacement(range(m), 2))


def _complement(vectors: Any, size: int) -> Any:
    """An orthonormal basis of what is orthogonal to the vectors, as columns."""
    if not len(vectors):
        return np.eye(size)
    _, values, right = np.linalg.svd(vectors)
    return right[int((values > 1e-12 * values[0]).sum()) :].T
