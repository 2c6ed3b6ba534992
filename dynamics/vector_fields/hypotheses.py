"""Hypotheses of a proof, decided if possible: signs, factors that must not vanish, smoothness.

A hypothesis is *proved* (for the declared signs of its symbols, which are listed with it), *assumed* (it
holds for some values and not, as far as is known, for all) or *refuted*: it holds for no value. Scalars that
are made of vectors count as real numbers, squared norms and <x, m(x)> of a named map m that dissipates as numbers
that are not negative.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import sympy as sp

from ..._support.errors import OdescentError
from ..algebra.calculus import singular, substitute, symbols_of
from ..algebra.exact import canonical
from ..algebra.products import Elementwise, slots
from ..algebra.scalars import as_scalar
from ..algebra.vectors import Expr, ScalarNode, Vector, scalar_calls
from ..maps.dissipation import dissipates
from ..notation.show import latex, text
from ..numbers.factors import in_factors

_SMOOTH = (
    sp.Add, sp.Mul, sp.exp, sp.sin, sp.cos, sp.sinh, sp.cosh, sp.tanh, sp.sech, sp.atan, sp.asinh, sp.erf
)  # fmt: skip
_SIGNS = {
    "positive": "> 0", "negative": "< 0", "nonnegative": r"\ge 0", "nonpositive": r"\le 0", "nonzero": r"\ne 0",
}  # fmt: skip
_RELATIONS = {"!= 0": r"\ne 0", ">= 0": r"\ge 0"}
_TRIALS, _DECADES = 96, 18
_LARGEST = 400  # operations of an expression that is factored
_TIMES = {1: "", 2: "twice ", 3: "three times ", 4: "four times "}


E = TypeVar("E", Vector, sp.Expr)


@dataclass(frozen=True)
class Hypothesis:
    """A property of an expression that a proof uses.

    Attributes:
        subject: what the expression is, in words.
        expression: the expression.
        relation: "> 0", "!= 0", "diverges" (its integral over all later times), "stays away" (from zero),
            "is smooth", or what is said of an operator, such as "is positive definite".
        status: "proved", "assumed" or "refuted".
        needs: the declared signs of symbols that a proof uses, as LaTeX.
        moving: of an integral, the symbol of time (or None), then the scalars of the state.
    """

    subject: str
    expression: Expr
    relation: str
    status: str
    needs: tuple[str, ...] = ()
    moving: tuple[sp.Symbol | None, ...] = ()

    def latex(self) -> str:
        """The hypothesis, its mathematics between dollar signs."""
        shown = latex(self.expression)
        if self.relation == "diverges":
            return f"the integral of ${shown}$ over all later times is infinite"
        if self.relation == "is smooth":
            return f"${shown}$ is smooth where it is taken"
        if self.relation == "stays away":
            return f"${shown}$ stays away from zero"
        if isinstance(self.expression, Vector):
            return f"${shown}$ {self.relation}"
        return f"${shown} {_RELATIONS.get(self.relation, self.relation)}$"

    def at(self, values: Mapping[sp.Symbol, sp.Expr]) -> Hypothesis:
        """The same with values given to its symbols, decided anew if it has one of them."""
        e = self.expression
        given = {s: v for s, v in values.items() if s in symbols_of(e)}
        if not given or isinstance(e, Vector):
            return self
        told = ", ".join(f"{s} = {text(v)}" for s, v in given.items())
        subject, e = f"with {told}, {self.subject}", substitute(e, given)
        if self.relation == "diverges":
            return attracts(subject, e, *self.moving)[-1]
        if self.relation in ("> 0", "!= 0"):
            return positive(subject, e) if self.relation == "> 0" else nonzero(subject, e)
        return replace(self, subject=subject, expression=e)

    def checked(self) -> Hypothesis:
        """Itself; raises OdescentError, with what was found, if it is refuted."""
        if self.status != "refuted":
            return self
        found = text(self.expression)
        if self.relation == "diverges":
            raise OdescentError(
                f"{self.subject} {found} has a finite integral over all later times, or a negative one, so the damped "
                "quantity does not tend to zero."
            )
        wanted, why = {
            "> 0": ("be positive", ", which is so for no value of its symbols that was found"),
            "!= 0": ("not vanish", ", which is zero whatever its symbols are"),
        }[self.relation]
        why = "" if isinstance(self.expression, Vector) or self.expression.is_number else why
        raise OdescentError(f"{self.subject} must {wanted}, but it is {found}{why}.")


def assumptions(hypotheses: Iterable[Hypothesis]) -> str:
    """The assumptions, as prose: signs that the proofs use, and hypotheses that were not proved."""
    said: dict[str, None] = {}
    for h in hypotheses:
        found = [f"${n}$" for n in h.needs] if h.status == "proved" else [h.latex()]
        said.update(dict.fromkeys(found))
    return ", ".join(said)


def positive(subject: str, e: sp.Expr) -> Hypothesis:
    """That a scalar is positive."""
    return _decided(subject, e, "> 0", lambda v: v.is_positive, lambda v: v.is_nonpositive)


def nonnegative(subject: str, e: sp.Expr) -> Hypothesis:
    """That a scalar is not negative."""
    return _decided(subject, e, ">= 0", lambda v: v.is_nonnegative, lambda v: v.is_negative)


def nonzero(subject: str, e: sp.Expr) -> Hypothesis:
    """That a scalar does not vanish."""
    return _decided(subject, e, "!= 0", lambda v: v.is_zero is False, lambda v: v.is_zero)


Test = Callable[[sp.Expr], "bool | None"]


def _decided(subject: str, e: sp.Expr, relation: str, holds: Test, fails: Test) -> Hypothesis:
    if singular(e):
        return Hypothesis(subject, e, relation, "refuted")
    if _proved(e, holds, ()):
        return Hypothesis(subject, e, relation, "proved", _needed(e, holds))
    refuted = _proved(e, fails, ()) or _never(e, relation)
    return Hypothesis(subject, e, relation, "refuted" if refuted else "assumed")


def _real(e: sp.Expr, without: Iterable[sp.Symbol]) -> sp.Expr:
    """The expression in real symbols: scalars made of vectors by their signs, symbols ``without`` theirs."""
    swaps: dict[sp.Expr, sp.Expr] = {}
    for node in sorted(e.atoms(ScalarNode), key=str):
        least_zero = node.squared or dissipates(node)
        swaps[node] = sp.Dummy(nonnegative=True) if least_zero else sp.Dummy(real=True)
    for s in sorted(e.free_symbols, key=str):
        if s in without or s.is_real is None:
            swaps[s] = sp.Dummy(s.name, real=True)
    opened = e.xreplace(swaps)
    return opened.replace(sp.coth, lambda a: 1 / sp.tanh(a))


def _proved(e: sp.Expr, test: Test, without: Iterable[sp.Symbol]) -> bool:
    """Whether SymPy's rules of signs settle it, for the expression, its factors or its canonical form."""
    real = _real(e, without)
    if test(real):
        return True
    if real.count_ops() > _LARGEST:
        return False
    return any(test(form(real)) for form in (in_factors, canonical))


def _needed(e: sp.Expr, test: Test) -> tuple[str, ...]:
    """The declared signs of symbols without which the proof fails."""
    dropped: list[sp.Symbol] = []
    needs = []
    for s in sorted(e.free_symbols, key=str):
        sign = next((r for tag, r in _SIGNS.items() if getattr(s, f"is_{tag}")), None)
        if sign is None or _proved(e, test, (*dropped, s)):
            dropped.append(s)
        else:
            needs.append(f"{latex(s)} {sign}")
    return tuple(needs)


def _never(e: sp.Expr, relation: str) -> bool:
    """Whether it holds at none of many values of very different sizes, of which it can be computed at enough."""
    real, rng = _real(e, ()), random.Random(0)
    symbols = sorted(real.free_symbols, key=lambda s: (s.name, getattr(s, "dummy_index", 0)))
    tried = 0
    for i in range(_TRIALS):
        values = _values(symbols, _DECADES * i // _TRIALS, rng)  # sizes near one first
        found = sp.N(real.xreplace(values), 30)
        if not found.is_comparable:
            continue
        tried += 1
        if found > 0 or (relation == "!= 0" and found != 0):
            return False
    return tried > _TRIALS // 4


def _values(
    symbols: Iterable[sp.Symbol], decades: int, rng: random.Random
) -> dict[sp.Symbol, sp.Expr]:
    """Random values of sizes up to so many powers of ten, with the declared signs and mu below L."""
    values: dict[sp.Symbol, sp.Expr] = {}
    for s in symbols:
        size = sp.Rational(rng.randint(100, 999), 100) * sp.Integer(10) ** rng.randint(
            -decades, decades
        )
        size = sp.Integer(max(1, round(size))) if s.is_integer else size
        if s.is_nonpositive or not (s.is_nonnegative or rng.random() < 0.5):
            size = -size
        values[s] = size
    by_name = {s.name: s for s in values}
    if {"mu", "L"} <= by_name.keys():
        values[by_name["L"]] += values[by_name["mu"]]
    return values


def regular(subject: str, e: Expr) -> Iterator[Hypothesis]:
    """Smoothness hypotheses on an expression: denominators, roots and logarithms, inside oracle calls too.

    Hypotheses that hold without any assumption are left out.
    """
    for h in _regular(subject, e):
        if h.status != "proved" or h.needs:
            yield h


def _regular(subject: str, e: Expr) -> Iterator[Hypothesis]:
    if isinstance(e, Vector):
        for atom, scale in e.terms.items():
            yield from _regular(subject, scale)
            if isinstance(atom, Elementwise):
                yield from _elementwise(subject, atom)
            else:
                for part in atom.parts():
                    yield from _regular(subject, part)
        return
    for node in sp.preorder_traversal(e):
        if isinstance(node, ScalarNode):
            for part in node.arguments:
                yield from _regular(subject, part)
        elif isinstance(node, sp.Pow):
            yield from _power(subject, *node.as_base_exp())
        elif isinstance(node, sp.log):
            yield positive(f"a logarithm in {subject}", node.args[0])
        elif isinstance(node, (sp.coth, sp.csch)):
            yield nonzero(f"a denominator in {subject}", node.args[0])
        elif isinstance(node, sp.Expr) and node.args and not isinstance(node, _SMOOTH):
            yield Hypothesis(f"a function in {subject}", node, "is smooth", "assumed")


def _power(subject: str, base: sp.Expr, exponent: sp.Expr) -> Iterator[Hypothesis]:
    if exponent.is_Integer:
        if exponent < 0:
            yield nonzero(f"a denominator in {subject}", base)
    elif base != sp.E and not (
        exponent.is_Rational and exponent >= 1 and _proved(base, lambda v: v.is_nonnegative, ())
    ):
        what = "what is under a root" if exponent.is_Rational else "the base of a power"
        yield positive(f"{what} in {subject}", base)


def _elementwise(subject: str, atom: Elementwise) -> Iterator[Hypothesis]:
    """A function of each component: smooth for every real argument, or assumed to be where it is taken."""
    own = set(slots(len(atom.arguments)))
    for h in _regular(subject, atom.body):
        inside = h.expression
        if not isinstance(inside, Vector) and own & inside.free_symbols:
            if h.status != "proved":
                yield Hypothesis(f"a function in {subject}", atom, "is smooth", "assumed")
        else:
            yield h
    for part in atom.arguments:
        yield from _regular(subject, part)


def differentiability(exprs: Iterable[Expr]) -> str:
    """The order of differentiability of each objective or operator, as an assumption in prose."""
    orders: dict[str, int] = {}
    for e in exprs:
        calls = e.calls() if isinstance(e, Vector) else scalar_calls(e)
        for c in calls:
            name = f"${latex(sp.Symbol(c.oracle.of))}$"
            if not c.oracle.form.field:
                name = f"the {c.oracle.kind} of {name}"
            order = len(c.directions) + c.oracle.form.orders
            orders[name] = max(order, orders.get(name, 0))
    return ", ".join(
        f"{name} is {_TIMES.get(n, f'{n} times ')}differentiable"
        for name, n in sorted(orders.items())
        if n
    )


def attracts(
    subject: str, gain: sp.Expr, time: sp.Symbol | None, *states: sp.Symbol | None
) -> list[Hypothesis]:
    """Hypotheses under which psi' = -K psi tends to zero: K is positive, and its integral over [t, infinity) diverges.

    A positive constant satisfies both. For a function of time the second is decided by its growth (1/t diverges, a
    higher power of 1/t does not). For one that depends on the state (on vectors, or on the scalars ``states``) it is
    assumed, unless a positive constant bounds it from below.

    Args:
        subject: what K is, for the statement.
        gain: K.
        time: the symbol of time, if any.
        *states: scalar blocks.
    """
    sign = positive(subject, gain)
    if not _moving(gain, time, *states) or sign.status == "refuted":
        return [sign]
    return [sign, _lasts(subject, gain, time, *states)]


def approaches(
    subject: str,
    gain: sp.Expr,
    slope: sp.Expr,
    time: sp.Symbol | None,
    *states: sp.Symbol | None,
) -> list[Hypothesis]:
    """Hypotheses under which the distance d = psi / slope from the manifold psi = 0 tends to zero with psi' = -K psi.

    It does where the slope is bounded away from zero. With a slope of time alone, d' = -(K + slope'/slope) d.

    Args:
        subject: what the distance is, for the statement.
        gain: K.
        slope: the derivative of psi across the manifold.
        time: the symbol of time, if any.
        *states: scalar blocks.
    """
    moving = _moving(slope, time, *states)
    if not moving or any(_bounded_below(sign * slope, moving) for sign in (1, -1)):
        return []
    if moving != {time}:
        return [Hypothesis(f"the factor of psi in {subject}", slope, "stays away", "assumed")]
    subject, rate = f"the rate of {subject}", canonical(gain + sp.diff(slope, time) / slope)
    if rate.free_symbols == {time}:
        return [_lasts(subject, rate, time, *states)]  # it may be negative at first
    return attracts(subject, rate, time, *states)


def _moving(e: sp.Expr, *candidates: sp.Symbol | None) -> set[sp.Expr]:
    """Its parts that change with time: scalars made of vectors, and symbols."""
    found: set[sp.Expr] = e.atoms(ScalarNode) | (set(candidates) & e.free_symbols)
    return found


def _lasts(
    subject: str, rate: sp.Expr, time: sp.Symbol | None, *states: sp.Symbol | None
) -> Hypothesis:
    """That its integral over all later times is infinite."""
    moving = _moving(rate, time, *states)
    status = "proved" if _bounded_below(rate, moving) else "assumed"
    if status == "assumed" and moving <= {time} and rate.count_ops() < _LARGEST:
        status = _divergence(rate, time or sp.Dummy())
    return Hypothesis(subject, rate, "diverges", status, moving=(time, *states))


def _bounded_below(gain: sp.Expr, moving: set[sp.Expr]) -> bool:
    """Whether it is a positive constant and terms that are not negative."""
    expanded = sp.expand(gain)
    fixed = [t for t in sp.Add.make_args(expanded) if not t.has(*moving)]
    rest = expanded - sp.Add(*fixed)
    return _proved(sp.Add(*fixed), lambda v: v.is_positive, ()) and _proved(
        rest, lambda v: v.is_nonnegative, ()
    )


def _divergence(gain: sp.Expr, time: sp.Symbol) -> str:
    """Whether the integral of a function of time is infinite, by Raabe's test, then by Bertrand's.

    It is not if the function ends below -c/(t log t), c > 0: then the integral is minus infinity.

    With p the limit of t K'/K it is infinite for p > -1 and finite for p < -1; at p = -1 the limit of
    (1 + t K'/K) log t takes the place of p.
    """
    t = sp.Dummy("t", positive=True)
    late = gain.xreplace({time: t})
    try:
        if sp.limit(late * t * sp.log(t), t, sp.oo).is_extended_negative:
            return "refuted"
        growth = sp.simplify(t * sp.diff(late, t) / late)
        power = sp.limit(growth, t, sp.oo)
        if power == -1:
            power = sp.limit((1 + growth) * sp.log(t), t, sp.oo)
    except (NotImplementedError, ValueError, TypeError, AttributeError):
        return "assumed"
    if not power.is_extended_real or not (power.is_number or power.is_infinite) or power == -1:
        return "assumed"
    return "proved" if power > -1 else "refuted"


def real_valued(e: E, what: str) -> E:
    """The expression; raises OdescentError if a coefficient in it is infinite, undefined or not real."""
    if singular(e):
        raise OdescentError(f"{what} is not finite: {text(e)}.")
    if _imaginary(e):
        raise OdescentError(f"{what} is not real: {text(e)}.")
    return e


def _imaginary(e: Expr) -> bool:
    if isinstance(e, Vector):
        return any(_imaginary(c) or any(map(_imaginary, a.parts())) for a, c in e.terms.items())
    if e.has(sp.I) or e.is_real is False:
        return True
    return any(_imaginary(v) for node in e.atoms(ScalarNode) for v in node.arguments)


def scalar_argument(value: object, what: str) -> sp.Expr:
    """A number or expression; raises OdescentError, with what was given, for anything else."""
    try:
        return real_valued(as_scalar(value), what)
    except TypeError:
        shown = text(value) if isinstance(value, Vector) else repr(value)
        kind = (
            "the vector"
            if isinstance(value, Vector)
            else "the text"
            if isinstance(value, str)
            else ""
        )
        raise OdescentError(
            f"{what} must be a number or a scalar expression, such as 2 or 2 * sqrt(mu), not "
            f"{' '.join(filter(None, (kind, shown)))}."
        ) from None
