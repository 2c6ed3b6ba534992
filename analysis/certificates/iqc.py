"""Rates by integral quadratic constraints: the search, and the documents that `checker.Constraint` proves.

The gradient is kept only through the multipliers of Zames and Falb, causal and finite: with w = u - mu y, z = y - u /
L,

    sum_{k<N} rate^{-2k} <w_k, lambda_0 z_k - lambda_1 z_{k-1} - ... - lambda_s z_{k-s}> >= 0     for every N,

and V is a quadratic form of the method's state and of the filter's, those z_{k-1}, ..., z_{k-s} that are not in the
method's (where alpha = 1 / L they are: with them twice, V could be anything on what no run reaches). s = 0 is the
sector, s = 1 the weighted off-by-one constraint (Lessard, Recht, Packard, arXiv:1408.3595; weights for more steps:
Boczar, Lessard, Packard, Recht, arXiv:1706.01337). With lambda_i = tau^i nu_i and lambda_0 = nu_0 + ... + nu_s, tau =
rate^2, the condition on the multipliers is nu >= 0, and the inequality is a polynomial in tau.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Float

from odescent._errors import OdescentError

from .checker import ONE, ZERO, Constraint, Number, dot
from .document import sealed, statement, text, triangle
from .field import reciprocal
from .lmi import _congruences, balanced
from .margin import MarginProgram
from .modes import Mode, kernel, total, trajectories
from .plant import Plant, to_float

_BITS = 48  # unknowns are rounded to multiples of 2^-48
_DIGITS = 9  # a gap is a decimal with so many digits


class ConstraintLMI:
    """The inequality in floats and units L = 1, in the state R x of `balanced` and the input u / unit.

    Args:
        A, B, C, D: the method, one gradient a step.
        mu, L: the class.
        past: of z_{k-1}, ..., z_{k-s}, the row that reads it off the state; None where there is none.
    """

    def __init__(
        self, A: Any, B: Any, C: Any, D: Any, mu: float, L: float, past: Sequence[Any] = (None,)
    ) -> None:
        if len(D) != 1:
            raise OdescentError(
                f"integral quadratic constraints are for one gradient a step, this method takes {len(D)}; "
                "use the interpolation inequalities."
            )
        ratio, B, D = mu / L, L * B, L * D
        self.unit = 2.0 ** -math.ceil(math.log2(max(1.0, float(np.abs(D).max()))))
        self.R = balanced(A, B, C, D, ratio)
        back = np.linalg.inv(self.R)
        A, B, C = self.R @ A @ back, self.R @ B, C @ back
        n, steps = len(A), len(past)
        kept = [i for i, row in enumerate(past) if row is None]
        self.m = m = n + len(kept)
        rows = np.eye(m + 1)
        u, own = self.unit * rows[-1:], iter(rows[n:-1, None])
        y = C @ rows[:n] + D @ u
        w, z = u - ratio * y, [y - u]
        z += [next(own) if row is None else np.array([row]) @ back @ rows[:n] for row in past]
        later = np.vstack([A @ rows[:n] + B @ u, *[z[i] for i in kept]])
        packed = m * (m + 1) // 2
        d = np.zeros((max(2, steps + 1), packed + steps + 1, m + 1, m + 1))
        e = np.zeros((len(d), packed + steps + 1, m, m))
        d[1, :packed], d[0, :packed] = _congruences(np.eye(m, m + 1)), -_congruences(later)
        e[0, :packed] = _congruences(np.eye(m))
        for i in range(steps + 1):
            d[0, packed + i] -= _symmetric(w, z[0])
            if i:
                d[i, packed + i] += _symmetric(w, z[i])
        signs = np.zeros((len(d), steps + 1, packed + steps + 1))
        signs[0] = np.eye(packed + steps + 1)[packed:]
        self.program = MarginProgram([tuple(d), tuple(e)], tuple(signs))

    def solve(self, tau: float) -> tuple[Float[np.ndarray, "m m"], list[float], float]:
        """P over (R x, z_{k-1}, ...), nu, and the margin; positive, it is a rate sqrt(tau), still to be proved."""
        x, margin = self.program.solve(tau)
        P = np.zeros((self.m, self.m))
        P[np.triu_indices(self.m)] = x[: self.m * (self.m + 1) // 2]
        return P + np.triu(P, 1).T, x[self.m * (self.m + 1) // 2 :].tolist(), margin

    def search(self, lowest: float, tol: float = 1e-7) -> float | None:
        """The least rate in [lowest, 1) with a candidate that holds in floats, within tol; None if there is none."""
        found = self.program.least(lowest, 1.0, tol, lambda rate: rate * rate)
        return None if found is None else found[0]


class Constraints:
    """Candidates for one method, as `search` asks for them.

    Args:
        plant: the method.
        steps: s, how many past steps the multipliers reach.
    """

    def __init__(self, plant: Plant, steps: int) -> None:
        self.plant, self.steps = plant, steps
        self.past = _in_state(plant, steps)
        floats = [None if row is None else [to_float(x) for x in row] for row in self.past]
        self.lmi = ConstraintLMI(*plant.floats(), float(plant.mu), float(plant.L), floats)

    def searched(self, mode: Mode) -> Iterator[Mapping[str, Any]]:
        """From about the least rate on, in gaps to 1 that are decimals."""
        first = self.lmi.search(float(mode.low))
        if first is None:
            return
        gap = Fraction(math.floor((1 - first) * 10**_DIGITS), 10**_DIGITS)
        step = Fraction(1, 10**7)
        while gap > 0:
            document = self.document(Number(1 - gap))
            if document is not None:
                yield document
            gap, step = gap - step, 2 * step

    def weaker(self, document: Mapping[str, Any], rate: Number) -> dict[str, Any]:
        """The same proof at a larger rate: nothing else has to change."""
        wider = statement(self.plant, rate)
        claim = {**document["statement"], "gap": wider["gap"], "d": wider["d"]}
        return sealed(self.plant.name, "iqc", claim, document["witness"])

    def attained(self, rate: Number) -> Iterator[Mapping[str, Any]]:
        """V = |output|^2 with the multiplier for which the decrease vanishes along a quadratic at the rate.

        At such a rate D is singular, and P may have to be: for gradient descent and the triple momentum method.
        """
        if not self.plant.exact:
            return
        if rate.sign() <= 0:
            return
        it = Constraint(statement(self.plant, rate, "output"), self._past())
        row = [*it.output, *[ZERO] * self.past.count(None)]
        P = [[a * b for b in row] for a in row]
        found = it.remainder(P, {})
        zero = [[ZERO] * len(P) for _ in P]
        tau = rate * rate
        for past in range(min(self.steps, 1) + 1):
            shape = {0: ONE, **({1: tau} if past else {})}
            slope = it.remainder(zero, shape)
            for along in trajectories(self.plant, rate, 0):
                w = self._filtered(it, along)
                left, right = dot(w, found), dot(w, slope)
                at = next((i for i, e in enumerate(right) if e), None)
                if at is not None:
                    size = -left[at] * reciprocal(right[at])
                    yield self._sealed(rate, P, {i: size * x for i, x in shape.items()}, ONE)

    def _filtered(self, it: Constraint, along: list[Number]) -> list[Number]:
        """(X, u_k / L) along a mode, where z_{k-i} is z_k over the pole's power."""
        x, u = along[:-1], along[-1]
        padded = [*x, *[ZERO] * self.past.count(None), u]
        z, after = (
            total(a * b for a, b in zip(row, padded, strict=True))
            for row in (it.z[0], it.later[next(i for i, e in enumerate(x) if e)])
        )
        back, found = next(e for e in x if e) * reciprocal(after), []
        for row in self.past:
            z = z * back
            found += [z] if row is None else []
        return [*x, *found, u]

    def document(self, rate: Number) -> Mapping[str, Any] | None:
        """The candidate at a rate, rounded to dyadic numbers; None where the solver found no numbers."""
        P, nu, _ = self.lmi.solve(to_float(rate) ** 2)
        if not all(map(math.isfinite, (*P.flat, *nu))):
            return None
        m, n = len(P), len(self.lmi.R)
        into = [[ONE if i == j else ZERO for j in range(m)] for i in range(m)]
        for i, line in enumerate(self.lmi.R.tolist()):
            into[i][:n] = [Number(Fraction(e)) for e in line]
        half = [dot([_whole(a) for a in line], into) for line in P.tolist()]
        own = [dot([row[i] for row in into], half) for i in range(m)]
        weights, power = [_whole(max(x, 0.0)) for x in nu], ONE
        lam = {0: total(weights)}
        for i, x in enumerate(weights[1:], 1):
            power = power * rate * rate
            lam[i] = power * x
        return self._sealed(rate, own, lam)

    def _past(self) -> list[Any]:
        return [row and [text(x) for x in row] for row in self.past]

    def _sealed(
        self, rate: Number, P: Any, lam: Mapping[int, Number], weight: Number | None = None
    ) -> dict[str, Any]:
        witness = {
            "past": self._past(), "P": triangle(P),
            "lambda": {str(i): text(x) for i, x in lam.items() if x},
        }  # fmt: skip
        if weight is not None:
            witness["weight"] = text(weight)
        claim = statement(self.plant, rate, "state" if weight is None else "output")
        return sealed(self.plant.name, "iqc", claim, witness)


def _in_state(plant: Plant, steps: int) -> list[list[Number] | None]:
    """Rows that read z_{k-1}, ..., z_{k-s} off x_k in every run, as far as there are: row (A, B) = the one before."""
    found: list[list[Number] | None] = []
    scale = plant.number(plant.L)
    target = [*plant.C[0], plant.D[0][0] * scale - ONE]
    while len(found) < steps and plant.exact:
        columns = [list(column) for column in zip(*plant.A, strict=True)]
        columns.append([row[0] * scale for row in plant.B])
        rows = [[*column, -t] for column, t in zip(columns, target, strict=True)]
        solution = next((v for v in kernel(rows, len(plant.A) + 1) if v[-1]), None)
        if solution is None:
            break
        row = [x * reciprocal(solution[-1]) for x in solution[:-1]]
        found.append(row)
        target = [*row, ZERO]
    return found + [None] * (steps - len(found))


def _whole(x: float) -> Number:
    return Number(Fraction(round(x * 2**_BITS), 2**_BITS))


def _symmetric(a: Any, b: Any) -> Float[np.ndarray, "N N"]:
    found: Float[np.ndarray, "N N"] = (a.T @ b + b.T @ a) / 2
    return found
