"""Bounds that a function attains, proved exactly: the multipliers on the face where D vanishes along its run.

At the least bound D cannot be positive definite: it vanishes along the run of the method on a worst function, and so
do the multipliers of the inequalities that are strict there. These are linear conditions, solved here in the
method's field; what remains is a strict problem, whose solution is rounded and proved like any other. (Compare `face`.)
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from operator import mul
from typing import Any

import numpy as np

from . import worst_line
from .checker import ONE, ZERO, Number, Steps, subtract
from .document import sealed, text, weights
from .face import _complement
from .field import reciprocal
from .lmi import STAR, free_pairs
from .margin import MarginProgram
from .modes import kernel, total
from .plant import Matrix, to_float
from .unroll import Unrolled
from .worst_line import Kink


def on_face(base: Mapping[str, Any], steps: Unrolled, worst: Kink) -> dict[str, Any] | None:
    """A candidate at the bound that the function attains; None if there is none of this form."""
    claim = {**base, "bound": text(worst.value)}
    it = Steps(claim)
    width = Number(worst.width)
    points, slopes = worst_line.trajectory(steps, width)
    heights = [worst_line.height(x, width, it.mu, it.L) for x in points]
    scale = reciprocal(it.L)
    run = [ONE, *(scale * u for u in slopes)]
    y, g, f = [*points, ZERO], [*run[1:], ZERO], [*(scale * h for h in heights), ZERO]

    def tight(i: int, j: int) -> bool:
        return not _slack(it, y[i] - y[j], g[i] - g[j], g[j], f[i] - f[j])

    count = len(points)
    pairs = [(i, j) for i, j in free_pairs(count) if tight(i, j)]
    loose = [i for i in range(count) if not tight(STAR, i)]
    size = count + 1
    parts = {
        ij: subtract(it, _zeros(size), {ij: it.L})
        for ij in [*pairs, *((STAR, i) for i in range(count))]
    }
    given = it.follows({})
    # one matrix and one row of multipliers from the minimizer by unknown; the last unknown scales what is given
    matrices: list[Matrix] = []
    star: Matrix = []
    for i, j in pairs:
        ends = [ONE if k == i else -ONE if k == j else ZERO for k in range(count)]
        matrices.append(
            _sum([parts[i, j], *(_times(e, parts[STAR, k]) for k, e in enumerate(ends) if e)])
        )
        star.append(ends)
    offset = [given[STAR, k] for k in range(count)]
    constant = it.remainder({})
    matrices.append(
        _sum([constant, *(_times(e, parts[STAR, k]) for k, e in enumerate(offset) if e)])
    )
    star.append(offset)
    images = [[total(map(mul, row, run)) for row in m] for m in matrices]
    rows = [list(row) for row in zip(*images, strict=True)] + [[s[k] for s in star] for k in loose]
    solutions = kernel(rows, len(matrices))
    if not solutions:
        return None
    found = _strict(solutions, matrices, star, loose, run)
    if found is None:
        return None
    x = [total(map(mul, found, column)) for column in zip(*solutions, strict=True)]
    if x[-1].sign() <= 0:
        return None
    unit = reciprocal(x[-1])
    kept = {ij: unit * w for ij, w in zip(pairs, x, strict=False) if w}
    return sealed(steps.name, "horizon", claim, {"lambda": weights(kept)})


def _strict(
    solutions: Matrix, matrices: list[Matrix], star: Matrix, loose: list[int], run: list[Number]
) -> list[Number] | None:
    """Weights of the solutions with a positive margin."""
    basis = np.array([[to_float(x) for x in column] for column in solutions])
    D = np.tensordot(
        basis, np.array([[[to_float(x) for x in row] for row in m] for m in matrices]), 1
    )
    away = _complement(np.array([[to_float(x) for x in run]]), len(run))
    block = away.T @ D @ away
    follow = [[to_float(s[k]) for s in star] for k in range(len(star[0])) if k not in loose]
    signs = (
        np.vstack([np.eye(len(matrices)), np.array(follow).reshape(-1, len(matrices))]) @ basis.T
    )
    norms = np.sqrt((block**2).sum((1, 2)) + (signs**2).sum(0))
    norms[norms == 0] = 1
    block, signs = block / norms[:, None, None], signs / norms
    program = MarginProgram([(block, 0 * block)], (signs, 0 * signs))
    found, margin = program.solve()
    if not (margin > 0 and np.isfinite(found).all()):
        return None
    return [Number(Fraction(w)) for w in (found / norms).tolist()]


def _slack(it: Steps, dy: Number, dg: Number, g: Number, df: Number) -> Number:
    """Q_ij of one run, f and g in units of L."""
    square, mixed, cross, value = it.slack[0], it.slack[1], it.slack[2], it.slack[3]
    return value * (df - g * dy) - square * dg * dg - mixed * dy * dy - cross * dg * dy


def _zeros(size: int) -> Matrix:
    return [[ZERO] * size for _ in range(size)]


def _times(factor: Number, m: Matrix) -> Matrix:
    return [[factor * e if e else e for e in row] for row in m]


def _sum(parts: list[Matrix]) -> Matrix:
    return [[total(es) for es in zip(*rows, strict=True)] for rows in zip(*parts, strict=True)]
