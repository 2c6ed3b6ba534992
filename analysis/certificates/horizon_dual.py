"""Finitely many steps in floats: the least bound, and a worst function, by more and more interpolation inequalities.

Over multipliers and a bound c, `Dual` minimizes c with D >= 0; over Gram matrices G of (x_0 - x*, u_0/L, ..., u_N/L)
and values f, the same program's other side maximizes the measure where the start is 1. It begins with the inequalities
of neighbours and adds those that G and f violate; any set of them bounds from above, and at the end all hold.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from .interior import Interior, Program
from .lmi import STAR
from .plant import to_float
from .unroll import Unrolled

_LEVELS = (1e-2, 1e-4, 1e-7)  # gaps, relative to the bound
FLOOR = 1e-3  # the same below it: there the gap is 1e-3 of the level
_ROUNDS = 60


@dataclass(frozen=True)
class Found:
    """Both sides, in units L = 1 with function values over L.

    ``bound`` and ``weights`` (by pair, positive) are strictly inside; ``gram`` and ``values`` satisfy all
    inequalities up to ``lack`` of those of ``inner``, which satisfies them strictly (None if there is none).
    """

    bound: float
    weights: dict[tuple[int, int], float]
    gram: Float[np.ndarray, "n n"]
    values: Float[np.ndarray, " count"]
    inner: tuple[Float[np.ndarray, "n n"], Float[np.ndarray, " count"]] | None


class Dual:
    """The program of a method: which function values, points and gradients there are, and which inequalities.

    Args:
        steps: the method.
        measure, start: see `horizon.certify_horizon`.
    """

    def __init__(self, steps: Unrolled, measure: str, start: str) -> None:
        self.L = float(steps.L)
        self.k = float(steps.mu / steps.L)
        self.measure, self.start = measure, start
        L = to_float(steps.number(steps.L))
        points = np.array([[to_float(x) * L for x in row] for row in steps.points])
        self.count, size = len(points), len(points) + 1
        # rows over (x_0, u_0/L, ..., u_N/L); the minimizer last
        self.y = np.zeros((size, size))
        self.y[:-1] = np.hstack([np.ones((self.count, 1)), points])
        self.g = np.vstack([np.eye(size)[1:], np.zeros(size)])
        self.first = next((i for i, row in enumerate(steps.points) if not any(row)), None)
        # without a square of x_0 - x* it must not occur at all: then the multipliers from x* are 0
        self.tied = self.k == 0 and start == "value" and measure != "distance"
        power = {"value": 1, "gradient": 2, "distance": 0}[measure]
        self.scale, self.weight = self.L ** (power - (start == "value")), self.L ** (power - 1)

    def quadratic(self, i: int, j: int) -> Float[np.ndarray, "n n"]:
        """Q_ij, without the function values."""
        k = self.k
        dy, dg = self.y[i] - self.y[j], self.g[i] - self.g[j]
        cross = np.outer(2 * k * dg - 2 * (1 - k) * self.g[j], dy)
        found: Float[np.ndarray, "n n"] = (
            (cross + cross.T) / 2 - np.outer(dg, dg) - k * np.outer(dy, dy)
        )
        return found

    def slacks(
        self, gram: Float[np.ndarray, "n n"], values: Float[np.ndarray, " count"]
    ) -> Float[np.ndarray, "size size"]:
        """All Q_ij of a Gram matrix and values, the minimizer last; those from it infinite where they do not matter."""
        k, f = self.k, np.append(values, 0.0)
        gg, gy, yy = self.g @ gram @ self.g.T, self.g @ gram @ self.y.T, self.y @ gram @ self.y.T
        of_g, both, of_y = np.diag(gg), np.diag(gy), np.diag(yy)
        square_g = of_g[:, None] + of_g - 2 * gg
        square_y = of_y[:, None] + of_y - 2 * yy
        cross = both[:, None] + both - gy - gy.T
        linear = f[:, None] - f - gy.T + both
        found: Float[np.ndarray, "size size"] = (
            2 * (1 - k) * linear - square_g - k * square_y + 2 * k * cross
        )
        np.fill_diagonal(found, np.inf)
        if self.tied:  # x_0 is still to be chosen, as far away as these need
            found[STAR] = np.inf
        return found

    def program(self, pairs: list[tuple[int, int]]) -> Program:
        """The program with the multipliers of these pairs, c last; F are the multipliers that follow.

        The function values cancel for one choice of the multipliers of all pairs (*, i); if those must be 0, of all
        pairs (i, *).
        """
        follow = [(i, STAR) if self.tied else (STAR, i) for i in range(self.count)]
        rows = np.zeros((self.count, len(pairs) + 1))
        shift = np.zeros(self.count)
        for a, (i, j) in enumerate(pairs):
            rows[i, a] += 1
            if j != STAR:
                rows[j, a] -= 1
        shift[-1] = self.measure == "value"
        if self.start == "value":
            rows[self.first, -1] = -1
        if self.tied:
            rows, shift = -rows, -shift
        parts = np.stack([self.quadratic(*ij) for ij in follow])
        size, twice = self.count + 1, 2 * (1 - self.k)
        matrices = np.zeros((len(pairs) + 1, size, size))
        for a, ij in enumerate(pairs):
            matrices[a] = -self.quadratic(*ij)
        matrices -= np.tensordot(rows.T, parts, 1)
        constant = -np.tensordot(shift, parts, 1)
        if self.start == "distance":
            matrices[-1, 0, 0] += twice
        end = {"gradient": self.g[-2], "distance": self.y[-2]}.get(self.measure)
        if end is not None:
            constant -= twice * np.outer(end, end)
        if self.tied:
            matrices, constant = matrices[:, 1:, 1:], constant[1:, 1:]
        return Program(matrices, constant, rows, shift)

    def solve(self, deadline: float = math.inf) -> Found | None:
        """The least bound and a worst function, as near as doubles allow; None if there is no bound."""
        pairs = [(i, i + 1) for i in range(self.count - 1)]
        pairs += [(j, i) for i, j in pairs]
        if not self.tied:
            pairs += [(i, STAR) for i in range(self.count)]
        units = np.ones(self.count + (not self.tied))
        level, at, inner, best = 0, None, None, None
        for _ in range(_ROUNDS):
            if at is None:
                program = self.program(pairs)
                scaled = units[:, None] * units
                at = Interior(
                    Program(program.matrices * scaled, program.constant * scaled, program.rows, program.shift)
                )  # fmt: skip
            reached = at.run(_LEVELS[level], FLOOR, deadline)
            gram, values = self._primal(at, units, len(pairs))
            if at.inside and (best is None or at.x[-1] <= best.bound):
                best = Found(float(at.x[-1]), self._weights(at, pairs), gram, values, inner)
            if time.monotonic() > deadline:
                break
            slack = self.slacks(gram, values)
            lacking = [
                (slack[i, j], i, j if j < self.count else STAR)
                for i, j in np.argwhere(slack < 0)
                if i < self.count
            ]
            known = set(pairs)
            new = [(i, j) for _, i, j in sorted(lacking) if (i, j) not in known]
            if slack.min() > 0:
                inner = gram, values
            if new:
                pairs += new[: 3 * self.count]
                size = np.sqrt(np.diag(gram))
                units = np.maximum(size / size.max(), 1e-8)
                at = None
            elif not reached or level == len(_LEVELS) - 1:
                break
            else:
                level += 1
        return best

    def _primal(
        self, at: Interior, units: Float[np.ndarray, " n"], free: int
    ) -> tuple[Float[np.ndarray, "n n"], Float[np.ndarray, " count"]]:
        """The Gram matrix and the values, where the start is 1: the slacks of the inequalities that follow tell f."""
        gram = at.X * units[:, None] * units
        if self.tied:
            gram = np.pad(gram, ((1, 0), (1, 0)))
        sign = 1 if self.tied else -1
        parts = [self.quadratic(*((i, STAR) if self.tied else (STAR, i))) for i in range(self.count)]
        rest = np.array([(part * gram).sum() for part in parts])
        values = sign * (at.z[free:] - rest) / (2 * (1 - self.k))
        one = gram[0, 0] if self.start == "distance" else values[self.first]
        return gram / one, values / one

    def _weights(self, at: Interior, pairs: list[tuple[int, int]]) -> dict[tuple[int, int], float]:
        """The multipliers by pair, but for those from the minimizer."""
        found = dict(zip(pairs, at.s.tolist(), strict=False))
        if self.tied:
            found |= {(i, STAR): float(w) for i, w in enumerate(at.s[len(pairs) :])}
        return found
