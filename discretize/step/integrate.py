"""Integrators: the values of the moved blocks after a substep.

Linear integrators see the fields as ``M z + c`` in the blocks z they move, where c holds everything
else: other blocks, stages, and oracle results if these are frozen.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import sympy as sp

from ..._support.errors import NotCarried, OdescentError, listed
from ...dynamics.algebra.calculus import Symbol, nothing, substitute, tidy
from ...dynamics.algebra.exact import canonical
from ...dynamics.algebra.vectors import Call, Expr, Vector, scalar_symbols, zero
from ...dynamics.flows.tableaux import stages
from ..linear.matrices import inverse
from ..programs.program import linear_coefficient
from ..programs.substeps import Flow, Integrator
from .exponential import exponential
from .increments import Noise, exact, increments
from .linearly_implicit import Entries, jacobian_entries, solved
from .riccati import Riccati, flow, moving_in, riccati

if TYPE_CHECKING:
    from .builder import Builder


class Substep(NamedTuple):
    """The arguments of an integrator.

    Attributes:
        builder: of the program.
        drift: of the blocks that it moves.
        noise: of these.
        view: where the fields read the blocks.
        step: the substep.
        current: the values of the blocks before it.
    """

    builder: Builder
    drift: Mapping[Symbol, Expr]
    noise: Noise
    view: Mapping[Symbol, Expr]
    step: Flow
    current: Mapping[Symbol, Expr]

    @property
    def duration(self) -> sp.Expr:
        return self.step.fraction * self.builder.step

    @property
    def timed(self) -> dict[Symbol, Expr]:
        """The drift at the time of the substep."""
        return {s: self.builder.at_time(e, self.step.time) for s, e in self.drift.items()}

    def pushed(self) -> dict[Symbol, Expr]:
        """The increments of the noise, whose draws it appends to the program."""
        return increments(self.builder, self.noise, self.view, self.step)


def advance(
    builder: Builder,
    drift: Mapping[Symbol, Expr],
    noise: Noise,
    view: Mapping[Symbol, Expr],
    step: Flow,
) -> dict[Symbol, Expr]:
    """The new values of the blocks after the substep with its noise, in the symbols of the program.

    Args:
        builder: receives the instructions.
        drift: by block.
        noise: diffusions and jumps, by block.
        view: the values that the drift reads.
        step: the substep.

    Raises:
        OdescentError: the integrator is a discrete gradient, or does not fit the drift.
    """
    if step.by.kind not in INTEGRATORS:
        raise OdescentError(
            "a discrete gradient moves one coordinate after the other; use it in a Sweep, not in a Flow."
        )
    current = {s: builder.state[s.name] for s in drift}
    return INTEGRATORS[step.by.kind](Substep(builder, drift, noise, view, step, current))


def _explicit(one: Substep) -> dict[Symbol, Expr]:
    lower = one.builder.lower
    lowered = {s: lower(substitute(e, one.view)) * one.duration for s, e in one.timed.items()}
    pushed = one.pushed()
    return {s: one.current[s] + e + pushed.get(s, nothing(s)) for s, e in lowered.items()}


def _implicit(one: Substep) -> dict[Symbol, Expr]:
    """Backward Euler, by a solve or, through one oracle, by a prox."""
    drift, pushed = one.timed, one.pushed()
    if not one.step.by.frozen_oracles and len(drift) == 1:
        (target,) = drift
        nonlinear = [c for c in _calls(drift[target]) if target in c.symbols()]
        if nonlinear and target in _unknowns(one):
            begin = one.current[target] + pushed.get(target, nothing(target))
            return {target: _proximal(one, target, drift[target], nonlinear, begin)}
    return _linear_step(one, *_linear_part(one, drift), _backward, pushed)


def _cayley(one: Substep) -> dict[Symbol, Expr]:
    drift, pushed = one.timed, one.pushed()
    return _linear_step(one, *_linear_part(one, drift), _trapezoidal, pushed)


def _exact(one: Substep) -> dict[Symbol, Expr]:
    drift = one.timed
    if (found := _riccati(one, drift)) is not None:
        return found
    matrix, rest = _linear_part(one, drift)
    after = _linear_step(one, matrix, rest, _exponential, {})
    if not one.noise:
        return after
    sampled = exact(one.builder, one.noise, matrix, list(drift), one.view, one.step)
    return {s: e + sampled.get(s, nothing(s)) for s, e in after.items()}


def _riccati(one: Substep, drift: Mapping[Symbol, Expr]) -> dict[Symbol, Expr] | None:
    """The exact flow of one Riccati equation; None if the field is none."""
    moving = {s: e for s, e in drift.items() if e != nothing(s)}
    unknowns = set(_unknowns(one)) & set(moving)
    equations = {s: r for s in moving if s in unknowns and (r := riccati(moving[s], s)) is not None}
    if not equations:
        return None
    (block, found), *others = equations.items()
    held = moving_in(found, unknowns)
    if held or others or one.noise:
        why = (
            "but it also has noise"
            if one.noise
            else f"but they contain {listed(held)}, which the substep moves"
            if held
            else f"of one block, but {listed([s.name for s in equations])} have one each"
        )
        raise OdescentError(
            f"the exact flow of {block}' = a {block} - {block} S {block} needs a and S that the substep holds, {why}; "
            "split the field, or use 'explicit' for it."
        )
    rest = {s: e for s, e in drift.items() if s != block}
    beside = one._replace(current={s: one.current[s] for s in rest})
    after = _linear_step(beside, *_linear_part(one, rest), _exponential, {}) if rest else {}
    a, s = (one.builder.lower(substitute(e, one.view)) for e in found)
    return {**after, block: flow(Riccati(a, s), one.current[block], one.duration)}


def _linearized(share: sp.Rational, one: Substep) -> dict[Symbol, Expr]:
    """One step of Newton's method for the slope k = F(x + share h k), from zero."""
    by, drift, unknowns = one.step.by, one.timed, _unknowns(one)
    if by.operator is None:
        try:
            entries = jacobian_entries(drift, unknowns)
        except NotCarried as why:
            raise OdescentError(
                f"the {by.kind} integrator needs the derivative of the field as an operator: {str(why).rstrip('.')}; "
                "give an operator in its place (Integrator(..., operator=)), or use 'explicit'."
            ) from None
    else:
        entries = _given(one, by.operator)
    lower = one.builder.lower
    entries = {place: lower(one.builder.seen(e, one.view)) for place, e in entries.items()}
    rates = {s: lower(substitute(e, one.view)) for s, e in drift.items()}

    def named(s: Symbol, e: Expr) -> Expr:
        return one.builder.assign(f"{s.name}_slope", one.builder.kinds[s.name], e)

    slopes = solved(entries, rates, one.duration * share, named)
    return {s: tidy(one.current[s] + slopes[s] * one.duration) for s in drift}


def _given(one: Substep, operator: Vector) -> Entries:
    """The entry of the one vector block that moves, with an operator that stands for its derivative."""
    if len(one.drift) != 1 or not isinstance(next(iter(one.drift)), Vector):
        moved = listed([s.name for s in one.drift])
        raise OdescentError(
            f"an operator in the place of the derivative needs a substep that moves one vector block, not {moved}; "
            "name it by on=."
        )
    (s,) = one.drift
    return {(s, s): operator}


def _unknowns(one: Substep) -> list[Symbol]:
    """The blocks that the fields read where the substep ends."""
    read = one.step.read
    return [s for s in one.drift if "*" not in read and s.name not in read]


def _calls(e: Expr) -> list[Call]:
    return sorted(e.calls(), key=lambda c: c.key) if isinstance(e, Vector) else []


def _linear_part(one: Substep, drift: Mapping[Symbol, Expr]) -> tuple[sp.Matrix, list[Expr]]:
    """M and c of the drift ``M z + c``; the entries of M are evaluated at the view."""
    builder, by, view, unknowns = one.builder, one.step.by, one.view, _unknowns(one)
    rows: list[list[sp.Expr]] = []
    rests: list[Expr] = []
    for target, e in drift.items():
        row = [linear_coefficient(e, s) if s in unknowns else sp.S.Zero for s in drift]
        if isinstance(e, Vector):
            rest: Expr = e - sum((s * c for s, c in zip(drift, row, strict=True) if c != 0), zero)
        else:
            rest = sp.expand(e - sum(c * s for c, s in zip(row, drift, strict=True) if c != 0))
        _refuse_nonlinear(by, target, e, row, rest, unknowns)
        rows.append([substitute(c, view) for c in row])
        rests.append(builder.lower(substitute(rest, view)))
    return sp.Matrix(rows), rests


def _refuse_nonlinear(
    by: Integrator, target: Symbol, e: Expr, row: list[sp.Expr], rest: Expr, unknowns: list[Symbol]
) -> None:
    scalars = [*row, *(rest.terms.values() if isinstance(rest, Vector) else [rest])]
    atoms = (
        [a for a in rest.terms if a.symbols() & set(unknowns)] if isinstance(rest, Vector) else []
    )
    loose = [a for a in atoms if not (isinstance(a, Call) and by.frozen_oracles)]
    if not loose and not any(scalar_symbols(c) & set(unknowns) for c in scalars):
        return
    found = f"has {loose[0]}" if loose else f"is {e}"
    form = f", or {target}' = a {target} - {target} S {target}" if by.kind == "exact" else ""
    hint = (
        f" (or freeze the oracles: 'frozen {by.kind}')"
        if loose and isinstance(loose[0], Call)
        else ""
    )
    raise OdescentError(
        f"the {by.kind} integrator needs a field that is linear in the blocks it moves{form}, but the drift of "
        f"{target} {found}; use 'explicit' for it{hint}."
    )


# The propagator of a linear step, what multiplies c in it, and what multiplies what the noise pushes.
Linear = tuple[sp.Matrix, sp.Matrix, sp.Matrix]


def _backward(matrix: sp.Matrix, duration: sp.Expr) -> Linear:
    answer = _solvable(sp.eye(matrix.rows) - matrix * duration)
    return answer, answer * duration, answer


def _trapezoidal(matrix: sp.Matrix, duration: sp.Expr) -> Linear:
    half, identity = matrix * duration / 2, sp.eye(matrix.rows)
    answer = _solvable(identity - half)
    return (answer * (identity + half)).applyfunc(canonical), answer * duration, answer


def _exponential(matrix: sp.Matrix, duration: sp.Expr) -> Linear:
    return *exponential(matrix, duration), sp.eye(matrix.rows)


def _linear_step(
    one: Substep,
    matrix: sp.Matrix,
    rest: list[Expr],
    parts: Callable[[sp.Matrix, sp.Expr], Linear],
    pushed: Mapping[Symbol, Expr],
) -> dict[Symbol, Expr]:
    (propagator, source, answer), current = parts(matrix, one.duration), one.current
    values = list(current.values())
    pushes = [pushed.get(s, nothing(s)) for s in current]
    result: dict[Symbol, Expr] = {}
    for i, s in enumerate(current):
        total = nothing(s)
        for factors, terms in ((propagator, values), (source, rest), (answer, pushes)):
            for factor, term in zip(factors.row(i), terms, strict=True):
                if factor != 0 and term != nothing(s):  # a vector and a scalar are never coupled
                    total = total + term * factor
        result[s] = tidy(total)
    return result


def _solvable(matrix: sp.Matrix) -> sp.Matrix:
    found = inverse(matrix)
    if found is None:
        raise OdescentError("the implicit substep has no solution: its matrix is singular.")
    return found


def _proximal(one: Substep, target: Symbol, e: Expr, nonlinear: list[Call], current: Expr) -> Expr:
    """Backward Euler through one oracle: z+ = base + weight * F(z+), a prox where F is a gradient."""
    builder, view, duration = one.builder, one.view, one.duration
    assert isinstance(e, Vector)
    node = nonlinear[0]
    if len(nonlinear) > 1 or node.point != target or node.directions or node not in e.terms:
        raise OdescentError(
            f"the implicit integrator can solve for one oracle at {target} itself, but the drift has {e}; "
            "split the field, or freeze the oracles with 'frozen implicit'."
        )
    own, slope = e.terms.get(target, sp.S.Zero), e.terms[node]
    rest = builder.lower(substitute(e - target * own - node * slope, view))
    scale = canonical(1 / (1 - own * duration))
    base = tidy((current + rest * duration) * scale)
    weight = canonical(slope * duration * scale)
    result = builder.result(Call(node.oracle, base), weight)
    return base + result * weight


def _runge_kutta(one: Substep) -> dict[Symbol, Expr]:
    builder, drift, view, step = one.builder, one.drift, one.view, one.step
    tableau = step.by.tableau
    assert tableau is not None

    def moved(
        begin: Expr, row: Sequence[sp.Expr], slopes: list[dict[Symbol, Expr]], s: Symbol
    ) -> Expr:
        weighted = [k[s] * (w * one.duration) for k, w in zip(slopes, row, strict=True) if w != 0]
        return sum(weighted, begin)

    def at_stage(i: int, slopes: list[dict[Symbol, Expr]]) -> dict[Symbol, Expr]:
        seen = dict(view)
        for s in drift if any(tableau.a[i]) else ():
            stage = moved(view[s], tableau.a[i], slopes, s)
            seen[s] = builder.assign(f"{s.name}_stage", builder.kinds[s.name], stage)
        return seen

    def slope(i: int, seen: dict[Symbol, Expr]) -> dict[Symbol, Expr]:
        offset = step.time + tableau.c[i] * step.fraction
        return {
            s: builder.lower(substitute(builder.at_time(e, offset), seen)) for s, e in drift.items()
        }

    slopes = stages(tableau, slope, at_stage)
    return {s: moved(one.current[s], tableau.b, slopes, s) for s in drift}


# A new integrator is a function of a substep, and a line here.
INTEGRATORS: dict[str, Callable[[Substep], dict[Symbol, Expr]]] = {
    "explicit": _explicit,
    "implicit": _implicit,
    "cayley": _cayley,
    "exact": _exact,
    "tableau": _runge_kutta,
    "linearly_implicit": functools.partial(_linearized, sp.S.One),
    "linearly_implicit_midpoint": functools.partial(_linearized, sp.Rational(1, 2)),
}
