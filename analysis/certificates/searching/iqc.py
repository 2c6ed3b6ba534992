"""Rates by integral quadratic constraints: the search, and its result as a proof by interpolation.

The gradient is kept only through the multipliers of Zames and Falb, causal and finite: with w = u - mu y, z = y - u /
L,

    sum_{k<N} rate^{-2k} <w_k, lambda_0 z_k - lambda_1 z_{k-1} - ... - lambda_s z_{k-s}> >= 0     for every N,

and V is a quadratic form of the method's state and of the filter's, those z_{k-1}, ..., z_{k-s} that are not in the
method's (where alpha = 1 / L they are: with them twice, V could be anything on what no run reaches). s = 0 is the
sector, s = 1 the weighted off-by-one constraint (Lessard, Recht, Packard, arXiv:1408.3595; weights for more steps:
Boczar, Lessard, Packard, Recht, arXiv:1706.01337). With lambda_i = tau^i nu_i and lambda_0 = nu_0 + ... + nu_s, tau =
rate^2, the condition on the multipliers is nu >= 0.

Such a proof is one by the interpolation inequalities Q: with 2 p_k = Q_k* (* the minimizer),
    <w_k, z_k> = p_k + Q_*k / 2,    <w_k, z_k - z_j> = p_k - p_j + Q_jk / 2,
so that V_{k+s} + sum_i a_i p_{k+s-i}, a_s = lambda_s / tau, a_i = (lambda_i + a_{i+1}) / tau, decreases with the
multipliers lambda_i / 2 of the pairs (k+s-i, k+s), and (lambda_0 - a_1) / 2 >= 0 of (k+s, *). `Constraints.proof`
writes it as this, and the checker knows no other constraint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ...._support.errors import OdescentError
from ..checking.checker import HALF, ONE, STAR, ZERO, Number
from ..checking.elimination import add_form, kernel, zeros
from ..checking.field import reciprocal
from ..methods.coordinates import Matrices, ScaledCoordinates, coordinates, curvatures, short
from ..methods.modes import trajectories
from ..methods.plant import Matrix, Plant, to_float
from ..methods.precise import context, decimal, dyadic, highs, inverse, unit
from .centers import Center, Centers
from .least import WITHIN, back_from, fill, gap_of, near, symmetric
from .proof import Proof, inequality, vanishing

_POWER = 64  # of two is beyond what doubles tell apart
_BITS = 53  # unknowns are rounded to so many bits


class ConstraintLMI:
    """The inequality as data for `Centers`, in units L = 1 and the coordinates of `coordinates`.

    With delta = 1 - tau, unknowns P, lambda_1, ..., lambda_s and e_0, ..., e_{s-1}, it is linear in delta:
    V - V+ - <w, ...> - delta V >= 0, and, with c_s = lambda_s, lambda_0 = 0 in this line only,

        left_i = e_i + c_{i+1},    c_i = lambda_i + left_i,    e_i - delta left_i >= 0     for i < s,

    and c_0 is lambda_0. The e_i are of the size of delta: no unknown is lost in another.

    Args:
        method: its matrices.
        past: of z_{k-1}, ..., z_{k-s}, the row that reads it off the state; None where there is none.
        curvature: of the quadratic that the coordinates are from.
    """

    def __init__(self, method: Matrices, past: Sequence[Any], curvature: Any) -> None:
        of = coordinates(method, 0, curvature)
        n, steps, mp = of.held, len(past), context()
        kept = [i for i, row in enumerate(past) if row is None]
        self.m = m = n + len(kept)
        rows = unit(m + 1)
        own = [*range(n), m]  # the state and the gradient among the coordinates
        y, u, later = (np.tensordot(part, rows[own], 1) for part in (of.y[0], of.g[0], of.later))
        self.T = _with_past(method, of, kept, curvature)
        raw = inverse(self.T) @ rows[:m]
        state, stored, z = raw[:n], iter(raw[n:]), [y - u]
        z += [next(stored) if row is None else highs(row) @ state for row in past]
        w = u - y * of.ratio
        after = inverse(of.T[:n, :n]) @ later
        later = self.T @ np.vstack([after, *(z[i] for i in kept)])
        self.at = m * (m + 1) // 2  # P; then lambda_1, ..., lambda_s, e_0, ...
        count = self.at + steps + max(steps, 1)
        W, E = (np.zeros((count, m + 1, m + 1)) for _ in range(2))
        fill(W, E, rows, later)
        # the size of an inequality is that of w
        w = w / (1 - of.ratio if of.ratio < 1 else mp.mpf(1))
        self.scale = float(1 - of.ratio) or 1.0
        each = np.eye(count)
        lam, e = each[self.at : self.at + steps], each[self.at + steps :]
        left: list[Any] = []
        c = lam[-1] if steps else 0 * e[0]
        for i in reversed(range(len(e))):
            left.insert(0, e[i] + c)
            c = left[0] + (lam[i - 1] if i else 0)
        for a in range(self.at, count):  # c is lambda_0
            past_z = z[a - self.at + 1] if a < self.at + steps else 0 * z[0]
            product = np.outer(w, past_z - z[0] * int(c[a]))
            W[a] = (product + product.T).astype(float) / 2
        self.of_left = e, np.array(left)
        self.centers = Centers(
            [(W, E), (E[:, :m, :m].copy(), np.zeros((count, m, m)))],
            (np.vstack([lam, e]), np.vstack([0 * lam, left])),
        )

    def split(self, center: Center) -> tuple[Any, list[float], float]:
        """P, lambda_1 to lambda_s, and lambda_0 less nu_1 + ... + nu_s."""
        x, tau = center.x / self.scale, 1 - center.delta
        e, left = self.of_left
        beside = e @ x - center.delta * (left @ x)
        alone = sum(b / tau ** (i + 1) for i, b in enumerate(beside.tolist()))
        lam = x[self.at : self.at + len(x) - self.at - len(e)]
        return symmetric(center.x, self.m), lam.tolist(), alone


def _with_past(method: Matrices, of: ScaledCoordinates, kept: Sequence[int], curvature: Any) -> Any:
    """The coordinates of V: those of the state, and z_{k-1}, ... less what they are where the run is a slow mode's.

    Along a slow mode the past is nearly the state. What is left beside it is of the size of the decay, and lost to
    doubles as the difference of two such numbers.

    Args:
        method: its matrices.
        of: the coordinates of the state.
        kept: which of z_{k-1}, ..., from 0 on, are in V beside the state.
        curvature: of the quadratic with the slow modes, in units of L.

    Returns:
        Dyadic, square, over the state and the z that are kept.
    """
    n, one = of.held, unit(of.held)
    modal = method.modal(curvature)
    # back by i steps where poles are beyond 1/2, and 0 where they are not: M^(N-i) / (M^N + 2^-N)
    whole = np.linalg.matrix_power(modal, _POWER) + one * context().ldexp(1, -_POWER)
    read = inverse(unit(1) - method.D * curvature) @ method.C * (1 - curvature)
    wanted = unit(n + len(kept))
    wanted[:n, :n] = of.T[:n, :n]
    for at, i in enumerate(kept, n):
        back = np.linalg.matrix_power(modal, _POWER - 1 - i) @ inverse(whole)
        wanted[at, :n] = -(read @ back)[0]
        wanted[at] = wanted[at] / of.decay
    return short(wanted)


class Constraints:
    """Candidates for one method, as `search` asks for them.

    Args:
        plant: the method.
        steps: s, how many past steps the multipliers reach.
    """

    def __init__(self, plant: Plant, steps: int) -> None:
        if len(plant.D) != 1:
            raise OdescentError(
                f"integral quadratic constraints require one gradient per step; this method takes {len(plant.D)}; "
                "use the interpolation inequalities."
            )
        self.plant, self.steps = plant, steps
        self.past = _in_state(plant, steps)
        self.settled = True  # whether what was tried last is near the least rate

    def searched(self) -> Iterator[Proof]:
        """From about the least rate on, in gaps to 1 that are decimals."""
        self.settled = False
        method = Matrices.of(self.plant)
        for curvature in curvatures(method):
            try:
                lmi = ConstraintLMI(method, self.past, curvature)
            except (ValueError, ZeroDivisionError):
                continue
            for center in reversed(lmi.centers.largest(near)):
                if np.isfinite(center.x).all():
                    self.settled = near(center, WITHIN)
                    yield from self._rounded(lmi, center)

    def _rounded(self, lmi: ConstraintLMI, center: Center) -> Iterator[Proof]:
        """The candidates of a center, at a rate that is a decimal: of the state, and of the output alone."""
        gap = decimal(Fraction(gap_of(center.delta)))
        rate, (P, lam, alone) = Number(1 - gap), lmi.split(center)
        exact = back_from(P, lmi.T, _BITS)
        # lambda_i = tau^i nu_i with nu >= 0 is the condition on the multipliers, whatever the rounding
        power, tau = ONE, rate * rate
        shares, found = [], {}
        for i, weight in enumerate(lam, 1):
            power = power * tau
            shares.append(Number(dyadic(max(weight, 0.0) / to_float(power), _BITS)))
            found[i] = power * shares[-1]
        found[0] = sum(shares, Number(dyadic(max(alone, 0.0), _BITS)))
        if all(row is None for row in self.past):
            yield self.proof(rate, exact, found)
        row = highs(self._output())
        try:
            size = row @ inverse(highs(exact)) @ row
        except ZeroDivisionError:
            return
        if size > 0:  # E >= |output|^2 / size
            share = Number(dyadic(float(0.5 / size), _BITS))
            yield self.proof(rate, exact, found, self.plant.number(self.plant.L) * share)

    def _output(self) -> list[Number]:
        """The row that reads the output off X."""
        return [*self.plant.output, *[ZERO] * self.past.count(None)]

    def attained(self, rate: Number) -> Iterator[Proof]:
        """V = |output|^2 with the multiplier for which the decrease vanishes along a quadratic at the rate.

        At such a rate D is singular, and P may have to be: for gradient descent and the triple momentum method.
        """
        if not self.plant.exact or rate.sign() <= 0:
            return
        s, row, it = self.steps, self._output(), inequality(self.plant, rate, self.steps)
        P, tau = [[a * b for b in row] for a in row], rate * rate
        along = trajectories(self.plant, rate, s)

        def decrease(P: Matrix, lam: Mapping[int, Number]) -> Matrix:
            proof = self.proof(rate, P, lam)
            return it.remainders(proof.P, dict(proof.nu), dict(proof.lam))[1]

        found = decrease(P, {})
        for past in range(min(s, 1) + 1):
            shape = {0: ONE, **({1: tau} if past else {})}
            for size in vanishing(found, decrease(zeros(len(P)), shape), along):
                lam = {i: size * x for i, x in shape.items()}
                yield self.proof(rate, P, lam, self.plant.number(self.plant.L))

    def proof(
        self, rate: Number, P: Matrix, lam: Mapping[int, Number], weight: Number | None = None
    ) -> Proof:
        """V = L X'PX and these multipliers by how far they reach back, over the points in memory.

        Args:
            rate: that is proved.
            P: over the state and the filter's, m x m.
            lam: lambda_i by i.
            weight: of the output's square; None where the state is bounded.
        """
        s, it = self.steps, inequality(self.plant, rate, self.steps)
        m, tau = len(self.plant.A) + s, rate * rate
        z = [[a - b for a, b in zip(*rows, strict=True)] for rows in zip(it.y, it.g, strict=True)]
        X = it.states[s] + [z[s - i] for i, row in enumerate(self.past, 1) if row is None]
        X = [row + [ZERO] * (m + 1 - len(row)) for row in X]
        follow, back, nu = ZERO, reciprocal(tau), {}
        for i in range(s, 0, -1):
            follow = (lam.get(i, ZERO) + follow) * back
            nu[s - i, STAR] = HALF * follow
        V = add_form(zeros(m + 1), it.L, P, X)
        rows = zip(V, it.weighted(nu), strict=True)
        V = [[a + b for a, b in zip(*both, strict=True)] for both in rows]
        unit = reciprocal(it.L)
        multipliers = {(s - i, s): HALF * x for i, x in lam.items() if i}
        multipliers[s, STAR] = HALF * (lam.get(0, ZERO) - follow)
        return Proof(
            rate, s, [[unit * x for x in row[:m]] for row in V[:m]], nu, multipliers, weight
        )


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
