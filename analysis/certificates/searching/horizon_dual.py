"""Finitely many steps in floats: the smallest bound and a worst function, by a growing set of inequalities.

Over multipliers and a bound c, `Dual` minimizes c with D >= 0; over Gram matrices G of (x_0 - x*, u_0/L, ..., u_N/L)
and values f, the same program's other side maximizes the measure where the start is 1. It begins with the inequalities
of neighbours and adds those that G and f violate; any set of them bounds from above, and at the end all hold.

What the search leaves is strictly inside of all interpolation inequalities, so that rounding keeps them; points are not
stored but follow from the method. (A function with these values and gradients exists: Taylor, Hendrickx, Glineur,
arXiv:1502.05666, theorem 4.)
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

from ..checking.checker import STAR
from ..lower_bounds.worst_line import float_runs
from ..methods.plant import to_float, to_floats
from ..methods.precise import decimal, dyadic
from ..methods.unroll import Unrolled
from .interior import Interior, SemidefiniteProgram

Vectors: TypeAlias = tuple[Any, Float[np.ndarray, "count width"], Float[np.ndarray, " count"]]
Example: TypeAlias = tuple[Float[np.ndarray, "n n"], Float[np.ndarray, " count"]]
_LEVELS = (1e-2, 1e-4, 1e-6, 1e-7)  # gaps, relative to the bound
FLOOR = 1e-3  # the same below it: there the gap is 1e-3 of the level
_ROUNDS = 60
_ENOUGH = 5e-7  # between both sides, relative to the bound or the floor
_KEPT = 4  # proofs, some of which rounding may spoil
_SMALL = 0.01  # gradients of the first guess are not smaller
_LARGER = 3  # times that a start from further inside is tried before more pairs are
_TRIES = 4  # in other units, where rounding took over


@dataclass(frozen=True)
class HorizonBounds:
    """Both sides, in units L = 1 with function values over L.

    ``proofs`` are bounds with weights (by pair, positive), the least first, strictly inside of what they have to
    satisfy; so is the example that attains ``attained``: x_0 - x*, gradients over L and values, in as many
    dimensions as there are vectors. ``example`` is None if there was none; its x_0 is None if any one far enough
    will do.
    """

    proofs: list[tuple[float, dict[tuple[int, int], float]]]
    attained: float
    example: Vectors | None

    @property
    def bound(self) -> float:
        """The least."""
        return self.proofs[0][0]

    def settled(self, bound: float, known: float) -> bool:
        """Whether a bound is as near to what is attained, here or as is known besides, as it was sought."""
        return bound - max(self.attained, known) <= 1e-6 * max(bound, FLOOR)


def units(L: float, measure: str, start: str) -> tuple[float, float]:
    """What the bound and the weights have to be multiplied with where L is not 1.

    Args:
        L: smoothness.
        measure, start: see `certify_horizon`.
    """
    power = {"value": 1, "gradient": 2, "distance": 0}[measure]
    return L ** (power - (start == "value")), L ** (power - 1)


def search(
    steps: Unrolled, measure: str, start: str, deadline: float = math.inf
) -> HorizonBounds | None:
    """Both sides, in the coordinates that bring them together, or in those that did best; None if there is no bound.

    Args:
        steps: the method over N steps.
        measure, start: see `certify_horizon`.
        deadline: of `time.monotonic`, in seconds.
    """
    from threadpoolctl import threadpool_limits

    # the matrices have some forty rows: more than one thread waits more than it works
    with threadpool_limits(limits=1, user_api="blas"):
        return _search(steps, measure, start, deadline)


def _search(steps: Unrolled, measure: str, start: str, deadline: float) -> HorizonBounds | None:
    best: HorizonBounds | None = None
    order = (0.0, 0.5, 1.0) if steps.mu < 0.3 * steps.L else (0.5, 0.0, 1.0)
    for shift in order:
        found = Dual(steps, measure, start, shift).solve(deadline)
        if found is not None and best is not None:
            low = max(found, best, key=lambda f: f.attained)
            proofs = sorted(found.proofs + best.proofs, key=lambda of: of[0])
            found = HorizonBounds(proofs, low.attained, low.example)
        best = found or best
        if best is not None and best.bound - best.attained <= _ENOUGH * max(best.bound, FLOOR):
            break
        if time.monotonic() > deadline:
            break
    return best


class Dual:
    """The program of a method: which function values, points and gradients there are, and which inequalities.

    Args:
        steps: the method.
        measure, start: see `horizon.certify_horizon`.
        shift: of the coordinates, between 0 (mu) and 1 (L).
    """

    def __init__(self, steps: Unrolled, measure: str, start: str, shift: float = 0.5) -> None:
        self.k = float(steps.mu / steps.L)
        self.measure, self.start = measure, start
        L = to_float(steps.number(steps.L))
        points = to_floats(steps.points) * L
        self.count, size = len(points), len(points) + 1
        # without a square of x_0 - x* it must not occur at all: then the multipliers from x* are 0
        self.tied = self.k == 0 and start == "value" and measure != "distance"
        # rows over (x_0, w_0, ..., w_N), u/L = w + m y, the minimizer last: w is small where the class is, and m y
        # takes a method that converges most of its way
        m = 0.0 if self.tied else self.k + shift * (1 - self.k)
        self.table = points
        known = np.hstack([np.ones((self.count, 1)), points])
        self.y = np.vstack(
            [np.linalg.solve(np.eye(self.count) - m * points, known), np.zeros(size)]
        )
        self.g = m * self.y + np.vstack([np.eye(size)[1:], np.zeros(size)])
        self.middle = m
        self.first = next((i for i, row in enumerate(steps.points) if not any(row)), None)
        # the first point that is the same by construction, often the point itself
        rows = [[(x.a, x.b, x.e) for x in row] for row in steps.points]
        self.same = [next(i for i in range(j + 1) if rows[i] == row) for j, row in enumerate(rows)]
        # what is measured as a row, unless that is a value; the pairs whose multipliers follow
        self.end = {"gradient": self.g[-2], "distance": self.y[-2]}.get(measure)
        self.follow = [(i, STAR) if self.tied else (STAR, i) for i in range(self.count)]

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
        """All Q_ij of a Gram matrix and values, the minimizer last; infinite where they do not matter."""
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
        names = [*self.same, STAR]
        found[np.equal.outer(names, names)] = np.inf
        if self.tied:  # x_0 is still to be chosen, as far away as these need
            found[STAR] = np.inf
        return found

    def program(self, pairs: list[tuple[int, int]]) -> SemidefiniteProgram:
        """The program with the multipliers of these pairs, c last; F are the multipliers that follow.

        The function values cancel for one choice of the multipliers of all pairs (*, i); if those must be 0, of all
        pairs (i, *).
        """
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
        parts = np.stack([self.quadratic(*ij) for ij in self.follow])
        size, twice = self.count + 1, 2 * (1 - self.k)
        matrices = np.zeros((len(pairs) + 1, size, size))
        for a, ij in enumerate(pairs):
            matrices[a] = -self.quadratic(*ij)
        matrices -= np.tensordot(rows.T, parts, 1)
        constant = -np.tensordot(shift, parts, 1)
        if self.start == "distance":
            matrices[-1, 0, 0] += twice
        if self.end is not None:
            constant -= twice * np.outer(self.end, self.end)
        if self.tied:
            matrices, constant = matrices[:, 1:, 1:], constant[1:, 1:]
        return SemidefiniteProgram(matrices, constant, rows, shift)

    def solve(self, deadline: float = math.inf) -> HorizonBounds | None:
        """The least bound and a worst function, as near as doubles allow; None if there is no bound."""
        pairs = [(i, i + 1) for i in range(self.count - 1)]
        pairs += [(j, i) for i, j in pairs]
        if not self.tied:
            pairs += [(i, STAR) for i in range(self.count)]
        units, size = self.sizes()
        level, tries, larger, at = 0, 0, 0, None
        below: list[tuple[float, dict[tuple[int, int], float]]] = []
        inner: list[Example] = []
        for _ in range(_ROUNDS):
            if at is None:
                at = Interior(self.program(pairs).scaled(units), size)
            reached = at.run(_LEVELS[level], FLOOR, deadline)
            if at.inside:
                below.append((float(at.x[-1]), self._weights(at, pairs)))
            example = self._example(at, units, len(pairs))
            if time.monotonic() > deadline:
                break
            if not reached and not at.inside and larger < _LARGER:
                size, larger, at = 100 * size, larger + 1, None
                continue
            new: list[tuple[int, int]] = []
            if example is not None:
                slack = self.slacks(*example)
                if slack.min() > 0:
                    inner.append(example)
                elif inner:
                    inner.append(self._between(example, inner[-1]))
                known = set(pairs)
                order = [divmod(int(p), len(slack)) for p in np.argsort(slack, axis=None)]
                lacking = [(i, j if j < self.count else STAR) for i, j in order if slack[i, j] < 0]
                new = [ij for ij in lacking if ij not in known and ij[0] < self.count]
            if reached and not new:
                level, tries = level + 1, 0
                if level == len(_LEVELS):
                    break
                continue
            tries += not new
            if tries > _TRIES:
                break
            new = new[: 3 * self.count]
            pairs += new
            if reached:
                at = at.extended(self.program(pairs).scaled(units), len(new))
                continue
            # anew, in units in which X is about 1 on the diagonal
            if at.inside:
                found = np.sqrt(np.diag(at.X)) * units
                units = np.maximum(found / found.max(), 1e-8)
                size = max(_SMALL**2, abs(float(at.x[-1])))
            elif not new:
                size *= 100
            at = None
        if not below:
            return None
        below = sorted(below, key=lambda of: of[0])[:_KEPT]
        example = max(inner, key=self.attained, default=None)
        if example is None:
            return HorizonBounds(below, -math.inf, None)
        return HorizonBounds(below, self.attained(example), self._vectors(example))

    def _vectors(self, example: Example) -> Vectors | None:
        """x_0, the gradients over L, and the values; None if the matrix is not positive, by rounding."""
        gram, values = example
        kept = [0, *(1 + i for i in sorted(set(self.same)))][self.tied :]
        size = np.sqrt(np.diag(gram))[kept]
        try:
            factor = np.linalg.cholesky(gram[np.ix_(kept, kept)] / size[:, None] / size)
        except np.linalg.LinAlgError:
            return None
        rows = dict(zip(kept, factor * size[:, None], strict=True))
        w = np.stack([rows[1 + i] for i in self.same])
        far = rows.get(0, np.zeros(len(kept)))
        vectors = self.g[:-1] @ np.vstack([far, w])
        return (None if self.tied else far), vectors, values

    def sizes(self) -> tuple[Float[np.ndarray, " n"], float]:
        """How large x_0 and the gradients may become where the start is 1, and the bound, from functions of a line."""
        widths = np.append(np.geomspace(1e-4, 1, 25), np.full(8, 10.0))
        high = np.append(
            np.ones(25), self.k + (1 - self.k) * np.arange(1, 9) / 8
        )  # 10: a quadratic
        low = np.full(33, self.k)
        points, slopes, heights = float_runs(self.table, widths, low, high)
        unit = np.sqrt(heights[self.first]) if self.start == "value" else np.ones(33)
        runs = np.vstack([np.ones(33), slopes - self.middle * points]) / unit
        last = {"value": heights, "gradient": slopes**2, "distance": points**2}[self.measure][-1]
        found = np.nanmax(np.abs(runs), axis=1)[self.tied :]
        return np.maximum(found, _SMALL), max(_SMALL**2, float(np.nanmax(last / unit**2)))

    def attained(self, example: Example) -> float:
        """The measure."""
        gram, values = example
        return float(values[-1] if self.end is None else self.end @ gram @ self.end)

    def _between(self, example: Example, inner: Example) -> Example:
        """As near to the first as all inequalities allow."""
        slack, inside = self.slacks(*example), self.slacks(*inner)
        lacking = slack <= 0
        part = float((-slack[lacking] / (inside[lacking] - slack[lacking])).max())
        part = min(1.0, 2 * part)
        return (
            (1 - part) * example[0] + part * inner[0],
            (1 - part) * example[1] + part * inner[1],
        )

    def _example(
        self, at: Interior, units: Float[np.ndarray, " units"], free: int
    ) -> Example | None:
        """The Gram matrix and the values, where the start is 1: the slacks of the inequalities that follow tell f."""
        gram = at.X * units[:, None] * units
        if self.tied:
            gram = np.pad(gram, ((1, 0), (1, 0)))
        sign = 1 if self.tied else -1
        rest = np.array([(self.quadratic(*ij) * gram).sum() for ij in self.follow])
        values = sign * (at.z[free:] - rest) / (2 * (1 - self.k))
        kept = [0, *(1 + i for i in self.same)]
        gram, values = gram[np.ix_(kept, kept)], values[self.same]
        one = gram[0, 0] if self.start == "distance" else values[self.first]
        return (gram / one, values / one) if one > 0 else None

    def _weights(self, at: Interior, pairs: list[tuple[int, int]]) -> dict[tuple[int, int], float]:
        """The multipliers by pair, but for those from the minimizer."""
        found = dict(zip(pairs, at.s.tolist(), strict=False))
        if self.tied:
            found |= {(i, STAR): float(w) for i, w in enumerate(at.s[len(pairs) :])}
        return found


_BITS = (48, 64, 88)  # after the point of the largest number
_OFF = 1e-10  # of the lower bound, which the rounding may take


def as_data(
    example: Vectors, steps: Unrolled, measure: str, start: str
) -> Iterator[dict[str, Any]]:
    """The lower bounds as documents have them, which are still to be proved, the shortest numbers first.

    Args:
        example: x_0, gradients and values of the search.
        steps: the method over N steps.
        measure, start: see `certify_horizon`.
    """
    L = to_float(steps.number(steps.L))
    far, slopes, values = example
    table = to_floats(steps.points) * L
    if far is None:
        far = _far_away(slopes, values, table)
    last = far + table[-1] @ slopes
    attained = {"value": values[-1], "gradient": slopes[-1] @ slopes[-1], "distance": last @ last}
    first = next((i for i, row in enumerate(steps.points) if not any(row)), 0)
    one = far @ far if start == "distance" else values[first]
    low = float(attained[measure] / one) * units(L, measure, start)[0] * (1 - _OFF)
    if not low > 0:
        return
    bound = decimal(Fraction(low), 13)
    for bits in _BITS:
        yield {
            "kind": "function",
            "start": _texts(far, bits),
            "gradients": [_texts(row * L, bits) for row in slopes],
            "values": _texts(values * L, bits),
            "bound": str(bound),
        }


def _far_away(
    slopes: Float[np.ndarray, "count n"],
    values: Float[np.ndarray, " count"],
    table: Float[np.ndarray, "count count"],
) -> Float[np.ndarray, " n"]:
    """x_0 so far from the minimizer that all inequalities from there hold, for mu = 0: <u_i, y_i> is large enough."""
    needed = values + (slopes**2).sum(1) / 2 - (slopes * (table @ slopes)).sum(1)
    needed += 1e-3 * (1 + np.abs(needed).max())
    found: Float[np.ndarray, " n"] = np.linalg.lstsq(slopes, needed, rcond=None)[0]
    return found


def _texts(numbers: Float[np.ndarray, " n"], bits: int) -> list[str]:
    """Dyadic numbers."""
    size = float(np.abs(numbers).max())
    return [str(dyadic(x, bits, size)) for x in numbers.tolist()]
