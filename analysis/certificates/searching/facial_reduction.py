"""Facial reduction: inequalities that are tight along known runs, proved exactly.

At a rate that a quadratic attains, or a bound that a function attains, the decrease D vanishes along the run of the
method there, and so do multipliers of inequalities that are strict on it. These are linear conditions on the unknowns,
solved in the method's field; what remains is a strict problem on the complement, whose solution is a proof as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from ..checking.checker import ONE, STAR, ZERO, Number, inner
from ..checking.document import sealed, text, weights
from ..checking.elimination import dot, kernel
from ..checking.field import reciprocal
from ..lower_bounds import worst_line
from ..lower_bounds.worst_line import Kink
from ..methods.coordinates import Matrices, coordinates, curvatures
from ..methods.modes import trajectories, turning
from ..methods.plant import Matrix, Plant, to_float, to_floats
from ..methods.precise import highs, inverse
from ..methods.unroll import Unrolled
from .centers import Centers
from .horizon_dual import Dual
from .proof import Proof, free_pairs, inequality, pairs

_VANISHES = 1e-60  # of the largest: what is 0 in the field, in numbers of 300 bits
_LEAST = 1e-4  # of the largest multiplier: smaller ones are taken to vanish


class Linear:
    """D, E and the multipliers from the minimizer as exact linear maps of P, nu and lambda.

    Args:
        it: an inequality of the checker, with ``remainders(P, nu, lambda)``.
        held: the size of P.
        before, points: how many points nu and lambda are about.
    """

    def __init__(self, it: Any, held: int, before: int, points: int) -> None:
        self.held = held
        self.entries = list(combinations_with_replacement(range(held), 2))
        self.nu, self.lam = pairs(before), free_pairs(points)
        self.at_nu = len(self.entries)
        self.at_lam = self.at_nu + len(self.nu)
        self.D: list[Matrix] = []
        self.E: list[Matrix] = []
        self.star: list[list[Number]] = []
        zero = [[ZERO] * held for _ in range(held)]
        for i, j in self.entries:
            unit = [list(row) for row in zero]
            unit[i][j] = unit[j][i] = ONE
            self._add(it.remainders(unit, {}, {}), points)
        for ij in self.nu:
            self._add(it.remainders(zero, {ij: ONE}, {}), points)
        for ij in self.lam:
            self._add(it.remainders(zero, {}, {ij: ONE}), points)
        self.count = len(self.D)

    def _add(self, parts: tuple[Matrix, Matrix, Mapping[Any, Number]], points: int) -> None:
        E, D, star = parts
        self.E.append(E)
        self.D.append(D)
        self.star.append([star[STAR, i] for i in range(points)])

    def vanishing(self, along: Matrix) -> Matrix:
        """The equations D w = 0 of the unknowns, for each w."""
        return [[inner(part[i], w) for part in self.D] for w in along for i in range(len(w))]

    @property
    def signs(self) -> Any:
        """The rows of nu, lambda, and lambda from the minimizer, in floats."""
        return np.hstack([np.eye(self.count)[:, self.at_nu :], to_floats(self.star)]).T

    def parts(self, x: Sequence[Number]) -> tuple[Matrix, dict[Any, Number], dict[Any, Number]]:
        """P, nu and lambda of the unknowns."""
        P = [[ZERO] * self.held for _ in range(self.held)]
        for (i, j), e in zip(self.entries, x, strict=False):
            P[i][j] = P[j][i] = e
        nu = dict(zip(self.nu, x[self.at_nu : self.at_lam], strict=True))
        return P, nu, dict(zip(self.lam, x[self.at_lam :], strict=True))


def strict(
    basis: Matrix, blocks: Sequence[Any], signs: Any, along: Any = ()
) -> list[Number] | None:
    """Unknowns in the span of a basis for which all is positive; None if none were found.

    Args:
        basis: exact, one solution of what has to hold with equality each.
        blocks: matrices by unknown, in floats or in high precision, to be positive definite; the first of them where
            no vector of ``along`` lies.
        signs: rows to be positive, unless they vanish on the span.
    """
    if not basis:
        return None
    exactly = blocks[0].dtype == object
    span = (highs if exactly else to_floats)(basis)
    parts = [np.tensordot(span, block, 1).astype(float) for block in blocks]
    if len(along):
        away = complement(np.asarray(along, dtype=float), parts[0].shape[1])
        parts[0] = away.T @ parts[0] @ away
    rows = signs @ span.T
    sizes = np.abs(rows).max(1, initial=0.0)
    vanishes = _VANISHES if exactly else 1e-14
    rows = rows[sizes > vanishes * sizes.max(initial=0)].astype(float)
    found = Centers([(part, 0 * part) for part in parts if part.size], (rows, 0 * rows)).first()
    if found is None or not np.isfinite(found).all():
        return None
    return dot([Number(Fraction(w)) for w in found.tolist()], basis)


def complement(vectors: Any, size: int) -> Any:
    """An orthonormal basis of what is orthogonal to the vectors, as columns."""
    if not len(vectors):
        return np.eye(size)
    _, values, right = np.linalg.svd(vectors)
    return right[int((values > 1e-12 * values[0]).sum()) :].T


def rate_proofs(plant: Plant, rate: Number, steps: int, near: Sequence[float]) -> Iterator[Proof]:
    """Candidates for a rate that a quadratic attains.

    ``near`` are nu and lambda of a proof of nearly that rate. Where nothing is strict with all of them, those are left
    out that nearly vanish.

    Args:
        plant: the method.
        rate: that the quadratic attains.
        steps: of memory.
        near: nu and lambda of a proof of nearly that rate.
    """
    it = inequality(plant, rate, steps)
    along = trajectories(plant, rate, steps) + turning(plant, rate, steps)
    held = it.n + it.early
    linear = Linear(it, held, it.early, len(it.y) - 1)
    conditions = linear.vanishing(along)
    few = [a for a, w in enumerate(near, linear.at_nu) if w < _LEAST * max(near)]
    absent = [[Number(Fraction(int(i == a))) for i in range(linear.count)] for a in few]
    method = Matrices.of(plant)
    for basis in (kernel(rows, linear.count) for rows in (conditions, conditions + absent)):
        for curvature in curvatures(method):
            T = coordinates(method, steps, curvature).T
            back = inverse(T)
            inner = back[:held, :held]
            D = [back.T @ part @ back for part in highs(linear.D)]
            E = [inner.T @ part[:held, :held] @ inner for part in highs(linear.E)]
            runs = [T @ highs(w) for w in along]
            runs = [w / max(abs(e) for e in w) for w in runs]
            found = strict(basis, [np.array(D), np.array(E)], linear.signs, runs)
            if found is not None:
                yield Proof(rate, steps, *linear.parts(found))


def horizon_document(
    base: Mapping[str, Any], steps: Unrolled, worst: Kink, near: Mapping[tuple[int, int], float]
) -> dict[str, Any] | None:
    """A candidate for the bound that the function attains; None if there is none of this form.

    ``base`` is the statement without the bound, ``near`` multipliers of one that is a little larger: pairs without
    one get none.

    Args:
        base: the statement without the bound.
        steps: the method over N steps.
        worst: the function.
        near: multipliers by pair of a bound that is a little larger.
    """
    measure, start = base["measure"], base["start"]
    mu, L, width = steps.number(steps.mu), steps.number(steps.L), Number(worst.width)
    k, scale = mu * reciprocal(L), reciprocal(L)  # units are L = 1
    power = {"value": 1, "gradient": 2, "distance": 0}[measure]
    bound = worst.value * _power(L, (start == "value") - power)
    # the run, and its points and gradients as rows over (x_0, u_0 / L, ..., u_N / L), the minimizer last
    points, slopes = worst_line.trajectory(steps, width)
    count, zero = len(points), [ZERO] * (len(points) + 1)
    y, g = [*points, ZERO], [*(scale * u for u in slopes), ZERO]
    f = [*(scale * worst_line.height(x, width, mu, L) for x in points), ZERO]
    of_y = [[ONE, *(L * x for x in row)] for row in steps.points] + [zero]
    of_g = [[ONE if j == i + 1 else ZERO for j in range(count + 1)] for i in range(count)] + [zero]
    twice = ONE + ONE - k - k

    def tight(i: int, j: int) -> bool:
        dy, dg = y[i] - y[j], g[i] - g[j]
        bent = dg * dg + k * dy * dy - (k + k) * dg * dy
        return not twice * (f[i] - f[j] - g[j] * dy) - bent

    def image(i: int, j: int) -> list[Number]:
        """Q_ij of `Dual` times the run."""
        dy, dg = y[i] - y[j], g[i] - g[j]
        by_y, by_dg, by_g = k * dg - k * dy - (ONE - k) * g[j], k * dy - dg, -(ONE - k) * dy
        found = [by_y * (a - b) if a or b else ZERO for a, b in zip(of_y[i], of_y[j], strict=True)]
        for at, weight in ((i, by_dg), (j, by_g - by_dg)):
            if at != STAR:
                found[at + 1] = found[at + 1] + weight
        return found

    least = _LEAST * max(near.values())
    kept = [ij for ij, weight in near.items() if weight > least and tight(*ij)]
    loose = [i for i in range(count) if not tight(STAR, i)]
    # by unknown, the multipliers and what is given once: those from the minimizer, which follow, and D times the run
    dual = Dual(steps, measure, start)
    program = dual.program(kept)
    follow = [[Number(int(e)) for e in row] for row in program.rows.T]
    last = [Number(int(e)) + bound * c for e, c in zip(program.shift, follow.pop(), strict=True)]
    follow.append(last)
    from_star = [image(STAR, i) for i in range(count)]
    given = list(zero)
    if start == "distance":
        given[0] = twice * bound
    end = {"gradient": (of_g[-2], g[-2]), "distance": (of_y[-2], y[-2])}.get(measure)
    if end is not None:
        given = [a - twice * end[1] * b for a, b in zip(given, end[0], strict=True)]
    images = [[-e for e in image(*ij)] for ij in kept] + [given]
    for row, weights_ in zip(images, follow, strict=True):
        for i, weight in enumerate(weights_):
            if weight:
                row[:] = [
                    a - weight * b if b else a for a, b in zip(row, from_star[i], strict=True)
                ]
    conditions = [list(row) for row in zip(*images, strict=True)]
    conditions += [[row[i] for row in follow] for i in loose]
    # the same in floats, in the coordinates and units of the search
    run = np.append(1.0, to_floats(g[:-1]) - dual.middle * to_floats(y[:-1]))
    units = np.where(run == 0, 1.0, np.abs(run))
    scaled, c = program.scaled(units), to_float(bound)
    block = np.concatenate(
        [scaled.matrices[:-1], (scaled.constant + c * scaled.matrices[-1])[None]]
    )
    signs = np.vstack([np.eye(len(block)), to_floats(follow).T])
    x = strict(kernel(conditions, len(block)), [block], signs, [run / units])
    if x is None or x[-1].sign() <= 0:
        return None
    unit = reciprocal(x[-1]) * _power(L, power - 1)
    weighted = weights({ij: unit * w for ij, w in zip(kept, x, strict=False)})
    return sealed(steps.name, "horizon", {**base, "bound": text(worst.value)}, {"lambda": weighted})


def _power(x: Number, power: int) -> Number:
    """For -2 <= power <= 2 or so."""
    found = ONE
    for _ in range(abs(power)):
        found = found * x
    return found if power >= 0 else reciprocal(found)
