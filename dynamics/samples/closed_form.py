"""Means over a scalar sample of two values, or one that decides by a threshold: a coin with heads where u < p."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import sympy as sp

from ..algebra.calculus import substitute, symbols_of
from ..algebra.vectors import Vector
from .sample import ScalarSample


def in_closed_form(e: Any, s: Any) -> Any:
    """The mean over a sample of what is no polynomial in it; None where there is no closed form."""
    if not isinstance(s, ScalarSample):
        return None
    if s.law_name == "rademacher":
        return (substitute(e, {s: sp.S.One}) + substitute(e, {s: -sp.S.One})) * sp.S.Half
    return None if isinstance(e, Vector) or s.law_name != "uniform" else _by_thresholds(e, s)


def _by_thresholds(e: sp.Expr, u: ScalarSample) -> sp.Expr | None:
    """The integral from 0 to 1 of a polynomial on each side of where signs change; several thresholds are numbers."""
    sides = [n for n in e.atoms(sp.sign) if u in symbols_of(n)]
    slopes = [n.args[0].diff(u) for n in sides]
    if not sides or any(u in symbols_of(k) or not (k.is_positive or k.is_negative) for k in slopes):
        return None
    roots = [sp.cancel(u - n.args[0] / k) for n, k in zip(sides, slopes, strict=True)]
    if any(u in symbols_of(r) for r in roots):  # it is in a function's argument there
        return None
    if len(roots) > 1 and not all(r.is_Rational for r in roots):
        return None
    ends = [sp.Max(0, sp.Min(1, r)) for r in roots]
    order = sorted(range(len(ends)), key=lambda i: ends[i]) if len(ends) > 1 else [0]
    total = sp.S.Zero
    for count, (start, end) in enumerate(
        pairwise([sp.S.Zero, *(ends[i] for i in order), sp.S.One])
    ):
        passed = set(order[:count])
        signs = {
            n: sp.S.One if (i in passed) == bool(slopes[i].is_positive) else -sp.S.One
            for i, n in enumerate(sides)
        }
        part = sp.expand(e.xreplace(signs))
        if not part.is_polynomial(u):
            return None
        terms = sp.Poly(part, u).terms()
        if any(u in symbols_of(c) for _, c in terms):
            return None
        total += sp.Add(*(c * (end ** (n + 1) - start ** (n + 1)) / (n + 1) for (n,), c in terms))
    return total
