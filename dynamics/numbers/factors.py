"""Factors of polynomials under roots."""

from __future__ import annotations

from math import lcm
from typing import Any

import sympy as sp
from sympy.polys.rings import PolyElement

from ..._support.work import work

_FACTORED = 200  # the highest degree of a radicand that is factored
_HIGHEST = 64  # that of an expression


def factors(p: PolyElement) -> tuple[Any, list[tuple[PolyElement, int]]]:
    """The constant and the irreducible factors with their multiplicities, as of `PolyElement.factor_list`.

    What is linear in a generator and has no factor without it is irreducible, which is seen at once; squared lengths
    under a root with a parameter are such. What has a high degree is not factored: it stays one radicand.
    """
    large = max(p.degrees(), default=0) > _FACTORED
    if p.is_ground or not (large or is_irreducible(p)):
        work(len(p) * max(p.degrees(), default=0))
        found: tuple[Any, list[tuple[PolyElement, int]]] = p.factor_list()
        return found
    denominator, whole = p.clear_denoms()
    content, primitive = whole.primitive()
    if primitive.LC < 0:
        content, primitive = -content, -primitive
    return content / denominator, [(primitive, 1)]


def is_irreducible(p: PolyElement) -> bool:
    """Whether the polynomial is seen to be irreducible; False is inconclusive."""
    pairs = []
    for i, degree in enumerate(p.degrees()):
        if degree == 1:
            parts: tuple[dict[Any, Any], dict[Any, Any]] = ({}, {})
            for powers, c in p.terms():
                parts[powers[i]][(*powers[:i], 0, *powers[i + 1 :])] = c
            pairs.append([p.ring.from_dict(part) for part in parts])
    pairs.sort(key=lambda pair: min(map(len, pair)))
    return any(b and b.gcd(a).is_ground for a, b in pairs[:1] if a)


def highest(e: sp.Expr) -> int:
    """The highest power of one symbol, root or power of e in which an expression is a polynomial."""
    powers = {abs(n.exp) for n in e.atoms(sp.Pow) if n.exp.is_Rational}
    powers |= {abs(n.args[0].as_coeff_Mul()[0]) for n in e.atoms(sp.exp)}
    rational = [r for r in powers if r.is_Rational]
    return int(max(rational, default=1) * lcm(*(r.q for r in rational)))


def in_factors(e: sp.Expr) -> sp.Expr:
    """The expression in factors, as of `sympy.factor`; as it is where a power is high, since that takes minutes."""
    return sp.factor(e) if highest(e) <= _HIGHEST else e
