"""Draws in the limit of small steps: whether the mean of a step is the step without them.

A draw that moves the state by the order of sqrt(h), in proportion to itself, has mean zero and survives as the noise
of the limit: the drift is what is left without it. Where a draw enters any other way at the orders that make the
drift (through an oracle's argument, squared, in a product with another draw), the mean of a step is not the step
without it. The limit is then an average over the draws (Papanicolaou and Kohler, Comm. Pure Appl. Math. 27, 1974;
Kushner and Yin, Stochastic Approximation and Recursive Algorithms, 2003, chapter 8), which is not supported.
"""

from __future__ import annotations

import sympy as sp

from ..._support.errors import NotCarried, OdescentError
from ...dynamics.algebra.calculus import (
    Symbol,
    derivative,
    nothing,
    renamed,
    substitute,
    symbols_of,
    tidy,
)
from ...dynamics.algebra.series import taylor
from ...dynamics.algebra.vectors import Expr
from ..programs.program import Program


def check_draws(update: dict[Symbol, Expr], root: sp.Symbol, program: Program) -> None:
    """Refuse a step whose limit flow is not that of the step with its draws at their means.

    Every block of the state must be affine in the draws, and in the memories that draws of order one reach: then its
    mean is its value at their means. Those memories must be affine in them at ``root**0``. A step jumps with a
    probability of the order of the step only, so that terms beyond ``root**0`` are checked for a step without jumps.

    Args:
        update: the new state, draws included, as a function of ``root``.
        root: the square root of the step.
        program: the program of the step.

    Raises:
        NotCarried: the block and the draw that prevent the limit.
    """
    drawn: set[Symbol] = {d.target for d in program.draws if not d.law}
    numbers: set[Symbol] = {n.target for n in program.counts}
    quiet = dict.fromkeys(numbers, sp.S.Zero)
    series = {s: taylor(e, root, 2) for s, e in update.items()}
    memories = {b.symbol for b in program.blocks if b.role == "memory"}
    noisy = _moved_by(drawn | numbers, {m: series[m][0] for m in memories})
    for s, powers in series.items():
        if s in memories:
            if s in noisy:
                _check_affine(s, powers[0], drawn | noisy, numbers)
            continue
        _check_affine(s, powers[0], drawn, numbers)
        still, first, second = (tidy(substitute(e, quiet)) for e in powers)
        if left := symbols_of(still) & drawn:
            raise NotCarried(
                f"however small the step, the draw {_first(left)} changes {s} by its own size, so there is no "
                "limit flow."
            )
        if left := symbols_of(first) & noisy:  # its values in different steps are not independent
            raise NotCarried(
                f"the step of {s} has the memory {_first(left)} times the root of the step, which depends on "
                "draws of several steps; the limit of such noise is not supported."
            )
        _check_affine(s, first, drawn, set())
        _check_affine(s, second, drawn | noisy, set())


def _moved_by(drawn: set[Symbol], memories: dict[Symbol, Expr]) -> set[Symbol]:
    """The memories that the draws move, by themselves or through one another."""
    moved: set[Symbol] = set()
    while more := {m for m, e in memories.items() if symbols_of(e) & (drawn | moved)} - moved:
        moved |= more
    return moved


def _check_affine(block: Symbol, e: Expr, moving: set[Symbol], numbers: set[Symbol]) -> None:
    """Refuse what is not affine in the symbols, and numbers of jumps that no draw multiplies."""
    if not symbols_of(e) & (moving | numbers):
        return
    found = symbols_of(e) & moving
    name = _first(found or symbols_of(e) & numbers)
    try:
        # directions in which they may move; no block has such a name
        slope = tidy(derivative(e, {m: renamed(m, f"along {m.name}") for m in found}))
        rest = tidy(substitute(e, {m: nothing(m) for m in found}))
    except OdescentError:  # a kink, or an oracle's parameter
        raise _refusal(block, name) from None
    if symbols_of(slope) & found or symbols_of(rest) & numbers:
        raise _refusal(block, name)


def _first(symbols: set[Symbol]) -> str:
    return min(s.name for s in symbols)


def _refusal(block: Symbol, draw: str) -> NotCarried:
    return NotCarried(
        f"the step of {block} is not linear in {draw}, which is drawn in every step, so its limit for small steps is "
        "an average over the draws; that is not supported."
    )
