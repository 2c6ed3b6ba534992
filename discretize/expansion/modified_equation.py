"""Modified equations: the field of the modified flow of an algorithm, as a series in the step.

A coefficient's own modified equation, theta' = F_0(theta) + h F_1(theta) + ..., is solved in time. It is separable,
so time itself is the series

    t = G_0(theta) + h G_1(theta) + ...,    1 / F = 1 / F_0 - h F_1 / F_0^2 + ...,

each G_j the integral of a rational function from theta(0), and the solution for h = 0 carries it to
theta(t). Where theta(0) is not where F is regular (theta(0) = 0 for Nesterov's t_k), G_1 has no lower
end: the expansion then begins with h log(1 / h) and a constant that no finite order determines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.calculus import Symbol, singular, substitute, symbols_of, tidy
from ...dynamics.algebra.exact import canonical, is_zero
from ...dynamics.algebra.scalars import as_scalar
from ...dynamics.algebra.series import power_sum, taylor, truncated
from ...dynamics.algebra.streams import SingularError
from ...dynamics.algebra.vectors import Expr, Vector
from ...dynamics.notation.show import latex, symbol_latex, text
from ...dynamics.vector_fields.second_order import SecondOrder, second_order


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


Drift = dict[Symbol, Expr]
_WITHOUT = "(without the noise; weak_modified_equation has it)"


@dataclass(frozen=True)
class ModifiedEquation(Rendered):
    """The modified field as a series in the step: ``terms[j]`` multiplies h**j, by block symbol.

    Coefficients with a recurrence are among the blocks; ``begin`` has their initial values. For a method that draws
    noise (``noisy``) it is the equation without the noise; see `weak_modified_equation` for that of its law.

    For a method with samples it is a stochastic equation: ``spread[j]`` multiplies h**j in the covariance of the noise,
    for pairs of blocks, an operator for two vectors. Drift and covariance are the parts of first and second order of
    the generator whose exponential is the mean of a step; from h**2 on it may have others too, which
    `weak_modified_equation` finds in coordinates.

    Of a method with guards or inner loops it is that of the steps in which ``assumes`` holds, in words.
    """

    terms: tuple[Drift, ...]
    step: sp.Symbol
    output: Expr
    time: sp.Symbol | None = None
    begin: Mapping[sp.Symbol, sp.Expr] = field(default_factory=dict)
    noisy: bool = False
    spread: tuple[Mapping[tuple[Symbol, Symbol], Expr], ...] = ()
    assumes: tuple[str, ...] = ()

    @property
    def covariance(self) -> dict[tuple[Symbol, Symbol], Expr]:
        """The truncated covariance of the noise S dW, S S^T, by pairs of blocks; empty without samples."""
        total: dict[tuple[Symbol, Symbol], Expr] = {}
        for j, term in enumerate(self.spread):
            for pair, e in term.items():
                part = e * self.step**j
                total[pair] = total[pair] + part if pair in total else part
        return {pair: tidy(e) for pair, e in total.items() if tidy(e)}

    @property
    def order(self) -> int:
        return len(self.terms) - 1

    @property
    def drift(self) -> Drift:
        """The truncated field."""
        total: Drift = {}
        for s in self.terms[0]:
            value: Expr = self.terms[0][s]
            for j, term in enumerate(self.terms[1:], 1):
                value = value + term[s] * self.step**j
            total[s] = tidy(value)
        return total

    def second_order(self, output: Expr | None = None) -> SecondOrder:
        """The equation as x'' = F(x, x') of the output, through the same order."""
        shown = self.output if output is None else output
        return second_order(self.drift, shown, self.step, self.order, self.time)

    def in_time(self, begin: Mapping[sp.Symbol, object] | None = None) -> ModifiedEquation:
        """The equation with the coefficients written as functions of the time t = k h, through the same order.

        ``begin`` gives their values at t = 0 (positive, as expressions that may contain the step), where
        they are not the algorithm's own. Raises OdescentError where their equations have no closed
        solution, or are singular at the start: there the expansion in time has terms in h log(1/h).
        """
        return _written_in_time(self, {**self.begin, **(begin or {})})

    def __str__(self) -> str:
        tail = f" + O({self.step}^{self.order + 1})"
        rows = [f"{s}' = {text(e)}{tail}" for s, e in self.drift.items()]
        for (s, t), e in self.covariance.items():
            of = f"{s}" if s == t else f"{s}, {t}"
            rows.append(f"covariance of the noise on {of}: {text(e)}{tail}")
        rows += [_WITHOUT] if self.noisy else []
        return "\n".join([*rows, *([f"({self._where()})"] if self.assumes else [])])

    def _where(self) -> str:
        return f"where {' and '.join(self.assumes)}"

    def latex(self) -> str:
        tail = f" + O({self.step}^{self.order + 1})"
        rows = [
            rf"\dot{{{symbol_latex(str(s))}}} &= {latex(e)}{tail}" for s, e in self.drift.items()
        ]
        for (s, t), e in self.covariance.items():
            of = ", ".join(symbol_latex(str(b)) for b in dict.fromkeys((s, t)))
            rows.append(rf"\operatorname{{Cov}}({of}) &= {latex(e)}{tail}")
        if self.noisy:
            rows.append(rf"&\text{{{_WITHOUT[1:-1].split(';')[0]}}}")
        if self.assumes:
            rows.append(rf"&\text{{{self._where()}}}")
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def _written_in_time(
    modified: ModifiedEquation, begin: Mapping[sp.Symbol, object]
) -> ModifiedEquation:
    """The modified equation with its scalar coefficients replaced by their expansions in h at fixed time.

    Raises OdescentError if there is none among its blocks or one does not obey an equation of its own.
    """
    scalars = [s for s in modified.terms[0] if isinstance(s, sp.Symbol) and s in begin]
    if not scalars or modified.time is not None:
        raise OdescentError(
            "only an equation with coefficients that obey a recurrence, and without a time of its own, is written "
            "in time."
        )
    h, order = modified.step, modified.order
    used = {s.name for term in modified.terms for e in term.values() for s in symbols_of(e)}
    t = sp.Symbol("t" if "t" not in used else "t_", positive=True)
    values: dict[Symbol, Expr] = {}
    back: dict[Symbol, Expr] = {}
    for s in scalars:
        fields = [term[s] for term in modified.terms]
        others = {o for f in fields for o in symbols_of(f)} & set(modified.terms[0]) - {s}
        if others or any(isinstance(f, Vector) for f in fields):
            raise OdescentError(
                f"the coefficient {s} depends on other blocks, so it is not a function of time alone."
            )
        solved = solve_in_time(fields, s, as_scalar(begin[s]), t, h)
        values[s] = power_sum(solved.terms, h)
        back[solved.leading] = solved.solution
    terms: list[dict[Symbol, Expr]] = [{} for _ in range(order + 1)]
    for block, rate in modified.terms[0].items():
        if block not in scalars:
            rates = [rate, *(term[block] for term in modified.terms[1:])]
            whole = taylor(substitute(power_sum(rates, h), values), h, order)
            for term, c in zip(terms, whole, strict=True):
                term[block] = substitute(tidy(c), back)
    return ModifiedEquation(
        tuple(terms), h, modified.output, t, noisy=modified.noisy, assumes=modified.assumes
    )
