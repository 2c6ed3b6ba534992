"""Stochastic differential equations in coordinates, and their Ito calculus.

dX = b(X, t) dt + S(X, t) dW + jumps. Sources: Oksendal, Stochastic Differential Equations
(doi:10.1007/978-3-642-14394-6), chapters 4, 7 and 8; Kloeden and Platen (doi:10.1007/978-3-662-12616-5),
4.9; for jumps Applebaum, Levy Processes and Stochastic Calculus (doi:10.1017/CBO9780511809781), 6.7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import sympy as sp

from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from ..._support.rendering.rendered import Rendered
from ..algebra.calculus import slope
from ..algebra.scalars import as_scalar
from ..algebra.vectors import Vector, VectorSymbol
from ..flows.system import System
from ..vector_fields.processes import Jumps
from .coordinates import Coordinates, Functions, observable
from .gaussians import normal_expectation
from .operators import Operator


@dataclass(frozen=True)
class Jump(Rendered):
    """Jumps x -> x + size at the rate ``rate``: a compound Poisson process whose size may depend on x.

    ``sizes`` are the possible displacements (one expression for each coordinate) with their probabilities; they
    may have the symbols ``marks`` in them, which are independent standard normals, drawn anew for each jump.
    """

    rate: sp.Expr
    sizes: tuple[tuple[tuple[sp.Expr, ...], sp.Expr], ...]
    marks: tuple[sp.Symbol, ...] = ()

    def mean(self, moved: Callable[[tuple[sp.Expr, ...]], sp.Expr]) -> sp.Expr:
        """The mean of a function of the displacement: of polynomials times exponentials, else as an integral."""
        return sp.Add(*[p * _over_marks(moved(size), self.marks) for size, p in self.sizes])


def _over_marks(e: sp.Expr, marks: tuple[sp.Symbol, ...]) -> sp.Expr:
    """E of an expression in standard normals; E g(z) e^(a z) is e^(a^2/2) E g(z + a)."""
    total: list[sp.Expr] = []
    for term in sp.Add.make_args(sp.expand(e)):
        used = tuple(z for z in marks if z in term.free_symbols)
        rest, powers = [], sp.S.Zero
        for factor in sp.Mul.make_args(term):
            if isinstance(factor, sp.exp) and factor.has(*used or (sp.S.NaN,)):
                powers += factor.args[0]
            else:
                rest.append(factor)
        slopes = {z: sp.diff(powers, z) for z in used}
        try:
            if any(a.has(*used) for a in slopes.values()):
                raise OdescentError("an exponent that is not linear in the marks has no such mean.")
            moved = sp.Mul(*rest).subs({z: z + a for z, a in slopes.items()}, simultaneous=True)
            tilt = sp.exp(
                powers.subs(dict.fromkeys(used, 0)) + sum(a**2 for a in slopes.values()) / 2
            )
            total.append(tilt * normal_expectation(moved, used))
        except OdescentError:
            density = sp.Mul(*[sp.exp(-(z**2) / 2) / sp.sqrt(2 * sp.pi) for z in used])
            total.append(sp.Integral(term * density, *[(z, -sp.oo, sp.oo) for z in used]))
    return sp.Add(*total)


@dataclass(frozen=True)
class SDE(Rendered):
    """dX = drift dt + noise dW + jumps, in coordinates.

    Attributes:
        state: the n coordinates.
        drift: n expressions in them, in the time and in parameters.
        noise: the n x m matrix S of the amplitudes of m independent Wiener processes.
        calculus: "ito" or "stratonovich", the meaning of S dW.
        time: the symbol of time, where it occurs.
        jumps: compound Poisson processes, independent of each other and of W.

    Raises OdescentError for shapes that do not fit.
    """

    state: tuple[sp.Symbol, ...]
    drift: tuple[sp.Expr, ...]
    noise: sp.ImmutableMatrix
    calculus: str = "ito"
    time: sp.Symbol | None = None
    jumps: tuple[Jump, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.state)
        if self.calculus not in {"ito", "stratonovich"}:
            raise OdescentError(
                f"calculus must be 'ito' or 'stratonovich', not {short(self.calculus)}."
            )
        if len(self.drift) != n or self.noise.rows != n:
            raise OdescentError(
                f"{n} coordinates need {n} drifts and {n} rows of noise, not {len(self.drift)} and {self.noise.rows}."
            )
        for jump in self.jumps:
            if (
                any(len(size) != n for size, _ in jump.sizes)
                or sp.simplify(sum(p for _, p in jump.sizes) - 1) != 0
            ):
                raise OdescentError(
                    f"the sizes of a jump must have {n} coordinates each and probabilities that add to 1, not "
                    f"{jump.sizes}."
                )

    @property
    def covariance(self) -> sp.Matrix:
        """S S^T, the covariance of the noise in a unit of time."""
        return sp.Matrix(self.noise * self.noise.T)

    def correction(self) -> list[sp.Expr]:
        """The Ito-Stratonovich drift correction: (1/2) sum over k, j of S_jk d_j S_ik."""
        half = sp.Rational(1, 2)
        return [
            half
            * sp.Add(
                *[
                    self.noise[j, k] * slope(self.noise[i, k], s)
                    for k in range(self.noise.cols)
                    for j, s in enumerate(self.state)
                ]
            )
            for i in range(len(self.state))
        ]

    def to_ito(self) -> SDE:
        """The same process in Ito's sense."""
        return self._converted("ito", 1)

    def to_stratonovich(self) -> SDE:
        """The same process in Stratonovich's sense."""
        return self._converted("stratonovich", -1)

    def _converted(self, calculus: str, sign: int) -> SDE:
        if self.calculus == calculus:
            return self
        drift = [
            sp.expand(b + sign * c) for b, c in zip(self.drift, self.correction(), strict=True)
        ]
        return replace(self, drift=tuple(drift), calculus=calculus)

    def generator(self) -> Operator:
        """L = b . d + (1/2) S S^T : d d of the process without its jumps, as an operator; see `generator`."""
        ito, n = self.to_ito(), len(self.state)
        terms: dict[tuple[int, ...], sp.Expr] = {}
        for i, b in enumerate(ito.drift):
            terms[_unit(n, i)] = b
        spread = ito.covariance
        for i in range(n):
            for j in range(i, n):
                half = sp.Rational(1, 2) if i == j else sp.S.One
                terms[_unit(n, i, j)] = sp.expand(half * spread[i, j])
        return Operator(self.state, terms)


def _unit(n: int, *places: int) -> tuple[int, ...]:
    return tuple(places.count(i) for i in range(n))


def in_coordinates(
    system: System | SDE, dimension: int = 1, functions: Functions | None = None
) -> SDE:
    """A system as an SDE in coordinates, block after block.

    Args:
        system: any system whose blocks are vectors and scalars; an `SDE` is returned as it is.
        dimension: the length d of every vector block.
        functions: SymPy expressions for oracles, by name, e.g. ``{"f": lambda x, y: x**2 + y**4}``; those
            that are not given stay opaque functions.

    Each process drives d components (one for scalar blocks), independent of each other.
    """
    return _written(system, Coordinates(dimension, functions))


def _written(system: System | SDE, form: Coordinates) -> SDE:
    if isinstance(system, SDE):
        return system
    symbols = [b.symbol for b in system.blocks]
    state = [c for s in symbols for c in form.symbols(s)]
    place = {c: i for i, c in enumerate(state)}
    drift = [c for s in symbols for c in form.components(system.mean_drift[s])]
    columns: dict[tuple[str, bool, int], dict[int, sp.Expr]] = {}
    clocks: dict[tuple[str, bool], sp.Expr] = {}
    for field in system.fields.values():
        for s, d in field.noise.items():
            vector, own = isinstance(s, VectorSymbol), form.symbols(s)
            if isinstance(d, Jumps):
                clocks[d.process, vector] = form.scalar(d.rate)
            amplitude = form.components(d.amplitude)
            amplitude = amplitude if isinstance(d.amplitude, Vector) else amplitude * len(own)
            for i, (c, a) in enumerate(zip(own, amplitude, strict=True)):
                column = columns.setdefault((d.process, vector, i), {})
                column[place[c]] = column.get(place[c], sp.S.Zero) + a
    kept = [column for key, column in columns.items() if key[:2] not in clocks]
    noise = sp.zeros(len(state), len(kept))
    for k, column in enumerate(kept):
        for i, a in column.items():
            noise[i, k] = a
    jumps = []
    for clock, rate in clocks.items():  # in the order of `jumping`
        marks, size = [], [sp.S.Zero] * len(state)
        for key, column in columns.items():
            if key[:2] == clock:
                name = f"z_{key[0]}" + (f"_{key[2] + 1}" if key[1] and form.dimension > 1 else "")
                marks.append(sp.Symbol(name, real=True))
                for i, a in column.items():
                    size[i] += a * marks[-1]
        jumps.append(Jump(rate, ((tuple(size), sp.S.One),), tuple(marks)))
    return SDE(
        tuple(state), tuple(drift), sp.ImmutableMatrix(noise), system.calculus, system.time, tuple(jumps)
    )  # fmt: skip


def jumping(system: System) -> list[str]:
    """The processes by which the blocks of a system jump, one for each jump of it in coordinates."""
    found = {(d.process, isinstance(s, VectorSymbol)): d.process for f in system.fields.values()
             for s, d in f.noise.items() if isinstance(d, Jumps)}  # fmt: skip
    return list(found.values())


def _with_observable(
    system: System | SDE, e: object, dimension: int, functions: Functions | None
) -> tuple[SDE, sp.Expr]:
    form = Coordinates(dimension, functions)
    sde = _written(system, form)
    return sde, observable(e, sde.state, None if isinstance(system, SDE) else form)


def generator(
    system: System | SDE, phi: object, dimension: int = 1, functions: Functions | None = None
) -> sp.Expr:
    """L phi, the infinitesimal generator applied to an observable: the rate of change of E phi(X_t).

    L phi = b . grad phi + (1/2) S S^T : Hess phi + sum over jumps of rate E[phi(x + size) - phi(x)], with the
    Ito drift b. The partial derivative of phi in time is not included. An ensemble's oracle is held fixed.

    Args:
        system: in vectors or in coordinates.
        phi: a scalar expression in the coordinates or the vectors of the system.
        dimension: d of the vector blocks.
        functions: formulas of objectives by name.
    """
    sde, value = _with_observable(system, phi, dimension, functions)
    total = sde.generator()(value)
    for jump in sde.jumps:
        total += jump.rate * (jump.mean(lambda size: _shifted(value, sde.state, size, 1)) - value)
    return total


def _shifted(
    e: sp.Expr, state: tuple[sp.Symbol, ...], size: tuple[sp.Expr, ...], sign: int
) -> sp.Expr:
    return e.subs(
        {s: s + sign * d for s, d in zip(state, size, strict=True) if d != 0}, simultaneous=True
    )


def fokker_planck(
    system: System | SDE, density: object, dimension: int = 1, functions: Functions | None = None
) -> sp.Expr:
    """L* rho, the adjoint of the generator applied to a density (the right-hand side of the Fokker-Planck equation).

    Args:
        system: in vectors or in coordinates.
        density: a scalar expression in the coordinates.
        dimension: d of the vector blocks.
        functions: formulas of objectives by name.

    Raises:
        OdescentError: jumps whose size or probability depends on the state.
    """
    sde, rho = _with_observable(system, density, dimension, functions)
    total = sde.generator().adjoint()(rho)
    for jump in sde.jumps:
        for size, probability in jump.sizes:
            if set().union(probability.free_symbols, *(d.free_symbols for d in size)) & set(
                sde.state
            ):
                raise OdescentError(
                    f"the adjoint needs jumps whose size does not depend on the state, but one is {size}."
                )
        leaving = jump.rate * rho  # the rate may depend on the state
        total += jump.mean(lambda size: _shifted(leaving, sde.state, size, -1)) - leaving  # noqa: B023
    return total


def ito_formula(
    system: System | SDE, phi: object, dimension: int = 1, functions: Functions | None = None
) -> tuple[sp.Expr, list[sp.Expr]]:
    """Ito's formula, d phi(X_t, t) = drift dt + sum_k noise_k dW_k.

    Args:
        system: in vectors or in coordinates.
        phi: a scalar expression in the state and the time.
        dimension: d of the vector blocks.
        functions: formulas of objectives by name.

    Returns:
        the drift, and the list of noise_k.

    Raises:
        OdescentError: the process has jumps, which add further terms.
    """
    sde, value = _with_observable(system, phi, dimension, functions)
    if sde.jumps:
        raise OdescentError(
            "Ito's formula for this process has jump terms; use generator for its mean."
        )
    rate = generator(sde, value) + (slope(value, sde.time) if sde.time is not None else 0)
    return rate, list(sp.Matrix([[slope(value, s) for s in sde.state]]) * sde.noise)


def sde(
    drift: Mapping[sp.Symbol, object],
    noise: Sequence[Mapping[sp.Symbol, object]] = (),
    *,
    calculus: str = "ito",
    time: sp.Symbol | None = None,
    jumps: Iterable[Jump] = (),
) -> SDE:
    """An SDE from its drift and amplitudes by coordinate.

    ``sde({x: -x, y: 0}, [{x: 1}, {x: y, y: x}])`` has two Wiener processes, the second of which drives both.

    Args:
        drift: by coordinate.
        noise: for each Wiener process, its amplitudes by coordinate; 0 where absent.
        calculus: "ito" or "stratonovich".
        time: the symbol of time, if coefficients depend on it.
        jumps: jump processes.

    Raises:
        OdescentError: noise on a coordinate that has no drift (write 0).
    """
    state = tuple(drift)
    stray = [str(s) for w in noise for s in w if s not in drift]
    if stray:
        raise OdescentError(
            f"there is noise on {stray[0]}, which has no drift; give it the drift 0."
        )
    matrix = sp.ImmutableMatrix(
        len(state), len(noise), [as_scalar(w.get(s, 0)) for s in state for w in noise]
    )
    return SDE(
        state, tuple(as_scalar(e) for e in drift.values()), matrix, calculus, time, tuple(jumps)
    )
