"""Words for what a method's parameters are called elsewhere: step for h, learning_rate, momentum."""

from __future__ import annotations

import difflib
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import OdescentError, listed, unknown
from ..._support.rendering.rendered import Rendered
from ...dynamics.vector_fields.estimates import Supposition, condition_of
from ..programs.bindings import check_constants, check_defined, check_signs, reachable, value_of
from ..programs.program import Program
from .ways import Ways

# By word: the parameter that it sets, and the value of that in terms of the word, which is a symbol of that name.
Words: TypeAlias = Mapping[str, tuple[sp.Symbol, sp.Expr]]

SYNONYMS = {
    "step_size": "step", "dt": "step", "lr": "learning_rate", "damping": "friction", "b1": "beta1", "b2": "beta2",
}  # fmt: skip

BELOW = {"momentum": 1}  # words whose numbers are less than this
# With what adaptive methods start in PyTorch and optax; messages show it, nothing takes it by itself.
_ELSEWHERE = {"beta1": "0.9", "beta2": "0.999", "eps": "1e-8"}


def example(name: str) -> str:
    """How a value of a parameter is given, for messages: with that of PyTorch and optax, if there is one."""
    return f"{name}={_ELSEWHERE.get(name, '...')}"


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


class Worded(Ways):
    """An algorithm whose parameters are given values, by their own names or by other words for them.

    Attributes:
        tuning: the values of parameters that are bound last.
        words: those of the method, beside the words that all methods have.
        condition: of values that were estimated.
    """

    tuning: Mapping[sp.Symbol, sp.Expr]
    words: Words
    condition: Supposition | None
    _origin: Any = None  # what `bind` started from, the values, and the tuning that it made

    @property
    @abstractmethod
    def program(self) -> Program:
        """The program of one step, with the step and the parameters free."""

    @property
    @abstractmethod
    def parameters(self) -> tuple[sp.Symbol, ...]:
        """The parameters that are free after the tuning."""

    @property
    @abstractmethod
    def kept(self) -> dict[Any, Any]:
        """Results by kind, each computed once."""

    @abstractmethod
    def replace(self, **changes: Any) -> Self:
        """The algorithm with some constructor arguments changed."""

    @checked
    def bind(self, values: Mapping[Any, object] | None = None, /, **by_name: object) -> Self:
        """The algorithm with parameters given values, by symbol or by name; exact numbers stay exact.

        A value replaces the tuning of that parameter. Aliases such as step, learning_rate and momentum are accepted
        too; `od.algorithm` lists them.
        Raises OdescentError for an unknown parameter, two that set the same one, or a value outside its domain.
        """
        asked = {getattr(k, "name", k): v for k, v in {**(values or {}), **by_name}.items()}
        given: dict[sp.Symbol, sp.Expr] = {}
        for name, a in self._asked("parameter", asked).items():
            number = value_of(a.symbol, asked[name])
            given[a.target] = a.at(number)
        tuning = reachable({**self.tuning, **given}, self.program.parameters)
        check_constants(tuning)
        zeros = check_signs(tuning, given)
        made = self.replace(tuning=tuning)
        check_defined(zeros, made)
        made.condition = condition_of(*asked.values()) or self.condition
        base, before = self.unbound
        others = {n: v for n, v in before.items() if base.names[n].target not in given}
        made._origin = base, {**others, **asked}, made.tuning
        return made

    @property
    def unbound(self) -> tuple[Self, dict[str, Any]]:
        """The algorithm before `bind`, and the values that it was given by name; itself where its tuning is another."""
        base, values, tuning = self._origin or (self, {}, None)
        return (base, values) if tuning is self.tuning else (self, {})

    @checked
    def freed(self, given: Mapping[str, Any]) -> tuple[Self, dict[str, Any]]:
        """The algorithm with the given parameters free, regardless of the tuning.

        Unlike with `bind` the values may be traced by JAX, and all values share one program.

        Args:
            given: values by the names of parameters or their aliases, as for `bind`.

        Returns:
            the algorithm, and the values by the names of its parameters.

        Raises:
            OdescentError: as `bind`, or a parameter without effect beside the others.
        """
        if set(given) <= {s.name for s in self.parameters}:
            return self, dict(given)
        who = self.name or "the algorithm"
        named = self._asked(f"parameter of {who} called", given)
        for name, a in named.items():
            if a.target != a.symbol and isinstance(given[name], (int, float, sp.Expr)):
                a.at(value_of(a.symbol, given[name]))
        key = ("freed", frozenset(named))
        if key not in self.kept:
            targets = {a.target for a in named.values()}
            tuning = {s: e for s, e in self.tuning.items() if s not in targets}
            tuning |= {a.target: a.value for a in named.values() if a.target != a.symbol}
            self.kept[key] = self.replace(tuning=reachable(tuning, self.program.parameters))
        made: Self = self.kept[key]
        left = {s.name for s in made.parameters}
        for name, a in named.items():
            if a.symbol.name not in left:
                others = [n for n in named if n != name]
                once = f" once {listed(others)} {'is' if len(others) == 1 else 'are'} given"
                raise OdescentError(
                    f"{who} does not depend on {name}{once if others else ''}: leave {name} out."
                )
        return made, {a.symbol.name: given[n] for n, a in named.items()}

    @checked
    def released(self, names: Iterable[str]) -> Self:
        """The algorithm in which those of some names that say parameters are free parameters, regardless of the tuning.

        They keep their names, words such as step and momentum too; names that say nothing here are left out.
        Raises OdescentError as `freed`.
        """
        asked = tuple(names)
        key = ("released", frozenset(asked))
        if key not in self.kept:
            known, own = self.names, self._own
            said = dict.fromkeys(n for n in asked if n in known)
            free = self.freed(said)[
                0
            ]  # refuses two names of one parameter, and names without effect
            words = {n: known[n].symbol for n in said if n not in own}
            if words:
                new = {n: sp.Symbol(n, **s.assumptions0) for n, s in words.items()}
                free = self.bind(new).freed(said)[0]
            self.kept[key] = free
        made: Self = self.kept[key]
        return made

    def _asked(self, kind: str, names: Iterable[str]) -> dict[str, Assignment]:
        return assignments(kind, self._own, self.names, names)

    @property
    def _own(self) -> dict[str, sp.Symbol]:
        """The parameters by name, those that the tuning sets among them."""
        return {s.name: s for s in (*self.program.parameters, *self.parameters, *self.tuning)}

    @property
    def names(self) -> dict[str, Assignment]:
        """All names and aliases of parameters, with the parameter that each sets."""
        return spoken(self.words, self._own, self.step)


__all__ = ["SYNONYMS", "Assignment", "Worded", "Words", "assignments", "spoken", "word"]
