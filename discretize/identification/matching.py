"""The values of a known method's parameters at which it could be a given one: found, or excluded."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import sympy as sp

from ..._support.errors import NotCarried
from ..._support.work import kept
from ...dynamics.algebra.exact import canonical, is_zero
from ...dynamics.algebra.streams import KINKS
from ...dynamics.notation.show import text
from ...dynamics.numbers.factors import highest, in_factors
from ...dynamics.vector_fields.system import L, mu
from ..linear.matrices import System, transfer
from ..linear.state_space import StateSpace, z
from ..linear.three_parameter import coefficients
from ..linear.time_varying_form import TimeVarying, weights
from ..linear.witness import Values, is_positive, samples
from .exclusion import incompatible
from .intervals import excluded_by_intervals
from .no_root import excluded
from .shared_point import nonzero_somewhere

_HIGHEST = 64  # power in equations that are solved
_Values: TypeAlias = dict[sp.Symbol, sp.Expr]


@dataclass(frozen=True)
class Unknowns:
    """A known method's parameters by unknowns in which its coefficients are fractions of polynomials.

    ``below_one`` are the unknowns that lie between 0 and 1; all are positive.
    """

    rename: _Values
    below_one: frozenset[sp.Symbol]

    @property
    def symbols(self) -> list[sp.Symbol]:
        """The unknowns, in order."""
        return sorted({s for e in self.rename.values() for s in e.free_symbols}, key=str)


def unknowns(parameters: Sequence[sp.Symbol], expressions: Sequence[sp.Expr]) -> Unknowns:
    """Unknowns for these parameters of these expressions.

    L and mu become l^2 and (q l)^2 with q < 1; a parameter under a root becomes a square, and a friction c in
    exponentials of c h is written by the decay exp(-c h / 2), which lies between 0 and 1.
    """
    return _unknowns(tuple(parameters), tuple(expressions))


@kept(512)  # the same unknowns, so that what is found with them serves again
def _unknowns(parameters: tuple[sp.Symbol, ...], expressions: tuple[sp.Expr, ...]) -> Unknowns:
    rename: _Values = {}
    below: set[sp.Symbol] = set()

    def fresh(name: str) -> sp.Symbol:
        return sp.Dummy(name, positive=True)

    rooted = {
        s
        for e in expressions
        for p in e.atoms(sp.Pow)
        if isinstance(p.exp, sp.Rational) and p.exp.q > 1
        for s in p.free_symbols
    }
    for p in parameters:
        rename[p] = fresh(p.name) ** (2 if p in rooted else 1)
    if L in rename:
        root = fresh("l")
        rename[L] = root**2
    if mu in rename:
        ratio = fresh("q")
        rename[mu] = (ratio * root) ** 2 if L in rename else ratio**2
        if L in rename:
            below.add(ratio)
    arguments = {n.args[0] for e in expressions for n in e.atoms(sp.exp)}
    for c in parameters:
        others = {canonical(a / c) for a in arguments if c in a.free_symbols}
        if arguments and len(others) and all(c in a.free_symbols for a in arguments):
            h = next(iter(sorted({s for o in others for s in o.free_symbols}, key=str)), None)
            if (
                h is not None
                and all(canonical(o / h).is_Rational for o in others)
                and c.name != "h"
            ):
                decay = fresh("decay")
                below.add(decay)
                rename[c] = -2 * sp.log(decay) / rename.get(h, h)
                break
    return Unknowns(rename, frozenset(below))


def cross_equations(target: System, known: System) -> list[sp.Expr]:
    """Equations for two transfer matrices to agree: coefficients of cross-multiplied fractions."""
    found: list[sp.Expr] = []
    for mine, theirs in zip(_transfer(*_frozen(target)), _transfer(*_frozen(known)), strict=True):
        (a, b), (c, d) = (sp.fraction(sp.together(e)) for e in (mine, theirs))
        crossed = sp.expand(a * d - c * b)
        found += sp.Poly(crossed, z).all_coeffs() if crossed != 0 else []
    return [e for e in found if e != 0]


def _frozen(system: System) -> tuple[sp.ImmutableMatrix, ...]:
    return tuple(sp.ImmutableMatrix(m) for m in system)


@kept(512)
def _transfer(*system: sp.ImmutableMatrix) -> sp.Matrix:
    a, b, c, d = (m.as_mutable() for m in system)
    return transfer((a, b, c, d), z)


def eliminate(equations: list[sp.Expr], symbols: list[sp.Symbol]) -> Iterator[_Values]:
    """Positive solutions, one unknown at a time by an equation in which it is alone."""
    if max(map(highest, equations), default=0) > _HIGHEST or any(e.has(*KINKS) for e in equations):
        yield from _with_names(equations, symbols)
    else:
        yield from _eliminated(equations, symbols, {})


def _with_names(equations: list[sp.Expr], symbols: list[sp.Symbol]) -> Iterator[_Values]:
    """The same with names for kinks and high powers of e and of numbers; without solutions where others are high."""
    known = {
        n
        for e in equations
        for n in e.atoms(sp.exp, sp.Pow, *KINKS)
        if not n.free_symbols & {*symbols}
    }
    names = {n: sp.Dummy("kink", real=True) for n in known if isinstance(n, KINKS)}
    high = {n for n in known.difference(names) if isinstance(n, sp.exp) or highest(n) > _HIGHEST}
    names |= {n: sp.Dummy("power", positive=True) for n in high if n.is_positive}
    named = [e.xreplace(names) for e in equations]
    if max(map(highest, named)) > _HIGHEST:
        return
    meaning = {s: n for n, s in names.items()}
    for found in _eliminated(named, symbols, meaning):
        yield {s: e.xreplace(meaning) for s, e in found.items()}


def _eliminated(
    equations: list[sp.Expr], symbols: list[sp.Symbol], meaning: _Values
) -> Iterator[_Values]:
    left = [e for e in equations if e != 0]
    if not symbols:
        if all(is_zero(e.xreplace(meaning)) for e in left):
            yield {}
        return
    here = [(sum(u in e.free_symbols for u in symbols), i) for i, e in enumerate(left)]
    usable = sorted((n, i) for n, i in here if n > 0)
    if not usable or usable[0][0] > 1:
        return  # nothing to start from
    if len(usable) < len(here) and not all(
        is_zero(left[i].xreplace(meaning)) for n, i in here if n == 0
    ):
        return  # an equation without unknowns that does not hold
    equation = left[usable[0][1]]
    unknown = next(u for u in symbols if u in equation.free_symbols)
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
        for rest in _eliminated(
            [canonical(e) for e in inserted], [u for u in symbols if u != unknown], meaning
        ):
            yield {unknown: root.xreplace(rest), **rest}


def _positive(root: sp.Expr) -> bool:
    """Whether a solution is positive for some generic values of the remaining parameters."""
    for values in samples(root.free_symbols, 9):
        value = sp.N(root.xreplace(values), 30)
        if value.is_comparable and value > 0:
            return True
    return False


def admissible(solution: _Values, wanted: Unknowns) -> bool:
    """Whether a solution is positive, and below one where it has to be, for some values of the parameters."""
    free = {s for e in solution.values() for s in e.free_symbols}
    for values in samples(free, 9):
        found = {u: sp.N(e.xreplace(values), 30) for u, e in solution.items()}
        if all(
            v.is_comparable and v > 0 and (u not in wanted.below_one or v < 1)
            for u, v in found.items()
        ):
            return True
    return False


def apart(target: StateSpace, known: StateSpace, parameters: Sequence[sp.Symbol]) -> bool:
    """Whether no admissible parameters make the known method the target, at generic values of the target's parameters.

    Compared are the weights of oracle results in later points, independent of initialization and output.

    Args:
        target: the method to recognize.
        known: the registered method.
        parameters: those of the known method.
    """
    for ordered in _orders(target, known):
        if _excluded_in_order(target, ordered, parameters):
            continue
        if nested(target) or nested(known):
            return False
        equations, wanted = _equations(target, ordered, parameters)
        if not excluded(target.symbols, equations, wanted.symbols, wanted.below_one):
            return False
    return True


def _in_unknowns(
    known: StateSpace, parameters: Sequence[sp.Symbol]
) -> tuple[_Values, frozenset[sp.Symbol]]:
    """The parameters by unknowns, and those that are less than one."""
    wanted = unknowns(parameters, [*known.A, *known.B, *known.C, *known.D])
    return wanted.rename, wanted.below_one


def excluded_exactly(
    target: StateSpace, known: StateSpace, parameters: Sequence[sp.Symbol]
) -> bool:
    """Whether no parameters make the known method the target, by intervals or elimination; False is inconclusive.

    Args:
        target: the method to recognize.
        known: the registered method.
        parameters: those of the known method.
    """
    return all(_excluded_in_order(target, o, parameters) for o in _orders(target, known))


def _excluded_in_order(
    target: StateSpace,
    known: StateSpace,
    parameters: Sequence[sp.Symbol],
    later: int = 0,
    times: int = 1,
) -> bool:
    """The same for one order of the calls, the quicker way first; see `incompatible`."""
    one, other = varying(target), varying(known)
    by_ratio = nested(known) and L in parameters and set(parameters) <= {L, mu}
    if by_ratio and excluded_by_intervals(one, other, later, times):
        return True
    return incompatible(one, other, *_in_unknowns(known, parameters), later, times)


def never_ahead(
    target: StateSpace,
    known: StateSpace,
    parameters: Sequence[sp.Symbol],
    later: int,
    times: int,
) -> bool:
    """Whether no parameters make some steps of the known method in one the target, with coefficients that are ahead.

    Args:
        target: the method to recognize; all its calls are of one oracle.
        known: the registered method, with a call in a step.
        parameters: those of the known method.
        later: by how many steps its coefficients are ahead.
        times: how many steps are put together.
    """
    explicit = not any(known.D)
    return all(
        (explicit and _answers_ahead(ordered))
        or _excluded_in_order(ordered, known, parameters, later, times)
        for ordered in map(target.ordered, itertools.permutations(range(len(target.inputs))))
    )


def _answers_ahead(target: StateSpace) -> bool:
    """Whether a point needs the answer of its own call, or of a later one, by a weight that does not change."""
    changing = set(varying(target).ahead)
    upper = [target.D[i, j] for i in range(target.D.rows) for j in range(i, target.D.cols)]
    return any(nonzero_somewhere(e) for e in upper if not e.free_symbols & changing)


def conditions(positive: Iterable[sp.Expr]) -> list[str]:
    """What must hold for these to be positive, for positive parameters with mu < L; nothing where they are."""
    found: dict[sp.Expr, str] = {}
    for e in positive:
        if is_positive(e, below=True):
            continue
        # factors in square roots, which are positive as well
        roots = {
            p.base: sp.Dummy(positive=True)
            for p in e.atoms(sp.Pow)
            if p.base.is_Symbol and p.base.is_positive and p.exp.is_Rational and p.exp.q == 2
        }
        inside = in_factors(sp.together(e.subs({s: r**2 for s, r in roots.items()})))
        back = {r: sp.sqrt(s) for s, r in roots.items()}
        powers = (part.as_base_exp() for part in sp.Mul.make_args(inside))
        factors = [(a.xreplace(back), n) for a, n in powers]
        sign = sp.Mul(*(sp.sign(f) for f, n in factors if f.is_number and n.is_odd))
        unsure = [(f, n) for f, n in factors if not (f.is_number or is_positive(f, below=True))]
        odd = [f for f, n in unsure if not n.is_even]
        if odd or sign < 0:
            wanted = sp.expand(sign * odd[0]) if len(odd) == 1 else sp.Mul(sign, *odd)
            found[wanted] = f"{text(wanted)} > 0"
        found.update({f: f"{text(f)} != 0" for f, n in unsure if n.is_even and f not in found})
    strict = {e for e, said in found.items() if said.endswith("> 0")}
    return [said for e, said in found.items() if e in strict or sp.expand(-e) not in strict]


def solutions(
    target: StateSpace, known: StateSpace, parameters: Sequence[sp.Symbol]
) -> Iterator[tuple[_Values, StateSpace, list[sp.Expr]]]:
    """Solve for the parameters with which the known method is the target.

    Args:
        target: the method to recognize.
        known: the registered method.
        parameters: those of the known method.

    Yields:
        admissible values, the known method with them, and what is positive where they are admissible.
    """
    if nested(target) or nested(known):
        return
    for ordered in _orders(target, known):
        equations, wanted = _equations(target, ordered, parameters)
        found = False
        for by_coefficients in (True, False):
            system = (
                _coefficient_equations(target, ordered, wanted)
                if by_coefficients
                else equations({})
            )
            for solution in eliminate(system or [], wanted.symbols) if not found else ():
                if admissible(solution, wanted):
                    found = True
                    # in two steps, so that the square root of mu = (q l)^2 is q l
                    changed = known.changed(wanted.rename).changed(solution)
                    values = {p: canonical(e.xreplace(solution)) for p, e in wanted.rename.items()}
                    below = [1 - e for u, e in solution.items() if u in wanted.below_one]
                    yield values, changed, [*solution.values(), *below]


def _orders(target: StateSpace, known: StateSpace) -> Iterator[StateSpace]:
    """The known method with its calls in each of the orders in which the oracles are the target's."""
    for order in itertools.permutations(range(len(known.inputs))):
        if tuple(known.inputs[i] for i in order) == target.inputs:
            yield known.ordered(order)


def varying(system: StateSpace) -> TimeVarying:
    """A method whose coefficients may change, from one whose coefficients may not."""
    return system if isinstance(system, TimeVarying) else TimeVarying.constant(system)


def _equations(
    target: StateSpace, known: StateSpace, parameters: Sequence[sp.Symbol]
) -> tuple[Callable[[Values], list[sp.Expr]], Unknowns]:
    """Equations in unknowns for the known method's parameters, at values of the target's or, without any, at all.

    They hold where the two agree.
    """
    if not (isinstance(target, TimeVarying) or isinstance(known, TimeVarying)):
        wanted = unknowns(parameters, [*known.A, *known.B, *known.C, *known.D])
        moved = known.changed(wanted.rename)
        return lambda values: cross_equations(target.changed(values).system, moved.system), wanted
    mine, theirs = weights(varying(target)), weights(varying(known))
    wanted = unknowns(parameters, theirs)
    changed = [b.xreplace(wanted.rename) for b in theirs]

    def differences(values: Values) -> list[sp.Expr]:
        found = [canonical(b - a.xreplace(values)) for a, b in zip(mine, changed, strict=True)]
        return [e for e in found if e != 0]

    return differences, wanted


def nested(system: StateSpace) -> bool:
    """Whether a recurrence has its scalars under roots: they nest, beyond what can be solved."""
    if not isinstance(system, TimeVarying):
        return False
    roots = [r for e in system.ahead.values() for r in e.atoms(sp.Pow) if not r.exp.is_Integer]
    return any(r.free_symbols & set(system.ahead) for r in roots)


def _coefficient_equations(
    target: StateSpace, known: StateSpace, wanted: Unknowns
) -> list[sp.Expr] | None:
    if isinstance(target, TimeVarying) or isinstance(known, TimeVarying):
        return None
    try:
        have, want = (coefficients(s) for s in (known, target))
    except NotCarried:
        return None
    return [
        canonical(have[n].xreplace(wanted.rename) - want[n]) for n in ("alpha", "beta", "gamma")
    ]
