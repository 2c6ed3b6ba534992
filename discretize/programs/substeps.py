"""Schemes as data: an ordered list of substeps over the fields of a system."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import OdescentError, expected
from ..._support.numbers import check_whole
from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.calculus import Symbol
from ...dynamics.algebra.scalars import as_scalar
from ...dynamics.algebra.vectors import Expr, Vector, zero
from ...dynamics.flows.tableaux import Tableau
from .control import UNROLLED, Repeat, Select
from .integrators import RULES, Integrator
from .stages import START, staged_in

PREVIOUS = "previous "  # before the name of a stage: the same in the step before; it may stand there repeatedly


def previous(stage: str = START) -> str:
    """A stage of the step before, as one that substeps can read; before the first step it is the start."""
    return PREVIOUS + stage


@dataclass(frozen=True, init=False)
class Flow(Rendered):
    """Advance some fields by a fraction of the step.

    Attributes:
        fields: names of the fields; empty means all of them.
        by: the integrator.
        fraction: the part of the step, 1 by default.
        on: restrict the fields to these blocks; empty means no restriction.
        read: blocks that the fields read at a saved stage instead of the current state; "*" is every block. Stages
            of the previous step are available as `previous("start")`.
        time: time at which time-dependent coefficients are read, in steps after the start of the step.
        save: save the state after this substep as a stage of that name.
        commit: False leaves the state unchanged: a look-ahead, recorded only by its saved stage.
        increment: a name; substeps with the same name share their draws, the increments of the processes over the
            whole step, and each takes its fraction. By default every substep has its own draws.

    Blocks are given by name or by symbol; a single field or block needs no tuple.
    """

    fields: tuple[str, ...]
    by: Integrator
    fraction: sp.Expr
    on: tuple[str, ...]
    read: Mapping[str, str]
    time: sp.Expr
    save: str | None
    commit: bool
    increment: str | None

    @checked
    def __init__(
        self,
        fields: str | Iterable[str],
        by: Integrator | Tableau | str,
        fraction: object = 1,
        on: str | Symbol | Iterable[str | Symbol] = (),
        read: Mapping[Any, str] | None = None,
        time: object = 0,
        save: str | None = None,
        commit: bool = True,
        increment: str | None = None,
    ) -> None:
        if not commit and save is None:
            raise OdescentError(
                "a substep that is not committed must be saved, or it does nothing; give save=."
            )
        one_block = isinstance(on, (str, sp.Symbol, Vector))
        if not one_block and not isinstance(on, Iterable):
            raise expected("on of a substep", "a block or a list of them", on)
        values = {
            "fields": (fields,) if isinstance(fields, str) else tuple(fields),
            "by": Integrator.of(by),
            "fraction": _exact("fraction", fraction),
            "on": tuple(_name(b) for b in ([on] if one_block else on)),  # type: ignore[union-attr]
            "read": _by_name(read),
            "time": _exact("time", time),
            "save": save,
            "commit": commit,
            "increment": increment,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True, init=False)
class Sweep(Flow):
    """Advance one vector block coordinate by coordinate, each with the new values of the previous ones.

    The integrator solves a scalar equation in each coordinate: ``explicit``, ``implicit``, ``cayley`` (the
    trapezoidal rule, here for any field) or ``discrete_gradient``, in which the derivative along the
    coordinate is a difference quotient, so that x' = -s grad f(x) with s > 0 decreases f for every step.

    Attributes:
        backward: from the last coordinate to the first.

    The others as for `Flow`; ``on`` names the block where the fields move several.
    """

    backward: bool

    @checked
    def __init__(
        self,
        fields: str | Iterable[str],
        by: Integrator | str,
        fraction: object = 1,
        on: str | Symbol | Iterable[str | Symbol] = (),
        read: Mapping[Any, str] | None = None,
        time: object = 0,
        save: str | None = None,
        commit: bool = True,
        backward: bool = False,
    ) -> None:
        super().__init__(fields, by, fraction, on, read, time, save, commit)
        object.__setattr__(self, "backward", bool(backward))
        if RULES[self.by.kind].sweep is None or self.by.frozen_oracles:
            how = "frozen " if self.by.frozen_oracles else ""
            known = ", ".join(kind for kind, rule in RULES.items() if rule.sweep is not None)
            raise OdescentError(
                f"a sweep's integrator must be one of {known}, not {how + self.by.kind!r}."
            )


@dataclass(frozen=True, init=False)
class Let(Rendered):
    """Assign blocks simultaneously: memories, recurrences of coefficients, projections.

    The expressions are in block symbols (current values) and parameters; ``read`` and ``save`` as in `Flow`.
    """

    assign: Mapping[Symbol, Expr]
    read: Mapping[str, str]
    save: str | None

    @checked
    def __init__(
        self,
        assign: Mapping[Any, Any],
        read: Mapping[Any, str] | None = None,
        save: str | None = None,
    ) -> None:
        given = {getattr(b, "symbol", b): e for b, e in assign.items()}
        exact = {s: _assigned(s, e) for s, e in given.items()}
        for name, value in {"assign": exact, "read": _by_name(read), "save": save}.items():
            object.__setattr__(self, name, value)


def _assigned(s: object, value: object) -> Expr:
    if not isinstance(s, (Vector, sp.Symbol)):
        raise expected("what a Let assigns", "a block, as od.blocks makes it", s)
    if not isinstance(value, Vector):
        value = _exact(f"assignment of {s}", value)
    if isinstance(s, Vector) == isinstance(value, Vector):
        return value
    if isinstance(s, Vector) and value == 0:
        return zero
    raise OdescentError(
        f"a Let assigns {value} to the block {s}: one is a vector, the other a scalar."
    )


def _exact(what: str, value: object) -> sp.Expr:
    try:
        return as_scalar(value)
    except TypeError as error:
        raise OdescentError(f"the {what} of a substep: {error}") from None


def _name(block: Any) -> str:
    return str(getattr(block, "name", block))


def _by_name(read: Mapping[Any, str] | None) -> dict[str, str]:
    return {_name(b): stage for b, stage in (read or {}).items()}


Step: TypeAlias = Flow | Let | Repeat | Select


@dataclass(frozen=True, init=False)
class Scheme(Rendered):
    """An ordered list of substeps, with a name and a reference."""

    steps: tuple[Step, ...]
    name: str
    reference: str

    def __init__(self, steps: Iterable[Step], name: str = "", reference: str = "") -> None:
        try:
            listed = tuple(steps)
        except TypeError:
            raise expected(
                "the substeps of a Scheme", "a list of Flow, Sweep, Let, Repeat and Select", steps
            ) from None
        _check_stages(listed)
        for attribute, value in {"steps": listed, "name": name, "reference": reference}.items():
            object.__setattr__(self, attribute, value)

    def __str__(self) -> str:
        return "; ".join(_describe(s) for s in self.steps)

    @property
    def every(self) -> Iterator[Step]:
        """The substeps, with those inside of others."""
        return every_of(self.steps)

    @property
    def guarded(self) -> bool:
        """Whether it has guarded substeps."""
        return any(isinstance(s, (Repeat, Select)) for s in self.steps)

    def branch(self, *decisions: bool) -> Scheme:
        """The scheme with one branch of each choice in its place.

        Args:
            decisions: whether guards accept, in the order in which a step meets them; the last stands for all others.
        """
        return Scheme(_taken(self.steps, list(decisions)), self.name, self.reference)

    def shifted(self, count: int = 1) -> Scheme:
        """The cyclic shift of the scheme: its first substeps, so many of them, come last.

        With move and measure, the two parts of a step, A = move o measure and its shift B = measure o move have
        move o B = A o move: the two methods make the same points, if the start of B is one that ``measure`` could
        have left. Stages are read where they were saved.

        Args:
            count: how many substeps; of a negative number the last ones come first.

        Raises:
            OdescentError: a substep would read a stage before it is saved.
        """
        steps = self.steps
        at = check_whole("count", count, -len(steps), len(steps)) % len(steps) if steps else 0
        return Scheme((*steps[at:], *steps[:at]), self.name, self.reference)

    def unrolled(self, times: int = 1) -> Scheme:
        """The scheme without loops: the substeps of one with a guard so many times, of others as often as they are."""
        return Scheme(_unrolled(self.steps, times), self.name, self.reference)


def every_of(steps: Iterable[Step]) -> Iterator[Step]:
    """Substeps, with those inside of others."""
    for step in steps:
        yield step
        yield from inside_of(step)


def inside_of(step: Step) -> Iterator[Step]:
    """The substeps inside of a guarded one."""
    if isinstance(step, Repeat):
        yield from every_of(step.steps)
    elif isinstance(step, Select):
        yield from every_of((*step.accept, *step.reject))


def without(scheme: Scheme, held: Container[Symbol]) -> Scheme:
    """The scheme, which has no guards, with some blocks assigned nothing."""
    steps = [
        Let({b: e for b, e in s.assign.items() if b not in held}, s.read, s.save)
        if isinstance(s, Let)
        else s
        for s in scheme.steps
    ]
    return Scheme(steps, scheme.name, scheme.reference)


def _taken(steps: Iterable[Step], decisions: list[bool]) -> list[Step]:
    """The substeps of one way; decisions that are made are removed from the list, but for the last."""
    found: list[Step] = []
    for step in steps:
        if isinstance(step, Select):
            accepts = decisions.pop(0) if len(decisions) > 1 else decisions[0]
            found += _taken(step.accept if accepts else step.reject, decisions)
            found += [] if step.save is None else [Let({}, save=step.save)]
        elif isinstance(step, Repeat):
            found.append(replaced(step, _taken(step.steps, decisions)))
        else:
            found.append(step)
    return found


def replaced(step: Repeat, steps: Iterable[Step]) -> Repeat:
    """The loop with other substeps."""
    return Repeat(steps, step.until, step.max_steps, step.count, step.fixed_point, step.save)


def _unrolled(steps: Iterable[Step], times: int) -> list[Step]:
    found: list[Step] = []
    for step in steps:
        if not isinstance(step, Repeat):
            found.append(step)
            continue
        often = times
        if step.until is None and step.max_steps.is_Integer and step.max_steps <= UNROLLED:
            often = int(step.max_steps)
        inside = _unrolled(step.steps, times)
        count = None if step.count is None else sp.Symbol(step.count, real=True)
        for n in range(1, often + 1):
            found += [] if count is None else [Let({count: n})]
            found += inside
        found += [] if step.save is None else [Let({}, save=step.save)]
    return found


def _check_stages(steps: tuple[Step, ...]) -> None:
    """Refuse what is no substep, and stages that are read before they are saved."""
    every = {START, *(step.save for step in steps if getattr(step, "save", None) is not None)}
    _check_list(steps, {START}, every, "", frozenset({START}))


def _check_list(
    steps: Iterable[Step], stages: set[str], every: set[Any], label: str, outside: frozenset[str]
) -> set[str]:
    """Check a list of substeps.

    Args:
        steps: the list.
        stages: those that are saved before it.
        every: those that the step before has saved.
        label: what stands before the number of a substep.
        outside: stages of lists that this one is inside of.

    Returns:
        the stages that are saved after it.
    """
    stages = set(stages)
    for i, step in enumerate(steps, 1):
        who = f"substep {label}{i}"
        if not isinstance(step, (Flow, Let, Repeat, Select)):
            raise OdescentError(
                f"{who} of the scheme is {step!r}; substeps are Flow, Sweep, Let, Repeat and Select."
            )
        # A condition sees what is saved before it; that of a loop, what an iteration saves too.
        seen = stages
        if isinstance(step, Repeat):
            seen = _check_list(step.steps, stages, every, f"{label}{i}.", frozenset(stages))
        elif isinstance(step, Select):
            for branch in (step.accept, step.reject):
                _check_list(branch, stages, every, f"{label}{i}.", frozenset(stages))
        for block, stage in _reads(step):
            earlier = stage.startswith(PREVIOUS) and _current(stage) in every
            if stage not in seen and not earlier:
                raise OdescentError(
                    f"{who} reads {block!r} at the stage {stage!r}, which is not saved before it."
                )
        _check_saved(who, step.save, outside)
        stages |= {step.save} if step.save is not None else set()
    return stages


def _reads(step: Step) -> list[tuple[str, str]]:
    """The blocks that a substep itself reads at stages."""
    found = [] if isinstance(step, (Repeat, Select)) else [*step.read.items()]
    return found + [(s.block, s.stage) for e in expressions_of(step) for s in staged_in(e)]


def expressions_of(step: Step) -> list[Expr]:
    """What a substep itself computes with, without the substeps inside of it."""
    if isinstance(step, Let):
        return [*step.assign.values()]
    if isinstance(step, Flow):
        operator = [] if step.by.operator is None else [step.by.operator]
        return [step.fraction, step.time, *operator]
    if isinstance(step, Select):
        return [*step.condition.expressions]
    return [step.max_steps, *(() if step.until is None else step.until.expressions)]


def _check_saved(who: str, save: str | None, outside: frozenset[str]) -> None:
    """Refuse the name of a stage that means another."""
    if save is None:
        return
    for wrong, what in (
        (_current(save) == START, "the start of the step"),
        (save.startswith(PREVIOUS), "a stage of the previous step"),
        (save in outside, "a stage outside of this list"),
    ):
        if wrong:
            raise OdescentError(
                f"{who} saves its state as {save!r}, the name of {what}; rename it."
            )


def _current(stage: str) -> str:
    """The name of the stage in its own step."""
    while stage.startswith(PREVIOUS):
        stage = stage.removeprefix(PREVIOUS)
    return stage


def _describe(step: Step) -> str:
    if isinstance(step, Repeat):
        inside = "; ".join(map(_describe, step.steps))
        times = f"{step.max_steps} times"
        until = times if step.until is None else f"until {step.until}, at most {times}"
        return f"repeat ({inside}) {until}"
    if isinstance(step, Select):
        accept, reject = ("; ".join(map(_describe, b)) for b in (step.accept, step.reject))
        return f"if {step.condition} ({accept}) else ({reject})"
    if isinstance(step, Let) and not step.assign:
        return f"save {step.save}"
    if isinstance(step, Let):
        return "let " + ", ".join(str(getattr(s, "name", s)) for s in step.assign)
    what = "+".join(step.fields) or "all"
    what += f" on {','.join(step.on)}" if step.on else ""
    how = step.by.kind + (" (frozen oracles)" if step.by.frozen_oracles else "")
    if step.by.operator is not None:
        how += f" with {step.by.operator} for its derivative (a W-method of order 1)"
    part = "" if step.fraction == 1 else f" for {step.fraction} h"
    where = "".join(f", {b} at {s}" for b, s in step.read.items())
    shared = "" if step.increment is None else f" sharing {step.increment}"
    keep = "" if step.commit else " (look ahead)"
    if isinstance(step, Sweep):
        how += " sweep backward" if step.backward else " sweep"
    return f"{what} {how}{part}{shared}{where}{keep}"


def composition(
    parts: Iterable[tuple[str, Integrator | Tableau | str]], symmetric: bool = False, name: str = ""
) -> Scheme:
    """Lie-Trotter composition of (field, integrator) pairs in their order; symmetric gives Strang's.

    Strang's substeps evaluate the time at the midpoint of their interval, which gives order 2 for
    time-dependent fields too.

    Args:
        parts: the pairs.
        symmetric: whether all but the last are applied by halves, before and after it.
        name: of the scheme.

    Raises:
        OdescentError: there are no pairs, or an unknown integrator.
    """
    pairs = [(f, Integrator.of(i)) for f, i in parts]
    if not pairs:
        raise OdescentError("a composition needs at least one (field, integrator) pair.")
    if not symmetric:
        return Scheme(tuple(Flow((f,), i) for f, i in pairs), name)
    halves = [(f, i, sp.Rational(1, 2)) for f, i in pairs[:-1]]
    return Scheme(in_shares([*halves, (*pairs[-1], sp.S.One), *reversed(halves)]), name)


def in_shares(parts: Iterable[tuple[str, Integrator, sp.Expr]]) -> tuple[Flow, ...]:
    """Substeps of one field each, (field, integrator, fraction), at the times that they cover of their field."""
    covered: dict[str, sp.Expr] = {}
    steps: list[Flow] = []
    for field, by, share in parts:
        begin = covered.get(field, sp.S.Zero)
        covered[field] = begin + share
        own_times = (
            by.tableau is not None
        )  # a tableau's stages have their times from its beginning on
        time = begin if own_times else begin + share / 2
        steps.append(Flow((field,), by, share, time=time))
    return tuple(steps)


__all__ = [
    "PREVIOUS", "RULES", "START", "Flow", "Integrator", "Let", "Repeat", "Scheme", "Select", "Step", "Sweep",
    "composition", "expressions_of", "in_shares", "inside_of", "previous", "without",
]  # fmt: skip
