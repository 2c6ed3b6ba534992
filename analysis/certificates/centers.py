"""The largest parameter up to which linear inequalities have a solution, by the method of centers.

The inequalities F_0(x) - delta F_1(x) > 0 are matrices to be positive definite and numbers to be positive, linear in x;
F_1 >= 0 on the solutions, so that they only get fewer with delta. The center at delta minimizes

    - sum of log det (F_0(x) - delta F_1(x)) + <c, x>,

with c such that a first solution is a center. From a center one goes along the tangent of the curve of centers until
near where it leaves the solutions, and back to the curve by Newton's method (Boyd, El Ghaoui, Method of centers for
minimizing generalized eigenvalues, Linear Algebra and its Applications 188, 1993). Nothing in this depends on the
units of x, nor on the coordinates in which the matrices are stated, other than by rounding: so it finds what is lost
to a solver that measures all inequalities by one yardstick.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float

Vector = Float[np.ndarray, " _"]
_NEARBY = 0.5  # Newton's decrement at what counts as a center
_SHARE = 0.9  # of the way to the boundary along the tangent
_NUMBERS = 0.1  # a number of 0.1 counts as much as the identity where a first solution is sought
_MOST = 120  # centers
_TRIES = 25  # steps of Newton's method to a center


@dataclass(frozen=True)
class Center:
    """x is the center at delta; no solution is known beyond ``beyond`` (an estimate that is rather too large)."""

    x: Vector
    delta: float
    beyond: float


class _Outside(Exception):
    """The point is no solution."""


class Centers:
    """The inequalities as data.

    Args:
        blocks: F_0 and F_1 of each matrix, each of shape (unknowns, N, N).
        numbers: the same of the numbers, each of shape (numbers, unknowns).
    """

    def __init__(self, blocks: Sequence[tuple[Any, Any]], numbers: tuple[Any, Any]) -> None:
        self.blocks, self.numbers = list(blocks), numbers
        self.degree = len(numbers[0]) + sum(block[0].shape[1] for block in self.blocks)

    def largest(self, near: Callable[[Center], bool]) -> list[Center]:
        """Centers with delta > 0 that tend to the largest, until one is near enough; none if none was found."""
        first = self._first()
        if first is None:
            return []
        return [c for c in self._follow(first, 0.0, near) if c.delta > 0]

    def _first(self) -> Vector | None:
        """A solution at 0: the margin is raised from below 0, with traces and numbers that add up to one."""
        total = self.numbers[0].sum(0)
        for block, _ in self.blocks:
            total = total + np.trace(block, axis1=1, axis2=2)
        x = total / (total @ total)
        least = (self.numbers[0] @ x).min() / _NUMBERS
        for block, _ in self.blocks:
            least = min(least, np.linalg.eigvalsh(np.tensordot(x, block, 1))[0])
        margin = Centers(
            [(block, total[:, None, None] * np.eye(block.shape[1])) for block, _ in self.blocks],
            (self.numbers[0], np.tile(_NUMBERS * total, (len(self.numbers[0]), 1))),
        )
        least -= max(1.0, abs(least))
        # with this c, ``beyond`` bounds the margin of all solutions
        found = margin._follow(x, least, lambda c: c.delta > 0 or c.beyond < 0, self.degree * total)
        if not found or not found[-1].delta > 0:
            return None
        start: Vector = found[-1].x / np.abs(found[-1].x).max()
        return start

    def _whitened(self, x: Vector, delta: float) -> tuple[list[tuple[Any, Any]], Any, Any]:
        """Each matrix with the inverse of its root, the rows of the numbers, and the numbers."""
        found = []
        for zero, one in self.blocks:
            block = zero - delta * one
            matrix = np.tensordot(x, block, 1)
            diagonal = np.diag(matrix)
            if not (diagonal > 0).all():
                raise _Outside
            scale = 1 / np.sqrt(diagonal)
            try:
                root = np.linalg.cholesky(matrix * scale[:, None] * scale)
            except np.linalg.LinAlgError:
                raise _Outside from None
            found.append((block, np.linalg.inv(root) * scale))
        rows = self.numbers[0] - delta * self.numbers[1]
        values = rows @ x
        if not (values > 0).all():
            raise _Outside
        return found, rows, values

    def _inside(self, x: Vector, delta: float) -> bool:
        try:
            self._whitened(x, delta)
        except _Outside:
            return False
        return True

    def _follow(
        self,
        x: Vector,
        delta: float,
        done: Callable[[Center], bool],
        c: Vector | None = None,
    ) -> list[Center]:
        """Centers along the curve from near x, until done or until rounding ends it; x is one if no c is given."""
        found: list[Center] = []
        with np.errstate(all="ignore"):
            while len(found) < _MOST:
                for _ in range(_TRIES):
                    try:
                        local = _Local(*self._whitened(x, delta))
                        image = local.image(x, self.blocks, self.numbers[1])
                        local.factor(image)
                    except (_Outside, np.linalg.LinAlgError):
                        return found
                    if c is None:
                        c = local.J.T @ local.e
                    try:
                        size, step = local.newton(c)
                    except np.linalg.LinAlgError:
                        return found
                    if not math.isfinite(size):
                        return found
                    if size < _NEARBY:
                        break
                    share = 1.0 if size < 1 else size**-0.5
                    while not self._inside(x + share * step, delta):
                        share /= 2
                        if share < 1e-8:
                            return found
                    x = x + share * step
                else:
                    return found
                tangent, reach, slope = local.tangent(image, self.blocks, self.numbers[1])
                # of a center exactly degree / slope; near one, more
                room = (self.degree + 2 * math.sqrt(self.degree)) / slope if slope > 0 else math.inf
                found.append(Center(x, float(delta), float(delta + room)))
                if done(found[-1]):
                    return found
                step_ = _SHARE * reach if math.isfinite(reach) else max(1.0, abs(delta)) * 1e3
                smallest = 1e-14 * abs(delta)
                while not self._inside(x + step_ * tangent, delta + step_):
                    step_ *= 0.7
                    if not step_ > smallest:
                        return found
                x, delta = x + step_ * tangent, delta + step_
        return found


class _Local:
    """The barrier at one point, in coordinates in which all matrices and numbers are 1."""

    def __init__(self, blocks: list[tuple[Any, Any]], rows: Any, values: Any) -> None:
        self.values = values
        self.roots = [root for _, root in blocks]
        parts = [_packed(root @ block @ root.T).T for block, root in blocks]
        self.J = np.vstack([*parts, rows / values[:, None]])
        units = [_packed(np.eye(len(root))) for root in self.roots]
        self.e = np.concatenate([*units, np.ones(len(values))])
        self.scale = 1 / np.sqrt((self.J * self.J).sum(0))

    def factor(self, image: Vector) -> None:
        """J = Q R, of which R is kept, and Q'e and Q'image, the last columns of the factor of (J, e, image)."""
        n = self.J.shape[1]
        whole = np.column_stack([self.J * self.scale, self.e, image])
        factor: Any = np.linalg.qr(whole, mode="r")
        self.R, self.of_e, self.of_image = factor[:n, :n], factor[:n, n], factor[:n, n + 1]

    def _down(self, b: Vector) -> Vector:
        from scipy.linalg import solve_triangular

        found: Vector = solve_triangular(self.R, b * self.scale, trans="T")
        return found

    def _up(self, b: Vector) -> Vector:
        from scipy.linalg import solve_triangular

        found: Vector = self.scale * solve_triangular(self.R, b)
        return found

    def newton(self, c: Vector) -> tuple[float, Vector]:
        """The decrement and the step towards the center, J'J dx = J'e - c by orthogonal factors."""
        h = self.of_e - self._down(c)
        return float(np.linalg.norm(h)), self._up(h)

    def image(self, x: Vector, blocks: Any, rows: Any) -> Vector:
        """F_1(x) as e is F(x)."""
        images = [_packed(root @ np.tensordot(x, one, 1) @ root.T)
                  for (_, one), root in zip(blocks, self.roots, strict=True)]  # fmt: skip
        return np.concatenate([*images, (rows @ x) / self.values])

    def tangent(self, image: Vector, blocks: Any, rows: Any) -> tuple[Vector, float, float]:
        """dx / ddelta along the centers, how far it stays inside to first order, and the slope of the barrier."""
        ones = np.vstack([
            *(_packed(root @ one @ root.T).T for (_, one), root in zip(blocks, self.roots, strict=True)),
            rows / self.values[:, None],
        ])  # fmt: skip
        direction = self._up(self.of_image - self._down(ones.T @ self.e))
        change = self.J @ direction - image
        least, at = 0.0, 0
        for root in self.roots:
            packed = len(root) * (len(root) + 1) // 2
            least = min(least, np.linalg.eigvalsh(_unpacked(change[at : at + packed]))[0])
            at += packed
        least = min(least, change[at:].min(initial=0.0))
        return direction, float(-1 / least) if least < 0 else math.inf, float(self.e @ image)


def _packed(matrices: Any) -> Any:
    """Upper triangles as vectors with the same inner products."""
    i, j, weight = _triangle(matrices.shape[-1])
    return matrices[..., i, j] * weight


@cache
def _triangle(n: int) -> tuple[Any, Any, Any]:
    i, j = np.triu_indices(n)
    return i, j, np.where(i == j, 1.0, math.sqrt(2))


def _unpacked(vector: Vector) -> Any:
    n = math.isqrt(2 * len(vector))
    i, j, weight = _triangle(n)
    found = np.zeros((n, n))
    found[i, j] = found[j, i] = vector / weight
    return found
