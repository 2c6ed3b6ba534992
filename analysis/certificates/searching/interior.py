"""A primal-dual interior-point method for one matrix and many signs, which ends strictly inside of both problems.

Over x, with the last unknown as the objective,

    min x_last   with   S = A0 + sum x_k A_k >= 0,   x_k >= 0 but for the last,   s = F x + f0 >= 0,
    max -<A0, X> - f0'z   with   <A_k, X> + w_k + (F'z)_k = 0 (1 for the last),   X, w, z >= 0.

General solvers stop within some tolerance of both; here what leaves is feasible, so that a proof can be rounded from x
and an example from X. The direction is that of Helmberg, Rendl, Vanderbei, Wolkowicz, Kojima, Shindoh, Hara and
Monteiro with Mehrotra's corrector, refined until the equations of X hold to rounding. The matrices are dense and of
some forty rows: a step costs what forming the m x m system costs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.linalg.blas import dsyrk

Array: TypeAlias = Any  # of floats
_MOST = 100  # steps from a new start
_FURTHER = 40  # steps from where a run ended: those that need more go faster from a new start
_REFINED = 4  # times that a direction is corrected
_SHORT = 1e-4  # a step that is no step
_STAY = 0.95  # of the way to the boundary


@dataclass
class SemidefiniteProgram:
    """The data: ``matrices`` A_k (unknowns, n, n), ``constant`` A0, ``rows`` F and ``shift`` f0."""

    matrices: Float[np.ndarray, "m n n"]
    constant: Float[np.ndarray, "n n"]
    rows: Float[np.ndarray, "p m"]
    shift: Float[np.ndarray, " p"]

    def scaled(self, units: Float[np.ndarray, " n"]) -> SemidefiniteProgram:
        """With the matrices' rows and columns times ``units``."""
        both = units[:, None] * units
        return SemidefiniteProgram(
            self.matrices * both, self.constant * both, self.rows, self.shift
        )

    def matrix(self, x: Array) -> Array:
        """S, without A0."""
        found: Array = np.tensordot(x, self.matrices, 1)
        return found

    def signs(self, x: Array) -> Array:
        """All that is to be at least 0, without f0: the unknowns but the last, and F x."""
        return np.append(x[:-1], self.rows @ x)

    def adjoint(self, X: Array, z: Array) -> Array:
        """The other way: from X and the multipliers of the signs to the unknowns."""
        count = len(self.matrices)
        found = self.matrices.reshape(count, -1) @ X.ravel() + self.rows.T @ z[count - 1 :]
        found[:-1] += z[: count - 1]
        return found


class Interior:
    """Iterates x with S and s, X with the multipliers z of the signs (w and z above), all positive.

    ``gap`` is <S, X> + s'z; ``inside`` says whether S and s are those of x. Where the matrix or the signs start from
    matters: the diagonal of X should be about 1.
    """

    def __init__(self, program: SemidefiniteProgram, start: float = 1.0) -> None:
        count, size = len(program.matrices), len(program.constant)
        signs = count - 1 + len(program.shift)
        self.program = program
        self.offset = np.append(np.zeros(count - 1), program.shift)
        self.x = np.zeros(count)
        self.X, self.S = np.eye(size), start * np.eye(size)
        self.z, self.s = np.ones(signs), np.full(signs, start)
        self.inside, self.new = False, True

    def extended(self, program: SemidefiniteProgram, count: int) -> Interior:
        """From here on with so many more unknowns before the last, of a program that is this one where they are 0.

        They begin at a quarter of what leaves x inside, so that only their own equations of X are still open: that
        takes a few steps where a new start takes many, and none of the bound is lost.
        """
        found, at = Interior(program), len(self.x) - 1
        room = max(1.0, float(np.abs(self.x[:at]).max()))
        found.s[:] = 0
        while not (found.s.min() > 0 and _positive(found.S)):
            room /= 2
            if not room:
                raise ValueError("the point is not inside")
            found.S, found.s = found._at(np.insert(self.x, at, np.full(count, room)))
        found.x = np.insert(self.x, at, np.full(count, room / 4))
        found.S, found.s = found._at(found.x)
        center = self.gap / (len(self.S) + len(self.z))
        found.X, found.z = self.X, np.insert(self.z, at, np.full(count, 4 * center / room))
        found.inside, found.new = True, False
        return found

    @property
    def gap(self) -> float:
        """How far objectives are apart, where both problems' equations hold."""
        return float((self.X * self.S).sum() + self.z @ self.s)

    def run(self, tolerance: float, floor: float, deadline: float) -> bool:
        """Steps until the gap is below tolerance max(objective, floor); whether that was reached.

        It is not if the problem is unbounded, rounding has taken over, or ``deadline`` (of `time.monotonic`) is past.

        Args:
            tolerance: of the gap, relative to the objective.
            floor: the least size that the objective counts as.
            deadline: of `time.monotonic`, in seconds.
        """
        before = np.inf
        most, self.new = _MOST if self.new else _FURTHER, False
        for _ in range(most):
            wanted = tolerance * max(abs(self.x[-1]), floor)
            short = self._short()
            lacks = np.abs(short).max() * len(self.z)
            if self.gap < wanted and self.inside:
                if lacks < 1e-3 * wanted or lacks > before / 2:  # or rounding allows no better
                    return True
                before = lacks
            if time.monotonic() > deadline:
                return False
            try:
                if not self._step(wanted, short):
                    return False
            except (np.linalg.LinAlgError, ValueError):  # not positive, or not finite
                return False
        return False

    def _short(self) -> Array:
        """What the equations of X lack."""
        lacks = -self.program.adjoint(self.X, self.z)
        lacks[-1] += 1
        return lacks

    def _step(self, wanted: float, short: Array) -> bool:
        """One step; False if it is none."""
        program, size = self.program, len(self.S)
        outside = program.constant + program.matrix(self.x) - self.S
        beside = self.offset + program.signs(self.x) - self.s
        lower, root = np.linalg.cholesky(self.S), np.linalg.cholesky(self.X)
        back = solve_triangular(lower, np.eye(size), lower=True)
        inverse = back.T @ back
        solve = self._system(back, root)

        def towards(center: float, bend: Array, curl: Array) -> tuple[Array, ...]:
            """dx, dX, dS, dz, ds towards X S = center, with the second-order terms bend and curl."""
            moved = self.X @ outside @ inverse + bend
            dX = center * inverse - self.X - (moved + moved.T) / 2
            dz = (center - curl) / self.s - self.z - self.z * beside / self.s
            dx, dS, ds = np.zeros_like(self.x), outside, beside
            # corrections are added to dX, which is no function of dx to rounding: 1 / S is too large for that
            for _ in range(_REFINED):
                more = solve(program.adjoint(dX, dz) - short)
                matrix, signs = program.matrix(more), program.signs(more)
                moved = self.X @ matrix @ inverse
                dx, dS, ds = dx + more, dS + matrix, ds + signs
                dX, dz = dX - (moved + moved.T) / 2, dz - self.z * signs / self.s
            return dx, dX, dS, dz, ds

        zero, none = np.zeros_like(self.X), np.zeros_like(self.z)
        _, dX, dS, dz, ds = towards(0.0, zero, none)
        first = min(1.0, _longest(root, dX, self.z, dz)), min(1.0, _longest(lower, dS, self.s, ds))
        number = size + len(self.z)
        now = self.gap / number
        then = ((self.X + first[0] * dX) * (self.S + first[1] * dS)).sum()
        then = (then + (self.z + first[0] * dz) @ (self.s + first[1] * ds)) / number
        center = max(min(1.0, max(then / now, 0.0) ** 3) * now, 1e-6 * now)
        center = max(center, 0.3 * wanted / number)  # no further than needed: equations first
        dx, dX, dS, dz, ds = towards(center, dX @ dS @ inverse, dz * ds)
        far = min(1.0, _STAY * _longest(root, dX, self.z, dz))
        near = min(1.0, _STAY * _longest(lower, dS, self.s, ds))
        while min(far, near) >= _SHORT:
            X = self.X + far * dX
            x, S, s, inside = self._moved(near, dx, dS, ds)
            good = _positive(X), _positive(S) and s.min() > 0
            if all(good):
                self.X, self.z = (X + X.T) / 2, self.z + far * dz
                self.x, self.S, self.s, self.inside = x, S, s, inside
                return True
            far, near = far if good[0] else 0.7 * far, near if good[1] else 0.7 * near
        return False

    def _moved(
        self, part: float, dx: Array, dS: Array, ds: Array
    ) -> tuple[Array, Array, Array, bool]:
        """x, S, s after a part of a step: once they are positive those of x itself, without what rounding adds."""
        x = self.x + part * dx
        S, s = self._at(x)
        if self.inside or (s.min() > 0 and _positive(S)):
            return x, S, s, True
        return x, self.S + part * dS, self.s + part * ds, False

    def _at(self, x: Array) -> tuple[Array, Array]:
        """S and s of x."""
        S = self.program.constant + self.program.matrix(x)
        return (S + S.T) / 2, self.offset + self.program.signs(x)

    def _system(self, back: Array, root: Array) -> Callable[[Array], Array]:
        """The solver of H dx = r, H_kl = tr(A_k X A_l S^-1) + the part of the signs."""
        program, count = self.program, len(self.x)
        half = (back @ program.matrices @ root).reshape(count, -1)
        ratio = self.z / self.s
        # the upper triangle only, which is half of the work that a step costs
        H = dsyrk(1.0, half.T, trans=1)
        H += (program.rows.T * ratio[count - 1 :]) @ program.rows
        H[np.arange(count - 1), np.arange(count - 1)] += ratio[: count - 1]
        scale = 1 / np.sqrt(np.diag(H))
        H *= scale[:, None] * scale
        try:
            factor = cho_factor(H)
        except np.linalg.LinAlgError:
            factor = cho_factor(H + 1e-13 * np.eye(count), check_finite=False)

        def solve(right: Array) -> Array:
            found: Array = scale * cho_solve(factor, scale * right, check_finite=False)
            return found

        return solve


def _longest(factor: Array, move: Array, values: Array, change: Array) -> float:
    """How far the way along both stays positive."""
    half = solve_triangular(factor, move, lower=True)
    both = solve_triangular(factor, half.T, lower=True)
    least = min(float(np.linalg.eigvalsh((both + both.T) / 2)[0]), float((change / values).min()))
    return np.inf if least >= 0 else -1 / least


def _positive(matrix: Array) -> bool:
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return False
    return True
