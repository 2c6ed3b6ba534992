"""The search for a flow's Lyapunov function: the inequality as exact linear maps, its solution in floats, its proof."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from ..checking.checker import STAR, ZERO, Method, Number, Refused, check
from ..checking.document import sealed, table, text, triangle, weights
from ..checking.elimination import dot, kernel
from ..checking.field import NotInField, NumberField
from ..methods.modes import Decay
from ..methods.plant import Matrix, Plant, to_float, to_floats
from .centers import Center, Centers
from .facial_reduction import Linear, strict
from .inequality_rows import InequalityRows

_NEAR = 3e-6  # a simple rate is worth a try where the search ends so near
_TOLERANCE = 1e-8  # of the rate, relative
_SIMPLE = 24  # the largest denominator of a simple rate


def describe(plant: Plant, rate: Number) -> dict[str, Any]:
    """The flow, the class and the rate, as the statement has them."""
    return {
        "d": max(plant.d, rate.d), "mu": text(plant.number(plant.mu)),
        "L": "infinity" if plant.L is sp.oo else text(plant.number(plant.L)),
        **{k: table(getattr(plant, k)) for k in "ABC"},
        **{k: [text(x) for x in row] for k, row in (("output", plant.output), ("rest", plant.fixed))},
        "rate": text(rate),
    }  # fmt: skip


class FlowLMI:
    """The inequality as exact linear maps, for a flow on its class.

    With lambda = l - 2 r nu it says W - 2 r E >= 0, E >= 0, l - 2 r nu >= 0 and nu >= 0: linear in P, nu and l, where W
    and the l from the minimizer are D and lambda at the rate 0.
    """

    def __init__(self, plant: Plant) -> None:
        self.plant, self.it = plant, InequalityRows(Method(describe(plant, ZERO), flow=True))
        n, p = self.it.n, self.it.p
        self.maps = maps = Linear(self.it, n, p, p)
        # For L infinite there are gradients without a square in W and in E: they must not appear at all. The others
        # that no E has, as those that V does not know, are left out of E.
        gradients = range(n, n + p)
        of_W, of_E = (
            [u for u in gradients if not any(m[u][u] for m in part)] for part in (maps.D, maps.E)
        )
        rows = [
            [m[u][j] for m in part]
            for part, us in ((maps.D, of_W), (maps.E, of_E))
            for u in us
            for j in range(n + p)
        ]
        self.rows, self.basis = rows, kernel(rows, maps.count)
        self.kept = [i for i in range(n + p) if i not in of_W]
        self.wide = [
            i for i in range(n + p) if i < n or (any(any(m[i]) for m in maps.E) and i not in of_E)
        ]

    @cached_property
    def centers(self) -> list[Center]:
        """Over the weights of the basis, with delta = 2 r, the largest last; none if no rate was found."""
        if not self.basis:
            return []
        span = to_floats(self.basis)
        W, E = (np.tensordot(span, to_floats(part), 1) for part in (self.maps.D, self.maps.E))
        taken = E[:, self.kept][:, :, self.kept]
        inner = E[:, self.wide][:, :, self.wide]
        maps, own = self.maps, np.eye(self.maps.count)
        rows, at = maps.signs, {ij: maps.at_nu + a for a, ij in enumerate(maps.nu)}
        less = [own[at[ij]] if ij in at else 0 * own[0] for ij in maps.lam]
        less += [own[at[STAR, i]] for i in range(self.it.p)]
        numbers = rows @ span.T, np.vstack([np.zeros((len(maps.nu), len(own))), *less]) @ span.T
        some = np.abs(np.hstack(numbers)).max(1, initial=0.0) > 0
        blocks = [(W[:, self.kept][:, :, self.kept], taken), (inner, 0 * inner)]
        return Centers(
            [block for block in blocks if block[0].size], (numbers[0][some], numbers[1][some])
        ).largest(lambda c: c.beyond - c.delta < _TOLERANCE * c.delta)

    @property
    def best(self) -> float:
        """The largest rate that was found, 0 if there was none."""
        return self.centers[-1].delta / 2 if self.centers else 0.0

    def at(self, x: Sequence[Number], rate: Number) -> list[Number]:
        """The unknowns with lambda in the place of l."""
        found, maps = list(x), self.maps
        for a, ij in enumerate(maps.nu, maps.at_nu):
            if ij in maps.lam:
                to = maps.at_lam + maps.lam.index(ij)
                found[to] = found[to] - (rate + rate) * x[a]
        return found

    def witness(self, x: Sequence[Number]) -> dict[str, Any]:
        """The unknowns as the document has them, without the weight."""
        P, nu, lam = self.maps.parts(x)
        return {"P": triangle(P), "nu": weights(nu), "lambda": weights(lam)}


def simple_rates(plant: Plant, slowest: Decay, best: float) -> Iterator[Number]:
    """Exact rates that the search may have come close to: the quadratic's, simple multiples of sqrt(mu), mu, 1.

    Args:
        plant: the flow.
        slowest: the quadratic that is no faster.
        best: the largest rate that was found, in floats.
    """
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
            yield NumberField(plant.d).number(e, {})
        except NotInField:
            continue


def proofs(lmi: FlowLMI, rate: Number) -> Iterator[dict[str, Any]]:
    """Documents at the rate whose proof was checked: from the strict inequality, from a face, from simple numbers."""
    base, plant = describe(lmi.plant, rate), lmi.plant
    if lmi.centers:
        wanted = 2 * to_float(rate)
        y = next((c.x for c in lmi.centers if c.delta > wanted), lmi.centers[-1].x)
        numbers = [Number(Fraction(w)) for w in y.tolist()]
        yield from _checked(lmi, base, lmi.at(dot(numbers, lmi.basis), rate), plant.name)
        yield from _guessed(lmi, base, y, rate)
    if not plant.exact:  # nothing vanishes in enclosures
        return
    exact = Linear(InequalityRows(Method(base, flow=True)), lmi.it.n, lmi.it.p, lmi.it.p)
    W, E = to_floats(exact.D), to_floats(exact.E)
    for curvature in (plant.mu, plant.L):
        along = [] if curvature is sp.oo else _eigenvectors(lmi.it, rate, plant.number(curvature))
        if along:
            vectors = to_floats(along)[:, lmi.kept]
            basis = kernel([*lmi.rows, *exact.vanishing(along)], exact.count)
            blocks = [W[:, lmi.kept][:, :, lmi.kept], E[:, lmi.wide][:, :, lmi.wide]]
            x = strict(basis, blocks, exact.signs, vectors)
            if x is not None:
                yield from _checked(lmi, base, x, plant.name)


def _eigenvectors(it: InequalityRows, rate: Number, curvature: Number) -> Matrix:
    """(X, u) along a quadratic's solutions exp(-rate t)."""
    n = it.n
    slope = [[curvature * e for e in row[:n]] for row in it.y[: it.p]]
    step = []
    for i, row in enumerate(it.states[1]):
        image = dot(row[n:], slope)
        step.append(
            [
                a + b + (rate if i == j else ZERO)
                for j, (a, b) in enumerate(zip(row[:n], image, strict=True))
            ]
        )
    return [[*x, *dot(x, list(zip(*slope, strict=True)))] for x in kernel(step, n)]


def _guessed(
    lmi: FlowLMI, base: Mapping[str, Any], y: Any, rate: Number
) -> Iterator[dict[str, Any]]:
    """Where the solution is unique at the best rate, its numbers are often simple ones: a / b times a unit."""
    units, basis = _units_of(lmi.plant), lmi.basis
    full = to_floats(basis).T @ y
    weights = np.abs(full[lmi.maps.at_nu :])
    size = weights.max(initial=0.0) or np.abs(full).max(initial=0.0)
    if not size > 0:
        return
    for most, near in ((12, 1e-3), (60, 1e-4), (400, 1e-5)):
        numbers = [_simple(w / size, units, most, near) for w in y.tolist()]
        if all(x is not None for x in numbers):
            simple = [x for x in numbers if x is not None]
            yield from _checked(lmi, base, lmi.at(dot(simple, basis), rate), lmi.plant.name)


def _units_of(plant: Plant) -> list[Number]:
    """Powers of sqrt(mu), as far as they lie in the field: the units of what a flow's V is made of; and sqrt(d)."""
    powers = [sp.sqrt(plant.mu) ** k for k in (0, 1, 2, -1, -2)] + [sp.sqrt(plant.d)]
    found = []
    for e in dict.fromkeys(powers):
        try:
            found.append(NumberField(plant.d).number(e, {}))
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
