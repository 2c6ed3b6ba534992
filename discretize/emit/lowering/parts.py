"""Parts of scalars that are too long for one line: which is named first, and how it is called."""

from __future__ import annotations

import re

import sympy as sp

_PART = re.compile(r"_part(_\d+)?$")


def _hint(e: sp.Expr, part: sp.Expr, target: str) -> str:
    """What the part is called."""
    if part.is_Pow and part.exp == sp.Rational(1, 2):
        return "root"
    if e.is_Pow and e.exp == sp.Rational(1, 2):
        return "radicand"
    if e.is_Mul and part == sp.fraction(e)[1]:
        return "denominator"
    return _PART.sub("", target) + "_part"  # a part of a part is one of the whole


def _part(e: sp.Expr) -> sp.Expr | None:
    """What to name first in a scalar that is too long: a square root, the largest argument, or half a sum."""
    roots = [p for p in e.atoms(sp.Pow) if p.exp == sp.Rational(1, 2) and p != e]
    if not roots and e.is_Mul and sp.count_ops(sp.fraction(e)[1]) > 1:
        return sp.fraction(e)[1]
    larger = [a for a in e.args if not a.is_Rational and sp.count_ops(a) > 1]
    if roots or not (e.is_Add and len(e.args) > 2):
        return max(roots or larger, key=_size, default=None)
    return e.func(*e.as_ordered_terms()[: max(len(e.args) // 2, 2)])  # one term may be a name


def _without(e: sp.Expr, part: sp.Expr, symbol: sp.Symbol) -> sp.Expr:
    """The expression with a part named, which may be some of the terms of a sum."""
    if e.is_Add and part.is_Add and part not in e.args and set(part.args) < set(e.args):
        return e.func(symbol, *(a for a in e.args if a not in part.args))
    if e.is_Mul and part not in e.args and part == sp.fraction(e)[1]:
        return sp.fraction(e)[0] / symbol
    return e.xreplace({part: symbol})


def _size(e: sp.Expr) -> tuple[int, str]:
    return (sp.count_ops(e), str(e))
