"""Schemes and whole algorithms as text, in the language of `odescent.dynamics.grammar`.

parse_scheme("lie_trotter(damp: exact, kick: explicit, drift: explicit)")
read_algorithm("my_system.ode", scheme="strang(damp: exact, drift: explicit)", tuning="h = 1/sqrt(L)")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ...dynamics.algebra.vectors import Expr
from ...dynamics.grammar import Document, Source, read_text
from ...dynamics.grammar.expressions import Value
from ...dynamics.grammar.names import Names
from ...dynamics.grammar.syntax import parse
from ..faces import Algorithm
from ..programs.substeps import Scheme
from ..step.compile import COUNTER
from .scheme_text import scheme_of

if TYPE_CHECKING:
    from ...dynamics.grammar.errors import Node

T = TypeVar("T")
Bindings: TypeAlias = "dict[sp.Symbol, sp.Expr]"
_NO_SCHEME = (
    "there is no scheme: add a line such as scheme lie_trotter(damp: exact, kick: explicit), "
    "or give one with --scheme."
)


@checked
def parse_scheme(text: str) -> Scheme:
    """Parse a scheme: a scheme of the library by name, or a list of substeps.

    Raises ParseError, with line, column and a caret.
    """
    source = Source(text)
    return scheme_of(parse(source, "scheme"), Names(source, ()))


@checked
def parse_algorithm(
    text: str, *, scheme: str = "", where: str = "", tuning: str = "", clock: str = ""
) -> Algorithm:
    """Parse an algorithm: a system with a scheme, bindings and a tuning.

    Args:
        text: the source.
        scheme: replaces the statement of that name.
        where: replaces bindings, symbol by symbol.
        tuning: replaces entries of the tuning, symbol by symbol.
        clock: replaces the statement of that name.

    Raises:
        ParseError: a syntax error, with line, column and a caret.
        OdescentError: the scheme does not fit the system.
    """
    return _algorithm(Document(Source(text)), scheme, where, tuning, clock)


@checked
def read_algorithm(
    path: str | Path, *, scheme: str = "", where: str = "", tuning: str = "", clock: str = ""
) -> Algorithm:
    """Parse the algorithm in a file; see `parse_algorithm`.

    Args:
        path: of the file, in UTF-8.
        scheme: as for `parse_algorithm`, like the others.
        where: bindings.
        tuning: entries of the tuning.
        clock: the time of step k.

    Raises:
        ParseError: a syntax error, with file, line, column and a caret.
        OdescentError: the scheme does not fit the system.
    """
    return _algorithm(Document(read_text(path)), scheme, where, tuning, clock)


def _algorithm(document: Document, scheme: str, where: str, tuning: str, clock: str) -> Algorithm:
    names = document.names
    for taken in (*names.blocks, *([names.time.name] if names.time is not None else [])):
        if taken == names.step.name:
            raise OdescentError(
                f"{taken} is the step, not a block or the time; rename it, or the step: step s."
            )

    chosen = _read(
        "scheme", scheme, document, lambda tree, names: scheme_of(tree, names, document.system)
    )
    if chosen is None:
        raise OdescentError(_NO_SCHEME)
    settings: dict[str, Any] = {
        **_bound(document, {"where": where, "tuning": tuning}),
        "clock": _read("clock", clock, document, _clock),
        "outputs": _records(document),
        "name": document.system.name,
    }
    try:
        return Algorithm(document.system, chosen, names.step, **settings)
    except OdescentError:
        raise
    except (ArithmeticError, TypeError, ValueError, RecursionError) as error:
        raise OdescentError(f"this does not define an algorithm: {error}") from None


def _read(
    keyword: str, option: str, document: Document, read: Callable[[Any, Names], T]
) -> T | None:
    """The value of an option, else of the statement of that name, if there is one."""
    if option:
        source = Source(option, f"--{keyword}")
        tree = parse(source, "scheme" if keyword == "scheme" else "sum")
        return read(tree, document.names.reading(source))
    statement = document.one(keyword)
    if statement is None:
        return None
    return read(statement if keyword == "scheme" else statement.children[0], document.names)


def _bound(document: Document, options: Mapping[str, str]) -> dict[str, Bindings]:
    """The bindings and the tuning; what an option binds, it binds instead of the file."""
    said: dict[str, Bindings] = {}
    for keyword, option in options.items():
        said[keyword] = {}
        if option:
            source = Source(option, f"--{keyword}")
            _bindings(parse(source, "bindings"), document.names.reading(source), said[keyword])
    by_options = {symbol for bindings in said.values() for symbol in bindings}
    for keyword in options:
        filed: Bindings = {}
        for statement in document.all(keyword):
            _bindings(statement.children[0], document.names, filed)
        said[keyword] |= {s: e for s, e in filed.items() if s not in by_options}
    return said


def _bindings(tree: Any, names: Names, found: Bindings) -> None:
    for binding in tree.children:
        token, right = binding.children
        symbol = names.symbol(token)
        if symbol in found:
            raise names.source.error(f"{token} is bound twice.", token)
        found[symbol] = names.evaluator().scalar(right, f"the value of {token}")


def _clock(tree: Node, names: Names) -> sp.Expr:
    for taken in (*names.blocks, *names.parameters):
        if taken == COUNTER.name:
            raise names.source.error(
                "in a clock k counts the steps, but here k is declared; rename it.", tree
            )
    return names.evaluator({COUNTER.name: Value(COUNTER)}).scalar(tree, "the time")


def _records(document: Document) -> Mapping[str, Expr]:
    found: dict[str, Expr] = {}
    for statement in document.all("record"):
        for binding in statement.children[0].children:
            token, right = binding.children
            name = document.names.check(token)
            if name == "x" or name in found:
                said = "x is the name of the output" if name == "x" else f"{name} is recorded twice"
                raise document.source.error(f"{said}; choose another name.", token)
            found[name] = document.names.evaluator()(right).expr
    return found
