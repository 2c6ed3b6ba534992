"""Scalars in an accurate form: without overflow and avoidable cancellation.

Exact coefficients are cancelled fractions, such as (exp(c h) - 1) exp(-c h). In floating point that
overflows for large c h and loses digits for small; -expm1(-c h) is the same and does neither. Each sum is
looked at by itself: where the form it stands in loses digits at numbers of its parameters (`rounding`),
the forms below are tried, and the one that loses least is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import sympy as sp
from sympy.codegen.cfunctions import expm1

from ....dynamics.algebra.vectors import ScalarNode
from ....dynamics.numbers.factors import in_factors
from .exact_sums import ExactSum, exact_sum
from .power_series import PowerSeries, factored, power_series
from .rounding import sample, score

_HALF = sp.Rational(1, 2)
_BETTER = 0.8  # another form has to lose that much less
LEAST = sp.Float("1e-300")  # stands for zero in a logarithm


def accurate(e: sp.Expr) -> sp.Expr:
    """The same scalar in the most accurate of the forms that we know.

    Exponentials: the largest is taken out of each sum, differences are expm1, and what still cancels at
    zero is a `PowerSeries`. Differences of roots are conjugated. A polynomial with zeros inside the domain of
    its parameters, beside which every rounded form loses digits, is an `ExactSum`. A radicand in which digits may
    still cancel is cut off at zero: rounding never makes a root of a negative number.
    """
    if e.has(ScalarNode) or not any(_may_cancel(a) for a in e.atoms(sp.Add)):
        return e
    listed = [s for s in sorted(e.free_symbols, key=lambda s: s.name) if s.name not in ("mu", "L")]
    neutral = {s: sp.Symbol(f"p{i}", **s.assumptions0) for i, s in enumerate(listed)}
    return _accurate(e.xreplace(neutral)).xreplace({n: s for s, n in neutral.items()})


@lru_cache(maxsize=4096)
def _accurate(e: sp.Expr) -> sp.Expr:
    sums = [a for a in e.atoms(sp.Add) if any(_power(t)[1] != 0 for t in a.args)]
    return _rewritten(factored(e) if sums else e)


def accurate_step(e: sp.Expr) -> sp.Expr:
    """The same for a scalar of the step: 1 - b**(k + 1) as -expm1((k + 1) log(b)), where b is close to one.

    Exponentials less one are expm1. Quotients that hyperbolic tangents were written as are such again, since their
    exponentials overflow.
    """
    if any(p.exp.is_negative and _exponentials(p.base) for p in e.atoms(sp.Pow)):
        e = _tangents(e)
    for u in {n.args[0] for n in e.atoms(sp.cosh)}:
        e = e.xreplace({sp.sinh(u): sp.tanh(u) * sp.cosh(u)})
    e = e.replace(lambda n: isinstance(n, sp.log) and n.has(sp.exp), _log_of_sum)
    for total in sorted(e.atoms(sp.Add), key=sp.default_sort_key):
        powers = [p for p in total.atoms(sp.Pow) if not p.exp.is_number and p.base.is_positive]
        if powers and not total.has(ScalarNode) and _may_cancel(total):
            e = e.xreplace({total: next(_powers(total), total)})
    return less_one(e)


def less_one(e: sp.Expr) -> sp.Expr:
    """The scalar with differences such as exp(b) - 1 as expm1(b)."""
    return e.replace(lambda n: n.is_Add and n.has(sp.exp), _less_one)


def _less_one(total: sp.Expr) -> sp.Expr:
    """A sum with c exp(b) - c as c expm1(b)."""
    terms = list(sp.Add.make_args(total))
    for term in total.args:
        c, b = _power(term)
        if b != 0 and -c in terms:
            terms.remove(term)
            terms.remove(-c)
            terms.append(c * expm1(b))
    return sp.Add(*terms)


def _tangents(e: sp.Expr) -> sp.Expr:
    """With exp(u) as (1 + t)/(1 - t), t = tanh(u/2), where nothing with it that may be zero is below a fraction line.

    Exponentials of other arguments would be left to overflow: then it stays as it is.
    """
    arguments = _exponentials(e)
    for least in sorted(arguments, key=lambda n: (n.count_ops(), sp.default_sort_key(n))):
        u, t = arguments[least], sp.Dummy(real=True)
        powers = {n: sp.cancel(b / u) for n, b in arguments.items()}
        whole = {n: ((1 + t) / (1 - t)) ** p for n, p in powers.items() if p.is_Integer}
        folded = sp.cancel(e.xreplace(whole))
        below = (p.base for p in folded.atoms(sp.Pow) if not p.exp.is_positive)
        fine = not any(base.is_Add and base.has(t) and _may_vanish(base, t) for base in below)
        if least in whole and fine and whole.keys() == powers.keys():
            return folded.xreplace({t: sp.tanh(u / 2)})
    return e


def _exponentials(e: sp.Expr) -> dict[sp.Expr, sp.Expr]:
    """The exponentials in a scalar, powers of numbers among them, with their arguments."""
    found = {n: n.args[0] for n in e.atoms(sp.exp)}
    for p in e.atoms(sp.Pow):
        if p.base.is_Rational and p.base.is_positive and not p.exp.is_number:
            found[p] = p.exp * sp.log(p.base)
    return found


def _log_of_sum(whole: sp.Expr) -> sp.Expr:
    """log(c exp(a) + d exp(b)) as max(a, b) + log(c exp(a - max(a, b)) + ...), which does not overflow."""
    parts = [_power(t) for t in sp.Add.make_args(sp.expand_mul(whole.args[0]))]
    exponents = {b for _, b in parts}
    known = all(c.is_positive for c, _ in parts) and not any(b.has(sp.Max) for b in exponents)
    if len(exponents) < 2 or not known:
        return whole
    most = sp.Max(*exponents)
    return most + sp.log(sp.Add(*[c * sp.exp(b - most) for c, b in parts]))


def _may_vanish(e: sp.Expr, t: sp.Symbol) -> bool:
    """Whether a sum is not known to keep away from zero for t from -1 to 1."""
    if not e.is_polynomial(t):
        return True
    p = sp.Poly(e, t)
    known = all(c.is_Rational for c in p.all_coeffs())
    return bool(not known or p.count_roots(-1, 1) > 0)


def at_zero(e: sp.Expr, h: sp.Symbol) -> sp.Expr | None:
    """The scalar in a form that has its limit at h = 0, or None where there is no finite limit."""
    if e.xreplace({h: sp.S.Zero}).is_finite:
        return e
    sums = {a: power_series(a) for a in e.atoms(expm1, sp.Add) if a.has(h) and a.has(expm1, sp.exp)}
    known = {a: s for a, s in sums.items() if s is not None}
    opened = sp.powsimp(e.xreplace(known)) if known else e
    return opened if opened.xreplace({h: sp.S.Zero}).is_finite else None


def _may_cancel(e: sp.Add) -> bool:
    """Whether the sum has terms that need not have the same sign."""
    return any(not t.is_positive for t in e.args) and any(not (-t).is_positive for t in e.args)


def _rewritten(e: sp.Expr) -> sp.Expr:
    if e.is_Atom or isinstance(e, (sp.exp, PowerSeries, ExactSum)):
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
    """The best form of one sum: of a polynomial its factors, each formed exactly where it may cancel."""
    plain = without_overflow(e)
    if not any(_may_cancel(a) for a in plain.atoms(sp.Add)):
        return plain
    if e.is_polynomial(*e.free_symbols):
        factors = sp.Mul.make_args(in_factors(e))
        return sp.Mul(*[_exact(f.as_base_exp()[0]) ** f.as_base_exp()[1] for f in factors])
    points = sample(frozenset(e.free_symbols))
    best, least = plain, score(plain, points)
    for other in _forms(e) if least else ():
        found = score(other, points)
        if found < _BETTER * least:
            best, least = other, found
    return best


def _exact(e: sp.Expr) -> sp.Expr:
    exact = exact_sum(e)
    return e if exact is None else exact


def _forms(e: sp.Expr) -> Iterator[sp.Expr]:
    """Other forms of a sum."""
    if (series := power_series(e)) is not None:
        yield series
    yield from _powers(e)
    yield from _conjugated(e)
    yield factored(e)


def _powers(e: sp.Expr) -> Iterator[sp.Expr]:
    """c - c b**n as -c expm1(n log(b)), and exp(a) - exp(b) as exp(b) expm1(a - b)."""
    symbols = set[sp.Symbol]() if e.has(sp.Max, sp.Min) else e.free_symbols
    for term in e.args:
        for power in term.atoms(sp.Pow):
            other = symbols != power.free_symbols  # nothing else may be in c - c b**n
            if other or power.exp.is_number or isinstance(power, sp.exp):
                continue
            less = sp.Symbol("less")
            inside = sp.expand(e.xreplace({power: 1 + less}))
            c, rest = inside.coeff(less, 1), inside.coeff(less, 0)
            if rest == 0 and c.is_Rational:
                yield c * expm1(power.exp * sp.log(sp.Max(power.base, LEAST)))
    parts = [_power(t) for t in e.args]
    if len(parts) == 2:
        (c, a), (d, b) = parts
        if a != b and sp.expand(c + d) == 0:
            yield c * sp.exp(b) * expm1(in_factors(a - b))


def _conjugated(e: sp.Expr) -> Iterator[sp.Expr]:
    """p - n as (p**2 - n**2) / (p + n), where that has fewer roots."""
    less = [t for t in e.args if t.could_extract_minus_sign()]
    if not less or not any(p.exp == _HALF for p in e.atoms(sp.Pow)):
        return
    content, _ = e.as_content_primitive()
    n = -sp.Add(*less) / content
    p = e / content + n
    content = sp.S(content)
    difference = in_factors(sp.expand(p**2 - n**2))
    if not _roots(difference) < _roots(
        e
    ):  # else a sum of many terms with a root would be conjugated on and on
        return
    above = _rewritten(difference)
    exact = (content.p * content.q).bit_count() == 1  # SymPy takes a number into a sum of two
    yield content * above / (p + n) if exact else above / ((p + n) / content)


def _roots(e: sp.Expr) -> set[sp.Expr]:
    return {p.base for p in e.atoms(sp.Pow) if p.exp.is_Rational and p.exp.q == 2}


def without_overflow(e: sp.Expr) -> sp.Expr:
    """The sum with its largest exponential taken out, and differences as expm1."""
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
