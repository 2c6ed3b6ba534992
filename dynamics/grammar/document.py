"""A file of statements: the system described, and the statements on a scheme."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sympy as sp

from ..._support.errors import OdescentError
from ..algebra.calculus import Symbol
from ..algebra.vectors import Expr, zero
from ..flows.system import System
from ..vector_fields.block import Block, start
from ..vector_fields.processes import Diffusion, Jumps, Noise
from ..vector_fields.system import FIELD, Field
from .calls import Evaluator
from .equations import motion
from .errors import ParseError, Source
from .expressions import Value
from .names import START, Names
from .syntax import parse

_ONCE = (
    "system",
    "time",
    "equations",
    "fast",
    "small",
    "calculus",
    "output",
    "provenance",
    "step",
    "scheme",
    "clock",
)
_SCHEMES = ("named_scheme", "substeps")


class Document:
    """A parsed file.

    Attributes:
        source: the text.
        names: its declarations.
        system: the system.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.statements: list[Any] = parse(source).children
        self._check_once()
        self.names = Names(source, self.statements)
        self.system = self._system()

    def all(self, keyword: str) -> list[Any]:
        """The statements with a keyword."""
        return [s for s in self.statements if _keyword(s) == keyword]

    def one(self, keyword: str) -> Any:
        """The statement with a keyword that stands at most once."""
        found = self.all(keyword)
        return found[0] if found else None

    def _check_once(self) -> None:
        for keyword in _ONCE:
            found = self.all(keyword)
            if len(found) > 1:
                line = found[0].meta.line
                raise self.source.error(
                    f"there is a second {keyword}; the first is in line {line}.", found[1]
                )

    def _word(self, keyword: str, otherwise: str) -> str:
        statement = self.one(keyword)
        return otherwise if statement is None else str(statement.children[0])

    def _system(self) -> System:
        evaluate = self.names.evaluator()
        if (system := self.one("system")) is not None:
            self.names.check(system.children[0])
        calculus = self.one("calculus")
        if calculus is not None and calculus.children[0] not in ("ito", "stratonovich"):
            raise self.source.unknown("calculus", calculus.children[0], ("ito", "stratonovich"))
        fields = self._fields(evaluate)
        output = self.one("output")
        answer = None if output is None else evaluate(output.children[0])
        if answer is None and self.names.rates:
            first = self.names.blocks[next(iter(self.names.rates))]
            answer = Value(first.symbol, first.values)
        references = [str(t) for s in self.all("references") for t in s.children]
        try:
            return System(
                fields,
                blocks=self._declared(answer),
                output=None if answer is None else answer.expr,
                init=self._init(answer),
                time=self.names.time,
                calculus=self._word("calculus", "ito"),
                fast=self._fast(evaluate),
                small=self._small(),
                name=self._word("system", ""),
                provenance=self._word("provenance", "").strip('"'),
                references=tuple(references),
            )
        except ParseError:
            raise
        except OdescentError as error:
            unclear = "which block is the output is not clear; add a line such as: output x"
            sentence = unclear if output is None and "output=" in str(error) else str(error)
            at = self.statements[0] if output is None and self.statements else output
            raise self.source.error_at(sentence, *_place(at)) from None

    def _declared(self, output: Value | None) -> list[Block]:
        """The blocks that a system has to be told of: those of a role, and those that no field moves."""
        moved = {
            str(e.children[0])
            for s in (*self.all("field"), *self.all("noise"))
            for e in s.children[1:]
        }
        moved |= {*self.names.rates, *self.names.velocities.values()}
        told = [b for b in self.names.blocks.values() if b.role != "state" or b.name not in moved]
        return [
            replace(b, init=start) if output is not None and output.expr == b.symbol else b
            for b in told
        ]

    def _fields(self, evaluate: Evaluator) -> dict[str, Field]:
        fields: dict[str, Field] = {}
        if (statement := self.one("equations")) is not None:
            fields[FIELD] = Field(motion(statement, self.names), {})
        for statement in self.all("field"):
            token, *equations = statement.children
            self.names.check(token)
            if token in fields:
                raise self.source.error(
                    f"there is a second field {token}; give all its equations at once.", token
                )
            drift: dict[Symbol, Expr] = {}
            for equation in equations:
                target, value = self._equation(equation, evaluate)
                if target in drift:
                    raise self.source.error(
                        f"the field {token} has a second equation for {target}.", equation
                    )
                drift[target] = value
            fields[str(token)] = Field(drift, {})
        for statement in self.all("noise"):
            self._noise(statement, fields, evaluate)
        for statement in self.all("field"):
            token = statement.children[0]
            if not fields[str(token)].drift and not fields[str(token)].noise:
                raise self.source.error(
                    f"the field {token} moves nothing: give it equations or noise.", token
                )
        return fields

    def _equation(self, node: Any, evaluate: Evaluator) -> tuple[Symbol, Expr]:
        block = self._target(node.children[0])
        right = node.children[-1]
        return block.symbol, self._of_kind(block, evaluate(right), right, "derivative")

    def _target(self, token: Any) -> Block:
        if token in self.names.blocks:
            return self.names.blocks[str(token)]
        raise self.source.unknown("block", token, self.names.blocks)

    def _of_kind(self, block: Block, value: Value, at: Any, what: str) -> Expr:
        """The value, if it has the kind of the block; zero has every kind."""
        if value.kind == block.values:
            return value.expr
        if value.expr == 0 and block.kind != "scalar":
            return zero
        raise self.source.error(
            f"{block.name} is a {block.kind}, but its {what} is a {value.kind}.", at
        )

    def _noise(self, statement: Any, fields: dict[str, Field], evaluate: Evaluator) -> None:
        token, *diffusions = statement.children
        if token not in fields:
            raise self.source.unknown("field", token, fields)
        field = fields[str(token)]
        noise = dict(field.noise)
        for diffusion in diffusions:
            target, *rest = diffusion.children
            at = next(i for i, c in enumerate(rest) if getattr(c, "type", "") == "INCREMENT")
            amplitude, increment, clock = rest[:at], rest[at], rest[at + 1 :]
            block = self._target(target)
            if block.symbol in noise:
                raise self.source.error(
                    f"the field {token} has a second noise on {target}.", target
                )
            value = evaluate(amplitude[0]) if amplitude else Value(sp.S.One)
            if value.kind not in ("scalar", block.values):
                raise self.source.error(
                    f"{target} is a {block.kind}, but its amplitude is a {value.kind}.",
                    amplitude[0],
                )
            noise[block.symbol] = self._driven(value.expr, str(increment)[1:], clock, evaluate)
        fields[str(token)] = Field(field.drift, noise)

    def _driven(
        self, amplitude: Expr, process: str, clock: list[Any], evaluate: Evaluator
    ) -> Noise:
        """By a Wiener process; or, where a rate is given, by one that jumps, on a clock that particles may share."""
        if not clock:
            return Diffusion(amplitude, process)
        rate, *shared = clock
        value = evaluate(rate)
        if value.kind != "scalar":
            raise self.source.error(
                f"the rate of jumps must be a scalar, not a {value.kind}.", rate
            )
        try:
            return Jumps(amplitude, value.expr, process, common=bool(shared))
        except OdescentError as error:
            raise self.source.error(str(error), rate) from None

    def _init(self, output: Value | None) -> dict[Symbol, Expr]:
        kind = output.kind if output is not None and output.kind != "scalar" else self._only_kind()
        initial: dict[Symbol, Expr] = {}
        for statement in self.all("init"):
            for binding in statement.children:
                token, right = binding.children
                block = self._target(token)
                if block.symbol in initial:
                    raise self.source.error(f"{token} has a second initial value.", token)
                value = self._started(right, kind)
                initial[block.symbol] = self._of_kind(block, value, right, "initial value")
        return initial

    def _started(self, right: Any, kind: str) -> Value:
        """An initial value; x0 is of the output's kind, or a vector of which a matrix is made."""
        try:
            return self.names.evaluator({START: Value(start, kind)})(right)
        except ParseError as first:
            if kind not in ("matrix", "symmetric"):
                raise
            try:
                return self.names.evaluator({START: Value(start, "vector")})(right)
            except ParseError:
                raise first from None

    def _fast(self, evaluate: Evaluator) -> dict[Symbol, Expr]:
        statement = self.one("fast")
        found: dict[Symbol, Expr] = {}
        for binding in () if statement is None else statement.children:
            token, right = binding.children
            value = evaluate(right)
            if value.kind != "scalar":
                raise self.source.error(
                    f"{token} is fast by a scalar, not by a {value.kind}.", right
                )
            found[self._target(token).symbol] = value.expr
        return found

    def _small(self) -> list[sp.Symbol] | None:
        statement = self.one("small")
        if statement is None:
            return None
        known = self.names.parameters
        for token in statement.children:
            if token not in known:
                raise self.source.unknown("parameter", token, known)
        return [known[str(token)] for token in statement.children]

    def _only_kind(self) -> str:
        kinds = {b.values for b in self.names.blocks.values()} - {"scalar"}
        return kinds.pop() if len(kinds) == 1 else "vector"


def _keyword(statement: Any) -> str:
    return "scheme" if statement.data in _SCHEMES else str(statement.data)


def _place(node: Any) -> tuple[int, int]:
    meta = getattr(node, "meta", None)
    return (getattr(meta, "line", 1), getattr(meta, "column", 1))
