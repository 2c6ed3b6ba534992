"""Which known method is this? Up to coordinates, and up to other values of the method's parameters."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import sympy as sp

from odescent._errors import NotCarried
from odescent.dynamics.exact import canonical, is_zero, sample
from odescent.dynamics.fields import L, mu

from .equivalence import Equivalence, compare
from .iteration import Algorithm

_L_ROOT, _RATIO = sp.symbols("_l _q", positive=True)  # sqrt(L) and sqrt(mu / L) of the known method
_PREFERRED = ("gradient_descent", "nesterov_sc", "triple_momentum", "heavy_ball")
_COMPARED = ("alpha", "beta", "gamma")
_Values: TypeAlias = dict[sp.Symbol, sp.Expr]


@dataclass(frozen=True)
class Recognition:
    """What an algorithm was recognized as.

    Attributes:
        name: of the registered method, None if it matches none.
        substitution: the known method's parameters in terms of the algorithm's, by name; empty if they
            are the same symbols.
        equivalence: the proof: of the algorithm and of the known method under the substitution.
        reason: one sentence.
    """

    name: str | None
    reason: str
    substitution: dict[str, sp.Expr] = field(default_factory=dict)
    equivalence: Equivalence | None = None

    def __bool__(self) -> bool:
        return self.name is not None

    def __str__(self) -> str:
        return self.reason


def recognize(algorithm: Algorithm) -> Recognition:
    """Name the registered method that calls its oracles at the same points from the same start.

    First with the same parameters, then with the known method's parameters solved for (positive values
    only), first those of its tuning, then its free step and coefficients. A match is reported only with
    a proof; an algorithm that matches nothing gets a `Recognition` that is false and says so.
    """
    known = [(name, _build(name)) for name in _names()]
    for name, candidate in known:
        verdict = algorithm.equivalent(candidate)
        if verdict:
            return Recognition(name, f"this is {name}, with the same parameters.", {}, verdict)
    for free in (False, True):
        for name, candidate in known:
            variant = candidate.replace(tuning={}) if free else candidate
            for rename, solution in _solve(algorithm, variant):
                # in two steps, so that the square root of mu = (q l)^2 is q l
                verdict = compare(algorithm.tuned, variant.tuned.bind(rename).bind(solution))
                if verdict:
                    shown = {s.name: canonical(e.xreplace(solution)) for s, e in rename.items()}
                    listed = ", ".join(f"{n} = {v}" for n, v in shown.items())
                    return Recognition(name, f"this is {name} with {listed}.", shown, verdict)
    return Recognition(
        None, "this matches no registered method, whatever the values of their parameters."
    )


def _names() -> list[str]:
    from .library import algorithms

    return [*_PREFERRED, *(n for n in algorithms() if n not in _PREFERRED)]


@functools.cache
def _build(name: str) -> Algorithm:
    from .library import algorithm

    return algorithm(name)


def _solve(target: Algorithm, known: Algorithm) -> Iterator[tuple[_Values, _Values]]:
    """The known method's parameters by unknowns, and the unknowns that match the target's coefficients."""
    try:
        wanted, have = target.coefficients, known.coefficients
    except NotCarried:
        return
    parameters = [p for p in known.parameters if any(p in have[n].free_symbols for n in _COMPARED)]
    if not parameters or len(parameters) > 2:
        return  # three free parameters reach every alpha, beta, gamma: a match would say nothing
    # unknowns that are roots keep the equations polynomial
    rename: _Values = {p: sp.Dummy(p.name, positive=True) for p in parameters}
    if L in rename:
        rename[L] = _L_ROOT**2
    if mu in rename:
        rename[mu] = (_RATIO * _L_ROOT) ** 2 if L in rename else _RATIO**2
    equations = [canonical(have[n].xreplace(rename) - wanted[n]) for n in _COMPARED]
    unknowns = sorted({s for e in rename.values() for s in e.free_symbols}, key=str)
    for solution in _eliminate(equations, unknowns):
        yield rename, solution


def _eliminate(equations: list[sp.Expr], unknowns: list[sp.Symbol]) -> Iterator[_Values]:
    """All positive solutions, one unknown at a time by an equation in which it is alone."""
    left = [e for e in equations if e != 0]
    if not unknowns:
        if all(is_zero(e) for e in left):
            yield {}
        return
    here = [(sum(u in e.free_symbols for u in unknowns), i) for i, e in enumerate(left)]
    usable = sorted((n, i) for n, i in here if n > 0)
    if len(usable) < len(here) or not usable or usable[0][0] > 1:
        return  # an equation without unknowns that does not hold, or nothing to start from
    equation = left[usable[0][1]]
    unknown = next(u for u in unknowns if u in equation.free_symbols)
    try:
        polynomial = sp.Poly(sp.fraction(sp.together(equation))[0], unknown)
    except sp.PolynomialError:  # an exponential or a root of the unknown
        return
    if polynomial.degree() > 4:
        return
    for root in sp.roots(polynomial, quartics=False):
        if not _positive(root):
            continue
        inserted = [e.xreplace({unknown: root}) for e in left if e is not equation]
        if any(e.has(sp.zoo, sp.nan, sp.oo) for e in inserted):
            continue
        substituted = [canonical(e) for e in inserted]
        for rest in _eliminate(substituted, [u for u in unknowns if u != unknown]):
            yield {unknown: root.xreplace(rest), **rest}


def _positive(root: sp.Expr) -> bool:
    """Whether a solution is positive for some generic values of the remaining parameters."""
    for scale in (1, sp.Rational(1, 3), sp.Rational(1, 11)):
        at = {s: v * scale for s, v in sample(root.free_symbols).items()}
        value = sp.N(root.xreplace(at), 30)
        if value.is_comparable and value > 0:
            return True
    return False
