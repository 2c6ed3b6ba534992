"""A coefficient's own modified equation, solved in time: theta' = F_0(theta) + h F_1(theta) + ...

The equation is separable, so time itself is the series

    t = G_0(theta) + h G_1(theta) + ...,    1 / F = 1 / F_0 - h F_1 / F_0^2 + ...,

each G_j the integral of a rational function from theta(0), and the solution for h = 0 carries it to
theta(t). Where theta(0) is not where F is regular (theta(0) = 0 for Nesterov's t_k), G_1 has no lower
end: the expansion then begins with h log(1 / h) and a constant that no finite order determines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy as sp

from ..._support.errors import OdescentError
from ...dynamics.algebra.calculus import singular
from ...dynamics.algebra.exact import canonical, is_zero
from ...dynamics.algebra.series import SingularError, power_sum, taylor, truncated


@dataclass(frozen=True)
class InTime:
    """theta = sum of h**j ``terms[j]``, expressions in ``leading``; this is theta_0(t), the solution for h = 0."""

    terms: tuple[sp.Expr, ...]
    leading: sp.Symbol
    solution: sp.Expr


def solve_in_time(
    fields: Sequence[sp.Expr], theta: sp.Symbol, begin: sp.Expr, t: sp.Symbol, h: sp.Symbol
) -> InTime:
    """The series of theta in h at fixed t, with theta(0) = ``begin``.

    Args:
        fields: F_0, F_1, ... as expressions in ``theta``.
        begin: an expression that is positive for small ``h``, on which it may depend.

    Raises OdescentError where an integral or the inverse of G_0 has no closed form, or the start is singular.
    """
    order = len(fields) - 1
    u = sp.Symbol(f"{theta.name}_leading", positive=True)
    first = sp.Symbol(f"{theta.name}_first", positive=True)
    rates = [sp.sympify(f).xreplace({theta: u}) for f in fields]
    try:
        start = taylor(begin, h, order)[0]
        slowness = taylor(1 / power_sum(rates, h), h, order)
        times = [_integral(e, u, first, theta) for e in slowness]
        solution = _inverted(times[0], rates[0], u, first, t, theta).xreplace({first: start})
        times = [g.xreplace({first: start}) for g in times]
        if any(singular(g) for g in times):
            raise SingularError
        spent = power_sum([g.xreplace({u: begin}) for g in times], h)  # before t = 0
        late = truncated(spent, h, order)
        # theta_0(t + s) by the flow of F_0 with s = late - h G_1(theta) - ..., which gains an order each time
        moves = [u]
        while len(moves) <= order:
            moves.append(sp.diff(moves[-1], u) * rates[0] / len(moves))
        terms: list[sp.Expr] = [u]
        for n in range(1, order + 1):
            value = power_sum(terms, h)
            shift = late - power_sum([0, *(g.xreplace({u: value}) for g in times[1:])], h)
            terms = taylor(sp.Add(*[e * shift**k for k, e in enumerate(moves)]), h, n)
    except (SingularError, ZeroDivisionError):
        raise OdescentError(
            f"{theta} starts at {begin}, where its equation is singular as {h} -> 0: its expansion in time begins "
            f"with {h}*log(1/{h}) and a constant that no order gives, so start at a positive value or keep {theta}."
        ) from None
    return InTime(tuple(terms), u, solution)


def _integral(e: sp.Expr, u: sp.Symbol, first: sp.Symbol, theta: sp.Symbol) -> sp.Expr:
    """The integral of a rational function of u from ``first`` to u, with logarithms of ratios, checked."""
    roots = {s: sp.Dummy(positive=True) for s in e.free_symbols if s != u and s.is_positive}
    opened = canonical(e.xreplace({s: r**2 for s, r in roots.items()}))
    if not opened.is_rational_function(u):
        raise OdescentError(
            f"the time that {theta} takes is the integral of {e}, which is not rational in {theta}, so there is no "
            "closed form in time."
        )
    back = {r: sp.sqrt(s) for s, r in roots.items()}
    found = sp.Add(*[sp.integrate(p, u) for p in sp.Add.make_args(sp.apart(opened, u))])
    found = found.xreplace(back)
    if found.has(sp.Integral, sp.RootSum):
        raise OdescentError(f"the integral of {e} has no closed form, and so {theta} has none.")
    logs = {
        n: sp.log(canonical(n.args[0] / n.args[0].xreplace({u: first})))
        for n in found.atoms(sp.log)
        if u in n.free_symbols
    }
    marks = {n: sp.Dummy() for n in logs}
    rest = found.xreplace(marks)
    difference = rest - rest.xreplace({u: first, **dict.fromkeys(marks.values(), sp.S.Zero)})
    result = difference.xreplace({marks[n]: value for n, value in logs.items()})
    if not is_zero(sp.diff(result, u) - e):
        raise OdescentError(f"the integral of {e} was not found.")
    return sp.sympify(result)


def _inverted(
    time: sp.Expr, rate: sp.Expr, u: sp.Symbol, first: sp.Symbol, t: sp.Symbol, theta: sp.Symbol
) -> sp.Expr:
    """u as a function of t from time(u) = t, checked as a solution of u' = rate(u), u(0) = ``first``."""
    for candidate in _candidates(time, u, t):
        solved = canonical(candidate)
        try:
            wrong = sp.diff(solved, t) - rate.xreplace({u: solved})
            if is_zero(wrong) and is_zero(solved.xreplace({t: sp.S.Zero}) - first):
                return solved
        except ArithmeticError:
            continue
    raise OdescentError(
        f"{time} = {t} is not solved for {theta} in closed form, so the coefficient stays a state of its own."
    )


def _candidates(time: sp.Expr, u: sp.Symbol, t: sp.Symbol) -> list[sp.Expr]:
    """Solutions of a polynomial equation, after exponentiation where logarithms have commensurable factors."""
    logs = [n for n in time.atoms(sp.log) if u in n.free_symbols]
    if not logs:
        return list(sp.solve(sp.numer(sp.together(time - t)), u))
    if u in (time - sp.Add(*[time.coeff(n) * n for n in logs])).free_symbols:
        return []
    unit = time.coeff(logs[0])
    product = sp.S.One
    for n in logs:
        power = canonical(time.coeff(n) / unit)
        if not power.is_Integer:
            return []
        product = product * n.args[0] ** power
    return list(sp.solve(sp.numer(sp.together(product - sp.exp(t / unit))), u))
