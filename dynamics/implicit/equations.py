"""Systems of equations in free unknowns: their derivative, what it divides, and the order in which they are solved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import sympy as sp

from ..._support.errors import OdescentError
from ..algebra.calculus import Symbol, symbols_of
from ..algebra.direct_sums import block_operator, part, stack
from ..algebra.gradients import jacobian_of
from ..algebra.operators import inverse
from ..algebra.products import apply, identity
from ..algebra.vectors import Call, Expr, ScalarNode, Vector, by_slot, inner


class Singular(OdescentError):
    """Equations that are linear in their unknowns and do not determine them."""


@dataclass(frozen=True)
class Opened:
    """Equations in free unknowns; see `Equations.opened`.

    Attributes:
        equations: one for each unknown.
        unknowns: the symbols.
        minimized: of one unknown, the scalar whose gradient its equation is.
        descends: whether the equations are rates at which unknowns come to rest, so that minus a gradient is one of a
            scalar that is minimized.
    """

    equations: tuple[Expr, ...]
    unknowns: tuple[Symbol, ...]
    minimized: sp.Expr | None = None
    descends: bool = False

    @cached_property
    def entries(self) -> list[list[Any]]:
        """The derivative of each equation in each unknown: operators, or scalars."""
        return [[jacobian_of(e, u) for u in self.unknowns] for e in self.equations]

    @property
    def jacobian(self) -> Vector:
        """The derivative of the equations, of vectors, as an operator."""
        if len(self.unknowns) == 1:
            found: Vector = self.entries[0][0]
            return found
        named = [
            (f"u{i}", f"u{j}", e) for i, row in enumerate(self.entries) for j, e in enumerate(row)
        ]
        return block_operator({(i, j): e for i, j, e in named if e.terms})

    def divided(self, right: Sequence[Any], method: str = "") -> list[Any]:
        """J^-1 applied to a right side, in the unknowns: by a matrix of scalars, or by a linear solve."""
        if (scalars := self.scalar_matrix) is not None:
            if sp.cancel(scalars.det()) == 0:
                raise Singular(
                    "the equations are singular in their unknowns: their derivative has the determinant 0, so they do "
                    "not determine a solution; give as many independent equations as unknowns."
                )
            inverted = scalars.inv() if len(right) > 1 else sp.Matrix([[1 / scalars[0, 0]]])
            n = range(len(right))
            return [sum((right[j] * inverted[i, j] for j in n), 0 * right[i]) for i in n]
        operator = inverse(self.jacobian, method)
        if len(right) == 1:
            return [apply(operator, right[0])]
        solved = apply(operator, stack({f"u{i}": r for i, r in enumerate(right)}))
        return [part(solved, f"u{i}") for i in range(len(right))]

    @cached_property
    def scalar_matrix(self) -> sp.Matrix | None:
        """J where its entries are scalars, or multiples of the identity; else None."""
        rows = [[_multiple(e) for e in row] for row in self.entries]
        if any(e is None for row in rows for e in row):
            return None
        return sp.Matrix(rows)

    @property
    def linear(self) -> bool:
        """Whether the equations are linear in their unknowns."""
        own = set(self.unknowns)
        return not any(symbols_of(e) & own for row in self.entries for e in row)


def _multiple(e: Any) -> sp.Expr | None:
    """A scalar as it is, an operator that is a multiple of the identity as the factor."""
    if not isinstance(e, Vector):
        return e
    if not e.terms:
        return sp.S.Zero
    return e.terms[identity] if set(e.terms) == {identity} else None


def shared_factor(e: Any, signed: bool, unknowns: Sequence[Symbol] = ()) -> sp.Expr:
    """The factor that the coefficients of an equation share: without it F = 0 and -2 a F = 0 are one.

    Args:
        e: the equation, a vector or a scalar.
        unknowns: what it is solved for. A factor with one of them is left: where it vanishes is a solution as well.
        signed: whether it may be negative, or of unknown sign: a gradient of what is minimized keeps its sign.

    Returns:
        a scalar.
    """
    if isinstance(e, Vector):
        numbers = [c for _, c in sorted(e.terms.items(), key=lambda t: t[0].key)]
        shared = numbers[-1]
        if not all(c.is_Rational for c in numbers):
            parts = [sp.fraction(sp.together(c)) for c in numbers]
            tops, bottoms = zip(*parts, strict=True)
            shared = sp.cancel(reduce(sp.gcd, tops) / reduce(sp.lcm, bottoms))
            last = sp.fraction(sp.cancel(numbers[-1] / shared))[0]
            shared *= last.as_coeff_Mul()[0]
            own = set(unknowns)
            shared = sp.Mul(*[c for c in sp.Mul.make_args(shared) if not symbols_of(c) & own])
    else:
        shared = e.as_coeff_Mul()[0]
    if not signed:
        shared = abs(shared) if shared.is_Rational else shared if shared.is_positive else sp.S.One
    return sp.S.One if shared == 0 else shared


def potential(rate: Expr, unknown: Symbol) -> sp.Expr | None:
    """The scalar of which a rate is minus the gradient in the unknown, term by term; None where that is not seen."""
    if not isinstance(rate, Vector):
        return None
    total = sp.S.Zero
    for a, c in rate.terms.items():
        if unknown in symbols_of(c):
            return None
        if isinstance(a, Call) and a.oracle.kind == "grad" and not a.directions:
            slots = by_slot(a.point)
            others = [v for n, v in slots.items() if n != a.oracle.slot]
            if slots.get(a.oracle.slot) != unknown or any(unknown in symbols_of(v) for v in others):
                return None
            total -= c * ScalarNode("value", (a.point,), a.oracle.other("value"))
        elif a == unknown:
            total -= c * inner(unknown, unknown) / 2
        elif unknown not in symbols_of(a):
            total -= c * inner(a, unknown)
        else:
            return None
    return total


def in_sequence(equations: Sequence[Expr], unknowns: Sequence[Symbol]) -> list[list[int]]:
    """Groups of equations that need one another, in an order in which each needs only those before it."""
    n = range(len(unknowns))
    needs = [{j for j in n if unknowns[j] in symbols_of(equations[i])} | {i} for i in n]
    for _ in n:
        needs = [set().union(*(needs[j] for j in needs[i])) for i in n]
    groups: list[list[int]] = []
    for i in sorted(n, key=lambda i: (len(needs[i]), i)):
        if not any(i in g for g in groups):
            groups.append([j for j in n if needs[j] == needs[i] and i in needs[j]])
    return groups
