"""Scalar coefficients of an emitted step: readable forms, names, shared parts.

What depends on the hyper-parameters alone is computed once, outside the step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from itertools import chain, count
from math import lcm
from typing import Any

import sympy as sp

from ....dynamics.algebra.exact import canonical
from ....dynamics.algebra.products import Elementwise
from ....dynamics.algebra.vectors import Atom, Expr, ScalarNode, Vector, VectorSymbol
from ....dynamics.notation.readable import with_fewer_exponentials
from ....dynamics.numbers.factors import in_factors
from ..accuracy.cancellation import accurate, at_zero
from ..accuracy.power_series import PowerSeries
from ..printing.lines import MARK, bare
from .names import Naming, version

_HALF = sp.Rational(1, 2)
_FIRST = {"mu": 0, "L": 1, "h": 2, "lr": 2}


def in_order(parameters: Iterable[sp.Symbol]) -> tuple[sp.Symbol, ...]:
    """Hyper-parameters as signatures list them: mu, L, h, then by name."""
    return tuple(sorted(parameters, key=lambda s: (_FIRST.get(bare(s.name), 3), bare(s.name))))


def presentable(e: sp.Expr) -> sp.Expr:
    """The same scalar in the form with the fewest operations that we know to find."""
    if e.is_Rational or e.is_Symbol:
        return e
    e = e.replace(lambda n: isinstance(n, sp.exp), _exponential)
    if e.has(sp.exp):
        e = e.replace(lambda n: n.is_Add and n.has(sp.exp), _led)
        e = e.replace(lambda n: n.is_Mul, _joined)
    plain = not e.has(sp.Function, ScalarNode) and all(p.exp.is_Rational for p in e.atoms(sp.Pow))
    if not (plain and e.free_symbols):
        return e
    roots = {s: 1 for s in e.free_symbols if s.is_positive}
    for power in e.atoms(sp.Pow):
        if power.base in roots:
            roots[power.base] = lcm(roots[power.base], power.exp.q)
    stand_in = {s: sp.Symbol(f"{s.name}__{n}", positive=True) for s, n in roots.items() if n > 1}
    lifted = e.xreplace({s: t ** roots[s] for s, t in stand_in.items()})
    lifted = lifted.replace(lambda n: n.is_Pow and not n.exp.is_Integer, sp.powdenest)
    back = {t: s ** sp.Rational(1, roots[s]) for s, t in stand_in.items()}
    candidates = [in_factors(lifted).xreplace(back), canonical(e), e]
    return min(candidates, key=lambda c: (sp.count_ops(c), candidates.index(c)))


def presentable_body(body: sp.Expr) -> sp.Expr:
    """An element-wise body as it was written, exponentials of logarithms apart."""
    return body.replace(lambda n: isinstance(n, sp.exp), presentable)


def presented(e: Expr) -> Expr:
    """A vector or scalar with its coefficients and functions of entries in readable forms."""
    if not isinstance(e, Vector):
        return presentable(e)
    terms: list[tuple[Atom, sp.Expr]] = []
    for a, c in e.terms.items():
        if isinstance(a, Elementwise):
            a = Elementwise(presentable_body(a.body), a.arguments)
        terms.append((a, presentable(c)))
    return Vector.of(terms)


def _exponential(e: sp.Expr) -> sp.Expr:
    """exp(a log b) is b**a."""
    exponent = in_factors(sp.cancel(e.args[0]))
    logs = [f for f in sp.Mul.make_args(exponent) if isinstance(f, sp.log)]
    if len(logs) == 1:
        return logs[0].args[0] ** (exponent / logs[0])
    return sp.exp(exponent)


def _led(e: sp.Expr) -> sp.Expr:
    """a exp(u) + b exp(v) is exp(u) (a + b exp(v - u)) where u and v are data, which may be large and alike."""
    parts: dict[sp.Expr, sp.Expr] = {}
    for t in e.args:
        a, u = _split(t)
        parts[u] = parts.get(u, sp.S.Zero) + a
    data = [u for u in parts if u.has(ScalarNode) or not all(v.is_positive for v in u.free_symbols)]
    if not data or sp.S.Zero in parts:
        return e
    lead = max(data, key=lambda u: not parts[u].is_number)  # p - exp(v - u), for a comparison
    return sp.exp(lead) * sp.Add(*(a * sp.exp(u - lead) for u, a in parts.items()))


def _joined(e: sp.Expr) -> sp.Expr:
    """exp(u) exp(v) is exp(u + v), which may be a moderate number where either is none."""
    e = with_fewer_exponentials(e)
    if sum(isinstance(f, sp.exp) for f in sp.Mul.make_args(e)) < 2:
        return e
    rest, whole = _split(e)
    made = sp.exp(whole)
    return rest * (_exponential(made) if isinstance(made, sp.exp) else made)


def _split(e: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """a and u of a exp(u)."""
    factors = sp.Mul.make_args(e)
    powers = [f.args[0] for f in factors if isinstance(f, sp.exp)]
    return sp.Mul(*(f for f in factors if not isinstance(f, sp.exp))), sp.Add(*powers)


def minus(e: sp.Expr) -> sp.Expr:
    """-e, with the sign taken into a sum where there is one."""
    factors = list(sp.Mul.make_args(e))
    for i, factor in enumerate(factors):
        if factor.is_Add:
            return sp.Mul(*factors[:i], -factor, *factors[i + 1 :])
    return -e


def negative(e: sp.Expr) -> bool:
    """Whether the scalar reads better with a minus sign before it: its value at typical parameters."""
    if e.is_Rational:
        return bool(e < 0)
    if not e.has(ScalarNode):
        values = {}
        for i, s in enumerate(sorted(e.free_symbols, key=lambda s: bare(s.name))):
            typical = sp.Rational(2 + i, 9 + 2 * i)  # in (0, 1), as most rates are
            named = {"mu": sp.Rational(1, 7), "L": sp.Integer(3)}
            counts = s.is_integer or not s.is_positive  # the counter, and scalar blocks
            values[s] = sp.Integer(3) if counts else named.get(s.name, typical)
        value = sp.nan  # as a derivative has, which is refused later
        with contextlib.suppress(TypeError, ValueError):
            value = sp.N(e.xreplace(values))
        if value.is_real and value != 0:
            return bool(value < 0)
    return bool(e.could_extract_minus_sign())


class Coefficients:
    """The table of coefficients: each distinct value under one readable name."""

    def __init__(
        self,
        parameters: Iterable[sp.Symbol],
        used: set[str],
        naming: Naming,
        step: sp.Symbol | None = None,
    ) -> None:
        self.parameters = set(parameters)
        self.naming, self.step = naming, step
        self.used = used  # names already taken in the emitted code
        self.fields: dict[sp.Symbol, sp.Expr] = {}  # name -> value in the parameters
        self._known: dict[sp.Expr, sp.Symbol] = {}
        self._formed: dict[sp.Symbol, sp.Expr] = {}

    def static(self, e: sp.Expr) -> bool:
        """Whether the scalar depends on nothing but the hyper-parameters."""
        return not e.has(ScalarNode) and e.free_symbols <= self.parameters

    def fresh(self, *candidates: str) -> str:
        """The first of the names that is not taken, or the last one with a number."""
        numbered = (f"{candidates[-1]}_{n}" for n in count(1))
        # The mark of one name may stand in two places.
        known = {bare(n) for n in self.used if MARK in n}
        for name in chain(candidates, numbered):
            new = self.naming.marked(name)
            if not {name, new} & self.used and not (MARK in new and bare(new) in known):
                break
        self.used |= {name, new}
        return new

    def field(self, e: sp.Expr, *candidates: str) -> sp.Symbol:
        """The name of a static value, entered in the table if it is new."""
        if e not in self._known:
            own = (e.name,) if e.is_Symbol else ()
            if own:
                self.used.discard(e.name)
            symbol = sp.Symbol(self.fresh(*own, *candidates), positive=True)
            self._known[e] = symbol
            self.fields[symbol] = e
        return self._known[e]

    def plain(self, e: sp.Expr) -> sp.Expr | None:
        """A static value as people write it inside a longer scalar, or None: products of at most two
        powers of parameters, such as 2 mu / sqrt(L)."""
        number, rest = e.as_coeff_Mul()
        if isinstance(rest, sp.log) and len(rest.free_symbols) == 1:
            return number * self.field(rest, f"log_{next(iter(rest.free_symbols)).name}")
        factors = [f for f in sp.Mul.make_args(e) if not f.is_Rational]
        powers = [f.as_base_exp() for f in factors]
        simple = all(b.is_Symbol and n in (1, 2, -1, -2, _HALF, -_HALF) for b, n in powers)
        if len(powers) > 2 or not simple:
            return None
        found = sp.Mul(*[f for f in sp.Mul.make_args(e) if f.is_Rational])
        for b, n in powers:
            if abs(n) == _HALF:
                found *= self.field(sp.sqrt(b), f"root_{b.name}") ** int(2 * n)
            else:
                found *= self.field(b, b.name) ** n
        return found

    def forms(self) -> dict[sp.Symbol, sp.Expr]:
        """The fields as they are computed: accurate, and with their limit at a step of zero if there is one."""
        if self._formed.keys() == self.fields.keys():
            return self._formed
        found = {}
        for symbol, e in self.fields.items():
            form, h = accurate(e), self.step
            limit = at_zero(form, h) if h is not None and form.has(h) else None
            found[symbol] = form if limit is None else limit
        self._formed = found
        return found

    def series(self) -> dict[Any, str]:
        """The power series that the fields are made of, and what their functions are called."""
        forms = self.forms().values()
        kinds = dict.fromkeys(type(s) for e in forms for s in sorted(e.atoms(PowerSeries), key=str))
        several = len(kinds) > 1
        return {k: f"_series_{i}" if several else "_series" for i, k in enumerate(kinds, 1)}

    def shared(self) -> tuple[list[tuple[sp.Symbol, sp.Expr]], dict[str, sp.Expr]]:
        """Common sub-expressions, and the fields in terms of them, by name."""
        taken = {s.name for s in self.parameters} | self.naming.avoid
        names = (sp.Symbol(f"_{i}", real=True) for i in range(10_000))
        fields = list(self.forms().values())
        parts, values = sp.cse(fields, symbols=names, order="canonical")
        rename: dict[sp.Symbol, sp.Symbol] = {}
        for temporary, value in parts:
            stem = f"root_{value.base}" if value.is_Pow and value.base.is_Symbol else ""
            stem = self.naming.marked(stem) if stem else ""
            root = stem and value.exp == sp.Rational(1, 2) and stem not in taken
            name = stem if root else self.naming.numbered("t", taken)
            taken.add(name)
            known = {"positive": True} if value.xreplace(rename).is_positive else {"real": True}
            rename[temporary] = sp.Symbol(name, **known)
        listed = [(rename[t], v.xreplace(rename)) for t, v in parts]
        by_name = {s.name: v.xreplace(rename) for s, v in zip(self.fields, values, strict=True)}
        return listed, by_name


def stem(v: Vector) -> str:
    """What a vector is called in the names of its coefficients: blocks without their version number."""
    if isinstance(v, VectorSymbol):
        return version(v.name)[0]
    return "".join(stem(a) for a in getattr(v, "arguments", ())) or "f"
