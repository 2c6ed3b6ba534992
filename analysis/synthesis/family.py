"""A family of methods: a system, a scheme and free gains, as numbers for a search and as symbols for exact answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from typing import Any, TypeAlias

import numpy as np
import sympy as sp
from jaxtyping import Complex, Float

from ..._support.errors import NotCarried, OdescentError, check_choice
from ..._support.rendering.brief import short
from ...discretize.faces import Algorithm
from ...discretize.library.schemes import scheme
from ...discretize.linear.modal import modal_poles
from ...discretize.linear.state_space import StateSpace
from ...discretize.programs.substeps import Scheme
from ...dynamics.flows.system import System
from ...dynamics.vector_fields.system import L, mu

Matrices: TypeAlias = tuple[
    Float[np.ndarray, "*batch n n"],
    Float[np.ndarray, "*batch n p"],
    Float[np.ndarray, "*batch p n"],
    Float[np.ndarray, "*batch p p"],
]


@dataclass(frozen=True, eq=False)
class Family:
    """Methods that differ in their gains.

    Attributes:
        algorithm: with its gains free; the step is bound to 1/sqrt(L) where the gains make it redundant.
        gains: the free symbols, each positive (zero included, as a limit) or real.
        mu, L: the class of functions, as exact numbers.
    """

    algorithm: Algorithm
    gains: tuple[sp.Symbol, ...]
    mu: sp.Expr
    L: sp.Expr

    @cached_property
    def space(self) -> StateSpace:
        """The state space in the gains, mu and L as symbols."""
        return self.algorithm.state_space()

    @cached_property
    def _entries(self) -> Callable[..., Any]:
        values = {mu: self.mu, L: self.L}
        s = self.space
        listed = [[e.xreplace(values) for e in m] for m in (s.A, s.B, s.C, s.D)]
        compiled: Callable[..., Any] = sp.lambdify(list(self.gains), listed, "numpy")
        return compiled

    def matrices(self, values: Float[np.ndarray, "*batch gains"]) -> Matrices:
        """A, B, C, D at values of the gains, batched like them."""
        values = np.asarray(values, float)
        batch, n, p = values.shape[:-1], self.space.A.rows, self.space.D.rows
        with np.errstate(all="ignore"):
            found = self._entries(*np.moveaxis(values, -1, 0))
        a, b, c, d = (
            np.stack([np.broadcast_to(np.asarray(e, float), batch) for e in entries], -1).reshape(
                *batch, rows, columns
            )
            for entries, (rows, columns) in zip(
                found, ((n, n), (n, p), (p, n), (p, p)), strict=True
            )
        )
        return a, b, c, d

    def modes(
        self, values: Float[np.ndarray, "*batch gains"], curvatures: Float[np.ndarray, " modes"]
    ) -> Complex[np.ndarray, "*batch modes n"]:
        """The poles of the method on quadratic modes of these curvatures."""
        return modal_poles(*self.matrices(values), curvatures)

    def bound(self, values: Mapping[sp.Symbol, sp.Expr]) -> Algorithm:
        """The method with gains that may be zero, which a positive parameter cannot be given by name.

        A parameter of the system that is zero is bound in the system, so that what it multiplies is gone; one that
        only the scheme has, as in a method given by its update, is tuned to zero.
        """
        step, system = self.algorithm.step, self.algorithm.system
        zero = {
            s: sp.S.Zero
            for s, v in values.items()
            if v == 0 and s != step and s in system.parameters
        }
        rest = {s: v for s, v in values.items() if s not in zero}
        where = {s: e.xreplace(zero) for s, e in self.algorithm.where.items()} | zero
        return self.algorithm.replace(where=where, tuning={**self.algorithm.tuning, **rest})


def families(
    given: Any,
    schemes: Iterable[Scheme | str] | None,
    where: Mapping[Any, object],
    constants: tuple[sp.Expr, sp.Expr],
) -> list[Family]:
    """The families to search, one for each scheme that fits the system.

    Args:
        given: a system, its name, or an algorithm with free parameters.
        schemes: to consider; None for all that fit.
        where: values of parameters that are held fixed.
        constants: mu and L, exact.

    Raises:
        OdescentError: no scheme fits, or a method is not linear in one gradient oracle.
    """
    if isinstance(given, Algorithm):
        if schemes is not None:
            raise OdescentError("an algorithm has its scheme already; give schemes= with a system.")
        return [_family(given, where, constants)]
    if isinstance(given, str):
        from ...dynamics.library import system

        given = system(given)
    if not isinstance(given, System):
        raise OdescentError(
            f"synthesize takes a System, its name, or an Algorithm with free parameters, not {short(given)}."
        )
    found, refusals = [], []
    for s in _fitting(given) if schemes is None else map(_scheme, schemes):
        try:
            made = Algorithm(given, s, where=_symbols(given, where))
            found.append(_family(made, {}, constants))
        except OdescentError as error:
            refusals.append(f"{s.name or s}: {error}")
    if not found:
        raise OdescentError(f"no scheme fits the family; {refusals[0]}")
    return found


def _fitting(given: System) -> list[Scheme]:
    names = [b.name for b in given.blocks]
    orders = permutations(names) if 1 < len(names) <= 4 else []
    return [
        scheme("explicit_euler"),
        *(scheme("semi_implicit_euler", order=order) for order in orders),
    ]


def _scheme(given: Scheme | str) -> Scheme:
    return given if isinstance(given, Scheme) else scheme(given)


def _symbols(owner: System | Algorithm, where: Mapping[Any, object]) -> dict[sp.Symbol, object]:
    known = {s.name: s for s in owner.parameters}
    found = {}
    for key, value in where.items():
        name = getattr(key, "name", key)
        check_choice("parameter", name, known)
        found[known[name]] = value
    return found


def _family(
    algorithm: Algorithm, where: Mapping[Any, object], constants: tuple[sp.Expr, sp.Expr]
) -> Family:
    if where:
        algorithm = algorithm.replace(where={**algorithm.where, **_symbols(algorithm, where)})
    space = algorithm.state_space()
    if not space.inputs or len(set(space.inputs)) > 1 or space.inputs[0].kind != "grad":
        raise NotCarried(
            "a worst-case rate over F(mu, L) needs a method that calls one gradient oracle and no other."
        )
    free = tuple(s for s in algorithm.parameters if s not in (mu, L))
    made = Family(algorithm, free, *constants)
    step = algorithm.step
    if step in free and len(free) > 1 and _rank(made) == _rank(made, without=step):
        algorithm = algorithm.replace(tuning={**algorithm.tuning, step: 1 / sp.sqrt(L)})
        made = Family(algorithm, tuple(s for s in free if s != step), *constants)
    if not made.gains:
        raise OdescentError(
            f"{algorithm.name or 'the method'} has no free gain to search; leave its step or a parameter free."
        )
    return made


def _rank(family: Family, without: sp.Symbol | None = None) -> int:
    """How many independent directions the gains move the transfer function in, at a generic point."""
    moved = [i for i, s in enumerate(family.gains) if s != without]
    at = np.array([0.31 + 0.17 * i for i in range(len(family.gains))])
    columns = []
    for i in moved:
        nudge = np.zeros_like(at)
        nudge[i] = 1e-6
        columns.append((_response(family, at + nudge) - _response(family, at - nudge)) / 2e-6)
    return int(np.linalg.matrix_rank(np.array(columns), tol=1e-6))


def _response(family: Family, values: Float[np.ndarray, " gains"]) -> Float[np.ndarray, " terms"]:
    """The first Markov parameters, which do not depend on the coordinates of the state."""
    a, b, c, d = family.matrices(values)
    terms, moved = [d], b
    for _ in range(2 * len(a) + 1):
        terms.append(c @ moved)
        moved = a @ moved
    return np.concatenate([t.ravel() for t in terms])
