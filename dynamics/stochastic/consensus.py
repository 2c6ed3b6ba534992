"""The consensus point of a law or an ensemble, m = E[x exp(-alpha f(x))] / E[exp(-alpha f(x))], symbolically.

Three readings: a parameter frozen inside the generator (`coordinates`), an explicit function of N particles,
and Laplace's expansion for alpha -> infinity. Source: Pinnau, Totzeck, Tse and Martin
(doi:10.1142/S0218202517400061); for the expansion Wong, Asymptotic Approximations of Integrals
(doi:10.1137/1.9780898719260), IX.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.rendering.rendered import Rendered
from ..algebra.calculus import slope
from ..algebra.scalars import as_scalar
from ..algebra.series import taylor
from ..algebra.vectors import Call, Expr, Vector, VectorSymbol, scalar_calls, zero
from ..flows.system import System
from ..vector_fields.processes import Jumps
from .coordinates import Coordinates, Functions
from .gaussians import gaussian_moment, monomial, polynomial_terms
from .operators import index_factorial, indices
from .processes import SDE, Jump, in_coordinates, jumping


@dataclass(frozen=True)
class Consensus(Rendered):
    """The consensus point of N particles as an explicit function of them.

    Attributes:
        particles: N tuples of d coordinates.
        values: the objective at each, an expression in its coordinates (opaque functions are allowed).
        alpha: the weight's exponent.
    """

    particles: tuple[tuple[sp.Symbol, ...], ...]
    values: tuple[sp.Expr, ...]
    alpha: sp.Expr

    @property
    def weights(self) -> list[sp.Expr]:
        """The N normalized weights."""
        raw = [sp.exp(-self.alpha * v) for v in self.values]
        return [w / sp.Add(*raw) for w in raw]

    @property
    def point(self) -> sp.Matrix:
        """The consensus point, d coordinates."""
        return sum((w * sp.Matrix(x) for w, x in zip(self.weights, self.particles, strict=True)),
                   sp.zeros(len(self.particles[0]), 1))  # fmt: skip

    def by_particle(self, i: int) -> sp.Matrix:
        """dm/dx_i = w_i (I - alpha (x_i - m) grad f(x_i)^T), a d x d matrix."""
        x = self.particles[i]
        rise = sp.Matrix([[slope(self.values[i], c) for c in x]])
        return self.weights[i] * (sp.eye(len(x)) - self.alpha * (sp.Matrix(x) - self.point) * rise)

    def by_alpha(self) -> sp.Matrix:
        """dm/dalpha = -Cov_w(x, f), d coordinates."""
        w = self.weights
        mean = sp.Add(*[a * v for a, v in zip(w, self.values, strict=True)])
        return -sum((a * (v - mean) * sp.Matrix(x) for a, v, x in zip(w, self.values, self.particles, strict=True)),
                    sp.zeros(len(self.particles[0]), 1))  # fmt: skip


def finite_consensus(
    objective: str,
    particles: Sequence[Sequence[sp.Symbol]],
    alpha: object,
    functions: Functions | None = None,
) -> Consensus:
    """The consensus point of finitely many particles.

    Args:
        objective: its name.
        particles: the coordinates of each, all of one dimension.
        alpha: the inverse temperature of the weights e^(-alpha f).
        functions: formulas of objectives by name; without one the objective is an opaque function.

    Raises:
        OdescentError: there are no particles, or their dimensions differ.
    """
    if not particles or len({len(x) for x in particles}) != 1:
        raise OdescentError("a consensus point needs particles, all of one dimension.")
    form = Coordinates(len(particles[0]), functions)
    listed = tuple(tuple(x) for x in particles)
    return Consensus(listed, tuple(form.value(objective, x) for x in listed), as_scalar(alpha))


def particle_system(
    system: System, particles: int, dimension: int = 1, functions: Functions | None = None
) -> SDE:
    """The SDE on R^(N d) of N particles that interact through the oracle of their ensemble.

    Particle n has the coordinates x_n (d = 1) or x_n_i, and independent noise; the frozen consensus point is
    replaced by that of the particles.

    Args:
        system: the dynamics of one particle.
        particles: N, at least 1.
        dimension: d.
        functions: formulas of objectives by name; without one the objective is an opaque function.

    Raises:
        OdescentError: the system calls no ensemble oracle, calls one of something other than a block, or has common
            jumps whose rate depends on the particle.
    """
    one = in_coordinates(system, dimension, functions)
    form = Coordinates(dimension, functions)
    noises = [d for f in system.fields.values() for d in f.noise.values()]
    found = {c for f in system.fields.values() for e in f.drift.values() for c in _ensembles(e)}
    found |= {c for d in noises for e in d.expressions for c in _ensembles(e)}
    if not found or particles < 1:
        raise OdescentError(
            "a particle system needs an ensemble's oracle and at least 1 particle; one of them is missing."
        )
    # coordinates of each particle, and the consensus point of all in place of the frozen one
    own = [{s: sp.Symbol(f"{s}_{n + 1}" if dimension == 1 else _numbered(str(s), n), real=True) for s in one.state}
           for n in range(particles)]  # fmt: skip
    meeting: dict[sp.Symbol, sp.Expr] = {}
    for c in found:
        if not isinstance(c.point, VectorSymbol) or len(c.parameters) != 1:
            raise OdescentError(
                f"the ensemble's oracle {c} must be evaluated at a block, with alpha as its only argument."
            )
        at = form.symbols(c.point)
        points = [tuple(names[s] for s in at) for names in own]
        point = finite_consensus(c.oracle.of, points, c.parameters[0], functions).point
        meeting.update(zip(form.frozen(c.oracle.of), point, strict=True))

    def of_particle(names: dict[sp.Symbol, sp.Symbol], e: sp.Basic) -> sp.Expr:
        return e.xreplace(names).xreplace(meeting)

    # Wiener processes are independent, so that the noise matrix is block diagonal
    state = tuple(names[s] for names in own for s in one.state)
    drift = tuple(of_particle(names, e) for names in own for e in one.drift)
    noise = sp.diag(*[of_particle(names, one.noise) for names in own])
    # a common clock moves all particles in one jump; otherwise each has a jump process of its own
    common = {d.process for d in noises if isinstance(d, Jumps) and d.common}
    jumps: list[Jump] = []
    for process, jump in zip(jumping(system), one.jumps, strict=True):
        marks = [
            {z: sp.Symbol(f"{z}_{n + 1}", real=True) for z in jump.marks} for n in range(particles)
        ]
        ((size, _),) = jump.sizes
        sizes = [
            [of_particle({**names, **z}, e) for e in size]
            for names, z in zip(own, marks, strict=True)
        ]
        all_marks = [tuple(z.values()) for z in marks]
        rates = [of_particle(names, jump.rate) for names in own]
        if process in common:
            if len(set(rates)) > 1:
                raise OdescentError(
                    f"the particles share the jump times of {process}, but its rate {jump.rate} differs between them."
                )
            whole = tuple(e for s in sizes for e in s)
            jumps.append(Jump(rates[0], ((whole, sp.S.One),), sum(all_marks, ())))
            continue
        for n, s in enumerate(sizes):
            here = [[sp.S.Zero] * len(s) for _ in own]
            here[n] = s
            whole = tuple(e for part in here for e in part)
            jumps.append(Jump(rates[n], ((whole, sp.S.One),), all_marks[n]))
    return SDE(
        state, drift, sp.ImmutableMatrix(noise), one.calculus, one.time, tuple(jumps)
    )  # fmt: skip


def _numbered(name: str, n: int) -> str:
    """x_2 of particle n is x_n_2."""
    stem, _, i = name.rpartition("_")
    return f"{stem}_{n + 1}_{i}" if stem else f"{name}_{n + 1}"


def _ensembles(e: Expr) -> set[Call]:
    found = e.calls() if isinstance(e, Vector) else scalar_calls(e)
    return {c for c in found if c.oracle.form.particles}


def laplace_mean(potential: object, at: Sequence[sp.Symbol], order: int = 1) -> list[sp.Matrix]:
    """Coefficients c_1, c_2, ... of m = y + c_1/alpha + c_2/alpha^2 + ... for the law of density exp(-alpha potential).

    Args:
        potential: Phi as an expression in the coordinates ``at``, concrete or with opaque functions.
        at: the coordinates, which denote the minimizer y in the result: grad Phi(y) = 0 is used.
        order: how many coefficients.

    With x = y + z/sqrt(alpha) and K the inverse of the Hessian, the mean of z weighted by the exponential of
    the terms of Phi from the third on is a sum of Gaussian moments; c_1 is -(1/2) K [D^3 Phi : K].
    The minimizer must be unique and nondegenerate. Raises OdescentError for a Hessian that is singular.
    """
    phi, coordinates = as_scalar(potential), tuple(at)
    n, small = len(coordinates), sp.Dummy("s")
    if order < 1:
        raise OdescentError(f"the order of the expansion must be 1 or more, not {order}.")
    curved = sp.hessian(phi, coordinates)
    if sp.simplify(curved.det()) == 0:
        raise OdescentError(
            "Laplace's expansion needs a minimizer where the Hessian is not singular."
        )
    z = [sp.Dummy(f"z{i + 1}") for i in range(n)]
    known: dict[sp.Symbol, sp.Expr] = {}
    top = 2 * order - 1  # powers of small that are needed
    terms = [sp.S.Zero] * (top + 1)
    for k in range(3, top + 3):
        for i in indices(n, k):
            rate = sp.diff(phi, *[(s, p) for s, p in zip(coordinates, i, strict=True) if p])
            if rate == 0:
                continue
            symbol = sp.Dummy("d")
            known[symbol] = rate
            terms[k - 2] -= symbol * monomial(z, i) / index_factorial(i)
    weight = _exponential_series(terms)
    covariance, inverse = sp.zeros(n, n), curved.inv()
    for row in range(n):
        for column in range(row, n):
            entry = sp.Dummy("k")
            covariance[row, column] = covariance[column, row] = entry
            known[entry] = inverse[row, column]
    mass = [_mean(w, z, covariance) for w in weight]
    below = sp.Add(*[m * small**k for k, m in enumerate(mass)])
    found = []
    for j in range(order):
        means = []
        for c in z:
            above = sp.Add(*[_mean(w * c, z, covariance) * small**k for k, w in enumerate(weight)])
            means.append(_quotient(above, below, small, 2 * j + 1).xreplace(known))
        found.append(sp.Matrix(means))
    return found


def _exponential_series(terms: list[sp.Expr]) -> list[sp.Expr]:
    """The coefficients of exp of a power series without constant term, by its differential equation."""
    found = [sp.S.One]
    for k in range(1, len(terms)):
        total = sp.Add(*[j * terms[j] * found[k - j] for j in range(1, k + 1)])
        found.append(sp.expand(total / k))
    return found


def _mean(e: sp.Expr, z: list[sp.Symbol], covariance: sp.Matrix) -> sp.Expr:
    return sp.Add(*[c * gaussian_moment(p, covariance) for p, c in polynomial_terms(e, z).items()])


def _quotient(above: sp.Expr, below: sp.Expr, small: sp.Symbol, power: int) -> sp.Expr:
    """One coefficient of the quotient of two polynomials, the second with constant term 1."""
    tops, bottoms = sp.Poly(above, small), sp.Poly(below, small)
    found: list[sp.Expr] = []
    for k in range(power + 1):
        known = sp.Add(*[found[k - j] * bottoms.coeff_monomial(small**j) for j in range(1, k + 1)])
        found.append(sp.expand(tops.coeff_monomial(small**k) - known))
    return found[power]


def prox_expansion(gradient: Callable[[Vector], Vector], x: Vector, order: int) -> list[Vector]:
    """Coefficients of t^0, ..., t^order of the proximal step y = x - t gradient(y), in any dimension.

    ``prox_expansion(Objective("f").grad, x, 3)`` is x, -g, H g, -(H H g + D^3 f[g, g]/2), by fixed-point
    iteration, each pass of which gains an order.

    Args:
        gradient: any vector expression of a point.
        x: the point.
        order: the highest power of t, at least 0.

    Raises:
        OdescentError: a negative order.
    """
    if order < 0:
        raise OdescentError(f"the order of the expansion must be 0 or more, not {order}.")
    t = sp.Dummy("t", positive=True)
    coefficients = [x]
    for k in range(1, order + 1):
        so_far = sum((c * t**j for j, c in enumerate(coefficients)), zero)
        coefficients.append(-taylor(gradient(so_far), t, k - 1)[k - 1])
    return coefficients
