"""Vector expressions as PyTorch operations: few passes over memory, in place where that is safe.

A sum a x + c v that replaces x is one ``lerp_`` if a + c = 1, else ``mul_`` and ``add_``; a product or a
quotient in a sum is ``addcmul_`` or ``addcdiv_``. One list of operations is printed twice: with
``torch._foreach_*`` on lists of tensors, and one tensor at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import sympy as sp

from ...._support.errors import NotCarried
from ....dynamics.algebra.products import Elementwise, Product, slots
from ....dynamics.algebra.vectors import Atom, Vector, VectorSymbol
from ..printing.lines import wrapped
from ..printing.printer import FUNCTIONS, ones_like, without_reciprocals

_UNARY = {function: name.replace("arc", "a") for function, name in FUNCTIONS.items()}
# What changes one tensor, where it is called otherwise.
_IN_PLACE = {"maximum": "clamp_min", "minimum": "clamp_max"}
# Without a form for lists.
_SINGLE = {"clone", "zeros_like", "ones_like", "asinh", "acosh", "atanh"}


@dataclass(frozen=True)
class Operation:
    """``target = name(operands, scalars, keyword)``; in place where the target is the first operand."""

    name: str
    target: str
    operands: tuple[str, ...]
    scalars: tuple[str, ...] = ()
    keyword: str = ""

    @property
    def inplace(self) -> bool:
        return self.target == self.operands[0]

    def foreach(self, listed: Callable[[str], str], indent: str) -> list[str]:
        """The operation on lists of tensors; ``listed`` gives the name of a register's list."""
        target, given = listed(self.target), [listed(r) for r in self.operands]
        if self.name in _SINGLE:
            return [f"{indent}{target} = [torch.{self.name}(x) for x in {given[0]}]"]
        head = f"torch._foreach_{self.name}"
        head = f"{head}_" if self.inplace else f"{target} = {head}"
        more = [self.keyword] if self.keyword else []
        return wrapped(head, [*given, *self.scalars, *more], "", indent)

    def single(self, indent: str) -> list[str]:
        """The operation on one tensor of each list."""
        first, *others = self.operands
        more = [*others, *self.scalars, *([self.keyword] if self.keyword else [])]
        if self.inplace:
            name = _IN_PLACE.get(self.name, self.name)
            return wrapped(f"{first}.{name}_", more, "", indent)
        return wrapped(f"{self.target} = torch.{self.name}", [first, *more], "", indent)


@dataclass(frozen=True)
class _Piece:
    """scale * above[0] * above[1] * ... / (below[0] * ...), of registers."""

    scale: sp.Expr
    above: tuple[str, ...]
    below: tuple[str, ...] = ()

    @property
    def plain(self) -> bool:
        return len(self.above) == 1 and not self.below

    def reads(self, register: str | None) -> bool:
        return register in self.above or register in self.below


class InPlaceWriter:
    """Writes operations that compute vector expressions.

    Args:
        scalar: the source of a scalar.
        complementary: whether two scalars add up to one.
        fresh: a new name for a temporary.
    """

    def __init__(
        self,
        scalar: Callable[[sp.Expr], str],
        complementary: Callable[[sp.Expr, sp.Expr], bool],
        fresh: Callable[[], str],
    ) -> None:
        self.scalar, self.complementary, self.fresh = scalar, complementary, fresh
        self.operations: list[Operation] = []
        self.free: set[str] = set()  # registers whose content nobody reads again

    def evaluate(
        self, v: Vector, where: Mapping[str, str], home: str | None = None, dead: frozenset[str] = frozenset()
    ) -> str:  # fmt: skip
        """The register of the vector's value.

        Args:
            v: symbols, products and element-wise expressions of symbols, with scalar coefficients.
            where: registers of the symbols.
            home: the register to leave the value in; its old content is not read after this.
            dead: temporaries that are not read after this.
        """
        self.free = {where[s] for s in dead if _occurrences(v, s) == 1}
        if not v:
            like = home or next(iter(where.values()))
            target = home or self.fresh()
            self.operations.append(Operation("zero" if home else "zeros_like", target, (like,)))
            return target
        pieces = [self._piece(a, c, where) for a, c in v.terms.items()]
        return self._sum(pieces, sp.S.Zero, home)

    def copy(self, target: str, source: str) -> None:
        """target := source."""
        self.operations.append(Operation("copy", target, (target, source)))

    def _write(self, name: str, *operands: str, scalar: sp.Expr | None = None, keyword: str = "") -> str:  # fmt: skip
        target = operands[0] if operands[0] in self.free else self.fresh()
        self.free.add(target)
        scalars = () if scalar is None else (self.scalar(scalar),)
        self.operations.append(Operation(name, target, operands, scalars, keyword))
        return target

    # sums and products

    def _piece(self, a: Atom, c: sp.Expr, where: Mapping[str, str]) -> _Piece:
        if isinstance(a, VectorSymbol):
            return _Piece(c, (where[a.name],))
        if isinstance(a, Product) and a.kind == "hadamard":
            left, right = self._piece(a.left, c, where), self._piece(a.right, sp.S.One, where)
            above, below = left.above + right.above, left.below + right.below
            return _Piece(left.scale * right.scale, above, below)
        if isinstance(a, Elementwise):
            pairs = zip(slots(len(a.arguments)), a.arguments, strict=True)
            return self._factors(a.body, {s: self._operand(v, where) for s, v in pairs}, c)
        raise NotCarried(f"emitted PyTorch code has no form for {a}.")

    def _operand(self, v: Vector, where: Mapping[str, str]) -> str:
        assert isinstance(v, VectorSymbol)
        return where[v.name]

    def _sum(self, pieces: list[_Piece], constant: sp.Expr, home: str | None = None) -> str:
        own = next((p for p in pieces if home and p.plain and p.reads(home)), None)
        others = [p for p in pieces if p is not own]
        readers = [p for p in others if p.reads(home)] if home else []
        if own and own.scale == 1 and len(readers) == 1:
            others.sort(key=lambda p: p is not readers[0])  # stable: read before it is changed
        elif readers and (own or len(pieces) > 1 or home in readers[0].below):
            others = [_Piece(sp.S.One, (self._product(p),)) if p in readers else p for p in others]
        if home:
            self.free.add(home)
        running = self._added(own, others, home if not readers or own else None)
        if constant != 0:
            running = self._write("add", running, scalar=constant)
        if home and running != home:
            self.copy(home, running)
        if home:
            self.free.discard(home)
        return home or running

    def _added(self, first: _Piece | None, others: list[_Piece], home: str | None) -> str:
        """The sum; it is collected in the first piece's register if that is free."""
        if first is None:
            plain = [p for p in others if p.plain]
            rank = lambda p: (p.above[0] not in self.free, p.scale != 1)
            first = min(plain, key=rank) if plain else others[0]
            others = [p for p in others if p is not first]
            if first.plain and home and first.above[0] not in self.free:
                self.copy(home, first.above[0])
                first = replace(first, above=(home,))
        if first.plain and len(others) == 1 and others[0].plain:
            other = others[0]
            if self.complementary(first.scale, other.scale):
                return self._write("lerp", first.above[0], other.above[0], scalar=other.scale)
        if first.plain and first.scale == 1 and others:
            running = first.above[0]
        else:
            running = self._product(first)
        for p in others:
            running = self._plus(running, p)
        return running

    def _plus(self, running: str, p: _Piece) -> str:
        if p.plain or (len(p.above), len(p.below)) not in ((2, 0), (1, 1)):
            other = p.above[0] if p.plain else self._product(replace(p, scale=sp.S.One))
            if p.scale == -1:
                return self._write("sub", running, other)
            keyword = "" if p.scale == 1 else f"alpha={self.scalar(p.scale)}"
            return self._write("add", running, other, keyword=keyword)
        keyword = "" if p.scale == 1 else f"value={self.scalar(p.scale)}"
        name = "addcdiv" if p.below else "addcmul"
        return self._write(name, running, *p.above, *p.below, keyword=keyword)

    def _product(self, p: _Piece) -> str:
        above = sorted(p.above, key=lambda r: r not in self.free)
        below = list(p.below)
        if above:
            running, *above = above
            above.sort(key=lambda r: r != running)  # a square first, before its factor is changed
        else:
            running = self._write("reciprocal", below.pop(0))
        for r in above:
            running = self._write("mul", running, r)
        for r in below:
            running = self._write("div", running, r)
        if p.scale == -1:
            return self._write("neg", running)
        return running if p.scale == 1 else self._write("mul", running, scalar=p.scale)

    # element-wise expressions

    def _factors(self, body: sp.Expr, places: Mapping[sp.Symbol, str], scale: sp.Expr) -> _Piece:
        above: list[str] = []
        below: list[str] = []
        for f in sp.Mul.make_args(without_reciprocals(body)):
            if not f.free_symbols & set(places):
                scale = scale * f
            elif f.is_Pow and not isinstance(f, sp.exp) and f.exp.could_extract_minus_sign():
                below.append(self._value(1 / f, places))
            elif f.is_Pow and f.exp == 2:
                above += [self._value(f.base, places)] * 2
            else:
                above.append(self._value(f, places))
        return _Piece(scale, tuple(above), tuple(below))

    def _value(self, e: sp.Expr, places: Mapping[sp.Symbol, str]) -> str:
        inside = set(places)
        if e.is_Symbol:
            return places[e]
        if e.is_Add:
            arrays = [t for t in e.as_ordered_terms() if t.free_symbols & inside]
            constant = e - sp.Add(*arrays)
            return self._sum([self._factors(t, places, sp.S.One) for t in arrays], constant)
        if isinstance(e, (sp.Max, sp.Min)):
            return self._extreme(e, places)
        if isinstance(e, ones_like):
            ones = self.fresh()
            self.operations.append(Operation("ones_like", ones, (places[e.args[0]],)))
            self.free.add(ones)
            return ones
        if type(e) in _UNARY:
            return self._write(_UNARY[type(e)], self._value(e.args[0], places))
        if e.is_Mul or (e.is_Pow and (e.exp == 2 or e.exp.could_extract_minus_sign())):
            return self._product(self._factors(e, places, sp.S.One))
        if e.is_Pow and not e.exp.free_symbols & inside:
            base = self._value(e.base, places)
            if e.exp == sp.Rational(1, 2):
                return self._write("sqrt", base)
            return self._write("pow", base, scalar=e.exp)
        raise NotCarried(f"emitted PyTorch code has no function for {e}.")

    def _extreme(self, e: sp.Expr, places: Mapping[sp.Symbol, str]) -> str:
        largest = isinstance(e, sp.Max)
        arrays = sorted((a for a in e.args if a.free_symbols & set(places)), key=str)
        scalars = [a for a in e.args if a not in arrays]
        running, *others = [self._value(a, places) for a in arrays]
        for other in others:
            running = self._write("maximum" if largest else "minimum", running, other)
        if scalars:
            limit = e.func(*scalars)
            running = self._write("clamp_min" if largest else "clamp_max", running, scalar=limit)
        return running


def _occurrences(v: Vector, name: str) -> int:
    """How often the value of a vector is read."""
    count = 0
    for a in v.terms:
        if isinstance(a, VectorSymbol):
            count += a.name == name
        elif isinstance(a, Elementwise):
            for s, inside in zip(slots(len(a.arguments)), a.arguments, strict=True):
                read = sum(n == s for n in sp.preorder_traversal(a.body))
                count += read * (inside == VectorSymbol(name))
        else:
            count += sum(_occurrences(part, name) for part in a.arguments)
    return count
