"""Increments of the noise in a substep, and their treatment by each integrator.

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

from ..._support.errors import OdescentError
from ..._support.rendering.brief import short
from ...dynamics.algebra.calculus import Symbol, nothing, substitute, symbols_of
from ...dynamics.algebra.products import hadamard
from ...dynamics.algebra.vectors import Expr, Vector
from ...dynamics.vector_fields.processes import Jumps
from ...dynamics.vector_fields.processes import Noise as Driven
from ..linear.matrices import cholesky_columns
from ..programs.substeps import RULES, Flow
from .exponential import gramian

if TYPE_CHECKING:
    from .builder import Builder

Noise: TypeAlias = "list[tuple[Symbol, Driven]]"


def check(builder: Builder, noise: Noise, step: Flow) -> None:
    """Refuse noise that the integrator does not support.

    Args:
        builder: the program so far.
        noise: the diffusions and jumps of the substep, by block.
        step: the substep.

    Raises:
        OdescentError: the noise and the reason.
    """
    by = step.by.kind
    for s, d in noise:
        if step.fraction.is_negative:
            raise OdescentError(
                f"the noise on {s} would be advanced back by {-step.fraction} of a step, but increments have positive "
                "durations; advance its field separately, by one whole step."
            )
        if not RULES[by].noise:
            *first, last = (kind for kind, rule in RULES.items() if rule.noise)
            raise OdescentError(
                f"noise on {s} needs the integrator {', '.join(first)} or {last}, not {short(by)}."
            )
        if isinstance(d, Jumps) and by == "exact":
            raise OdescentError(
                f"the exact step's law is not Gaussian where {s} jumps; use 'explicit' for its field."
            )
        read = symbols_of(d.amplitude) & set(builder.state_symbols)
        diffuses = builder.system.calculus == "stratonovich" and not isinstance(d, Jumps)
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
    builder: Builder, noise: Noise, view: Mapping[Symbol, Expr], step: Flow
) -> dict[Symbol, Expr]:
    """The increment of the noise on each block over the substep, with amplitudes evaluated at its start.

    Args:
        builder: receives the draws.
        noise: diffusions and jumps, by block.
        view: the values that amplitudes and rates read.
        step: the substep.
    """
    h, own = builder.step, step.increment is None
    clock, share = (step.fraction * h, sp.S.One) if own else (h, step.fraction)
    draws: dict[tuple[str, str], Expr] = {} if own else builder.draws
    total: dict[Symbol, Expr] = {}
    for s, d in noise:
        kind = builder.kinds[s.name]
        key = (d.process, kind) if own else (f"{step.increment} {d.process}", kind)
        if key not in draws:
            ticks: sp.Expr = clock
            if isinstance(d, Jumps):
                mean = _read(builder, d.rate, view, step) * clock
                ticks = builder.count(s, mean, d.process, d.common)
            draws[key] = builder.draw(s, d.process) * sp.sqrt(ticks)
        amplitude = _read(builder, d.amplitude, view, step)
        if isinstance(amplitude, Vector):
            amplitude = builder.gap(amplitude)
        kick = _times(amplitude, draws[key]) * share
        total[s] = total[s] + kick if s in total else kick
    return total


def exact(
    builder: Builder,
    noise: Noise,
    matrix: sp.Matrix,
    moved: list[Symbol],
    view: Mapping[Symbol, Expr],
    step: Flow,
) -> dict[Symbol, Expr]:
    """The noise of the exact step of z' = M z + c: a Gaussian sample for each process.

    A process drives one block, by a scalar or element by element, or several blocks by scalars.

    Args:
        builder: receives the draws.
        noise: diffusions, by block.
        matrix: M, in the order of ``moved``.
        moved: the blocks.
        view: the values that amplitudes read.
        step: the substep.

    Raises:
        OdescentError: a vector amplitude in a process that drives several blocks, or one that is not constant.
    """
    total: dict[Symbol, Expr] = {}
    for process, kind in dict.fromkeys((d.process, builder.kinds[s.name]) for s, d in noise):
        driven: dict[Symbol, Expr] = {}
        for s, d in noise:
            if (d.process, builder.kinds[s.name]) == (process, kind):
                _check_constant(d, s, moved)
                amplitude = _read(builder, d.amplitude, view, step)
                driven[s] = driven[s] + amplitude if s in driven else amplitude
        common: Expr = sp.S.One
        if any(isinstance(a, Vector) for a in driven.values()):
            if len(driven) > 1:
                raise OdescentError(
                    f"the exact integrator supports a vector amplitude on one block only, but the process "
                    f"{process} drives {' and '.join(s.name for s in driven)}; give each its own process."
                )
            common = next(iter(driven.values()))
            driven = dict.fromkeys(driven, sp.S.One)
        column = sp.Matrix([driven.get(s, sp.S.Zero) for s in moved])
        covariance = gramian(matrix, column, step.fraction * builder.step)
        driven_first = [i for i, e in enumerate(column) if e != 0]
        first = driven_first + [i for i, e in enumerate(column) if e == 0]
        for weights in cholesky_columns(covariance, first):
            draw = _times(common, builder.draw(next(iter(driven)), process))
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


def _read(builder: Builder, e: Expr, view: Mapping[Symbol, Expr], step: Flow) -> Any:
    """An expression of the noise, evaluated at the start of the substep."""
    return builder.lower(substitute(builder.at_time(e, step.time), view))


def _times(amplitude: Expr, draw: Expr) -> Expr:
    if not isinstance(amplitude, Vector):
        return draw * amplitude
    return hadamard(amplitude, draw) if isinstance(draw, Vector) else amplitude * draw


__all__ = ["check", "exact", "increments"]
