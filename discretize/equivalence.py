"""Are two algorithms the same? Proved, refuted with a witness, or undecided.

Two linear methods call the oracle at the same points, whatever the function, exactly if their
transfer functions from oracle results to points agree and they start at corresponding states.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp

from odescent.dynamics.calculus import coefficient, tidy
from odescent.dynamics.exact import canonical, evaluate_at_sample, is_zero, sample
from odescent.dynamics.fields import Block, start
from odescent.dynamics.vectors import Vector

from .matrices import System, inverse, same_transfer
from .program import Program, SweepCoordinates
from .state_space import NotLTI, StateSpace, state_space

AGREE = "the transfer functions agree"
EQUAL = (
    "the transfer functions from the oracle to its points are equal, and so are the initial states."
)
_DIGITS = 60


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

    def __str__(self) -> str:
        return f"{self.verdict}: {self.reason}"


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
    right, t = matched
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
    if not early and left.inputs and _same_everywhere(left, right, t):
        outputs = left.output is not None and right.output is not None
        return Equivalence("proved", EQUAL, True if outputs else None, t)
    steps = left.A.rows + right.A.rows + 1
    if not left.inputs:
        same_output = _same_output(left, right, steps, early)
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
    same_output = _same_output(left, right, steps, early)
    return Equivalence("proved", EQUAL, same_output, None if early else t)


def _zero(m: sp.Matrix) -> bool:
    return all(is_zero(e) for e in m)


def _same_everywhere(left: StateSpace, right: StateSpace, t: sp.Matrix | None) -> bool:
    """Whether points and outputs agree, as answers to the oracles and to the start: by coordinates or z-transforms."""
    if (left.output is None) != (right.output is None):
        return False
    if t is not None:
        if not _zero(t * left.start - right.start):
            return False  # both are observable
        if left.output is None or _zero(left.output - right.output * t):
            return True

    def wide(s: StateSpace) -> System:
        assert s.start is not None
        n, cols = len(s.inputs), s.start.cols
        reads = s.C if s.output is None else sp.Matrix.vstack(s.C, s.output)
        direct = sp.zeros(reads.rows, n + cols)
        direct[:n, :n] = s.D
        return s.A, sp.Matrix.hstack(s.B, s.start), reads, direct

    return all(e is True for row in same_transfer(wide(left), wide(right)) for e in row)


def _comparable(left: StateSpace, right: StateSpace) -> bool:
    """Whether one makes a single call of the common oracle before its first step, and the other none."""
    calls = [*left.start_calls, *right.start_calls]
    return len(calls) == 1 and all(c.oracle == left.inputs[0] for c in calls)


def _points(s: StateSpace, steps: int, early: bool) -> Iterator[sp.Matrix]:
    """The points as the initial state makes them (see `StateSpace.start` for the columns).

    With ``early`` the sequences begin at the first call of all, and the columns multiply x0 and its result.
    """
    if not early:
        return _moved(s, s.C, s.start, steps)
    if s.start_calls:
        (first,) = s.start_calls
        before = sp.Matrix([[coefficient(first.point, start), 0]])
        return itertools.chain([before], _moved(s, s.C, s.start, steps))
    answered = itertools.chain([s.D], _moved(s, s.C, s.B, steps))
    both = zip(_moved(s, s.C, s.start, steps + 1), answered, strict=True)
    return (sp.Matrix.hstack(a, b) for a, b in both)


def _same_output(left: StateSpace, right: StateSpace, steps: int, early: bool) -> bool | None:
    if left.output is None or right.output is None:
        return None

    def response(s: StateSpace) -> Iterator[sp.Matrix]:
        """What the output makes of the result of one call; the other method may have heard it a step before."""
        answered = _moved(s, s.output, s.B, steps + 1)
        late = early and not s.start_calls
        shifted = itertools.chain([sp.zeros(1, 1)], answered) if late else answered
        return itertools.islice(shifted, steps + 1)

    def free(s: StateSpace) -> Iterator[sp.Matrix]:
        moved = _moved(s, s.output, s.start, steps + 1)
        if not early or s.start_calls:
            return moved
        return (sp.Matrix.hstack(a, b) for a, b in zip(moved, response(s), strict=True))

    return (
        _first_difference(response(left), response(right)) is None
        and _first_difference(free(left), free(right)) is None
    )


def _matched(left: StateSpace, right: StateSpace) -> tuple[StateSpace, sp.Matrix | None] | None:
    """``right`` with its calls in the order in which the transfer functions agree, and the coordinates if any.

    None if there is no such order.
    """
    steps = left.A.rows + right.A.rows
    mine, theirs = _sampled(left, steps), _sampled(right, steps)
    for order in itertools.islice(itertools.permutations(range(len(left.inputs))), 5040):
        if [right.inputs[i] for i in order] != list(left.inputs):
            continue
        if mine is not None and theirs is not None and _apart(mine, theirs, order):
            continue
        ordered = _ordered(right, list(order))
        t = coordinates(left, ordered)
        if t is not None or _same_transfer(left, ordered):
            return ordered, t
    return None


def _ordered(s: StateSpace, order: list[int]) -> StateSpace:
    return replace(
        s,
        B=s.B.extract(list(range(s.A.rows)), order),
        C=s.C.extract(order, list(range(s.A.rows))),
        D=s.D.extract(order, order),
        inputs=tuple(s.inputs[i] for i in order),
    )


def _same_transfer(left: StateSpace, right: StateSpace) -> bool:
    one, other = ((s.A, s.B, s.C, s.D) for s in (left, right))
    if not left.inputs:
        return True
    verdicts = [e for row in same_transfer(one, other) for e in row]
    if None in verdicts:  # the field alone does not tell: numbers decide, or nothing does
        return _zero(left.transfer() - right.transfer())
    return all(verdicts)


def _sampled(s: StateSpace, steps: int) -> list[Any] | None:
    """The impulse response at generic parameters, in many digits; None where that is no number."""
    import mpmath

    free = {e for m in (s.A, s.B, s.C, s.D) for e in m.free_symbols}
    values = sample(free)
    with mpmath.workdps(_DIGITS):
        try:
            a, b, c, d = (
                mpmath.matrix(m.rows, m.cols)
                if 0 in m.shape
                else mpmath.matrix(m.xreplace(values).evalf(_DIGITS).tolist())
                for m in (s.A, s.B, s.C, s.D)
            )
            response = [d]
            for _ in range(steps):
                response.append(c * b)
                b = a * b
        except (TypeError, ValueError):
            return None
    return response


def _apart(mine: list[Any], theirs: list[Any], order: tuple[int, ...]) -> bool:
    """Whether the responses differ in numbers, the second with its calls in that order."""
    for one, other in zip(mine, theirs, strict=True):
        for i, p in enumerate(order):
            for j, q in enumerate(order):
                if abs(one[i, j] - other[p, q]) > 1e-30 * (1 + abs(one[i, j])):
                    return True
    return False


def _first_difference(
    left: Iterator[sp.Matrix], right: Iterator[sp.Matrix]
) -> tuple[int, tuple[sp.Matrix, sp.Matrix]] | None:
    for k, (a, b) in enumerate(zip(left, right, strict=True)):
        if not _zero(a - b):
            return k, (a, b)
    return None


def _moved(
    system: StateSpace, reader: sp.Matrix, state: sp.Matrix, steps: int
) -> Iterator[sp.Matrix]:
    """What ``reader`` reads off the state, without gradients, step by step."""
    for k in range(steps):
        state = state if k == 0 else (system.A * state).applyfunc(canonical)
        yield (reader * state).applyfunc(canonical)


def coordinates(left: StateSpace, right: StateSpace) -> sp.Matrix | None:
    """T with T A = A' T, T B = B', C = C' T, D = D', if both are observable and of the same order; else None."""
    n = left.A.rows
    if right.A.rows != n or not _zero(left.D - right.D):
        return None
    mine, theirs = left.C, right.C  # rows C, C A, ..., only as far as they are needed
    block, other = left.C, right.C
    while (rows := _independent_rows(theirs, n)) is None:
        if len(left.inputs) == 0 or theirs.rows >= n * len(left.inputs):
            return None
        block, other = ((m * s.A).applyfunc(canonical) for m, s in ((block, left), (other, right)))
        mine, theirs = sp.Matrix.vstack(mine, block), sp.Matrix.vstack(theirs, other)
    solved = inverse(theirs.extract(rows, list(range(n))))
    if solved is None:
        return None
    t = (solved * mine.extract(rows, list(range(n)))).applyfunc(canonical)
    checks = [left.C - right.C * t, t * left.B - right.B, t * left.A - right.A * t]
    return t if all(_zero(m) for m in checks) else None


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
    responses = (
        itertools.chain([s.D.applyfunc(canonical)], _moved(s, s.C, s.B, steps))
        for s in (left, right)
    )
    for k, (a, b) in enumerate(zip(*responses, strict=True)):
        for i, e in enumerate(a - b):
            if not is_zero(e):
                values = sample(set(a.free_symbols) | set(b.free_symbols))
                numbers = tuple(float(evaluate_at_sample(m[i])) for m in (a, b))
                where = ", ".join(f"{s} = {v}" for s, v in sorted(values.items(), key=str))
                return Equivalence(
                    "refuted",
                    f"the weight of a gradient in the point {k} step{'s' * (k != 1)} later differs: "
                    f"{numbers[0]:.6g} against {numbers[1]:.6g}{f' at {where}' if where else ''}.",
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
    same_steps = one.instructions == other.instructions and dict(one.next) == dict(other.next)
    if same_state and same_steps and not one.draws:
        return Equivalence(
            "proved",
            "the update maps are the same expressions in the same blocks.",
            same_output=one.outputs["x"] == other.outputs["x"],
        )
    if any(isinstance(i, SweepCoordinates) for p in (one, other) for i in p.instructions):
        return Equivalence("undecided", why)
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
