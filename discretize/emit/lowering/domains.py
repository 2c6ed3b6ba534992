"""Domains of the hyper-parameters of an emitted step: zeros that are allowed, and upper bounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import sympy as sp

from ....dynamics.algebra.calculus import Symbol
from ....dynamics.algebra.products import Elementwise, Kronecker, Product, slots
from ....dynamics.algebra.vectors import Atom, Vector, VectorSymbol
from ....dynamics.numbers.factors import in_factors
from .coefficients import in_order
from .lower import Lowering
from .names import Naming
from .statements import (
    FORMED,
    ChooseLet,
    JoinLet,
    Limits,
    LoopLet,
    Lowered,
    ParameterLimit,
    PartLet,
    Routine,
    ScalarLet,
    SolveLet,
    SweepLet,
    VectorLet,
    ZeroLet,
    inside,
)

if TYPE_CHECKING:
    from ...step.iteration import Iteration

_CLASS = {"mu", "L"}  # constants of the problem


@dataclass(frozen=True)
class Domain:
    """Bounds by name, in the order of signatures.

    Attributes:
        positive: must be more than 0.
        nonnegative: may be 0.
        limits: further bounds of a parameter.
        ordered: whether mu and L are both there.
    """

    positive: tuple[str, ...]
    nonnegative: tuple[str, ...]
    limits: Limits = field(default_factory=dict)
    ordered: bool = False


def domain(lowered: Lowered) -> Domain:
    """The domain of each parameter that is declared positive: with 0 where every formula has a value there."""
    declared = [s for s in in_order(lowered.parameters) if s.is_positive]
    zero = [s.name for s in declared if s.name not in _CLASS and _defined_at_zero(lowered, s)]
    names = {s.name for s in lowered.parameters}
    listed = {s.name: lowered.limits[s.name] for s in declared if s.name in lowered.limits}
    positive = tuple(s.name for s in declared if s.name not in zero)
    return Domain(positive, tuple(zero), listed, names >= _CLASS)


def lowered_of(algorithm: Iteration, naming: Naming, counters: bool = False) -> Lowered:
    """All of an algorithm's step, ready to be printed as it stands; ``counters`` as of `Lowering`."""
    program = naming.program(algorithm.tuned)
    step = naming.parameter(algorithm.step)
    lowering = Lowering(program, naming, step=step, counters=counters)
    return replace(lowering.lowered(limits_of(algorithm, naming)), starts=lowering.starts())


def limits_of(algorithm: Iteration, naming: Naming) -> Limits:
    """Bounds that follow from the tuning: what it gives to a positive parameter has to be positive, and mu <= L.

    The first are read off factors in one parameter: -log(p) is positive for p < 1, c - d p for p < c/d. Where one of mu
    and L has a value, that bounds the other one.
    """
    found: dict[str, sp.Rational] = {}
    for s, value in {**algorithm.where, **algorithm.tuning}.items():
        if not s.is_positive:
            continue
        for factor in sp.Mul.make_args(in_factors(value)):
            base, exponent = factor.as_base_exp()
            bound = _bound(base)
            if bound is not None and (isinstance(base, sp.log) or exponent in (1, -1)):
                name, number = bound
                found[name] = min(number, found.get(name, number))
    made = {n: (ParameterLimit(f">= {b}", f"less than {b}"),) for n, b in found.items()}
    for one, other, outside, words in (("L", "mu", ">", "at most"), ("mu", "L", "<", "at least")):
        value = next(
            (v for s, v in algorithm.tuning.items() if s.name == one and v.is_number), None
        )
        if value is not None:
            number = value if value.is_Rational else float(value)
            limit = ParameterLimit(f"{outside} {number}", f"{words} {one} = {value}")
            made[other] = (*made.get(other, ()), limit)
    return {naming.parameter_name(n): several for n, several in made.items()}


def _bound(e: sp.Expr) -> tuple[str, sp.Rational] | None:
    if isinstance(e, sp.log) and e.args[0].is_Symbol:
        return e.args[0].name, sp.S.One
    if e.is_Add and len(e.free_symbols) == 1:
        (p,) = e.free_symbols
        if e.is_polynomial(p) and sp.degree(e, p) == 1:
            zero = -e.coeff(p, 0) / e.coeff(p, 1)
            if zero.is_Rational and zero > 0 and p.is_positive:
                return p.name, zero
    return None


def _defined_at_zero(lowered: Lowered, p: sp.Symbol) -> bool:
    """Whether every formula of the step has a finite value where the parameter is 0."""
    values: dict[Symbol, sp.Expr] = {}
    for name, form in lowered.coefficients.forms().items():
        at = form.xreplace({p: sp.S.Zero})
        if _singular(at):
            return False
        if at == 0:
            values[name] = sp.S.Zero
    routines = [lowered.init, lowered.step, *lowered.outputs.values()]
    still = {b.symbol for b in lowered.blocks if not b.init}
    while True:  # with the blocks that stay zero from their start on
        if not all(_Zeros(values, still).fine(r) for r in routines):
            return False
        after = _Zeros(values, still)
        after.fine(lowered.step)
        kept = {
            b.symbol for b in lowered.blocks
            if b.symbol in still and after.is_zero(lowered.step.results[b.name])
        }  # fmt: skip
        if kept == still:
            return True
        still = kept


def coasts(lowered: Lowered, routine: Routine, result: str, step: sp.Symbol) -> bool:
    """Whether a result need not vanish where the step is zero.

    Args:
        lowered: for the formulas of its coefficients.
        routine: what computes the result.
        result: its name in the routine.
        step: the symbol of the step.

    Returns:
        False where the result is proved to be zero at a step of zero.
    """
    forms = lowered.coefficients.forms().items()
    at = {name: form.xreplace({step: sp.S.Zero}) for name, form in forms}
    zeros = _Zeros({name: e for name, e in at.items() if e == 0}, ())
    zeros.fine(routine)
    return not zeros.is_zero(routine.results[result])


def _singular(e: sp.Expr) -> bool:
    return bool(e.has(sp.zoo, sp.nan, sp.oo, -sp.oo))


class _Zeros:
    """Which values of a routine are zero, and whether any is singular."""

    def __init__(self, values: Mapping[Symbol, sp.Expr], still: Iterable[Symbol]) -> None:
        self.values = dict(values)
        self.still = set(still)

    def is_zero(self, e: object) -> bool:
        if isinstance(e, VectorSymbol):
            return e in self.still
        if isinstance(e, Elementwise):
            return bool(self._body(e) == 0)
        if isinstance(e, (Kronecker, Product)):
            return self.is_zero(e.left) or self.is_zero(e.right)
        if isinstance(e, Atom):  # the identity, and what is linear in an operator
            return False
        if isinstance(e, Vector):
            return all(c.xreplace(self.values) == 0 or self.is_zero(a) for a, c in e.terms.items())
        return isinstance(e, sp.Expr) and bool(e.xreplace(self.values) == 0)

    def fine(self, routine: Routine) -> bool:
        """Whether no formula of the routine is singular."""
        for s in routine.statements:
            if isinstance(s, (ScalarLet, VectorLet)):
                if not self._finite(s.value):
                    return False
                if self.is_zero(s.value) and isinstance(s, VectorLet):
                    self.still.add(s.target)
                elif self.is_zero(s.value):
                    self.values[s.target] = sp.S.Zero
            elif isinstance(s, SolveLet):
                solved = s.method not in FORMED  # else b only says which space it is
                self.still |= {s.target} if solved and self.is_zero(s.b) else set()
            elif isinstance(s, JoinLet):
                self.still |= {s.target} if all(map(self.is_zero, s.vectors)) else set()
            elif isinstance(s, PartLet):
                self.still |= {s.target} if self.is_zero(s.whole) else set()
            elif isinstance(s, ZeroLet):
                self.still.add(s.target)
            elif isinstance(s, (ChooseLet, LoopLet)):
                # what is known before it is known inside, and nothing of what comes out
                if not all(_Zeros(self.values, self.still).fine(r) for r in inside(s)):
                    return False
            elif isinstance(s, SweepLet) and _singular(s.slope.xreplace(self.values)):
                return False
        return all(self._finite(e) for e in routine.results.values())

    def _finite(self, e: object) -> bool:
        if isinstance(e, Vector):
            inside = [a for a in e.terms if isinstance(a, Elementwise)]
            return not any(_singular(self._body(a)) for a in inside) and not any(
                _singular(c.xreplace(self.values)) for c in e.terms.values()
            )
        assert isinstance(e, sp.Expr)
        return not _singular(e.xreplace(self.values))

    def _body(self, e: Elementwise) -> sp.Expr:
        pairs = zip(slots(len(e.arguments)), e.arguments, strict=True)
        zeros = {s: sp.S.Zero for s, a in pairs if self.is_zero(a)}
        return e.body.xreplace({**self.values, **zeros})
