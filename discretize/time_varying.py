"""Equality of linear methods whose coefficients change from step to step.

Two methods x+ = A_k x + B_k u, y = C_k x + D_k u call the oracle at the same points, whatever the function,
if a change of coordinates x'_k = T_k x_k carries one to the other:

    T_{k+1} A_k = A'_k T_k,   T_{k+1} B_k = B'_k,   C_k = C'_k T_k,   D_k = D'_k,   T_0 x_0 = x'_0.

The coefficients are functions of the step number and of scalar blocks with a recurrence. The identities are
proved for a generic value of these, the recurrence written in for the next step; the weights of past
gradients in later points are continuous in them, so that they agree along the actual sequence too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sympy as sp

from odescent.dynamics.exact import canonical, is_zero, sample

from .equivalence import Equivalence
from .matrices import inverse
from .program import Program
from .state_space import NotLTI
from .time_varying_form import DIGITS, STEPS, K, Numbers, TimeVarying, time_varying
from .time_varying_scalars import closed_form, joined, positive


def compare_time_varying(one: Program, other: Program) -> Equivalence | None:
    """Compare two tuned programs with changing coefficients; None if they are not linear or not comparable."""
    import mpmath

    try:
        left, right = time_varying(one), time_varying(other)
    except NotLTI:
        return None
    with mpmath.workdps(DIGITS):
        try:
            return _compare(left, right)
        except ArithmeticError:
            pass  # roots of squares whose sign is not known
        try:
            return _compare(positive(left), positive(right))
        except ArithmeticError as error:
            return _open(str(error).rstrip("."))


def _compare(left: TimeVarying, right: TimeVarying) -> Equivalence | None:
    if left.inputs != right.inputs or not left.inputs or left.start is None or right.start is None:
        return None
    right = _apart(left, right)
    numbers = Numbers(left), Numbers(right)
    refuted = _numerically_different(*numbers)
    if refuted is not None:
        return refuted
    same_output = None
    if left.output is not None and right.output is not None and not _outputs_agree(*numbers):
        same_output = False
    left, right = closed_form(left), closed_form(right)
    shared = joined(left, right)
    if shared is None:
        return _open("the scalar coefficients of the two are not known to be related")
    left, right = shared
    t = _coordinates(left, right)
    if t is None:
        return _open("no change of coordinates was found")
    if not _starts_agree(left, right, t):
        return _open("the change of coordinates does not carry one start to the other")
    if same_output is None and left.output is not None and right.output is not None:
        same_output = _zero(left.output - right.output * t) or None
    return Equivalence(
        "proved",
        "a change of coordinates T_k that varies with the step carries one method to the other: "
        "T_{k+1} A_k = A'_k T_k, T_{k+1} B_k = B'_k, C_k = C'_k T_k and T_0 x_0 = x'_0 hold identically.",
        same_output,
        t,
    )


def _open(why: str) -> Equivalence:
    return Equivalence("undecided", f"the methods agree numerically over {STEPS} steps, but {why}.")


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


def _difference(one: list[Any], other: list[Any]) -> tuple[int, int, Any, Any] | None:
    for k, (a, b) in enumerate(zip(one, other, strict=True)):
        for i in range(a.rows):
            for j in range(a.cols):
                if abs(a[i, j] - b[i, j]) > 1e-25 * (1 + abs(a[i, j])):
                    return k, j, a[i, j], b[i, j]
    return None


def _numerically_different(one: Numbers, other: Numbers) -> Equivalence | None:
    direct = [[at["D"] for at in n.at] for n in (one, other)]
    for a, b in ((one.history("C"), other.history("C")), tuple(direct)):
        found = _difference(a, b)
        if found is not None:
            k, source, mine, theirs = found
            what = "x0" if source == 0 else f"gradient {source}"
            numbers = tuple(sp.Float(v, 15) for v in (mine, theirs))
            return Equivalence(
                "refuted",
                f"the weight of {what} in the point of step {k} differs: {float(mine):.6g} against "
                f"{float(theirs):.6g} at the values in .witness.",
                witness={
                    "parameters": {**one.values, **other.values},
                    "step": k,
                    "weights": numbers,
                },
            )
    return None


def _outputs_agree(one: Numbers, other: Numbers) -> bool:
    return _difference(one.history("output"), other.history("output")) is None


def _coordinates(left: TimeVarying, right: TimeVarying) -> sp.Matrix | None:
    """T_k from the observability of both, if it meets every identity; else None."""
    n = left.A.rows
    if right.A.rows != n or not _zero(left.D - right.D):
        return None
    mine, theirs = _observability(left), _observability(right)
    values = sample(theirs.free_symbols)
    rows: list[int] = []
    for i in range(theirs.rows):
        trial = theirs.extract([*rows, i], list(range(n))).xreplace(values)
        if trial.rank(iszerofunc=is_zero) == len(rows) + 1:
            rows.append(i)
    solved = inverse(theirs.extract(rows, list(range(n)))) if len(rows) == n else None
    if solved is None:
        return None
    t = (solved * mine.extract(rows, list(range(n)))).applyfunc(canonical)
    later = left.shifted(t)
    identities = (later * left.A - right.A * t, later * left.B - right.B, left.C - right.C * t)
    return t if all(_zero(m) for m in identities) else None


def _observability(s: TimeVarying) -> sp.Matrix:
    rows, block = [s.C], s.C
    for _ in range(s.A.rows - 1):
        block = (s.shifted(block) * s.A).applyfunc(canonical)
        rows.append(block)
    return sp.Matrix.vstack(*rows)


def _starts_agree(left: TimeVarying, right: TimeVarying, t: sp.Matrix) -> bool:
    """T x_0 = x'_0: for generic scalars, else at the first ones, else after the first step.

    Where T is singular at the start, the first points were compared as numbers only if they are constants,
    so both first steps are carried out symbolically.
    """
    assert left.start is not None and right.start is not None
    varying = (left.start.free_symbols | right.start.free_symbols) & set(left.ahead)
    if not varying and _zero(t * left.start - right.start):
        return True
    now = dict(left.begin)
    for late in range(2):
        try:
            at, mine, theirs = t.xreplace(now).applyfunc(canonical), left.start, right.start
            if not late:
                return _zero(at * mine - theirs)
            first = dict(left.begin)
            if not _zero((left.C * mine - right.C * theirs).xreplace(first).applyfunc(canonical)):
                return False
            return _zero(at * (left.A.xreplace(first) * mine) - right.A.xreplace(first) * theirs)
        except ZeroDivisionError:
            now = {s: canonical(e.xreplace(left.begin)) for s, e in left.ahead.items()}
    return False
