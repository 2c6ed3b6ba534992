"""Are two algorithms the same? Proved, refuted with a witness, or undecided.

Two linear methods call the oracle at the same points, whatever the function, exactly if their
transfer functions from oracle results to points agree and they start at corresponding states.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from odescent.dynamics.calculus import tidy
from odescent.dynamics.exact import canonical, evaluate_at_sample, is_zero, sample
from odescent.dynamics.fields import Block
from odescent.dynamics.vectors import Vector

from .program import Program
from .state_space import NotLTI, StateSpace, state_space


@dataclass(frozen=True)
class Equivalence:
    """The verdict on two algorithms.

    Attributes:
        verdict: "proved", "refuted" or "undecided", for the sequence of oracle points from every x0.
        same_output: whether the outputs are the same sequence too (None: not decided).
        change_of_coordinates: T with state_of_other = T state, on the part that matters; else None.
        witness: for a refutation, parameter values and the first step at which the points differ.
        reason: one sentence.
    """

    verdict: str
    reason: str
    same_output: bool | None = None
    change_of_coordinates: sp.Matrix | None = None
    witness: dict[str, object] | None = None

    def __bool__(self) -> bool:
        return self.verdict == "proved"


def compare(one: Program, other: Program) -> Equivalence:
    """Compare two tuned programs."""
    try:
        left, right = state_space(one), state_space(other)
    except NotLTI as error:
        return _compare_literally(one, other, str(error))
    if left.inputs != right.inputs:
        return _different_inputs(left, right)
    difference = (left.transfer() - right.transfer()).applyfunc(canonical)
    if any(not is_zero(e) for e in difference):
        return _refutation(left, right)
    if left.start is None or right.start is None:
        return Equivalence("undecided", "the transfer functions agree, but an initial state needs an oracle call.")
    # zero-input response: the points C A^k s0 must agree for k below the sum of the orders
    for k, (a, b) in enumerate(zip(_free(left, left.C), _free(right, right.C), strict=False)):
        if k > left.A.rows + right.A.rows:
            break
        if any(not is_zero(e) for e in (a - b)):
            return Equivalence(
                "refuted",
                f"the transfer functions agree, but the methods start differently: without gradients the points "
                f"differ at step {k}.",
                witness={"step": k, "points": (a, b)},
            )
    return Equivalence(
        "proved",
        "the transfer functions from the oracle to its points are equal, and so are the initial states.",
        same_output=_same_output(left, right),
        change_of_coordinates=coordinates(left, right),
    )


def _free(system: StateSpace, reader: sp.Matrix) -> list[sp.Matrix]:
    assert system.start is not None
    state, rows = system.start, []
    for _ in range(2 * system.A.rows + 6):
        rows.append((reader * state).applyfunc(canonical))
        state = (system.A * state).applyfunc(canonical)
    return rows


def _same_output(left: StateSpace, right: StateSpace) -> bool | None:
    if left.output is None or right.output is None:
        return None
    for one, other in ((left, right),):
        steps = one.A.rows + other.A.rows + 1
        a, b = one.B, other.B
        for _ in range(steps):
            assert one.output is not None and other.output is not None
            if any(not is_zero(e) for e in (one.output * a - other.output * b)):
                return False
            a, b = (one.A * a).applyfunc(canonical), (other.A * b).applyfunc(canonical)
        pairs = zip(_free(one, one.output), _free(other, other.output), strict=False)  # type: ignore[arg-type]
        return all(is_zero(e) for p, q in list(pairs)[: steps + 1] for e in (p - q))
    return None


def coordinates(left: StateSpace, right: StateSpace) -> sp.Matrix | None:
    """T with T A = A' T, T B = B', C = C' T, if both are observable and of the same order; else None."""
    n = left.A.rows
    if right.A.rows != n:
        return None
    mine, theirs = _observability(left), _observability(right)
    rows = _independent_rows(theirs, n)
    if rows is None:
        return None
    inverse = theirs.extract(rows, list(range(n))).inv().applyfunc(canonical)
    t = (inverse * mine.extract(rows, list(range(n)))).applyfunc(canonical)
    checks = [t * left.A - right.A * t, t * left.B - right.B, left.C - right.C * t]
    return t if all(is_zero(e) for m in checks for e in m) else None


def _observability(s: StateSpace) -> sp.Matrix:
    rows, block = [], s.C
    for _ in range(s.A.rows):
        rows.append(block)
        block = (block * s.A).applyfunc(canonical)
    return sp.Matrix.vstack(*rows)


def _independent_rows(m: sp.Matrix, n: int) -> list[int] | None:
    chosen: list[int] = []
    for i in range(m.rows):
        trial = m.extract([*chosen, i], list(range(m.cols)))
        values = trial.applyfunc(lambda e: e.xreplace(sample(m.free_symbols)))
        if values.rank(iszerofunc=is_zero) == len(chosen) + 1:
            chosen.append(i)
        if len(chosen) == n:
            return chosen
    return None


def _refutation(left: StateSpace, right: StateSpace) -> Equivalence:
    steps = left.A.rows + right.A.rows + 1
    for k, (a, b) in enumerate(zip(left.markov(steps), right.markov(steps), strict=True)):
        for i, e in enumerate(a - b):
            if not is_zero(e):
                values = sample(set(a.free_symbols) | set(b.free_symbols))
                numbers = tuple(sp.N(evaluate_at_sample(m[i]), 15) for m in (a, b))
                return Equivalence(
                    "refuted",
                    f"the weight of a gradient in the point {k} step(s) later differs: "
                    f"{numbers[0]} against {numbers[1]} at the witness.",
                    witness={"parameters": values, "step": k, "weights": (a[i], b[i])},
                )
    raise AssertionError("transfer functions differ but impulse responses agree")  # pragma: no cover


def _different_inputs(left: StateSpace, right: StateSpace) -> Equivalence:
    mine, theirs = ([o.name for o in s.inputs] for s in (left, right))
    kinds_agree = [o.kind for o in left.inputs] == [o.kind for o in right.inputs]
    if kinds_agree:
        return Equivalence("refuted", f"the oracles have different names: {mine} against {theirs}.")
    return Equivalence(
        "undecided",
        f"one makes the calls {mine} in a step and the other {theirs}; they may still agree over several steps.",
    )


def _compare_literally(one: Program, other: Program, why: str) -> Equivalence:
    """Maps outside the linear theory: equal if they are the same expressions in the same blocks."""

    def signature(b: Block) -> tuple[str, object]:
        return (b.name, tidy(b.init) if isinstance(b.init, Vector) else b.init)

    same_state = [signature(b) for b in one.blocks] == [signature(b) for b in other.blocks]
    if same_state and not one.draws and not other.draws:
        mine, theirs = one.update_map(), other.update_map()
        if all(tidy(mine[s]) == tidy(theirs[s]) for s in mine):
            return Equivalence(
                "proved",
                "the update maps are the same expressions in the same blocks.",
                same_output=tidy(one.outputs["x"]) == tidy(other.outputs["x"]),
            )
    return Equivalence("undecided", f"{why} The update maps are not the same expressions in the same blocks.")
