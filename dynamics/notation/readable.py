"""Scalars as people write them, for display: conditions as Iverson's brackets [a < b], remainders and floors.

The calculus writes conditions with signs, max(0, sign(b - a)), and rounds up only, where equality is decidable; a
reader wants the rest back. The result is for printing only.
"""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.printing.latex import LatexPrinter
from sympy.printing.precedence import PRECEDENCE

from ..algebra.scalars import indicated
from ..algebra.vectors import ScalarNode

# the values of an indicator where the sign in it is -1, 0 and 1, and the relation of what has that sign to 0
_RELATIONS = {
    (1, 0, 0): "<", (1, 1, 0): "<=", (0, 1, 0): "=", (1, 0, 1): "!=", (0, 1, 1): ">=", (0, 0, 1): ">",
}  # fmt: skip
_FAILS = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "=": "!=", "!=": "="}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_LATEX = {"<=": r"\leq", ">=": r"\geq", "!=": r"\neq"}


class Indicator(sp.Expr):
    """[left relation right], 1 where it holds and else 0; the relation is a symbol of that name. To be printed."""

    precedence = PRECEDENCE["Atom"]
    is_commutative = True
    is_real = True

    @property
    def otherwise(self) -> Indicator:
        """1 where this one is 0."""
        left, relation, right = self.args
        return Indicator(left, sp.Symbol(_FAILS[relation.name]), right)

    def _sympystr(self, printer: Any) -> str:
        left, relation, right = self.args
        return f"[{_bare(left, printer)} {relation} {_bare(right, printer)}]"

    def _latex(self, printer: Any, exp: str = "") -> str:
        left, relation, right = self.args
        sign = _LATEX.get(relation.name, relation.name)
        shown = rf"\mathbf{{1}}_{{\{{{_bare(left, printer)} {sign} {_bare(right, printer)}\}}}}"
        return shown + (f"^{{{exp}}}" if exp else "")


class Remainder(sp.Expr):
    """(a mod b), to be printed."""

    precedence = PRECEDENCE["Atom"]
    is_commutative = True
    is_real = True

    def bare(self, printer: Any) -> str:
        """Without its parentheses."""
        by = r"\,\mathrm{mod}\," if isinstance(printer, LatexPrinter) else "mod"
        times = PRECEDENCE["Mul"]
        left, right = (printer.parenthesize(a, times, strict=a is self.args[0]) for a in self.args)
        return f"{left} {by} {right}"

    def _sympystr(self, printer: Any) -> str:
        return f"({self.bare(printer)})"

    def _latex(self, printer: Any, exp: str = "") -> str:
        return rf"\left({self.bare(printer)}\right)" + (f"^{{{exp}}}" if exp else "")


def _bare(e: sp.Expr, printer: Any) -> str:
    return str(e.bare(printer) if isinstance(e, Remainder) else printer.doprint(e))


def readable(e: sp.Expr) -> sp.Expr:
    """The same scalar with each condition in it as a bracket, remainders and floors, and 1 - exp(-a) as such."""
    if e.is_Atom or not e.has(sp.sign, sp.ceiling, sp.exp):
        return e
    for times in (1, -1):
        if (found := indicated(times * e)) is not None:
            return times * _bracket(*found)
    for term in sp.Add.make_args(e) if e.has(sp.ceiling) else ():
        if (made := _rounded_down(e, term)) is not None:
            return made
    return with_fewer_exponentials(_other_cases(e.func(*[readable(a) for a in e.args])))


def with_fewer_exponentials(e: sp.Expr) -> sp.Expr:
    """exp(-a) (exp(a) - 1) as 1 - exp(-a), also under a root."""
    if not (e.is_Mul and e.has(sp.exp)):
        return e
    found = [e]
    for outer in (f for f in e.args if isinstance(f, sp.exp)):
        for other in e.args:
            base, power = other.as_base_exp()
            if base.is_Add and base.has(sp.exp) and power.is_Rational:
                within = sp.exp(outer.args[0] / power)  # it is positive
                made = sp.Add(*(t * within for t in base.args)) ** power
                found.append(sp.Mul(*(f for f in e.args if f not in (outer, other)), made))
    least = min(found, key=lambda m: int(m.count_ops()))
    return e if least == e else with_fewer_exponentials(least)


def _other_cases(e: sp.Expr) -> sp.Expr:
    """a - a [c < b] as a [c >= b], and a [c < b] + a [c >= b] as a."""
    for term in e.args if e.is_Add else ():
        for one in (f for f in sp.Mul.make_args(term) if isinstance(f, Indicator)):
            rest = term / one
            if rest * one.otherwise in e.args:
                return _other_cases(e - term - rest * one.otherwise + rest)
            if -rest in e.args:
                return _other_cases(e - term + rest - rest * one.otherwise)
    return e


def _length(e: sp.Expr) -> tuple[bool, bool, int]:
    return not e.is_number, e.has(ScalarNode), int(e.count_ops())


def _rounded_down(e: sp.Expr, term: sp.Expr) -> sp.Expr | None:
    """With a term b ceiling(-a/b) of a + b ceiling(-a/b) as a mod b, or -ceiling(-a) as floor(a); else None."""
    times, rounded = term.as_independent(sp.ceiling, as_Add=False)
    if not isinstance(rounded, sp.ceiling):
        return None
    (inside,) = rounded.args
    dividend = sp.expand(-inside * times)
    named = {t for t in sp.Add.make_args(dividend) if not t.is_number}
    if e.is_Add and named and named <= {*e.args}:
        sign = -1 if times.could_extract_minus_sign() else 1
        made = Remainder(readable(sign * dividend), readable(sign * times))
        return readable(e - term - dividend) + sign * made
    if times.could_extract_minus_sign() and inside.could_extract_minus_sign():
        return readable(e - term) - times * sp.floor(readable(-inside), evaluate=False)
    return None


def _bracket(side: sp.Expr, values: tuple[int, int, int]) -> sp.Expr:
    """What is positive on one side, what is negative on the other, and what is longer on the left."""
    if values not in _RELATIONS:
        return sp.Integer(values[0])
    relation, side = _RELATIONS[values], readable(side)
    right = -sp.Add(*(t for t in sp.Add.make_args(side) if t.could_extract_minus_sign()))
    left = side + right
    if _length(right) > _length(left):
        left, relation, right = right, _TURNED.get(relation, relation), left
    return Indicator(left, sp.Symbol(relation), right)
