"""Other values of a known map's parameters at which it could be a given one, by the points or laws of its calls."""

from __future__ import annotations

import sympy as sp

from ..._support.errors import NotCarried
from ...dynamics.algebra.exact import canonical
from ..linear.state_space import explicit_proximal
from ..programs.program import Program
from .answers import SLOPES, points
from .laws import laws
from .matching import admissible, eliminate, unknowns

_MOST = 3  # unknowns that are solved for


def other_values(target: Program, known: Program) -> list[dict[sp.Symbol, sp.Expr]]:
    """Values of the known method's parameters, in those of the target, at which first points agree.

    They are candidates: whether the methods are equal there is still to be decided.
    """
    if not 0 < len(known.parameters) <= _MOST or bool(target.draws) != bool(known.draws):
        return []
    try:
        mine, theirs = (_first_points(explicit_proximal(p)) for p in (target, known))
        wanted = unknowns(known.parameters, theirs)
        pairs = zip(mine, theirs, strict=True)
        left = [canonical(b.xreplace(wanted.rename) - a) for a, b in pairs]
        solved = list(eliminate(sorted(left, key=sp.count_ops), wanted.symbols))
    except (NotCarried, ArithmeticError):
        return []
    found = [values for values in solved if admissible(values, wanted)]
    return [{p: wanted.rename[p].xreplace(v) for p in known.parameters} for v in found]


def _first_points(program: Program) -> list[sp.Expr]:
    """Coordinates of the points after a few first answers, or means and variances on linear functions."""
    if program.draws:
        return [e for slope in SLOPES[:2] for law in laws(program, slope, 2)[1:2] for e in law]
    return [e for slope in SLOPES for e in points(program, [slope])[-1]]
