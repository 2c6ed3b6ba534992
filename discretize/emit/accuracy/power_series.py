"""Sums of polynomials times exponentials of one number, divided by their order at zero.

Such a sum, exp(-x) - 1 + x for one, loses its digits where x is small, all of them in the end. Divided by
the power of x with which it begins it is an entire function that is not zero at zero: there it is computed
by its power series, in the shift exp(-s x) of it whose terms all have one sign.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from math import factorial, lcm
from typing import Any, ClassVar, TypeAlias

import mpmath
import sympy as sp

from ....dynamics.algebra.scalars import small_powers
from ....dynamics.numbers.factors import in_factors

Z = sp.Symbol("z", positive=True)
_SWITCHES = (sp.Rational(1, 2), sp.Integer(1), sp.Integer(2), sp.Integer(4))
_TAIL = sp.Rational(1, 2**56)
_HIGHEST = 40  # terms of a series
_POWER = 16  # of an exponential in a polynomial that is factored


Parts: TypeAlias = dict[sp.Rational, dict[int, sp.Rational]]


class PowerSeries(sp.Function):
    """F(x) / x**order for one such sum F; each sum has a class of its own, see `power_series`.

    Attributes:
        total: F as an expression in `Z`.
        order: of the zero of F.
        shift: s.
        terms: coefficients of exp(-s z) F(z) / z**order, from the constant one on.
        switch: below it the series is used.
    """

    total: ClassVar[sp.Expr]
    order: ClassVar[int]
    shift: ClassVar[sp.Expr]
    terms: ClassVar[tuple[sp.Rational, ...]]
    switch: ClassVar[sp.Rational]

    nargs = 1

    @classmethod
    def eval(cls, x: sp.Expr) -> sp.Expr | None:
        return cls.terms[0] if x == 0 else None

    def _eval_is_positive(self) -> bool | None:
        positive: bool | None = True if self.args[0].is_nonnegative else None
        return positive

    @classmethod
    def exact(cls, x: Any) -> Any:
        """The value in the precision of mpmath."""
        if x == 0:
            return mpmath.mpf(cls.terms[0].p) / cls.terms[0].q
        with mpmath.extradps(20 + int(cls.order * max(0, -mpmath.log10(abs(x))))):
            return sum(_terms(_parts(cls.total), x)) / x**cls.order


def factored(e: sp.Expr) -> sp.Expr:
    """The factors of a scalar that has exponentials, which are taken for polynomials in a few of them.

    SymPy takes exp(x/500) for exp(1001 x/500) - 1, which has 1001 roots in it. Where powers would be high, they are
    those of `small_powers`.
    """
    groups: dict[sp.Expr, list[sp.Rational]] = {}
    for power in e.atoms(sp.exp):
        c, x = power.args[0].as_coeff_Mul()
        groups.setdefault(x, []).append(c)
    new: dict[sp.Expr, sp.Expr] = {}
    back: dict[sp.Expr, sp.Symbol] = {}
    for x, found in groups.items():
        if not all(c.is_Rational for c in found):
            continue
        if max(map(abs, found)) * lcm(*(c.q for c in found)) <= _POWER:
            continue  # SymPy takes the root of them all
        units = small_powers({abs(c) for c in found})
        for c in found:
            parts = ((sp.exp(u * x), n * sp.sign(c)) for u, n in units[abs(c)].items())
            new[sp.exp(c * x)] = sp.Mul(
                *(back.setdefault(power, sp.Dummy(positive=True)) ** n for power, n in parts)
            )
    plain = in_factors(e.xreplace(new))
    return plain.xreplace({symbol: power for power, symbol in back.items()})


def power_series(e: sp.Expr) -> sp.Expr | None:
    """A sum of exponentials with its order at zero taken out, or None where it isn't one in a single number.

    The number is a product x of positive symbols; the sum is c x**n F(x) / x**n.
    """
    found = _in_one_number(e)
    if found is None:
        return None
    factor, total, x = found
    made = _function(total)
    if made is None:
        return None
    function, sign = made
    return sign * factor * x**function.order * function(x)


def _in_one_number(e: sp.Expr) -> tuple[sp.Expr, sp.Expr, sp.Expr] | None:
    """A factor, the rest as an expression in `Z`, and what `Z` is."""
    from sympy.codegen.cfunctions import expm1

    e = e.replace(expm1, lambda a: sp.exp(a) - 1)
    exponents = [a.args[0] for a in e.atoms(sp.exp)]
    if not exponents:
        return None
    x = abs(exponents[0].as_coeff_Mul()[0]) ** -1 * exponents[0]
    x = -x if x.could_extract_minus_sign() else x
    powers = [f.as_base_exp() for f in sp.Mul.make_args(x)]
    if any(not b.is_Symbol or not b.is_positive for b, _ in powers):
        return None
    if not all((b / x).is_Rational for b in exponents):
        return None
    chosen = next((b for b, n in powers if n == 1), None)
    if chosen is None:
        return None
    inside = factored(e.xreplace({chosen: Z * chosen / x}))
    factor, total = inside.as_independent(Z, as_Add=False)
    if total.free_symbols != {Z}:
        return None
    total = sp.expand(total)
    rates = [sp.Add(*[f.args[0] for f in t.atoms(sp.exp)]) / Z for t in sp.Add.make_args(total)]
    if all(r.is_Rational for r in rates) and max(rates) != 0:  # the sum grows as a power at most
        factor, total = factor * sp.exp(max(rates) * x), sp.expand(total * sp.exp(-max(rates) * Z))
    least = min((t.as_coeff_exponent(Z)[1] for t in sp.Add.make_args(total)), default=sp.S.Zero)
    if least < 0:
        factor, total = factor * x**least, sp.expand(total * Z**-least)
    return factor, total, x


def _parts(total: sp.Expr) -> Parts:
    """The sum of c z**n exp(r z) as {r: {n: c}}; ValueError if it is none."""
    found: Parts = {}
    for term in sp.Add.make_args(sp.expand(total)):
        rate, power, c = sp.S.Zero, 0, sp.S.One
        for factor in sp.Mul.make_args(term):
            base, exponent = factor.as_base_exp()
            if isinstance(factor, sp.exp):
                rate += factor.args[0] / Z
            elif base == Z and exponent.is_Integer:
                power += int(exponent)
            elif factor.is_Rational:
                c *= factor
            else:
                raise ValueError("not a sum of exponentials.")
        if not rate.is_Rational:
            raise ValueError("not a sum of exponentials.")
        inside = found.setdefault(rate, {})
        inside[power] = inside.get(power, sp.S.Zero) + c
    return found


@lru_cache(maxsize=256)
def _function(total: sp.Expr) -> tuple[Any, int] | None:
    try:
        parts = _parts(total)
    except ValueError:
        return None
    low = min(n for powers in parts.values() for n in powers)
    if low < 0:
        return None
    plain = _taylor(parts, sp.S.Zero, _HIGHEST)
    order = next((n for n, c in enumerate(plain) if c != 0), None)
    if order is None or order == 0:
        return None
    rates = sorted(parts)
    shifts = [*rates, (rates[0] + rates[-1]) / 2]
    best = None
    for switch in _SWITCHES:
        if _direct_loss(parts, switch) > 6 and switch != _SWITCHES[-1]:
            continue
        for shift in shifts:
            terms = _taylor(parts, shift, order + _HIGHEST)[order:]
            kept = _enough(terms, switch)
            if kept is None or len({c > 0 for c in kept if c != 0}) > 1:
                continue
            count = sum(c != 0 for c in kept)
            if best is None or count < best[0]:
                best = count, shift, kept, switch
        break
    if best is None:
        return None
    _, shift, kept, switch = best
    sign = 1 if kept[0] > 0 else -1
    name = f"PowerSeries_{sha256(str(total).encode()).hexdigest()[:8]}"
    signed = {"total": sign * total, "terms": tuple(sign * c for c in kept)}
    return type(
        name, (PowerSeries,), {**signed, "order": order, "shift": shift, "switch": switch}
    ), sign


def _taylor(parts: Parts, shift: sp.Rational, count: int) -> list[sp.Rational]:
    """The first coefficients of exp(-shift z) times the sum."""
    found = [sp.S.Zero] * count
    for rate, powers in parts.items():
        for n, c in powers.items():
            for i in range(n, count):
                found[i] += c * (rate - shift) ** (i - n) / factorial(i - n)
    return found


def _enough(terms: list[sp.Rational], switch: sp.Rational) -> list[sp.Rational] | None:
    """As many as double precision asks for below the switch."""
    sizes = [abs(float(c)) * float(switch) ** n for n, c in enumerate(terms)]
    for n in range(len(terms), 0, -1):
        if sizes[n - 1] > float(_TAIL) * max(sizes):
            return terms[:n] if n < len(terms) else None
    return None


def _terms(parts: Parts, x: Any) -> list[Any]:
    """The sum's terms at a number, one for each rate."""
    found = []
    for rate, powers in parts.items():
        inside = sum(mpmath.mpf(c.p) / c.q * x**n for n, c in powers.items())
        found.append(inside * mpmath.exp(mpmath.mpf(rate.p) / rate.q * x))
    return found


def _direct_loss(parts: Parts, x: sp.Rational) -> float:
    """How much larger its terms are than the sum, differences of exponentials to one taken as one term."""
    terms = _terms(parts, mpmath.mpf(x.p) / x.q)
    total = sum(terms)
    return float(sum(map(abs, terms)) / abs(total)) if total else float("inf")
