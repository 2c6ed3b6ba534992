"""The registered methods as recognition has them: their forms, and what is known before a step is compiled."""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from typing import TypeAlias

import sympy as sp

from ..._support.work import uncounted
from ...dynamics.algebra.calculus import oracles_in
from ...dynamics.algebra.products import Elementwise, slots
from ...dynamics.algebra.vectors import (
    OPERATORS,
    Call,
    Expr,
    ScalarNode,
    Vector,
    VectorSymbol,
)
from ...dynamics.samples.sample import samples_in
from ..equality.time_varying import merged
from ..faces import Algorithm
from ..linear.state_space import NotLTI, StateSpace, linear
from ..linear.time_varying_form import time_varying
from ..linear.witness import is_positive
from ..programs.program import Program
from ..programs.substeps import expressions_of
from .maps import sorts
from .shared_point import Table, table

_PREFERRED = ("gradient_descent", "nesterov_sc", "triple_momentum", "heavy_ball")
Form: TypeAlias = "StateSpace | Program"


def known_methods() -> list[str]:
    """The registered methods, those first whose names are preferred."""
    from ..library import algorithms

    return [*_PREFERRED, *(n for n in algorithms() if n not in _PREFERRED)]


def form(program: Program) -> Form:
    """The program as a linear method, one with changing coefficients, or a map; one with guards as it is."""
    if program.guarded:
        return program
    with contextlib.suppress(NotLTI):
        return linear(program).merged()
    with contextlib.suppress(NotLTI):
        found = time_varying(program)
        if found.start is not None and found.inputs:
            return merged(found)
    return program


class Known:
    """A registered method with its tuning, or without: its form, its parameters and its step, worked out when asked.

    Args:
        algorithm: the method.
        free: whether its parameters are, which its tuning gives values.
    """

    def __init__(self, algorithm: Algorithm, free: bool) -> None:
        self.algorithm, self.free, self.step = algorithm, free, algorithm.step

    def never(
        self, target: Program, linear: bool = False, bends: bool = False, noisy: bool = False
    ) -> bool:
        """Whether its system and its scheme say, before they are compiled, that it is not the target.

        It calls more functions, or functions of other arguments, or one of the two is random or bends and the other
        does not. False is inconclusive.

        Args:
            target: the given method.
            linear: whether its points are affine in the answers before.
            bends: whether they are not; where both are False it is not known.
            noisy: whether its output is random, whatever its parameters.
        """
        if (self.random and not target.draws and not target.counts) or (noisy and self.quiet):
            return True
        if (linear and self.bent) or (bends and self.straight):
            return True
        mine = functions_of(target)
        return any(n > mine[sort] for sort, n in self.functions.items())

    @functools.cached_property
    def functions(self) -> Counter[tuple[bool, int]]:
        """How many functions it calls at least, by whether for values and by their number of arguments."""
        found = {o for e in self._read for o in oracles_in(e) if not o.form.registered}
        return Counter((o.kind == "value", len(o.args)) for o in found)

    @functools.cached_property
    def random(self) -> bool:
        """Whether calls or outputs are random whatever its parameters: it has noise or samples, and no guards.

        The tests prove that of each registered method for which this is so. Nothing is said of ensembles, whose noise
        is in proportion to what may vanish, and of values, which may be those of a constant.
        """
        if self.algorithm.scheme.guarded or self._kinds & {"ensemble", "value"}:
            return False
        return self._drawn

    @functools.cached_property
    def bent(self) -> bool:
        """Whether points are no affine functions of the answers before: roots, moduli or signs of these are in them.

        The tests prove of each registered method for which this is so that they bend, whatever its parameters. Nothing
        is said of matrices that learn, which may cancel, and of methods with guards.
        """
        a = self.algorithm
        if a.scheme.guarded or any(b.kind in OPERATORS for b in a.bound.blocks):
            return False
        moving: set[sp.Symbol] = {b.symbol for b in a.bound.blocks if b.kind == "scalar"}
        for e in self._read:
            terms = e.terms.items() if isinstance(e, Vector) else ()
            parts = [c for _, c in terms] + [t.body for t, _ in terms if isinstance(t, Elementwise)]
            if any(_rooted(part, moving) for part in parts):
                return True
        return False

    @functools.cached_property
    def quiet(self) -> bool:
        """Whether nothing in it is drawn, whatever its parameters: no noise, no samples, no ensembles, no batches."""
        fixed = {"grad", "operator", "value", "hvp", "jvp", "map", "vjp"}
        return not self._drawn and self._kinds <= fixed

    @functools.cached_property
    def straight(self) -> bool:
        """Whether nothing is drawn and points are affine in answers: weights are parameters and numbers of the step.

        The tests prove of each registered method for which this is so that its step is linear.
        """
        a = self.algorithm
        if not self.quiet or a.scheme.guarded or (a.size is not None and a.size.has(ScalarNode)):
            return False
        return all(map(_affine, self._read))

    @functools.cached_property
    def _read(self) -> list[Expr]:
        """The expressions in its system and in its scheme, which its steps evaluate."""
        a = self.algorithm
        drifts = [e for f in a.bound.fields.values() for e in f.drift.values()]
        return [*drifts, *(e for s in a.scheme.every for e in expressions_of(s))]

    @functools.cached_property
    def _kinds(self) -> set[str]:
        """The kinds of the oracles in these."""
        return {o.kind for e in self._read for o in oracles_in(e)}

    @functools.cached_property
    def _drawn(self) -> bool:
        """Whether it has noise or samples."""
        noise = any(f.noise for f in self.algorithm.bound.fields.values())
        return noise or bool(samples_in(self._read))

    @functools.cached_property
    def program(self) -> Program:
        """Its step."""
        with uncounted():
            return self.algorithm.program if self.free else self.algorithm.tuned

    @functools.cached_property
    def symbols(self) -> set[sp.Symbol]:
        """The symbols in its coefficients, and some that cancel; known before its tuning is bound."""
        values = {} if self.free else self.algorithm.tuning_values
        found = (values.get(p, p).free_symbols for p in self.algorithm.program.parameters)
        return set().union(*found)

    @functools.cached_property
    def form(self) -> Form:
        """The method as `form` has it."""
        with uncounted():
            return form(self.program)

    @functools.cached_property
    def sorts(self) -> list[list[tuple[int, ...]]]:
        """The sorts of its calls."""
        with uncounted():
            return sorts(self.program)

    @functools.cached_property
    def states(self) -> int:
        """At most so many vectors carry what it remembers, beside its scalar coefficients: blocks, and answers kept."""
        vectors = [b for b in self.program.blocks if b.kind != "scalar"]
        again = Counter(c.oracle for c in self.program.calls)
        return len(vectors) + sum(n - 1 for n in again.values())

    @functools.cached_property
    def parameters(self) -> tuple[sp.Symbol, ...]:
        """The symbols that may have other values."""
        return self.program.parameters

    @property
    def tuned_to_positive(self) -> bool:
        """Whether its tuning gives positive values, as free parameters have; its calls are as many, see the tests."""
        return all(is_positive(e, below=True) for e in self.algorithm.tuning_values.values())

    @functools.cached_property
    def table(self) -> Table | None:
        """The weights of answers at the shared point; None where the method is not linear, or has no numbers there."""
        with uncounted():
            return None if isinstance(self.form, Program) else table(self.form)


@functools.cache
def known_method(name: str, free: bool) -> Known:
    """The registered method of that name, made once."""
    from ..library import algorithm

    with uncounted():
        return Known(algorithm(name), free)


def _rooted(e: sp.Expr, moving: set[sp.Symbol]) -> bool:
    """Whether a root, a modulus or a sign of what moves is in a scalar: of inner products, blocks, or entries."""
    powers = {p for p in e.atoms(sp.Pow) if not p.exp.is_Integer}
    inside = {*powers, *e.atoms(sp.sign, sp.Abs)}
    return any(n.has(ScalarNode) or n.free_symbols & {*moving, *slots(2)} for n in inside)


def _affine(e: Expr) -> bool:
    """Whether an expression is affine in blocks and answers, its points as well, with weights free of them."""
    if not isinstance(e, Vector):
        return not e.has(ScalarNode)
    asked = ("grad", "operator")
    return all(
        not c.has(ScalarNode)
        and (
            isinstance(a, VectorSymbol)
            or (
                isinstance(a, Call)
                and a.oracle.kind in asked
                and not (a.directions or a.parameters or a.oracle.args)
                and _affine(a.point)
            )
        )
        for a, c in e.terms.items()
    )


def functions_of(program: Program) -> Counter[tuple[bool, int]]:
    """How many functions a step calls, by whether for values and by their number of arguments."""
    return Counter((o.kind == "value", len(o.args)) for o in program.oracles)
