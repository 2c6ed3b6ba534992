"""Equality of linear methods whose coefficients change from step to step.

Two methods x+ = A_k x + B_k u, y = C_k x + D_k u, run in parallel on the same oracle results u, call the oracle
at the same points if the difference of their points is zero and stays so. It is a row r_0 = (C_k, -C'_k) of
their joint state; one step back along the joint map it is a row r_1, and so on, until the rows span no more:

    D_k = D'_k,   r_i (B_k, B'_k) = 0 one step later,   r_p = a combination of r_0, ..., r_{p-1},

and the initial state is in their common kernel, x' = T_k x where the second is observable: then
T_{k+1} A_k = A'_k T_k, T_{k+1} B_k = B'_k, C_k = C'_k T_k and T_0 x_0 = x'_0.

The coefficients are functions of the step number and of scalar blocks with a recurrence. The identities are
proved for a generic value of these, the recurrence written in for the next step; the weights of past
answers in later points are rational in them, so that they agree along the actual sequence too.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sympy as sp

from ...dynamics.algebra.exact import canonical, is_zero
from ...dynamics.vector_fields.system import L, mu
from ..linear.matrices import inverse
from ..linear.state_space import NotLTI
from ..linear.time_varying_form import (
    DIGITS,
    STEPS,
    K,
    MatrixSequence,
    NotReal,
    TimeVarying,
    real,
    time_varying,
)
from ..linear.witness import Values, Witness, samples, settled
from ..programs.program import Program
from .time_varying_scalars import closed_form, joined, positive
from .verdict import AGREE, Equivalence

_LONG = 40  # steps looked at where no proof is found
_FEW, _MANY = 3, 8  # samples before a proof is sought, and after
_PER_STEP = 20  # digits kept for each step of a run


def compare_time_varying(one: Program, other: Program) -> Equivalence | None:
    """Compare two tuned programs with changing coefficients; None if one is not linear."""
    try:
        left, right = time_varying(one), time_varying(other)
    except NotLTI:
        return None
    return compare_varying(left, right)


def compare_varying(left: TimeVarying, right: TimeVarying) -> Equivalence | None:
    """The verdict for two forms; None if a start is not a multiple of x0, or their calls differ or are absent."""
    import mpmath

    if not left.inputs or not right.inputs or left.start is None or right.start is None:
        return None
    left, right = merged(left), merged(right)
    if Counter(left.inputs) != Counter(right.inputs):
        return None
    found = []
    with mpmath.workdps(DIGITS):
        for order in itertools.permutations(range(len(right.inputs))):
            if [right.inputs[i] for i in order] != list(left.inputs):
                continue
            verdict = _compare(left, right.ordered(order))
            if verdict:
                return verdict
            found.append(verdict)
    return min(found, key=lambda e: e.verdict != "undecided")


def merged(system: TimeVarying) -> TimeVarying:
    """The form with calls of a step merged where their points coincide for all oracle results."""
    import mpmath

    for j, i in itertools.combinations(reversed(range(len(system.inputs))), 2):
        if system.inputs[i] != system.inputs[j]:
            continue
        one, other = (
            replace(system, C=system.C.row(c), D=sp.zeros(1, system.D.cols)) for c in (i, j)
        )
        with contextlib.suppress(ArithmeticError), mpmath.workdps(DIGITS):
            kernel = _kernel(one, other) if system.answered_alike(i, j) else None
            if kernel is not None and _starts_inside(one, other, kernel):
                return merged(system.joined(i, j))
    return system


def _compare(left: TimeVarying, right: TimeVarying) -> Equivalence:
    refuted, same_output = _by_numbers(left, right, STEPS, _FEW)
    if refuted is not None:
        return _but_for_the_start(left, right, refuted)
    why = ""
    for assume in (_as_given, _where_signs_are_known):
        one, other, condition = assume(left, right)
        try:
            found = _proved(one, _apart(one, other))
        except (ArithmeticError, NotReal) as error:  # roots of squares whose sign is not known
            found = str(error).rstrip(".")
        if not isinstance(found, str):
            reason = found.reason[:-1] + condition + "."
            return replace(found, reason=reason, same_output=found.same_output and same_output)
        why = why or found
    refuted, _ = _by_numbers(left, right, _LONG, _MANY)
    return _open(why) if refuted is None else refuted


def _but_for_the_start(left: TimeVarying, right: TimeVarying, refuted: Equivalence) -> Equivalence:
    """The refutation; where only the weights of x0 differ, it states that the rest agrees."""
    if refuted.witness is None or refuted.witness.x0 == 0 or left.start is None:
        return refuted
    from_zero = [replace(s, start=sp.zeros(s.A.rows, 1)) for s in (left, right)]
    if not _compare(from_zero[0], from_zero[1]):
        return refuted
    reason = f"{AGREE}, but the methods start differently: {refuted.reason}"
    return replace(refuted, reason=reason)


def _as_given(left: TimeVarying, right: TimeVarying) -> tuple[TimeVarying, TimeVarying, str]:
    return left, right, ""


def _where_signs_are_known(
    left: TimeVarying, right: TimeVarying
) -> tuple[TimeVarying, TimeVarying, str]:
    """Scalars that are positive as such, and mu < L where both are parameters of coefficients with absolute values."""
    left, right = positive(left), positive(right)
    signs = any(
        e.has(sp.Abs, sp.sign, sp.Max, sp.Min)
        for s in (left, right) for m in (s.A, s.B, s.C, s.D) for e in m
    )  # fmt: skip
    if not (signs and {L, mu} <= left.symbols | right.symbols):
        return left, right, ""
    inside = {L: (sp.sqrt(mu) + sp.Symbol("_d", positive=True)) ** 2}
    one, other = (s.changed(inside, settled) for s in (left, right))
    return one, other, ", for mu < L"


def _proved(left: TimeVarying, right: TimeVarying) -> Equivalence | str:
    """The proof, or why there is none."""
    left, right = closed_form(left), closed_form(right)
    shared = joined(left, right)
    if shared is None:
        return "the scalar coefficients of the two are not known to be related"
    left, right = shared
    kernel = _kernel(left, right)
    if kernel is None:
        return "the difference of the points does not stay zero for all values of the scalar coefficients"
    if not _starts_inside(left, right, kernel):
        return "the initial states do not correspond, as far as exact arithmetic tells"
    same_output = None
    if left.output is not None and right.output is not None:
        same_output = _zero(sp.Matrix.hstack(left.output, -right.output) * kernel)
    n = left.A.rows
    observed = right.A.rows == n and kernel[:n, :] == sp.eye(n)
    said = (
        "a change of coordinates T_k that varies with the step carries one method to the other: "
        "T_{k+1} A_k = A'_k T_k, T_{k+1} B_k = B'_k, C_k = C'_k T_k and T_0 x_0 = x'_0 hold identically."
        if observed
        else "side by side the two keep the difference of their points at zero, identically in the step."
    )
    return Equivalence("proved", said, same_output, kernel[n:, :] if observed else None)


def _kernel(left: TimeVarying, right: TimeVarying) -> sp.Matrix | None:
    """The joint states in which the points agree in all steps, as columns; None if oracle results separate the points.

    It is the kernel of the rows r_0, r_1, ... The joint map and the answers have to stay in the kernel of the next
    step.
    """
    n, wide = left.A.rows, left.A.rows + right.A.rows
    if not _zero(left.D - right.D):
        return None
    a, b = sp.diag(left.A, right.A), sp.Matrix.vstack(left.B, right.B)
    reader = sp.Matrix.hstack(left.C, -right.C)
    kept, at = _independent_rows(left, a, reader)
    rows, block = sp.zeros(0, wide), reader
    for i in range(1 + max(kept, default=-1) // reader.rows):
        block = block if i == 0 else (left.shifted(block) * a).applyfunc(canonical)
        rows = sp.Matrix.vstack(rows, block)
    rows = rows.extract(kept, list(range(wide)))
    # the second's states by the first's, as far as the rows determine them
    columns = [*range(n, wide), *range(n)]
    chosen = [columns[i] for i in _pivots(_columns(at, columns))]
    if len(chosen) != rows.rows:
        return None
    solved = inverse(rows.extract(list(range(rows.rows)), chosen))
    if solved is None:
        return None
    free = [i for i in range(wide) if i not in chosen]
    kernel = sp.zeros(wide, len(free))
    solution = -solved * rows.extract(list(range(rows.rows)), free)
    for j, i in enumerate(free):
        kernel[i, j] = 1
    for r, i in enumerate(chosen):
        kernel[i, :] = solution.row(r).applyfunc(canonical)
    later = left.shifted(kernel)

    def stays(m: sp.Matrix) -> bool:
        return _zero(m - later * m.extract(free, list(range(m.cols))))

    return kernel if _zero(reader * kernel) and stays(b) and stays(a * kernel) else None


def _independent_rows(
    left: TimeVarying, a: sp.Matrix, reader: sp.Matrix
) -> tuple[list[int], list[list[Any]]]:
    """Which of the rows r_0, r_1, ... are independent, at numbers, and these; a step without new ones ends it."""
    symbols = a.free_symbols | reader.free_symbols | set(left.ahead)
    symbols |= {s for e in left.ahead.values() for s in e.free_symbols}
    # large values: at small ones, such as k = 2, rows may depend on each other by chance
    for values in itertools.islice(samples(symbols), 12, None):
        now, product = dict(values), None
        rows: list[list[Any]] = []
        kept: list[int] = []
        try:
            for i in range(a.rows + 1):
                c = _real_rows(reader, now)
                block = c if product is None else _times(c, product)
                chosen = _pivots([*rows, *block])
                new = [p for p in chosen if p >= len(rows)]
                if not new:
                    return kept, rows
                kept += [i * reader.rows + p - len(rows) for p in new]
                rows = [[*rows, *block][p] for p in chosen]
                step = _real_rows(a, now)
                product = step if product is None else _times(step, product)
                now = {**now, **{s: real(e.xreplace(now)) for s, e in left.ahead.items()}}
            return kept, rows
        except NotReal:
            continue
    raise NotReal("no values of the parameters were found at which the coefficients are real")


def _real_rows(m: sp.Matrix, now: Mapping[sp.Symbol, sp.Expr]) -> list[list[Any]]:
    import mpmath

    numbers = [mpmath.mpmathify(real(e.xreplace(dict(now)))) for e in m]
    return [numbers[i * m.cols : (i + 1) * m.cols] for i in range(m.rows)]


def _times(one: list[list[Any]], other: list[list[Any]]) -> list[list[Any]]:
    columns = list(zip(*other, strict=True))
    return [[sum(x * y for x, y in zip(r, c, strict=True)) for c in columns] for r in one]


def _columns(rows: list[list[Any]], order: list[int]) -> list[list[Any]]:
    """The columns of a matrix, in that order, as rows."""
    return [[row[i] for row in rows] for i in order]


def _pivots(rows: list[list[Any]]) -> list[int]:
    """The first rows that span all of them, by elimination in many digits."""
    import mpmath

    tiny = mpmath.mpf(10) ** (-DIGITS // 2)
    basis: list[tuple[int, list[Any]]] = []
    chosen: list[int] = []
    for number, row in enumerate(rows):
        size = max((abs(e) for e in row), default=0)
        rest = list(row)
        for at, done in basis:
            factor = rest[at] / done[at]
            rest = [x - factor * y for x, y in zip(rest, done, strict=True)]
        at = max(range(len(rest)), key=lambda i: abs(rest[i]), default=0)
        if rest and abs(rest[at]) > tiny * size:
            basis.append((at, rest))
            chosen.append(number)
    return chosen


def _starts_inside(left: TimeVarying, right: TimeVarying, kernel: sp.Matrix) -> bool:
    """Whether the joint initial state is in the kernel: at the first scalars, else after the first step.

    Where the kernel is singular at the start, the first points are compared and the first step is carried out.
    """
    assert left.start is not None and right.start is not None
    now = dict(left.begin)
    state = sp.Matrix.vstack(left.start, right.start).xreplace(now)
    free = [
        next(
            i
            for i in range(kernel.rows)
            if all(kernel[i, c] == (c == j) for c in range(kernel.cols))
        )
        for j in range(kernel.cols)
    ]
    varying = set(left.start.free_symbols | right.start.free_symbols) & set(left.ahead)
    generic = state - kernel * state.extract(free, list(range(state.cols)))
    if not varying and _zero(generic):
        return True
    for late in range(3):
        at = _value(kernel, now)
        if at is not None:
            return _zero(state - at * state.extract(free, list(range(state.cols))))
        points = _value(sp.Matrix.hstack(left.C, -right.C), now)
        moved = _value(sp.diag(left.A, right.A), now)
        if late == 2 or points is None or moved is None or not _zero(points * state):
            return False
        state = (moved * state).applyfunc(canonical)
        now = {s: canonical(e.xreplace(now)) for s, e in left.ahead.items()}
    return False


def _value(m: sp.Matrix, now: Mapping[sp.Symbol, sp.Expr]) -> sp.Matrix | None:
    """The matrix at these scalars; None where it is singular."""
    try:
        inserted = m.xreplace(dict(now))
        return None if inserted.has(sp.zoo, sp.nan, sp.oo) else inserted.applyfunc(canonical)
    except ZeroDivisionError:
        return None


def _open(why: str) -> Equivalence:
    return Equivalence("undecided", f"the methods agree numerically over {_LONG} steps, but {why}.")


def _apart(left: TimeVarying, right: TimeVarying) -> TimeVarying:
    """``right`` with its scalars renamed where a name is taken, and in terms of the same counter."""
    clash = [s for s in right.ahead if s != K and s in left.ahead]
    names = {s: sp.Symbol(f"{s.name}_other", **s.assumptions0) for s in clash}
    moved = right.rewritten(names)
    for s, new in names.items():
        moved = replace(
            moved,
            ahead={**moved.ahead, new: right.ahead[s].xreplace(names)},
            begin={**moved.begin, new: right.begin[s]},
        )
    return moved


def _zero(m: sp.Matrix) -> bool:
    return all(is_zero(e) for e in m)


def _by_numbers(
    left: TimeVarying, right: TimeVarying, steps: int, number: int
) -> tuple[Equivalence | None, bool | None]:
    """A refutation by numbers at the same values for both, if there is one; and whether outputs agree there."""
    import mpmath

    same_output = None
    for values in samples(left.symbols | right.symbols, number):
        with mpmath.workdps(_PER_STEP * (steps + 2)):  # rounding grows with the states
            try:
                one, other = (
                    MatrixSequence(left, values, steps),
                    MatrixSequence(right, values, steps),
                )
            except NotReal:
                continue
            found = _difference(one.history("C"), other.history("C"))
            if found is not None and not _confirmed(left, right, values, steps, found):
                continue
            if found is not None:
                return _refutation(found, left, right, values), False
            if left.output is not None and right.output is not None and same_output is not False:
                apart = _difference(one.history("output"), other.history("output"))
                same_output = apart is None
    return None, same_output


def _confirmed(
    left: TimeVarying,
    right: TimeVarying,
    values: Values,
    steps: int,
    found: tuple[int, int, int, Any, Any],
) -> bool:
    """Whether a difference is the same in many more digits: what states of very different sizes leave is not."""
    import mpmath

    k, i, j, mine, theirs = found
    with mpmath.workdps(4 * mpmath.mp.dps):
        try:
            one, other = (
                MatrixSequence(s, values, steps).history("C")[k][i, j] for s in (left, right)
            )
        except NotReal:
            return False
        before = mine - theirs
        return bool(abs(one - other - before) <= abs(before) * mpmath.mpf(10) ** -30)


def _difference(one: list[Any], other: list[Any]) -> tuple[int, int, int, Any, Any] | None:
    """Step, point, column and the two numbers where two histories differ first."""
    import mpmath

    tiny = mpmath.mpf(10) ** (-DIGITS * 2 // 3)
    for k, (a, b) in enumerate(zip(one, other, strict=True)):
        for i in range(a.rows):
            for j in range(a.cols):
                if abs(a[i, j] - b[i, j]) > tiny * (1 + abs(a[i, j])):
                    return k, i, j, a[i, j], b[i, j]
    return None


def _refutation(
    found: tuple[int, int, int, Any, Any], left: TimeVarying, right: TimeVarying, values: Any
) -> Equivalence:
    k, i, j, mine, theirs = found
    step, call = divmod(j - 1, len(left.inputs))
    points, answers = [], []
    for s in (left, right):
        p, q = s.made[i][0]
        points.append((k * s.every + p, q))
        answers.append(tuple((step * s.every + p, q) for p, q in s.made[call]) if j else ())
    results = sp.Float(mine, DIGITS // 2), sp.Float(theirs, DIGITS // 2)
    witness = Witness(
        values, int(j == 0), (answers[0], answers[1]), (points[0], points[1]), results
    )
    what = f"gradient {step + 1}" if j else "x0"
    return Equivalence(
        "refuted",
        f"the weight of {what} in the point of step {k} differs: {witness}.",
        witness=witness,
    )
