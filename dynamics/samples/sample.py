"""Samples: symbols of vectors and scalars that are drawn afresh in every step, from a law."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, ClassVar, TypeAlias

import sympy as sp

from ..._support.arguments import checked
from ..._support.errors import OdescentError
from ..algebra.calculus import symbols_of
from ..algebra.scalars import check_name
from ..algebra.trees import READERS, WRITERS
from ..algebra.vectors import Expr, VectorSymbol
from .laws import Law, law_of


class VectorSample(VectorSymbol):
    """A vector that is drawn in every step.

    Args:
        name: an identifier.
        law: the name of its law.
        like: the name of the block of which it has the shape.
    """

    __slots__ = ("law_name", "like")
    made_of: ClassVar[tuple[str, ...]] = ("name", "law_name", "like")

    def __init__(self, name: str, law_name: str, like: str) -> None:
        super().__init__(name)
        self.law_name, self.like = law_name, like
        self.key = (0, name, f"sample {law_name} {like}")
        self._hash = hash(self.key)

    @property
    def law(self) -> Law:
        return law_of(self.law_name)

    @property
    def dimension(self) -> sp.Symbol:
        """The symbol of its dimension."""
        return dimension_of(self.like)


class ScalarSample(sp.Symbol):
    """A scalar that is drawn in every step; its law is among what SymPy compares."""

    __slots__ = ("law_name",)
    law_name: str

    def __new__(cls, name: str, law_name: str) -> ScalarSample:
        made: ScalarSample = sp.Symbol.__xnew__(cls, name, real=True)
        made.law_name = law_name
        return made

    def __getnewargs_ex__(self) -> tuple[tuple[str, str], dict[str, Any]]:
        return (self.name, self.law_name), {}

    def __reduce__(self) -> tuple[Any, ...]:
        return ScalarSample, (self.name, self.law_name)

    def _hashable_content(self) -> tuple[Any, ...]:
        return (*super()._hashable_content(), f"sample {self.law_name}")

    @property
    def law(self) -> Law:
        return law_of(self.law_name, scalar=True)


Sample: TypeAlias = "VectorSample | ScalarSample"
SAMPLES = (VectorSample, ScalarSample)
ROWS = "rows"  # the law of what picks rows


def dimension_of(block: str) -> sp.Symbol:
    """The symbol of the dimension of a block."""
    return sp.Symbol(f"d_{block}", integer=True, positive=True)


@checked
def sample(name: str, law: str = "normal", like: Any = None) -> Any:
    """A vector or a scalar that is drawn afresh in every step, from a law, and shared by all that names it.

    A sample of a vector z has mean zero and covariance one, E z z^T = I, whatever the law and the step: ``normal``,
    ``rademacher`` (signs), ``sphere`` (of radius sqrt(d)), ``uniform`` (entries in [-sqrt(3), sqrt(3)]), ``coordinate``
    (+-sqrt(d) e_i). Of scalars the laws are ``normal``, ``rademacher``, ``uniform``, which is U(0, 1), and ``rows``,
    which picks the rows of a `FiniteSum` or the outcomes of an `Expectation` in ``f.batch(x, u)``. A sample does not
    grow smaller with the step, as the increment of a Wiener process (`Diffusion`) does, so it averages out in the
    limit of small steps; `mean` is its mean.

    Args:
        name: an identifier.
        law: the name of the law.
        like: a vector block of the same shape; None for a scalar.

    Returns:
        a symbol, for the fields of a system.

    Raises:
        OdescentError: there is no such law or block.
    """
    check_name(name)
    if like is None:
        law_of(law, scalar=True)
        return ScalarSample(name, law)
    shape = getattr(like, "symbol", like)
    if not isinstance(shape, VectorSymbol) or shape.operates:
        raise OdescentError(
            f"the sample {name} takes its shape from a vector block, like=x, not from {like!r}."
        )
    if law == ROWS:
        raise OdescentError(
            f"the law rows is one of scalars, which pick rows as in f.batch(x, {name}): leave out like=."
        )
    law_of(law)
    return VectorSample(name, law, shape.name)


def _read(read: type[Any], *rest: Any) -> Any:
    """A sample from the words after that of its form; law and name are checked."""
    if not all(isinstance(word, str) and word for word in rest):
        raise OdescentError(f"a sample must be given by names, not by {rest!r}.")
    law_of(rest[1], scalar=read is ScalarSample)
    return read(*rest)


WRITERS[VectorSample] = lambda s: ["sample", s.name, s.law_name, s.like]
WRITERS[ScalarSample] = lambda s: ["scalar sample", s.name, s.law_name]
READERS["sample"] = functools.partial(_read, VectorSample)
READERS["scalar sample"] = functools.partial(_read, ScalarSample)


def samples_in(expressions: Iterable[Expr]) -> tuple[Any, ...]:
    """The samples in some expressions, by name."""
    found = {s for e in expressions for s in symbols_of(e) if isinstance(s, SAMPLES)}
    return tuple(sorted(found, key=lambda s: s.name))
