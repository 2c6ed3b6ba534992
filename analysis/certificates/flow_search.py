"""The search for a flow's Lyapunov function: the inequality as exact linear maps, its solution in floats, its proof."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import sympy as sp

from .checker import ONE, ZERO, Flow, Number, Refused, check, dot
from .document import sealed, table, text, triangle, weights
from .face import _complement
from .field import Field, NotInField
from .flow_modes import Decay
from .lmi import free_pairs, pairs
from .margin import MarginProgram
from .modes import kernel
from .plant import Matrix, Plant, to_float

_NEAR = 3e-6  # a simple rate is worth a try where the search ends so near
_ROUNDING = 1e-9  # of what vanishes exactly
_SIMPLE = 24  # the largest denominator of a simple rate


def describe(plant: Plant, rate: Number) -> dict[str, Any]:
    """The flow, the class and the rate, as the statement has them."""
    return {
        "d": max(plant.d, rate.d), "mu": text(plant.number(plant.mu)),
        "L": "infinity" if plant.L is sp.oo else text(plant.number(plant.L)),
        **{k: table(getattr(plant, k)) for k in "ABC"},
        "output": [text(x) for x in plant.output], "rate": text(rate),
    }  # fmt: skip


class FlowLMI:
    """D, E and the multipliers from the minimizer as linear maps of the unknowns, exactly, at one rate.

    The unknowns are the entries of P, nu by pair, and lambda by pair.
    """

    def __init__(self, base: Mapping[str, Any]) -> None:
        it = Flow(base)
        self.it, n, p = it, it.n, it.p
        self.entries = list(combinations_with_replacement(range(n), 2))
        self.nu, self.lam = pairs(p), free_pairs(p)
        self.D: list[Matrix] = []
        self.E: list[Matrix] = []
        self.star: list[list[Number]] = []
        zero = [[ZERO] * n for _ in range(n)]
        for i, j in self.entries:
            unit = [[ONE if {a, b} == {i, j} else ZERO for b in range(n)] for a in range(n)]
            self._add(unit, {}, {})
        for ij in self.nu:
            self._add(zero, {ij: ONE}, {})
        for ij in self.lam:
            self._add(zero, {}, {ij: ONE})
        self.at_nu = len(self.entries)
        self.at_lam = self.at_nu + len(self.nu)
        self.count = len(self.D)

    def _add(self, P: Matrix, nu: Any, lam: Any) -> None:
        E, D, star = self.it.remainders(P, nu, lam)
        self.E.append(E)
        self.D.append(D)
        self.star.append([star[-1, i] for i in range(self.it.p)])

    def free(self) -> tuple[Matrix, list[int]]:
        """A basis of the unknowns for which the gradients that appear in no square appear nowhere; and those rows.

        For L infinite, D and E have no square of a gradient that the function value does not bring in.
        """
        of_D, of_E = self.squareless()
        size = self.it.n + self.it.p
        rows = [
            [m[u][j] for m in part]
            for part, us in ((self.D, of_D), (self.E, of_E))
            for u in us
            for j in range(size)
        ]
        return kernel(rows, self.count), of_D

    def squareless(self) -> tuple[list[int], list[int]]:
        """The gradients without a square in D, and in E."""
        of_D, of_E = (
            [u for u in range(self.it.n, self.it.n + self.it.p) if not any(m[u][u] for m in part)]
            for part in (self.D, self.E)
        )
        return of_D, of_E

    def floats(self) -> tuple[Any, Any, Any]:
        """D, E by unknown and the signs (lambda from the minimizer, nu, lambda), as arrays."""
        D, E = (
            np.array([[[to_float(x) for x in row] for row in m] for m in part])
            for part in (self.D, self.E)
        )
        star = np.array([[to_float(x) for x in row] for row in self.star])
        return D, E, np.hstack([np.eye(self.count)[:, self.at_nu :], star]).T

    def witness(self, x: list[Number]) -> dict[str, Any]:
        """The unknowns as the document has them, without the weight."""
        n = self.it.n
        P = [[ZERO] * n for _ in range(n)]
        for (i, j), e in zip(self.entries, x, strict=False):
            P[i][j] = P[j][i] = e
        nu, lam = (
            weights(dict(zip(names, x[at:], strict=False)))
            for at, names in ((self.at_nu, self.nu), (self.at_lam, self.lam))
        )
        return {"P": triangle(P), "nu": nu, "lambda": lam}


def _solved(lmi: FlowLMI, basis: Matrix, dropped: list[int], along: Matrix) -> tuple[Any, float]:
    """The weights of the basis with the largest margin, and that margin; on the complement of ``along`` in D."""
    weights = np.array([[to_float(x) for x in column] for column in basis])
    D, E, signs = lmi.floats()
    parts = (np.tensordot(weights, D, 1), np.tensordot(weights, E, 1), signs @ weights.T)
    vectors = np.array([[to_float(x) for x in w] for w in along])
    return _widest(*parts, lmi.it, dropped, vectors)


def _widest(
    D: Any, E: Any, signs: Any, it: Flow, dropped: list[int], along: Any
) -> tuple[Any, float]:
    """The same in floats."""
    n = it.n
    keep = [i for i in range(D.shape[1]) if i not in dropped]
    wide = [
        i
        for i in range(D.shape[1])
        if i < n or np.abs(E[:, i, :]).max() > _ROUNDING * np.abs(E).max()
    ]
    scale = _units(it)
    D, E = (m * np.outer(scale, scale) for m in (D, E))
    D, E = D[:, keep][:, :, keep], E[:, wide][:, :, wide]
    if len(along):
        away = _complement(along[:, keep] / scale[keep], len(keep))
        D = away.T @ D @ away
    if D.size and np.abs(D).max() > 0:  # the unit of time is free
        D = D * (np.abs(E).max() / np.abs(D).max())
    blocks = [D, E] if D.shape[1] else [E]
    tall = np.abs(signs).max(1, initial=0.0)
    signs = signs[tall > _ROUNDING * tall.max()]
    signs = signs / np.abs(signs).max(1, keepdims=True)
    norms = np.sqrt(sum((b**2).sum((1, 2)) for b in blocks) + (signs**2).sum(0))
    norms[norms == 0] = 1
    blocks = [b / norms[:, None, None] for b in blocks]
    signs = signs / norms
    program = MarginProgram([(b, 0 * b) for b in blocks], (signs, 0 * signs))
    found, margin = program.solve()
    return found / norms, margin


def _units(it: Flow) -> Any:
    """Units of the blocks and gradients, powers of two: those of a solution of X' = A X + mu B C X."""
    n, p = it.n, it.p
    A, B, C = (np.array([[to_float(x) for x in row] for row in m]) for m in (
        [r[:n] for r in it.moves], [r[n:] for r in it.moves], [r[:n] for r in it.y[:p]]))  # fmt: skip
    mu = to_float(it.mu)
    step = A + mu * B @ C
    _, vectors = np.linalg.eig(step)
    sizes = np.abs(vectors).max(1)
    units = np.append(np.where(sizes > 1e-9, sizes, 1.0), np.full(p, mu))
    rounded: Any = 2.0 ** np.round(np.log2(units))
    return rounded


def search(plant: Plant, highest: float) -> float:
    """The largest rate with a positive margin, in floats; 0 if there is none."""
    from scipy.linalg import null_space

    still, moving = (FlowLMI(describe(plant, Number(r))) for r in (0, 1))  # affine in the rate
    start, end = still.floats(), moving.floats()
    dropped, of_E = (
        sorted(set(a) & set(b))
        for a, b in zip(still.squareless(), moving.squareless(), strict=True)
    )

    units = _units(still.it)
    square = np.outer(units, units)

    def margin(rate: float) -> float:
        D, E, signs = (a + rate * (b - a) for a, b in zip(start, end, strict=True))
        small = [
            part * square / time for part, time in ((D, highest), (E, 1.0))
        ]  # in units in which all are about 1
        sizes = sum(np.sqrt((part**2).sum((1, 2))) for part in small)
        rows = [
            part[:, us].reshape(len(sizes), -1)
            for part, us in zip(small, (dropped, of_E), strict=True)
        ]
        conditions = np.concatenate(rows, axis=1) / sizes[:, None]
        basis = (null_space(conditions.T).T if conditions.size else np.eye(len(sizes))) / sizes
        if not len(basis):
            return -1.0
        parts = (np.tensordot(basis, D, 1), np.tensordot(basis, E, 1), signs @ basis.T)
        return _widest(*parts, still.it, dropped, np.zeros((0, 0)))[1]

    low, high = 0.0, highest
    if not margin(1e-3 * highest) > 1e-10:
        return 0.0
    for _ in range(26):
        middle = (low + high) / 2
        low, high = (middle, high) if margin(middle) > 1e-10 else (low, middle)
    return low


def simple_rates(plant: Plant, slowest: Decay, best: float) -> Iterator[Number]:
    """Exact rates that the search may have come close to: the quadratic's, simple multiples of sqrt(mu), mu, 1."""
    if not plant.exact:
        return
    tried: list[sp.Expr] = []
    if slowest.exact is not None and abs(float(slowest.high) - best) < 1e-3 * best:
        tried.append(slowest.exact)
    for unit in (sp.sqrt(plant.mu), plant.mu, sp.S.One):
        ratio = best / float(unit)
        simple = Fraction(ratio).limit_denominator(_SIMPLE)
        if simple > 0 and abs(float(simple) - ratio) < _NEAR * ratio:
            tried.append(sp.Rational(simple.numerator, simple.denominator) * unit)
    for e in dict.fromkeys(tried):
        try:
            yield Field(plant.d).number(e, {})
        except NotInField:
            continue


def proofs(plant: Plant, rate: Number) -> Iterator[dict[str, Any]]:
    """Documents at the rate whose proof was checked: from the strict inequality, from a face, from simple numbers."""
    base = describe(plant, rate)
    lmi = FlowLMI(base)
    basis, dropped = lmi.free()
    if not basis:
        return
    y, margin = _solved(lmi, basis, dropped, [])
    if np.isfinite(y).all():
        numbers = [Number(Fraction(w)) for w in y.tolist()]
        yield from _checked(lmi, base, dot(numbers, basis), plant.name)
        yield from _guessed(lmi, base, basis, y, plant)
    for curvature in (plant.mu, plant.L):
        along = [] if curvature is sp.oo else _eigenvectors(lmi, plant.number(curvature))
        if along:
            size = lmi.it.n + lmi.it.p
            rows = [
                [sum((m[i][j] * w[j] for j in range(size) if w[j]), ZERO) for m in lmi.D]
                for w in along for i in range(size)
            ]  # fmt: skip
            on_face = _both(rows, basis)
            if on_face:
                y, margin = _solved(lmi, on_face, dropped, along)
                if margin > 0 and np.isfinite(y).all():
                    numbers = [Number(Fraction(w)) for w in y.tolist()]
                    yield from _checked(lmi, base, dot(numbers, on_face), plant.name)


def _both(rows: Matrix, basis: Matrix) -> Matrix:
    """The vectors in the span of the basis that solve rows x = 0."""
    images = [
        [
            sum((r * b for r, b in zip(row, column, strict=True) if r and b), ZERO)
            for column in basis
        ]
        for row in rows
    ]
    return [dot(weights, basis) for weights in kernel(images, len(basis))]


def _eigenvectors(lmi: FlowLMI, curvature: Number) -> Matrix:
    """(X, u) along a quadratic's solutions exp(-rate t)."""
    it = lmi.it
    n = it.n
    slope = [[curvature * e for e in row[:n]] for row in it.y[: it.p]]
    step = []
    for i, row in enumerate(it.moves):
        image = dot(row[n:], slope)
        step.append(
            [
                a + b + (it.rate if i == j else ZERO)
                for j, (a, b) in enumerate(zip(row[:n], image, strict=True))
            ]
        )
    return [[*x, *dot(x, list(zip(*slope, strict=True)))] for x in kernel(step, n)]


def _guessed(
    lmi: FlowLMI, base: Mapping[str, Any], basis: Matrix, y: Any, plant: Plant
) -> Iterator[dict[str, Any]]:
    """Where the solution is unique at the best rate, its numbers are often simple ones: a / b times a unit."""
    units = _units_of(plant)
    full = np.array([[to_float(x) for x in column] for column in basis]).T @ y
    weights = np.abs(full[lmi.at_nu :])
    size = weights.max(initial=0.0) or np.abs(full).max(initial=0.0)
    if not size > 0:
        return
    for most, near in ((12, 1e-3), (60, 1e-4), (400, 1e-5)):
        numbers = [_simple(w / size, units, most, near) for w in y.tolist()]
        if all(x is not None for x in numbers):
            simple = [x for x in numbers if x is not None]
            yield from _checked(lmi, base, dot(simple, basis), plant.name)


def _units_of(plant: Plant) -> list[Number]:
    """Powers of sqrt(mu), as far as they lie in the field: the units of what a flow's V is made of; and sqrt(d)."""
    powers = [sp.sqrt(plant.mu) ** k for k in (0, 1, 2, -1, -2)] + [sp.sqrt(plant.d)]
    found = []
    for e in dict.fromkeys(powers):
        try:
            found.append(Field(plant.d).number(e, {}))
        except NotInField:
            continue
    return found


def _simple(x: float, units: list[Number], most: int, near: float) -> Number | None:
    sizes = [to_float(unit) for unit in units]
    if abs(x) < near * min(sizes):
        return ZERO
    for unit, size in zip(units, sizes, strict=True):
        found = Fraction(x / size).limit_denominator(most)
        if 1 / most <= abs(found) <= most and abs(float(found) - x / size) < near:
            return Number(found) * unit
    return None


def _checked(
    lmi: FlowLMI, base: Mapping[str, Any], x: list[Number], name: str
) -> Iterator[dict[str, Any]]:
    """The document, with the largest weight 2^-k that it proves."""

    def holds(k: int) -> dict[str, Any] | None:
        weight = text(Number(Fraction(2) ** -k))
        trial = sealed(name, "flow", base, {**witness, "weight": weight})
        try:
            check(trial)
        except Refused:
            return None
        return trial

    witness = lmi.witness(x)
    if holds(80) is not None:
        yield next(filter(None, map(holds, range(-20, 81, 4))))
