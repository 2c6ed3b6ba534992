"""Moments of one step in coordinates: the next state as expressions in the state and in draws.

From it the exact moment maps: E phi(z_{k+1}) given z_k for every phi that makes a polynomial of the draws.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.calculus import Symbol, substitute
from ...dynamics.algebra.exact import canonical
from ...dynamics.algebra.scalars import as_scalar
from ...dynamics.algebra.vectors import Expr
from ...dynamics.samples.laws import Law
from ...dynamics.stochastic.coordinates import Coordinates, Functions, observable
from ...dynamics.stochastic.gaussians import (
    expectation,
    monomial,
    poisson_expectation,
    polynomial_terms,
)
from ...dynamics.stochastic.operators import Index, indices
from ..faces import Algorithm
from ..linear.matrices import inverse
from ..programs.program import CallOracle, Count, Draw, Program


@dataclass(frozen=True)
class StepMap(Rendered):
    """z+ = ``after`` as expressions in the coordinates ``state`` and in independent ``draws``, each with its law.

    ``outputs`` are the blocks and the named expressions in the state, by coordinate; ``counts`` are independent
    Poisson numbers in ``after``, numbers of jumps, with their means.
    """

    state: tuple[sp.Symbol, ...]
    after: tuple[sp.Expr, ...]
    draws: tuple[tuple[tuple[sp.Symbol, ...], Law], ...]
    outputs: dict[str, tuple[sp.Expr, ...]]
    counts: dict[sp.Symbol, sp.Expr] = field(default_factory=dict)

    @property
    def drawn(self) -> tuple[sp.Symbol, ...]:
        """The coordinates of its draws."""
        return tuple(s for symbols, _ in self.draws for s in symbols)

    def mean(self, phi: object) -> sp.Expr:
        """E phi(z_{k+1}) given z_k = z, for an expression in the state.

        Raises OdescentError where phi(z_{k+1}) is no polynomial in the draws.
        """
        moved = observable(phi, self.state).subs(
            dict(zip(self.state, self.after, strict=True)), simultaneous=True
        )
        return poisson_expectation(expectation(moved, self.draws), self.counts)


def _program_of(algorithm: Algorithm | Program) -> Program:
    return algorithm.tuned if isinstance(algorithm, Algorithm) else algorithm


@checked
def step_map(
    algorithm: Algorithm | Program,
    dimension: int = 1,
    functions: Functions | None = None,
    *,
    hessian: object = None,
) -> StepMap:
    """One step in coordinates.

    Args:
        algorithm: an algorithm after tuning, or a program.
        dimension: the length d of every vector block; the size of ``hessian`` where that is a matrix.
        functions: SymPy expressions for oracles by name; those that are not given stay opaque.
        hessian: the objective is x^T A x / 2 with this A (d x d, or a number or symbol for d = 1), and
            implicit steps are solved.

    Raises OdescentError for an implicit step without ``hessian``, and for what has no coordinates.
    """
    program = _program_of(algorithm).inlined()
    matrix = _square(hessian)
    form = Coordinates(dimension if matrix is None else matrix.rows, functions)
    if program.sweeps:
        raise OdescentError(
            "a sweep over coordinates has no step map here; write its coordinates as scalar blocks."
        )
    draws: list[tuple[tuple[sp.Symbol, ...], Law]] = []
    counts: dict[sp.Symbol, sp.Expr] = {}
    known: dict[sp.Symbol, sp.Expr] = {}  # coordinates of calls' results
    opened: dict[Symbol, Expr] = {}  # results that stay expressions in vectors
    for i in program.plain:
        if isinstance(i, Draw):
            draws.append((form.symbols(i.target), i.drawn_from))
        elif isinstance(i, Count):
            counts[i.target] = form.scalar(substitute(i.mean, opened)).xreplace(known)
        elif isinstance(i, CallOracle):
            if matrix is not None and i.oracle.form.field:
                found = _linear(i, form, matrix, known, opened)
                known.update(zip(form.symbols(i.target), found, strict=True))
                continue
            if i.implicit != 0:
                raise OdescentError(
                    f"the implicit step for {i.oracle.name} has no closed form; give a quadratic by hessian=."
                )
            opened[i.target] = i.changed(lambda e: substitute(e, opened)).as_call()
    after = [c for s in program.state for c in form.components(substitute(program.next[s], opened))]
    named = {**{b.name: b.symbol for b in program.blocks}, **program.outputs}
    outputs = {n: tuple(form.components(e)) for n, e in named.items()}
    state = tuple(c for s in program.state for c in form.symbols(s))
    moved = tuple(e.xreplace(known) for e in after)
    return StepMap(state, moved, tuple(draws), outputs, counts)


def _square(hessian: object) -> sp.Matrix | None:
    if hessian is None:
        return None
    whole = isinstance(hessian, (sp.MatrixBase, list))
    matrix = sp.Matrix(hessian if whole else [[as_scalar(hessian)]])
    if matrix.rows != matrix.cols:
        raise OdescentError(f"a Hessian must be square, not {matrix.rows} x {matrix.cols}.")
    return matrix


def _linear(
    i: CallOracle,
    form: Coordinates,
    matrix: sp.Matrix,
    known: dict[sp.Symbol, sp.Expr],
    opened: dict[Symbol, Expr],
) -> list[sp.Expr]:
    """The result of a gradient, or of its derivatives, on the quadratic: A (I - w A)^-1 point."""
    if len(i.directions) > 1:
        return [sp.S.Zero] * matrix.rows
    at = substitute(i.directions[0] if i.directions else i.point, opened)
    column = sp.Matrix([c.xreplace(known) for c in form.vector(at)])
    if i.implicit != 0:
        solved = inverse(sp.eye(matrix.rows) - i.implicit * matrix)
        if solved is None:
            raise OdescentError(
                f"the implicit step for {i.oracle.name} has no solution on this quadratic."
            )
        column = solved * column
    return list(matrix * column)


@dataclass(frozen=True)
class MomentMap(Rendered):
    """E of the monomials of degree 1 and 2 after a step: ``matrix`` times those before it, plus ``constant``."""

    monomials: tuple[sp.Expr, ...]
    matrix: sp.Matrix
    constant: sp.Matrix
    step: StepMap

    @property
    def second(self) -> sp.Matrix:
        """The map of the second moments among themselves; the mean square settles where its radius is below 1."""
        n = len(self.step.state)
        return self.matrix[n:, n:]

    def stability_conditions(self) -> list[sp.Expr]:
        """Expressions that are all positive exactly where the chain is stable in mean square.

        For each factor of the characteristic polynomial of `second`, its coefficients and Hurwitz' determinants
        after z = (1 + w)/(1 - w), which takes the unit disc to the left half plane.
        """
        z = sp.Dummy("z")
        characteristic = sp.Add(
            *[c * z**k for k, c in enumerate(self.second.charpoly().all_coeffs()[::-1])]
        )
        top, _ = sp.fraction(sp.together(characteristic))
        factors = [sp.Poly(f, z) for f, _ in sp.factor_list(top)[1] if f.has(z)]
        return list(dict.fromkeys(e for f in factors for e in _inside_the_circle(f)))

    def stationary(self) -> dict[sp.Expr, sp.Expr]:
        """The moments that a step keeps.

        Raises OdescentError where they are not unique, and for numbers with which moments grow without bound.
        """
        if not self.matrix.free_symbols:
            entries = np.array(self.matrix.evalf(), dtype=float)
            radius = float(abs(np.linalg.eigvals(entries)).max())
            if radius >= 1:
                raise OdescentError(
                    f"the moments do not converge: a step multiplies some of them by {radius:.6g}; take a smaller "
                    "step, and a Hessian that is positive definite."
                )
        back = inverse(sp.eye(self.matrix.rows) - self.matrix)
        if back is None:
            raise OdescentError(
                "the stationary moments are not unique: the step preserves some of the initial ones."
            )
        solved = (back * self.constant).applyfunc(canonical)
        return dict(zip(self.monomials, solved, strict=True))


def _inside_the_circle(polynomial: sp.Poly) -> list[sp.Expr]:
    """Expressions that are positive exactly where all roots are inside the unit circle."""
    w, n = sp.Dummy("w"), polynomial.degree()
    powers = reversed(polynomial.monic().all_coeffs())
    moved = sp.Add(*[c * (1 + w) ** k * (1 - w) ** (n - k) for k, c in enumerate(powers)])
    found = sp.Poly(sp.expand(moved), w).all_coeffs()
    found = [sp.S.Zero] * (n + 1 - len(found)) + [canonical(c) for c in found]
    hurwitz = sp.Matrix(n, n, lambda i, j: found[2 * j - i + 1] if 0 <= 2 * j - i + 1 <= n else 0)
    return [*found, *(canonical(hurwitz[:k, :k].det(method="berkowitz")) for k in range(2, n))]


@checked
def moment_map(
    algorithm: Algorithm | Program, hessian: object = None, dimension: int = 1
) -> MomentMap:
    """The exact map of first and second moments, for a method that is linear in its state on a quadratic.

    Noise may be additive or multiply the state, and enter by any powers of the draws; the point of an ensemble
    is a parameter.

    Args:
        algorithm: the method.
        hessian: of the quadratic, as for `step_map`; without it the method calls no gradient.
        dimension: d of the vector blocks.

    Raises:
        OdescentError: as for `step_map`, or a step whose moments depend on higher moments of the state.
    """
    step = step_map(algorithm, dimension, hessian=hessian)
    state = step.state
    listed: list[Index] = [i for k in (1, 2) for i in reversed(indices(len(state), k))]
    place = {i: k for k, i in enumerate(listed)}
    matrix, constant = sp.zeros(len(listed), len(listed)), sp.zeros(len(listed), 1)
    for k, i in enumerate(listed):
        for powers, c in polynomial_terms(step.mean(monomial(state, i)), state).items():
            if not any(powers):
                constant[k] += c
            elif powers in place:
                matrix[k, place[powers]] += c
            else:
                raise OdescentError(
                    f"the step is not linear in the state: its moments need that of {monomial(state, powers)}."
                )
    return MomentMap(
        tuple(monomial(state, i) for i in listed),
        matrix.applyfunc(canonical),
        constant.applyfunc(canonical),
        step,
    )


@dataclass(frozen=True)
class StationaryLaw(Rendered):
    """Mean and covariance that the chain keeps, by coordinate of the state."""

    state: tuple[sp.Symbol, ...]
    mean: sp.Matrix
    covariance: sp.Matrix
    outputs: dict[str, tuple[sp.Expr, ...]]

    def variance(self, output: str = "x") -> sp.Expr | sp.Matrix:
        """The variance of a named output, or of a block by its name, linear in the state: a scalar.

        Of what has several coordinates, on a Hessian that is a matrix, it is their covariance, a matrix.
        """
        if output not in self.outputs:
            known = ", ".join(self.outputs)
            raise OdescentError(f"there is no output {output!r}; there are {known}.")
        reading = sp.Matrix([[sp.diff(e, s) for s in self.state] for e in self.outputs[output]])
        if reading.free_symbols & set(self.state):
            raise OdescentError(
                f"the output {output!r} is not linear in the state: it is {self.outputs[output]}."
            )
        found = (reading * self.covariance * reading.T).applyfunc(canonical)
        return found[0, 0] if found.shape == (1, 1) else found


@checked
def stationary_covariance(algorithm: Algorithm | Program, hessian: object) -> StationaryLaw:
    """The stationary mean and covariance of a scheme with noise on a quadratic, in closed form.

    The discrete Lyapunov equation S = A S A^T + Q, and its generalization to noise that multiplies the state.
    It is the law's covariance where the chain is stable in mean square (all eigenvalues of the moment map
    inside the unit circle); that is checked for numbers, and for symbols `MomentMap.stability_conditions` tells where
    it is so.

    Args:
        algorithm: an algorithm after tuning, or a program.
        hessian: the objective x^T A x / 2, as a symbol or number (one mode) or as a matrix.

    Raises OdescentError where the step is not linear in the state or no unique law is stationary.
    """
    if _program_of(algorithm).counted:
        raise OdescentError(
            "the coefficients of the step change with its number, so there is no stationary law."
        )
    found = moment_map(algorithm, hessian)
    state, moments = found.step.state, found.stationary()
    mean = sp.Matrix([moments[s] for s in state])
    second = sp.Matrix(len(state), len(state), lambda i, j: moments[state[i] * state[j]])
    covariance = (second - mean * mean.T).applyfunc(canonical)
    return StationaryLaw(state, mean, covariance, found.step.outputs)
