"""Linear matrix inequalities with the largest margin, in floats, as a function of one parameter.

Find x with F_b(x) >= t I for some matrices F_b and s(x) >= t / 10 for some numbers s, all linear in x, so that t
is as large as can be where the traces of the F_b and the numbers s add up to one. F and s are polynomials in a
parameter tau. The margin t is continuous in tau: positive, the inequalities have a strict solution, which stands
rounding; negative, they have none. (A bound on the sum instead of the equality would hide the sign: x = 0 has t = 0.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

Polynomial: TypeAlias = tuple[Any, ...]  # the parts times 1, tau, tau^2, ..., as many in each
NOISE = 1e-11  # margins below this are the solver's rounding
_SLACK = 0.1  # of the numbers s, in units of the margin


class MarginProgram:
    """The inequalities as data: built once, solved for any tau.

    Args:
        blocks: of each F_b, the matrices of the unknowns, (unknowns, N, N).
        signs: the coefficients of s, (numbers, unknowns).
    """

    def __init__(self, blocks: Sequence[Polynomial], signs: Polynomial) -> None:
        self.sizes = [block[0].shape[1] for block in blocks]
        self.signs, self.unknowns = signs[0].shape
        self._rows = []
        for part in range(len(signs)):
            total = signs[part].sum(0)
            for block in blocks:
                total = total + np.trace(block[part], axis1=1, axis2=2)
            slack = np.full((self.signs, 1), -_SLACK if part == 0 else 0.0)
            rows = [np.append(total, 0)[None], np.hstack([signs[part], slack])]
            for block, size in zip(blocks, self.sizes, strict=True):
                unit = -svec(np.eye(size)[None]).T if part == 0 else np.zeros((size * (size + 1) // 2, 1))  # fmt: skip
                rows.append(np.hstack([svec(block[part]).T, unit]))
            self._rows.append(np.vstack(rows))
        pattern = np.any([part != 0 for part in self._rows], axis=0)
        self._places = np.nonzero(pattern.T)  # column by column
        self._values = [-part.T[self._places] for part in self._rows]

    @staticmethod
    def _at(tau: float, parts: Sequence[Any]) -> Any:
        found = parts[0]
        for degree, part in enumerate(parts[1:], 1):
            found = found + tau**degree * part
        return found

    @cached_property
    def _solver(self) -> Any:
        import clarabel
        from scipy import sparse

        settings = clarabel.DefaultSettings()
        settings.verbose = False
        # so that the data can be changed, which saves a third of the time
        settings.presolve_enable = settings.chordal_decomposition_enable = False
        settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-10
        settings.max_iter, settings.max_threads = 60, 1
        columns, rows = self._places
        shape = self._rows[0].shape
        starts = np.searchsorted(columns, np.arange(shape[1] + 1))
        matrix = sparse.csc_matrix((self._at(1.0, self._values), rows, starts), shape=shape)
        right, objective = np.zeros(shape[0]), np.zeros(shape[1])
        right[0] = objective[-1] = -1
        cones = [clarabel.ZeroConeT(1), clarabel.NonnegativeConeT(self.signs)]
        cones += [clarabel.PSDTriangleConeT(size) for size in self.sizes]
        nothing = sparse.csc_matrix((shape[1], shape[1]))
        return clarabel.DefaultSolver(nothing, objective, matrix, right, cones, settings)

    def solve(self, tau: float = 0.0) -> tuple[Float[np.ndarray, " unknowns"], float]:
        """The unknowns and the margin. What the solver says of itself is not used; see `holds`."""
        self._solver.update(A=self._at(tau, self._values))
        found = np.asarray(self._solver.solve().x)
        return found[:-1], float(found[-1]) if np.isfinite(found).all() else -math.inf

    def holds(self, x: Float[np.ndarray, " unknowns"], tau: float = 0.0) -> bool:
        """Whether the inequalities hold strictly, the numbers weakly, computed anew in floats."""
        if not np.isfinite(x).all():
            return False
        values = self._at(tau, self._rows) @ np.append(x, 0)
        at = 1 + self.signs
        if values[1:at].min(initial=0.0) < 0:
            return False
        for size in self.sizes:
            packed = size * (size + 1) // 2
            if not np.linalg.eigvalsh(smat(values[at : at + packed]))[0] > 0:
                return False
            at += packed
        return True

    def least(
        self, lowest: float, highest: float, tol: float, tau: Callable[[float], float]
    ) -> tuple[float, Float[np.ndarray, " unknowns"]] | None:
        """The least number in [lowest, highest) with a solution that holds, within tol, and the solution.

        ``tau`` makes the parameter of the number. None if there is none: then the margin at the highest is
        not positive.
        """
        from scipy.optimize import brentq

        def margin(rate: float) -> float:
            return max(self.solve(tau(rate))[1], -1.0)

        if not lowest < highest or not margin(highest) > NOISE:
            return None
        root = min(lowest + tol / 2, (highest + lowest) / 2)
        if margin(root) <= 0:
            rounding = 8 * np.finfo(float).eps
            root = brentq(margin, root, highest, xtol=tol / 4, rtol=rounding)
        step = tol / 2
        while root + step < highest:
            x, t = self.solve(tau(root + step))
            if t > 0 and self.holds(x, tau(root + step)):
                return root + step, x
            step *= 2
        return None


def svec(matrices: Float[np.ndarray, "count N N"]) -> Float[np.ndarray, "count packed"]:
    """The upper triangles column by column, off the diagonal times sqrt(2)."""
    j, i = np.tril_indices(matrices.shape[1])
    return matrices[:, i, j] * np.where(i == j, 1.0, math.sqrt(2))


def smat(packed: Float[np.ndarray, " packed"]) -> Float[np.ndarray, "N N"]:
    """The symmetric matrix of a packed triangle, `svec` undone."""
    size = math.isqrt(2 * len(packed))
    j, i = np.tril_indices(size)
    matrix = np.zeros((size, size))
    matrix[i, j] = matrix[j, i] = packed / np.where(i == j, 1.0, math.sqrt(2))
    return matrix
