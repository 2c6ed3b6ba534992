"""Known methods that are no linear maps, or draw noise: why one of them may still be a given method.

Whatever the values of its parameters, a known method is excluded where it calls oracles of other sorts, where its
noise always reaches the output of one without noise, where its points are affine in the answers and the target's are
not, or where no values give the target's points at numbers, or their laws; see `answers` and `laws`.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import sympy as sp

from ..._support.errors import NotCarried
from ...dynamics.algebra.calculus import asked_in, symbols_of
from ...dynamics.algebra.exact import canonical, is_zero
from ...dynamics.algebra.oracles import Oracle
from ...dynamics.algebra.vectors import Expr, ScalarNode, Vector, VectorSymbol, zero
from ...dynamics.numbers.factors import in_factors
from ..equality.numbers import NoNumber, real, sign_of
from ..linear.state_space import NotLTI, explicit_proximal, linear
from ..linear.witness import samples
from ..programs.program import Assign, CallOracle, Draw, Instruction, Program
from .answers import AVERAGES, bends, excluded_by_answers, moved_at_once, plain_calls, points
from .laws import excluded_by_laws

_HIGHEST = 64  # power of an exponential in an expression whose sign is found
# By the first answer, the weights of the point after it: how it bends (not at all if it is affine) and how it grows.
_READINGS: tuple[dict[int, sp.Rational], ...] = (
    {2: sp.S.One, 1: -sp.Rational(3, 2), -1: sp.S.Half},
    {2: sp.S.One, 1: sp.S.NegativeOne},
    {200: sp.S.One, 100: sp.S.NegativeOne},
)


def kept_apart(
    target: Program, known: Program, linear_known: bool, calls: int | None = None
) -> str:
    """Why the target may coincide with the known method for some parameters of the latter; empty if it cannot.

    Args:
        target: taken at generic values of its parameters.
        known: a registered method.
        linear_known: whether ``known`` is a linear method.
        calls: the number of distinct oracle calls per step of a linear target; None for other targets.
    """
    if sorts(target) != sorts(known):
        return ""
    if _in_operators(known) and not _in_operators(target):
        return ""  # functions with the same gradients at the points of a step have other derivatives there
    if calls is not None and _once(known) and calls % len(known.calls):
        return ""  # nor several steps of it
    noisy, other = (bool(p.draws or p.counts) for p in (target, known))
    if noisy != other:
        if output_is_random(target, True) if noisy else output_is_random(known):
            return ""
        return "" if excluded_by_laws(target, known) else "with noise, which may vanish"
    if noisy:
        return "" if excluded_by_laws(target, known) else "with noise: compared as expressions only"
    at_numbers = target.bind(next(samples(target.parameters)))
    if linear_known:
        bent = calls is None and bends(at_numbers)
        return "" if bent else "linear, which this may be"
    # Of a linear target the second points tell most, of others the points after several answers.
    ways = [partial(_answers_otherwise, known, at_numbers if calls is None else None)]
    ways.insert(calls is not None, partial(_by_answers, target, known, at_numbers))
    for way in ways:
        with contextlib.suppress(NotCarried):
            if way():
                return ""
    return "not linear: compared as expressions only"


def output_is_random(program: Program, at_generic: bool = False) -> bool:
    """Whether draws reach the output, whatever the parameters or at generic values of these; True is exact."""
    return any(_sign(w) or (at_generic and not is_zero(w)) for w in _drawn(program))


def bends_at_numbers(target: Program) -> bool:
    """Whether a point of the target bends at numbers for its parameters; True is exact, see `bends`."""
    return bends(target.bind(next(samples(target.parameters))))


def sorts(p: Program) -> list[list[tuple[int, ...]]]:
    """By oracle, its calls' numbers of directions, parameters and further arguments; calls made again add none."""
    if p.sweeps:
        return [[(-1, -1, 0)]]  # single components
    kinds: dict[Oracle, set[tuple[int, ...]]] = {}
    for c in explicit_proximal(p).calls:
        sort = len(c.directions), len(c.parameters), len(c.oracle.args)
        kinds.setdefault(c.oracle, set()).add(sort)
    return sorted(map(sorted, kinds.values()))


def _in_operators(p: Program) -> bool:
    """Whether a step reads derivatives of an oracle as an operator, such as the inverse of a Hessian."""
    assigned = [i.value for i in p.plain if isinstance(i, Assign)]
    return any(asked_in(e) for e in (*assigned, *p.next.values(), *p.outputs.values()))


def _once(p: Program) -> bool:
    """Whether a step makes one call of each kind, so that none of its calls may coincide."""
    asked = Counter(
        (c.oracle, len(c.directions), len(c.parameters)) for c in explicit_proximal(p).calls
    )
    return all(n == 1 for n in asked.values())


def _drawn(p: Program) -> Iterator[sp.Expr]:
    """Weights of a draw in the outputs of the next steps, where the step is linear in it; the simplest first."""
    yield from _pushed(p)
    instructions: list[Instruction] = []
    for i in p.plain:
        drawn = isinstance(i, Draw) and isinstance(i.target, VectorSymbol)
        asked = CallOracle(i.target, Oracle("draw", str(i.target)), zero) if drawn else i
        instructions.append(asked)
    written = replace(p, instructions=tuple(instructions))
    if p.counter is not None:  # the first step
        written = written.bind({p.counter: 0})
    try:
        s = linear(written)
    except NotLTI:
        return
    places = [i for i, o in enumerate(s.inputs) if o.kind == "draw"]
    if s.output is None or not places:
        return
    moved = s.B
    for _ in range(1 if p.counted else s.A.rows):
        yield from (canonical((s.output * moved)[i]) for i in places)
        moved = (s.A * moved).applyfunc(canonical)


def _pushed(p: Program) -> list[sp.Expr]:
    """Weights of the draws in the output after the first step, where they get there by sums; answers are given."""
    shares: dict[Any, dict[Any, sp.Expr]] = {d.target: {d.target: sp.S.One} for d in p.draws}

    def share(e: Expr, of: dict[Any, dict[Any, sp.Expr]]) -> dict[Any, sp.Expr]:
        """The weights of the draws in an expression, from those in the names; raises NotCarried if not by a sum."""
        moved = {s for s, weights in of.items() if weights}
        total: dict[Any, sp.Expr] = {}
        terms = e.terms.items() if isinstance(e, Vector) else [(e, sp.S.One)]
        for a, c in terms:
            if (
                c.has(ScalarNode)
                or symbols_of(c) & moved
                or (a not in moved and symbols_of(a) & moved)
            ):
                raise NotCarried(f"{e} is not a sum of draws.")
            for d, w in of.get(a, {}).items():
                total[d] = total.get(d, sp.S.Zero) + w * c
        return total

    try:
        for i in p.plain:
            if isinstance(i, Assign):
                shares[i.target] = share(i.value, shares)
            elif not isinstance(i, (CallOracle, Draw)):
                return []
        ahead = {s: share(e, shares) for s, e in p.next.items()}
        weights = share(p.outputs["x"], ahead).values()
    except NotCarried:
        return []
    return [w if p.counter is None else w.xreplace({p.counter: sp.S.Zero}) for w in weights]


def _by_answers(target: Program, known: Program, at_numbers: Program) -> bool:
    """Whether answers exclude all parameters of the known method, whose calls are those of the target in one order."""
    excluded = excluded_by_answers(target, known)
    return excluded and (len(plain_calls(target)) > 1 or moved_at_once(at_numbers))


def _answers_otherwise(known: Program, target: Program | None) -> bool:
    """Whether the second points differ in how they depend on the first answer, whatever the known parameters.

    With later answers the second point is the first one, so it matters that the target's is moved. Several steps of
    the known method are no method of one call.

    Args:
        known: a registered method.
        target: without parameters; None for a linear method, which never bends.
    """
    if target is not None and (len(target.calls) != 1 or not moved_at_once(target)):
        return False
    for weights in _READINGS[:1] if target is None else _READINGS:
        sides = {_sign(e) for e in _read(known, weights) if e != 0}
        if len(sides) > 1 or 0 in sides:
            continue
        side = sides.pop() if sides else 0
        mine = 0 if target is None else _sign_of_number(sp.Add(*_read(target, weights)))
        if mine is not None and mine != side:
            return True
    return False


def _read(p: Program, weights: Mapping[int, sp.Rational]) -> list[sp.Expr]:
    """A weighted sum of the second points after several first answers, by term of the point.

    Raises:
        NotCarried: the point is not read.
    """
    answer = sp.Symbol("_answer", real=True)
    point, _ = points(p, [(answer, sp.S.Zero)])[-1]
    terms = sp.Add.make_args(sp.expand_mul(point))
    return [
        canonical(sp.Add(*(w * t.xreplace({answer: sp.Integer(u)}) for u, w in weights.items())))
        for t in terms
    ]


def _sign_of_number(e: sp.Expr) -> int | None:
    """The sign of an expression without symbols; None where it is not found."""
    found = real(canonical(e))
    try:
        return None if found is None else sign_of(found)
    except NoNumber:
        return None


def _sign(e: sp.Expr) -> int:
    """The sign of an expression in positive symbols, by the signs of its coefficients; 0 where they do not tell.

    Averages weigh by less than one: beta1 and beta2 are below it.
    """
    e = e.xreplace({s: s / (1 + s) for s in e.free_symbols if s.name in AVERAGES})
    exponents = [n.exp if n.is_Pow else n.args[0] for n in e.atoms(sp.exp)]
    if exponents:  # exp(r m) is (1 + d)^r with d > 0, for a positive monomial m
        m = max(exponents, key=sp.default_sort_key).as_independent(*e.free_symbols)[1]
        if not m.is_positive or not all((a / m).is_Rational for a in exponents):
            return 0
        common = sp.ilcm(1, *[(a / m).q for a in exponents])
        above = 1 + sp.Symbol("_above", positive=True)
        if max(abs(a / m) for a in exponents) * common > _HIGHEST:
            return 0
        e = e.xreplace({n: above ** (n.args[0] / m * common) for n in e.atoms(sp.exp)})
    top, bottom = sp.fraction(in_factors(sp.together(e)))
    side = 1
    for part in (*sp.Mul.make_args(top), *sp.Mul.make_args(bottom)):
        base, power = part.as_base_exp()
        found = _sign_of_sum(sp.Add.make_args(sp.expand(base)))
        side *= found if power.is_odd else abs(found)
    return side


def _sign_of_sum(terms: Sequence[sp.Expr]) -> int:
    if all(t.is_positive for t in terms):
        return 1
    if all(t.is_negative for t in terms):
        return -1
    if len(terms) != 2 or {t.is_positive for t in terms} != {True, False}:
        return 0
    above, below = sorted(
        terms, key=lambda t: bool(t.is_negative)
    )  # a - b has the sign of a^2 - b^2
    squares = sp.Add.make_args(sp.expand(above**2 - below**2))
    return _sign_of_sum(squares) if len(squares) != 2 else 0
