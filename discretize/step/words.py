"""Words for what a method's parameters are called elsewhere: step for h, learning_rate, momentum."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import sympy as sp

from ..._support.errors import OdescentError, unknown
from ..._support.rendering.rendered import Rendered

# By word: the parameter that it sets, and the value of that in terms of the word, which is a symbol of that name.
Words: TypeAlias = Mapping[str, tuple[sp.Symbol, sp.Expr]]

SYNONYMS = {
    "step_size": "step", "dt": "step", "lr": "learning_rate", "damping": "friction", "b1": "beta1", "b2": "beta2",
}  # fmt: skip

BELOW = {"momentum": 1}  # words whose numbers are less than this


def word(name: str) -> sp.Symbol:
    """The symbol of a word in the value that it gives to a parameter."""
    return sp.Symbol(name, nonnegative=True)


@dataclass(frozen=True)
class Assignment(Rendered):
    """What a name given by the user sets.

    Attributes:
        target: the method's own parameter.
        value: its value in terms of ``symbol``.
        symbol: what stands for the number that is given.
    """

    target: sp.Symbol
    value: sp.Expr
    symbol: sp.Symbol

    def at(self, number: sp.Expr) -> sp.Expr:
        """The value of the parameter at a number; OdescentError where that is out of its domain."""
        value = self.value.xreplace({self.symbol: number})
        if self.target != self.symbol:
            most = BELOW.get(self.symbol.name)
            large = (most is not None and (number - most).is_nonnegative) or number.is_negative
            wrong = self.target.is_positive and value.is_nonpositive
            if large or wrong or value.has(sp.zoo, sp.nan, sp.oo):
                below = "" if most is None else f" below {most}"
                raise OdescentError(
                    f"{self.symbol} must be a positive number{below}, not {number}: it gives {self.target} its value."
                )
        return value


def spoken(words: Words, own: Mapping[str, sp.Symbol], step: sp.Symbol) -> dict[str, Assignment]:
    """All names by which parameters can be given: their own, the words for them, and synonyms of both.

    Args:
        words: those of the method.
        own: its parameters by name; these names go before words.
        step: of the discretization; "step" is a word for it.
    """
    known = {n: Assignment(s, s, s) for n, s in own.items()}
    if step.name in own:
        words = {"step": (step, sp.Symbol("step", positive=True)), **words}
    for name, (target, value) in words.items():
        (symbol,) = (s for s in value.free_symbols if s.name == name)
        known.setdefault(name, Assignment(target, value, symbol))
    for other, name in SYNONYMS.items():
        if name in known:
            known.setdefault(other, known[name])
    return known


def assignments(
    kind: str, own: Iterable[str], known: Mapping[str, Assignment], names: Iterable[str]
) -> dict[str, Assignment]:
    """What each of some names sets.

    Args:
        kind: what they are names of, in the singular, for messages.
        own: the method's own names, which are listed where a name is unknown and nothing is like it.
        known: as `spoken` returns it.
        names: those given.

    Returns:
        an assignment by each name.

    Raises:
        OdescentError: a name that the method lacks, or two that set the same parameter.
    """
    found: dict[str, Assignment] = {}
    setting: dict[sp.Symbol, str] = {}
    for name in names:
        if name not in known:
            like = difflib.get_close_matches(str(name), known, cutoff=0.7)
            raise unknown(kind, name, known if like else own)
        found[name] = known[name]
        target = found[name].target
        other = setting.setdefault(target, name)
        if other != name:
            raise OdescentError(
                f"{other} and {name} both set the parameter {target}: give one of them."
            )
    return found


__all__ = ["SYNONYMS", "Assignment", "Words", "assignments", "spoken", "word"]
