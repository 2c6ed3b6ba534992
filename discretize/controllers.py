"""Controllers: substeps that feed a scalar back, by guards. Searches, radii, errors and budgets are lists of these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import sympy as sp

from .._support.arguments import checked
from .._support.errors import OdescentError, check_choice, expected
from .._support.numbers import check_whole
from ..dynamics.algebra.calculus import Symbol
from ..dynamics.algebra.products import elementwise
from ..dynamics.algebra.scalars import as_scalar
from ..dynamics.algebra.vectors import Expr, Vector, inner
from ..dynamics.vector_fields.block import Block
from .programs.control import Repeat, Select
from .programs.guards import guard_of
from .programs.stages import at
from .programs.substeps import Let, Step

Number: TypeAlias = sp.Expr | float

_HALVINGS = 100  # the change is below the rounding of every floating type before
_TWICE, _HALF = sp.Integer(2), sp.Rational(1, 2)
_FAIR, _GOOD = sp.Rational(1, 4), sp.Rational(3, 4)
_SAFETY, _FIFTH, _FIVE = sp.Rational(9, 10), sp.Rational(1, 5), sp.Integer(5)


@checked
def backtracking(
    trial: Sequence[Step],
    enough: sp.Basic,
    scale: sp.Symbol,
    back: Sequence[Symbol],
    grow: Number = _TWICE,
    shrink: Number = _HALF,
    most: int = _HALVINGS,
) -> tuple[Step, ...]:
    """Armijo's search from one point: the first scale of grow s, shrink grow s, shrink^2 grow s, ... that is enough.

    Args:
        trial: the substeps from the point to the trial point.
        enough: the guard that ends the search, as f(x+) <= f(x) - c s |g|^2; `od.at(x)` is the point.
        scale: the scalar block s that the trial is scaled by.
        back: the blocks that each trial begins with anew.
        grow: what s is multiplied by before the first trial.
        shrink: and before each further one.
        most: trials at most; a run ends where the last of them is not enough.

    Returns:
        substeps of a scheme.
    """
    grow, shrink = as_scalar(grow), as_scalar(shrink)
    again = Let({scale: shrink * scale, **_restored(back)})
    return Let({scale: grow / shrink * scale}), Repeat([again, *trial], enough, most)


class Bracket(NamedTuple):
    """Scalar blocks of a search that brackets: the ends, 0 for none, the next scale, and whether one was found."""

    low: sp.Symbol
    high: sp.Symbol
    next: sp.Symbol
    found: sp.Symbol

    @staticmethod
    def blocks() -> tuple[Block, ...]:
        """The blocks, for a system."""
        begins = {"low": 0, "high": 0, "next": 1, "found": 0}
        return tuple(Block(n, "scalar", "coefficient", sp.Integer(v)) for n, v in begins.items())

    @classmethod
    def of(cls, blocks: Sequence[Block]) -> Bracket:
        """Their symbols."""
        return cls(*(b.symbol for b in blocks))


@checked
def wolfe(
    trial: Sequence[Step],
    decrease: sp.Basic,
    curvature: sp.Basic,
    scale: sp.Symbol,
    back: Sequence[Symbol],
    bracket: Bracket,
    most: int = _HALVINGS,
) -> tuple[Step, ...]:
    """A search by doubling and bisection for a scale that fulfils both of Wolfe's conditions.

    A scale without decrease bounds the search above, one with decrease and without curvature below (Lewis and Overton,
    doi:10.1007/s10107-012-0514-2). The curvature is asked for only where the decrease is enough. The first scale is the
    one before.

    Args:
        trial: the substeps from the point to the trial point.
        decrease: the guard f(x+) <= f(x) + c1 s <g, p>.
        curvature: the guard <g+, p> >= c2 <g, p>.
        scale: the scalar block s that the trial is scaled by.
        back: the blocks that each trial begins with anew.
        bracket: the blocks of the search, `Bracket.blocks`.
        most: trials at most; a run ends where none of them fulfils both.

    Returns:
        substeps of a scheme.
    """
    low, high, following, found = bracket
    between = Let({following: (scale + high) / 2})
    longer = Select(high > 0, [between], [Let({following: 2 * scale})])
    short = [Let({low: scale}), longer]
    long = [Let({high: scale, following: (low + scale) / 2})]
    judged = Select(decrease, [Select(curvature, [Let({found: 1, following: scale})], short)], long)
    begun = Let({low: 0, high: 0, following: scale, found: 0})
    again = Let({scale: following, **_restored(back)})
    return begun, Repeat([again, *trial, judged], found > 0, most)


@checked
def accepted(
    enough: sp.Basic,
    scale: sp.Symbol,
    back: Sequence[Symbol],
    grow: Number = _TWICE,
    shrink: Number = _HALF,
) -> tuple[Step, ...]:
    """Accept a step where a guard holds, and grow; else take it back, and shrink.

    Args:
        enough: the guard; `od.at(x)` is the start of the step.
        scale: the scalar block that grows or shrinks: a step, a radius, a batch.
        back: the blocks that are taken back.
        grow: what it is multiplied by after a step that is accepted.
        shrink: and after one that is rejected.

    Returns:
        substeps of a scheme.
    """
    grow, shrink = as_scalar(grow), as_scalar(shrink)
    taken_back = Let({**_restored(back), scale: shrink * scale})
    return (Select(enough, [Let({scale: grow * scale})], [taken_back]),)


@checked
def claimed(
    condition: sp.Basic, violated: sp.Symbol, unchecked: sp.Symbol | None = None
) -> tuple[Step, ...]:
    """A guard that changes nothing: what is claimed of each step, and how often it failed.

    A run says how often, and the derivation what would follow. Where the constants of a claim are known, as in
    f(x+) <= f(x) - (h - L h^2/2) |g|^2 with the true L, the count is zero.

    Args:
        condition: the claim; `od.at(x)` is the start of the step.
        violated: the scalar block that counts the steps in which the opposite holds.
        unchecked: that of the steps in which neither holds, since a side is not a number; these are violations else.

    Returns:
        substeps of a scheme.
    """
    failed = Let({violated: violated + 1})
    if unchecked is None:
        return (Select(condition, [], [failed]),)
    opposite = guard_of(condition, "a claim").negated()
    return (Select(condition, [], [Select(opposite, [failed], [Let({unchecked: unchecked + 1})])]),)


@checked
def trust_radius(
    gain: Number,
    predicted: Number,
    radius: sp.Symbol,
    back: Sequence[Symbol],
    thresholds: tuple[Number, Number] = (_FAIR, _GOOD),
    grow: Number = _TWICE,
    shrink: Number = _HALF,
) -> tuple[Step, ...]:
    """A radius with three outcomes: it grows after a good step, stays after a fair one, shrinks after one taken back.

    Args:
        gain: what the step gained, as f(at(x)) - f(x).
        predicted: what its model promised, at least 0.
        radius: the scalar block.
        back: the blocks that are taken back.
        thresholds: the shares of the promise from which a step is fair, and good.
        grow: what the radius is multiplied by after a good step.
        shrink: and after one that is taken back.

    Returns:
        substeps of a scheme.
    """
    gain, predicted = as_scalar(gain), as_scalar(predicted)
    fair, good = _pair("thresholds", thresholds)
    otherwise = accepted(gain >= fair * predicted, radius, back, 1, shrink)
    better = [Let({radius: as_scalar(grow) * radius})]
    return (Select(gain >= good * predicted, better, otherwise),)


@checked
def error_per_unit_step(
    error: Number,
    tolerance: Number,
    scale: sp.Symbol,
    back: Sequence[Symbol],
    order: int,
    step: Number = sp.S.One,
    safety: Number = _SAFETY,
    limits: tuple[Number, Number] = (_FIFTH, _FIVE),
    rejected: tuple[Number, Number] | None = None,
) -> tuple[Step, ...]:
    """The controller of integrators: accept where the error per unit of time is within the tolerance.

    The next scale is the one at which the error would be the share ``safety`` of it (Hairer, Norsett, Wanner, Solving
    ODEs I, II.4, with the error per unit step). `neural_de.PerUnitStep` has the same test for diffrax.

    Args:
        error: an estimate of the local error, at least 0, such as the distance of two schemes of different order.
        tolerance: of the error per unit of time.
        scale: the scalar block that the step is scaled by.
        back: the blocks that are taken back where it is not.
        order: p, where the error of a step of length s is of the order s^(p+1).
        step: the time that a step of scale 1 takes.
        safety: the share of the tolerance that is aimed at.
        limits: the least and the largest factor of the scale.
        rejected: the same after a step that is taken back; `limits` by default.

    Returns:
        substeps of a scheme.
    """
    allowed = as_scalar(tolerance) * scale * as_scalar(step)
    return _within(
        error, allowed, check_whole("order", order, 1), scale, back, safety, limits, rejected
    )


@checked
def error_per_step(
    error: Number,
    tolerance: Number,
    scale: sp.Symbol,
    back: Sequence[Symbol],
    order: int,
    safety: Number = _SAFETY,
    limits: tuple[Number, Number] = (_FIFTH, _FIVE),
    rejected: tuple[Number, Number] | None = None,
) -> tuple[Step, ...]:
    """The controller of most integrators: accept where the error of the step is within the tolerance.

    With ``safety=a**(order + 1), limits=(1, 10), rejected=(1/5, a)``, a = 9/10, it decides as `diffrax.PIDController`.

    Args:
        error: an estimate of the local error, at least 0.
        tolerance: of the error of a step.
        scale: the scalar block that the step is scaled by.
        back: the blocks that are taken back where the error is larger.
        order: p, where the error of a step of length s is of the order s^(p+1).
        safety: the share of the tolerance that is aimed at.
        limits: the least and the largest factor of the scale.
        rejected: the same after a step that is taken back; `limits` by default.

    Returns:
        substeps of a scheme.
    """
    power, allowed = check_whole("order", order, 1) + 1, as_scalar(tolerance)
    return _within(error, allowed, power, scale, back, safety, limits, rejected)


def _within(
    error: Number,
    allowed: sp.Expr,
    power: int,
    scale: sp.Symbol,
    back: Sequence[Symbol],
    safety: Number,
    limits: tuple[Number, Number],
    rejected: tuple[Number, Number] | None,
) -> tuple[Step, ...]:
    """Accept where the error is allowed; relative to what is allowed it grows by this power of the scale.

    The guards are multiplied out, so that an error of zero divides nothing.
    """
    error, aimed = as_scalar(error), as_scalar(safety) * allowed
    factor = (aimed / error) ** sp.Rational(1, power)
    times: Callable[[sp.Expr], list[Step]] = lambda by: [Let({scale: by * scale})]

    def changed(limits: tuple[sp.Expr, sp.Expr]) -> Step:
        least, largest = limits
        at_least = Select(aimed <= least**power * error, times(least), times(factor))
        return Select(aimed >= largest**power * error, times(largest), [at_least])

    usual = _pair("limits", limits)
    after = changed(usual if rejected is None else _pair("rejected", rejected))
    return (Select(error <= allowed, [changed(usual)], [after, Let(_restored(back))]),)


@checked
def dual(
    multiplier: sp.Symbol,
    spent: Number,
    budget: Number,
    gain: Number = _HALF,
    sensitivity: Number | None = None,
) -> tuple[Step, ...]:
    """A multiplier that holds a budget: it grows by (spent/budget)^gain where too much is spent, and falls else.

    Dual ascent on the logarithm of the multiplier, as of a penalty whose coefficient is not known beforehand.
    `neural_de.Budget` ascends by the bounded excess, with further terms for the lag of the weights.

    Args:
        multiplier: the positive scalar block.
        spent: what the step took, positive.
        budget: what it may take.
        gain: the share of the excess that is corrected in a step.
        sensitivity: the excess is this times spent/budget - 1, between -1 and 1, in place of log(spent/budget).

    Returns:
        substeps of a scheme.
    """
    ratio, gain = as_scalar(spent) / as_scalar(budget), as_scalar(gain)
    if sensitivity is None:
        return (Let({multiplier: multiplier * ratio**gain}),)
    excess = as_scalar(sensitivity) * (ratio - 1)
    if as_scalar(sensitivity).is_nonpositive:
        raise OdescentError(f"sensitivity must be a positive number, not {sensitivity}.")
    ascent: Callable[[sp.Expr], list[Step]] = lambda by: [
        Let({multiplier: multiplier * sp.exp(gain * by)})
    ]
    bounded = Select(excess <= -1, ascent(sp.S.NegativeOne), ascent(excess))
    return (Select(excess >= 1, ascent(sp.S.One), [bounded]),)


@checked
def batch_test(
    gradient: Vector,
    spread: Vector | Sequence[Vector],
    size: sp.Symbol,
    ratio: Number,
    test: str = "norm",
    most: Number | None = None,
) -> tuple[Step, ...]:
    """A batch that grows where its gradient is too uncertain: to the size at which the test would just hold.

    "norm" asks that the standard deviation of the gradient be at most the ratio of its length (Byrd, Chin, Nocedal and
    Wu, doi:10.1007/s10107-012-0572-5); "inner product" that of its component along itself, and "orthogonality" of the
    one across (Bollapragada, Byrd and Nocedal, doi:10.1137/17M1154679); "coordinates" that the deviation of each entry
    be at most the ratio of the entry (arXiv:2402.11215): where it is not, the batch doubles.

    Args:
        gradient: of the batch, such as f.batch(at(x), u, b).
        spread: the deviation of its entries, f.deviation(at(x), u, b); or the gradients of independent parts of the
            batch, of which it is the mean, as the tests of directions need them.
        size: the scalar block b.
        ratio: of the standard deviation and what it is compared with, positive.
        test: one of norm, inner product, orthogonality, coordinates.
        most: the largest size; none by default.

    Returns:
        substeps of a scheme.

    Raises:
        OdescentError: a test of another name, one of directions without parts, or a single part.
    """
    check_choice("test", test, tuple(_TESTS))
    parts = [] if isinstance(spread, Vector) else list(spread)
    if len(parts) < 2 and not (isinstance(spread, Vector) and test in _OF_DEVIATIONS):
        raise OdescentError(
            f"the {test} test needs the gradients of two parts of the batch or more"
            f"{', or the deviation of its gradient' if test in _OF_DEVIATIONS else ''}."
        )
    apart = [spread] if isinstance(spread, Vector) else [p - gradient for p in parts]
    pairs = len(parts) * (len(parts) - 1) or 1  # of the mean of so many, by their squares
    uncertain, allowed = _TESTS[test](gradient, apart, pairs, as_scalar(ratio) ** 2)
    larger = size * (uncertain / allowed if allowed != 0 else _TWICE)
    bounded = larger if most is None else sp.Min(as_scalar(most), larger)
    return (Select(uncertain <= allowed, [], [Let({size: bounded})]),)


@checked
def accurate(
    error: Number,
    gradient: Vector,
    accuracies: Sequence[sp.Symbol],
    then: Sequence[Step],
    share: Number = _HALF,
    shrink: Number = _HALF,
) -> tuple[Step, ...]:
    """Accuracies tied to the size of a gradient: a step is made where it is accurate enough, else they are tightened.

    With |z - g| <= (1 - eta) |z| the inexact gradient z has <z, g> >= eta |z|^2 with the true one (Salehi, Mukherjee,
    Roberts and Ehrhardt, arXiv:2308.10098; reconstructed).

    Args:
        error: a bound of |z - g|, in the accuracies.
        gradient: z.
        accuracies: the scalar blocks.
        then: the substeps that are made where the bound is at most the share of |z|.
        share: 1 - eta, below one.
        shrink: what the accuracies are multiplied by where it is not.

    Returns:
        substeps of a scheme.
    """
    finer = Let({a: as_scalar(shrink) * a for a in accuracies})
    allowed = as_scalar(share) ** 2 * inner(gradient, gradient)
    return (Select(as_scalar(error) ** 2 <= allowed, list(then), [finer]),)


@checked
def certain_decrease(
    values: tuple[Number, Number],
    errors: tuple[Number, Number],
    promised: Number,
    scale: sp.Symbol,
    accuracies: Sequence[sp.Symbol],
    back: Sequence[Symbol],
    factor: Number = _TWICE,
) -> tuple[Step, ...]:
    """Accept a step that decreases a function whatever the errors of its values; else blame the step, or the errors.

    After a step that is accepted the scale and the accuracies relax. After one that is taken back the accuracies are
    tightened where the errors exceed half of what is promised, so that they may hide it, and the scale shrinks where
    they do not.

    Args:
        values: of the function before and after the step, inexact; the former in a scalar block that keeps it.
        errors: bounds of their errors, in the accuracies.
        promised: how much the step has to gain at least, as c s |z|^2; at least 0.
        scale: the scalar block s.
        accuracies: the scalar blocks.
        back: the blocks that are taken back.
        factor: that of all changes, above one.

    Returns:
        substeps of a scheme.
    """
    factor, promised = as_scalar(factor), as_scalar(promised)
    (before, after), noise = map(as_scalar, values), sp.Add(*map(as_scalar, errors))
    relaxed = Let({scale: factor * scale, **{a: factor * a for a in accuracies}})
    finer, shorter = Let({a: a / factor for a in accuracies}), Let({scale: scale / factor})
    blamed = Select(2 * noise <= promised, [shorter], [finer])
    return (Select(after + noise <= before - promised, [relaxed], [blamed, Let(_restored(back))]),)


_Test: TypeAlias = tuple[sp.Expr, sp.Expr]  # what is to be at most what
_OF_DEVIATIONS = ("norm", "coordinates")


def _by_norm(g: Vector, apart: Sequence[Any], pairs: int, square: sp.Expr) -> _Test:
    return sp.Add(*(inner(r, r) for r in apart)) / pairs, square * inner(g, g)


def _along(g: Vector, apart: Sequence[Any], pairs: int, square: sp.Expr) -> _Test:
    return sp.Add(*(inner(r, g) ** 2 for r in apart)) / pairs, square * inner(g, g) ** 2


def _across(g: Vector, apart: Sequence[Any], pairs: int, square: sp.Expr) -> _Test:
    length = inner(g, g)
    left = (inner(r, r) * length - inner(r, g) ** 2 for r in apart)  # both sides times |g|^2
    return sp.Add(*left) / pairs, square * length**2


def _by_entry(g: Vector, apart: Sequence[Any], pairs: int, square: sp.Expr) -> _Test:
    def excess(e: sp.Expr, *own: sp.Expr) -> sp.Expr:
        return sp.sqrt(sp.Max(0, sp.Add(*(r**2 for r in own)) / pairs - square * e**2))

    over = elementwise(excess, g, *apart)
    return inner(over, over), sp.S.Zero


_TESTS = {
    "norm": _by_norm, "inner product": _along, "orthogonality": _across, "coordinates": _by_entry
}  # fmt: skip


def _pair(name: str, given: Sequence[Number]) -> tuple[sp.Expr, sp.Expr]:
    if len(given) != 2:
        raise expected(name, "a pair of numbers", given)
    return as_scalar(given[0]), as_scalar(given[1])


def _restored(back: Sequence[Symbol]) -> dict[Symbol, Expr]:
    """The blocks as they were when the step began."""
    return {b: at(b) for b in back}


__all__ = [
    "Bracket",
    "accepted",
    "accurate",
    "backtracking",
    "batch_test",
    "certain_decrease",
    "claimed",
    "dual",
    "error_per_step",
    "error_per_unit_step",
    "trust_radius",
    "wolfe",
]
