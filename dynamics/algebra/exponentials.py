"""Exponentials in exact arithmetic: which are powers of one another, and when a sum of them vanishes."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import sympy as sp
from sympy.polys.rings import PolyElement

_POWER = 32  # of an exponential of a number, where it is a power of another


def small_powers(numbers: set[sp.Rational]) -> dict[sp.Rational, dict[sp.Rational, int]]:
    """Positive numbers as small multiples of one of them or as a sum of two others, from which e to them follows.

    Each is written as units with how often they are in it. There are several units where one would be too small:
    e^(605/97) and e^(412/89) are the 53,845th and the 39,964th power of one number.
    """
    if not numbers:
        return {}
    unit = functools.reduce(lambda a, b: a.gcd(b), numbers)
    if max(numbers) <= _POWER * unit:
        return {n: {unit: int(n / unit)} for n in numbers}
    found: dict[sp.Rational, dict[sp.Rational, int]] = {}
    for n in sorted(numbers):
        multiple = next((u for u in found if (n / u).is_Integer and n / u <= _POWER), None)
        smaller = next((u for u in found if n - u in found), None)
        if multiple is not None:
            found[n] = {u: k * int(n / multiple) for u, k in found[multiple].items()}
        elif smaller is not None:
            one, other = found[smaller], found[n - smaller]
            found[n] = {u: one.get(u, 0) + other.get(u, 0) for u in {**one, **other}}
        else:
            found[n] = {n: 1}
    return found


def exponents(meaning: Mapping[sp.Symbol, sp.Expr]) -> dict[sp.Symbol, sp.Rational]:
    """The generators that are e to a rational number, with that number."""
    found = {s: m.as_base_exp()[1] for s, m in meaning.items() if m.as_base_exp()[0] == sp.E}
    return {s: e for s, e in found.items() if e.is_Rational}


def vanishes(p: PolyElement, meaning: Mapping[sp.Symbol, sp.Expr]) -> bool:
    """Whether a polynomial is zero when the powers of e in each term are put together: True is a proof.

    False is one too where there is no relation beside that. Powers of e to different rational numbers are linearly
    independent over the rational numbers (Lindemann and Weierstrass; Baker, Transcendental Number Theory, 1975, theorem
    1.4), and those to different polynomials without constant terms over the functions of their symbols.
    """
    parts = {s: m.as_base_exp() for s, m in meaning.items()}
    powers = [parts[s][1] if s in parts and parts[s][0] == sp.E else None for s in p.ring.symbols]
    total: dict[object, object] = {}
    for monomial, c in p.terms():
        pairs = list(zip(monomial, powers, strict=True))
        exponent = sp.Add(*(n * e for n, e in pairs if e is not None and n))
        key = (exponent, *(n for n, e in pairs if e is None))
        total[key] = total.get(key, 0) + c
    return not any(total.values())
