"""Exact arithmetic on scalar expressions: a canonical form and a zero test that is a proof.

Expressions are rational functions of *generators*: symbols, roots, exponentials, opaque scalars.
Roots of positive symbols become symbols (mu = m**2), other roots and trigonometric pairs carry a
relation, and everything else is arithmetic in a field of fractions, where equality is decidable.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from math import lcm
from typing import Any

import sympy as sp
from sympy.polys.fields import FracElement, FracField
from sympy.polys.orderings import lex
from sympy.polys.rings import PolyElement

from ..._support.errors import DividedByZero, OdescentError, WrongType
from ..._support.rendering.brief import short
from ..._support.work import kept, work
from ..numbers.cases import zero_in_every_case
from ..numbers.factors import factors
from ..numbers.fractions import fraction
from ..numbers.square_roots import Number, SquareRoots
from .scalars import FUNCTIONS as KNOWN
from .scalars import SINGULAR, admitted, as_scalar, indicated, nodes, small_powers, vanishes

# Samples of what the canonical form does not decide, and the first of other sizes and signs.
_TRIED, _NEAR_ONE = 16, 4
_SCALES = (sp.Rational(1, 3), sp.Rational(1, 29), sp.Integer(5), sp.Rational(2, 3), sp.Integer(31))
_ROOT = 64  # roots of higher order have powers from -1/2 to 1/2
_PRIMES = 2**15  # the least prime that is not looked for in numbers under roots of higher order
_ALGEBRAIC = (sp.GoldenRatio, sp.TribonacciConstant)  # constants that are roots of polynomials
_HYPERBOLIC = (sp.sinh, sp.cosh, sp.tanh, sp.coth, sp.sech, sp.csch)
# functions that are compared by their arguments
_OPAQUE = tuple(f for f in KNOWN.values() if f not in (sp.exp, *_HYPERBOLIC))
# E itself stands for powers of it that were not evaluated
_REWRITTEN = (*map(type, (*_ALGEBRAIC, sp.E)), *_HYPERBOLIC, *_OPAQUE, sp.exp)


class _Lowering:
    """Rewrites expressions as rational functions of symbols, remembering what the symbols mean."""

    def __init__(self, exprs: Iterable[sp.Expr]) -> None:
        self.meaning: dict[sp.Symbol, sp.Expr] = {}  # generator -> expression
        # (generator, n, value): generator**n == value, a polynomial in earlier generators
        self.relations: list[tuple[sp.Symbol, int, sp.Expr]] = []
        self.opaque = False  # whether some generator may obey a relation that is not known here
        self._generators: dict[object, sp.Symbol] = {}
        self.places: dict[sp.Symbol, int] = {}  # generator -> its number
        self._roots: dict[sp.Symbol, int] = {}
        self._radicals: dict[tuple[sp.Expr, sp.Expr], tuple[int, sp.Expr]] = {}
        self._factored: dict[sp.Expr, Any] = {}  # a radicand's numerator and denominator
        self.field = SquareRoots()  # of numbers
        # by the rest of an exponent, the numbers before it without signs; 1 is the rest of numbers
        numbers: dict[sp.Expr, set[sp.Rational]] = {sp.S.One: set()}
        exprs = [self._rewrite(e) for e in exprs]
        for node in {n for e in exprs for n in nodes(e)}:
            if isinstance(node, sp.exp):
                number, rest = node.args[0].as_coeff_Mul()
                if isinstance(number, sp.Rational):
                    numbers.setdefault(rest, set()).add(abs(number))
            elif isinstance(node, sp.Pow):
                base, exponent = node.as_base_exp()
                if isinstance(exponent, sp.Rational) and base.is_Symbol and base.is_positive:
                    self._roots[base] = lcm(self._roots.get(base, 1), exponent.q)
            elif node is sp.E:
                numbers[sp.S.One].add(sp.S.One)
        self._roots = {base: n for base, n in self._roots.items() if n <= _ROOT}
        self._units = {rest: small_powers(found) for rest, found in numbers.items()}
        self.exprs = [self.lower(e) for e in exprs]

    @property
    def decides(self) -> bool:
        """Whether different rational functions here are different: no generator may obey an unknown relation."""
        of_rest = ({u for powers in of.values() for u in powers} for of in self._units.values())
        return not (self.relations or self.opaque or any(len(units) > 1 for units in of_rest))

    @property
    def independent(self) -> bool:
        """Whether the generators obey no relations but those of a field of square roots of numbers."""
        return len(self.relations) == len(self.field.squares) and not self.opaque

    @staticmethod
    def _rewrite(e: sp.Expr) -> sp.Expr:
        if not any(issubclass(kind, _REWRITTEN) for kind in set(map(type, nodes(e)))):
            return e
        if e.has(*_ALGEBRAIC):
            e = e.xreplace(_roots())
        if e.has(*_HYPERBOLIC):
            e = e.replace(
                lambda n: isinstance(n, _HYPERBOLIC), lambda n: n.rewrite(sp.exp, deep=False)
            )
        if e.has(sp.exp):
            e = e.replace(
                lambda n: isinstance(n, sp.exp), lambda n: sp.expand(sp.exp(canonical(n.exp)))
            )
        if e.has(*_OPAQUE):
            e = e.replace(lambda n: isinstance(n, _OPAQUE), _with_canonical_arguments)
        return e

    def _generator(self, key: object, meaning: sp.Expr) -> sp.Symbol:
        if key not in self._generators:
            symbol = meaning if meaning.is_Symbol else _made(len(self.places))
            self._generators[key] = symbol
            self.places[symbol] = len(self.places)
            self.meaning[symbol] = meaning
        return self._generators[key]

    def lower(self, e: sp.Expr) -> sp.Expr:
        work(1)
        if e.is_Rational:
            return e
        if e.is_Symbol:
            n = self._roots.get(e, 1)
            return self._generator(e, e ** sp.Rational(1, n)) ** n
        if e.is_Add or e.is_Mul:
            lowered = [self.lower(a) for a in e.args]
            same = all(a is b for a, b in zip(lowered, e.args, strict=True))
            return e if same else e.func(*lowered)
        if isinstance(e, sp.exp) or e is sp.E:
            number, rest = (sp.S.One, sp.S.One) if e is sp.E else e.args[0].as_coeff_Mul()
            self.opaque = self.opaque or not (rest == 1 or rest.is_Symbol)
            if isinstance(number, sp.Rational) and abs(number) in self._units.get(rest, {}):
                powers = self._units[rest][abs(number)].items()
                bases = [
                    (self._generator(("exp", rest, u), sp.exp(rest * u)), n) for u, n in powers
                ]
                return sp.Mul(*[base ** (n * sp.sign(number)) for base, n in bases])
        if e.is_Pow:
            base, exponent = e.as_base_exp()
            if exponent.is_Integer:
                lowered = self.lower(base)
                return e if lowered is base else lowered**exponent
            if isinstance(exponent, sp.Rational):
                return self._root(base, exponent)
        if e is sp.I:
            return self._related(e, 2, sp.S.NegativeOne)
        if isinstance(e, sp.CRootOf):
            return self._algebraic(e)
        if e in SINGULAR:
            raise DividedByZero("a denominator vanishes identically.")
        # pi is transcendental; what relates it to powers of e, and what Euler's constant is, is not known
        constant = e.is_NumberSymbol and (e is not sp.pi or bool(self._units[sp.S.One]))
        self.opaque = self.opaque or not e.is_Atom or constant
        if isinstance(e, sp.sin):
            return self._related(e, 2, 1 - self.lower(sp.cos(e.args[0])) ** 2)
        known = e in self._generators
        found = self._generator(e, e)
        if not known and isinstance(e, (sp.Max, sp.Min, sp.Abs)) and indicated(e):
            self.relations.append((found, 2, found))
        return found

    def _related(self, e: sp.Expr, n: int, value: sp.Expr) -> sp.Symbol:
        """The generator of ``e``, where ``e**n`` is ``value``."""
        if e not in self._generators:
            self.relations.append((self._generator(e, e), n, value))
        return self._generators[e]

    def _algebraic(self, e: sp.CRootOf) -> sp.Symbol:
        """A root of a polynomial, whose highest power is a combination of the others."""
        if e not in self._generators:
            root = self._generator(e, e)
            top, *others = e.poly.all_coeffs()
            n = len(others)
            if top.is_Rational and all(c.is_Rational for c in others):
                value = sp.Add(*[-c / top * root ** (n - 1 - i) for i, c in enumerate(others)])
                self.relations.append((root, n, value))
            else:
                self.opaque = True
        return self._generators[e]

    def _root(self, base: sp.Expr, exponent: sp.Rational) -> sp.Expr:
        """A fractional power; positive factors have roots of their own, which no branch cut separates."""
        if base.is_Symbol and base in self._roots:
            return self._generator(base, base ** sp.Rational(1, self._roots[base])) ** int(
                exponent * self._roots[base]
            )
        lowered = self.lower(base)
        number = self.field.read(lowered) if exponent.q == 2 else None
        root = self._root_of_number(number, exponent) if number else None
        if root is not None:
            return root
        if base not in self._factored:
            (value,), _ = _reduced([lowered], self._concerning(lowered), self.places)
            self._factored[base] = value and (factors(value.numer), factors(value.denom))
        if not self._factored[base]:
            return self.lower(sp.S.Zero**exponent)
        (over, above), (under, below) = self._factored[base]
        constant = sp.Rational(int(over), int(under))
        others = [(poly.as_expr(), k) for poly, k in above]
        others += [(poly.as_expr(), -k) for poly, k in below]

        # numbers have one root, positive factors one each, and what may be negative stays together
        top, bottom, parts = sp.sign(constant), sp.S.One, []
        number, root = self.field.rational(abs(constant)), None
        if exponent.q == 2:
            for factor, k in others:
                value = self.field.read(factor)
                if value is not None:
                    number = self.field.product(number, self.field.power(value, k))
            sign = self.field.sign(number)
            root = self._root_of_number(self.field.scaled(number, sign), exponent)
        if root is None:
            primes = sp.factorrat(abs(constant), limit=_PRIMES).items()
            root = sp.Mul(*[self._root_of_prime(sp.Integer(p), k * exponent) for p, k in primes])
        else:
            others = [(factor, k) for factor, k in others if self.field.read(factor) is None]
            top = top * sign
        for factor, k in others:
            if factor.xreplace(self.meaning).is_positive:
                parts.append((factor, k))
            elif k > 0:
                top = top * factor**k
            else:
                bottom = bottom * factor**-k
        result = root * sp.Mul(
            *[self._radical(p, sp.S.One, p.xreplace(self.meaning), k * exponent) for p, k in parts]
        )
        if top == bottom == 1:
            return result
        if top == -bottom == -1 and exponent.q == 2:
            return result * self.lower(sp.I) ** exponent.p
        whole = not parts and root == bottom == 1
        meaning = base if whole else (top / bottom).xreplace(self.meaning)
        return result * self._radical(sp.expand(top), sp.expand(bottom), meaning, exponent)

    def _root_of_number(self, a: Number, exponent: sp.Rational) -> sp.Expr | None:
        """A power k/2 of a number of the field, which grows where it must; None where it may not."""
        sign = self.field.sign(a)
        found = self.field.root(self.field.scaled(a, sign))
        if found is None:
            return None
        for k in range(len(self.field.symbols), len(self.field.squares)):  # a new root
            square = self.field.written(self.field.squares[k])
            meaning = sp.sqrt(square.xreplace(self.meaning))
            symbol = self._generator(("square root", k), meaning)
            self.field.symbols.append(symbol)
            self.relations.append((symbol, 2, square))
        power = self.field.power(a, int(exponent - sp.S.Half))
        root = self.field.written(self.field.product(power, found))
        return root if sign > 0 else root * self.lower(sp.I)

    def _root_of_prime(self, p: sp.Integer, exponent: sp.Rational) -> sp.Expr:
        """A power of a prime by its roots of odd orders, and by those of its square root."""
        even = exponent.q & -exponent.q
        odd = exponent.q // even
        of_even = exponent.p * pow(odd, -1, even) % even
        of_odd = sp.Rational(exponent.p - of_even * odd, exponent.q)
        square_root = self._root_of_number(self.field.rational(p), sp.S.Half) if of_even else None
        result = self._radical(p, sp.S.One, p, of_odd)
        if square_root is None:
            return result * self._radical(p, sp.S.One, p, sp.Rational(of_even, even))
        root = sp.sqrt(p)
        return result * self._radical(square_root, sp.S.One, root, sp.Rational(of_even * 2, even))

    def _concerning(self, lowered: sp.Expr) -> list[tuple[sp.Symbol, int, sp.Expr]]:
        """The relations of the generators in a lowered expression, and of those in their values."""
        found, symbols = [], set(lowered.free_symbols)
        for relation in reversed(self.relations):  # of earlier generators only
            if relation[0] in symbols:
                found.append(relation)
                symbols |= relation[2].free_symbols
        return found[::-1]

    def _radical(
        self, top: sp.Expr, bottom: sp.Expr, meaning: sp.Expr, exponent: sp.Rational
    ) -> sp.Expr:
        """``(top / bottom)**exponent`` by the generator bottom * (top / bottom)**(1/n), whose power is a polynomial.

        Roots of one radicand form a tower: a root of higher order is a root of the one before.
        """
        n, root = self._radicals.get((top, bottom), (1, top))
        if n % exponent.q:
            m = lcm(n, exponent.q)
            higher = self._generator(
                ("root", top, bottom, m),
                bottom.xreplace(self.meaning) * meaning ** sp.Rational(1, m),
            )
            self.relations.append((higher, m // n, bottom ** (m // n - 1) * root))
            n, root = m, higher
            self._radicals[top, bottom] = n, root
        whole = (exponent + sp.S.Half) // 1 if n > _ROOT else 0  # small powers of a high root
        return (top / bottom) ** int(whole) * (root / bottom) ** int((exponent - whole) * n)


def _with_canonical_arguments(e: sp.Expr) -> sp.Expr:
    try:
        return e.func(*map(canonical, e.args))
    except OdescentError:
        raise
    except (TypeError, ValueError):  # Max and Min of what is not real, as their arguments show
        raise WrongType(f"{short(e)} compares numbers that are not real.") from None


@functools.cache
def _made(k: int) -> sp.Symbol:
    """The symbol of a generator that is no symbol itself."""
    return sp.Dummy(f"_{k}")


@functools.cache
def _roots() -> dict[sp.Expr, sp.Expr]:
    z = sp.Symbol("z")
    return {_ALGEBRAIC[0]: (1 + sp.sqrt(5)) / 2, _ALGEBRAIC[1]: sp.CRootOf(z**3 - z**2 - z - 1, 0)}


_PRIME = 2**61 - 1


def _residue(e: sp.Expr, places: dict[sp.Symbol, int]) -> int:
    """A lowered expression modulo a prime, at a fixed point; ValueError where a denominator is zero there."""

    def at(e: sp.Expr) -> int:
        if e.is_Symbol:  # no value is a small power of another
            return pow(7, pow(1009, 1 + places[e], _PRIME - 1), _PRIME)
        if e.is_Rational:
            return int(e.p) * pow(int(e.q), -1, _PRIME) % _PRIME
        if e.is_Add:
            return sum(map(at, e.args)) % _PRIME
        if e.is_Mul:
            return functools.reduce(lambda a, b: a * b % _PRIME, map(at, e.args))
        base, exponent = e.as_base_exp()
        return pow(at(base), int(exponent), _PRIME)

    return at(e)


def _differs(lowering: _Lowering) -> bool:
    """Whether a value shows that the one expression is not zero: what is not zero modulo a prime is not zero."""
    if not lowering.decides:
        return False
    try:
        return _residue(lowering.exprs[0], lowering.places) != 0
    except ValueError:
        return False


def refuted(expr: object) -> bool:
    """Whether one value already shows that the expression is not zero; False is inconclusive."""
    return _differs(_Lowering([as_scalar(expr)]))


class Fractions:
    """Several expressions as elements of one field of fractions, where they can be computed with.

    ``elements`` are the expressions, their numerators and denominators reduced by the relations of the
    generators, which are the polynomials of ``ideal``; ``reduced`` does the same to a polynomial that was computed from
    them. Where it ``decides``, an element that is not zero here is not zero.
    """

    def __init__(self, exprs: Iterable[sp.Expr]) -> None:
        lowering = _Lowering(exprs)
        self.meaning, self.relations = lowering.meaning, lowering.relations
        self.decides = lowering.decides
        self.elements, self.ideal = _reduced(lowering.exprs, lowering.relations, lowering.places)

    def reduced(self, polynomial: PolyElement) -> PolyElement:
        return polynomial.rem(self.ideal) if self.ideal else polynomial

    def expression(self, element: FracElement) -> sp.Expr:
        """An element of the field as an expression."""
        meanings = [self.meaning.get(s, s) for s in element.field.symbols]
        above, below = (p.as_expr(*meanings) for p in (element.numer, element.denom))
        return above / below


def _reduced(
    exprs: list[sp.Expr],
    relations: list[tuple[sp.Symbol, int, sp.Expr]],
    places: dict[sp.Symbol, int],
) -> tuple[list[FracElement], list[PolyElement]]:
    """Lowered expressions as fractions whose numerators and denominators are reduced by the relations."""
    everything = [
        *exprs,
        *[root for root, _, _ in relations],
        *[value for _, _, value in relations],
    ]
    symbols = {s for e in everything for s in e.free_symbols} or {_made(0)}
    # later generators come first: relations lower the order
    field = FracField(sorted(symbols, key=lambda s: -places.get(s, 0)), sp.QQ, lex)
    own = {s: i for i, s in enumerate(field.symbols)}
    elements = [fraction(e, field, own) for e in exprs]
    values = [fraction(value, field, own) for _, _, value in relations]
    ideal = [
        field.gens[own[root]].numer ** n * value.denom - value.numer
        for (root, n, _), value in zip(relations, values, strict=True)
    ]
    if not ideal:
        return elements, ideal
    reduced = []
    for element in elements:
        work((len(element.numer) + len(element.denom)) * sum(map(len, ideal)))
        numer, denom = element.numer.rem(ideal), element.denom.rem(ideal)
        if denom == 0:
            raise DividedByZero("a denominator vanishes identically.")
        reduced.append(field(numer) / field(denom))
    return reduced, ideal


def canonical(expr: object) -> sp.Expr:
    """The expression as one cancelled fraction of polynomials in its generators."""
    e = as_scalar(expr)
    return e if e.is_Rational or e.is_Symbol else _canonical(e)


@kept(4096)
def _canonical(e: sp.Expr) -> sp.Expr:
    field = Fractions([e])
    return field.expression(field.elements[0])


def is_zero(expr: object) -> bool:
    """Whether the expression is identically zero: True is a proof.

    False means that the canonical form is not zero; where generators may obey relations that the
    canonical form does not know (nested roots, functions other than powers), a numerical value at 60
    digits confirms it. Raises ArithmeticError if those digits cannot tell the expression from zero.
    """
    e = as_scalar(expr)
    if e.is_Rational:
        return bool(e == 0)
    lowering = _Lowering([e])
    number = lowering.field.read(lowering.exprs[0])
    if number is not None:
        return not number
    if _differs(lowering):
        return False
    (element,), _ = _reduced(lowering.exprs, lowering.relations, lowering.places)
    if element == 0:
        return True
    if vanishes(element.numer, lowering.meaning):
        return True
    if lowering.independent:
        return False
    if not lowering.decides:
        # several, since what is defined piecewise is 0 at some of them
        seeds = (seed for seed in range(_TRIED) if seed < _NEAR_ONE or _is_real_at(e, seed))
        sizes = (abs(evaluate_at_sample(e, seed=seed)) for seed in seeds)
        try:
            found = any(size > 1e-50 for size in sizes if size.is_comparable)
        except (TypeError, ValueError):  # derivatives and sums of big O have no values
            found = False
        if not found:
            if zero_in_every_case(e, is_zero):
                return True
            raise ArithmeticError(f"it is undecided whether {e} is zero.")
    return False


def sample(symbols: Iterable[sp.Expr], seed: int = 0) -> dict[sp.Expr, sp.Rational]:
    """Reproducible rational values, generic and compatible with mu < L, for the given symbols.

    The first are a little above 1, others are of several sizes and of either sign.
    """
    primes = (101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167)
    values = {}
    for i, s in enumerate(sorted(symbols, key=str)):
        value = sp.Rational(primes[(i + 3 * seed) % 14] + 2 * seed, 97 + 4 * i + seed)
        if str(s) == "mu":
            value /= 11
        elif str(s) == "L":
            value *= 7
        elif seed >= _NEAR_ONE:
            value *= _SCALES[(i + seed) % 5] * (-1) ** (seed >> i % 3)
        value = -value if s.is_negative else value
        values[s] = (admitted(s, value) if s.is_Symbol else None) or value
    return values


def evaluate_at_sample(e: sp.Expr, digits: int = 60, seed: int = 0) -> sp.Expr:
    """The value at generic rational values of the free symbols and other opaque atoms, as a SymPy float.

    Args:
        e: an expression without vectors.
        digits: decimal digits of the evaluation.
        seed: selects the sample point.
    """
    closed = e.xreplace({root: sp.N(root, digits + 10) for root in e.atoms(sp.CRootOf)})
    return sp.N(closed.xreplace(_sampled(closed, seed)), digits)


def _sampled(e: sp.Expr, seed: int) -> dict[sp.Expr, sp.Rational]:
    """Values of the free symbols and of the other opaque atoms."""
    atoms = {a for a in e.atoms(sp.Expr) if a.is_Atom and not a.is_number}
    free = e.free_symbols
    return sample({a for a in atoms if not a.is_Symbol or a in free}, seed)


def _is_real_at(e: sp.Expr, seed: int) -> bool:
    """Whether no root or logarithm in the expression is of a negative number at the sample."""
    there = _sampled(e, seed)
    inside = [n.args[0] for n in e.atoms(sp.Pow, sp.log) if not (n.is_Pow and n.exp.is_Integer)]
    return all(bool(sp.N(a.xreplace(there)).is_nonnegative) for a in inside)
