"""Weak backward error analysis: the modified SDE of a stochastic scheme.

One step acts on functions as P phi(z) = E phi(z+) = phi + h A_1 phi + h^2 A_2 phi + ..., an operator whose
logarithm is h L_0 + h^2 L_1 + ...: L_0 is the generator of the equation, and L_0 + h L_1 + ... that of the
modified equation, as long as it has no derivatives beyond the second. Sources: Zygalakis, SIAM J. Sci. Comput.
33 (2011), doi:10.1137/090762336; Debussche and Faou, SIAM J. Numer. Anal. 50 (2012), doi:10.1137/110831544;
for stochastic gradient descent Li, Tai and E, arXiv:1511.06251.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import NotCarried, OdescentError
from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.calculus import Symbol, substitute
from ...dynamics.algebra.series import taylor
from ...dynamics.algebra.vectors import Expr
from ...dynamics.samples.laws import Law
from ...dynamics.stochastic.coordinates import Coordinates, Functions
from ...dynamics.stochastic.gaussians import expectation
from ...dynamics.stochastic.operators import (
    Operator,
    exponential,
    index_factorial,
    indices,
    logarithm,
)
from ...dynamics.stochastic.processes import SDE, in_coordinates
from ..faces import Algorithm
from ..programs.program import CallOracle, Draw


@dataclass(frozen=True)
class WeakModifiedEquation(Rendered):
    """The modified generator as a series in the step: ``generators[j]`` multiplies h**j.

    Attributes:
        state: the coordinates.
        generators: L_0, L_1, ..., each with derivatives of at most second order.
        step: the symbol of the step.
    """

    state: tuple[sp.Symbol, ...]
    generators: tuple[Operator, ...]
    step: sp.Symbol

    @property
    def generator(self) -> Operator:
        """The truncated series."""
        total = self.generators[0]
        for j, term in enumerate(self.generators[1:], 1):
            total = total + self.step**j * term
        return total.map(sp.expand)

    @property
    def drift(self) -> dict[sp.Symbol, sp.Expr]:
        """The Ito drift, by coordinate."""
        total = self.generator
        return {s: sp.simplify(total.coefficient(s)) for s in self.state}

    @property
    def covariance(self) -> sp.Matrix:
        """S S^T of the noise S dW."""
        total, n = self.generator, len(self.state)
        entry = {
            (s, t): sp.simplify(total.coefficient(s, t))
            for s, t in itertools.product(self.state, repeat=2)
        }
        return sp.Matrix(
            n, n, lambda i, j: entry[self.state[i], self.state[j]] * (2 if i == j else 1)
        )


def step_operators(
    algorithm: Algorithm, order: int, dimension: int = 1, functions: Functions | None = None
) -> list[Operator]:
    """A_1, ..., A_order of the one-step operator E phi(z+) = phi + h A_1 phi + h^2 A_2 phi + ..., before tuning.

    Steps that expand in sqrt(h) are supported, implicit ones included, with draws that enter as polynomials.

    Args:
        algorithm: the method.
        order: the number of operators, at least 1.
        dimension: d of the vector blocks.
        functions: formulas of objectives by name.

    Raises:
        OdescentError: an algorithm without a flow, with jumps, memories or sweeps, with coefficients that depend on
            the step number, or with terms of half order.
    """
    # the expansion exists for one step of a Markov chain with a differential generator
    if order < 1:
        raise OdescentError(f"the order of the expansion must be 1 or more, not {order}.")
    if not algorithm.system.fields:
        raise OdescentError(
            f"{algorithm.name or 'this algorithm'} is defined as a map, without a differential equation."
        )
    if algorithm.size is not None:
        raise NotCarried(
            f"the step {algorithm.size} of {algorithm.name or 'this algorithm'} depends on the state, and the weak "
            "expansion is one in a constant step; give the step a value or leave it free."
        )
    program = algorithm.own_program.inlined()
    if program.counts:
        raise OdescentError(
            f"{algorithm.name or 'this algorithm'} has jumps, so its modified generator is not a differential "
            "operator; compare moments instead, by moment_map and the generator of the system."
        )
    kept = [b.name for b in program.blocks if b.role != "state"]
    if kept or program.counted or program.sweeps:
        why = "counts its steps" if program.counted else "sweeps over coordinates"
        why = f"keeps {kept[0]}" if kept else why
        raise OdescentError(
            f"the weak expansion needs steps that depend on the state alone, but this one {why}."
        )
    # the step in coordinates as a series in the square root of h, the size of its draws
    root = sp.Dummy("s", positive=True)
    form = Coordinates(dimension, functions)
    known: dict[Symbol, Expr] = {}
    draws: list[tuple[tuple[sp.Symbol, ...], Law]] = []
    for i in program.plain:
        if isinstance(i, Draw):
            draws.append((form.symbols(i.target), i.drawn_from))
        elif isinstance(i, CallOracle):
            known[i.target] = i.changed(lambda e: substitute(e, known)).as_call(order)
    state = [c for s in program.state for c in form.symbols(s)]
    moved: list[list[sp.Expr]] = []  # by coordinate, the coefficients of powers of sqrt(h)
    for s in program.state:
        change: Expr = substitute(substitute(program.next[s], known) - s, {algorithm.step: root**2})
        columns = [form.components(c) for c in taylor(change, root, 2 * order)]
        moved += [list(powers) for powers in zip(*columns, strict=True)]
    if any(sp.simplify(powers[0]) != 0 for powers in moved):
        raise OdescentError(
            "the step does not tend to the identity with its size, so it has no generator."
        )
    return _operators(tuple(state), moved, draws, order)


def _operators(
    state: tuple[sp.Symbol, ...],
    moved: list[list[sp.Expr]],
    draws: list[tuple[tuple[sp.Symbol, ...], Law]],
    order: int,
) -> list[Operator]:
    """E of the Taylor series of phi at z, in the increments: the moments E Delta^alpha / alpha!, power by power."""
    top = 2 * order
    found: list[dict[tuple[int, ...], sp.Expr]] = [{} for _ in range(top + 1)]
    one = [sp.S.One] + [sp.S.Zero] * top
    products = {(0,) * len(state): one}
    for size in range(1, top + 1):
        for index in indices(len(state), size):
            last = next(i for i, n in enumerate(index) if n)
            lower = products[tuple(n - (i == last) for i, n in enumerate(index))]
            products[index] = [
                sp.expand(sp.Add(*[lower[j] * moved[last][k - j] for j in range(k)]))
                for k in range(top + 1)
            ]
            for k in range(size, top + 1):
                mean = expectation(products[index][k], draws)
                if mean != 0:
                    found[k][index] = mean / index_factorial(index)
    for k in range(1, top + 1, 2):
        if not Operator(state, found[k]).vanishes():
            raise OdescentError(
                f"the means of a step have a term in h^({k}/2), so there is no expansion in h."
            )
    return [Operator(state, found[2 * k]) for k in range(1, order + 1)]


@checked
def weak_modified_equation(
    algorithm: Algorithm, order: int = 1, dimension: int = 1, functions: Functions | None = None
) -> WeakModifiedEquation:
    """The SDE that the algorithm follows to weak order ``order + 1`` on bounded times.

    Args:
        algorithm: a one-step method, before tuning; implicit steps are expanded.
        order: the highest power of the step in the equation; 0 is the limit.
        dimension, functions: as of `in_coordinates`; opaque oracles stay opaque.

    Raises OdescentError as `step_operators` does, and where the modified generator has derivatives of third
    or higher order: no SDE then has these moments.
    """
    terms = logarithm(step_operators(algorithm, order + 1, dimension, functions))
    for j, term in enumerate(terms):
        beyond = [term.part(k) for k in range(3, term.order + 1)]
        if not all(part.vanishes() for part in beyond):
            (worst,) = [next(part for part in beyond if not part.vanishes())]
            raise OdescentError(
                f"no SDE follows this scheme at the order h^{j}: its modified generator has the terms {worst}."
            )
    kept = [sum((t.part(k) for k in (1, 2)), Operator(t.over, {})) for t in terms]
    return WeakModifiedEquation(
        terms[0].over, tuple(k.map(sp.expand) for k in kept), algorithm.step
    )


@checked
def weak_defect(
    algorithm: Algorithm, modified: SDE, order: int, functions: Functions | None = None
) -> list[Operator]:
    """Coefficients of h, ..., h^order of exp(h L) minus the one-step operator, for an SDE that may contain the step.

    A defect that vanishes through h^(p+1) means weak order p + 1 (p = 0: the scheme and the equation have the
    same limit). The equation may contain unknowns to be solved for.

    Args:
        algorithm: the method.
        modified: the SDE; its state names the coordinates.
        order: the highest power of h.
        functions: formulas of objectives by name.

    Raises:
        OdescentError: as for `step_operators`, or the coordinates are not those of the algorithm's blocks.
    """
    state = modified.state
    blocks = algorithm.system.blocks
    vectors = sum(b.kind != "scalar" for b in blocks)
    scalars = len(blocks) - vectors
    dimension, left = (
        divmod(len(state) - scalars, vectors) if vectors else (1, len(state) - scalars)
    )
    if left or set(in_coordinates(algorithm.system, dimension).state) != set(state):
        raise OdescentError(
            f"the SDE has the coordinates {state}, which are not those of the algorithm's blocks in any dimension."
        )
    steps = step_operators(algorithm, order, dimension, functions)
    over = steps[0].over
    given = modified.generator()
    reordered = {tuple(i[state.index(s)] for s in over): c for i, c in given.terms.items()}
    series = {i: taylor(c, algorithm.step, order - 1) for i, c in reordered.items()}
    terms = [Operator(over, {i: c[k] for i, c in series.items()}) for k in range(order)]
    grown = exponential(terms, order)
    return [(a - b).map(sp.expand) for a, b in zip(grown, steps, strict=True)]
