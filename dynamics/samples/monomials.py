"""Monomials in a sample: their degree, their factors, and what is a polynomial in disguise."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import sympy as sp

from ..algebra.calculus import change, symbols_of
from ..algebra.gradients import jacobian_of
from ..algebra.operators import OracleDerivative
from ..algebra.products import Elementwise, Product, Unary, factors_of, slots
from ..algebra.vectors import Argument, Call, Expr, ScalarNode, Vector, VectorSymbol, call, zero
from .contraction import product_of
from .sample import ScalarSample, VectorSample, samples_in

Bound: TypeAlias = "VectorSample | ScalarSample"


def with_signs_squared(e: Expr) -> Expr:
    """An expression with the squares of vectors of signs as vectors of ones."""
    for s in samples_in([e]):
        if isinstance(s, VectorSample) and s.law_name == "rademacher":
            e = signs_squared(e, s)
    return e


def unfolded(e: Expr, s: Bound) -> Expr:
    """With element-wise polynomials of the sample as sums of element-wise products."""

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Elementwise) or s not in symbols_of(node):
            return None
        places = slots(len(node.arguments))
        moving = [p for p, v in zip(places, node.arguments, strict=True) if s in symbols_of(v)]
        if not node.body.is_polynomial(*moving) or symbols_of(node.body) & {s}:
            return None
        total = zero
        for powers, c in sp.Poly(node.body, *places).terms() if len(moving) == len(places) else ():
            factors = [v for v, n in zip(node.arguments, powers, strict=True) for _ in range(n)]
            total = total + product_of(factors) * c
        return total if len(moving) == len(places) else None

    return change(e, rule)


def signs_squared(e: Expr, z: VectorSample) -> Expr:
    """With z * z, for signs, as the vector of ones, and |z|^2 as their number."""

    def rule(node: Expr) -> Expr | None:
        if isinstance(node, ScalarNode):
            squared = node.kind == "inner" and node.arguments == (z, z)
            return z.dimension if squared else None
        if not (isinstance(node, Product) and node.kind == "hadamard"):
            return None
        factors = factors_of(node)
        if (pairs := factors.count(z) // 2) == 0:
            return None
        rest = [f for f in factors if f != z] + [z] * (factors.count(z) - 2 * pairs)
        return product_of(rest)

    return change(e, rule)


def half_fixed(m: sp.Expr, s: Bound) -> tuple[Vector, Vector, sp.Expr] | None:
    """An inner product in a monomial that has the sample on one side: the other side, this one, and what is left."""
    found = []
    for factor in sp.Mul.make_args(m):
        if isinstance(factor, ScalarNode) and factor.kind == "inner":
            fixed = [v for v in factor.arguments if s not in symbols_of(v)]
            if len(fixed) == 1:
                found.append((fixed[0], next(v for v in factor.arguments if v != fixed[0]), factor))
    if not found:
        return None
    one, moving, factor = min(found, key=lambda item: str(item[-1]))
    return one, moving, m / factor


def operator_on(v: Vector, fixed: Callable[[Vector], bool]) -> tuple[Vector, Vector] | None:
    """A fixed operator and what it is applied to, which is not: A u, or a derivative at a fixed point along u."""
    if isinstance(v, Product) and v.kind == "apply" and fixed(v.left):
        return v.left, v.right
    if isinstance(v, Call) and fixed(v.point) and not v.parameters:
        moving = [d for d in v.directions if not fixed(d)]
        if len(moving) == 1 and not isinstance(moving[0], Argument):
            unit = VectorSymbol("unit~0")
            along = [unit if d == moving[0] else d for d in v.directions]
            return jacobian_of(call(v.oracle, v.point, along), unit), moving[0]
    return None


def degree_of_scalar(m: sp.Expr, s: Bound) -> int | None:
    """The degree of a monomial in the sample; None for what is no polynomial."""
    total = 0
    for factor in sp.Mul.make_args(m):
        base, power = factor.as_base_exp()
        if s not in symbols_of(factor):
            continue
        if not (power.is_Integer and power > 0):
            return None
        if base == s:
            total += int(power)
            continue
        if not (isinstance(base, ScalarNode) and base.kind == "inner"):
            return None
        degrees = [degree_of(v, s) for v in base.arguments]
        if None in degrees:
            return None
        total += int(power) * sum(d or 0 for d in degrees)
    return total


def degree_of(a: Vector, s: Bound) -> int | None:
    """The degree of an atom, which is homogeneous in the sample, or None."""
    if s not in symbols_of(a):
        return 0
    if a == s:
        return 1
    if isinstance(a, (Call, OracleDerivative)):
        if s in symbols_of(a.point) or any(s in symbols_of(p) for p in a.parameters):
            return None
        parts: Iterable[Vector] = a.directions
    elif isinstance(a, (Product, Unary, Argument)):
        parts = a.arguments
    else:
        return None
    found = [degree_of(v, s) for v in parts]
    return None if None in found else sum(d or 0 for d in found)


def degree_of_term(e: Vector, s: Bound) -> int | None:
    ((a, c),) = e.terms.items()
    one, other = degree_of(a, s), degree_of_scalar(c, s)
    return None if one is None or other is None else one + other


def parted(e: Expr, s: Bound) -> tuple[Any, Any]:
    """The terms with the sample, and those without: of a sum over many samples few have one of them."""
    if not isinstance(e, Vector):
        terms = sp.Add.make_args(e)
        own = [t for t in terms if s in symbols_of(t)]
        return sp.Add(*own), sp.Add(*[t for t in terms if t not in own]) if len(own) < len(
            terms
        ) else sp.S.Zero
    pairs = list(e.terms.items())
    has = [s in symbols_of(a) or s in symbols_of(c) for a, c in pairs]
    parts = (
        Vector.of(p for p, own in zip(pairs, has, strict=True) if own == w) for w in (True, False)
    )
    return next(parts), next(parts)
