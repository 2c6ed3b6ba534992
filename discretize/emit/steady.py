"""Scalars with exponentials in a form that keeps its digits: no overflow, no cancellation near zero.

Exact coefficients are cancelled fractions, such as (exp(c h) - 1) exp(-c h). In floating point that
overflows for large c h and loses digits for small; -expm1(-c h) is the same and does neither.
"""

from __future__ import annotations

import sympy as sp
from sympy.codegen.cfunctions import expm1

_HALF = sp.Rational(1, 2)


def steady(e: sp.Expr) -> sp.Expr:
    """The same scalar with the largest exponential taken out of each sum and differences as expm1.

    A radicand in which digits may still cancel is cut off at zero: rounding never makes a root of a
    negative number.
    """
    sums = [a for a in e.atoms(sp.Add) if any(_power(t)[1] != 0 for t in a.args)]
    if not sums:
        return e
    return _rewritten(sp.factor(e))


def _rewritten(e: sp.Expr) -> sp.Expr:
    if e.is_Atom or isinstance(e, sp.exp):
        return e
    if e.is_Pow and e.exp in (_HALF, -_HALF):
        factors = sp.Mul.make_args(_rewritten(e.base))
        loose = [f for f in factors if f.is_Add and f.has(expm1)]
        sure = sp.Mul(*[f for f in factors if f not in loose])
        rest = sp.Max(0, sp.Mul(*loose)) if loose else sp.S.One
        return sure**e.exp * rest**e.exp
    done = e.func(*[_rewritten(a) for a in e.args])
    return _sum(done) if done.is_Add else done


def _sum(e: sp.Expr) -> sp.Expr:
    parts = [_power(t) for t in sp.expand_mul(e).args]
    exponents = [b for _, b in parts]
    most = next((m for m in exponents if all((m - b).is_nonnegative for b in exponents)), None)
    if most is None or all(b == 0 for b in exponents):
        return e
    terms = [(c, sp.expand(b - most)) for c, b in parts]
    plain = sp.Add(*[c * sp.exp(b) for c, b in terms])
    if not all(c.is_positive for c, _ in terms):
        small = sp.Add(*[c * expm1(b) for c, b in terms if b != 0])
        plain = sp.Add(*[c for c, _ in terms]) + small
    return sp.exp(most) * plain


def _power(term: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """A term as c exp(b)."""
    exponentials = [f for f in sp.Mul.make_args(term) if isinstance(f, sp.exp)]
    rest = [f for f in sp.Mul.make_args(term) if not isinstance(f, sp.exp)]
    return sp.Mul(*rest), sp.Add(*[f.args[0] for f in exponentials])
