"""Checks that a step carries the noise of its system: all of it, and with the covariances that it has there."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import sympy as sp

from ..._support.errors import NotConsistent
from ...dynamics.algebra.calculus import Symbol, nothing, singular, substitute, vanishes
from ...dynamics.algebra.exact import canonical, is_zero
from ...dynamics.algebra.vectors import Vector
from ...dynamics.flows.system import System
from ...dynamics.notation.show import text
from ...dynamics.vector_fields.processes import Diffusion
from ...dynamics.vector_fields.system import Field
from ..programs.program import linear_coefficient
from ..programs.substeps import Flow, Let, Scheme
from .compile import compile_scheme


def check_noise(system: System, scheme: Scheme) -> None:
    """Refuse substeps that do not advance the noise of every field by exactly one step, or not together.

    Independent increments add their variances, so the fractions of a noisy field's substeps sum to one. Substeps
    that share an increment add their fractions of it, and the square of the sum is their part. Two noises by one
    process have the covariance of one step, too: that is what substeps carry of both.
    """
    flows = [s for s in scheme.steps if isinstance(s, Flow) and s.commit]
    noises = [(n, s, d.process) for n, f in system.fields.items() for s, d in f.noise.items()]
    for i, (name, s, process) in enumerate(noises):
        for other, r, its in noises[: i + 1]:
            if its != process or _kind(system, s) != _kind(system, r):
                continue
            total = _in_common(flows, (name, s), (other, r))
            if is_zero(total - 1):
                continue
            if (name, s) == (other, r):
                raise NotConsistent(
                    f"the scheme advances the noise of field {name!r} on {s} by {total} of a step; "
                    "every field must be committed for exactly one step."
                )
            raise NotConsistent(
                f"the process {process} drives field {other!r} on {r} and field {name!r} on {s}, but of a step's "
                f"increment the scheme gives them {total} in common, not all: move them in one substep, give their "
                "substeps one increment=, or give each field a process of its own."
            )


def _in_common(flows: list[Flow], one: tuple[str, Symbol], other: tuple[str, Symbol]) -> sp.Expr:
    """The covariance of two noises of one process after a step, in units of the step."""

    def carried(of: tuple[str, Symbol], step: Flow) -> sp.Expr:
        name, s = of
        moves = (not step.fields or name in step.fields) and (not step.on or s.name in step.on)
        return step.fraction if moves else sp.S.Zero

    alone = [carried(one, w) for w in flows if w.increment is None and carried(other, w) != 0]
    total = sp.Add(*alone)
    for increment in {w.increment for w in flows} - {None}:
        own = [w for w in flows if w.increment == increment]
        total = total + sp.Mul(*[sp.Add(*[carried(of, w) for w in own]) for of in (one, other)])
    return total


def check_assigned_noise(
    system: System, scheme: Scheme, step: sp.Symbol, clock: sp.Expr | None, reserved: Iterable[str]
) -> None:
    """Refuse assignments with which a step has another noise than the system, to the leading order in the step.

    Amplitudes are read where a substep begins, so that those of one show what becomes of each draw.

    Args:
        system: with its bindings.
        scheme: its substeps and assignments.
        step: the symbol of the step.
        clock: the time of step k, or None.
        reserved: names that fresh symbols avoid.

    Raises:
        NotConsistent: a covariance is another one, or a draw enters in another way than by an increment.
    """
    if not any(isinstance(s, Let) for s in scheme.steps):
        return
    fields = {
        n: Field(
            {
                s: nothing(s) for s in f.drift
            },  # what drifts make of a draw is theirs, as in the system
            {s: Diffusion(sp.S.One, d.process) for s, d in f.noise.items()},
        )
        for n, f in system.fields.items()
    }
    unit = system.with_fields(fields)
    program = compile_scheme(unit, scheme, step, clock, {"x": unit.output}, reserved).inlined()
    draws: list[Symbol] = [d.target for d in program.draws if not d.law]
    memories = {b.symbol for b in system.blocks if b.role == "memory"}  # which may keep anything
    listed = dict.fromkeys(s for f in fields.values() for s in (*f.drift, *f.noise))
    moved = [s for s in listed if s not in memories]

    # what each block has of each draw
    parts: dict[Symbol, list[sp.Expr]] = {}
    for s in moved:
        after = program.next[s]
        parts[s] = [linear_coefficient(after, d) for d in draws]
        rest = substitute(after, {d: nothing(d) for d in draws})
        for d, k in zip(draws, parts[s], strict=True):
            rest = rest + d * k if isinstance(d, Vector) == isinstance(after, Vector) else rest
        noisy = any(
            s in f.noise for f in fields.values()
        )  # others are judged where the limit is taken
        if noisy and not vanishes(after - rest):
            raise NotConsistent(
                f"an assignment makes {s} depend on the noise of the step in another way than by its increments: "
                "assign it before the noise, or to a memory block."
            )

    # covariances, in units of the step
    for s, r in itertools.combinations_with_replacement(moved, 2):
        products = [a * b for a, b in zip(parts[s], parts[r], strict=True)]
        share = canonical(sp.Add(*products) / step)
        wanted = _covariance(fields, s, r) if _kind(system, s) == _kind(system, r) else 0
        limit = share.xreplace({step: sp.S.Zero})
        if singular(limit) or not is_zero(limit - wanted):
            raise NotConsistent(
                f"with its assignments the scheme gives {s} and {r} {text(share)} of the covariance of one "
                f"increment, where the system has {wanted}: let assignments leave what noise has moved."
            )


def _covariance(fields: dict[str, Field], s: Symbol, r: Symbol) -> int:
    """That of two blocks by noises of size one, in units of the step."""
    total = 0
    for process in {d.process for f in fields.values() for d in f.noise.values()}:
        of = [
            sum(b in f.noise and f.noise[b].process == process for f in fields.values())
            for b in (s, r)
        ]
        total += of[0] * of[1]
    return total


def _kind(system: System, s: Symbol) -> str:
    return system.block(s.name).kind
