"""Blocks, the named parts of a state, and where they begin."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import OdescentError, WrongType
from ..._support.rendering.rendered import Rendered
from ..algebra.calculus import Symbol, substitute, symbols_of
from ..algebra.products import Elementwise, Kronecker, Product, Unary
from ..algebra.scalars import as_scalar, bounded, check_name, names_in, nodes_of
from ..algebra.vectors import OPERATORS, Atom, Call, Expr, ScalarNode, Vector, VectorSymbol, zero
from ..algebra.windows import WINDOW, check_length
from ..implicit.search import START
from ..samples.sample import VectorSample

KINDS = ("vector", "scalar", *OPERATORS, "pytree", WINDOW)
ROLES = ("state", "memory", "coefficient")
start = START  # the starting point, in the initial values of blocks


@checked
@dataclass(frozen=True)
class Block(Rendered):
    """A named part of the state.

    Attributes:
        name: an identifier.
        kind: vector, scalar, matrix, symmetric (a symmetric matrix), pytree or window.
        role: state (moved by fields), memory (assigned by a `Let`), coefficient (a scalar recurrence).
        init: initial value, an expression in ``start`` (the starting point), parameters and oracles.
        history: of a window the number m of values that it keeps, as the columns of a d x m matrix; a block with a
            history is a window, and a memory, which `push` fills.
    """

    name: str
    kind: str = "vector"
    role: str = "state"
    init: Expr = zero
    history: Any = None

    def __post_init__(self) -> None:
        check_name(self.name)
        self._check_history()
        if self.kind not in KINDS or self.role not in ROLES:
            raise OdescentError(
                f"block {self.name!r} has kind {self.kind!r} and role {self.role!r}; "
                f"kinds are {', '.join(KINDS)} and roles {', '.join(ROLES)}."
            )
        if self.kind == "scalar" and isinstance(self.init, Vector):
            if self.init:
                raise OdescentError(
                    f"the scalar block {self.name!r} starts at the vector {self.init}."
                )
            object.__setattr__(self, "init", sp.S.Zero)
        if not isinstance(self.init, Vector):
            object.__setattr__(self, "init", as_scalar(self.init))

    def _check_history(self) -> None:
        if self.history is None and self.kind != WINDOW:
            return
        if self.history is None:
            raise OdescentError(f"the window {self.name!r} needs a history=, the number of values.")
        if self.kind not in ("vector", WINDOW) or self.init != zero:
            raise OdescentError(
                f"the block {self.name!r} has a history, so it is a window of vectors that starts at zero; "
                f"it is given the kind {self.kind!r} and the start {self.init}."
            )
        for name, value in {
            "history": as_scalar(self.history),
            "kind": WINDOW,
            "role": "memory",
        }.items():
            object.__setattr__(self, name, value)
        check_length(self.name, self.history)

    @property
    def operates(self) -> bool:
        """Whether it is a matrix."""
        return self.kind in OPERATORS

    @property
    def keeps(self) -> bool:
        """Whether it is a window, which keeps the last values pushed to it."""
        return self.kind == WINDOW

    @property
    def values(self) -> str:
        """The kind of its values: those of a symmetric block and of a window are matrices."""
        return "matrix" if self.operates or self.keeps else self.kind

    @property
    def symbol(self) -> Symbol:
        """The symbol of the block in expressions."""
        if self.kind == "scalar":
            return sp.Symbol(self.name, real=True)
        return VectorSymbol(self.name, self.kind)


LOOSE = "no field moves and no block declares"  # the end of a message about a vector


def check_vectors(
    user: str,
    e: Expr,
    known: set[Symbol],
    why: str,
    target: Symbol | None = None,
    exact: bool = False,
) -> None:
    """Refuse vectors in an expression that are not among the known ones, and what has no value.

    Args:
        user: what contains the expression, for the message.
        e: the expression.
        known: the vectors allowed.
        why: the end of the message, after "which".
        target: the block that it is the value or the rate of.
        exact: whether numbers that no float holds are taken, as in a map, which may cancel them.

    Raises:
        OdescentError: another vector occurs, an operator is added to a vector, or a number is one that no float holds.
    """
    try:
        _check_parts(e, exact)
        if isinstance(target, Vector) and isinstance(e, Vector):
            _check_kinds([*target.terms, *e.terms])
    except TypeError as error:
        raise OdescentError(f"{user}: {error}") from None
    vectors = [v for v in symbols_of(e) if isinstance(v, VectorSymbol)]
    shapes = {s.name for s in known}
    loose = [v.name for v in vectors if v not in known and not isinstance(v, VectorSample)]
    for z in vectors:
        if isinstance(z, VectorSample) and z.like not in shapes:
            raise OdescentError(
                f"{user} uses the sample {z}, which must have the shape of a block of the system, not of {z.like!r}."
            )
    if loose:
        raise OdescentError(f"{user} uses the vector {min(loose)!r}, which {why}.")


@functools.lru_cache(maxsize=1 << 14)
def _check_parts(e: Expr, exact: bool) -> None:
    """Refuse numbers that no float holds, sums and products of operators and vectors, and vectors that are applied."""
    if not isinstance(e, Vector):
        if not exact:
            bounded(e)
        for node in nodes_of(e, ScalarNode):
            for part in node.arguments:
                _check_parts(part, exact)
            if node.kind == "inner":
                _check_kinds([a for part in node.arguments for a in part.terms])
        return
    _check_kinds([*e.terms])
    for a, c in e.terms.items():
        _check_parts(c, exact)
        if isinstance(a, Product) and a.kind == "apply" and _operates(a.left) is False:
            raise WrongType(f"{a.left} is applied to {a.right}, but it is no operator.")
        for part in a.parts():
            _check_parts(part, exact)


def _check_kinds(atoms: list[Atom]) -> None:
    """Refuse operators beside vectors, by WrongType."""
    found = {operates: a for a in atoms if (operates := _operates(a)) is not None}
    if len(found) > 1:
        raise WrongType(
            f"the operator {found[True]} and the vector {found[False]} cannot be added, paired or equal; an operator "
            "is applied, as in od.apply(A, u)."
        )


@functools.lru_cache(maxsize=1 << 14)
def _operates(a: Atom) -> bool | None:
    """Whether an atom is an operator and no vector; None where it may be either."""
    if isinstance(a, VectorSymbol):
        return None if a == start else a.operates
    if isinstance(a, Product) and a.kind == "apply":
        return None if isinstance(a.left, Kronecker) else _operates(a.right)
    of: list[Atom] = []  # what it is of the kind of
    if isinstance(a, Call) and a.oracle.kind != "map":
        of = [*a.point.terms]
    elif isinstance(a, Elementwise) or (isinstance(a, Product) and a.kind == "hadamard"):
        of = [b for v in a.arguments for b in v.terms]
    kinds = {_operates(b) for b in of}
    if of:
        return kinds.pop() if len(kinds) == 1 else None
    if isinstance(a, Unary) and a.kind == "entries":
        return False
    return True if a.operates else None


@checked
def blocks(names: str, kind: str = "vector") -> Any:
    """Symbols for blocks of a state: ``x, v = blocks("x v")``; kind is vector, scalar, matrix, symmetric or pytree."""
    if kind not in (kinds := ("vector", "scalar", *OPERATORS, "pytree")):
        raise OdescentError(f"the kind of a block must be one of {', '.join(kinds)}, not {kind!r}.")
    listed = names_in("blocks", names, "x v")
    plain = kind == "scalar"
    found = [sp.Symbol(n, real=True) if plain else VectorSymbol(n, kind) for n in listed]
    return found[0] if len(found) == 1 else tuple(found)


def begun(blocks: list[Block]) -> tuple[Block, ...]:
    """The blocks with initial values in the starting point: one that begins where another does gets its value."""
    begin = {b.symbol: b.init for b in blocks}
    for s, e in begin.items():
        why = "is neither the starting point, `od.dynamics.start`, nor a block"
        check_vectors(f"the initial value of {s}", e, {start, *begin}, why, s)
    named = begin.keys() - {
        start
    }  # a block may be called as the starting point, which is meant then
    for _ in begin:
        given = {s: begin[s] for s in named}
        if not any(symbols_of(e) & named for e in begin.values()):
            break
        begin = {s: substitute(e, given) for s, e in begin.items()}
    circular = [str(s) for s, e in begin.items() if symbols_of(e) & named]
    if circular:
        raise OdescentError(
            f"the initial values of {', '.join(circular)} refer to each other; "
            "give one of them by numbers or the starting point, `od.dynamics.start`."
        )
    return tuple(replace(b, init=begin[b.symbol]) for b in blocks)


def initial_values(symbols: Sequence[Symbol], given: Mapping[Any, object]) -> dict[Symbol, Expr]:
    """Initial values by symbol, given by symbols or names; OdescentError for what is none of them, or no value."""
    named: dict[Any, Symbol] = {s.name: s for s in symbols}
    found = {named.get(s, s): e for s, e in given.items()}
    if stray := [str(s) for s in found if s not in symbols]:
        raise OdescentError(
            f"an initial value is given for {', '.join(stray)}, which no field moves."
        )
    return {s: _initial_value(s, e) for s, e in found.items()}


def _initial_value(s: Symbol, value: object) -> Expr:
    if isinstance(value, Vector):
        return value
    try:
        number = as_scalar(value)
    except TypeError as error:
        raise OdescentError(f"the block {s} starts at {value!r}: {error}") from None
    if isinstance(s, Vector) and number != 0:
        raise OdescentError(f"the vector block {s} starts at the scalar {number}.")
    return zero if isinstance(s, Vector) else number
