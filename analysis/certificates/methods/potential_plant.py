"""A method with time-varying coefficients as polynomials in one number v, for certificates of all steps.

Where coefficients are rational in the step number k, v = k. Where they are rational in a scalar t with a recurrence
t+ = r(t, sqrt(q(t))), q of degree two with a square leading coefficient, Euler's substitution sqrt(q) = a t + m makes
t and t+ rational in v = 1 / (m - m_oo), and t from its first value to infinity is v from some number on. So the
recurrence of FISTA and of the optimized gradient method, t+^2 - t+ = t^2, needs no numbers besides rational ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sympy as sp

from ...._support.errors import OdescentError
from ....dynamics.algebra.exact import canonical, is_zero
from ....dynamics.algebra.scalars import as_scalar, constant
from ....dynamics.vector_fields.system import L as smoothness
from ....dynamics.vector_fields.system import mu as convexity
from ..checking.document import text
from ..checking.field import NotInField, NumberField
from .plant import Method, check_bound
from .unroll import _check_rests, _form, _free

if TYPE_CHECKING:
    from ....discretize.linear.time_varying_form import TimeVarying

V = sp.Symbol("v", positive=True)


@dataclass(frozen=True)
class Clock:
    """The scalar that the coefficients depend on: its value and its next one as functions of v, from ``begin`` on."""

    symbol: sp.Symbol
    now: sp.Expr
    next: sp.Expr
    begin: sp.Expr
    first: sp.Expr

    @property
    def whole(self) -> bool:
        """Whether v counts the steps."""
        return bool(self.now == V)


def describe(method: Method, L: object, output: str | None = None) -> dict[str, Any]:
    """The method's name, and its "statement" as `checker.Potential` has it, but for the growth.

    See `certify_potential` for the arguments and the errors.

    Args:
        method: as for `certify_potential`.
        L: smoothness, rational.
        output: the sequence that is bounded; the method's output by default.
    """
    high = constant("L", L, strict=True)
    if not high.is_Rational:
        raise OdescentError(
            f"a bound for all steps needs a rational L, not {L}; rescale the function to L = 1."
        )
    general, name = _form(method, sp.S.Zero, high, output)
    _check_rests(general, name)
    form = _on_class(general, high)
    if form.D.rows != 1:
        raise OdescentError(
            f"a bound for all steps requires one gradient per step; this method takes {form.D.rows}."
        )
    check_bound(_free(form) - set(form.ahead))
    form, scale = _rational_form(form, _on_class(general, sp.S.One), high)
    clock = clock_of(form)
    return {"method": name, "statement": {"L": str(high), **_statement(form, clock, scale)}}


def clock_of(form: TimeVarying) -> Clock:
    """The clock of a method; raises OdescentError where there is none of this kind."""
    from ....discretize.linear.time_varying_form import K

    assert form.output is not None
    used = {s for m in (form.A, form.B, form.C, form.D, form.output) for s in m.free_symbols}
    while True:  # with what the next values of these depend on
        more = {s for u in used for s in form.ahead[u].free_symbols} - used
        if not more:
            break
        used |= more
    if not used <= {K} and len(used) != 1:
        raise OdescentError(
            "a bound for all steps needs coefficients in one scalar with a recurrence, not in "
            f"{', '.join(sorted(map(str, used)))}."
        )
    symbol = next(iter(used), K)
    after, first = sp.expand(form.ahead[symbol]), form.begin[symbol]
    roots = {p.base for p in after.atoms(sp.Pow) if p.exp == sp.Rational(1, 2) and p.has(symbol)}
    if not roots:
        if after != symbol + 1:
            raise _unknown_clock(symbol, after)
        return Clock(symbol, V, V + 1, first, first)
    square = sp.Poly(sp.expand(roots.pop()), symbol)
    if roots or square.degree() != 2 or not sp.sqrt(square.LC()).is_Rational:
        raise _unknown_clock(symbol, after)
    _, b, c = square.all_coeffs()
    a = sp.sqrt(square.LC())
    m = b / (2 * a) + 1 / V
    now = sp.cancel((m**2 - c) / (b - 2 * a * m))
    root = sp.sqrt(square.as_expr())
    then = sp.cancel(after.xreplace({root: a * symbol + m}).xreplace({symbol: now}))
    begin = sp.radsimp(1 / (sp.sqrt(square.eval(first)) - a * first - b / (2 * a)))
    numeric = then.free_symbols <= {V} and begin.is_real and begin > 0
    if not numeric or not then.is_rational_function(V) or not first.is_Rational:
        raise _unknown_clock(symbol, after)
    # v grows with t where q has no real root; and it stays beyond its first value where t does not fall
    if not b**2 < 4 * square.LC() * c or not _rises(then - now, begin):
        raise _unknown_clock(symbol, after)
    return Clock(symbol, now, then, begin, first)


def _rises(step: sp.Expr, begin: sp.Expr) -> bool:
    """Whether a rational function is not negative from a number on, by coefficients about it."""
    both = sp.fraction(sp.cancel(step))
    about = (sp.Poly(sp.expand(e.xreplace({V: V + begin})), V).all_coeffs() for e in both)
    return all(bool(sp.radsimp(c) >= 0) for coefficients in about for c in coefficients)


def _on_class(form: TimeVarying, high: sp.Expr) -> TimeVarying:
    """The method for mu = 0 and this L."""
    values = {convexity: sp.S.Zero, smoothness: high}
    begin = {s: canonical(e.xreplace(values)) for s, e in form.begin.items()}
    return replace(form.rewritten(values), begin=begin)


def _rational_form(
    form: TimeVarying, one: TimeVarying, high: sp.Expr
) -> tuple[TimeVarying, sp.Expr]:
    """The method in other units of its states and scalars, sqrt(L) or 1 / sqrt(L), and L times the unit of gradients.

    A method that knows L does on f what it does with L = 1 on f / L, where that can be shown; else in units that leave
    no root of L.
    """
    from ....discretize.linear.time_varying_form import K

    root, names, rational = sp.sqrt(high), [s for s in form.ahead if s != K], form
    choices = (sp.S.One, 1 / root, root) if root != 1 else (sp.S.One,)
    for units in itertools.product(choices, repeat=form.A.rows + len(names)):
        found = _in_units(
            form, units[: form.A.rows], dict(zip(names, units[form.A.rows :], strict=True))
        )
        if _same(found, one, high):
            return one, sp.S.One
        if _has_roots(rational) and not _has_roots(found):
            rational = found
    return rational, high


def _same(form: TimeVarying, one: TimeVarying, high: sp.Expr) -> bool:
    """Whether they are equal, with gradients in units of L in the first."""
    left = [
        *form.A,
        *(high * form.B),
        *form.C,
        *(high * form.D),
        *(form.output or ()),
        *(form.start or ()),
    ]
    right = [*one.A, *one.B, *one.C, *one.D, *(one.output or ()), *(one.start or ())]
    for s in form.ahead:
        left += [form.ahead[s], form.begin[s]]
        right += [one.ahead[s], one.begin[s]]
    return all(is_zero(canonical(sp.expand(a - b))) for a, b in zip(left, right, strict=True))


def _has_roots(form: TimeVarying) -> bool:
    matrices = [
        m for m in (form.A, form.B, form.C, form.D, form.output, form.start) if m is not None
    ]
    entries = [*itertools.chain(*matrices), *form.begin.values(), *form.ahead.values()]
    powers = {p for e in entries for p in e.atoms(sp.Pow) if p.exp.is_Rational}
    return any(p.exp.q == 2 and p.base.is_Rational for p in powers)


def _in_units(
    form: TimeVarying, states: Sequence[sp.Expr], scalars: Mapping[sp.Symbol, sp.Expr]
) -> TimeVarying:
    values = {s: unit * s for s, unit in scalars.items()}

    def change(e: sp.Expr) -> sp.Expr:
        return canonical(sp.expand(e.xreplace(values)))

    assert form.output is not None and form.start is not None
    into, back = sp.diag(*(1 / u for u in states)), sp.diag(*states)
    A, B, C, D, output, start = (
        m.applyfunc(change)
        for m in (into * form.A * back, into * form.B, form.C * back, form.D, form.output * back, into * form.start)
    )  # fmt: skip
    ahead = {s: sp.expand(change(e) / scalars.get(s, 1)) for s, e in form.ahead.items()}
    begin = {s: canonical(e / scalars.get(s, 1)) for s, e in form.begin.items()}
    return replace(form, A=A, B=B, C=C, D=D, output=output, start=start, ahead=ahead, begin=begin)


def _unknown_clock(symbol: sp.Symbol, after: sp.Expr) -> OdescentError:
    return OdescentError(
        f"a bound for all steps needs a step number, or a scalar whose next value has the square root of one quadratic "
        f"with a square leading coefficient; the next value of {symbol} is {after}."
    )


def _statement(form: TimeVarying, clock: Clock, high: sp.Expr) -> dict[str, Any]:
    """A and B over one polynomial in v, C, D and output over one in the clock, lowest coefficient first."""
    assert form.output is not None and form.start is not None
    step = [
        [sp.cancel(e.xreplace({clock.symbol: clock.now})) for e in m]
        for m in (form.A, high * form.B)
    ]
    point = [
        [sp.cancel(e.xreplace({clock.symbol: V})) for e in m]
        for m in (form.C, high * form.D, form.output)
    ]
    if any(not e.is_rational_function(V) for part in (*step, *point) for e in part):
        raise OdescentError(f"a bound for all steps needs coefficients rational in {clock.symbol}.")
    over = sp.lcm(*(sp.fraction(e)[1] for e in (clock.now, clock.next)))
    at_y, n, field = form.output == form.C and not any(form.D), form.A.rows, NumberField()
    try:
        (A, B, step_unit), (C, D, output, point_unit) = _over_one(step), _over_one(point)
        begin = text(field.number(clock.begin, {}))
        now, later, unit = (_polynomial(e * over) for e in (clock.now, clock.next, sp.S.One))
        return {
            "d": field.d, "clock": {"from": begin, "now": now, "next": later, "over": unit},
            "A": [A[i * n : (i + 1) * n] for i in range(n)], "B": B, "step_unit": step_unit,
            "C": C, "D": D[0], "output": output, "rest": [_rational(e) for e in form.start],
            "point_unit": point_unit, "bounded": "point" if at_y else "output",
        }  # fmt: skip
    except (NotInField, TypeError):
        raise OdescentError(
            "a bound for all steps needs rational coefficients; this method has irrational ones."
        ) from None


def _over_one(parts: list[list[sp.Expr]]) -> list[Any]:
    """Lists of numerators over a common denominator, and the denominator, as coefficients."""
    unit = sp.lcm_list([sp.fraction(e)[1] for part in parts for e in part] + [sp.S.One])
    found: list[Any] = [[_polynomial(e * unit) for e in part] for part in parts]
    return [*found, _polynomial(unit)]


def _polynomial(e: sp.Expr) -> list[str]:
    """Coefficients, lowest first, without zeros at the end."""
    found = sp.Poly(sp.expand(sp.cancel(e)), V)
    return [] if found.is_zero else [_rational(c) for c in reversed(found.all_coeffs())]


def _rational(e: object) -> str:
    value = as_scalar(e)
    if not value.is_Rational:
        raise NotInField
    return str(value)
