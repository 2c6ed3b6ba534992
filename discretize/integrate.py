"""One substep by each integrator: what the moved blocks become.

Linear integrators see the fields as ``M z + c`` in the blocks z they move, where c holds everything
else: other blocks, stages, and oracle results if these are frozen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import sympy as sp

from odescent._errors import OdescentError
from odescent.dynamics.calculus import Symbol, substitute, tidy
from odescent.dynamics.exact import canonical
from odescent.dynamics.vectors import Call, Elementwise, Expr, Product, Vector, VectorSymbol, scalar_symbols, zero

from .substeps import Flow, Integrator, Tableau

if TYPE_CHECKING:
    from .compile import _Compiler


def advance(
    compiler: _Compiler,
    drift: Mapping[Symbol, Expr],
    view: Mapping[Symbol, Expr],
    step: Flow,
) -> dict[Symbol, Expr]:
    """The new values of the blocks in ``drift`` after the substep, in the program's names."""
    duration = step.fraction * compiler.step
    by, read = step.by, step.read
    current = {s: compiler.state[s.name] for s in drift}
    if by.tableau is not None:
        return _runge_kutta(compiler, by.tableau, drift, view, step, current)
    drift = {s: compiler.at_time(e, step.time) for s, e in drift.items()}
    if by.kind == "explicit":
        return {
            s: current[s] + compiler.lower(substitute(e, view)) * duration  # type: ignore[operator]
            for s, e in drift.items()
        }
    seen_elsewhere = set(read) if "*" not in read else {s.name for s in drift}
    unknowns = [s for s in drift if s.name not in seen_elsewhere]
    if not by.frozen_oracles and by.kind == "implicit" and len(drift) == 1:
        (target,) = drift
        nonlinear = [c for c in _calls(drift[target]) if target in c.symbols()]
        if nonlinear and target in unknowns:
            return {target: _proximal(compiler, target, drift[target], nonlinear, view, duration, current[target])}
    matrix, rest = _linear_part(compiler, by, drift, unknowns, view)
    return _linear_step(by.kind, matrix, rest, current, duration)


def _calls(e: Expr) -> list[Call]:
    return sorted(e.calls(), key=lambda c: c.key) if isinstance(e, Vector) else []


def _linear_part(
    compiler: _Compiler, by: Integrator, drift: Mapping[Symbol, Expr], unknowns: list[Symbol], view: Mapping[Symbol, Expr]
) -> tuple[sp.Matrix, list[Expr]]:
    rows: list[list[sp.Expr]] = []
    rests: list[Expr] = []
    for target, e in drift.items():
        if isinstance(e, Vector):
            row, rest = [e.terms.get(s, sp.S.Zero) for s in drift], e  # type: ignore[call-overload]
            row = [c if s in unknowns else sp.S.Zero for s, c in zip(drift, row, strict=True)]
            for s, c in zip(drift, row, strict=True):
                rest = rest - s * c if c != 0 else rest  # type: ignore[operator]
        else:
            row = [sp.diff(e, s) if s in unknowns else sp.S.Zero for s in drift]
            rest = sp.expand(e - sum(c * s for c, s in zip(row, drift, strict=True)))
            if any(set(scalar_symbols(c)) & set(unknowns) for c in row):
                raise OdescentError(f"{by.kind} needs a field that is linear in {target}; its drift is {e}.")
        _refuse_nonlinear(by, target, rest, unknowns)
        rows.append(row)
        rests.append(compiler.lower(substitute(rest, view)))
    return sp.Matrix(rows), rests


def _refuse_nonlinear(by: Integrator, target: Symbol, rest: Expr, unknowns: list[Symbol]) -> None:
    if not isinstance(rest, Vector):
        return
    for atom in rest.terms:
        if not (set(atom.symbols()) & set(unknowns)):
            continue
        if isinstance(atom, (Product, Elementwise)) or not by.frozen_oracles:
            hint = "it" if isinstance(atom, (Product, Elementwise)) else f"it (or freeze the oracles: 'frozen {by.kind}')"
            raise OdescentError(
                f"the {by.kind} integrator needs a field that is linear in the blocks it moves, but the drift of "
                f"{target} has {atom}; use 'explicit' for {hint}."
            )


def _linear_step(
    kind: str, matrix: sp.Matrix, rest: list[Expr], current: Mapping[Symbol, Expr], duration: sp.Expr
) -> dict[Symbol, Expr]:
    n = matrix.rows
    scaled = matrix * duration
    identity = sp.eye(n)
    if kind == "implicit":
        propagator = _inverse(identity - scaled)
        source = propagator * duration
    elif kind == "cayley":
        inverse = _inverse(identity - scaled / 2)
        propagator = (inverse * (identity + scaled / 2)).applyfunc(canonical)
        source = inverse * duration
    else:
        propagator, source = _exponential(matrix, duration)
    values = list(current.values())
    result: dict[Symbol, Expr] = {}
    for i, s in enumerate(current):
        total: Expr = zero if isinstance(s, VectorSymbol) else sp.S.Zero
        for j in range(n):
            total = total + values[j] * propagator[i, j] + rest[j] * canonical(source[i, j])  # type: ignore[operator]
        result[s] = tidy(total)
    return result


def _inverse(matrix: sp.Matrix) -> sp.Matrix:
    determinant = canonical(matrix.det(method="berkowitz"))
    if determinant == 0:
        raise OdescentError("the implicit substep has no solution: its matrix is singular.")
    return (matrix.adjugate(method="berkowitz") / determinant).applyfunc(canonical)


def _exponential(matrix: sp.Matrix, duration: sp.Expr) -> tuple[sp.Matrix, sp.Matrix]:
    """exp(M t) and its integral over [0, t], from the exponential of an augmented matrix."""
    n = matrix.rows
    if n == 1:
        m = canonical(matrix[0, 0])
        if m == 0:
            return sp.eye(1), sp.Matrix([[duration]])
        grown = sp.exp(m * duration)
        return sp.Matrix([[grown]]), sp.Matrix([[(grown - 1) / m]])
    if not any(matrix):
        return sp.eye(n), sp.eye(n) * duration
    augmented = sp.zeros(2 * n)
    augmented[:n, :n] = matrix * duration
    augmented[:n, n:] = sp.eye(n) * duration
    full = augmented.exp()
    return full[:n, :n].applyfunc(sp.simplify), full[:n, n:].applyfunc(sp.simplify)


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
    own, slope = e.terms.get(target, sp.S.Zero), e.terms[node]  # type: ignore[call-overload]
    rest = compiler.lower(substitute(e - target * own - node * slope, view))  # type: ignore[operator]
    scale = canonical(1 / (1 - own * duration))
    base = tidy((current + rest * duration) * scale)  # type: ignore[operator]
    weight = canonical(slope * duration * scale)
    result = compiler.result(Call(node.oracle, base), weight)
    return base + result * weight  # type: ignore[operator]


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
        stage_drift = {s: compiler.at_time(e, step.time + node * step.fraction) for s, e in drift.items()}
        moved = dict(view)
        for s in drift:
            increments = [k[s] * (w * duration) for k, w in zip(slopes, row, strict=False) if w != 0]  # type: ignore[operator]
            moved[s] = sum(increments, view[s])  # type: ignore[arg-type, call-overload]
        slopes.append({s: compiler.lower(substitute(e, moved)) for s, e in stage_drift.items()})
    return {
        s: sum((k[s] * (w * duration) for k, w in zip(slopes, tableau.b, strict=True) if w != 0), current[s])  # type: ignore[arg-type, call-overload, operator, misc]
        for s in drift
    }
