"""The dual of the performance estimation problem of finitely many steps, in floats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from .checker import Steps
from .lmi import STAR, _slack, pairs
from .margin import svec
from .plant import to_float


class Dual:
    """min c with D(c, lambda) >= t I, lambda >= t and lambda from the minimizer >= t, in floats and units L = 1."""

    def __init__(self, base: Mapping[str, Any]) -> None:
        it = Steps({**base, "bound": "1"})
        self.L = L = to_float(it.L)
        k = to_float(it.mu) / L
        y, g = (
            np.array([[to_float(x) for x in row] for row in rows[:-1]]) for rows in (it.y, it.g)
        )
        last, size = it.last, y.shape[1]
        self.pairs = [ij for ij in pairs(last + 1) if ij[0] != STAR]
        # D = 2 (1 - k) (c S - M) - sum lambda Q in these units; c of "value" over "distance" is in units of L
        twice = 2 * (1 - k)
        power = {"value": 1, "gradient": 2, "distance": 0}[it.measure]
        self.scale, self.weight = L ** (power - (it.start == "value")), L ** (power - 1)
        star = np.zeros(
            (last + 1, len(self.pairs) + 1)
        )  # multipliers from the minimizer, last column by c
        for a, (i, j) in enumerate(self.pairs):
            star[i, a] += 1
            if j != STAR:
                star[j, a] -= 1
        self.offset = np.zeros(last + 1)
        self.offset[last] = it.measure == "value"
        if it.start == "value":
            star[it.first, -1] = -1
        self.star = star
        slack = np.stack([_slack(y, g, ij, k) for ij in self.pairs])
        rest = np.stack([_slack(y, g, (STAR, i), k) for i in range(last + 1)])
        D = np.zeros((len(self.pairs) + 1, size, size))
        D[:-1] = -slack
        D -= np.einsum("ia,ijk->ajk", star, rest)
        D0 = -np.einsum("i,ijk->jk", self.offset, rest)
        if it.start == "distance":
            D[-1, 0, 0] += twice
        end = y[last] if it.measure == "distance" else g[last]
        if it.measure != "value":
            D0 -= twice * np.outer(end, end)
        # without a square of x_0 - x* it must not occur at all: multipliers from x* are 0, those to it follow
        self.tied = bool(np.abs(D[:, 0, 0]).max() == 0 and D0[0, 0] == 0)
        self.signs, self.shift = (
            np.vstack([np.eye(len(D))[:-1], star]),
            np.append(np.zeros(len(self.pairs)), self.offset),
        )
        self.full, self.full0 = np.eye(len(D)), np.zeros(len(D))
        if self.tied:
            own = np.array([ij[1] == STAR for ij in self.pairs] + [False])
            point = [ij[0] for ij in self.pairs if ij[1] == STAR]
            self.full[own] = -np.where(own, 0, star)[point]
            self.full0[own] = -self.offset[point]
            self.full = self.full[:, ~own]
            D0, D = D0 + np.tensordot(self.full0, D, 1), np.tensordot(self.full.T, D, 1)
            D, D0 = D[:, 1:, 1:], D0[1:, 1:]
            self.signs, self.shift = self.full[:-1], self.full0[:-1]
        self.D, self.D0 = D, D0

    def solve(
        self, room: float, bound: float | None = None
    ) -> tuple[float, dict[tuple[int, int], float]] | None:
        """The least bound, or the given one, and the multipliers, with so much room left in each inequality."""
        import clarabel
        from scipy import sparse

        count, size = len(self.D), self.D.shape[1]
        signs = self.signs
        rows = [-signs, -svec(self.D).T]
        right = [self.shift - room, svec((self.D0 - room * np.eye(size))[None])[0]]
        cones = [clarabel.NonnegativeConeT(len(signs)), clarabel.PSDTriangleConeT(size)]
        if bound is not None:
            rows, right = [np.eye(count)[-1:], *rows], [np.array([bound / self.scale]), *right]
            cones = [clarabel.ZeroConeT(1), *cones]
        settings = clarabel.DefaultSettings()
        settings.verbose = False
        settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-11
        settings.max_iter, settings.max_threads = 100, 1
        objective = np.eye(count)[-1] if bound is None else signs.sum(0)
        matrix = sparse.csc_matrix(np.vstack(rows))
        solver = clarabel.DefaultSolver(
            sparse.csc_matrix((count, count)), objective, matrix, np.concatenate(right), cones, settings
        )  # fmt: skip
        x: Float[np.ndarray, " unknowns"] = np.asarray(solver.solve().x)
        if not np.isfinite(x).all() or not x[-1] > 0:
            return None
        D = self.D0 + np.tensordot(x, self.D, axes=1)
        short = max(0.0, -float(np.linalg.eigvalsh(D)[0]))
        if short > 1e-4:
            return None
        weights = self.weight * (self.full @ x + self.full0)[:-1]
        return float(x[-1]) * self.scale, dict(zip(self.pairs, weights.tolist(), strict=True))
