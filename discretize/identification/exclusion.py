"""Exact exclusion of all parameters at once: the weights of two methods' answers as fractions in unknowns, eliminated.

A point of a later step is a weighted sum of earlier answers. The weights of a known method are fractions in its
parameters and, where a recurrence has roots, in the scalars of each step, which are unknowns beside them, with the
squared recurrence as an equation. That they are the numbers of a given method has no solution where elimination ends
in a constant, in a polynomial of one sign, or in one of a single unknown without a root where that unknown lies.
Roots of numbers are intervals at first, then unknowns as they are, whose powers cancel exactly. What is left out (a
relation of constants, say) only adds solutions, so that "no solution" stays right.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import sympy as sp
from sympy.polys.domains import QQ
from sympy.polys.fields import FracElement
from sympy.polys.rings import PolyElement, PolyRing

from ..._support.work import kept
from ...dynamics.algebra.oracles import Oracle
from ..linear.time_varying_form import MatrixSequence, NotReal, TimeVarying
from ..linear.witness import Values, samples
from .elimination import FEW, ORDER, PAIRS, no_solution
from .impulse_weights import Scalars, Weights, frozen, weights
from .shared_point import memory

_STEPS = (3, 4)  # steps that are compared, few first
_AHEAD = 20  # combinations that are tried where coefficients begin at an unknown
_UNITS = (0, -1, 1, -2, 2)  # powers of a parameter that a scalar is measured in


def incompatible(
    target: TimeVarying,
    known: TimeVarying,
    rename: Mapping[sp.Symbol, sp.Expr],
    below: frozenset[sp.Symbol],
    later: int = 0,
    times: int = 1,
) -> bool:
    """Whether no unknowns make the known method the target; False is inconclusive.

    Args:
        target: the given method; its parameters are taken at two samples.
        known: the known method.
        rename: its parameters in terms of positive unknowns.
        below: the unknowns that are less than one.
        later: by how many steps the known coefficients are ahead.
        times: how many steps of the known method are one of the target; its calls are in the same order.
    """
    given = itertools.islice(samples(target.symbols), 2 if target.symbols else 1)
    constant = times == 1 and not (_varies(target) or _varies(known))

    def at(values: Values) -> bool:
        is_real, states = _at(target, values)
        if not is_real:
            return False
        least = states if constant else 0
        if least > known.A.rows:
            return True
        for steps in (3,) if later else (1, 2) if times > 1 else _STEPS:
            mine = weights(target, values, frozenset(), steps, constant)
            theirs = weights(known, rename, below, steps * times, constant, later)
            if mine is None or theirs is None:
                return False
            if times > 1:
                mine, theirs = (
                    _in_a_row(w, len(s.inputs)) for w, s in ((mine, target), (theirs, known))
                )
            minimal = least == target.A.rows == known.A.rows
            if _impossible(mine, _scaled(theirs), minimal, _AHEAD if later else PAIRS):
                return True
        return False

    return all(map(at, given))


def _at(target: TimeVarying, values: Values) -> tuple[bool, int]:
    """Whether the method is defined at these values: nothing is said of it where it is not. And its `memory`."""
    return _found_at(*frozen(target), target.inputs, tuple(values.items()))


@kept(64)  # a target is compared with every registered method
def _found_at(
    system: tuple[sp.ImmutableMatrix, ...],
    scalars: Scalars,
    inputs: tuple[Oracle, ...],
    values: tuple[tuple[sp.Symbol, sp.Expr], ...],
) -> tuple[bool, int]:
    ahead, begin = {s: e for s, e, _ in scalars}, {s: e for s, _, e in scalars}
    a, b, c, d = system
    target = TimeVarying(a, b, c, d, (), inputs, None, None, ahead=ahead, begin=begin)
    if not _varies(target):
        return True, memory(target, dict(values))
    try:
        MatrixSequence(target, dict(values))
    except NotReal:
        return False, 0
    return True, 0


def _in_a_row(of: Weights, calls: int) -> Weights:
    """The weights by the numbers of calls, with no steps."""
    found = {(k * calls + i, 0, j * calls + c, 0): e for (k, i, j, c), e in of.found.items()}
    return replace(of, found=found)


def _varies(system: TimeVarying) -> bool:
    return any(m.free_symbols & set(system.ahead) for m in system.system)


@kept(1024)
def _scaled(of: Weights) -> Weights:
    """With a parameter set to one that only scales all weights, alike; as they are where there is none."""
    symbols = of.field.symbols
    for place, s in enumerate(symbols):
        if s not in of.positive or s in of.below or s in of.numbers:
            continue
        for unit in _UNITS if of.relations else (0,):
            powers = [
                1 if i == place else unit if t not in of.positive else 0 for i, t in enumerate(symbols)
            ]  # fmt: skip
            sizes = {_difference(e, powers) for e in of.found.values()}
            others = {_difference(e, powers) for e in of.characteristic if e} - {0}
            related = [_size(p, powers) for p in of.relations]
            if len(sizes) == 1 and not sizes & {0, None} and not others and None not in related:
                return _at_one(of, place)
    return of


def _size(p: PolyElement, powers: Sequence[int]) -> int | None:
    """The degree of a polynomial in these units; None if its terms have several."""
    found = {sum(e * u for e, u in zip(m, powers, strict=True)) for m in p.monoms()}
    return found.pop() if len(found) == 1 else None


def _difference(e: FracElement, powers: Sequence[int]) -> int | None:
    above, below = _size(e.numer, powers), _size(e.denom, powers)
    return None if above is None or below is None else above - below


def _at_one(of: Weights, place: int) -> Weights:
    def moved(p: PolyElement) -> PolyElement:
        terms = {tuple(0 if i == place else e for i, e in enumerate(m)): c for m, c in p.items()}
        return p.ring.from_dict(terms)

    def fraction(e: FracElement) -> FracElement:
        return of.field(moved(e.numer)) / of.field(moved(e.denom))

    return replace(
        of,
        found={k: fraction(e) for k, e in of.found.items()},
        relations=tuple(map(moved, of.relations)),
        characteristic=tuple(map(fraction, of.characteristic)),
        scaled=True,
    )


def _impossible(mine: Weights, theirs: Weights, minimal: bool, most: int) -> bool:
    """Whether the weights cannot be equal, whatever the unknowns of either.

    With ``minimal`` the two have the same number of states and the target needs them, so that they have the same
    poles.
    """
    symbols = [*mine.field.symbols, *theirs.field.symbols]
    ring = PolyRing(symbols, QQ, ORDER)

    def pair(e: FracElement | None) -> tuple[PolyElement, PolyElement]:
        if not e:
            return ring.zero, ring.one
        return e.numer.set_ring(ring), e.denom.set_ring(ring)

    keys = sorted({*mine.found, *theirs.found})
    pairs = [(pair(mine.found.get(k)), pair(theirs.found.get(k))) for k in keys]
    if theirs.scaled:  # in proportion to one of them
        both = [i for i, (one, other) in enumerate(pairs) if one[0] and other[0]]
        if both:
            first = min(both, key=lambda i: sum(map(len, (*pairs[i][0], *pairs[i][1]))))
            (a, b), (c, d) = pairs.pop(first)
            pairs = [((e * b, f * a), (g * d, h * c)) if e and g else ((e, f), (g, h))
                     for (e, f), (g, h) in pairs]  # fmt: skip
    found = [e * h - g * f for (e, f), (g, h) in pairs]
    found += [p.set_ring(ring) for p in (*mine.relations, *theirs.relations)]
    if minimal:
        poles = zip(mine.characteristic, theirs.characteristic, strict=True)
        found += [e * h - g * f for (e, f), (g, h) in (map(pair, both) for both in poles)]
    numbers, roots = {**mine.numbers, **theirs.numbers}, {**mine.roots, **theirs.roots}
    positive, below = mine.positive | theirs.positive, mine.below | theirs.below
    # As numbers roots leave few unknowns; what holds only at an end of the unknowns takes them as they are.
    return bool(roots and no_solution(found, positive, below, FEW, {**numbers, **roots})) or (
        no_solution(found, positive, below, most, numbers)
    )
