"""Are two algorithms the same? Proved, refuted with a witness, or undecided.

Two linear methods call the oracle at the same points, whatever the function, exactly if their
transfer functions from oracle results to points agree and they start at corresponding states.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, replace

import sympy as sp

from odescent.dynamics.calculus import coefficient, tidy
from odescent.dynamics.exact import canonical, evaluate_at_sample, is_zero, sample
from odescent.dynamics.fields import Block, start
from odescent.dynamics.vectors import Vector

from .matrices import inverse
from .program import Program
from .state_space import NotLTI, StateSpace, state_space

AGREE = "the transfer functions agree"


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
        return _compare(one, other)
    except ArithmeticError as error:  # a zero test that exact arithmetic cannot settle
        return Equivalence("undecided", str(error))


def _compare(one: Program, other: Program) -> Equivalence:
    try:
        left, right = state_space(one), state_space(other)
    except NotLTI as error:
        from .time_varying import compare_time_varying

        literally = _compare_literally(one, other, str(error))
        varying = None if literally else compare_time_varying(one, other)
        return literally if varying is None else varying
    if Counter(left.inputs) != Counter(right.inputs):
        return _different_inputs(left, right)
    matched = _matched(left, right)
    if matched is None:
        return _refutation(left, right)
    right = matched
    if left.start is None or right.start is None:
        return Equivalence(
            "undecided", f"{AGREE}, but an initial state is not linear in x0 and oracle calls."
        )
    early = (
        left.start_calls != right.start_calls
    )  # one calls before its first step what the other calls in it
    if early and not (_comparable(left, right) and len(left.inputs) == 1 and not any(left.D)):
        return Equivalence(
            "undecided", f"{AGREE}, but other oracles are called before the first step."
        )
    steps = left.A.rows + right.A.rows + 1
    same_output = _same_output(left, right, steps, early)
    if not left.inputs:
        verdict = {True: "proved", False: "refuted", None: "undecided"}[same_output]
        return Equivalence(
            verdict, "the methods call no oracle; their outputs decide.", same_output
        )
    differs = _first_difference(_points(left, steps, early), _points(right, steps, early))
    if differs is not None and left.start_calls and right.start_calls:
        return Equivalence(
            "undecided", f"{AGREE}, but not what is called before the first step and after."
        )
    if differs is not None:
        step, points = differs
        return Equivalence(
            "refuted",
            f"{AGREE}, but the methods start differently: the points differ at step {step} whatever comes after.",
            witness={"step": step, "points": points},
        )
    return Equivalence(
        "proved",
        "the transfer functions from the oracle to its points are equal, and so are the initial states.",
        same_output,
        None if early else coordinates(left, right),
    )


def _comparable(left: StateSpace, right: StateSpace) -> bool:
    """Whether one makes a single call of the common oracle before its first step, and the other none."""
    calls = [*left.start_calls, *right.start_calls]
    return len(calls) == 1 and all(c.oracle == left.inputs[0] for c in calls)


def _points(s: StateSpace, steps: int, early: bool) -> list[sp.Matrix]:
    """The points as the initial state makes them (see `StateSpace.start` for the columns).

    With ``early`` the sequences begin at the first call of all, and the columns multiply x0 and its result.
    """
    if not early:
        return _moved(s, s.C, s.start, steps)
    if s.start_calls:
        (first,) = s.start_calls
        return [sp.Matrix([[coefficient(first.point, start), 0]]), *_moved(s, s.C, s.start, steps)]
    answered = [s.D, *_moved(s, s.C, s.B, steps)]
    return [
        sp.Matrix.hstack(a, b)
        for a, b in zip(_moved(s, s.C, s.start, steps + 1), answered, strict=True)
    ]


def _same_output(left: StateSpace, right: StateSpace, steps: int, early: bool) -> bool | None:
    if left.output is None or right.output is None:
        return None
    started, answered = [], []
    for s in (left, right):
        response = _moved(s, s.output, s.B, steps + 1)  # to the result of one call
        if early and not s.start_calls:  # the other has heard the same results one step before
            response = [sp.zeros(1, 1), *response[:-1]]
        free = _moved(s, s.output, s.start, steps + 1)
        both = zip(free, response, strict=True)
        started.append(
            [sp.Matrix.hstack(a, b) for a, b in both] if early and not s.start_calls else free
        )
        answered.append(response)
    return _first_difference(*answered) is None and _first_difference(*started) is None


def _matched(left: StateSpace, right: StateSpace) -> StateSpace | None:
    """``right`` with its calls in the order in which the transfer functions agree; None if there is none."""
    n = len(left.inputs)
    mine, theirs = left.transfer(), right.transfer()
    for order in itertools.islice(itertools.permutations(range(n)), 24):
        if [right.inputs[i] for i in order] != list(left.inputs):
            continue
        if all(is_zero(e) for e in mine - theirs.extract(list(order), list(order))):
            rows = list(range(right.A.rows))
            return replace(
                right,
                B=right.B.extract(rows, list(order)),
                C=right.C.extract(list(order), rows),
                D=right.D.extract(list(order), list(order)),
                inputs=left.inputs,
            )
    return None


def _first_difference(
    left: list[sp.Matrix], right: list[sp.Matrix]
) -> tuple[int, tuple[sp.Matrix, sp.Matrix]] | None:
    for k, (a, b) in enumerate(zip(left, right, strict=True)):
        if not all(is_zero(e) for e in a - b):
            return k, (a, b)
    return None


def _moved(system: StateSpace, reader: sp.Matrix, state: sp.Matrix, steps: int) -> list[sp.Matrix]:
    """What ``reader`` reads off the state, without gradients, over the steps."""
    rows = []
    for _ in range(steps):
        rows.append((reader * state).applyfunc(canonical))
        state = (system.A * state).applyfunc(canonical)
    return rows


def coordinates(left: StateSpace, right: StateSpace) -> sp.Matrix | None:
    """T with T A = A' T, T B = B', C = C' T, if both are observable and of the same order; else None."""
    n = left.A.rows
    if right.A.rows != n:
        return None
    mine, theirs = _observability(left), _observability(right)
    rows = _independent_rows(theirs, n)
    if rows is None:
        return None
    solved = inverse(theirs.extract(rows, list(range(n))))
    if solved is None:
        return None
    t = (solved * mine.extract(rows, list(range(n)))).applyfunc(canonical)
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
    raise AssertionError(
        "transfer functions differ but impulse responses agree"
    )  # pragma: no cover


def _different_inputs(left: StateSpace, right: StateSpace) -> Equivalence:
    mine, theirs = (sorted(o.name for o in s.inputs) for s in (left, right))
    if Counter(o.kind for o in left.inputs) == Counter(o.kind for o in right.inputs):
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
    return Equivalence(
        "undecided", f"{why} The update maps are not the same expressions in the same blocks."
    )
