"""The result of recognition, and what it says of methods that differ in little."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import sympy as sp

from ..._support.rendering.rendered import Rendered
from ...dynamics.algebra.exact import canonical
from ...dynamics.algebra.oracles import Oracle
from ...dynamics.notation.show import text
from ..equality.verdict import Equivalence


@dataclass(frozen=True)
class Recognition(Rendered):
    """The result of recognizing an algorithm.

    Attributes:
        verdict: "equal"; "equal but for" the changes in ``but_for``; "different" from every registered method, whatever
            the values of their parameters; or "undecided", for the methods in ``undecided``.
        name: of the registered method, None if none was found.
        substitution: the known method's parameters in terms of the algorithm's, by name; empty if they are the same.
        where: what makes these values admissible, such as "1 - b > 0"; empty where they are for all parameters with
            mu < L.
        but_for: what differs: "start", "output", "delay", "oracle", "time" or "steps", each with a phrase.
        undecided: why it may still be a registered method, by the method's name.
        equivalence: the proof, of the algorithm and the known method, changed by ``but_for`` and under the
            substitution. Where the start differs, it is the refutation, with its witness.
        reason: one sentence.
    """

    verdict: str
    name: str | None
    reason: str
    substitution: dict[str, sp.Expr] = field(default_factory=dict)
    where: str = ""
    but_for: dict[str, str] = field(default_factory=dict)
    undecided: dict[str, str] = field(default_factory=dict)
    equivalence: Equivalence | None = None

    def __bool__(self) -> bool:
        return self.verdict == "equal"

    def __str__(self) -> str:
        return self.reason


def called(names: Mapping[Oracle, Oracle]) -> dict[str, str]:
    """What to say of oracles with other names."""
    changed = [
        f"it calls {n.name} where the registered one has {o.name}"
        for o, n in names.items()
        if o != n
    ]
    return {"oracle": ", ".join(changed)} if changed else {}


def start_phrase(verdict: Equivalence) -> str:
    """What to say of another start."""
    if not verdict.start:
        return "it starts at a state that the registered one cannot have"
    mine = ", ".join(f"{n} = {text(a) or 0}" for n, (a, _) in verdict.start.items())
    theirs = ", ".join(f"{n} = {text(b) or 0}" for n, (_, b) in verdict.start.items())
    return f"it starts at {mine}, the registered one at {theirs}"


def time_scale(known: sp.Symbol, values: Mapping[str, sp.Expr]) -> dict[str, str]:
    """What to say of a step that is a number times the known one, everything else the same."""
    others = {n: v for n, v in values.items() if n != known.name}
    step = values.get(known.name)
    same = all(v == sp.Symbol(n, positive=True) for n, v in others.items())
    if step is None or not same or not canonical(step / known).is_Rational or step == known:
        return {}
    return {"time": f"its time is scaled, {known} -> {step}"}
