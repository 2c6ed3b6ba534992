"""A method over finitely many steps: the points where it takes gradients, as exact combinations of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import sympy as sp

from ...._support.errors import OdescentError, shown
from ...._support.rendering.brief import short
from ...._support.rendering.rendered import Rendered
from ....dynamics.algebra.exact import canonical, is_zero
from ....dynamics.algebra.scalars import as_scalar
from ....dynamics.vector_fields.system import L as smoothness
from ....dynamics.vector_fields.system import mu as convexity
from ..checking.checker import ONE, ZERO, Number
from ..checking.elimination import dot
from ..checking.field import NotInField, NumberField, OfField, enclosure, expression
from .plant import (
    Matrix,
    Method,
    NoCertificate,
    check_bound,
    check_one_function,
    constants_of,
    read,
)

if TYPE_CHECKING:
    from ....discretize.linear.time_varying_form import TimeVarying

POINT = "point"  # the output is where the next gradient would be taken


@dataclass(frozen=True)
class Unrolled(Rendered, OfField):
    """y_i = x_0 + sum_j points_ij u_j with u_j the gradient at y_j; the last point is the output.

    Entries are numbers of the checker: in Q(sqrt d), or enclosures (then d = 1).
    """

    points: Matrix
    mu: sp.Expr
    L: sp.Expr
    d: int
    exact: bool
    name: str = ""


def unrolled(
    method: Method, mu: object, L: object, horizon: int, output: str | None = None
) -> Unrolled:
    """The points of so many steps from rest.

    Args:
        method: an algorithm, whose coefficients may change with the step; matrices or a three-parameter form, as for
            `certify`; or the mapping {"h": rows}, x_{i+1} = x_i - (1/L) sum_k h_ik g(x_k), with ``horizon`` rows.
        mu, L: the class, 0 <= mu < L.
        horizon: the number of steps, at least 1.
        output: which sequence the last point belongs to; the algorithm's output by default, "point" where the next
            gradient would be taken.

    Raises:
        OdescentError: input outside its domain.
        NoCertificate: a method that does not rest at minimizers.
    """
    low, high = constants_of(mu, L)
    if low == high:
        raise OdescentError(
            f"a bound over finitely many steps needs mu < L, not {mu} = {L}: the only functions left are quadratics."
        )
    if type(horizon) is not int or horizon < 1:
        raise OdescentError(f"horizon must be a whole number of at least 1, not {shown(horizon)}.")
    if isinstance(method, Mapping) and "h" in method:
        return _table(method["h"], low, high, horizon)
    form, name = _form(method, low, high, output)
    _check_rests(form, name)
    values = {convexity: low, smoothness: high}
    check_bound(_free(form) - {*values, *form.ahead})
    field = NumberField()

    def in_field(e: sp.Expr, now: Mapping[sp.Symbol, Number]) -> Number:
        return field.number(e, {**values, **{s: expression(x) for s, x in now.items()}})

    try:
        rows = _run(form, horizon, in_field)
        field.number(low, {}), field.number(high, {})
        return Unrolled(rows, low, high, field.d, True, name)
    except NotInField:
        rows = _run(form, horizon, lambda e, now: enclosure(e.xreplace(values), values=now))
    return Unrolled(rows, low, high, 1, False, name)


def _form(
    method: Method, low: sp.Expr, high: sp.Expr, output: str | None
) -> tuple[TimeVarying, str]:
    from ....discretize import Algorithm
    from ....discretize.linear.state_space import NotLTI
    from ....discretize.linear.time_varying_form import TimeVarying, time_varying

    if not isinstance(method, Algorithm):
        plant = read(method, low, high)
        if not plant.exact:
            raise OdescentError(
                "the entries of matrices must be rational or in one field Q(sqrt d)."
            )
        A, B, C, D, row, fixed = (
            sp.Matrix([[expression(x) for x in r] for r in m])
            for m in (plant.A, plant.B, plant.C, plant.D, [plant.output], [[x] for x in plant.fixed])
        )  # fmt: skip
        if output not in (None, POINT):
            raise OdescentError(
                f"output= of a method given by matrices must be {POINT!r} or left out, not {short(output)}."
            )
        made = TimeVarying(A, B, C, D, (), (), row, fixed)
        return _read_at_point(made) if output == POINT else made, plant.name or "method"
    program = method.tuned
    if output not in (None, POINT):
        if output not in program.outputs:
            raise OdescentError(
                f"{method.name or 'the method'} has the sequences {', '.join(program.outputs)} and {POINT}, "
                f"not {short(output)}."
            )
        program = replace(program, outputs={"x": program.outputs[output]})
    try:
        form = time_varying(program)
    except NotLTI as reason:
        raise OdescentError(
            f"this method has no certificate over finitely many steps: {reason}"
        ) from None
    check_one_function(form.inputs, "bound")
    if output == POINT:
        form = _read_at_point(form)
    if form.output is None or form.start is None:
        raise OdescentError(
            "a bound over finitely many steps needs an output linear in the blocks, and blocks that start at "
            "multiples of x0."
        )
    return form, method.name


def _read_at_point(form: TimeVarying) -> TimeVarying:
    if any(form.D[0, :]):
        raise OdescentError("the next gradient point of an implicit step is not known before it.")
    return replace(form, output=form.C[0, :])


def _free(form: TimeVarying) -> set[sp.Symbol]:
    matrices = [m for m in (form.A, form.B, form.C, form.D, form.output) if m is not None]
    return {s for m in matrices for s in m.free_symbols} | {
        s for e in (*form.ahead.values(), *form.begin.values()) for s in e.free_symbols
    }


def _check_rests(form: TimeVarying, name: str) -> None:
    """A start at a minimizer stays there, and points and output read the start as x0: proved for generic scalars."""
    start = form.start
    assert form.output is not None
    readers = form.C.col_join(form.output)
    left = [*(form.A * start - start), *(e - 1 for e in readers * start)]
    if not all(is_zero(canonical(e)) for e in left):
        raise NoCertificate(
            f"{name or 'the method'} does not stay at a minimizer at which it starts, or its first gradient points "
            "depend on more than x0, so no bound of this form applies to it."
        )


def _run(form: TimeVarying, horizon: int, value: Any) -> Matrix:
    """The rows over all gradients, the output's own last; ``value`` makes numbers of entries at the scalars."""
    assert form.output is not None
    calls = form.D.rows
    size = horizon * calls + 1
    now = {s: value(e, {}) for s, e in form.begin.items()}
    state: Matrix = [[ZERO] * size for _ in range(form.A.rows)]
    points: Matrix = []
    for k in range(horizon):
        inputs = [[ONE if j == k * calls + i else ZERO for j in range(size)] for i in range(calls)]
        known = [*state, *inputs]
        points += [dot(row, known) for row in _values(form.C.row_join(form.D), value, now)]
        state = [dot(row, known) for row in _values(form.A.row_join(form.B), value, now)]
        now = {s: value(e, now) for s, e in form.ahead.items()}
    return [*points, dot([value(e, now) for e in form.output], state)]


def _values(m: sp.Matrix, value: Any, now: Mapping[sp.Symbol, Number]) -> Matrix:
    return [[value(e, now) for e in row] for row in m.tolist()]


def _table(rows: Any, low: sp.Expr, high: sp.Expr, horizon: int) -> Unrolled:
    """A table of steps, in units of 1 / L."""
    try:
        table = [[as_scalar(e) for e in row] for row in rows]
    except TypeError:
        raise OdescentError(f"h must be rows of numbers, not {short(rows)}.") from None
    if len(table) != horizon or any(len(row) != i + 1 for i, row in enumerate(table)):
        raise OdescentError(
            f"h must have {horizon} rows of 1, 2, ... numbers, not rows of {[len(r) for r in table]} numbers."
        )
    size = horizon + 1
    summed = [[sp.S.Zero] * size]
    for row in table:
        summed.append([
            a - (row[j] / high if j < len(row) else 0) for j, a in enumerate(summed[-1])
        ])  # fmt: skip
    field = NumberField()
    try:
        points = [[field.number(e, {}) for e in row] for row in summed]
        field.number(low, {}), field.number(high, {})
        return Unrolled(points, low, high, field.d, True, "table of steps")
    except NotInField:
        points = [[enclosure(e) for e in row] for row in summed]
        return Unrolled(points, low, high, 1, False, "table of steps")
