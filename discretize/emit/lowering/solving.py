"""The statements of linear solves: from products with vectors, one for all terms with one inverse, by block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Self

import sympy as sp

from ...._support.errors import NotCarried
from ....dynamics.algebra.direct_sums import joining, points_of, row_of, stack
from ....dynamics.algebra.exact import canonical
from ....dynamics.algebra.operators import Inverse, OracleDerivative
from ....dynamics.algebra.products import Part, Product, Unary, apply, letters, slots_of
from ....dynamics.algebra.vectors import COVECTOR, Atom, Expr, Vector, VectorSymbol
from ....dynamics.solves.routes import (
    TOLERANCE,
    Structure,
    low_rank_parts,
    product_with,
    solve_in,
    solve_of,
)
from ..printing.lines import bare
from .coefficients import Coefficients, presentable, stem
from .statements import (
    DENSE,
    ENTRIES,
    MATRIX,
    JoinLet,
    PartLet,
    Routine,
    SolveLet,
    Statement,
    ZeroLet,
)


class SolveWriter(ABC):
    """What a writer of statements does with solves; the rest of its expressions is written by `Writer`.

    Attributes:
        table: the coefficients, and names that are free.
        blocks: the names of the state's.
        statements: what is written.
        made: the names of vectors and scalars by what they are of.
    """

    table: Coefficients
    blocks: set[str]
    statements: list[Statement]
    made: dict[object, Any]

    @abstractmethod
    def inside(self) -> Self:
        """A writer for the body of a function, which reads what is made so far."""

    @abstractmethod
    def named(self, v: Vector, name: str) -> VectorSymbol:
        """A name for a vector, which may need a statement."""

    @abstractmethod
    def result(self, name: str, e: Expr) -> Expr:
        """A result of the routine."""

    @abstractmethod
    def coefficient(self, c: sp.Expr, target: str, atom: str, momentum: bool) -> sp.Expr:
        """A coefficient as it stands in a sum."""

    @abstractmethod
    def scalar(self, e: sp.Expr, *hints: str, turned: bool = False) -> sp.Expr:
        """A scalar as it stands in a sum."""

    def solved(self, v: Vector) -> Vector:
        """The vector with the solutions of its solves by name; terms with one inverse are one solve."""
        found: dict[tuple[tuple[Atom, ...], Vector], list[tuple[Product, sp.Expr]]] = {}
        rest: list[tuple[Atom, sp.Expr]] = []
        for a, c in v.terms.items():
            if (solve := solve_in(a)) is None:
                rest.append((a, c))
            else:
                found.setdefault((solve[0], solve[1].left), []).append((solve[1], c))
        total = Vector.of(rest)
        for (before, inverted), terms in found.items():
            assert isinstance(inverted, Inverse)
            scale = _common([c for _, c in terms])
            right = Vector.of((a.right, canonical(c / scale)) for a, c in terms)
            moved = self.solution(inverted, right)
            for operator in reversed(before):
                moved = apply(operator, moved)
            total = total + moved * scale
        return total if found else v

    def solution(self, inverted: Inverse, right: Vector) -> Vector:
        """An inverse applied to a vector, from products of its operator: a name, or one for each block."""
        if (inverted, right) in self.made:
            known: Vector = self.made[inverted, right]
            return known
        how = solve_of(inverted)
        lefts: tuple[VectorSymbol, ...] = ()
        rights: tuple[VectorSymbol, ...] = ()
        operator, name = inverted.argument, "product"
        if how.route.name == "woodbury":
            operator, *sides = low_rank_parts(Structure(operator))
            lefts, rights = (tuple(self.named(v, "column") for v in side) for side in sides)
            name = "divided"
        parts = self.parts_of(operator, right)
        b = self.joined([*parts.values()], "b") if parts else self.named(right, "b")
        if (target := self.solved_again(inverted, b)) is None:
            target = self.from_products(
                operator, b, "solution", how.route.name, name, how.tolerance, (lefts, rights), parts
            )
            if how.route.name in DENSE:
                self.made["dense", inverted] = self.statements, len(self.statements) - 1
        found: Vector = target
        if parts:
            found = stack(dict(zip(parts, self.parted(target, parts), strict=True)))
        self.made[inverted, right] = found
        return found

    def solved_again(self, inverted: Inverse, b: VectorSymbol) -> VectorSymbol | None:
        """The solution for another right side, with the dense matrix of a solve before; None where there is none."""
        if ("dense", inverted) not in self.made:
            return None
        statements, place = self.made["dense", inverted]
        first = statements[place]
        assert isinstance(first, SolveLet)
        if not first.matrix:
            first = statements[place] = replace(first, matrix=self.table.fresh("matrix"))
        target, nothing = VectorSymbol(self.table.fresh("solution")), Routine((), {})
        again = replace(first, target=target, b=b, product=nothing)
        self.statements.append(again)
        return target

    # vectors of a direct sum

    def parts_of(self, operator: Vector, right: Vector) -> dict[str, VectorSymbol]:
        """The names of the parts of a right side by block; none where the operator has no blocks."""
        slots = slots_of(operator)[0]
        given = {s: apply(Part(s), right) for s in slots}
        found = {s: self.named(v, f"b_{s}") for s, v in given.items() if v}
        for s in slots:
            if s not in found:
                like = next((VectorSymbol(n) for n in self.blocks if bare(n) == s), None)
                if like is None:
                    if not (row := joining(operator, s, found)):
                        raise NotCarried(
                            f"the block {s} of a solve has an unknown shape: its part of the right side is zero, and "
                            "no entry of the operator joins it to another block."
                        )
                    like = self.named(row, "row")
                found[s] = VectorSymbol(self.table.fresh(f"b_{s}"))
                self.statements.append(ZeroLet(found[s], like))
        return {s: found[s] for s in slots}

    def joined(self, parts: Sequence[VectorSymbol], hint: str) -> VectorSymbol:
        """The name of a vector of a direct sum."""
        target = VectorSymbol(self.table.fresh(hint))
        self.statements.append(JoinLet(target, tuple(parts)))
        return target

    def parted(self, v: VectorSymbol, like: Mapping[str, VectorSymbol]) -> list[VectorSymbol]:
        """The names of the parts of a vector of a direct sum, of the shapes of others."""
        found = [VectorSymbol(self.table.fresh(f"{v.name}_{s}")) for s in like]
        shapes = tuple(like.values())
        self.statements += [PartLet(t, v, i, shapes) for i, t in enumerate(found)]
        return found

    def from_products(
        self, operator: Vector, b: VectorSymbol, what: str, method: str, function: str, tolerance: sp.Expr,
        sides: tuple[tuple[VectorSymbol, ...], tuple[VectorSymbol, ...]] = ((), ()),
        parts: Mapping[str, VectorSymbol] = MappingProxyType({}),
    ) -> VectorSymbol:  # fmt: skip
        """The statement that finds a vector from products of an operator, which are a function of the routine."""
        fresh = self.table.fresh
        self.ready(operator)
        along, function = VectorSymbol(fresh("v", "v")), fresh(function)
        inner = self.inside()
        if parts:
            moved = dict(zip(parts, inner.parted(along, parts), strict=True))
            rows = [inner.named(row_of(operator, s, moved), f"row_{s}") for s in parts]
            result: Expr = inner.joined(rows, "rows")
        else:
            result = inner.result("product", product_with(operator, along))
        routine = Routine(tuple(inner.statements), {"product": result})
        bound = self.scalar(presentable(tolerance), "tolerance")
        target = VectorSymbol(fresh(what))
        self.statements.append(SolveLet(target, b, along, routine, function, method, bound, *sides))
        return target

    def entries(self, a: Unary) -> VectorSymbol:
        """The name of the diagonal of an operator, from its products."""
        if a not in self.made:
            last = letters(a.argument)[-1]
            assert isinstance(last, OracleDerivative)
            at = self.space_of(last, f"diagonal of {a.argument}")
            self.made[a] = self.from_products(
                a.argument, at, "diagonal", ENTRIES, "product", TOLERANCE
            )
        known: VectorSymbol = self.made[a]
        return known

    def matrix(self, a: OracleDerivative) -> Atom:
        """A derivative as a matrix, from its products with the columns of the identity; of an adjoint, transposed."""
        if a.hole == COVECTOR:
            (direct,) = a.transposed().terms
            assert isinstance(direct, OracleDerivative)
            return Unary("transpose", self.matrix(direct))
        if a not in self.made:
            at = self.space_of(a, f"matrix of {a}")
            made = self.from_products(a, at, "matrix", MATRIX, "product", TOLERANCE)
            self.made[a] = VectorSymbol(made.name, "matrix")
        known: VectorSymbol = self.made[a]
        return known

    def space_of(self, a: OracleDerivative, what: str) -> VectorSymbol:
        """The name of a vector of the space that a derivative acts on."""
        spaces = zip(a.oracle.args or ("",), points_of(a.oracle, a.point), strict=True)
        if not (point := dict(spaces).get(a.hole)):
            raise NotCarried(f"emitted code has no {what}: its space is not known.")
        return self.named(point, "at")

    def ready(self, operator: Vector) -> None:
        """Name what does not depend on the vector that an operator is applied to."""
        for a, c in operator.terms.items():
            self.coefficient(c, "product", stem(a), False)
            if isinstance(a, Inverse):
                self.ready(a.argument)
            for letter in letters(a):
                if isinstance(letter, OracleDerivative):
                    for p in filter(None, points_of(letter.oracle, letter.point)):
                        self.named(p, "at")


def _common(coefficients: Sequence[sp.Expr]) -> sp.Expr:
    """One of the coefficients by which all others can be divided, whatever the parameters; else 1."""
    for one in coefficients:
        ratios = [canonical(c / one) for c in coefficients]
        if all(sp.fraction(r)[1].is_number for r in ratios):
            return one
    return sp.S.One
