"""Blocks at saved stages, as symbols: in one expression a block can stand at several stages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, TypeAlias

import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import OdescentError, expected
from ...dynamics.algebra.calculus import symbols_of
from ...dynamics.algebra.trees import READERS, WRITERS
from ...dynamics.algebra.vectors import Expr, VectorSymbol

START = "start"  # the stage that is always saved: the state at the beginning of the step


class VectorStage(VectorSymbol):
    """A vector or a matrix at a stage.

    Args:
        block: the name of the block.
        kind: of the block.
        stage: the name of the stage.
    """

    __slots__ = ("block", "stage")
    made_of: ClassVar[tuple[str, ...]] = ("block", "kind", "stage")

    def __init__(self, block: str, kind: str, stage: str) -> None:
        super().__init__(f"at({block}, {stage})", kind)
        self.block, self.stage = block, stage


class ScalarStage(sp.Symbol):
    """A scalar block at a stage; both are among what SymPy compares."""

    __slots__ = ("block", "stage")
    block: str
    stage: str

    def __new__(cls, block: str, stage: str) -> ScalarStage:
        made: ScalarStage = sp.Symbol.__xnew__(cls, f"at({block}, {stage})", real=True)
        made.block, made.stage = block, stage
        return made

    def __getnewargs_ex__(self) -> tuple[tuple[str, str], dict[str, Any]]:
        return (self.block, self.stage), {}

    def __reduce__(self) -> tuple[Any, ...]:
        return ScalarStage, (self.block, self.stage)

    def _hashable_content(self) -> tuple[Any, ...]:
        return (*super()._hashable_content(), "stage")


Staged: TypeAlias = "VectorStage | ScalarStage"
STAGED = (VectorStage, ScalarStage)


@checked
def at(block: Any, stage: str = START) -> Any:
    """A block at a saved stage, in an expression that reads other stages or the current state beside it.

    >>> od.Select(f.value(x) <= f.value(od.at(x, "start")), accept=[], reject=[od.Let({x: od.at(x, "start")})])

    Args:
        block: a block, by its symbol.
        stage: the name that a substep saves; "start", the beginning of the step, by default.

    Returns:
        a symbol, for conditions, the values of a `Let` and the operator of an integrator.

    Raises:
        OdescentError: no block, or no name of a stage.
    """
    symbol = getattr(block, "symbol", block)
    if isinstance(symbol, STAGED) or not isinstance(symbol, (sp.Symbol, VectorSymbol)):
        raise expected("the block of at()", "the symbol of a block", block)
    if not stage:
        raise OdescentError(f"at() needs the name of a stage at which {symbol} is read, not ''.")
    if isinstance(symbol, VectorSymbol):
        return VectorStage(symbol.name, symbol.kind, stage)
    return ScalarStage(symbol.name, stage)


def staged_in(e: Expr) -> tuple[Staged, ...]:
    """The blocks at stages in an expression, in the order of their names."""
    return tuple(sorted((s for s in symbols_of(e) if isinstance(s, STAGED)), key=lambda s: s.name))


def refuse_staged(what: str, expressions: Iterable[Expr]) -> None:
    """Refuse blocks at stages where there are no stages."""
    for e in expressions:
        for s in staged_in(e):
            raise OdescentError(
                f"{what} has {s}, but only substeps of a scheme read blocks at stages; write {s.block} there."
            )


def _words(*words: Any) -> tuple[str, ...]:
    if not all(isinstance(word, str) and word for word in words):
        raise OdescentError(f"a block at a stage must be given by names, not by {words!r}.")
    return words


def _read_vector(*words: Any) -> VectorStage:
    block, kind, stage = _words(*words)
    return VectorStage(block, kind, stage)


def _read_scalar(*words: Any) -> ScalarStage:
    block, stage = _words(*words)
    return ScalarStage(block, stage)


WRITERS[VectorStage] = lambda s: ["block at stage", s.block, s.kind, s.stage]
WRITERS[ScalarStage] = lambda s: ["scalar at stage", s.block, s.stage]
READERS["block at stage"] = _read_vector
READERS["scalar at stage"] = _read_scalar
