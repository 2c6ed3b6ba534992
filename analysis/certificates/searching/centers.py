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
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float
from scipy.linalg.lapack import dgeqrf, dtrtrs

Vector = Float[np.ndarray, " _"]
_Inside: TypeAlias = tuple[list[Any], Vector]
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


class Centers:
    """The inequalities as data.

    Args:
        blocks: F_0 and F_1 of each matrix, each of shape (unknowns, N, N).
        numbers: the same of the numbers, each of shape (numbers, unknowns).
    """

    def __init__(self, blocks: Sequence[tuple[Any, Any]], numbers: tuple[Any, Any]) -> None:
        self.blocks, self.numbers = list(blocks), numbers
        self.degree = len(numbers[0]) + sum(block[0].shape[1] for block in self.blocks)
        sizes = dict.fromkeys(block[0].shape[1] for block in self.blocks)
        alike = [[b for b in self.blocks if b[0].shape[1] == n] for n in sizes]
        # by size, of shape (matrices, unknowns, n, n), and (unknowns, matrices n n)
        self.stacks = [
            tuple(np.stack(part) for part in zip(*blocks, strict=True)) for blocks in alike
        ]
        self.flat = [
            tuple(part.swapaxes(0, 1).reshape(part.shape[1], -1) for part in stack)
            for stack in self.stacks
        ]
        units = [np.tile(_packed(np.eye(a.shape[2])), len(a)) for a, _ in self.stacks]
        self.ones = np.concatenate([*units, np.ones(len(numbers[0]))])

    def largest(self, near: Callable[[Center], bool]) -> list[Center]:
        """Centers with delta > 0 that tend to the largest, until one is near enough; none if none was found."""
        first = self.first()
        if first is None:
            return []
        return [c for c in self.follow(first, 0.0, near) if c.delta > 0]

    def first(self) -> Vector | None:
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
        found = margin.follow(x, least, lambda c: c.delta > 0 or c.beyond < 0, self.degree * total)
        if not found or not found[-1].delta > 0:
            return None
        start: Vector = found[-1].x / np.abs(found[-1].x).max()
        return start

    def _roots(self, x: Vector, delta: float) -> _Inside | None:
        """The inverse of each matrix's root, and the numbers; None outside."""
        values = self.numbers[0] @ x - delta * (self.numbers[1] @ x)
        if not (values > 0).all():
            return None
        roots = []
        for (zero, one), (stack, _) in zip(self.flat, self.stacks, strict=True):
            matrices = (x @ zero - delta * (x @ one)).reshape(len(stack), *stack.shape[2:])
            diagonal = matrices.diagonal(axis1=1, axis2=2)
            if not (diagonal > 0).all():
                return None
            scale = 1 / np.sqrt(diagonal)
            try:
                root = np.linalg.cholesky(matrices * scale[:, :, None] * scale[:, None])
            except np.linalg.LinAlgError:
                return None
            roots.append(np.linalg.inv(root) * scale[:, None])
        return roots, values

    def follow(
        self, x: Vector, delta: float, done: Callable[[Center], bool], c: Vector | None = None
    ) -> list[Center]:
        """Centers along the curve from near x, until done or until rounding ends it; x is one if no c is given.

        Args:
            x: the unknowns, shape (n,).
            delta: the parameter there.
            done: whether a center ends it.
            c: the linear part of the barrier, shape (n,).
        """
        found: list[Center] = []
        with np.errstate(all="ignore"):
            at = self._roots(x, delta)
            while at is not None and len(found) < _MOST:
                for _ in range(_TRIES):
                    local = _Local(self, x, delta, *at)
                    if c is None:
                        c = local.J.T @ local.e
                    size, step = local.newton(c)
                    if not math.isfinite(size):
                        return found
                    if size < _NEARBY:
                        break
                    share = 1.0 if size < 1 else size**-0.5
                    while (inside := self._roots(x + share * step, delta)) is None:
                        share /= 2
                        if share < 1e-8:
                            return found
                    x, at = x + share * step, inside
                else:
                    return found
                tangent, reach, slope = local.tangent()
                # of a center exactly degree / slope; near one, more
                room = (self.degree + 2 * math.sqrt(self.degree)) / slope if slope > 0 else math.inf
                found.append(Center(x, float(delta), float(delta + room)))
                if done(found[-1]):
                    return found
                step_ = _SHARE * reach if math.isfinite(reach) else max(1.0, abs(delta)) * 1e3
                smallest = 1e-14 * abs(delta)
                while (at := self._roots(x + step_ * tangent, delta + step_)) is None:
                    step_ *= 0.7
                    if not step_ > smallest:
                        return found
                x, delta = x + step_ * tangent, delta + step_
        return found


class _Local:
    """The barrier at one point, in coordinates in which all matrices and numbers are 1."""

    def __init__(
        self, of: Centers, x: Vector, delta: float, roots: list[Any], values: Vector
    ) -> None:
        self.roots = roots
        parts, images = [], []
        self.slopes: Any = 0.0
        for root, (zero, one), (_, flat) in zip(roots, of.stacks, of.flat, strict=True):
            part = _packed(_between(root, zero - delta * one)).swapaxes(1, 2)
            parts.append(part.reshape(-1, len(x)))
            image = (x @ flat).reshape(root.shape)
            images.append(_packed(root @ image @ root.swapaxes(1, 2)).ravel())
            self.slopes = self.slopes + flat @ (root.swapaxes(1, 2) @ root).ravel()
        constant, taken = of.numbers
        self.slopes = self.slopes + (1 / values) @ taken
        self.J = np.vstack([*parts, (constant - delta * taken) / values[:, None]])
        self.e = of.ones
        # F_1(x) as e is F(x)
        self.image = np.concatenate([*images, (taken @ x) / values])
        # J = Q R, of which R is kept, and Q'e and Q'image, the last columns of the factor of (J, e, image)
        self.scale = 1 / np.sqrt((self.J * self.J).sum(0))
        n = self.J.shape[1]
        factor = dgeqrf(np.column_stack([self.J * self.scale, self.e, self.image]))[0]
        self.R, self.of_e, self.of_image = factor[:n, :n], factor[:n, n], factor[:n, n + 1]

    def _down(self, b: Vector) -> Vector:
        return _solved(self.R, b * self.scale, 1)

    def _up(self, b: Vector) -> Vector:
        found: Vector = self.scale * _solved(self.R, b, 0)
        return found

    def newton(self, c: Vector) -> tuple[float, Vector]:
        """The decrement and the step towards the center, J'J dx = J'e - c by orthogonal factors."""
        h = self.of_e - self._down(c)
        return float(np.linalg.norm(h)), self._up(h)

    def tangent(self) -> tuple[Vector, float, float]:
        """dx / ddelta along the centers, how far it stays inside to first order, and the slope of the barrier."""
        direction = self._up(self.of_image - self._down(self.slopes))
        change = self.J @ direction - self.image
        least, at = 0.0, 0
        for root in self.roots:
            count, n, _ = root.shape
            size = count * n * (n + 1) // 2
            least = min(least, np.linalg.eigvalsh(_unpacked(change[at : at + size], n)).min())
            at += size
        least = min(least, change[at:].min(initial=0.0))
        return direction, float(-1 / least) if least < 0 else math.inf, float(self.e @ self.image)


def _between(roots: Any, blocks: Any) -> Any:
    """root B root' for the symmetric B of each root, by two products for all of them."""
    stacked, count, n, _ = blocks.shape
    across = roots.swapaxes(1, 2)
    half = (blocks.reshape(stacked, -1, n) @ across).reshape(blocks.shape).swapaxes(2, 3)
    return (half.reshape(stacked, count * n, n) @ across).reshape(blocks.shape)


def _solved(R: Any, b: Vector, transposed: int) -> Vector:
    """Of a triangular system; not finite where it is singular."""
    found: Vector
    found, singular = dtrtrs(R, b, trans=transposed)
    return found if not singular else np.full_like(found, math.nan)


def _packed(matrices: Any) -> Any:
    """Upper triangles as vectors with the same inner products."""
    i, j, weight = _triangle(matrices.shape[-1])
    return matrices[..., i, j] * weight


@cache
def _triangle(n: int) -> tuple[Any, Any, Any]:
    i, j = np.triu_indices(n)
    return i, j, np.where(i == j, 1.0, math.sqrt(2))


def _unpacked(vector: Vector, n: int) -> Any:
    i, j, weight = _triangle(n)
    packed = vector.reshape(-1, len(weight)) / weight
    found = np.zeros((len(packed), n, n))
    found[:, i, j] = found[:, j, i] = packed
    return found
