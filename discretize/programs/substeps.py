"""Schemes as data: an ordered list of substeps over the fields of a system."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import OdescentError, expected
from ..._support.rendering.brief import short
from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.calculus import Symbol
from ...dynamics.algebra.operators import check_operator
from ...dynamics.algebra.scalars import as_scalar
from ...dynamics.algebra.vectors import Expr, Vector, zero
from ...dynamics.flows.tableaux import Tableau

START = "start"  # the stage that is always saved: the state at the beginning of the step
PREVIOUS = "previous "  # before the name of a stage: the same in the step before; it may stand there repeatedly


def previous(stage: str = START) -> str:
    """A stage of the step before, as one that substeps can read; before the first step it is the start."""
    return PREVIOUS + stage


@dataclass(frozen=True)
class Rule:
    """Properties of an integrator known before compilation; its step is a function in `step.integrate`.

    Attributes:
        noise: whether it supports noise in its fields.
        sweep: the weight of the new coordinate where a sweep reads the field; None where it does not sweep.
    """

    noise: bool = False
    sweep: sp.Rational | None = None


RULES = {
    "explicit": Rule(noise=True, sweep=sp.Rational(0)),
    "implicit": Rule(noise=True, sweep=sp.Rational(1)),
    "cayley": Rule(noise=True, sweep=sp.Rational(1, 2)),
    "exact": Rule(noise=True),
    "linearly_implicit": Rule(),
    "linearly_implicit_midpoint": Rule(),
    "discrete_gradient": Rule(sweep=sp.Rational(1)),
    "tableau": Rule(),
}


@dataclass(frozen=True)
class Integrator(Rendered):
    """An integrator of a substep.

    ``cayley`` (the trapezoidal rule) and ``exact`` (the exponential) need fields that are linear in
    the blocks they move; ``exact`` also takes Riccati equations P' = a P - P S P with a and S held, and ``implicit``
    (backward Euler) one oracle that has a prox. ``linearly_implicit`` (Rosenbrock-Euler, of order 1) is one step of
    Newton's method for backward Euler, x + h (1 - h J)^-1 F(x) with the derivative J of the field, and
    ``linearly_implicit_midpoint`` (of order 2) one for the midpoint rule, x + h (1 - h J/2)^-1 F(x); with an
    ``operator`` in the place of J both are W-methods, of order 1.
    With ``frozen_oracles`` the oracles are called once, at the start of the substep. ``discrete_gradient``
    (Itoh and Abe's: difference quotients for derivatives) is for sweeps over coordinates.
    """

    kind: str
    frozen_oracles: bool = False
    tableau: Tableau | None = None
    operator: Vector | None = None

    def __post_init__(self) -> None:
        if str(self.kind) not in RULES:
            raise OdescentError(
                f"an integrator must be one of {', '.join(RULES)}, not {short(self.kind)}."
            )
        if (self.kind == "tableau") != (self.tableau is not None):
            raise OdescentError("give a Tableau for the integrator 'tableau', and for no other.")
        linearized = self.kind.startswith("linearly_implicit")
        if self.operator is not None and not linearized:
            raise OdescentError(
                f"an operator stands for the derivative in 'linearly_implicit', not in {self.kind!r}."
            )
        if self.operator is not None:
            check_operator(f"the integrator {self.kind!r}", self.operator)
        if self.frozen_oracles and linearized:
            raise OdescentError(
                f"'frozen {self.kind}' is not an integrator: with the oracles held a field that is linear "
                "otherwise has 'frozen implicit' and 'frozen cayley'."
            )

    @staticmethod
    def of(value: Integrator | Tableau | str) -> Integrator:
        """An integrator from itself, a tableau, or a name; "frozen " before the name freezes the oracles."""
        if isinstance(value, Integrator):
            return value
        if isinstance(value, Tableau):
            return Integrator("tableau", tableau=value)
        if not isinstance(value, str):
            raise expected("an integrator", "a name, a Tableau or an Integrator", value)
        frozen = value.startswith("frozen ")
        return Integrator(value.removeprefix("frozen "), frozen_oracles=frozen)


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
        exact = {s: _assigned(s, e) for s, e in assign.items()}
        for name, value in {"assign": exact, "read": _by_name(read), "save": save}.items():
            object.__setattr__(self, name, value)


def _assigned(s: Symbol, value: object) -> Expr:
    if isinstance(s, Vector) == isinstance(value, Vector):
        return value if isinstance(value, Vector) else _exact(f"assignment of {s}", value)
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


Step: TypeAlias = Flow | Let


@dataclass(frozen=True, init=False)
class Scheme(Rendered):
    """An ordered list of substeps, with a name and a reference."""

    steps: tuple[Step, ...]
    name: str
    reference: str

    def __init__(self, steps: Iterable[Step], name: str = "", reference: str = "") -> None:
        if not isinstance(steps, Iterable):
            raise expected("the substeps of a Scheme", "a list of Flow, Sweep and Let", steps)
        listed = tuple(steps)
        _check_stages(listed)
        for attribute, value in {"steps": listed, "name": name, "reference": reference}.items():
            object.__setattr__(self, attribute, value)

    def __str__(self) -> str:
        return "; ".join(_describe(s) for s in self.steps)


def _check_stages(steps: tuple[Step, ...]) -> None:
    """Refuse what is no substep, and stages that are read before they are saved."""
    for i, step in enumerate(steps, 1):
        if not isinstance(step, (Flow, Let)):
            raise OdescentError(
                f"substep {i} of the scheme is {step!r}; substeps are Flow, Sweep and Let."
            )
    every = {START, *(step.save for step in steps if step.save is not None)}
    stages = {START}
    for i, step in enumerate(steps, 1):
        for block, stage in step.read.items():
            earlier = stage.startswith(PREVIOUS) and _current(stage) in every
            if stage not in stages and not earlier:
                raise OdescentError(
                    f"substep {i} reads {block!r} at the stage {stage!r}, which is not saved before it."
                )
        if step.save is not None and _current(step.save) == START:
            raise OdescentError(
                f"substep {i} saves its state as {step.save!r}, the name of the start of the step; rename it."
            )
        if step.save is not None and step.save.startswith(PREVIOUS):
            raise OdescentError(
                f"substep {i} saves its state as {step.save!r}, the name of a stage of the previous step; rename it."
            )
        stages |= {step.save} if step.save is not None else set()


def _current(stage: str) -> str:
    """The name of the stage in its own step."""
    while stage.startswith(PREVIOUS):
        stage = stage.removeprefix(PREVIOUS)
    return stage


def _describe(step: Step) -> str:
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
