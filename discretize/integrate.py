"""One substep by each integrator: what the moved blocks become.

Linear integrators see the fields as ``M z + c`` in the blocks z they move, where c holds everything
else: other blocks, stages, and oracle results if these are frozen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import sympy as sp

from odescent._errors import OdescentError
from odescent.dynamics.calculus import Symbol, nothing, substitute, tidy
from odescent.dynamics.exact import canonical
from odescent.dynamics.vectors import Call, Expr, Vector, scalar_symbols, zero

from .exponential import exponential
from .matrices import inverse
from .noise import Noise, exact, increments
from .program import linear_coefficient
from .substeps import Flow, Integrator, Tableau

if TYPE_CHECKING:
    from .compile import _Compiler


def advance(
    compiler: _Compiler,
    drift: Mapping[Symbol, Expr],
    noise: Noise,
    view: Mapping[Symbol, Expr],
    step: Flow,
) -> dict[Symbol, Expr]:
    """The new values of the blocks in ``drift`` after the substep with its noise, in the program's names."""
    duration = step.fraction * compiler.step
    by, read = step.by, step.read
    current = {s: compiler.state[s.name] for s in drift}
    if by.kind == "discrete_gradient":
        raise OdescentError(
            "a discrete gradient moves one coordinate after the other; use it in a Sweep, not in a Flow."
        )
    if by.tableau is not None:
        return _runge_kutta(compiler, by.tableau, drift, view, step, current)
    drift = {s: compiler.at_time(e, step.time) for s, e in drift.items()}
    pushed: dict[Symbol, Expr] = {}
    if by.kind == "explicit":
        lowered = {s: compiler.lower(substitute(e, view)) * duration for s, e in drift.items()}
        pushed = increments(compiler, noise, view, step)
        return {s: current[s] + e + pushed.get(s, nothing(s)) for s, e in lowered.items()}
    if by.kind != "exact":
        pushed = increments(compiler, noise, view, step)
    seen_elsewhere = set(read) if "*" not in read else {s.name for s in drift}
    unknowns = [s for s in drift if s.name not in seen_elsewhere]
    if not by.frozen_oracles and by.kind == "implicit" and len(drift) == 1:
        (target,) = drift
        nonlinear = [c for c in _calls(drift[target]) if target in c.symbols()]
        if nonlinear and target in unknowns:
            begin = current[target] + pushed.get(target, nothing(target))
            solved = _proximal(compiler, target, drift[target], nonlinear, view, duration, begin)
            return {target: solved}
    matrix, rest = _linear_part(compiler, by, drift, unknowns, view)
    after = _linear_step(by.kind, matrix, rest, current, duration, pushed)
    if by.kind == "exact" and noise:
        sampled = exact(compiler, noise, matrix, list(drift), view, step)
        after = {s: e + sampled.get(s, nothing(s)) for s, e in after.items()}
    return after


def _calls(e: Expr) -> list[Call]:
    return sorted(e.calls(), key=lambda c: c.key) if isinstance(e, Vector) else []


def _linear_part(
    compiler: _Compiler,
    by: Integrator,
    drift: Mapping[Symbol, Expr],
    unknowns: list[Symbol],
    view: Mapping[Symbol, Expr],
) -> tuple[sp.Matrix, list[Expr]]:
    """M and c of the drift ``M z + c``; the entries of M are read where ``view`` says."""
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
        rests.append(compiler.lower(substitute(rest, view)))
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
    hint = (
        f" (or freeze the oracles: 'frozen {by.kind}')"
        if loose and isinstance(loose[0], Call)
        else ""
    )
    raise OdescentError(
        f"the {by.kind} integrator needs a field that is linear in the blocks it moves, but the drift of "
        f"{target} {found}; use 'explicit' for it{hint}."
    )


def _linear_step(
    kind: str,
    matrix: sp.Matrix,
    rest: list[Expr],
    current: Mapping[Symbol, Expr],
    duration: sp.Expr,
    pushed: Mapping[Symbol, Expr],
) -> dict[Symbol, Expr]:
    n = matrix.rows
    scaled = matrix * duration
    identity = sp.eye(n)
    answer = identity  # to what is pushed
    if kind == "implicit":
        propagator = answer = _solvable(identity - scaled)
        source = propagator * duration
    elif kind == "cayley":
        answer = _solvable(identity - scaled / 2)
        propagator = (answer * (identity + scaled / 2)).applyfunc(canonical)
        source = answer * duration
    else:
        propagator, source = exponential(matrix, duration)
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


def _proximal(
    compiler: _Compiler,
    target: Symbol,
    e: Expr,
    nonlinear: list[Call],
    view: Mapping[Symbol, Expr],
    duration: sp.Expr,
    current: Expr,
) -> Expr:
    """Backward Euler through one oracle: z+ = base + weight * F(z+), a prox where F is a gradient."""
    assert isinstance(e, Vector)
    node = nonlinear[0]
    if len(nonlinear) > 1 or node.point != target or node.directions or node not in e.terms:
        raise OdescentError(
            f"the implicit integrator can solve for one oracle at {target} itself, but the drift has {e}; "
            "split the field, or freeze the oracles with 'frozen implicit'."
        )
    own, slope = e.terms.get(target, sp.S.Zero), e.terms[node]
    rest = compiler.lower(substitute(e - target * own - node * slope, view))
    scale = canonical(1 / (1 - own * duration))
    base = tidy((current + rest * duration) * scale)
    weight = canonical(slope * duration * scale)
    result = compiler.result(Call(node.oracle, base), weight)
    return base + result * weight


def _runge_kutta(
    compiler: _Compiler,
    tableau: Tableau,
    drift: Mapping[Symbol, Expr],
    view: Mapping[Symbol, Expr],
    step: Flow,
    current: Mapping[Symbol, Expr],
) -> dict[Symbol, Expr]:
    duration = step.fraction * compiler.step
    slopes: list[dict[Symbol, Expr]] = []
    for row, node in zip(tableau.a, tableau.c, strict=True):
        at_stage = dict(view)
        for s in drift:
            weights = [(k[s], w * duration) for k, w in zip(slopes, row, strict=False) if w != 0]
            if weights:
                stage = sum((k * w for k, w in weights), view[s])
                at_stage[s] = compiler.assign(f"{s.name}_stage", compiler.kinds[s.name], stage)
        slopes.append(
            {
                s: compiler.lower(
                    substitute(compiler.at_time(e, step.time + node * step.fraction), at_stage)
                )
                for s, e in drift.items()
            }
        )
    return {
        s: sum(
            (k[s] * (w * duration) for k, w in zip(slopes, tableau.b, strict=True) if w != 0),
            current[s],
        )
        for s in drift
    }
