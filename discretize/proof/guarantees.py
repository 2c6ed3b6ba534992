"""What the guards of a scheme guarantee: a decrease in each step that they accept, and its sum."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp

from ...dynamics.algebra.calculus import substitute
from ...dynamics.algebra.exact import canonical, is_zero
from ...dynamics.algebra.vectors import ScalarNode, VectorSymbol
from ...dynamics.notation.show import latex
from ...dynamics.vector_fields.hypotheses import Hypothesis, nonnegative, positive
from ..programs.control import Repeat, Select
from ..programs.guards import Guard, Inequality
from ..programs.stages import START, Staged, VectorStage, at, staged_in
from ..programs.substeps import Let
from ..step.iteration import Iteration
from .steps import Claim, Equation, Step

_WAYS = 1000  # through an iteration that are looked at
ALWAYS, TAKEN_BACK, ELSE = "always", "taken back", "else"
_STEPS = {
    ALWAYS: "Every step that is made satisfies",
    TAKEN_BACK: "A step in which the guard fails is taken back; every other one satisfies",
    ELSE: "A step in which the guard holds satisfies",
}


@dataclass(frozen=True)
class Decrease:
    """A guard as a decrease: before - after >= amount, once a positive factor is divided out.

    Attributes:
        where: "always", for the guard of a loop, which goes on until it holds; "taken back", for that of a choice which
            else restores the blocks that the value reads; "else" where a step is made in which it fails.
        after: the value at the end of the step.
        before: that at its beginning.
        factor: of the difference of the two in the guard.
        amount: the rest of the guard by that factor, free of both.
        slack: the right side of the guard minus its left side.
        hypotheses: the factor is positive, and the amount not negative.
    """

    where: str
    after: sp.Expr
    before: sp.Expr
    factor: sp.Expr
    amount: sp.Expr
    slack: sp.Expr
    hypotheses: tuple[Hypothesis, ...]


def decreases(algorithm: Iteration) -> list[Decrease]:
    """The guards of an algorithm's scheme that state a decrease from the beginning of a step to its end.

    A guard counts if nothing behind it in the step moves a block that the value reads, and the value is that of one
    function: what changes from step to step, a scalar block or the number of the step, is not in its argument.
    """
    steps, fixed = algorithm.scheme.steps, {*algorithm.program.parameters}
    signs = _kept_positive(algorithm)
    moved = _moved(algorithm)
    found: list[Decrease] = []
    for n, step in enumerate(steps):
        for d in (*_deciding(step), *_marked(step, steps[:n], moved)):
            made = _decrease(d.guard, d.where, signs)
            if made is None:
                continue
            read = _vectors(made.after)
            if any(not n.symbols() - read <= fixed for n in made.after.atoms(ScalarNode)):
                continue
            if any(_moves(s, read) for s in (*d.behind, *steps[n + 1 :])):
                continue
            if d.where == TAKEN_BACK and not _restores(d.otherwise, read):
                made = replace(made, where=ELSE)
            found.append(made)
    return found


def guaranteed(algorithm: Iteration) -> Step | None:
    """The step of a derivation that says what follows from guards; None where none states a decrease."""
    found = decreases(algorithm)
    if not found:
        return None
    marks = ["D"] if len(found) == 1 else [f"D_{{{n}}}" for n in range(1, len(found) + 1)]
    named = {"decrease" if n == 1 else f"decrease {n}": d for n, d in enumerate(found, 1)}

    def check(c: Mapping[str, Any]) -> dict[str, Equation]:
        return {
            f"the guard says {name}": Equation(d.slack, d.factor * (d.before - d.after - c[name]))
            for name, d in named.items()
        }

    needed = [h.latex() for d in found for h in d.hypotheses if h.status != "proved"]
    claims = zip(named.items(), marks, strict=True)
    return Step(
        "Guarantee of the guards",
        f"{' '.join(map(_said, found, marks))} The index start is the beginning of the step.",
        tuple(Claim(name, d.amount, mark) for (name, d), mark in claims),
        check,
        kind="finding",
        assumes=", ".join(dict.fromkeys(needed)),
    )


def _said(d: Decrease, mark: str) -> str:
    after, before = latex(d.after), latex(d.before)
    if d.amount == 0:
        return f"{_STEPS[d.where]} ${after} \\le {before}$."
    said = f"{_STEPS[d.where]} ${after} \\le {before} - {mark}$ with ${mark} \\ge 0$."
    if d.where == ELSE:
        return said
    made = "the steps" if d.where == ALWAYS else "the steps that are kept"
    return (
        f"{said} So the values do not increase, and the sum of ${mark}$ over {made} is at most the first value minus "
        f"the infimum: where the function is bounded below, ${mark}$ tends to zero along them."
    )


@dataclass(frozen=True)
class _Decided:
    """A comparison that holds where a substep ends.

    Attributes:
        guard: the comparison.
        where: in which steps.
        behind: the substeps inside of this one that come after it.
        otherwise: those where it fails, of a choice.
    """

    guard: Inequality
    where: str
    behind: tuple[Any, ...] = ()
    otherwise: tuple[Any, ...] = ()


def _deciding(step: Any) -> Iterator[_Decided]:
    """The comparisons that a loop ends by, or a choice decides by."""
    if isinstance(step, Repeat) and step.until is not None:
        yield from (_Decided(g, ALWAYS) for g in _all_of(step.until))
    elif isinstance(step, Select):
        for g in _all_of(step.condition):
            yield _Decided(g, TAKEN_BACK, tuple(step.accept), tuple(step.reject))
        # the next of several outcomes, which is looked at where the first fails
        for inner in (s for s in step.reject if isinstance(s, Select)):
            yield from (replace(d, where=ELSE) for d in _deciding(inner))


def _marked(step: Any, before: Sequence[Any], moved: set[Any]) -> Iterator[_Decided]:
    """The comparisons under which a loop sets the mark that ends it, as Wolfe's search does.

    The mark is a scalar block that is given numbers alone, and the loop begins with one that does not end it. So the
    last iteration took a way that sets it; where there is one such way, its guards hold.
    """
    if not isinstance(step, Repeat) or not isinstance(step.until, Inequality):
        return
    symbols = [s for e in step.until.expressions for s in sp.sympify(e).free_symbols]
    if len(symbols) != 1 or symbols[0] in moved:
        return
    (mark,) = symbols
    given = [s.assign[mark] for s in before if isinstance(s, Let) and mark in s.assign]
    unsure = any(_gives(s, mark) for s in before if not isinstance(s, Let))
    ways = [*itertools.islice(_ways(step.steps, mark), _WAYS + 1)]
    if len(ways) > _WAYS:
        return
    numbers = [w.value for w in ways if w.value is not None]
    if not given or unsure or not all(_is_number(v) for v in (given[-1], *numbers)):
        return
    if _holds(step.until, mark, given[-1]):
        return
    ending = [w for w in ways if w.value is not None and _holds(step.until, mark, w.value)]
    if len(ending) == 1:
        yield from (_Decided(g, ALWAYS, behind) for g, behind in ending[0].guards)


@dataclass(frozen=True)
class _Way:
    """A way through substeps: what a block is given last, and the guards that hold, each with what comes after it."""

    value: Any = None
    guards: tuple[tuple[Inequality, tuple[Any, ...]], ...] = ()


def _ways(steps: Sequence[Any], mark: Any) -> Iterator[_Way]:
    """The ways through a list of substeps, by the choices that give the block a value."""
    if not steps:
        yield _Way()
        return
    first, *rest = steps
    for after in _ways(rest, mark):
        if isinstance(first, Select) and _gives(first, mark):
            for steps_of, holds in ((first.accept, True), (first.reject, False)):
                for inside in _ways(steps_of, mark):
                    own = (
                        [(g, (*steps_of, *rest)) for g in _all_of(first.condition)] if holds else []
                    )
                    deeper = [(g, (*b, *rest)) for g, b in inside.guards]
                    value = inside.value if after.value is None else after.value
                    yield _Way(value, (*own, *deeper, *after.guards))
        else:
            value = after.value
            if value is None and _gives(first, mark):
                value = first.assign[mark] if isinstance(first, Let) else sp.nan
            yield _Way(value, after.guards)


def _gives(step: Any, mark: Any) -> bool:
    """Whether a substep, or one inside of it, gives the block a value."""
    if isinstance(step, Let):
        return mark in step.assign
    inner = [s for n in ("steps", "accept", "reject") for s in getattr(step, n, ())]
    return any(_gives(s, mark) for s in inner)


def _is_number(value: Any) -> bool:
    return bool(sp.sympify(value).is_Rational)


def _holds(guard: Inequality, mark: Any, value: Any) -> bool:
    at_value = guard.changed(lambda e: sp.sympify(e).xreplace({mark: sp.sympify(value)}))
    slack = sp.sympify(at_value.right - at_value.left)
    return bool(slack > 0 if guard.strict else slack >= 0)


def _all_of(guard: Guard) -> Iterator[Inequality]:
    if isinstance(guard, Inequality):
        yield guard
    elif guard.every:
        for part in guard.parts:
            yield from _all_of(part)


def _decrease(guard: Inequality, where: str, signs: dict[sp.Symbol, sp.Symbol]) -> Decrease | None:
    """The guard as a decrease of the one value that stands in it after and before the step."""
    slack = sp.expand(guard.right - guard.left)
    values = {v for v in slack.atoms(ScalarNode) if v.kind == "value"}
    for after in sorted((v for v in values if not staged_in(v)), key=str):
        before = substitute(after, {s: at(s) for s in _vectors(after)})
        factor = slack.coeff(before)
        if before == after or before not in values or not is_zero(factor + slack.coeff(after)):
            continue
        amount = canonical(before - after - slack / factor)
        if {before, after} & amount.atoms(ScalarNode):
            continue
        begun = {s: _named(s) for s in staged_in(slack)}
        parts = [substitute(e, begun) for e in (factor, amount, before, slack)]
        # the amount times the factor, since the factor is positive
        held = (
            positive("the factor of the decrease", parts[0].xreplace(signs)),
            nonnegative("the decrease", canonical(parts[0] * parts[1]).xreplace(signs)),
        )
        if any(h.status == "refuted" for h in held):
            continue
        hypotheses = tuple(replace(h, expression=e) for h, e in zip(held, parts, strict=False))
        return Decrease(where, after, parts[2], parts[0], parts[1], parts[3], hypotheses)
    return None


def _named(s: Staged) -> Any:
    """A block at the beginning of a step, or at another stage, under a name of its own."""
    name = f"{s.block}_{s.stage}"
    return VectorSymbol(name, s.kind) if isinstance(s, VectorStage) else sp.Symbol(name, real=True)


def _vectors(value: sp.Expr) -> set[VectorSymbol]:
    """The vector blocks that a value reads."""
    return {s for n in value.atoms(ScalarNode) for s in n.symbols() if isinstance(s, VectorSymbol)}


def _moves(step: Any, read: set[VectorSymbol]) -> bool:
    """Whether a substep may move one of these blocks."""
    if isinstance(step, Let):
        return bool(read & {*step.assign})
    if isinstance(step, Select):
        return any(_moves(s, read) for s in (*step.accept, *step.reject))
    return True


def _restores(steps: Sequence[Any], read: set[VectorSymbol]) -> bool:
    """Whether a list of substeps gives these blocks the values of the beginning of the step."""
    given: dict[Any, Any] = {}
    for s in steps:
        if not isinstance(s, Let):
            return False
        given |= dict(s.assign)
    return all(given.get(s) == at(s, START) for s in read)


def _moved(algorithm: Iteration) -> set[Any]:
    """The blocks that a field moves, by its drift or by noise."""
    fields = algorithm.system.fields.values()
    drifting = {s for f in fields for s, e in f.drift.items() if e != 0}
    return drifting | {s for f in fields for s in f.noise}


def _kept_positive(algorithm: Iteration) -> dict[sp.Symbol, sp.Symbol]:
    """Scalar blocks that begin positive and are only given positive values, as positive symbols; so if not negative."""
    blocks = {b.symbol: b for b in algorithm.system.blocks if b.kind == "scalar"}
    assigned: dict[Any, list[Any]] = {s: [b.init] for s, b in blocks.items()}

    def walk(steps: Sequence[Any]) -> None:
        for s in steps:
            if isinstance(s, Let):
                for block, value in s.assign.items():
                    assigned.setdefault(block, []).append(value)
            for inner in ("steps", "accept", "reject"):
                walk(getattr(s, inner, ()))

    walk(algorithm.scheme.steps)
    moved = _moved(algorithm)
    kept = {s: sp.Dummy(str(s), positive=True) for s in blocks if s not in moved}
    while True:
        stages = {at(s): new for s, new in kept.items()}
        before = dict(kept)
        for s, new in before.items():
            values = [sp.sympify(v).xreplace({**before, **stages}) for v in assigned[s]]
            if all(v.is_positive if new.is_positive else v.is_nonnegative for v in values):
                continue
            if new.is_positive:
                kept[s] = sp.Dummy(str(s), nonnegative=True)
            else:
                del kept[s]
        if kept == before:
            return kept
