"""Declarations of a file: blocks, parameters, time, oracles and abbreviations, each declared once."""

from __future__ import annotations

import copy
import keyword
from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

import sympy as sp

from ..._support.errors import OdescentError, unknown
from ..algebra.vectors import VectorSymbol
from ..maps import REGISTRY as NAMED_MAPS
from ..samples.sample import sample
from ..vector_fields.block import Block
from ..vector_fields.system import L, mu
from .calls import RESERVED, Evaluator
from .errors import Source
from .expressions import Value

if TYPE_CHECKING:
    from lark import Token, Tree

STANDARD = {"mu": mu, "L": L}  # known without a declaration
START = "x0"  # the starting point, in initial values
STEP = "h"
_TIME = "t"  # in equations, where no statement declares another
_ASKING = {
    "grad": 0,
    "hess": 0,
    "prox": 0,
    "derivative": 1,
}  # nodes with an objective, and its place in them


class Names:
    """The declarations of a file, and the values of its names.

    Args:
        source: what errors point into.
        statements: the statements of the file.

    Attributes:
        blocks, parameters: what is declared, by name.
        time: the symbol of time, if there is one.
        step: the symbol of the step.
        samples: what is drawn in every step, by name.
        oracles: the kinds of objectives, operators and maps, by name.
        rates: the blocks that equations of motion move, each with the order of its derivative.
        velocities: of those of second order, by name.
    """

    time: sp.Symbol | None = None

    def __init__(self, source: Source, statements: Sequence[Any]) -> None:
        self.source = source
        self.blocks: dict[str, Block] = {}
        self.parameters: dict[str, sp.Symbol] = {}
        self.step = sp.Symbol(STEP, positive=True)
        self.oracles: dict[str, str] = {}
        self.arguments: dict[str, tuple[str, ...]] = {}  # of functions of several
        self.samples: dict[str, Any] = {}
        self.rates: dict[Token, int] = {}
        self.velocities: dict[str, str] = {}
        self._values: dict[str, Value] = {}
        self._first: dict[str, Token] = {}
        abbreviations: dict[str, Tree[Token]] = {}
        self._windows: list[tuple[str, Token]] = []
        for statement in statements:
            self._declare(statement, abbreviations)
        for statement in statements:
            if statement.data == "equations":
                self._imply(statement)
        for name, length in self._windows:
            self._window(name, length)
        for statement in statements:  # after the blocks, whose shapes they have
            if statement.data == "samples":
                for child in statement.children:
                    self._sample(*child.children)
        self._check_step()
        self._values = {
            **{
                n: Value(s)
                for n, s in {**STANDARD, self.step.name: self.step, **self.parameters}.items()
            },
            **{n: Value(b.symbol, b.values) for n, b in self.blocks.items()},
            **{n: self._drawn(s) for n, s in self.samples.items()},
            **({} if self.time is None else {self.time.name: Value(self.time)}),
        }
        self._abbreviate(abbreviations)

    def _declare(self, statement: Any, abbreviations: dict[str, Any]) -> None:
        rest = statement.children
        match statement.data:
            case "blocks":
                for child in rest:
                    self._block(child)
            case "parameters":
                for child in rest:
                    self._parameter(child)
            case "oracles":
                for child in rest[1:]:
                    self._function(str(rest[0].children[0]), *child.children)
            case "step":
                self.step = sp.Symbol(self._new(rest[0], parameter=True), positive=True)
            case "time":
                self.time = sp.Symbol(self._new(rest[0]), positive=True)
            case "let":
                for child in rest:
                    abbreviations[self._new(child.children[0])] = child

    def _imply(self, statement: Any) -> None:
        """Declare what equations of motion use and no statement declares: blocks, velocities, objectives, the time."""
        self.rates = _orders(statement)
        for token in self.rates:
            if token not in self.blocks:
                self.blocks[self._new(token)] = Block(str(token))
        self.velocities = _velocities(self.rates, set(self._first) - set(self.blocks))
        for token in self.rates:
            if (name := self.velocities.get(str(token))) and name not in self.blocks:
                self._new(token.update(value=name))
                self.blocks[name] = Block(name, self.blocks[str(token)].kind)
        for token in _asked(statement):
            if token not in self.oracles:
                self._function("objective", token)
        used = statement.scan_values(lambda t: t.type == "NAME" and t == _TIME)
        if self.time is None and _TIME not in self._first and (first := next(used, None)):
            self.time = sp.Symbol(self._new(first), positive=True)

    def _sample(self, token: Any, law: Any, like: Any = None) -> None:
        """A declared sample: a vector of the shape of a block, or a scalar."""
        name = self._new(token)
        if like is not None and like not in self.blocks:
            raise self.source.unknown("block", like, self.blocks)
        try:
            block = None if like is None else self.blocks[str(like)]
            self.samples[name] = sample(name, str(law), like=block)
        except OdescentError as error:
            raise self.source.error(str(error), law) from None

    @staticmethod
    def _drawn(s: Any) -> Value:
        return Value(s, "vector") if isinstance(s, VectorSymbol) else Value(s)

    def _function(self, kind: str, token: Any, *args: Any) -> None:
        """A declared function, with the names of its arguments where it has several."""
        name = self._new(token)
        if kind == "named" and name not in NAMED_MAPS:
            raise self.source.unknown("named map", token, NAMED_MAPS)
        names = [self.check(a) for a in args]
        if names and (kind not in {"objective", "map"} or len(set(names)) < max(len(names), 2)):
            raise self.source.error(
                f"{name} names its arguments: an objective or a map has two or more of them, each once.",
                token,
            )
        self.oracles[name] = kind
        self.arguments[name] = tuple(names)

    def _new(self, token: Any, parameter: bool = False) -> str:
        """A name that is declared now, and was not before."""
        name = str(token)
        if name in RESERVED or name == START:
            meaning = "the starting point" if name == START else "a function or a constant"
            raise self.source.error(
                f"{name} is {meaning} of this language; choose another name.", token
            )
        if name in STANDARD and not parameter:
            raise self.source.error(
                "mu and L are the strong convexity and the smoothness; choose another name.", token
            )
        self.check(token)
        if name in self._first:
            line = self._first[name].line
            raise self.source.error(
                f"the name {name} is declared twice, first in line {line}.", token
            )
        self._first[name] = token
        return name

    def check(self, token: Any) -> str:
        """The name, if it can stand in emitted source."""
        name = str(token)
        if keyword.iskeyword(name) or name.startswith("_") or len(name) > 60:
            shown = name if len(name) <= 60 else name[:20] + "..."
            rule = "no Python keyword, not first an underscore, at most 60 characters"
            raise self.source.error(f"{shown!r} is not a valid name: {rule}.", token)
        return name

    def _block(self, node: Any) -> None:
        *words, token = node.children
        if words and words[0].data == "length":
            self._windows.append((self._new(token), words[0].children[0]))
            self.blocks[str(token)] = Block(str(token))  # until its length is known
            return
        said = {str(w.data): str(w.children[0]) for w in words}
        name = self._new(token)
        self.blocks[name] = Block(name, said.get("kind", "vector"), said.get("role", "state"))

    def _window(self, name: str, token: Any) -> None:
        """A block that keeps as many values as a number or a parameter says."""
        length = self.symbol(token) if token.type == "NAME" else sp.Rational(str(token))
        try:
            self.blocks[name] = Block(name, history=length)
        except OdescentError as error:
            raise self.source.error(str(error), token) from None

    def _parameter(self, node: Any) -> None:
        token, *relation = node.children
        name = self._new(token, parameter=True)
        if relation and float(relation[1]) != 0:
            raise self.source.error(
                "a parameter is compared with 0 only: c > 0 or c >= 0.", relation[1]
            )
        sign = {">": "positive", ">=": "nonnegative"}[str(relation[0])] if relation else "real"
        symbol = sp.Symbol(name, **{sign: True})
        if name in STANDARD and symbol != STANDARD[name]:
            raise self.source.error(
                f"{name} is positive always: declare it as {name} > 0, or not at all.", token
            )
        self.parameters[name] = symbol

    def _check_step(self) -> None:
        name = self.step.name
        if name in self.parameters and self.parameters[name] != self.step:
            raise self.source.error(
                f"the step is positive: declare it as {name} > 0.", self._first[name]
            )

    def _abbreviate(self, definitions: Mapping[str, Any]) -> None:
        """Evaluate the abbreviations, each after those that it uses."""
        uses = {
            n: {str(t) for t in node.children[1].scan_values(lambda t: t.type == "NAME")}
            & set(definitions)
            for n, node in definitions.items()
        }
        try:
            order = list(TopologicalSorter(uses).static_order())
        except CycleError as error:
            circle = list(reversed(error.args[1]))
            shown = " -> ".join(circle if len(circle) < 8 else [*circle[:6], "...", circle[-1]])
            raise self.source.error(
                f"the definition is circular: {shown}.", definitions[circle[0]]
            ) from None
        for name in order:
            self._values[name] = self.evaluator()(definitions[name].children[1])

    def reading(self, source: Source) -> Names:
        """The same names for another text, such as an option."""
        other = copy.copy(self)
        other.source = source
        return other

    def evaluator(self, extra: Mapping[str, Value] | None = None) -> Evaluator:
        """Evaluates expressions in these names and the extra ones."""
        known = {**self._values, **(extra or {})}

        def lookup(token: Token) -> Value:
            if token in known:
                return known[str(token)]
            raise self.source.error(self._not_known(str(token), known), token)

        return Evaluator(self.source, lookup, self.oracles, self.arguments)

    def _not_known(self, name: str, known: Iterable[str]) -> str:
        if name.startswith("at("):
            return f"{name} is read by the substeps of a scheme, where {name[3:].partition(',')[0]} is a block."
        if name == START:
            return "x0, the starting point, has a meaning in initial values only."
        if name.endswith("'"):
            return f"the derivative {name} stands in an equation of motion, such as x'' + x' + grad f(x) = 0."
        if name == _TIME and self.time is None:
            return "the time is declared by a line of its own: time t."
        _, _, hint = str(unknown("name", name, known)).partition(": ")
        declare = "" if hint.startswith("did") else f"; declare it, as in parameters {name} > 0."
        return f"the name {name!r} is not declared: {hint.removesuffix('.') if declare else hint}{declare}"

    def symbol(self, token: Any) -> sp.Symbol:
        """The parameter or step that a name stands for."""
        known = {**STANDARD, self.step.name: self.step, **self.parameters}
        if token in known:
            return known[str(token)]
        raise self.source.unknown("parameter", token, known)


def _orders(statement: Any) -> dict[Token, int]:
    """The blocks of which equations have derivatives, in their order, each with the highest order."""
    found: dict[Token, int] = {}
    for node in statement.iter_subtrees_topdown():
        if node.data == "rate":
            name, *primes = node.children
            found[name] = max(found.get(name, 0), len(primes))
    return found


def _asked(statement: Any) -> list[Token]:
    """The objectives whose gradients, values along a direction or proximal points equations have."""
    nodes = statement.iter_subtrees_topdown()
    return [n.children[_ASKING[n.data]] for n in nodes if n.data in _ASKING]


def _velocities(order: Mapping[Token, int], taken: set[str]) -> dict[str, str]:
    """The names of the velocities of blocks of second order: v if there is one, else v_x and so on."""
    second = [str(name) for name, n in order.items() if n == 2]
    plain = len(second) == 1 and "v" not in taken and "v" not in order
    return {name: "v" if plain else f"v_{name}" for name in second}
