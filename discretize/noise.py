"""What noise adds to a substep: increments of the processes, and how the integrator answers them.

Euler-Maruyama adds an increment to the explicit step; an implicit or a Cayley step is solved with it
inside (Kloeden and Platen, Numerical Solution of Stochastic Differential Equations, 1992, 12.2); the
exact step of a linear field is a Gaussian, whose covariance solves a Lyapunov equation. Jumps are a Wiener process
on the clock of a Poisson process: their increment is sqrt(n) xi with n the number of jumps in the step, which is
the sum of n normal marks. With Euler-Maruyama that is the scheme of weak order 1 of Platen and Bruti-Liberati
(Numerical Solution of Stochastic Differential Equations with Jumps in Finance, 2010, 6.1 and 11.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import sympy as sp

from odescent._errors import OdescentError
from odescent.dynamics.calculus import Symbol, nothing, substitute, symbols_of
from odescent.dynamics.exact import canonical, is_zero
from odescent.dynamics.noise import Jumps
from odescent.dynamics.noise import Noise as Driven
from odescent.dynamics.vectors import Expr, Vector, hadamard

from .exponential import gramian
from .substeps import Flow

if TYPE_CHECKING:
    from .compile import _Compiler

Noise: TypeAlias = "list[tuple[Symbol, Driven]]"
CARRIED = ("explicit", "implicit", "cayley", "exact")


def check(compiler: _Compiler, noise: Noise, step: Flow) -> None:
    """Refuse noise that the integrator cannot carry."""
    by = step.by.kind
    for s, d in noise:
        if by not in CARRIED:
            raise OdescentError(
                f"noise on {s} needs the integrator {', '.join(CARRIED[:-1])} or {CARRIED[-1]}, not {by!r}."
            )
        if isinstance(d, Jumps) and by == "exact":
            raise OdescentError(
                f"the exact step's law is no Gaussian where {s} jumps; use 'explicit' for its field."
            )
        read = symbols_of(d.amplitude) & set(compiler.state_symbols)
        diffuses = compiler.system.calculus == "stratonovich" and not isinstance(d, Jumps)
        if diffuses and read:
            raise OdescentError(
                f"the integrators solve the Ito equation, but the noise on {s} depends on the state and is "
                "meant in Stratonovich's sense; write the system in Ito's form."
            )
        if by == "exact" and step.increment is not None:
            raise OdescentError(
                f"the exact step's noise on {s} is not a multiple of the increment {step.increment!r}; "
                "leave increment= out."
            )


def increments(
    compiler: _Compiler, noise: Noise, view: Mapping[Symbol, Expr], step: Flow
) -> dict[Symbol, Expr]:
    """The increment of the noise on each block over the substep, amplitudes where it starts."""
    h, own = compiler.step, step.increment is None
    clock, share = (step.fraction * h, sp.S.One) if own else (h, step.fraction)
    draws: dict[tuple[str, str], Expr] = {} if own else compiler.draws
    total: dict[Symbol, Expr] = {}
    for s, d in noise:
        kind = compiler.kinds[s.name]
        key = (d.process, kind) if own else (f"{step.increment} {d.process}", kind)
        if key not in draws:
            ticks: sp.Expr = clock
            if isinstance(d, Jumps):
                mean = _read(compiler, d.rate, view, step) * clock
                ticks = compiler.count(s, mean, d.process, d.common)
            draws[key] = compiler.draw(s, d.process) * sp.sqrt(ticks)
        amplitude = _read(compiler, d.amplitude, view, step)
        if isinstance(amplitude, Vector):
            amplitude = compiler.gap(amplitude)
        kick = _times(amplitude, draws[key]) * share
        total[s] = total[s] + kick if s in total else kick
    return total


def exact(
    compiler: _Compiler,
    noise: Noise,
    matrix: sp.Matrix,
    moved: list[Symbol],
    view: Mapping[Symbol, Expr],
    step: Flow,
) -> dict[Symbol, Expr]:
    """The noise after the exact step of z' = M z + c: a Gaussian sample, process by process.

    One process drives one block, by a scalar or element by element, or several by scalars.
    """
    total: dict[Symbol, Expr] = {}
    for process, kind in dict.fromkeys((d.process, compiler.kinds[s.name]) for s, d in noise):
        driven: dict[Symbol, Expr] = {}
        for s, d in noise:
            if (d.process, compiler.kinds[s.name]) == (process, kind):
                _check_constant(d, s, moved)
                amplitude = _read(compiler, d.amplitude, view, step)
                driven[s] = driven[s] + amplitude if s in driven else amplitude
        common: Expr = sp.S.One
        if any(isinstance(a, Vector) for a in driven.values()):
            if len(driven) > 1:
                raise OdescentError(
                    f"the exact integrator carries a vector amplitude on one block only, but the process "
                    f"{process} drives {' and '.join(s.name for s in driven)}; give each its own process."
                )
            common = next(iter(driven.values()))
            driven = dict.fromkeys(driven, sp.S.One)
        column = sp.Matrix([driven.get(s, sp.S.Zero) for s in moved])
        covariance = gramian(matrix, column, step.fraction * compiler.step)
        driven_first = [i for i, e in enumerate(column) if e != 0]
        first = driven_first + [i for i, e in enumerate(column) if e == 0]
        for weights in _factor(covariance, first):
            draw = _times(common, compiler.draw(next(iter(driven)), process))
            for i, weight in weights.items():
                s = moved[i]
                total[s] = total.get(s, nothing(s)) + draw * weight
    return total


def _check_constant(d: Driven, s: Symbol, moved: list[Symbol]) -> None:
    read = symbols_of(d.amplitude) & set(moved)
    if read:
        raise OdescentError(
            f"the exact integrator needs noise that does not depend on the blocks it moves, but that on {s} "
            f"reads {min(b.name for b in read)}; use 'explicit' for it."
        )


def _read(compiler: _Compiler, e: Expr, view: Mapping[Symbol, Expr], step: Flow) -> Any:
    """What noise is made of, where the substep starts."""
    return compiler.lower(substitute(compiler.at_time(e, step.time), view))


def _times(amplitude: Expr, draw: Expr) -> Expr:
    if not isinstance(amplitude, Vector):
        return draw * amplitude
    return hadamard(amplitude, draw) if isinstance(draw, Vector) else amplitude * draw


def _factor(covariance: sp.Matrix, order: list[int]) -> list[dict[int, sp.Expr]]:
    """Columns of Cholesky's factor with the rows in that order, by row; one for each rank of the covariance."""
    left = covariance.copy()
    columns: list[dict[int, sp.Expr]] = []
    for k, i in enumerate(order):
        pivot = canonical(left[i, i])
        if is_zero(pivot):
            continue
        root = sp.sqrt(_compact(pivot))
        below = {j: canonical(left[j, i]) for j in order[k + 1 :]}
        columns.append({i: root, **{j: _compact(c) / root for j, c in below.items() if c != 0}})
        for a in below:
            for b in below:
                left[a, b] = canonical(left[a, b] - below[a] * below[b] / pivot)
    return columns


def _compact(e: sp.Expr) -> sp.Expr:
    """The shorter of two products, so that a square root keeps positive factors apart."""
    return min(sp.factor_terms(sp.expand(e)), sp.factor(e), key=sp.count_ops)


__all__ = ["check", "exact", "increments"]
