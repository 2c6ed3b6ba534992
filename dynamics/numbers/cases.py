"""Scalars with kinks, case by case: what they are where each argument of a kink is positive, negative or zero."""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

COMPARING = (sp.Max, sp.Min, sp.Abs, sp.sign)  # kinks that a comparison decides
_MOST = 121  # cases of a scalar and of its parts: of four arguments that are independent


def zero_in_every_case(e: sp.Expr, is_zero: Callable[[sp.Expr], bool]) -> bool:
    """Whether a scalar with kinks is zero in each case; False also where there are too many to say.

    Cases that exclude each other are left out only where signs of symbols show it: True is a proof, False is none.
    """
    if not e.has(*COMPARING):
        return False
    named = [n for n in e.atoms(sp.AtomicExpr) if not n.is_Symbol and not n.is_number]
    open_ = [e.xreplace({n: sp.Dummy(real=True) for n in named})]
    for _ in range(_MOST):
        if not open_:
            return True
        case = open_.pop()
        if case.has(sp.nan, sp.zoo, sp.oo, -sp.oo):  # a quotient without a value
            return False
        kink = innermost(case, COMPARING)
        if kink is not None:
            open_ += [_where(case, _compared(kink), side) for side in (1, -1, 0)]
        elif not _is_zero(case, is_zero):
            return False
    return not open_


def _is_zero(e: sp.Expr, is_zero: Callable[[sp.Expr], bool]) -> bool:
    try:
        return is_zero(e)
    except ArithmeticError:  # undecided, or a denominator that vanishes
        return False


def innermost(e: sp.Expr, kinds: tuple[type[sp.Basic], ...]) -> sp.Expr | None:
    """A part of the scalar of one of these kinds with none inside of it."""
    return min(_inner(e, kinds), key=sp.default_sort_key, default=None)


def _inner(e: sp.Expr, kinds: tuple[type[sp.Basic], ...]) -> list[sp.Expr]:
    return [n for n in e.atoms(*kinds) if not any(a.has(*kinds) for a in n.args)]


def _compared(kink: sp.Expr) -> sp.Expr:
    """What decides a kink by its sign: its argument, or the difference of two."""
    return kink.args[0] - kink.args[1] if isinstance(kink, (sp.Max, sp.Min)) else kink.args[0]


def _where(e: sp.Expr, compared: sp.Expr, side: int) -> sp.Expr:
    """What the scalar is where another one is positive (1), negative (-1) or zero (0)."""
    ratio = {}
    for kink in _inner(e, COMPARING):
        share = sp.cancel(_compared(kink) / compared)
        if share.is_Rational:
            ratio[kink] = side if share > 0 else -side
    found = e.xreplace({kink: _on_a_side(kink, s) for kink, s in ratio.items()})
    # a symbol in terms of the others and of a positive number: signs that follow are evaluated
    for s in sorted(compared.free_symbols, key=lambda s: (bool(s.is_positive), str(s))):
        rise = sp.diff(compared, s)
        if rise.is_nonzero and not rise.has(s):
            value = sp.expand(s + (side * sp.Dummy(positive=True) - compared) / rise)
            if value.is_positive or not s.is_positive or side == 0:
                return found.xreplace({s: value})
    return found


def _on_a_side(kink: sp.Expr, side: int) -> sp.Expr:
    if isinstance(kink, sp.sign):
        return sp.Integer(side)
    if isinstance(kink, sp.Abs):
        return side * kink.args[0]
    first, second, *others = kink.args
    above = side >= 0 if isinstance(kink, sp.Max) else side <= 0
    return kink.func(first if above else second, *others)
