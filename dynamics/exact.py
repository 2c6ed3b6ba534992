"""Exact arithmetic on scalar expressions: a canonical form and a zero test that is a proof.

Expressions are rational functions of *generators*: symbols, roots, exponentials, opaque scalars.
Roots of positive symbols become symbols (mu = m**2), other roots and trigonometric pairs carry a
relation, and everything else is arithmetic in a field of fractions, where equality is decidable.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from math import lcm

import sympy as sp
from sympy.polys.fields import FracElement, FracField
from sympy.polys.orderings import lex

_HYPERBOLIC = (sp.sinh, sp.cosh, sp.tanh, sp.coth, sp.sech, sp.csch)


def as_scalar(value: object) -> sp.Expr:
    """A number or SymPy expression as an exact expression; floats are read as their decimals (0.1 is 1/10).

    Raises TypeError for anything else, strings included: text is never evaluated.
    """
    if isinstance(value, sp.Expr):
        if value.has(sp.Float):
            floats = {f: sp.Rational(str(f)) for f in value.atoms(sp.Float)}
            return value.xreplace(floats)
        return value
    if isinstance(value, bool) or isinstance(value, str):
        raise TypeError(f"a number or SymPy expression was expected, not {value!r}.")
    if isinstance(value, int):
        return sp.Integer(value)
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise TypeError(f"a finite number was expected, not {value}.")
        return sp.Rational(repr(value))
    try:
        return as_scalar(float(value))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise TypeError(f"a number or SymPy expression was expected, not {value!r}.") from None


class _Lowering:
    """Rewrites expressions as rational functions of symbols, remembering what the symbols mean."""

    def __init__(self, exprs: Iterable[sp.Expr]) -> None:
        self.meaning: dict[sp.Symbol, sp.Expr] = {}  # generator -> expression
        self.relations: list[tuple[sp.Symbol, int, sp.Expr]] = []  # generator**n == lowered value
        self._generators: dict[object, sp.Symbol] = {}
        self._roots: dict[sp.Symbol, int] = {}
        self._exponents: dict[sp.Expr, int] = {}
        exprs = [self._rewrite(e) for e in exprs]
        for e in exprs:
            for power in e.atoms(sp.Pow):
                base, exponent = power.as_base_exp()
                if isinstance(exponent, sp.Rational) and base.is_Symbol and base.is_positive:
                    self._roots[base] = lcm(self._roots.get(base, 1), exponent.q)
            for node in e.atoms(sp.exp):
                number, rest = node.args[0].as_coeff_Mul()
                if isinstance(number, sp.Rational):
                    self._exponents[rest] = lcm(self._exponents.get(rest, 1), number.q)
        self.exprs = [self.lower(e) for e in exprs]

    @staticmethod
    def _rewrite(e: sp.Expr) -> sp.Expr:
        if e.has(*_HYPERBOLIC):
            e = e.replace(lambda n: isinstance(n, _HYPERBOLIC), lambda n: n.rewrite(sp.exp))
        if e.has(sp.exp):
            e = e.replace(lambda n: isinstance(n, sp.exp), sp.expand)
        return e

    def _generator(self, key: object, meaning: sp.Expr) -> sp.Symbol:
        if key not in self._generators:
            symbol = sp.Symbol(f"_{len(self._generators)}")
            self._generators[key] = symbol
            self.meaning[symbol] = meaning
        return self._generators[key]

    def lower(self, e: sp.Expr) -> sp.Expr:
        if e.is_Rational:
            return e
        if e.is_Symbol:
            n = self._roots.get(e, 1)
            return self._generator(e, e ** sp.Rational(1, n)) ** n
        if e.is_Add or e.is_Mul:
            return e.func(*[self.lower(a) for a in e.args])
        if isinstance(e, sp.exp):
            number, rest = e.args[0].as_coeff_Mul()
            if isinstance(number, sp.Rational) and rest in self._exponents:
                n = self._exponents[rest]
                return self._generator(("exp", rest), sp.exp(rest / n)) ** int(number * n)
        if e.is_Pow:
            base, exponent = e.as_base_exp()
            if exponent.is_Integer:
                return self.lower(base) ** exponent
            if isinstance(exponent, sp.Rational):
                return self._root(base, exponent)
        if isinstance(e, sp.sin):
            cosine = self.lower(sp.cos(e.args[0]))
            fresh = e not in self._generators
            sine = self._generator(e, e)
            if fresh:
                self.relations.append((sine, 2, 1 - cosine**2))
            return sine
        return self._generator(e, e)

    def _root(self, base: sp.Expr, exponent: sp.Rational) -> sp.Expr:
        if base.is_Symbol and base in self._roots:
            n = self._roots[base]
            return self._generator(base, base ** sp.Rational(1, n)) ** int(exponent * n)
        if base.is_Integer and base > 1:
            factors = sp.factorint(base)
            if len(factors) > 1 or next(iter(factors.values())) > 1:
                return sp.Mul(*[self.lower(sp.Integer(p) ** (k * exponent)) for p, k in factors.items()])
        value = self.lower(base)
        value = canonical(value) if value.free_symbols else value
        key = ("root", value, exponent.q)
        fresh = key not in self._generators
        root = self._generator(key, base ** sp.Rational(1, exponent.q))
        if fresh:
            self.relations.append((root, exponent.q, value))
        return root**exponent.p


def _fraction_field(lowering: _Lowering) -> FracField:
    ordered = sorted({s for e in lowering.exprs for s in e.free_symbols} | _relation_symbols(lowering), key=_order)
    return FracField(ordered, sp.QQ, lex)


def _relation_symbols(lowering: _Lowering) -> set[sp.Symbol]:
    found: set[sp.Symbol] = set()
    for root, _, value in lowering.relations:
        found |= {root} | value.free_symbols
    return found


def _order(symbol: sp.Symbol) -> tuple[int, str]:
    name = str(symbol)
    return (-int(name[1:]), name) if name[1:].isdigit() else (1, name)


def _to_field(e: sp.Expr, field: FracField, generators: dict[sp.Symbol, FracElement]) -> FracElement:
    if e.is_Symbol:
        return generators[e]
    if e.is_Rational:
        return field(sp.QQ(e.p, e.q))
    if e.is_Add:
        return functools.reduce(lambda a, b: a + b, [_to_field(a, field, generators) for a in e.args])
    if e.is_Mul:
        return functools.reduce(lambda a, b: a * b, [_to_field(a, field, generators) for a in e.args])
    base, exponent = e.as_base_exp()
    return _to_field(base, field, generators) ** int(exponent)


def _elements(exprs: list[sp.Expr]) -> tuple[list[FracElement], _Lowering]:
    lowering = _Lowering(exprs)
    field = _fraction_field(lowering)
    generators = dict(zip(field.symbols, field.gens, strict=True))
    elements = [_to_field(e, field, generators) for e in lowering.exprs]
    if lowering.relations:
        ideal = []
        for root, n, value in lowering.relations:
            tail = _to_field(value, field, generators)
            ideal.append(tail.denom * generators[root].numer ** n - tail.numer)
        reduced = []
        for element in elements:
            numer, denom = element.numer.rem(ideal), element.denom.rem(ideal)
            if denom == 0:
                raise ZeroDivisionError("a denominator vanishes identically.")
            reduced.append(field(numer) / field(denom))
        elements = reduced
    return elements, lowering


def canonical(expr: object) -> sp.Expr:
    """The expression as one cancelled fraction of polynomials in its generators."""
    e = as_scalar(expr)
    if e.is_Rational or e.is_Symbol:
        return e
    (element,), lowering = _elements([e])
    return element.as_expr().xreplace(lowering.meaning)


def is_zero(expr: object) -> bool:
    """Whether the expression is identically zero: True is a proof.

    False means that the canonical form is not zero; for nested roots whose relations the canonical
    form does not know, a numerical value at 60 digits decides between False and an error.
    Raises ArithmeticError if the canonical form is nonzero but 60 digits cannot tell it from zero.
    """
    e = as_scalar(expr)
    if e.is_Rational:
        return bool(e == 0)
    elements, lowering = _elements([e])
    if elements[0] == 0:
        return True
    if lowering.relations and abs(evaluate_at_sample(e)) < 1e-50:
        raise ArithmeticError(f"it is undecided whether {e} is zero.")
    return False


def sample(symbols: Iterable[sp.Symbol], seed: int = 0) -> dict[sp.Symbol, sp.Rational]:
    """Reproducible rational values, generic and compatible with mu < L, for the given symbols."""
    primes = (101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167)
    values = {}
    for i, s in enumerate(sorted(symbols, key=str)):
        value = sp.Rational(primes[(i + 3 * seed) % 14] + 2 * seed, 97 + 4 * i + seed)
        if s.name == "mu":
            value /= 11
        elif s.name == "L":
            value *= 7
        values[s] = value
    return values


def evaluate_at_sample(e: sp.Expr, digits: int = 60) -> sp.Expr:
    """The expression's value at generic rational values of its symbols."""
    return sp.N(e.xreplace(sample(e.free_symbols)), digits)


def parameters(names: str, **assumptions: bool | None) -> tuple[sp.Symbol, ...] | sp.Symbol:
    """Scalar parameters by name, positive unless told otherwise: ``c, h = parameters("c h")``."""
    if not assumptions:
        assumptions = {"positive": True}
    found = tuple(sp.Symbol(check_name(n), **assumptions) for n in names.replace(",", " ").split())
    if not found:
        raise ValueError("parameters() needs at least one name, as in parameters('c h').")
    return found[0] if len(found) == 1 else found


def check_name(name: str) -> str:
    """The name if it can stand in emitted source; raises ValueError otherwise."""
    import keyword

    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_") or len(name) > 60:
        raise ValueError(
            f"{name!r} cannot be a name: use letters, digits and underscores, not first an underscore "
            "or a digit, no Python keyword, at most 60 characters."
        )
    return name
